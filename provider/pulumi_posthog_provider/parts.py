"""Groups of settings inside an object, of which a caller speaks in part: one such as `cdc`, or a map of them such as
`schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from .declare import Values, mapping, sequence


def unknowing(info: FieldInfo, value: Any) -> Any:
    """An old value that manages everything this value mentions and knows nothing of it; None for a single value."""
    model = model_in(info.annotation)
    if model is not None:
        names = [item.alias or name for name, item in model.model_fields.items()]
        if isinstance(value, list):  # PostHog lists what the argument maps by name
            return {str(row["name"]): dict.fromkeys(names) for row in map(mapping, sequence(cast("Any", value)))}
        if maps_models(info):
            return {name: dict.fromkeys(names) for name in mapping(value)}
        return dict.fromkeys(names)
    if isinstance(value, Mapping):
        return dict.fromkeys(cast("Mapping[str, Any]", value))
    return [] if isinstance(value, list) else {} if value is None else None


def typed(info: FieldInfo, value: Any) -> Any:
    """A group of settings with their declared types: some are stored as text."""
    model = model_in(info.annotation)
    if model is None or maps_models(info) or not isinstance(value, dict):
        return value
    told = {key: item for key, item in cast("Values", value).items() if item is not None}
    try:
        return model.model_validate(told, strict=False).model_dump(exclude_unset=True, by_alias=True)
    except ValidationError:
        return told


def merged(info: FieldInfo, old: Any, new: Any) -> Any:
    """Of a group of settings, or of each in a map of them, only what is given changes."""
    if model_in(info.annotation) is None or not isinstance(new, Mapping):
        return new
    given = cast("Mapping[str, Any]", new)
    if maps_models(info):
        return {
            name: {**mapping(mapping(old).get(name)), **cast("Values", item)} if isinstance(item, Mapping) else item
            for name, item in given.items()
        }
    return {**mapping(old), **given}


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The group of settings that an argument is, or maps names to."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)


def maps_models(info: FieldInfo) -> bool:
    """Whether an argument maps names to groups of settings."""
    model = model_in(info.annotation)
    return model is not None and model not in (info.annotation, *get_args(info.annotation))
