"""Every row of docs/features.md that is promised to be tested has a test that says so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = {int(row) for row in re.findall(r"^\| (\d+) \|", (ROOT / "docs/features.md").read_text(), re.MULTILINE)}
REQUIRED = {
    *range(1, 33),
    *range(39, 48),
    *range(49, 56),
    *range(61, 65),
    *range(66, 75),
    *range(78, 82),
}


def marked(text: str) -> Iterator[int]:
    """The rows in every ``pytest.mark.feature(…)`` of a module: of tests, of parameters, of the whole module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.feature":
            yield from (int(ast.literal_eval(row)) for row in node.args)


def _places() -> dict[int, list[str]]:
    places: dict[int, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        if file != Path(__file__):
            for row in marked(file.read_text()):
                places.setdefault(row, []).append(file.name)
    return places


PLACES = _places()


def test_marks_are_found_wherever_they_may_stand() -> None:
    text = """
pytestmark = [pytest.mark.feature(1), pytest.mark.fault(9)]
@pytest.mark.feature(2, 3)
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.feature(4))])
def test_it(x): ...
"""
    assert sorted(marked(text)) == [1, 2, 3, 4]


def test_the_table_has_every_row_once() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs/features.md").read_text(), re.MULTILINE)
    assert [row for row in ROWS if rows.count(str(row)) > 1] == []
    assert set() == REQUIRED - ROWS


@pytest.mark.parametrize("row", sorted(REQUIRED))
def test_every_row_has_a_test(row: int) -> None:
    assert PLACES.get(row), f"no test is marked with feature({row})"


def test_no_mark_names_a_row_that_is_not_in_the_table() -> None:
    assert {row: files for row, files in PLACES.items() if row not in ROWS} == {}
