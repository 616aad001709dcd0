"""Contract 6.1 and 6.4: what can be done to one table, and the checks of views that came with it (3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import POSTGRES, Api, error

T = "external_data_schemas/"
W = "warehouse_saved_queries/"
USERS = {
    "name": "users",
    "should_sync": True,
    "sync_type": "incremental",
    "incremental_field": "updated_at",
    "incremental_field_type": "timestamp",
}


def table(local: Api, schema: dict[str, Any] | None = None, **payload: Any) -> str:
    return f"{T}{local.source(schema or USERS, **payload)['schemas'][0]['id']}/"


def test_resync_drops_the_table_first(local: Api) -> None:
    path = table(local)
    local.advance()
    assert local.ok("GET", path)["table"] is not None
    response = local("POST", f"{path}resync/")
    assert (response.status_code, response.content) == (200, b"")
    again = local.ok("GET", path)
    assert (again["status"], again["table"]) == ("Running", None)
    local.advance()
    assert local.ok("GET", path)["table"]["row_count"] == 10


def test_resync_starts_over(local: Api) -> None:
    path = table(local)
    assert local("POST", f"{path}resync/").status_code == 200
    source = local.ok("GET", path)["source"]["id"]
    jobs = local.ok("GET", f"external_data_sources/{source}/jobs/")
    assert [(job["status"], job["latest_error"]) for job in jobs] == [
        ("Running", None),
        ("Failed", "Sync cancelled by user"),
    ]


def test_reload_keeps_the_table(local: Api) -> None:
    path = table(local)
    local.advance()
    assert local("POST", f"{path}reload/").status_code == 200
    again = local.ok("GET", path)
    assert (again["status"], again["table"]["row_count"]) == ("Running", 10)


def test_what_only_webhooks_bring_is_kept(local: Api) -> None:
    payload = {
        "auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"},
        "schemas": [{"name": "Discount", "should_sync": True, "sync_type": "webhook"}],
    }
    made = local.ok("POST", "external_data_sources/", {"source_type": "Stripe", "payload": payload}, 201)
    path = f"{T}{local.ok('GET', 'external_data_sources/' + made['id'] + '/')['schemas'][0]['id']}/"
    local.advance()
    kept = local.ok("GET", path)["table"]
    assert local("POST", f"{path}resync/").status_code == 200
    assert local.ok("GET", path)["table"] == kept


def test_delete_data_of_a_direct_table(local: Api) -> None:
    payload = {**POSTGRES, "schemas": [{"name": "users", "should_sync": True}]}
    body = {"source_type": "Postgres", "access_method": "direct", "prefix": "shop", "payload": payload}
    made = local.ok("POST", "external_data_sources/", body, 201)
    path = f"{T}{local.ok('GET', 'external_data_sources/' + made['id'] + '/')['schemas'][0]['id']}/"
    assert local.ok("GET", path)["should_sync"] is True
    response = local("DELETE", f"{path}delete_data/")
    assert (response.status_code, response.content) == (200, b"")
    assert local.ok("GET", path)["should_sync"] is False


def test_delete_data_keeps_syncing_otherwise(local: Api) -> None:
    path = table(local)
    local.advance()
    assert local("DELETE", f"{path}delete_data/").status_code == 200
    after = local.ok("GET", path)
    assert (after["table"], after["should_sync"]) == (None, True)


def test_incremental_fields_are_asked_of_the_vendor(local: Api) -> None:
    path = table(local)
    found = local.ok("POST", f"{path}incremental_fields/")
    assert list(found) == [
        "incremental_fields",
        "incremental_available",
        "append_available",
        "cdc_available",
        "xmin_available",
        "full_refresh_available",
        "supports_webhooks",
        "webhook_only",
        "available_columns",
        "detected_primary_keys",
        "primary_key_detection_supported",
    ]
    assert (found["cdc_available"], found["xmin_available"], found["full_refresh_available"]) == (True, False, True)
    vendor = {"source_type": "Postgres", "tables": [{"name": "users", "columns": {"name": "text"}}]}
    assert local("PUT", "/__local/vendors", [vendor]).status_code == 204
    changed = local.ok("POST", f"{path}incremental_fields/")
    assert (changed["incremental_fields"], changed["incremental_available"]) == ([], False)
    assert (changed["cdc_available"], changed["detected_primary_keys"]) == (False, None)
    assert local("PUT", "/__local/vendors", [{**vendor, "tables": []}]).status_code == 204
    local.refused("POST", f"{path}incremental_fields/", None, {"message": "Schema with name users not found"})
    assert local("PUT", "/__local/vendors", []).status_code == 204
    expected = {"message": "Could not connect to the host"}
    local.refused("POST", f"{path}incremental_fields/", None, expected)


def test_logs(local: Api) -> None:
    path = table(local)
    local.advance()
    page = local.ok("GET", f"{path}logs/")
    assert list(page) == ["count", "next", "previous", "results"]
    assert [line["message"] for line in page["results"]] == ["Synced 10 rows", "Started the sync"]
    assert list(page["results"][0]) == ["log_source_id", "instance_id", "timestamp", "level", "message"]
    assert local.ok("GET", f"{path}logs/?search=started")["count"] == 1
    assert local.ok("GET", f"{path}logs/?level=error")["count"] == 0
    assert local.ok("GET", f"{path}logs/?limit=1")["results"] == page["results"][:1]
    local("POST", f"{path}reload/")
    local("POST", f"{path}cancel/")
    newest = local.ok("GET", f"{path}logs/")["results"][0]
    assert (newest["level"], newest["message"]) == ("ERROR", "Sync cancelled by user")


@pytest.mark.parametrize(("query", "attr"), [("limit=0", "limit"), ("limit=501", "limit"), ("after=x", "after")])
def test_bad_parameters_of_logs(local: Api, query: str, attr: str) -> None:
    response = local("GET", f"{table(local)}logs/?{query}")
    assert (response.status_code, response.json()["attr"]) == (400, attr)


# -- check_incremental of views -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "eligible"),
    [
        ({}, True),
        ({"incremental_key": "timestamp", "unique_key": ["uuid"], "lookback_seconds": 60}, True),
        ({"incremental_key": "nope"}, False),
        ({"incremental_key": "timestamp", "unique_key": ["nope"]}, False),
    ],
)
def test_check_incremental(api: Api, settings: dict[str, Any], eligible: bool) -> None:
    body = {"query": "select uuid, timestamp from events", **settings}
    answer = api.ok("POST", f"{W}check_incremental/", body)
    assert answer["eligible"] is eligible
    assert (answer["reason"] is None) is eligible


def test_check_incremental_of_a_bad_query(local: Api) -> None:
    answer = local.ok("POST", f"{W}check_incremental/", {"query": "select a from nowhere"})
    assert answer == {"eligible": False, "reason": "Invalid query: Unknown table `nowhere`."}


@pytest.mark.parametrize(
    ("body", "code", "attr"),
    [
        ({}, "required", "query"),
        ({"query": "x" * 262_145}, "max_length", "query"),
        ({"query": "select 1", "lookback_seconds": -1}, "min_value", "lookback_seconds"),
        ({"query": "select 1", "unique_key": []}, "empty", "unique_key"),
    ],
)
def test_refused_check_incremental(api: Api, body: dict[str, Any], code: str, attr: str) -> None:
    response = api("POST", f"{W}check_incremental/", body)
    assert (response.status_code, response.json()["code"], response.json()["attr"]) == (400, code, attr)


def test_check_incremental_needs_only_read(local: Api) -> None:
    body = {"query": "select event from events"}
    assert Api(local.url, "phx_read").ok("POST", f"{W}check_incremental/", body)["eligible"] is True
    expected = error(
        "permission_denied", "API key missing required scope 'warehouse_view:read'", type="authentication_error"
    )
    Api(local.url, "phx_no_scope").refused("POST", f"{W}check_incremental/", body, expected, 403)
