"""Objects that have the natural key of one to be made: whose they are, and how they are told of."""

from __future__ import annotations

from collections.abc import Iterable

from . import errors
from .collection import Collection
from .declare import Declaration, Values, mapping
from .holding import is_alike, refuse_unknown_fields
from .session import Session


def own_orphan(declaration: Declaration, session: Session, api: Collection, inputs: Values) -> Values | None:
    """An object with the same natural key that an interrupted create of ours must have left; None when there is none.

    Raises:
        AlreadyExists: There is one, and it is not provably ours: made by this key's user and equal in every field
            that can be read.
        Invalid: There is one of this key's user, and this PostHog does not know all that is asked of it.
    """
    twin = twin_among(declaration, declaration.candidates(api, inputs), inputs)
    if twin is None:
        return None
    if str(twin["id"]) in session.in_state:
        otherwise = (
            f"it keeps its {declaration.key_text} when it is renamed, so give the new one another name"
            if {*declaration.key} & {*declaration.derived}
            else f"if it is to get another {declaration.key_text}, run `pulumi up` with that change alone before"
        )
        raise errors.AlreadyExists(
            f"the {declaration.noun} that has this {declaration.key_text} (id {twin.get('id')}) is in this stack, and "
            "has to go first",
            hint=f"If it is to be replaced, add the option `delete_before_replace=True`; {otherwise}.",
        )
    refuse_anothers(declaration, session, str(twin["id"]))
    clash = already_exists(declaration, twin, inputs)
    if session.made(twin):
        live = declaration.fetch(api, str(twin["id"]), inputs)
        refuse_unknown_fields(declaration, live, inputs)
        if is_alike(declaration, live, inputs):
            return live
        clash.hint = (
            "If it is that of a resource which is to be replaced (`pulumi up --replace`, `pulumi state taint`), run "
            f"`pulumi up` with the change alone before. {clash.hint}"
        )
    elif session.is_nameless:
        clash.hint = (
            "If an interrupted `pulumi up` made it, give the key the scope `user:read` and run `pulumi up` again: "
            f"without it nobody can tell. {clash.hint}"
        )
    raise clash


def refuse_anothers(declaration: Declaration, session: Session, id: str) -> None:
    """Another `Provider` may serve the same environment.

    Raises:
        AlreadyExists: The object is that of another resource of this stack.
    """
    if session.is_anothers(id):
        raise errors.AlreadyExists(
            f"the {declaration.noun} that has this {declaration.key_text} (id {id}) is that of another resource of "
            "this stack, which has another `provider`",
            hint=f"Remove one of the two resources, or give it another {declaration.key_text}.",
        )


def twin_among(declaration: Declaration, objects: Iterable[Values], inputs: Values) -> Values | None:
    """The object with the same natural key, if it is among these."""
    key = declaration.natural_key(inputs)
    for item in objects:
        if declaration.natural_key(item) == key:
            return item
    return None


def already_exists(declaration: Declaration, twin: Values, inputs: Values) -> errors.AlreadyExists:
    """The error that names an object which has the natural key, and the ways out."""
    author = mapping(twin.get("created_by")).get("email", twin.get("created_by"))
    by = f" by {author}" if isinstance(author, str) else f" by user {author}" if isinstance(author, int) else ""
    when = f" on {str(twin['created_at'])[:10]}" if twin.get("created_at") else ""
    named = declaration.label(twin)
    its = "" if named == declaration.label(inputs) else f"{named}, "
    # A key that PostHog derives is not seen in the program, and cannot be changed there.
    derived = [f"`{inputs[name]}`" for name in declaration.key if name in declaration.derived]
    key = " ".join([declaration.key_text, *derived])
    unless = ", unless for a resource that was renamed since" if derived else ""
    return errors.AlreadyExists(
        f"a {declaration.noun} with this {key} exists already in PostHog ({its}id {twin.get('id')}, made{by}{when})",
        hint=f"This stack did not make it{unless}. Give the new one another {'name' if derived else key}; or take the "
        "existing one over with `adopt=True`; or, if you renamed the resource in the program, add the option `aliases` "
        "with its old name.",
    )
