"""Reading a view's SQL: what it selects, which tables it reads, what PostHog refuses (contract 3.5).

PostHog's own parser is used where ``hogql-parser`` is installed, else the stand-in of
``hogql_fallback``. Both give a ``Query``; names are resolved here, once for both.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import hogql_helper, hogql_process
from .hogql_columns import Columns, Refused, Resolver, Sources, with_clause

LookUp = Callable[[set[str]], Sources]

NO_VARIABLES = "Variables like {{{name}}} are not allowed in views"
NO_PLACEHOLDERS = "Filters and placeholder expressions are not allowed in views"


@dataclass
class Analysis:
    """``complete``: the columns are all of them, as far as the tables that are read are known."""

    columns: Columns
    tables: set[str] = field(default_factory=set)
    complete: bool = True


def analyse(sql: str, look_up: LookUp) -> Analysis:
    try:
        return _analyse(sql, look_up)
    except (RecursionError, UnicodeError) as error:
        raise Refused(f"Unexpected {type(error).__name__}") from error


def read_ahead(sql: str) -> None:
    """Reads and remembers: what takes its time is then done before ``analyse``, perhaps under a lock."""
    with contextlib.suppress(UnicodeError):
        hogql_process.read(sql)


def _analyse(sql: str, look_up: LookUp) -> Analysis:
    kind, text = hogql_process.read(sql)
    if kind == hogql_helper.REFUSED:
        raise Refused(text)
    if kind == hogql_helper.FAILED:
        raise Refused(f"Unexpected {text}")
    answer = json.loads(text)
    if kind == hogql_helper.READ:
        names = set(answer["tables"])
        _known(names, look_up)
        return Analysis(answer["columns"], names, complete=False)
    return _analyse_tree(answer, sql, look_up)


def _analyse_tree(tree: dict[str, Any], sql: str, look_up: LookUp) -> Analysis:
    if tree.get("error"):
        raise Refused(f"Invalid query: {tree['message']}")
    _refuse_placeholders(tree)
    names = set(_tables(tree, frozenset()))
    columns, complete = Resolver(sql, _known(names, look_up)).columns(tree, {})
    return Analysis(columns, names, complete)


def _known(names: set[str], look_up: LookUp) -> Sources:
    known = look_up(names) if names else {}
    for name in sorted(names):
        if name not in known:
            raise Refused(f"Invalid query: Unknown table `{name}`.")
    return known


# -- the tree of PostHog's parser ---------------------------------------------------------------


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from (value for value in node.values() if isinstance(value, dict | list))
    elif isinstance(node, list):
        yield from (value for value in node if isinstance(value, dict | list))


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            yield current
        stack.extend(_children(current))


def _refuse_placeholders(tree: dict[str, Any]) -> None:
    placeholders = [node["expr"] for node in _walk(tree) if node.get("node") == "Placeholder"]
    chains = [expr.get("chain") or [] for expr in placeholders]
    for chain in chains:
        if chain[:1] == ["variables"]:
            raise Refused(NO_VARIABLES.format(name=".".join(map(str, chain))))
    if placeholders:
        raise Refused(NO_PLACEHOLDERS)


def _tables(node: Any, ctes: frozenset[str]) -> Iterator[str]:
    """Every table name that is read and is not a name of a WITH clause in scope."""
    if isinstance(node, dict):
        if node.get("node") == "SelectQuery":
            for cte in with_clause(node):
                yield from _tables(cte.get("expr"), ctes | {cte["name"]})
                ctes = ctes | {cte["name"]}
            node = {key: value for key, value in node.items() if key != "ctes"}
        elif node.get("node") == "SelectSetQuery":
            # The WITH of the first part is seen by the others as well.
            first = node.get("initial_select_query")
            yield from _tables(first, ctes)
            ctes = ctes | {cte["name"] for cte in with_clause(first)}
            node = {"rest": node.get("subsequent_select_queries")}
        elif node.get("node") == "JoinExpr":
            table = node.get("table")
            if isinstance(table, dict) and table.get("node") == "Field" and not node.get("table_args"):
                name = ".".join(map(str, table["chain"]))
                if name not in ctes:
                    yield name
    for child in _children(node):
        yield from _tables(child, ctes)
