"""Creates whose answers are lost, or that PostHog shows late, or that meet somebody else's: one object, and the truth."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_posthog_provider import errors
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
        errors.OutcomeUnknown, match=" may have been created: .* The next `pulumi up` looks before it acts"
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
