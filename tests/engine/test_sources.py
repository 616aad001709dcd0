"""Sources through the real engine: what a user sees in preview, up and refresh."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import postgres_server
from support.posthog import PostHog
from support.stack import Stack, everything_written

from .conftest import Stacks

PASSWORD = "local-password"
CURSOR = 'sync_type="incremental", incremental_field="id", incremental_field_type="integer"'


def shop(schemas: str, more: str = "", *, host: str = "postgres.local", password: str = PASSWORD) -> str:
    """A program with one source."""
    return f"""
from pulumi_posthog import *

ExternalDataSource(
    "shop",
    connection=PostgresConnection(host="{host}", database="shop", user="posthog", password="{password}", schema="public"),
    schemas={{{schemas}}},
    {more}
)
"""


def changed(stack: Stack) -> dict[str, str]:
    """The one step of a preview: each changed path, and what happens to it."""
    (step,) = stack.steps()
    return {path: item["kind"] for path, item in step["detailedDiff"].items()}


def writes(posthog: PostHog) -> list[tuple[str, str]]:
    requests = posthog.control("GET", "requests")["requests"]
    return [(item["method"], item["path"].rstrip("/").split("/")[-1]) for item in requests if item["method"] != "GET"]


def tables(posthog: PostHog) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in posthog.one("external_data_sources")["schemas"]}


def in_clear(text: str, secret: str) -> bool:
    return secret in text or base64.b64encode(secret.encode()).decode() in text


@pytest.mark.feature(1, 7, 8, 9, 10, 11, 12, 13, 15, 22, 29, 39, 40, 41, 49, 51)
def test_tables_change_in_place_and_what_posthog_does_by_itself_is_no_change(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(shop(f'"orders": Schema({CURSOR}), "users": Schema()', 'new_tables="report"'))
    stack.up()
    source = posthog.one("external_data_sources")

    # Discovered tables and a status that moves are no change, and a shuffled program is none either.
    posthog.control("POST", "clock", {"sync_seconds": 3600})
    posthog.call("POST", f"external_data_sources/{source['id']}/refresh_schemas/")
    posthog.call("POST", f"external_data_sources/{source['id']}/reload/")
    assert posthog.one("external_data_sources")["status"] == "Running"
    stack.program(shop(f'"users": Schema(), "orders": Schema({CURSOR})', 'new_tables="report"'))
    assert stack.steps("--refresh") == []
    posthog.control("DELETE", "requests")
    assert "PostHog knows tables that `schemas` does not name: customers, products." in stack.refresh().output
    assert writes(posthog) == []

    # One table changed, one added, one dropped, and a trigger: shown path by path, one call for all tables.
    settings = 'sync_frequency="1hour", sync_time_of_day="03:30", enabled_columns=[]'
    stack.program(shop(f'"orders": Schema({CURSOR}, {settings}), "products": Schema()', 'triggers={"release": 1}'))
    assert changed(stack) == {
        "new_tables": "delete",
        "schemas.orders.enabled_columns": "add",
        "schemas.orders.sync_frequency": "add",
        "schemas.orders.sync_time_of_day": "add",
        "schemas.products": "add",
        "schemas.users": "delete",
        "triggers": "add",
    }
    before = tables(posthog)["users"]["table"]
    posthog.control("DELETE", "requests")
    told = stack.up().output
    assert "users will not be synced any more; what was synced stays." in told
    assert "warning:" not in told
    assert writes(posthog) == [("PATCH", "bulk_update_schemas"), ("POST", "reload")]
    after = tables(posthog)
    assert posthog.one("external_data_sources")["id"] == source["id"]
    assert (after["users"]["should_sync"], after["users"]["table"]) == (False, before)
    assert (after["orders"]["sync_frequency"], after["orders"]["enabled_columns"]) == ("1hour", [])
    assert after["orders"]["sync_time_of_day"] == "03:30:00"

    # A misspelt table: by default in the error of the update, with `live` in the preview.
    stack.program(shop(f'"orders": Schema({CURSOR}, {settings}), "product": Schema()', 'triggers={"release": 1}'))
    near = 'schemas["product"]'
    told = stack.up(ok=False).output
    assert near in told
    assert "did you mean products?" in told
    stack.config({"posthog:validate": "live"})
    assert (
        f"has a problem: {near}: the source has no such table; did you mean products?" in stack.preview(ok=False).output
    )

    # Deleted in PostHog: an update says so, a refresh takes it out, `up` makes it again, a destroy is fine with it.
    posthog.call("DELETE", f"external_data_sources/{source['id']}/")
    stack.program(shop('"orders": Schema()'))
    assert "it was deleted outside Pulumi. Run `pulumi refresh`, then `pulumi up` makes it" in stack.up(ok=False).output
    stack.refresh()
    stack.up()
    again = posthog.one("external_data_sources")
    assert again["id"] != source["id"]
    posthog.call("DELETE", f"external_data_sources/{again['id']}/")
    stack.destroy()
    assert stack.resources("ExternalDataSource") == []


CONNECTIONS = """
from pulumi_posthog import *

