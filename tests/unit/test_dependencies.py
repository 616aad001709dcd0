"""The distribution as users get it: built, and installed with its runtime dependencies alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from support.posthog import KEY, PostHog

ROOT = Path(__file__).parents[2]
# As it was before the tests emptied it: a package index may need the developer's proxy or certificates.
ENVIRON = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
PACKAGES = {"posthog_local", "pulumi_posthog", "pulumi_posthog_provider"}
PROGRAM = Path(__file__).parents[1] / "typing" / "program.py"

USE = """
import sys
from pulumi_posthog.client import Client

with Client(host=sys.argv[1], environment_id=1, api_key=sys.argv[2]) as posthog:
    made = posthog.insight_variables.create(name="Region", type="String")
    found = posthog.insight_variables.get(made.id)
    posthog.insight_variables.delete(made.id)
    print(found.code_name, len(list(posthog.insight_variables.list())))
"""
IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import pulumi_posthog, pulumi_posthog_provider

for package in (pulumi_posthog, pulumi_posthog_provider):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(pulumi_posthog_provider.__version__)
"""


@dataclass(frozen=True)
class Bare:
    """A wheel, and an environment that holds it, what it requires, and nothing else."""

    wheel: Path
    python: Path

    def run(self, code: str, *arguments: str) -> str:
        # Isolated: the folder of the tests must not stand in for what the wheel lacks.
        command = [str(self.python), "-I", "-W", "error", "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _uv(*arguments: str) -> str:
    done = subprocess.run(
        [find_uv_bin(), *arguments], cwd=ROOT, env=ENVIRON, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"`uv {' '.join(arguments)}` failed; does it reach a package index?\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """The wheel is built from the source distribution, so both are complete."""
    folder = tmp_path_factory.mktemp("bare")
    _uv("build", "--quiet", "--python", sys.executable, "--out-dir", str(folder / "dist"))
    (wheel,) = (folder / "dist").glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    _uv("venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    lock = ROOT / "requirements" / "dev.txt"
    _uv("pip", "install", "--quiet", "--python", str(python), "--constraint", str(lock), str(wheel))
    return Bare(wheel, python)


def test_the_wheel_holds_the_packages_and_nothing_else(bare: Bare) -> None:
    with zipfile.ZipFile(bare.wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert "pulumi_posthog/pulumi-plugin.json" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_every_module_is_imported_without_the_extras(bare: Bare) -> None:
    listed = {item["name"] for item in json.loads(_uv("pip", "list", "--python", str(bare.python), "--format", "json"))}
    assert listed & {"django", "hogql-parser", "psycopg", "pytest"} == set()
    assert bare.run(IMPORT_EVERYTHING).strip() == bare.wheel.name.split("-")[1]


def test_the_installed_client_talks_to_posthog(bare: Bare, posthog: PostHog) -> None:
    assert bare.run(USE, posthog.url, KEY).split() == ["region", "0"]


def test_a_users_strict_type_checker_finds_the_installed_types(bare: Bare, tmp_path: Path) -> None:
    shutil.copy(PROGRAM, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", str(bare.python), "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = [item["range"]["start"]["line"] for item in json.loads(done.stdout)["generalDiagnostics"]]
    assert told == [n for n, line in enumerate(PROGRAM.read_text().splitlines()) if line.endswith("# expect")]
