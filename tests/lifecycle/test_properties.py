"""For everything that a check accepts: what was made is what was asked for, and any way there and back is possible."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.posthog import PostHog

from .conftest import Thing, Things, is_known
from .test_external_data_source import CONNECTION

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
words = texts.filter(lambda text: bool(text.strip()))
names = (
    words
    | st.text("äß Größe ", min_size=1).map(lambda text: f"N{text}")
    | st.integers(1, 400).map(lambda size: "n" * size)
)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
extras = st.sampled_from([{}, {"created_at_hint": None}, {"of_tomorrow": {"deep": [1, "x"]}}])
items = words | st.integers(-1000, 1000) | st.booleans() | st.sampled_from([1.5, -0.25])


def _variable(kind: str, default: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"name": names, "type": st.just(kind)}, optional={"default_value": default})


list_variables = st.fixed_dictionaries(
    {"name": names, "type": st.just("List")},
    optional={
        "values": st.lists(items, max_size=4),
        "default_value": items,
        "values_query": st.sampled_from(["", " ", "SELECT 1", " SELECT 1\n"]),
        "values_query_connection_id": st.sampled_from(["", "01a221cd-4912-7de6-ae3b-f30939c94d2a"]),
        "extra": extras,
    },
)
multi_variables = st.fixed_dictionaries(
    {"name": names, "type": st.just("List"), "is_multi": st.just(True)},
    optional={"values": st.lists(items, max_size=4), "default_value": st.lists(items, max_size=3)},
)
variables = st.one_of(
    _variable("String", texts),
    _variable("Date", st.just("2026-01-31")),
    _variable("Number", numbers),
    _variable("Boolean", st.booleans()),
    list_variables,
    multi_variables,
)

frequencies = st.sampled_from(["never", "15min", "1hour", "24hour", "30day"])
sql = st.builds(
    lambda before, text, after: f"{before}{text}{after}",
    st.sampled_from(["", "\n  ", "-- a remark\n", "/* one; two */ "]),
    st.sampled_from(
        [
            "SELECT 1 AS one",
            "SELECT distinct_id\tAS d\r\nFROM events",
            "SELECT 'a  b;' AS text, \"distinct_id\" AS `d d` FROM events",
            "WITH base AS (SELECT 1 AS one) SELECT one FROM base",
        ]
    ),
    st.sampled_from(["", ";", " ;\n", "\n-- the end", "\n-- the end\n"]),
)
increments = st.fixed_dictionaries(
    {
        "incremental_key": st.just("one"),
        "unique_key": st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=2, unique=True),
    },
    optional={
        "enabled": st.booleans(),
        "lookback_seconds": st.integers(0, 10**6),
    },
)
views = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["people", " people ", "$p.people_2", "p" * 128]),
        "query": sql,
    },
    optional={
        "description": texts,
        "soft_update": st.booleans(),
        "is_test": st.just(False),
        "incremental": increments,
        "extra": extras,
        "folder": st.sampled_from(["Marts", " Staging "]),
        "sync_frequency": frequencies,
        "materialized": st.just(True),
    },
)

tables = st.fixed_dictionaries(
    {},
    optional={
        "should_sync": st.booleans(),
        "sync_frequency": st.sampled_from(["5min", "6hour", "30day"]),
        "sync_time_of_day": st.sampled_from(["00:00", "23:59:59"]),
        "enabled_columns": st.sampled_from([[], ["id"]]),
    },
)
cursors = st.fixed_dictionaries(
    {
        "sync_type": st.sampled_from(["incremental", "append"]),
        "incremental_field": st.just("id"),
        "incremental_field_type": st.just("integer"),
    },
    optional={"incremental_field_lookback_seconds": st.integers(0, 5_184_000)},
)
sources = st.fixed_dictionaries(
    {
        "source_type": st.just("Postgres"),
        "connection": st.just(CONNECTION),
        "schemas": st.dictionaries(st.sampled_from(["orders", "users", "customers"]), tables | cursors, min_size=1),
    },
    optional={
        "description": texts,
        "direct_query_enabled": st.booleans(),
        "new_tables": st.sampled_from(["sync", "report"]),
    },
)


VERSIONS = ["N", "M", "S"]


@pytest.fixture(params=VERSIONS, autouse=True)
def version(request: pytest.FixtureRequest, posthog: PostHog) -> str:
    """Each version of PostHog in turn: today's, that of the middle of 2026, and that of its spring."""
    posthog.control("POST", "version", {"posthog_version": request.param})
    return str(request.param)


def _there_and_back(things: Things, posthog: PostHog, kind: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    thing: Thing = things(kind)
    if thing.check(first).problems or thing.check(second).problems:
        return
    if not is_known(lambda: thing.create(first)):
        assert posthog.objects(thing.declaration.collection) == []
        return
    try:
        thing.assert_settled(first)
        if thing.diff(second).changes and not is_known(lambda: thing.update(second)):
            return
        thing.assert_settled(second)
    finally:
        thing.delete()


@pytest.mark.fault(30, 56)
@pytest.mark.feature(2, 30, 32)
@FEW
@given(first=variables, second=variables)
def test_variables(things: Things, posthog: PostHog, first: dict[str, Any], second: dict[str, Any]) -> None:
    _there_and_back(things, posthog, "InsightVariable", first, second)


@pytest.mark.fault(30, 56)
@FEW
@given(first=views, second=views)
def test_views(things: Things, posthog: PostHog, first: dict[str, Any], second: dict[str, Any]) -> None:
    _there_and_back(things, posthog, "SavedQuery", first, second)


@pytest.mark.fault(30)
@FEW
@given(first=sources, second=sources)
def test_sources(things: Things, posthog: PostHog, first: dict[str, Any], second: dict[str, Any]) -> None:
    _there_and_back(things, posthog, "ExternalDataSource", first, second)
