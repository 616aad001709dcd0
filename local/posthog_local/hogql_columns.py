"""The columns of a view: resolved in the tree of PostHog's parser, in the order of the SELECT list.

A field that no table of the query can have is refused, wherever it stands, as PostHog refuses it when it compiles
the query. Where the columns of a table are not known, any field may be its.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .hogql_catalogue import CORE_COLUMNS, FUNCTION_TYPES

Columns = dict[str, str]
# Known tables by name; None as columns: any column may be read (PostHog's own tables).
Sources = dict[str, Columns | None]

UNKNOWN = "unknown"
_NODE_TYPES = {
    **dict.fromkeys(("CompareOperation", "And", "Or", "Not", "BetweenExpr"), "boolean"),
    **dict.fromkeys(("Array", "Tuple"), "array"),
}
_SAME_TYPE_AS_FIRST = {"min", "max", "any", "anylast", "argmax", "argmin", "coalesce", "ifnull", "abs"}


class Refused(Exception):
    """The text for the attribute ``query``."""


def is_select(node: Any) -> bool:
    return isinstance(node, dict) and node.get("node") in ("SelectQuery", "SelectSetQuery")


def with_clause(select: Any) -> list[dict[str, Any]]:
    found = select.get("ctes") if isinstance(select, dict) else None
    if isinstance(found, dict):
        return list(found.values())
    return found or []


def _star(node: Any) -> bool:
    return isinstance(node, dict) and node.get("node") == "Field" and node["chain"][-1] == "*"


class Resolver:
    """``known``: the tables that the query reads. Of every SELECT all fields are looked at."""

    def __init__(self, sql: str, known: Sources) -> None:
        self.sql = sql
        self.known = known

    def columns(
        self, select: dict[str, Any], scope: Sources, outer: frozenset[str] = frozenset()
    ) -> tuple[Columns, bool]:
        """And whether these are all of them: a star over a table of unknown columns brings more.

        ``outer``: the tables around it, which it may name too.
        """
        if select.get("node") == "SelectSetQuery":
            first = select["initial_select_query"]
            found = self.columns(first, scope, outer)
            for further in select.get("subsequent_select_queries") or ():
                self.columns(further["select_query"], self._scope(first, scope), outer)
            return found
        if select.get("node") != "SelectQuery":
            return {}, False
        scope = self._scope(select, scope)
        sources = self._sources(select.get("select_from"), scope)
        columns: Columns = {}
        for item in select.get("select") or []:
            for name, kind in self._item(item, sources, columns):
                columns[name] = kind
        self._check_fields(select, sources, scope, outer)
        return columns, not any(None in self._starred(item, sources) for item in select.get("select") or ())

    def _check_fields(self, select: dict[str, Any], sources: Sources, scope: Sources, outer: frozenset[str]) -> None:
        """Each must exist: in a table, as an alias anywhere in the SELECT, or in a lambda around it."""
        nodes = list(_own([_expressions(select), _join_conditions(select)], frozenset()))
        names = {node["alias"] for node, _ in nodes if node.get("node") == "Alias"} | scope.keys() | outer
        for node, around in nodes:
            if is_select(node):
                self.columns(node, scope, outer | sources.keys())
            elif node.get("node") == "Field" and "*" not in node["chain"]:
                chain = [str(part) for part in node["chain"]]
                if chain[0] not in names | around:
                    _refuse_unknown(chain, sources)

    def _known_columns(self, select: dict[str, Any], scope: Sources) -> Columns | None:
        columns, complete = self.columns(select, scope)
        return columns if complete else None

    def _scope(self, select: dict[str, Any], outer: Sources) -> Sources:
        """What the WITH clause adds."""
        scope = dict(outer)
        for cte in with_clause(select):
            expr = cte.get("expr")
            scope[cte["name"]] = self._known_columns(expr, scope) if is_select(expr) else None
        return scope

    def _sources(self, join: dict[str, Any] | None, scope: Sources) -> Sources:
        sources: Sources = {}
        while join:
            table = join.get("table") or {}
            columns: Columns | None = None
            name = join.get("alias") or ""
            if is_select(table):
                columns = self._known_columns(table, scope)
            elif table.get("node") == "Field" and not join.get("table_args"):
                full = ".".join(map(str, table["chain"]))
                name = name or full
                columns = scope[full] if full in scope else self.known.get(full)
            sources[name or f"#{len(sources)}"] = None if join.get("column_aliases") else columns
            join = join.get("next_join")
        return sources

    def _starred(self, item: dict[str, Any], sources: Sources) -> list[Columns | None]:
        """The tables whose columns a star stands for."""
        if item.get("node") == "ColumnsExpr":
            return [None]
        if not _star(item):
            return []
        table = ".".join(map(str, item["chain"][:-1]))
        return [columns for name, columns in sources.items() if not table or name == table]

    def _item(self, item: dict[str, Any], sources: Sources, aliases: Columns) -> Iterator[tuple[str, str]]:
        if item.get("node") == "Alias":
            yield item["alias"], self._type(item["expr"], sources, aliases)
        elif _star(item):
            for columns in self._starred(item, sources):
                yield from (columns or {}).items()
        elif item.get("node") == "Field":
            yield str(item["chain"][-1]), self._type(item, sources, aliases)
        else:
            start, end = item["start"]["offset"], item["end"]["offset"]
            yield self.sql[start:end], self._type(item, sources, aliases)

    def _type(self, expr: dict[str, Any], sources: Sources, aliases: Columns) -> str:
        kind = expr.get("node")
        if kind == "Constant":
            return _constant_type(expr.get("value"))
        if kind == "Field":
            return self._field_type(list(map(str, expr["chain"])), sources, aliases)
        if kind == "Alias":
            return self._type(expr["expr"], sources, aliases)
        if kind in _NODE_TYPES:
            return _NODE_TYPES[kind]
        if kind == "ArithmeticOperation":
            sides = {self._type(expr[side], sources, aliases) for side in ("left", "right")}
            return sides.pop() if len(sides) == 1 and expr.get("op") != "/" else "float"
        return self._call_type(expr, sources, aliases)

    def _call_type(self, expr: dict[str, Any], sources: Sources, aliases: Columns) -> str:
        name = str(expr.get("name", "")).lower()
        arguments = expr.get("args") or expr.get("exprs") or []
        if name in _SAME_TYPE_AS_FIRST and arguments:
            return self._type(arguments[0], sources, aliases)
        return FUNCTION_TYPES.get(name, UNKNOWN)

    def _field_type(self, chain: list[str], sources: Sources, aliases: Columns) -> str:
        if len(chain) > 1:
            columns = sources.get(".".join(chain[:-1]))
            if columns is not None:
                return columns.get(chain[-1], UNKNOWN)
            return "string" if "properties" in chain[:-1] else UNKNOWN
        for columns in sources.values():
            if columns and chain[0] in columns:
                return columns[chain[0]]
        return aliases.get(chain[0], CORE_COLUMNS.get(chain[0], UNKNOWN))


def _constant_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "float"
    return "string" if isinstance(value, str) else UNKNOWN


def _expressions(select: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in select.items() if key not in ("node", "ctes", "select_from")}


def _join_conditions(select: dict[str, Any]) -> list[Any]:
    conditions = []
    join = select.get("select_from")
    while join:
        conditions.append(join.get("constraint"))
        join = join.get("next_join")
    return conditions


def _refuse_unknown(chain: list[str], sources: Sources) -> None:
    for source, columns in sources.items():
        depth = source.count(".") + 1
        qualified = ".".join(chain[:depth]) == source
        if qualified or chain[0] == source.rpartition(".")[2]:
            inner = chain[depth if qualified else 1 :]
            if columns is not None and inner and inner[0] not in columns:
                raise Refused(f"Invalid query: Field not found: {inner[0]}")
            return
    if all(columns is not None and chain[0] not in columns for columns in sources.values()):
        raise Refused(f"Invalid query: Unable to resolve field: {chain[0]}")


def _own(node: Any, around: frozenset[str]) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """The nodes of a SELECT, with the names that lambdas around them give; not those inside of other SELECTs."""
    if isinstance(node, list):
        for item in node:
            yield from _own(item, around)
    elif isinstance(node, dict):
        if "node" in node:
            yield node, around
        if is_select(node):
            return
        if node.get("node") == "Lambda":
            around = around | frozenset(map(str, node.get("args") or ()))
        for value in node.values():
            if isinstance(value, dict | list):
                yield from _own(value, around)
