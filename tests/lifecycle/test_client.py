"""`Client` against the local PostHog: the rules of the resources, without a program, an engine or a state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pulumi_posthog import (
    AlreadyExists,
    Changed,
    Client,
    ExternalDataSourceInfo,
    Incomplete,
    InsightVariableInfo,
    Invalid,
    MissingScope,
    NoAccess,
    NotFound,
    PostgresConnection,
    PostHogError,
    ProjectNotFound,
    SavedQueryInfo,
    SavedQuerySummary,
    Schema,
    StripeAuth,
    StripeConnection,
    Unauthenticated,
    Unavailable,
)
from pulumi_posthog._functions_core import looking_up
from pulumi_posthog_provider.registry import declarations
from support.documentation import program
from support.posthog import KEY, PostHog

SQL = "SELECT distinct_id AS person FROM events"
PASSWORD = "local-password"
SHOP = PostgresConnection(host="postgres.local", database="shop", user="posthog", password=PASSWORD, schema="public")
NOBODY = "00000000-0000-4000-8000-000000000000"

Clients = Callable[..., Client]


@pytest.fixture
def clients(posthog: PostHog) -> Iterator[Clients]:
    """Makes clients of environment 1 with a key that may do everything unless told otherwise."""
    made: list[Client] = []

    def make(key: str = KEY, environment: str | int = 1) -> Client:
        made.append(Client(host=posthog.url, environment_id=environment, api_key=key, rate_limit_wait=0))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(clients: Clients) -> Client:
    return clients()


@pytest.fixture
def shop(client: Client) -> ExternalDataSourceInfo:
    """A source with two synced tables."""
    tables = {"orders": Schema(sync_frequency="24hour"), "products": {"sync_type": "full_refresh"}}
    return client.external_data_sources.create(connection=SHOP, prefix="shop_", schemas=tables)


def _calls(posthog: PostHog) -> list[tuple[str, str]]:
    log = posthog.control("GET", "requests")["requests"]
    return [(item["method"], str(item["path"]).split("/1/", 1)[-1].rstrip("/")) for item in log]


PAGE = {
    *(("insight_variables", verb) for verb in ("GET", "POST", "GET id", "PATCH id", "DELETE id")),
    *(
        ("warehouse_saved_queries", verb)
        for verb in ("GET", "POST", "GET id", "PATCH id", "DELETE id", "GET id/activity")
    ),
    *(("external_data_sources", verb) for verb in ("GET", "POST", "GET id", "PATCH id", "DELETE id")),
    *(("external_data_sources", f"GET {name}") for name in ("connections", "wizard", "id/webhook_info")),
    *(("external_data_sources", f"POST {name}") for name in ("database_schema", "source_prefix")),
    *(("external_data_sources", f"POST {name}") for name in ("check_cdc_prerequisites", "id/update_webhook_inputs")),
    *(("external_data_schemas", verb) for verb in ("GET", "GET id", "PATCH id")),
}
"""Every endpoint of PostHog's API page for these objects. PUT replaces what PATCH changes, and is not used."""


def test_every_endpoint_of_the_page_is_reachable(
    client: Client, shop: ExternalDataSourceInfo, posthog: PostHog
) -> None:
    variable = client.insight_variables.create(name="V", type="String")
    view = client.saved_queries.create(name="v", query=SQL)
    client.insight_variables.update(variable, name="W")
    client.saved_queries.update(view, description="x")
    client.external_data_sources.update(shop, description="x")
    sources, tables = client.external_data_sources, client.external_data_schemas
    for calls in (client.insight_variables, client.saved_queries, sources, tables):
        assert list(calls.list())
    tables.update(tables.get(next(tables.list()).id).id, sync_frequency="1hour")
    list(client.saved_queries.activity(view.id))
    sources.connections(), sources.wizard(), sources.webhook_info(shop.id), sources.database_schema(SHOP)
    sources.check_source_prefix("Stripe"), sources.check_cdc_prerequisites(SHOP)
    with pytest.raises(Invalid):  # this type has no webhook
        sources.update_webhook_inputs(shop.id, {"signing_secret": "whsec"})
    for made in (client.insight_variables, variable), (client.saved_queries, view), (sources, shop):
        made[0].delete(made[1].id)
    seen = set()
    for method, path in _calls(posthog):
        collection, *rest = path.split("?")[0].split("/")
        seen.add((collection, " ".join([method, "/".join("id" if "-" in part else part for part in rest)]).strip()))
    assert PAGE - seen == set()


