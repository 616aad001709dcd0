"""What is told from a view's SQL: the tables it reads, and its mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulumi_posthog_provider import hogql, hogql_worker
from pulumi_posthog_provider.declare import UNKNOWN
from pulumi_posthog_provider.registry import declaration
from pulumi_posthog_provider.resources import saved_query

TABLES = {
    "select 1": [],
    "SELECT a FROM events;": ["events"],
    "select * from a, b c, (select 1 from d) as e cross join f": ["a", "b", "d", "f"],
    "with x as (select 1 from a) select * from x join b on x.a = b.a": ["a", "b"],
    "with events as (select * from events) select * from events": ["events"],
    "with recursive t as (select 1 from base union all select 2 from t) select * from t": ["base"],
    "with a as (select 1 from t1), b as (select 1 from a), c as (select 2 from d) select * from b, c": ["d", "t1"],
    "with a as (with b as (select 1 from c) select * from b) select * from a, b": ["b", "c"],
    "with (select max(x) from t) as m select m from u": ["t", "u"],
    "with 1 as one, x as (select one from t) select * from x": ["t"],
    "with a as materialized (select 1 from b) select 2 from a": ["b"],
    "with a(x, y) as (select 1, 2 from b) select x from a": ["b"],
    "with z as (select 1 from m) select (select 1 from z) from t where 1 in (select 2 from z)": ["m", "t"],
    "with q as (select 1 from b) select 1 from q union all select 2 from q": ["b"],
    "(select 1 from a) union distinct (with q as (select 2 from b) select * from q)": ["a", "b"],
    "select 1 from a union all select 2 from b except select 3 from c intersect select 4 from d": ["a", "b", "c", "d"],
    'select * from "my view" join `other``x` using (id)': ["my view", "other`x"],
    'select 1 from `a.b`.c, "a""b"': ['a"b', "a.b.c"],
    "select * from postgres.prod.users u left join stripe.charge c on u.id = c.customer": [
        "postgres.prod.users",
        "stripe.charge",
    ],
    "select 'from x', \"from y\" from t -- from z\n /* from w */ where a = 'join q' # from v": ["t"],
    "select '\\' from x' from t": ["t"],
    "select 1 from numbers(10) n, generateSeries(1, (select max(x) from q))": ["q"],
    "select trim(both 'a' from b) from t": ["t"],
    "select a is distinct from b, c is not distinct from d from t": ["t"],
    "select a.from, b as from from t": ["t"],
    'select "from", `select` from t': ["t"],
    "select 1. from t": ["t"],
    "select 1.5e3, x.1 from t": ["t"],
    "select * exclude (a) from t": ["t"],
    "select 1 from t left array join x as y, z as w": ["t"],
    "select 1 from t where x in (select y from u where z = (select max(a) from v)) and b in (1, 2)": ["t", "u", "v"],
    "select (select count() from u) as n, [1, 2], {'a': 1} from t": ["t", "u"],
    "select 1 from ((select 1 from a) union all (select 2 from b)) c": ["a", "b"],
    "select 1 from (a join b on a.x = b.x)": ["a", "b"],
    "select 1 from (((select 1 from a)))": ["a"],
    "select 1 from a final sample 0.1 join b final on 1 = 1": ["a", "b"],
    "select 1 from a join b using (x), c": ["a", "b", "c"],
    "select 1 from a asof left join b on a.t > b.t semi join c on 1": ["a", "b", "c"],
    "select 1 from t1 as a(b, c), t2": ["t1", "t2"],
    "select * from t pivot (sum(x) for y in (1))": ["t"],
    "select sum(x) over (partition by a order by b) from t window w as (order by c)": ["t"],
    "select case when a in (select b from c) then 1 else 2 end from t limit 1 by z": ["c", "t"],
    "select if(a, (with z as (select 1 from m) select 1 from z), 2) from t": ["m", "t"],
    "select 1 from t group by x with totals": ["t"],
    "select a between (select 1 from q) and 3 from t order by b with fill": ["q", "t"],
    "select 1 from <A b={(select 1 from k)}/>": ["k"],
    "select 1 from {filters} where x = {variables.y}": [],
    "select 1 from Events, a$b.c_1": ["Events", "a$b.c_1"],
    """
    SELECT
      /* who */ person -- from nobody
    FROM
      active_people AS p
      INNER JOIN events e ON e.distinct_id = p.person
    WHERE e.event NOT IN ('a,b', 'from c') GROUP BY person ORDER BY 1, 2 LIMIT 10
    """: ["active_people", "events"],
}


@pytest.mark.parametrize("sql", TABLES)
def test_the_tables_a_text_reads(sql: str) -> None:
    assert sorted(hogql.tables(sql)) == TABLES[sql]


@pytest.fixture(scope="module")
def parser() -> Any:
    """PostHog's own parser."""
    try:
        return hogql_worker.load()
    except ImportError:
        pytest.skip("hogql-parser is not installed")


