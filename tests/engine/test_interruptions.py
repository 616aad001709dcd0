"""Processes killed at a named point: the next `up` ends with one object per resource, recorded in state."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.posthog import KEY, PostHog
from support.secrets import found_in
from support.stack import Result, Stack

from .conftest import Stacks

VARIABLE, VIEW, SOURCE = COLLECTIONS = ("insight_variables", "warehouse_saved_queries", "external_data_sources")
PROGRAMS = {
    VARIABLE: """
        from pulumi_posthog import InsightVariable
        InsightVariable("it", name="Region", type="List", values=["a", "b"], default_value="a")
    """,
    VIEW: """
        from pulumi_posthog import SavedQuery
        SavedQuery(
            "it",
            name="people",
            query="SELECT distinct_id AS person FROM events",
            description="Everybody.",
            sync_frequency="24hour",
        )
    """,
    SOURCE: """
        from pulumi_posthog import ExternalDataSource, PostgresConnection, Schema
        ExternalDataSource(
            "it",
            prefix="shop_",
            connection=PostgresConnection(
                host="postgres.local", database="shop", user="posthog", password="local-password", schema="public"
            ),
            schemas={"orders": Schema(sync_frequency="1hour")},
        )
    """,
}
CHANGED = {
    VARIABLE: ("Region", "Area", lambda live: live["name"]),
    VIEW: ("AS person", "AS somebody", lambda live: live["query"]["query"]),
    SOURCE: ("1hour", "6hour", lambda live: [row["sync_frequency"] for row in live["schemas"] if row["should_sync"]]),
}
"""A change of each program, and where to see it in PostHog."""


@dataclass(frozen=True)
class Point:
    """Where the process is stopped: with which request, before or after PostHog applied it.

    Attributes:
        deed: What `up` is doing then.
        version: The PostHog, where only an older one takes this request.
    """

    collection: str
    deed: str
    method: str
    path: str
    at: str = "before"
    version: str = "N"

    def __str__(self) -> str:
        return f"{self.deed} {self.collection}: {self.at} {self.method} {self.path}"

    @property
    def rule(self) -> dict[str, Any]:
        match = {"method": self.method, "path": self.path}
        return {"name": "point", "match": match, "at": self.at, "do": "hold"}


BEFORE_CONNECT = Point(VIEW, "create", "GET", VIEW)
CREATES = [
    Point(collection, "create", "POST", collection, at) for collection in COLLECTIONS for at in ("before", "after")
]
BETWEEN_STEPS = [
    Point(SOURCE, "create", "PATCH", f"{SOURCE}/*/bulk_update_schemas"),
    Point(VIEW, "create", "POST", f"{VIEW}/*/materialize", version="M"),
    Point(VIEW, "create", "POST", f"{VIEW}/*/materialize", "after", version="M"),
]
UPDATES = [
    Point(VARIABLE, "update", "PATCH", f"{VARIABLE}/*"),
    Point(VIEW, "update", "PATCH", f"{VIEW}/*", "after"),
    Point(SOURCE, "update", "PATCH", f"{SOURCE}/*/bulk_update_schemas", "after"),
]
DELETES = [Point(VIEW, "delete", "DELETE", f"{VIEW}/*"), Point(SOURCE, "delete", "DELETE", f"{SOURCE}/*", "after")]


def _wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _started(stack: Stack) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never", "--stack", stack.name],
        cwd=stack.folder,
        env=stack.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@dataclass
class HeldUp:
    """A `pulumi up` that is stopped at a point, and every process that belongs to it."""

    process: subprocess.Popen[str]
    family: list[psutil.Process]
    language_hosts: list[psutil.Process]
    """Pulumi's own: it looks for its engine every few minutes only, and ends then."""

    @classmethod
    def now(cls, process: subprocess.Popen[str]) -> HeldUp:
        """With all processes that it has started so far."""
        children = psutil.Process(process.pid).children(recursive=True)
        arguments = "\n".join(" ".join(item.cmdline()) for item in children)
        assert "pulumi.dynamic" in arguments
        assert found_in(arguments, [KEY, "local-password"]) == []
        hosts = [item for item in children if item.name().startswith("pulumi-language")]
        return cls(process, [item for item in children if item not in hosts], hosts)

    def kill_the_provider(self) -> None:
        providers = [item for item in self.family if "pulumi.dynamic" in item.cmdline()]
        assert providers
        for provider in providers:
            provider.kill()

    def ended(self) -> str:
        """What it printed, once it and every process that belonged to it is gone."""
        output, _ = self.process.communicate(timeout=120)
        _wait_for(lambda: not any(map(_lives, self.family)), "a process is left over")
        for host in filter(_lives, self.language_hosts):
            host.kill()
        return output


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _held_up(stack: Stack, posthog: PostHog, point: Point) -> HeldUp:
    """`pulumi up`, stopped at a point."""
    posthog.control("PUT", "faults", [point.rule])
    process = _started(stack)
    _wait_for(lambda: posthog.control("GET", "faults")["held"] or process.poll() is not None, "the request never came")
    assert process.poll() is None, process.communicate()[0]
    return HeldUp.now(process)


