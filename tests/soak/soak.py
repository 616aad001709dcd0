"""Hundreds of resources, changed again and again, while one request in a hundred goes wrong.

    python tests/soak/soak.py --seed 1 [--resources 300] [--rounds 20]

runs it with the real engine and prints a row per round. After each round PostHog holds what the program says, nothing is
there twice, and a `preview` shows no change. The same happens in one provider process that lives for all rounds, whose
memory and descriptors must not grow.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from pulumi_env import engine_dir  # noqa: E402
from pulumi_posthog_provider.registry import declaration  # noqa: E402
from support.oracle import assert_holds  # noqa: E402
from support.posthog import KEY, PostHog, start  # noqa: E402
from support.stack import Stack  # noqa: E402
from wire.conftest import Hosts  # noqa: E402

Program = dict[str, tuple[str, dict[str, Any]]]
MIX = ("InsightVariable",) * 5 + ("SavedQuery",) * 4 + ("ExternalDataSource",)
TABLES = ("orders", "users", "products", "customers")
SETTINGS = {"posthog:environmentId": "1", "posthog:apiKey": KEY, "posthog:validate": "off"}
MAX_UPS = 6
"""How often a round may need `up`: each error that is told is one more."""

PROGRAM = """
import json
import pulumi_posthog
for name, (kind, arguments) in json.load(open("resources.json")).items():
    if kind == "ExternalDataSource":
        arguments["schemas"] = {key: pulumi_posthog.Schema(**table) for key, table in arguments["schemas"].items()}
    getattr(pulumi_posthog, kind)(name, **arguments)
