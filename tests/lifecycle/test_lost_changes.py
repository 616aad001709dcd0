"""Changes whose request or answer is lost: they are carried out nevertheless, also where PostHog does not show it."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_posthog_provider import errors
from support.posthog import PostHog

from .conftest import Thing, Things
from .test_external_data_source import CONNECTION, source, writes

VIEW = {"name": "people", "query": "SELECT distinct_id AS person FROM events"}
STREAMED = {"orders": {"sync_type": "cdc"}}
SLOT = {"management_mode": "posthog", "slot_name": "first", "publication_name": "shop"}
ROTATED = "rotated-password"
DAG = "01a221cd-4912-7de6-ae3b-f30939c94d2a"

CHANGES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, str]] = {
    "a password": (
        "ExternalDataSource",
        source(),
        source(connection={**CONNECTION, "password": ROTATED}),
        "PATCH",
        "external_data_sources/*",
    ),
    "a reload": (
        "ExternalDataSource",
        source(triggers={"on": "monday"}),
        source(triggers={"on": "tuesday"}),
        "POST",
        "external_data_sources/*/reload",
    ),
    "a resync": (
        "ExternalDataSource",
        source(schemas={"orders": {"triggers": {"on": "monday"}}}),
        source(schemas={"orders": {"triggers": {"on": "tuesday"}}}),
        "POST",
        "external_data_schemas/*/resync",
    ),
    "a DAG": ("SavedQuery", VIEW, {**VIEW, "dag_id": DAG}, "PATCH", "warehouse_saved_queries/*"),
}


def lose(posthog: PostHog, method: str, path: str, at: str) -> None:
    posthog.control("DELETE", "requests")
    posthog.control("PUT", "faults", [{"match": {"method": method, "path": path}, "at": at, "do": "reset"}])


@pytest.mark.fault(4, 6, 31)
@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_posthog_does_not_show_is_sent_again(things: Things, posthog: PostHog, change: str, at: str) -> None:
    kind, first, second, method, path = CHANGES[change]
    posthog.control("POST", "version", {"posthog_version": "M" if kind == "SavedQuery" else "N"})  # M takes any DAG
    thing = things(kind)
    thing.create(first)
    if change == "a password":
        vendors = posthog.control("GET", "vendors")
        rotated = [{**vendor, "credentials": {**vendor["credentials"], "password": ROTATED}} for vendor in vendors]
        posthog.control("PUT", "vendors", rotated)
    lose(posthog, method, path, at)
    thing.update(second)
    assert [item["method"] for item in writes(posthog)] == [method, method]
    assert writes(posthog)[-1]["status"] in (200, 202, 204)
    thing.assert_settled(second)


@pytest.mark.fault(4, 6)
@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("step", ["disable_cdc", "enable_cdc", "bulk_update_schemas", "update_cdc_settings"])
def test_the_tables_of_a_new_cdc_slot_stream_again(things: Things, posthog: PostHog, step: str, at: str) -> None:
    vendors = posthog.control("GET", "vendors")
    posthog.control(
        "PUT", "vendors", [{**vendor, "cdc": {"version": 16, "wal_level": "logical"}} for vendor in vendors]
    )
    thing: Thing = things("ExternalDataSource")
    thing.create(source(schemas=STREAMED, cdc=SLOT))
    change = {"lag_warning_threshold_mb": 77} if step == "update_cdc_settings" else {"slot_name": "second"}
    changed = source(schemas=STREAMED, cdc={**SLOT, **change})
    lose(posthog, "PATCH" if step == "bulk_update_schemas" else "POST", f"external_data_sources/*/{step}", at)
    thing.update(changed)
    thing.assert_settled(changed)
    rows = {row["name"]: row for row in posthog.one("external_data_sources")["schemas"]}
    assert (rows["orders"]["sync_type"], rows["orders"]["should_sync"]) == ("cdc", True)


@pytest.mark.fault(46, 57)
def test_what_a_vendor_repeats_of_a_secret_is_neither_stored_nor_told(things: Things, posthog: PostHog) -> None:
    posthog.control(
        "PUT",
        "vendors",
        [{"source_type": "Stripe", "match": {}, "credentials": {"auth_method.stripe_secret_key": "sk_sentinel"}}],
    )
    said = {"success": False, "error": "wrong whsec_sentinel for sk_sentinel"}
    rule = {
        "match": {"method": "POST", "path": "external_data_sources/*/create_webhook"},
        "do": "status",
        "status": 200,
    }
    posthog.control("PUT", "faults", [{**rule, "at": "before", "json": said}])
    made = things("ExternalDataSource").create(
        {
            "source_type": "Stripe",
            "connection": {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_sentinel"}},
            "schemas": {"Customer": {"sync_type": "full_refresh"}},
            "webhook_inputs": {"signing_secret": "whsec_sentinel"},
        }
    )
    assert isinstance(made.problem, errors.Incomplete)
    told = [str(made.outputs["unfinished"]), str(made.problem), *map(str, made.messages)]
    assert ["the vendor refused the webhook: wrong [secret] for [secret]" in text for text in told] == [True] * 3
    assert "sentinel" not in "".join(told)


@pytest.mark.fault(27)
def test_what_somebody_changes_at_the_same_moment_is_not_overwritten(
    things: Things, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = things("InsightVariable")
    first = {"name": "Region", "type": "Number", "default_value": 1}
    thing.create(first)
    fetch = type(thing.declaration).fetch

    def overtaken(*args: Any) -> Any:
        posthog.call("PATCH", f"insight_variables/{thing.id}/", {"default_value": 77}, key="phx_colleague")
        return fetch(*args)

    monkeypatch.setattr(type(thing.declaration), "fetch", overtaken)
    lose(posthog, "PATCH", "insight_variables/*", "before")
    with pytest.raises(errors.Changed, match="`default_value` was changed in PostHog at the same moment"):
        thing.update({**first, "default_value": 2})
    assert posthog.one("insight_variables")["default_value"] == 77
