"""The examples in docs/errors.md are what users read: each error is raised, and its text is looked for in the page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.settings import Settings
from support.posthog import KEY, PostHog

from .conftest import SAMPLES, Things

PAGE = Path(__file__).parents[2] / errors.DOCS
VARIABLE, VIEW, SOURCE = (sample.first for sample in SAMPLES)
SHOWN_ID = "0199a1b2-0000-7000-8000-000000000000"

Case = Callable[[Things, PostHog], None]
CASES: dict[str, Case] = {}


def _case(case: Case) -> Case:
    CASES[case.__name__.strip("_")] = case
    return case


def _fault(posthog: PostHog, method: str, path: str, **deed: object) -> None:
    posthog.control("PUT", "faults", {"match": {"method": method, "path": path}, "times": 0, **deed})


@_case
def _configuration(things: Things, posthog: PostHog) -> None:
    Settings.load({"posthog:environmentId": "1"}.get, {})


@_case
def _unreachable(things: Things, posthog: PostHog) -> None:
    things("InsightVariable", host="http://127.0.0.1:9").create(VARIABLE)


@_case
def _outcome_unknown(things: Things, posthog: PostHog) -> None:
    # Somebody else's object appears while the answer to our own create is lost.
    _fault(posthog, "POST", "insight_variables", do="reset", times=1)
    thing = things("InsightVariable")
    request, bodies = thing.session.transport.request, [{"name": "Region", "type": "String"}]

    def meanwhile(method: str, *arguments: object, **named: object) -> object:
        if method == "GET" and bodies:
            posthog.call("POST", "insight_variables/", bodies.pop(), key="phx_colleague")
        return request(method, *arguments, **named)  # type: ignore[arg-type]

    thing.session.transport.request = meanwhile  # type: ignore[method-assign, assignment]
    thing.create(VARIABLE)


@_case
def _rate_limited(things: Things, posthog: PostHog) -> None:
    _fault(posthog, "POST", "insight_variables", do="status", status=429, headers={"Retry-After": "7200"})
    things("InsightVariable").create(VARIABLE)


@_case
def _unavailable(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(VIEW)
    _fault(posthog, "GET", "warehouse_saved_queries/*", do="status", status=503)
    thing.refresh()


@_case
def _unexpected_answer(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(VIEW)
    _fault(posthog, "GET", "warehouse_saved_queries/*", do="status", status=200, html="<h1>Log in</h1>")
    thing.refresh()


@_case
def _incomplete(things: Things, posthog: PostHog) -> None:
    body = {"type": "validation_error", "code": "invalid_input", "detail": "The table is being synced."}
    _fault(posthog, "PATCH", "external_data_sources/*/bulk_update_schemas", do="status", status=400, json=body)
    problem = things("ExternalDataSource").create(SOURCE).problem
    assert problem
    raise problem


@_case
def _refused(things: Things, posthog: PostHog) -> None:
    body = {"type": "invalid_request", "code": "quota_limit_exceeded", "detail": "Your plan has no room for more."}
    _fault(posthog, "POST", "external_data_sources", do="status", status=402, json=body)
    things("ExternalDataSource").create(SOURCE)


@_case
def _unauthenticated(things: Things, posthog: PostHog) -> None:
    things("InsightVariable", key="phx_wrong").create(VARIABLE)


@_case
def _missing_scope(things: Things, posthog: PostHog) -> None:
    things("InsightVariable", key="phx_reader").create(VARIABLE)


@_case
def _no_access(things: Things, posthog: PostHog) -> None:
    things("InsightVariable", key="phx_only_two").create(VARIABLE)


@_case
def _not_found(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(VIEW)
    posthog.call("DELETE", f"warehouse_saved_queries/{thing.id}/")
    thing.update({**VIEW, "description": "Nobody."})


@_case
def _project_not_found(things: Things, posthog: PostHog) -> None:
    things("InsightVariable", environment="999").create(VARIABLE)


@_case
def _invalid(things: Things, posthog: PostHog) -> None:
    things("ExternalDataSource").create({**SOURCE, "connection": {**SOURCE["connection"], "password": "wrong"}})


@_case
def _already_exists(things: Things, posthog: PostHog) -> None:
    things("InsightVariable", key="phx_colleague").create(VARIABLE)
    things("InsightVariable").create(VARIABLE)


@_case
def _changed(things: Things, posthog: PostHog) -> None:
    thing = things("SavedQuery")
    thing.create(VIEW)
    live = posthog.one("warehouse_saved_queries")
    query = {"kind": "HogQLQuery", "query": "SELECT event FROM events"}
    body = {"query": query, "edited_history_id": live["latest_history_id"]}
    posthog.call("PATCH", f"warehouse_saved_queries/{thing.id}/", body, key="phx_colleague")
    thing.update({**VIEW, "query": "SELECT 1 AS one"})


def _as_shown(error: errors.PostHogError, posthog: PostHog) -> str:
    """The line that Pulumi prints, with the same hosts, ids and times in every run."""
    text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    text = text.replace(posthog.url, "https://us.posthog.com").replace(
        "http://127.0.0.1:9", "https://posthog.example.com"
    )
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", SHOWN_ID, text)
    text = re.sub(r"Request id \S+", f"Request id {SHOWN_ID}.", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "2026-11-02T09:30:00Z", text)
    text = re.sub(r"on \d{4}-\d\d-\d\d", "on 2026-11-02", text)
    return re.sub(r"in \d+ s", "in 9 s", text)


def _entries() -> dict[str, str]:
    """The page's sections, by anchor, with their line breaks undone."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return {anchor: " ".join(text.split()) for anchor, text in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_page_shows_the_error_as_users_read_it(things: Things, posthog: PostHog, name: str) -> None:
    with pytest.raises(errors.PostHogError) as raised:
        CASES[name](things, posthog)
    anchor = name.replace("_", "-")
    assert raised.value.anchor == anchor
    told = _as_shown(raised.value, posthog)
    assert KEY not in told
    assert told in _entries()[anchor], f"the entry {anchor} has not this example:\n{told}"


def test_every_error_has_an_example() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, errors.PostHogError)]
    assert {item.anchor for item in classes} - {"posthog-error"} == {name.replace("_", "-") for name in CASES}
