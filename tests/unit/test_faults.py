"""The fault table of docs/faults.md: every row has a test, or a written reason why not."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs" / "faults.md"
_ROW = re.compile(r"\|\s*(\d+)\s*\|(.+)\|(.+)\|(.*)\|")


def _rows() -> dict[int, str]:
    """The reason why a row is not tested, or an empty text, by its number."""
    found = [match for line in TABLE.read_text().splitlines() if (match := _ROW.fullmatch(line.strip()))]
    assert len({match[1] for match in found}) == len(found), "a number appears twice"
    return {int(match[1]): match[4].strip() for match in found}


def _marks(path: Path) -> Iterator[tuple[int, str]]:
    """The rows that tests of a file name, with the tests."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                assert node.name.startswith(("test", "Test")), f"{node.name} is no test"
                for number in mark.args:
                    assert isinstance(number, ast.Constant)
                    assert isinstance(number.value, int)
                    yield number.value, f"{path.relative_to(TESTS)}::{node.name}"


def _shown() -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for number, test in _marks(path):
            found[number].append(test)
    return found


def test_the_table_has_no_holes() -> None:
    assert sorted(_rows()) == list(range(1, 63))


def test_every_row_has_a_test_or_a_reason() -> None:
    shown, rows = _shown(), _rows()
    assert [number for number in rows if number not in shown and len(rows[number]) < 20] == []
    assert [number for number in rows if number in shown and rows[number]] == [], "a reason is out of date"


def test_no_test_names_a_row_that_does_not_exist() -> None:
    assert {number: tests for number, tests in _shown().items() if number not in _rows()} == {}
