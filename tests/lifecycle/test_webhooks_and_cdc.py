"""Webhooks and change data capture of sources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulumi_posthog_provider import errors
from support.posthog import PostHog

from .conftest import Things
from .test_external_data_source import source, writes

STRIPE = {
    "source_type": "Stripe",
    "connection": {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_test_local"}},
}
CDC = {"schemas": {"orders": {"sync_type": "cdc"}}, "cdc": {"management_mode": "posthog"}}


@pytest.fixture
def vendors(posthog: PostHog) -> None:
    """A Stripe that takes one key, and a Postgres that can do change data capture."""
    vendors = posthog.control("GET", "vendors")
    for vendor in vendors:
        vendor["cdc"] = {"version": 16, "wal_level": "logical"}
    stripe = {
        "source_type": "Stripe",
        "match": {},
        "credentials": {"auth_method.stripe_secret_key": "sk_test_local"},
    }
    posthog.control("PUT", "vendors", [*vendors, stripe])


def stripe(**more: Any) -> dict[str, Any]:
    return {**STRIPE, "schemas": {"Customer": {"sync_type": "full_refresh"}}, **more}


@pytest.mark.feature(14)
@pytest.mark.usefixtures("vendors")
class TestWebhooks:
    def test_a_webhook_is_made_with_its_inputs_and_deleted_without(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        declared = stripe(webhook_inputs={"signing_secret": "whsec_sentinel"})
        assert thing.create(declared).messages == []
        assert thing.outputs["webhook_info"]["exists"] is True
        assert thing.diff(declared).changes == []
        thing.refresh()
        assert thing.diff(declared).changes == []
        thing.update(stripe())
        assert posthog.call("GET", f"external_data_sources/{thing.id}/webhook_info/")["exists"] is False

    def test_a_changed_input_is_sent_alone(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        thing.create(stripe(webhook_inputs={"signing_secret": "whsec_one"}))
        posthog.control("DELETE", "requests")
        changed = stripe(webhook_inputs={"signing_secret": "whsec_two"})
        thing.update(changed)
        (request,) = writes(posthog)
        assert request["path"].rstrip("/").endswith("/update_webhook_inputs")
        assert thing.diff(changed).changes == []

    def test_a_webhook_deleted_in_posthog_is_seen_and_made_again(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        declared = stripe(webhook_inputs={"signing_secret": "whsec_one"})
        thing.create(declared)
        posthog.call("POST", f"external_data_sources/{thing.id}/delete_webhook/")
        thing.refresh()
        (change,) = thing.diff(declared).changes
        assert change.path == ("webhook_inputs",)
        thing.update(declared)
        assert posthog.call("GET", f"external_data_sources/{thing.id}/webhook_info/")["exists"] is True


@pytest.mark.feature(14)
@pytest.mark.usefixtures("vendors")
class TestChangeDataCapture:
    def test_it_is_turned_on_with_the_source(self, things: Things) -> None:
        thing = things("ExternalDataSource")
        assert thing.create(source(**CDC)).messages == []
        assert thing.outputs["cdc_status"]["enabled"] is True
        assert thing.diff(source(**CDC)).changes == []
        thing.refresh()
        assert thing.diff(source(**CDC)).changes == []

    def test_it_is_turned_on_and_off_in_place(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        thing.create(source())
        thing.update(source(**CDC))
        assert posthog.call("GET", f"external_data_sources/{thing.id}/cdc_status/")["enabled"] is True
        thing.refresh()
        assert thing.diff(source(**CDC)).changes == []
        thing.update(source())
        assert posthog.call("GET", f"external_data_sources/{thing.id}/cdc_status/")["enabled"] is False
        thing.refresh()
        assert thing.diff(source()).changes == []

    def test_thresholds_are_changed_without_turning_it_off(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        thing.create(source(**CDC))
        posthog.control("DELETE", "requests")
        cdc = {"management_mode": "posthog", "lag_warning_threshold_mb": 100, "lag_critical_threshold_mb": 200}
        changed = source(schemas=CDC["schemas"], cdc=cdc)
        thing.update(changed)
        assert [item["path"].rstrip("/").split("/")[-1] for item in writes(posthog)] == ["update_cdc_settings"]
        thing.refresh()
        assert thing.diff(changed).changes == []

    def test_a_table_cannot_capture_without_the_source(self, things: Things) -> None:
        problems = things("ExternalDataSource").check(source(schemas=CDC["schemas"])).problems
        assert [str(item) for item in problems] == [
            'schemas["orders"].sync_type: is cdc, so the argument `cdc` is needed too'
        ]

    def test_no_secret_is_in_the_log_of_a_settings_change(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        thing.create(source(**CDC))
        posthog.control("DELETE", "requests")
        thing.update(source(schemas=CDC["schemas"], cdc={"management_mode": "posthog", "auto_drop_slot": False}))
        assert "local-password" not in json.dumps(writes(posthog))


@pytest.mark.feature(14)
@pytest.mark.usefixtures("vendors")
class TestBoth:
    def test_a_table_that_joins_is_taken_into_the_webhook(self, things: Things, posthog: PostHog) -> None:
        hooked = {"sync_type": "webhook"}
        secret = {"webhook_inputs": {"signing_secret": "whsec_one"}}
        thing = things("ExternalDataSource")
        thing.create({**STRIPE, "schemas": {"Customer": hooked}, **secret})
        posthog.control("DELETE", "requests")
        more = {**STRIPE, "schemas": {"Customer": hooked, "Invoice": hooked}, **secret}
        assert thing.update(more).messages == []
        sent = [item["path"].rstrip("/").split("/")[-1] for item in writes(posthog)]
        assert sent == ["refresh_schemas", "bulk_update_schemas", "create_webhook"]
        assert "whsec_one" not in json.dumps(writes(posthog))
        assert set(thing.outputs["webhook_info"]["schema_mapping"]) == {"customer", "invoice"}
        assert thing.diff(more).changes == []

    def test_a_secret_that_the_vendor_keeps_is_asked_for(self, things: Things, posthog: PostHog) -> None:
        vendors = posthog.control("GET", "vendors")
        quiet = [{**item, "webhook": {"returns_secrets": False}} for item in vendors if item["source_type"] == "Stripe"]
        posthog.control("PUT", "vendors", [*(item for item in vendors if item["source_type"] != "Stripe"), *quiet])
        (message,) = things("ExternalDataSource").create(stripe(webhook_inputs={})).messages
        assert message.severity == "warning"
        assert message.text.endswith(
            'the webhook does not work yet: set `webhook_inputs["signing_secret"]` to what the vendor shows for it.'
        )

    def test_another_slot_turns_capture_off_and_on_which_is_told_before(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        made = thing.create(source(schemas={"orders": {"sync_type": "cdc"}, "users": {}}, cdc={"slot_name": "one"}))
        assert made.messages == []
        posthog.control("DELETE", "requests")
        other = source(schemas={"orders": {"sync_type": "cdc"}, "users": {}}, cdc={"slot_name": "two"})
        (message,) = thing.check(other).messages
        assert "change data capture is turned off and on again" in message.text
        assert thing.update(other).messages == []
        sent = [item["path"].rstrip("/").split("/")[-1] for item in writes(posthog)]
        assert sent == ["disable_cdc", "enable_cdc", "bulk_update_schemas"]
        assert thing.outputs["cdc_status"]["slot_name"] == "two"
        thing.refresh()
        assert thing.diff(other).changes == []

    def test_what_capture_needs_is_told_with_every_reason(self, things: Things, posthog: PostHog) -> None:
        vendors = posthog.control("GET", "vendors")
        old = [{**item, "cdc": {"version": 12, "wal_level": "replica"}} for item in vendors]
        posthog.control("PUT", "vendors", old)
        thing = things("ExternalDataSource")
        thing.create(source())
        with pytest.raises(errors.Invalid) as caught:
            thing.update(source(**CDC))
        assert "CDC prerequisites not met. PostgreSQL 13 or later is required for CDC." in str(caught.value)
        assert "wal_level must be set to 'logical' (currently 'replica')" in str(caught.value)


@pytest.mark.feature(14)
@pytest.mark.usefixtures("vendors")
class TestMistakes:
    def test_an_input_that_posthog_does_not_know_can_be_corrected(self, things: Things, posthog: PostHog) -> None:
        thing = things("ExternalDataSource")
        assert thing.create(stripe(webhook_inputs={"nope": "x"})).problem is not None
        right = stripe(webhook_inputs={"signing_secret": "whsec_one"})
        thing.update(right)
        assert posthog.call("GET", f"external_data_sources/{thing.id}/webhook_info/")["exists"] is True
        assert not thing.outputs.get("unfinished")
        thing.assert_settled(right)

    def test_a_webhook_that_an_update_makes_says_what_it_still_needs(self, things: Things, posthog: PostHog) -> None:
        vendors = posthog.control("GET", "vendors")
        posthog.control("PUT", "vendors", [{**vendor, "webhook": {"returns_secrets": False}} for vendor in vendors])
        first, later = things("ExternalDataSource"), things("ExternalDataSource")
        told = [message.text.partition(": ")[2] for message in first.create(stripe(webhook_inputs={})).messages]
        first.delete()
        later.create(stripe())
        assert [m.text.partition(": ")[2] for m in later.update(stripe(webhook_inputs={})).messages] == told

    def test_the_inputs_stay_as_long_as_a_table_needs_them(self, things: Things) -> None:
        webhook = {"schemas": {"Charge": {"sync_type": "webhook"}}}
        thing = things("ExternalDataSource")
        thing.create(stripe(webhook_inputs={"signing_secret": "whsec_one"}, **webhook))
        (problem,) = thing.check(stripe(**webhook)).problems
        assert str(problem).startswith(
            'webhook_inputs: cannot be removed while `schemas["Charge"]` has `sync_type` web'
        )
        assert thing.check(stripe(schemas={"Charge": {"sync_type": "full_refresh"}})).problems == []
