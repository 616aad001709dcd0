"""The program whose state is recorded for every release: every kind, and every way in which a state can differ."""

from __future__ import annotations

from typing import Any

from support.posthog import PostHog

PROGRAM = """
import pulumi
from pulumi_posthog import ExternalDataSource, InsightVariable, PostgresConnection, Provider, SavedQuery, Schema

connection = PostgresConnection(
    host="postgres.local",
    database="shop",
    user="posthog",
    password=pulumi.Config().require_secret("password"),
    schema="public",
)

InsightVariable("region", name="Region", type="List", values=["a", "b"], default_value="a")
InsightVariable("several", name="Several", type="List", values=["a", "b"], default_value=["a"], is_multi=True)
InsightVariable("limit", name="Limit", type="Number", default_value=2.5)
InsightVariable("adopted", name="Adopted", type="String", default_value="mine", adopt=True)
SavedQuery("people", name="people", query="SELECT distinct_id AS person FROM events", description="Everybody.")
SavedQuery(
    "daily", name="daily", query="SELECT count() AS n FROM events", sync_frequency="24hour", folder="Marts"
)
shop = ExternalDataSource(
    "shop",
    prefix="shop_",
    connection=connection,
    description="The shop.",
    schemas={
        "orders": Schema(sync_type="incremental", incremental_field="id", incremental_field_type="integer"),
        "users": Schema(sync_frequency="24hour"),
    },
    triggers={"again": "1"},
)
ExternalDataSource(
    "unfinished",
    pulumi.ResourceOptions(depends_on=[shop]),
    prefix="unfinished_",
    connection=connection,
    schemas={"orders": Schema(sync_frequency="1hour")},
)

# Environment 2, once by its number, once as the one that the key's user looks at.
two = Provider("two", environment_id="2")
current = Provider("current", environment_id="@current")
InsightVariable("in-two", pulumi.ResourceOptions(provider=two), name="In two", type="Boolean", default_value=True)
SavedQuery("in-current", pulumi.ResourceOptions(provider=current), name="in_current", query="SELECT 1 AS one")
"""

COLLECTIONS = {"insight_variables": "code_name", "warehouse_saved_queries": "name", "external_data_sources": "prefix"}
PASSWORD = "local-password"


def prepare(posthog: PostHog) -> None:
    """What is there before the program's first `up`: an object to adopt, and a fault that leaves a source unfinished."""
    posthog.call("POST", "insight_variables/", {"name": "Adopted", "type": "String", "default_value": "theirs"})
    bulk = {"method": "PATCH", "path": "external_data_sources/*/bulk_update_schemas"}
    posthog.control("PUT", "faults", {"match": bulk, "nth": 2, "do": "status", "status": 400, "json": {"detail": "no"}})


def ids(posthog: PostHog) -> dict[str, str]:
    """The ids of everything that the program makes, by a label that is the same in every run."""
    found: dict[str, str] = {}
    for environment in ("1", "2"):
        for collection, key in COLLECTIONS.items():
            for item in posthog.objects(collection, environment):
                found[f"{environment} {collection} {item[key]}"] = item["id"]
                rows: list[Any] = item.get("schemas") or []
                found |= {f"{environment} table {item[key]}{row['name']}": row["id"] for row in rows}
    return found