# ---- create, read, update, delete ---------------------------------------------------------------------------------


def test_a_variable_through_its_life(client: Client, posthog: PostHog) -> None:
    made = client.insight_variables.create(name=" Region ", type="List", values=["a", 1], default_value="a")
    assert (made.name, made.code_name, made.values, made.default_value) == ("Region", "region", ["a", "1"], "a")
    assert client.insight_variables.get(made.id) == made
    assert client.insight_variables.find(code_name="region") == made
    assert client.insight_variables.find(code_name="other") is None

    changed = client.insight_variables.update(made.id, name="Area", default_value=None)
    assert (changed.name, changed.code_name, changed.default_value, changed.values) == (
        "Area",
        "region",
        None,
        ["a", "1"],
    )
    assert posthog.one("insight_variables")["name"] == "Area"

    client.insight_variables.delete(made.id)
    client.insight_variables.delete(made.id)
    assert posthog.objects("insight_variables") == []


def test_a_view_through_its_life(client: Client, posthog: PostHog) -> None:
    made = client.saved_queries.create(name="people", query=SQL, description="Everybody.", folder="Marts")
    assert isinstance(made, SavedQueryInfo)
    assert (made.query, made.description, made.folder, made.materialized) == (SQL, "Everybody.", "Marts", False)
    assert client.saved_queries.find(name="people") == made

    changed = client.saved_queries.update(made.id, materialized=True, sync_frequency="6hour")
    assert (changed.materialized, changed.sync_frequency, changed.description) == (True, "6hour", "Everybody.")
    changed = client.saved_queries.update(made.id, query=f"{SQL} LIMIT 5", description=None)
    assert (changed.query, changed.description, changed.sync_frequency) == (f"{SQL} LIMIT 5", None, "6hour")

    client.saved_queries.delete(made.id)
    assert posthog.objects("warehouse_saved_queries") == []


def test_a_source_through_its_life(client: Client, shop: ExternalDataSourceInfo, posthog: PostHog) -> None:
    assert (shop.source_type, shop.prefix, shop.connection["host"]) == ("Postgres", "shop_", "postgres.local")
    assert shop.schemas is not None
    assert {name: table["sync_frequency"] for name, table in shop.schemas.items()} == {
        "orders": "24hour", "products": "6hour",
    }  # fmt: skip
    assert PASSWORD not in repr((shop.as_dict(), shop))
    assert client.external_data_sources.find(source_type="Postgres", prefix="shop_") == shop
    assert client.external_data_sources.find(source_type="Postgres") is None

    assert client.external_data_sources.update(shop.id, description="The shop.").description == "The shop."
    client.external_data_sources.delete(shop.id)
    assert posthog.objects("external_data_sources") == []


def test_an_update_of_one_thing_sends_one_thing(client: Client, shop: ExternalDataSourceInfo, posthog: PostHog) -> None:
    posthog.control("DELETE", "requests")
    client.external_data_sources.update(shop.id, description="The shop.")
    log = posthog.control("GET", "requests")["requests"]
    assert [item["body"] for item in log if item["method"] == "PATCH"] == [{"description": "The shop."}]
    posthog.control("DELETE", "requests")
    client.external_data_sources.update(shop.id, description="The shop.")
    assert {method for method, _ in _calls(posthog)} == {"GET"}


def test_only_the_named_tables_and_their_named_settings_change(client: Client, shop: ExternalDataSourceInfo) -> None:
    cursor = {"sync_type": "incremental", "incremental_field": "id", "incremental_field_type": "integer"}
    client.external_data_sources.update(shop.id, schemas={"orders": cursor})
    changed = client.external_data_sources.update(shop.id, schemas={"orders": {"sync_frequency": "1hour"}})
    assert changed.schemas is not None
    assert changed.schemas["orders"].items() >= {**cursor, "sync_frequency": "1hour", "should_sync": True}.items()
    assert shop.schemas is not None
    assert changed.schemas["products"] == shop.schemas["products"]


def test_a_new_host_is_sent_with_the_password(client: Client, shop: ExternalDataSourceInfo) -> None:
    replica = {"host": "replica.local", "port": 5432, "database": "shop", "user": "posthog", "password": PASSWORD}
    changed = client.external_data_sources.update(shop.id, connection={**replica, "schema": "public"})
    assert changed.connection["host"] == "replica.local"


