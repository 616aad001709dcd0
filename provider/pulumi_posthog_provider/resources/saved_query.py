"""A saved query: a view in PostHog's data warehouse, defined by SQL and readable from other queries by its name.

PostHog refuses to delete a view that others read, and frees the name of a deleted one at once. A create with the name
of an existing view would change that view, so the name is looked up first. Renaming a view does not rename it in the
views that read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

from .. import errors
from ..checks import near
from ..declare import (
    UNKNOWN,
    Api,
    Arguments,
    Declaration,
    Message,
    Problem,
    Question,
    Reported,
    ResourceArguments,
    Values,
    argument,
    id_problems,
    mapping,
    reported,
    sequence,
)
from ..hogql import mistakes, tables
from ..names import RESERVED_TABLES
from ..source_checks import source_types
from ..sql import same_sql

_NAME = re.compile(r"^[A-Za-z_$][A-Za-z0-9_.$]*$")
_UNKNOWN_TABLE = re.compile(r"Unknown table `([^`]+)`")
_SYSTEM = re.compile(r"^system(\.|$)", re.IGNORECASE)

_OVERTAKEN = "modified by someone else"
"""How PostHog refuses SQL that comes with an old conflict token, or with none (contract 3.3 and 3.6)."""
NEVER = "never"
DEFAULT_FREQUENCY = "24hour"
"""What PostHog chooses for a view that is materialised without a frequency."""


class Incremental(Arguments):
    """How a materialised view is kept up to date row by row instead of being computed anew."""

    enabled: bool = argument(True, doc="Whether runs are incremental.")
    incremental_key: str | None = argument(None, doc="The column that grows with every change.")
    unique_key: list[str] | None = argument(None, doc="The columns that identify a row; at least one.", min_length=1)
    lookback_seconds: int | None = argument(None, doc="How far back each run looks again, in seconds.", ge=0)


class Inputs(ResourceArguments):
    """What users give."""

    name: str = argument(
        doc="The view's name in SQL: letters, digits, `_`, `.` and `$`, not beginning with a digit, at most 128 "
        "characters; unique among the views and tables of the environment.",
        min_length=1,
        max_length=128,
    )
    query: str = argument(
        doc="The HogQL text. Differences in white space, or at the end of the text, are no change.", min_length=1
    )
    description: str | None = argument(None, doc="What the view holds, for people.")
    folder: str | None = argument(
        None, doc="The name of the folder it is shown in; made if it is missing, and never deleted."
    )
    materialized: bool = argument(
        False, doc="Whether PostHog stores its rows. Removing it goes back to computing them at every read."
    )
    sync_frequency: Literal["never", "15min", "30min", "1hour", "6hour", "12hour", "24hour", "7day", "30day"] | None = (
        argument(
            None,
            doc="How often its rows are computed anew; a frequency makes it materialised. `24hour` if left out of a "
            "materialised view; `never` keeps what was stored.",
        )
    )
    incremental: Incremental | None = argument(None, doc="How a materialised view is kept up to date row by row.")
    dag_id: str | None = argument(
        None,
        doc="The id of the data modelling DAG it belongs to; the default DAG if left out. PostHog never gives it back.",
        write_only=True,
    )
    is_test: bool = argument(False, doc="A view that PostHog deletes after seven days; for PostHog's own staff only.")
    soft_update: bool = argument(
        False, doc="Saves the SQL without finding its columns, which PostHog otherwise does by running it.", local=True
    )


class Outputs(Reported):
    """What PostHog adds."""

    columns: list[Any] | None = reported("The columns PostHog found, in the order of the SELECT.")
    status: str | None = reported("The state of the newest run of a materialised view.")
    last_run_at: str | None = reported("When it was last materialised, ISO 8601 in UTC.")
    latest_error: str | None = reported("The error of the newest run.")
    is_materialized: bool | None = reported("Whether PostHog stores its rows.")
    latest_history_id: str | None = reported("PostHog's revision of the SQL, which guards against lost edits.")
    created_at: str | None = reported("When it was made, ISO 8601 in UTC.")


_LOOKED_AT = 100
"""How many views are read, at most, to find those that read another one."""

_LATER = ("materialized", "soft_update", "folder")
"""Arguments that are no fields of PostHog's body."""