clock = InsightVariable("clock", name="Clock", type="String")
ExternalDataSource(
    "shop",
    prefix="shop_",
    connection=PostgresConnection(
        host=clock.created_at.apply(lambda _: "db.local"), database="shop", user="reader", password="{password}",
        ssh_tunnel=SshTunnel(
            host="ssh.local", auth=SshTunnelAuth(selection="keypair", username="u", private_key="tunnel-sentinel-key")
        ),
    ),
    schemas={{"public.orders": Schema()}},
)
ExternalDataSource(
    "service",
    source_type="ServiceNow",
    connection={{
        "instance_url": "https://acme.local",
        "auth_method": {{"selection": "basic", "username": "u", "password": "nested-sentinel-pass"}},
    }},
)
"""


@pytest.mark.feature(17, 18, 23, 25, 26, 27, 28, 54)
def test_secrets_are_hidden_everywhere_and_what_is_not_secret_is_compared(stacks: Stacks, posthog: PostHog) -> None:
    rows = posthog.control("GET", "vendors")[0]["tables"]
    postgres = {"source_type": "Postgres", "match": {}, "tables": rows}
    posthog.control("PUT", "vendors", [postgres, {"source_type": "ServiceNow", "match": {}}])
    stack = stacks(CONNECTIONS.format(password="first-sentinel"))
    assert "+ 4 to create" in stack.preview().output  # the host is not known yet
    stack.up()
    assert stack.steps("--refresh") == []

    # Edited in PostHog: the refresh shows both hosts, `up` sends the secrets with the old one.
    source = next(item for item in posthog.objects("external_data_sources") if item["source_type"] == "Postgres")
    secrets = {"password": "first-sentinel", "ssh_tunnel": {"auth": {"private_key": "tunnel-sentinel-key"}}}
    posthog.call("PATCH", f"external_data_sources/{source['id']}/", {"job_inputs": {"host": "evil.local", **secrets}})
    shown = stack.refresh().output
    assert '~ host: "db.local" => "evil.local"' in shown
    stack.program(CONNECTIONS.format(password="second-sentinel"))
    posthog.control("DELETE", "requests")
    shown += stack.up().output
    assert writes(posthog) == [("PATCH", source["id"])]
    live = posthog.call("GET", f"external_data_sources/{source['id']}/")
    assert (live["id"], live["job_inputs"]["host"]) == (source["id"], "db.local")
    assert stack.steps() == []

    stack.refresh()
    stack.export()
    (stack.folder / "__main__.py").unlink()  # the user's own text
    written = everything_written(stack.folder) + shown
    for secret in ("first-sentinel", "second-sentinel", "tunnel-sentinel-key", "nested-sentinel-pass"):
        assert not in_clear(written, secret), secret
    assert "acme.local" in written


@pytest.mark.feature(19, 50, 52, 53, 57, 58, 60)
def test_a_source_is_replaced_only_on_request_and_adopted_on_request(stacks: Stacks, posthog: PostHog) -> None:
    orders = '"orders": Schema()'
    stack = stacks(shop(orders, 'prefix="bad-prefix"'))
    assert "prefix: may hold letters, digits and '_' only" in stack.preview(ok=False).output
    stack.program(shop(orders, 'prefix="a_"'))
    stack.up()
    first = posthog.one("external_data_sources")["id"]

    stack.program(shop(orders, 'prefix="b_"'))
    told = stack.preview(ok=False).output
    assert "prefix: cannot be changed in place. A new source would be made, and the data synced so far would be" in told
    stack.program(shop(orders, 'prefix="b_", allow_replace=True'))
    told = stack.up().output
    assert "it is replaced, because of `prefix`: the data synced so far is dropped" in told
    assert posthog.one("external_data_sources")["id"] != first
    # The prefix stays, so the old one has to go first.
    stack.program(shop("", 'prefix="b_", access_method="direct", allow_replace=True').replace("schemas={},", ""))
    stack.up()
    assert posthog.one("external_data_sources")["access_method"] == "direct"
    stack.destroy()

    body = {"host": "postgres.local", "port": 5432, "database": "shop", "user": "posthog", "password": PASSWORD}
    rows = [{"name": "orders", "should_sync": True, "sync_type": "full_refresh"}]
    payload = {**body, "schema": "public", "schemas": rows}
    theirs = {"source_type": "Postgres", "prefix": "theirs_", "payload": payload}
    id = posthog.call("POST", "external_data_sources/", theirs, key="phx_colleague")["id"]
    stack.program(shop(orders, 'prefix="theirs_"'))
    assert f"exists already in PostHog (id {id}, made by colleague@posthog.local on" in stack.preview(ok=False).output
    stack.program(shop(orders, 'prefix="theirs_", adopt=True'))
    assert f"adopts {id}; nothing on it will change" in stack.preview().output
    stack.up()
    assert stack.steps("--refresh") == []
    stack.destroy()
    assert posthog.one("external_data_sources")["id"] == id


@pytest.mark.feature(14, 21)
def test_webhook_capture_and_the_first_sync(stacks: Stacks, posthog: PostHog) -> None:
    vendors = [{**vendor, "cdc": {"wal_level": "replica"}} for vendor in posthog.control("GET", "vendors")]
    stripe = {"source_type": "Stripe", "match": {}, "webhook": {"returns_secrets": False}}
    posthog.control("PUT", "vendors", [*vendors, stripe])
    webhook = """
