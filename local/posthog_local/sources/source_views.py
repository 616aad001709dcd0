"""Endpoints of ``external_data_sources`` (contract 4.1, 5)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Q
from rest_framework import exceptions, filters, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import jobs
from ..errors import Message
from ..models import ExternalDataJob, ExternalDataSource, SourceWebhook
from ..pagination import LimitOffsetPages
from . import bulk, changes, creation, definitions, destinations, discovery, prefixes
from .base_views import READ, WRITE
from .cdc_views import CdcViewSet
from .removal import delete_schema
from .representation import schema_item, schema_source, source_item
from .setup_views import SetupViewSet
from .webhook_views import WebhookViewSet

MOST_JOBS = 50


class ExternalDataSourceViewSet(CdcViewSet, SetupViewSet, WebhookViewSet):
    pagination_class = LimitOffsetPages
    filter_backends: ClassVar = [filters.SearchFilter]
    action_scopes: ClassVar = {
        "reload": WRITE,
        "refresh_schemas": WRITE,
        "bulk_update_schemas": WRITE,
        "jobs": READ,
        "revenue_analytics_config": WRITE,
        "database_schema": WRITE,
        "source_prefix": WRITE,
        "wizard": READ,
        "connections": READ,
        "direct_connection_options": READ,
        "destinations": WRITE,
        **CdcViewSet.cdc_scopes,
        **SetupViewSet.setup_scopes,
        **WebhookViewSet.webhook_scopes,
    }

    @property
    def search_fields(self) -> tuple[str, ...]:
        return self.version.source_search_fields

    def _whole(self, source: ExternalDataSource) -> Response:
        fresh = self.get_queryset().get(pk=source.pk)
        return Response(source_item(fresh, self.user, self.role, self.version, whole_schemas=True))

    # -- CRUD ---------------------------------------------------------------------------------

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        items = [source_item(source, self.user, self.role, self.version, whole_schemas=False) for source in page or ()]
        return self.get_paginated_response(items)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(source_item(self.get_object(), self.user, self.role, self.version, whole_schemas=True))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = creation.create(self.project, self.user, request.data)
        return Response({"id": str(source.id)}, status=status.HTTP_201_CREATED)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """PUT also wants two write-only artefacts of PostHog's serializer (contract 1.6)."""
        artefacts = _PutArtefacts(data=request.data)
        source = self.writable()
        artefacts.is_valid(raise_exception=True)
        return self._change(source, request)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._change(self.writable(), request)

    def _change(self, source: ExternalDataSource, request: Request) -> Response:
        changes.apply(source, request.data)
        return self._whole(source)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        with transaction.atomic():
            for schema in source.live_schemas:
                delete_schema(schema)
            SourceWebhook.objects.filter(source=source).delete()
            source.deleted = True
            source.next_discovery_at = None
            source.save(update_fields=["deleted", "next_discovery_at"])
        return Response(status=status.HTTP_204_NO_CONTENT)

    # -- tables and syncs ---------------------------------------------------------------------

    @action(detail=True, methods=["post"])
    def reload(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        if source.access_method == prefixes.DIRECT:
            return Response(discovery.refresh(source))
        if self.project.sync_limit_reached:
            raise Message(creation.SYNC_LIMIT)
        with transaction.atomic():
            for schema in source.live_schemas:
                if schema.should_sync and schema.status != jobs.RUNNING:
                    schema.source = source
                    jobs.start_sync(schema)
            source.status = jobs.RUNNING
            source.save(update_fields=["status"])
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["post"])
    def refresh_schemas(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(discovery.refresh(self.writable()))

    @action(detail=True, methods=["patch"])
    def bulk_update_schemas(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        saved = bulk.update(source, request.data, self.project)
        shown = schema_source(source, self.user, self.role)
        level = shown["user_access_level"]
        return Response([schema_item(schema, self.version, level, source=shown) for schema in saved])

    @action(detail=True, methods=["get"], url_path="jobs")
    def jobs(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.get_object()
        found = ExternalDataJob.objects.filter(source=source).select_related("schema")
        moment = serializers.DateTimeField()
        try:
            for parameter, look_up in (("after", "created_at__gt"), ("before", "created_at__lt")):
                raw = request.query_params.get(parameter)
                if raw:
                    found = found.filter(**{look_up: moment.run_validation(raw)})
        except serializers.ValidationError as error:
            raise exceptions.ValidationError("after and before must be ISO 8601 timestamps.") from error
        names = [name for name in request.query_params.getlist("schemas") if name]
        if names:
            found = found.filter(schema__name__in=names)
        newest = found.order_by("-created_at", "-id")[:MOST_JOBS]
        return Response([_job_item(job) for job in newest])

    @action(detail=True, methods=["patch"])
    def revenue_analytics_config(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        body = _RevenueAnalytics(data=request.data)
        body.is_valid(raise_exception=True)
        source.revenue_analytics_config = {**source.revenue_analytics_config, **body.validated_data}
        source.save(update_fields=["revenue_analytics_config"])
        return self._whole(source)

    @action(detail=True, methods=["get", "patch"])
    def destinations(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The action is a write for scopes, also with GET (contract 4.1)."""
        if request.method == "GET":
            return Response({"destination_ids": self.get_object().destination_ids})
        source = self.writable()
        source.destination_ids = destinations.read(request.data, may_be_null=False)
        source.save(update_fields=["destination_ids"])
        return Response({"destination_ids": source.destination_ids})

    # -- about source types -------------------------------------------------------------------

    @action(detail=False, methods=["post"])
    def source_prefix(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        data = request.data
        if not hasattr(data, "get") or "source_type" not in data:
            raise exceptions.APIException  # PostHog's KeyError (contract 5.1)
        access = data.get("access_method") or prefixes.WAREHOUSE
        body = _PrefixBody(data=data)
        body.is_valid(raise_exception=True)
        source_type, prefix = body.validated_data["source_type"], body.validated_data.get("prefix")
        prefixes.check(self.project, source_type, prefix, access, characters=False)
        return Response(status=status.HTTP_200_OK)

    @action(detail=False, methods=["post"])
    def database_schema(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        data = request.data if hasattr(request.data, "get") else {}
        source_type = data.get("source_type")
        if not source_type:
            raise Message("Missing required parameter: source_type")
        if source_type not in definitions.all_types():
            raise Message(f"Unknown source_type '{source_type}'")
        definition = definitions.definition(source_type)
        if source_type in definitions.UNRELEASED:
            raise Message(creation.UNRELEASED.format(type=source_type))
        config = creation.parse(definition, creation.trimmed(dict(data)))
        tables = creation.discover(definition, config)
        return Response([table.description_item(definition, with_cdc=self.project.cdc_enabled) for table in tables])

    @action(detail=False, methods=["get"])
    def wizard(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = request.query_params.get("source_type") if self.version.wizard_can_be_filtered else None
        names = definitions.all_types()
        if asked:
            wanted = [name.strip() for name in asked.split(",") if name.strip()]
            unknown = [name for name in wanted if name not in names]
            if unknown:
                raise Message(
                    f"Unknown source_type(s): {', '.join(unknown)}. Omit source_type to list every available type."
                )
            names = tuple(wanted)
        existing = set(
            ExternalDataSource.objects.filter(project=self.project, deleted=False).values_list("source_type", flat=True)
        )
        body = {name: definitions.definition(name).wizard(existing=name in existing) for name in names}
        return Response(body, headers={"Cache-Control": "private, max-age=600"})

    @action(detail=False, methods=["get"])
    def connections(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A bare array, never paged (contract 5.4)."""
        direct = Q(access_method=prefixes.DIRECT)
        if self.version.direct_query_can_be_enabled:
            direct |= Q(direct_query_enabled=True)
        sources = ExternalDataSource.objects.filter(project=self.project, deleted=False).filter(direct)
        return Response(
            [
                _connection(source, whole=self.version.connections_have_details)
                for source in sources.order_by("-created_at", "-id")
                if source.source_type in definitions.DIRECT_ENGINES
            ]
        )

    @action(detail=False, methods=["get"])
    def direct_connection_options(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = [definitions.definition(name) for name in definitions.DIRECT_ENGINES]
        items = [
            {
                "source_type": item.name,
                "label": item.label or item.name,
                "icon_path": f"/static/services/{item.name.lower()}.png",
            }
            for item in found
            if item.name in definitions.all_types()
        ]
        return Response(sorted(items, key=lambda item: item["label"].lower()))


def _connection(source: ExternalDataSource, *, whole: bool) -> dict[str, Any]:
    engine = definitions.DIRECT_ENGINES[source.source_type]
    if not whole:
        return {"id": str(source.id), "prefix": source.prefix, "engine": engine}
    return {
        "id": str(source.id),
        "schema_name": (source.job_inputs or {}).get("schema"),
        "prefix": source.prefix,
        "engine": engine,
        "source_type": source.source_type,
        "access_method": source.access_method,
        "supports_hogql": True,
        "is_builtin_managed_warehouse": False,
        "description": source.description,
    }


class _PutArtefacts(serializers.Serializer):
    client_secret = serializers.CharField()
    account_id = serializers.CharField()


class _RevenueAnalytics(serializers.Serializer):
    enabled = serializers.BooleanField(required=False)
    include_invoiceless_charges = serializers.BooleanField(required=False)


class _PrefixBody(serializers.Serializer):
    source_type = serializers.CharField()
    prefix = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)


def _job_item(job: ExternalDataJob) -> dict[str, Any]:
    schema = job.schema
    return {
        "id": str(job.id),
        "created_at": job.created_at,
        "created_by": None,
        "finished_at": job.finished_at,
        "status": job.status,
        "schema": {"id": str(schema.id), "name": schema.name, "should_sync": schema.should_sync},
        "rows_synced": job.rows_synced,
        "latest_error": job.latest_error,
        "workflow_run_id": str(job.workflow_run_id),
        "cdc_write_mode": None,
        "billable": True,
        "destination_ids": [],
    }