class SavedQuery(Declaration):
    """The rules of PostHog for views."""

    kind = "SavedQuery"
    noun = "view"
    collection = "warehouse_saved_queries"
    scope = "warehouse_view"
    inputs = Inputs
    outputs = Outputs
    looks_before_create = True
    clash_texts = ("already exists", _OVERTAKEN)
    goes_with: ClassVar = {"sync_frequency": "materialized"}
    otherwise: ClassVar = {"folder_id": "folder", "edited_history_id": ""}
    unlisted = ("query", "incremental", "latest_history_id")

    def problems(self, values: Values) -> Iterable[Problem]:
        name, query = values["name"], values["query"]
        if name is not UNKNOWN and not _NAME.match(name.strip()):
            yield Problem("name", "may hold letters, digits, '_', '.' and '$' only, and must not begin with a digit")
        elif name is not UNKNOWN and (name.strip() in RESERVED_TABLES or _SYSTEM.match(name.strip())):
            yield Problem("name", "is that of a table of PostHog's own")
        if query is not UNKNOWN and not query.strip():
            yield Problem("query", "must not be empty")
        yield from id_problems("dag_id", values.get("dag_id"))
        frequency = values.get("sync_frequency")
        if values.get("materialized") is False and frequency not in (None, NEVER, UNKNOWN):
            yield Problem("materialized", "cannot be false, because sync_frequency makes the view materialised")
        undecided = UNKNOWN in (values.get("materialized"), frequency)
        if isinstance(values.get("incremental"), dict) and not _is_materialized(values) and not undecided:
            yield Problem("incremental", "is only for a materialised view; set `materialized` or `sync_frequency`")

    def slow_problems(self, values: Values, olds: Values) -> Iterable[Problem]:
        query = values["query"]
        if query is not UNKNOWN and not same_sql(query, str(olds.get("query"))):
            yield from (Problem("query", mistake) for mistake in mistakes(query))

    def questions(self, olds: Values, values: Values, own: bool) -> Iterable[Question]:
        name = values["name"]
        if name is not UNKNOWN and name != olds.get("name") and _may_be_synced(name):
            yield Question("the name", "name", lambda api: _synced_problems(api, name))

    def normalise(self, values: Values) -> Values:
        result = dict(values)
        for field in ("name", "description", "folder"):
            if isinstance(result.get(field), str):
                result[field] = result[field].strip() or None
        if _is_materialized(result):
            result["materialized"] = True
            result["sync_frequency"] = result.get("sync_frequency") or DEFAULT_FREQUENCY
        elif result.get("sync_frequency") == NEVER:
            result["sync_frequency"] = None
        return {name: value for name, value in result.items() if value is not None and value is not False}

    def effects(self, api: Api | None, olds: Values, news: Values) -> Iterable[Message]:
        old, new = olds.get("name"), news["name"]
        if new is UNKNOWN or old == new:
            return
        yield Message("info", f"will be called {new}; PostHog does not change the SQL that reads {old}.")
        readers, unread = _readers(api, str(old)) if api is not None else ([], 0)
        if readers:
            yield Message("warning", f"{', '.join(readers)} will fail until they read {new} instead of {old}.")
        if unread:
            yield Message("info", f"{unread} more views were not looked at.")

    def explain(self, api: Api, error: errors.Invalid, values: Values) -> None:
        unknown = _UNKNOWN_TABLE.search(error.message)
        if unknown and _may_be_synced(unknown.group(1)):
            error.hint = (
                "The table of a source is there after its first sync only: give the source `wait_for_first_sync`, or "
                "run `pulumi up` again when it has synced."
            )
        elif unknown:
            close = near(unknown.group(1), [*RESERVED_TABLES, *(str(view.get("name")) for view in api.list())])
            error.hint = f"A view can read tables of PostHog, synced tables and other views{close or '.'}"
        if "other views depend on it" in error.message:  # the newest PostHog names them itself
            readers, _ = _readers(api, str(values.get("name")))
            error.hint = f"They are: {', '.join(readers)}." if readers else ""

    def same(self, field: str, one: Any, other: Any) -> bool:
        if field == "query" and isinstance(one, str) and isinstance(other, str):
            return same_sql(one, other)
        if field == "sync_frequency":
            return super().same(field, one or NEVER, other or NEVER)
        return super().same(field, one, other)

    def to_api(self, values: Values) -> Values:
        body = {name: value for name, value in values.items() if name not in _LATER}
        if "query" in values:
            body["query"] = {"kind": "HogQLQuery", "query": values["query"]}
        if body.get("sync_frequency", NEVER) == NEVER:
            body.pop("sync_frequency", None)  # of a view without rows it says nothing
        return body

    def from_api(self, live: Values, olds: Values) -> Values:
        now = {name: value for name, value in super().from_api(live, olds).items() if value is not None}
        declared = mapping(olds.get("incremental"))
        incremental = mapping(live.get("incremental"))
        now["incremental"] = {name: incremental.get(name) for name in declared} if declared else None
        now["query"] = sql_of(live) if "query" in live else None
        now.update(folder=live.get("folder_name"), materialized=live.get("is_materialized") is True)
        if now["materialized"]:
            now["sync_frequency"] = live.get("sync_frequency") or NEVER
        return self.normalise(now)

    def first_step(self, values: Values) -> Values:
        return {name: value for name, value in values.items() if name not in ("materialized", "sync_frequency")}

    # ---- hooks that call PostHog ----

    def candidates(self, api: Api, values: Values) -> Iterable[Values]:
        return api.list(search=str(values["name"]))

    def looked_up(self, api: Api, id: str, olds: Values, news: Values, changed: Values) -> Values:
        body: Values = {}
        if "folder" in changed:
            body["folder_id"] = _folder_id(api, changed["folder"])
        if "query" in changed and news.get("soft_update"):
            body["soft_update"] = True
        if "query" in changed and id:
            body["edited_history_id"] = _token(api, id, olds, str(changed["query"]))
        return body

    def after_create(self, api: Api, live: Values, values: Values) -> Values:
        return self._materialized(api, live if "query" in live else api.get(str(live["id"])), values)

    def update(self, api: Api, id: str, olds: Values, news: Values, changed: Values) -> Values:
        turned_off = "materialized" in changed and not _is_materialized(news)
        if turned_off and not {*changed} - {"materialized", "sync_frequency"}:
            return self._without_rows(api, id)
        try:
            live = super().update(api, id, olds, news, changed)
        except errors.Invalid as error:
            if _OVERTAKEN not in error.message:
                raise
            raise _changed(api, id) from None
        return self._without_rows(api, id) if turned_off else self._materialized(api, live, news)

    def _without_rows(self, api: Api, id: str) -> Values:
        api.act(id, "revert_materialization", repeatable=False)
        return api.get(id)

    def _materialized(self, api: Api, live: Values, values: Values) -> Values:
        """Brings rows and frequency to what is asked. The newest PostHog did it already, older ones need this."""
        if not _is_materialized(values):
            return live
        id, frequency = str(live["id"]), values.get("sync_frequency") or DEFAULT_FREQUENCY
        if not live.get("is_materialized"):
            body = {} if frequency == NEVER else {"sync_frequency": frequency}
            api.act(id, "materialize", body=body)
            live = api.get(id)
        if (live.get("sync_frequency") or NEVER) != frequency:
            live = api.patch(id, {"sync_frequency": frequency})
        return live


