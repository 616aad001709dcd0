"""Objects without a state: what `pulumi_posthog.Client` does, on top of the same lifecycle and declarations.

Where the lifecycle compares with a state, this compares with the live object, read just before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from . import errors, lifecycle
from .collection import Collection
from .declare import UNKNOWN, Declaration, Problem, Values, default_of
from .lifecycle import Message, Session
from .parts import maps_models, merged, model_in, typed, unknowing
from .registry import declaration
from .texts import redact

_ROOT = re.compile(r"[^.\[]*")


class Objects:
    """The objects of one kind in one environment.

    Args:
        session: The configured PostHog.
        kind: The class name of the resource.
    """

    def __init__(self, session: Session, kind: str) -> None:
        self.session = session
        self.declaration: Declaration = declaration(kind)

    @property
    def place(self) -> Values:
        """Where the objects are, as a state would record it."""
        return {"host": self.session.settings.host, "environment_id": self.session.environment({})}

    def api(self, given: Mapping[str, Any] | None = None) -> Collection:
        """The collection, with a fresh deadline; the secrets among the arguments are kept out of its errors."""
        return self.session.at(self.declaration, {**(given or {}), **self.place})

    # ---- read -----------------------------------------------------------------------------------------------------

    def get(self, id: str) -> Values:
        """The object with this id, complete.

        Raises:
            NotFound: There is none.
        """
        with self.told(f"{self.declaration.kind} {id} could not be read"):
            api = self.api()
            try:
                live = self.declaration.fetch(api, id, {})
            except errors.NotFound:
                api.answers()
                raise self.not_found("this id") from None
            return self._shown(live)

    def find(self, key: Values) -> Values | None:
        """The object with this natural key, complete; None when there is none."""
        with self.told(f"{self._named(key)} could not be read"):
            wanted = self.declaration.natural_key(key)
            found = (
                item
                for item in self.declaration.candidates(self.api(), key)
                if self.declaration.natural_key({name: item.get(name) for name in self.declaration.key}) == wanted
            )
            twin = next(found, None)
        return None if twin is None else self.get(str(twin["id"]))

    def look_up(self, id: str | None, key: Values) -> Values:
        """The object with this id or this natural key, complete.

        Raises:
            Invalid: Neither or both are given.
            NotFound: There is none.
        """
        given = {name: value for name, value in key.items() if value is not None}
        names = " and ".join(f"`{name}`" for name in self.declaration.key)
        if (id is None) is (not given):
            raise errors.Invalid(f"either `id` or {names} is needed, and not both")
        if id is not None:
            return self.get(id)
        if self.declaration.key[0] not in given:
            raise errors.Invalid(f"`{self.declaration.key[0]}` is needed too")
        found = self.find(given)
        if found is None:
            raise self.not_found(f"this {self.declaration.key_text}").about(f"{self._named(given)} could not be read")
        return found

    def list(self, search: str | None) -> Iterator[Values]:
        """The objects as lists show them, page by page; the time between two of them is not taken from the deadline."""
        here = self.declaration.searched_here
        query = {"search": search} if search and not here else {}
        with self.told(f"the list of {self.declaration.collection} could not be read"):
            for live in paged(self.session, self.declaration.collection, self.place, (), query):
                if not here or _matches(search, (live.get(name) for name in here)):
                    yield self._shown(live)

    def _shown(self, live: Values) -> Values:
        """Every argument and output of a live object, and under `extra` the rest of what PostHog tells."""
        fields = self.declaration.inputs.model_fields
        defaults = {name: default_of(info) for name, info in fields.items()}
        managed = {
            name: unknowing(info, live[name])
            for name, info in fields.items()
            if live.get(name) and model_in(info.annotation)
        }
        values = {
            **defaults,
            **self.declaration.from_api(live, managed),
            **self.declaration.outputs_of(live, {}),
            "id": live.get("id"),
        }
        return {**values, "extra": {name: value for name, value in live.items() if name not in values}}

    def _named(self, key: Values) -> str:
        return " ".join([self.declaration.kind, *(f'"{part}"' for part in key.values() if part)])

    def not_found(self, by: str) -> errors.NotFound:
        """The error for an object that is not there."""
        return errors.NotFound(f"PostHog has no {self.declaration.noun} with {by}", status=404, code="not_found")

    # ---- write ----------------------------------------------------------------------------------------------------

    def create(self, given: Values) -> tuple[str, Sequence[Message]]:
        """Makes an object and gives its id.

        Raises:
            Invalid: An argument is wrong; nothing was sent.
            AlreadyExists, Incomplete, PostHogError: As from `lifecycle.create`.
        """
        label = f"{self.declaration.label(given)} was not created"
        with self.told(label, given):
            checked = lifecycle.check(self.declaration, self.session, {}, given)
            refuse(checked.problems)
        made = lifecycle.create(self.declaration, self.session, checked.inputs)
        if made.problem is not None:
            raise made.problem
        return made.id, made.messages

    def update(self, id: str, given: Values, known: Values | None) -> Sequence[Message]:
        """Changes what is given, and nothing else; None goes back to PostHog's default.

        Args:
            id: The object.
            given: The arguments to change.
            known: The object as the caller knows it: what was changed since is not overwritten. Without it, what
                counts is the object as it is now.

        Raises:
            Invalid: An argument is wrong, or cannot be changed in place; nothing was sent.
            NotFound: There is no such object.
            Changed: Somebody else changed one of these arguments since.
        """
        with self.told(f"{self.declaration.kind} {id} was not updated", given):
            olds = self._now(id, given)
            self._refuse_stale(olds, given, known or {})
            inputs = self._checked(olds, given)
            made = lifecycle.update(self.declaration, self.session, id, olds.outputs, inputs)
        return made.messages

    def delete(self, id: str) -> None:
        """Deletes an object; one that is gone already is fine."""
        with self.told(f"{self.declaration.kind} {id} was not deleted"):
            lifecycle.delete(self.declaration, self.session, id, self.place)

    def _now(self, id: str, given: Values) -> lifecycle.Live:
        """The live object, with everything in it that the caller wants to change."""
        fields = self.declaration.inputs.model_fields
        managed = {name: unknowing(fields[name], value) for name, value in given.items() if name in fields}
        managed = {name: value for name, value in managed.items() if value is not None}
        live = lifecycle.read(self.declaration, self.session, id, {**self.place, **managed}, complete=False)
        if live is None:
            raise self.not_found("this id")

        def told(values: Values) -> Values:
            # What PostHog never gives back is as it went in: it is not known, and so always sent.
            seen = {name: value for name, value in values.items() if value is not managed.get(name, UNKNOWN)}
            return {name: typed(fields[name], value) if name in managed else value for name, value in seen.items()}

        return lifecycle.Live(id, told(live.inputs), told(live.outputs))

    def _refuse_stale(self, olds: lifecycle.Live, given: Values, known: Values) -> None:
        fields = self.declaration.inputs.model_fields
        for name in given:
            if name not in known or name in self.declaration.aside:
                continue
            now = olds.inputs.get(name, default_of(fields[name]))
            if not self._alike(name, known[name], now or {} if maps_models(fields[name]) else now):
                raise errors.Changed(
                    f"`{name}` was changed in PostHog since it was read",
                    hint="Read the object again, and see whether the change still holds.",
                    field=name,
                )

    def _alike(self, name: str, known: Any, now: Any) -> bool:
        """Whether what the caller knows is what there is, as far as `now`, which may be a part, tells."""
        if isinstance(known, dict) and isinstance(now, dict):
            seen, there = cast("Values", known), cast("Values", now)
            return all(self._alike("", seen.get(key), item) for key, item in there.items())
        return self.declaration.same(name, known, now) or f"{known}" == f"{now}"

    def _checked(self, olds: lifecycle.Live, given: Values) -> Values:
        """The inputs of the changed object. What was not given is not judged: PostHog does not show all of it."""
        fields = self.declaration.inputs.model_fields
        news = {
            name: merged(fields[name], olds.inputs.get(name), value) if name in fields else value
            for name, value in given.items()
        }
        left = {name for name, other in self.declaration.goes_with.items() if other in news and not news[other]}
        kept = {name: value for name, value in olds.inputs.items() if name not in left}
        wanted = {name: value for name, value in {**kept, **news}.items() if value is not None}
        before = lifecycle.check(self.declaration, self.session, olds.inputs, olds.inputs)
        unfit = {_root(problem) for problem in before.problems} - set(given)
        hidden = {name: UNKNOWN for name in unfit if name in wanted}
        replaced = [
            name
            for name in news
            if name in fields
            and self.declaration.replaces(name, olds.inputs, wanted)
            and not self.declaration.same(name, olds.inputs.get(name), wanted.get(name))
        ]
        refuse([Problem(name, "cannot be changed in place: it needs a new object") for name in replaced])
        checked = lifecycle.check(self.declaration, self.session, olds.inputs, {**wanted, **hidden})
        refuse(checked.problems)
        return {**checked.inputs, **{name: wanted[name] for name in hidden}}

    # ---- what all calls share -------------------------------------------------------------------------------------

    @contextmanager
    def told(self, subject: str, given: Mapping[str, Any] | None = None) -> Generator[None]:
        """Gives errors their subject, and keeps the secrets among the arguments out of their texts."""
        try:
            yield
        except errors.PostHogError as error:
            secrets = [self.session.settings.api_key, *self.declaration.secrets(dict(given or {}))]
            error.subject = redact(subject, secrets)
            error.message = redact(error.message, secrets)
            error.hint = redact(error.hint, secrets)
            raise


def paged(
    session: Session, collection: str, place: Values, segments: Sequence[str], query: Mapping[str, str]
) -> Iterator[Values]:
    """All items of a list; the time that the caller spends between two of them is not taken from the deadline."""
    deadline = session.transport.deadline()
    api = Collection(session.transport, str(place["environment_id"]), collection, deadline)
    for item in api.list(*segments, **query):
        handed_over = time.monotonic()
        yield item
        deadline.extend(time.monotonic() - handed_over)


def refuse(problems: Sequence[Problem]) -> None:
    """Raises Invalid with everything that is wrong."""
    if problems:
        text = "; ".join(map(str, problems))
        raise errors.Invalid(text, hint="Nothing was sent to PostHog.", field=problems[0].path)


def _root(problem: Problem) -> str:
    """The argument that a path begins with."""
    found = _ROOT.match(problem.path)
    return found.group() if found else ""


def _matches(search: str | None, texts: Iterable[Any]) -> bool:
    """Every term must be in one of the texts, as PostHog searches (contract 1.4)."""
    there = [str(text).lower() for text in texts if text is not None]
    return all(any(term in text for text in there) for term in re.split(r"[\s,]+", (search or "").lower()))
