"""``posthog-local`` as a command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from .harness import Api, Running

V = "insight_variables/"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "posthog_local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(autouse=True)
def _local_only(local: Api) -> None:
    """These start servers of their own."""


def test_default_seed(tmp_path: Path) -> None:
    running = Running(tmp_path)
    api = Api(running.url, "phx_local")
    assert api.ok("GET", "/api/projects/@current/")["name"] == "Default"
    payload = {
        "host": "postgres.local",
        "port": 5432,
        "database": "shop",
        "user": "posthog",
        "password": "local-password",
        "schema": "public",
    }
    tables = api.ok("POST", "external_data_sources/database_schema/", {"source_type": "Postgres", **payload})
    assert {"customers", "orders", "products"} <= {table["table"] for table in tables}
    api.http.close()
    code, out, err = running.stop()
    assert (code, err) == (0, "")
    assert out == f"posthog-local is ready at {running.url}\n"


@contextmanager
def connections_that_come_and_go(url: str) -> Iterator[None]:
    """While the server ends: it must not be caught with one of its locks taken."""
    done, came = threading.Event(), threading.Semaphore(0)

    def knock() -> None:
        while not done.is_set():
            with suppress(OSError), socket.create_connection(_address(url), 5) as one:
                one.sendall(b"GET /__local/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                one.recv(1)
            came.release()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(knock)
        for _ in range(20):
            came.acquire()
        try:
            yield
        finally:
            done.set()


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("/")[2].rpartition(":")
    return host, int(port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop_with_open_connections(tmp_path: Path, number: int) -> None:
    running = Running(tmp_path)
    with httpx.Client() as http, connections_that_come_and_go(running.url):
        http.get(f"{running.url}/__local/health")
        code, _, err = running.stop(number)  # does not wait for the clients
    assert (code, err) == (0, "")
    assert list(tmp_path.iterdir()) == []  # the ready file is gone


def test_data_survives_a_restart(tmp_path: Path) -> None:
    data = str(tmp_path / "data.sqlite3")
    running = Running(tmp_path, "--data", data)
    api = Api(running.url, "phx_local")
    made = api.variable()
    running.stop()
    again = Running(tmp_path, "--data", data)
    assert Api(again.url, "phx_local").ok("GET", f"{V}{made['id']}/") == made
    again.stop()


def test_a_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    data = str(tmp_path / "data.sqlite3")
    running = Running(tmp_path, "--data", data)
    acknowledged = []
    with httpx.Client(base_url=running.url, headers={"Authorization": "Bearer phx_local"}) as http:
        for number in range(1000):
            if number == 150:
                running.process.send_signal(signal.SIGKILL)
            try:
                answer = http.post(f"/api/projects/1/{V}", json={"name": f"v{number}", "type": "String"})
            except httpx.HTTPError:
                break
            acknowledged.append(answer.json()["id"])
    running.process.communicate(timeout=10)
    assert len(acknowledged) >= 150
    again = Running(tmp_path, "--data", data)
    kept = {item["id"] for item in Api(again.url, "phx_local").ok("GET", V)["results"]}
    assert set(acknowledged) <= kept
    again.stop()


def test_help() -> None:
    assert "--ready-file" in run("--help").stdout


def test_the_port_is_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"posthog-local: cannot listen on 127.0.0.1:{port}: the port is in use.\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1", "is not valid YAML in line 1."),
        ("clock: {sync_seconds: 1}\nclock: {sync_seconds: 2}", "has the key 'clock' twice, in line 2."),
        ("projekts: []", "is not valid: projekts: This key is not known. Is it 'projects'?"),
    ],
)
def test_a_wrong_seed(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(text)
    done = run("--port", "0", "--seed", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"posthog-local: The seed {path} {expected}\n"


def test_a_refused_seed_leaves_the_data_file_as_good_as_new(tmp_path: Path) -> None:
    path, data = tmp_path / "seed.yaml", tmp_path / "data.sqlite3"
    path.write_text("organizations: [{name: A}, {name: A}]")
    done = run("--port", "0", "--seed", str(path), "--data", str(data))
    assert (done.returncode, done.stderr) == (2, "posthog-local: The seed declares the organization 'A' twice.\n")
    path.write_text("users: [{email: a@b.de, keys: [{value: phx_mended}]}]")
    running = Running(tmp_path, "--seed", str(path), "--data", str(data))
    assert Api(running.url, "phx_mended").ok("GET", V)["count"] == 0
    running.stop()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--seed", "/nowhere/seed.yaml"), "The seed /nowhere/seed.yaml cannot be read: No such file or directory."),
        (("--data", "/nowhere/x.db"), "the folder of the data file /nowhere/x.db does not exist."),
        (("--data", "/"), "the data file / is a folder."),
        (
            ("--host", "0.0.0.0"),
            "0.0.0.0 is not an address of this machine only; add --allow-remote if that is meant.",
        ),
    ],
)
def test_one_sentence(arguments: tuple[str, ...], expected: str) -> None:
    done = run("--port", "0", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"posthog-local: {expected}\n")


@pytest.mark.parametrize(
    "arguments", [("--port", "x"), ("--port", "70000"), ("--sync-seconds", "-1"), ("--nope",), ("--workers", "0")]
)
def test_wrong_options(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_data_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this is not a database, it is only text" * 100)
    done = run("--port", "0", "--data", str(path))
    assert done.returncode == 2
    assert "it is not a readable SQLite file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_seed_in_json(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    seed = {"projects": [{"id": 5, "name": "Five"}], "users": [{"email": "a@b.de", "keys": [{"value": "phx_5"}]}]}
    path.write_text(json.dumps(seed))
    running = Running(tmp_path, "--seed", str(path), "--sync-seconds", "0")
    assert Api(running.url, "phx_5", "5").ok("GET", V)["count"] == 0
    assert Api(running.url, "phx_5", "5").ok("GET", "/__local/clock")["sync_seconds"] == 0
    running.stop()
