"""A Pulumi stack driven by the real CLI, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_env import environment


@dataclass
class Result:
    """What a command did: its exit code and everything it printed."""

    code: int
    output: str


@dataclass
class Stack:
    """One project with one stack.

    Args:
        folder: The project's folder.
        engine: The folder of the `pulumi` command.
        environ: Added to the environment.
        through: A command that runs `pulumi`, with its arguments.
    """

    folder: Path
    engine: Path
    name: str = "dev"
    environ: dict[str, str] = field(default_factory=dict)
    through: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.environ = environment(self.folder / ".state", self.engine) | self.environ
        (self.folder / "Pulumi.yaml").write_text("name: tests\nruntime: python\n")
        self.pulumi("stack", "init", self.name)

    def program(self, text: str) -> None:
        """Writes the program."""
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def config(self, values: Mapping[str, str], secret: Iterable[str] = ()) -> None:
        """Sets configuration; the names in `secret` are encrypted."""
        marked = [
            ("--secret" if name in secret else "--plaintext", f"{name}={value}") for name, value in values.items()
        ]
        self.pulumi("config", "set-all", *(item for pair in marked for item in pair))

    def pulumi(self, *arguments: str, ok: bool = True, **environ: str) -> Result:
        """Any command."""
        done = subprocess.run(
            [
                *(*self.through, "pulumi", *arguments, "--non-interactive", "--color", "never"),
                *(() if arguments[:2] == ("stack", "init") else ("--stack", self.name)),
            ],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        result = Result(done.returncode, done.stdout + done.stderr)
        assert not ok or result.code == 0, result.output
        return result

    def up(self, *arguments: str, ok: bool = True, **environ: str) -> Result:
        """`pulumi up` without its own preview."""
        return self.pulumi("up", "--yes", "--skip-preview", "--diff", *arguments, ok=ok, **environ)

    def preview(self, *arguments: str, ok: bool = True) -> Result:
        """`pulumi preview --diff`."""
        return self.pulumi("preview", "--diff", *arguments, ok=ok)

    def steps(self, *arguments: str) -> list[dict[str, Any]]:
        """The steps of a preview, without those that change nothing and without the stack itself."""
        done = subprocess.run(
            ["pulumi", "preview", "--json", "--non-interactive", "--stack", self.name, *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
        return [
            step for step in steps if step["op"] not in ("same", "refresh") and "pulumi:pulumi:Stack" not in step["urn"]
        ]

    def refresh(self, *arguments: str, ok: bool = True, **environ: str) -> Result:
        """`pulumi refresh`."""
        return self.pulumi("refresh", "--yes", "--skip-preview", "--diff", *arguments, ok=ok, **environ)

    def destroy(self, *arguments: str, ok: bool = True, **environ: str) -> Result:
        """`pulumi destroy`."""
        return self.pulumi("destroy", "--yes", "--skip-preview", *arguments, ok=ok, **environ)

    def export(self) -> dict[str, Any]:
        """The state, as `pulumi stack export` shows it."""
        file = self.folder / ".state" / "export.json"
        self.pulumi("stack", "export", "--file", str(file))
        state: dict[str, Any] = json.loads(file.read_text())
        return state

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """The resources of one kind in the state."""
        everything = self.export()["deployment"].get("resources", [])
        return [item for item in everything if item["type"].endswith(f":{kind}")]


def everything_written(folder: Path) -> str:
    """All text in the files of a folder, to look for secrets."""
    texts = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]  # Python's copy of the program
        texts += [(Path(base) / name).read_text(errors="replace") for name in names]
    return "\n".join(texts)
