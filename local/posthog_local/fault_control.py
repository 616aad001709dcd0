"""``/__local/faults``: the fault plan, while the server runs."""

from __future__ import annotations

from typing import Any

from django.urls import re_path
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from . import fault_plan, fault_rules
from .control import ControlView
from .strict import Strict


def _shown(state: fault_plan.State | None) -> dict[str, Any]:
    state = state or {"rules": [], "held": {}, "hidden": []}
    return {
        "rules": state["rules"],
        "held": [{"id": key, **held} for key, held in state["held"].items()],
        "hidden": state["hidden"],
    }


class Faults(ControlView):
    """``GET`` the plan, ``PUT`` another one, ``POST`` more rules, ``DELETE`` it."""

    def get(self, request: Request) -> Response:
        return Response(_shown(fault_plan.read()))

    def put(self, request: Request) -> Response:
        return Response(_shown(fault_plan.replace(fault_rules.validate(request.data))))

    def post(self, request: Request) -> Response:
        added = fault_plan.add(fault_rules.validate(request.data))
        return Response({"rules": added}, status=201)

    def delete(self, request: Request) -> Response:
        fault_plan.replace([])
        return Response(status=204)


class Fault(ControlView):
    def delete(self, request: Request, rule: str) -> Response:
        if not fault_plan.remove(rule):
            raise exceptions.NotFound
        return Response(status=204)


class ReleaseBody(Strict):
    rule = serializers.CharField(required=False)


class Release(ControlView):
    """``POST``: requests that are held go on; with ``rule`` (an id or a name) those of one rule."""

    def post(self, request: Request) -> Response:
        body = ReleaseBody(data=request.data)
        body.is_valid(raise_exception=True)
        return Response({"released": fault_plan.release(body.validated_data.get("rule"))})


urlpatterns = [
    re_path(r"^faults/?$", Faults.as_view()),
    re_path(r"^faults/release/?$", Release.as_view()),
    re_path(r"^faults/(?P<rule>[^/]+)/?$", Fault.as_view()),
]
