"""Contract 9: what older PostHogs do otherwise. The other files are about the newest one, N."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from .harness import POSTGRES, Api, Running, error, invalid

V, W, S, T = "insight_variables/", "warehouse_saved_queries/", "external_data_sources/", "external_data_schemas/"
CONFLICT = invalid("The query was modified by someone else.")
CRASH = error("error", "A server error occurred.", type="server_error")
OTHER = {"kind": "HogQLQuery", "query": "select timestamp from events"}
STRIPE = {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"}}
TABLES = [{"name": "users", "should_sync": True, "sync_type": "full_refresh"}]
BOTH = pytest.mark.parametrize("version", ["S", "M"])


def message(text: str) -> dict[str, str]:
    return {"message": text}


def be(local: Api, version: str) -> None:
    assert local.ok("POST", "/__local/version", {"posthog_version": version}) == {"posthog_version": version}


def body(source_type: str = "Postgres", **changes: Any) -> dict[str, Any]:
    payload = STRIPE if source_type == "Stripe" else POSTGRES
    return {"source_type": source_type, "payload": {**payload, "schemas": TABLES}, **changes}


# -- choosing -----------------------------------------------------------------------------------


def test_switched_while_it_runs(local: Api) -> None:
    assert local.ok("GET", "/__local/version") == {"posthog_version": "N"}
    be(local, "S")
    assert local.ok("GET", "/__local/version") == {"posthog_version": "S"}
    assert local("POST", "/__local/version", {"posthog_version": "X"}).status_code == 400
    assert local("POST", "/__local/reset").status_code == 204
    assert local.ok("GET", "/__local/version") == {"posthog_version": "N"}


def test_by_the_seed(local: Api) -> None:
    seed = local.ok("GET", "/__local/seed")
    assert local("POST", "/__local/seed", {**seed, "posthog_version": "M"}).status_code == 204
    try:
        assert local.ok("GET", "/__local/version") == {"posthog_version": "M"}
        be(local, "N")
        assert local("POST", "/__local/reset").status_code == 204
        assert local.ok("GET", "/__local/version") == {"posthog_version": "M"}
    finally:
        assert local("POST", "/__local/seed", seed).status_code == 204
    assert local("POST", "/__local/seed", {**seed, "posthog_version": "X"}).status_code == 400


def test_by_the_command_line(tmp_path: Path) -> None:
    running = Running(tmp_path, "--posthog-version", "S")
    try:
        for _ in range(2):
            assert httpx.get(f"{running.url}/__local/version").json() == {"posthog_version": "S"}
            httpx.post(f"{running.url}/__local/reset").raise_for_status()
    finally:
        running.stop()


# -- insight variables --------------------------------------------------------------------------


@BOTH
def test_variables_have_no_queries(local: Api, version: str) -> None:
    be(local, version)
    made = local.variable(type="List", is_multi=None, values_query=5)
    absent = {"is_multi", "values_query", "values_query_connection_id"}
    assert not absent & made.keys()
    assert not absent & local.ok("GET", V)["results"][0].keys()


@BOTH
def test_list_elements_are_kept(local: Api, version: str) -> None:
    be(local, version)
    made = local.variable(type="List", values=[1, True, {"a": 1}], default_value=5)
    assert (made["values"], made["default_value"]) == ([1, True, {"a": 1}], 5)
    changed = local.ok("PATCH", f"{V}{made['id']}/", {"values": None})
    assert changed["values"] == []
    assert local.variable(name="Other", type="List")["values"] == []
    assert local.variable(name="Third", type="String")["values"] is None


# -- views: fields and names --------------------------------------------------------------------

NEWEST = {"incremental", "incremental_state", "has_incremental_history", "updated_at", "sync_frequency_bounds"}
NEWEST |= {"suspended", "is_incremental", "materialization_mode"}


@pytest.mark.parametrize(("version", "absent"), [("M", NEWEST), ("S", NEWEST | {"description"})])
def test_fields_of_views(local: Api, version: str, absent: set[str]) -> None:
    be(local, version)
    made = local.view("a", description="x")
    assert not absent & made.keys()
    (listed,) = local.ok("GET", f"{W}?include_columns=false")["results"]
    assert not absent & listed.keys()
    assert listed["columns"]
    be(local, "N")
    assert local.ok("GET", f"{W}{made['id']}/")["description"] == (None if version == "S" else "x")


@BOTH
def test_names_of_views(local: Api, version: str) -> None:
    be(local, version)
    local.view("a")
    local.view("b")
    path = f"{W}{local.view('c')['id']}/"
    local.refused("PATCH", path, {"name": "a"}, invalid("A table with this name already exists.", "name"))
    local.view("system.x")


@BOTH
def test_deleted_can_be_written(local: Api, version: str) -> None:
    be(local, version)
    made = local.view("a")
    path = f"{W}{made['id']}/"
    assert local.ok("PATCH", path, {"deleted": True})["deleted"] is True
    assert local("GET", path).status_code == 404
    assert local.ok("GET", W)["count"] == 0
    taken = invalid("A table with this name already exists.", "name")
    local.refused("PATCH", f"{W}{local.view('b')['id']}/", {"name": "a"}, taken)
    # The hidden upsert finds it, deleted as it is.
    assert local.ok("POST", W, {"name": "a"}, 200)["id"] == made["id"]


@BOTH
def test_dependents_are_not_named(local: Api, version: str) -> None:
    be(local, version)
    base = local.view("base")
    local.view("reader", "select event from base")
    expected = invalid("Cannot delete this view because other views depend on it. Delete or update those views first.")
    local.refused("DELETE", f"{W}{base['id']}/", None, expected)


# -- views: the conflict token ------------------------------------------------------------------


@BOTH
def test_the_token_is_an_entry_of_the_activity_log(local: Api, version: str) -> None:
    be(local, version)
    made = local.view("a")
    path = f"{W}{made['id']}/"
    (entry,) = local.ok("GET", f"{path}activity/")["results"]
    assert made["latest_history_id"] == entry["id"]
    renamed = local.ok("PATCH", path, {"name": "b"})
    assert (renamed["latest_history_id"] == made["latest_history_id"]) is (version == "M")
    for body in ({"query": OTHER}, {"query": made["query"]}, {"query": OTHER, "edited_history_id": str(uuid.uuid4())}):
        local.refused("PATCH", path, body, CONFLICT)
    sent = {"query": OTHER, "edited_history_id": renamed["latest_history_id"].upper()}
    local.refused("PATCH", path, sent, CONFLICT)  # compared as text
    changed = local.ok("PATCH", path, {"query": OTHER, "edited_history_id": renamed["latest_history_id"]})
    assert changed["latest_history_id"] != renamed["latest_history_id"]
    local.ok("PATCH", path, {"query": OTHER, "soft_update": True})


@BOTH
def test_only_the_oldest_token_is_spent_by_a_run(local: Api, version: str) -> None:
    be(local, version)
    path = f"{W}{local.view('a')['id']}/"
    before = local.ok("GET", path)["latest_history_id"]
    assert local("POST", f"{path}run/").status_code == 200
    assert (local.ok("GET", path)["latest_history_id"] == before) is (version == "M")


@BOTH
def test_a_token_on_create_crashes(local: Api, version: str) -> None:
    be(local, version)
    sent = {"name": "a", "query": OTHER, "edited_history_id": str(uuid.uuid4())}
    local.refused("POST", W, sent, CRASH, 500)
    assert local.ok("GET", W)["count"] == 0


@BOTH
def test_the_upsert_needs_the_token_for_any_query(local: Api, version: str) -> None:
    be(local, version)
    made = local.view("a")
    local.refused("POST", W, {"name": "a", "query": made["query"]}, CONFLICT)
    local.ok("POST", W, {"name": "a", "query": OTHER, "soft_update": True}, 200)


# -- views: cadence, DAGs, actions --------------------------------------------------------------


@BOTH
def test_the_cadence_only_by_patch(local: Api, version: str) -> None:
    be(local, version)
    made = local.view("a", sync_frequency="1hour")
    assert (made["sync_frequency"], made["is_materialized"]) == (None, False)
    path = f"{W}{made['id']}/"
    changed = local.ok("PATCH", path, {"sync_frequency": "1hour"})
    assert (changed["sync_frequency"], changed["is_materialized"], changed["status"]) == ("1hour", False, None)
    assert local.ok("POST", W, {"name": "a", "sync_frequency": "6hour"}, 200)["sync_frequency"] == "1hour"
    assert local("POST", f"{path}materialize/", {"sync_frequency": "never"}).status_code == 200
    assert local.ok("GET", path)["sync_frequency"] == "24hour"


@BOTH
@pytest.mark.parametrize("dag", ["x", str(uuid.UUID(int=9)), "00000000-0000-4000-8000-000000000002"])
def test_a_bad_dag_is_swallowed(local: Api, version: str, dag: str) -> None:
    be(local, version)
    local.view("a", dag_id=dag)


@BOTH
def test_actions_of_views(local: Api, version: str) -> None:
    be(local, version)
    path = f"{W}{local.view('a')['id']}/"
    assert local("POST", f"{path}resume/").status_code == 404
    assert local("POST", f"{W}check_incremental/", {"query": "select 1"}).status_code == 405
    detail = "This action does not support personal API key access"
    expected = error("permission_denied", detail, type="authentication_error")
    local.refused("POST", f"{W}resume_schedules/", {"view_ids": [str(uuid.uuid4())]}, expected, 403)
    local.refused("GET", f"{path}activity/?page=x", None, CRASH, 500)


# -- sources ------------------------------------------------------------------------------------


@BOTH
def test_schemas_must_be_given(local: Api, version: str) -> None:
    be(local, version)
    for schemas in (None, [], {"a": 1}):
        sent = {"source_type": "Postgres", "payload": {**POSTGRES, "schemas": schemas}}
        local.refused("POST", S, sent, message("Schemas not given"))


@BOTH
def test_prefixes(local: Api, version: str) -> None:
    be(local, version)
    local.ok("POST", S, body(prefix="p_"), 201)
    required = message("Source type already exists. Prefix is required")
    local.refused("POST", S, body(), required)
    local.refused("POST", f"{S}source_prefix/", {"source_type": "Postgres"}, required)
    local.refused("POST", S, body(prefix="p_"), message("Prefix already exists"))
    local.ok("POST", S, body(prefix="managed_warehouse"), 201)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("S", "Direct query mode is currently supported only for Postgres sources."),
        ("M", "Direct query mode is currently supported only for Postgres and MySQL sources."),
    ],
)
def test_direct_sources(local: Api, version: str, text: str) -> None:
    be(local, version)
    sent = {"source_type": "Snowflake", "access_method": "direct", "prefix": "x", "payload": {}}
    local.refused("POST", S, sent, message(text))
    made = local.ok("POST", S, body(access_method="direct", prefix="shop"), 201)
    enabled = local.ok("POST", S, body(direct_query_enabled=True), 201)
    expected = [{"id": made["id"], "prefix": "shop", "engine": "postgres"}]
    assert local.ok("GET", f"{S}connections/") == expected
    changed = local.ok("PATCH", f"{S}{enabled['id']}/", {"direct_query_enabled": True})
    assert "direct_query_enabled" not in changed
    assert local.ok("GET", f"{S}connections/") == expected


@BOTH
def test_what_is_not_checked_yet(local: Api, version: str) -> None:
    be(local, version)
    strange = {"name": "users", "sync_type": "strange"}
    local.ok("POST", S, {"source_type": "Postgres", "prefix": "a_", "payload": {**POSTGRES, "schemas": [strange]}}, 201)
    keyless = {
        "name": "events_log",
        "should_sync": True,
        "sync_type": "incremental",
        "incremental_field": "seen_at",
        "incremental_field_type": "timestamp",
    }
    local.ok("POST", S, {"source_type": "Postgres", "prefix": "b_", "payload": {**POSTGRES, "schemas": [keyless]}}, 201)


@BOTH
def test_a_schema_of_the_database_is_required(local: Api, version: str) -> None:
    be(local, version)
    sent = body()
    sent["payload"]["schema"] = ""
    local.refused("POST", S, sent, message("Invalid source config: Required field 'schema' is missing"))


@BOTH
def test_credentials_that_nobody_checked(local: Api, version: str) -> None:
    be(local, version)
    sent = {"source_type": "Klaviyo", "payload": {"api_key": "x"}}
    local.refused("POST", S, sent, message("Invalid credentials"))


@BOTH
def test_lists_and_searches(local: Api, version: str) -> None:
    be(local, version)
    made = local.ok("POST", S, body(prefix="p_"), 201)
    (listed,) = local.ok("GET", S)["results"]
    assert {"available_columns", "primary_key_columns"} <= listed["schemas"][0].keys()
    assert local.ok("GET", f"{S}?search=p_")["count"] == 0
    assert local.ok("GET", f"{S}?search={made['id']}")["count"] == 1
    assert len(local.ok("GET", f"{S}wizard/?source_type=Stripe")) > 100


@BOTH
def test_fields_of_schemas(local: Api, version: str) -> None:
    be(local, version)
    local.ok("POST", S, body(), 201)
    (listed,) = local.ok("GET", T)["results"]
    absent = {"full_refresh_interval_days", "full_refresh_time_of_day", "next_full_refresh_at", "row_filter_columns"}
    assert not absent & listed.keys()
    assert local("GET", f"{T}{listed['id']}/destinations/").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "in_m", "in_s"),
    [
        ("GET", "wizard/", 200, 200),
        ("GET", "connections/", 200, 200),
        ("GET", ":id/webhook_info/", 200, 200),
        ("GET", ":id/jobs/", 200, 200),
        ("POST", "check_cdc_prerequisites/", 400, 400),
        ("POST", ":id/create_webhook/", 400, 400),
        ("POST", ":id/delete_webhook/", 400, 400),
        ("POST", ":id/update_webhook_inputs/", 400, 400),
        ("GET", ":id/cdc_status/", 200, 404),
        ("POST", ":id/enable_cdc/", 200, 404),
        ("PATCH", ":id/bulk_update_schemas/", 400, 404),
        ("GET", ":id/destinations/", 404, 404),
        ("GET", "direct_connection_options/", 404, 404),
        ("GET", "connect_link/", 404, 404),
        ("GET", "stored_credentials/", 404, 404),
        ("POST", "setup/", 405, 405),
        ("POST", "store_credentials/", 405, 405),
        ("POST", "preview_resource/", 400, 405),
    ],
)
def test_actions_of_sources(local: Api, method: str, path: str, in_m: int, in_s: int) -> None:
    made = local.ok("POST", S, body(), 201)
    path = S + path.replace(":id", made["id"])
    for version, expected in (("S", in_s), ("M", in_m)):
        be(local, version)
        assert local(method, path, {} if method != "GET" else None).status_code == expected


@BOTH
def test_ownership_of_tables_is_not_looked_at(local: Api, version: str) -> None:
    be(local, version)
    vendor = {
        "source_type": "Postgres",
        "cdc": {"not_owned": ["public.users"]},
        "tables": [{"name": "users", "primary_key": ["id"], "columns": {"id": "integer"}}],
    }
    assert local("PUT", "/__local/vendors", [vendor]).status_code == 204
    sent = {"source_type": "Postgres", **POSTGRES, "tables": ["users"]}
    assert local.ok("POST", f"{S}check_cdc_prerequisites/", sent) == {"valid": True, "errors": []}


# -- /api/environments --------------------------------------------------------------------------


def test_the_alias(local: Api) -> None:
    for name in ("a", "b"):
        local.variable(name=name)
    local.ok("POST", S, body(prefix="p_"), 201)
    local.ok("POST", S, body(prefix="q_"), 201)
    old = Api(local.url, "phx_all", base="environments")
    for version, base, deprecated in (("S", "environments", False), ("M", "projects", False), ("N", "projects", True)):
        be(local, version)
        response = old("GET", f"{S}?limit=1")
        assert response.json()["next"] == f"{local.url}/api/{base}/1/{S}?limit=1&offset=1"
        assert ("Deprecation" in response.headers) is deprecated
