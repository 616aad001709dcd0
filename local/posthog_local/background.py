"""Everything that happens by itself. Whoever looks next finds done what was due by then."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from . import clock, jobs, schedules
from .errors import Message
from .models import ExternalDataJob, SavedQueryRun
from .sources import discovery

_UNFINISHED = f"SELECT 1 FROM {{}} WHERE status = '{jobs.RUNNING}' AND due_at <= %s"
_PLANNED = "SELECT 1 FROM {} WHERE {} <= %s"


def settle() -> None:
    """Cheap when nothing is due: one statement of indexed look-ups."""
    now = clock.now()
    if not _is_anything_due(now):
        return
    jobs.finish(now)
    if not connection.in_atomic_block:  # no vendor is asked while this thread holds the write lock
        _discover(now)
    if _start(now):
        jobs.finish(now)


def _is_anything_due(now: datetime) -> bool:
    """By hand: almost every request asks it."""
    found = [_UNFINISHED.format(model._meta.db_table) for model in (ExternalDataJob, SavedQueryRun)]
    found += [_PLANNED.format(model._meta.db_table, column) for model, column in schedules.DUE]
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + " OR ".join(f"EXISTS ({query})" for query in found), [moment] * len(found))
        return bool(cursor.fetchone()[0])


def _start(now: datetime) -> bool:
    started = False
    with transaction.atomic():
        for schema, turn in schedules.due_tables(now):
            if not schema.jobs.filter(status=jobs.RUNNING).exists():
                jobs.start_sync(schema, turn)
                started = True
        for view, turn in schedules.due_views(now):
            if not view.runs.filter(status=jobs.RUNNING).exists():
                jobs.start_run(view, turn)
                started = True
    return started


def _discover(now: datetime) -> None:
    while source := schedules.take_due_source(now):
        try:
            discovery.refresh(source)
        except Message:
            continue  # the vendor refuses; it is asked again next time
