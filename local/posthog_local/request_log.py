"""Writes down every request, around everything else: also what a fault hides from the client."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from cheroot.errors import MaxSizeExceeded

from .models import RequestLogEntry

CONTROL = "/__local/"
OUR_PAGES = ("/", "/favicon.ico")
LONGEST_BODY = 1_000_000
LARGEST_BODY = 64 * 1024 * 1024
READ_AT_ONCE = 1024 * 1024
FAULT = "posthog_local.fault"
KEY = "personal_api_key"
_KEY_IN_QUERY = re.compile(rf"({KEY}=)[^&]*")
_KEY_IN_TEXT = re.compile(rf"({KEY}\W+)[\w-]+")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]


def is_our_own(path: str) -> bool:
    """Not PostHog's: the control API and the page; neither logged nor faulted."""
    return path.startswith(CONTROL) or path in OUR_PAGES


class TooLarge(Exception):
    pass


class CutOff(Exception):
    """The body ended early or is not in the shape that its headers say."""


def read_body(environ: Environ) -> bytes:
    """All of it, also when it is too large: a client may only look at an answer when it has sent everything."""
    expected = int(environ.get("CONTENT_LENGTH") or 0)
    parts: list[bytes] = []
    size = 0
    try:
        while part := environ["wsgi.input"].read(READ_AT_ONCE):
            size += len(part)
            if size <= LARGEST_BODY:
                parts.append(part)
            else:
                parts.clear()
    except (OSError, MaxSizeExceeded) as error:
        if "Too Large" in str(error):
            raise TooLarge from error
        raise CutOff from error
    except ValueError as error:
        raise CutOff from error
    if size > LARGEST_BODY:
        raise TooLarge
    if not environ["wsgi.input_terminated"] and size < expected:
        raise CutOff
    return b"".join(parts)


def _refuse(start_response: StartResponse, status: str, type: str, code: str, detail: str) -> list[bytes]:
    body = json.dumps({"type": type, "code": code, "detail": detail, "attr": None}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
    start_response(status, headers)
    return [body]


class RequestLog:
    def __init__(self, app: WSGIApp) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body = read_body(environ)
        except TooLarge:
            detail = "The request body is too large."
            return _refuse(start_response, "413 Request Entity Too Large", "invalid_request", "too_large", detail)
        except CutOff:
            detail = "The request body is not complete."
            return _refuse(start_response, "400 Bad Request", "invalid_request", "parse_error", detail)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        if is_our_own(environ["PATH_INFO"]):
            return self.app(environ, start_response)
        statuses: list[int] = []

        def noting_start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            statuses.append(int(status.split(" ", 1)[0]))
            return start_response(status, headers, exc_info)

        # Read before the application runs: it may rewrite the path.
        asked = {"method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "headers": _headers(environ)}
        at, began = datetime.now(UTC), time.perf_counter()
        try:
            return self.app(environ, noting_start_response)
        finally:
            RequestLogEntry.append(
                at=at.replace(tzinfo=None),
                milliseconds=round((time.perf_counter() - began) * 1000, 3),
                query=_KEY_IN_QUERY.sub(r"\1***", environ.get("QUERY_STRING", "")),
                body=_without_key(_readable(body)),
                status=statuses[-1] if statuses else None,
                fault=environ.get(FAULT),
                **asked,
            )


def _headers(environ: Environ) -> dict[str, str]:
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    if "authorization" in headers:
        headers["authorization"] = headers["authorization"].partition(" ")[0] + " ***"
    return headers


def _readable(body: bytes) -> Any:
    if not body:
        return None
    if len(body) > LONGEST_BODY:
        return f"({len(body)} bytes)"
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _without_key(body: Any) -> Any:
    if isinstance(body, str):  # a form, or JSON that is broken
        return _KEY_IN_TEXT.sub(r"\1***", body)
    return {**body, KEY: "***"} if isinstance(body, dict) and KEY in body else body


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)
