"""Error bodies (contract 1.3). The standard shape comes from PostHog's own library."""

from __future__ import annotations

import logging
import math
from typing import Any

from django.db import OperationalError
from exceptions_hog.handler import exception_handler as hog_exception_handler
from rest_framework import exceptions, status
from rest_framework.response import Response

log = logging.getLogger("posthog_local")


class ValidationErrorWithExtra(exceptions.ValidationError):
    """A refusal that carries an ``extra`` object beside the four keys (contract 1.3, 3.9)."""

    def __init__(self, detail: Any, extra: dict[str, Any]) -> None:
        super().__init__(detail)
        self.extra = extra


class ManagedByPostHog(exceptions.PermissionDenied):
    """A write to something that PostHog owns (contract 4, 6.3)."""


class Message(exceptions.APIException):
    """``{"message": …}``: the body of many custom actions (contract 1.3)."""

    status_code = status.HTTP_400_BAD_REQUEST
    key = "message"

    def __init__(self, text: str, *, status_code: int | None = None, **extra: Any) -> None:
        super().__init__(text)
        self.body = {self.key: text, **extra}
        if status_code is not None:
            self.status_code = status_code


class DatabaseUnavailable(exceptions.APIException):
    """Another thread or worker kept the data file for too long (contract 1.3)."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "database_unavailable"
    default_detail = "We couldn't reach the database just now. Please try again in a moment."
    wait = 1


class ErrorText(Message):
    """``{"error": …}``: saved query actions (contract 1.3)."""

    key = "error"


def exception_handler(exc: Exception, context: dict[str, Any] | None = None) -> Response | None:
    if isinstance(exc, Message):
        return Response(exc.body, status=exc.status_code)
    if isinstance(exc, exceptions.Throttled) and exc.wait is not None:
        exc.wait = math.ceil(exc.wait)  # Retry-After is rounded up (contract 1.3)
    if isinstance(exc, OperationalError):
        exc = DatabaseUnavailable()
    response = hog_exception_handler(exc, context)
    challenge = getattr(exc, "auth_header", None)
    if response is not None and challenge:
        response["WWW-Authenticate"] = challenge
    return response


def report_exception(exc: BaseException, context: dict[str, Any] | None = None) -> None:
    """Unhandled errors end as PostHog's 500; the traceback goes to stderr, never to the client."""
    if not isinstance(exc, exceptions.APIException):
        log.error("unhandled error", exc_info=exc)
