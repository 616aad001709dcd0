"""What the rows of the contract suite are written with."""

from __future__ import annotations

import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import httpx
import pytest

START_SECONDS = 60
SLOWEST_ANSWER = 180  # a busy machine; rows wait for what they want to see, not for time
# Made once: every client would read all certificates again.
CERTIFICATES = ssl.create_default_context()

POSTGRES = {
    "host": "db.example.com",
    "port": 5432,
    "database": "shop",
    "user": "posthog",
    "password": "right",
    "schema": "public",
}


def error(code: str, detail: str, attr: str | None = None, type: str = "validation_error") -> dict[str, Any]:
    """A standard error body, complete."""
    return {"type": type, "code": code, "detail": detail, "attr": attr}


def invalid(detail: str, attr: str | None = None) -> dict[str, Any]:
    return error("invalid_input", detail, attr)


NOT_FOUND = error("not_found", "Not found.", type="invalid_request")


def missing(what: str) -> NoReturn:
    """Something of the machine that a row needs is not there: a skip, but nothing is left out silently in CI."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


class Running:
    """A server process."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        ready = folder / f"ready-{time.monotonic_ns()}.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "posthog_local", "--port", "0", "--ready-file", str(ready), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"did not start: {self.process.communicate()}")
            time.sleep(0.02)
        self.url: str = json.loads(ready.read_text())["url"]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


class Api:
    """A client for one project.

    ``tag`` is empty on the local PostHog, which is empty before every row. On a real one it is part of
    every name, and what a row has created is deleted after it.
    """

    opened: ClassVar[list[httpx.Client]] = []
    tag = ""

    def __init__(self, url: str, key: str | None, project: str = "1", base: str = "projects") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=SLOWEST_ANSWER, verify=CERTIFICATES)
        self.opened.append(self.http)
        self.url, self.key, self.project, self.base = url, key, project, base

    def path(self, path: str) -> str:
        return path if path.startswith("/") else f"/api/{self.base}/{self.project}/{path}"

    def __call__(self, method: str, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        if body is not None:
            kwargs["json"] = body
        response = self.http.request(method, self.path(path), **kwargs)
        if self.tag and method == "POST" and response.status_code == 201:
            self.created.append(f"{self.path(path).partition('?')[0].rstrip('/')}/{response.json()['id']}/")
        return response

    def live(self) -> Api:
        """Of a real project: nothing of a row may clash with what is there, nor stay."""
        self.tag = f"_{secrets.token_hex(4)}"
        self.created: list[str] = []
        return self

    def clean_up(self) -> None:
        """The newest first, as later ones may read earlier ones."""
        while self.created:
            response = self.http.delete(self.created.pop())
            assert response.status_code in (204, 404), response.text

    def named(self, name: str) -> str:
        """The name that a row uses; blanks at the end stay there."""
        text = name.rstrip()
        return text + self.tag + name[len(text) :]

    def ok(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = self(method, path, body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def refused(self, method: str, path: str, body: Any, expected: Any, status: int = 400) -> None:
        response = self(method, path, body)
        assert (response.status_code, response.json()) == (status, expected)

    # -- shorthands ---------------------------------------------------------------------------

    def variable(self, **body: Any) -> Any:
        name = self.named(body.pop("name", "Country"))
        return self.ok("POST", "insight_variables/", {"name": name, "type": "String", **body}, 201)

    def view(self, name: str, sql: str = "select event from events", status: int = 201, **body: Any) -> Any:
        query = {"kind": "HogQLQuery", "query": sql}
        return self.ok("POST", "warehouse_saved_queries/", {"name": self.named(name), "query": query, **body}, status)

    def source(self, *schemas: dict[str, Any], prefix: str | None = None, **payload: Any) -> Any:
        body = {
            "source_type": "Postgres",
            "prefix": prefix,
            "payload": {**POSTGRES, "schemas": list(schemas), **payload},
        }
        created = self.ok("POST", "external_data_sources/", body, 201)
        assert list(created) == ["id"]
        return self.ok("GET", f"external_data_sources/{created['id']}/")

    def advance(self, seconds: float = 61) -> None:
        self.ok("POST", "/__local/clock", {"advance": seconds})
