"""Cadence and materialisation of views (contract 3.7)."""

from __future__ import annotations

from . import activity, clock, jobs, schedules
from .models import SavedQuery, User

NEVER = "never"
CADENCES = ("15min", "30min", "1hour", "6hour", "12hour", "24hour", "7day", "30day")
CLAMPED = {"1min": "15min", "5min": "15min"}
ACCEPTED = (NEVER, *CLAMPED, *CADENCES)
DEFAULT = "24hour"


def set_cadence(view: SavedQuery, cadence: str | None, user: User, *, materialize: bool = True) -> None:
    """A cadence materialises a view that is not yet; ``never`` only stops the schedule."""
    view.sync_frequency = None if cadence in (None, NEVER) else CLAMPED.get(cadence, cadence)
    starts = materialize and view.sync_frequency is not None and not view.is_materialized
    view.is_materialized = view.is_materialized or starts
    now = clock.now()
    schedules.plan_view(view, now)
    view.save(update_fields=["sync_frequency", "is_materialized", "next_run_at"])
    if starts:
        activity.record(view, user, "materialization_enabled")
        jobs.start_run(view, now)


def revert(view: SavedQuery, user: User) -> None:
    was_materialized = view.is_materialized
    view.is_materialized = False
    view.sync_frequency = view.last_run_at = view.latest_error = view.status = view.next_run_at = None
    view.save()
    view.runs.filter(status=jobs.RUNNING).update(status="Cancelled", finished_at=clock.now())
    if was_materialized:
        activity.record(view, user, "materialization_disabled")


def bounds(view: SavedQuery) -> dict[str, object]:
    return {
        "frequency_mode": "tiered",
        "options": [{"cadence": cadence, "allowed": True, "blocked_by": None, "blocker": None} for cadence in CADENCES],
        "floor": None,
        "ceiling": None,
        "best_effort_sources": [],
        "best_effort_sources_withheld": 0,
    }
