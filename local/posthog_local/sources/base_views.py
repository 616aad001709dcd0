"""What the endpoints of ``external_data_sources`` share."""

from __future__ import annotations

from typing import Any

from django.db.models import Max, Prefetch, Q
from rest_framework.request import Request

from .. import jobs
from ..errors import ManagedByPostHog
from ..models import ExternalDataSchema, ExternalDataSource
from ..viewsets import ProjectViewSet

MANAGED = "This source is managed by PostHog and cannot be changed through this API."
READ = "external_data_source:read"
WRITE = "external_data_source:write"


class SourceViewSet(ProjectViewSet):
    scope_object = "external_data_source"
    role_based = True
    settles_jobs = True
    atomic_writes = False  # a vendor may be slow: no write lock while it is asked

    def absent_actions(self) -> frozenset[str]:
        return self.version.absent_source_actions

    def get_queryset(self):  # type: ignore[no-untyped-def]
        schemas = ExternalDataSchema.objects.filter(deleted=False).select_related("table")
        return (
            ExternalDataSource.objects.filter(project=self.project, deleted=False)
            .select_related("created_by")
            .prefetch_related(Prefetch("schemas", queryset=schemas, to_attr="live_schemas"))
            .annotate(
                last_completed_at=Max("jobs__created_at", filter=Q(jobs__status=jobs.COMPLETED)),
            )
            .order_by("-created_at", "-id")
        )

    def writable(self) -> ExternalDataSource:
        source: ExternalDataSource = self.get_object()
        if source.system_managed:
            raise ManagedByPostHog(MANAGED)
        return source


def body_of(request: Request) -> dict[str, Any]:
    """What was sent, or nothing where it is no object."""
    return {str(key): value for key, value in request.data.items()} if hasattr(request.data, "items") else {}
