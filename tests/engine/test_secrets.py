"""Sentinel secrets through every command of the real engine: nothing that is printed, logged or stored holds them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from support.posthog import KEY, PostHog
from support.secrets import found_below, found_in

from .conftest import Stacks

PASSWORD = 'S3ntinel "pa\\ss/w+rd" ~1'
DEEP = "deep/s3ntinel+of a tunnel"
PROGRAM = """
    import pulumi
    from pulumi_posthog import ExternalDataSource, InsightVariable
    config = pulumi.Config("shop")
    InsightVariable("region", name="Region", type="String", default_value="x")
    ExternalDataSource(
        "shop",
        source_type="Postgres",
        prefix="shop_",
        description=config.get("description"),
        connection={
            "host": "sentinel.local",
            "port": 5432,
            "database": "shop",
            "user": "posthog",
            "password": pulumi.Output.from_input(config.require("password")),  # not marked secret by its user
            "schema": "public",
            "ssh_tunnel": {
                "enabled": False,
                "host": "bastion.local",
                "port": 22,
                "auth": {"selection": "password", "username": "posthog", "password": config.require("deep")},
            },
        },
        schemas={"orders": {}},
    )
"""
LOGS = ("-v=9", "--logtostderr", "--logflow")


def _vendors() -> list[dict[str, object]]:
    columns = {"id": {"type": "integer", "nullable": False}}
    return [
        {
            "source_type": "Postgres",
            "match": {"host": "sentinel.local"},
            "credentials": {"user": "posthog", "password": PASSWORD},
            "tables": [{"name": "orders", "schema": "public", "primary_key": ["id"], "rows": 1, "columns": columns}],
        }
    ]


@pytest.mark.fault(46, 50, 57, 59)
def test_no_secret_appears_in_anything_that_is_printed_logged_or_stored(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(PROGRAM)
    posthog.control("PUT", "vendors", _vendors())
    stack.config({"shop:password": PASSWORD, "shop:deep": DEEP}, secret=["shop:password", "shop:deep"])
    secrets, printed = [PASSWORD, DEEP, KEY], {}

    # PostHog refuses, and repeats what it was sent as badly as it can.
    echoes = [PASSWORD, json.dumps(DEEP), quote(PASSWORD, safe=""), base64.b64encode(f"u:{PASSWORD}".encode()).decode()]
    said = {"message": f"no access with {' '.join(echoes)} and \x1b[31m{KEY}"}
    rule = {"match": {"method": "POST", "path": "external_data_sources"}, "do": "status", "status": 400, "json": said}
    posthog.control("PUT", "faults", rule)
    events = str(Path(stack.folder) / "events.json")
    failed = stack.up("--event-log", events, *LOGS, ok=False, PULUMI_DEBUG_COMMANDS="1")
    assert failed.code != 0
    assert "no access with [secret] " in failed.output
    printed["failed up"] = failed.output
    posthog.control("DELETE", "faults")

    printed["up"] = stack.up(*LOGS).output
    assert posthog.one("external_data_sources")["prefix"] == "shop_"
    stack.config({"shop:description": "The shop."})
    printed["preview"] = stack.preview().output
    printed["preview --json"] = json.dumps(stack.steps("--diff"))
    printed["second up"] = stack.up().output
    printed["refresh"] = stack.refresh(*LOGS).output
    export = stack.export()
    printed["history"] = stack.pulumi("stack", "history", "--json").output
    sources = [item for item in export["deployment"]["resources"] if item["type"].endswith(":ExternalDataSource")]
    printed["__provider"] = json.dumps([_unpacked(item["outputs"]["__provider"]) for item in sources])
    (stack.folder / "__main__.py").unlink()

    found = {name: found_in(_without_dumps(text), secrets) for name, text in printed.items()}
    assert {name: where for name, where in found.items() if where} == {}
    assert found_below(stack.folder, secrets) == []


def _without_dumps(text: str) -> str:
    """The text without the engine's dump of every value that it hands to any provider; docs/secrets.md warns of it."""
    return "\n".join(line for line in text.splitlines() if "arshaling property for RPC[" not in line)


def _unpacked(provider: object) -> str:
    return base64.b64decode(str(provider)).decode("latin-1")
