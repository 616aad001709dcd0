"""What a view may be called, and what its SQL may read (contract 3.4, 11.2)."""

from __future__ import annotations

import re

from django.db.models import Q
from rest_framework import serializers

from . import hogql_catalogue, versions
from .hogql_columns import Columns
from .models import Project, SavedQuery, WarehouseTable

PATTERN = re.compile(r"^[A-Za-z_$][A-Za-z0-9_.$]*\Z")
MALFORMED = (
    "{name} is not a valid view name. "
    "View names can only contain letters, numbers, '_', '.', or '$' "  # the blank at the end is PostHog's
)
POSTHOG_TABLE = "{name} is not a valid view name. View names cannot overlap with PostHog table names."
RESERVED = "The system namespace is reserved for built-in tables. Choose a different view name."


def validate(project: Project, name: str) -> None:
    if not PATTERN.match(name):
        raise serializers.ValidationError(MALFORMED.format(name=name))
    if name in hogql_catalogue.CORE_TABLES:
        raise serializers.ValidationError(POSTHOG_TABLE.format(name=name))
    version = versions.current()
    in_system = name.lower() == "system" or name.lower().startswith("system.")
    if in_system and not version.view_names_may_be_in_system:
        raise serializers.ValidationError(RESERVED)
    taken = SavedQuery.objects.filter(project=project, name=name).exists()
    if taken or _tables(project, {name}).exists():
        raise serializers.ValidationError(version.view_name_taken)


def look_up(project: Project, names: set[str]) -> dict[str, Columns | None]:
    """The tables of these names that a query of the project can read."""
    known: dict[str, Columns | None] = {name: None for name in names if hogql_catalogue.is_core_table(name)}
    rest = names - known.keys()
    if not rest:
        return known
    for view in SavedQuery.objects.filter(project=project, deleted=False, name__in=rest):
        known[view.name] = (dict(view.columns) or None) if view.has_all_columns else None
    lower = {name.lower(): name for name in rest}
    for table in _tables(project, set(lower)):
        columns = {column["name"]: column["type"] for column in table.columns}
        for spelling in (table.name, table.dotted_name):
            if spelling in lower:
                known[lower[spelling]] = columns or None
    return known


def _tables(project: Project, names: set[str]):  # type: ignore[no-untyped-def]
    return WarehouseTable.objects.filter(project=project, deleted=False).filter(
        Q(name__in=names) | Q(dotted_name__in=names)
    )
