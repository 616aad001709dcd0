"""Pulumi's official installer, into a folder of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from engine.check import Unusable
from engine.work import Say, run_logged

SCRIPT_URL = "https://get.pulumi.com"
# Long enough for a slow network, short enough to go on soon where there is none.
CONNECT_SECONDS = 5
SCRIPT_SECONDS = 30
INSTALL_SECONDS = 600


def install_official(target: Path, version: str, environ: Mapping[str, str], log: Path, say: Say) -> str:
    """Fills `target` with the released engine; returns where it came from."""
    shell = shutil.which("sh", path=environ.get("PATH"))
    curl = shutil.which("curl", path=environ.get("PATH"))
    if not curl or not shell:
        raise Unusable("Pulumi's installer needs `curl` and `sh`, which are not on PATH.")
    root = target / "download"
    root.mkdir()
    script = fetch_script(curl, root / "install.sh", environ)
    say(f"installing Pulumi {version} with Pulumi's installer")
    arguments = ["--no-edit-path", "--install-root", str(root), "--version", version]
    # The script unpacks in the current folder and clears `bin` of the install root: both are ours.
    run_logged("Pulumi's installer", [shell, str(script), *arguments], root, environ, log, say, limit=INSTALL_SECONDS)
    if not (root / "bin").is_dir():
        raise Unusable("Pulumi's installer ended without an error, but installed nothing.")
    for program in (root / "bin").iterdir():
        os.replace(program, target / program.name)
    shutil.rmtree(root)
    return f"installed by {SCRIPT_URL}"


def fetch_script(curl: str, script: Path, environ: Mapping[str, str]) -> Path:
    limits = ["--connect-timeout", str(CONNECT_SECONDS), "--max-time", str(SCRIPT_SECONDS)]
    done = subprocess.run(
        [
            curl,
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            *limits,
            "--output",
            str(script),
            SCRIPT_URL,
        ],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip() or f"curl ended with {done.returncode}"
        raise Unusable(f"Pulumi's installer could not be fetched from {SCRIPT_URL}: {reason}.")
    if not script.read_bytes().startswith(b"#!"):
        raise Unusable(f"{SCRIPT_URL} answered with something that is not a script (a proxy's page?).")
    return script
