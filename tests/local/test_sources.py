"""Contract 4 and 5."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from .harness import NOT_FOUND, POSTGRES, Api, error, invalid

S = "external_data_sources/"
_FULL = """
    id created_at created_by created_via status source_type latest_error prefix description access_method
    direct_query_enabled auto_sync_new_schemas auto_sync_schema_patterns engine last_run_at schemas job_inputs
    revenue_analytics_config user_access_level supports_webhooks supports_column_selection api_version
    api_version_deprecation
"""
FULL = _FULL.split()
USERS = {
    "name": "users",
    "should_sync": True,
    "sync_type": "incremental",
    "incremental_field": "updated_at",
    "incremental_field_type": "timestamp",
}
STRIPE = {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"}}
TAKEN = {
    "message": "Another source of this type already uses the prefix 'p_'. Choose a different prefix so this "
    "connection's tables don't clash."
}
NEEDED = {
    "message": "You already have a source of this type. Add a table prefix so this connection's tables don't clash "
    "with your existing source."
}


def body(**changes: Any) -> dict[str, Any]:
    payload = {**POSTGRES, "schemas": [USERS], **changes.pop("payload", {})}
    return {"source_type": "Postgres", "payload": payload, **changes}


def test_shape(local: Api) -> None:
    made = local.source(USERS, prefix="test_")
    assert list(made) == FULL
    expected = {
        "created_by": "ada@example.com",
        "created_via": "api",
        "status": "Running",
        "prefix": "test_",
        "description": None,
        "access_method": "warehouse",
        "direct_query_enabled": False,
        "auto_sync_new_schemas": False,
        "auto_sync_schema_patterns": None,
        "engine": None,
        "last_run_at": None,
        "revenue_analytics_config": {"enabled": False, "include_invoiceless_charges": False},
        "supports_webhooks": False,
        "supports_column_selection": True,
    }
    assert {name: made[name] for name in expected} == expected


def test_secrets_are_absent_and_scalars_are_text(local: Api) -> None:
    made = local.source(
        USERS, ssh_tunnel={"enabled": False, "host": "h", "port": 22, "auth": {"selection": "password"}}
    )
    assert made["job_inputs"] == {
        "host": "db.example.com",
        "port": "5432",
        "database": "shop",
        "user": "posthog",
        "schema": "public",
        "ssh_tunnel": {
            "enabled": "False",
            "host": "h",
            "port": "22",
            "auth": {"selection": "password", "username": None},
            "require_tls": {"enabled": "True"},
        },
    }
    assert "right" not in local("GET", f"{S}{made['id']}/").text


def test_top_level_text_is_trimmed(local: Api) -> None:
    assert local.source(USERS, host=" db.example.com ", password=" right ")["job_inputs"]["host"] == "db.example.com"


def test_only_listed_tables_get_rows(local: Api) -> None:
    made = local.source({"name": "users"}, {"name": "settings", "should_sync": True, "sync_type": "full_refresh"})
    assert [(item["name"], item["should_sync"], item["sync_type"]) for item in made["schemas"]] == [
        ("settings", True, "full_refresh"),
        ("users", False, None),
    ]


def test_defaults_for_every_table(local: Api) -> None:
    made = local.source()
    assert [
        (item["name"], item["should_sync"], item["sync_type"], item["incremental_field"]) for item in made["schemas"]
    ] == [
        ("broken", True, "incremental", "id"),
        ("events_log", True, "append", "seen_at"),
        ("settings", True, "full_refresh", None),
        ("table_1", True, "incremental", "id"),
        ("users", True, "incremental", "updated_at"),
    ]


def test_no_schema_means_all_schemas(local: Api) -> None:
    made = local.source(schema="")
    assert "billing.invoices" in [item["name"] for item in made["schemas"]]
    assert "public.users" in [item["name"] for item in made["schemas"]]


def test_a_cursor_by_its_label_is_canonicalised(local: Api) -> None:
    charge = {
        "name": "Charge",
        "should_sync": True,
        "sync_type": "incremental",
        "incremental_field": "created_at",
        "incremental_field_type": "datetime",
    }
    payload = {**STRIPE, "schemas": [charge]}
    made = local.ok("POST", S, {"source_type": "Stripe", "payload": payload}, 201)
    source = local.ok("GET", f"{S}{made['id']}/")
    (schema,) = source["schemas"]
    assert (schema["incremental_field"], schema["incremental_field_type"]) == ("created", "integer")
    assert source["job_inputs"] == {
        "auth_method": {"selection": "api_key", "stripe_integration_id": None},
        "stripe_account_id": None,
    }
    assert source["api_version"] == "2024-09-30.acacia"
    assert source["supports_column_selection"] is False
    assert source["revenue_analytics_config"] == {"enabled": True, "include_invoiceless_charges": True}


def test_a_direct_source(local: Api) -> None:
    made = local.ok("POST", S, body(access_method="direct", prefix="My shop"), 201)
    source = local.ok("GET", f"{S}{made['id']}/")
    assert (source["engine"], source["prefix"]) == ("postgres", "My shop")
    assert source["schemas"][0]["sync_type"] is None
    (connection,) = local.ok("GET", f"{S}connections/")
    assert connection == {
        "id": made["id"],
        "schema_name": "public",
        "prefix": "My shop",
        "engine": "postgres",
        "source_type": "Postgres",
        "access_method": "direct",
        "supports_hogql": True,
        "is_builtin_managed_warehouse": False,
        "description": None,
    }


# -- refused creates, in the order of the checks ---------------------------------------------------


def message(text: str) -> dict[str, str]:
    return {"message": text}


INCREMENTAL = {"name": "users", "should_sync": True, "sync_type": "incremental"}
NOT_CONNECTED = "Could not connect to the host"
REFUSED: list[tuple[Any, Any]] = [
    ({}, error("required", "This field is required.", "source_type")),
    (body(source_type="Nope"), error("invalid_choice", '"Nope" is not a valid choice.', "source_type")),
    ({"source_type": "Postgres"}, error("required", "This field is required.", "payload")),
    (
        {"source_type": "Postgres", "payload": "x"},
        error("not_a_dict", 'Expected a dictionary of items but got type "str".', "payload"),
    ),
    (
        body(prefix="x" * 101),
        error("max_length", "Ensure this field has no more than 100 characters.", "prefix"),
    ),
    (
        body(description="x" * 401),
        error("max_length", "Ensure this field has no more than 400 characters.", "description"),
    ),
    (body(access_method="x"), error("invalid_choice", '"x" is not a valid choice.', "access_method")),
    (body(created_via="wizard"), error("invalid_choice", '"wizard" is not a valid choice.', "created_via")),
    (body(destination_ids=[]), error("empty", "This list may not be empty.", "destination_ids")),
    (body(prefix="managed_warehouse"), message("This source name is reserved by PostHog.")),
    (
        body(source_type="Stripe", access_method="direct"),
        message(
            "Direct query mode is currently supported only for Postgres, MySQL, Snowflake, Redshift, ClickHouse, "
            "MotherDuck, and Trino sources."
        ),
    ),
    (body(source_type="Trino"), message("Trino is available only as a direct connection.")),
    (body(access_method="direct"), message("Name is required for direct query sources")),
    (body(access_method="direct", prefix="  "), message("Name is required for direct query sources")),
    (body(prefix="___"), invalid("Prefix cannot consist of only underscores")),
    (
        body(payload={"credential_id": "abc"}),
        message("Stored credential 'abc' not found or expired"),
    ),
    (
        {"source_type": "AmazonS3", "payload": {}},
        message(
            "The AmazonS3 source isn't available to connect yet. Choose a different source, "
            "or contact support if you were expecting it."
        ),
    ),
    (
        {"source_type": "Postgres", "payload": {"port": "x", "database": "d", "user": "u", "password": "p"}},
        message("Invalid source config: Required field 'host' is missing, Field 'port' has an invalid value"),
    ),
    (
        {"source_type": "Stripe", "payload": {}},
        message("Invalid source config: Required field 'auth_method' is missing"),
    ),
    (
        {
            "source_type": "Snowflake",
            "payload": {"account_id": "a", "database": "d", "warehouse": "w", "auth_type": {"selection": "keypair"}},
        },
        message("Invalid source config: Required field 'user' is missing"),
    ),
    (
        {"source_type": "BigQuery", "payload": {"dataset_id": "right", "key_file": {"project_id": "p"}}},
        message("Invalid source config: The uploaded file is not a complete Google Cloud service account key file"),
    ),
    (body(payload={"password": "wrong"}), message("Invalid user or password")),
    (body(payload={"database": "nope"}), message("Database does not exist")),
    (body(payload={"host": "nowhere.example.com"}), message(NOT_CONNECTED)),
    (
        {"source_type": "Stripe", "payload": {"auth_method": {"selection": "api_key", "stripe_secret_key": "no"}}},
        message("Invalid Stripe API key"),
    ),
    (
        {"source_type": "Klaviyo", "payload": {"api_key": "x"}},
        message(
            "We couldn't validate those credentials. Check they're correct and have the required access, "
            "then try again."
        ),
    ),
    (
        body(payload={"host": "slow.example.com"}),
        message("Connection timed out while fetching schemas from the source."),
    ),
    (body(payload={"schemas": {"a": 1}}), message("The 'schemas' field must be a list of the tables to sync.")),
    (body(payload={"schemas": [{"name": "nope"}]}), message("Schemas given do not exist in source")),
    (body(payload={"schemas": [{}]}), message("Schemas given do not exist in source")),
    (
        body(payload={"schemas": [{"name": "users", "sync_type": "x"}]}),
        message("Unknown sync type: x. Use one of: full_refresh, incremental, append, webhook, cdc, xmin."),
    ),
    (
        body(payload={"schemas": [{"name": "users", "sync_type": "cdc"}, {"name": "table_1", "sync_type": "cdc"}]}),
        message(
            "CDC must be enabled on the source before selecting it as a sync type. "
            "The following schemas requested CDC: users, table_1."
        ),
    ),
    (
        body(payload={"schemas": [INCREMENTAL]}),
        message("Incremental schemas given do not have an incremental field set"),
    ),
    (
        body(payload={"schemas": [{**INCREMENTAL, "incremental_field": "updated_at"}]}),
        message("Incremental schemas given do not have an incremental field type set"),
    ),
    (
        body(
            payload={
                "schemas": [
                    {**USERS, "name": "events_log", "incremental_field": "seen_at"},
                ]
            }
        ),
        message(
            "Table 'events_log' has no primary key to sync incrementally on. Choose a primary key for it, "
            "or switch it to full table replication."
        ),
    ),
    *(
        (
            body(payload={"schemas": [{**USERS, "incremental_field_lookback_seconds": value}]}),
            message(
                "incremental_field_lookback_seconds must be an integer between 0 and 5184000 (60 days) "
                "for schema 'users'."
            ),
        )
        for value in (True, -1, 5184001, "5", 1.5)
    ),
    (
        {
            "source_type": "Stripe",
            "payload": {**STRIPE, "schemas": [{"name": "Charge", "row_filters": [{"column": "id"}]}]},
        },
        message("Row filters are not supported for this source type."),
    ),
]


@pytest.mark.parametrize(("sent", "expected"), REFUSED)
def test_refused_creates_leave_no_row(local: Api, sent: Any, expected: Any) -> None:
    local.refused("POST", S, sent, expected)
    assert local.ok("GET", S)["count"] == 0


def test_the_sync_limit(local: Api) -> None:
    expected = message("Monthly sync limit reached. Please increase your billing limit to resume syncing.")
    local.refused("POST", f"/api/projects/4/{S}", body(), expected)


def test_a_secret_reference(local: Api) -> None:
    response = local("POST", S, body(payload={"password": {"secretRef": "x"}}))
    assert response.status_code == 400
    assert "secretRef" in response.json()["message"]


@pytest.mark.parametrize("prefix", ["valid_prefix", "_starts", "CamelCase", "with123numbers", "a", "a_b", "test_", ""])
def test_accepted_prefixes(local: Api, prefix: str) -> None:
    assert local.source(USERS, prefix=prefix)["prefix"] == prefix


@pytest.mark.parametrize("prefix", ["email@domain.com", "test-prefix", "123_start", "test prefix", "test.p", "test/p"])
def test_refused_prefixes(local: Api, prefix: str) -> None:
    expected = invalid(
        "Prefix must contain only letters, numbers, and underscores, and start with a letter or underscore"
    )
    local.refused("POST", S, body(prefix=prefix), expected)


def test_prefixes_are_unique_per_type(local: Api) -> None:
    first = local.source(USERS, prefix="p_")
    local.refused("POST", S, body(prefix="p_"), TAKEN)
    local.source(USERS)
    local.refused("POST", S, body(), NEEDED)
    local.refused("POST", S, body(prefix=""), NEEDED)
    local.ok("POST", S, {"source_type": "Stripe", "prefix": "p_", "payload": {**STRIPE, "schemas": []}}, 201)
    assert local("DELETE", f"{S}{first['id']}/").status_code == 204
    local.source(USERS, prefix="p_")


def test_source_prefix(local: Api) -> None:
    path = f"{S}source_prefix/"

    def free(**sent: Any) -> None:
        response = local("POST", path, {"source_type": "Postgres", **sent})
        assert (response.status_code, response.content) == (200, b"")

    free(prefix="anything goes")
    free()
    local.source(USERS, prefix="p_")
    free()
    local.refused("POST", path, {"source_type": "Postgres", "prefix": "p_"}, TAKEN)
    local.source(USERS)
    local.refused("POST", path, {"source_type": "Postgres", "prefix": None}, NEEDED)
    free(prefix="q_")
    local.refused("POST", path, {}, error("error", "A server error occurred.", type="server_error"), 500)


# -- discovery ------------------------------------------------------------------------------------


def test_database_schema(local: Api) -> None:
    tables = local.ok("POST", f"{S}database_schema/", {"source_type": "Postgres", "unknown": 1, **POSTGRES})
    assert tables[0] == {
        "table": "table_1",
        "label": None,
        "should_sync": False,
        "should_sync_default": True,
        "description": None,
        "rows": None,
        "incremental_fields": [
            {
                "label": "id",
                "type": "integer",
                "field": "id",
                "field_type": "integer",
                "nullable": True,
                "is_indexed": True,
            }
        ],
        "incremental_available": True,
        "append_available": True,
        "cdc_available": True,
        "xmin_available": False,
        "incremental_field": "id",
        "sync_type": None,
        "supports_webhooks": False,
        "webhook_only": False,
        "available_columns": [{"field": "id", "label": "id", "type": "integer", "nullable": True}],
        "detected_primary_keys": ["id"],
        "primary_key_detection_supported": True,
        "permission_error": None,
        "rls_warning": None,
    }
    assert local.ok("GET", S)["count"] == 0


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, "Missing required parameter: source_type"),
        ({"source_type": "GoogleAds-"}, "Unknown source_type 'GoogleAds-'"),
        (
            {"source_type": "Zendesk"},
            "Invalid source config: Required field 'subdomain' is missing, "
            "Required field 'api_key' is missing, Required field 'email_address' is missing",
        ),
        ({"source_type": "Postgres", **POSTGRES, "password": "x"}, "Invalid user or password"),
    ],
)
def test_refused_database_schema(local: Api, sent: Any, text: str) -> None:
    local.refused("POST", f"{S}database_schema/", sent, message(text))


def test_wizard(local: Api) -> None:
    response = local("GET", f"{S}wizard?source_type=Postgres,Stripe")
    assert set(response.json()) == {"Postgres", "Stripe"}
    assert set(response.headers["Cache-Control"].split(", ")) == {"private", "max-age=600"}
    postgres = response.json()["Postgres"]
    fields = {field["name"]: field for field in postgres["fields"]}
    assert fields["password"]["type"] == "password"
    assert (fields["schema"]["required"], fields["ssh_tunnel"]["type"]) == (False, "ssh-tunnel")
    assert len(local.ok("GET", f"{S}wizard")) > 100
    text = "Unknown source_type(s): X. Omit source_type to list every available type."
    local.refused("GET", f"{S}wizard?source_type=X,Stripe", None, message(text))


def test_refresh_schemas(local: Api) -> None:
    source = local.source(USERS)
    path = f"{S}{source['id']}/refresh_schemas"
    assert local.ok("POST", path) == {"added": 4, "deleted": 0, "auto_enabled": 0, "total_tables_seen": 5}
    assert local.ok("POST", path) == {"added": 0, "deleted": 0, "auto_enabled": 0, "total_tables_seen": 5}
    schemas = local.ok("GET", f"{S}{source['id']}/")["schemas"]
    assert [item["should_sync"] for item in schemas] == [False, False, False, False, True]
    script = {
        "source_type": "Postgres",
        "match": {"host": "db.example.com"},
        "tables": [{"name": "fresh", "schema": "public", "columns": {"id": "integer"}}],
    }
    assert local("PUT", "/__local/vendors", [script]).status_code == 204
    local.ok("PATCH", f"{S}{source['id']}/", {"auto_sync_new_schemas": True, "auto_sync_schema_patterns": ["fr*"]})
    assert local.ok("POST", path) == {"added": 1, "deleted": 5, "auto_enabled": 1, "total_tables_seen": 1}
    (schema,) = local.ok("GET", f"{S}{source['id']}/")["schemas"]
    assert (schema["name"], schema["should_sync"], schema["sync_type"]) == ("fresh", True, "incremental")


# -- syncs ------------------------------------------------------------------------------------


def test_a_sync_takes_its_time(local: Api) -> None:
    source = local.source(USERS, {"name": "settings"})
    path = f"{S}{source['id']}/"
    assert [item["status"] for item in source["schemas"]] == [None, "Running"]
    assert source["schemas"][1]["table"] is None
    local.advance()
    done = local.ok("GET", path)
    users = done["schemas"][1]
    assert (done["status"], users["status"]) == ("Completed", "Completed")
    assert users["last_synced_at"]
    assert (users["table"]["name"], users["table"]["row_count"]) == ("postgres_users", 10)
    assert [column["name"] for column in users["table"]["columns"]][:2] == ["id", "email"]
    assert done["last_run_at"].endswith("+00:00")
    (listed,) = local.ok("GET", S)["results"]
    assert listed["last_run_at"] == done["last_run_at"]
    assert list(listed["schemas"][1]) == [
        "id",
        "name",
        "label",
        "should_sync",
        "status",
        "sync_type",
        "last_synced_at",
        "sync_frequency",
        "latest_error",
        "table",
    ]
    assert local("POST", f"{path}reload/").content == b""
    assert local.ok("GET", path)["status"] == "Running"
    jobs = local.ok("GET", f"{path}jobs?schemas=users")
    assert [(job["status"], job["rows_synced"]) for job in jobs] == [("Running", 0), ("Completed", 10)]
    assert list(jobs[0]) == [
        "id",
        "created_at",
        "created_by",
        "finished_at",
        "status",
        "schema",
        "rows_synced",
        "latest_error",
        "workflow_run_id",
        "cdc_write_mode",
        "billable",
        "destination_ids",
    ]
    after = {"after": jobs[1]["created_at"], "before": ""}
    assert len(local("GET", f"{path}jobs", params=after).json()) == 1
    assert local.ok("GET", f"{path}jobs?schemas=settings") == []


def test_bad_job_times(local: Api) -> None:
    expected = invalid("after and before must be ISO 8601 timestamps.")
    local.refused("GET", f"{S}{local.source(USERS)['id']}/jobs?after=x", None, expected)


def test_tables_sync_at_their_cadence(local: Api) -> None:
    path = f"{S}{local.source(USERS, {'name': 'settings', 'should_sync': True, 'sync_type': 'full_refresh'})['id']}/"
    local.advance()
    settings, users = (item["id"] for item in local.ok("GET", path)["schemas"])
    local.ok("PATCH", f"external_data_schemas/{settings}/", {"should_sync": False})
    local.ok("PATCH", f"external_data_schemas/{users}/", {"sync_frequency": "12hour"})

    def runs() -> dict[str, int]:
        jobs = local.ok("GET", f"{path}jobs")
        return {name: sum(job["schema"]["name"] == name for job in jobs) for name in ("settings", "users")}

    local.advance(11 * 3600)
    assert runs() == {"settings": 1, "users": 1}
    local.advance(2 * 3600)
    assert runs() == {"settings": 1, "users": 2}
    local.advance(72 * 3600)  # only the latest of the turns that were missed
    assert runs() == {"settings": 1, "users": 3}
    assert local.ok("GET", f"external_data_schemas/{users}/")["status"] == "Completed"
    assert local("DELETE", path).status_code == 204
    local.advance(72 * 3600)
    assert local.ok("GET", S)["count"] == 0


def test_new_tables_are_discovered(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    local.advance(5 * 3600)
    assert [item["name"] for item in local.ok("GET", path)["schemas"]] == ["users"]
    local.advance(3601)
    found = {item["name"]: item["should_sync"] for item in local.ok("GET", path)["schemas"]}
    assert found == {"broken": False, "events_log": False, "settings": False, "table_1": False, "users": True}
    assert local("PUT", "/__local/vendors", []).status_code == 204  # nobody answers: nothing happens
    local.advance(6 * 3600)
    assert {item["name"]: item["should_sync"] for item in local.ok("GET", path)["schemas"]} == found


def test_names_of_synced_tables(local: Api) -> None:
    table = {"should_sync": True, "sync_type": "full_refresh"}
    source = local.source({"name": "public.users", **table}, prefix="Prod_", schema="")
    local.advance()
    (schema,) = local.ok("GET", f"{S}{source['id']}/")["schemas"]
    assert schema["table"]["name"] == "prod_postgres_public__users"
    for number, name in enumerate(("prod_postgres_public__users", "postgres.prod.public.users")):
        local.view(f"v{number}", f"select email from {name}")


def test_secrets_are_masked_in_errors(local: Api) -> None:
    text = "the password right-sentinel was refused"
    tables = [{"name": "users", "columns": {"id": "integer"}, "sync_error": text}]
    vendor = {"source_type": "Postgres", "tables": tables}
    assert local("PUT", "/__local/vendors", [vendor]).status_code == 204
    source = local.source(
        {"name": "users", "should_sync": True, "sync_type": "full_refresh"}, password="right-sentinel"
    )
    local.advance()
    path = f"{S}{source['id']}/"
    assert local.ok("GET", path)["latest_error"] == "the password *** was refused"
    table = local.ok("GET", path)["schemas"][0]["id"]
    for where in (path, S, f"{path}jobs", f"external_data_schemas/{table}/", f"external_data_schemas/{table}/logs/"):
        assert "sentinel" not in local("GET", where).text


def test_a_failing_sync(local: Api) -> None:
    source = local.source(USERS, {"name": "broken", "should_sync": True, "sync_type": "full_refresh"})
    local.advance()
    failed = local.ok("GET", f"{S}{source['id']}/")
    assert (failed["status"], failed["latest_error"]) == ("Failed", "relation broken does not exist")
    assert failed["schemas"][0]["table"] is None
    disabled = {"should_sync": False}
    local.ok("PATCH", f"external_data_schemas/{failed['schemas'][0]['id']}/", disabled)
    assert local.ok("GET", f"{S}{source['id']}/")["status"] == "Completed"


# -- PATCH --------------------------------------------------------------------------------------


def test_what_patch_changes_and_what_it_ignores(local: Api) -> None:
    source = local.source(USERS, prefix="p_")
    sent = {
        "description": "x",
        "direct_query_enabled": True,
        "auto_sync_new_schemas": True,
        "auto_sync_schema_patterns": ["a*"],
        "prefix": "q_",
        "source_type": "Stripe",
        "status": "Failed",
        "created_via": "web",
        "api_version": "1",
        "schemas": [],
    }
    changed = local.ok("PATCH", f"{S}{source['id']}/", sent)
    written = ("description", "direct_query_enabled", "auto_sync_new_schemas", "auto_sync_schema_patterns")
    assert {name: changed[name] for name in written} == {name: sent[name] for name in written}
    for name in ("prefix", "source_type", "status", "created_via", "api_version", "schemas"):
        assert changed[name] == source[name]
    assert [item["id"] for item in local.ok("GET", f"{S}connections")] == [source["id"]]


def test_a_round_trip_is_not_probed(local: Api) -> None:
    source = local.source(USERS)
    assert local("PUT", "/__local/vendors", []).status_code == 204  # now nothing can be reached
    path = f"{S}{source['id']}/"
    local.ok("PATCH", path, {"job_inputs": source["job_inputs"], "description": "x"})
    local.ok("PATCH", path, {"job_inputs": {"port": 5432, "password": "", "user": "posthog"}})
    local.refused("PATCH", path, {"job_inputs": {"user": "other"}}, invalid(NOT_CONNECTED))


ENTER = invalid("Changing the connection host requires re-entering your credentials.")
TUNNEL = {
    "enabled": True,
    "host": "jump",
    "port": 22,
    "auth": {"selection": "password", "username": "u", "password": "sp"},
}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"host": "moved.example.com"}, ENTER),
        ({"host": "moved.example.com", "password": ""}, ENTER),
        ({"host": "moved.example.com", "password": None}, ENTER),
        ({"password": "wrong"}, invalid("Invalid user or password")),
        ({"port": 5433}, invalid(NOT_CONNECTED)),  # the host stays: no secret is asked for
        ({"database": "nope"}, invalid("Database does not exist")),
        ({"port": "x", "password": "right"}, invalid("Invalid source config: Field 'port' has an invalid value")),
        ({"ssh_tunnel": TUNNEL}, invalid("Changing the SSH tunnel requires re-entering your database credentials.")),
    ],
)
def test_refused_job_inputs(local: Api, sent: Any, expected: Any) -> None:
    source = local.source(USERS)
    local.refused("PATCH", f"{S}{source['id']}/", {"job_inputs": sent, "description": "not kept"}, expected)
    assert local.ok("GET", f"{S}{source['id']}/") == source


def test_moving_with_the_password(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    sent = {"host": "moved.example.com", "password": "right"}
    assert local.ok("PATCH", path, {"job_inputs": sent})["job_inputs"]["host"] == "moved.example.com"
    assert local.ok("PATCH", path, {"job_inputs": {"schema": "billing"}})["job_inputs"]["schema"] == "billing"


def test_moving_the_tunnel(local: Api) -> None:
    path = f"{S}{local.source(USERS, ssh_tunnel=TUNNEL)['id']}/"
    moved = {"ssh_tunnel": {"host": "other"}, "password": "right"}
    expected = invalid("Changing the SSH tunnel host requires re-entering your SSH credentials.")
    local.refused("PATCH", path, {"job_inputs": moved}, expected)
    moved["ssh_tunnel"] = {"host": "other", "auth": {"password": "sp"}}
    changed = local.ok("PATCH", path, {"job_inputs": moved})["job_inputs"]["ssh_tunnel"]
    assert (changed["host"], changed["auth"]) == ("other", {"selection": "password", "username": "u"})


def test_containers_must_be_objects(local: Api) -> None:
    made = local.ok("POST", S, {"source_type": "Stripe", "payload": STRIPE}, 201)
    expected = invalid("Must be an object.", "job_inputs__auth_method")
    local.refused("PATCH", f"{S}{made['id']}/", {"job_inputs": {"auth_method": "api_key"}}, expected)


def test_access_method_is_fixed(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    expected = invalid("Access method cannot be changed. Create a new source instead.")
    local.refused("PATCH", path, {"access_method": "direct", "description": "x"}, expected)
    local.ok("PATCH", path, {"access_method": "warehouse"})


def test_patch_of_a_direct_source(local: Api) -> None:
    path = f"{S}{local.ok('POST', S, body(access_method='direct', prefix='a'), 201)['id']}/"
    assert local.ok("PATCH", path, {"prefix": " b "})["prefix"] == "b"
    local.refused("PATCH", path, {"prefix": " "}, invalid("Name is required for direct query sources"))
    expected = invalid(
        "Auto-syncing new schemas is not supported for direct query sources, "
        "because their schemas resolve at query time."
    )
    local.refused("PATCH", path, {"auto_sync_new_schemas": True}, expected)


def test_put_wants_artefacts(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    expected = error("required", "This field is required.", "client_secret")
    local.refused("PUT", path, {"description": "x"}, expected)


def test_delete(local: Api) -> None:
    source = local.source(USERS)
    local.advance()
    local.view("v", "select id from postgres_users")
    assert local("DELETE", f"{S}{source['id']}/").status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        local.refused(method, f"{S}{source['id']}/", {} if method == "PATCH" else None, NOT_FOUND, 404)
    assert local.ok("GET", "external_data_schemas/")["count"] == 0
    sent = {"name": "w", "query": {"query": "select id from postgres_users"}}
    expected = invalid("Invalid query: Unknown table `postgres_users`.", "query")
    local.refused("POST", "warehouse_saved_queries/", sent, expected)


@pytest.mark.parametrize(("search", "count"), [("postgres", 2), ("p_", 1), ("POSTGRES p_", 1), ("stripe", 0)])
def test_search(local: Api, search: str, count: int) -> None:
    local.source(USERS, prefix="p_")
    local.source(USERS, prefix="q_")
    assert local.ok("GET", f"{S}?search={search}")["count"] == count


def test_revenue_analytics_config(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    changed = local.ok("PATCH", f"{path}revenue_analytics_config", {"enabled": True})
    assert changed["revenue_analytics_config"] == {"enabled": True, "include_invoiceless_charges": False}


def test_webhook_and_cdc_of_a_source_without(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    assert local.ok("GET", f"{path}webhook_info") == {
        "supports_webhooks": False,
        "exists": False,
        "auto_creation_blocked_reason": None,
        "hog_function": None,
        "webhook_url": None,
        "schema_mapping": {},
        "external_status": None,
    }
    assert local.ok("GET", f"{path}cdc_status") == {"enabled": False}


# -- bulk_update_schemas --------------------------------------------------------------------------


def test_bulk(local: Api) -> None:
    source = local.source(USERS, {"name": "settings"}, {"name": "table_1"})
    path = f"{S}{source['id']}/bulk_update_schemas"
    settings, table, users = (item["id"] for item in source["schemas"])
    changed = local.ok(
        "PATCH",
        path,
        {
            "schemas": [
                {"id": users, "sync_frequency": "1hour", "sync_time_of_day": "10:00:00"},
                {"id": settings, "should_sync": True, "sync_type": "full_refresh", "name": "ignored"},
                {"id": table, "should_sync": True, "apply_sync_defaults": True},
            ]
        },
    )
    assert [(item["name"], item["should_sync"], item["sync_type"], item["sync_frequency"]) for item in changed] == [
        ("settings", True, "full_refresh", "6hour"),
        ("table_1", True, "incremental", "6hour"),
        ("users", True, "incremental", "1hour"),
    ]
    assert changed[2]["sync_time_of_day"] == "10:00:00"


def test_refused_bulk(local: Api) -> None:
    source = local.source(USERS, {"name": "settings"})
    path = f"{S}{source['id']}/bulk_update_schemas"
    settings, users = (item["id"] for item in source["schemas"])
    good = {"id": users, "sync_frequency": "1hour"}
    local.refused("PATCH", path, {}, error("required", "This field is required.", "schemas"))
    local.refused("PATCH", path, {"schemas": [good, good]}, invalid("Schema updates must contain unique ids"))
    foreign = {"id": str(uuid.uuid4())}
    expected = invalid("One or more schemas could not be found for this source")
    local.refused("PATCH", path, {"schemas": [good, foreign]}, expected)
    response = local("PATCH", path, {"schemas": [good, {"id": settings, "sync_frequency": "2min"}]})
    assert response.status_code == 400
    assert local.ok("GET", f"{S}{source['id']}/")["schemas"][1]["sync_frequency"] == "6hour"
    response = local("PATCH", path, {"schemas": [good, {"id": settings, "should_sync": True}]})
    answer = response.json()
    assert (response.status_code, answer["code"]) == (400, "bulk_schema_save_failed")
    assert "settings (Sync type must be set up first before enabling schema)" in answer["detail"]
    assert "users" not in answer["detail"]
    assert local.ok("GET", f"{S}{source['id']}/")["schemas"][1]["sync_frequency"] == "1hour"


# -- configurations of other types ----------------------------------------------------------------

KEY_FILE = dict.fromkeys(("project_id", "private_key", "private_key_id", "client_email", "token_uri"), "x")


def connect(local: Api, source_type: str, **payload: Any) -> str:
    """The path of a source of that type."""
    made = local.ok("POST", S, {"source_type": source_type, "payload": payload}, 201)
    return f"{S}{made['id']}/"


@pytest.mark.parametrize("spelling", ["temporary-dataset", "temporary_dataset"])
def test_the_name_with_a_hyphen(local: Api, spelling: str) -> None:
    group = {"enabled": True, "temporary_dataset_id": "t"}
    path = connect(local, "BigQuery", dataset_id="right", key_file=KEY_FILE, **{spelling: group})
    inputs = local.ok("GET", path)["job_inputs"]
    assert inputs["temporary-dataset"] == {"enabled": "True", "temporary_dataset_id": "t"}
    assert "temporary_dataset" not in inputs
    assert "key_file" not in inputs
    changed = local.ok("PATCH", path, {"job_inputs": {spelling: {"temporary_dataset_id": "u"}}})
    assert changed["job_inputs"]["temporary-dataset"] == {"enabled": "True", "temporary_dataset_id": "u"}


def test_secrets_of_another_selection_are_dropped(local: Api) -> None:
    auth = {"selection": "password", "user": "u", "password": "right"}
    path = connect(local, "Snowflake", account_id="a", database="d", warehouse="w", auth_type=auth)
    local.ok("PATCH", path, {"job_inputs": {"auth_type": {"user": "v"}, "database": "e"}})  # the password is kept
    keypair = {"auth_type": {"selection": "keypair", "private_key": "k"}}
    local.refused("PATCH", path, {"job_inputs": keypair}, invalid("Invalid user or password"))
    moved = {"job_inputs": {"account_id": "b"}}
    local.refused("PATCH", path, moved, ENTER)


def test_pointers_of_the_server_stay(local: Api) -> None:
    auth = {"selection": "pat", "personal_access_token": "right"}
    path = connect(local, "Github", auth_method=auth, repository="a/b")
    sent = {"repository": "c/d", "repositories": ["e/f"]}
    inputs = local.ok("PATCH", path, {"job_inputs": sent})["job_inputs"]
    assert (inputs["repository"], inputs["repositories"]) == ("a/b", ["e/f"])


def manifest(*urls: str) -> str:
    return json.dumps({"client": {"base_url": urls[0]}, "resources": [{"name": url, "url": url} for url in urls]})


def test_a_manifest_with_another_host(local: Api) -> None:
    path = connect(local, "Custom", manifest_json=manifest("https://a.example/v1"), auth_token="right")
    local.ok("PATCH", path, {"job_inputs": {"manifest_json": manifest("https://a.example/v2")}})
    other = manifest("https://a.example", "https://b.example")
    expected = invalid("Changing the manifest's request host requires re-entering your credentials.")
    local.refused("PATCH", path, {"job_inputs": {"manifest_json": other}}, expected)
    local.ok("PATCH", path, {"job_inputs": {"manifest_json": other, "auth_token": "right"}})
    local.ok("PATCH", path, {"job_inputs": {"manifest_json": manifest("https://b.example")}})


def test_so_many_sources_of_a_type(local: Api) -> None:
    def sent(prefix: str) -> dict[str, Any]:
        payload = {"manifest_json": manifest("https://a.example"), "auth_token": "right"}
        return {"source_type": "Custom", "prefix": prefix, "payload": payload}

    first = local.ok("POST", S, sent("a_"), 201)
    local.ok("POST", S, sent("b_"), 201)
    local.refused("POST", S, sent("c_"), message("You can create at most 2 sources of this type per project."))
    assert local("DELETE", f"{S}{first['id']}/").status_code == 204
    local.ok("POST", S, sent("c_"), 201)


def test_put_with_the_artefacts(local: Api) -> None:
    path = f"{S}{local.source(USERS)['id']}/"
    changed = local.ok("PUT", path, {"client_secret": "x", "account_id": "y", "description": "new"})
    assert changed["description"] == "new"
    assert not {"client_secret", "account_id"} & changed.keys()


def test_equal_by_their_texts(local: Api) -> None:
    """``"False"`` and ``false``, ``"22"`` and ``22``: no probe (contract 4.5)."""
    tunnel = {"enabled": False, "host": "h", "port": 22, "auth": {"selection": "password"}}
    path = f"{S}{local.source(USERS, ssh_tunnel=tunnel)['id']}/"
    assert local("PUT", "/__local/vendors", []).status_code == 204  # a probe would fail
    for sent in ({"enabled": "False", "port": "22"}, {"enabled": "false"}, {"enabled": False, "port": 22}):
        local.ok("PATCH", path, {"job_inputs": {"ssh_tunnel": sent, "port": "5432"}})


def test_row_filters_of_a_direct_source(local: Api) -> None:
    filtered = {"name": "users", "row_filters": [{"column": "id", "operator": ">", "value": 1}]}
    sent = body(access_method="direct", prefix="a", payload={"schemas": [filtered]})
    local.refused("POST", S, sent, message("Row filters are not supported for direct-query sources."))


def test_direct_connection_options(local: Api) -> None:
    options = local.ok("GET", f"{S}direct_connection_options")
    assert [sorted(option) for option in options] == [["icon_path", "label", "source_type"]] * len(options)
    labels = [option["label"] for option in options]
    assert labels == sorted(labels, key=str.lower)
    assert {"Postgres", "MySQL", "Trino"} <= {option["source_type"] for option in options}


def test_fields_of_the_wizard(local: Api) -> None:
    (stripe,) = local.ok("GET", f"{S}wizard?source_type=Stripe").values()
    kinds = {field["name"]: field for field in stripe["fields"]}
    select = kinds["auth_method"]
    assert list(select) == ["type", "name", "label", "required", "defaultValue", "options", "converter", "multiple"]
    assert [option["value"] for option in select["options"]] == ["api_key", "oauth"]
    assert stripe["webhookFields"][0]["name"] == "signing_secret"
    assert (stripe["existingSource"], stripe["unreleasedSource"], stripe["supportsColumnSelection"]) == (
        False,
        False,
        False,
    )
