"""Check, diff, create, read, update and delete, written once for every declaration.

Knows nothing of Pulumi's protocols. Its results can say more than the dynamic protocol carries (which parts are not
known yet, the changes one by one, a half-finished object, messages for one resource); each protocol takes what it can.
Which arguments are secret is declared (`Traits.secret`, `Declaration.secrets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import errors
from .adoption import Foreseen, clash_of_change, foreseen
from .checks import validated
from .collection import Collection
from .creation import UNFINISHED, create
from .declare import (
    FORMER,
    Declaration,
    Message,
    Problem,
    Values,
    default_of,
    has_unknown,
    id_problems,
    mapping,
    traits,
)
from .holding import (
    RECORDED,
    about,
    added,
    asked_for,
    changed_values,
    changes,
    holds,
    kept_differently,
    labelled,
    live_inputs,
    redacted,
    refuse_unknown_fields,
    sendable,
)
from .results import Change, Checked, Difference, Live, Made
from .session import Session

__all__ = [
    "RECORDED",
    "UNFINISHED",
    "Change",
    "Checked",
    "Difference",
    "Live",
    "Made",
    "Message",
    "Session",
    "check",
    "create",
    "delete",
    "diff",
    "read",
    "update",
]

# ---- check ------------------------------------------------------------------------------------------------------


def check(declaration: Declaration, session: Session, olds: Values, news: Values) -> Checked:
    """Validates and completes inputs. Values may hold `UNKNOWN`; `olds` are the old inputs, empty for a new object."""
    elsewhere = session.elsewhere(olds)
    if elsewhere:
        return Checked(news, [Problem("", elsewhere)])
    given = {name: value for name, value in news.items() if name in declaration.inputs.model_fields}
    given.update({name: value for name, value in news.items() if name not in added(declaration)})
    problems = validated(declaration.inputs, given) or [
        *_common_problems(declaration, given),
        *declaration.problems(given),
    ]
    problems = problems or list(declaration.slow_problems(given, olds))
    if problems:
        return Checked(news, problems)
    inputs = declaration.normalise(given)
    inputs = {name: _old_spelling(declaration, name, value, olds) for name, value in inputs.items()}
    inputs.update(declaration.derive(inputs, olds))
    inputs.update(host=session.settings.host, environment_id=session.environment(olds))
    if olds:
        session.remember_own(declaration, olds)
        problems, messages = _effects(declaration, session, olds, inputs)
        problems = [*declaration.forbidden_change(olds, inputs), *problems]
    else:
        problems, messages = foreseen(declaration, session, inputs)
    if session.settings.validate != "off" and not problems:
        problems, asked = _asked(declaration, session, olds, inputs)
        messages = [*messages, *asked]
    return Checked(inputs, problems, messages)


def _effects(declaration: Declaration, session: Session, olds: Values, inputs: Values) -> Foreseen:
    """What a change meets and brings about; a preview that cannot find out goes on and says so."""
    foretold = labelled(declaration, inputs, declaration.foretold(olds, inputs))
    if any(change.replaces for change in changes(declaration, olds, inputs)):
        return [], foretold  # the new object is checked by itself
    asks = session.settings.validate != "off"
    problems, messages = clash_of_change(declaration, session, olds, inputs) if asks else ([], [])
    if problems:
        return problems, messages
    try:
        api = session.briefly_at(declaration, inputs) if asks else None
        found = labelled(declaration, olds, declaration.effects(api, olds, inputs))
    except errors.PostHogError as error:
        text = f"{declaration.label(olds)}: PostHog could not be asked what depends on it: {error.message}."
        found = [Message("warning", redacted(text, inputs, declaration, session))]
    return [], [*foretold, *messages, *found]


def _asked(declaration: Declaration, session: Session, olds: Values, inputs: Values) -> Foreseen:
    """Asks PostHog what it would say, ten seconds each; one warning names what could not be asked."""
    problems: list[Problem] = []
    unasked: list[str] = []
    for question in declaration.questions(olds, inputs, session.is_own(declaration, inputs)):
        if not question.rare and session.settings.validate != "live":
            continue
        found: list[Problem] = []
        ends = question.is_basis
        try:
            found += question.ask(session.briefly_at(declaration, inputs))
        except errors.Invalid as error:
            found.append(Problem(question.path, redacted(error.message, inputs, declaration, session)))
            ends = True
        except errors.PostHogError as error:
            unasked.append(f"{question.about} ({redacted(error.message, inputs, declaration, session)})")
        problems += found
        if found and ends:
            break
    text = f"{declaration.label(inputs)}: not checked in this preview: {'; '.join(unasked)}."
    return problems, [Message("warning", text)] if unasked else []


_NOBODYS = ("id", "deleted")
"""Fields of an object that Pulumi itself decides on."""


def _common_problems(declaration: Declaration, given: Values) -> Iterable[Problem]:
    yield from id_problems("adopt", given.get("adopt"))
    for name in mapping(given.get("extra")):
        if name in declaration.inputs.model_fields or name in added(declaration):
            yield Problem(f'extra["{name}"]', "is an argument of its own")
        elif name in _NOBODYS:
            yield Problem(f'extra["{name}"]', "cannot be set")
        elif name in declaration.otherwise:
            argument = declaration.otherwise[name]
            by = f"the argument `{argument}`" if argument else "this package itself"
            yield Problem(f'extra["{name}"]', f"is set by {by}")
        elif name in declaration.outputs.model_fields:
            yield Problem(f'extra["{name}"]', "is an output: PostHog alone sets it")


def _old_spelling(declaration: Declaration, name: str, value: Any, olds: Values) -> Any:
    """The old value where the new one means the same, so that the engine's own comparison stays quiet too."""
    if name in olds and not has_unknown(value) and declaration.same(name, olds[name], value):
        return olds[name]
    return value


