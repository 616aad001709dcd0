"""Changing the settings of one table (contract 6.3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from .. import clock, jobs, schedules
from ..models import ExternalDataSchema, Project
from . import creation_tables, definitions, row_filters
from .configuration import is_true
from .creation_tables import MAX_LOOKBACK_SECONDS, SYNC_TYPES
from .tables import Table

CADENCES = ("5min", "15min", "30min", "1hour", "6hour", "12hour", "24hour", "7day", "30day")
CURSOR_TYPES = ("integer", "numeric", "datetime", "date", "timestamp", "objectid", "xid")
# These are written by the incremental family only, so alone they would be lost on another type.
_INCREMENTAL_FAMILY = ("incremental", "append", "webhook")
_INCREMENTAL_SETTINGS = (
    "incremental_field",
    "incremental_field_type",
    "incremental_field_lookback_seconds",
    "primary_key_columns",
)
TOO_FAST = '"{value}" is not a valid sync frequency. The fastest sync frequency is 5 minutes.'
NOT_NEVER = '"never" is not a sync frequency. To stop syncing this table, set should_sync to false.'
KEY_FIXED = (
    "Primary key cannot be changed after data has been synced. "
    "Delete the synced data first, then change the primary key."
)
NO_KEY = (
    "'{name}' has no primary key to sync incrementally on. Choose a primary key for it, "
    "or switch it to full table replication."
)
NEEDS_KEY = "{what} requires a primary key on table '{name}'. Add a primary key on the source table and retry."


class SchemaSettings(serializers.Serializer):
    """The fields that can be changed; everything else in the body is ignored."""

    should_sync = serializers.BooleanField(required=False)
    sync_type = serializers.ChoiceField(SYNC_TYPES, required=False, allow_null=True)
    incremental_field = serializers.CharField(required=False, allow_null=True, max_length=400)
    incremental_field_type = serializers.ChoiceField(CURSOR_TYPES, required=False, allow_null=True)
    incremental_field_lookback_seconds = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MAX_LOOKBACK_SECONDS
    )
    sync_frequency = serializers.CharField(required=False, allow_null=True)
    sync_time_of_day = serializers.JSONField(required=False, allow_null=True)
    full_refresh_interval_days = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=90)
    full_refresh_time_of_day = serializers.TimeField(required=False, allow_null=True)
    primary_key_columns = serializers.ListField(
        child=serializers.CharField(max_length=400), required=False, allow_null=True
    )
    cdc_table_mode = serializers.ChoiceField(["consolidated", "cdc_only", "both"], required=False)
    enabled_columns = serializers.ListField(child=serializers.CharField(), required=False, allow_null=True)
    row_filters = serializers.ListField(child=serializers.DictField(), required=False, allow_null=True)
    api_version = serializers.CharField(required=False, allow_null=True, max_length=64)

    def validate_sync_frequency(self, value: str | None) -> str | None:
        if value == "never":
            raise serializers.ValidationError(NOT_NEVER)
        if value is not None and value not in CADENCES and value != "1min":
            raise serializers.ValidationError(TOO_FAST.format(value=value))
        return value

    def update(self, schema: ExternalDataSchema, data: dict[str, Any]) -> ExternalDataSchema:
        return apply(schema, data, self.context["project"])


def apply(schema: ExternalDataSchema, data: dict[str, Any], project: Project) -> ExternalDataSchema:
    """Check, then write. Callers hold a transaction."""
    was_enabled = schema.should_sync
    before = (schema.sync_type, schema.incremental_field)
    new_type = data.get("sync_type", schema.sync_type)
    _check_columns(schema, data)
    row_filters.check(schema, data.get("row_filters"), is_cdc=new_type == "cdc")
    _check_api_version(schema, data)
    _check_sync_type(schema, data, project)
    _check_settings_of_type(schema, data, new_type)
    _check_key(schema, data, new_type)
    _set_times(schema, data, new_type)
    warehouse = schema.source.access_method == "warehouse"
    if warehouse and data.get("should_sync") and not data.get("sync_type") and schema.sync_type is None:
        raise serializers.ValidationError("Sync type must be set up first before enabling schema")
    for name in (
        "should_sync",
        "sync_type",
        *_INCREMENTAL_SETTINGS,
        "full_refresh_interval_days",
        "full_refresh_time_of_day",
        "cdc_table_mode",
        "enabled_columns",
        "row_filters",
        "api_version",
    ):
        if name in data:
            setattr(schema, name, data[name])
    _canonical_cursor(schema, data)
    if {"should_sync", "sync_type", "sync_frequency"} & data.keys():
        schedules.plan_table(schema, clock.now())
    schema.save()
    changed = before != (schema.sync_type, schema.incremental_field)
    if warehouse and schema.should_sync and (not was_enabled or changed):
        jobs.start_sync(schema)
    return schema


def _check_columns(schema: ExternalDataSchema, data: dict[str, Any]) -> None:
    wanted = data.get("enabled_columns")
    if wanted is None or wanted == schema.enabled_columns:
        return
    if not definitions.definition(schema.source.source_type).supports_column_selection:
        raise serializers.ValidationError("Column selection is not supported for this source type.")
    known = {column["name"] for column in schema.discovered.get("columns", [])}
    unknown = sorted(set(wanted) - known)
    if known and unknown:
        raise serializers.ValidationError(
            f"Unknown columns in enabled_columns: {unknown}. Run `Pull new schemas` to refresh available columns."
        )


def _check_api_version(schema: ExternalDataSchema, data: dict[str, Any]) -> None:
    version = data.get("api_version", schema.api_version)
    if version is None:
        return
    default = definitions.definition(schema.source.source_type).default_version
    if version != default:
        raise serializers.ValidationError(f"API version {version} is not supported for this source.")
    if data.get("sync_type", schema.sync_type) == "webhook":
        raise serializers.ValidationError("An API version cannot be set on a table that syncs via webhooks.")


def _check_sync_type(schema: ExternalDataSchema, data: dict[str, Any], project: Project) -> None:
    if "sync_type" not in data:
        return
    wanted, source = data["sync_type"], schema.source
    definition = definitions.definition(source.source_type)
    if wanted == "cdc":
        if not definition.supports_cdc:
            raise serializers.ValidationError(f"CDC is not supported for {source.source_type} sources.")
        if not project.cdc_enabled or not is_true((source.job_inputs or {}).get("cdc_enabled")):
            raise serializers.ValidationError("CDC is not enabled for this team")
    if wanted == "xmin":
        if not definition.supports_xmin:
            raise serializers.ValidationError("xmin replication is only available for Postgres sources.")
        if not schema.discovered.get("supports_xmin"):
            raise serializers.ValidationError(
                f"xmin replication is not available for table '{schema.name}'. "
                "It requires a Postgres heap table or materialized view on PostgreSQL 13+."
            )
    if wanted != "webhook" and schema.discovered.get("webhook_only"):
        raise serializers.ValidationError(
            f"{schema.name} can only be synced via webhooks — pick the Webhook sync method."
        )


def _check_settings_of_type(schema: ExternalDataSchema, data: dict[str, Any], new_type: str | None) -> None:
    if "sync_type" in data or new_type in _INCREMENTAL_FAMILY:
        return
    lost = [name for name in _INCREMENTAL_SETTINGS if data.get(name) is not None]
    if lost:
        raise serializers.ValidationError(
            f"{', '.join(lost)} cannot be applied to a schema with sync type {new_type or 'not set'} "
            "on its own. Include sync_type in the same request to change the sync type."
        )


def _check_key(schema: ExternalDataSchema, data: dict[str, Any], new_type: str | None) -> None:
    key = data.get("primary_key_columns", schema.primary_key_columns)
    if (
        "primary_key_columns" in data
        and key != schema.primary_key_columns
        and schema.table is not None
        and new_type in ("incremental", "cdc")
    ):
        raise serializers.ValidationError(KEY_FIXED)
    known = {column["name"] for column in schema.discovered.get("columns", [])}
    unknown = [column for column in data.get("primary_key_columns") or () if known and column not in known]
    if unknown:
        raise serializers.ValidationError(f"'{schema.name}' has no column named {', '.join(unknown)} to merge on.")
    if key or new_type not in creation_tables.KEYED_TYPES or not ("sync_type" in data or data.get("should_sync")):
        return
    detected = Table.from_dict(schema.discovered).key if schema.discovered else []
    if detected:
        data["primary_key_columns"] = detected
    elif new_type == "incremental":
        raise serializers.ValidationError(NO_KEY.format(name=schema.name))
    else:
        what = "CDC" if new_type == "cdc" else "xmin replication"
        raise serializers.ValidationError(NEEDS_KEY.format(what=what, name=schema.name))


def _set_times(schema: ExternalDataSchema, data: dict[str, Any], new_type: str | None) -> None:
    frequency = data.get("sync_frequency")
    if frequency == "1min" and new_type != "cdc":
        raise serializers.ValidationError(
            "A 1-minute sync frequency is only available for CDC schemas. "
            "The fastest frequency for other sync types is 5 minutes."
        )
    if new_type == "cdc" and frequency == "30day":
        raise serializers.ValidationError("CDC schemas must sync at least every 7 days.")
    if frequency:
        schema.sync_frequency = frequency
    elif data.get("should_sync") and schema.sync_frequency is None:
        raise serializers.ValidationError(
            "This table has no sync frequency, so its sync cannot be scheduled. Set a sync frequency first."
        )
    if "sync_time_of_day" in data:
        time = data["sync_time_of_day"]
        if time is not None:
            try:
                time = datetime.strptime(str(time), "%H:%M:%S").time()
            except ValueError as error:
                raise serializers.ValidationError("Invalid sync time of day") from error
        schema.sync_time_of_day = time


def _canonical_cursor(schema: ExternalDataSchema, data: dict[str, Any]) -> None:
    """A cursor given by its label is stored as the vendor calls it (contract 4.3)."""
    if not data.get("incremental_field") or not schema.discovered:
        return
    cursor = Table.from_dict(schema.discovered).cursor(data["incremental_field"])
    if cursor is not None and cursor.field != data["incremental_field"]:
        schema.incremental_field = cursor.field
        schema.incremental_field_type = cursor.field_type
