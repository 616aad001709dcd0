"""What `Client` is made of: settings, one session, and the objects of one kind. Nothing of the engine is needed."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeVar, cast

import pulumi

from pulumi_posthog_provider.errors import (
    AlreadyExists,
    ConfigurationError,
    Incomplete,
    Invalid,
    MissingScope,
    OutcomeUnknown,
    PostHogError,
    RateLimited,
    Unavailable,
)

from ._resource import Connection, plain
from ._results import Result, attributes

if TYPE_CHECKING:
    from typing import Self

    from pulumi_posthog_provider.objects import Objects as Kept
    from pulumi_posthog_provider.session import Session
    from pulumi_posthog_provider.settings import Settings

InfoT = TypeVar("InfoT", bound=Result)
SummaryT = TypeVar("SummaryT", bound=Result)
ResultT = TypeVar("ResultT", bound=Result)

_log = logging.getLogger("pulumi_posthog")


class Unset(Enum):
    """Marks an argument that was not given, where None has a meaning of its own."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final[Literal[Unset.UNSET]] = Unset.UNSET


class Core:
    """One configured PostHog, made ready at the first call.

    Args:
        settings: Where to, with which key.
        announce: Called with a sentence before every long wait, and with what PostHog kept differently.
        in_program: Whether `pulumi up` follows, of which the hints of errors speak.
        caller: What the user agent names besides this package.
    """

    def __init__(
        self, settings: Settings, announce: Callable[[str], None], *, in_program: bool = False, caller: str = ""
    ) -> None:
        # What is looked up in advance is remembered for ever, which is right for one run of a program only.
        self.settings = replace(settings, validate="off")
        self.announce = announce
        self.in_program = in_program
        self._caller = f"{caller} python/{platform.python_version()}".strip()
        self._lock = threading.Lock()
        self._session: Session | None = None

    def session(self) -> Session:
        from pulumi_posthog_provider.session import Session
        from pulumi_posthog_provider.transport import Transport

        with self._lock:
            if self._session is None:
                transport = Transport(self.settings, announce=self.announce, caller=self._caller)
                self._session = Session(self.settings, transport)
            return self._session

    def close(self) -> None:
        with self._lock:
            if self._session is not None:
                self._session.transport.close()


_HINTS: dict[type[PostHogError], str] = {
    AlreadyExists: "Choose another one, or look that object up with `find` and change it with `update`.",
    Incomplete: "Look it up with `find`, then `delete` it, or set with `update` what is missing.",
    MissingScope: "Add the scope to the key: PostHog edits keys under Settings, Personal API keys.",
    OutcomeUnknown: "Look with `find` or `get` before it is done again.",
    RateLimited: "Call again later, or give `Client` a longer `rate_limit_wait` in seconds.",
    Unavailable: "Call again later, or give `Client` a longer `request_timeout` in seconds.",
}


class Calls:
    """The calls of one kind of object. Every one of them raises a `PostHogError` when PostHog or the network refuse."""

    _kind: ClassVar[str]

    def __init__(self, core: Core) -> None:
        self._core = core

    def _kept(self) -> Kept:
        from pulumi_posthog_provider.objects import Objects

        return Objects(self._core.session(), self._kind)

    @contextmanager
    def _told(self) -> Generator[None]:
        """Lets errors out with hints that hold where there is no `pulumi up`."""
        try:
            yield
        except PostHogError as error:
            if not self._core.in_program and ("pulumi" in error.hint or isinstance(error, AlreadyExists)):
                error.hint = _HINTS.get(type(error), type(error).hint if "pulumi" not in type(error).hint else "")
            raise error from None


class Objects(Calls, Generic[InfoT, SummaryT]):
    """The objects of one kind: what PostHog's API has for each of them."""

    _info: ClassVar[type[Any]]
    _summary: ClassVar[type[Any]]

    def get(self, id: str) -> InfoT:
        """One object by its id.

        Raises:
            NotFound: PostHog has no such object in this environment.
        """
        with self._told():
            return cast("InfoT", made(self._info, self._kept().get(id)))

    def delete(self, id: str) -> None:
        """Deletes an object; one that is gone already is fine.

        Raises:
            Refused: PostHog does not let go of it, for instance because others depend on it.
        """
        with self._told():
            self._kept().delete(id)

    def _create(self, arguments: Mapping[str, Any]) -> InfoT:
        with self._told():
            kept, given = self._kept(), ready({name: item for name, item in arguments.items() if item is not None})
            id, messages = kept.create(given)
            self._announce(messages)
            return cast("InfoT", made(self._info, kept.get(id)))

    def _find(self, key: Mapping[str, Any]) -> InfoT | None:
        with self._told():
            found = self._kept().find(ready(key))
            return None if found is None else cast("InfoT", made(self._info, found))

    def _look_up(self, id: str | None = None, **key: Any) -> InfoT:
        with self._told():
            return cast("InfoT", made(self._info, self._kept().look_up(id, key)))

    def _update(self, id: str | InfoT, arguments: Mapping[str, Any]) -> InfoT:
        known = None if isinstance(id, str) else id.as_dict()
        name = id if isinstance(id, str) else str(id.as_dict()["id"])
        with self._told():
            kept, given = self._kept(), ready({key: item for key, item in arguments.items() if item is not UNSET})
            self._announce(kept.update(name, given, known))
            return cast("InfoT", made(self._info, kept.get(name)))

    def _announce(self, messages: Sequence[Any]) -> None:
        for message in messages:
            self._core.announce(message.text)

    # Below this, `list` is the method.
    def list(self, search: str | None = None) -> Iterator[SummaryT]:
        """All objects, as PostHog lists them; the next page is asked for when it is needed.

        Args:
            search: Only those that contain every one of these words, which spaces or commas separate. PostHog looks at
                the name of a view, and at type and prefix of a source; of a variable both names are looked at.
        """
        with self._told():
            for item in self._kept().list(search):
                yield cast("SummaryT", made(self._summary, item))


