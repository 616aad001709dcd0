"""``/__local/openapi.json``: what this server answers, as an OpenAPI document.

Paths, methods and the bodies of serializers come from the code; what the answers look like is written
down here, from the contract, and not taken from the code that answers: the fuzz test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from django.urls import URLPattern
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from .control import ControlView
from .openapi_shapes import ANSWERS, BODIES, COMPONENTS, Schema, schema_of


def _of_serializer(serializer: type[serializers.Serializer], *, partial: bool) -> Schema:
    declared = serializer._declared_fields  # of the newest version, whichever is served
    fields = {name: field for name, field in declared.items() if not field.read_only}
    schema: Schema = {
        "type": "object",
        "properties": {name: _of_field(field) for name, field in fields.items()},
    }
    required = [name for name, field in fields.items() if field.required and not partial]
    return {**schema, "required": required} if required else schema


def _of_field(field: serializers.Field) -> Schema:
    schema: Schema = {}
    if isinstance(field, serializers.Serializer):
        schema = _of_serializer(type(field), partial=False)
    elif isinstance(field, serializers.ChoiceField):
        schema = {"type": "string", "enum": list(field.choices)}
    elif isinstance(field, serializers.BooleanField):
        schema = {"type": "boolean"}
    elif isinstance(field, serializers.IntegerField):
        schema = {"type": "integer"}
    elif isinstance(field, serializers.ListField):
        schema = {"type": "array"}
    elif isinstance(field, serializers.UUIDField | serializers.PrimaryKeyRelatedField):
        schema = {"type": "string", "format": "uuid"}
    elif isinstance(field, serializers.CharField):
        schema = {"type": "string"}
        if field.max_length:
            schema["maxLength"] = field.max_length
    return {"anyOf": [schema, {"type": "null"}]} if field.allow_null and schema else schema


# -- the document -------------------------------------------------------------------------------

_WITH_BODY = ("post", "put", "patch")
_PAGED = {
    "insight_variables": ("page",),
    "warehouse_saved_queries": ("page", "search", "include_columns"),
    "external_data_sources": ("limit", "offset", "search"),
    "external_data_schemas": ("limit", "offset", "search"),
}
_QUERY = {"jobs": ("after", "before", "schemas"), "wizard": ("source_type",), "activity": ("limit", "page")}


def _operations() -> Iterator[tuple[str, str, str, str, type]]:
    """Path, method, collection, action and viewset of everything below ``/api/``."""
    from . import urls  # which has a route to the document

    places = [("/api/projects/{project_id}/", urls.inside_project.urls), ("/api/", urls.outside_project.urls)]
    for base, patterns in places:
        for pattern in patterns:
            path = _template(pattern)
            for method, action in pattern.callback.actions.items():  # type: ignore[attr-defined]
                yield base + path, method, path.split("/")[0], action, pattern.callback.cls  # type: ignore[attr-defined]
    yield "/api/projects/{project_id}/", "get", "projects", "retrieve", urls.ProjectsViewSet


def _template(pattern: URLPattern) -> str:
    text = re.sub(r"\(\?P<(\w+)>[^)]*\)", "{id}", str(pattern.pattern))
    return text.replace("/?", "/").strip("^$").removesuffix(r"\Z")


def _operation(path: str, method: str, collection: str, action: str, viewset: type) -> Schema:
    responses: dict[str, Schema] = {}
    for status, name in ANSWERS.get((collection, action), [(200, "Anything")]):
        response = responses.setdefault(str(status), {"description": "What was asked for."})
        if name is not None:
            response["content"] = {"application/json": {"schema": schema_of(name)}}
    responses["4XX"] = {
        "description": "Refused; `detail`, `message` or `error` says why (contract 1.3).",
        "content": {"application/json": {"schema": schema_of("Problem")}},
    }
    responses["5XX"] = {
        "description": "Failed: the same call may succeed later.",
        "content": {"application/json": {"schema": schema_of("Problem")}},
    }
    operation: Schema = {
        "operationId": f"{collection}_{action}_{method}",
        "tags": [collection],
        "parameters": [_parameter(name, "path") for name in re.findall(r"\{(\w+)\}", path)]
        + [_parameter(name, "query") for name in (_PAGED.get(collection, ()) if action == "list" else ())]
        + [_parameter(name, "query") for name in _QUERY.get(action, ())],
        "responses": responses,
    }
    if method in _WITH_BODY:
        schema = _request_body(collection, action, viewset)
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation


def _parameter(name: str, place: str) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}


def _request_body(collection: str, action: str, viewset: type) -> Schema:
    if (collection, action) in BODIES:
        return BODIES[collection, action]
    serializer = getattr(viewset, "serializer_class", None)
    if serializer is not None and action in ("create", "update", "partial_update"):
        return _of_serializer(serializer, partial=action == "partial_update" or collection == "external_data_schemas")
    return {"type": "object"}


@cache
def document() -> Schema:
    paths: dict[str, Schema] = {}
    for path, method, collection, action, viewset in _operations():
        paths.setdefault(path, {})[method] = _operation(path, method, collection, action, viewset)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "posthog-local",
            "version": "1",
            "description": "The part of PostHog's API that posthog-local serves, in its newest version. Every path "
            "also works below `/api/environments/` and without its last slash.",
        },
        "security": [{"personal_api_key": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"personal_api_key": {"type": "http", "scheme": "bearer"}},
        },
    }


class OpenAPI(ControlView):
    def get(self, request: Request) -> Response:
        return Response(document())
