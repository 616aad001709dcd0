"""Makes `.venv`, or brings it up to date: the pinned packages, and this project in editable form.

Done again only when `pyproject.toml` or the lock has changed. Only the standard library is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from engine.cache import locked

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "pulumi-posthog.json"
# Settings of the user that would send the packages elsewhere.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")


class BootstrapFailed(Exception):
    """One paragraph: what failed, and what to do."""


def ensure() -> None:
    """Leaves a `.venv` that matches the lock. Costs nothing when it already does."""
    if is_current():
        return
    state = ROOT / ".state"
    state.mkdir(exist_ok=True)
    with locked(state / "bootstrap.lock", lambda: tell("waiting: another run is preparing .venv")):
        if not is_current():
            prepare()


def prepare() -> None:
    if not is_usable():
        tell(f"making .venv with Python {sys.version.split()[0]}")
        # Not removed first: the Python that runs this may be the one of the old .venv.
        run(
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            "Making the virtual environment .venv failed.",
        )
    STAMP.unlink(missing_ok=True)
    tell("installing the pinned packages into .venv (a minute or two, once)")
    # The lock is complete. Left to resolve, pip may look at a newer version, which has no hash, and stop there.
    pip("--no-deps", "--require-hashes", "--requirement", str(LOCK))
    pip("--no-deps", "--editable", str(ROOT))
    STAMP.write_text(json.dumps(fingerprint(), indent=2) + "\n")


def is_current() -> bool:
    try:
        return bool(json.loads(STAMP.read_text()) == fingerprint()) and PYTHON.exists()
    except (OSError, ValueError):
        return False


def is_usable() -> bool:
    """Whether there is an environment that pip can work on: whole, and not moved here from elsewhere."""
    if not PYTHON.exists():
        return False
    try:
        moved = json.loads(STAMP.read_text())["folder"] != str(VENV)
    except (OSError, ValueError, KeyError):
        moved = False
    check = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))"
    return not moved and subprocess.run([PYTHON, "-I", "-c", check], capture_output=True, check=False).returncode == 0


def fingerprint() -> dict[str, str]:
    """What the environment depends on. Its programs hold its own path, so a moved one is of no use."""
    return {"folder": str(VENV), "inputs": digest([ROOT / "pyproject.toml", LOCK])}


def digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def pip(*arguments: str) -> None:
    command = [
        str(PYTHON),
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *arguments,
    ]
    run(command, "Installing Python packages failed. Is the package index reachable?")


def run(command: list[str], failure: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    done = subprocess.run(command, env=environ, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise BootstrapFailed(f"{failure} The command was `{' '.join(command)}`; its output stands above.")


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    try:
        ensure()
    except BootstrapFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
