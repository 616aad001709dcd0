"""The example `environments`: one program for three projects of one PostHog."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_env import environment
from support.posthog import KEY, PostHog, start
from support.stack import Stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "environments"
ENVIRONMENTS = {"dev": "1", "staging": "2", "prod": "3"}
PASSWORD = "local-password"


def _columns(*names: str) -> dict[str, Any]:
    return {"id": {"type": "integer", "nullable": False}, **dict.fromkeys(names, "text")}


def _seed() -> dict[str, Any]:
    stacks = {name: yaml.safe_load((EXAMPLE / f"Pulumi.{name}.yaml").read_text())["config"] for name in ENVIRONMENTS}
    tables = [
        {"name": "customers", "schema": "public", "primary_key": ["id"], "columns": _columns("email")},
        {"name": "orders", "schema": "public", "primary_key": ["id"], "columns": _columns("customer_id", "total")},
    ]
    return {
        "projects": [{"id": int(stacks[name]["posthog:environmentId"]), "name": name} for name in ENVIRONMENTS],
        "users": [{"email": "ada@acme.example", "keys": [{"value": KEY}]}],
        "clock": {"sync_seconds": 0},
        "vendors": [
            {
                "source_type": "Postgres",
                "match": {"host": config["posthog-environments:databaseHost"]},
                "credentials": {"user": config["posthog-environments:databaseUser"], "password": PASSWORD},
                "tables": tables,
            }
            for config in stacks.values()
        ],
    }


@dataclass
class ExampleStack(Stack):
    """A stack of the example itself, in a copy of its folder."""

    def __post_init__(self) -> None:
        self.environ = environment(self.folder / ".state", self.engine) | self.environ
        self.pulumi("stack", "init", self.name)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostHog]:
    """A PostHog with the three projects and the three databases of the example."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "seed.yaml").write_text(yaml.safe_dump(_seed()))
    process, server = start(folder, "--data", ":memory:", "--seed", str(folder / "seed.yaml"))
    yield server
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def stacks(engine: Path, tmp_path: Path, three: PostHog) -> dict[str, ExampleStack]:
    """The three stacks of the example, not yet up."""
    three.control("POST", "reset")
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    environ = {"POSTHOG_PERSONAL_API_KEY": KEY, "POSTHOG_HOST": three.url}
    made = {name: ExampleStack(folder, engine, name, environ) for name in ENVIRONMENTS}
    for stack in made.values():
        stack.config({"databasePassword": PASSWORD}, secret=["databasePassword"])
    return made


def _shown(stack: Stack) -> list[Any]:
    """What a preview shows, without what belongs to one stack."""
    return [(step["op"], step["urn"].split("::")[2:], step.get("detailedDiff")) for step in stack.steps()]


@pytest.mark.feature(64)
def test_three_environments_each_with_its_values(stacks: dict[str, ExampleStack], three: PostHog) -> None:
    for stack in stacks.values():
        stack.up()
    regions = {name: three.one("insight_variables", id)["values"] for name, id in ENVIRONMENTS.items()}
    assert {name: len(values) for name, values in regions.items()} == {"dev": 1, "staging": 2, "prod": 3}
    sources = {name: three.one("external_data_sources", id) for name, id in ENVIRONMENTS.items()}
    assert [source["job_inputs"]["host"] for source in sources.values()] == [
        "shop-dev.acme.example",
        "shop-staging.acme.example",
        "shop.acme.example",
    ]
    assert {row["sync_frequency"] for row in sources["prod"]["schemas"]} == {"1hour"}
    for name, id in ENVIRONMENTS.items():
        views = {view["name"]: view["is_materialized"] for view in three.objects("warehouse_saved_queries", id)}
        assert views == {"top_customers": False, "revenue_per_customer": name != "dev"}
    assert stacks["prod"].steps() == []


@pytest.mark.feature(72)
def test_the_source_of_prod_is_protected(stacks: dict[str, ExampleStack], three: PostHog) -> None:
    prod = stacks["prod"]
    prod.up()
    refused = prod.destroy(ok=False)
    assert refused.code != 0
    assert "protect" in refused.output
    assert three.one("external_data_sources", ENVIRONMENTS["prod"])["prefix"] == "shop_"


@pytest.mark.feature(64)
def test_a_change_promoted_from_dev_to_prod_shows_the_same_difference(
    stacks: dict[str, ExampleStack], three: PostHog
) -> None:
    dev, prod = stacks["dev"], stacks["prod"]
    dev.up()
    prod.up()
    program = dev.folder / "__main__.py"
    text = program.read_text().replace("LIMIT 100", "LIMIT 10").replace("What each customer paid so far.", "Revenue.")
    program.write_text(text)
    shown = _shown(dev)
    assert [(op, list(details)) for op, _, details in shown] == [("update", ["description"]), ("update", ["query"])]
    dev.up()
    assert _shown(dev) == []
    assert _shown(prod) == shown
    prod.up()
    views = {view["name"]: view for view in three.objects("warehouse_saved_queries", ENVIRONMENTS["prod"])}
    assert "LIMIT 10" in views["top_customers"]["query"]["query"]
    assert views["revenue_per_customer"]["description"] == "Revenue."


@pytest.mark.feature(64)
@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("databaseHost", None, "the stack staging has no value for databaseHost: set it with `pulumi config set databaseHost …`"),
        ("databasePassword", None, "has no value for databasePassword: set it with `pulumi config set --secret databasePassword …`"),
        ("regions", None, "the stack staging has no value for regions: "),
        ("storeRevenue", "perhaps", "storeRevenue in Pulumi.staging.yaml is not what it should be"),
        ("syncFrequency", "2hour", "syncFrequency in Pulumi.staging.yaml must be one of 5min, 15min, "),
    ],
)  # fmt: skip
def test_a_missing_or_wrong_value_ends_the_preview_with_a_sentence(
    stacks: dict[str, ExampleStack], three: PostHog, key: str, value: str | None, told: str
) -> None:
    stack = stacks["staging"]
    stack.pulumi("config", *(["rm", key] if value is None else ["set", key, value]))
    three.control("DELETE", "requests")
    result = stack.preview(ok=False)
    assert result.code != 0
    assert told in result.output
    assert "Traceback" not in result.output
    assert three.control("GET", "requests")["requests"] == []