def test_made_again_it_is_the_same(client: Client, posthog: PostHog) -> None:
    first = client.saved_queries.create(name="people", query=SQL)
    assert client.saved_queries.create(name="people", query=SQL) == first
    assert posthog.one("warehouse_saved_queries")["id"] == first.id


def test_a_colleagues_object_is_never_taken_over(client: Client, clients: Clients, posthog: PostHog) -> None:
    theirs = clients(key="phx_colleague").saved_queries.create(name="people", query=SQL)
    with pytest.raises(AlreadyExists, match=theirs.id):
        client.saved_queries.create(name="people", query="SELECT 1 AS one")
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == SQL


def test_fields_without_an_argument_are_sent_too(client: Client, posthog: PostHog) -> None:
    made = client.insight_variables.create(name="V", type="String", extra={"made_up": 1})
    client.insight_variables.update(made.id, extra={"made_up": 2})
    log = posthog.control("GET", "requests")["requests"]
    assert [item["body"].get("made_up") for item in log if item["method"] in ("POST", "PATCH")] == [1, 2]


def test_fields_that_posthog_tells_besides_are_kept(client: Client) -> None:
    assert client.saved_queries.create(name="people", query=SQL).extra["origin"] == "data_warehouse"


# ---- conflicts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["query", "description"])
def test_what_a_colleague_changed_since_it_was_read_is_not_overwritten(
    client: Client, clients: Clients, argument: str
) -> None:
    read = client.saved_queries.create(name="people", query=SQL, description="Everybody.")
    theirs = clients(key="phx_colleague").saved_queries.update(read.id, query="SELECT 1 AS one", description="Mine.")
    with pytest.raises(Changed, match=f"`{argument}` was changed"):
        client.saved_queries.update(read, query=SQL + " LIMIT 1") if argument == "query" else (
            client.saved_queries.update(read, description="Ours.")
        )
    assert client.saved_queries.get(read.id) == theirs


def test_what_a_colleague_changed_elsewhere_is_in_nobodys_way(client: Client, clients: Clients) -> None:
    read = client.saved_queries.create(name="people", query=SQL)
    clients(key="phx_colleague").saved_queries.update(read.id, description="Mine.")
    changed = client.saved_queries.update(read, query="SELECT 1 AS one")
    assert (changed.query, changed.description) == ("SELECT 1 AS one", "Mine.")


def test_a_result_that_is_up_to_date_can_be_changed(client: Client, shop: ExternalDataSourceInfo) -> None:
    changed = client.external_data_sources.update(shop, schemas={"users": Schema()}, description="x", connection=SHOP)
    assert changed.schemas is not None
    assert changed.schemas["users"]["should_sync"] is True


# ---- lists --------------------------------------------------------------------------------------------------------


def test_a_list_goes_over_all_pages_as_far_as_it_is_read(client: Client, posthog: PostHog) -> None:
    for number in range(501):
        posthog.call("POST", "insight_variables/", {"name": f"v{number}", "type": "String"})
    posthog.control("DELETE", "requests")
    listed = client.insight_variables.list()
    assert next(listed).type == "String"
    assert len(_calls(posthog)) == 1
    assert len({item.code_name for item in listed}) == 500
    assert len(_calls(posthog)) == 2


def test_lists_of_views_and_sources_are_searched_by_posthog(client: Client, shop: ExternalDataSourceInfo) -> None:
    for name in ("daily_people", "daily_orders"):
        client.saved_queries.create(name=name, query=SQL)
    assert [view.name for view in client.saved_queries.list(search="PEOPLE daily")] == ["daily_people"]
    assert [source.id for source in client.external_data_sources.list(search="shop")] == [shop.id]
    assert list(client.external_data_sources.list(search="stripe")) == []


def test_a_list_of_variables_is_searched_here(client: Client) -> None:
    for name in ("Sales region", "Region", "Currency"):
        client.insight_variables.create(name=name, type="String")
    assert {item.name for item in client.insight_variables.list(search="region")} == {"Sales region", "Region"}
    assert [item.name for item in client.insight_variables.list(search="region,sales_")] == ["Sales region"]