# ---- diff -------------------------------------------------------------------------------------------------------


def diff(declaration: Declaration, olds: Values, news: Values) -> Difference:
    """Compares the object in state (its outputs contain its inputs) with the inputs, by meaning, without a request."""
    found = changes(declaration, olds, news)
    same_place = all(olds.get(name) == news.get(name) for name in RECORDED)
    same_key = declaration.natural_key(olds) == declaration.natural_key(news)
    # Also where nothing here asks for a new object: the user may, by `replace_on_changes`.
    return Difference(found, unfinished=bool(olds.get(UNFINISHED)), delete_before_replace=same_place and same_key)


# ---- read -------------------------------------------------------------------------------------------------------


def read(
    declaration: Declaration,
    session: Session,
    id: str,
    olds: Values,
    *,
    one_of_many: bool = False,
    complete: bool = True,
) -> Live | None:
    """The object as it is now, or None when PostHog says that it is gone while its environment answers.

    Args:
        one_of_many: It is read together with others, so a list may answer for all of them.
        complete: Whether PostHog must show all that is managed; else what it does not show is at its default.
    """
    with about(declaration.label(olds), "read", olds, declaration, session):
        api = session.at(declaration, olds)
        try:
            listed = session.read_in_a_list(declaration, api, id) if one_of_many else None
            live = listed or declaration.fetch(api, id, olds)
        except errors.NotFound:
            api.answers()
            return None
        missing = declaration.missing_from(live, asked_for(declaration, olds))
        if missing and complete:
            raise errors.UnexpectedAnswer(f"the answer has no `{missing[0]}`")
        inputs = live_inputs(declaration, live, olds)
    kept = {name: olds[name] for name in (UNFINISHED,) if olds.get(name)}
    messages = labelled(declaration, inputs, declaration.notices(live, inputs))
    return Live(id, inputs, {**inputs, **declaration.outputs_of(live, olds), **kept}, messages)


# ---- update -----------------------------------------------------------------------------------------------------


def update(declaration: Declaration, session: Session, id: str, olds: Values, news: Values) -> Made:
    """Changes the object in place, or finishes one that was left unfinished.

    Raises:
        Changed: Somebody else edited it since.
        NotFound: It was deleted outside Pulumi.
    """
    label = declaration.label(olds)
    known: Values = {**olds, **news, FORMER: olds}
    with about(label, "updated", known, declaration, session):
        api = session.at(declaration, known)
        session.changes_something(declaration, api)
        session.in_state.add(id)
        changed = changed_values(declaration, olds, news)
        try:
            live: Values = {}
            if olds.get(UNFINISHED):
                live = declaration.fetch(api, id, news)
                refuse_unknown_fields(declaration, live, news)
                live = declaration.after_create(api, live, news)
            if changed:
                live = _patched(declaration, api, id, olds, news, changed)
        except errors.NotFound as error:
            raise errors.NotFound(
                "it was deleted outside Pulumi",
                hint="Run `pulumi refresh`, then `pulumi up` makes it again.",
                request_id=error.request_id,
            ) from None
        sent = sendable(declaration, {name: value for name, value in news.items() if name in changed})
        if live:
            refuse_unknown_fields(declaration, live, sent)
    if declaration.natural_key(olds) != declaration.natural_key(news):
        session.forget_own(declaration, olds)
    reported = {name: olds[name] for name in declaration.outputs.model_fields if name in olds}
    outputs = {**reported, **news, **declaration.outputs_of(live, known)}
    messages = kept_differently(declaration, live, sent, outputs, label) if live else []
    messages += labelled(declaration, known, declaration.notices(live, news))
    return Made(id, outputs, None, messages)


def _patched(declaration: Declaration, api: Collection, id: str, olds: Values, news: Values, changed: Values) -> Values:
    try:
        return declaration.update(api, id, olds, news, changed)
    except errors.PostHogError as error:
        if not error.outcome_unknown:
            raise
    if not declaration.updates_in_steps:
        # The answer was lost: look before doing it again, or our own change would pass for somebody else's.
        live = declaration.fetch(api, id, news)
        if _is_done(declaration, live, olds, news, changed):
            return live
    return declaration.update(api, id, olds, news, changed)


def _is_done(declaration: Declaration, live: Values, olds: Values, news: Values, changed: Values) -> bool:
    """Whether the object shows that all of a change was carried out; of what PostHog never gives back it shows nothing.

    Raises:
        Changed: A field is neither as it was nor as it shall be, so somebody else was at it.
    """
    done = True
    for name, value in changed.items():
        info = declaration.inputs.model_fields[name]
        if holds(declaration, live, news, name, value):
            done = done and not traits(info).write_only
        elif holds(declaration, live, olds, name, olds.get(name, default_of(info))):
            done = False
        else:
            raise errors.Changed(
                f"`{name}` was changed in PostHog at the same moment",
                hint="Run `pulumi refresh` to see that change, then `pulumi up` to replace it by yours.",
                field=name,
            )
    return done


# ---- delete -----------------------------------------------------------------------------------------------------


def delete(declaration: Declaration, session: Session, id: str, olds: Values) -> None:
    """Deletes the object where it was made; one that is gone already is fine."""
    with about(declaration.label(olds), "deleted", olds, declaration, session):
        api = session.at(declaration, olds)
        session.changes_something(declaration, api)
        api.delete(id)
    session.forget_own(declaration, olds)
    session.in_state.discard(id)
