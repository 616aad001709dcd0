"""A short soak with the real engine. The full one is `make soak`: 300 resources, 20 rounds."""

from __future__ import annotations

from pathlib import Path

from soak.soak import Soak
from support.posthog import PostHog


def test_posthog_is_what_the_program_says_in_every_round(engine: Path, posthog: PostHog, tmp_path: Path) -> None:
    rounds = list(Soak(posthog, tmp_path, resources=40, rounds=4, seed=7, rate=0.05).engine(engine))
    assert sum(row.hits for row in rounds) >= 3
