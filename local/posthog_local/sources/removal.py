"""Tables that are taken away: from queries, or altogether."""

from __future__ import annotations

from .. import jobs
from ..models import ExternalDataSchema


def drop_table(schema: ExternalDataSchema) -> None:
    if schema.table is not None:
        schema.table.deleted = True
        schema.table.save(update_fields=["deleted"])
        schema.table = None


def delete_schema(schema: ExternalDataSchema) -> None:
    """Soft; the table is gone for queries at once."""
    schema.jobs.filter(status=jobs.RUNNING).delete()
    drop_table(schema)
    schema.deleted = True
    schema.should_sync = False
    schema.next_sync_at = None
    schema.save()
