"""When two SQL texts mean the same: they differ only in white space outside literals, or at the end of the text.

The tokens are those of PostHog's own lexer (HogQLLexer), as far as white space matters to it.
"""

from __future__ import annotations

import re

_SPACE = " \t\r\n\v\f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_TOKEN = re.compile(
    rf"""
    (?P<space>[{_SPACE}]+)
  | (?P<line_comment>(?:--|//|\#)[^\r\n]*)
  | (?P<comment>/\*.*?(?:\*/|\Z))
  | (?P<literal>'(?:[^'\\]|\\.?|'')*+(?:'|\Z)|"(?:[^"\\]|\\.?|"")*+(?:"|\Z)|`(?:[^`\\]|\\.?|``)*+(?:`|\Z))
  | (?P<number>(?:0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?[pP]|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE])[-+]?[0-9]+)
  | (?P<word>[\w$]+)
  | (?P<operator><=>|=~\*|!~\*|->|::|:=|\|\||==|=~|>=|<=|!=|<>|!~|~\*|\?\.|\?\?|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_NESTS = re.compile(r"(?<![\w$])[fF]'|</|/>")
"""The beginning of a template string or the end of a tag: both hold text in which white space counts."""


def canonical(sql: str) -> str:
    """One spelling for all texts that mean the same; for comparison only, never sent.

    Tokens are separated by one space each. Literals, quoted names and comments stay as they are, and so does the whole
    text where SQL and plain text are nested (template strings and tags): there every change counts.
    """
    sql = sql.strip()
    if _NESTS.search(sql):
        return sql
    tokens = [(match.lastgroup, match.group()) for match in _TOKEN.finditer(sql) if match.lastgroup != "space"]
    while tokens and tokens[-1] == ("operator", ";"):
        tokens.pop()
    return "".join(text + ("\n" if kind == "line_comment" else " ") for kind, text in tokens).rstrip()


def same_sql(one: str, other: str) -> bool:
    """Whether two texts are the same query."""
    return one == other or canonical(one) == canonical(other)
