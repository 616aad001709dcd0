"""Syncs and view runs, on the server's own clock.

A job has a time at which it is due, and whoever looks next (``background``) finishes those that are.
So it survives restarts and works with several workers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from . import clock, naming, schedules, vendors
from .models import (
    ExternalDataJob,
    ExternalDataSchema,
    ExternalDataSource,
    SavedQuery,
    SavedQueryRun,
    WarehouseTable,
)
from .sources import configuration, definitions

RUNNING = "Running"
COMPLETED = "Completed"
FAILED = "Failed"


def finish(now: datetime) -> None:
    """Finish every job that is due."""
    waiting = _look_at_databases(now)
    with transaction.atomic():
        for job in _due(ExternalDataJob, now).select_related("schema__table", "source").order_by("due_at"):
            if job.id not in waiting:
                _complete_sync(job)
        for run in _due(SavedQueryRun, now).select_related("saved_query").order_by("due_at"):
            _complete_run(run)


def _look_at_databases(now: datetime) -> set[UUID]:
    """Count the rows of tables that are really there; gives the jobs that cannot be finished yet.

    No database is asked while this thread holds the write lock: then its jobs wait for the next look.
    """
    jobs: dict[UUID, list[ExternalDataJob]] = {}
    for job in _due(ExternalDataJob, now).select_related("schema", "source"):
        jobs.setdefault(job.source_id, []).append(job)
    waiting: set[UUID] = set()
    for of_source in jobs.values():
        source = of_source[0].source
        live = vendors.live_vendor(definitions.definition(source.source_type), source.job_inputs or {})
        if live is None:
            continue
        if connection.in_atomic_block:
            waiting |= {job.id for job in of_source}
            continue
        results = live.synced([job.schema.name for job in of_source])
        for job in of_source:
            found = results[job.schema.name]
            failed = isinstance(found, str)
            job.schema.discovered |= {"rows": 0 if failed else found, "sync_error": found if failed else None}
            job.schema.save(update_fields=["discovered"])
    return waiting


def _due(model: type[ExternalDataJob] | type[SavedQueryRun], now: datetime):  # type: ignore[no-untyped-def]
    return model.objects.filter(status=RUNNING, due_at__lte=now)


def start_sync(schema: ExternalDataSchema, at: datetime | None = None) -> None:
    """Paint the table Running and finish it a moment later. ``at``: when its schedule has started it."""
    time = clock.read()
    began = at or time.now()
    ExternalDataJob.objects.create(
        source=schema.source,
        schema=schema,
        status=RUNNING,
        created_at=began,
        due_at=began + timedelta(seconds=time.sync_seconds),
    )
    schema.status = RUNNING
    if schema.next_sync_at is None:
        schedules.plan_table(schema, began)
    schema.save(update_fields=["status", "next_sync_at"])


def cancel_sync(schema: ExternalDataSchema) -> bool:
    """Fail the running job, if there is one."""
    job = schema.jobs.filter(status=RUNNING).order_by("-created_at", "-id").first()
    if job is None:
        return False
    job.status = FAILED
    job.latest_error = "Sync cancelled by user"
    job.finished_at = clock.now()
    job.save(update_fields=["status", "latest_error", "finished_at"])
    schema.status = FAILED
    schema.latest_error = job.latest_error
    schema.save(update_fields=["status", "latest_error"])
    return True


def _complete_sync(job: ExternalDataJob) -> None:
    schema = job.schema
    source = job.source
    error = schema.discovered.get("sync_error") and configuration.mask(
        definitions.definition(source.source_type), source.job_inputs or {}, schema.discovered["sync_error"]
    )
    job.finished_at = job.due_at
    if error:
        job.status = FAILED
        job.latest_error = error
    else:
        job.status = COMPLETED
        job.rows_synced = schema.discovered.get("rows") or 0
    job.save(update_fields=["status", "finished_at", "rows_synced", "latest_error"])
    if schema.deleted or source.deleted:
        return
    schema.status = job.status
    schema.latest_error = job.latest_error
    if not error:
        schema.last_synced_at = job.finished_at
        schema.table = _write_table(source, schema, job.finished_at)
    schema.save(update_fields=["status", "latest_error", "last_synced_at", "table"])
    if source.status == RUNNING:
        source.status = COMPLETED
        source.save(update_fields=["status"])


def _write_table(source: ExternalDataSource, schema: ExternalDataSchema, created_at: datetime) -> WarehouseTable:
    """The table exists for queries from the first completed sync on (contract 11.2)."""
    table = schema.table or WarehouseTable(
        project_id=source.project_id,
        source=source,
        name=naming.stored_name(source, schema.name),
        dotted_name=naming.dotted_name(source, schema.name),
        created_at=created_at,
    )
    enabled = schema.enabled_columns
    key = schema.primary_key_columns or schema.discovered.get("primary_key", ())
    kept = {*(enabled or ()), *key, schema.incremental_field}
    columns = schema.discovered.get("columns", [])
    table.columns = [
        {"name": column["name"], "type": naming.field_type(column["type"])}
        for column in columns
        if enabled is None or column["name"] in kept
    ]
    table.row_count = schema.discovered.get("rows") or 0
    table.deleted = False
    table.save()
    return table


def start_run(view: SavedQuery, at: datetime | None = None) -> None:
    """As ``start_sync``."""
    time = clock.read()
    began = at or time.now()
    SavedQueryRun.objects.create(
        saved_query=view,
        status=RUNNING,
        created_at=began,
        due_at=began + timedelta(seconds=time.sync_seconds),
    )
    view.status = RUNNING
    view.save(update_fields=["status"])


def _complete_run(run: SavedQueryRun) -> None:
    run.status = COMPLETED
    run.finished_at = run.due_at
    run.save(update_fields=["status", "finished_at"])
    view = run.saved_query
    if view.deleted:
        return
    view.status = COMPLETED
    view.last_run_at = run.finished_at
    view.latest_error = None
    view.save(update_fields=["status", "last_run_at", "latest_error"])
