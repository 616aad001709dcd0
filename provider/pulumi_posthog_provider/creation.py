"""Making an object and finishing it, or finding one that is there already."""

from __future__ import annotations

from . import errors
from .adoption import adopted
from .collection import Collection
from .declare import Declaration, Message, Values
from .holding import about, kept_differently, labelled, redacted, refuse_unknown_fields
from .posting import DELAY, INTERRUPTED, Posting
from .results import Made
from .session import Session
from .twins import own_orphan

UNFINISHED = "unfinished"
"""Output of an object whose creation could not be completed; the next update completes it."""

_ADOPTED = "to be adopted, and changed to what is asked for"


def create(declaration: Declaration, session: Session, inputs: Values) -> Made:
    """Makes the object once, whatever happens to the answer.

    Raises:
        AlreadyExists: Another object has its natural key.
        PostHogError: Nothing was made, or what was made could not be told apart from a stranger's.
    """
    label = declaration.label(inputs)
    messages: list[Message] = []
    with about(label, "created", inputs, declaration, session):
        seconds = session.settings.source_timeout if declaration.slow_create else None
        api = session.at(declaration, inputs, seconds)
        session.changes_something(declaration, api)
        live, how = _made_or_found(declaration, session, api, inputs)
        id = str(live["id"])
        if how:
            messages.append(Message("info", f"{label} was found in PostHog ({id}): {how}. It is used."))
    was_there = how in (INTERRUPTED, _ADOPTED)
    try:
        if how != _ADOPTED:
            live = _finished(declaration, api, live, inputs)
        if not was_there:
            _take_back_if_not_known(declaration, api, live, inputs, label)
    except _UndoneError as undone:
        raise undone.error from None
    except errors.PostHogError as error:
        told, hint = (redacted(text, inputs, declaration, session) for text in (error.message, error.hint))
        problem = errors.Incomplete(
            f"{label} exists ({id}), but is not finished: {told}",
            hint=f"{hint} The next `pulumi up` finishes it.".strip(),
            request_id=error.request_id,
        )
        warning = Message("warning", str(problem))
        return Made(id, {**inputs, UNFINISHED: problem.message}, problem, [*messages, warning], found=was_there)
    outputs = {**inputs, **declaration.outputs_of(live, inputs)}
    messages += kept_differently(declaration, live, inputs, outputs, label)
    messages += labelled(declaration, inputs, declaration.notices(live, inputs))
    return Made(id, outputs, None, messages, found=was_there)


def _made_or_found(declaration: Declaration, session: Session, api: Collection, inputs: Values) -> tuple[Values, str]:
    """The object, and how it was found if it was not made by this very call."""
    if inputs.get("adopt"):
        live = adopted(declaration, session, api, inputs)
        if live is not None:
            return live, _ADOPTED
    elif declaration.looks_before_create:
        orphan = own_orphan(declaration, session, api, inputs)
        if orphan is not None:
            return orphan, INTERRUPTED
    return Posting(declaration, session, api, inputs).made()


def _finished(declaration: Declaration, api: Collection, live: Values, inputs: Values) -> Values:
    """The new object with the steps that the create call did not take; PostHog may not show it yet."""
    for seconds in DELAY[1:]:
        try:
            return declaration.after_create(api, live, inputs)
        except errors.NotFound:
            api.pause(seconds, f"PostHog does not show the new {declaration.noun} yet")
    return declaration.after_create(api, live, inputs)


class _UndoneError(Exception):
    def __init__(self, error: errors.PostHogError) -> None:
        super().__init__()
        self.error = error


def _take_back_if_not_known(
    declaration: Declaration, api: Collection, live: Values, inputs: Values, label: str
) -> None:
    """What this PostHog does not know is seen by the new object only, which then must not stay."""
    try:
        refuse_unknown_fields(declaration, live, inputs)
    except errors.Invalid as error:
        api.delete(str(live["id"]))
        raise _UndoneError(error.about(f"{label} was not created")) from None
