"""Row filters of a table (contract 6.3)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from .. import naming
from ..models import ExternalDataSchema
from . import definitions

OPERATORS = ("=", "!=", ">", ">=", "<", "<=", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
_WITHOUT_VALUE = ("IS NULL", "IS NOT NULL")
_UNSUPPORTED = ("json", "array")


def check(schema: ExternalDataSchema, filters: list[dict[str, Any]] | None, *, is_cdc: bool) -> None:
    if filters is None or filters == schema.row_filters:
        return
    if not definitions.definition(schema.source.source_type).supports_row_filters:
        raise serializers.ValidationError("Row filters are not supported for this source type.")
    if schema.source.access_method == "direct":
        raise serializers.ValidationError("Row filters are not supported for direct-query sources.")
    if is_cdc:
        raise serializers.ValidationError("Row filters are not supported for CDC.")
    types = {column["name"]: column["type"] for column in schema.discovered.get("columns", [])}
    for item in filters:
        problem = _problem(item, types)
        if problem:
            raise serializers.ValidationError(f"Invalid row filter: {problem}")


def _problem(item: dict[str, Any], types: dict[str, str]) -> str | None:
    column, operator, value = item.get("column"), item.get("operator"), item.get("value")
    if not isinstance(column, str) or column not in types:
        return f"Unknown column '{column}'"
    if not isinstance(operator, str) or operator.upper() not in OPERATORS:
        return f"Unsupported operator '{operator}'"
    kind = naming.field_type(types[column])
    if kind in _UNSUPPORTED:
        return f"Column '{column}' has a type that cannot be filtered on"
    if operator.upper() in _WITHOUT_VALUE:
        return None
    values = value if operator.upper() in ("IN", "NOT IN") and isinstance(value, list) else [value]
    if any(not _fits(kind, item) for item in values):
        return f"Value does not match the type of column '{column}'"
    return None


def _fits(kind: str, value: Any) -> bool:
    if value is None or isinstance(value, dict | list):
        return False
    if kind in ("integer", "float", "decimal"):
        try:
            float(value)
        except (TypeError, ValueError):
            return False
        return not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool) or str(value).lower() in ("true", "false")
    return isinstance(value, str)
