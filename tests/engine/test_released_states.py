"""Every state ever written by a release is refreshed, unchanged and destroyed by this version."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from compat.program import COLLECTIONS, PASSWORD, PROGRAM, ids, prepare
from pulumi_posthog_provider import resume
from support.posthog import PostHog
from support.stack import Stack

from .conftest import Stacks

STATES = sorted((Path(__file__).parents[1] / "compat" / "states").glob("*.json"))
HOSTILE = ("provider", "sdk", "resources", "errors", "declare", "lifecycle", "registry", "settings", "adapter")
"""Names of modules that a project may have too."""


def _filled(text: str, posthog: PostHog) -> Any:
    known = {**ids(posthog), "host": posthog.url}
    return json.loads(re.sub(r"\{\{([^}]+)\}\}", lambda match: known[match.group(1)], text))


def _imported(stacks: Stacks, posthog: PostHog, state: Path, **changes: str) -> Stack:
    """A stack with a released state: this version makes the objects in a stack that is then forgotten."""
    stack = stacks(PROGRAM)
    stack.config({"password": PASSWORD}, secret=["password"])
    prepare(posthog)
    stack.up()
    text = state.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file = stack.folder / "old.json"
    file.write_text(json.dumps(_filled(text, posthog)))
    stack.pulumi("stack", "import", "--file", str(file))
    return stack


@pytest.mark.feature(78)
@pytest.mark.fault(40)
@pytest.mark.parametrize("state", STATES, ids=lambda path: path.stem)
def test_a_released_state_still_works(stacks: Stacks, posthog: PostHog, state: Path) -> None:
    stack = _imported(stacks, posthog, state)
    # In a project whose own modules have the names of ours.
    for name in HOSTILE:
        (stack.folder / f"{name}.py").write_text("raise ImportError('the wrong module')\n")
    posthog.control("DELETE", "requests")
    (step,) = stack.steps()
    assert (step["op"], step["urn"].rsplit("::", 1)[-1]) == ("update", "unfinished")
    stack.up()
    assert stack.steps("--refresh") == []

    (source,) = [item for item in posthog.objects("external_data_sources") if item["prefix"] == "unfinished_"]
    assert [row["sync_frequency"] for row in source["schemas"] if row["name"] == "orders"] == ["1hour"]
    stack.destroy()
    # The adopted object is nobody's to delete.
    left = [label for label in ids(posthog) if "table" not in label]
    assert left == ["1 insight_variables adopted"]
    assert [item["type"] for item in stack.export()["deployment"].get("resources", [])] in ([], ["pulumi:pulumi:Stack"])


def _another_python() -> tuple[str, str]:
    """The command and version of the newest other Python that this package supports, of those on this machine."""
    for minor in sorted({14, 13, 12, 11} - {sys.version_info.minor}, reverse=True):
        name = f"python3.{minor}"
        for command in (shutil.which(name), *Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}")):
            if command:
                asked = [command, "-c", "import platform; print(platform.python_version())"]
                done = subprocess.run(asked, capture_output=True, text=True, check=False)
                if done.returncode == 0:
                    return str(command), done.stdout.strip()
    pytest.skip("there is no other Python from 3.11 to 3.14 on this machine")


@pytest.fixture
def another_python(tmp_path: Path) -> tuple[Path, str]:
    """An environment of another Python with what this package needs, and its version."""
    command, found = _another_python()
    folder = tmp_path / "another"
    uv = [sys.executable, "-m", "uv", "--quiet", "--native-tls"]
    needed = [f"{name}=={version(name)}" for name in ("pulumi", "httpx", "pydantic")]
    subprocess.run([*uv, "venv", "--seed", "--python", command, folder], check=True)
    try:
        subprocess.run([*uv, "pip", "install", "--python", folder, *needed], check=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"the packages for Python {found} cannot be installed here")
    (site,) = folder.glob("lib/python*/site-packages")
    root = Path(__file__).parents[2]
    (site / "ours.pth").write_text(f"{root / 'provider'}\n{root / 'sdk'}\n")
    return folder / "bin", found


@pytest.mark.fault(40)
def test_another_python_shows_no_change_and_destroys(
    stacks: Stacks, posthog: PostHog, another_python: tuple[Path, str]
) -> None:
    stack = stacks(PROGRAM)
    stack.config({"password": PASSWORD}, secret=["password"])
    stack.up()
    folder, found = another_python
    stack.environ["PATH"] = os.pathsep.join([str(folder), stack.environ["PATH"]])
    stack.environ["VIRTUAL_ENV"] = str(folder.parent)
    posthog.control("DELETE", "requests")
    assert stack.steps("--refresh") == []
    requests = posthog.control("GET", "requests")["requests"]
    assert requests
    assert all(f"python/{found}" in str(item["headers"]) for item in requests), requests[0]["headers"]
    stack.destroy()
    assert list(ids(posthog)) == ["1 insight_variables adopted"]  # nobody's to delete


@pytest.mark.fault(41)
def test_a_kind_of_a_newer_version_stops_and_deletes_nothing(stacks: Stacks, posthog: PostHog) -> None:
    # The state as a newer version would write it: the same resource, of a kind that this one does not know.
    stack = stacks('from pulumi_posthog import InsightVariable\nInsightVariable("it", name="It", type="Number")')
    stack.up()
    known = serialize_provider(resume("InsightVariable"))
    newer = base64.b64encode(base64.b64decode(known).replace(b"InsightVariable", b"FutureVariables")).decode()
    file = stack.folder / "newer.json"
    file.write_text(
        json.dumps(stack.export()).replace(known, newer).replace("posthog:InsightVariable", "posthog:FutureVariables")
    )
    stack.pulumi("stack", "import", "--file", str(file))
    for command in ("refresh", "destroy"):
        result = stack.pulumi(command, "--yes", "--skip-preview", ok=False)
        assert result.code != 0
        assert "knows no resource FutureVariables" in result.output
        assert "pip install --upgrade pulumi-posthog" in result.output
    (kept,) = stack.resources("FutureVariables")
    assert kept["id"] == posthog.one("insight_variables")["id"]


def test_there_is_a_state_of_every_release_in_the_changelog() -> None:
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE) == [path.stem for path in reversed(STATES)]


def test_the_recorded_states_hold_what_a_state_can_hold() -> None:
    for state in STATES:
        text = state.read_text()
        for part in (
            '"unfinished": ',
            '"ciphertext": ',
            '"retainOnDelete": true',
            '"adopt": true',
            '"environment_id": "2"',
        ):
            assert part in text, part
        kinds = set(re.findall(r'"type": "pulumi-python:dynamic/posthog:(\w+)"', text))
        assert kinds == {"InsightVariable", "SavedQuery", "ExternalDataSource"}
        assert set(COLLECTIONS) == set(re.findall(r"\{\{\d (\w+) [^}]+\}\}", text)) - {"table"}
