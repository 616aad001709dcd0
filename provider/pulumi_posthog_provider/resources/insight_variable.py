"""An insight variable: a named, typed value that SQL insights use as ``{variables.<code_name>}``.

PostHog derives the code name from the first name an object gets and keeps it for ever: renaming a variable keeps its
code name, so that the queries that use it go on working. A variable is deleted for good.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, cast

from ..declare import (
    UNKNOWN,
    Api,
    Declaration,
    Message,
    Problem,
    Reported,
    ResourceArguments,
    Values,
    argument,
    default_of,
    has_unknown,
    reported,
)
from ..names import code_name
from ..sql import same_sql


class Inputs(ResourceArguments):
    """What users give."""

    name: str = argument(doc="Display name, 1 to 400 characters.", min_length=1, max_length=400)
    type: Literal["String", "Number", "Boolean", "List", "Date"] = argument(doc="The kind of value it holds.")
    default_value: Any = argument(
        None,
        doc="The value used where an insight sets none: text for String and Date, a number for Number, true or false "
        "for Boolean, one of `values` for List (a list of them with `is_multi`). PostHog's default is no value.",
    )
    values: list[Any] = argument(
        [], doc="The choices of a List variable, as text; PostHog turns numbers and booleans into text."
    )
    is_multi: bool = argument(False, doc="Whether several choices of a List variable may be picked at once.")
    values_query: str | None = argument(None, doc="SQL that yields the choices of a List variable.")
    values_query_connection_id: str | None = argument(
        None, doc="The id of the direct connection on which `values_query` runs; PostHog's own warehouse if left out."
    )


class Outputs(Reported):
    """What PostHog adds."""

    code_name: str | None = reported("The name in queries, `{variables.<code_name>}`; it stays when `name` changes.")
    created_by: int | None = reported("The id of the user whose key made it.")
    created_at: str | None = reported("When it was made, ISO 8601 in UTC.")


_LIST_ONLY = ("values", "is_multi", "values_query", "values_query_connection_id")


class InsightVariable(Declaration):
    """The rules of PostHog for insight variables."""

    kind = "InsightVariable"
    noun = "variable"
    collection = "insight_variables"
    scope = "insight_variable"
    key_text = "code name"
    inputs = Inputs
    outputs = Outputs
    derived = ("code_name",)
    key = ("code_name",)
    searched_here = ("name", "code_name")

    def natural_key(self, values: Values) -> tuple[Any, ...]:
        return (values.get("code_name"),)

    def problems(self, values: Values) -> Iterable[Problem]:
        name = values["name"]
        if name is not UNKNOWN and not name.strip():
            yield Problem("name", "must not be empty")
        kind = values["type"]
        if kind is UNKNOWN:
            return
        if kind != "List":
            for field in _LIST_ONLY:
                if values.get(field, default_of(Inputs.model_fields[field])) not in (None, [], False):
                    yield Problem(field, f'is only for variables of type "List", and this one is "{kind}"')
            reason = _wrong_default(kind, values.get("default_value"))
            if reason:
                yield Problem("default_value", reason)
            return
        if _text_given(values, "values_query_connection_id") and not _text_given(values, "values_query"):
            yield Problem("values_query_connection_id", "needs `values_query`, which runs on it")
        yield from _wrong_items("values", values.get("values"))
        default = values.get("default_value")
        if values.get("is_multi") is True:
            if default is not None and default is not UNKNOWN and not isinstance(default, list):
                yield Problem("default_value", "must be a list, because `is_multi` is true")
            yield from _wrong_items("default_value", default)
        elif isinstance(default, list | dict) and values.get("is_multi") is not UNKNOWN:
            yield Problem("default_value", "must be one value, because `is_multi` is not true")

    def normalise(self, values: Values) -> Values:
        result = dict(values)
        if isinstance(result.get("name"), str):
            result["name"] = result["name"].strip()
        for field in ("values_query", "values_query_connection_id"):
            if not _text_given(result, field):
                result[field] = None
        if result.get("type") == "List":
            result.update(_as_list_stores(result))
        return {name: value for name, value in result.items() if value is not None}

    def derive(self, values: Values, olds: Values) -> Values:
        if "code_name" in olds:
            return {"code_name": olds["code_name"]}
        name = values["name"]
        return {"code_name": UNKNOWN if name is UNKNOWN else code_name(name)}

    def effects(self, api: Api | None, olds: Values, news: Values) -> Iterable[Message]:
        if news["name"] is not UNKNOWN and olds.get("name") != news["name"]:
            kept, fresh = olds.get("code_name"), code_name(news["name"])
            if kept != fresh:
                text = f"queries go on using {{variables.{kept}}}: a new name does not change the code name."
                yield Message("info", text)

    def looked_up(self, api: Api, id: str, olds: Values, news: Values, changed: Values) -> Values:
        # PostHog keeps the default of the old type unless told otherwise, or makes a list of it (contract 2.4).
        is_reshaped = bool({"type", "is_multi"} & changed.keys())
        return {"default_value": news.get("default_value")} if id and is_reshaped else {}

    def from_api(self, live: Values, olds: Values) -> Values:
        values = super().from_api(live, olds)
        if values.get("type") != "List":
            values = {name: value for name, value in values.items() if name not in _LIST_ONLY}
        return self.normalise(values)

    def same(self, field: str, one: Any, other: Any) -> bool:
        if isinstance(one, bool) is not isinstance(other, bool):
            return False  # Python takes 1 for True, PostHog does not
        if field == "values_query" and isinstance(one, str) and isinstance(other, str):
            return same_sql(one, other)
        return super().same(field, one, other)


def _text_given(values: Values, field: str) -> bool:
    """Whether a text is there that is not blank, or will be."""
    text = values.get(field)
    return text is UNKNOWN or (isinstance(text, str) and bool(text.strip()))


def _wrong_default(kind: str, value: Any) -> str:
    if value is None or has_unknown(value):
        return ""
    wanted: dict[str, tuple[type | tuple[type, ...], str]] = {
        "String": (str, "text"),
        "Date": (str, "text (a date such as 2026-01-31)"),
        "Number": ((int, float), "a number"),
        "Boolean": (bool, "true or false"),
    }
    allowed, text = wanted[kind]
    right = isinstance(value, allowed) and (kind == "Boolean" or not isinstance(value, bool))
    return "" if right else f'must be {text}, because the type is "{kind}"'


def _wrong_items(field: str, items: Any) -> Iterable[Problem]:
    for index, item in enumerate(cast("list[Any]", items) if isinstance(items, list) else []):
        if isinstance(item, dict | list):
            yield Problem(f"{field}[{index}]", "must be text or a number")


def _as_list_stores(values: Values) -> Values:
    """How PostHog stores a List variable (contract 2.4): its choices are text."""
    result: Values = {}
    if isinstance(values.get("values"), list):
        result["values"] = [_text(item) for item in values["values"] if item is not None]
    default = values.get("default_value")
    if values.get("is_multi") is True:
        items = cast("list[Any]", default) if isinstance(default, list) else [default]
        result["default_value"] = [_text(item) for item in items if item is not None] or None
    elif default is not None:
        single = cast("list[Any]", default)[:1] if isinstance(default, list) else [default]
        result["default_value"] = (_text(single[0]) if single else "") or None
    return result


def _text(value: Any) -> Any:
    if value is UNKNOWN or isinstance(value, str):
        return value
    return json.dumps(value)
