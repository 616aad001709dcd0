"""Endpoints for making a source in one step, and for the credentials of people (contract 5.7)."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.db import transaction
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from ..errors import Message
from ..models import ExternalDataSource
from . import creation, credentials, definitions, webhooks
from .base_views import READ, WRITE, SourceViewSet
from .fields import OAuth
from .webhook_views import address

MOST_PREVIEWED = 100
NO_DRAFTS = "AI manifest drafting is not enabled for this organization."
NO_PREVIEW = "posthog-local does not ask the API that a manifest describes."


class _Setup(serializers.Serializer):
    source_type = serializers.ChoiceField(definitions.all_types())
    payload = serializers.DictField(required=False, default=dict)
    prefix = serializers.CharField(max_length=100, required=False, allow_null=True, allow_blank=True)
    description = serializers.CharField(max_length=400, required=False, allow_null=True, allow_blank=True)
    direct_query_enabled = serializers.BooleanField(required=False, default=False)


class _Credentials(serializers.Serializer):
    source_type = serializers.ChoiceField(definitions.all_types())
    payload = serializers.DictField()


class _Preview(serializers.Serializer):
    source_type = serializers.ChoiceField(definitions.all_types())
    payload = serializers.DictField(required=False, default=dict)
    resource_name = serializers.CharField()
    limit = serializers.IntegerField(required=False, default=10, min_value=1, max_value=MOST_PREVIEWED)


class SetupViewSet(SourceViewSet):
    """Mixed into the viewset of sources."""

    setup_scopes: ClassVar[dict[str, str | None]] = {
        "setup_source": WRITE,
        "store_credentials": WRITE,
        "stored_credentials": READ,
        "connect_link": READ,
        "oauth_accounts": WRITE,
        "credential_accounts": WRITE,
        "preview_resource": WRITE,
        "draft_custom_manifest": WRITE,
    }

    # Django's views have a method of that name.
    @action(detail=False, methods=["post"], url_path="setup", url_name="setup")
    def setup_source(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every table by its defaults; webhooks where the vendor lets us make them."""
        body = _Setup(data=request.data)
        body.is_valid(raise_exception=True)
        payload = {key: value for key, value in body.validated_data["payload"].items() if key != "schemas"}
        data = {
            "access_method": ExternalDataSource.Access.WAREHOUSE,
            **body.validated_data,
            "payload": payload,
            "created_via": "mcp",
        }
        source, tables = creation.make(self.project, self.user, data)
        with transaction.atomic():
            webhook = webhooks.create_for_setup(source, tables, address(request))
        answer = {"id": str(source.id), **({"webhook": webhook} if webhook else {})}
        return Response(answer, status=status.HTTP_201_CREATED)

    @action(detail=False, methods=["post"])
    def store_credentials(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = _Credentials(data=request.data)
        body.is_valid(raise_exception=True)
        definition = definitions.definition(body.validated_data["source_type"])
        payload = creation.trimmed(body.validated_data["payload"])
        creation.refuse_secret_refs(payload)
        creation.check_credentials(definition, creation.parse(definition, payload))
        stored = credentials.store(self.project, self.user, definition.name, payload)
        return Response(credentials.item(stored), status=status.HTTP_201_CREATED)

    @action(detail=False, methods=["get"])
    def stored_credentials(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = credentials.usable(self.project, self.user)
        source_type = request.query_params.get("source_type")
        if source_type:
            found = found.filter(source_type=source_type)
        return Response([credentials.item(credential) for credential in found])

    @action(detail=False, methods=["get"])
    def connect_link(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source_type = request.query_params.get("source_type")
        if not source_type:
            raise Message("Missing required parameter: source_type")
        if source_type not in definitions.all_types():
            raise Message(f"Unknown source_type '{source_type}'")
        page = f"/project/{self.project.id}/data-warehouse/connect?kind={source_type}"
        oauth = any(isinstance(field, OAuth) for field in definitions.definition(source_type).fields)
        return Response(
            {
                "source_type": source_type,
                "auth_method": "oauth" if oauth else "credentials",
                "connect_url": request.build_absolute_uri(page),
                "instructions": (
                    "Open the link, enter the connection details there, and pass the id of the stored credential "
                    "to setup. It can be used once, within 24 hours, by the user who stored it."
                ),
            }
        )

    @action(detail=False, methods=["get"])
    def oauth_accounts(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """There are no integrations here, so there is nothing that an account could belong to."""
        source_type = request.query_params.get("source_type")
        integration = request.query_params.get("integration_id")
        if not source_type or not integration:
            raise serializers.ValidationError("source_type and integration_id are required")
        if not integration.strip().lstrip("+-").isdecimal():
            raise serializers.ValidationError("integration_id must be an integer")
        if source_type not in definitions.all_types():
            raise serializers.ValidationError(f"Unknown source type: {source_type}")
        raise serializers.ValidationError(
            f"No {source_type} connection was found for this integration. Please reconnect the integration."
        )

    @action(detail=False, methods=["get"])
    def credential_accounts(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source_type = request.query_params.get("source_type")
        if not source_type:
            raise serializers.ValidationError("source_type is required")
        if source_type not in definitions.all_types():
            raise serializers.ValidationError(f"Unknown source type: {source_type}")
        return Response({"accounts": []})

    @action(detail=False, methods=["post"])
    def preview_resource(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = _Preview(data=request.data)
        body.is_valid(raise_exception=True)
        source_type = body.validated_data["source_type"]
        if source_type != "Custom":
            raise Message(f"Preview is not supported for source type '{source_type}'.")
        config = creation.parse(definitions.definition(source_type), body.validated_data["payload"])
        wanted = body.validated_data["resource_name"]
        if wanted not in _resources(config["manifest_json"]):
            raise Message(f"Unknown resource '{wanted}'.")
        return Response({"rows": [], "row_count": 0, "columns": [], "error": NO_PREVIEW})

    @action(detail=False, methods=["post"])
    def draft_custom_manifest(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """There is no model here to draft anything with: the answer of a PostHog without that feature."""
        raise Message(NO_DRAFTS, status_code=status.HTTP_404_NOT_FOUND)


def _resources(manifest: str) -> set[str]:
    try:
        found = json.loads(manifest)["resources"]
        return {item["name"] if isinstance(item, dict) else str(item) for item in found}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Message("The manifest is not a JSON object with resources.") from error
