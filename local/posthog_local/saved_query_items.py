"""How views are shown (contract 3.2)."""

from __future__ import annotations

from typing import Any

from . import activity, materialization
from .auth import access_level
from .models import SavedQuery, User
from .users import user_summary
from .versions import Version


def token_of(view: SavedQuery, version: Version) -> str | None:
    """``latest_history_id``."""
    if version.token == "revision":
        return view.revision and str(view.revision)
    return activity.newest_id(view, of_the_query=version.token == "query")


def columns(view: SavedQuery) -> list[dict[str, Any]]:
    return [
        {
            "key": name,
            "name": name,
            "type": kind,
            "schema_valid": True,
            "fields": None,
            "table": None,
            "chain": None,
            "description": None,
        }
        for name, kind in view.columns
    ]


def full(view: SavedQuery, user: User, role: str | None, version: Version) -> dict[str, Any]:
    item = {
        "id": str(view.id),
        "deleted": view.deleted,
        "name": view.name,
        "query": view.query,
        "incremental": view.incremental,
        "incremental_state": None,
        "has_incremental_history": False,
        "created_by": user_summary(view.created_by),
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "description": view.description,
        "sync_frequency": view.sync_frequency,
        "sync_frequency_bounds": materialization.bounds(view),
        "columns": columns(view),
        "status": view.status,
        "last_run_at": view.last_run_at,
        "managed_viewset_kind": None,
        "folder_id": view.folder_id and str(view.folder_id),
        "folder_name": view.folder and view.folder.name,
        "latest_error": view.latest_error,
        "latest_history_id": token_of(view, version),
        "is_materialized": view.is_materialized,
        "origin": view.origin,
        "is_test": view.is_test,
        "expires_at": view.expires_at,
        "user_access_level": access_level(view.created_by_id, user, role),
        "suspended": {},
    }
    return {name: value for name, value in item.items() if name not in version.absent_view_fields}


def minimal(view: SavedQuery, user: User, role: str | None, version: Version, *, with_columns: bool) -> dict[str, Any]:
    """An item of the list: neither the query nor the token (contract 3.2)."""
    item = {
        "id": str(view.id),
        "deleted": view.deleted,
        "name": view.name,
        "has_incremental_history": False,
        "created_by": user_summary(view.created_by),
        "created_at": view.created_at,
        "description": view.description,
        "sync_frequency": view.sync_frequency,
        "columns": columns(view) if with_columns else [],
        "status": view.status,
        "last_run_at": view.last_run_at,
        "managed_viewset_kind": None,
        "folder_id": view.folder_id and str(view.folder_id),
        "folder_name": view.folder and view.folder.name,
        "latest_error": view.latest_error,
        "is_materialized": view.is_materialized,
        "origin": view.origin,
        "is_test": view.is_test,
        "expires_at": view.expires_at,
        "user_access_level": access_level(view.created_by_id, user, role),
        "suspended": {},
        "is_incremental": bool(view.incremental and view.incremental.get("enabled")),
        "materialization_mode": "incremental" if view.incremental else "full_refresh",
    }
    return {name: value for name, value in item.items() if name not in version.absent_view_fields}