def test_a_list_has_what_posthog_lists(client: Client, shop: ExternalDataSourceInfo) -> None:
    client.saved_queries.create(name="people", query=SQL, description="Everybody.")
    (view,) = client.saved_queries.list()
    assert type(view) is SavedQuerySummary
    assert (view.name, view.description) == ("people", "Everybody.")
    (source,) = client.external_data_sources.list()
    assert source.tables is not None
    assert shop.tables is not None
    assert source.tables["orders"]["id"] == shop.tables["orders"]["id"]


# ---- what is no create, read, update or delete ---------------------------------------------------------------------


def test_the_activity_of_a_view(client: Client) -> None:
    view = client.saved_queries.create(name="people", query=SQL)
    client.saved_queries.update(view.id, query="SELECT 1 AS one")
    newest, oldest = client.saved_queries.activity(view.id)
    assert (newest.activity, oldest.activity) == ("updated", "created")
    assert (newest.user_email, newest.user_first_name) == ("tester@posthog.local", "Tester")
    assert newest.changes[0]["field"] == "query"
    assert [entry.id for entry in client.saved_queries.activity(view.id, limit=1)] == [newest.id]
    client.saved_queries.delete(view.id)
    assert next(client.saved_queries.activity(view.id)).activity == "deleted"


def test_a_long_activity_is_read_page_by_page(client: Client, posthog: PostHog) -> None:
    view = client.saved_queries.create(name="people", query=SQL)
    for number in range(120):
        posthog.call("PATCH", f"warehouse_saved_queries/{view.id}/", {"name": f"people_{number}"})
    total = posthog.call("GET", f"warehouse_saved_queries/{view.id}/activity")["total_count"]
    assert total > 100
    assert len({entry.id for entry in client.saved_queries.activity(view.id)}) == total


def test_connections_are_the_sources_that_can_be_queried_where_they_are(
    client: Client, shop: ExternalDataSourceInfo
) -> None:
    assert client.external_data_sources.connections() == []
    client.external_data_sources.update(shop.id, direct_query_enabled=True)
    (connection,) = client.external_data_sources.connections()
    assert (connection.id, connection.source_type, connection.access_method) == (shop.id, "Postgres", "warehouse")


def test_the_wizard_tells_what_a_type_needs(client: Client) -> None:
    (stripe,) = client.external_data_sources.wizard(["Stripe"]).values()
    assert (stripe.name, stripe.release_status, stripe.supports_column_selection) == ("Stripe", "ga", False)
    assert stripe.fields[0]["name"] == "auth_method"
    assert {"Postgres", "Stripe"} <= set(client.external_data_sources.wizard())
    with pytest.raises(Invalid, match="Unknown source_type"):
        client.external_data_sources.wizard(["Stripes"])


@pytest.mark.parametrize(
    "given",
    [
        {"connection": SHOP},
        {
            "source_type": "Postgres",
            "connection": {
                "host": "postgres.local", "port": 5432, "database": "shop", "user": "posthog", "password": PASSWORD,
                "schema": "public",
            },
        },
    ],
    ids=["typed", "mapping"],
)  # fmt: skip
def test_the_tables_behind_a_connection(client: Client, given: dict[str, Any], posthog: PostHog) -> None:
    tables = {table.table: table for table in client.external_data_sources.database_schema(**given)}
    assert set(tables) == {"customers", "orders", "products", "users"}
    assert tables["customers"].detected_primary_keys == ("id",)
    assert [column["field"] for column in tables["customers"].available_columns] == ["id", "email", "updated_at"]
    assert posthog.objects("external_data_sources") == []


def test_the_prefix_of_a_source(client: Client, shop: ExternalDataSourceInfo) -> None:
    taken = client.external_data_sources.check_source_prefix(shop.source_type, shop.prefix)
    assert not taken.valid
    assert taken.errors[0].startswith("Another source of this type already uses the prefix 'shop_'")
    assert client.external_data_sources.check_source_prefix("Postgres", "other_").errors == ()


def test_the_prerequisites_of_change_data_capture(client: Client) -> None:
    assert client.external_data_sources.check_cdc_prerequisites(SHOP, tables=["orders"]).valid
    missing = client.external_data_sources.check_cdc_prerequisites(SHOP, tables=["nothing"])
    assert not missing.valid
    assert "nothing" in missing.errors[0]
    with pytest.raises(Invalid, match="only supported for CDC"):
        client.external_data_sources.check_cdc_prerequisites(
            StripeConnection(auth_method=StripeAuth(stripe_secret_key="sk_1"))
        )


