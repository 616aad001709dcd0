"""Answers that are not as PostHog's are: a typed error or a result, never a crash, never half an object in state."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from pulumi_posthog_provider import lifecycle
from pulumi_posthog_provider.declare import Values
from pulumi_posthog_provider.errors import PostHogError, UnexpectedAnswer
from pulumi_posthog_provider.lifecycle import Live, Session
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Transport
from support.posthog import KEY, PostHog

from .conftest import SAMPLES, Sample, Thing, Things

WRONG: list[Any] = [None, True, 3, 2.5, "", "text", [], ["x"], [None], {}, {"x": 1}, [{"name": None}], [{"id": 1}]]


def _answered(thing: Thing, body: Any) -> Session:
    """A session whose PostHog answers everything with one body."""
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=body)))
    settings = Settings(host=thing.session.settings.host, environment_id="1", api_key=KEY, validate="off")
    return Session(settings, Transport(settings, sleep=lambda seconds: None, client=client))


def _read(thing: Thing, body: Any) -> Live | PostHogError:
    try:
        live = lifecycle.read(thing.declaration, _answered(thing, body), thing.id, thing.outputs)
    except PostHogError as error:
        return error
    assert live is not None, "a wrong answer was taken for a deletion"
    return live


@pytest.mark.fault(19)
def test_any_field_may_be_missing_or_of_any_type(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    body: Values = posthog.call("GET", f"{thing.declaration.collection}/{thing.id}/")
    for name in body:
        results = [_read(thing, {key: value for key, value in body.items() if key != name})]
        results += [_read(thing, {**body, name: value}) for value in WRONG]
        for result in results:
            if isinstance(result, Live):
                lifecycle.diff(thing.declaration, result.outputs, thing.inputs)
                json.dumps(result.outputs)


@pytest.mark.fault(19)
def test_a_missing_managed_field_is_an_error(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    body: Values = posthog.call("GET", f"{thing.declaration.collection}/{thing.id}/")
    managed = [name for name in sample.first if name in body]
    assert managed
    for name in managed:
        found = _read(thing, {key: value for key, value in body.items() if key != name})
        assert isinstance(found, UnexpectedAnswer), name


@pytest.mark.fault(19)
def test_new_fields_do_no_harm(things: Things, sample: Sample, posthog: PostHog) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    body: Values = posthog.call("GET", f"{thing.declaration.collection}/{thing.id}/")
    assert _read(thing, {**body, "new": {"deep": [1]}, "status": "Hibernating"}).inputs == thing.inputs  # type: ignore[union-attr]


@pytest.mark.fault(19)
@pytest.mark.parametrize("body", [[], "text", 3, None, {}, {"id": None}, {"id": "other"}], ids=str)
def test_what_is_not_this_object_is_never_read_into_state(things: Things, sample: Sample, body: Any) -> None:
    thing = things(sample.kind)
    thing.create(sample.first)
    assert isinstance(_read(thing, body), UnexpectedAnswer)


@pytest.mark.fault(19)
@pytest.mark.parametrize("kind", ["InsightVariable", "SavedQuery"])
@pytest.mark.parametrize("whose", ["nobody's", "another's"])
def test_an_answer_to_a_create_that_has_only_an_id_is_none(
    things: Things, kind: str, whose: str, posthog: PostHog
) -> None:
    (sample,) = (each for each in SAMPLES if each.kind == kind)
    other = things(kind)
    other.create({**sample.first, "name": "other"})
    body = {"id": other.id if whose == "another's" else "0199a1b2-0000-7000-8000-000000000000"}
    rule = {"match": {"method": "POST"}, "at": "after", "do": "status", "status": 201, "json": body}
    posthog.control("PUT", "faults", rule)
    thing = things(kind)
    thing.create(sample.first)
    assert thing.id not in (other.id, body["id"])
    thing.assert_settled(sample.first)
    assert len(posthog.objects(thing.declaration.collection)) == 2
