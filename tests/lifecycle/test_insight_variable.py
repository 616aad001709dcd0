"""What variables can do beyond the plain lifecycle."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_posthog_provider import errors
from support.posthog import PostHog

from .conftest import Things


@pytest.mark.feature(2)
@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ({"type": "String", "default_value": " a "}, {"default_value": " a "}),
        ({"type": "Number", "default_value": 0}, {"default_value": 0}),
        ({"type": "Number", "default_value": -2.5}, {"default_value": -2.5}),
        ({"type": "Boolean", "default_value": False}, {"default_value": False}),
        ({"type": "Date", "default_value": "2026-01-31"}, {"default_value": "2026-01-31"}),
        (
            {"type": "List", "values": ["a", 1, True], "default_value": 1},
            {"values": ["a", "1", "true"], "default_value": "1"},
        ),
        (
            {"type": "List", "values": ["a", "b"], "is_multi": True, "default_value": ["b", 1]},
            {"is_multi": True, "default_value": ["b", "1"]},
        ),
        (
            {"type": "List", "values_query": "SELECT 1", "values_query_connection_id": "c"},
            {"values_query": "SELECT 1", "values_query_connection_id": "c", "values": []},
        ),
    ],
    ids=str,
)
def test_every_type_holds_what_was_asked_for(
    things: Things, posthog: PostHog, declared: dict[str, Any], stored: dict[str, Any]
) -> None:
    thing = things("InsightVariable")
    assert thing.create({"name": "V", **declared}).messages == []
    live = posthog.one("insight_variables")
    assert {name: live[name] for name in stored} == stored
    thing.refresh()
    assert thing.diff({"name": "V", **declared}).changes == []


def test_a_new_name_keeps_the_code_name_and_says_so(things: Things, posthog: PostHog) -> None:
    thing = things("InsightVariable")
    thing.create({"name": "Region", "type": "String"})
    posthog.control("DELETE", "requests")
    checked = thing.check({"name": "Area", "type": "String"})
    assert checked.inputs["code_name"] == "region"
    assert [message.text for message in checked.messages] == [
        'InsightVariable "Region": queries go on using {variables.region}: a new name does not change the code name.'
    ]
    assert posthog.control("GET", "requests")["requests"] == []
    thing.update({"name": "Area", "type": "String"})
    assert (thing.outputs["code_name"], posthog.one("insight_variables")["code_name"]) == ("region", "region")


def test_a_new_spelling_of_the_same_code_name_says_nothing(things: Things) -> None:
    thing = things("InsightVariable")
    thing.create({"name": "Region", "type": "String"})
    assert thing.check({"name": "REGION!", "type": "String"}).messages == []


@pytest.mark.feature(30)
def test_a_list_of_one_choice_may_allow_several_and_back(things: Things) -> None:
    one = {"name": "Region", "type": "List", "values": ["a", "b"]}
    thing = things("InsightVariable")
    thing.create({**one, "default_value": "a"})
    for declared in [one, {**one, "is_multi": True}, one, {**one, "is_multi": True, "default_value": ["b"]}, one]:
        thing.update(declared)
        thing.assert_settled(declared)


@pytest.mark.feature(30, 32)
def test_white_space_around_the_query_of_the_choices_is_no_change(things: Things) -> None:
    declared = {"name": "Region", "type": "List", "values_query": "\n    SELECT 1\n    "}
    thing = things("InsightVariable")
    assert thing.create(declared).messages == []
    thing.assert_settled(declared)


@pytest.mark.feature(44)
def test_a_code_name_that_a_renamed_variable_keeps_is_told_as_that(things: Things) -> None:
    first = things("InsightVariable")
    first.create({"name": "Region", "type": "String"})
    first.update({"name": "Area", "type": "String"})
    new = {"name": "Region", "type": "String"}
    (problem,) = things("InsightVariable", validate="lists").check(new).problems
    assert "did not make it, unless for a resource that was renamed since" in str(problem)
    second = things("InsightVariable")
    second.session = first.session
    with pytest.raises(errors.AlreadyExists, match="keeps its code name when it is renamed"):
        second.create(new)