class BaseClient:
    """Settings and life of a client."""

    def __init__(
        self,
        *,
        host: str | None = None,
        environment_id: str | int | None = None,
        api_key: str | None = None,
        request_timeout: float | None = None,
        rate_limit_wait: float | None = None,
    ) -> None:
        """Makes a client; no request is made yet.

        Args:
            host: The address of PostHog; POSTHOG_HOST if left out, else ``https://us.posthog.com``.
            environment_id: The number of the environment (project), or ``@current``, that of the key's user; if left
                out POSTHOG_ENVIRONMENT_ID, else POSTHOG_PROJECT_ID.
            api_key: A personal API key; if left out POSTHOG_PERSONAL_API_KEY, else POSTHOG_API_KEY.
            request_timeout: Seconds that a call may spend in requests, 120 if left out; creating a source may take 180.
            rate_limit_wait: Seconds that a call may wait for PostHog's rate limits, 3900 if left out.

        Raises:
            ConfigurationError: A setting is missing or cannot be used.
        """
        given = {
            "posthog:host": host,
            "posthog:environmentId": environment_id,
            "posthog:apiKey": api_key,
            "posthog:requestTimeout": request_timeout,
            "posthog:rateLimitWait": rate_limit_wait,
        }
        try:
            settings = loaded(given)
        except ConfigurationError as error:
            error.hint = error.hint or "`Client(host=..., environment_id=..., api_key=...)` takes them too."
            raise
        self._core = Core(settings, _log.warning)

    @classmethod
    def _over(cls, core: Core) -> Self:
        client = cls.__new__(cls)
        client._core = core
        return client

    @property
    def host(self) -> str:
        """The address of PostHog, in one spelling."""
        return self._core.settings.host

    @property
    def environment_id(self) -> str:
        """The number of the environment; ``@current`` is looked up once, which takes a request."""
        return self._core.session().environment({})

    def close(self) -> None:
        """Closes idle connections. A client that is used again opens new ones."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(host={self.host!r}, environment_id={self._core.settings.environment_id!r})"


def loaded(given: Mapping[str, object]) -> Settings:
    """The settings that are given, completed from the environment variables."""
    from pulumi_posthog_provider.settings import Settings

    texts = {name: str(value) for name, value in given.items() if value is not None}
    return Settings.load(texts.get, os.environ)


def made(kind: type[ResultT], values: Mapping[str, Any]) -> ResultT:
    """A result from PostHog's answer; what the answer does not tell is None."""
    return kind(**{name: values.get(name) for name in attributes(kind)})


def with_source_type(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with the source type that a typed connection brings."""
    connection = arguments.get("connection")
    if not isinstance(connection, Connection) or arguments.get("source_type") not in (None, UNSET):
        return dict(arguments)
    return {**arguments, "source_type": connection._source_type}  # pyright: ignore[reportPrivateUsage]


def ready(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as plain values, a typed connection with its source type."""
    return {name: settled(name, plain(value)) for name, value in with_source_type(arguments).items()}


def settled(path: str, value: Any) -> Any:
    """The value, if no part of it has still to be computed by a Pulumi program.

    Raises:
        Invalid: A part is an `Output`.
    """
    if isinstance(value, pulumi.Output):
        raise Invalid(
            f"{path}: is an Output of a Pulumi program, and here a plain value is needed",
            hint="In a program, use a resource, a function whose name ends in `_output`, or `apply`.",
            field=path,
        )
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: settled(f'{path}["{key}"]', item) for key, item in items}
    if isinstance(value, list):
        return [settled(f"{path}[{index}]", item) for index, item in enumerate(cast("list[Any]", value))]
    return value