"""

# ---- the program, and how it changes ------------------------------------------------------------------------------


class Wish:
    """A program of so many resources that changes from round to round, the same for the same seed."""

    def __init__(self, resources: int, seed: int) -> None:
        self.chance = random.Random(seed)
        self._made = 0
        self.program: Program = {}
        while len(self.program) < resources:
            self._add()

    def change(self) -> None:
        """A tenth of the resources is changed, a fiftieth removed, and as many are new."""
        names = list(self.program)
        for name in self.chance.sample(names, max(1, len(names) // 10)):
            kind, arguments = self.program[name]
            self.program[name] = (kind, {**arguments, **self._changeable(kind)})
        for name in self.chance.sample(names, max(1, len(names) // 50)):
            del self.program[name]
            self._add()

    def _add(self) -> None:
        self._made += 1
        kind = MIX[self._made % len(MIX)]
        name = f"thing_{self._made}"
        fixed: dict[str, Any] = {"name": name}
        if kind == "InsightVariable":
            fixed["type"] = "Number"
        if kind == "ExternalDataSource":
            password = {"user": "posthog", "password": "local-password"}
            where = {"host": "postgres.local", "port": 5432, "database": "shop", "schema": "public"}
            fixed = {"source_type": "Postgres", "prefix": f"{name}_", "connection": {**where, **password}}
        self.program[name] = (kind, {**fixed, **self._changeable(kind)})

    def _changeable(self, kind: str) -> dict[str, Any]:
        number = self.chance.randrange(10**6)
        if kind == "InsightVariable":
            return {"default_value": number}
        if kind == "SavedQuery":
            return {"query": f"SELECT {number} AS one", "description": f"The number {number}."}
        tables = self.chance.sample(TABLES, self.chance.randint(1, 3))
        frequencies = ("1hour", "6hour", "24hour")
        return {
            "description": f"The number {number}.",
            "schemas": {name: {"sync_frequency": self.chance.choice(frequencies)} for name in tables},
        }


# ---- what goes wrong ----------------------------------------------------------------------------------------------

DEEDS: list[dict[str, Any]] = [
    {"do": "reset"},
    {"do": "reset", "during": "body"},
    {"do": "close"},
    {"do": "truncate"},
    {"do": "status", "status": 500},
    {"do": "status", "status": 502, "html": "<h1>Bad gateway</h1>"},
    {"do": "status", "status": 504, "html": "<h1>Timeout</h1>"},
]
REFUSALS: list[dict[str, Any]] = [
    {"do": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"do": "status", "status": 503, "headers": {"Retry-After": "1"}},
]


def faults(chance: random.Random, requests: int, rate: float) -> list[dict[str, Any]]:
    """A plan in which each of the next requests is hit by that rate, before or after PostHog carried it out."""
    hit = [number for number in range(1, requests + 1) if chance.random() < rate]
    return [_fault(chance, number) for number in hit]


def _fault(chance: random.Random, number: int) -> dict[str, Any]:
    deed = chance.choice(DEEDS + REFUSALS)
    at = "before" if deed in REFUSALS else chance.choice(["before", "after"])
    return {"nth": number, "times": 1, "at": at, **deed}


# ---- what must be so ----------------------------------------------------------------------------------------------


def assert_agrees(posthog: PostHog, program: Program) -> None:
    """PostHog holds exactly what the program says."""
    for kind in set(MIX):
        collection = declaration(kind).collection
        wished = {
            arguments.get("prefix") or arguments["name"]: arguments
            for which, arguments in program.values()
            if which == kind
        }
        live = _everything(posthog, collection)
        names = [item.get("prefix") or item["name"] for item in live]
        missing, strange = Counter(wished.keys()) - Counter(names), Counter(names) - Counter(wished.keys())
        assert not missing, f"{kind}: missing"
        assert not strange, f"{kind}: more than the program says"
        for item in live:
            complete = item if kind == "InsightVariable" else posthog.call("GET", f"{collection}/{item['id']}/")
            assert_holds(kind, wished[item.get("prefix") or item["name"]], complete)


def _everything(posthog: PostHog, collection: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = posthog.call("GET", f"{collection}/?limit=100&offset={len(found)}")
        found += page["results"]
        if not page["next"]:
            return found


@dataclass
class Use:
    """The most that the provider processes of a time used."""

    megabytes: float = 0
    descriptors: int = 0

    def see(self, process: psutil.Process) -> None:
        """Looks at one process now."""
        try:
            self.megabytes = max(self.megabytes, process.memory_info().rss / 2**20)
            self.descriptors = max(self.descriptors, process.num_fds())
        except psutil.NoSuchProcess:
            pass


@contextmanager
def watched() -> Iterator[Use]:
    """Looks at the provider processes below this one, a few times a second."""
    use, over = Use(), threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            for process in psutil.Process().children(recursive=True):
                try:
                    if "pulumi.dynamic" in process.cmdline():
                        use.see(process)
                except psutil.NoSuchProcess:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield use
    finally:
        over.set()
        thread.join()


def assert_flat(uses: list[Use]) -> None:
    """The last quarter of the rounds needs no more than the first one (without the round in which all is made)."""
    later = uses[1:]
    part = max(1, len(later) // 4)
    first, last = later[:part], later[-part:]
    megabytes = [statistics.median(use.megabytes for use in some) for some in (first, last)]
    descriptors = [statistics.median(use.descriptors for use in some) for some in (first, last)]
    assert megabytes[1] <= megabytes[0] * 1.15 + 4, f"memory grows: {megabytes} MB"
    assert descriptors[1] <= descriptors[0] + 8, f"descriptors grow: {descriptors}"


# ---- the two runs -------------------------------------------------------------------------------------------------


@dataclass
class Round:
    """One line of the table."""

    number: int
    ups: int
    requests: int
    hits: int
    seconds: float
    use: Use

    HEAD = "round  ups  requests  faults  seconds     MB  descriptors"

    def __str__(self) -> str:
        return (
            f"{self.number:5}{self.ups:5}{self.requests:10}{self.hits:8}{self.seconds:9.1f}"
            f"{self.use.megabytes:7.0f}{self.use.descriptors:13}"
        )


@dataclass
class Soak:
    """The settings of a run."""

    posthog: PostHog
    folder: Path
    resources: int
    rounds: int
    seed: int
    rate: float = 0.01
    wish: Wish = field(init=False)

    def __post_init__(self) -> None:
        self.wish = Wish(self.resources, self.seed)

    def _begin(self) -> None:
        self.posthog.control("DELETE", "requests")
        plan = faults(self.wish.chance, self.resources * 8, self.rate)
        self.posthog.control("PUT", "faults", {"rules": plan})

    def _counted(self) -> tuple[int, int]:
        requests = self.posthog.control("GET", "requests")["requests"]
        self.posthog.control("DELETE", "faults")
        return len(requests), sum(1 for item in requests if item["fault"])

    def engine(self, engine: Path) -> Iterator[Round]:
        """Every round is a `pulumi up`, or more where an error was told."""
        stack = Stack(self.folder, engine, environ={"PULUMI_SKIP_CHECKPOINTS": "true"})
        stack.program(PROGRAM)
        stack.config({**SETTINGS, "posthog:host": self.posthog.url}, secret=["posthog:apiKey"])
        uses: list[Use] = []
        for number in range(1, self.rounds + 1):
            if number > 1:
                self.wish.change()
            (self.folder / "resources.json").write_text(json.dumps(self.wish.program))
            self._begin()
            started, ups = time.monotonic(), 1
            with watched() as use:
                while (result := stack.up("--continue-on-error", ok=False)).code:
                    ups += 1
                    assert ups <= MAX_UPS, result.output
            seconds, (requests, hits) = time.monotonic() - started, self._counted()
            assert_agrees(self.posthog, self.wish.program)
            uses.append(use)
            yield Round(number, ups, requests, hits, seconds, use)
        assert stack.steps() == []
        assert_flat(uses)

    def one_process(self, hosts: Hosts) -> Iterator[Round]:
        """Every round in the same provider process, called as the engine calls it.

        Deletes go to a second one: in one `up`, the engine never deletes for good what it asked about as a resource
        that stays, and the provider relies on that.
        """
        config = {**SETTINGS, "posthog:host": self.posthog.url}
        host, other = hosts.start(config), hosts.start(config)
        state: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {}
        processes = [psutil.Process(each.process.pid) for each in (host, other)]
        uses: list[Use] = []
        for number in range(1, self.rounds + 1):
            if number > 1:
                self.wish.change()
            self._begin()
            started, tries, use = time.monotonic(), 1, Use()
            while self._settled(host, other, state):
                tries += 1
                assert tries <= MAX_UPS
            for process in processes:
                use.see(process)
            seconds, (requests, hits) = time.monotonic() - started, self._counted()
            assert_agrees(self.posthog, self.wish.program)
            uses.append(use)
            yield Round(number, tries, requests, hits, seconds, use)
        assert_flat(uses)

    def _settled(self, host: Any, other: Any, state: dict[str, Any]) -> int:
        """One `up`, with deletes by the other process; gives how many operations failed."""
        import grpc

        failed = 0
        for name, (kind, arguments) in self.wish.program.items():
            try:
                if name not in state:
                    inputs = host.check(kind, arguments).inputs
                    state[name] = (kind, *host.create(kind, inputs), inputs)
                    continue
                _, id, outputs, olds = state[name]
                inputs = host.check(kind, arguments, olds).inputs
                if host.diff(kind, id, outputs, inputs).changes != "DIFF_NONE":
                    state[name] = (kind, id, host.update(kind, id, outputs, inputs), inputs)
            except grpc.RpcError:
                failed += 1
        for name in [name for name in state if name not in self.wish.program]:
            kind, id, outputs, _ = state[name]
            try:
                other.delete(kind, id, outputs)
                del state[name]
            except grpc.RpcError:
                failed += 1
        return failed


def main() -> None:
    """Runs both and prints a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--resources", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.resources} resources, {given.rounds} rounds")
    for run in ("engine", "one_process"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            seed = str(ROOT / "tests" / "support" / "seed.yaml")
            process, posthog = start(folder, "--data", ":memory:", "--seed", seed)
            hosts = Hosts(folder)
            soak = Soak(posthog, folder, given.resources, given.rounds, given.seed)
            try:
                print(f"\n{'pulumi up' if run == 'engine' else 'one provider process'}\n{Round.HEAD}")
                for row in soak.engine(engine_dir()) if run == "engine" else soak.one_process(hosts):
                    print(row, flush=True)
            finally:
                hosts.end()
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
