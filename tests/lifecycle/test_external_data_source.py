"""What sources can do beyond the plain lifecycle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulumi_posthog_provider import errors
from support.posthog import PostHog

from .conftest import Things

CONNECTION = {
    "host": "postgres.local",
    "port": 5432,
    "database": "shop",
    "user": "posthog",
    "password": "local-password",
    "schema": "public",
}
CURSOR = {"sync_type": "incremental", "incremental_field": "id", "incremental_field_type": "integer"}


def source(**more: Any) -> dict[str, Any]:
    return {"source_type": "Postgres", "connection": CONNECTION, "schemas": {"orders": {}}, **more}


def table(posthog: PostHog, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in posthog.one("external_data_sources")["schemas"] if row["name"] == name)
    return found


def writes(posthog: PostHog) -> list[dict[str, Any]]:
    return [item for item in posthog.control("GET", "requests")["requests"] if item["method"] != "GET"]


@pytest.mark.parametrize(
    "declared",
    [
        source(),
        source(prefix="shop_"),
        source(prefix=""),
        source(description=" padded "),
        source(direct_query_enabled=True),
        source(new_tables="sync", auto_sync_schema_patterns=["public.*"]),
        source(new_tables="report"),
        source(schemas=None),
        source(schemas={"orders": CURSOR, "customers": {"should_sync": False}}),
        source(schemas={"orders": {**CURSOR, "incremental_field_lookback_seconds": 3600, "sync_frequency": "30day"}}),
        source(schemas={"orders": {"enabled_columns": ["total", "id"]}, "users": {"enabled_columns": []}}),
        source(schemas={"orders": {"sync_time_of_day": "03:30"}}),
        source(schemas={"orders": {**CURSOR, "sync_type": "append"}}),
        source(schemas={"orders": {**CURSOR, "primary_key_columns": ["id"]}}),
        source(triggers={"a": 1}),
        source(connection={**CONNECTION, "port": "5432"}) | {"source_type": "Postgres"},
        source(access_method="direct", prefix="The shop", schemas={"orders": {}}),
    ],
    ids=lambda declared: json.dumps({key: value for key, value in declared.items() if key != "connection"}),
)
def test_what_was_made_is_what_was_asked_for(things: Things, declared: dict[str, Any]) -> None:
    thing = things("ExternalDataSource")
    if declared["connection"].get("port") == "5432":
        problems = [str(problem) for problem in thing.check(declared).problems]
        assert problems == ["connection.port: must be a whole number, not text"]
        return
    assert thing.create(declared).messages == []
    assert thing.diff(declared).changes == []
    thing.refresh()
    assert thing.diff(declared).changes == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"schemas": {"orders": {}}}, {"schemas": {"orders": CURSOR}}),
        ({"schemas": {"orders": CURSOR}}, {"schemas": {"orders": {}}}),
        ({"schemas": {"orders": {}}}, {"schemas": {"orders": {}, "users": CURSOR}}),
        ({"schemas": {"orders": {}, "users": {}}}, {"schemas": {"users": {}}}),
        ({"schemas": {"orders": {"sync_frequency": "1hour"}}}, {"schemas": {"orders": {}}}),
        ({"schemas": {"orders": {"enabled_columns": ["id"]}}}, {"schemas": {"orders": {}}}),
        ({"schemas": {"orders": {"enabled_columns": ["id"]}}}, {"schemas": {"orders": {"enabled_columns": []}}}),
        ({"schemas": {"orders": {"should_sync": False}}}, {"schemas": {"orders": {}}}),
        ({"new_tables": "ignore"}, {"new_tables": "sync"}),
        ({"new_tables": "sync"}, {}),
        ({"direct_query_enabled": True}, {}),
        ({"description": "x"}, {}),
        ({}, {"connection": {**CONNECTION, "host": "replica.local"}}),
    ],
    ids=str,
)
def test_every_change_is_made_in_place_and_is_empty_afterwards(
    things: Things, posthog: PostHog, first: dict[str, Any], second: dict[str, Any]
) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(**first))
    difference = thing.diff(source(**second))
    assert difference.changes
    assert difference.replaces == []
    thing.update(source(**second))
    assert thing.diff(source(**second)).changes == []
    thing.refresh()
    assert thing.diff(source(**second)).changes == []
    assert posthog.one("external_data_sources")["id"] == thing.id


@pytest.mark.feature(7)
def test_a_table_that_is_no_longer_named_stops_syncing_and_keeps_its_data(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": {}, "users": {}}))
    rows_before = table(posthog, "users")["table"]
    thing.update(source(schemas={"orders": {}}))
    after = table(posthog, "users")
    assert after["should_sync"] is False
    assert after["table"] == rows_before


@pytest.mark.feature(7)
def test_without_the_argument_no_table_is_synced_or_managed(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": {}, "users": {}}))
    rows_before = [table(posthog, name)["table"] for name in ("orders", "users")]
    declared = source()
    del declared["schemas"]
    thing.update(declared)
    after = [table(posthog, name) for name in ("orders", "users")]
    assert [row["should_sync"] for row in after] == [False, False]
    assert [row["table"] for row in after] == rows_before
    posthog.call("PATCH", f"external_data_schemas/{after[1]['id']}/", {"should_sync": True})
    thing.refresh()
    assert thing.diff(declared).changes == []


@pytest.mark.feature(7, 16)
def test_any_number_of_tables_is_one_request(things: Things, posthog: PostHog) -> None:
    names = ["customers", "orders", "products", "users"]
    thing = things("ExternalDataSource")
    thing.create(source(schemas={name: {} for name in names}))
    posthog.control("DELETE", "requests")
    thing.update(source(schemas={name: {"sync_frequency": "1hour"} for name in names}))
    (request,) = posthog.control("GET", "requests")["requests"]
    assert request["path"].rstrip("/").endswith("/bulk_update_schemas")


@pytest.mark.feature(9)
def test_tables_that_are_not_named_are_left_alone(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    posthog.call("POST", f"external_data_sources/{thing.id}/refresh_schemas/")
    users = table(posthog, "users")
    posthog.call("PATCH", f"external_data_schemas/{users['id']}/", {"should_sync": True, "sync_type": "full_refresh"})
    thing.refresh()
    assert thing.diff(source()).changes == []
    thing.update(source(description="x"))
    assert table(posthog, "users")["should_sync"] is True


@pytest.mark.feature(10)
def test_a_discovered_table_is_reported_when_asked_for(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(new_tables="report"))
    posthog.call("POST", f"external_data_sources/{thing.id}/refresh_schemas/")
    live = thing.refresh()
    assert live is not None
    (message,) = live.messages
    assert "tables that `schemas` does not name: customers, products, users" in message.text
    assert thing.diff(source(new_tables="report")).changes == []


@pytest.mark.feature(15)
def test_a_table_that_the_source_does_not_have_is_named_with_its_neighbour(things: Things) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    with pytest.raises(errors.Invalid, match=r'schemas\["user"\]`: the source has no such table; did you mean users'):
        thing.update(source(schemas={"orders": {}, "user": {}}))


@pytest.mark.feature(27)
def test_a_host_changed_in_posthog_is_seen(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    body = {"job_inputs": {"host": "replica.local", "password": "local-password"}}
    posthog.call("PATCH", f"external_data_sources/{thing.id}/", body)
    thing.refresh()
    assert thing.inputs["connection"] == {**CONNECTION, "host": "replica.local"}
    (change,) = thing.diff(source()).changes
    assert change.path == ("connection",)


@pytest.mark.fault(31)
@pytest.mark.feature(28)
def test_secrets_are_sent_only_when_the_connection_changes(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    posthog.control("DELETE", "requests")
    thing.update(source(description="x", schemas={"orders": {"sync_frequency": "1hour"}}))
    assert "local-password" not in json.dumps(writes(posthog))
    posthog.control("DELETE", "requests")
    thing.update(source(description="x", connection={**CONNECTION, "host": "replica.local"}))
    assert "replica.local" in json.dumps(writes(posthog))


@pytest.mark.feature(25)
def test_a_new_password_is_one_patch(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    vendors = posthog.control("GET", "vendors")
    for vendor in vendors:
        vendor["credentials"]["password"] = "rotated"
    posthog.control("PUT", "vendors", vendors)
    posthog.control("DELETE", "requests")
    rotated = source(connection={**CONNECTION, "password": "rotated"})
    thing.update(rotated)
    assert [item["method"] for item in writes(posthog)] == ["PATCH"]
    assert thing.diff(rotated).changes == []


@pytest.mark.fault(29, 46)
@pytest.mark.feature(45)
def test_a_refused_password_is_told_in_posthogs_words_and_not_repeated(things: Things, posthog: PostHog) -> None:
    with pytest.raises(errors.Invalid) as caught:
        things("ExternalDataSource").create(source(connection={**CONNECTION, "password": "sentinel-password"}))
    assert "ExternalDataSource Postgres was not created" in str(caught.value)
    assert "sentinel-password" not in str(caught.value)
    assert posthog.objects("external_data_sources") == []


@pytest.mark.feature(22)
def test_a_changed_trigger_syncs_anew_and_nothing_else(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(triggers={"release": 1}))
    posthog.control("DELETE", "requests")
    thing.update(source(triggers={"release": 2}))
    assert [item["path"].rstrip("/").split("/")[-1] for item in writes(posthog)] == ["reload"]


@pytest.mark.feature(22)
def test_a_changed_trigger_of_a_table_syncs_that_table_anew(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": {"triggers": {"v": 1}}, "users": {}}))
    posthog.control("DELETE", "requests")
    thing.update(source(schemas={"orders": {"triggers": {"v": 2}}, "users": {}}))
    (request,) = writes(posthog)
    assert request["path"].rstrip("/").endswith(f"external_data_schemas/{table(posthog, 'orders')['id']}/resync")


@pytest.mark.feature(21)
def test_a_new_source_can_wait_for_its_first_sync(things: Things, posthog: PostHog) -> None:
    posthog.control("POST", "clock", {"sync_seconds": 0})
    thing = things("ExternalDataSource")
    thing.create(source(wait_for_first_sync=60))
    assert thing.outputs["status"] == "Completed"
    orders = thing.outputs["tables"]["orders"]
    assert (orders["name"], orders["status"]) == ("postgres_orders", "Completed")
    assert orders["row_count"] == table(posthog, "orders")["table"]["row_count"] > 0


@pytest.mark.feature(52)
def test_a_source_is_never_replaced_unless_that_is_allowed(things: Things) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(prefix="a_"))
    (problem,) = thing.check(source(prefix="b_")).problems
    assert problem.path == "prefix"
    allowed = source(prefix="b_", allow_replace=True)
    assert thing.diff(allowed).replaces == ["prefix"]
    assert thing.diff(source(prefix="a_", allow_replace=True)).changes == []


@pytest.mark.fault(43)
@pytest.mark.feature(53)
def test_the_old_source_goes_first_when_the_new_one_needs_its_name(things: Things) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(prefix="shop_"))
    asked_for = source(prefix="shop_", description="The user's `replace_on_changes` may be about this.")
    assert thing.diff(asked_for).delete_before_replace is True
    assert thing.diff(source(prefix="other_", allow_replace=True)).delete_before_replace is False
    # A direct source does not use the prefix of a synced one up.
    direct = source(prefix="shop_", access_method="direct", schemas=None, allow_replace=True)
    assert thing.diff(direct).delete_before_replace is False


def test_a_source_whose_tables_could_not_be_set_is_kept_and_finished_later(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    wrong = source(schemas={"orders": {"sync_frequency": "1hour", "cdc_table_mode": "both"}})
    original = thing.session.transport.request

    def failing(method: str, path: tuple[str, ...], **more: Any) -> Any:
        if path[-1] == "bulk_update_schemas":
            raise errors.Unavailable("PostHog is unavailable (503)")
        return original(method, path, **more)

    thing.session.transport.request = failing  # type: ignore[method-assign]
    made = thing.create(wrong)
    assert isinstance(made.problem, errors.Incomplete)
    assert made.messages[-1].severity == "warning"
    assert "The next `pulumi up` finishes it" in made.messages[-1].text
    assert thing.diff(wrong).unfinished is True

    thing.session.transport.request = original  # type: ignore[method-assign]
    thing.update(wrong)
    assert thing.diff(wrong).unfinished is False
    assert table(posthog, "orders")["sync_frequency"] == "1hour"
    thing.refresh()
    assert thing.diff(wrong).changes == []
