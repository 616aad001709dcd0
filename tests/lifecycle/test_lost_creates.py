"""Creates whose answers are lost, or that PostHog shows late, or that meet somebody else's: one object, and the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.collection import Collection
from pulumi_posthog_provider.declare import Values
from support.posthog import PostHog

from .conftest import SAMPLES, Sample, Thing, Things

VIEW = {"name": "people", "query": "SELECT distinct_id AS person FROM events"}


def plan(posthog: PostHog, *rules: dict[str, Any]) -> None:
    posthog.control("PUT", "faults", list(rules))


def created(thing: Thing, posthog: PostHog) -> list[str]:
    """The statuses of the create calls."""
    asked = posthog.control("GET", f"requests?method=post&path={thing.declaration.collection}")["requests"]
    return [str(item["status"]) for item in asked if item["path"].rstrip("/").endswith(thing.declaration.collection)]


@pytest.mark.fault(6, 16)
def test_a_lost_answer_is_looked_for_and_not_sent_again(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    plan(posthog, {"match": {"method": "POST", "path": thing.declaration.collection}, "at": "after", "do": "reset"})
    made = thing.create(sample.first)
    assert posthog.one(thing.declaration.collection)["id"] == made.id
    assert any("only the answer was lost. It is used." in message.text for message in made.messages)
    assert len(created(thing, posthog)) == 1


@pytest.mark.fault(32)
@pytest.mark.parametrize("looks", [1, 3])
def test_one_that_is_not_shown_yet_is_found_by_the_refusal_of_the_second(
    things: Things, sample: Sample, posthog: PostHog, looks: int
) -> None:
    thing = things(sample.kind)
    of_kind = {"method": "POST", "path": thing.declaration.collection}
    # Answered by the lost create first, then shown after so many looks.
    plan(
        posthog,
        {"match": of_kind, "at": "after", "do": "invisible", "requests": looks},
        {"match": of_kind, "at": "after", "do": "reset"},
    )
    made = thing.create(sample.first)
    assert posthog.one(thing.declaration.collection)["id"] == made.id
    assert made.problem is None
    assert len(created(thing, posthog)) <= 2


@pytest.mark.fault(32)
@pytest.mark.parametrize("requests", [2])
def test_one_that_is_answered_but_not_shown_yet_is_waited_for(
    things: Things, sample: Sample, posthog: PostHog, requests: int
) -> None:
    thing = things(sample.kind)
    of_kind = {"method": "POST", "path": thing.declaration.collection}
    plan(posthog, {"match": of_kind, "at": "after", "do": "invisible", "requests": requests})
    made = thing.create(sample.first)
    assert made.problem is None
    assert made.messages == []
    posthog.control("DELETE", "faults")
    assert posthog.one(thing.declaration.collection)["id"] == made.id


@pytest.mark.fault(6)
def test_when_posthog_cannot_be_asked_either_the_outcome_stays_unknown(
    things: Things, sample: Sample, posthog: PostHog
) -> None:
    thing = things(sample.kind)
    plan(
        posthog,
        {"match": {"method": "POST", "path": thing.declaration.collection}, "at": "after", "do": "reset"},
        {"match": {"method": "GET"}, "nth": 2 if thing.declaration.looks_before_create else 1, "times": 0, "do": "status", "status": 500},
    )  # fmt: skip
    with pytest.raises(
        errors.OutcomeUnknown, match=r" may have been created: .* The next `pulumi up` looks before it acts"
    ):
        thing.create(sample.first)
    plan(posthog)
    again = things(sample.kind)
    again.create(sample.first)
    assert posthog.one(thing.declaration.collection)["id"] == again.id


SOURCE = next(item.first for item in SAMPLES if item.kind == "ExternalDataSource")


@pytest.mark.fault(28, 44)
@pytest.mark.parametrize(
    ("kind", "ours", "theirs"),
    [
        ("SavedQuery", VIEW, {**VIEW, "description": "Mine."}),
        ("SavedQuery", VIEW, {**VIEW, "query": "SELECT event FROM events"}),
        ("ExternalDataSource", SOURCE, SOURCE),
    ],
    ids=["view with the same SQL", "view with other SQL", "source"],
)
def test_what_somebody_makes_between_look_and_create_is_not_taken_for_ours(
    things: Things, posthog: PostHog, monkeypatch: pytest.MonkeyPatch, kind: str, ours: Values, theirs: Values
) -> None:
    thing, stranger = things(kind), things(kind, key="phx_colleague")
    candidates = type(thing.declaration).candidates

    def overtaken(*args: Any) -> Any:
        found = list(candidates(*args))
        monkeypatch.undo()
        stranger.create(theirs)
        return found

    monkeypatch.setattr(type(thing.declaration), "candidates", overtaken)
    with pytest.raises(errors.AlreadyExists) as caught:
        thing.create(ours)
    assert stranger.id in str(caught.value)
    assert posthog.one(thing.declaration.collection)["id"] == stranger.id


@pytest.mark.fault(28, 44)
def test_what_somebody_makes_while_our_request_is_lost_is_not_taken_for_ours(
    things: Things, sample: Sample, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, stranger = things(sample.kind), things(sample.kind, key="phx_colleague")
    create = Collection.create

    def overtaken(*args: Any) -> Any:
        monkeypatch.undo()
        stranger.create(sample.first)
        plan(posthog, {"match": {"method": "POST", "path": thing.declaration.collection}, "do": "reset"})
        return create(*args)

    monkeypatch.setattr(Collection, "create", overtaken)
    with pytest.raises(errors.OutcomeUnknown, match=f"(?s)may have been created: .*{stranger.id}"):
        thing.create(sample.first)
    assert posthog.one(thing.declaration.collection)["id"] == stranger.id


@pytest.mark.fault(18, 55)
@pytest.mark.parametrize("id", [None, 7, "../x", "a" * 5000])
def test_an_answer_without_an_id_is_a_lost_one(things: Things, sample: Sample, posthog: PostHog, id: Any) -> None:
    thing = things(sample.kind)
    of_kind = {"method": "POST", "path": thing.declaration.collection}
    plan(posthog, {"match": of_kind, "at": "after", "do": "status", "status": 201, "json": {"id": id}})
    made = thing.create(sample.first)
    assert posthog.one(thing.declaration.collection)["id"] == made.id


def test_posthog_may_work_on_a_source_for_as_long_as_is_promised(
    things: Things, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, asked = things("ExternalDataSource"), []
    exchange, send = thing.session.transport._exchange, thing.session.transport._exchange._sent

    def sent(call: Any, deadline: Any) -> Any:
        asked.append((call.method, call.patience))
        return send(call, deadline)

    monkeypatch.setattr(exchange, "_sent", sent)
    thing.create(SOURCE)
    assert [patience for method, patience in asked if method == "POST"] == [180]


@pytest.mark.fault(6)
def test_a_source_whose_create_is_never_answered_is_looked_for(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.session.settings = replace(thing.session.settings, source_timeout=2.0)
    rule = {"match": {"method": "POST", "path": "external_data_sources"}, "at": "after", "do": "hang", "seconds": 20}
    plan(posthog, rule)
    made = thing.create(SOURCE)
    assert posthog.one("external_data_sources")["id"] == made.id
    assert any("only the answer was lost. It is used." in message.text for message in made.messages)
    assert len(created(thing, posthog)) == 1


@pytest.mark.fault(6)
def test_a_source_is_not_sent_again_when_all_its_time_is_over(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.session.settings = replace(thing.session.settings, source_timeout=2.0)
    rule = {"match": {"method": "POST", "path": "external_data_sources"}, "do": "hang", "seconds": 20}
    plan(posthog, rule)
    with pytest.raises(errors.OutcomeUnknown):
        thing.create(SOURCE)
    assert len(created(thing, posthog)) == 1


@pytest.mark.fault(6)
@pytest.mark.parametrize("seconds", [70, 170])
def test_a_slow_source_is_not_made_twice(
    things: Things, posthog: PostHog, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """The answer is lost at once, but PostHog goes on working, and has made the source after so many seconds."""
    thing, stands_still = things("ExternalDataSource"), things("ExternalDataSource")
    waited = 0.0

    def sleep(pause: float) -> None:
        nonlocal waited
        if waited < seconds <= waited + pause:
            plan(posthog)
            stands_still.create(SOURCE)
        waited += pause

    monkeypatch.setattr(thing.session.transport, "_sleep", sleep)
    plan(posthog, {"match": {"method": "POST", "path": "external_data_sources"}, "do": "reset"})
    posthog.control("DELETE", "requests")
    made = thing.create(SOURCE)
    assert posthog.one("external_data_sources")["id"] == made.id == stands_still.id
    assert len(created(thing, posthog)) == 2  # the one that was lost, and what PostHog did with it
