"""The control API under ``/__local/``: not PostHog's, for tests and for looking inside."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from django.db import transaction
from django.urls import re_path
from rest_framework import exceptions, permissions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import background, clock, directory, seed, versions
from .models import (
    ExternalDataSchema,
    ExternalDataSource,
    InsightVariable,
    Project,
    RequestLogEntry,
    SavedQuery,
    SavedQueryFolder,
    Vendor,
)
from .strict import Strict
from .web_pages import is_from_another_site

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
MOST_SECONDS = 100 * 365 * 24 * 3600
_PROJECT = re.compile(r"^/api/(projects|environments)/[^/]+")


class FromThisMachineOnly(permissions.BasePermission):
    """A page in the user's browser must not even read what is here."""

    message = "A web page of another origin may not use the control API."

    def has_permission(self, request: Request, view: Any) -> bool:
        return not is_from_another_site(request._request)


class ControlView(APIView):
    authentication_classes = ()
    permission_classes = (FromThisMachineOnly,)


class Health(ControlView):
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Requests(ControlView):
    """``GET``: what was asked, oldest first; ``DELETE``: forget it."""

    def get(self, request: Request) -> Response:
        entries = RequestLogEntry.objects.order_by("id")
        if method := request.query_params.get("method"):
            entries = entries.filter(method=method.upper())
        if path := request.query_params.get("path"):
            entries = entries.filter(path__contains=path)
        if after := request.query_params.get("after"):
            entries = entries.filter(id__gt=_integer(after))
        items = [_log_item(entry) for entry in entries]
        counts = Counter(f"{item['method']} {endpoint(item['path'])}" for item in items)
        return Response({"requests": items, "counts": dict(sorted(counts.items()))})

    def delete(self, request: Request) -> Response:
        RequestLogEntry.objects.all().delete()
        return Response(status=204)


def endpoint(path: str) -> str:
    """The path with the project and the ids left out, for counting."""
    return _UUID.sub(":id", _PROJECT.sub(r"/api/\1/:project_id", path)).rstrip("/") or "/"


def _integer(text: str) -> int:
    return serializers.IntegerField(min_value=0, max_value=2**53).run_validation(text)


def _log_item(entry: RequestLogEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "milliseconds": entry.milliseconds,
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "headers": entry.headers,
        "body": entry.body,
        "status": entry.status,
        "fault": entry.fault,
    }


class Reset(ControlView):
    """Back to the seed that the data file was made with."""

    def post(self, request: Request) -> Response:
        seed.reset()
        return Response(status=204)


class Seed(ControlView):
    """``POST`` a whole seed: everything is replaced by it."""

    def get(self, request: Request) -> Response:
        return Response(clock.LocalState.read(seed.STATE_KEY, {}))

    def post(self, request: Request) -> Response:
        try:
            seed.reset(seed.validate(request.data, "that was sent"))
        except seed.InvalidSeed as error:
            raise serializers.ValidationError(str(error)) from error
        return Response(status=204)


class Vendors(ControlView):
    """The scripted vendors; ``PUT`` replaces them all while everything else stays."""

    def get(self, request: Request) -> Response:
        return Response([vendor.script for vendor in Vendor.objects.order_by("id")])

    def put(self, request: Request) -> Response:
        try:
            scripts = seed.validate({"vendors": request.data}, "that was sent")["vendors"]
        except seed.InvalidSeed as error:
            raise serializers.ValidationError(str(error)) from error
        Vendor.objects.all().delete()
        for script in scripts:
            Vendor.objects.create(source_type=script["source_type"], script=script)
        return Response(status=204)


class ClockBody(Strict):
    advance = serializers.FloatField(required=False, min_value=0, max_value=MOST_SECONDS)
    sync_seconds = serializers.FloatField(required=False, min_value=0)
    stopped = serializers.BooleanField(required=False)


