"""What can be told from a view's SQL without PostHog: the tables it reads, and with the extra ``[hogql]`` its mistakes.

The tables are found from the tokens, with or without PostHog's parser, so that the order of a program's views never
depends on what is installed. Whether two texts are equal is no question for this module (`sql` answers it).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, cast

from . import sql as _sql

_TOKEN = _sql._TOKEN  # pyright: ignore[reportPrivateUsage]

# ---- the tables a text reads ------------------------------------------------------------------------------------

_SET_OPERATIONS = frozenset({"UNION", "EXCEPT", "INTERSECT"})
_AFTER_TABLES = frozenset(
    {"WHERE", "PREWHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "QUALIFY", "SETTINGS", "ON", "USING", "ARRAY"}
)
"""Words after which a comma no longer stands between tables."""
_CLOSING = {"(": ")", "{": "}", "[": "]"}


@lru_cache(1024)
def tables(sql: str) -> frozenset[str]:
    """The names of the tables and views that the SQL reads, as written, without the names it declares in ``WITH``.

    Quotes of names are taken off; the parts of a dotted name are joined by dots. Text that is no SQL reads nothing.
    """
    try:
        return frozenset(_Reader(sql).group("", frozenset()))
    except RecursionError:
        return frozenset()


class _Reader:
    """Walks over the tokens, one group in brackets at a time."""

    def __init__(self, sql: str) -> None:
        found = ((match.lastgroup, match.group()) for match in _TOKEN.finditer(sql))
        self._tokens = [token for token in found if token[0] not in ("space", "line_comment", "comment")]
        self._at = 0

    def _text(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at][1] if 0 <= at < len(self._tokens) else ""

    def _word(self, ahead: int = 0) -> str:
        """The word in capitals; an empty text for anything else, and for quoted names."""
        at = self._at + ahead
        return self._text(ahead).upper() if 0 <= at < len(self._tokens) and self._tokens[at][0] == "word" else ""

    def _keyword(self) -> str:
        """The word here, unless it is a name: an alias, or a part of a dotted name."""
        after_dot = self._text(-1) == "." and not self._text(-2).isdigit()
        return "" if after_dot or self._word(-1) == "AS" else self._word()

    def _name(self, ahead: int = 0) -> str:
        """The name here without quotes, or an empty text."""
        text = self._text(ahead)
        if text[:1] in ('"', "`"):
            return _unquoted(text)
        return text if self._word(ahead) and not text[0].isdigit() else ""

    def group(self, closing: str, declared: frozenset[str], *, table: bool = False) -> Iterator[str]:
        """The tables read between here and the closing bracket.

        Args:
            closing: The bracket; an empty text for the end of the SQL.
            declared: The names that ``WITH`` gave to queries so far.
            table: Whether the group stands where a table may stand.
        """
        begins, query, tables_here, declares, recursive = True, table, table, False, False
        while self._at < len(self._tokens):
            if self._text() == closing:
                self._at += 1
                return
            if table:
                table = False
                yield from self._table(declared)
                continue
            text, word = self._text(), self._keyword()
            self._at += 1
            begins, began = word in _SET_OPERATIONS or (begins and word in ("ALL", "DISTINCT")), begins
            if word == "SELECT":
                query, declares, tables_here = True, False, False
            elif word == "FROM":
                table = tables_here = query and not self._compares()
            elif word == "JOIN":
                table = tables_here = self._word(-2) != "ARRAY"
            elif word in _AFTER_TABLES or word in _SET_OPERATIONS:
                tables_here = tables_here and word == "USING" and self._text() == "("
            elif word == "WITH" and began:
                declares, recursive = True, self._word() == "RECURSIVE"
                self._at += recursive
            elif text == "," and tables_here:
                table = True
            elif text in _CLOSING:
                yield from self.group(_CLOSING[text], declared)
            name = self._declaration() if declares and (word == "WITH" or text == ",") else ""
            if name:
                yield from self.group(")", declared | {name} if recursive else declared)
                declared |= {name}

    def _compares(self) -> bool:
        """Whether the word just read is that of ``IS DISTINCT FROM``."""
        return self._word(-2) == "DISTINCT" and self._word(-3) in ("IS", "NOT")

    def _declaration(self) -> str:
        """The name of a query of ``WITH``, if one begins here: ``name [(columns)] AS [[NOT] MATERIALIZED] (``."""
        name, ahead = self._name(), 1
        if name and self._text(ahead) == "(":
            while self._text(ahead) not in (")", ""):
                ahead += 1
            ahead += 1
        if not name or self._word(ahead) != "AS":
            return ""
        ahead += 1
        ahead += self._word(ahead) == "NOT"
        ahead += self._word(ahead) == "MATERIALIZED"
        if self._text(ahead) != "(":
            return ""
        self._at += ahead + 1
        return name

    def _table(self, declared: frozenset[str]) -> Iterator[str]:
        """What stands where a table may stand: a table, a query or tables in brackets, a function."""
        if self._text() == "(":
            self._at += 1
            yield from self.group(")", declared, table=self._word() not in ("SELECT", "WITH"))
            return
        parts = [self._name()]
        if not parts[0]:
            return
        self._at += 1
        while self._text() == "." and self._name(1):
            parts.append(self._name(1))
            self._at += 2
        name = ".".join(parts)
        if self._text() != "(" and name not in declared:
            yield name


def _unquoted(text: str) -> str:
    quote, inner = text[0], text[1:-1]
    return inner.replace(quote * 2, quote).replace(f"\\{quote}", quote).replace("\\\\", "\\")


# ---- mistakes ---------------------------------------------------------------------------------------------------

TIME_LIMIT = 5.0
"""Seconds that reading one text may take; beyond, it counts as not checked."""
TIME_IN_ALL = 20.0
"""Seconds that reading all texts of one run may take; what comes then counts as not checked."""


def mistakes(sql: str) -> list[str]:
    """What PostHog would refuse in the SQL of a view, each as ``line 3, column 7: …``; lines and columns count from 1.

    Empty where PostHog's parser (the extra ``[hogql]``) is not installed, or takes too long. Texts between quotes are
    never repeated.
    """
    return [
        f"line {line}, column {column}: {_plain_reason(sql, line, column, reason)}" if line else reason
        for line, column, reason in _worker.findings(sql)
    ]


def _plain_reason(sql: str, line: int, column: int, reason: str) -> str:
    """The reason, without the quotation of the whole text that the parser adds to its own ones."""
    if "'" not in reason:
        return reason
    rest = "\n".join(sql.split("\n")[line - 1 :])[column - 1 :]
    token = _TOKEN.match(rest)
    if not rest.strip() or token is None:
        return "the SQL ends too early"
    if token.lastgroup != "literal":
        return f"{token.group()} is not expected here"
    ends = len(token.group()) > 1 and token.group()[-1] == token.group()[0]
    return "the text in quotes is not expected here" if ends else "the quote that begins here never ends"


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of another process: without the API key, and without the stack's configuration."""
    return {name: value for name, value in environ.items() if not name.upper().startswith(("POSTHOG_", "PULUMI_"))}


class _Worker:
    """The process in which PostHog's parser runs. One at a time; started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._spent = 0.0
        self._known: dict[str, list[tuple[int, int, str]]] = {}

    def findings(self, sql: str) -> list[tuple[int, int, str]]:
        with self._lock:
            if sql not in self._known:
                self._known[sql] = self._asked(sql)
            return self._known[sql]

    def _asked(self, sql: str) -> list[tuple[int, int, str]]:
        if self._spent >= TIME_IN_ALL or (self._process is None and find_spec("hogql_parser") is None):
            return []
        started = time.monotonic()
        try:
            answer = self._answer(json.dumps({"sql": sql}))
            return [(line, column, str(reason)) for line, column, reason in json.loads(answer)]
        except (OSError, ValueError):
            self._spent += 1.0  # a process that does not even start takes no time
            self.stop()
            return []
        finally:
            self._spent += time.monotonic() - started

    def _answer(self, question: str) -> str:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", str(Path(__file__).with_name("hogql_worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=_without_secrets(os.environ),
            )
        writes, reads = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        writes.write(f"{question}\n")
        writes.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(reads, selectors.EVENT_READ)
            if not selector.select(TIME_LIMIT):
                raise TimeoutError
        return reads.readline()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()


_worker = _Worker()
atexit.register(_worker.stop)
