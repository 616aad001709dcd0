"""The functions in a real program: plain and as outputs, in the stack's environment and in another one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import pulumi_posthog
from pulumi_posthog import Client, PostgresConnection, Schema
from support.documentation import program
from support.posthog import KEY, PostHog
from support.stack import Stack

from .conftest import Stacks

PROGRAM = """
    import pulumi
    from pulumi_posthog import *

    two = Provider("two", environment_id=2)
    region = get_insight_variable(code_name="region")
    made = SavedQuery("people", name="people", query=f"SELECT '{region.default_value}' AS region")
    read = get_saved_query_output(id=made.id)
    password = pulumi.Config().require_secret("password")
    shop = PostgresConnection(host="postgres.local", database="shop", user="posthog", password=password, schema="public")
    pulumi.export("theirs", get_saved_query(name="theirs", provider=two).query)
    pulumi.export("read", read.query)
    pulumi.export("whole", read.apply(lambda view: view.as_dict()))
    pulumi.export("log", get_saved_query_activity_output(id=made.id).apply(lambda log: [e.activity for e in log]))
    pulumi.export("names", list_saved_queries_output(provider=two).apply(lambda views: [view.name for view in views]))
    pulumi.export("tables", get_database_schema_output(connection=shop).apply(lambda found: [t.table for t in found]))

    # The rest, in both forms, each with an environment of its own.
    source = get_external_data_source(source_type="Postgres", prefix="shop_", provider=two)
    source_id = get_external_data_source_output(id=pulumi.Output.from_input(source.id), provider=two).id
    table = list_external_data_schemas(search="orders", provider=two)[0]
    checks = {"source_type": "Postgres", "prefix": "shop_", "provider": two}
    capture = {"connection": shop, "tables": ["orders"], "provider": two}
    plain = {"host": "postgres.local", "port": 5432, "database": "shop", "user": "posthog", "schema": "public"}
    plain["password"] = "local-password"
    first = {"connection": plain, "source_type": "Postgres", "provider": two}
    pulumi.export("plain", [
        [item.code_name for item in list_insight_variables(search="reg", provider=two)],
        [item.name for item in list_saved_queries(search="theirs", provider=two)],
        [item.prefix for item in list_external_data_sources(provider=two)],
        get_external_data_schema(id=table.id, provider=two).name,
        [entry.activity for entry in get_saved_query_activity(id=get_saved_query(name="theirs", provider=two).id, provider=two)],
        [item.id for item in list_connections(provider=two)],
        list(get_wizard(source_types=["Stripe"], provider=two)),
        check_source_prefix(**checks).valid,
        [item.table for item in get_database_schema(**first)],
        check_cdc_prerequisites(**first, tables=["orders"]).valid,
        get_webhook_info(id=source.id, provider=two).exists,
    ])
    pulumi.export("outputs", pulumi.Output.unsecret(pulumi.Output.all(
        list_insight_variables_output(search="reg", provider=two).apply(lambda items: [item.code_name for item in items]),
        list_saved_queries_output(search="theirs", provider=two).apply(lambda items: [item.name for item in items]),
        list_external_data_sources_output(provider=two).apply(lambda items: [item.prefix for item in items]),
        get_external_data_schema_output(id=list_external_data_schemas_output(search="orders", provider=two).apply(
            lambda items: items[0].id), provider=two).name,
        get_saved_query_activity_output(id=get_saved_query_output(name="theirs", provider=two).id, provider=two).apply(
            lambda log: [entry.activity for entry in log]),
        list_connections_output(provider=two).apply(lambda items: [item.id for item in items]),
        get_wizard_output(source_types=["Stripe"], provider=two).apply(list),
        check_source_prefix_output(**checks).valid,
        get_database_schema_output(connection=shop, provider=two).apply(lambda found: [item.table for item in found]),
        check_cdc_prerequisites_output(**capture).valid,
        get_webhook_info_output(id=source_id, provider=two).exists,
    )))
    pulumi.export("variable", get_insight_variable_output(code_name="region", provider=two).default_value)
