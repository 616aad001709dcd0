"""PostHog's rate limits (contract 1.5), on the server's own clock. Off unless they are switched on.

A request is counted before the view opens its transaction, so that parallel requests cannot slip
through together and a refused write is counted as well; the view says 429 where Django REST Framework
looks at throttles, which is after key, scope and project. A request that does not get that far is
taken back: PostHog counts only what reaches its throttles.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions, serializers

from . import clock, directory
from .models import LocalState, PersonalAPIKey, RateLimitHit
from .strict import Strict

STATE_KEY = "rate_limits"
OPTION_KEY = "rate_limits_option"
RESERVED = "posthog_local.rate_limits"
State = dict[str, Any]

LIMITS = {
    "burst": "480/minute",
    "sustained": "4800/hour",
    "run": "10/minute",
    "materialization": "5/hour",
    "check_incremental": "120/minute",
    "manifest_burst": "5/minute",
    "manifest_sustained": "20/hour",
    "manifest_daily": "50/day",
}
BY_KEY, BY_VIEW, BY_PROJECT = "key", "view", "project"
_DEFAULT = (("burst", "sustained"), BY_KEY)
_MATERIALIZATION = (("materialization",), BY_VIEW)
# Scope object and action -> its limits and whom they count; all others have the default.
_SPECIAL = {
    ("warehouse_view", "run"): (("run",), BY_VIEW),
    ("warehouse_view", "materialize"): _MATERIALIZATION,
    ("warehouse_view", "revert_materialization"): _MATERIALIZATION,
    ("warehouse_view", "check_incremental"): (("check_incremental",), BY_KEY),
    ("external_data_source", "draft_custom_manifest"): (
        ("manifest_burst", "manifest_sustained", "manifest_daily"),
        BY_PROJECT,
    ),
}
_RATE = re.compile(r"(\d+)\s*/\s*(\d*)\s*(s|m|h|d)[a-z]*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(rate: str) -> tuple[int, int]:
    """``480/minute`` or ``10/5s``: how many, in how many seconds."""
    found = _RATE.fullmatch(rate.strip())
    if found is None or not int(found[1]) or found[2] == "0":
        raise ValueError(rate)
    return int(found[1]), int(found[2] or 1) * _SECONDS[found[3]]


# -- which limits -------------------------------------------------------------------------------


class RateField(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        rate = super().to_internal_value(data)
        try:
            parse(rate)
        except ValueError as error:
            raise serializers.ValidationError("This is not a rate, like 480/minute or 10/5s.") from error
        return rate


class LimitsSerializer(Strict):
    def get_fields(self) -> dict[str, serializers.Field]:
        return {name: RateField(required=False) for name in LIMITS}


class SeedField(serializers.Field):
    """``true`` for PostHog's own limits, or other numbers."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool):
            return data
        limits = LimitsSerializer(data=data)
        limits.is_valid(raise_exception=True)
        return limits.validated_data


class SettingsSerializer(Strict):
    enabled = serializers.BooleanField(default=True)
    limits = LimitsSerializer(default=dict)


def read() -> State:
    state = LocalState.read(STATE_KEY, {})
    return {"enabled": state.get("enabled", False), "limits": {**LIMITS, **state.get("limits", {})}}


def switch(*, enabled: bool, limits: dict[str, str] | None = None) -> None:
    LocalState.write(STATE_KEY, {"enabled": enabled, "limits": dict(limits or {})})


def apply_seed(wanted: bool | dict[str, str] | None) -> None:
    """``rate_limits`` of a seed; without it what the command line said."""
    if wanted is None:
        wanted = read_option()
    if wanted:
        switch(enabled=True, limits=wanted if isinstance(wanted, dict) else None)


def read_option() -> bool:
    """Whether the server runs with ``--rate-limits``: also what a reset goes back to."""
    return LocalState.read(OPTION_KEY, False)


def write_option(wanted: bool) -> None:
    LocalState.write(OPTION_KEY, wanted)


def start(option: bool) -> None:
    """A server starts, with the option or without it."""
    if option != read_option():
        write_option(option)
        switch(enabled=option, limits=LocalState.read(STATE_KEY, {}).get("limits"))


def forget() -> None:
    RateLimitHit.objects.all().delete()


# -- counting -----------------------------------------------------------------------------------


class Reservation:
    """The buckets of one request: what was written for it, and how long it would have to wait."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.wait: float | None = None
        self.is_reached = False


class RateLimits:
    """Django middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        reservation = request.META.get(RESERVED)
        if reservation is not None and reservation.rows and not reservation.is_reached:
            RateLimitHit.objects.filter(pk__in=reservation.rows).delete()
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        scope = getattr(getattr(view, "cls", None), "scope_object", None)
        if scope is None:
            return
        state = read()
        if not state["enabled"]:
            return
        key = _key(request)
        if key is None:
            return
        action = getattr(view, "actions", {}).get((request.method or "").lower())
        names, by = _SPECIAL.get((scope, action), _DEFAULT)
        who = _who(by, key, kwargs)
        request.META[RESERVED] = _reserve([(f"{name}:{who}", *parse(state["limits"][name])) for name in names])


def enforce(request: HttpRequest) -> None:
    """To be called where throttles are checked."""
    reservation = request.META.get(RESERVED)
    if reservation is None:
        return
    reservation.is_reached = True
    if reservation.wait is not None:
        raise exceptions.Throttled(reservation.wait)


def _key(request: HttpRequest) -> PersonalAPIKey | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    value = value.strip() if scheme.lower() == "bearer" else ""
    value = value or request.GET.get("personal_api_key", "")
    return directory.current().key(value) if value else None


def _who(by: str, key: PersonalAPIKey, kwargs: dict[str, Any]) -> str:
    if by == BY_KEY:
        return str(key.id)
    project = kwargs.get("project_id")
    if project == "@current":
        project = key.user.current_project_id
    return f"{project}" if by == BY_PROJECT else f"{project}:{str(kwargs.get('pk')).lower()}"


def _reserve(buckets: list[tuple[str, int, int]]) -> Reservation:
    """Every bucket counts for itself, as Django REST Framework's throttles do; the longest wait holds."""
    reservation = Reservation()
    now = clock.now().timestamp()
    waits = []
    with transaction.atomic(), connection.cursor() as cursor:
        table = RateLimitHit._meta.db_table
        for bucket, allowed, duration in buckets:
            cursor.execute(f"DELETE FROM {table} WHERE bucket = %s AND at <= %s", [bucket, now - duration])
            cursor.execute(f"SELECT count(*) FROM {table} WHERE bucket = %s", [bucket])
            used = cursor.fetchone()[0]
            if used < allowed:
                cursor.execute(f"INSERT INTO {table} (bucket, at) VALUES (%s, %s)", [bucket, now])
                reservation.rows.append(cursor.lastrowid)
                continue
            oldest = f"SELECT at FROM {table} WHERE bucket = %s ORDER BY at LIMIT 1 OFFSET %s"
            cursor.execute(oldest, [bucket, used - allowed])
            waits.append(duration - (now - cursor.fetchone()[0]))
    reservation.wait = max(waits) if waits else None
    return reservation
