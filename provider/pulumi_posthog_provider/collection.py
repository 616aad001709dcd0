"""The REST shape that PostHog repeats: a collection of objects in one environment, as typed calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from . import errors
from .exchange import CHUNK_TIMEOUT
from .names import is_id
from .transport import Answer, Deadline, Transport

Object = dict[str, Any]

MAX_PAGES = 10_000


class Collection:
    """One collection (for instance ``insight_variables``) of one environment, within one operation's deadline.

    Args:
        transport: Makes the requests.
        environment: The environment's id.
        name: The collection's path segment.
        deadline: The budget of the operation.
        secrets: Texts in what is sent that no error may repeat.
    """

    def __init__(
        self, transport: Transport, environment: str, name: str, deadline: Deadline, secrets: tuple[str, ...] = ()
    ) -> None:
        self._transport = transport
        self.environment = environment
        self.name = name
        self.date = ""
        """The `Date` of the newest answer: PostHog's own clock."""
        self._deadline = deadline
        self._secrets = secrets

    def pause(self, seconds: float, why: str) -> None:
        """Waits for something that PostHog does on its own; the time is not taken from the deadline."""
        self._transport.pause(seconds, why)
        self._deadline.extend(seconds)

    @property
    def is_late(self) -> bool:
        """Whether the time for this operation is over."""
        return self._deadline.left <= 0

    def allow(self, seconds: float) -> None:
        """Gives the operation more time, if it has less than this left."""
        self._deadline.extend(max(0.0, seconds - self._deadline.left))

    def sibling(self, name: str) -> Collection:
        """Another collection of the same environment, within the same deadline."""
        return Collection(self._transport, self.environment, name, self._deadline, self._secrets)

    def list(self, *segments: str, **query: str) -> Iterator[Object]:
        """All objects, page by page; with segments all items below the collection, for instance of one object.

        Raises:
            UnexpectedAnswer: A page is not a page; a short list is never passed off as complete.
        """
        answer = self.call("GET", *segments, query=query)
        seen: set[str] = set()
        while True:
            page = _object(answer)
            results = page.get("results")
            if not isinstance(results, list):
                raise errors.UnexpectedAnswer("a page of a list has no results")
            yield from (_dict(item) for item in cast("list[Any]", results))
            link = page.get("next")
            if link is None:
                return
            if not isinstance(link, str) or link in seen or len(seen) >= MAX_PAGES:
                raise errors.UnexpectedAnswer("the pages of a list do not end")
            seen.add(link)
            answer = self._transport.follow(link, self._deadline, self._secrets)

    def get(self, id: str) -> Object:
        """One object.

        Raises:
            NotFound: PostHog does not know it; `gone` tells whether that can be believed.
        """
        return _named(id, self.call("GET", id))

    def gone(self, id: str) -> bool:
        """Whether the object is gone while its environment answers: the only case in which it may be forgotten."""
        try:
            self.get(id)
        except errors.NotFound:
            return self.answers()
        return False

    def answers(self) -> bool:
        """Whether the environment answers a list of this kind; raises what it answers otherwise."""
        _object(self.call("GET", query={"limit": "1"}))
        return True

    def create(self, body: Mapping[str, Any], patience: float = CHUNK_TIMEOUT) -> Answer:
        """Makes an object. The status matters: 200 instead of 201 means that an existing one was changed.

        Args:
            patience: How many seconds PostHog may be silent while it works on it.
        """
        answer = self.call("POST", body=body, patience=patience)
        if not is_id(str(_written(answer).get("id"))):
            raise _unsure(errors.UnexpectedAnswer("the answer to the create has no id"))
        return answer

    def patch(self, id: str, body: Mapping[str, Any]) -> Object:
        """Changes an object and gives it as it is now."""
        return _written(self.call("PATCH", id, body=body), id)

    def delete(self, id: str) -> None:
        """Deletes an object; one that is gone already is fine."""
        try:
            answer = self.call("DELETE", id)
        except errors.NotFound:
            self.answers()
            return
        if answer.status != 204 or answer.body is not None:
            raise errors.UnexpectedAnswer("the answer to the deletion is not PostHog's")

    def act(
        self, *segments: str, body: Mapping[str, Any] | None = None, method: str = "POST", repeatable: bool = True
    ) -> Object:
        """An action below the collection, for instance ``act(id, "reload")``: PostHog answers an object, or nothing."""
        answer = self.call(method, *segments, body=body, repeatable=repeatable)
        return {} if answer.body is None else _written(answer)

    def call(
        self,
        method: str,
        *segments: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
        patience: float = CHUNK_TIMEOUT,
    ) -> Answer:
        """Any call below the collection, for instance ``call("POST", id, "refresh_schemas")``."""
        answer = self._transport.request(
            method,
            (self.name, *segments),
            environment=self.environment,
            deadline=self._deadline,
            query=query,
            body=body,
            repeatable=repeatable,
            secrets=self._secrets,
            patience=patience,
        )
        self.date = answer.headers.get("date", "")
        return answer


def _written(answer: Answer, id: str = "") -> Object:
    """The object in the answer to a write; without one the write may still have been carried out."""
    try:
        return _named(id, answer) if id else _object(answer)
    except errors.UnexpectedAnswer as error:
        raise _unsure(error) from None


def _unsure(error: errors.PostHogError) -> errors.PostHogError:
    error.outcome_unknown = True
    return error


def _named(id: str, answer: Answer) -> Object:
    """The object with this id; anything else must not pass for it."""
    found = _object(answer)
    if str(found.get("id")).lower() != id.lower():
        raise errors.UnexpectedAnswer("the answer is about another object")
    return found


def _object(answer: Answer) -> Object:
    return _dict(answer.body)


def _dict(body: object) -> Object:
    if not isinstance(body, dict):
        raise errors.UnexpectedAnswer("the answer is not an object")
    return cast("Object", body)
