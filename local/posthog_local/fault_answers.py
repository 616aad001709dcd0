"""Answers that faults give: PostHog's own, those of what stands before it, and made-up ones."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .fault_rules import Rule
from .request_log import StartResponse

JSON = "application/json"
HTML = "text/html; charset=utf-8"


@dataclass
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])

    def header(self, wanted: str) -> str:
        return next((value for name, value in self.headers if name.lower() == wanted.lower()), "")

    def with_body(self, body: bytes) -> Answer:
        kept = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        return Answer(self.status, [*kept, ("Content-Length", str(len(body)))], body)

    def send(self, start_response: StartResponse) -> list[bytes]:
        start_response(self.status, self.headers)
        return [self.body]


def json_of(answer: Answer) -> Any:
    if not answer.header("Content-Type").startswith(JSON):
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _reason(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


def answer_of(code: int, body: bytes, kind: str, headers: dict[str, str | None] | None = None) -> Answer:
    body = b"" if code in (204, 304) else body
    answer = Answer(f"{code} {_reason(code)}", [("Content-Type", kind), ("Content-Length", str(len(body)))], body)
    return _with_headers(answer, headers or {})


def _with_headers(answer: Answer, headers: dict[str, str | None]) -> Answer:
    """Other values for what is there already; none takes a header away."""
    named = {name.lower() for name in headers}
    kept = [(name, value) for name, value in answer.headers if name.lower() not in named]
    more = [(name, value) for name, value in headers.items() if value is not None]
    return Answer(answer.status, [*kept, *more], answer.body)


# Contract 1.3; what is not here comes from a load balancer, as HTML.
_STANDARD = {
    400: ("validation_error", "invalid_input", "Invalid input."),
    401: (
        "authentication_error",
        "authentication_failed",
        "Personal API key found in request Authorization header is invalid.",
    ),
    403: ("authentication_error", "permission_denied", "You don't have access to the project."),
    404: ("invalid_request", "not_found", "Not found."),
    429: ("throttled_error", "throttled", "Request was throttled."),
    500: ("server_error", "error", "A server error occurred."),
    503: (
        "server_error",
        "database_unavailable",
        "We couldn't reach the database just now. Please try again in a moment.",
    ),
}


def standard(code: int) -> Answer:
    if code not in _STANDARD:
        reason = f"{code} {_reason(code)}"
        html = f"<html><head><title>{reason}</title></head><body><center><h1>{reason}</h1></center></body></html>"
        return answer_of(code, html.encode(), HTML)
    type, name, detail = _STANDARD[code]
    body = {"type": type, "code": name, "detail": detail, "attr": None}
    headers: dict[str, str | None] = {"Retry-After": "1"} if code == 503 else {}
    return answer_of(code, json.dumps(body).encode(), JSON, headers)


def made_up(rule: Rule) -> Answer:
    """The answer of a rule ``status``; without a body PostHog's own."""
    if "json" in rule:
        body, kind = json.dumps(rule["json"]).encode(), JSON
    elif "html" in rule:
        body, kind = rule["html"].encode(), HTML
    elif "text" in rule:
        body, kind = rule["text"].encode(), JSON
    elif "base64" in rule:
        body, kind = base64.b64decode(rule["base64"]), JSON
    else:
        return _with_headers(standard(rule["status"]), rule["headers"])
    return answer_of(rule["status"], body, kind, rule["headers"])
