"""The stand-in for PostHog's parser where ``hogql-parser`` is not installed (contract 3.5)."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r"'(?:[^'\\]|\\.|'')*'")
_NAME = r"`[^`]+`|[A-Za-z_$][\w$]*"
_TABLE = re.compile(rf"\b(?:from|join)\s+((?:{_NAME})(?:\.(?:{_NAME}))*)(\s*\()?", re.IGNORECASE)
_CTE = re.compile(r"\b([A-Za-z_]\w*)\s+as\s*\(", re.IGNORECASE)
_ALIAS = re.compile(rf"\bas\s+({_NAME})\s*$", re.IGNORECASE)
_BARE = re.compile(rf"^(?:(?:{_NAME})\.)*({_NAME})$")


class Malformed(Exception):
    pass


def read(sql: str) -> tuple[set[str], dict[str, str]]:
    """The tables that are read and the columns of the SELECT list, types unknown."""
    text = _STRING.sub("''", _COMMENT.sub(" ", sql)).strip().rstrip(";")
    _refuse_placeholders(text)
    if not re.match(r"\(*\s*(select|with)\b", text, re.IGNORECASE):
        word = (text.split() or ["<EOF>"])[0]
        raise Malformed(f"Invalid query: mismatched input '{word}' expecting {{SELECT, WITH, '{{', '(', '<'}}")
    if text.count("(") != text.count(")") or "'" in text.replace("''", ""):
        raise Malformed("Invalid query: no viable alternative at input")
    ctes = {name.lower() for name in _CTE.findall(text)}
    tables = {name.replace("`", "") for name, call in _TABLE.findall(text) if not call and name.lower() not in ctes}
    return tables, _columns(text)


def _refuse_placeholders(text: str) -> None:
    placeholders = [inner.strip() for inner in re.findall(r"\{([^{}]*)\}", text)]
    for inner in placeholders:
        if inner.startswith("variables."):
            raise Malformed(f"Variables like {{{inner}}} are not allowed in views")
    if placeholders:
        raise Malformed("Filters and placeholder expressions are not allowed in views")


def _columns(text: str) -> dict[str, str]:
    # The last SELECT at depth 0 of the first part of a UNION is the one whose list counts.
    depth = 0
    start = None
    items: list[str] = []
    for token in re.finditer(r"[(),\[\]]|\b(?:select|distinct|from|union|where|limit|order)\b|$", text, re.I):
        word = token.group().lower()
        if word in ("(", "["):
            depth += 1
        elif word in (")", "]"):
            depth -= 1
        elif depth == 0 and word in ("select", "distinct"):
            start = token.end()
        elif depth == 0 and start is not None:
            items.append(text[start : token.start()].strip())
            start = token.end()
            if word != ",":
                break
    columns = {}
    for item in items:
        alias = _ALIAS.search(item) or _BARE.match(item)
        name = alias.group(1).strip("`") if alias else item
        if name and not name.endswith("*"):
            columns[name] = "unknown"
    return columns