def _prepared(stacks: Stacks, posthog: PostHog, point: Point) -> Stack:
    """A stack whose next `up` does the deed."""
    posthog.control("POST", "version", {"posthog_version": point.version})
    program = PROGRAMS[point.collection]
    stack = stacks(program)
    if point.deed != "create":
        stack.up()
        stack.program("" if point.deed == "delete" else program.replace(*CHANGED[point.collection][:2]))
    return stack


def _up(stack: Stack) -> Result:
    """`pulumi up`, with `pulumi cancel` first where the engine asks for it."""
    result = stack.up(ok=False)
    if "pulumi cancel" in result.output and result.code:
        stack.pulumi("cancel", "--yes")
        result = stack.up(ok=False)
    assert result.code == 0, result.output
    return result


def _recorded(stack: Stack) -> list[dict[str, Any]]:
    return [item for item in stack.export()["deployment"]["resources"] if item["urn"].endswith("::it")]


def _converges(stack: Stack, posthog: PostHog, point: Point) -> Result:
    posthog.control("DELETE", "faults")
    result = _up(stack)
    kept = [item["id"] for item in posthog.objects(point.collection)]
    recorded = _recorded(stack)
    assert [item["id"] for item in recorded] == kept, result.output
    assert len(kept) == (point.deed != "delete"), result.output
    if point.deed != "delete":
        assert "unfinished" not in recorded[0]["outputs"]
        _, wanted, seen = CHANGED[point.collection]
        assert (wanted in str(seen(posthog.one(point.collection)))) is (point.deed == "update")
    return result


@pytest.mark.fault(34)
@pytest.mark.parametrize("point", [BEFORE_CONNECT, *CREATES, *BETWEEN_STEPS, *UPDATES, *DELETES], ids=str)
def test_a_killed_provider_leaves_one_object(stacks: Stacks, posthog: PostHog, point: Point) -> None:
    stack = _prepared(stacks, posthog, point)
    held = _held_up(stack, posthog, point)
    held.kill_the_provider()
    posthog.control("POST", "faults/release", {})
    held.ended()
    assert held.process.returncode != 0
    _converges(stack, posthog, point)


@pytest.mark.fault(34)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_provider_killed_within_a_replacement_leaves_the_new_object(
    stacks: Stacks, posthog: PostHog, collection: str
) -> None:
    on_request = '"it", opts=pulumi.ResourceOptions(replace_on_changes=["*"]),'
    program = "\n        import pulumi" + PROGRAMS[collection].replace('"it",', on_request)
    stack = stacks(program)
    stack.up()
    before = posthog.one(collection)["id"]
    change = ('default_value="a"', 'default_value="b"') if collection == VARIABLE else CHANGED[collection][:2]
    stack.program(program.replace(*change))
    held = _held_up(stack, posthog, Point(collection, "replace", "POST", collection, "after"))
    held.kill_the_provider()
    posthog.control("POST", "faults/release", {})
    held.ended()
    posthog.control("DELETE", "faults")
    _up(stack)
    after = posthog.one(collection)["id"]
    assert after != before
    assert [item["id"] for item in _recorded(stack)] == [after]
    assert stack.steps("--refresh") == []


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    "point",
    [BEFORE_CONNECT, *CREATES[2:4], CREATES[5], BETWEEN_STEPS[0], *UPDATES[1:], DELETES[1]],
    ids=str,
)
def test_a_killed_engine_leaves_one_object_and_no_process(stacks: Stacks, posthog: PostHog, point: Point) -> None:
    stack = _prepared(stacks, posthog, point)
    held = _held_up(stack, posthog, point)
    held.process.kill()
    held.ended()
    posthog.control("POST", "faults/release", {})
    result = _converges(stack, posthog, point)
    if point.deed == "create" and point is not BEFORE_CONNECT:
        # The engine cannot know that the create was dealt with; it warns until it is told.
        assert "interrupted while creating" in result.output
        stack.refresh("--clear-pending-creates")
        assert not stack.export()["deployment"].get("pending_operations")


