"""The fault table as a matrix at the end of a run: fault x operation x resource x before/after.

The outcomes travel with the reports of the tests, so it is printed in a run of several processes too.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

Cell = tuple[str, str, str, str, str]
"""Layer, fault, at, operation and kind."""

OUTCOME, REASONS = "outcome of a fault", "reasons for faults that are not run"
LEGEND = {
    "h": "healed: the operation succeeded all the same",
    "t": "told: one typed error, and the next up agrees with the server",
    "u": "unfinished: in state with a warning, and the next up finished it",
    "!": "failed: see the test",
}
_RESULTS: dict[str, dict[tuple[str, str], dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
_REASONS: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collects the outcome that a test of the matrix reports, and the reasons for what none of them runs."""
    if report.when != "call":
        return
    for name, value in report.user_properties:
        if name == OUTCOME:
            (layer, fault, at, operation, kind), outcome = value
            _RESULTS[layer][fault, at][f"{operation} {kind}"] = outcome if report.passed else "!"
        elif name == REASONS:
            texts, cells = value
            _REASONS.update(texts)
            for (layer, fault, at, operation, kind), letter in cells:
                _RESULTS[layer][fault, at].setdefault(f"{operation} {kind}", letter)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One matrix for each way in which the faults were run."""
    for layer, rows in sorted(_RESULTS.items()):
        columns = sorted({column for row in rows.values() for column in row})
        terminalreporter.section(f"faults, {layer}")
        used = {letter for row in rows.values() for letter in row.values()}
        for letter, text in {**LEGEND, **_REASONS}.items():
            if letter in used:
                terminalreporter.write_line(f"   {letter}  {text}")
        for number, column in enumerate(columns, 1):
            terminalreporter.write_line(f"  {number:2}  {column}")
        terminalreporter.write_line(" " * 38 + "".join(f"{number:3}" for number in range(1, len(columns) + 1)))
        for (fault, at), row in sorted(rows.items()):
            cells = "".join(f"{row.get(column, '?'):>3}" for column in columns)
            terminalreporter.write_line(f"{fault:30}{at:>7} {cells}")
