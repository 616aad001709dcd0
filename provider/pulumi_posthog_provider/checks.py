"""Finds what is wrong with inputs, field by field, in sentences that name the argument and never show a value."""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .declare import UNKNOWN, Arguments, Problem, Values

_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_EXACT = 2**53

Path = tuple[str | int, ...]


def validated(model: type[Arguments], values: Values, prefix: Path = ()) -> list[Problem]:
    """Everything wrong with the values of a model; unknown values and what depends on them are passed over."""
    unknown = set(_unknown_paths(values))
    try:
        model.model_validate(without_unknown(values))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
    else:
        found = []
    problems = [
        _problem(model, loc, prefix, cast("dict[str, Any]", item))
        for item in found
        if not _depends_on_unknown(loc := item["loc"], unknown)
    ]
    # A value that fits none of several types is found wrong once for each of them.
    return list(dict.fromkeys(problems)) or [
        Problem(path_text(model, loc, prefix), why) for loc, why in _impossible(values)
    ]


def _problem(model: type[BaseModel], loc: Path, prefix: Path, found: dict[str, Any]) -> Problem:
    plain = [kind for kind in _choices(model, loc[:-1]) if kind in _NAMES]
    if len(plain) > 1 and loc[-1] in {kind.__name__ for kind in plain}:
        reason = f"must be {' or '.join(_NAMES[kind] for kind in plain)}, not {_kind_of(found.get('input'))}"
        return Problem(path_text(model, loc[:-1], prefix), reason)
    return Problem(path_text(model, loc, prefix), _reason(model, loc, found))


def without_unknown(value: Any) -> Any:
    """A copy without the parts that are not known yet."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: without_unknown(item) for key, item in items if item is not UNKNOWN}
    if isinstance(value, list):
        return [without_unknown(item) for item in cast("list[Any]", value)]
    return value


def _unknown_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if value is UNKNOWN:
        yield path
    for key, item in _children(value):
        yield from _unknown_paths(item, (*path, key))


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from cast("Mapping[str, Any]", value).items()
    elif isinstance(value, list | tuple):
        yield from enumerate(cast("Sequence[Any]", value))


def _depends_on_unknown(loc: Path, unknown: set[Path]) -> bool:
    return any(path[: len(loc)] == loc or loc[: len(path)] == path for path in unknown)


def _impossible(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What no type forbids but neither Pulumi nor PostHog can carry."""
    if isinstance(value, str):
        if "\x00" in value:
            yield path, "must not contain NUL characters"
        if any("\ud800" <= char <= "\udfff" for char in value):
            yield path, "must be valid Unicode text"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            yield path, "must be a finite number"
        elif abs(value) > _EXACT:
            yield path, "is too large to be carried exactly; give it as text"
    for key, item in _children(value):
        yield from _impossible(item, (*path, key))


def path_text(model: type[BaseModel], loc: Path, prefix: Path = ()) -> str:
    """The argument's path as a user would write it: ``schemas["users"].sync_type``."""
    text = ".".join(str(part) for part in prefix)
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif isinstance(current, type) and issubclass(current, BaseModel) and _IDENTIFIER.match(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
        current = _step(current, part)
    return text


def _step(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        field = fields.get(str(part)) or next((item for item in fields.values() if item.alias == part), None)
        return _plain(field.annotation) if field else None
    arguments = get_args(annotation)
    return _plain(arguments[-1]) if arguments else None


def _plain(annotation: Any) -> Any:
    """The annotation without Optional and Annotated."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = next(item for item in get_args(annotation) if item is not type(None))
    return annotation


def _choices(model: type[BaseModel], loc: Path) -> tuple[Any, ...]:
    """The types that a field may have, if they are several."""
    owner = _annotation_at(model, loc[:-1])
    if not (loc and isinstance(owner, type) and issubclass(owner, BaseModel)):
        return ()
    field = owner.model_fields.get(str(loc[-1]))
    is_union = field is not None and get_origin(field.annotation) in (Union, types.UnionType)
    return get_args(field.annotation) if field and is_union else ()


def _annotation_at(model: type[BaseModel], loc: Path) -> Any:
    current: Any = model
    for part in loc:
        current = _step(current, part)
    return current


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_NAMES = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


def _reason(model: type[BaseModel], loc: Path, found: dict[str, Any]) -> str:
    kind: str = found["type"]
    limits: dict[str, Any] = found.get("ctx") or {}
    given: Any = found.get("input")
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}, not {_kind_of(given)}"
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        owner = _annotation_at(model, loc[:-1])
        names = [info.alias or name for name, info in owner.model_fields.items()]
        return f"is not an argument here{near(str(loc[-1]), names)}"
    if kind == "literal_error":
        allowed = [str(item) for item in get_args(_annotation_at(model, loc))]
        return one_of(given, allowed)
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind == "string_too_long":
        return f"must have at most {limits['max_length']} characters"
    if kind == "value_error":
        return str(limits["error"])
    return str(found["msg"]).removeprefix("Input ")


def _kind_of(value: object) -> str:
    if value is None:
        return "nothing"
    return next((name for kind, name in _NAMES.items() if isinstance(value, kind)), "this")


def one_of(given: object, allowed: Sequence[str]) -> str:
    """The reason for a value outside a closed list; the value itself is not repeated."""
    return f"must be one of {', '.join(allowed)}{near(given, allowed) if isinstance(given, str) else ''}"


def near(given: str, allowed: Sequence[str]) -> str:
    """A suggestion when a name looks like a misspelt one."""
    spellings = {item.lower(): item for item in allowed}
    close = difflib.get_close_matches(given.lower(), list(spellings), n=1)
    return f"; did you mean {spellings[close[0]]}?" if close else ""
