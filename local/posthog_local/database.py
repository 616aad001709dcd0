"""The data file: its tables, and which layout it has."""

from __future__ import annotations

from django.apps import apps
from django.db import DatabaseError, connection, transaction

# Raise it whenever models.py changes: a file of another layout is refused, never half understood.
LAYOUT = 4


class UnusableDataFile(Exception):
    pass


def prepare() -> None:
    """Create the tables in a new file."""
    try:
        with connection.cursor() as cursor:
            layout = cursor.execute("PRAGMA user_version").fetchone()[0]
            tables = set(connection.introspection.table_names(cursor))
    except DatabaseError as error:
        raise UnusableDataFile(f"it is not a readable SQLite file ({error})") from error
    if layout == LAYOUT:
        return
    if layout or tables:
        raise UnusableDataFile("it was written by another version of posthog-local or another program")
    # Foreign keys are off while tables are made, which SQLite only allows outside a transaction.
    with connection.constraint_checks_disabled(), transaction.atomic():
        with connection.schema_editor(atomic=False) as editor:
            for model in apps.get_app_config("posthog_local").get_models():
                editor.create_model(model)
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA user_version = {LAYOUT}")
