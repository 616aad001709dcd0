"""Pulumi's dynamic provider protocol, on top of `lifecycle`. The only module here that imports pulumi.

Of what the core says this protocol carries no detailed differences (the engine makes its own where `diff` does not
know) and no half-made object (it succeeds, with a warning and an output). Secrets need no mark from here: the engine
takes the marks off before a call, and puts them on again under the same names.

The class is imported by every Pulumi program (a resource carries its provider), so what the plugin process alone needs
is imported inside the methods.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from . import resume
from .errors import ConfigurationError, PostHogError

if TYPE_CHECKING:
    from .claims import Claims
    from .declare import Declaration
    from .lifecycle import Message, Session

PROVIDER_KEY = "__provider"

Properties = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


class _InternalError(Exception):
    """A bug in this package, told without the values that were at hand."""


_InternalError.__module__, _InternalError.__qualname__ = "pulumi_posthog", "InternalError"


def _bounded(method: Callable[P, R]) -> Callable[P, R]:
    """Lets only errors out that are fit for the user: one paragraph, without cause, context or traceback."""

    @wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except PostHogError as error:
            raise error.with_traceback(None) from None
        except Exception as error:
            raise _InternalError(_where(error)) from None

    return wrapper


def _where(error: Exception) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else "unknown place"
    return f"this is a bug in pulumi-posthog ({type(error).__name__} at {where}); please report it with this line."


class DynamicProvider(ResourceProvider):
    """The provider of one kind. It holds a name and nothing else; state holds the way to `resume` it."""

    serialize_as_secret_always = False

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __reduce__(self) -> tuple[Callable[[str], DynamicProvider], tuple[str]]:
        return resume, (self.kind,)

    def configure(self, req: ConfigureRequest) -> None:
        """Once per process and kind: reads the settings. What is wrong with them is told by the operations."""
        _host.configure(req.config.get)

    @_bounded
    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        """Validates and completes inputs; failures carry no property name, or the engine would print its value."""
        from . import lifecycle

        declaration, olds, given = self._declaration(), _received(_olds), _received(news)
        try:
            checked = lifecycle.check(declaration, _host.session(), olds, given)
        except PostHogError as error:
            return CheckResult(dict(news), [CheckFailure("", str(error))])
        _host.tell(checked.messages)
        if not olds and not checked.problems:
            # Also how the engine asks when it is going to replace an object that a diff wanted to stay.
            _host.give_up((self.kind, declaration.key_if_new(checked.inputs)))
        failures = [CheckFailure("", str(problem)) for problem in checked.problems]
        return CheckResult(_sent(checked.inputs), failures)

    @_bounded
    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        """Says "do not know" where inputs differ: the engine then compares them itself and shows each change."""
        from . import lifecycle

        declaration, olds, news = self._declaration(), _received(_olds), _received(_news)
        found = lifecycle.diff(declaration, olds, news)
        _host.found.discard(_id)
        session = _host.session()
        # A refresh asks too, but of objects that no check was about.
        if session.is_own(declaration, olds):
            session.in_state.add(_id)
            if not found.replaces:
                _host.keep(_id, (self.kind, declaration.key_if_new(news)))
        certain = found.unfinished or PROVIDER_KEY not in _olds
        return DiffResult(
            changes=True if certain else None if found.changes else False,
            replaces=found.replaces,
            delete_before_replace=found.delete_before_replace,
        )

    @_bounded
    def create(self, props: Properties) -> CreateResult:
        """Makes the object."""
        from . import lifecycle

        made = lifecycle.create(self._declaration(), _host.session(), _received(props))
        _host.tell(made.messages)
        if made.found:
            _host.found.add(made.id)
        _host.claim(made.id)
        return CreateResult(made.id, _sent(made.outputs))

    @_bounded
    def read(self, id_: str, props: Properties) -> ReadResult:
        """Reads the object; one that is gone has no id. The inputs go back too, so that drift is shown."""
        from . import lifecycle

        _host.found.discard(id_)
        live = lifecycle.read(self._declaration(), _host.session(), id_, _received(props), one_of_many=True)
        if live is None:
            return ReadResult("", {})
        _host.tell(live.messages)
        return ReadResult(live.id, _sent(live.outputs), _sent(live.inputs))

    @_bounded
    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        """Changes the object in place."""
        from . import lifecycle

        made = lifecycle.update(self._declaration(), _host.session(), _id, _received(_olds), _received(_news))
        _host.tell(made.messages)
        return UpdateResult(_sent(made.outputs))

    @_bounded
    def delete(self, _id: str, _props: Properties) -> None:
        """Deletes the object where it was made, unless a resource that stays is this very object."""
        from . import lifecycle

        declaration, session, olds = self._declaration(), _host.session(), _received(_props)
        if _id in _host.found or _id in _host.kept or session.is_anothers(_id):
            text = f"{declaration.label(olds)} ({_id}) stays in PostHog: a resource of this stack has it."
            _host.tell([lifecycle.Message("info", text)])
            return
        lifecycle.delete(declaration, session, _id, olds)
        _host.unclaim(_id)

    def _declaration(self) -> Declaration:
        from .registry import declaration

        try:
            return declaration(self.kind)
        except LookupError:
            raise ConfigurationError(
                f"this version of pulumi-posthog knows no resource {self.kind}",
                hint="The stack was written by a newer version: upgrade with `pip install --upgrade pulumi-posthog`.",
            ) from None


class _Host:
    """What all providers of one plugin process share: one configuration, one transport, the engine's log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._problem: ConfigurationError | None = None
        self._engine: Any = None
        self.found: set[str] = set()
        """What creates of this process found instead of making, until the engine asks about it as a resource of its
        own. On `pulumi up --replace` that may be the old object itself: the engine does not tell the provider of it
        before, and wants it deleted afterwards."""
        self.kept: dict[str, tuple[object, ...]] = {}
        """What this process was asked about as a resource that stays, with the key of a new one like it. The state of
        an `up` that failed may hold such an object twice: under the name or as the half of a replacement that it had
        before, which is to be deleted. Whether a change of it then fails, or is never begun, does not matter."""

        self._claims: Claims | None = None

    def keep(self, id: str, key: tuple[object, ...]) -> None:
        """Notes that an object stays."""
        self.kept[id] = key
        self.claim(id)

    def give_up(self, key: tuple[object, ...]) -> None:
        """Notes that an object does not stay after all."""
        for id in [id for id, kept in self.kept.items() if kept == key]:
            del self.kept[id]
            self.unclaim(id)

    def configure(self, config: Callable[[str], Any]) -> None:
        with self._lock:
            if self._session is not None:
                return
            _settle_in()
            from .claims import Claims
            from .lifecycle import Session
            from .settings import Settings
            from .transport import Transport

            try:
                settings = Settings.load(lambda key: _text(config(key)), os.environ)
            except ConfigurationError as error:
                self._problem = error
                return
            caller = f"pulumi/{version('pulumi')} python/{platform.python_version()}"
            transport = Transport(settings, announce=self.progress, caller=caller)
            self._claims = Claims(sys.argv[1] if _is_plugin() else f"alone_{os.getpid()}")
            self._session = Session(settings, transport, self._claims.is_anothers)

    def session(self) -> Session:
        if self._session is None:
            raise self._problem or ConfigurationError("the provider was not configured")
        return self._session

    def claim(self, id: str) -> None:
        """Tells the processes of other `Provider`s that an object is needed."""
        if self._claims is not None:
            self._claims.add(id)

    def unclaim(self, id: str) -> None:
        """Tells them that it is not, or no longer."""
        if self._claims is not None:
            self._claims.remove(id)

    def tell(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._log(message.severity, message.text)

    def progress(self, text: str) -> None:
        self._log("info", text)

    def _log(self, severity: str, text: str) -> None:
        """A line in the engine's own log; it is lost rather than that an operation fails for it."""
        from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

        try:
            if self._engine is None:
                import grpc

                self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(sys.argv[1]))
            level = engine_pb2.WARNING if severity == "warning" else engine_pb2.INFO
            self._engine.Log(engine_pb2.LogRequest(severity=level, message=text, urn=""), timeout=5)
        except Exception:
            return


