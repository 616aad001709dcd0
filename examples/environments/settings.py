"""What differs between the environments: typed values from the configuration of the stack."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Self, get_args, get_type_hints

import pulumi

Frequency = Literal["5min", "15min", "30min", "1hour", "6hour", "12hour", "24hour", "7day", "30day"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of one environment; each has a line in ``Pulumi.<stack>.yaml``."""

    database_host: str
    database_user: str
    database_password: pulumi.Output[str]
    sync_frequency: Frequency
    protect_source: bool
    store_revenue: bool
    regions: list[str]

    @classmethod
    def read(cls) -> Self:
        """Reads them all; what is missing or wrong ends the preview with a sentence that names it."""
        return cls(**{name: _value(name, kind) for name, kind in get_type_hints(cls).items()})


def _value(name: str, kind: Any) -> Any:
    first, *others = name.split("_")
    key = first + "".join(word.title() for word in others)
    config = pulumi.Config()
    is_secret = kind == pulumi.Output[str]
    command = f"pulumi config set {'--secret ' if is_secret else ''}{key} …"
    try:
        if is_secret:
            value: Any = config.get_secret(key)
        elif kind is bool:
            value = config.get_bool(key)
        else:
            value = config.get_object(key) if kind == list[str] else config.get(key)
    except pulumi.ConfigTypeError:
        raise pulumi.RunError(f"{key} in Pulumi.{pulumi.get_stack()}.yaml is not what it should be: {kind}") from None
    if value is None:
        raise pulumi.RunError(f"the stack {pulumi.get_stack()} has no value for {key}: set it with `{command}`")
    allowed = get_args(kind) if kind is Frequency else ()
    if allowed and value not in allowed:
        raise pulumi.RunError(f"{key} in Pulumi.{pulumi.get_stack()}.yaml must be one of {', '.join(allowed)}")
    return value
