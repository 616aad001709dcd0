"""Reading SQL in helper processes (``hogql_helper``), with a limit of time and a memory of answers.

Helpers start when they are first needed. One that is out of time ends and is replaced by the next
question; all of them end with this process, because their input does.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass

from . import hogql_helper
from .hogql_helper import Answer

MOST_HELPERS = 2
# Generous: a helper counts its own CPU time, this is for one that does not get any.
SECONDS = 120.0
REMEMBERED_CHARACTERS = 16_000_000
TOO_COMPLEX: Answer = (hogql_helper.REFUSED, "Invalid query: the query is too complex to parse")


class _Ended(Exception):
    """The helper is gone without an answer."""

    def __init__(self, *, out_of_time: bool) -> None:
        super().__init__()
        self.out_of_time = out_of_time


class _Helper:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            # Found where this process has found it, and never in the working directory.
            [sys.executable, "-P", "-m", hogql_helper.__name__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, sql: str) -> Answer:
        assert self.process.stdin
        assert self.process.stdout
        alarm = threading.Timer(SECONDS, self.process.kill)
        alarm.start()
        try:
            hogql_helper.send(self.process.stdin, b"Q", sql)
            answer = hogql_helper.receive(self.process.stdout)
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        finally:
            alarm.cancel()
        if answer is None:
            self.end()
            raise _Ended(out_of_time=-self.process.returncode == hogql_helper.OUT_OF_TIME)
        return answer

    def end(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.kill()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Pool:
    """At most ``MOST_HELPERS`` at work; the one used last is asked first, as it knows most by heart."""

    def __init__(self) -> None:
        self._idle: list[_Helper] = []
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(MOST_HELPERS)

    def ask(self, sql: str) -> Answer:
        with self._free:
            with self._lock:
                helper = self._idle.pop() if self._idle else None
            if helper is not None:
                try:
                    return self._ask(helper, sql)
                except _Ended as error:
                    if error.out_of_time:
                        return TOO_COMPLEX
                    # It may have ended while it was idle, which says nothing about this text.
            try:
                return self._ask(_Helper(), sql)
            except _Ended:
                return TOO_COMPLEX

    def _ask(self, helper: _Helper, sql: str) -> Answer:
        try:
            answer = helper.ask(sql)
        except BaseException:
            helper.end()
            raise
        with self._lock:
            self._idle.append(helper)
        return answer

    def end(self) -> None:
        with self._lock:
            helpers, self._idle = self._idle, []
        for helper in helpers:
            helper.end()


@dataclass
class _Remembered:
    answer: Answer
    size: int


class Memory:
    """Answers by text, the least recently used ones dropped; safe for threads."""

    def __init__(self, most_characters: int) -> None:
        self._most = most_characters
        self._size = 0
        self._entries: OrderedDict[str, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sql: str) -> Answer | None:
        with self._lock:
            found = self._entries.get(sql)
            if found is None:
                return None
            self._entries.move_to_end(sql)
            return found.answer

    def put(self, sql: str, answer: Answer) -> None:
        with self._lock:
            if sql in self._entries:
                return
            entry = self._entries[sql] = _Remembered(answer, len(sql) + len(answer[1]))
            self._size += entry.size
            # The newest stays in any case: it is asked for again in a moment.
            while self._size > self._most and len(self._entries) > 1:
                self._size -= self._entries.popitem(last=False)[1].size


_pool = Pool()
_memory = Memory(REMEMBERED_CHARACTERS)


def read(sql: str) -> Answer:
    answer = _memory.get(sql)
    if answer is None:
        answer = _pool.ask(sql)
        _memory.put(sql, answer)
    return answer


def end() -> None:
    """No helper is left over; the next question starts a new one."""
    _pool.end()
