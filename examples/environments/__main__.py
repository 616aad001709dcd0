"""One program for three environments: a variable, a source, and two views on its tables."""

import pulumi
from settings import Settings

from pulumi_posthog import ExternalDataSource, InsightVariable, PostgresConnection, SavedQuery, Schema

settings = Settings.read()

region = InsightVariable(
    "region",
    name="Region",
    type="List",
    values=settings.regions,
    default_value=settings.regions[0],
)

shop = ExternalDataSource(
    "shop",
    prefix="shop_",
    description="The shop's own database.",
    connection=PostgresConnection(
        host=settings.database_host,
        database="shop",
        user=settings.database_user,
        password=settings.database_password,
        schema="public",
    ),
    schemas={
        "customers": Schema(sync_frequency=settings.sync_frequency),
        "orders": Schema(
            sync_type="incremental",
            incremental_field="id",
            incremental_field_type="integer",
            sync_frequency=settings.sync_frequency,
        ),
    },
    wait_for_first_sync=3600,  # a view on a table is refused until the table is there
    opts=pulumi.ResourceOptions(protect=settings.protect_source),  # what it synced would go with it
)

# The views may stand in any order: each is made after what its SQL reads.
SavedQuery(
    "top-customers",
    name="top_customers",
    description="The customers with the most revenue.",
    query="SELECT customer, revenue FROM revenue_per_customer ORDER BY revenue DESC LIMIT 100",
)

SavedQuery(
    "revenue-per-customer",
    name="revenue_per_customer",
    description="What each customer paid so far.",
    query="""
        SELECT customers.email AS customer, sum(orders.total) AS revenue
        FROM postgres.shop.orders AS orders
        JOIN postgres.shop.customers AS customers ON customers.id = orders.customer_id
        GROUP BY customer
    """,
    materialized=settings.store_revenue,
)

pulumi.export("environment", region.environment_id)
pulumi.export("source", shop.id)