def test_the_webhook_of_a_source(client: Client, shop: ExternalDataSourceInfo, posthog: PostHog) -> None:
    scripted = {"source_type": "Stripe", "credentials": {"auth_method.stripe_secret_key": "sk_sentinel"}}
    posthog.control("PUT", "vendors", [*posthog.control("GET", "vendors"), scripted])
    assert not client.external_data_sources.webhook_info(shop.id).supports_webhooks
    connection = StripeConnection(auth_method=StripeAuth(stripe_secret_key="sk_sentinel"))
    stripe = client.external_data_sources.create(
        connection=connection,
        schemas={"Charge": {"sync_type": "webhook"}},
        webhook_inputs={"signing_secret": "whsec_1"},
    )
    info = client.external_data_sources.webhook_info(stripe.id)
    assert (info.supports_webhooks, info.exists, info.inputs) == (True, True, {"signing_secret": {"secret": True}})
    client.external_data_sources.update_webhook_inputs(stripe.id, {"signing_secret": "whsec_sentinel"})
    client.external_data_sources.update(stripe.id, webhook_inputs={"signing_secret": "whsec_3"})
    with pytest.raises(Invalid, match="Invalid input keys: wrong") as caught:
        client.external_data_sources.update_webhook_inputs(stripe.id, {"wrong": "whsec_sentinel"})
    assert "sentinel" not in str(caught.value)


def test_the_tables_of_all_sources(client: Client, shop: ExternalDataSourceInfo) -> None:
    assert {table.name for table in client.external_data_schemas.list()} == {"orders", "products"}
    (orders,) = client.external_data_schemas.list(search="orders")
    assert shop.tables is not None
    assert orders.id == shop.tables["orders"]["id"]
    complete = client.external_data_schemas.get(orders.id)
    assert complete.source is not None
    assert (complete.source["id"], complete.sync_frequency) == (shop.id, "24hour")
    changed = client.external_data_schemas.update(orders.id, sync_frequency="1hour")
    assert (changed.sync_frequency, changed.sync_type) == ("1hour", "full_refresh")
    cursor = client.external_data_schemas.update(
        orders.id, sync_type="incremental", incremental_field="updated_at", incremental_field_type="timestamp"
    )
    assert cursor.incremental_field == "updated_at"
    # Such a setting is taken only together with the sync type (contract 6.3).
    assert (
        client.external_data_schemas.update(orders.id, incremental_field_lookback_seconds=60).sync_type == "incremental"
    )


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c: c.insight_variables.create(name="", type="Text"), "name: must not be empty; type: must be one of String"),
        (lambda c: c.saved_queries.create(name="1st", query=SQL), "name: may hold letters"),
        (
            lambda c: c.external_data_sources.create(connection=SHOP, schemas={"orders": {"sync_type": "inc"}}),
            'schemas["orders"].sync_type: must be one of full_refresh',
        ),
        (
            lambda c: c.external_data_sources.create(source_type="Postgres", connection={"host": "h"}),
            "connection.database: is required",
        ),
        (lambda c: c.external_data_sources.database_schema({"host": "h"}), "source_type: is required"),
        (lambda c: c.external_data_sources.database_schema({}, source_type="Postgres"), "connection.host: is required"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_told_by_its_path_and_nothing_is_sent(
    client: Client, posthog: PostHog, call: Callable[[Client], Any], told: str
) -> None:
    posthog.control("DELETE", "requests")
    with pytest.raises(Invalid) as caught:
        call(client)
    assert told in str(caught.value)
    assert _calls(posthog) == []


def test_a_wrong_change_is_told_by_its_path_and_nothing_is_changed(
    client: Client, shop: ExternalDataSourceInfo, posthog: PostHog
) -> None:
    variable = client.insight_variables.create(name="V", type="String", default_value="text")
    posthog.control("DELETE", "requests")
    with pytest.raises(Invalid, match="default_value: must be a number"):
        client.insight_variables.update(variable.id, type="Number")
    with pytest.raises(Invalid, match=r'schemas\["orders"\].sync_frequency: must be one of'):
        client.external_data_sources.update(shop.id, schemas={"orders": {"sync_frequency": "1minute"}})
    with pytest.raises(Invalid, match="prefix: cannot be changed in place"):
        client.external_data_sources.update(shop.id, prefix="other_")
    with pytest.raises(Invalid, match="incremental_field: is required"):
        client.external_data_schemas.update(shop.tables["orders"]["id"] if shop.tables else "", sync_type="append")
    assert {method for method, _ in _calls(posthog)} == {"GET"}


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.insight_variables.get(NOBODY),
        lambda c: c.saved_queries.get("no-id-at-all"),
        lambda c: c.saved_queries.update(NOBODY, name="x"),
        lambda c: next(c.saved_queries.activity(NOBODY)),
        lambda c: c.external_data_sources.webhook_info(NOBODY),
        lambda c: c.external_data_schemas.get(NOBODY),
        lambda c: c.external_data_schemas.update(NOBODY, should_sync=False),
    ],
)
def test_what_is_not_there_is_not_found(client: Client, call: Callable[[Client], Any]) -> None:
    with pytest.raises(NotFound):
        call(client)


