"""The connection of a source: what is wrong with it, and when it is the one that PostHog stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import BaseModel

from .checks import validated
from .connections import Connection, connections
from .declare import Problem, Values, default_of, mapping, traits
from .parts import model_in
from .secrecy import is_plain


def _model(source_type: Any) -> type[Connection] | None:
    return connections().get(source_type) if isinstance(source_type, str) else None


def connection_problems(values: Values) -> Iterator[Problem]:
    """What is wrong with the connection of a type that has a model."""
    model, connection = _model(values.get("source_type")), values.get("connection")
    if model is not None and isinstance(connection, dict):
        given = cast("Values", connection)
        yield from validated(model, given, ("connection",)) or model.problems(given)


def completed_connection(values: Values) -> Any:
    """The connection with the defaults of its type, those of nested groups too, and trimmed as in PostHog."""
    connection, model = values["connection"], _model(values["source_type"])
    if isinstance(connection, dict):
        items = cast("Values", connection).items()
        connection = {name: value.strip() if isinstance(value, str) else value for name, value in items}
    return connection if model is None else _completed(model, connection)


def _completed(model: type[BaseModel], given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    result: Values = {}
    for name, info in model.model_fields.items():
        if default_of(info) is not None:
            result[info.alias or name] = default_of(info)
    result.update({key: value for key, value in cast("Values", given).items() if value is not None})
    for name, info in model.model_fields.items():
        inner, key = model_in(info.annotation), info.alias or name
        if inner is not None and key in result:
            result[key] = _completed(inner, result[key])
    return result


# ---- as PostHog stores it -------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    """A scalar as PostHog stores it: text (contract 4.6)."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def same_texts(one: Any, other: Any) -> bool:
    """Whether two connection values are stored alike: numbers and booleans as text, null like absent."""
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("Values", one), cast("Values", other)
        return all(same_texts(left.get(key), right.get(key)) for key in {*left, *right})
    if isinstance(one, list) and isinstance(other, list):
        pairs = cast("list[Any]", one), cast("list[Any]", other)
        return len(pairs[0]) == len(pairs[1]) and all(map(same_texts, *pairs))
    if one is None or other is None:
        return one is other
    texts = _text(one), _text(other)
    if isinstance(one, bool) or isinstance(other, bool):
        return texts[0].lower() == texts[1].lower()
    return texts[0] == texts[1]


def live_connection(source_type: Any, declared: Any, live: Any) -> Any:
    """The declared connection with the values PostHog shows, and with what was set in PostHog besides."""
    stored, model = _as_stored(declared, live), _model(source_type)
    told = any(value is not None for value in mapping(declared).values())  # `Client` asks by names alone
    if model is None or not told or not isinstance(live, dict):
        return stored
    shown = cast("Values", live)
    for name, info in model.model_fields.items():
        key, left_out = info.alias or name, default_of(info)
        optional = not info.is_required() and left_out is None and not traits(info).secret
        if optional and key not in declared and not _says_nothing(shown.get(key)):
            stored[key] = shown[key]
    return stored


def _as_stored(declared: Any, live: Any) -> Any:
    """The declared value with what PostHog shows of it; what it hides (secrets, by leaving them out) stays."""
    if not (isinstance(declared, dict) and isinstance(live, dict)):
        return cast("Any", declared if live is None or same_texts(declared, live) else live)
    shown = cast("Values", live)
    return {
        key: _as_stored(value, shown.get(key))
        for key, value in cast("Values", declared).items()
        if not (key in shown and shown[key] is None and _cleared(key, value))
    }


def _cleared(name: str, declared: Any) -> bool:
    """Whether null where this was declared means that somebody took it away."""
    return not _says_nothing(declared) and (isinstance(declared, dict) or is_plain(name))


def _says_nothing(value: Any) -> bool:
    """Whether a value is stored like none at all: blank, or a group that is off."""
    if isinstance(value, dict):
        return _text(mapping(cast("Any", value)).get("enabled")).lower() != "true"
    return value in (None, "", [])


def sent_connection(old: Values, new: Values) -> Values:
    """A changed connection as it is sent. PostHog keeps what is left out (contract 4.5), so what is gone is named."""
    off = {key: {"enabled": False} for key, value in old.items() if key not in new and "enabled" in mapping(value)}
    return {**_with_nulls(old, new), **off}


def _with_nulls(old: Values, new: Values) -> Values:
    given = {
        key: _with_nulls(mapping(old.get(key)), cast("Values", value)) if isinstance(value, dict) else value
        for key, value in new.items()
    }
    return {**given, **{key: None for key in old if key not in new}}


def declared_part(declared: Any, live: Any) -> Any:
    """Of a group of settings those that are declared, with their live values."""
    if declared is None or not isinstance(live, dict):
        return declared
    return {name: mapping(cast("Any", live)).get(name) for name in mapping(declared)}
