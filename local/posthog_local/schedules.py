"""What PostHog does by itself: tables sync and views run at their cadence, new tables are discovered every 6 hours.

As in ``jobs``, nothing happens in the background: whoever looks next finds done what was due by then. However much
time has passed, only the latest turn of each schedule is made up for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models

from .models import ExternalDataSchema, ExternalDataSource, SavedQuery

DISCOVERY = timedelta(hours=6)
_UNITS = {"min": "minutes", "hour": "hours", "day": "days"}
# The columns that say when something is due, for the one look-up that nearly every request makes.
DUE: tuple[tuple[type[models.Model], str], ...] = (
    (ExternalDataSchema, "next_sync_at"),
    (SavedQuery, "next_run_at"),
    (ExternalDataSource, "next_discovery_at"),
)


def interval(cadence: str | None) -> timedelta | None:
    """``30min``, ``6hour``, ``7day``."""
    for unit, name in _UNITS.items():
        if cadence and cadence.endswith(unit):
            return timedelta(**{name: int(cadence.removesuffix(unit))})
    return None


def next_turn(cadence: str | None, after: datetime) -> datetime | None:
    step = interval(cadence)
    return after + step if step else None


def plan_table(schema: ExternalDataSchema, now: datetime) -> None:
    """Not saved. What comes by webhooks is not fetched, and a direct source is never synced."""
    synced = schema.should_sync and schema.sync_type != "webhook" and schema.source.access_method == "warehouse"
    schema.next_sync_at = next_turn(schema.sync_frequency, now) if synced else None


def plan_view(view: SavedQuery, now: datetime) -> None:
    """Not saved."""
    view.next_run_at = next_turn(view.sync_frequency, now) if view.is_materialized else None


def due_tables(now: datetime) -> Iterable[tuple[ExternalDataSchema, datetime]]:
    """With the time of their latest turn; the next one is planned. Callers hold a transaction."""
    found = ExternalDataSchema.objects.filter(next_sync_at__lte=now).select_related("source", "project")
    for schema in found:
        turn = _latest_turn(schema.next_sync_at, schema.sync_frequency, now)
        schema.next_sync_at = next_turn(schema.sync_frequency, turn)
        if schema.deleted or not schema.should_sync:
            schema.next_sync_at = None
        schema.save(update_fields=["next_sync_at"])
        if schema.next_sync_at is not None and not schema.project.sync_limit_reached:
            yield schema, turn


def due_views(now: datetime) -> Iterable[tuple[SavedQuery, datetime]]:
    """As ``due_tables``."""
    for view in SavedQuery.objects.filter(next_run_at__lte=now):
        turn = _latest_turn(view.next_run_at, view.sync_frequency, now)
        view.next_run_at = None if view.deleted or not view.is_materialized else next_turn(view.sync_frequency, turn)
        view.save(update_fields=["next_run_at"])
        if view.next_run_at is not None:
            yield view, turn


def take_due_source(now: datetime) -> ExternalDataSource | None:
    """One whose tables are to be listed again, if nobody else has taken it; the next time is planned."""
    for source in ExternalDataSource.objects.filter(next_discovery_at__lte=now):
        next_time = None if source.deleted else now + DISCOVERY
        mine = ExternalDataSource.objects.filter(pk=source.pk, next_discovery_at=source.next_discovery_at)
        if mine.update(next_discovery_at=next_time) and next_time is not None:
            return source
    return None


def _latest_turn(planned: datetime, cadence: str | None, now: datetime) -> datetime:
    step = interval(cadence)
    return planned + (now - planned) // step * step if step else planned