_READS: dict[str, Callable[[Client], Any]] = {
    "get": lambda c: c.saved_queries.get(NOBODY),
    "find": lambda c: c.insight_variables.find(code_name="x"),
    "list": lambda c: list(c.external_data_sources.list()),
    "wizard": lambda c: c.external_data_sources.wizard(),
    "tables": lambda c: list(c.external_data_schemas.list()),
    "activity": lambda c: list(c.saved_queries.activity(NOBODY)),
    "schema": lambda c: c.external_data_sources.database_schema(SHOP),
}


@pytest.mark.parametrize("call", _READS.values(), ids=_READS)
@pytest.mark.parametrize(
    ("key", "environment", "error"),
    [
        ("phx_sentinel", 1, Unauthenticated),
        ("phx_only_two", 1, NoAccess),
        (KEY, 999, ProjectNotFound),
    ],
    ids=["wrong key", "no access", "no such environment"],
)
def test_a_wrong_key_and_a_wrong_environment_have_their_own_errors(
    clients: Clients, call: Callable[[Client], Any], key: str, environment: int, error: type[PostHogError]
) -> None:
    with pytest.raises(error) as caught:
        call(clients(key, environment))
    assert "sentinel" not in str(caught.value)
    assert "pulumi up" not in str(caught.value)


def test_a_missing_scope_is_named(clients: Clients) -> None:
    with pytest.raises(MissingScope, match="insight_variable:write") as caught:
        clients("phx_reader").insight_variables.create(name="V", type="String")
    assert "pulumi" not in caught.value.hint


def test_what_was_made_in_part_is_told_and_can_be_found(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("PostHog is unavailable (503)")

    with monkeypatch.context() as patch:
        patch.setattr(declarations()["SavedQuery"], "after_create", fail)
        with pytest.raises(
            Incomplete, match=r"is not finished: PostHog is unavailable \(503\). Look it up with `find`"
        ):
            client.saved_queries.create(name="people", query=SQL)
    assert client.saved_queries.find(name="people") is not None


@pytest.mark.parametrize("given", [{}, {"id": NOBODY, "name": "x"}, {"prefix": "p_"}], ids=["none", "both", "a part"])
def test_the_functions_want_an_id_or_a_whole_natural_key(client: Client, given: dict[str, str]) -> None:
    kind: Any = client.external_data_sources if "prefix" in given else client.saved_queries
    with pytest.raises(Invalid, match="is needed"):
        looking_up(kind)(**given)


def test_a_refused_password_is_in_no_error(client: Client) -> None:
    wrong = PostgresConnection(host="postgres.local", database="shop", user="posthog", password="sentinel-password")
    for call in (client.external_data_sources.database_schema, client.external_data_sources.check_cdc_prerequisites):
        with pytest.raises(Invalid) as caught:
            call(wrong)
        assert "sentinel" not in str(caught.value)


# ---- settings -----------------------------------------------------------------------------------------------------


def test_the_current_environment_is_looked_up_once(clients: Clients, posthog: PostHog) -> None:
    client = clients(environment="@current")
    assert client.insight_variables.create(name="V", type="String") == client.insight_variables.find(code_name="v")
    assert client.environment_id == "2"
    assert len([path for _, path in _calls(posthog) if path.endswith("@current")]) == 1


def _script(text: str, posthog: PostHog) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "", "POSTHOG_HOST": posthog.url, "POSTHOG_PROJECT_ID": "1", "POSTHOG_API_KEY": KEY}
    return subprocess.run([sys.executable, "-c", text], env=environ, capture_output=True, text=True, check=False)