_host = _Host()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _is_plugin() -> bool:
    """Whether this is the process that Pulumi's engine starts for dynamic providers, with its address as argument."""
    return len(sys.argv) > 1 and sys.argv[0].replace(os.sep, "/").endswith("pulumi/dynamic/__main__.py")


def _settle_in() -> None:
    """Makes the plugin process ours: errors without traceback, and an end when the engine is gone."""
    if not _is_plugin():
        return
    sys.tracebacklimit = 0
    try:
        watched = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:
        watched = False
    if watched:
        threading.Thread(target=_end_with_the_engine, daemon=True).start()


def _end_with_the_engine() -> None:
    """The engine holds the other end of standard input: when it dies, reading ends. Pulumi itself leaves us behind."""
    while os.read(0, 1024):
        pass
    os._exit(1)


# ---- values on the wire -------------------------------------------------------------------------------------------


def _received(properties: Properties) -> Properties:
    """Properties as the core knows them: without Pulumi's own keys, whole numbers as int, unknowns marked."""
    return {key: _from_wire(value) for key, value in properties.items() if not key.startswith("__")}


def _from_wire(value: Any) -> Any:
    from .declare import UNKNOWN

    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _from_wire(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_from_wire(item) for item in cast("list[Any]", value)]
    return value


def _sent(values: Mapping[str, Any]) -> Properties:
    """Values of the core as Pulumi knows them; what is null is left out."""
    return {key: _to_wire(value) for key, value in values.items() if value is not None}


def _to_wire(value: Any) -> Any:
    from .declare import UNKNOWN

    if value is UNKNOWN:
        return pulumi.output.Unknown()  # type: ignore[no-untyped-call]
    if isinstance(value, Mapping):
        return {key: _to_wire(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_to_wire(item) for item in cast("list[Any]", value)]
    return value
