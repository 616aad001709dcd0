"""What an answer of PostHog means: a result, a setback that may heal, or an error. No network, no clock."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

from . import errors
from .pacing import MAX_TRIES
from .settings import Settings
from .texts import SAID_AT_MOST, clean, redact

_WHOLE_SECONDS = re.compile(r"[0-9]{1,9}")
_TAG = re.compile(r"<[^>]*>?")
_SCOPE = re.compile(r"scope '([a-z_]+:[a-z]+)'")
_NEVER_HEALS = (501, 505, 511)
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape for half of a pair; whether the other half is there shows when the text is encoded."""
_LONGEST_NUMBER = 308
"""Digits of the largest number that Pulumi carries, a float."""


@dataclass(frozen=True)
class Answer:
    """A successful answer.

    Attributes:
        status: 200 to 299.
        body: The parsed JSON; None when the answer was empty.
        headers: By lower-case name.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class Setback:
    """A try without a result, after which another one may bring it.

    Attributes:
        error: What is raised if there is no other try.
        unknown: Whether the request may have been carried out.
        wait: Seconds that PostHog asks to wait at least.
        rate_limit: It was refused because there were too many: waiting for that has a budget of its own.
        tries: How many tries it is worth in all.
        only_reads: Only a call that changes nothing may be made again.
    """

    error: errors.PostHogError
    unknown: bool = False
    wait: float = 0.0
    rate_limit: bool = False
    tries: int = MAX_TRIES
    only_reads: bool = False


def judged(
    status: int, headers: Mapping[str, str], content: bytes, settings: Settings, secrets: Iterable[str] = ()
) -> Answer | Setback | errors.PostHogError:
    """Sorts an answer by what it says about the outcome of the request; an error stands for one no try would change.

    Args:
        status: The status code.
        headers: By lower-case name.
        content: The whole body, unpacked.
        settings: Where the answer comes from; its key never gets into an error.
        secrets: Texts that were sent and never get into an error either.
    """
    body, is_json = _parsed(content)
    if 200 <= status < 300 and (is_json or not content):
        return Answer(status, body, headers)
    told = _told(status, headers, content, [settings.api_key, *secrets])
    if 200 <= status < 300:
        error = errors.UnexpectedAnswer(f"not PostHog's answer ({told.sample})", request_id=told.request_id)
        return Setback(error, unknown=True, tries=2)
    wait = retry_after(headers)
    if status == 429:
        limited = errors.RateLimited("PostHog limits requests", request_id=told.request_id)
        return Setback(limited, wait=wait or 0.0, rate_limit=True)
    if status >= 500 and status not in _NEVER_HEALS:
        said = f"PostHog is unavailable ({status}{f', {told.said}' if told.said else ''})"
        unavailable = errors.Unavailable(said, request_id=told.request_id)
        if status == 503 and wait is not None:
            return Setback(unavailable, wait=wait)
        return Setback(unavailable, unknown=True, only_reads=status == 500)
    return _refusal(told, settings)


# ---- bodies and headers -------------------------------------------------------------------------------------------


def _parsed(content: bytes) -> tuple[Any, bool]:
    """The JSON value and True, or None and False.

    Stricter than Python: UTF-8, no NaN, no infinity, no name twice, nothing that Pulumi cannot carry into the state.
    """
    try:
        text = content.decode("utf-8-sig")
        body = json.loads(
            text, parse_constant=_finite, parse_float=_finite, parse_int=_whole, object_pairs_hook=_object
        )
        if _HALF_CHARACTER.search(text):
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None, False
    return body, True


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("not a number that a float can hold")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name appears twice")
    return result


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait by ``Retry-After``, or None when it is missing or makes no sense.

    It is a whole number of seconds, or a date; a date is compared with the answer's own ``Date``, never with the clock
    of this machine (RFC 9110, 10.2.3).
    """
    text = headers.get("retry-after", "").strip()
    if _WHOLE_SECONDS.fullmatch(text):
        return float(text)
    then, now = _date(text), _date(headers.get("date", ""))
    if then is None or now is None:
        return None
    return max(0.0, (then - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


# ---- answers without success --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """What an answer without success tells, cleaned and without secrets.

    Attributes:
        said: PostHog's own words: `detail`, else `message`, else `error` (contract 1.3), then the list `errors` of
            change data capture (contract 5.11); "" if it has none.
        sample: The content type and first words, for an answer that does not come from PostHog.
    """

    status: int
    said: str
    code: str
    field: str
    sample: str
    location: str
    request_id: str
    is_json: bool

    def error(self, kind: type[errors.Refused], message: str = "", hint: str = "") -> errors.Refused:
        return kind(
            message or f"PostHog refused ({self._in_short()})",
            hint=hint,
            request_id=self.request_id,
            status=self.status,
            field=self.field,
            code=self.code,
        )

    def _in_short(self) -> str:
        if not self.said:
            return f"status {self.status}"
        path = _INDEX.sub(r"[\1]", self.field).replace("__", ".")  # contract 1.3
        return f"{self.status}, `{path}`: {self.said}" if path else f"{self.status}, {self.said}"


def _told(status: int, headers: Mapping[str, str], content: bytes, secrets: list[str]) -> _Told:
    def shown(text: object, at_most: int = SAID_AT_MOST) -> str:
        # Secrets go first: cut or cleaned they would not be found any more.
        return clean(redact(text, secrets))[:at_most] if isinstance(text, str) else ""

    body, is_json = _parsed(content)
    words = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    said = (shown(words.get(name)) for name in ("detail", "message", "error"))
    reasons = words.get("errors")
    details = "; ".join(filter(None, map(shown, cast("list[Any]", reasons)))) if isinstance(reasons, list) else ""
    start = clean(_TAG.sub(" ", redact(content.decode("utf-8", "replace"), secrets)[:4000]))[:80]
    kind = shown(headers.get("content-type"), 80) or "no content type"
    return _Told(
        status=status,
        said=" ".join(filter(None, (next((text for text in said if text), ""), details))),
        code=shown(words.get("code"), 100),
        field=shown(words.get("attr"), 100),
        sample=f"{status}, {kind}{f': {start}' if start else ''}",
        location=shown(headers.get("location")),
        request_id=shown(headers.get("x-request-id"), 100),
        is_json=is_json,
    )


_INDEX = re.compile(r"__(\d+)(?=__|$)")
_KEY_PAGE = "PostHog makes and edits keys under Settings, Personal API keys."


def _refusal(told: _Told, settings: Settings) -> errors.PostHogError:
    if 300 <= told.status < 400:
        return _redirect(told)
    if not told.is_json or (not told.said and told.status in (401, 403, 404)):
        foreign = errors.UnexpectedAnswer(f"not PostHog's answer ({told.sample})", request_id=told.request_id)
        foreign.path_unknown = told.status == 404
        return foreign
    if told.status == 401:
        return told.error(
            errors.Unauthenticated,
            f"PostHog refused the key (401, {told.said})",
            hint=f"Is it a personal key of {settings.host} and not revoked? {_KEY_PAGE}",
        )
    if told.status == 403:
        return _forbidden(told)
    if told.status == 404:
        return _not_found(told)
    return told.error(errors.Invalid if told.status == 400 else errors.Refused)


def _redirect(told: _Told) -> errors.PostHogError:
    try:
        target = urlsplit(told.location)
        where = f"{target.scheme}://{target.netloc}" if target.scheme and target.hostname else ""
    except ValueError:
        where = ""
    if not where or "@" in where:
        return errors.UnexpectedAnswer(f"PostHog redirects to another page ({told.status})", request_id=told.request_id)
    return errors.UnexpectedAnswer(
        f"PostHog redirects to {where} ({told.status})",
        hint=f"If that is your PostHog, run `pulumi config set posthog:host {where}`.",
        request_id=told.request_id,
    )


def _forbidden(told: _Told) -> errors.PostHogError:
    scope = _SCOPE.search(told.said)
    if scope is None:
        return told.error(
            errors.NoAccess,
            hint="Check that the key and its user may use this environment, and `posthog:environmentId`.",
        )
    return told.error(
        errors.MissingScope,
        f"PostHog refused the key (403, {told.said})",
        hint=f"Add the scope {scope.group(1)} to the key, then run `pulumi up` again. {_KEY_PAGE}",
    )


def _not_found(told: _Told) -> errors.PostHogError:
    """Only PostHog's own words for an object mean that it is gone (contract 1.1, 1.3)."""
    if told.said.startswith("Project not found"):
        return told.error(
            errors.ProjectNotFound,
            f"PostHog knows no such environment (404, {told.said})",
            hint="Check `posthog:environmentId` and `posthog:host`; nothing was forgotten or deleted.",
        )
    if told.said == "Not found." and told.code == "not_found":
        return told.error(errors.NotFound)
    unknown = told.error(errors.Refused)
    unknown.path_unknown = True
    return unknown
