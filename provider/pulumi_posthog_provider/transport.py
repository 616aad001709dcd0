"""Requests to PostHog: `Transport.request`, with its deadline, its retries and its typed errors.

What may be tried again is decided by what is known about the outcome, never by one exception or status alone:

* *not sent* (no connection was made): try again, whatever the method;
* *refused unprocessed* (429, or 503 with ``Retry-After``): wait as told, then try again, whatever the method;
* *unknown* (the answer was lost, 5xx): try again only what may safely happen twice, else raise with
  `outcome_unknown` set;
* *final* (every other 3xx and 4xx, 501, certificates): raise.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from . import errors
from ._version import __version__
from .answers import Answer, Setback, judged
from .exchange import CHUNK_TIMEOUT, Call, Exchange, Received
from .pacing import MAX_TRIES, Deadline, Pace, Quota, backoff, spell
from .settings import Settings, is_loopback

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "Deadline", "Transport"]

ANNOUNCE_AFTER = 2.0
MAX_LINK = 8000

_DOCUMENTED_ROOT, _SUCCESSOR_ROOT = "environments", "projects"
_SEGMENT = re.compile(r"[A-Za-z0-9@_-]+")
_API_PATH = re.compile(r"/api(/[A-Za-z0-9@_-]+)+/?")
_LONGER = "If the work itself takes longer, allow more: `pulumi config set posthog:requestTimeout <seconds>`."


class Transport:
    """Requests to one PostHog with one key. Safe to share between threads; a process has one.

    Args:
        settings: Where to, with which key, for how long.
        announce: Called with a sentence before every wait of more than two seconds.
        sleep, clock, jitter: The time and the chance, replaceable in tests.
        client: Makes the requests; by default one that honours the proxy and certificate variables.
        pace: Keeps to PostHog's rate limits; by default none on this machine, and that of PostHog Cloud elsewhere.
        caller: What the user agent names besides this package.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        announce: Callable[[str], None] = lambda text: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        client: httpx.Client | None = None,
        pace: Pace | None = None,
        caller: str = "",
    ) -> None:
        self.settings = settings
        self._announce = announce
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._exchange = Exchange(settings, f"pulumi-posthog/{__version__} {caller}".strip(), client)
        local = is_loopback(urlsplit(settings.host).hostname or "")
        self._pace = pace or Pace(() if local else Pace.CLOUD)
        self._quota = Quota()
        self._root = _DOCUMENTED_ROOT

    def deadline(self, seconds: float | None = None, *, may_wait: bool = True) -> Deadline:
        """A fresh budget for one operation.

        Args:
            seconds: By default what the settings say.
            may_wait: Whether it may wait for a rate limit as long as the settings say, or within `seconds` only.
        """
        allowed = self.settings.request_timeout if seconds is None else seconds
        waiting = self.settings.rate_limit_wait
        return Deadline(allowed, waiting if may_wait else min(waiting, allowed), self._clock)

    def close(self) -> None:
        """Closes idle connections; the next request opens new ones."""
        self._exchange.close()

    def request(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        environment: str | None,
        deadline: Deadline,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
        secrets: tuple[str, ...] = (),
        patience: float = CHUNK_TIMEOUT,
    ) -> Answer:
        """Makes one call and gives its successful answer.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: The segments after ``/api/environments/<id>/``, or after ``/api/`` when `environment` is None.
            environment: The environment the object lives in.
            deadline: The budget of the operation this call is part of.
            query: The query parameters.
            body: Sent as JSON.
            repeatable: Whether the call may happen twice; by default GET and DELETE may.
            secrets: Texts that no error may repeat, whatever PostHog answers; the key is always one.
            patience: How many seconds PostHog may be silent while it answers.

        Raises:
            PostHogError: One class per cause, see `errors`. Its `outcome_unknown` tells whether a call that changes
                something may have done so.
        """
        content = None if body is None else _encoded(body)
        may_repeat = method in ("GET", "DELETE") if repeatable is None else repeatable

        def call(root: str) -> Call:
            place = () if environment is None else (root, environment)
            return Call(method, self._url((*place, *path), query), content, may_repeat, secrets, patience)

        root = self._root
        try:
            answer = self._tried(call(root), deadline)
        except errors.PostHogError as error:
            if environment is None or root == _SUCCESSOR_ROOT or not error.path_unknown:
                raise
            refused = error
        else:
            # The documented /api/environments/ is a deprecated alias, used for as long as it is there (contract 1.1).
            if answer.headers.get("deprecation") and "successor-version" in answer.headers.get("link", ""):
                self._root = _SUCCESSOR_ROOT
            return answer
        return self._at_successor(refused, call(_SUCCESSOR_ROOT), deadline)

    def _at_successor(self, refused: errors.PostHogError, call: Call, deadline: Deadline) -> Answer:
        """The same call at /api/projects/, after /api/environments/ did not know the path."""
        try:
            answer = self._tried(call, deadline)
        except errors.PostHogError as error:
            if error.path_unknown:
                raise refused from None
            if isinstance(error, errors.Refused):
                self._root = _SUCCESSOR_ROOT
            raise
        self._root = _SUCCESSOR_ROOT
        return answer

    def follow(self, link: str, deadline: Deadline, secrets: tuple[str, ...] = ()) -> Answer:
        """Fetches the next page of a list: only path and query of the link are used, on the configured host.

        Args:
            link: What the page before gave as the next one.
            deadline: The budget of the operation this call is part of.
            secrets: As in `request`.

        Raises:
            UnexpectedAnswer: The link points elsewhere; a short list must not pass for a complete one.
            PostHogError: As from `request`.
        """
        ours = urlsplit(self.settings.host).hostname
        try:
            parts = urlsplit(link)
            host = parts.hostname or ours
        except ValueError:
            raise errors.UnexpectedAnswer("the link to the next page of a list is not an address") from None
        if host != ours:
            raise errors.UnexpectedAnswer("the link to the next page of a list points to another host")
        path = parts.path.removeprefix(urlsplit(self.settings.host).path)
        if not _API_PATH.fullmatch(path) or not parts.query.isprintable() or len(link) > MAX_LINK:
            raise errors.UnexpectedAnswer("the link to the next page of a list does not point to the API")
        url = f"{self.settings.host}{path}{f'?{parts.query}' if parts.query else ''}"
        return self._tried(Call("GET", url, None, repeatable=True, secrets=secrets), deadline)

    def _url(self, segments: tuple[str, ...], query: Mapping[str, str] | None) -> str:
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise errors.ConfigurationError("an id contains characters that no id of PostHog has")
        return f"{self.settings.host}/api/{'/'.join(segments)}{f'?{urlencode(query)}' if query else ''}"

    # ---- again and again ----------------------------------------------------------------------------------------

    def _tried(self, call: Call, deadline: Deadline) -> Answer:
        failures = limits = 0
        unknown = False
        started = self._clock()
        while True:
            self._keep_pace(deadline)
            result = self._once(call, deadline)
            if isinstance(result, Answer):
                self._quota.succeeded(repeated=failures > 0)
                return result
            unknown = unknown or (result.unknown and call.method != "GET")
            result.error.outcome_unknown = unknown
            if result.rate_limit:
                limits += 1
                pause = result.wait + self._jitter() * backoff(limits)
                self._wait_for_limit(pause, result.error, deadline)
                continue
            failures += 1
            pause = result.wait + self._jitter() * backoff(failures)
            if not _worth_another(call, result, failures) or pause >= deadline.left or not self._quota.take():
                if result.wait and result.wait >= deadline.left:
                    result.error.message += f": the wait would be {spell(result.wait)}, longer than there is time for"
                    result.error.hint = "Run `pulumi up` again later."
                elif failures > 1:
                    result.error.message += f", tried {failures} times in {spell(self._clock() - started)}"
                raise result.error
            self._pause(pause, result.error.message)

    def _keep_pace(self, deadline: Deadline) -> None:
        while (wait := self._pace.delay(self._clock())) > 0:
            limited = errors.RateLimited("PostHog allows no more requests for now")
            self._wait_for_limit(wait, limited, deadline)

    def _wait_for_limit(self, seconds: float, limited: errors.PostHogError, deadline: Deadline) -> None:
        """Waits for a rate limit, from the budget for that.

        Raises:
            RateLimited: `limited` itself, when the budget is too small.
        """
        if not deadline.grant_wait(seconds):
            limited.message += f": the wait would be {spell(seconds)}, longer than `posthog:rateLimitWait` allows"
            limited.hint = (
                "Run `pulumi up` again later, or allow a longer wait: "
                "`pulumi config set posthog:rateLimitWait <seconds>`."
            )
            raise limited
        self._pause(seconds, limited.message)

    def pause(self, seconds: float, why: str) -> None:
        """Waits for something that PostHog does on its own, and says so."""
        if seconds > ANNOUNCE_AFTER:
            self._announce(f"{why}. Looking again in {spell(seconds)}.")
        self._sleep(seconds)

    def _pause(self, seconds: float, why: str) -> None:
        if seconds > ANNOUNCE_AFTER:
            self._announce(f"{why}. Trying again in {spell(seconds)}.")
        self._sleep(seconds)

    # ---- once ---------------------------------------------------------------------------------------------------

    def _once(self, call: Call, deadline: Deadline) -> Answer | Setback:
        if deadline.left <= 0:
            raise errors.Unavailable(f"gave up after {spell(deadline.seconds)}", hint=_LONGER)
        result = self._exchange.send(call, deadline)
        if isinstance(result, Received):
            meaning = judged(result.status, result.headers, result.content, self.settings, call.secrets)
            if isinstance(meaning, errors.PostHogError):
                raise meaning
            return meaning
        if result is None or (result.unknown and deadline.left <= 0):
            late = f"gave up after {spell(deadline.seconds)} without an answer"
            return Setback(errors.OutcomeUnknown(late, hint=_LONGER), unknown=True)
        return result


def _worth_another(call: Call, setback: Setback, failures: int) -> bool:
    if failures >= min(MAX_TRIES, setback.tries):
        return False
    return not setback.unknown or (call.repeatable and (call.method == "GET" or not setback.only_reads))


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode("ascii")
    except ValueError:
        raise errors.ConfigurationError("a number in the request is infinite or NaN, which JSON cannot carry") from None
