"""``/api/environments/…``: the deprecated alias of ``/api/projects/…`` (contract 1.1)."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils.encoding import escape_uri_path

from . import versions

OLD = "/api/environments/"
NEW = "/api/projects/"
SUNSET = "Fri, 31 Jul 2026 00:00:00 GMT"


class EnvironmentsAlias:
    """Rewrites the path in the process: the client sees no redirect, only three more headers.

    Older versions have routes of their own for it: no headers, and links that stay with the old path.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(OLD):
            return self.get_response(request)
        path = NEW + request.path_info.removeprefix(OLD)
        try:
            match = resolve(path)
        except Resolver404:
            return self.get_response(request)
        if match.url_name == "api-not-found":
            return self.get_response(request)
        version = versions.current()
        if version.environments_are_routes:
            request.path_info = path
            return self.get_response(request)
        query = request.META.get("QUERY_STRING")
        request.path_info = request.path = request.META["PATH_INFO"] = path
        response = self.get_response(request)
        if not version.environments_are_deprecated:
            return response
        successor = escape_uri_path(path) + (f"?{query}" if query else "")
        response["Deprecation"] = "true"
        response["Link"] = f'<{successor}>; rel="successor-version"'
        response["Sunset"] = SUNSET
        return response
