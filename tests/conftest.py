"""What every test needs: an environment without the developer's own settings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.internal.conjecture import providers

from support.fault_matrix import pytest_runtest_logreport, pytest_terminal_summary  # noqa: F401
from support.posthog import PostHog, start

_FOREIGN = ("POSTHOG_", "PULUMI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_")
_OURS = ("PULUMI_POSTHOG_",)
SEED = Path(__file__).parent / "support" / "seed.yaml"


@pytest.fixture(autouse=True, scope="session")
def _no_foreign_settings() -> Iterator[None]:
    """Empties PostHog, Pulumi, proxy and certificate variables, so that a developer's shell cannot change a result."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.upper().startswith(_FOREIGN) and not name.startswith(_OURS):
            patch.delenv(name)
    yield
    patch.undo()


# What Hypothesis draws must not depend on which modules other tests of the same process have loaded before.
providers._get_local_constants = lambda: providers._local_constants

# A Pulumi program has an event loop; outputs outside of one need it from Python 3.12 on. It is never closed: that would
# end threads of Pulumi's mocks, which hold loops that nobody closes.
_LOOP = asyncio.new_event_loop()


@pytest.fixture(autouse=True, scope="session")
def _event_loop() -> None:
    asyncio.set_event_loop(_LOOP)


@pytest.fixture(scope="session")
def posthog_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostHog]:
    """A local PostHog for the whole run; `posthog` hands it out empty."""
    process, server = start(tmp_path_factory.mktemp("posthog"), "--data", ":memory:", "--seed", str(SEED))
    yield server
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def posthog(posthog_server: PostHog) -> PostHog:
    """An empty local PostHog: two environments, 1 and 2, and a scripted Postgres `postgres.local`."""
    posthog_server.control("POST", "reset")
    return posthog_server
