"""Pulumi's engine as far as one stack's state goes: the same calls in the same order, each `up` in a new process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from pulumi_posthog_provider import lifecycle
from pulumi_posthog_provider.declare import Declaration, Values
from pulumi_posthog_provider.errors import PostHogError
from pulumi_posthog_provider.lifecycle import Session
from pulumi_posthog_provider.registry import declaration
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Transport
from support.posthog import KEY, PostHog


class Killed(BaseException):
    """The provider process is gone: what was being done is neither finished nor recorded."""


@dataclass
class Mortal(httpx.BaseTransport):
    """Sends requests, and kills the process with the `last` one that changes something: before or after it is done."""

    inner: httpx.BaseTransport
    last: int = 0
    after: bool = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.last -= request.method != "GET"
        fatal = self.last == 0 and request.method != "GET"
        if fatal and not self.after:
            raise Killed
        response = self.inner.handle_request(request)
        if fatal:
            response.close()
            raise Killed
        return response

    def close(self) -> None:
        self.inner.close()


@dataclass(frozen=True)
class Record:
    """One resource in the state."""

    kind: str
    id: str
    inputs: Values
    outputs: Values

    @property
    def declaration(self) -> Declaration:
        return declaration(self.kind)


Wished = dict[str, tuple[str, dict[str, Any]]]


@dataclass
class Engine:
    """A stack: what is in its state, and the old halves of replacements that are still to be deleted."""

    posthog: PostHog
    key: str = KEY
    state: dict[str, Record] = field(default_factory=dict)
    doomed: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mortal = Mortal(httpx.HTTPTransport(retries=0))
        self._client = httpx.Client(transport=self.mortal, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def up(
        self, wished: Wished, *, validate: str = "lists", die_at: int = 0, die_after: bool = False
    ) -> dict[str, str]:
        """Brings PostHog to what is wished; gives what went wrong, by resource. What is left is done nevertheless.

        Raises:
            Killed: With the `die_at`th request that changes something.
        """
        session = self._process(validate, die_at, die_after)
        problems: dict[str, str] = {}
        for name, (kind, inputs) in wished.items():
            try:
                problem = self._settle(session, name, kind, inputs)
            except PostHogError as error:
                problem = str(error)
            if problem:
                problems[name] = problem
        for record in list(self.doomed):
            self._finish(session, f"the old {record.id}", record, problems)
        for name in [name for name in self.state if name not in wished]:
            self._finish(session, name, self.state[name], problems)
        return problems

    def refresh(self) -> dict[str, str]:
        """Reads everything in the state; gives what could not be read."""
        session = self._process("off")
        problems: dict[str, str] = {}
        for name, record in list(self.state.items()):
            try:
                live = lifecycle.read(record.declaration, session, record.id, record.outputs)
            except PostHogError as error:
                problems[name] = str(error)
                continue
            if live is None:
                del self.state[name]
            else:
                self.state[name] = Record(record.kind, live.id, _wire(live.inputs), _wire(live.outputs))
        return problems

    def _process(self, validate: str, die_at: int = 0, die_after: bool = False) -> Session:
        self.mortal.last, self.mortal.after = die_at, die_after
        settings = Settings(host=self.posthog.url, environment_id="1", api_key=self.key, validate=validate)
        transport = Transport(settings, sleep=lambda seconds: None, jitter=lambda: 0.0, client=self._client)
        return Session(settings, transport)

    def _settle(self, session: Session, name: str, kind: str, given: Values) -> str:
        """One resource of the program; gives what a failed check says."""
        which, old = declaration(kind), self.state.get(name)
        checked = lifecycle.check(which, session, old.inputs if old else {}, given)
        if checked.problems:
            return "; ".join(map(str, checked.problems))
        inputs = _wire(checked.inputs)
        if old is None:
            self._make(session, name, kind, inputs)
            return ""
        found = lifecycle.diff(which, old.outputs, inputs)
        if found.replaces:
            return self._replace(session, name, old, given, delete_first=found.delete_before_replace)
        outputs = old.outputs
        if found.changes or found.unfinished:
            outputs = _wire(lifecycle.update(which, session, old.id, old.outputs, inputs).outputs)
        self.state[name] = Record(kind, old.id, inputs, outputs)
        return ""

    def _make(self, session: Session, name: str, kind: str, inputs: Values) -> None:
        made = lifecycle.create(declaration(kind), session, inputs)
        self.state[name] = Record(kind, made.id, inputs, _wire(made.outputs))

    def _replace(self, session: Session, name: str, old: Record, given: Values, *, delete_first: bool) -> str:
        checked = lifecycle.check(old.declaration, session, {}, given)
        if checked.problems:
            return "; ".join(map(str, checked.problems))
        if delete_first:
            lifecycle.delete(old.declaration, session, old.id, old.outputs)
            del self.state[name]
        self._make(session, name, old.kind, _wire(checked.inputs))
        if not delete_first:
            self.doomed.append(old)
        return ""

    def _finish(self, session: Session, name: str, record: Record, problems: dict[str, str]) -> None:
        try:
            lifecycle.delete(record.declaration, session, record.id, record.outputs)
        except PostHogError as error:
            problems[name] = str(error)
            return
        if record in self.doomed:
            self.doomed.remove(record)
        else:
            del self.state[name]


def _wire(values: Values) -> Values:
    """Values as a state file gives them back: nothing that is null, everything through JSON."""
    kept: Values = json.loads(json.dumps({name: value for name, value in values.items() if value is not None}))
    return kept
