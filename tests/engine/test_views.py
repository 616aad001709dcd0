"""Views in the right order without `depends_on`, circles and twins, with the real engine."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest

from support.posthog import KEY, PostHog

from .conftest import Stacks

HEAD = "import pulumi\nfrom pulumi_posthog import *\n"
SOURCE = """
ExternalDataSource("shop", prefix="shop_", connection=PostgresConnection(
    host="postgres.local", database="shop", user="posthog", password="local-password", schema="public"))
"""
CHAIN = [f"layer_{number}" for number in range(10)]


def _view(name: str, sql: str, more: str = "") -> str:
    return f'SavedQuery("{name}", name="{name}", query={sql!r}{more})\n'


def _chain(reads: str = "FROM {0}") -> list[str]:
    """Ten views, each of which reads the one before."""
    views = [_view(CHAIN[0], "SELECT event AS item FROM events")]
    for before, name in pairwise(CHAIN):
        views.append(_view(name, f"SELECT item {reads.format(before)}"))
    return views


def _shuffled(views: list[str], seed: int) -> str:
    order = list(views)
    random.Random(seed).shuffle(order)
    assert order != views
    return "".join(order)


def _depends(stack: object, name: str) -> set[str]:
    (item,) = [item for item in stack.resources("SavedQuery") if item["urn"].endswith(f"::{name}")]  # type: ignore[attr-defined]
    return {urn.split("::")[-1] for urn in item.get("dependencies", [])}


@pytest.mark.feature(49, 66, 68)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_views_in_any_order_come_up_in_one_up_and_go_down(stacks: Stacks, posthog: PostHog, seed: int) -> None:
    stack = stacks(HEAD + _shuffled(_chain(), seed))
    stack.up()
    assert {item["name"] for item in posthog.objects("warehouse_saved_queries")} == set(CHAIN)
    assert _depends(stack, "layer_7") == {"layer_6"}
    assert _depends(stack, "layer_0") == set()
    posthog.control("DELETE", "requests")
    assert "11 unchanged" in stack.up().output
    assert posthog.control("GET", "requests")["requests"] == []
    stack.program("")
    stack.up()
    assert posthog.objects("warehouse_saved_queries") == []


@pytest.mark.feature(54)
def test_names_and_sql_may_be_outputs(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(
        HEAD
        + textwrap.dedent(
            """
            third = SavedQuery("third", name="third", query=pulumi.Output.from_input("SELECT item FROM ").apply(
                lambda head: head + "second_view"))
            second = SavedQuery("second", name=pulumi.Output.concat("second", "_view"), query="SELECT item FROM first")
            variable = InsightVariable("v", name="First", type="String")
            first = SavedQuery("first", name=variable.code_name, query="SELECT event AS item FROM events")
            async def late():
                return "SELECT item FROM second_view"
            fourth = SavedQuery("fourth", name="fourth", query=late())
            """
        )
    )
    stack.up()
    assert _depends(stack, "third") == {"second"}
    assert _depends(stack, "second") == {"first"}
    assert _depends(stack, "fourth") == {"second"}


@pytest.mark.feature(67)
@pytest.mark.parametrize("spelling", ["shop_postgres_customers", "postgres.shop.customers", "SHOP_Postgres_CUSTOMERS"])
def test_a_view_on_a_sources_table_is_made_after_the_source(stacks: Stacks, posthog: PostHog, spelling: str) -> None:
    stack = stacks(HEAD + _view("customers", f"SELECT id FROM {spelling}") + SOURCE)
    posthog.control("POST", "clock", {"sync_seconds": 0})
    stack.up()
    assert posthog.one("warehouse_saved_queries")["name"] == "customers"
    assert _depends(stack, "customers") == {"shop"}
    stack.destroy()


CIRCLES = {
    "three": (
        [("a", "SELECT 1 AS x FROM b"), ("b", "SELECT 1 AS x FROM c"), ("c", "SELECT 1 AS x FROM a"), ("d", "SELECT x FROM a")],
        'the view "a" reads the view "b", the view "b" reads the view "c" and the view "c" reads the view "a": '
        "this is a circle, in which none can be made first",
    ),
    "itself": (
        [("a", "SELECT 1 AS x FROM a")],
        'the view "a" reads itself; a view can only read what is there before it',
    ),
}  # fmt: skip


@pytest.mark.feature(50, 66)
@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_is_told_in_preview_in_one_sentence(stacks: Stacks, posthog: PostHog, name: str) -> None:
    views, told = CIRCLES[name]
    stack = stacks(HEAD + "".join(_view(*view) for view in views))
    posthog.control("DELETE", "requests")
    result = stack.preview(ok=False)
    assert result.code != 0
    assert result.output.count(told) == 1
    assert "Traceback" not in result.output
    assert posthog.control("GET", "requests")["requests"] == []


def test_a_circle_through_an_output_is_told_and_does_not_hang(stacks: Stacks) -> None:
    program = """
    b = SavedQuery("b", name="b", query="SELECT 1 AS x FROM a")
    a = SavedQuery("a", name="a", query=pulumi.Output.concat("SELECT 1 AS x FROM ", b.name))
    """
    result = stacks(HEAD + textwrap.dedent(program)).preview(ok=False)
    assert 'the view "b" reads the view "a" and the view "a" needs the view "b": this is a circle' in result.output
    assert "Traceback" not in result.output


def test_a_circle_with_a_dependency_of_the_users_own_is_told(stacks: Stacks) -> None:
    program = """
    b = SavedQuery("b", name="b", query="SELECT 1 AS x FROM a")
    a = SavedQuery("a", name="a", query="SELECT 1 AS x", opts=pulumi.ResourceOptions(depends_on=[b]))
    """
    result = stacks(HEAD + textwrap.dedent(program)).preview(ok=False)
    assert 'the view "b" reads the view "a" and the view "a" needs the view "b": this is a circle' in result.output
    assert "Traceback" not in result.output


TWINS = {
    "views": (
        _view("one", "SELECT 1 AS x").replace('name="one"', 'name="people"')
        + _view("two", "SELECT 2 AS x").replace('name="two"', 'name=pulumi.Output.from_input("people")'),
        'the resources "one" and "two" both declare the view "people"',
    ),
    "variables": (
        'InsightVariable("one", name="My Region", type="String")\n'
        'InsightVariable("two", name="my_region", type="String")\n',
        'the resources "one" and "two" both declare the variable with the code name "my_region"',
    ),
    "sources": (
        SOURCE + SOURCE.replace('"shop", prefix', '"other", prefix'),
        'the resources "shop" and "other" both declare the Postgres source with the prefix "shop_"',
    ),
}


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", TWINS)
def test_twins_are_told_in_preview_with_both_names(stacks: Stacks, posthog: PostHog, name: str) -> None:
    program, told = TWINS[name]
    stack = stacks(HEAD + program)
    posthog.control("DELETE", "requests")
    result = stack.preview(ok=False)
    assert result.output.count(told) == 1
    assert "Traceback" not in result.output


def test_the_same_names_in_two_environments_are_no_twins_and_do_not_depend_on_each_other(
    stacks: Stacks, posthog: PostHog
) -> None:
    stack = stacks(
        HEAD
        + textwrap.dedent(
            """
            for environment in ("2", "1"):
                opts = pulumi.ResourceOptions(provider=Provider(f"e{environment}", environment_id=environment))
                SavedQuery(f"top-{environment}", opts, name="top", query="SELECT item FROM base")
                SavedQuery(f"base-{environment}", opts, name="base", query="SELECT event AS item FROM events")
            """
        )
    )
    stack.up()
    assert _depends(stack, "top-1") == {"base-1"}
    assert _depends(stack, "top-2") == {"base-2"}
    assert len(posthog.objects("warehouse_saved_queries", "2")) == 2


@pytest.mark.feature(62, 68)
def test_views_that_read_each_other_move_to_another_environment(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(HEAD + _view("top", "SELECT item FROM base") + _view("base", "SELECT event AS item FROM events"))
    stack.up()
    stack.config({"posthog:environmentId": "2"})
    stack.up()
    assert posthog.objects("warehouse_saved_queries") == []
    assert len(posthog.objects("warehouse_saved_queries", "2")) == 2
    (urn,) = [item["urn"] for item in stack.resources("SavedQuery") if item["urn"].endswith("::top")]
    # Nothing tells the provider that it is asked for a second one: it keeps the one there is.
    stack.up("--replace", urn)
    ids = {item["id"] for item in stack.resources("SavedQuery")}
    assert ids == {item["id"] for item in posthog.objects("warehouse_saved_queries", "2")}
    assert stack.steps("--refresh") == []


def test_a_synchronous_call_in_the_middle_of_the_program_changes_nothing(stacks: Stacks, posthog: PostHog) -> None:
    call = 'pulumi.runtime.invoke("pulumi:pulumi:getResource", {"urn": pulumi.runtime.get_root_resource()._name})'
    middle = f"try:\n    {call}\nexcept Exception as error:\n    pulumi.log.info(f'called: {{error}}')\n"
    views = _chain()
    stack = stacks(HEAD + "".join(reversed(views[5:])) + middle + "".join(reversed(views[:5])))
    assert "called: " in stack.up().output
    assert len(posthog.objects("warehouse_saved_queries")) == 10


INLINE = """
import os
from concurrent.futures import ThreadPoolExecutor
import pulumi
from pulumi import automation
from pulumi_posthog import Provider, SavedQuery

