"""What web pages in the user's browser may not do: reach this server under a name of their own, or change anything.

A page may point a name of its own at loopback, and may send forms anywhere. Programs send none of these headers.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden
from rest_framework.permissions import SAFE_METHODS

NOT_OUR_NAME = "This server does not go by that name."
NO_WRITES = "A web page of another origin may not change anything here."


class WebPages:
    """Django middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost:
            return HttpResponseBadRequest(NOT_OUR_NAME, content_type="text/plain")
        if request.method not in SAFE_METHODS and is_from_another_site(request):
            return HttpResponseForbidden(NO_WRITES, content_type="text/plain")
        return self.get_response(request)


def is_from_another_site(request: HttpRequest) -> bool:
    origin = request.headers.get("Origin")
    if origin and origin.partition("://")[2] != request.get_host():
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
