"""What happened to a table, as lines (contract 6.1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from .. import jobs
from ..models import ExternalDataJob, ExternalDataSchema

MOST = 500
Line = tuple[datetime, str, str, ExternalDataJob]


class _Parameters(serializers.Serializer):
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=MOST)
    after = serializers.DateTimeField(required=False)
    before = serializers.DateTimeField(required=False)
    level = serializers.CharField(required=False)
    search = serializers.CharField(required=False)
    instance_id = serializers.CharField(required=False)


def entries(schema: ExternalDataSchema, request: Request) -> list[dict[str, Any]]:
    """The newest first."""
    parameters = _Parameters(data=request.query_params.dict())
    parameters.is_valid(raise_exception=True)
    wanted = parameters.validated_data
    levels = [level.strip().upper() for level in wanted["level"].split(",")] if "level" in wanted else None
    found = [
        line
        for job in schema.jobs.order_by("-created_at", "-id")[:MOST]
        for line in _lines(job)
        if (levels is None or line[1] in levels)
        and ("after" not in wanted or line[0] > wanted["after"])
        and ("before" not in wanted or line[0] < wanted["before"])
        and wanted.get("search", "").lower() in line[2].lower()
        and wanted.get("instance_id", str(job.workflow_run_id)) == str(job.workflow_run_id)
    ]
    return [
        {
            "log_source_id": str(schema.id),
            "instance_id": str(job.workflow_run_id),
            "timestamp": at,
            "level": level,
            "message": message,
        }
        for at, level, message, job in found[: wanted["limit"]]
    ]


def _lines(job: ExternalDataJob) -> Iterator[Line]:
    if job.finished_at is not None:
        if job.status == jobs.COMPLETED:
            yield job.finished_at, "INFO", f"Synced {job.rows_synced} rows", job
        else:
            yield job.finished_at, "ERROR", job.latest_error or "The sync failed", job
    yield job.created_at, "INFO", "Started the sync", job
