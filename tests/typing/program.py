"""A user's program that strict type checkers accept; each line marked `expect` they must refuse."""

import pulumi

from pulumi_posthog import (
    AlreadyExists,
    ExternalDataSource,
    InsightVariable,
    PostgresConnection,
    PostHogError,
    Provider,
    SavedQuery,
    Schema,
)

config = pulumi.Config()
eu = Provider("eu", host="https://eu.posthog.com", environment_id=1, api_key=config.require_secret("key"))
variable = InsightVariable("v", pulumi.ResourceOptions(provider=eu), name="V", type="Number", default_value=5)
view = SavedQuery("view", name="view", query=variable.code_name.apply(lambda name: f"SELECT '{name}' AS name"))
source = ExternalDataSource(
    "source",
    connection=PostgresConnection(host=view.name, database="d", user="u", password=config.require_secret("password")),
    schemas={"users": Schema(sync_type="incremental"), "orders": {"sync_type": "full_refresh"}},
    prefix=pulumi.Output.from_input("p_"),
)
other = ExternalDataSource("other", source_type="Zendesk", connection={"subdomain": "acme", "api_key": "x"})
name: pulumi.Output[str] = view.name
environment: pulumi.Output[str] = source.environment_id
caught: type[PostHogError] = AlreadyExists

InsightVariable("v2", name="V", type="Text")  # expect
InsightVariable("v3", type="String")  # expect
SavedQuery("view2", name="view", query=5)  # expect
SavedQuery("view3", name="view", query="SELECT 1", describtion="x")  # expect
Schema(sync_type="incremantal")  # expect
PostgresConnection(host="h", database="d", user="u")  # expect
wrong: pulumi.Output[int] = view.name  # expect
