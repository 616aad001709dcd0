"""Endpoints of ``external_data_schemas`` (contract 6)."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import filters, mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import jobs
from ..auth import access_level
from ..errors import ManagedByPostHog, Message
from ..models import ExternalDataSchema
from ..pagination import LimitOffsetPages
from ..viewsets import ProjectViewSet
from . import definitions, destinations, schema_logs
from .creation import SYNC_LIMIT, discover
from .removal import delete_schema, drop_table
from .representation import schema_item, schema_source
from .schema_rules import SchemaSettings

MANAGED = "This schema is managed by PostHog and cannot be changed through this API."
READ = "external_data_source:read"
WRITE = "external_data_source:write"


class DetailText(Message):
    key = "detail"


class ExternalDataSchemaViewSet(mixins.DestroyModelMixin, ProjectViewSet):
    scope_object = "external_data_source"
    role_based = True
    settles_jobs = True
    pagination_class = LimitOffsetPages
    serializer_class = SchemaSettings
    filter_backends: ClassVar = [filters.SearchFilter]
    search_fields: ClassVar = ["name"]
    action_scopes: ClassVar = {
        "reload": WRITE,
        "resync": WRITE,
        "cancel": WRITE,
        "incremental_fields": WRITE,
        "delete_data": WRITE,
        "destinations": WRITE,
        "logs": READ,
    }

    @property
    def atomic_writes(self) -> bool:  # type: ignore[override]
        """A vendor that is asked may be slow: no write lock meanwhile."""
        return self.action_map.get((self.request.method or "").lower()) != "incremental_fields"

    def absent_actions(self) -> frozenset[str]:
        return self.version.absent_schema_actions

    def get_queryset(self):  # type: ignore[no-untyped-def]
        return (
            ExternalDataSchema.objects.filter(project=self.project, deleted=False, source__deleted=False)
            .select_related("source__created_by", "table")
            .order_by("-created_at", "-id")
        )

    def _item(self, schema: ExternalDataSchema) -> dict[str, Any]:
        shown = schema_source(schema.source, self.user, self.role)
        return schema_item(schema, self.version, shown["user_access_level"], source=shown)

    def _writable(self) -> ExternalDataSchema:
        schema = self.get_object()
        if schema.source.system_managed:
            raise ManagedByPostHog(MANAGED)
        return schema

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        items = [
            schema_item(schema, self.version, access_level(schema.source.created_by_id, self.user, self.role))
            for schema in page or ()
        ]
        return self.get_paginated_response(items)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self._item(self.get_object()))

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        schema = self._writable()
        serializer = self.get_serializer(schema, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        return Response(self._item(serializer.save()))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.update(request, *args, **kwargs)

    def perform_destroy(self, instance: ExternalDataSchema) -> None:
        if instance.source.system_managed:
            raise ManagedByPostHog(MANAGED)
        delete_schema(instance)

    @action(detail=True, methods=["post"])
    def reload(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        schema = self._writable()
        if self.project.sync_limit_reached:
            raise Message(SYNC_LIMIT)
        if not schema.jobs.filter(status=jobs.RUNNING).exists():
            jobs.start_sync(schema)
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["post"])
    def resync(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Drops the table and brings everything again, except where only webhooks bring anything."""
        schema = self._writable()
        if self.project.sync_limit_reached:
            raise Message(SYNC_LIMIT)
        jobs.cancel_sync(schema)
        if not schema.discovered.get("webhook_only"):
            drop_table(schema)
            schema.save(update_fields=["table"])
        jobs.start_sync(schema)
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not jobs.cancel_sync(self._writable()):
            raise DetailText("No running sync to cancel.")
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["delete"])
    def delete_data(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        schema = self._writable()
        drop_table(schema)
        schema.last_synced_at = None
        if schema.source.access_method == "direct":
            schema.should_sync = False
        schema.save()
        return Response(status=status.HTTP_200_OK)

    @action(detail=True, methods=["get", "patch"])
    def destinations(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Null: the table goes where its source goes."""
        if request.method == "GET":
            schema = self.get_object()
            own = schema.destination_ids
            return Response(
                {
                    "destination_ids": own,
                    "inherits_from_source": own is None,
                    "effective_destination_ids": schema.source.destination_ids if own is None else own,
                }
            )
        schema = self._writable()
        schema.destination_ids = destinations.read(request.data, may_be_null=True)
        schema.save(update_fields=["destination_ids"])
        return Response(
            {"destination_ids": schema.destination_ids, "inherits_from_source": schema.destination_ids is None}
        )

    @action(detail=True, methods=["get"], filter_backends=[])
    def logs(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.get_paginated_response(self.paginate_queryset(schema_logs.entries(self.get_object(), request)))

    @action(detail=True, methods=["post"])
    def incremental_fields(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """As the vendor shows the table now."""
        schema = self.get_object()
        config = schema.source.job_inputs
        if not config:
            raise Message("Missing job inputs")
        definition = definitions.definition(schema.source.source_type)
        found = [table for table in discover(definition, config) if table.name == schema.name]
        if not found:
            raise Message(f"Schema with name {schema.name} not found")
        table = found[0]
        cursors = table.cursor_items()
        return Response(
            {
                "incremental_fields": cursors,
                "incremental_available": bool(cursors),
                "append_available": bool(cursors),
                "cdc_available": table.cdc_available(definition, with_cdc=self.project.cdc_enabled),
                "xmin_available": table.supports_xmin if definition.supports_xmin else None,
                "full_refresh_available": not table.webhook_only,
                "supports_webhooks": table.supports_webhooks,
                "webhook_only": table.webhook_only,
                "available_columns": table.available_columns(),
                "detected_primary_keys": table.primary_key or None,
                "primary_key_detection_supported": definition.is_sql,
            }
        )
