"""Objects that are there already: told of in preview, taken over on request."""

from __future__ import annotations

from . import errors
from .collection import Collection
from .declare import Declaration, Message, Problem, Values, has_unknown
from .holding import changed_values, live_inputs, refuse_unknown_fields
from .session import Session
from .twins import already_exists, own_orphan, refuse_anothers, twin_among

Foreseen = tuple[list[Problem], list[Message]]

_FATAL = (errors.Unauthenticated, errors.ProjectNotFound, errors.NoAccess)
"""What would fail the create for certain, and so is told in preview."""


def foreseen(declaration: Declaration, session: Session, inputs: Values) -> Foreseen:
    """What a preview can tell about the natural key of a new object: a clash, or what an adoption will change."""
    wanted = inputs.get("adopt", False)
    unknown = has_unknown(list(declaration.natural_key(inputs))) or has_unknown(wanted)
    if unknown or session.is_own(declaration, inputs):
        return [], []
    label = declaration.label(inputs)
    try:
        if wanted:
            return _adoption(declaration, session, inputs, label)
        return _clash(declaration, session, inputs, label)
    except errors.NotFound:
        return [Problem("adopt", f"PostHog has no {declaration.noun} with this id")], []
    except _FATAL as error:
        return [Problem("", f"{label}: {error}")], []
    except errors.PostHogError as error:
        return [], [Message("warning", f"{label}: PostHog could not be asked what is there already: {error.message}.")]


def _clash(declaration: Declaration, session: Session, inputs: Values, label: str) -> Foreseen:
    if session.settings.validate == "off":
        return [], []
    twin = twin_among(declaration, session.listed(declaration, inputs), inputs)
    if twin is None:
        return [], []
    if not session.made(twin, briefly=True):
        return [Problem("", str(already_exists(declaration, twin, inputs).about(label)))], []
    # Made by this key's user: perhaps the orphan of an interrupted `up`, which is taken back.
    try:
        own_orphan(declaration, session, session.briefly_at(declaration, inputs), inputs)
    except (errors.AlreadyExists, errors.Invalid) as error:
        return [Problem("", str(error.about(label)))], []
    return [], []


def clash_of_change(declaration: Declaration, session: Session, olds: Values, inputs: Values) -> Foreseen:
    """What a preview can tell about a new natural key of an object that stays: that another one has it."""
    key = declaration.natural_key(inputs)
    if has_unknown(list(key)) or key == declaration.natural_key(olds) or session.is_own(declaration, inputs):
        return [], []
    label = declaration.label(olds)
    try:
        twin = twin_among(declaration, session.listed(declaration, inputs), inputs)
    except errors.PostHogError as error:
        return [], [Message("warning", f"{label}: PostHog could not be asked what is there already: {error.message}.")]
    if twin is None:
        return [], []
    clash = already_exists(declaration, twin, inputs)
    clash.hint = f"Choose another {declaration.key_text}, or delete that one in PostHog first."
    return [Problem("", str(clash.about(label)))], []


def _adoption(declaration: Declaration, session: Session, inputs: Values, label: str) -> Foreseen:
    live = _wanted(declaration, session.briefly_at(declaration, inputs), inputs)
    if live is None:
        return [], [Message("info", f"{label}: there is nothing to adopt, so it will be made")]
    changed, refusal = _changed(declaration, live, live_inputs(declaration, live, inputs), inputs)
    if refusal is not None:
        return [Problem("", str(refusal.about(label)))], []
    effect = f"will change {', '.join(sorted(changed))}" if changed else "nothing on it will change"
    return [], [Message("info", f"{label}: adopts {live['id']}; {effect}")]


def adopted(declaration: Declaration, session: Session, api: Collection, inputs: Values) -> Values | None:
    """Takes the object over that `adopt` names, changed to what is asked for; None when a new one must be made.

    Raises:
        AlreadyExists: It is that of another resource of this stack.
        NotFound: There is no object with the id given.
        Invalid: The object differs in something that cannot be changed in place, or this PostHog does not know all that
            is asked of it.
    """
    live = _wanted(declaration, api, inputs)
    if live is None:
        return None
    id = str(live["id"])
    refuse_anothers(declaration, session, id)
    if id in session.in_state:
        raise errors.AlreadyExists(
            f"the object to adopt ({id}) is that of another resource of this stack",
            hint="Remove that resource from the program, or leave `adopt` out to make a new object.",
        )
    refuse_unknown_fields(declaration, live, inputs)
    olds = {**live_inputs(declaration, live, inputs), **declaration.outputs_of(live, {})}
    changed, refusal = _changed(declaration, live, olds, inputs)
    if refusal is not None:
        raise refusal
    if changed:
        live = {**live, **declaration.update(api, id, olds, inputs, changed)}
    return live


def _changed(
    declaration: Declaration, live: Values, olds: Values, inputs: Values
) -> tuple[Values, errors.Invalid | None]:
    """What the adoption changes, and what is wrong with that."""
    changed = changed_values(declaration, olds, inputs)
    for name, value in changed.items():
        if not has_unknown(value) and declaration.replaces(name, olds, inputs):
            return changed, errors.Invalid(
                f"the object to adopt ({live['id']}) differs in `{name}`, which cannot be changed in place",
                hint="Write the argument as it is in PostHog, or leave `adopt` out to make a new object.",
            )
    return changed, None


def _wanted(declaration: Declaration, api: Collection, inputs: Values) -> Values | None:
    wanted = inputs["adopt"]
    if isinstance(wanted, str):
        return declaration.fetch(api, wanted, inputs)
    twin = twin_among(declaration, declaration.candidates(api, inputs), inputs)
    return None if twin is None else declaration.fetch(api, str(twin["id"]), inputs)
