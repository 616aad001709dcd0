"""What the README tells a new user to do: `make up` and `make down`, and its own program."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import httpx
import pytest

import local_server
import quickstart
from support.documentation import program
from support.posthog import PostHog

from .conftest import Stacks

LINE = re.compile(r"^  (\w+) +(\S+) +(http://\S+)$", re.MULTILINE)


@pytest.fixture
def state(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The quick start in a folder of its own, for a user with a Pulumi login, and with the usual port taken."""
    folder = tmp_path / "quickstart"
    for name, path in {
        "STATE": folder,
        "SERVER": folder / "posthog",
        "BACKEND": folder / "pulumi",
        "SETTINGS": folder / "project",
        "SETTINGS_FILE": folder / "project" / "Pulumi.local.yaml",
    }.items():
        monkeypatch.setattr(quickstart, name, path)
    monkeypatch.setattr("bootstrap.ensure", lambda: None)
    monkeypatch.setattr(quickstart, "engine_dir", lambda: engine)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home" / "pulumi"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://api.pulumi.example")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "pul-users")
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_users")
    return folder


def test_make_up_again_and_again_then_make_down(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    quickstart.SETTINGS.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(local_server, "USUAL_PORT", taken.getsockname()[1])
        try:
            assert quickstart.run(["up"]) == 0
            first = capfd.readouterr()
            assert "the last run was interrupted while it made the stack" in first.err
            made = LINE.findall(first.out)
            assert sorted(kind for kind, _, _ in made) == [
                "ExternalDataSource",
                "InsightVariable",
                "SavedQuery",
                "SavedQuery",
            ]
            answers = [httpx.get(url, headers={"Authorization": "Bearer phx_local"}) for _, _, url in made]
            assert [answer.status_code for answer in answers] == [200] * 4

            server = local_server.running(quickstart.SERVER)
            assert server is not None
            assert server.port != local_server.USUAL_PORT
            os.killpg(server.pid, signal.SIGKILL)
            local_server.wait_until(lambda: local_server.running(quickstart.SERVER) is None, 30)
            assert quickstart.run(["up"]) == 0
            second = capfd.readouterr().out
            assert "5 unchanged" in second
            assert sorted(LINE.findall(second)) == sorted(made)

            assert quickstart.run(["pulumi", "stack", "output", "variable"]) == 0
            assert capfd.readouterr().out.strip() == "{variables.region}"
        finally:
            assert quickstart.run(["down"]) == 0
    assert "5 deleted" in capfd.readouterr().out
    assert local_server.running(quickstart.SERVER) is None
    assert not state.exists()
    assert quickstart.run(["down"]) == 0
    assert capfd.readouterr().err.strip() == "There is no quick start to remove."
    assert not (tmp_path / "home").exists()


def test_the_program_of_the_readme(stacks: Stacks, posthog: PostHog) -> None:
    text = program("README.md")
    for theirs, ours in {"db.example.com": "postgres.local", "67890": "2"}.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    stack = stacks(text)
    stack.config({"tests:shopPassword": "local-password"}, secret=["tests:shopPassword"])
    stack.up()
    assert {row["name"] for row in posthog.one("external_data_sources")["schemas"] if row["should_sync"]} == {
        "customers",
        "products",
    }
    assert posthog.one("warehouse_saved_queries", "1")["name"] == "people"
    assert posthog.one("warehouse_saved_queries", "2")["name"] == "people"
    assert stack.steps() == []
