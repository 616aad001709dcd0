"""The activity log of saved queries (contract 3.10)."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions, serializers
from rest_framework.request import Request

from . import clock
from .models import ActivityLogEntry, SavedQuery, User

SCOPE = "DataWarehouseSavedQuery"
DEFAULT_LIMIT = 10


def change(field: str, before: Any, after: Any) -> dict[str, Any]:
    action = "created" if before is None else "deleted" if after is None else "changed"
    return {
        "type": SCOPE,
        "action": action,
        "field": field,
        "before": before,
        "after": after,
    }


def record(view: SavedQuery, user: User | None, activity: str, changes: list[dict[str, Any]] | None = None) -> None:
    ActivityLogEntry.objects.create(
        project_id=view.project_id,
        user=user,
        scope=SCOPE,
        item_id=str(view.id),
        activity=activity,
        detail={
            "id": None,
            "changes": changes,
            "merge": None,
            "trigger": None,
            "name": view.name,
            "short_id": None,
            "type": None,
        },
        created_at=clock.now(),
    )


def _entries(view: SavedQuery):  # type: ignore[no-untyped-def]
    found = ActivityLogEntry.objects.filter(scope=SCOPE, item_id=str(view.id), project_id=view.project_id)
    return found.order_by("-created_at", "-id")


def newest_id(view: SavedQuery, *, of_the_query: bool) -> str | None:
    """The conflict token of older versions (contract 3.6)."""
    for entry in _entries(view):
        changes = entry.detail.get("changes") or ()
        if not of_the_query or any(item["field"] == "query" for item in changes):
            return str(entry.id)
    return None


def page(request: Request, view: SavedQuery, *, checked: bool) -> dict[str, Any]:
    """``checked``: older versions fail on a page that is no number."""
    try:
        limit = _positive(request, "limit", DEFAULT_LIMIT)
        number = _positive(request, "page", 1)
    except serializers.ValidationError as error:
        raise error if checked else exceptions.APIException from error
    entries = _entries(view).select_related("user")
    total = entries.count()
    first = (number - 1) * limit
    return {
        "results": [_item(entry) for entry in entries[first : first + limit]],
        "next": _link(request, number + 1, limit) if first + limit < total else None,
        "previous": _link(request, number - 1, limit) if number > 1 else None,
        "total_count": total,
    }


def _item(entry: ActivityLogEntry) -> dict[str, Any]:
    user: dict[str, Any] = {"first_name": "System", "email": None, "is_system": True}
    if entry.user:
        user = {"first_name": entry.user.first_name, "email": entry.user.email}
    return {
        "id": str(entry.id),
        "user": user,
        "activity": entry.activity,
        "scope": entry.scope,
        "item_id": entry.item_id,
        "detail": entry.detail,
        "created_at": entry.created_at,
    }


def _positive(request: Request, name: str, default: int) -> int:
    """Below 1 or not a number: 400 on that parameter (version N)."""
    field = serializers.IntegerField(min_value=1, max_value=10**9)
    raw = request.query_params.get(name)
    if raw is None:
        return default
    try:
        return field.run_validation(raw)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({name: error.detail}) from error


def _link(request: Request, number: int, limit: int) -> str:
    return request.build_absolute_uri(f"{request.path}?limit={limit}&page={number}")
