"""Endpoints for webhooks (contract 5.9, 5.10)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from . import webhooks
from .base_views import READ, WRITE, SourceViewSet, body_of


def address(request: Request) -> str:
    """PostHog answers with an address of its own; here it is one of this server's."""
    return request.build_absolute_uri("/public/webhooks/dwh/")


class WebhookViewSet(SourceViewSet):
    """Mixed into the viewset of sources."""

    webhook_scopes: ClassVar[dict[str, str | None]] = {
        "webhook_info": READ,
        "create_webhook": WRITE,
        "update_webhook_inputs": WRITE,
        "delete_webhook": WRITE,
    }

    @action(detail=True, methods=["get"])
    def webhook_info(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(webhooks.info(self.get_object(), address(request)))

    @action(detail=True, methods=["post"])
    def create_webhook(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        with transaction.atomic():
            return Response(webhooks.create(source, body_of(request).get("inputs"), address(request)))

    @action(detail=True, methods=["post"])
    def update_webhook_inputs(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        return Response(webhooks.update_inputs(source, body_of(request).get("inputs")))

    @action(detail=True, methods=["post"])
    def delete_webhook(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        with transaction.atomic():
            return Response(webhooks.delete(source))
