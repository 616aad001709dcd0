"""How the functions find their settings and their client, and what makes an output of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pulumi

from pulumi_posthog_provider.errors import ConfigurationError, PostHogError

from ._client_core import Core, Objects, loaded, with_source_type
from ._resource import plain
from ._results import Result
from .client import Client
from .provider import Provider

if TYPE_CHECKING:
    from pulumi_posthog_provider.settings import Settings

T = TypeVar("T")
InfoT = TypeVar("InfoT", bound=Result)

Asked = Callable[[Client], Callable[..., T]]

_clients: dict[Settings, Client] = {}
_lock = threading.Lock()
_KEYS = ("host", "environmentId", "apiKey", "requestTimeout", "rateLimitWait")


def call(provider: Provider | None, asked: Asked[T], arguments: Mapping[str, Any], other: str) -> T:
    """Asks at once.

    Args:
        provider: The environment.
        asked: Finds the method of the client.
        arguments: Its arguments.
        other: The form of the function that takes outputs.

    Raises:
        ConfigurationError: A setting of the provider has still to be computed.
    """
    given = _given(provider)
    late = [name.partition(":")[2] for name, value in given.items() if isinstance(value, pulumi.Output)]
    if late:
        raise ConfigurationError(
            f"`{late[0]}` of the provider is an Output, whose value is not known yet",
            hint=f"Use `{other}`, or give the `Provider` plain text, as `pulumi.Config().require` does; it marks the "
            "key as secret by itself.",
        )
    return _answer(given, asked, _left_out(arguments))


def call_output(provider: Provider | None, asked: Asked[T], arguments: Mapping[str, Any]) -> pulumi.Output[T]:
    """Asks as soon as the arguments and the settings are known, beside the program; secret if an argument is."""
    # The key itself is in no result, so it makes none of them secret.
    given = pulumi.Output.unsecret(pulumi.Output.from_input(_given(provider)))
    inputs = pulumi.Output.from_input(plain(with_source_type(_left_out(arguments))))

    def ask(all_of_it: list[Any]) -> Any:
        return asyncio.to_thread(_answer, all_of_it[0], asked, all_of_it[1])

    return cast("pulumi.Output[T]", pulumi.Output.all(given, inputs, _made(inputs)).apply(ask))


def _made(inputs: pulumi.Output[Any]) -> pulumi.Output[None]:
    """Known when all objects that the arguments come from are made: a preview cannot look up what it will make."""

    async def are_made() -> bool:
        resources = [item for item in await inputs.resources() if isinstance(item, pulumi.CustomResource)]
        return all([await item.id.is_known() for item in resources])

    async def nothing() -> None:
        return None

    async def public() -> bool:
        return False

    return pulumi.Output(set(), nothing(), are_made(), public())


def _answer(given: Mapping[str, Any], asked: Asked[T], arguments: Mapping[str, Any]) -> T:
    try:
        return asked(_client(given))(**arguments)
    except PostHogError as error:
        raise error.with_traceback(None) from None  # the rest is ours, and no help in a program


def listing(method: Callable[..., Iterator[T]]) -> Callable[..., list[T]]:
    """The method with all it yields in a list."""

    def listed(**arguments: Any) -> list[T]:
        return list(method(**arguments))

    return listed


def looking_up(objects: Objects[InfoT, Any]) -> Callable[..., InfoT]:
    """The object by its id or by its natural key."""
    return objects._look_up  # pyright: ignore[reportPrivateUsage]


def _left_out(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _given(provider: Provider | None) -> dict[str, Any]:
    if provider is not None:
        return dict(provider._settings)  # pyright: ignore[reportPrivateUsage]
    config = pulumi.Config("posthog")
    return {f"posthog:{key}": config.get(key) for key in _KEYS}


def _client(given: Mapping[str, Any]) -> Client:
    """One client for equal settings, so that all calls keep to PostHog's rate limits together."""
    settings = loaded(given)
    with _lock:
        if settings not in _clients:
            core = Core(settings, pulumi.log.info, in_program=True, caller=f"pulumi/{version('pulumi')}")
            _clients[settings] = Client._over(core)  # pyright: ignore[reportPrivateUsage]
        return _clients[settings]