@pytest.mark.parametrize("sql", TABLES)
def test_posthogs_own_parser_sees_the_same_tables(parser: Any, sql: str) -> None:
    tree = json.loads(parser.parse_select_json(sql))
    assert not tree.get("error"), tree
    assert sorted(set(_tables(tree, frozenset()))) == TABLES[sql]


def _tables(node: Any, declared: frozenset[str]) -> Iterator[str]:
    """The names that the tree of PostHog's parser reads; a name of WITH is known after its own query."""
    if isinstance(node, list):
        for item in node:
            yield from _tables(item, declared)
    if not isinstance(node, dict):
        return
    if node.get("node") == "SelectSetQuery":
        first = node["initial_select_query"]
        yield from _tables(first, declared)
        yield from _tables(node["subsequent_select_queries"], declared | {name for name, _ in _declared(first)})
        return
    for name, cte in _declared(node):
        yield from _tables(cte["expr"], declared | {name} if cte.get("recursive") else declared)
        declared |= {name} if cte["cte_type"] == "subquery" else set()
    table = node.get("table")
    if isinstance(table, dict) and table.get("node") == "Field" and not node.get("table_args"):
        name = ".".join(map(str, table["chain"]))
        if name not in declared:
            yield name
    for key, item in node.items():
        if key != "ctes":
            yield from _tables(item, declared)


def _declared(select: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(cte["name"], cte) for cte in select.get("ctes") or []]


def test_tables_of_text_that_is_no_sql_are_none_and_found_at_once() -> None:
    started = time.monotonic()
    assert hogql.tables("") == frozenset()
    assert hogql.tables("select (((") == frozenset()
    assert hogql.tables("from" * 10_000) == frozenset()
    assert hogql.tables("select 1 from " + "(select 1 from " * 5_000 + "a") == frozenset()
    assert hogql.tables("select " + "f(" * 200 + "1" + ")" * 200 + " from t") == {"t"}
    assert time.monotonic() - started < 2


MISTAKES = {
    "SELECT a FORM events": "line 1, column 15: events is not expected here",
    "SELECT a,\n  b\nFROM events WHERE\n": "line 4, column 1: the SQL ends too early",
    "SELECT a\nFROM t\nWHERE x = 'sentinel' 'sentinel'": "line 3, column 22: the text in quotes is not expected here",
    "SELECT\n  'sentinel": "line 2, column 3: the quote that begins here never ends",
    "SELECT 'é😀',\n  1)": "line 2, column 4: ) is not expected here",
    "SELECT 'é😀' é 2": "line 1, column 13: Unexpected character U+00E9",
    "SELECT 'é',\n'é',\n 2 3": "line 3, column 4: 3 is not expected here",
    "SELECT 1,\r\n  2 3": "line 2, column 5: 3 is not expected here",
    "SELECT date '2020-01-01'": "PostHog does not support this SQL (Unsupported rule: ColumnExprDate)",
}
FINE = ["SELECT 1", "SELECT a FROM events;", "SELECT f'{a}' FROM t", "SELECT {'a': 1}", "SELECT 1 -- {filters}"]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("sql", MISTAKES)
def test_a_mistake_is_told_with_line_and_column_and_without_what_is_quoted(sql: str) -> None:
    (told,) = hogql.mistakes(sql)
    assert told == MISTAKES[sql]
    assert "sentinel" not in told


