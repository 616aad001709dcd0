"""A user's script and functions that strict type checkers accept; each line marked `expect` they must refuse."""

from collections.abc import Iterator
from typing import Any

import pulumi

from pulumi_posthog import (
    ActivityEntry,
    CheckResult,
    Client,
    InsightVariableInfo,
    PostgresConnection,
    Provider,
    SavedQueryInfo,
    SavedQuerySummary,
    Schema,
    SourceTypeInfo,
    TableInfo,
    check_source_prefix_output,
    get_database_schema,
    get_database_schema_output,
    get_insight_variable,
    get_saved_query_activity,
    get_saved_query_output,
    get_wizard_output,
    list_saved_queries,
)

connection = PostgresConnection(host="h", database="d", user="u", password="p")
with Client(host="https://eu.posthog.com", environment_id=1, api_key="phx_x", request_timeout=5) as client:
    variable: InsightVariableInfo = client.insight_variables.create(name="V", type="Number", default_value=5)
    found: InsightVariableInfo | None = client.insight_variables.find(code_name="v")
    code_name: str | None = variable.code_name
    view: SavedQueryInfo = client.saved_queries.get("id")
    query: str = client.saved_queries.update(view, query=view.query + " LIMIT 1", description=None).query
    listed: Iterator[SavedQuerySummary] = client.saved_queries.list(search="x")
    entries: list[ActivityEntry] = list(client.saved_queries.activity(view.id, limit=5))
    source = client.external_data_sources.create(
        connection=connection, prefix="p_", schemas={"users": Schema(), "orders": {"sync_type": "full_refresh"}}
    )
    stored: dict[str, Any] = source.connection
    client.external_data_sources.update(source.id, schemas={"users": {"sync_frequency": "1hour"}}, cdc=None)
    types: dict[str, SourceTypeInfo] = client.external_data_sources.wizard(["Stripe"])
    client.external_data_schemas.update("id", sync_type="append", incremental_field=None)
    tables: list[TableInfo] = client.external_data_sources.database_schema({"host": "h"}, source_type="Zendesk")

    client.insight_variables.create(name="V", type="Text")  # expect
    client.insight_variables.create(type="Number")  # expect
    client.insight_variables.update(variable.id, name=None)  # expect
    client.insight_variables.find(name="V")  # expect
    client.saved_queries.create(name="v", query="SELECT 1", describtion="x")  # expect
    client.saved_queries.update("id", sync_frequency="1minute")  # expect
    client.saved_queries.update(variable, query="SELECT 1")  # expect
    client.external_data_sources.update(source.id, allow_replace=True)  # expect
    client.feature_flags.get("id")  # expect
    variable.name = "W"  # expect
    wrong: str = client.saved_queries.find(name="v").query  # expect
    no_query: str = next(client.saved_queries.list()).query  # expect
Client("https://eu.posthog.com")  # expect

eu = Provider("eu", environment_id=1)
later = pulumi.Output.from_input("people")
plain: InsightVariableInfo = get_insight_variable(code_name="v", provider=eu)
output: pulumi.Output[SavedQueryInfo] = get_saved_query_output(name=later, provider=eu)
sql: pulumi.Output[str] = output.apply(lambda view: view.query)
names: list[str] = [view.name for view in list_saved_queries(search="x")]
log: list[ActivityEntry] = get_saved_query_activity(id="x")
wizard: pulumi.Output[dict[str, SourceTypeInfo]] = get_wizard_output(source_types=["Stripe", later])
prefix: pulumi.Output[CheckResult] = check_source_prefix_output(source_type="Postgres", prefix=later)
described: pulumi.Output[list[TableInfo]] = get_database_schema_output(connection=connection)
more: list[TableInfo] = get_database_schema(connection={"host": "h"}, source_type="Postgres")

get_insight_variable(code_name=later)  # expect
get_insight_variable(name="v")  # expect
get_saved_query_output(name=5)  # expect
get_saved_query_activity()  # expect
wrong_list: list[SavedQueryInfo] = list_saved_queries()  # expect
