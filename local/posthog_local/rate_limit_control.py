"""``/__local/rate-limits``: switch PostHog's rate limits while the server runs."""

from __future__ import annotations

from django.urls import re_path
from rest_framework.request import Request
from rest_framework.response import Response

from . import rate_limits
from .control import ControlView


class RateLimits(ControlView):
    """``PUT {"enabled", "limits"}``; ``DELETE``: nothing has been counted so far."""

    def get(self, request: Request) -> Response:
        return Response(rate_limits.read())

    def put(self, request: Request) -> Response:
        body = rate_limits.SettingsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        rate_limits.switch(**body.validated_data)
        return Response(rate_limits.read())

    def delete(self, request: Request) -> Response:
        rate_limits.forget()
        return Response(status=204)


urlpatterns = [re_path(r"^rate-limits/?$", RateLimits.as_view())]