def program(environment):
    def run():
        opts = pulumi.ResourceOptions(provider=Provider("posthog", environment_id=environment))
        SavedQuery("reader", opts, name="reader", query="SELECT item FROM base")
        SavedQuery(f"base-{environment}", opts, name="base", query="SELECT event AS item FROM events")
    return run

def up(environment):
    stack = automation.create_or_select_stack(f"e{environment}", "inline", program(environment))
    for key in ("host", "apiKey"):
        stack.set_config(f"posthog:{key}", automation.ConfigValue(os.environ[key], secret=key == "apiKey"))
    told = [f"{environment} {sorted(stack.up().summary.resource_changes.items())}" for _ in range(2)]
    for item in stack.export_stack().deployment["resources"]:
        if item["urn"].endswith("::reader"):
            told.append(f"reader of {environment} {sorted(urn.split('::')[-1] for urn in item['dependencies'])}")
    return told

with ThreadPoolExecutor() as pool:
    told = [*pool.map(up, ("1", "2")), up("1")]
for lines in told:
    for line in lines:
        print(line)
"""


def test_programs_side_by_side_in_one_process_do_not_see_each_other(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks("")
    done = subprocess.run(
        [sys.executable, "-c", INLINE],
        cwd=stack.folder,
        env={**stack.environ, "host": posthog.url, "apiKey": KEY},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("reader of 1")] == ["reader of 1 ['base-1']"] * 2
    assert [line for line in lines if line.startswith("reader of 2")] == ["reader of 2 ['base-2']"]
    assert lines.count("1 [('same', 4)]") == 3
    assert "twice" not in done.stderr


@pytest.mark.feature(50)
def test_a_mistake_in_sql_is_told_with_its_place(stacks: Stacks) -> None:
    pytest.importorskip("importlib.util").find_spec("hogql_parser") or pytest.skip("hogql-parser is not installed")
    stack = stacks(HEAD + _view("people", "SELECT person\nFROM events\nWHERE event == {variables.event}"))
    result = stack.preview(ok=False)
    assert "query: line 3, column 16: a view cannot use the variable {variables.event}" in result.output


@pytest.mark.feature(4, 66)
def test_a_folder_of_sql_files_becomes_views(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(
        HEAD
        + textwrap.dedent(
            """
            views = SavedQuery.from_directory("views")
            pulumi.export("names", sorted(views))
            """
        )
    )
    folder = stack.folder / "views"
    _write(folder / "a_last.sql", "SELECT item FROM middle\n")
    _write(
        folder / "sub" / "m.sql",
        "-- name: middle\n-- description: In the middle.\n\n-- a remark\nSELECT item FROM z_first",
    )
    _write(folder / "z_first.sql", "-- materialized: true\n-- sync_frequency: 12hour\nSELECT event AS item FROM events")
    stack.up()
    views = {item["name"]: item for item in posthog.objects("warehouse_saved_queries")}
    assert set(views) == {"a_last", "middle", "z_first"}
    assert views["middle"]["description"] == "In the middle."
    assert views["middle"]["query"]["query"].strip() == "-- a remark\nSELECT item FROM z_first"
    assert (views["z_first"]["is_materialized"], views["z_first"]["sync_frequency"]) == (True, "12hour")
    assert json.loads(stack.pulumi("stack", "output", "--json").output)["names"] == ["a_last", "middle", "z_first"]
    assert "4 unchanged" in stack.up().output

    _write(folder / "z_first.sql", "-- materialised: true\nSELECT 1 AS item")
    result = stack.preview(ok=False)
    assert re.search(r"views/z_first\.sql, line 1: .*did you mean materialized\?", result.output)
    assert "Traceback" not in result.output


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
