"""Objects that are there already: told of in preview, taken over on request."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pulumi_posthog_provider import errors, lifecycle
from support.posthog import KEY, PostHog

from .conftest import Sample, Things
from .test_external_data_source import source


def test_a_taken_name_is_told_in_preview(things: Things, sample: Sample) -> None:
    stranger = things(sample.kind, key="phx_colleague")
    stranger.create(sample.first)
    (problem,) = things(sample.kind, validate="lists").check(sample.first).problems
    assert f"exists already in PostHog (id {stranger.id}" in str(problem)
    assert "`adopt=True`" in str(problem)
    assert "`aliases`" in str(problem)


def test_a_taken_code_name_is_told_with_both_names(things: Things) -> None:
    stranger = things("InsightVariable", key="phx_colleague")
    stranger.create({"name": "My Region!", "type": "String"})
    (problem,) = things("InsightVariable", validate="lists").check({"name": "my region", "type": "Date"}).problems
    assert str(problem).startswith(
        'InsightVariable "my region": a variable with this code name `my_region` exists already in PostHog '
        f'(InsightVariable "My Region!", id {stranger.id}, made by user '
    )
    assert "Give the new one another name;" in str(problem)


@pytest.mark.feature(50)
def test_a_new_name_that_is_taken_is_told_in_preview(things: Things, posthog: PostHog) -> None:
    sql = "SELECT 1 AS one"
    stranger = things("SavedQuery", key="phx_colleague")
    stranger.create({"name": "theirs", "query": sql})
    thing = things("SavedQuery", validate="lists")
    thing.create({"name": "ours", "query": sql})
    (problem,) = thing.check({"name": "theirs", "query": sql}).problems
    assert str(problem).startswith(
        f'SavedQuery "ours": a view with this name exists already in PostHog (id {stranger.id}, made by '
        "colleague@posthog.local on "
    )
    assert "adopt" not in str(problem)
    posthog.control("DELETE", "requests")
    assert thing.check({"name": "ours", "query": sql, "description": "x"}).problems == []
    assert posthog.control("GET", "requests")["requests"] == []


def test_names_are_listed_once_for_all_objects_of_a_kind(things: Things, posthog: PostHog) -> None:
    thing = things("InsightVariable", validate="lists")
    posthog.control("DELETE", "requests")
    for number in range(5):
        assert thing.check({"name": f"V {number}", "type": "String"}).problems == []
    assert [item["method"] for item in posthog.control("GET", "requests")["requests"]] == ["GET"]


def test_an_orphan_of_our_own_is_no_clash(things: Things, sample: Sample) -> None:
    things(sample.kind).create(sample.first)
    assert things(sample.kind, validate="lists").check(sample.first).problems == []


def test_the_orphan_of_an_interrupted_replacement_is_no_clash(things: Things) -> None:
    first, last = (source(prefix=prefix, allow_replace=True) for prefix in ("a_", "b_"))
    thing = things("ExternalDataSource", validate="lists")
    thing.create(first)
    orphan = things("ExternalDataSource").create(last)
    assert thing.check(last).problems == []
    thing.inputs = {}
    assert thing.create(last).id == orphan.id


def test_the_old_self_of_a_replacement_is_no_clash(things: Things) -> None:
    thing = things("ExternalDataSource", key="phx_colleague")
    declared = {
        "source_type": "Stripe",
        "connection": {"auth_method": {"selection": "oauth", "stripe_integration_id": 1}},
        "prefix": "a_",
    }
    thing.inputs = {**declared, "host": thing.session.settings.host, "environment_id": "1"}
    thing.session = things("ExternalDataSource", validate="lists").session
    assert thing.check({**declared, "allow_replace": True}).problems == []
    assert thing.session.is_own(thing.declaration, thing.inputs)


def test_a_preview_that_cannot_reach_posthog_goes_on_and_says_so(things: Things, sample: Sample) -> None:
    checked = things(sample.kind, validate="lists", host="http://127.0.0.1:9").check(sample.first)
    assert checked.problems == []
    assert "could not be asked what is there already" in checked.messages[0].text


@pytest.mark.parametrize("trouble", [{"key": "phx_wrong"}, {"key": "phx_only_two"}, {"environment": "999"}], ids=str)
def test_a_key_or_environment_that_cannot_work_is_told_in_preview(
    things: Things, sample: Sample, trouble: dict[str, str]
) -> None:
    thing = things(sample.kind, validate="lists", **trouble)
    for _ in range(2):  # also for the second resource, without asking again
        (problem,) = thing.check(sample.first).problems
        assert "See docs/errors.md#" in str(problem)


@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "by natural key"])
def test_an_existing_object_is_adopted_and_changed_to_what_is_asked(
    things: Things, sample: Sample, posthog: PostHog, by_id: bool
) -> None:
    stranger = things(sample.kind, key="phx_colleague")
    stranger.create(sample.first)
    posthog.call("PATCH", f"{stranger.declaration.collection}/{stranger.id}/", sample.edit)
    declared: dict[str, Any] = {**sample.first, "adopt": stranger.id if by_id else True}
    thing = things(sample.kind, validate="lists")
    (message,) = thing.check(declared).messages
    assert message.text.endswith(f"adopts {stranger.id}; will change {next(iter(sample.edit))}")
    made = thing.create(declared)
    assert made.id == stranger.id
    assert posthog.one(thing.declaration.collection)["id"] == stranger.id
    assert thing.diff(declared).changes == []
    assert thing.diff(sample.first).changes == []
    thing.refresh()
    assert thing.diff(sample.first).changes == []


def test_adopting_an_equal_object_writes_nothing(things: Things, sample: Sample, posthog: PostHog) -> None:
    stranger = things(sample.kind, key="phx_colleague")
    stranger.create(sample.first)
    posthog.control("DELETE", "requests")
    things(sample.kind).create({**sample.first, "adopt": True})
    assert {item["method"] for item in posthog.control("GET", "requests")["requests"]} == {"GET"}


def test_with_nothing_to_adopt_by_natural_key_it_is_made(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    (message,) = thing.check({**sample.first, "adopt": True}).messages
    assert message.text.endswith("there is nothing to adopt, so it will be made")
    thing.create({**sample.first, "adopt": True})
    assert posthog.one(thing.declaration.collection)["id"] == thing.id


def test_an_id_that_does_not_exist_is_an_error(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind, validate="lists")
    checked = thing.check({**sample.first, "adopt": "0197a0f0-0000-7000-8000-000000000000"})
    assert list(map(str, checked.problems)) == [f"adopt: PostHog has no {thing.declaration.noun} with this id"]
    with pytest.raises(errors.NotFound):
        lifecycle.create(thing.declaration, thing.session, checked.inputs)
    (problem,) = thing.check({**sample.first, "adopt": "../users/@me"}).problems
    assert str(problem).startswith("adopt: must be an id of PostHog's, a UUID such as ")
    assert posthog.objects(things(sample.kind).declaration.collection) == []


def test_what_the_same_user_made_otherwise_may_be_what_is_replaced(things: Things, sample: Sample) -> None:
    things(sample.kind).create(sample.first)
    (problem,) = things(sample.kind, validate="lists").check({**sample.first, **sample.edit}).problems
    assert "run `pulumi up` with the change alone before" in str(problem)


def test_what_an_adoption_cannot_change_is_told_in_preview_and_not_done(things: Things, posthog: PostHog) -> None:
    first = things("ExternalDataSource")
    first.create(source(prefix="a_"))
    other = things("ExternalDataSource")
    checked = other.check(source(prefix="b_", adopt=first.id))
    told = f"the object to adopt ({first.id}) differs in `prefix`, which cannot be changed in place"
    assert told in str(checked.problems[0])
    with pytest.raises(errors.Invalid, match=re.escape(told)):
        lifecycle.create(other.declaration, other.session, checked.inputs)
    assert posthog.one("external_data_sources")["prefix"] == "a_"


@pytest.mark.fault(28)
def test_without_knowing_its_own_user_a_key_takes_nothing_over(
    things: Things, sample: Sample, posthog: PostHog
) -> None:
    orphan = things(sample.kind)
    orphan.create(sample.first)
    before = posthog.one(orphan.declaration.collection)
    with pytest.raises(errors.AlreadyExists, match=r"made it, give the key the scope `user:read` and run `pulumi up`"):
        things(sample.kind, key="phx_nameless").create(sample.first)
    assert posthog.one(orphan.declaration.collection) == before
    assert things(sample.kind).create(sample.first).id == orphan.id


UNKNOWN_TO_S = [
    ("InsightVariable", {"name": "Region", "type": "List", "values": ["a"]}, {"is_multi": True}),
    ("SavedQuery", {"name": "people", "query": "SELECT 1 AS one"}, {"description": "Everybody."}),
    ("ExternalDataSource", source(), {"destination_ids": ["01a221cd-4912-7de6-ae3b-f30939c94d2a"]}),
]


@pytest.mark.fault(19, 28)
@pytest.mark.parametrize(("kind", "first", "unknown"), UNKNOWN_TO_S, ids=[kind for kind, *_ in UNKNOWN_TO_S])
@pytest.mark.parametrize("how", ["adopted", "left by an interrupted create"])
def test_an_object_that_was_there_stays_when_posthog_does_not_know_a_field(
    things: Things, posthog: PostHog, kind: str, first: dict[str, Any], unknown: dict[str, Any], how: str
) -> None:
    posthog.control("POST", "version", {"posthog_version": "S"})
    asked = {**first, **unknown}
    other = things(kind, key="phx_colleague" if how == "adopted" else KEY)
    other.create(first)
    before = posthog.one(other.declaration.collection)
    declared = {**asked, "adopt": True} if how == "adopted" else asked
    with pytest.raises(errors.Invalid, match="this PostHog does not know `"):
        things(kind).create(declared)
    assert posthog.one(other.declaration.collection) == before
    if how != "adopted":
        (problem,) = things(kind, validate="lists").check(asked).problems
        assert "this PostHog does not know `" in str(problem)
        assert things(kind).create(first).id == other.id
