"""One configured PostHog, as the lifecycle sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import cast

from . import errors
from .collection import Collection
from .declare import Declaration, Values, mapping
from .settings import CURRENT, Settings
from .transport import Deadline, Transport

PREVIEW_SECONDS = 10.0
"""How long a look-up in preview may take."""
_FRESH_SECONDS = 10.0
"""How long what a list showed answers the reads of a refresh."""


class Session:
    """One configured PostHog, as the lifecycle sees it: a transport, and the place new objects go to.

    Args:
        settings: Where and as whom.
        transport: Makes the requests.
        is_anothers: Whether another `Provider` of the same run needs the object of an id.
    """

    def __init__(
        self, settings: Settings, transport: Transport, is_anothers: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.settings = settings
        self.transport = transport
        self.is_anothers = is_anothers
        self._current: str | None = None
        self._me: Values | None = None
        self._nobody: errors.PostHogError | None = None
        self._lock = threading.Lock()
        self._listed: dict[tuple[str, str], list[Values] | errors.PostHogError] = {}
        self._own: set[tuple[object, ...]] = set()
        self.in_state: set[str] = set()
        """The ids of the objects that this session was asked about as resources."""
        self._reading = threading.Lock()
        self._read: dict[tuple[str, str], tuple[float, dict[str, Values]]] = {}

    def made(self, live: Values, *, briefly: bool = False) -> bool:
        """Whether this key's user made an object; no, when the key may not ask who that is.

        Args:
            briefly: It is asked for a preview: not worth a long wait, and not asked again when PostHog did not tell.
        """
        if self._me is None:
            if briefly and self._nobody is not None:
                raise self._nobody
            seconds = PREVIEW_SECONDS if briefly else None
            try:
                self._me = self._asked(("users", "@me"), self.transport.deadline(seconds, may_wait=not briefly))
            except errors.PostHogError as error:
                self._nobody = error
                raise
        author = live.get("created_by")
        known = mapping(author).get("id", author)
        return known is not None and known in (self._me.get("id"), self._me.get("email"))

    @property
    def is_nameless(self) -> bool:
        """Whether the key was not allowed to ask who its user is."""
        return self._me == {}

    def environment(self, olds: Values) -> str:
        """The environment for an object; ``@current`` is resolved once, and never again for an object that exists."""
        wanted = self.settings.environment_id
        if wanted != CURRENT:
            return wanted
        if isinstance(olds.get("environment_id"), str):
            return cast("str", olds["environment_id"])
        if self._current is None:
            self._current = self._resolved()
        return self._current

    def _resolved(self) -> str:
        id = self._asked(("projects", CURRENT), self.transport.deadline()).get("id")
        return str(id) if isinstance(id, int) else CURRENT

    def _asked(self, path: tuple[str, ...], deadline: Deadline) -> Values:
        """What PostHog says outside of environments; nothing when the key may not ask."""
        try:
            answer = self.transport.request("GET", path, environment=None, deadline=deadline)
        except (errors.MissingScope, errors.NoAccess):
            return {}
        return mapping(answer.body)

    def at(
        self, declaration: Declaration, values: Values, seconds: float | None = None, *, may_wait: bool = True
    ) -> Collection:
        """The collection an object lives in: where it was made, not what is configured now.

        Raises:
            ConfigurationError: It was made at another host; the key is not sent there.
        """
        elsewhere = self.elsewhere(values)
        if elsewhere:
            raise errors.ConfigurationError(elsewhere)
        environment = values.get("environment_id") or self.settings.environment_id
        deadline = self.transport.deadline(seconds, may_wait=may_wait)
        secrets = tuple(declaration.secrets(values))
        return Collection(self.transport, str(environment), declaration.collection, deadline, secrets)

    def briefly_at(self, declaration: Declaration, values: Values) -> Collection:
        """The same for what a preview asks, which is not worth a long wait, not even for a rate limit."""
        return self.at(declaration, values, PREVIEW_SECONDS, may_wait=False)

    def elsewhere(self, values: Values) -> str:
        """Why an object cannot be reached with these settings, or an empty text."""
        made_at = values.get("host")
        if not made_at or made_at == self.settings.host:
            return ""
        return (
            f"this object was made at {made_at}, but posthog:host is {self.settings.host} now. An object cannot move "
            "between hosts: run `pulumi destroy` with the old host first, or use two `Provider`s in one program"
        )

    # ---- what a refresh looks at ----

    def read_in_a_list(self, declaration: Declaration, api: Collection, id: str) -> Values | None:
        """The object as a list just showed it, where lists show objects whole; None when it must be asked for itself.

        A refresh reads every object of a stack: from the second one of a kind on, a list answers for all of them.
        """
        if declaration.unlisted:
            return None
        place = (declaration.kind, api.environment)
        with self._reading:
            if place not in self._read:
                self._read[place] = (-_FRESH_SECONDS, {})
                return None
            read_at, objects = self._read[place]
            now = time.monotonic()
            if now - read_at >= _FRESH_SECONDS:
                try:
                    objects = {str(item.get("id")): item for item in api.list()}
                except errors.PostHogError:
                    objects = {}  # each object is asked for, and tells what is wrong
                self._read[place] = (now, objects)
            return objects.get(id)

    def changes_something(self, declaration: Declaration, api: Collection) -> None:
        """Forgets what a list showed: it is about to be old."""
        with self._reading:
            self._read.pop((declaration.kind, api.environment), None)

    # ---- what previews look at ----

    def listed(self, declaration: Declaration, values: Values) -> list[Values]:
        """All objects of a kind in an environment, asked for once per process.

        Raises:
            PostHogError: PostHog did not tell; it is not asked again.
        """
        api = self.briefly_at(declaration, values)
        place = (declaration.kind, api.environment)
        with self._lock:
            if place not in self._listed:
                try:
                    self._listed[place] = list(api.list())
                except errors.PostHogError as error:
                    self._listed[place] = error
            found = self._listed[place]
        if isinstance(found, errors.PostHogError):
            raise found
        return found

    def remember_own(self, declaration: Declaration, values: Values) -> None:
        """Notes that an object is in state: on a replacement its own old self must not count as a clash."""
        self._own.add(self._identity(declaration, values))

    def forget_own(self, declaration: Declaration, values: Values) -> None:
        """Notes that an object gave its natural key up."""
        self._own.discard(self._identity(declaration, values))

    def is_own(self, declaration: Declaration, values: Values) -> bool:
        """Whether the object with this natural key is one in state."""
        return self._identity(declaration, values) in self._own

    def _identity(self, declaration: Declaration, values: Values) -> tuple[object, ...]:
        return (declaration.kind, values.get("environment_id"), *declaration.natural_key(values))
