"""Reads HogQL with PostHog's own parser (the package `hogql-parser`), in a process of its own.

The time this parser takes grows exponentially with the nesting of calls, and while it runs nothing else in its process
does, so it must be possible to stop it. A process of its own is also why the module that the parser wants of PostHog's
server can be given to it without meeting another package called ``posthog``.

Started as a script it answers each line of standard input, ``{"sql": text}``, with a line: the problems as
``[[line, column, reason], …]``, counted from 1; both are 0 where the parser tells no place.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, cast

Node = dict[str, Any]
Finding = tuple[int, int, str]

_ERRORS = (
    "BaseHogQLError ExposedHogQLError InternalHogQLError SyntaxError ParsingError NotImplementedError QueryError "
    "ImpossibleASTError ResolutionError"
)


_PATIENCE = 6
"""Seconds after which this process ends in the middle of a text: who asked waits a second less, and may be gone."""


def load() -> Any:
    """The parser's module.

    Raises:
        ImportError: It is not installed, or not for this machine.
    """
    errors = ModuleType("posthog.hogql.errors")
    for name in _ERRORS.split():
        setattr(errors, name, type(name, (Exception,), {}))
    stubs = {"posthog": ModuleType("posthog"), "posthog.hogql.errors": errors}
    for name, module in stubs.items():
        sys.modules.setdefault(name, module)
    try:
        return importlib.import_module("hogql_parser")
    finally:
        for name, module in stubs.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def findings(parser: Any, sql: str) -> list[Finding]:
    """What PostHog would refuse in a view: the first syntax error, or every placeholder."""
    tree = json.loads(parser.parse_select_json(sql))
    if tree.get("error"):
        if tree["type"] != "SyntaxError":
            return [(0, 0, f"PostHog does not support this SQL ({tree['message']})")]
        return [(*_place(sql, tree["start"]), str(tree["message"]))]
    placeholders = [node for node in _nodes(tree) if node.get("node") == "Placeholder"]
    return sorted((*_place(sql, node["start"]), _placeholder(node["expr"])) for node in placeholders)


def _place(sql: str, start: Node) -> tuple[int, int]:
    """Line and column. Errors tell only an offset: the bytes before the line, plus the characters before the column."""
    if start["line"]:
        return start["line"], start["column"] + 1
    rest, lines = int(start["offset"]), sql.split("\n")
    for number, line in enumerate(lines, 1):
        size = len(line.encode()) + 1
        if rest < size:
            return number, rest + 1
        rest -= size
    return len(lines), len(lines[-1]) + 1


def _placeholder(expression: Node) -> str:
    chain: list[Any] = expression.get("chain") or []
    if chain[:1] == ["variables"]:
        return f"a view cannot use the variable {{{'.'.join(map(str, chain))}}}; only insights can"
    if chain == ["filters"]:
        return "a view cannot use {filters}; only insights can"
    return "a view cannot use placeholders in braces; only insights can"


def _nodes(node: Any) -> Iterator[Node]:
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            yield cast("Node", current)
            stack.extend(cast("Node", current).values())
        elif isinstance(current, list):
            stack.extend(cast("list[Any]", current))


def main() -> None:
    """Answers until standard input ends."""
    parser = load()
    sys.setrecursionlimit(20_000)
    for line in sys.stdin:
        _end_after(_PATIENCE)
        print(json.dumps(findings(parser, json.loads(line)["sql"])), flush=True)  # noqa: T201
        _end_after(0)


def _end_after(seconds: int) -> None:
    """Lets the system end this process, which the parser itself never does; 0 seconds: not at all."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)


if __name__ == "__main__":
    main()
