"""Contract 5.11 and 11.3. The database is scripted, so these rows run against the local PostHog only."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import POSTGRES, Api, error

S = "external_data_sources/"
CHECK = f"{S}check_cdc_prerequisites/"
USERS = {"name": "users", "should_sync": True, "sync_type": "cdc"}
UNREACHABLE = "Could not connect to the host"
ROLE = (
    "The database user cannot create logical replication slots. "
    "Grant one of: REPLICATION attribute (ALTER USER <username> WITH REPLICATION), "
    "superuser, or membership in rds_replication / rds_superuser on RDS."
)
WAL = (
    "wal_level must be set to 'logical' (currently 'replica'). "
    "This requires a PostgreSQL server restart after changing the configuration."
)


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"message": text, **more}


def script(local: Api, **cdc: Any) -> None:
    """One database: users, orders (no key); it says of itself what ``cdc`` holds."""
    vendor = {
        "source_type": "Postgres",
        "match": {"host": "db.example.com"},
        "credentials": {"user": "posthog", "password": "right"},
        "cdc": cdc,
        "tables": [
            {"name": "users", "schema": "public", "primary_key": ["id"], "columns": {"id": "integer"}},
            {"name": "orders", "schema": "public", "columns": {"id": "integer"}},
            {"name": "invoices", "schema": "billing", "primary_key": ["id"], "columns": {"id": "integer"}},
        ],
    }
    assert local("PUT", "/__local/vendors", [vendor]).status_code == 204


def source(local: Api, *schemas: dict[str, Any], **payload: Any) -> str:
    return f"{S}{local.source(*(schemas or (USERS,)), **payload)['id']}/"


def with_cdc(local: Api, **payload: Any) -> str:
    return source(local, USERS, cdc_enabled=True, cdc_slot_name="slot", cdc_publication_name="pub", **payload)


# -- before there is a source -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "sent", "errors"),
    [
        ({}, {"tables": ["users"]}, []),
        ({}, {"tables": ["users"], "cdc_management_mode": "self_managed"}, []),
        ({}, {"tables": ["billing.invoices"]}, []),
        ({"version": 13}, {}, []),
        (
            {"version": 12},
            {},
            ["PostgreSQL 13 or later is required for CDC. Your server is running version 12."],
        ),
        ({"wal_level": "replica"}, {}, [WAL]),
        (
            {},
            {"tables": ["orders"]},
            ["Table 'public.orders' has no primary key. CDC requires a primary key on each table."],
        ),
        ({"no_select": ["public.users"]}, {"tables": ["users"]}, ["No SELECT permission on table 'public.users'."]),
        (
            {},
            {"tables": ["nope"]},
            [
                "Table 'public.nope' has no primary key. CDC requires a primary key on each table.",
                "Table 'public.nope' does not exist.",
            ],
        ),
        ({"can_create_slots": False}, {}, [ROLE]),
        (
            {"slots_in_use": 10, "max_slots": 10},
            {},
            [
                "No replication slot capacity available (10/10 slots in use). "
                "Increase max_replication_slots in your PostgreSQL configuration."
            ],
        ),
        (
            {"not_owned": ["public.users"]},
            {"tables": ["users"]},
            [
                "The database user does not own table 'public.users'. "
                "PostHog adds the table to its publication, which only the owner of a table may do."
            ],
        ),
        ({"not_owned": ["public.users"]}, {"tables": ["users"], "cdc_management_mode": "self_managed"}, []),
        (
            {"publications": ["mine"]},
            {"cdc_management_mode": "self_managed", "cdc_publication_name": "mine"},
            [],
        ),
        (
            {},
            {"cdc_management_mode": "self_managed", "cdc_publication_name": "p"},
            ["Publication 'p' does not exist. Create it with: CREATE PUBLICATION p FOR TABLE ...;"],
        ),
        ({}, {"cdc_management_mode": "posthog", "cdc_publication_name": "p"}, []),
    ],
)
def test_the_check(local: Api, facts: dict[str, Any], sent: dict[str, Any], errors: list[str]) -> None:
    script(local, **facts)
    answer = local.ok("POST", CHECK, {"source_type": "Postgres", **POSTGRES, **sent})
    assert answer == {"valid": not errors, "errors": errors}


def test_the_order_of_the_errors(local: Api) -> None:
    script(
        local,
        version=9,
        wal_level="replica",
        no_select=["public.orders"],
        not_owned=["public.users"],
        can_create_slots=False,
        slots_in_use=1,
        max_slots=1,
    )
    answer = local.ok("POST", CHECK, {"source_type": "Postgres", **POSTGRES, "tables": ["users", "orders"]})
    starts = (
        "PostgreSQL 13",
        "wal_level",
        "Table 'public.orders' has no primary key",
        "No SELECT permission on table 'public.orders'",
        "The database user cannot create",
        "No replication slot capacity",
        "The database user does not own table 'public.users'",
    )
    assert len(answer["errors"]) == len(starts)
    assert all(text.startswith(start) for text, start in zip(answer["errors"], starts, strict=True))


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, "CDC prerequisite checks are only supported for CDC enabled sources."),
        ({"source_type": "Stripe"}, "CDC prerequisite checks are only supported for CDC enabled sources."),
        ({"source_type": ["Postgres"]}, "CDC prerequisite checks are only supported for CDC enabled sources."),
        (
            {"source_type": "Postgres", "port": "x"},
            "Invalid source config: Required field 'host' is missing, Field 'port' has an invalid value, "
            "Required field 'database' is missing, Required field 'user' is missing, "
            "Required field 'password' is missing",
        ),
        (
            {"source_type": "Postgres", **POSTGRES, "cdc_management_mode": "x", "host": "nowhere"},
            "cdc_management_mode must be 'posthog' or 'self_managed'.",
        ),
        (
            {"source_type": "Postgres", **POSTGRES, "host": "nowhere"},
            f"Could not connect to Postgres to check prerequisites: {UNREACHABLE}",
        ),
        (
            {"source_type": "Postgres", **POSTGRES, "password": "wrong"},
            "Could not connect to Postgres to check prerequisites: Invalid user or password",
        ),
    ],
)
def test_what_cannot_be_checked(local: Api, sent: dict[str, Any], text: str) -> None:
    local.refused("POST", CHECK, sent, message(text))


def test_kin_of_postgres(local: Api) -> None:
    vendor = {"source_type": "Supabase", "match": {"host": "db.example.com"}, "tables": []}
    assert local("PUT", "/__local/vendors", [vendor]).status_code == 204
    assert local.ok("POST", CHECK, {"source_type": "Supabase", **POSTGRES}) == {"valid": True, "errors": []}


# -- at creation --------------------------------------------------------------------------------


def test_created_with(local: Api) -> None:
    path = with_cdc(local, cdc_management_mode="posthog", cdc_auto_drop_slot=False, cdc_lag_warning_threshold_mb=5)
    made = local.ok("GET", path)
    assert {name: value for name, value in made["job_inputs"].items() if name.startswith("cdc_")} == {
        "cdc_enabled": "True",
        "cdc_management_mode": "posthog",
        "cdc_slot_name": "slot",
        "cdc_publication_name": "pub",
        "cdc_auto_drop_slot": "False",
        "cdc_lag_warning_threshold_mb": "5",
        "cdc_lag_critical_threshold_mb": "10240",
        "cdc_consistent_point": "0/0",
    }
    (table,) = made["schemas"]
    assert (table["sync_type"], table["sync_frequency"], table["cdc_table_mode"]) == ("cdc", "5min", "consolidated")


def test_created_without(local: Api) -> None:
    made = local.source({"name": "users"}, cdc_enabled=False, cdc_slot_name="slot")
    assert not [name for name in made["job_inputs"] if name.startswith("cdc_")]


@pytest.mark.parametrize(
    ("facts", "payload", "expected"),
    [
        (
            {},
            {"schemas": [USERS]},
            message(
                "CDC must be enabled on the source before selecting it as a sync type. "
                "The following schemas requested CDC: users."
            ),
        ),
        (
            {"wal_level": "replica"},
            {"schemas": [{**USERS, "name": "orders"}], "cdc_enabled": True},
            message("CDC requires a primary key on each table. The following tables have no primary key: orders"),
        ),
        (
            {"wal_level": "replica"},
            {"schemas": [USERS], "cdc_enabled": True},
            message("CDC prerequisites not met.", errors=[WAL]),
        ),
        (
            {"wal_level": "replica"},
            {"cdc_enabled": True},
            message("CDC prerequisites not met.", errors=[WAL]),
        ),
        (
            {},
            {"schemas": [USERS], "cdc_enabled": True, "cdc_management_mode": "x"},
            message("cdc_management_mode must be 'posthog' or 'self_managed'."),
        ),
    ],
)
def test_refused_creation_leaves_no_row(
    local: Api, facts: dict[str, Any], payload: dict[str, Any], expected: Any
) -> None:
    script(local, **facts)
    local.refused("POST", S, {"source_type": "Postgres", "payload": {**POSTGRES, **payload}}, expected)
    assert local.ok("GET", S)["count"] == 0


def test_patch_does_not_touch_it(local: Api) -> None:
    path = with_cdc(local)
    before = local.ok("GET", path)["job_inputs"]
    sent = {"cdc_enabled": False, "cdc_slot_name": "other", "database": "shop", "user": "posthog"}
    assert local.ok("PATCH", path, {"job_inputs": sent})["job_inputs"] == before
    assert local.ok("PATCH", path, {"job_inputs": {"password": "right", **sent}})["job_inputs"] == before


# -- an existing source -------------------------------------------------------------------------


def test_check_for_a_source(local: Api) -> None:
    script(local, wal_level="replica")
    path = source(local, {"name": "users"})
    answer = local.ok("POST", f"{path}check_cdc_prerequisites_for_source/", {"cdc_management_mode": "posthog"})
    assert answer == {"valid": False, "errors": [WAL]}
    expected = message("cdc_management_mode must be 'posthog' or 'self_managed'.")
    local.refused("POST", f"{path}check_cdc_prerequisites_for_source/", {"cdc_management_mode": 1}, expected)
    assert local("PUT", "/__local/vendors", []).status_code == 204
    expected = message(f"Could not connect to source to check prerequisites: {UNREACHABLE}")
    local.refused("POST", f"{path}check_cdc_prerequisites_for_source/", None, expected)


def test_enable_and_disable(local: Api) -> None:
    path = source(local, {"name": "users"})
    sent = {"cdc_slot_name": "s", "cdc_publication_name": "p", "cdc_lag_critical_threshold_mb": 2000}
    assert local.ok("POST", f"{path}enable_cdc/", sent) == {"success": True, "schedules_ready": True}
    made = local.ok("GET", path)
    assert made["job_inputs"]["cdc_slot_name"] == "s"
    assert made["job_inputs"]["cdc_lag_critical_threshold_mb"] == "2000"
    table = f"external_data_schemas/{made['schemas'][0]['id']}/"
    local.ok("PATCH", table, {"sync_type": "cdc", "should_sync": True})
    assert local.ok("POST", f"{path}disable_cdc/") == {"success": True}
    after = local.ok("GET", path)
    assert not [name for name in after["job_inputs"] if name.startswith("cdc_")]
    assert (after["schemas"][0]["sync_type"], after["schemas"][0]["should_sync"]) == (None, False)
    assert local.ok("POST", f"{path}disable_cdc/") == {"success": True, "already_disabled": True}


def test_refused_enabling_in_its_order(local: Api) -> None:
    path = source(local, {"name": "users"})
    script(local, can_create_slots=False)
    expected = message("CDC prerequisites not met.", errors=[ROLE])
    local.refused("POST", f"{path}enable_cdc/", {}, expected)
    assert local("PUT", "/__local/vendors", []).status_code == 204
    expected = message(f"Could not connect to source to check prerequisites: {UNREACHABLE}")
    local.refused("POST", f"{path}enable_cdc/", {}, expected)
    expected = message("cdc_management_mode must be 'posthog' or 'self_managed'.")
    local.refused("POST", f"{path}enable_cdc/", {"cdc_management_mode": "x"}, expected)
    script(local)
    local.ok("POST", f"{path}enable_cdc/", {})
    expected = message("CDC is already enabled on this source.")
    local.refused("POST", f"{path}enable_cdc/", {"cdc_management_mode": "x"}, expected, 409)


def test_a_team_without_cdc(local: Api) -> None:
    seed = local.ok("GET", "/__local/seed")
    seed["projects"][0]["cdc_enabled"] = False
    assert local("POST", "/__local/seed", seed).status_code == 204
    try:
        path = source(local, {"name": "users"})
        local.refused("POST", f"{path}enable_cdc/", {}, message("CDC is not enabled for this team."), 403)
    finally:
        seed["projects"][0].pop("cdc_enabled")
        assert local("POST", "/__local/seed", seed).status_code == 204


def test_disabling_fails(local: Api) -> None:
    path = with_cdc(local)
    script(local, cannot_pause=True)
    expected = message("Couldn't pause the table syncs, so CDC is still on. Try disabling it again in a minute.")
    local.refused("POST", f"{path}disable_cdc/", None, expected, 503)
    assert local.ok("GET", path)["job_inputs"]["cdc_enabled"] == "True"


@pytest.mark.parametrize(
    "action",
    ["check_cdc_prerequisites_for_source", "enable_cdc", "disable_cdc", "repair_cdc", "update_cdc_settings"],
)
def test_a_type_without_cdc(local: Api, action: str) -> None:
    payload = {
        "auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"},
        "schemas": [{"name": "Charge"}],
    }
    made = local.ok("POST", S, {"source_type": "Stripe", "payload": payload}, 201)
    expected = message("CDC is not supported for source type: Stripe")
    local.refused("POST", f"{S}{made['id']}/{action}/", {}, expected)
    local.refused("GET", f"{S}{made['id']}/cdc_status/", None, expected)


# -- settings, status, repair -------------------------------------------------------------------


def test_settings(local: Api) -> None:
    path = with_cdc(local)
    sent = {"cdc_auto_drop_slot": False, "cdc_lag_warning_threshold_mb": "10", "cdc_slot_name": "other"}
    assert local.ok("POST", f"{path}update_cdc_settings/", sent) == {"success": True}
    inputs = local.ok("GET", path)["job_inputs"]
    assert (inputs["cdc_auto_drop_slot"], inputs["cdc_lag_warning_threshold_mb"]) == ("False", "10")
    assert inputs["cdc_slot_name"] == "slot"
    assert local.ok("POST", f"{path}update_cdc_settings/", {}) == {"success": True, "unchanged": True}


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"cdc_lag_warning_threshold_mb": "x"}, "cdc_lag_warning_threshold_mb must be an integer."),
        ({"cdc_lag_critical_threshold_mb": None}, "cdc_lag_critical_threshold_mb must be an integer."),
        ({"cdc_lag_warning_threshold_mb": 0}, "cdc_lag_warning_threshold_mb must be >= 1."),
        ({"cdc_lag_warning_threshold_mb": 10240}, "Warning threshold must be less than critical threshold."),
        ({"cdc_lag_critical_threshold_mb": 1024}, "Warning threshold must be less than critical threshold."),
    ],
)
def test_refused_settings(local: Api, sent: dict[str, Any], text: str) -> None:
    path = with_cdc(local)
    local.refused("POST", f"{path}update_cdc_settings/", sent, message(text))


@pytest.mark.parametrize("action", ["update_cdc_settings", "repair_cdc"])
def test_what_needs_cdc(local: Api, action: str) -> None:
    path = source(local, {"name": "users"})
    local.refused("POST", f"{path}{action}/", {}, message("CDC is not enabled on this source."))


def test_status(local: Api) -> None:
    path = with_cdc(local)
    script(local, lag_bytes=4096)
    assert local.ok("GET", f"{path}cdc_status/") == {
        "enabled": True,
        "management_mode": "posthog",
        "slot_name": "slot",
        "publication_name": "pub",
        "lag_warning_threshold_mb": 1024,
        "lag_critical_threshold_mb": 10240,
        "schedule_paused": False,
        "slot_exists": True,
        "publication_exists": True,
        "lag_bytes": 4096,
    }
    assert local("PUT", "/__local/vendors", []).status_code == 204
    expected = message(f"Could not connect to source to read CDC status: {UNREACHABLE}")
    local.refused("GET", f"{path}cdc_status/", None, expected)


def test_repair(local: Api) -> None:
    path = with_cdc(local)
    local.advance()
    response = local("POST", f"{path}repair_cdc/")
    assert response.status_code == 400
    assert response.json()["message"].startswith("CDC looks healthy on this source")
    script(local, replication_lost=True)
    lost = local.ok("GET", f"{path}cdc_status/")
    assert (lost["slot_exists"], lost["publication_exists"]) == (False, False)
    assert local.ok("POST", f"{path}repair_cdc/") == {"success": True, "schemas_reset": 1}
    assert local.ok("GET", path)["schemas"][0]["status"] == "Running"
    assert local.ok("GET", f"{path}cdc_status/")["slot_exists"] is True


def test_refused_repairs(local: Api) -> None:
    path = with_cdc(local)
    script(local, repair_running=True)
    expected = message("A repair is already running for this source. Try again in a few minutes.")
    local.refused("POST", f"{path}repair_cdc/", None, expected, 409)
    assert local("PUT", "/__local/vendors", []).status_code == 204
    expected = message(f"Could not connect to source to repair CDC: {UNREACHABLE}")
    local.refused("POST", f"{path}repair_cdc/", None, expected)
    schema = local.ok("GET", path)["schemas"][0]["id"]
    local.ok("PATCH", f"external_data_schemas/{schema}/", {"should_sync": False})
    expected = message("There are no active CDC schemas on this source to repair.")
    local.refused("POST", f"{path}repair_cdc/", None, expected)


def test_resume_is_not_for_keys(local: Api) -> None:
    expected = error(
        "permission_denied", "This action does not support personal API key access", type="authentication_error"
    )
    local.refused("POST", f"{with_cdc(local)}resume_cdc/", None, expected, 403)


def test_a_key_of_a_table_cannot_change_under_cdc(local: Api) -> None:
    path = with_cdc(local)
    local.advance()
    schema = local.ok("GET", path)["schemas"][0]["id"]
    response = local(
        "PATCH", f"external_data_schemas/{schema}/", {"sync_type": "cdc", "primary_key_columns": ["email"]}
    )
    assert response.json()["detail"].startswith("Primary key cannot be changed after data has been synced.")
