"""What the page shows of each kind of object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from . import clock
from .models import (
    ExternalDataSchema,
    ExternalDataSource,
    InsightVariable,
    RequestLogEntry,
    SavedQuery,
    SavedQueryFolder,
)
from .sources import configuration, definitions, representation

LONGEST_VALUE = 120
MOST_VALUES = 8
MOST_TABLES = 100


def variable(variable: InsightVariable) -> dict[str, Any]:
    values = variable.values if isinstance(variable.values, list) else []
    return {
        "id": str(variable.id),
        "name": variable.name,
        "code_name": variable.code_name,
        "type": variable.type,
        "default": _short(variable.default_value),
        "is_multi": variable.is_multi,
        "values": [_short(value) for value in values[:MOST_VALUES]],
        "more_values": max(0, len(values) - MOST_VALUES),
        "values_query": variable.values_query,
        "created": _when(variable.created_at),
    }


def view(view: SavedQuery) -> dict[str, Any]:
    return {
        "id": str(view.id),
        "name": view.name,
        "sql": view.query.get("query") if isinstance(view.query, dict) else None,
        "description": view.description,
        "columns": [{"name": name, "type": kind} for name, kind in view.columns],
        "status": view.status,
        "cadence": view.sync_frequency,
        "is_materialized": view.is_materialized,
        "is_incremental": bool(view.incremental and view.incremental.get("enabled")),
        "folder": view.folder and view.folder.name,
        "error": view.latest_error,
        "last_run": _when(view.last_run_at),
        "reads": [edge.source.name for edge in view.live_reads],
        "created": _when(view.created_at),
        "created_by": view.created_by and view.created_by.email,
    }


def folder(folder: SavedQueryFolder) -> dict[str, Any]:
    return {
        "id": str(folder.id),
        "name": folder.name,
        "view_count": folder.view_count,
        "created": _when(folder.created_at),
    }


def source(source: ExternalDataSource) -> dict[str, Any]:
    definition = definitions.definition(source.source_type)
    schemas = source.live_schemas
    inputs = configuration.without_secrets(definition, source.job_inputs) or {}
    return {
        "id": str(source.id),
        "type": source.source_type,
        "prefix": source.prefix,
        "description": source.description,
        "status": representation.source_status(source, schemas),
        "direct": source.access_method == ExternalDataSource.Access.DIRECT,
        "direct_query": source.direct_query_enabled,
        "auto_sync": source.auto_sync_new_schemas,
        "auto_sync_patterns": source.auto_sync_schema_patterns or [],
        "connection": list(_flat({key: value for key, value in inputs.items() if not key.startswith("cdc_")})),
        "cdc": list(_flat({key: value for key, value in inputs.items() if key.startswith("cdc_")})),
        "webhook": _webhook(source, {str(schema.id): schema.name for schema in schemas}),
        "synced": sum(schema.should_sync for schema in schemas),
        "table_count": len(schemas),
        "tables": [_table(schema) for schema in schemas[:MOST_TABLES]],
        "more_tables": max(0, len(schemas) - MOST_TABLES),
        "created": _when(source.created_at),
        "created_by": source.created_by and source.created_by.email,
    }


def _table(schema: ExternalDataSchema) -> dict[str, Any]:
    table = schema.table
    return {
        "name": schema.name,
        "label": schema.label,
        "should_sync": schema.should_sync,
        "sync_type": schema.sync_type,
        "cursor": schema.incremental_field,
        "keys": schema.primary_key_columns or [],
        "cadence": schema.sync_frequency if schema.should_sync else None,
        "time_of_day": schema.sync_time_of_day and schema.sync_time_of_day.strftime("%H:%M"),
        "columns": schema.enabled_columns,
        "filters": len(schema.row_filters or ()),
        "cdc_mode": schema.cdc_table_mode if schema.sync_type == "cdc" else None,
        "status": schema.status,
        "error": schema.latest_error,
        "rows": table.row_count if table and not table.deleted else None,
        "stored_as": table.name if table and not table.deleted else None,
        "last_synced": _when(schema.last_synced_at),
    }


def _webhook(source: ExternalDataSource, names: dict[str, str]) -> dict[str, Any] | None:
    webhook = getattr(source, "webhook", None)
    if webhook is None:
        return None
    return {
        "name": webhook.name,
        "at_vendor": webhook.endpoint is not None,
        "inputs": sorted(webhook.inputs),
        "mapping": [
            {"object": object, "table": names.get(str(schema), "?")}
            for object, schema in webhook.schema_mapping.items()
        ],
    }


def request(entry: RequestLogEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "status": entry.status,
        "level": (entry.status or 999) // 100,
        "fault": entry.fault,
        "milliseconds": round(entry.milliseconds, 1),
        "at": {"iso": entry.at.isoformat(), "text": _ago(entry.at, datetime.now(UTC))},
    }


def _short(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _flat(values: dict[str, Any], prefix: str = "") -> Iterable[dict[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield {"key": prefix + key, "value": _short(value)}


def _when(time: datetime | None) -> dict[str, str] | None:
    return None if time is None else {"iso": time.isoformat(), "text": _ago(time, clock.now())}


def _ago(time: datetime, now: datetime) -> str:
    seconds = (now - (time if time.tzinfo else time.replace(tzinfo=UTC))).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"