def _may_be_synced(table: str) -> bool:
    """Whether the name is like that of a source's table: one of its parts is a type of sources."""
    return not {item.lower() for item in source_types()}.isdisjoint(re.split(r"[._]", table.lower()))


def _synced_problems(api: Api, name: str) -> Iterator[Problem]:
    rows = api.sibling("external_data_schemas").list()
    if any(mapping(row.get("table")).get("name") == name for row in rows):
        yield Problem("name", "is that of a synced table of a source")


def _is_materialized(values: Values) -> bool:
    return values.get("materialized") is True or values.get("sync_frequency") not in (None, NEVER, UNKNOWN)


def sql_of(live: Values) -> str:
    """The SQL text of a live view."""
    text = mapping(live.get("query")).get("query")
    if not isinstance(text, str):
        raise errors.UnexpectedAnswer("a view without SQL")
    return text


def _token(api: Api, id: str, olds: Values, wanted: str) -> Any:
    """The conflict token (contract 3.6), given only when the live SQL is the one in state.

    Or when it is the wanted one already: then an update of ours was carried out, and only its answer was lost.
    """
    live = api.get(id)
    if not same_sql(sql_of(live), str(olds.get("query"))) and not same_sql(sql_of(live), wanted):
        raise _changed(api, id)
    return live.get("latest_history_id")


def _readers(api: Api, name: str) -> tuple[list[str], int]:
    """The views whose SQL reads a view of this name, and how many were not looked at: lists are without SQL."""
    views = list(api.list(include_columns="false"))
    seen = [api.get(str(view["id"])) for view in views[:_LOOKED_AT]]
    return sorted(str(view.get("name")) for view in seen if name in tables(sql_of(view))), len(views) - len(seen)


def _changed(api: Api, id: str) -> errors.Changed:
    return errors.Changed(
        f"its SQL was changed in PostHog{_by_whom(api, id)} since the last `pulumi up` or `refresh`",
        hint="Run `pulumi refresh` to see that change, then `pulumi up` to replace it by yours.",
    )


def _folder_id(api: Api, name: Any) -> Any:
    """The id of the folder of this name; one that is missing is made."""
    if name is None:
        return None
    folders = api.sibling("warehouse_saved_query_folders")
    found = _folder_named(folders, name)
    if found is None:
        try:
            found = mapping(folders.create({"name": name}).body)
        except errors.Invalid:
            found = _folder_named(folders, name)  # made by another view of the same program, just now
            if found is None:
                raise
    return found["id"]


def _folder_named(folders: Api, name: str) -> Values | None:
    listed = map(mapping, sequence(folders.call("GET").body))
    return next((folder for folder in listed if folder.get("name") == name), None)


def _by_whom(api: Api, id: str) -> str:
    """Who edited the SQL last and when, from the activity log; an empty text where the key may not read that."""
    try:
        answer = api.call("GET", id, "activity", query={"limit": "20"})
    except errors.PostHogError:
        return ""
    for entry in map(mapping, sequence(mapping(answer.body).get("results"))):
        detail, user = mapping(entry.get("detail")), mapping(entry.get("user"))
        if any(mapping(change).get("field") == "query" for change in sequence(detail.get("changes"))):
            who = user.get("email") or user.get("first_name") or "somebody"
            return f" by {who} at {entry.get('created_at')}"
    return ""