ExternalDataSource(
    "stripe",
    connection=StripeConnection(auth_method=StripeAuth(stripe_secret_key="sk-sentinel")),
    schemas={{"Customer": Schema(sync_type="webhook"){tables}}},
    webhook_inputs={{{inputs}}},
    wait_for_first_sync=60,
)
"""
    stack = stacks(shop('"orders": Schema()') + webhook.format(inputs="", tables=""))
    refused = {"detail": "Try again.", "type": "validation_error", "code": "invalid_input", "attr": None}
    rule = {"match": {"method": "GET", "path": "external_data_sources/*/webhook_info"}, "do": "status", "status": 400}
    posthog.control("PUT", "faults", [{**rule, "json": refused}])

    # The second step of one fails: the source is kept and finished by the next `up`.
    told = stack.up().output
    assert "exists (" in told
    assert "is not finished: PostHog refused (400, Try again.). The next `pulumi up` finishes it." in told
    posthog.control("DELETE", "faults")
    told = stack.up().output
    assert len(posthog.objects("external_data_sources")) == 2
    (resource,) = [item for item in stack.resources("ExternalDataSource") if item["inputs"]["source_type"] == "Stripe"]
    assert resource["outputs"]["tables"]["Customer"]["name"] == "stripe_customer"
    assert resource["outputs"]["webhook_info"]["inputs"] == {}

    # A table joins the webhook, a secret comes in; capture is refused by the database, then turned on.
    joined = webhook.format(
        inputs='"signing_secret": "whsec-sentinel"', tables=', "Invoice": Schema(sync_type="webhook")'
    )
    captured = '"orders": Schema(sync_type="cdc"), "users": Schema()'
    stack.program(shop(captured, "cdc=Cdc()") + joined)
    told = stack.up(ok=False).output
    assert "CDC prerequisites not met. wal_level must be set to 'logical' (currently 'replica')." in told
    for vendor in vendors:
        vendor["cdc"] = {"wal_level": "logical"}
    posthog.control("PUT", "vendors", [*vendors, stripe])
    assert "warning:" not in stack.up().output
    stripe_id = resource["id"]
    info = posthog.call("GET", f"external_data_sources/{stripe_id}/webhook_info/")
    assert set(info["schema_mapping"]) == {"customer", "invoice"}
    assert info["inputs"] == {"signing_secret": {"secret": True}}
    assert stack.steps("--refresh") == []
    assert "sentinel" not in json.dumps(stack.export())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """An empty PostgreSQL cluster."""
    with postgres_server.folder() as path:
        yield postgres_server.initialize(path)


@pytest.mark.feature(14, 15, 17)
def test_a_real_postgresql_is_asked_in_preview_and_connected(stacks: Stacks, posthog: PostHog, cluster: Path) -> None:
    def program(port: int, schemas: str, password: str = postgres_server.PASSWORD) -> str:
        return f"""
from pulumi_posthog import *

ExternalDataSource(
    "shop",
    connection=PostgresConnection(
        host="127.0.0.1", port={port}, database="shop", user="posthog", password={password!r}, schema="public",
    ),
    schemas={{{schemas}}},
    cdc=Cdc(),
)
"""

    def populated(database: postgres_server.Postgres) -> None:
        database.run(
            "CREATE TABLE orders (id int PRIMARY KEY, total numeric, updated_at timestamptz)",
            "CREATE TABLE visits (at timestamptz)",
            "INSERT INTO orders SELECT n, n, now() FROM generate_series(1, 7) n",
            *(f"ALTER TABLE {name} OWNER TO posthog" for name in ("orders", "visits")),
        )

    with postgres_server.serve(cluster, "replica", wal_level="replica") as database:
        populated(database)
        stack = stacks(program(database.port, '"orders": Schema(sync_type="cdc"), "visit": Schema()'))
        stack.config({"posthog:validate": "live"})
        told = stack.preview(ok=False).output
        assert 'schemas["visit"]: the source has no such table; did you mean visits?' in told
        assert "cdc: wal_level must be set to 'logical' (currently 'replica')." in told
        stack.program(program(database.port, '"orders": Schema()', "not-the-password"))
        told = stack.preview(ok=False).output
        assert "password" in told
        assert "not-the-password" not in told
    with postgres_server.serve(cluster, "logical", wal_level="logical") as database:
        populated(database)
        stack.program(program(database.port, '"orders": Schema(sync_type="cdc"), "visits": Schema(sync_type="cdc")'))
        assert "no primary key" in stack.preview(ok=False).output
        stack.program(program(database.port, '"orders": Schema(sync_type="cdc"), "visits": Schema()'))
        assert "warning:" not in stack.up().output
        live = tables(posthog)
        assert [column["field"] for column in live["orders"]["available_columns"]] == ["id", "total", "updated_at"]
        assert live["orders"]["table"]["row_count"] == 7
        assert stack.steps("--refresh") == []