@pytest.mark.parametrize("sql", FINE)
def test_what_is_fine_is_not_complained_of(sql: str) -> None:
    assert hogql.mistakes(sql) == []


@pytest.mark.usefixtures("parser")
def test_placeholders_are_told_one_by_one() -> None:
    assert hogql.mistakes("SELECT {variables.region.x},\n  'é', {filters}\nFROM t WHERE {1 + 2}") == [
        "line 1, column 8: a view cannot use the variable {variables.region.x}; only insights can",
        "line 2, column 8: a view cannot use {filters}; only insights can",
        "line 3, column 14: a view cannot use placeholders in braces; only insights can",
    ]


@pytest.mark.usefixtures("parser")
def test_a_view_is_refused_in_check() -> None:
    view = declaration("SavedQuery")
    wrong = {"name": "v", "query": "SELECT 1\nFROM t\nWHERE"}
    assert list(map(str, view.slow_problems(wrong, {}))) == ["query: line 3, column 6: the SQL ends too early"]
    assert list(view.slow_problems({"name": "v", "query": UNKNOWN}, {})) == []


def test_sql_that_is_in_state_already_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_query, "mistakes", lambda sql: pytest.fail("parsed"))
    view = declaration("SavedQuery")
    assert list(view.slow_problems({"name": "v", "query": "SELECT 1 ;"}, {"query": "SELECT 1"})) == []


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[hogql._Worker]:
    """A worker of its own, which has answered nothing yet."""
    fresh = hogql._Worker()
    monkeypatch.setattr(hogql, "_worker", fresh)
    yield fresh
    fresh.stop()


@pytest.mark.usefixtures("worker")
def test_without_the_parser_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hogql, "find_spec", lambda name: None)
    assert hogql.mistakes("SELECT 1 FROM") == []


@pytest.mark.usefixtures("parser", "worker")
def test_a_text_that_takes_too_long_is_left_and_the_next_one_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hogql, "TIME_LIMIT", 0.5)
    started = time.monotonic()
    assert hogql.mistakes("SELECT " + "(" * 300 + "1" + ")" * 300) == []
    assert time.monotonic() - started < 3
    monkeypatch.setattr(hogql, "TIME_LIMIT", 20.0)
    assert len(hogql.mistakes("SELECT 1 FROM")) == 1


@pytest.mark.usefixtures("parser")
def test_a_parser_whose_provider_is_gone_ends_by_itself() -> None:
    script = Path(hogql_worker.__file__)
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, text=True) as process:
        try:
            process.stdin.write(json.dumps({"sql": "SELECT " + "(" * 300 + "1" + ")" * 300}) + "\n")
            process.stdin.close()
            assert process.wait(timeout=60) == -signal.SIGALRM
        finally:
            process.kill()


@pytest.mark.usefixtures("parser", "worker")
def test_a_parser_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hogql, "TIME_LIMIT", 0.0)
    monkeypatch.setattr(hogql, "TIME_IN_ALL", 3.0)
    asked: list[str] = []
    answer = hogql._Worker._answer
    monkeypatch.setattr(hogql._Worker, "_answer", lambda worker, line: asked.append(line) or answer(worker, line))
    for number in range(10):
        assert hogql.mistakes(f"SELECT {number} FROM") == []
    assert 1 <= len(asked) <= 3


def test_another_package_called_posthog_stays_what_it_is() -> None:
    code = """
import sys, types
mine = sys.modules["posthog"] = types.ModuleType("posthog")
from pulumi_posthog_provider import hogql, hogql_worker
hogql.mistakes("SELECT 1 FROM")
try:
    hogql_worker.load()
except ImportError:
    pass
assert sys.modules["posthog"] is mine
assert not vars(mine).get("hogql")
assert "posthog.hogql.errors" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
