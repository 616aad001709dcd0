"""Clocks that jump and machines that sleep: nothing depends on the time of day of this machine."""

from __future__ import annotations

import ast
import inspect
import ssl
import time
from pathlib import Path

import httpx
import pytest

import pulumi_posthog_provider
from pulumi_posthog_provider import exchange
from pulumi_posthog_provider.transport import Transport
from support.posthog import PostHog

from .conftest import Sample, Things

_OF_THE_DAY = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "today"),
    ("datetime", "utcnow"),
}


@pytest.mark.fault(38)
def test_no_code_asks_for_the_time_of_day() -> None:
    package = Path(inspect.getfile(pulumi_posthog_provider)).parent
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in _OF_THE_DAY, f"{file.name}:{node.lineno}"
    assert inspect.signature(Transport).parameters["clock"].default is time.monotonic


@pytest.mark.fault(38)
@pytest.mark.parametrize("said", ["certificate is not yet valid", "certificate has expired"])
def test_a_certificate_out_of_its_time_makes_one_look_at_the_clock(said: str) -> None:
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = said
    connecting = httpx.ConnectError("no")
    connecting.__cause__ = cause
    error = exchange._failure(connecting, "https://posthog.example")
    assert f"its certificate is not trusted ({said})" in str(error)
    assert "Is the clock of this machine right?" in str(error)


@pytest.mark.fault(38)
def test_a_machine_that_slept_while_its_answer_was_lost_finds_its_object_again(
    things: Things, posthog: PostHog, sample: Sample
) -> None:
    thing = things(sample.kind)
    collection = thing.declaration.collection
    posthog.control("PUT", "faults", {"match": {"method": "POST", "path": collection}, "at": "after", "do": "reset"})
    request = thing.session.transport.request

    def asleep(method: str, path: tuple[str, ...], **named: object) -> object:
        try:
            return request(method, path, **named)  # type: ignore[arg-type]
        finally:
            if method == "POST":  # hours pass for PostHog, none for the monotonic clock of this machine
                posthog.control("POST", "clock", {"advance": 8 * 3600})

    thing.session.transport.request = asleep  # type: ignore[method-assign, assignment]
    made = thing.create(sample.first)
    assert made.id == posthog.one(collection)["id"]
    assert "only the answer was lost" in made.messages[0].text
