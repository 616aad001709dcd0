"""The order in which the objects of a program are made: views after what their SQL reads.

Each resource gets one output in its ``depends_on``. Pulumi awaits it when the program's own code is over, so what is
declared later is known by then. The same moment serves to tell twins (two resources for one object) and circles.

Limits: what is declared inside ``apply``, or after an ``await`` of an asynchronous program, may come too late to be
found; resources of different providers are never related, even if both serve the same environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from inspect import isawaitable
from typing import Any, cast

import pulumi
from pulumi.runtime import get_root_resource
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import SETTINGS, get_monitor

from pulumi_posthog_provider.hogql import tables
from pulumi_posthog_provider.names import RESERVED_TABLES, code_name, table_beginnings

_TURNS = 20
"""Turns of the event loop after which every task that can go on at once has done so."""
_LATE_NAMES = 1.0
"""Seconds to wait for names of which it cannot be told whether they wait for the view that waits for them."""
_PROGRAM_END = 30.0
"""Seconds to wait for the program's own code, while it is in the middle of a synchronous call."""

_POSTHOGS_OWN = RESERVED_TABLES | frozenset(
    ["raw_sessions", "raw_persons", "session_replay_events", "log_entries", "logs", "heatmaps", "query_log"]
)
"""Tables that every PostHog has, so that nobody else has these names."""

_IDENTITY: dict[str, tuple[str, ...]] = {
    "InsightVariable": ("name",),
    "SavedQuery": ("name",),
    "ExternalDataSource": ("source_type", "prefix", "access_method"),
}
"""The arguments that make up what PostHog keeps unique, by class."""


class _NotKnown:
    """A value that is not known at this moment."""


_NOT_KNOWN = _NotKnown()


def ordered(
    resource: pulumi.Resource, name: str, arguments: dict[str, Any], opts: pulumi.ResourceOptions | None
) -> pulumi.ResourceOptions | None:
    """The options of a resource that is being declared, with the resources that it must be made after.

    Args:
        resource: The resource, before its own initialisation.
        name: Its name in the stack.
        arguments: What the user gave. Awaitables that are read here become outputs, because those can be read twice.
        opts: The user's options.
    """
    kind: str = getattr(type(resource), "_kind", "")
    if kind not in _IDENTITY:
        return opts
    for key in (*_IDENTITY[kind], "query"):
        given = arguments.get(key)
        if isawaitable(given) and not isinstance(given, pulumi.Output):
            arguments[key] = pulumi.Output.from_input(given)
    program = _Program.current()
    entry = _Entry(resource, name, kind, arguments, opts)
    program.add(entry)
    found = pulumi.Output(program.dependencies(entry), _done(None), _done(True))
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[cast("Any", found)]))


