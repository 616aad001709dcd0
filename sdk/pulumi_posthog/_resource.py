"""What all resource classes share: how arguments become properties, and which of them are secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import pulumi
import pulumi.dynamic

from pulumi_posthog_provider import resume
from pulumi_posthog_provider.secrecy import is_plain

from ._graph import ordered

RECORDED = ("host", "environment_id")


@dataclass(kw_only=True, repr=False)
class Arguments:
    """A group of arguments, such as the settings of one table. Unset ones are left out."""

    _secrets: ClassVar[frozenset[str]] = frozenset()
    _wire: ClassVar[Mapping[str, str]] = {}
    """PostHog's names of the arguments that Python must call otherwise."""

    def _given(self) -> dict[str, Any]:
        given = {self._wire.get(item.name, item.name): getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in given.items() if value is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(item.name for item in fields(self))})"


@dataclass(kw_only=True, repr=False)
class Connection(Arguments):
    """Base of the typed connections of sources."""

    _source_type: ClassVar[str] = ""


def plain(value: Any) -> Any:
    """The value with every group of arguments as a mapping; outputs stay outputs."""
    if isinstance(value, Arguments):
        return plain(value._given())  # pyright: ignore[reportPrivateUsage]
    if isinstance(value, pulumi.Output):
        return cast("pulumi.Output[Any]", value).apply(_plain_inside)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    return value


def _plain_inside(value: Any) -> Any:
    return pulumi.Output.from_input(plain(value))


def with_secrets(value: Any, name: str = "", declared_plain: bool = False) -> Any:
    """A connection with its secrets marked: those that its class declares, and in a mapping every text and number
    whose name is not known to hold none.

    Args:
        value: The connection, or a part of it.
        name: The name of that part.
        declared_plain: Whether the class of the connection says that the part is no secret.
    """
    if isinstance(value, Arguments):
        secrets, given = value._secrets, value._given()  # pyright: ignore[reportPrivateUsage]
        return {
            key: pulumi.Output.secret(plain(item)) if key in secrets else with_secrets(item, key, declared_plain=True)
            for key, item in given.items()
        }
    if isinstance(value, pulumi.Output):
        output = cast("pulumi.Output[Any]", value)
        # The names inside are not known yet, so all of it is secret.
        return output if is_plain(name) else pulumi.Output.secret(output.apply(_plain_inside))
    if isinstance(value, Mapping):
        return {key: with_secrets(item, key) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [with_secrets(item, name) for item in cast("Sequence[Any]", value)]
    if declared_plain or value is None or isinstance(value, bool) or is_plain(name):
        return value
    return pulumi.Output.secret(value)


class Resource(pulumi.dynamic.Resource):
    """Base of the resource classes."""

    _secrets: ClassVar[frozenset[str]] = frozenset()
    """Arguments that are secret as a whole."""
    _kind: ClassVar[str] = ""

    def __init_subclass__(cls, module: str = "", name: str = "Resource", **more: Any) -> None:
        # A user's own subclass is the same kind of resource, in state too.
        inherited = cls._resource_type_name if cls._kind else ""
        super().__init_subclass__(module=module, name=name, **more)  # pyright: ignore[reportUnknownMemberType]
        if inherited:
            cls._resource_type_name = inherited
        else:
            cls._kind = name

    def __init__(
        self,
        resource_name: str,
        arguments: dict[str, Any],
        outputs: Sequence[str],
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        if "connection" in arguments:
            connection = arguments["connection"]
            if isinstance(connection, Connection):
                arguments["source_type"] = arguments["source_type"] or connection._source_type  # pyright: ignore[reportPrivateUsage]
            arguments["connection"] = with_secrets(connection)
        opts = ordered(self, resource_name, arguments, _keeping_adopted(arguments, opts))
        if self._kind not in _READ_BY_EACH_OTHER:
            opts = _old_first(opts)
        properties = {name: plain(value) for name, value in arguments.items()}
        hidden = {name: properties[name] for name in self._secrets if properties[name] is not None}
        properties.update({name: pulumi.Output.secret(value) for name, value in hidden.items()})
        # What the provider adds must be named here, or it never becomes an attribute.
        properties.update(dict.fromkeys((*RECORDED, *outputs)))
        super().__init__(resume(self._kind), resource_name, properties, opts)


_READ_BY_EACH_OTHER = frozenset({"SavedQuery"})
"""Kinds of which PostHog refuses to delete one that another one reads: when all move to another environment, the new
ones must come first."""


def _old_first(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """When an object is replaced the old one goes first, unless the user says otherwise.

    It holds the name that the new one needs; and the provider, which cannot see what is in state, might take it for the
    orphan of an interrupted run, use it, and then delete it as the old one.
    """
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), opts)


def _keeping_adopted(
    arguments: Mapping[str, Any], opts: pulumi.ResourceOptions | None
) -> pulumi.ResourceOptions | None:
    """An adopted object stays in PostHog when its resource is removed, unless the user says otherwise."""
    if not arguments.get("adopt"):
        return opts
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(retain_on_delete=True), opts)
