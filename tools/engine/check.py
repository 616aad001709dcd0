"""What makes a folder a usable engine: programs that run, and a version that is new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CLI = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"
DYNAMIC_HOST = "pulumi-resource-pulumi-python"
ANSWER_SECONDS = 30


class Unusable(Exception):
    """One sentence: what cannot be used, and why."""


class Version(NamedTuple):
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = Version(3, 220, 0)


@dataclass(frozen=True)
class Engine:
    """A folder to put first on `PATH`, and the version of the `pulumi` in it."""

    folder: Path
    version: Version


def parse_version(text: str) -> Version | None:
    """The first `1.2.3` in the text, as `pulumi version` and `go version` print it."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return Version(int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def inspect(folder: Path, environ: Mapping[str, str]) -> Engine:
    """The engine in this folder; raises `Unusable` with the reason when there is none."""
    cli = folder / CLI
    version = cli_version(cli, environ)
    if version < OLDEST:
        raise Unusable(f"{cli} is version {version}, older than {OLDEST}.")
    for program in (LANGUAGE_HOST, DYNAMIC_HOST):
        if not beside_or_on_path(program, folder, environ):
            raise Unusable(f"{cli} is version {version}, but {program} is neither beside it nor on PATH.")
    return Engine(folder, version)


def cli_version(cli: Path, environ: Mapping[str, str]) -> Version:
    with tempfile.TemporaryDirectory(prefix="pulumi-version-") as home:
        # A home of its own: asking for the version must not write into the user's.
        settings = {**environ, "PULUMI_HOME": home, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        output = run_quietly([str(cli), "version"], settings)
    version = parse_version(output)
    if version is None:
        raise Unusable(f"{cli} does not say its version: `pulumi version` prints {output.strip()[:80]!r}.")
    return version


def run_quietly(command: list[str], environ: Mapping[str, str]) -> str:
    """The output of a command that should answer at once; `Unusable` when it does not."""
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except OSError as error:
        raise Unusable(f"{command[0]} cannot be run: {error.strerror or error}.") from error
    except subprocess.TimeoutExpired:
        raise Unusable(f"{command[0]} did not answer within {ANSWER_SECONDS} seconds.") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unusable(f"`{' '.join(command)}` failed: {said[-1] if said else f'exit {done.returncode}'}.")
    return done.stdout


def beside_or_on_path(program: str, folder: Path, environ: Mapping[str, str]) -> bool:
    search = os.pathsep.join([str(folder), environ.get("PATH", "")])
    return shutil.which(program, path=search) is not None


def folders_on_path(program: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """The folders on `PATH` that hold the program, in order and without repetition.

    A link is followed when it leads to a file of the same name: the language host then lies beside
    that file, and the engine warns when it is started through a link in another folder.
    """
    seen: set[Path] = set()
    for entry in environ.get("PATH", "").split(os.pathsep):
        found = shutil.which(program, path=entry) if entry else None
        if not found:
            continue
        real = Path(found).resolve()
        folder = real.parent if real.name == program else Path(found).absolute().parent
        if folder not in seen:
            seen.add(folder)
            yield folder
