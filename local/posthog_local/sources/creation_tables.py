"""Which tables a new source gets, and how they sync (contract 4.3, 4.4 rows 17 to 25)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from .. import versions
from ..errors import Message
from .configuration import Config, is_true
from .definitions import SourceType
from .tables import Table

SYNC_TYPES = ("full_refresh", "incremental", "append", "webhook", "cdc", "xmin")
# Without a key of their own these take the one that was detected (contract 4.3, 6.3).
KEYED_TYPES = ("incremental", "cdc", "xmin")
MAX_LOOKBACK_SECONDS = 5_184_000
NO_KEY = (
    "Table '{name}' has no primary key to sync incrementally on. Choose a primary key for it, "
    "or switch it to full table replication."
)


def settings_of(
    definition: SourceType, payload: Config, tables: list[Table], *, direct: bool, with_cdc: bool
) -> list[dict[str, Any]]:
    wanted = payload.get("schemas")
    version = versions.current()
    if version.schemas_by_default and (wanted is None or wanted == []):
        items = [table.default_settings() for table in tables]
    else:
        if not wanted or not isinstance(wanted, list) or not all(isinstance(item, dict) for item in wanted):
            raise Message(version.schemas_not_a_list)
        by_name = {table.name: table for table in tables}
        items = _checked(definition, wanted, by_name, direct=direct, with_cdc=with_cdc)
    if direct:  # nothing is synced; the sync type is kept empty (contract 4.3)
        for item in items:
            item["sync_type"] = None
    return items


def _checked(
    definition: SourceType,
    wanted: list[dict[str, Any]],
    tables: dict[str, Table],
    *,
    direct: bool,
    with_cdc: bool,
) -> list[dict[str, Any]]:
    """Rows 18 to 25, each over all tables before the next."""
    version = versions.current()
    if not all(isinstance(item.get("name"), str) and item["name"] in tables for item in wanted):
        raise Message("Schemas given do not exist in source")
    for item in wanted if version.sync_types_are_checked else ():
        sync_type = item.get("sync_type")
        if sync_type is not None and sync_type not in SYNC_TYPES:
            raise Message(f"Unknown sync type: {sync_type}. Use one of: {', '.join(SYNC_TYPES)}.")
    _check_cdc(wanted, tables, with_cdc=with_cdc)
    items = [_with_cursor(_readable(item), tables[item["name"]]) for item in wanted]
    _check_cursors(items, tables, with_keys=version.incremental_needs_a_key)
    for item in items:
        _check_lookback(item)
    if any(item.get("row_filters") for item in items):
        if not definition.supports_row_filters:
            raise Message("Row filters are not supported for this source type.")
        if direct:
            raise Message("Row filters are not supported for direct-query sources.")
    return items


class _TableSettings(serializers.Serializer):
    """The kinds of the values of one table; what they mean is checked elsewhere."""

    name = serializers.CharField(trim_whitespace=False)
    should_sync = serializers.BooleanField(required=False, default=False)
    sync_type = serializers.CharField(required=False, allow_null=True)
    incremental_field = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    incremental_field_type = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    incremental_field_lookback_seconds = serializers.JSONField(required=False, allow_null=True)
    primary_key_columns = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    sync_time_of_day = serializers.TimeField(required=False, allow_null=True)
    cdc_table_mode = serializers.CharField(required=False, allow_null=True, max_length=32)
    enabled_columns = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    row_filters = serializers.ListField(child=serializers.DictField(), required=False, allow_null=True)


def _readable(item: dict[str, Any]) -> dict[str, Any]:
    settings = _TableSettings(data=item)
    if not settings.is_valid():
        field = next(iter(settings.errors))
        raise Message(f"Invalid value for '{field}' of schema '{item['name']}'.")
    return dict(settings.validated_data)


def _check_cursors(items: list[dict[str, Any]], tables: dict[str, Table], *, with_keys: bool) -> None:
    """Rows 22 and 23, for the tables that are to be synced."""
    enabled = [item for item in items if is_true(item.get("should_sync"))]
    for item in enabled:
        if item.get("sync_type") in ("incremental", "append"):
            if not item.get("incremental_field"):
                raise Message("Incremental schemas given do not have an incremental field set")
            if not item.get("incremental_field_type"):
                raise Message("Incremental schemas given do not have an incremental field type set")
    for item in enabled if with_keys else ():
        keyless = not item.get("primary_key_columns") and not tables[item["name"]].key
        if item.get("sync_type") == "incremental" and keyless:
            raise Message(NO_KEY.format(name=item["name"]))


def _check_cdc(wanted: list[dict[str, Any]], tables: dict[str, Table], *, with_cdc: bool) -> None:
    """Rows 20 and 21."""
    asked = [item["name"] for item in wanted if item.get("sync_type") == "cdc"]
    if asked and not with_cdc:
        raise Message(
            "CDC must be enabled on the source before selecting it as a sync type. "
            f"The following schemas requested CDC: {', '.join(asked)}."
        )
    keyless = [name for name in asked if not tables[name].primary_key]
    if keyless:
        raise Message(
            f"CDC requires a primary key on each table. The following tables have no primary key: {', '.join(keyless)}"
        )


def _with_cursor(item: dict[str, Any], table: Table) -> dict[str, Any]:
    """A cursor given by its label is stored as the vendor calls it (contract 4.3)."""
    cursor = table.cursor(item.get("incremental_field") or "")
    if cursor is None:
        return dict(item)
    given = item.get("incremental_field_type")
    renamed = cursor.field != item["incremental_field"]
    return {
        **item,
        "incremental_field": cursor.field,
        "incremental_field_type": cursor.field_type if renamed else given,
    }


def _check_lookback(item: dict[str, Any]) -> None:
    value = item.get("incremental_field_lookback_seconds")
    if value is None:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    whole = whole or (isinstance(value, float) and value.is_integer())
    if not whole or not 0 <= value <= MAX_LOOKBACK_SECONDS:
        raise Message(
            "incremental_field_lookback_seconds must be an integer between 0 and 5184000 (60 days) "
            f"for schema '{item['name']}'."
        )
    item["incremental_field_lookback_seconds"] = int(value)
