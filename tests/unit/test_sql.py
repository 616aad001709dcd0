"""When two SQL texts are the same query. PostHog's own parser is the judge where it is installed."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pulumi_posthog_provider.sql import canonical, same_sql

pure = settings(max_examples=100, deadline=None, database=None)

# ---- by example ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1", "\n  SELECT\t1 \r\n"),
        ("SELECT 1", "SELECT 1;"),
        ("SELECT 1", "SELECT 1 ;\n ; "),
        ("SELECT a,b", "SELECT a , b"),
        ("SELECT a+b", "SELECT a + b"),
        ("SELECT count( * )", "SELECT count(*)"),
        ("SELECT a>=1", "SELECT a >= 1"),
        ("SELECT x->y", "SELECT x -> y"),
        ("SELECT t.a", "SELECT t . a"),
        ("SELECT 'a'AS b", "SELECT 'a' AS b"),
        ("SELECT 1e-5", "SELECT  1e-5"),
        ("SELECT 1 -- one\nFROM t", "SELECT 1 -- one\r\n  FROM t"),
        ("SELECT 1 -- one", "SELECT 1 -- one\n"),
        ("SELECT 1/* one */FROM t", "SELECT 1 /* one */ FROM t"),
        ("SELECT {variables.region}", "SELECT { variables.region }"),
        ("SELECT\xa01", "SELECT 1"),
        ("SELECT f ('x')", "SELECT f('x')"),
        ("", " ;"),
    ],
)
def test_white_space_outside_literals_and_the_end_do_not_count(one: str, other: str) -> None:
    assert same_sql(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT 2"),
        ("SELECT a", "select a"),
        ("SELECT 'a b'", "SELECT 'a  b'"),
        ("SELECT 'a\nb'", "SELECT 'a b'"),
        ("SELECT 'it''s  so'", "SELECT 'it''s so'"),
        ("SELECT 'it\\'s  so'", "SELECT 'it\\'s so'"),
        ("SELECT 'is  it\\'s'", "SELECT 'is it\\'s'"),
        ("SELECT 1 # a  b", "SELECT 1 # a b"),
        ('SELECT "a  b"', 'SELECT "a b"'),
        ("SELECT `a  b`", "SELECT `a b`"),
        ("SELECT ''", "SELECT ' '"),
        ("SELECT ab", "SELECT a b"),
        ("SELECT 1 2", "SELECT 12"),
        ("SELECT a > = 1", "SELECT a >= 1"),
        ("SELECT a - -1", "SELECT a --1"),
        ("SELECT a / /b/ / c", "SELECT a //b// c"),
        ("SELECT a ? . b", "SELECT a ?. b"),
        ("SELECT 'a' 'b'", "SELECT 'a''b'"),
        ("SELECT 1e-5", "SELECT 1e - 5"),
        ("SELECT 1 -- one", "SELECT 1 -- two"),
        ("SELECT 1 -- one", "SELECT 1"),
        ("SELECT 1 -- a  b\n+ 1", "SELECT 1 -- a b\n+ 1"),
        ("SELECT 1 -- one\n+ 1", "SELECT 1 -- one + 1"),
        ("SELECT 1 /* a  b */", "SELECT 1 /* a b */"),
        ("SELECT 1; SELECT 2", "SELECT 1 SELECT 2"),
        # White space counts in template strings and tags, however deep the literal.
        ("SELECT f'a  {b}'", "SELECT f'a {b}'"),
        ("SELECT f'x {concat('a  b', c)} y'", "SELECT f'x {concat('a b', c)} y'"),
        ("SELECT <b>don't</b>, 'x  y'", "SELECT <b>don't</b>, 'x y'"),
        ("SELECT <a>x  y</a>", "SELECT <a>x y</a>"),
    ],
)
def test_everything_else_counts(one: str, other: str) -> None:
    assert not same_sql(one, other)


@pytest.mark.parametrize(
    "text", ["'", "'a\\", "`a b", '"', "/* a", "--", "'a''b\\", "f'", "$", "\\", "\x00", "\U0001d4b3"]
)
def test_a_text_that_is_no_sql_is_the_same_as_itself_only(text: str) -> None:
    assert same_sql(text, text)
    assert not same_sql(text, f"{text}x")


def test_a_large_text_is_compared_in_no_time() -> None:
    large = "SELECT " + ", ".join(f"'{index}''\\'' AS c{index} -- x\n" for index in range(5000)) + "'" * 9999 + "\\"
    assert same_sql(large, f"{large}\n")


# ---- laws ---------------------------------------------------------------------------------------------------------

SPACE = st.text(" \t\r\n\v\f\xa0", min_size=1, max_size=3)
TOKENS = [
    *("SELECT", "a", "b1", "$x", "_", "12", "1e-5", ".5e3", "0x1F", "'a b'", "'it''s'", "'\\''", '"c  d"', "`e f`", "''"),
    *("+", "-", "*", "/", "%", "=", "==", "!=", "<>", "<=", ">=", "<", ">", "->", "::", "||", "?", "??", "?.", ".", ","),
    *("(", ")", "[", "]", "{", "}", "~", "=~", "!~", "=~*", "<=>", ":=", ":", "/* c  d */", "-- e  f\n", "// g\n", "# h\n"),
]  # fmt: skip


@st.composite
def spaced(draw: st.DrawFn, tokens: list[str]) -> str:
    """The tokens with white space of any kind between them."""
    return "".join(token + draw(SPACE) for token in tokens)


two_spellings = st.lists(st.sampled_from(TOKENS), max_size=12).flatmap(
    lambda tokens: st.tuples(spaced(tokens), spaced(tokens))
)


@pure
@given(two_spellings)
def test_any_two_spellings_of_the_same_tokens_are_the_same(texts: tuple[str, str]) -> None:
    assert same_sql(*texts)


@pure
@given(st.lists(st.sampled_from(TOKENS), max_size=8), st.lists(st.sampled_from(TOKENS), max_size=8))
def test_different_tokens_are_never_the_same(one: list[str], other: list[str]) -> None:
    assert same_sql(" ".join(one), " ".join(other)) == (one == other)


@pure
@given(st.text() | st.text("a1'\"`\\-/*#<>f{}.;:?!=~| \n\r", max_size=40))
def test_a_canonical_text_is_its_own_canonical_text(sql: str) -> None:
    assert canonical(canonical(sql)) == canonical(sql)


@pure
@given(st.text("a1'\"`\\-/*#<>f{}.;:?!=~| \n\r", max_size=40))
def test_only_white_space_and_the_end_are_ever_dropped(sql: str) -> None:
    def solid(text: str) -> str:
        return "".join(text.split()).rstrip(";")

    assert solid(canonical(sql)) == solid(sql)


@pure
@given(st.text("a '\"`-/*\n", max_size=30), st.text(max_size=5))
def test_sameness_goes_both_ways(one: str, other: str) -> None:
    assert same_sql(one, other) == same_sql(other, one)


# ---- PostHog's parser as the judge --------------------------------------------------------------------------------

QUERIES = [
    "SELECT event, count(*) AS c FROM events WHERE timestamp >= now() - INTERVAL 7 DAY GROUP BY event ORDER BY c DESC LIMIT 10",
    "SELECT properties.$browser, person.properties.email FROM events -- who\nWHERE event = '$pageview' AND a != b",
    "WITH x AS (SELECT 1.5e-3 AS n, .5 AS m) SELECT n ?? 0, m % 2, [1, 2][1], (1, 2).1 FROM x /* rows */ WHERE n <> -1",
    "SELECT arrayMap(x -> x * 2, [1, -2]), if(a = '' or b like 'it''s  %', \"odd name\", `other  name`) FROM t",
    "SELECT f'hello  {concat('a  b', c)}' AS greeting, a || '  ' || b FROM t SAMPLE 0.1",
    "SELECT a < b, a > b, a <= b, a =~ 'x', a !~* 'y', a ? b : c, NOT a FROM t WHERE {filters} AND x IN (1, 2)",
]


def _parser() -> ModuleType:
    """PostHog's parser, which imports its error classes from PostHog."""
    stubs = {name: ModuleType(name) for name in ("posthog", "posthog.hogql", "posthog.hogql.errors")}
    found = stubs["posthog.hogql.errors"]
    base = type("BaseHogQLError", (Exception,), {})
    for name in ("ExposedHogQLError", "InternalHogQLError", "SyntaxError", "ParsingError", "NotImplementedError"):
        setattr(found, name, type(name, (base,), {}))
    found.BaseHogQLError = base  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stubs.items():
            patch.setitem(sys.modules, name, module)
        try:
            return importlib.import_module("hogql_parser")
        except ImportError:
            pytest.skip("hogql-parser is not installed")


@pytest.fixture(scope="module")
def meaning() -> Callable[[str], Any]:
    """The syntax tree of a query without positions; None for a text that is no query."""
    parser = _parser()

    def placeless(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: placeless(item) for key, item in node.items() if key not in ("start", "end")}
        return [placeless(item) for item in node] if isinstance(node, list) else node

    @cache
    def parsed(sql: str) -> Any:
        tree = json.loads(parser.parse_select_json(sql))
        return None if "error" in tree else placeless(tree)

    return parsed


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:20])
def test_the_examples_are_queries(query: str, meaning: Callable[[str], Any]) -> None:
    assert meaning(query) is not None


@settings(max_examples=60, deadline=None, database=None)
@given(st.data())
def test_what_is_called_the_same_means_the_same_to_posthog(meaning: Callable[[str], Any], data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(QUERIES))
    at = data.draw(st.integers(0, len(query) - 1))
    put, cut = data.draw(st.sampled_from(["", " ", "\n", "\t ", "\r\n"])), data.draw(st.integers(0, 2))
    other = query[:at] + put + query[at + cut :]
    assume(same_sql(query, other))
    assert meaning(other) == meaning(query)
