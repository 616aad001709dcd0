"""The program of a helper process: reads SQL from stdin, writes what it says to stdout.

PostHog's parser needs seconds or minutes for some texts of a few hundred characters and holds
Python's global lock all the while, so it never runs in the server itself. Every text has a limit of
CPU time here. It ends this process by a signal, which needs no lock and no living parent.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import BinaryIO

from . import hogql_fallback

CPU_SECONDS = 5.0  # nested calls of a real view may need one or two when the parser is cold
LARGEST_MEMORY = 4 * 1024**3
OUT_OF_TIME = getattr(signal, "SIGPROF", 0)
HEADER = struct.Struct("!cI")

# Kinds of answers.
TREE = b"T"  # the tree of PostHog's parser, or its error
READ = b"R"  # what the stand-in has read: tables and columns
REFUSED = b"M"  # what the stand-in says is wrong
FAILED = b"F"  # the class of an unexpected exception

Answer = tuple[bytes, str]


def main() -> None:
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business; we end with our input
    _limit_memory()
    read = _reader()
    questions = sys.stdin.buffer
    while sql := receive(questions):
        with _limited_time():
            answer = _answer(read, sql[1])
        send(answers, *answer)


def send(file: BinaryIO, kind: bytes, text: str) -> None:
    data = text.encode()
    file.write(HEADER.pack(kind, len(data)) + data)
    file.flush()


def receive(file: BinaryIO) -> Answer | None:
    """None: the other side has ended."""
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, length = HEADER.unpack(header)
    data = file.read(length)
    return (kind, data.decode()) if len(data) == length else None


def _answer(read: Callable[[str], Answer], sql: str) -> Answer:
    try:
        return read(sql)
    except hogql_fallback.Malformed as error:
        return REFUSED, str(error)
    except Exception as error:
        return FAILED, type(error).__name__


def _reader() -> Callable[[str], Answer]:
    parser = _load_parser()
    if parser is None:
        return _read_without_parser
    return lambda sql: (TREE, parser.parse_select_json(sql))


def _read_without_parser(sql: str) -> Answer:
    tables, columns = hogql_fallback.read(sql)
    return READ, json.dumps({"tables": sorted(tables), "columns": columns})


def _load_parser() -> ModuleType | None:
    """``hogql_parser`` imports PostHog's error classes from ``posthog.hogql.errors`` and needs no more of it."""
    names = ("posthog", "posthog.hogql", "posthog.hogql.errors")
    stubs = {name: ModuleType(name) for name in names}
    base = type("BaseHogQLError", (Exception,), {})
    for name in (
        "BaseHogQLError",
        "ExposedHogQLError",
        "ImpossibleASTError",
        "InternalHogQLError",
        "NotImplementedError",
        "ParsingError",
        "QueryError",
        "ResolutionError",
        "SyntaxError",
    ):
        setattr(stubs["posthog.hogql.errors"], name, type(name, (base,), {}))
    sys.modules.update(stubs)
    try:
        return importlib.import_module("hogql_parser")
    except ImportError:
        return None


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    if not hasattr(signal, "ITIMER_PROF"):
        yield  # Windows: the server alone looks after the time
        return
    # The signal's default action ends the process, wherever it is.
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
