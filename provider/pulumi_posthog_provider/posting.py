"""The call that makes an object, exactly once whatever happens to its answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import chain, repeat
from typing import cast

from . import errors
from .collection import Collection
from .declare import Declaration, Reply, Values, mapping
from .holding import is_alike, sendable
from .session import Session
from .twins import own_orphan, twin_among

INTERRUPTED = "made by an `up` that was interrupted, or for a resource that had another name then"
LOST = "made a moment ago, only the answer was lost"

DELAY = (0.0, 1.0, 2.0)
"""Seconds between looks for what PostHog has certainly made, but may not show yet."""
_WORK = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""The same, at first, while PostHog may still be at work on a create whose answer was lost: it dials the customer's
database. The last pause is repeated for as long as that may take."""

_LOOK = 30.0
"""Seconds to look for what a create has made that PostHog never answered, when that took all the time there was."""


class Posting:
    """One create, as long as it lasts."""

    def __init__(self, declaration: Declaration, session: Session, api: Collection, inputs: Values) -> None:
        self._declaration = declaration
        self._session = session
        self._api = api
        self._inputs = inputs
        self._started = time.monotonic()

    def made(self) -> tuple[Values, str]:
        """The object as the create call answers it, and how it was found if it was not made by this very call.

        Raises:
            AlreadyExists: Another object has its natural key.
            PostHogError: Nothing was made, or what was made could not be told apart from a stranger's.
        """
        sent = sendable(self._declaration, self._inputs)
        looked_up = self._declaration.looked_up(self._api, "", {}, self._inputs, sent)
        body = {**self._declaration.create_body(sent), **looked_up}
        lost: errors.PostHogError | None = None
        for last in (False, True):
            began = time.monotonic()
            try:
                answer = self._created(body)
            except errors.Invalid as error:
                if not any(text in error.message for text in self._declaration.clash_texts):
                    raise
                return self._taken(error, was_lost=lost is not None)
            except errors.PostHogError as error:
                if not error.outcome_unknown:
                    raise
                lost = error
                is_late = self._api.is_late
                if self._declaration.slow_create:
                    self._api.allow(_LOOK)
                found = self._looked_for(self._while_at_work(time.monotonic() - began), error)
                if found is not None:
                    return found, LOST
                if last or is_late:
                    raise
                continue
            live = cast("Values", answer.body)
            return self._changed_one(live, lost) if answer.status == 200 else (live, "")
        raise AssertionError("unreachable")

    def _created(self, body: Values) -> Reply:
        slow = self._declaration.slow_create
        answer = self._api.create(body, self._session.settings.source_timeout) if slow else self._api.create(body)
        live = mapping(answer.body)
        if not self._declaration.answers_with_id and any(live.get(name) is None for name in self._declaration.key):
            error = errors.UnexpectedAnswer("the answer to the create is not the object that was to be made")
            error.outcome_unknown = True
            raise error
        return answer

    def _while_at_work(self, elapsed: float) -> Iterator[float]:
        """The pauses between looks for as long as PostHog may still work on what was sent so many seconds ago."""
        left = self._session.settings.source_timeout - elapsed if self._declaration.slow_create else 0.0
        for seconds in chain(_WORK, repeat(_WORK[-1])):
            yield min(seconds, max(left, 0.0))
            left -= seconds
            if left <= 0:
                return

    def _taken(self, refused: errors.Invalid, *, was_lost: bool) -> tuple[Values, str]:
        """Whose object made PostHog refuse ours: of a try before whose answer was lost, or of somebody else."""
        if was_lost:
            found, how = self._looked_for(DELAY, refused), LOST
        else:
            found, how = own_orphan(self._declaration, self._session, self._api, self._inputs), INTERRUPTED
        if found is None:
            raise refused
        return found, how

    def _changed_one(self, live: Values, lost: errors.PostHogError | None) -> tuple[Values, str]:
        """A create that changed an existing object must not pass for one, unless that is our own (contract 3.3)."""
        found = self._looked_for(DELAY, lost) if lost else None
        if found is not None:
            return found, LOST
        raise errors.AlreadyExists(
            f"somebody made a {self._declaration.noun} with this {self._declaration.key_text} at the same moment (id "
            f"{live.get('id')}), and PostHog changed that one instead of making another",
            hint="Look at it in PostHog, then choose another name, or take it over with `adopt=True`.",
        )

    def _looked_for(self, pauses: Iterable[float], otherwise: errors.PostHogError) -> Values | None:
        """The object that a create with a lost answer has made, if it shows in time.

        Raises:
            PostHogError: `otherwise`, when PostHog cannot be asked.
            OutcomeUnknown: There is one, but perhaps a stranger's.
        """
        for seconds in pauses:
            self._api.pause(
                seconds, "The answer to the create was lost, so PostHog is asked whether it was carried out"
            )
            try:
                live = self._same_key()
                is_ours = live is None or self._is_ours(live)
            except errors.PostHogError:
                raise otherwise from None
            if live is not None and is_ours:
                return live
            if live is not None:
                raise errors.OutcomeUnknown(
                    f"the answer to the create was lost, and PostHog now has a {self._declaration.noun} with this "
                    f"{self._declaration.key_text} (id {live.get('id')}) of which it cannot be told whether it is the "
                    "one",
                    hint="Look at it in PostHog: if it should not be there, delete it and run `pulumi up` again.",
                )
        return None

    def _same_key(self) -> Values | None:
        candidates = self._declaration.candidates(self._api, self._inputs)
        twin = twin_among(self._declaration, candidates, self._inputs)
        return None if twin is None else self._declaration.fetch(self._api, str(twin["id"]), self._inputs)

    def _is_ours(self, live: Values) -> bool:
        """Whether it is equal to what was sent, and was made by this key's user.

        Where it cannot be told who made it, it must have been made a moment ago. PostHog has no idempotency keys, so
        this is what keeps a repeated create from making a second object.
        """
        if not is_alike(self._declaration, live, self._inputs):
            return False
        if self._session.made(live):
            return True
        if live.get("created_by") is not None and not self._session.is_nameless:
            return False
        age = _age(live, self._api)
        return age is not None and age <= time.monotonic() - self._started + 5


def _age(live: Values, api: Collection) -> float | None:
    """Seconds since the object was made, by PostHog's own clock."""
    try:
        made = datetime.fromisoformat(str(live["created_at"]))
        now = parsedate_to_datetime(api.date)
    except (KeyError, TypeError, ValueError):
        return None
    return (now - made).total_seconds()
