"""What a live object holds, held against what was asked for; and what may be said about it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any, Literal

from . import errors
from .declare import Declaration, Message, Values, default_of, has_unknown, mapping, traits
from .results import Change
from .session import Session
from .texts import redact

RECORDED = ("host", "environment_id")
"""Inputs that `check` adds: an object lives where it was made."""


def added(declaration: Declaration) -> set[str]:
    return {*RECORDED, *declaration.derived}


def sendable(declaration: Declaration, values: Values) -> Values:
    fields = declaration.inputs.model_fields
    return {name: value for name, value in values.items() if name in fields and not traits(fields[name]).local}


def asked_for(declaration: Declaration, values: Values) -> Values:
    """What can be sent and is not PostHog's default anyway, which an older PostHog may not know."""
    fields = declaration.inputs.model_fields
    return {
        name: value
        for name, value in sendable(declaration, values).items()
        if not declaration.same(name, default_of(fields[name]), value)
    }


def as_inputs(declaration: Declaration, live: Values, olds: Values) -> Values:
    extra = {name: live.get(name, value) for name, value in mapping(olds.get("extra")).items()}
    return {**declaration.from_api(live, olds), "extra": extra}


def holds(declaration: Declaration, live: Values, inputs: Values, name: str, wanted: Any) -> bool:
    if traits(declaration.inputs.model_fields[name]).write_only:
        return True
    now = as_inputs(declaration, live, inputs)
    return declaration.same(name, now.get(name, default_of(declaration.inputs.model_fields[name])), wanted)


def differing(declaration: Declaration, live: Values, inputs: Values, known: Values | None = None) -> list[str]:
    """The arguments that a live object does not hold, as far as PostHog shows them.

    Args:
        known: The inputs together with the outputs, where these tell in what words PostHog stored an input.
    """
    return [
        name
        for name, value in sendable(declaration, inputs).items()
        if not holds(declaration, live, inputs if known is None else known, name, value)
    ]


def is_alike(declaration: Declaration, live: Values, inputs: Values) -> bool:
    """Whether an object is in every field what a create of these inputs leaves, with its later steps or without."""
    whole, begun = (differing(declaration, live, values) for values in (inputs, declaration.first_step(inputs)))
    return not set(whole) & set(begun)


def refuse_unknown_fields(declaration: Declaration, live: Values, inputs: Values) -> None:
    """PostHog drops fields that it does not know in silence (contract 1.6).

    Raises:
        Invalid: It does not know all that is asked of this object.
    """
    unknown = declaration.unknown_to(live, asked_for(declaration, inputs))
    if unknown:
        raise errors.unknown_field(unknown)


def kept_differently(
    declaration: Declaration, live: Values, inputs: Values, known: Values, label: str
) -> list[Message]:
    unseen = [name for name in mapping(inputs.get("extra")) if name not in live]
    return [
        Message("warning", f'{label}: PostHog does not give back `extra["{name}"]`; it may not know it.')
        for name in unseen
    ] + [
        Message("warning", f"{label}: PostHog stored `{name}` differently from what was asked.")
        for name in differing(declaration, live, inputs, known)
    ]


def labelled(declaration: Declaration, values: Values, messages: Iterable[Message]) -> list[Message]:
    """Messages with the name of the object in front, and without its secrets."""
    label = declaration.label(values)
    return [
        Message(message.severity, redact(f"{label}: {message.text}", declaration.secrets(values)))
        for message in messages
    ]


@contextmanager
def about(
    label: str,
    deed: Literal["created", "read", "updated", "deleted"],
    values: Values,
    declaration: Declaration,
    session: Session,
) -> Generator[None]:
    """Says of errors what was being done to which object, in words without secrets."""
    try:
        yield
    except errors.PostHogError as error:
        if isinstance(error, errors.Invalid) and not error.hint:
            with suppress(errors.PostHogError):
                declaration.explain(session.at(declaration, values), error, values)
        may_be_done = error.outcome_unknown or isinstance(error, errors.OutcomeUnknown)
        outcome = "could not be" if deed == "read" else "may have been" if may_be_done else "was not"
        error.about(redacted(f"{label} {outcome} {deed}", values, declaration, session))
        for theirs, ours in declaration.otherwise.items():
            if ours:
                error.message = re.sub(rf"`{theirs}\b", f"`{ours}", error.message)
        error.message = redacted(error.message, values, declaration, session)
        error.hint = redacted(error.hint, values, declaration, session)
        raise


def redacted(text: str, values: Values, declaration: Declaration, session: Session) -> str:
    return redact(text, [session.settings.api_key, *declaration.secrets(values)])


def changes(declaration: Declaration, olds: Values, news: Values) -> list[Change]:
    """The arguments that differ by meaning, and where the object lives."""
    found = [Change((name,), "update", replaces=True) for name in RECORDED if olds.get(name) != news.get(name)]
    for name, info in declaration.inputs.model_fields.items():
        if traits(info).local:
            continue
        old, new = olds.get(name, default_of(info)), news.get(name, default_of(info))
        if not has_unknown(new) and declaration.same(name, old, new):
            continue
        replaces = not has_unknown(new) and declaration.replaces(name, olds, news)
        found.append(Change((name,), _kind_of_change(name in olds, name in news), replaces))
    return found


def _kind_of_change(before: bool, after: bool) -> Literal["add", "update", "delete"]:
    return "add" if not before else "update" if after else "delete"


def changed_values(declaration: Declaration, olds: Values, news: Values) -> Values:
    """The arguments that differ, with their new values; PostHog's default where one was removed."""
    fields = declaration.inputs.model_fields
    names = [change.path[0] for change in changes(declaration, olds, news)]
    return {name: news.get(name, default_of(fields[name])) for name in names if name in fields}


def live_inputs(declaration: Declaration, live: Values, olds: Values) -> Values:
    """The inputs that would make the live object, in the old spelling wherever that means the same."""
    fields = declaration.inputs.model_fields
    now = as_inputs(declaration, live, olds)
    inputs: Values = {name: olds[name] for name in added(declaration) if name in olds}
    for name, info in fields.items():
        how = traits(info)
        if how.write_only or how.local:
            if name in olds:
                inputs[name] = olds[name]
            continue
        value = now.get(name, default_of(info))
        if name in olds and declaration.same(name, olds[name], value):
            inputs[name] = olds[name]
        elif not declaration.same(name, default_of(info), value):
            inputs[name] = value
    inputs.update({name: live[name] for name in declaration.derived if name in live})
    return inputs
