"""``/__local/databases``: how databases are treated that are really connected to."""

from __future__ import annotations

from dataclasses import asdict

from django.urls import re_path
from rest_framework.request import Request
from rest_framework.response import Response

from .control import ControlView
from .sources import live_hosts


class Databases(ControlView):
    def get(self, request: Request) -> Response:
        return Response(asdict(live_hosts.read()))

    def put(self, request: Request) -> Response:
        body = live_hosts.DatabasesSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        live_hosts.write(body.validated_data)
        return Response(asdict(live_hosts.read()))


urlpatterns = [re_path(r"^databases/?$", Databases.as_view())]
