"""``refresh_schemas``: what the vendor shows now against what is stored (contract 5.6)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from django.db import transaction

from .. import vendors
from ..errors import Message
from ..models import ExternalDataSchema, ExternalDataSource
from . import configuration, creation, definitions
from .removal import delete_schema
from .tables import Table


def refresh(source: ExternalDataSource) -> dict[str, int]:
    if not source.job_inputs:
        raise Message("Source has no configuration.")
    definition = definitions.definition(source.source_type)
    try:
        tables = vendors.vendor_for(definition, source.job_inputs).tables()
    except vendors.VendorError as error:
        raise Message(configuration.mask(definition, source.job_inputs, str(error))) from error
    with transaction.atomic():
        return _apply(source, {table.name: table for table in tables})


def _apply(source: ExternalDataSource, tables: dict[str, Table]) -> dict[str, int]:
    counts = {"added": 0, "deleted": 0, "auto_enabled": 0, "total_tables_seen": len(tables)}
    stored = {schema.name: schema for schema in source.schemas.order_by("deleted", "-created_at")[::-1]}
    for name, schema in stored.items():
        if not schema.deleted and name not in tables:
            delete_schema(schema)
            counts["deleted"] += 1
    for name, table in tables.items():
        known = stored.get(name)
        if known is not None and not known.deleted:
            known.discovered = table.as_dict()
            known.save(update_fields=["discovered"])
            continue
        counts["added"] += 1
        enabled = _auto_enabled(source, table)
        counts["auto_enabled"] += enabled
        if known is not None:
            _restore(known, table)
        else:
            settings: dict[str, Any] = table.default_settings() if enabled else {"name": name}
            creation.add_schema(source, table, {**settings, "should_sync": enabled})
    return counts


def _auto_enabled(source: ExternalDataSource, table: Table) -> bool:
    if not source.auto_sync_new_schemas or table.webhook_only or table.off_by_default:
        return False
    patterns = source.auto_sync_schema_patterns
    return patterns is None or any(fnmatchcase(table.name, pattern) for pattern in patterns)


def _restore(schema: ExternalDataSchema, table: Table) -> None:
    """A table that comes back is restored, disabled."""
    schema.deleted = False
    schema.should_sync = False
    schema.status = None
    schema.discovered = table.as_dict()
    schema.save()
