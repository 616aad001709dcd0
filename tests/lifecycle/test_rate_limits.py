"""PostHog's rate limits on a clock that moves when somebody waits: 5,000 variables, alone and with others."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from pulumi_posthog_provider import lifecycle
from pulumi_posthog_provider.lifecycle import Session
from pulumi_posthog_provider.pacing import Pace
from pulumi_posthog_provider.registry import declaration
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Transport

LIMITS = ((60.0, 480), (3600.0, 4800))
"""PostHog's own (contract 1.5)."""


@dataclass
class Cloud:
    """Answers creates as PostHog does, with its buckets: sliding windows, in which refused requests do not count."""

    now: float = 0.0
    made: list[str] = field(default_factory=list)
    refused: int = 0
    buckets: list[deque[float]] = field(default_factory=lambda: [deque() for _ in LIMITS])

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.now += 0.01
        for bucket, (window, allowed) in zip(self.buckets, LIMITS, strict=True):
            while bucket and bucket[0] <= self.now - window:
                bucket.popleft()
            if len(bucket) >= allowed:
                self.refused += 1
                wait = str(-int(-(bucket[0] + window - self.now) // 1))  # rounded up
                body = {
                    "type": "throttled_error",
                    "code": "throttled",
                    "detail": "Request was throttled.",
                    "attr": None,
                }
                return httpx.Response(429, json=body, headers={"Retry-After": wait})
        for bucket in self.buckets:
            bucket.append(self.now)
        body: dict[str, Any] = json.loads(request.content)
        self.made.append(body["name"])
        live = {
            "values": [],
            "default_value": None,
            **body,
            "id": f"00000000-0000-4000-8000-{len(self.made):012}",
            "code_name": body["name"],
        }
        return httpx.Response(201, json=live)

    def session(self, pace: Pace, announced: list[str]) -> Session:
        settings = Settings(host="https://posthog.example", environment_id="1", api_key="phx_x", validate="off")
        transport = Transport(
            settings,
            announce=announced.append,
            sleep=self.sleep,
            clock=lambda: self.now,
            jitter=lambda: 0.5,
            client=httpx.Client(transport=httpx.MockTransport(self.answer)),
            pace=pace,
        )
        return Session(settings, transport)


def best(count: int) -> float:
    """The time in which PostHog's limits allow so many requests, if each takes no time at all."""
    sent: list[float] = []
    for number in range(count):
        sent.append(
            max((sent[number - allowed] + window for window, allowed in LIMITS if number >= allowed), default=0.0)
        )
    return sent[-1]


def create(session: Session, name: str) -> None:
    kind = declaration("InsightVariable")
    checked = lifecycle.check(kind, session, {}, {"name": name, "type": "String"})
    assert lifecycle.create(kind, session, checked.inputs).problem is None


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("pace", "refused"), [(Pace(), 0), (Pace(()), 20)], ids=["paced", "by what PostHog answers alone"]
)
def test_5000_variables_are_made_in_about_the_time_that_both_limits_allow(pace: Pace, refused: int) -> None:
    cloud, announced = Cloud(), list[str]()
    session = cloud.session(pace, announced)
    for number in range(5000):
        create(session, f"v{number}")
    assert len(set(cloud.made)) == len(cloud.made) == 5000
    assert cloud.refused <= refused
    print(f"\n5,000 variables: {cloud.now:.0f} s, {cloud.now / best(5000):.3f} of the best, {cloud.refused} refused")
    assert cloud.now <= 1.1 * best(5000)
    assert any("Trying again in" in text for text in announced)
    assert all("PostHog" in text for text in announced)


@pytest.mark.fault(33)
def test_processes_that_share_a_key_are_held_by_what_posthog_answers() -> None:
    cloud, announced = Cloud(), list[str]()
    sessions = [cloud.session(Pace(), announced) for _ in range(3)]
    for number in range(1500):
        create(sessions[number % 3], f"v{number}")
    assert len(set(cloud.made)) == len(cloud.made) == 1500
    assert 0 < cloud.refused <= 30
    assert cloud.now <= 1.1 * best(1500)
