"""What a preview asks PostHog about sources when `posthog:validate` is `live`."""

from __future__ import annotations

from typing import Any

import pytest

from support.posthog import PostHog

from .conftest import Things
from .test_external_data_source import CONNECTION, CURSOR, source


def problems(things: Things, declared: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in things("ExternalDataSource", validate="live").check(declared).problems]


def test_a_right_source_has_no_problem(things: Things) -> None:
    assert problems(things, source(prefix="shop_", schemas={"orders": CURSOR})) == []


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (source(schemas={"order": {}}), 'schemas["order"]: the source has no such table; did you mean orders?'),
        (
            source(schemas={"orders": {**CURSOR, "incremental_field": "idd"}}),
            'schemas["orders"].incremental_field: is no column to sync incrementally on; did you mean id?',
        ),
        (
            source(connection={**CONNECTION, "password": "sentinel-password"}),
            "connection: PostHog refused (400, ",
        ),
        (
            source(schemas={"orders": {"sync_type": "xmin"}}),
            'schemas["orders"].sync_type: cannot be "xmin" for this table',
        ),
        (
            source(schemas={"orders": {"sync_type": "webhook"}}, webhook_inputs={}),
            'schemas["orders"].sync_type: cannot be "webhook" for this table',
        ),
        (
            source(schemas={"orders": {"enabled_columns": ["id", "totl"]}}),
            'schemas["orders"].enabled_columns[1]: is no column of the table; did you mean total?',
        ),
        (
            source(schemas={"orders": {**CURSOR, "primary_key_columns": ["key"]}}),
            'schemas["orders"].primary_key_columns[0]: is no column of the table',
        ),
        (
            source(schemas={"orders": {"row_filters": [{"column": "totals", "operator": ">", "value": 1}]}}),
            'schemas["orders"].row_filters[0].column: is no column of the table; did you mean total?',
        ),
        (
            {"source_type": "Klaviyo", "connection": {}},
            "connection.api_key: is required for a source of type Klaviyo",
        ),
        ({"source_type": "Klavio", "connection": {"api_key": "x"}}, "source_type: PostHog has no source of this type"),
        (
            {"source_type": "Klaviyo", "connection": {"api_key": "k", "api_kee": "sentinel-password"}},
            "connection.api_kee: is no field of a source of type Klaviyo; did you mean api_key?",
        ),
    ],
    ids=["table", "cursor", "password", "xmin", "webhook", "column", "key", "filter", "required", "type", "field"],
)
@pytest.mark.feature(15, 17, 50)
def test_mistakes_are_told_before_anything_is_made(
    things: Things, posthog: PostHog, declared: dict[str, Any], told: str
) -> None:
    (found,) = problems(things, declared)
    assert found.startswith(told)
    assert "sentinel-password" not in found
    assert posthog.objects("external_data_sources") == []


def test_a_table_that_comes_by_webhook_only_is_synced_in_no_other_way(things: Things, posthog: PostHog) -> None:
    vendors = posthog.control("GET", "vendors")
    tables = [{**table, "webhook_only": table["name"] == "orders"} for table in vendors[0]["tables"]]
    posthog.control("PUT", "vendors", [{**vendor, "tables": tables} for vendor in vendors])
    (told,) = problems(things, source(schemas={"orders": {"sync_type": "full_refresh"}}))
    assert told.startswith('schemas["orders"].sync_type: must be "webhook": ')
    assert problems(things, source(schemas={"orders": {"sync_type": "full_refresh", "should_sync": False}})) == []


def test_an_unchanged_source_is_not_asked_about(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource", validate="live")
    thing.create(source())
    posthog.control("DELETE", "requests")
    assert thing.check(source()).problems == []
    assert posthog.control("GET", "requests")["requests"] == []


def test_what_could_not_be_asked_is_one_warning(things: Things) -> None:
    checked = things("ExternalDataSource", validate="live", key="phx_reader").check(source())
    assert checked.problems == []
    (message,) = [item for item in checked.messages if "not checked in this preview" in item.text]
    assert message.severity == "warning"
    assert "connection and tables (PostHog refused the key" in message.text


@pytest.mark.feature(17, 50)
def test_nested_and_flat_spellings_of_a_mapping_are_both_right(things: Things, posthog: PostHog) -> None:
    posthog.control("PUT", "vendors", [{"source_type": "ServiceNow", "match": {}}])
    nested = {
        "instance_url": "https://a.local",
        "auth_method": {"selection": "basic", "username": "u", "password": "p"},
    }
    flat = {"instance_url": "https://a.local", "auth_method_selection": "basic", "username": "u", "password": "p"}
    assert problems(things, {"source_type": "ServiceNow", "connection": nested}) == []
    wrong = {"source_type": "ServiceNow", "connection": {**flat, "usernam": "u"}}
    (told,) = problems(things, wrong)
    assert told == "connection.usernam: is no field of a source of type ServiceNow"


@pytest.mark.feature(14)
def test_capture_is_asked_about_when_it_is_turned_on_and_not_when_a_threshold_changes(
    things: Things, posthog: PostHog
) -> None:
    vendors = posthog.control("GET", "vendors")
    posthog.control("PUT", "vendors", [{**vendor, "cdc": {"wal_level": "replica"}} for vendor in vendors])
    captured = source(schemas={"orders": {"sync_type": "cdc"}}, cdc={})
    (told,) = problems(things, captured)
    assert told.startswith("cdc: wal_level must be set to 'logical' (currently 'replica')")
    posthog.control("PUT", "vendors", [{**vendor, "cdc": {"wal_level": "logical"}} for vendor in vendors])
    thing = things("ExternalDataSource", validate="live")
    thing.create(captured)
    posthog.control("DELETE", "requests")
    assert thing.check({**captured, "cdc": {"auto_drop_slot": False}}).problems == []
    assert posthog.control("GET", "requests")["requests"] == []


def test_a_view_has_not_the_name_of_a_synced_table(things: Things, posthog: PostHog) -> None:
    things("ExternalDataSource").create(source(wait_for_first_sync=30))
    view = things("SavedQuery", validate="live")
    declared = {"name": "postgres_orders", "query": "SELECT 1 AS one"}
    assert [str(problem) for problem in view.check(declared).problems] == [
        "name: is that of a synced table of a source"
    ]
    assert view.check({**declared, "name": "postgres_orders_daily"}).problems == []
