"""How views are shown (contract 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db.models import QuerySet

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


def columns(view: Any) -> list[dict[str, Any]]:
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


_OBJECT = (
    *("id", "deleted", "name", "query", "incremental", "incremental_state", "has_incremental_history", "created_by"),
    *("created_at", "updated_at", "description", "sync_frequency", "sync_frequency_bounds", "columns", "status"),
    *("last_run_at", "managed_viewset_kind", "folder_id", "folder_name", "latest_error", "latest_history_id"),
    *("is_materialized", "origin", "is_test", "expires_at", "user_access_level", "suspended"),
)
_NOT_IN_A_LIST = frozenset(
    {"query", "incremental", "incremental_state", "updated_at", "sync_frequency_bounds", "latest_history_id"}
)
_ITEM = (*(name for name in _OBJECT if name not in _NOT_IN_A_LIST), "is_incremental", "materialization_mode")

_ROW = (
    *("id", "deleted", "name", "created_by_id", "created_at", "description", "sync_frequency", "columns", "status"),
    *("last_run_at", "folder_id", "latest_error", "is_materialized", "origin", "is_test", "expires_at", "incremental"),
)


@cache
def _names(names: tuple[str, ...], absent: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in absent)


def full(view: SavedQuery, user: User, role: str | None, version: Version) -> dict[str, Any]:
    every = {
        **_both(view, user_summary(view.created_by), view.folder and view.folder.name, user, role),
        "query": view.query,
        "incremental": view.incremental,
        "incremental_state": None,
        "updated_at": view.updated_at,
        "sync_frequency_bounds": materialization.bounds(view),
        "columns": columns(view),
        "latest_history_id": token_of(view, version),
    }
    return {name: every[name] for name in _names(_OBJECT, version.absent_view_fields)}


def rows(views: QuerySet[SavedQuery]) -> QuerySet[SavedQuery, Any]:
    """What `minimal` needs of views. A page holds 1,000, and whole objects would cost most of its time."""
    return views.select_related(None).values_list(*_ROW, "folder__name", named=True)


def minimal(
    page: Sequence[Any], user: User, role: str | None, version: Version, *, with_columns: bool
) -> list[dict[str, Any]]:
    """The items of a list: neither the query nor the token (contract 3.2)."""
    authors = User.objects.in_bulk({row.created_by_id for row in page})
    summaries = {id: user_summary(author) for id, author in authors.items()}
    names = _names(_ITEM, version.absent_view_fields)
    items = []
    for row in page:
        every = {
            **_both(row, summaries.get(row.created_by_id), row.folder__name, user, role),
            "columns": columns(row) if with_columns else [],
            "is_incremental": bool(row.incremental and row.incremental.get("enabled")),
            "materialization_mode": "incremental" if row.incremental else "full_refresh",
        }
        items.append({name: every[name] for name in names})
    return items


def _both(view: Any, author: dict[str, Any] | None, folder: str | None, user: User, role: str | None) -> dict[str, Any]:
    """What objects and items share; ``view`` is a ``SavedQuery`` or a row with these fields of it."""
    return {
        "id": str(view.id),
        "deleted": view.deleted,
        "name": view.name,
        "has_incremental_history": False,
        "created_by": author,
        "created_at": view.created_at,
        "description": view.description,
        "sync_frequency": view.sync_frequency,
        "status": view.status,
        "last_run_at": view.last_run_at,
        "managed_viewset_kind": None,
        "folder_id": view.folder_id and str(view.folder_id),
        "folder_name": folder,
        "latest_error": view.latest_error,
        "is_materialized": view.is_materialized,
        "origin": view.origin,
        "is_test": view.is_test,
        "expires_at": view.expires_at,
        "user_access_level": access_level(view.created_by_id, user, role),
        "suspended": {},
    }
