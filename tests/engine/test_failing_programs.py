"""Programs and settings that fail half way: the state stays valid, the next run goes on, nothing is lost."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from support.posthog import KEY, PostHog

from .conftest import Stacks

VARIABLES = """
    from pulumi_posthog import ExternalDataSource, InsightVariable, PostgresConnection
    InsightVariable("first", name="First", type="Number", default_value={number})
    InsightVariable("taken", name="Taken", type="Number")
    {between}
    InsightVariable("last", name="Last", type="Number", default_value={number})
"""


@pytest.mark.fault(39)
def test_a_program_that_fails_between_two_resources_goes_on_the_next_time(stacks: Stacks, posthog: PostHog) -> None:
    taken = posthog.call("POST", "insight_variables/", {"name": "Taken", "type": "String"}, key="phx_colleague")
    stack = stacks(VARIABLES.format(number=1, between="raise RuntimeError('half way')"))
    stack.pulumi("config", "set", "posthog:validate", "off")
    assert stack.up(ok=False).code != 0
    made = {item["name"]: item["id"] for item in posthog.objects("insight_variables")}
    assert {item["outputs"]["name"]: item["id"] for item in stack.resources("InsightVariable")} == {
        name: id for name, id in made.items() if name != "Taken"
    }

    # One resource cannot be made; with this option the others are.
    stack.program(VARIABLES.format(number=2, between=""))
    result = stack.up("--continue-on-error", "--parallel", "4", ok=False)
    assert result.code != 0
    assert f"exists already in PostHog (id {taken['id']}" in result.output or "already exists" in result.output
    live = {item["name"]: item["default_value"] for item in posthog.objects("insight_variables")}
    assert live == {"First": 2, "Taken": None, "Last": 2}

    posthog.call("DELETE", f"insight_variables/{taken['id']}/", key="phx_colleague")
    stack.up()
    recorded = {item["id"] for item in stack.resources("InsightVariable")}
    assert recorded == {item["id"] for item in posthog.objects("insight_variables")}
    assert len(recorded) == 3
    assert stack.steps() == []


@pytest.mark.fault(42, 45)
def test_another_key_is_no_change_and_destroy_says_what_is_missing(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks('from pulumi_posthog import InsightVariable\nInsightVariable("it", name="It", type="Number")')
    stack.environ.pop("HOME")  # PULUMI_HOME is enough
    stack.up()
    posthog.control("DELETE", "requests")
    stack.config({"posthog:apiKey": "phx_colleague"}, secret=["posthog:apiKey"])
    assert [step["urn"] for step in stack.steps() if "posthog:" in step["urn"]] == []
    assert posthog.control("GET", "requests")["requests"] == []

    # Now the key comes from the environment, so that it is not in the state; program and configuration get lost.
    stack.pulumi("config", "rm", "posthog:apiKey")
    stack.up(POSTHOG_PERSONAL_API_KEY=KEY)
    (stack.folder / "__main__.py").unlink()
    for name in ("host", "environmentId"):
        stack.pulumi("config", "rm", f"posthog:{name}")
    result = stack.destroy(ok=False)
    assert result.code != 0
    assert "ConfigurationError: The personal API key is not set: run `pulumi config set --secret" in result.output
    assert "posthog:environmentId" not in result.output
    assert len(stack.resources("InsightVariable")) == 1
    assert posthog.one("insight_variables")
    stack.destroy(POSTHOG_PERSONAL_API_KEY="phx_colleague")
    assert posthog.objects("insight_variables") == []


SOURCE = """
    import pulumi
    from pulumi_posthog import ExternalDataSource, PostgresConnection
    ExternalDataSource(
        "it",
        pulumi.ResourceOptions({options}),
        prefix="{prefix}",
        access_method="{access}",
        allow_replace=True,
        connection=PostgresConnection(
            host="postgres.local", database="shop", user="posthog", password="local-password", schema="public"
        ),
    )
"""


@pytest.mark.fault(43)
def test_a_replacement_deletes_first_where_both_cannot_be(stacks: Stacks, posthog: PostHog) -> None:
    new_first = "delete_before_replace=False"
    stack = stacks(SOURCE.format(prefix="a_", access="warehouse", options=""))
    stack.up()
    made = [posthog.one("external_data_sources")["id"]]
    for prefix, access, options, order in (
        ("b_", "warehouse", new_first, ["POST", "DELETE"]),  # with a prefix of its own both can be
        ("b_", "direct", "", ["DELETE", "POST"]),
    ):
        stack.program(SOURCE.format(prefix=prefix, access=access, options=options))
        posthog.control("DELETE", "requests")
        stack.up()
        requests = posthog.control("GET", "requests")["requests"]
        assert [item["method"] for item in requests if item["method"] in ("POST", "DELETE")] == order
        source = posthog.one("external_data_sources")
        assert (source["prefix"], source["access_method"]) == (prefix, access)
        made.append(source["id"])
    assert len(set(made)) == 3


READ_ONLY = """
    mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && ! touch "$HOME/it" && exec "$@"
"""


UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def _may_mount() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


@pytest.mark.fault(45)
def test_nothing_is_written_outside_of_the_state(stacks: Stacks, posthog: PostHog) -> None:
    """As in a container whose file system is read-only but for one volume, where Pulumi keeps the state."""
    if not _may_mount():
        # Not a gap: tests/wire does without a home and a disk everywhere (test_neither_a_home_nor_a_disk_is_needed).
        pytest.skip("a read-only file system needs Linux's user namespaces, which this machine does not have or allow")
    stack = stacks(VARIABLES.format(number=1, between=""))
    volume = str(stack.folder / ".state")
    stack.environ |= {"HOME": str(stack.folder), "TMPDIR": volume}  # Pulumi itself wants a temporary folder
    stack.through = (*UNSHARE, "sh", "-c", READ_ONLY, "sh", volume)
    assert "Read-only file system" in stack.up().output
    assert len(posthog.objects("insight_variables")) == 3
    stack.refresh()
    assert "4 unchanged" in stack.up().output
    stack.destroy()
    assert posthog.objects("insight_variables") == []