"""


def test_the_program_uses_every_function() -> None:
    names = {name for name in dir(pulumi_posthog) if name.startswith(("get_", "list_", "check_"))}
    assert {name for name in names if not re.search(rf"\b{name}\(", PROGRAM)} == set()


def _outputs(stack: Stack, *flags: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(stack.pulumi("stack", "output", "--json", *flags).output)
    return shown


def test_functions_in_a_program(stacks: Stacks, posthog: PostHog) -> None:
    query = {"kind": "HogQLQuery", "query": "SELECT 2 AS two"}
    posthog.call("POST", "insight_variables/", {"name": "Region", "type": "String", "default_value": "Europe"})
    posthog.call(
        "POST", "insight_variables/", {"name": "Region", "type": "String", "default_value": "Asia"}, environment="2"
    )
    posthog.call("POST", "warehouse_saved_queries/", {"name": "theirs", "query": query}, environment="2")
    connection = PostgresConnection(
        host="postgres.local", database="shop", user="posthog", password="local-password", schema="public"
    )
    with Client(host=posthog.url, environment_id=2, api_key=KEY) as client:
        client.external_data_sources.create(connection=connection, prefix="shop_", schemas={"orders": Schema()})
    stack = stacks(PROGRAM)
    stack.config({"tests:password": "local-password"}, secret=["tests:password"])

    assert "[unknown]" in stack.preview().output  # what is read of a view that is not made yet
    assert posthog.objects("warehouse_saved_queries") == []

    stack.up()
    whole, shown = _outputs(stack, "--show-secrets"), _outputs(stack)
    view = posthog.one("warehouse_saved_queries")
    assert whole["theirs"] == "SELECT 2 AS two"
    assert whole["read"] == shown["read"] == "SELECT 'Europe' AS region"
    assert (whole["whole"]["id"], whole["whole"]["name"]) == (view["id"], "people")
    assert whole["log"] == ["created"]
    assert whole["names"] == ["theirs"]
    assert whole["tables"] == ["customers", "orders", "products", "users"]
    assert shown["tables"] == "[secret]"
    tables = ["customers", "orders", "products", "users"]
    capture = whole["plain"][9]
    told = [["region"], ["theirs"], ["shop_"], "orders", ["created"], [], ["Stripe"], False, tables, capture, False]
    assert (whole["plain"], whole["outputs"], whole["variable"]) == (told, told, "Asia")
    assert "3 unchanged" in stack.up().output
    assert KEY not in json.dumps(stack.export())


def test_errors_of_functions_are_told_without_the_key(stacks: Stacks) -> None:
    stack = stacks(
        """
        from pulumi_posthog import get_saved_query
        get_saved_query(name="nobody")
        """
    )
    told = stack.preview(ok=False).output
    assert 'pulumi_posthog.NotFound: SavedQuery "nobody" could not be read: PostHog has no view with this name.' in told
    assert KEY not in told

    stack.program(
        """
        from pulumi_posthog import Provider, SavedQuery, get_saved_query
        made = SavedQuery("a", name="a", query="SELECT 1 AS one")
        later = Provider("later", environment_id=made.environment_id)
        get_saved_query(name="a", provider=later)
        """
    )
    told = stack.preview(ok=False).output
    assert "`environmentId` of the provider is an Output" in told
    assert "Use `get_saved_query_output`" in told


def test_an_error_of_an_output_form_fails_the_program(stacks: Stacks) -> None:
    stack = stacks(
        """
        from pulumi_posthog import get_insight_variable_output
        get_insight_variable_output(code_name="nothing")
        """
    )
    result = stack.preview(ok=False)
    assert result.code != 0
    assert "PostHog has no variable with this code name" in result.output


def test_the_documentation_runs(stacks: Stacks, posthog: PostHog) -> None:
    posthog.call("POST", "insight_variables/", {"name": "Region", "type": "String", "default_value": "Europe"})
    stack = stacks(program("docs/functions.md"))
    stack.up()
    shown = _outputs(stack)
    assert (shown["view"]["name"], shown["names"], shown["count"]) == ("people", [], 0)
    assert [column["name"] for column in shown["columns"]] == ["region"]


@pytest.mark.feature(62)
def test_what_the_same_program_makes_is_looked_up_when_it_is_made(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(
        """
        import pulumi
        from pulumi_posthog import InsightVariable, get_insight_variable_output
        made = InsightVariable("region", name="Region", type="Number", default_value=5)
        pulumi.export("same", get_insight_variable_output(code_name=made.code_name).id)
        """
    )
    assert [step["op"] for step in stack.steps()] == ["create"]
    stack.up()
    assert stack.export()["deployment"]["resources"][0]["outputs"]["same"] == posthog.one("insight_variables")["id"]
    assert stack.steps() == []
