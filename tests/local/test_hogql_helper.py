"""SQL that PostHog's parser cannot read in time: refused, while everybody else is served."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from posthog_local import hogql_helper, hogql_process

from .harness import Api, Running, invalid

W = "warehouse_saved_queries/"
TOO_COMPLEX = invalid("Invalid query: the query is too complex to parse", "query")
SUM = "select " + "1+" * 3000 + "1"
NESTED = "select " + "f(" * 80 + "1" + ")" * 80


def body(sql: str, name: str = "v") -> dict[str, object]:
    return {"name": name, "query": {"kind": "HogQLQuery", "query": sql}}


def helpers(of: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(of).children() if "hogql_helper" in " ".join(child.cmdline())]


def gone(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_refused_in_time_and_others_are_served(local: Api) -> None:
    with ThreadPoolExecutor(1) as pool:
        hostile = pool.submit(local, "POST", W, body(NESTED))
        answers = 0
        while not hostile.done():
            # A write as well: the lock must not be held while the SQL is read.
            local.ok("POST", "insight_variables/", {"name": f"v{answers}", "type": "String"}, 201)
            answers += 1
            time.sleep(0.05)
        response = hostile.result()
    assert (response.status_code, response.json()) == (400, TOO_COMPLEX)
    assert answers > 3
    local.refused("POST", W, body(NESTED), TOO_COMPLEX)  # remembered
    local.view("plain")


def test_brackets_in_texts_are_no_nesting(local: Api) -> None:
    assert [column["name"] for column in local.view("v", f"select '{'(' * 500}' as text")["columns"]] == ["text"]


def test_more_at_once_than_helpers(local: Api) -> None:
    def create(number: int) -> int:
        with httpx.Client(base_url=local.url, headers={"Authorization": "Bearer phx_all"}, timeout=180) as http:
            answer = http.post(f"/api/projects/1/{W}", json=body(f"select {number} as n", f"v{number}"))
            return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(create, range(16))) == [201] * 16


def test_helpers_end_with_the_server_and_are_replaced(tmp_path: Path) -> None:
    running = Running(tmp_path)
    try:
        api = Api(running.url, "phx_local")
        assert helpers(running.process.pid) == []  # none before the first SQL
        api.view("a")
        (first,) = helpers(running.process.pid)
        first.kill()  # while it is idle: nobody's fault
        api.view("b", "select 1 as b")
        (second,) = helpers(running.process.pid)
        assert second.pid != first.pid
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(api, "POST", W, body(SUM))
            time.sleep(0.5)
            running.process.send_signal(signal.SIGKILL)
            with pytest.raises(httpx.HTTPError):
                lost.result()
        assert gone(second, 180)  # by its own limit, in the middle of a text
    finally:
        running.process.kill()
        running.process.communicate()


def test_what_a_parser_prints_is_not_an_answer() -> None:
    assert hogql_process.read("select 'a\nb' as \U0001f600 ?? \x07")[0] == hogql_helper.TREE
    hogql_process.end()


def test_the_stand_in_answers_in_the_same_way() -> None:
    kind, text = hogql_helper._answer(hogql_helper._read_without_parser, "select a from b")
    assert (kind, text) == (hogql_helper.READ, '{"tables": ["b"], "columns": {"a": "unknown"}}')
    assert hogql_helper._answer(hogql_helper._read_without_parser, "nope")[0] == hogql_helper.REFUSED


def test_the_memory_drops_the_oldest_and_keeps_the_newest() -> None:
    memory = hogql_process.Memory(10)
    for text in ("a" * 4, "b" * 4, "c" * 100):
        memory.put(text, (b"T", ""))
    assert memory.get("a" * 4) is None
    assert memory.get("c" * 100) == (b"T", "")
    memory.put("d", (b"T", ""))
    assert memory.get("c" * 100) is None