_STOPS_BEFORE_THE_REPLY = """
import sys

if "pulumi.dynamic" in sys.orig_argv:
    import pathlib
    import time

    from pulumi.dynamic import dynamic

    class Unsent(dynamic.CreateResult):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            pathlib.Path({marker!r}).touch()
            time.sleep(600)

    import pulumi.dynamic
    pulumi.dynamic.CreateResult = Unsent
"""


@pytest.mark.fault(34, 35)
@pytest.mark.parametrize("victim", ["provider", "engine"])
def test_killed_after_the_answer_and_before_the_engine_hears_of_it(
    stacks: Stacks, posthog: PostHog, tmp_path: Path, victim: str
) -> None:
    point = Point(SOURCE, "create", "POST", SOURCE, "after")
    stack = _prepared(stacks, posthog, point)
    marker, hook = tmp_path / "answered", tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_STOPS_BEFORE_THE_REPLY.format(marker=str(marker)))
    stack.environ["PYTHONPATH"] = str(hook)
    process = _started(stack)
    _wait_for(lambda: marker.exists() or process.poll() is not None, "the create was never done")
    assert process.poll() is None, process.communicate()[0]
    held = HeldUp.now(process)
    if victim == "provider":
        held.kill_the_provider()
    else:
        process.kill()
    held.ended()
    del stack.environ["PYTHONPATH"]
    assert len(posthog.objects(SOURCE)) == 1
    _converges(stack, posthog, point)


@pytest.mark.fault(36)
@pytest.mark.parametrize("point", [CREATES[3], CREATES[5], *UPDATES], ids=str)
def test_ctrl_c_lets_the_call_finish_and_records_it(stacks: Stacks, posthog: PostHog, point: Point) -> None:
    stack = _prepared(stacks, posthog, point)
    held = _held_up(stack, posthog, point)
    held.process.send_signal(signal.SIGINT)
    time.sleep(1)  # the engine is told before the call can end
    posthog.control("POST", "faults/release", {})
    held.ended()
    assert held.process.returncode != 0
    (recorded,) = _recorded(stack)
    assert recorded["id"] == posthog.one(point.collection)["id"]
    _, wanted, _ = CHANGED[point.collection]
    assert (wanted in str(recorded["outputs"])) is (point.deed == "update")
    assert "unfinished" not in recorded["outputs"]
    assert not stack.export()["deployment"].get("pending_operations")
    _converges(stack, posthog, point)


@pytest.mark.fault(37)
@pytest.mark.parametrize("point", [CREATES[3], CREATES[5]], ids=str)
def test_ctrl_c_twice_leaves_one_object(stacks: Stacks, posthog: PostHog, point: Point) -> None:
    stack = _prepared(stacks, posthog, point)
    held = _held_up(stack, posthog, point)
    held.process.send_signal(signal.SIGINT)
    time.sleep(1)  # two signals, not one
    held.process.send_signal(signal.SIGINT)
    held.ended()
    posthog.control("POST", "faults/release", {})
    _converges(stack, posthog, point)


@pytest.mark.fault(37)
def test_a_cancelled_ci_job_leaves_one_object(stacks: Stacks, posthog: PostHog) -> None:
    # What a runner of GitHub Actions does, with its own times.
    point = CREATES[5]
    stack = _prepared(stacks, posthog, point)
    held = _held_up(stack, posthog, point)
    for wait, number in ((0, signal.SIGINT), (7.5, signal.SIGTERM), (2.5, signal.SIGKILL)):
        time.sleep(wait)
        if held.process.poll() is None:
            held.process.send_signal(number)
    held.ended()
    posthog.control("POST", "faults/release", {})
    _converges(stack, posthog, point)
