"""Stacks driven by the real `pulumi` command against the local PostHog."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_env import engine_dir
from support.posthog import KEY, PostHog
from support.stack import Stack

Stacks = Callable[..., Stack]


@pytest.fixture(scope="session")
def engine() -> Path:
    """The folder of the `pulumi` command; the test command finds or installs it first."""
    given = os.environ.get("PULUMI_POSTHOG_ENGINE")
    return Path(given) if given else engine_dir()


@pytest.fixture
def stacks(engine: Path, tmp_path: Path, posthog: PostHog) -> Stacks:
    """Makes stacks in folders of their own, configured for environment 1 unless told otherwise."""

    def make(program: str, name: str = "dev", *, key: str = KEY, host: str = "", environment: str = "1") -> Stack:
        folder = tmp_path / name
        folder.mkdir()
        stack = Stack(folder, engine, name)
        stack.program(program)
        stack.config(
            {"posthog:host": host or posthog.url, "posthog:environmentId": environment, "posthog:apiKey": key},
            secret=["posthog:apiKey"],
        )
        return stack

    return make
