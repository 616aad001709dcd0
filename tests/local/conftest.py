"""The contract suite: one row per behaviour, against the local PostHog or, by a switch, a real one.

With ``POSTHOG_CONTRACT_URL``, ``POSTHOG_CONTRACT_KEY`` and ``POSTHOG_CONTRACT_PROJECT`` set, the rows
that use ``api`` run against that project: with names of their own, deleting what they have made. Rows
that need the control API, the seed or an empty project use ``local``; they have the marker
``local_only`` and are skipped there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Api, Running

SEED = Path(__file__).with_name("seed.yaml")
LIVE_URL = os.environ.get("POSTHOG_CONTRACT_URL")
LIVE_KEY = os.environ.get("POSTHOG_CONTRACT_KEY")
LIVE_PROJECT = os.environ.get("POSTHOG_CONTRACT_PROJECT", "@current")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "local_only: needs the control API, the seed or an empty project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if Path(__file__).parent in item.path.parents and ("api" not in fixtures or "local" in fixtures):
            item.add_marker("local_only")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if LIVE_URL:
        yield LIVE_URL
        return
    running = Running(tmp_path_factory.mktemp("server"), "--seed", str(SEED))
    yield running.url
    code, _, err = running.stop()
    assert code == 0
    assert "Traceback" not in err, err


@pytest.fixture
def api(server: str) -> Iterator[Api]:
    """All scopes on project 1, which is empty again; or a key of a real project, which is not."""
    if LIVE_URL:
        live = Api(server, LIVE_KEY, LIVE_PROJECT).live()
        yield live
        live.clean_up()
    else:
        local = Api(server, "phx_all")
        local("POST", "/__local/reset").raise_for_status()
        yield local
    while Api.opened:
        Api.opened.pop().close()


@pytest.fixture
def local(api: Api) -> Api:
    """As ``api``, for rows that need the seed or the control API."""
    if LIVE_URL:
        pytest.skip("only against the local PostHog")
    return api
