"""How fast the local PostHog is: starts one of its own, or measures a running one.

python3 tools/bench_local.py                     one worker, data in a temporary folder
python3 tools/bench_local.py --workers 2
python3 tools/bench_local.py --url http://127.0.0.1:8000 --key phx_local

Numbers only mean something on a quiet machine. The targets are those of the project: 300 creates of insight
variables a second with one worker, a page in a project of 2,000 objects in less than 100 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from posthog_local.testing import serve

VARIABLES = "/api/projects/1/insight_variables/"
VIEWS = "/api/projects/1/warehouse_saved_queries/"
OBJECTS = 2000
PAGES = 15


@dataclass(frozen=True)
class Target:
    url: str
    key: str

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)


def call(connection: http.client.HTTPConnection, key: str, method: str, path: str, body: object = None) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status >= 300:
        raise SystemExit(f"{method} {path} was answered {response.status}: {answer[:300].decode(errors='replace')}")
    return answer


def creates_per_second(target: Target, clients: int, count: int, path: str, body: Callable[[int], object]) -> float:
    """With ``clients`` keep-alive connections at once."""

    def work(first: int) -> None:
        connection = target.connect()
        for number in range(first, count, clients):
            call(connection, target.key, "POST", path, body(number))
        connection.close()

    threads = [threading.Thread(target=work, args=(first,)) for first in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - began)


def milliseconds(target: Target, path: str) -> tuple[float, float]:
    """The median and the fastest of some calls."""
    connection = target.connect()
    taken: list[float] = []
    for _ in range(PAGES):
        began = time.perf_counter()
        call(connection, target.key, "GET", path)
        taken.append((time.perf_counter() - began) * 1000)
    connection.close()
    return statistics.median(taken), min(taken)


def reset(target: Target) -> None:
    connection = target.connect()
    call(connection, target.key, "POST", "/__local/reset")
    connection.close()


def measure(target: Target, clients: list[int]) -> None:
    for number in clients:
        reset(target)
        rate = creates_per_second(
            target,
            number,
            OBJECTS,
            VARIABLES,
            lambda n: {"name": f"variable {n}", "type": "String", "default_value": "x"},
        )
        print(f"insight variables, {number} client{'s'[: number > 1]}: {rate:7.0f} creates/s", flush=True)
    show_page(target, "variables (500 of 2,000)", VARIABLES)
    show_page(target, "the page at / with 2,000 variables", "/")
    for kind, count, column in (("different SQL", 200, "n{n}"), ("the same SQL", OBJECTS, "n")):
        reset(target)
        rate = creates_per_second(target, clients[-1], count, VIEWS, partial(view, column))
        print(f"views with {kind}, {clients[-1]} clients: {rate:7.0f} creates/s", flush=True)
    show_page(target, "views (1,000 of 2,000)", VIEWS)
    show_page(target, "the page at / with 2,000 views", "/")


def view(column: str, n: int) -> dict[str, Any]:
    sql = f"select event, count() as {column.format(n=n)} from events where timestamp > now() group by event"
    return {"name": f"view_{n}", "query": {"query": sql}}


def show_page(target: Target, what: str, path: str) -> None:
    median, fastest = milliseconds(target, path)
    print(f"{what}: {median:.0f} ms (fastest {fastest:.0f} ms)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--url", help="measure this server, which is emptied")
    parser.add_argument("--key", default="phx_local")
    options = parser.parse_args()
    if options.url:
        measure(Target(options.url, options.key), options.clients)
        return
    began = time.perf_counter()
    with serve("--workers", options.workers) as server:
        print(f"started in {time.perf_counter() - began:.2f} s, {options.workers} worker(s)", flush=True)
        measure(Target(server.url, options.key), options.clients)


if __name__ == "__main__":
    main()
