"""How sources and their tables are shown (contract 4.2, 6.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..auth import access_level
from ..models import ExternalDataSchema, ExternalDataSource, User, WarehouseTable
from ..versions import Version
from . import configuration, definitions

# The first of these that an enabled table has is the status of the source (contract 4.2).
_STATUS_ORDER = ("Failed", "Billing limits", "Billing limits too low", "Paused", "Running", "Completed")


def source_status(source: ExternalDataSource, schemas: Iterable[ExternalDataSchema]) -> str:
    statuses = {schema.status for schema in schemas if schema.should_sync}
    return next((status for status in _STATUS_ORDER if status in statuses), source.status)


def source_item(
    source: ExternalDataSource, user: User, role: str | None, version: Version, *, whole_schemas: bool
) -> dict[str, Any]:
    definition = definitions.definition(source.source_type)
    schemas = sorted(source.live_schemas, key=lambda schema: schema.name)
    errors = [schema.latest_error for schema in schemas if schema.should_sync and schema.latest_error]
    whole_schemas = whole_schemas or version.listed_sources_have_whole_schemas
    level = access_level(source.created_by_id, user, role)
    item = {
        "id": str(source.id),
        "created_at": source.created_at,
        "created_by": source.created_by and source.created_by.email,
        "created_via": source.created_via,
        "status": source_status(source, schemas),
        "source_type": source.source_type,
        "latest_error": errors[0] if errors else None,
        "prefix": source.prefix,
        "description": source.description,
        "access_method": source.access_method,
        "direct_query_enabled": source.direct_query_enabled,
        "auto_sync_new_schemas": source.auto_sync_new_schemas,
        "auto_sync_schema_patterns": source.auto_sync_schema_patterns,
        "engine": definition.engine if source.access_method == "direct" else None,
        "last_run_at": source.last_completed_at and source.last_completed_at.isoformat(),
        "schemas": [
            schema_item(schema, version, level) if whole_schemas else schema_summary(schema) for schema in schemas
        ],
        "job_inputs": configuration.without_secrets(definition, source.job_inputs),
        "revenue_analytics_config": source.revenue_analytics_config,
        "user_access_level": level,
        "supports_webhooks": definition.supports_webhooks,
        "supports_column_selection": definition.supports_column_selection,
        "api_version": source.api_version,
        "api_version_deprecation": None,
    }
    if not version.direct_query_can_be_enabled:
        del item["direct_query_enabled"]
    return item


def _table_columns(table: WarehouseTable) -> list[dict[str, Any]]:
    return [
        {
            "key": column["name"],
            "name": column["name"],
            "type": column["type"],
            "schema_valid": True,
            "fields": None,
            "table": None,
            "chain": None,
            "description": None,
        }
        for column in table.columns
    ]


def schema_summary(schema: ExternalDataSchema) -> dict[str, Any]:
    """A table inside the list of sources (version N)."""
    table = schema.table
    return {
        "id": str(schema.id),
        "name": schema.name,
        "label": schema.label,
        "should_sync": schema.should_sync,
        "status": schema.status,
        "sync_type": schema.sync_type,
        "last_synced_at": schema.last_synced_at,
        "sync_frequency": schema.sync_frequency,
        "latest_error": schema.latest_error,
        "table": table and {"id": str(table.id), "name": table.name, "row_count": table.row_count},
    }


def schema_item(
    schema: ExternalDataSchema, version: Version, level: str | None, *, source: dict[str, Any] | None = None
) -> dict[str, Any]:
    table = schema.table
    discovered = schema.discovered
    columns = discovered.get("columns", [])
    item = {
        "id": str(schema.id),
        "name": schema.name,
        "label": schema.label,
        "table": table
        and {
            "id": str(table.id),
            "name": table.name,
            "columns": _table_columns(table),
            "row_count": table.row_count,
        },
        "should_sync": schema.should_sync,
        "last_synced_at": schema.last_synced_at,
        "latest_error": schema.latest_error,
        "incremental": schema.sync_type in ("incremental", "append"),
        "status": schema.status,
        "sync_type": schema.sync_type,
        "incremental_field": schema.incremental_field,
        "incremental_field_type": schema.incremental_field_type,
        "incremental_field_lookback_seconds": schema.incremental_field_lookback_seconds,
        "sync_frequency": schema.sync_frequency,
        "sync_time_of_day": schema.sync_time_of_day,
        "full_refresh_interval_days": schema.full_refresh_interval_days,
        "full_refresh_time_of_day": schema.full_refresh_time_of_day,
        "next_full_refresh_at": None,
        "description": schema.description,
        "primary_key_columns": schema.primary_key_columns,
        "cdc_table_mode": schema.cdc_table_mode,
        "incremental_sync_blocked": False,
        "enabled_columns": schema.enabled_columns,
        "row_filters": schema.row_filters,
        "row_filter_columns": [{"name": column["name"], "type": column["type"]} for column in columns],
        "available_columns": [
            {
                "field": column["name"],
                "label": column["name"],
                "type": column["type"],
                "nullable": column.get("nullable", True),
            }
            for column in columns
        ],
        "source_column_metadata_available": bool(columns),
        "source": source,
        "api_version": schema.api_version,
        "api_version_deprecation": None,
        "user_access_level": level,
    }
    return {name: value for name, value in item.items() if name not in version.absent_schema_fields}


def schema_source(source: ExternalDataSource, user: User, role: str | None) -> dict[str, Any]:
    """``source`` inside one schema (contract 6.1)."""
    definition = definitions.definition(source.source_type)
    return {
        "id": str(source.id),
        "source_type": source.source_type,
        "access_method": source.access_method,
        "supports_column_selection": definition.supports_column_selection,
        "supports_row_filters": definition.supports_row_filters,
        "user_access_level": access_level(source.created_by_id, user, role),
    }
