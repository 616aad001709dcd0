"""A transport with scripted answers, in a world where time passes only when it is told to."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from pulumi_posthog_provider.errors import PostHogError
from pulumi_posthog_provider.pacing import Pace
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Answer, Deadline, Transport

SENTINEL = "phx_sentinel_QmFzZTY0"
HOST = "https://posthog.example"


@dataclass
class Time:
    """A clock that moves when somebody sleeps, or when a test says so."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


Script = Callable[[httpx.Request], httpx.Response]


def reply(status: int = 200, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Script:
    """An answer; underscores in header names stand for hyphens."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    if raw is None and body is not None:
        names.setdefault("content-type", "application/json")

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=names, stream=_Parts([content]))

    return answer


def fail(error: type[httpx.TransportError], cause: Exception | None = None) -> Script:
    """A failure of the HTTP library, with the key in its text as bad as it can be."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error(f"failed with {SENTINEL}", request=request) from cause

    return answer


class _Parts(httpx.SyncByteStream):
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts


@dataclass
class World:
    """A transport, and what it did."""

    script: list[Script]
    settings: Settings
    jitter: float = 1.0
    pace: Pace | None = None
    time: Time = field(default_factory=Time)
    requests: list[httpx.Request] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transport = Transport(
            self.settings,
            announce=self.announced.append,
            sleep=self.time.sleep,
            clock=self.time.clock,
            jitter=lambda: self.jitter,
            client=httpx.Client(transport=httpx.MockTransport(self._answer)),
            pace=self.pace,
            caller="pulumi/3",
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        # The last line of the script goes on for ever.
        return self.script[min(len(self.requests), len(self.script)) - 1](request)

    @property
    def sent(self) -> list[str]:
        """Method and path of every request."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]

    def call(
        self,
        method: str = "GET",
        *path: str,
        environment: str | None = "1",
        deadline: Deadline | None = None,
        **more: Any,
    ) -> Answer:
        """A call of one collection, `things` unless told otherwise."""
        return self.transport.request(
            method,
            path or ("things",),
            environment=environment,
            deadline=deadline or self.transport.deadline(),
            **more,
        )

    def error(self, method: str = "GET", *path: str, **more: Any) -> PostHogError:
        """The error of a call that fails; it holds no key, whichever way one looks at it."""
        return held_back(lambda: self.call(method, *path, **more))


def world(*script: Script, jitter: float = 1.0, pace: Pace | None = None, **settings: Any) -> World:
    """A world whose PostHog answers by the script, the last line for ever."""
    chosen = {"host": HOST, "environment_id": "1", "api_key": SENTINEL, **settings}
    return World(list(script) or [reply(body={})], Settings(**chosen), jitter, pace)


def held_back(call: Callable[[], object]) -> PostHogError:
    """The error of a call that fails, after a look for the key at everything a crash reporter could send."""
    with pytest.raises(PostHogError) as caught:
        call()
    assert SENTINEL not in everything_in(caught.value)
    return caught.value


def everything_in(error: BaseException) -> str:
    """All that can be read from an exception: text, repr, arguments, notes, causes, and every local variable."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    parts = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(getattr(error, "__notes__", []))]
    context = error.__cause__ or error.__context__
    if context is not None:
        parts.append(everything_in(context))
    return "\n".join([*parts, *told.format()])
