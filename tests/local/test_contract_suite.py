"""The switch of the contract suite itself: a second server plays the real PostHog, with somebody's objects in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import LIVE_URL, SEED
from .harness import Api, Running

ROWS = "test_cycles or (test_folders and not one_by_one) or test_code_name or test_dependents_block or test_stored_and_used_once"


def objects(api: Api) -> Any:
    return api.ok("GET", "/__local/objects")


@pytest.mark.skipif(bool(LIVE_URL), reason="it is switched already")
def test_rows_run_elsewhere_and_leave_nothing(tmp_path: Path) -> None:
    running = Running(tmp_path, "--seed", str(SEED))
    try:
        theirs = Api(running.url, "phx_all")
        # What a row would make itself, if it were alone there.
        for name in ("a", "b", "c", "base"):
            theirs.view(name)
        theirs.variable(name="Test 1")
        theirs.ok("POST", "warehouse_saved_query_folders/", {"name": "a"}, 201)
        before = objects(theirs)
        environment = {
            **os.environ,
            "POSTHOG_CONTRACT_URL": running.url,
            "POSTHOG_CONTRACT_KEY": "phx_all",
            "POSTHOG_CONTRACT_PROJECT": "1",
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            ROWS,
            str(Path(__file__).parent),
        ]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stdout
        assert "12 passed" in run.stdout, run.stdout
        assert objects(theirs) == before
    finally:
        running.stop()