class _Entry:
    """One resource of the program."""

    def __init__(
        self,
        resource: pulumi.Resource,
        name: str,
        kind: str,
        arguments: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        self.resource, self.name, self.kind, self.opts = resource, name, kind, opts
        self.number = 0
        self.task = _current_task()
        self.identity: tuple[str, ...] | None = None
        """What PostHog keeps unique, once it is known; None also where nothing is unique."""
        self.is_settled = False
        """Whether Pulumi was told what the resource must be made after."""
        self._arguments = arguments
        self._given = {key: arguments.get(key) for key in (*_IDENTITY[kind], "query")}

    @property
    def provider(self) -> object:
        """The explicit provider, or None for the default one."""
        return getattr(self.resource, "_provider", None)

    @property
    def is_made(self) -> bool:
        """Whether the program makes the object, instead of only reading it."""
        return self.opts is None or self.opts.id is None

    def pending(self, *keys: str) -> list[asyncio.Future[Any]]:
        """What will be known in this run, but is not yet: of all arguments, or only of these."""
        outputs = _outputs_in([self._given[key] for key in keys] if keys else self._arguments)
        return [future for future in map(_future_of, outputs) if not future.done()]

    def pending_identity(self) -> list[asyncio.Future[Any]]:
        """What of the identity will be known in this run, but is not yet."""
        return self.pending(*_IDENTITY[self.kind])

    def value(self, key: str) -> Any:
        """An argument, if it is known at this moment."""
        given = self._given[key]
        if not isinstance(given, pulumi.Output):
            return given
        future = _future_of(cast("pulumi.Output[Any]", given))
        if not future.done() or future.cancelled() or future.exception() is not None:
            return _NOT_KNOWN
        return future.result().value if future.result().is_known else _NOT_KNOWN

    def identify(self) -> tuple[str, ...] | None:
        """Finds out what PostHog keeps unique."""
        if self.kind == "ExternalDataSource":
            source_type, prefix, access = (self.value(key) for key in _IDENTITY[self.kind])
            is_known = isinstance(source_type, str) and isinstance(prefix, str | None)
            self.identity = (source_type, prefix or "") if is_known and access in (None, "warehouse") else None
        elif isinstance(name := self.value("name"), str):
            self.identity = (code_name(name) if self.kind == "InsightVariable" else name.strip(),)
        return self.identity

    @property
    def reads(self) -> frozenset[str]:
        """The names that the view's SQL reads, as far as it is known."""
        sql = self.value("query") if self.kind == "SavedQuery" else None
        return tables(sql) if isinstance(sql, str) else frozenset()

    def __str__(self) -> str:
        identity = self.identity or ("?", "")
        if self.kind == "InsightVariable":
            return f'the variable with the code name "{identity[0]}"'
        if self.kind == "SavedQuery":
            return f'the view "{identity[0]}"'
        return f"the {identity[0]} source " + (f'with the prefix "{identity[1]}"' if identity[1] else "without prefix")


class _Program:
    """The resources of one run of a program. It hangs on the stack's own object, and so ends with it."""

    def __init__(self, mark: object) -> None:
        self._mark = mark
        self._by_resource: dict[int, _Entry] = {}
        self._by_identity: dict[tuple[str, ...], list[_Entry]] = {}
        self._sources: list[_Entry] = []
        self._unidentified: set[_Entry] = set()

    @classmethod
    def current(cls) -> _Program:
        """That of the current run. Under mocks each test is a run of its own, although the stack stays the same."""
        place: Any = get_root_resource() or get_monitor()
        mark: object = cast("Any", SETTINGS).rpc_manager.rpcs
        found: object = getattr(place, "_posthog_program", None)
        if not isinstance(found, _Program) or found._mark is not mark:
            found = cls(mark)
            if place is not None:
                place._posthog_program = found
        return found

    def add(self, entry: _Entry) -> None:
        """Takes a resource in, with its identity if that is known already."""
        entry.number = len(self._by_resource)
        self._by_resource[id(entry.resource)] = entry
        if entry.kind == "ExternalDataSource":
            self._sources.append(entry)
        if entry.pending_identity():
            self._unidentified.add(entry)
        else:
            self._identify(entry)

    def _identify(self, entry: _Entry) -> None:
        self._unidentified.discard(entry)
        identity = entry.identify()
        if identity is not None:
            self._by_identity.setdefault((entry.kind, *identity), []).append(entry)

    async def dependencies(self, entry: _Entry) -> set[pulumi.Resource]:
        """What a resource must be made after.

        Raises:
            RunError: It is a twin, or part of a circle.
        """
        # Pulumi waits for these too before it goes on with the resource.
        if entry in self._unidentified:
            await _all(entry.pending_identity())
            self._identify(entry)
        self._refuse_twin(entry)
        await _all(entry.pending("query"))
        await self._until_all_is_declared(entry)
        found = self._read_by(entry)
        await _turns(lambda: any(other.pending() for other in found))
        if found:
            self._refuse_circle(entry)
        entry.is_settled = True
        return {other.resource for other in found}

    # ---- twins ----

    def _refuse_twin(self, entry: _Entry) -> None:
        if entry.identity is None or not entry.is_made:
            return
        for other in self._by_identity[(entry.kind, *entry.identity)]:
            if other is entry or other.provider is not entry.provider or not other.is_made:
                continue
            first, second = _in_order([entry, other])
            other_what = "prefix" if entry.kind == "ExternalDataSource" else "name"
            raise pulumi.RunError(
                f'the resources "{first.name}" and "{second.name}" both declare {entry}, of which an environment can '
                f"have only one: remove one of them, or give it another {other_what}"
            )

    # ---- what a view reads ----

    def _read_by(self, entry: _Entry) -> list[_Entry]:
        """The entries that the view reads."""
        return _in_order({other for name in entry.reads if (other := self._named(name, entry.provider)) is not None})

    def _named(self, name: str, provider: object) -> _Entry | None:
        """The view of this name, or else the source to which a table of this name belongs."""
        for other in self._by_identity.get(("SavedQuery", name), ()):
            if other.provider is provider:
                return other
        lengths = [(_belongs(name, source), source) for source in self._sources if source.provider is provider]
        length, source = max(lengths, key=lambda item: item[0], default=(0, None))
        return source if length else None

    def _misses(self, entry: _Entry) -> bool:
        """Whether the view reads a name that nobody has so far."""
        return any(name not in _POSTHOGS_OWN and self._named(name, entry.provider) is None for name in entry.reads)

    async def _until_all_is_declared(self, entry: _Entry) -> None:
        """Waits, where that can help, for names that are not known yet: never long in vain, and never for itself."""
        mocked = isinstance(get_monitor(), MockMonitor)
        ends = time.monotonic() + _PROGRAM_END
        while not mocked and self._misses(entry) and _is_running(entry.task) and time.monotonic() < ends:
            await asyncio.sleep(0.01)
        await _turns(lambda: self._misses(entry) and bool(self._unidentified - {entry}))
        ends = time.monotonic() + _LATE_NAMES
        while self._misses(entry):
            rest = ends - time.monotonic()
            late = [future for future, is_safe in self._late_names(entry) if is_safe or rest > 0]
            if not late:
                return
            # What waits for what may change meanwhile, so it is looked at again.
            await asyncio.wait(late, timeout=max(rest, _LATE_NAMES), return_when=asyncio.FIRST_COMPLETED)
            await _turns(lambda: self._misses(entry))

    def _late_names(self, entry: _Entry) -> Iterator[tuple[asyncio.Future[Any], bool]]:
        """The names that may still become known while the view waits, each with whether they surely do not need it."""
        futures = [future for other in self._unidentified - {entry} for future in other.pending_identity()]
        owners: dict[int, _Entry] = self._owners() if futures else {}
        for future in futures:
            before, is_all = self._before(future, owners)
            if entry not in before:
                yield future, is_all

    def _before(self, future: asyncio.Future[Any], owners: Mapping[int, _Entry]) -> tuple[set[_Entry], bool]:
        """The entries that must be made before a value is known, and whether nothing else has to happen for it."""
        before: set[_Entry] = set()
        futures, is_all = [future], True
        while futures:
            found, is_told = _waits_for(futures.pop(), owners)
            is_all = is_all and is_told
            while found:
                current = found.pop()
                if current in before:
                    continue
                before.add(current)
                found.update(self._waited_for(current, owners))
                futures += current.pending()
                is_all = is_all and (current.opts is None or current.opts.depends_on is None)
                if not current.is_settled and self._misses(current):
                    futures += [item for other in self._unidentified for item in other.pending_identity()]
        return before, is_all

    # ---- circles ----

    def _refuse_circle(self, entry: _Entry) -> None:
        circle = self._circle(entry)
        if circle is None:
            return
        first = circle.index(_in_order(circle)[0])
        turned = [*circle[first:], *circle[:first]]
        if len(turned) == 1:
            raise pulumi.RunError(f"{entry} reads itself; a view can only read what is there before it")
        steps = [
            f"{one} {'reads' if other in self._read_by(one) else 'needs'} {other}"
            for one, other in zip(turned, [*turned[1:], turned[0]], strict=True)
        ]
        raise pulumi.RunError(
            f"{', '.join(steps[:-1])} and {steps[-1]}: this is a circle, in which none can be made first"
        )

    def _circle(self, entry: _Entry) -> list[_Entry] | None:
        """The shortest way from a view back to itself, if there is one."""
        owners: dict[int, _Entry] = {}
        seen = {entry}
        ways = [[entry]]
        for way in ways:
            last = way[-1]
            owners = owners or (self._owners() if last.pending() else {})
            for other in self._waited_for(last, owners):
                if other is entry:
                    return way
                if other not in seen:
                    seen.add(other)
                    ways.append([*way, other])
        return None

    def _waited_for(self, entry: _Entry, owners: Mapping[int, _Entry]) -> Iterator[_Entry]:
        """What must be made before an entry: what it reads, what the user says, and what its arguments come from."""
        yield from self._read_by(entry)
        said: Any = entry.opts.depends_on if entry.opts is not None else None
        for item in cast("Sequence[Any]", said) if isinstance(said, Sequence) else [said]:
            if id(item) in self._by_resource:
                yield self._by_resource[id(item)]
        for future in entry.pending():
            yield from _in_order(_waits_for(future, owners)[0])

    def _owners(self) -> dict[int, _Entry]:
        """The entry to which each output of a resource belongs."""
        return {
            id(_future_of(cast("pulumi.Output[Any]", value))): entry
            for entry in self._by_resource.values()
            for value in cast("dict[str, object]", vars(entry.resource)).values()
            if isinstance(value, pulumi.Output)
        }


def _in_order(entries: Iterable[_Entry]) -> list[_Entry]:
    """As they were declared."""
    return sorted(entries, key=lambda entry: entry.number)


def _belongs(name: str, source: _Entry) -> int:
    """How many of the name's characters tell that it is a table of the source; 0 if it is none."""
    if source.identity is None:
        return 0
    source_type, prefix = source.identity
    beginnings = table_beginnings(source_type, prefix)
    return max((len(item) for item in beginnings if name.lower().startswith(item)), default=0)


# ---- tasks ------------------------------------------------------------------------------------------------------


def _done(value: Any) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.Future()
    future.set_result(value)
    return future


async def _all(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Waits for all, also for those that fail: Pulumi tells that where the value is used."""
    if futures:
        await asyncio.wait(futures)


async def _turns(wanted: Callable[[], bool]) -> None:
    """Lets everything go on that can do so at once, as long as that is wanted."""
    for _ in range(_TURNS):
        if not wanted():
            return
        await asyncio.sleep(0)


def _future_of(output: pulumi.Output[Any]) -> asyncio.Future[Any]:
    return output._data  # pyright: ignore[reportPrivateUsage]


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _is_running(task: asyncio.Task[Any] | None) -> bool:
    """Whether a task is in the middle of a step: the loop turns only because it called Pulumi synchronously."""
    return task is not None and bool(getattr(task.get_coro(), "cr_running", False))


def _waits_for(future: asyncio.Future[Any], owners: Mapping[int, _Entry]) -> tuple[set[_Entry], bool]:
    """The entries on whose outputs a future waits, and whether it waits for nothing else.

    asyncio keeps what a task waits for in private attributes; where it does not, that counts as something else.
    """
    found: set[_Entry] = set()
    seen: set[int] = set()
    is_all, stack = True, [cast("Any", future)]
    while stack:
        current = stack.pop()
        if id(current) in seen or current.done():
            continue
        seen.add(id(current))
        if id(current) in owners:
            found.add(owners[id(current)])
            continue
        inner = [item for item in (getattr(current, "_fut_waiter", None), *getattr(current, "_children", ())) if item]
        is_all = is_all and bool(inner)
        stack += inner
    return found, is_all


def _outputs_in(value: Any) -> Iterator[pulumi.Output[Any]]:
    """Every output in the arguments of a resource."""
    if isinstance(value, pulumi.Output):
        yield cast("pulumi.Output[Any]", value)
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, Any]", value).values():
            yield from _outputs_in(item)
    elif isinstance(value, list | tuple):
        for item in cast("Sequence[Any]", value):
            yield from _outputs_in(item)
    elif is_dataclass(value):
        yield from _outputs_in(vars(value))
