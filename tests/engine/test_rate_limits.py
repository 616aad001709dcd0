"""PostHog's real rate limit, with the real engine: a large stack, in two processes that share a key."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from support.posthog import PostHog

from .conftest import Stacks

COUNT, A_MINUTE, WINDOW = 600, 480, 60.0
PROGRAM = f"""
    import pulumi
    from pulumi_posthog import InsightVariable, Provider
    # A provider process of its own, with the same key.
    other = pulumi.ResourceOptions(provider=Provider("other"))
    for number in range({COUNT}):
        InsightVariable(f"v{{number}}", other if number % 2 else None, name=f"V {{number}}", type="String")
"""


@pytest.mark.fault(13, 15, 33)
def test_600_variables_come_up_under_480_requests_a_minute(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(PROGRAM)
    posthog.control("PUT", "rate-limits", {"enabled": True})
    started = time.monotonic()
    result = stack.up(PULUMI_SKIP_CHECKPOINTS="true", PULUMI_EXPERIMENTAL="true")
    took = time.monotonic() - started
    posthog.control("PUT", "rate-limits", {"enabled": False})

    assert f"+ {COUNT + 2} created" in result.output
    assert "PostHog limits requests. Trying again in" in result.output, "the wait was not announced"
    log = [item for item in posthog.control("GET", "requests")["requests"] if item["status"] in (200, 201, 429)]
    asked = [item for item in log if item["method"] in ("GET", "POST") and "insight_variables" in item["path"]]
    allowed = [datetime.fromisoformat(item["at"]).timestamp() for item in asked if item["status"] != 429]
    refused = len(asked) - len(allowed)
    assert len({item["id"] for page in (1, 2) for item in _page(posthog, page)}) == COUNT
    assert len(allowed) <= COUNT + 4, "no request was made twice"
    # Nobody may have been faster than the limit; nobody asks again and again.
    assert all(later - earlier >= WINDOW - 1 for earlier, later in zip(allowed, allowed[A_MINUTE:], strict=False))
    assert 0 < refused <= 60
    # At best: as many as are allowed at the speed of the engine, and the rest as soon as the first of them count no more.
    speed = (allowed[A_MINUTE - 1] - allowed[0]) / A_MINUTE
    best = WINDOW + speed * (len(allowed) - A_MINUTE)
    requests = allowed[-1] - allowed[0]
    assert requests <= best * 1.1
    print(
        f"\n{COUNT} variables: {requests:.1f} s in requests, {requests / best:.3f} of the best; `up` took {took:.0f} s, {refused} refused"
    )


def _page(posthog: PostHog, number: int) -> list[dict[str, str]]:
    items: list[dict[str, str]] = posthog.call("GET", f"insight_variables/?page={number}")["results"]
    return items
