"""A table as a vendor shows it, and what PostHog makes of it (contract 4.3, 5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .definitions import SourceType

_CURSOR_TYPES = (
    (re.compile(r"^(bigint|smallint|integer|int\d*|serial|bigserial|u?int(8|16|32|64))$"), "integer"),
    (re.compile(r"^(numeric|decimal)"), "numeric"),
    (re.compile(r"^(timestamp|datetime)"), "timestamp"),
    (re.compile(r"^date(32)?$"), "date"),
)
# Which cursor a table gets by default (contract 4.3): what changes, before what only begins.
_PREFERRED = (
    "updated_at",
    "updatedat",
    "updated",
    "modified_at",
    "last_modified",
    "modified",
    "created_at",
    "createdat",
    "created",
)


@dataclass(frozen=True)
class Cursor:
    """``field`` is what the vendor calls it, ``label`` what a person is shown."""

    field: str
    field_type: str
    label: str
    type: str

    def as_dict(self) -> dict[str, Any]:
        return {"label": self.label, "type": self.type, "field": self.field, "field_type": self.field_type}


@dataclass
class Table:
    name: str
    columns: list[dict[str, Any]]
    primary_key: list[str] = field(default_factory=list)
    rows: int = 0
    label: str | None = None
    description: str | None = None
    cursors: list[Cursor] | None = None
    webhook_only: bool = False
    supports_webhooks: bool = False
    off_by_default: bool = False
    supports_xmin: bool = False
    rls_warning: str | None = None
    sync_error: str | None = None
    permission_error: str | None = None

    # -- what is stored with the schema row -----------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "cursors": [vars(cursor) for cursor in self.cursors or ()] if self.cursors else None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Table:
        cursors = data.get("cursors")
        return cls(**{**data, "cursors": [Cursor(**cursor) for cursor in cursors] if cursors else None})

    # -- cursors and keys -----------------------------------------------------------------------

    @property
    def incremental_fields(self) -> list[Cursor]:
        if self.cursors is not None:
            return self.cursors
        found = []
        for column in self.columns:
            for pattern, kind in _CURSOR_TYPES:
                if pattern.match(column["type"].lower()):
                    found.append(Cursor(column["name"], kind, column["name"], kind))
                    break
        return found

    @property
    def column_names(self) -> list[str]:
        return [column["name"] for column in self.columns]

    @property
    def key(self) -> list[str]:
        """The detected key; a column called ``id`` counts as one (contract 4.4 row 23)."""
        return self.primary_key or (["id"] if "id" in self.column_names else [])

    def cursor(self, name: str) -> Cursor | None:
        """By the vendor's name or by the label."""
        fields = self.incremental_fields
        return next((c for c in fields if c.field == name), next((c for c in fields if c.label == name), None))

    def preferred_cursor(self) -> Cursor | None:
        fields = {cursor.label.lower(): cursor for cursor in reversed(self.incremental_fields)}
        for name in _PREFERRED:
            if name in fields:
                return fields[name]
        return next(iter(self.incremental_fields), None)

    def default_settings(self) -> dict[str, Any]:
        """Incremental when possible, else append, else full refresh."""
        cursor = self.preferred_cursor()
        enabled = not (self.webhook_only or self.off_by_default)
        if cursor is None:
            return {"name": self.name, "should_sync": enabled, "sync_type": "full_refresh"}
        return {
            "name": self.name,
            "should_sync": enabled,
            "sync_type": "incremental" if self.key else "append",
            "incremental_field": cursor.field,
            "incremental_field_type": cursor.field_type,
        }

    # -- what clients see -----------------------------------------------------------------------

    def available_columns(self) -> list[dict[str, Any]]:
        return [
            {
                "field": column["name"],
                "label": column["name"],
                "type": column["type"],
                "nullable": column.get("nullable", True),
            }
            for column in self.columns
        ]

    def cursor_items(self) -> list[dict[str, Any]]:
        columns = {column["name"]: column for column in self.columns}
        items = []
        for cursor in self.incremental_fields:
            column = columns.get(cursor.field)
            extra = {}
            if self.cursors is None and column is not None:
                extra = {
                    "nullable": column.get("nullable", True),
                    "is_indexed": bool(column.get("indexed", cursor.field in self.primary_key)),
                }
            items.append({**cursor.as_dict(), **extra})
        return items

    def cdc_available(self, definition: SourceType, *, with_cdc: bool) -> bool | None:
        """Null for a team, or a kind of source, that has no change data capture."""
        return bool(self.primary_key) if with_cdc and definition.supports_cdc else None

    def description_item(self, definition: SourceType, *, with_cdc: bool) -> dict[str, Any]:
        """An item of ``database_schema`` (contract 5.2)."""
        cursors = self.cursor_items()
        return {
            "table": self.name,
            "label": self.label,
            "should_sync": False,
            "should_sync_default": not (self.webhook_only or self.off_by_default),
            "description": self.description,
            "rows": None,
            "incremental_fields": cursors,
            "incremental_available": bool(cursors),
            "append_available": bool(cursors),
            "cdc_available": self.cdc_available(definition, with_cdc=with_cdc),
            "xmin_available": self.supports_xmin if definition.supports_xmin else None,
            "incremental_field": cursors[0]["field"] if cursors else None,
            "sync_type": None,
            "supports_webhooks": self.supports_webhooks,
            "webhook_only": self.webhook_only,
            "available_columns": self.available_columns(),
            "detected_primary_keys": self.primary_key or None,
            "primary_key_detection_supported": definition.is_sql,
            "permission_error": self.permission_error,
            "rls_warning": self.rls_warning,
        }
