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
        (source(connection={**CONNECTION, "password": "sentinel-password"}), "PostHog refused (400, "),
        (
            {"source_type": "Klaviyo", "connection": {"api_kee": "sentinel-password"}},
            "connection.api_key: is required for a source of type Klaviyo",
        ),
    ],
    ids=["table", "cursor", "password", "field"],
)
@pytest.mark.feature(15, 17, 50)
def test_mistakes_are_told_before_anything_is_made(
    things: Things, posthog: PostHog, declared: dict[str, Any], told: str
) -> None:
    found = problems(things, declared)
    assert any(text.startswith(told) for text in found), found
    assert "sentinel-password" not in str(found)
    assert posthog.objects("external_data_sources") == []


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
