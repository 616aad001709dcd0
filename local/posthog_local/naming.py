"""Names and types of synced tables (contract 11.2)."""

from __future__ import annotations

import re

from .models import ExternalDataSource

_TYPES = (
    (r"bool", "boolean"),
    (r"interval", "string"),
    (r"bigint|smallint|int|serial", "integer"),
    (r"numeric|decimal", "decimal"),
    (r"double|float|real|money", "float"),
    (r"timestamp|datetime", "datetime"),
    (r"^date$|date32", "date"),
    (r"json|map|tuple|object", "json"),
    (r"array|\[\]", "array"),
)


def stored_name(source: ExternalDataSource, table: str) -> str:
    """``lower(prefix + source_type + "_" + table)``, dots of the table written as ``__``."""
    return f"{source.prefix or ''}{source.source_type}_{table.replace('.', '__')}".lower()


def dotted_name(source: ExternalDataSource, table: str) -> str:
    """The same table as HogQL also spells it: ``source_type.prefix.table``."""
    prefix = (source.prefix or "").strip("_")
    parts = [source.source_type, *([prefix] if prefix else []), table]
    return ".".join(parts).lower()


def field_type(column_type: str) -> str:
    """HogQL's name for a type of a database or of ClickHouse."""
    text = re.sub(r"^(nullable|lowcardinality)\((.*)\)$", r"\2", column_type.strip().lower())
    if "array" in text or text.endswith("[]"):
        return "array"
    for pattern, name in _TYPES:
        if re.search(pattern, text):
            return name
    return "string"
