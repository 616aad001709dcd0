"""Contract 5.7, and row 9 of 4.4."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from .harness import POSTGRES, Api, error, invalid

S = "external_data_sources/"
KEY = {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"}}
DAY = 24 * 60 * 60


def message(text: str) -> dict[str, str]:
    return {"message": text}


def store(local: Api, source_type: str = "Postgres", **payload: Any) -> Any:
    body = {"source_type": source_type, "payload": {**POSTGRES, **payload}}
    return local.ok("POST", f"{S}store_credentials/", body, 201)


# -- setup --------------------------------------------------------------------------------------


def test_setup_enables_every_table(local: Api) -> None:
    sent = {"source_type": "Postgres", "payload": POSTGRES, "prefix": "p_", "description": "x"}
    made = local.ok("POST", f"{S}setup/", sent, 201)
    assert list(made) == ["id"]
    source = local.ok("GET", f"{S}{made['id']}/")
    assert (source["created_via"], source["prefix"], source["description"]) == ("mcp", "p_", "x")
    assert all(table["should_sync"] for table in source["schemas"])
    assert [table["name"] for table in source["schemas"]] == ["broken", "events_log", "settings", "table_1", "users"]


def test_setup_ignores_schemas(local: Api) -> None:
    sent = {"source_type": "Postgres", "payload": {**POSTGRES, "schemas": [{"name": "users"}]}}
    made = local.ok("POST", f"{S}setup/", sent, 201)
    assert len(local.ok("GET", f"{S}{made['id']}/")["schemas"]) == 5


def test_setup_makes_a_webhook(local: Api) -> None:
    made = local.ok("POST", f"{S}setup/", {"source_type": "Stripe", "payload": KEY}, 201)
    assert made["webhook"] == {
        "success": True,
        "webhook_url": made["webhook"]["webhook_url"],
        "error": None,
        "pending_inputs": [],
    }
    tables = {table["name"]: table for table in local.ok("GET", f"{S}{made['id']}/")["schemas"]}
    assert (tables["Charge"]["sync_type"], tables["Account"]["sync_type"]) == ("webhook", "full_refresh")
    assert (tables["Discount"]["sync_type"], tables["Discount"]["should_sync"]) == ("webhook", True)
    info = local.ok("GET", f"{S}{made['id']}/webhook_info/")
    assert info["schema_mapping"]["charge"] == tables["Charge"]["id"]


def test_setup_without_the_webhook(local: Api) -> None:
    vendor = {"source_type": "Stripe", "credentials": {}, "webhook": {"refused": "No permission"}}
    assert local("PUT", "/__local/vendors", [vendor]).status_code == 204
    made = local.ok("POST", f"{S}setup/", {"source_type": "Stripe", "payload": KEY}, 201)
    expected = {"success": False, "webhook_url": None, "error": "No permission", "pending_inputs": []}
    assert made["webhook"] == expected
    tables = {table["name"]: table for table in local.ok("GET", f"{S}{made['id']}/")["schemas"]}
    assert (tables["Charge"]["sync_type"], tables["Discount"]["should_sync"]) == ("incremental", False)
    assert local.ok("GET", f"{S}{made['id']}/webhook_info/")["exists"] is False


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, error("required", "This field is required.", "source_type")),
        ({"source_type": "Nope"}, error("invalid_choice", '"Nope" is not a valid choice.', "source_type")),
        (
            {"source_type": "Stripe"},
            message("Invalid source config: Required field 'auth_method' is missing"),
        ),
        (
            {"source_type": "Postgres", "payload": {**POSTGRES, "password": "wrong"}},
            message("Invalid user or password"),
        ),
        (
            {"source_type": "Postgres", "payload": POSTGRES, "prefix": "managed_warehouse"},
            message("This source name is reserved by PostHog."),
        ),
        (
            {"source_type": "Postgres", "payload": POSTGRES, "prefix": "__"},
            invalid("Prefix cannot consist of only underscores"),
        ),
    ],
)
def test_refused_setups(local: Api, sent: dict[str, Any], expected: Any) -> None:
    local.refused("POST", f"{S}setup/", sent, expected)
    assert local.ok("GET", S)["count"] == 0


# -- stored credentials -------------------------------------------------------------------------


def test_stored_and_used_once(local: Api) -> None:
    stored = store(local, password=" right ")
    assert list(stored) == ["credential_id", "source_type", "created_at", "expires_at"]
    lifetime = datetime.fromisoformat(stored["expires_at"]) - datetime.fromisoformat(stored["created_at"])
    assert lifetime == timedelta(days=1)
    response = local("GET", f"{S}stored_credentials/")
    assert response.json() == [stored]
    assert "right" not in response.text
    sent = {"source_type": "Postgres", "payload": {"credential_id": stored["credential_id"]}}
    made = local.ok("POST", f"{S}setup/", sent, 201)
    assert local.ok("GET", f"{S}{made['id']}/")["job_inputs"]["host"] == "db.example.com"
    assert local.ok("GET", f"{S}stored_credentials/") == []
    text = f"Stored credential '{stored['credential_id']}' not found or expired"
    local.refused("POST", f"{S}setup/", {**sent, "prefix": "p_"}, message(text))


def test_create_takes_them_too(local: Api) -> None:
    payload = {"credential_id": store(local)["credential_id"], "schemas": [{"name": "users"}], "host": "overruled"}
    made = local.ok("POST", S, {"source_type": "Postgres", "payload": payload}, 201)
    assert local.ok("GET", f"{S}{made['id']}/")["job_inputs"]["host"] == "db.example.com"


def test_a_failure_does_not_use_them_up(local: Api) -> None:
    stored = store(local)
    payload = {"credential_id": stored["credential_id"], "schemas": [{"name": "nope"}]}
    body = {"source_type": "Postgres", "payload": payload}
    local.refused("POST", S, body, message("Schemas given do not exist in source"))
    assert local.ok("GET", f"{S}stored_credentials/") == [stored]


def test_of_another_type(local: Api) -> None:
    stored = local.ok("POST", f"{S}store_credentials/", {"source_type": "Stripe", "payload": KEY}, 201)
    wanted = stored["credential_id"]
    body = {"source_type": "Postgres", "payload": {"credential_id": wanted}}
    local.refused("POST", S, body, message(f"Stored credential '{wanted}' is for 'Stripe', not 'Postgres'"))


@pytest.mark.parametrize("wanted", ["x", 7, str(uuid.UUID(int=1))])
def test_unknown_ones(local: Api, wanted: Any) -> None:
    body = {"source_type": "Postgres", "payload": {"credential_id": wanted}}
    local.refused("POST", S, body, message(f"Stored credential '{wanted}' not found or expired"))


def test_they_expire(local: Api) -> None:
    wanted = store(local)["credential_id"]
    local.advance(DAY - 60)
    assert len(local.ok("GET", f"{S}stored_credentials/")) == 1
    local.advance(120)
    assert local.ok("GET", f"{S}stored_credentials/") == []
    body = {"source_type": "Postgres", "payload": {"credential_id": wanted}}
    local.refused("POST", S, body, message(f"Stored credential '{wanted}' not found or expired"))


def test_of_somebody_else(local: Api) -> None:
    wanted = store(local)["credential_id"]
    seed = local.ok("GET", "/__local/seed")
    assert seed["users"][1]["email"] == "viewer@example.com"
    assert Api(local.url, "phx_viewer").ok("GET", f"{S}stored_credentials/") == []
    assert local.ok("GET", f"/api/projects/2/{S}stored_credentials/") == []
    body = {"source_type": "Postgres", "payload": {"credential_id": wanted}}
    expected = message(f"Stored credential '{wanted}' not found or expired")
    local.refused("POST", f"/api/projects/2/{S}", body, expected)


def test_filtered_by_type_newest_first(local: Api) -> None:
    first, second = store(local), store(local)
    local.ok("POST", f"{S}store_credentials/", {"source_type": "Stripe", "payload": KEY}, 201)
    found = local.ok("GET", f"{S}stored_credentials/?source_type=Postgres")
    assert [item["credential_id"] for item in found] == [second["credential_id"], first["credential_id"]]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"source_type": "Postgres"}, error("required", "This field is required.", "payload")),
        (
            {"source_type": "Stripe", "payload": {}},
            message("Invalid source config: Required field 'auth_method' is missing"),
        ),
        (
            {"source_type": "Postgres", "payload": {**POSTGRES, "password": "wrong"}},
            message("Invalid user or password"),
        ),
    ],
)
def test_only_what_works_is_stored(local: Api, sent: dict[str, Any], expected: Any) -> None:
    local.refused("POST", f"{S}store_credentials/", sent, expected)
    assert local.ok("GET", f"{S}stored_credentials/") == []


# -- links and accounts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source_type", "method"), [("Postgres", "credentials"), ("Stripe", "credentials"), ("Hubspot", "oauth")]
)
def test_connect_link(api: Api, source_type: str, method: str) -> None:
    link = api.ok("GET", f"{S}connect_link/?source_type={source_type}")
    assert (link["auth_method"], link["connect_url"].startswith("http")) == (method, True)
    assert link["instructions"]


@pytest.mark.parametrize(
    ("query", "text"),
    [("", "Missing required parameter: source_type"), ("?source_type=X", "Unknown source_type 'X'")],
)
def test_refused_connect_links(api: Api, query: str, text: str) -> None:
    api.refused("GET", f"{S}connect_link/{query}", None, message(text))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "source_type and integration_id are required"),
        ("?source_type=Hubspot&integration_id=x", "integration_id must be an integer"),
        (
            "?source_type=Hubspot&integration_id=1",
            "No Hubspot connection was found for this integration. Please reconnect the integration.",
        ),
    ],
)
def test_accounts_of_an_integration(local: Api, query: str, text: str) -> None:
    local.refused("GET", f"{S}oauth_accounts/{query}", None, invalid(text))


def test_accounts_of_credentials(local: Api) -> None:
    assert local.ok("GET", f"{S}credential_accounts/?source_type=Stripe") == {"accounts": []}


def test_preview(local: Api) -> None:
    manifest = '{"client": {"base_url": "https://x"}, "resources": [{"name": "people"}]}'
    sent = {"source_type": "Custom", "payload": {"manifest_json": manifest}, "resource_name": "people"}
    answer = local.ok("POST", f"{S}preview_resource/", sent)
    assert (answer["rows"], answer["row_count"], answer["columns"]) == ([], 0, [])
    assert answer["error"]
    local.refused("POST", f"{S}preview_resource/", {**sent, "resource_name": "x"}, message("Unknown resource 'x'."))
    expected = message("Preview is not supported for source type 'Stripe'.")
    local.refused("POST", f"{S}preview_resource/", {**sent, "source_type": "Stripe"}, expected)


def test_drafts_need_a_model(local: Api) -> None:
    expected = message("AI manifest drafting is not enabled for this organization.")
    local.refused("POST", f"{S}draft_custom_manifest/", {"docs_text": "x"}, expected, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "setup"),
        ("POST", "store_credentials"),
        ("POST", "preview_resource"),
        ("POST", "draft_custom_manifest"),
        ("GET", "oauth_accounts"),
        ("GET", "credential_accounts"),
    ],
)
def test_what_is_a_write_for_scopes(local: Api, method: str, path: str) -> None:
    detail = "API key missing required scope 'external_data_source:write'"
    expected = error("permission_denied", detail, type="authentication_error")
    Api(local.url, "phx_read").refused(method, f"{S}{path}/", {} if method == "POST" else None, expected, 403)


# -- destinations -------------------------------------------------------------------------------

ONE, TWO = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
EMPTY = (
    "Pick at least one destination. To stop syncing this data, turn off syncing instead of removing every destination."
)


def test_destinations_of_a_source(local: Api) -> None:
    path = f"{S}{local.source({'name': 'users'})['id']}/destinations/"
    assert local.ok("GET", path) == {"destination_ids": []}
    assert local.ok("PATCH", path, {"destination_ids": [ONE]}) == {"destination_ids": [ONE]}
    assert local.ok("GET", path) == {"destination_ids": [ONE]}
    for wrong in ([], None):
        local.refused("PATCH", path, {"destination_ids": wrong}, invalid(EMPTY, "destination_ids"))
    local.refused("PATCH", path, {}, error("required", "This field is required.", "destination_ids"))


def test_destinations_with_the_creation(local: Api) -> None:
    body = {"source_type": "Postgres", "payload": POSTGRES, "destination_ids": [ONE, TWO]}
    made = local.ok("POST", S, body, 201)
    assert local.ok("GET", f"{S}{made['id']}/destinations/") == {"destination_ids": [ONE, TWO]}


def test_destinations_of_a_table(local: Api) -> None:
    source = local.source({"name": "users"})
    path = f"external_data_schemas/{source['schemas'][0]['id']}/destinations/"
    local.ok("PATCH", f"{S}{source['id']}/destinations/", {"destination_ids": [ONE]})
    inherited = {"destination_ids": None, "inherits_from_source": True, "effective_destination_ids": [ONE]}
    assert local.ok("GET", path) == inherited
    changed = local.ok("PATCH", path, {"destination_ids": [TWO]})
    assert changed == {"destination_ids": [TWO], "inherits_from_source": False}
    assert local.ok("GET", path) == {**changed, "effective_destination_ids": [TWO]}
    local.refused("PATCH", path, {"destination_ids": []}, invalid(EMPTY, "destination_ids"))
    local.ok("PATCH", path, {"destination_ids": None})
    assert local.ok("GET", path) == inherited
