"""What a preview asks PostHog about a new or changed source, most of it with ``posthog:validate`` set to ``live``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from . import errors
from .checks import near
from .connections import connections
from .declare import UNKNOWN, Api, Problem, Question, Values, has_unknown, mapping, sequence
from .source_connection import same_texts
from .source_steps import cdc_body, turns_cdc_off
from .tables import changed_tables

_PREFIX = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_BESIDE_FIELDS = ("ssh_tunnel", "credential_id")
"""What every type may have in its connection without listing it."""


@cache
def source_types() -> frozenset[str]:
    """The types of sources that PostHog had in November 2026; it knows more by the day."""
    return frozenset(resources.files(__name__.rpartition(".")[0]).joinpath("source_types.txt").read_text().split())


def questions(olds: Values, values: Values, own: bool) -> Iterator[Question]:
    """What is worth asking about a new or changed source.

    Args:
        own: Whether a source of this type and prefix is in state already; its prefix is no clash.
    """
    connection, kind = values.get("connection"), values.get("source_type")
    if has_unknown(kind):
        return
    if not olds and kind not in source_types():
        yield Question("source_type", "source_type", lambda api: _type_check(api, values), rare=True, is_basis=True)
    if has_unknown(connection) or has_unknown(values.get("access_method")):
        return
    same_connection = same_texts(olds.get("connection"), connection)
    if not olds and not own and not values.get("adopt") and not has_unknown(values.get("prefix")):
        yield Question("prefix", "prefix", lambda api: _prefix_check(api, values))
    if not same_connection and kind not in connections():
        yield Question(
            "the fields of the connection", "source_type", lambda api: _wizard_check(api, values), is_basis=True
        )
    if has_unknown(values.get("schemas")):
        return
    tables = changed_tables(mapping(olds.get("schemas")), mapping(values.get("schemas")))
    if tables or not same_connection:
        yield Question("connection and tables", "connection", lambda api: table_checks(api, values))
    if values.get("cdc") is None or has_unknown(values["cdc"]):
        return
    turned_on = not olds.get("cdc") or turns_cdc_off(mapping(olds.get("cdc")), values.get("cdc"))
    captured = any(table.get("sync_type") == "cdc" for table in tables.values())
    if not same_connection or turned_on or captured:
        yield Question("change data capture", "cdc", lambda api: _cdc_check(api, values))


def prefix_problems(prefix: Any, direct: bool) -> Iterator[Problem]:
    """The rules of PostHog for prefixes that need no look at other sources."""
    if direct:
        if not (prefix is UNKNOWN or (prefix or "").strip()):
            yield Problem("prefix", "is required for a direct source: it is the name that PostHog shows")
    elif isinstance(prefix, str) and prefix:
        if not _PREFIX.match(prefix):
            yield Problem("prefix", "may hold letters, digits and '_' only, and must not begin with a digit")
        elif not prefix.strip("_"):
            yield Problem("prefix", "must not consist of '_' only")


def explain(api: Api, error: errors.Invalid, values: Values) -> None:
    """Puts a refusal into better words: PostHog does not say which table or type it does not know."""
    found: list[Problem] = []
    if error.field == "source_type":
        found = list(_type_check(api, values))
    elif "do not exist in source" in error.message:
        found = list(table_checks(api, values))
    elif "Schemas not given" in error.message and not values.get("schemas"):
        error.hint = "This PostHog does not choose the tables by itself: name them in `schemas`."
    if found:
        error.message = "; ".join(map(str, found))


def _described(values: Values) -> Values:
    body: Values = {name: values[name] for name in ("source_type", "access_method") if name in values}
    return {**mapping(values["connection"]), **body}


def _type_check(api: Api, values: Values) -> Iterator[Problem]:
    kind = str(values["source_type"])
    try:
        listed = mapping(api.call("GET", "wizard", query={"source_type": kind}).body)
    except errors.Invalid:  # that is how today's PostHog says that there is no such type (contract 5.3)
        listed = {}
    if kind not in listed:
        known = near(kind, sorted({*source_types(), *listed}))
        yield Problem("source_type", f"PostHog has no source of this type{known}")


def _prefix_check(api: Api, values: Values) -> Iterator[Problem]:
    body: Values = {name: values[name] for name in ("source_type", "access_method") if name in values}
    try:
        api.call("POST", "source_prefix", body={**body, "prefix": values.get("prefix") or ""}, repeatable=True)
    except errors.Invalid as error:
        yield Problem("prefix", error.message)


def _wizard_check(api: Api, values: Values) -> Iterator[Problem]:
    kind, connection = str(values["source_type"]), mapping(values["connection"])
    listed = mapping(mapping(api.call("GET", "wizard", query={"source_type": kind}).body).get(kind))
    fields = [mapping(item) for item in sequence(listed.get("fields"))]
    nested = [mapping(inner) for item in fields for inner in _inner_fields(item)]
    names = [str(item["name"]) for item in fields if "name" in item]
    flat = {str(item.get("name")) for item in nested}  # PostHog takes nested fields at the top too (contract 5.12)
    for item in fields if "credential_id" not in connection else ():
        if item.get("required") and item.get("name") not in connection and not flat & {*connection}:
            yield Problem(f"connection.{item['name']}", f"is required for a source of type {kind}")
    groups = tuple(
        f"{item.get('name')}_" for item in fields if [*_inner_fields(item)] or item.get("type") == "ssh-tunnel"
    )
    for name in connection:
        if names and name not in {*names, *flat, *_BESIDE_FIELDS} and not name.startswith(groups):
            yield Problem(f"connection.{name}", f"is no field of a source of type {kind}{near(name, names)}")


def _inner_fields(field: Values) -> Iterator[Values]:
    yield from sequence(field.get("fields"))
    for option in map(mapping, sequence(field.get("options"))):
        yield from sequence(option.get("fields"))


def table_checks(api: Api, values: Values) -> Iterator[Problem]:
    """Whether PostHog can connect, and whether the named tables have what is asked of them (contract 5.2)."""
    answer = api.call("POST", "database_schema", body=_described(values), repeatable=True)
    known = {str(mapping(item).get("table")): mapping(item) for item in sequence(answer.body)}
    for name, table in mapping(values.get("schemas")).items():
        path = f'schemas["{name}"]'
        if name in known:
            settings = mapping(table)
            yield from _type_problems(path, settings, known[name]) or _cursor_problems(path, settings, known[name])
            yield from _column_problems(path, settings, known[name])
        else:
            yield Problem(path, f"the source has no such table{near(name, list(known))}")


_TYPE_NEEDS = {
    "incremental": "incremental_available",
    "append": "append_available",
    "xmin": "xmin_available",
    "webhook": "supports_webhooks",
}


def _type_problems(path: str, settings: Values, found: Values) -> list[Problem]:
    """Whether the table can be synced that way; older versions of PostHog do not tell all of it."""
    kind = settings.get("sync_type")
    if kind is None or not settings.get("should_sync", True):
        return []
    if found.get("webhook_only") and kind != "webhook":
        return [Problem(f"{path}.sync_type", 'must be "webhook": the source sends this table in no other way')]
    if not found.get(_TYPE_NEEDS.get(kind, ""), True):
        return [Problem(f"{path}.sync_type", f'cannot be "{kind}" for this table')]
    return []


def _cursor_problems(path: str, settings: Values, found: Values) -> Iterator[Problem]:
    offered = [mapping(item) for item in sequence(found.get("incremental_fields"))]
    cursors = [str(item.get("field")) for item in offered]
    cursor = settings.get("incremental_field")
    if isinstance(cursor, str) and cursor not in {*cursors, *(str(item.get("label")) for item in offered)}:
        yield Problem(f"{path}.incremental_field", f"is no column to sync incrementally on{near(cursor, cursors)}")


def _column_problems(path: str, settings: Values, found: Values) -> Iterator[Problem]:
    """Whether the columns are there; a source that tells no columns takes any."""
    columns = [str(mapping(item).get("field")) for item in sequence(found.get("available_columns"))]
    filtered = [mapping(item).get("column") for item in sequence(settings.get("row_filters"))]
    named = {f"row_filters[{index}].column": column for index, column in enumerate(filtered)}
    for key in ("primary_key_columns", "enabled_columns"):
        named.update({f"{key}[{index}]": column for index, column in enumerate(sequence(settings.get(key)))})
    for where, column in named.items() if columns else ():
        if column not in columns:
            yield Problem(f"{path}.{where}", f"is no column of the table{near(str(column), columns)}")


def _cdc_check(api: Api, values: Values) -> Iterator[Problem]:
    tables = [
        name for name, table in mapping(values.get("schemas")).items() if mapping(table).get("sync_type") == "cdc"
    ]
    body = {**_described(values), **cdc_body(values["cdc"]), "tables": tables}
    answer = mapping(api.call("POST", "check_cdc_prerequisites", body=body, repeatable=True).body)
    for text in sequence(answer.get("errors")):
        yield Problem("cdc", str(text))
