"""What this package costs: ratios and request counts, for a quiet machine.

    make bench                          or: .venv/bin/python tools/bench.py [SIZE ...]

Times are set against a yardstick that runs in turn with them: `import pulumi` for the import, a dynamic provider that
does nothing for stacks of many variables, a source with one table for one with many. So ratios compare between
machines. Nothing is judged here.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bootstrap import PYTHON, ROOT
from posthog_local.testing import PostHogLocal, serve
from pulumi_env import engine_dir, environment

SIZES = (100, 300)
TABLES = 500
IMPORTS = 9
CHANGED = "all changed"
QUICKSTART = ROOT / "examples" / "quickstart" / "__main__.py"
VARIABLES = """
from pulumi_posthog import InsightVariable

for number in range({size}):
    InsightVariable(f"v{{number}}", name=f"Variable {{number}}", type="Number", default_value={value})
"""
NOTHING = """
from nothing import Nothing
from pulumi.dynamic import Resource

class Thing(Resource, module="bench", name="Thing"):
    pass

for number in range({size}):
    Thing(Nothing(), f"v{{number}}", {{"name": f"Variable {{number}}", "value": {value}}})
"""
SOURCE = """
from pulumi_posthog import ExternalDataSource, PostgresConnection, Schema

ExternalDataSource(
    "source",
    prefix="{prefix}_",
    connection=PostgresConnection(
        host="many.local", database="many", schema="public", user="posthog", password="local-password"
    ),
    schemas={{f"table_{{number}}": Schema(sync_frequency="{frequency}") for number in range({size})}},
)
"""
# A module of its own, so that the state holds its name and not its code, as it is with ours.
NOTHING_MODULE = """
from pulumi.dynamic import CreateResult, ReadResult, ResourceProvider, UpdateResult

class Nothing(ResourceProvider):
    serialize_as_secret_always = False
    def create(self, props): return CreateResult(props["name"], props)
    def update(self, id, olds, news): return UpdateResult(news)
    def read(self, id, props): return ReadResult(id, props)
"""


@dataclass(frozen=True)
class Stack:
    """A project in a folder of its own."""

    folder: Path
    environ: dict[str, str]

    def write(self, program: str) -> None:
        (self.folder / "__main__.py").write_text(program)

    def pulumi(self, *arguments: str) -> float:
        """The seconds that a command takes."""
        start = time.perf_counter()
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"`pulumi {arguments[0]}` failed:\n{done.stdout}{done.stderr}")
        return time.perf_counter() - start


@contextmanager
def stack(name: str, server: PostHogLocal, engine: Path) -> Generator[Stack]:
    with tempfile.TemporaryDirectory(prefix="bench-") as base:
        folder = Path(base) / "project"
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
        (folder / "nothing.py").write_text(NOTHING_MODULE)
        made = Stack(folder, environment(Path(base) / "state", engine) | server.environ())
        made.pulumi("stack", "init", "bench")
        yield made


def imports() -> None:
    both = "import pulumi, time; t = time.process_time(); import pulumi_posthog; print(time.process_time() - t)"
    alone = "import time; t = time.process_time(); import pulumi; print(time.process_time() - t)"
    # As for a user: with the byte code that Python keeps beside the modules.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([PYTHON, "-c", both], env=environ, stdout=subprocess.DEVNULL, check=True)
    runs = [
        [float(subprocess.check_output([PYTHON, "-c", code], env=environ)) for code in (alone, both)]
        for _ in range(IMPORTS)
    ]
    base, added = (statistics.median(values) for values in zip(*runs, strict=True))
    print(f"import pulumi             {base * 1000:6.0f} ms of processor time")
    print(f"import pulumi_posthog    +{added * 1000:6.0f} ms   {(base + added) / base:.2f} x `import pulumi`")


def quick_start(server: PostHogLocal, engine: Path) -> None:
    with stack("posthog-quickstart", server, engine) as made:
        made.write(QUICKSTART.read_text())
        made.pulumi("config", "set", "--secret", "databasePassword", "local-password")
        for title, command in steps():
            if title == CHANGED:
                continue
            report(f"quick start, {title}", made, server, command)


def many_variables(size: int, server: PostHogLocal, engine: Path) -> None:
    pairs = [(VARIABLES.format(size=size, value=value), NOTHING.format(size=size, value=value)) for value in (1, 2)]
    compare(f"{size} variables", "nothing", pairs, server, engine)


def many_tables(size: int, server: PostHogLocal, engine: Path) -> None:
    tables = [{"name": f"table_{number}", "schema": "public", "columns": {"id": "integer"}} for number in range(size)]
    vendor = {"source_type": "Postgres", "match": {"host": "many.local"}, "tables": tables}
    server.control("PUT", "vendors", [vendor])
    pairs = [
        (
            SOURCE.format(prefix="many", size=size, frequency=frequency),
            SOURCE.format(prefix="one", size=1, frequency=frequency),
        )
        for frequency in ("6hour", "24hour")
    ]
    compare(f"{size} tables", "one", pairs, server, engine)


def compare(what: str, yardstick: str, pairs: list[tuple[str, str]], server: PostHogLocal, engine: Path) -> None:
    """Two stacks step by step; each pair holds their programs, the second pair those after the change."""
    with stack("ours", server, engine) as ours, stack("yardstick", server, engine) as other:
        for title, command in steps():
            for made, program in zip((ours, other), pairs[title == CHANGED], strict=True):
                made.write(program)
            report(f"{what}, {title}", ours, server, command, (yardstick, other.pulumi(*command)))


def steps() -> Iterator[tuple[str, list[str]]]:
    up = ["up", "--yes", "--skip-preview"]
    yield "create", up
    yield "no change", up
    yield "preview", ["preview"]
    yield "refresh", ["refresh", "--yes", "--skip-preview"]
    yield CHANGED, up
    yield "destroy", ["destroy", "--yes", "--skip-preview"]


def report(
    title: str, made: Stack, server: PostHogLocal, command: list[str], yardstick: tuple[str, float] | None = None
) -> None:
    """Prints what a command takes, beside the name and the seconds of a yardstick."""
    server.control("DELETE", "requests")
    seconds = made.pulumi(*command)
    methods = Counter(str(item["method"]) for item in server.requests())
    said = " ".join(f"{count} {method}" for method, count in sorted(methods.items())) or "none"
    ratio = ""
    if yardstick:
        name, base = yardstick
        ratio = f"{seconds / base:5.2f} x {name} ({base:.1f} s)"
    print(f"{title:<28}{seconds:7.1f} s  {ratio:<26} requests: {said}", flush=True)


def main() -> int:
    sizes = [int(text) for text in sys.argv[1:]] or SIZES
    engine = engine_dir()
    imports()
    with serve() as server:
        quick_start(server, engine)
        for size in sizes:
            server.reset()
            many_variables(size, server, engine)
        server.reset()
        many_tables(TABLES, server, engine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
