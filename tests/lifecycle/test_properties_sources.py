"""Any two sources that a check accepts: what was made is what was asked for, and one becomes the other in place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.posthog import PostHog

from .conftest import Things, is_known
from .test_external_data_source import CONNECTION, CURSOR

FEW = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking takes minutes of requests, and the values are small already
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TUNNELS = [
    {"host": "ssh.local", "auth": {"selection": "password", "username": "u", "password": "p"}},
    {
        "host": "ssh.local",
        "port": 2222,
        "auth": {"selection": "keypair", "username": "u", "private_key": "k", "passphrase": "s"},
        "require_tls": {"enabled": False},
    },
    {"enabled": False, "host": "ssh.local", "auth": {"selection": "keypair", "username": "u"}},
]

times = st.sampled_from(["00:00", "23:59:59"])
common = {
    "should_sync": st.booleans(),
    "sync_frequency": st.sampled_from(["5min", "6hour", "7day", "30day"]),
    "sync_time_of_day": times,
    "full_refresh_interval_days": st.sampled_from([1, 90]),
    "full_refresh_time_of_day": times,
    "enabled_columns": st.sampled_from([[], ["id"]]),  # what every table has
}
filters = st.lists(
    st.sampled_from([{"column": "id", "operator": ">", "value": 5}, {"column": "id", "operator": "=", "value": 7}]),
    min_size=1,
    max_size=2,
    unique_by=str,
)
plain = st.fixed_dictionaries({}, optional={**common, "row_filters": filters})
cursors = st.fixed_dictionaries(
    {
        **{name: st.just(value) for name, value in CURSOR.items()},
        "sync_type": st.sampled_from(["incremental", "append"]),
    },
    optional={**common, "row_filters": filters, "incremental_field_lookback_seconds": st.sampled_from([0, 5_184_000])},
)
captured = st.fixed_dictionaries(
    {"sync_type": st.just("cdc")},
    optional={**common, "cdc_table_mode": st.sampled_from(["consolidated", "cdc_only", "both"])},
)
cdc = st.fixed_dictionaries(
    {},
    optional={
        "management_mode": st.sampled_from(["posthog", "self_managed"]),
        "slot_name": st.sampled_from(["one", "two"]),
        "auto_drop_slot": st.booleans(),
        "lag_warning_threshold_mb": st.sampled_from([10, 20]),
        "lag_critical_threshold_mb": st.sampled_from([30, 40]),
    },
)
connections = st.fixed_dictionaries(
    {name: st.just(value) for name, value in CONNECTION.items() if name != "user"}
    | {"user": st.sampled_from(["reader", "writer"])},
    optional={"ssh_tunnel": st.sampled_from(TUNNELS), "connection_string": st.just("postgres://sentinel")},
)
named = st.sampled_from(["orders", "users", "customers"])
shared = {
    "description": st.sampled_from(["", " padded ", "Ünïcode"]),
    "direct_query_enabled": st.booleans(),
    "revenue_analytics_config": st.sampled_from([{"enabled": True}, {"include_invoiceless_charges": True}]),
    "triggers": st.sampled_from([{"release": 1}, {"release": 2}]),
}
policies = st.sampled_from(
    [
        {},
        {"new_tables": "report"},
        {"new_tables": "sync"},
        {"new_tables": "sync", "auto_sync_schema_patterns": ["public.*", "o*"]},
    ]
)
fixed = {"source_type": st.just("Postgres"), "connection": connections, "prefix": st.just("shop_")}
without_cdc = st.fixed_dictionaries(
    {**fixed, "schemas": st.dictionaries(named, plain | cursors, min_size=1)}, optional=shared
)
with_cdc = st.fixed_dictionaries(
    {**fixed, "schemas": st.dictionaries(named, plain | cursors | captured, min_size=1), "cdc": cdc}, optional=shared
)
sources = st.builds(lambda one, policy: {**one, **policy}, without_cdc | with_cdc, policies)


@pytest.fixture(params=["N", "M", "S"], autouse=True)
def version(request: pytest.FixtureRequest, posthog: PostHog) -> str:
    """Each version of PostHog in turn, with a database that takes any login and can capture."""
    (first, *_) = posthog.control("GET", "vendors")
    vendor = {"source_type": "Postgres", "match": {}, "tables": first["tables"], "cdc": {"wal_level": "logical"}}
    posthog.control("PUT", "vendors", [vendor])
    posthog.control("POST", "version", {"posthog_version": request.param})
    return str(request.param)


@pytest.mark.feature(11, 12, 13, 18, 26, 30)
@FEW
@given(first=sources, second=sources)
def test_there_and_back(
    things: Things, posthog: PostHog, version: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    thing = things("ExternalDataSource")
    if thing.check(first).problems or thing.check(second).problems:
        return
    made: list[Any] = []
    if not is_known(lambda: made.append(thing.create(first))):
        assert version != "N"
        assert posthog.objects("external_data_sources") == []
        return
    assert (made[0].problem, made[0].messages) == (None, [])
    try:
        thing.assert_settled(first)
        if thing.diff(second).changes and not is_known(lambda: made.append(thing.update(second))):
            assert version != "N"
            return
        # Under this policy an update names the tables that are not declared; nothing else is worth a word.
        reported = [message for message in made[-1].messages if "does not name: " in message.text]
        assert made[-1].messages == (reported if second.get("new_tables") == "report" else [])
        thing.assert_settled(second)
        assert posthog.one("external_data_sources")["id"] == thing.id
    finally:
        thing.delete()
