"""The lifecycle of every kind of resource against the local PostHog."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.registry import declarations
from support.posthog import PostHog

from .conftest import SAMPLES, Sample, Things


def test_every_kind_has_a_sample() -> None:
    assert {sample.kind for sample in SAMPLES} == set(declarations())


@pytest.mark.fault(30)
def test_a_second_up_changes_nothing(things: Things, sample: Sample) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    assert thing.diff(sample.first).changes == []


@pytest.mark.fault(31)
def test_a_refresh_changes_nothing(things: Things, sample: Sample) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    inputs = thing.inputs
    thing.refresh()
    assert thing.inputs == inputs
    assert thing.diff(sample.first).changes == []


def test_nothing_is_warned_of_when_all_goes_well(things: Things, sample: Sample) -> None:
    thing = things(sample.kind)
    made = thing.create(sample.first)
    assert (made.messages, made.problem) == ([], None)


def test_an_update_keeps_the_object_and_is_empty_afterwards(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    assert thing.diff(sample.second).changes
    assert thing.diff(sample.second).replaces == []
    thing.update(sample.second)
    assert thing.diff(sample.second).changes == []
    thing.refresh()
    assert thing.diff(sample.second).changes == []
    assert posthog.one(thing.declaration.collection)["id"] == thing.id


def test_the_way_back_is_possible(things: Things, sample: Sample) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    thing.update(sample.second)
    thing.update(sample.first)
    thing.refresh()
    assert thing.diff(sample.first).changes == []


def test_an_edit_in_posthog_is_seen_by_refresh_and_reverted(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    posthog.call("PATCH", f"{thing.declaration.collection}/{thing.id}/", sample.edit)
    thing.refresh()
    (change,) = thing.diff(sample.first).changes
    assert change.path == tuple(sample.edit)
    thing.update(sample.first)
    thing.refresh()
    assert thing.diff(sample.first).changes == []


def test_deleted_in_posthog_is_gone(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    posthog.call("DELETE", f"{thing.declaration.collection}/{thing.id}/")
    assert thing.refresh() is None


@pytest.mark.fault(25)
@pytest.mark.feature(40)
def test_update_of_a_deleted_object_says_so(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    posthog.call("DELETE", f"{thing.declaration.collection}/{thing.id}/")
    with pytest.raises(errors.NotFound, match="deleted outside Pulumi"):
        thing.update(sample.second)


@pytest.mark.fault(26)
@pytest.mark.feature(41)
def test_delete_of_a_deleted_object_is_fine(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    posthog.call("DELETE", f"{thing.declaration.collection}/{thing.id}/")
    thing.delete()
    assert posthog.objects(thing.declaration.collection) == []


def test_delete_leaves_nothing_and_frees_the_name(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    thing.delete()
    assert posthog.objects(thing.declaration.collection) == []
    things(sample.kind).create(sample.first)


@pytest.mark.fault(28)
def test_a_strangers_object_is_never_taken_over(things: Things, sample: Sample, posthog: PostHog) -> None:
    stranger = things(sample.kind, key="phx_colleague")
    stranger.create(sample.first)
    before = posthog.one(stranger.declaration.collection)
    with pytest.raises(errors.AlreadyExists, match=stranger.id):
        things(sample.kind).create(sample.first)
    assert posthog.one(stranger.declaration.collection) == before


@pytest.mark.fault(22, 24)
@pytest.mark.parametrize("key", ["phx_unknown", "phx_only_two"])
def test_a_refresh_with_a_wrong_key_forgets_nothing(things: Things, sample: Sample, key: str) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    thing.session = things(sample.kind, key=key).session
    with pytest.raises((errors.Unauthenticated, errors.NoAccess)):
        thing.refresh()


@pytest.mark.parametrize("environment", ["2", "999"])
def test_a_refresh_with_another_environment_reads_where_the_object_lives(
    things: Things, sample: Sample, environment: str
) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    thing.session = things(sample.kind, environment=environment).session
    assert thing.refresh() is not None


@pytest.mark.fault(24)
def test_an_environment_that_is_gone_forgets_nothing(things: Things, sample: Sample) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    thing.outputs["environment_id"] = "999"
    with pytest.raises(errors.ProjectNotFound, match="nothing was forgotten"):
        thing.refresh()
    with pytest.raises(errors.ProjectNotFound):
        thing.delete()


def test_another_environment_replaces_and_deletes_the_old_object_where_it_is(things: Things, posthog: PostHog) -> None:
    declared = {"name": "Region", "type": "String"}
    old = things("InsightVariable")
    old.create(declared)
    new = things("InsightVariable", environment="2")
    new.inputs, new.outputs = old.inputs, old.outputs
    assert new.diff(declared).replaces == ["environment_id"]
    new.inputs = {}
    new.create(declared)
    old.session = new.session
    old.delete()
    assert posthog.objects("insight_variables", "1") == []
    assert [item["id"] for item in posthog.objects("insight_variables", "2")] == [new.id]


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("operation", "scope"),
    [("create", "write"), ("update", "write"), ("delete", "write")],
)
def test_a_missing_scope_is_named(things: Things, sample: Sample, operation: str, scope: str) -> None:
    thing = things(sample.kind)
    arguments: list[Any] = [] if operation == "delete" else [sample.second]
    if operation != "create":
        thing.create(sample.first)
    thing.session = things(sample.kind, key="phx_reader").session
    with pytest.raises(errors.MissingScope, match=f"{thing.declaration.scope}:{scope}"):
        getattr(thing, operation)(*arguments)


def test_the_current_environment_is_resolved_once_and_recorded(
    things: Things, sample: Sample, posthog: PostHog
) -> None:
    thing = things(sample.kind, environment="@current")
    thing.create(sample.first)
    assert thing.inputs["environment_id"] == "2"
    posthog.control("DELETE", "requests")
    assert thing.diff(sample.first).changes == []
    assert posthog.control("GET", "requests")["requests"] == []


def test_an_unchanged_object_costs_no_request(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    posthog.control("DELETE", "requests")
    thing.check(sample.first)
    thing.diff(sample.first)
    assert posthog.control("GET", "requests")["requests"] == []


def test_the_requests_are_those_promised(things: Things, sample: Sample, posthog: PostHog) -> None:
    promised = {
        "InsightVariable": (["POST"], ["PATCH"]),
        "SavedQuery": (["GET", "POST"], ["GET", "PATCH"]),
        "ExternalDataSource": (["GET", "POST", "GET", "PATCH"], ["PATCH", "POST", "GET", "PATCH"]),
    }
    thing = things(sample.kind)
    posthog.control("DELETE", "requests")
    thing.create(sample.first)
    made = [item["method"] for item in posthog.control("GET", "requests")["requests"]]
    posthog.control("DELETE", "requests")
    thing.update(sample.second)
    changed = [item["method"] for item in posthog.control("GET", "requests")["requests"]]
    assert (made, changed) == promised[sample.kind]


@pytest.mark.feature(81)
def test_the_caller_names_itself(things: Things, sample: Sample, posthog: PostHog) -> None:
    things(sample.kind).create(sample.first)
    headers = posthog.control("GET", "requests")["requests"][-1]["headers"]
    agent = next(value for name, value in headers.items() if name.lower() == "user-agent")
    assert agent.startswith("pulumi-posthog/")


def test_an_orphan_of_an_interrupted_up_is_found_again(things: Things, sample: Sample, posthog: PostHog) -> None:
    interrupted = things(sample.kind)
    interrupted.create(sample.first)
    again = things(sample.kind)
    made = again.create(sample.first)
    assert made.id == interrupted.id
    assert "made by an `up` that was interrupted" in made.messages[0].text
    assert posthog.one(again.declaration.collection)["id"] == made.id
    assert again.diff(sample.first).changes == []


def test_an_object_of_our_own_user_that_differs_is_not_taken_over(
    things: Things, sample: Sample, posthog: PostHog
) -> None:
    other = things(sample.kind)
    other.create(sample.first)
    posthog.call("PATCH", f"{other.declaration.collection}/{other.id}/", sample.edit)
    with pytest.raises(errors.AlreadyExists, match=other.id):
        things(sample.kind).create(sample.first)