@pytest.mark.feature(73)
def test_a_script_needs_no_program_and_no_engine(posthog: PostHog) -> None:
    script = """
from pulumi_posthog import Client
with Client() as client:
    made = client.insight_variables.create(name="Region", type="String")
    assert made == client.insight_variables.get(made.id)
"""
    done = _script(script, posthog)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert posthog.one("insight_variables")["name"] == "Region"


def test_the_documentation_runs(posthog: PostHog) -> None:
    done = _script(program("docs/client.md"), posthog)
    assert (done.returncode, done.stderr) == (0, "")
    assert "`query` was changed in PostHog since it was read" in done.stdout
    assert "values[1]" in done.stdout


def test_results_are_typed_and_frozen(client: Client) -> None:
    made = client.insight_variables.create(name="V", type="String")
    assert type(made) is InsightVariableInfo
    with pytest.raises(AttributeError, match="frozen"):
        made.name = "W"  # type: ignore[misc]


@pytest.mark.parametrize("version", ["N", "M", "S"])
def test_tables_are_changed_whatever_posthog_knows(
    client: Client, shop: ExternalDataSourceInfo, posthog: PostHog, version: str
) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    (orders,) = [table for table in client.external_data_schemas.list() if table.name == "orders"]
    client.external_data_schemas.update(orders.id, should_sync=False)
    client.external_data_sources.update(shop.id, schemas={"orders": Schema(sync_frequency="1hour")})
    tables = {table.name: table for table in client.external_data_schemas.list()}
    assert (tables["orders"].sync_frequency, tables["orders"].should_sync) == ("1hour", False)
    change = {"full_refresh_interval_days": 7}
    if version == "N":
        assert client.external_data_schemas.update(tables["orders"].id, **change).full_refresh_interval_days == 7
        return
    with pytest.raises(Invalid, match="this PostHog does not know `full_refresh_interval_days`"):
        client.external_data_schemas.update(tables["orders"].id, **change)
    with pytest.raises(
        Invalid, match=r"this PostHog does not know `schemas\[\"orders\"\]\.full_refresh_interval_days`"
    ):
        client.external_data_sources.update(shop.id, schemas={"orders": Schema(**change)})


@pytest.mark.parametrize("version", ["N", "M", "S"])
def test_none_is_the_default_of_every_posthog(
    client: Client, shop: ExternalDataSourceInfo, posthog: PostHog, version: str
) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    variable = client.insight_variables.create(name="V", type="List", values=["a"])
    view = client.saved_queries.create(name="v", query=SQL)
    client.insight_variables.update(variable.id, values_query=None, is_multi=None)
    client.saved_queries.update(view.id, description=None, incremental=None)
    client.external_data_sources.update(shop.id, direct_query_enabled=None)


@pytest.mark.parametrize("off", [None, False])
def test_a_view_is_computed_at_every_read_again(client: Client, off: bool | None) -> None:
    view = client.saved_queries.create(name="v", query=SQL, materialized=True)
    assert client.saved_queries.get(view.id).is_materialized
    assert not client.saved_queries.update(view.id, materialized=off).is_materialized


def test_no_tables_are_none_to_change(client: Client, shop: ExternalDataSourceInfo) -> None:
    assert client.external_data_sources.update(shop.id, schemas=None).schemas == shop.schemas


def test_a_prefix_that_cannot_be_is_told_without_asking(client: Client, posthog: PostHog) -> None:
    posthog.control("DELETE", "requests")
    assert client.external_data_sources.check_source_prefix("Postgres", "b-d").errors == (
        "prefix: may hold letters, digits and '_' only, and must not begin with a digit",
    )
    assert _calls(posthog) == []


def test_a_taken_name_is_told_without_words_of_stacks(client: Client) -> None:
    client.saved_queries.create(name="v", query=SQL)
    with pytest.raises(AlreadyExists, match="look that object up with `find`") as caught:
        client.saved_queries.create(name="v", query=f"{SQL} WHERE true")
    assert not {"stack", "adopt", "aliases"} & set(str(caught.value).replace("`", " ").split())
