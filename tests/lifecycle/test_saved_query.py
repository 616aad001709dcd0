"""What views can do beyond the plain lifecycle."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.declare import UNKNOWN
from pulumi_posthog_provider.lifecycle import Checked
from pulumi_posthog_provider.resources import saved_query
from support.posthog import PostHog

from .conftest import Things, forget

SQL = "SELECT distinct_id AS person FROM events"


def view(**more: Any) -> dict[str, Any]:
    return {"name": "people", "query": SQL, **more}


@pytest.mark.feature(4)
def test_a_view_is_materialised_on_request_and_no_longer_on_removal(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(view(materialized=True))
    live = posthog.one("warehouse_saved_queries")
    assert (live["is_materialized"], live["sync_frequency"]) == (True, "24hour")
    thing.update(view())
    live = posthog.one("warehouse_saved_queries")
    assert (live["is_materialized"], live["sync_frequency"]) == (False, None)


@pytest.mark.feature(3, 4)
def test_a_view_without_rows_may_change_its_folder_in_the_same_update(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(view(materialized=True, sync_frequency="never", folder="Marts"))
    assert thing.update(view(folder="Staging")).messages == []
    live = posthog.one("warehouse_saved_queries")
    assert (live["is_materialized"], live["folder_name"]) == (False, "Staging")
    thing.assert_settled(view(folder="Staging"))


@pytest.mark.feature(3, 32)
@pytest.mark.parametrize(
    "declared",
    [
        view(materialized=True),
        view(sync_frequency="1hour"),
        view(materialized=True, sync_frequency="never"),
        view(sync_frequency="never"),
        view(materialized=False),
        view(folder="Marts"),
        view(description=" padded "),
        view(description=""),
        view(soft_update=True),
        view(sync_frequency="6hour", incremental={"incremental_key": "person", "unique_key": ["person"]}),
    ],
    ids=str,
)
def test_what_was_made_is_what_was_asked_for(things: Things, declared: dict[str, Any]) -> None:
    thing = things("SavedQuery")
    assert thing.create(declared).messages == []
    assert thing.diff(declared).changes == []
    thing.refresh()
    assert thing.diff(declared).changes == []


@pytest.mark.feature(3, 4)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (view(), view(sync_frequency="1hour")),
        (view(sync_frequency="1hour"), view(sync_frequency="7day")),
        (view(sync_frequency="1hour"), view(sync_frequency="never", materialized=True)),
        (view(sync_frequency="1hour"), view(materialized=True)),
        (view(sync_frequency="1hour"), view()),
        (view(folder="Marts"), view(folder="Staging")),
        (view(folder="Marts"), view()),
        (view(description="x"), view()),
    ],
    ids=str,
)
def test_every_change_is_made_in_place_and_is_empty_afterwards(
    things: Things, posthog: PostHog, first: dict[str, Any], second: dict[str, Any]
) -> None:
    thing = things("SavedQuery")
    thing.create(first)
    assert thing.diff(second).changes
    thing.update(second)
    assert thing.diff(second).changes == []
    thing.refresh()
    assert thing.diff(second).changes == []
    assert posthog.one("warehouse_saved_queries")["id"] == thing.id


def test_a_folder_is_made_once_and_never_deleted(things: Things, posthog: PostHog) -> None:
    first, second = things("SavedQuery"), things("SavedQuery")
    first.create(view(folder="Marts"))
    second.create({"name": "others", "query": SQL, "folder": "Marts"})
    first.delete()
    second.delete()
    assert [item["name"] for item in posthog.call("GET", "warehouse_saved_query_folders/")] == ["Marts"]


def test_a_cadence_needs_no_further_request(things: Things, posthog: PostHog) -> None:
    posthog.control("DELETE", "requests")
    things("SavedQuery").create(view(sync_frequency="1hour"))
    assert [item["method"] for item in posthog.control("GET", "requests")["requests"]] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (view(sync_frequency="5min"), "sync_frequency: must be one of never, 15min"),
        (view(sync_frequency="1hour", materialized=False), "materialized: cannot be false, because sync_frequency"),
        (view(incremental={"unique_key": ["a"]}), "incremental: is only for a materialised view"),
        (view(materialized=True, incremental={"unique_key": []}), "incremental.unique_key: must not be empty"),
        (view(extra={"name": "x"}), 'extra["name"]: is an argument of its own'),
        (view(extra={"folder_id": "x"}), 'extra["folder_id"]: is set by the argument `folder`'),
        (view() | {"name": "events"}, "name: is that of a table of PostHog's own"),
        (view() | {"name": "system.people"}, "name: is that of a table of PostHog's own"),
    ],
)
def test_mistakes_are_told_with_the_argument(things: Things, declared: dict[str, Any], told: str) -> None:
    problems = [str(problem) for problem in things("SavedQuery").check(declared).problems]
    assert any(text.startswith(told) for text in problems), problems


def test_a_field_without_an_argument_can_be_sent_and_is_told_when_posthog_ignores_it(things: Things) -> None:
    made = things("SavedQuery").create(view(extra={"made_up": 1}))
    (message,) = made.messages
    assert message.text == ('SavedQuery "people": PostHog does not give back `extra["made_up"]`; it may not know it.')


@pytest.mark.feature(6)
def test_a_field_without_an_argument_is_sent_compared_and_read_back(
    things: Things, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch, saved_query.SavedQuery, "description")
    thing = things("SavedQuery")
    declared = view(extra={"description": "Everybody."})
    assert thing.create(declared).messages == []
    assert posthog.one("warehouse_saved_queries")["description"] == "Everybody."
    thing.refresh()
    assert thing.diff(declared).changes == []
    posthog.call("PATCH", f"warehouse_saved_queries/{thing.id}/", {"description": "Nobody."})
    thing.refresh()
    assert [change.path for change in thing.diff(declared).changes] == [("extra",)]
    thing.update(declared)
    assert posthog.one("warehouse_saved_queries")["description"] == "Everybody."
    thing.update(view())
    assert thing.diff(view()).changes == []
    assert posthog.one("warehouse_saved_queries")["description"] == "Everybody."  # its default is not known: it stays


# ---- what a change brings about elsewhere --------------------------------------------------------------------------


def _texts(checked: Checked) -> list[str]:
    assert checked.problems == []
    return [f"{message.severity} {message.text}" for message in checked.messages]


def test_a_new_name_says_which_views_will_fail(things: Things, posthog: PostHog) -> None:
    thing, reader = things("SavedQuery", validate="lists"), things("SavedQuery", key="phx_colleague")
    thing.create(view())
    reader.create({"name": "reader", "query": "SELECT p.person FROM people AS p JOIN events ON 1 = 1"})
    reader.create({"name": "no_reader", "query": "SELECT 'FROM people' AS people FROM events"})
    said = [
        'info SavedQuery "people": will be called humans; PostHog does not change the SQL that reads people.',
        'warning SavedQuery "people": reader will fail until they read humans instead of people.',
    ]
    assert _texts(thing.check(view() | {"name": "humans"})) == said
    posthog.control("DELETE", "requests")
    assert _texts(thing.check(view(description="x"))) == []
    assert _texts(thing.check(view() | {"name": UNKNOWN})) == []
    assert posthog.control("GET", "requests")["requests"] == []


def test_a_new_name_is_told_without_asking_where_previews_ask_nothing(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(view())
    posthog.control("DELETE", "requests")
    assert len(_texts(thing.check(view() | {"name": "humans"}))) == 1
    assert posthog.control("GET", "requests")["requests"] == []


def test_not_every_view_of_a_large_project_is_looked_at(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_query, "_LOOKED_AT", 1)
    thing = things("SavedQuery", validate="lists")
    thing.create(view())
    things("SavedQuery").create({"name": "other", "query": SQL})
    texts = _texts(thing.check(view() | {"name": "humans"}))
    assert texts[-1] == 'info SavedQuery "people": 1 more views were not looked at.'


@pytest.mark.parametrize("version", ["N", "M", "S"])
def test_a_view_that_others_read_is_not_deleted_and_they_are_named(
    things: Things, posthog: PostHog, version: str
) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    first, second = things("SavedQuery"), things("SavedQuery")
    first.create(view())
    second.create({"name": "reader", "query": "SELECT person FROM people"})
    with pytest.raises(errors.Invalid, match=r'SavedQuery "people" was not deleted: .*\breader\b'):
        first.delete()
    assert first.refresh() is not None


@pytest.mark.feature(45)
def test_a_refusal_names_the_field_that_posthog_means(things: Things) -> None:
    with pytest.raises(errors.Invalid, match=r"refused \(400, `incremental\.unique_key`: This field is required\.\)"):
        things("SavedQuery").create(view(materialized=True, incremental={"incremental_key": "person"}))


@pytest.mark.feature(45, 67)
@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("shop_postgres_orders", "The table of a source is there after its first sync only: give the source "),
        ("postgres.shop.orders", "The table of a source is there after its first sync only: give the source "),
        ("evnts", "A view can read tables of PostHog, synced tables and other views; did you mean events?"),
        ("peopel", "A view can read tables of PostHog, synced tables and other views; did you mean people?"),
        ("xyz", "A view can read tables of PostHog, synced tables and other views."),
    ],
)
def test_an_unknown_table_comes_with_what_to_do(things: Things, table: str, hint: str) -> None:
    things("SavedQuery").create(view(name="people"))
    with pytest.raises(errors.Invalid, match=f"Unknown table `{table}`") as caught:
        things("SavedQuery").create({"name": "other", "query": f"SELECT 1 AS one FROM {table}"})
    assert caught.value.hint.startswith(hint)


@pytest.mark.fault(27)
def test_a_refused_change_leaves_the_rows_alone(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(view(materialized=True))
    other = {"query": {"kind": "HogQLQuery", "query": "SELECT event FROM events"}}
    token = posthog.one("warehouse_saved_queries")["latest_history_id"]
    body = {**other, "edited_history_id": token}
    posthog.call("PATCH", f"warehouse_saved_queries/{thing.id}/", body, key="phx_colleague")
    with pytest.raises(errors.Changed):
        thing.update(view() | {"query": "SELECT 1 AS one"})
    assert posthog.one("warehouse_saved_queries")["is_materialized"] is True


@pytest.mark.feature(45, 50)
def test_the_id_of_a_dag_is_an_id(things: Things) -> None:
    (problem,) = things("SavedQuery").check(view(dag_id="default")).problems
    assert str(problem).startswith("dag_id: must be an id of PostHog's, a UUID such as ")


@pytest.mark.feature(6, 50)
@pytest.mark.parametrize(
    ("field", "by"),
    [("folder_id", "the argument `folder`"), ("edited_history_id", "this package itself")],
)
def test_what_is_set_otherwise_is_not_given_in_extra(things: Things, field: str, by: str) -> None:
    (problem,) = things("SavedQuery").check(view(extra={field: "x"})).problems
    assert str(problem) == f'extra["{field}"]: is set by {by}'