class Clock(ControlView):
    """``POST {"advance": seconds}`` moves the server's time, ``{"stopped": true}`` stops it otherwise;
    ``{"sync_seconds": 0}`` makes syncs instant."""

    def get(self, request: Request) -> Response:
        return self._show()

    def post(self, request: Request) -> Response:
        body = ClockBody(data=request.data)
        body.is_valid(raise_exception=True)
        clock.change(**body.validated_data)
        background.settle()
        return self._show()

    def _show(self) -> Response:
        state = clock.read()
        stopped = state.stopped_at is not None
        return Response({"now": state.now(), "sync_seconds": state.sync_seconds, "stopped": stopped})


class VersionBody(Strict):
    posthog_version = serializers.ChoiceField(list(versions.VERSIONS))


class Version(ControlView):
    """``POST {"posthog_version": "S"}``: another PostHog from the next request on, until the next reset."""

    def get(self, request: Request) -> Response:
        return Response({"posthog_version": versions.current().name})

    def post(self, request: Request) -> Response:
        body = VersionBody(data=request.data)
        body.is_valid(raise_exception=True)
        versions.choose(body.validated_data["posthog_version"])
        return self.get(request)


class ProjectBody(Strict):
    sync_limit_reached = serializers.BooleanField(required=False)
    cdc_enabled = serializers.BooleanField(required=False)


class ProjectSettings(ControlView):
    """``PATCH {"sync_limit_reached": true}``: what a seed says of a project, changed while it has objects."""

    def patch(self, request: Request, project_id: str) -> Response:
        body = ProjectBody(data=request.data)
        body.is_valid(raise_exception=True)
        project = Project.objects.filter(id=project_id).first()
        if project is None:
            raise exceptions.NotFound
        with transaction.atomic():
            for name, value in body.validated_data.items():
                setattr(project, name, value)
            project.save()
            directory.changed()
        return Response({name: getattr(project, name) for name in body.fields})


class Objects(ControlView):
    """Everything that is not deleted, per project: for assertions and for looking."""

    def get(self, request: Request) -> Response:
        background.settle()
        return Response({"projects": [_project(project) for project in Project.objects.order_by("id")]})


def _project(project: Project) -> dict[str, Any]:
    variables = InsightVariable.objects.filter(project=project).order_by("id")
    views = SavedQuery.objects.filter(project=project, deleted=False).order_by("created_at", "id")
    folders = SavedQueryFolder.objects.filter(project=project).order_by("name")
    sources = ExternalDataSource.objects.filter(project=project, deleted=False).order_by("created_at", "id")
    schemas: dict[Any, list[ExternalDataSchema]] = {}
    for schema in ExternalDataSchema.objects.filter(project=project, deleted=False).order_by("name"):
        schemas.setdefault(schema.source_id, []).append(schema)
    return {
        "id": project.id,
        "name": project.name,
        "insight_variables": [
            {"id": item.id, "name": item.name, "code_name": item.code_name, "type": item.type} for item in variables
        ],
        "warehouse_saved_queries": [
            {"id": item.id, "name": item.name, "query": item.query, "sync_frequency": item.sync_frequency}
            for item in views
        ],
        "warehouse_saved_query_folders": [{"id": item.id, "name": item.name} for item in folders],
        "external_data_sources": [
            {
                "id": item.id,
                "source_type": item.source_type,
                "prefix": item.prefix,
                "schemas": [
                    {
                        "id": schema.id,
                        "name": schema.name,
                        "should_sync": schema.should_sync,
                        "sync_type": schema.sync_type,
                        "status": schema.status,
                    }
                    for schema in schemas.get(item.id, ())
                ],
            }
            for item in sources
        ],
    }


urlpatterns = [
    re_path(r"^health/?$", Health.as_view()),
    re_path(r"^requests/?$", Requests.as_view()),
    re_path(r"^reset/?$", Reset.as_view()),
    re_path(r"^seed/?$", Seed.as_view()),
    re_path(r"^vendors/?$", Vendors.as_view()),
    re_path(r"^clock/?$", Clock.as_view()),
    re_path(r"^version/?$", Version.as_view()),
    re_path(r"^objects/?$", Objects.as_view()),
    re_path(r"^projects/(?P<project_id>[0-9]{1,18})/?$", ProjectSettings.as_view()),
]
