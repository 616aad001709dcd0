"""Endpoints of ``warehouse_saved_queries`` (contract 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import Http404, HttpRequest
from rest_framework import exceptions, filters, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from . import activity, hogql, jobs, materialization, saved_query_names
from .errors import ErrorText, ValidationErrorWithExtra
from .models import SavedQuery
from .pagination import SavedQueryPages
from .saved_queries import SavedQuerySerializer, read_sql_ahead
from .saved_query_items import minimal, rows
from .viewsets import ProjectViewSet

MOST_NAMED_DEPENDENTS = 3
RUN_HISTORY_LENGTH = 5


class MaterializeBody(serializers.Serializer):
    sync_frequency = serializers.ChoiceField(
        [cadence for cadence in materialization.ACCEPTED if cadence != materialization.NEVER],
        required=False,
        default=materialization.DEFAULT,
    )


class RunBody(serializers.Serializer):
    full_refresh = serializers.BooleanField(required=False, default=False)


class CheckIncrementalBody(serializers.Serializer):
    query = serializers.CharField(max_length=262_144)
    incremental_key = serializers.CharField(max_length=400, required=False, allow_null=True)
    unique_key = serializers.ListField(
        child=serializers.CharField(max_length=400), required=False, allow_null=True, allow_empty=False
    )
    lookback_seconds = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class ResumeSchedulesBody(serializers.Serializer):
    view_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False)


class SavedQueryViewSet(mixins.RetrieveModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin, ProjectViewSet):
    scope_object = "warehouse_view"
    role_based = True
    settles_jobs = True
    serializer_class = SavedQuerySerializer
    pagination_class = SavedQueryPages
    filter_backends: ClassVar = [filters.SearchFilter]
    search_fields: ClassVar = ["name"]
    action_scopes: ClassVar = {
        "run": "warehouse_view:write",
        "materialize": "warehouse_view:write",
        "revert_materialization": "warehouse_view:write",
        "resume": "warehouse_view:write",
        "resume_schedules": "warehouse_view:write",
        "run_history": "warehouse_view:read",
        "check_incremental": "warehouse_view:read",
        "activity": "activity_log:read",
        # PostHog declares no scope for these: a key gets 403 (contract 3.1).
        "ancestors": None,
        "descendants": None,
        "dependencies": None,
        "cancel": None,
    }

    def prepare(self, request: HttpRequest) -> None:
        read_sql_ahead(request.body)

    def get_queryset(self):  # type: ignore[no-untyped-def]
        views = SavedQuery.objects.filter(project=self.project).exclude(origin=SavedQuery.Origin.MANAGED_VIEWSET)
        with_deleted = self.action == "activity"  # a deleted view still shows its activity
        with_deleted |= self.action == "create" and self.version.upsert_finds_deleted_views
        if not with_deleted:
            views = views.filter(deleted=False)
        return views.select_related("created_by", "folder").order_by("-created_at", "-id")

    def absent_actions(self) -> frozenset[str]:
        return self.version.absent_view_actions

    def required_scope(self) -> str | None:
        if self.action == "resume_schedules" and not self.version.schedules_resume_for_keys:
            return None
        return super().required_scope()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        views = self.filter_queryset(self.get_queryset()).exclude(origin=SavedQuery.Origin.ENDPOINT)
        unwanted = request.query_params.get("include_columns", "").lower() in ("false", "0")
        with_columns = not (unwanted and self.version.columns_can_be_left_out)
        page = self.paginate_queryset(rows(views)) or ()
        items = minimal(page, self.user, self.role, self.version, with_columns=with_columns)
        return self.get_paginated_response(items)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = request.data
        if not hasattr(body, "get"):
            # The look-up for the upsert reads the body before anything validates it (contract 1.3).
            raise exceptions.APIException
        name = body.get("name")
        existing = None
        if isinstance(name, str) and saved_query_names.PATTERN.match(name):
            existing = self.get_queryset().filter(name=name).first()
        serializer = self.get_serializer(existing, data=body, partial=existing is not None)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        code = status.HTTP_201_CREATED if existing is None else status.HTTP_200_OK
        return Response(serializer.data, status=code)

    def perform_destroy(self, instance: SavedQuery) -> None:
        if instance.origin == SavedQuery.Origin.MANAGED_VIEWSET:
            raise serializers.ValidationError(
                "Cannot delete a query from a managed viewset directly. Disable the managed viewset instead."
            )
        refuse_if_read(instance, by_name=self.version.dependents_are_named)
        soft_delete(instance, self)

    @action(detail=True, methods=["post"])
    def run(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        view = self.get_object()
        RunBody(data=request.data).is_valid(raise_exception=True)
        if not view.runs.filter(status=jobs.RUNNING).exists():
            jobs.start_run(view)
            activity.record(view, self.user, "sync_triggered")
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["post"])
    def materialize(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        view = self.get_object()
        body = MaterializeBody(data=request.data if self.version.materialize_takes_a_cadence else {})
        body.is_valid(raise_exception=True)
        materialization.set_cadence(view, body.validated_data["sync_frequency"], self.user)
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["post"])
    def revert_materialization(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        materialization.revert(self.get_object(), self.user)
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object()
        return Response({"resumed": False})  # nothing is ever suspended here

    @action(detail=False, methods=["post"])
    def resume_schedules(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        ResumeSchedulesBody(data=request.data).is_valid(raise_exception=True)
        return Response(status=status.HTTP_202_ACCEPTED)

    @action(detail=False, methods=["post"])
    def check_incremental(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Whether the view could be run incrementally; nothing is kept."""
        body = CheckIncrementalBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        try:
            analysis = hogql.analyse(wanted["query"], lambda names: saved_query_names.look_up(self.project, names))
        except hogql.Refused as error:
            return Response({"eligible": False, "reason": str(error)})
        keys = [wanted.get("incremental_key"), *(wanted.get("unique_key") or ())]
        missing = [key for key in keys if key and key not in analysis.columns]
        reason = f"The query has no column named {', '.join(missing)}." if missing else None
        return Response({"eligible": reason is None, "reason": reason})

    @action(detail=True, methods=["get"])
    def run_history(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        runs = self.get_object().runs.order_by("-created_at", "-id")[:RUN_HISTORY_LENGTH]
        return Response({"run_history": [{"status": run.status, "timestamp": run.created_at} for run in runs]})

    @action(detail=True, methods=["get"], url_path="activity")
    def activity(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        try:
            view = self.get_object()
        except Http404:
            return Response(status=status.HTTP_404_NOT_FOUND)
        return Response(activity.page(request, view, checked=self.version.activity_pages_are_checked))

    @action(detail=True, methods=["post"])
    def ancestors(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._not_for_keys()

    @action(detail=True, methods=["post"])
    def descendants(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._not_for_keys()

    @action(detail=True, methods=["get"])
    def dependencies(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._not_for_keys()

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._not_for_keys()

    def _not_for_keys(self) -> Response:
        raise ErrorText("Only reached without a personal API key, which this server always asks for.")


def readers_of(view: SavedQuery) -> Sequence[str]:
    names = view.read_by.filter(reader__deleted=False).exclude(reader=view)
    return list(names.order_by("reader__created_at").values_list("reader__name", flat=True))


def refuse_if_read(view: SavedQuery, *, by_name: bool) -> None:
    """Other views block a delete (contract 3.9)."""
    readers = readers_of(view)
    if not readers:
        return
    if not by_name:
        raise serializers.ValidationError(
            "Cannot delete this view because other views depend on it. Delete or update those views first."
        )
    listed = ", ".join(f"{name} (view)" for name in readers[:MOST_NAMED_DEPENDENTS])
    if len(readers) > MOST_NAMED_DEPENDENTS:
        listed += f", and {len(readers) - MOST_NAMED_DEPENDENTS} more"
    raise ValidationErrorWithExtra(
        f"Can't delete {view.name} yet. These read from it: {listed}. Update or delete them first.",
        {"node_id": str(view.node_id)},
    )


def soft_delete(view: SavedQuery, viewset: ProjectViewSet) -> None:
    """The row stays, renamed, so that its name is free at once (contract 3.9)."""
    activity.record(view, viewset.user, "deleted")
    view.runs.filter(status=jobs.RUNNING).delete()
    view.reads.all().delete()
    view.name = f"POSTHOG_DELETED_{view.id}"
    view.deleted = True
    view.is_materialized = False
    view.sync_frequency = view.next_run_at = None
    view.save()
