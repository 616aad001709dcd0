"""A refresh reads many objects at once: variables come from PostHog's list, everything else one by one."""

from __future__ import annotations

import pytest

from pulumi_posthog_provider import errors, lifecycle
from pulumi_posthog_provider.results import Live
from support.posthog import PostHog

from .conftest import Thing, Things


@pytest.fixture
def thing(things: Things) -> Thing:
    return things("InsightVariable")


@pytest.fixture
def ids(thing: Thing, posthog: PostHog) -> list[str]:
    """Twelve variables, as a stack would know them."""
    made = []
    for number in range(12):
        thing.inputs = {}
        made.append(thing.create({"name": f"v{number}", "type": "Number", "default_value": number}).id)
    posthog.control("DELETE", "requests")
    return made


def _read(thing: Thing, id: str) -> Live | None:
    return lifecycle.read(thing.declaration, thing.session, id, thing.outputs, one_of_many=True)


def _requests(posthog: PostHog) -> list[str]:
    return [f"{item['method']} {item['path']}" for item in posthog.control("GET", "requests")["requests"]]


@pytest.mark.feature(55)
def test_many_variables_cost_one_list(thing: Thing, ids: list[str], posthog: PostHog) -> None:
    found = [_read(thing, id) for id in ids]
    assert [live and live.inputs["default_value"] for live in found] == list(range(12))
    assert len(_requests(posthog)) == 2


def test_one_that_is_not_in_the_list_is_asked_for_before_it_is_gone(
    thing: Thing, ids: list[str], posthog: PostHog
) -> None:
    assert _read(thing, ids[0]) is not None
    assert _read(thing, ids[1]) is not None
    posthog.call("DELETE", f"insight_variables/{ids[2]}")
    posthog.call("DELETE", f"insight_variables/{ids[3]}")
    assert _read(thing, ids[2]) is not None  # as the list showed it a moment ago
    thing.session._read.clear()
    assert _read(thing, ids[0]) is not None
    assert _read(thing, ids[3]) is None


def test_a_list_answers_for_moments_only(
    thing: Thing, ids: list[str], posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _read(thing, ids[0]) is not None
    assert _read(thing, ids[1]) is not None
    posthog.call("PATCH", f"insight_variables/{ids[2]}", {"default_value": 77})
    monkeypatch.setattr("pulumi_posthog_provider.session._FRESH_SECONDS", 0.0)
    live = _read(thing, ids[2])
    assert live is not None
    assert live.inputs["default_value"] == 77


def test_a_change_of_ours_is_seen(thing: Thing, ids: list[str]) -> None:
    assert _read(thing, ids[0]) is not None
    assert _read(thing, ids[1]) is not None
    thing.id = ids[11]
    thing.update({"name": "v11", "type": "Number", "default_value": 99})
    assert _read(thing, ids[10]) is not None
    live = _read(thing, ids[11])
    assert live is not None
    assert live.inputs["default_value"] == 99


def test_a_list_that_is_refused_leaves_each_to_be_asked_for(thing: Thing, ids: list[str], posthog: PostHog) -> None:
    posthog.control(
        "PUT", "faults", {"match": {"method": "GET", "path": "insight_variables"}, "do": "status", "status": 403}
    )
    assert all(_read(thing, id) is not None for id in ids[:4])
    posthog.control(
        "PUT", "faults", {"match": {"method": "GET", "path": "insight_variables/*"}, "do": "status", "status": 403}
    )
    with pytest.raises(errors.PostHogError):
        _read(thing, ids[0])
