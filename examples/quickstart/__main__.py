"""The quick start: one insight variable, two views (one reads the other) and a Postgres source with three tables."""

import pulumi

from pulumi_posthog import ExternalDataSource, InsightVariable, PostgresConnection, SavedQuery, Schema

config = pulumi.Config("posthog-quickstart")

region = InsightVariable(
    "region",
    name="Region",
    type="List",
    values=["Europe", "Americas", "Asia"],
    default_value="Europe",
)

active_people = SavedQuery(
    "active-people",
    name="active_people",
    description="Who did something, and when last.",
    query="""
        SELECT distinct_id AS person, max(timestamp) AS last_seen, count() AS events
        FROM events
        GROUP BY person
    """,
)

top_people = SavedQuery(
    "top-people",
    name="top_people",
    description="The people with the most events.",
    # That it reads active_people is seen from the SQL: no `depends_on` is needed, in whatever order they stand.
    query="SELECT person, events FROM active_people ORDER BY events DESC LIMIT 100",
)

shop = ExternalDataSource(
    "shop",
    prefix="shop_",
    description="The shop's own database.",
    connection=PostgresConnection(
        host="postgres.local",
        database="shop",
        user="posthog",
        password=config.require("databasePassword"),  # encrypted in state all the same
        schema="public",
    ),
    schemas={
        "customers": Schema(sync_type="incremental", incremental_field="id", incremental_field_type="integer"),
        "orders": Schema(sync_type="incremental", incremental_field="id", incremental_field_type="integer"),
        "products": Schema(sync_frequency="24hour"),
    },
)

pulumi.export("environment", region.environment_id)
pulumi.export("variable", region.code_name.apply(lambda name: f"{{variables.{name}}}"))
pulumi.export("views", [active_people.name, top_people.name])
pulumi.export("source", shop.id)
