"""``posthog_local.testing``: the fixtures, as a user's own tests see them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import psutil
import pytest

from posthog_local.testing import PostHogLocalError, serve

from .harness import Api

TESTS = """
import sys
import urllib.request

import pytest


def test_first(posthog_local):
    posthog_local.api("POST", "insight_variables/", {"name": "Country", "type": "String"})
    assert [item["code_name"] for item in posthog_local.objects("insight_variables")] == ["country"]
    (request,) = posthog_local.requests()
    assert (request["method"], request["status"]) == ("POST", 201)
    assert posthog_local.requests(method="GET") == []
    posthog_local.faults({"do": "status", "status": 503, "match": {"method": "GET"}})
    posthog_local.control("POST", "clock", {"sync_seconds": 17})
    posthog_local.reset({"projects": [{"id": 7, "name": "Seven"}], "users": [{"email": "a@b.de", "keys": [{"value": "phx_7"}]}]})
    assert posthog_local.config()["posthog:environmentId"] == "7"


def test_second_starts_empty(posthog_local, posthog_local_server):
    assert posthog_local is posthog_local_server
    assert posthog_local.objects("insight_variables") == []
    assert posthog_local.requests() == []
    assert posthog_local.api("GET", "insight_variables/")["count"] == 0
    assert posthog_local.control("GET", "clock")["sync_seconds"] == SYNC_SECONDS


def test_where_it_is(posthog_local):
    config = posthog_local.config()
    assert config == {"posthog:host": posthog_local.url, "posthog:environmentId": "1", "posthog:apiKey": KEY}
    assert list(posthog_local.environ().values()) == list(config.values())


def test_django_is_the_users_own(posthog_local):
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"django", "rest_framework", "cheroot", "yaml", "pulumi", "httpx"}
"""


@pytest.fixture(autouse=True)
def _local_only(local: Api) -> None:
    """These start servers of their own."""


def run_pytest(folder: Path, tests: str, ini: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "test_users_stack.py").write_text(tests)
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    # A module of the user's that would get in the server's way.
    (folder / "cheroot.py").write_text("raise RuntimeError('a module of the tests, not of the server')")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if "posthog_local" not in entry_points(group="pytest11").names:
        command += ["-p", "posthog_local.testing"]
    environ = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", "DJANGO_SETTINGS_MODULE": "not.there"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.feature(74)
def test_the_fixtures(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, TESTS.replace("KEY", "'phx_local'").replace("SYNC_SECONDS", "2.0"))
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_a_seed_and_options_in_the_ini_file(tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text("users: [{email: a@b.de, keys: [{value: phx_own}]}]")
    ini = "posthog_local_seed = seed.yaml\nposthog_local_options = --sync-seconds 0 --workers 2"
    done = run_pytest(tmp_path, TESTS.replace("KEY", "'phx_own'").replace("SYNC_SECONDS", "0.0"), ini)
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_a_seed_as_a_fixture(tmp_path: Path) -> None:
    seed = """
import pytest

@pytest.fixture(scope="session")
def posthog_local_seed():
    return {"projects": [{"id": 5, "name": "Five"}], "users": [{"email": "a@b.de", "keys": [{"value": "phx_5"}]}]}

def test_it(posthog_local):
    assert (posthog_local.environment_id, posthog_local.api_key) == ("5", "phx_5")
    assert set(posthog_local.objects()) >= {"insight_variables", "warehouse_saved_queries", "external_data_sources"}
"""
    done = run_pytest(tmp_path, seed)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(PostHogLocalError, match=r"ended with code 2\. It said: .*not valid: users"),
        serve(seed={"users": 1}),
    ):
        pass


def test_what_is_refused_is_an_error_with_the_answer() -> None:
    with serve() as server:
        with pytest.raises(PostHogLocalError, match=r"was answered 400: .*may not be blank"):
            server.api("POST", "insight_variables/", {"name": ""})
        with pytest.raises(PostHogLocalError, match="no project 99"):
            server.objects(environment_id=99)


def test_the_server_ends_with_tests_that_were_killed() -> None:
    program = "import time, posthog_local.testing as t\nwith t.serve() as s: print(s.url, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as tests:
        assert tests.stdout
        assert tests.stdout.readline()
        (server,) = psutil.Process(tests.pid).children()
        tests.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 90
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif("PULUMI_POSTHOG_ENGINE" not in os.environ, reason="no Pulumi engine: PULUMI_POSTHOG_ENGINE")
def test_the_example_in_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = Path(__file__).parents[2] / "local" / "README.md"
    (example,) = re.findall(r"```python\n(import pulumi\.automation.*?)```", readme.read_text(), re.DOTALL)
    # Pulumi starts the provider with the Python on PATH.
    folders = [str(Path(sys.executable).parent), os.environ["PULUMI_POSTHOG_ENGINE"], os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
    done = run_pytest(tmp_path, example)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
