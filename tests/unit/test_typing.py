"""The types of the SDK as a user's own strict type checker sees them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.documentation import blocks, program

PROGRAMS = sorted((Path(__file__).parents[1] / "typing").glob("*.py"))
PAGES = ["docs/client.md", "docs/functions.md", "docs/views.md"]
"""Pages whose blocks make one program each, which a user may copy: right in every line. In the README each stands alone."""
EXPECTED = {
    (file.name, number)
    for file in PROGRAMS
    for number, line in enumerate(file.read_text().splitlines(), 1)
    if line.endswith("# expect")
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """All programs in a folder of their own, where nothing of this repository's configuration holds."""
    for file in PROGRAMS:
        shutil.copy(file, tmp_path)
    for page in PAGES:
        (tmp_path / f"{Path(page).stem}_page.py").write_text(program(page))
    for number, block in enumerate(blocks("README.md")):
        (tmp_path / f"readme_{number}.py").write_text(block)
    return tmp_path


@pytest.mark.feature(73)
def test_strict_pyright_accepts_right_programs_and_refuses_wrong_ones(project: Path) -> None:
    (project / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "."],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    told = {(Path(item["file"]).name, item["range"]["start"]["line"] + 1) for item in found}
    assert told == EXPECTED, found


@pytest.mark.feature(73)
def test_strict_mypy_accepts_right_programs_and_refuses_wrong_ones(project: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(project / "cache"),
            *sorted(file.name for file in project.glob("*.py")),
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.split(":") for line in done.stdout.splitlines() if ": error:" in line]
    assert {(name, int(number)) for name, number, *_ in found} == EXPECTED, done.stdout + done.stderr
