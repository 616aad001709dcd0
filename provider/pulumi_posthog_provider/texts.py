"""What may be shown of a text: no secret, nothing that a terminal would take for a command, not too much of it."""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast
from urllib.parse import quote, quote_plus

SAID_AT_MOST = 500
HIDDEN = "[secret]"

_SHORTEST = 3
"""Shorter texts than this are no secrets worth the name: hiding them would make every message unreadable."""
_SHORTEST_PART = 8
"""The same for a part of a secret: one of its lines, or what base64 makes of it."""
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


def printable(text: str) -> str:
    """The text in one line: without control, invisible and direction-changing characters."""
    text = _TERMINAL.sub("", text)
    text = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    return " ".join(text.split())


def clean(text: str) -> str:
    """Text of a server made fit for a terminal, at most 500 characters."""
    text = printable(text[: 4 * SAID_AT_MOST])
    return text if len(text) <= SAID_AT_MOST else f"{text[:SAID_AT_MOST]}..."


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced, in whatever spelling it appears.

    Spellings are: as it is, in JSON, in HTML, in a URL, in base64 (alone or within more), in one line, and each longer
    line of it alone.
    """
    found = {spelling for secret in secrets if len(secret) >= _SHORTEST for spelling in _spellings(secret)}
    for spelling in sorted(found, key=len, reverse=True):
        if "%" in spelling:  # %2F is %2f
            text = re.sub(re.escape(spelling), HIDDEN, text, flags=re.IGNORECASE)
        else:
            text = text.replace(spelling, HIDDEN)
    return text


def redacted_in(value: Any, secrets: Sequence[str]) -> Any:
    """The same of every text in a value of JSON; names are left as they are."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {name: redacted_in(item, secrets) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [redacted_in(item, secrets) for item in cast("list[Any]", value)]
    return value


def _spellings(secret: str) -> Iterator[str]:
    lines = [line for line in map(str.strip, secret.splitlines()) if len(line) >= _SHORTEST_PART]
    for part in {secret, printable(secret), *lines}:
        if len(part) < _SHORTEST:
            continue
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield html.escape(part)
        yield quote(part, safe="", errors="replace")
        yield quote(part, errors="replace")
        yield quote_plus(part, errors="replace")
        yield from _in_base64(part.encode("utf-8", "replace"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """What any base64 text that holds the secret must hold: one text for each place where it can begin."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        after = (before + len(secret)) % 3
        core = whole[(0, 2, 3)[before] : len(whole) - (1 if after else 0)]
        if len(core) >= _SHORTEST_PART:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))
