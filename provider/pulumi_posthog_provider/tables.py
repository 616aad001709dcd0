"""The tables of a source: what can be set per table, what is wrong with it, and what separates two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, cast

from .declare import UNKNOWN, Arguments, Problem, Reported, Values, argument, mapping, reported, sequence

SyncType = Literal["full_refresh", "incremental", "append", "webhook", "cdc", "xmin"]
SyncFrequency = Literal["5min", "15min", "30min", "1hour", "6hour", "12hour", "24hour", "7day", "30day"]

_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_NEEDS_CURSOR = ("incremental", "append")
_TYPE_SETTINGS = frozenset(
    {
        "incremental_field",
        "incremental_field_type",
        "incremental_field_lookback_seconds",
        "primary_key_columns",
        "cdc_table_mode",
    }
)
_TABLE_DEFAULTS: Values = {"should_sync": True, "cdc_table_mode": "consolidated"}
_FREQUENCY, _CDC_FREQUENCY = "6hour", "5min"
_SETS = ("enabled_columns", "primary_key_columns", "row_filters")
"""Lists whose order says nothing."""
_RESET = (
    "sync_frequency",
    "sync_time_of_day",
    "enabled_columns",
    "row_filters",
    "full_refresh_interval_days",
    "full_refresh_time_of_day",
)
"""Settings of every table that PostHog does not choose by itself, and whose default it takes at any time."""
_FOUND = ("primary_key_columns",)
"""What PostHog finds by itself, and lets nobody change once there is data (contract 6.3): taken away, it stays."""
_TIMES = ("sync_time_of_day", "full_refresh_time_of_day")
TAKEN_ON_CREATE = (
    "should_sync",
    "sync_type",
    "incremental_field",
    "incremental_field_type",
    "incremental_field_lookback_seconds",
    "primary_key_columns",
    "sync_time_of_day",
    "enabled_columns",
    "row_filters",
    "cdc_table_mode",
)


class RowFilter(Arguments):
    """A condition that rows must meet to be synced."""

    column: str = argument(doc="The column.", min_length=1)
    operator: str = argument(doc="The comparison, for instance `=`, `>` or `IN`.", min_length=1)
    value: Any = argument(doc="What the column is compared with.")


class Schema(Arguments):
    """How one table is synced."""

    should_sync: bool | None = argument(
        None, doc="Whether the table is synced; one that is declared is. False keeps what was synced before."
    )
    sync_type: SyncType | None = argument(
        None, doc="How rows are copied; `full_refresh` if left out (direct sources have none)."
    )
    incremental_field: str | None = argument(
        None, doc="The column that grows with every change; needed for `incremental` and `append`."
    )
    incremental_field_type: Literal["integer", "numeric", "datetime", "date", "timestamp", "objectid", "xid"] | None = (
        argument(None, doc="The type of `incremental_field`.")
    )
    incremental_field_lookback_seconds: int | None = argument(
        None, doc="How far back each run looks again, in seconds, at most 60 days.", ge=0, le=5_184_000
    )
    primary_key_columns: list[str] | None = argument(
        None,
        doc="The columns that identify a row; PostHog finds them itself if left out. They stay when this is removed.",
    )
    sync_frequency: SyncFrequency | None = argument(
        None, doc="How often; PostHog's default is `6hour`, for `cdc` it is `5min`."
    )
    sync_time_of_day: str | None = argument(None, doc="When the daily sync starts, `HH:MM` or `HH:MM:SS` in UTC.")
    full_refresh_interval_days: int | None = argument(
        None, doc="Every how many days an incremental table is copied as a whole, 1 to 90.", ge=1, le=90
    )
    full_refresh_time_of_day: str | None = argument(None, doc="When that copy starts, `HH:MM` or `HH:MM:SS` in UTC.")
    enabled_columns: list[str] | None = argument(
        None, doc="Only these columns; all if left out, and only key and cursor if empty."
    )
    row_filters: list[RowFilter] | None = argument(None, doc="Only rows that meet all of these conditions.")
    cdc_table_mode: Literal["consolidated", "cdc_only", "both"] | None = argument(
        None, doc="Which tables change data capture keeps; PostHog's default is `consolidated`."
    )
    triggers: dict[str, Any] | None = argument(
        None,
        doc="Any values; when one of them changes, the data of the table is dropped and synced anew. Adding the first "
        "or removing the last of them does nothing.",
    )


class SchemaReported(Reported):
    """What PostHog adds to a table (contract 6.2)."""

    name: str = reported("The name of the table at its source.")
    label: str | None = reported("What PostHog shows instead of the name.")
    table: dict[str, Any] | None = reported("The synced table: `id`, `name` in SQL, `columns`, `row_count`.")
    status: str | None = reported("The state of its newest sync, for instance `Running`, `Completed` or `Failed`.")
    latest_error: str | None = reported("The error of its newest sync.")
    last_synced_at: str | None = reported("When its newest sync was completed, ISO 8601 in UTC.")
    incremental: bool | None = reported("Whether its syncs copy only what is new.")
    incremental_sync_blocked: Any = reported("Why it cannot be synced incrementally.")
    description: str | None = reported("What it holds, for people.")
    available_columns: list[Any] | None = reported("The columns it has at its source.")
    api_version: str | None = reported("The version of the vendor's API that it uses.")
    source: dict[str, Any] | None = reported("Its source: `id`, `source_type`, `access_method`.")


def table_problems(schemas: Any, direct: bool) -> Iterator[Problem]:
    """Rules between the settings of a table."""
    if schemas == {}:
        yield Problem("schemas", "must name at least one table; leave it out to let PostHog choose")
    for name, table in cast("dict[str, Any]", schemas if isinstance(schemas, dict) else {}).items():
        if not isinstance(table, dict):
            continue
        settings = cast("Values", table)
        if direct and settings.get("sync_type") is not None:
            yield Problem(f'schemas["{name}"].sync_type', "is not for direct sources: they copy nothing")
        for field in ("incremental_field", "incremental_field_type"):
            if settings.get("sync_type") in _NEEDS_CURSOR and settings.get(field) in (None, ""):
                yield Problem(
                    f'schemas["{name}"].{field}', f'is required, because sync_type is "{settings["sync_type"]}"'
                )
        for field in _TIMES:
            time = settings.get(field)
            if isinstance(time, str) and not _TIME_OF_DAY.fullmatch(time):
                yield Problem(f'schemas["{name}"].{field}', "must be a time of day, such as 03:30 or 03:30:00")
        if settings.get("sync_type") == "cdc" and settings.get("sync_frequency") == "30day":
            yield Problem(f'schemas["{name}"].sync_frequency', 'must be at most 7day, because sync_type is "cdc"')


def completed_table(table: Any, direct: bool) -> Any:
    """The settings of a table with what follows from the others."""
    if table is UNKNOWN:
        return table
    settings: Values = {key: value for key, value in mapping(table).items() if value is not None}
    settings.setdefault("should_sync", True)
    if not direct:
        settings.setdefault("sync_type", "full_refresh")
    for name in _TIMES:
        time = settings.get(name)
        if isinstance(time, str) and len(time) == len("HH:MM"):
            settings[name] = f"{time}:00"
    return settings


def changed_tables(olds: dict[str, Values], news: dict[str, Values]) -> dict[str, Values]:
    """What to change per table, by name; a table that is no longer named stops syncing. Order says nothing."""
    result: dict[str, Values] = {}
    for name in {*olds, *news}:
        if name not in news:
            if olds[name].get("should_sync", True):
                result[name] = {"should_sync": False}
        elif name not in olds:
            # It may have been set otherwise before.
            result[name] = {**_defaults(news[name]), **sent_settings(news[name])}
        else:
            changes = _changed_settings(olds[name], news[name])
            if changes:
                result[name] = changes
    return result


def without_cdc(table: Values) -> Values:
    """A table after change data capture was turned off (contract 5.11)."""
    if table.get("sync_type") != "cdc":
        return table
    return {"sync_frequency": _CDC_FREQUENCY, **table, "sync_type": None, "should_sync": False}


def starts_a_sync(olds: dict[str, Values], news: dict[str, Values]) -> bool:
    """Whether a table is synced that was not before."""
    return any(
        table.get("should_sync", True) and not (name in olds and olds[name].get("should_sync", True))
        for name, table in news.items()
    )


def _changed_settings(old: Values, new: Values) -> Values:
    changes: Values = {
        key: new.get(key, _default(key, new))
        for key in {*sent_settings(old), *sent_settings(new), "sync_frequency"}  # its default depends on the type
        if not _same_setting(key, old.get(key, _default(key, old)), new.get(key, _default(key, new)))
        and (key in new or key not in _FOUND)
    }
    if new.get("sync_type") and _TYPE_SETTINGS & {*changes}:
        changes["sync_type"] = new["sync_type"]  # PostHog takes these settings only together with it (contract 6.3)
    return changes


def _defaults(table: Values) -> Values:
    """What a table of this type has where nothing is declared, of all that PostHog does not choose by itself."""
    names = [*_RESET]
    if table.get("sync_type") in _NEEDS_CURSOR:
        names.append("incremental_field_lookback_seconds")
    if table.get("sync_type") == "cdc":
        names.append("cdc_table_mode")
    return {name: _default(name, table) for name in names}


def _default(key: str, table: Values) -> Any:
    if key == "sync_frequency":
        return _CDC_FREQUENCY if table.get("sync_type") == "cdc" else _FREQUENCY
    return _TABLE_DEFAULTS.get(key)


def sent_settings(table: Values) -> Values:
    """The settings that are fields of PostHog."""
    return {key: value for key, value in table.items() if key != "triggers"}


def triggered_tables(olds: dict[str, Values], news: dict[str, Values]) -> list[str]:
    """The tables whose triggers were added, changed or removed."""
    return [name for name in news if name in olds and olds[name].get("triggers") != news[name].get("triggers")]


def resynced_tables(olds: dict[str, Values], news: dict[str, Values]) -> list[str]:
    """The tables whose data is dropped and synced anew: those whose triggers changed, and that are synced at all."""
    return [
        name
        for name in triggered_tables(olds, news)
        if olds[name].get("triggers") and news[name].get("triggers") and news[name].get("should_sync", True)
    ]


def _same_setting(key: str, one: Any, other: Any) -> bool:
    return same_set(one, other) if key in _SETS else bool(one == other)


def same_set(one: Any, other: Any) -> bool:
    """Whether two lists hold the same in any order; none is not an empty one."""
    if not (isinstance(one, list) and isinstance(other, list)):
        return bool(one == other)
    return _sorted(cast("list[Any]", one)) == _sorted(cast("list[Any]", other))


def _sorted(items: list[Any]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


def rows(live: Values) -> dict[str, Values]:
    """The tables of a live source by name."""
    return {str(row["name"]): row for row in map(mapping, sequence(live.get("schemas"))) if "name" in row}


def live_table(declared: Values, row: Values, known: Values) -> Values:
    """The declared settings with their live values. PostHog may rename a cursor when it stores it (contract 4.3)."""
    result: Values = {}
    for key, value in declared.items():
        now = row.get(key, value)
        kept = key == "triggers" or (key in known and known[key] == now) or _same_setting(key, value, now)
        result[key] = value if kept else now
    # What is not declared is at its default, unless somebody changed it in PostHog.
    for key, default in _defaults({**declared, **row}).items():
        now = row.get(key)
        if key not in declared and now != default and not (now is None or (key == "row_filters" and now == [])):
            result[key] = now
    return {key: value for key, value in result.items() if value is not None}


def unknown_settings(schemas: Any, live: Values) -> list[str]:
    """The settings that PostHog's answer does not have although they were sent."""
    return [
        f'schemas["{name}"].{key}'
        for name, row in rows(live).items()
        if "should_sync" in row  # else it is a part of a row, which was not changed
        for key, value in sent_settings(mapping(mapping(schemas).get(name))).items()
        if value is not None and key not in row
    ]


def table_output(row: Values, known: Values) -> Values:
    """What the output `tables` says of one table; `row` may be a part of it."""
    shown = ("id", "incremental_field", "incremental_field_type", "status", "latest_error")
    result: Values = {**known, **{key: row[key] for key in shown if key in row}}
    if "table" in row:
        result.update({key: mapping(row["table"]).get(key) for key in ("name", "row_count")})
    return {key: value for key, value in result.items() if value is not None}
