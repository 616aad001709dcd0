"""``posthog-local --workers N``: processes that share one port and one data file."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from .harness import Api, Running

V = "insight_variables/"
KEY = {"Authorization": "Bearer phx_local"}


@pytest.fixture(autouse=True)
def _local_only(local: Api) -> None:
    """These start servers of their own."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path, "--data", str(tmp_path / "data.sqlite3"), "--workers", "3")
    yield server
    if server.process.poll() is None:
        code, out, err = server.stop()
        assert (code, err) == (0, "")
        assert out == f"posthog-local is ready at {server.url}\n"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("ready")]


def workers(running: Running, count: int = 3) -> list[psutil.Process]:
    """The workers, once there are so many."""
    deadline = time.monotonic() + 90
    while True:
        found = psutil.Process(running.process.pid).children()
        if len(found) == count or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def post(url: str, name: str) -> int:
    with httpx.Client(base_url=url, headers=KEY, timeout=180) as http:
        return http.post(f"/api/projects/1/{V}", json={"name": name, "type": "String"}).status_code


def test_one_winner_over_all_workers(running: Running) -> None:
    assert len(workers(running)) == 3
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda number: post(running.url, f"same {number % 5}"), range(60)))
    assert sorted(statuses) == [201] * 5 + [400] * 55
    api = Api(running.url, "phx_local")
    assert api.ok("GET", V)["count"] == 5
    assert sum(api.ok("GET", "/__local/requests")["counts"].values()) == 61
    api.http.close()


def test_several_answer(running: Running) -> None:
    """Connections go to whoever is free: with all of them held, more than one worker has some."""
    opened = [httpx.Client(base_url=running.url) for _ in range(30)]
    for http in opened:
        http.get("/__local/health").raise_for_status()
    busy = [worker for worker in workers(running) if any(c.status == "ESTABLISHED" for c in worker.net_connections())]
    for http in opened:
        http.close()
    assert len(busy) > 1


def test_a_dead_worker_is_replaced(running: Running) -> None:
    before = workers(running)
    before[0].send_signal(signal.SIGKILL)
    assert post(running.url, "at once") == 201  # by the others
    before[0].wait(90)
    after = workers(running)
    assert len(after) == 3
    assert {worker.pid for worker in after} > {worker.pid for worker in before[1:]}
    # Two of three die with nobody asking: the last one and their successors serve.
    for worker in after[:2]:
        worker.send_signal(signal.SIGKILL)
    assert [post(running.url, f"after {number}") for number in range(10)] == [201] * 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop_with_open_connections(running: Running, number: int) -> None:
    children = workers(running)
    with httpx.Client() as http:
        http.get(f"{running.url}/__local/health")
        code, _, err = running.stop(number)
    assert (code, err) == (0, "")
    assert not [child for child in children if child.is_running()]


def test_workers_end_with_a_killed_parent(running: Running, tmp_path: Path) -> None:
    children = workers(running)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    _, alive = psutil.wait_procs(children, timeout=90)
    assert alive == []
    running.process.communicate()
    for path in tmp_path.glob("ready*"):
        path.unlink()


class Writers:
    """1,000 writes from four clients; a client whose server went away connects again."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.acknowledged: list[str] = []
        self.pool = ThreadPoolExecutor(4)
        self.done = [self.pool.submit(self._write, client) for client in range(4)]

    def _write(self, client: int) -> None:
        for number in range(250):
            try:
                answer = self._http().post(
                    f"/api/projects/1/{V}", json={"name": f"v{client} {number}", "type": "String"}
                )
            except httpx.HTTPError:
                self._local.http = None
                if self.running.process.poll() is not None:
                    return
                continue
            assert answer.status_code == 201, answer.text
            self.acknowledged.append(answer.json()["id"])

    _local = threading.local()

    def _http(self) -> httpx.Client:
        if getattr(self._local, "http", None) is None:
            self._local.http = httpx.Client(base_url=self.running.url, headers=KEY, timeout=180)
        return self._local.http

    def wait_for(self, count: int) -> None:
        while len(self.acknowledged) < count and not all(one.done() for one in self.done):
            time.sleep(0.01)

    def finish(self) -> None:
        for one in self.done:
            one.result()
        self.pool.shutdown()


def all_variables(api: Api) -> list[str]:
    page = api.ok("GET", V)
    found = [item["id"] for item in page["results"]]
    while page["next"]:
        page = api.ok("GET", page["next"].removeprefix(api.url))
        found += [item["id"] for item in page["results"]]
    return found


def test_kills_lose_nothing_acknowledged(running: Running, tmp_path: Path) -> None:
    """Workers die in the middle of 1,000 writes, and at the end the parent with all of them."""
    writers = Writers(running)
    for enough in (100, 300, 500):
        writers.wait_for(enough)
        workers(running)[0].send_signal(signal.SIGKILL)
    writers.wait_for(800)
    for process in [running.process, *psutil.Process(running.process.pid).children()]:
        process.send_signal(signal.SIGKILL)
    running.process.communicate()
    writers.finish()
    for path in tmp_path.glob("ready*"):
        path.unlink()
    again = Running(tmp_path, "--data", str(tmp_path / "data.sqlite3"), "--workers", "2")
    api = Api(again.url, "phx_local")
    kept = all_variables(api)
    api.http.close()
    assert len(writers.acknowledged) >= 800
    assert set(writers.acknowledged) <= set(kept)
    assert len(kept) == len(set(kept)) <= 1000
    again.stop()


def test_hostile_sql_ends_with_its_worker(running: Running) -> None:
    api = Api(running.url, "phx_local")
    sum_of_many = "select " + "1+" * 3000 + "1"
    response = api("POST", "warehouse_saved_queries/", {"name": "v", "query": {"query": sum_of_many}})
    assert response.status_code == 400
    assert "too complex" in json.dumps(response.json())
    api.view("plain")
    api.http.close()


def test_the_port_is_in_use(running: Running, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{port}: the port is in use"):
        Running(tmp_path, "--workers", "2", "--port", port)
