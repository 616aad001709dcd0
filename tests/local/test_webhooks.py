"""Contract 5.9 and 5.10. Vendors are scripted, so these rows run against the local PostHog only."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import Api

S = "external_data_sources/"
KEY = {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"}}
CHARGES = {"name": "Charge", "should_sync": True, "sync_type": "webhook"}
EVENTS = ["charge.created", "charge.updated", "charge.deleted"]


def message(text: str) -> dict[str, str]:
    return {"message": text}


def stripe(local: Api, *schemas: dict[str, Any], **webhook: Any) -> str:
    """A Stripe source whose vendor treats webhooks as ``webhook`` says. Its path."""
    script(local, **webhook)
    body = {"source_type": "Stripe", "payload": {**KEY, "schemas": list(schemas or (CHARGES,))}}
    return f"{S}{local.ok('POST', S, body, 201)['id']}/"


def script(local: Api, **webhook: Any) -> None:
    vendor = {"source_type": "Stripe", "credentials": {"auth_method.stripe_secret_key": "sk_right"}}
    assert local("PUT", "/__local/vendors", [{**vendor, "webhook": webhook}]).status_code == 204


def schema_id(local: Api, path: str, name: str = "Charge") -> str:
    return next(item["id"] for item in local.ok("GET", path)["schemas"] if item["name"] == name)


def test_a_supported_type_without_a_webhook(local: Api) -> None:
    assert local.ok("GET", f"{stripe(local)}webhook_info/") == {
        "supports_webhooks": True,
        "exists": False,
        "auto_creation_blocked_reason": None,
        "hog_function": None,
        "webhook_url": None,
        "schema_mapping": {},
        "external_status": None,
        "inputs": {},
        "missing_events": [],
    }


def test_created_and_read(local: Api) -> None:
    path = stripe(local)
    made = local.ok("POST", f"{path}create_webhook/", {})
    assert made == {"success": True, "webhook_url": made["webhook_url"], "error": None, "pending_inputs": []}
    assert made["webhook_url"].startswith(f"{local.url}/public/webhooks/dwh/")
    info = local.ok("GET", f"{path}webhook_info")
    assert (info["supports_webhooks"], info["exists"], info["webhook_url"]) == (True, True, made["webhook_url"])
    assert set(info["hog_function"]) == {"id", "name", "enabled", "created_at", "status"}
    assert info["hog_function"]["id"] == made["webhook_url"].rpartition("/")[2]
    assert info["schema_mapping"] == {"charge": schema_id(local, path)}
    assert info["inputs"] == {"signing_secret": {"secret": True}}
    status = info["external_status"]
    assert list(status) == [
        "exists",
        "url",
        "enabled_events",
        "status",
        "description",
        "created_at",
        "api_version",
        "error",
    ]
    assert (status["exists"], status["url"], status["error"]) == (True, made["webhook_url"], None)
    assert (status["enabled_events"], info["missing_events"]) == (EVENTS, [])


def test_a_refusal_of_the_vendor_is_a_200(local: Api) -> None:
    path = stripe(local, refused="The key sk_right may not write webhooks")
    made = local.ok("POST", f"{path}create_webhook/")
    assert (made["success"], made["error"]) == (False, "The key *** may not write webhooks")
    info = local.ok("GET", f"{path}webhook_info/")
    assert (info["exists"], info["webhook_url"], info["inputs"]) == (True, made["webhook_url"], {})
    assert (info["external_status"]["exists"], info["missing_events"]) == (False, [])
    script(local)
    again = local.ok("POST", f"{path}create_webhook/")
    assert (again["success"], again["webhook_url"]) == (True, made["webhook_url"])


def test_a_blocked_creation(local: Api) -> None:
    path = stripe(local, blocked="Only an administrator of the account may do that")
    reason = local.ok("GET", f"{path}webhook_info/")["auto_creation_blocked_reason"]
    made = local.ok("POST", f"{path}create_webhook/")
    assert (made["success"], made["error"], made["pending_inputs"]) == (False, reason, [])


def test_secrets_that_the_vendor_keeps(local: Api) -> None:
    path = stripe(local, returns_secrets=False)
    assert local.ok("POST", f"{path}create_webhook/")["pending_inputs"] == ["signing_secret"]
    assert local.ok("GET", f"{path}webhook_info/")["inputs"] == {}
    assert local.ok("POST", f"{path}update_webhook_inputs/", {"inputs": {"signing_secret": "whsec_1"}}) == {
        "success": True
    }
    response = local("GET", f"{path}webhook_info/")
    assert response.json()["inputs"] == {"signing_secret": {"secret": True}}
    assert "whsec_1" not in response.text
    assert local.ok("POST", f"{path}create_webhook/")["pending_inputs"] == []


def test_inputs_with_the_creation(local: Api) -> None:
    path = stripe(local, returns_secrets=False)
    made = local.ok("POST", f"{path}create_webhook/", {"inputs": {"signing_secret": "whsec_1"}})
    assert made["pending_inputs"] == []
    for wrong in ({"nope": 1}, ["x"], "x"):
        local.refused("POST", f"{path}create_webhook/", {"inputs": wrong}, message("Invalid webhook inputs"))


def test_tables_added_later_are_merged(local: Api) -> None:
    path = stripe(local, CHARGES, {"name": "InvoiceItem"}, {"name": "Customer"})
    local.ok("POST", f"{path}create_webhook/")
    table = f"external_data_schemas/{schema_id(local, path, 'Customer')}/"
    local.ok("PATCH", table, {"sync_type": "webhook", "should_sync": True})
    missing = ["customer.created", "customer.deleted", "customer.updated"]
    assert local.ok("GET", f"{path}webhook_info/")["missing_events"] == missing
    local.ok("POST", f"{path}create_webhook/")
    info = local.ok("GET", f"{path}webhook_info/")
    assert info["schema_mapping"] == {
        "charge": schema_id(local, path),
        "customer": schema_id(local, path, "Customer"),
    }
    assert info["missing_events"] == []


@pytest.mark.parametrize(
    ("events", "missing"),
    [(["*"], []), (["charge.created"], ["charge.deleted", "charge.updated"]), ([], sorted(EVENTS))],
)
def test_missing_events(local: Api, events: list[str], missing: list[str]) -> None:
    path = stripe(local, events=events)
    local.ok("POST", f"{path}create_webhook/")
    info = local.ok("GET", f"{path}webhook_info/")
    assert (info["external_status"]["enabled_events"], info["missing_events"]) == (events, missing)


def test_the_vendor_cannot_be_read(local: Api) -> None:
    path = stripe(local)
    local.ok("POST", f"{path}create_webhook/")
    script(local, unreadable="sk_right is not allowed")
    info = local.ok("GET", f"{path}webhook_info/")
    assert (info["external_status"]["exists"], info["external_status"]["error"]) == (False, "*** is not allowed")
    assert (info["exists"], info["missing_events"]) == (True, [])
    assert local("PUT", "/__local/vendors", []).status_code == 204  # nobody answers at all
    assert local.ok("GET", f"{path}webhook_info/")["external_status"]["error"]


def test_removed_at_the_vendor(local: Api) -> None:
    path = stripe(local)
    local.ok("POST", f"{path}create_webhook/")
    script(local, gone=True)
    info = local.ok("GET", f"{path}webhook_info/")
    assert (info["exists"], info["external_status"]["exists"], info["external_status"]["error"]) == (True, False, None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "No inputs provided"),
        (None, "No inputs provided"),
        ([], "No inputs provided"),
        ({"inputs": {}}, "No inputs provided"),
        ({"inputs": "x"}, "No inputs provided"),
        ({"inputs": {"b": 1, "a": 1, "signing_secret": ""}}, "Invalid input keys: a, b"),
        ({"inputs": {"signing_secret": ""}}, "Missing required fields: signing_secret"),
        (
            {"inputs": {"signing_secret": "x"}},
            "No webhook function found for this source. Create a webhook first.",
        ),
    ],
)
def test_refused_inputs(local: Api, body: Any, text: str) -> None:
    local.refused("POST", f"{stripe(local)}update_webhook_inputs/", body, message(text))


def test_inputs_that_the_vendor_refuses(local: Api) -> None:
    path = stripe(local)
    local.ok("POST", f"{path}create_webhook/")
    script(local, inputs_refused="No such endpoint")
    expected = {"success": False, "error": "No such endpoint"}
    local.refused("POST", f"{path}update_webhook_inputs/", {"inputs": {"signing_secret": "x"}}, expected)


def test_inputs_need_no_table_on_webhooks(local: Api) -> None:
    path = stripe(local)
    local.ok("POST", f"{path}create_webhook/")
    local.ok("PATCH", f"external_data_schemas/{schema_id(local, path)}/", {"should_sync": False})
    assert local.ok("POST", f"{path}update_webhook_inputs/", {"inputs": {"signing_secret": "x"}}) == {"success": True}


def test_delete(local: Api) -> None:
    path = stripe(local)
    local.ok("POST", f"{path}create_webhook/")
    expected = message(
        "Cannot delete webhook while tables are using webhook sync: Charge. "
        "Switch them to full refresh, incremental, or disable syncing first."
    )
    local.refused("POST", f"{path}delete_webhook/", None, expected)
    local.ok("PATCH", f"external_data_schemas/{schema_id(local, path)}/", {"sync_type": "full_refresh"})
    assert local.ok("POST", f"{path}delete_webhook/") == {"success": True, "external_deleted": True, "error": None}
    assert local.ok("GET", f"{path}webhook_info/")["exists"] is False
    assert local.ok("POST", f"{path}delete_webhook/") == {"success": True, "external_deleted": False, "error": None}


def test_delete_although_the_vendor_refuses(local: Api) -> None:
    path = stripe(local, {"name": "Charge"})
    local.ok("POST", f"{path}create_webhook/")
    script(local, delete_refused="No permission")
    expected = {"success": True, "external_deleted": False, "error": "No permission"}
    assert local.ok("POST", f"{path}delete_webhook/") == expected
    assert local.ok("GET", f"{path}webhook_info/")["exists"] is False


@pytest.mark.parametrize("action", ["create_webhook", "update_webhook_inputs", "delete_webhook"])
def test_a_type_without_webhooks(local: Api, action: str) -> None:
    path = f"{S}{local.source({'name': 'users'})['id']}/"
    expected = message("This source type does not support webhooks")
    local.refused("POST", f"{path}{action}/", {"inputs": {"x": 1}}, expected)


def test_nothing_answers_at_creation(local: Api) -> None:
    path = stripe(local)
    assert local("PUT", "/__local/vendors", []).status_code == 204
    local.refused("POST", f"{path}create_webhook/", None, message("Failed to load source configuration or schemas"))


def test_it_goes_with_its_source(local: Api) -> None:
    path = stripe(local)
    local.ok("POST", f"{path}create_webhook/")
    assert local("DELETE", path).status_code == 204
    assert local("GET", f"{path}webhook_info/").status_code == 404


@pytest.mark.parametrize("action", ["create_webhook", "update_webhook_inputs", "delete_webhook"])
def test_writing_needs_the_scope(local: Api, action: str) -> None:
    path = stripe(local)
    reader = Api(local.url, "phx_read")
    assert reader("POST", f"{path}{action}/", {}).status_code == 403
    assert reader.ok("GET", f"{path}webhook_info/")["exists"] is False
