"""A short soak of one provider process. The full one is `make soak`: 300 resources, 20 rounds."""

from __future__ import annotations

from pathlib import Path

from support.posthog import PostHog
from wire.conftest import Hosts

from .soak import Soak


def test_a_process_that_lives_long_stays_small_while_much_goes_wrong(posthog: PostHog, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    try:
        rounds = list(Soak(posthog, tmp_path, resources=40, rounds=9, seed=7, rate=0.05).one_process(hosts))
    finally:
        hosts.end()
    assert sum(row.hits for row in rounds) >= 5
