"""Contract 6."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import NOT_FOUND, POSTGRES, Api, error, invalid

T = "external_data_schemas/"
USERS = {
    "name": "users",
    "should_sync": True,
    "sync_type": "incremental",
    "incremental_field": "updated_at",
    "incremental_field_type": "timestamp",
}
_FULL = """
    id name label table should_sync last_synced_at latest_error incremental status sync_type incremental_field
    incremental_field_type incremental_field_lookback_seconds sync_frequency sync_time_of_day
    full_refresh_interval_days full_refresh_time_of_day next_full_refresh_at description primary_key_columns
    cdc_table_mode incremental_sync_blocked enabled_columns row_filters row_filter_columns available_columns
    source_column_metadata_available source api_version api_version_deprecation user_access_level
"""
FULL = _FULL.split()


def path_of(local: Api, schema: dict[str, Any], **payload: Any) -> str:
    return f"{T}{local.source(schema, **payload)['schemas'][0]['id']}/"


def test_shape(local: Api) -> None:
    source = local.source(USERS)
    (listed,) = local.ok("GET", T)["results"]
    assert list(listed) == FULL
    assert listed["source"] is None
    one = local.ok("GET", f"{T}{listed['id']}/")
    assert one["source"] == {
        "id": source["id"],
        "source_type": "Postgres",
        "access_method": "warehouse",
        "supports_column_selection": True,
        "supports_row_filters": True,
        "user_access_level": "manager",
    }
    assert (one["sync_frequency"], one["cdc_table_mode"], one["primary_key_columns"]) == (
        "6hour",
        "consolidated",
        ["id"],
    )


def test_post_is_not_allowed(local: Api) -> None:
    expected = error("method_not_allowed", 'Method "POST" not allowed.', type="invalid_request")
    local.refused("POST", T, {}, expected, 405)


def test_search(local: Api) -> None:
    local.source(USERS, {"name": "settings"})
    assert [item["name"] for item in local.ok("GET", f"{T}?search=SET")["results"]] == ["settings"]


@pytest.mark.parametrize(
    "sent",
    [
        {"should_sync": False},
        {"sync_type": "full_refresh"},
        {"sync_type": None},
        {"sync_type": "append"},
        {"incremental_field": "created_at", "incremental_field_type": "timestamp"},
        {"incremental_field_lookback_seconds": 3600},
        {"incremental_field_lookback_seconds": None},
        *(
            {"sync_frequency": value}
            for value in ("5min", "15min", "30min", "1hour", "12hour", "24hour", "7day", "30day")
        ),
        {"sync_time_of_day": "23:59:59"},
        {"sync_time_of_day": None},
        {"full_refresh_interval_days": 90, "full_refresh_time_of_day": "01:00:00"},
        {"primary_key_columns": ["email"]},
        {"enabled_columns": ["id", "email"]},
        {"enabled_columns": []},
        {"enabled_columns": None},
        {"row_filters": [{"column": "id", "operator": ">", "value": 5}]},
        {"row_filters": None},
    ],
)
def test_what_patch_changes(local: Api, sent: dict[str, Any]) -> None:
    path = path_of(local, USERS)
    changed = local.ok("PATCH", path, sent)
    assert {name: changed[name] for name in sent} == sent
    assert local.ok("GET", path) == changed


def test_what_patch_ignores(local: Api) -> None:
    path = path_of(local, USERS)
    before = local.ok("GET", path)
    sent = {"id": "x", "name": "y", "status": "Failed", "incremental": False, "label": "z", "table": {}}
    assert local.ok("PATCH", path, sent) == before
    assert local.ok("PATCH", path, before) == before


COLUMN = {"column": "email", "operator": "=", "value": "x"}


@pytest.mark.parametrize(
    ("stored", "sent", "expected"),
    [
        ({"name": "users"}, {"should_sync": True}, invalid("Sync type must be set up first before enabling schema")),
        (USERS, {"sync_type": "x"}, error("invalid_choice", '"x" is not a valid choice.', "sync_type")),
        (
            USERS,
            {"sync_frequency": "1sec"},
            invalid('"1sec" is not a valid sync frequency. The fastest sync frequency is 5 minutes.', "sync_frequency"),
        ),
        (
            USERS,
            {"sync_frequency": "never"},
            invalid(
                '"never" is not a sync frequency. To stop syncing this table, set should_sync to false.',
                "sync_frequency",
            ),
        ),
        (USERS, {"sync_time_of_day": "25:00"}, invalid("Invalid sync time of day")),
        (
            {"name": "users", "sync_type": "full_refresh"},
            {"incremental_field": "id", "incremental_field_type": "integer"},
            invalid(
                "incremental_field, incremental_field_type cannot be applied to a schema with sync type full_refresh "
                "on its own. Include sync_type in the same request to change the sync type."
            ),
        ),
        (
            {"name": "users"},
            {"primary_key_columns": ["id"]},
            invalid(
                "primary_key_columns cannot be applied to a schema with sync type not set on its own. "
                "Include sync_type in the same request to change the sync type."
            ),
        ),
        (
            {"name": "events_log"},
            {"sync_type": "incremental", "incremental_field": "seen_at", "incremental_field_type": "timestamp"},
            invalid(
                "'events_log' has no primary key to sync incrementally on. Choose a primary key for it, "
                "or switch it to full table replication."
            ),
        ),
        (USERS, {"primary_key_columns": ["nope"]}, invalid("'users' has no column named nope to merge on.")),
        (USERS, {"sync_type": "cdc"}, invalid("CDC is not enabled for this team")),
        (
            USERS,
            {"sync_type": "xmin"},
            invalid(
                "xmin replication is not available for table 'users'. "
                "It requires a Postgres heap table or materialized view on PostgreSQL 13+."
            ),
        ),
        (
            USERS,
            {"incremental_field_lookback_seconds": 5184001},
            error(
                "max_value",
                "Ensure this value is less than or equal to 5184000.",
                "incremental_field_lookback_seconds",
            ),
        ),
        (
            USERS,
            {"full_refresh_interval_days": 0},
            error("min_value", "Ensure this value is greater than or equal to 1.", "full_refresh_interval_days"),
        ),
        (
            USERS,
            {"full_refresh_interval_days": "x"},
            invalid("A valid integer is required.", "full_refresh_interval_days"),
        ),
        (
            USERS,
            {"full_refresh_time_of_day": "x"},
            invalid(
                "Time has wrong format. Use one of these formats instead: hh:mm[:ss[.uuuuuu]].",
                "full_refresh_time_of_day",
            ),
        ),
        (
            USERS,
            {"enabled_columns": ["id", "z", "y"]},
            invalid(
                "Unknown columns in enabled_columns: ['y', 'z']. Run `Pull new schemas` to refresh available columns."
            ),
        ),
        (
            USERS,
            {"row_filters": [{**COLUMN, "column": "nope"}]},
            invalid("Invalid row filter: Unknown column 'nope'"),
        ),
        (
            USERS,
            {"row_filters": [{**COLUMN, "operator": "LIKE"}]},
            invalid("Invalid row filter: Unsupported operator 'LIKE'"),
        ),
        (
            USERS,
            {"row_filters": [{"column": "id", "operator": "=", "value": "x"}]},
            invalid("Invalid row filter: Value does not match the type of column 'id'"),
        ),
        (
            USERS,
            {"row_filters": [{"column": "tags", "operator": "=", "value": "x"}]},
            invalid("Invalid row filter: Column 'tags' has a type that cannot be filtered on"),
        ),
    ],
)
def test_refused_changes(local: Api, stored: dict[str, Any], sent: dict[str, Any], expected: Any) -> None:
    path = path_of(local, stored)
    before = local.ok("GET", path)
    local.refused("PATCH", path, {"sync_frequency": "1hour", **sent}, expected)
    assert local.ok("GET", path) == before


def test_the_key_is_fixed_once_there_is_data(local: Api) -> None:
    path = path_of(local, USERS)
    local.ok("PATCH", path, {"primary_key_columns": ["id", "email"]})
    local.advance()
    expected = invalid(
        "Primary key cannot be changed after data has been synced. "
        "Delete the synced data first, then change the primary key."
    )
    local.refused("PATCH", path, {"primary_key_columns": ["id"]}, expected)
    local.ok("PATCH", path, {"primary_key_columns": ["id", "email"]})
    assert local("DELETE", f"{path}delete_data").status_code == 200
    assert local.ok("GET", path)["table"] is None
    local.ok("PATCH", path, {"primary_key_columns": ["id"]})


def test_no_column_selection_for_stripe(local: Api) -> None:
    payload = {
        "auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"},
        "schemas": [{"name": "Charge"}],
    }
    made = local.ok("POST", "external_data_sources/", {"source_type": "Stripe", "payload": payload}, 201)
    (schema,) = local.ok("GET", f"external_data_sources/{made['id']}/")["schemas"]
    path = f"{T}{schema['id']}/"
    local.refused(
        "PATCH",
        path,
        {"enabled_columns": ["id"]},
        invalid("Column selection is not supported for this source type."),
    )
    local.ok("PATCH", path, {"enabled_columns": None})
    local.refused(
        "PATCH", path, {"row_filters": [COLUMN]}, invalid("Row filters are not supported for this source type.")
    )
    local.refused("PATCH", path, {"sync_type": "cdc"}, invalid("CDC is not supported for Stripe sources."))
    local.refused(
        "PATCH", path, {"sync_type": "xmin"}, invalid("xmin replication is only available for Postgres sources.")
    )


def test_enabled_columns_shape_the_table(local: Api) -> None:
    path = path_of(local, {**USERS, "enabled_columns": ["email"]})
    local.advance()
    columns = [column["name"] for column in local.ok("GET", path)["table"]["columns"]]
    assert columns == ["id", "email", "updated_at"]


def test_enabling_syncs(local: Api) -> None:
    path = path_of(local, {"name": "users"})
    changed = local.ok("PATCH", path, {"should_sync": True, "sync_type": "full_refresh"})
    assert changed["status"] == "Running"
    local.advance()
    assert local.ok("GET", path)["table"]["row_count"] == 10


def test_reload_and_cancel(local: Api) -> None:
    path = path_of(local, USERS)
    assert local("POST", f"{path}cancel").content == b""
    cancelled = local.ok("GET", path)
    assert (cancelled["status"], cancelled["latest_error"]) == ("Failed", "Sync cancelled by user")
    local.refused("POST", f"{path}cancel/", None, {"detail": "No running sync to cancel."})
    for action in ("reload", "resync"):
        response = local("POST", f"{path}{action}/")
        assert (response.status_code, response.content) == (200, b"")
        assert local.ok("GET", path)["status"] == "Running"


def test_incremental_fields(local: Api) -> None:
    found = local.ok("POST", f"{path_of(local, USERS)}incremental_fields/")
    assert [field["field"] for field in found["incremental_fields"]] == ["id", "created_at", "updated_at"]
    assert (found["incremental_available"], found["detected_primary_keys"]) == (True, ["id"])


def test_delete(local: Api) -> None:
    path = path_of(local, USERS)
    assert local("DELETE", path).status_code == 204
    local.refused("GET", path, None, NOT_FOUND, 404)


def test_an_api_version_keeps_webhooks_away(local: Api) -> None:
    payload = {
        "auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"},
        "schemas": [{"name": "Charge", "sync_type": "full_refresh"}],
    }
    made = local.ok("POST", "external_data_sources/", {"source_type": "Stripe", "payload": payload}, 201)
    path = f"{T}{local.ok('GET', 'external_data_sources/' + made['id'] + '/')['schemas'][0]['id']}/"
    assert local("PATCH", path, {"api_version": "1999"}).status_code == 400
    assert local.ok("PATCH", path, {"api_version": "2024-09-30.acacia"})["api_version"] == "2024-09-30.acacia"
    assert local("PATCH", path, {"sync_type": "webhook"}).status_code == 400
    changed = local.ok("PATCH", path, {"sync_type": "webhook", "api_version": None})
    assert (changed["sync_type"], changed["api_version"]) == ("webhook", None)
    assert local("PATCH", path, {"api_version": "2024-09-30.acacia"}).status_code == 400


@pytest.mark.parametrize(
    ("sync_type", "key"), [("incremental", ["id"]), ("append", None), ("full_refresh", None), (None, None)]
)
def test_only_some_types_take_the_detected_key(local: Api, sync_type: str | None, key: list[str] | None) -> None:
    """At the creation and at a change alike (contract 4.3, 6.3)."""
    cursor = {"incremental_field": "updated_at", "incremental_field_type": "timestamp"}
    assert local.ok("GET", path_of(local, {"name": "users", "sync_type": sync_type, **cursor}))[
        "primary_key_columns"
    ] == (key)
    local("POST", "/__local/reset")
    path = path_of(local, {"name": "users"})
    assert local.ok("PATCH", path, {"sync_type": sync_type, **cursor})["primary_key_columns"] == key


def test_webhook_only_tables(local: Api) -> None:
    payload = {
        "auth_method": {"selection": "api_key", "stripe_secret_key": "sk_right"},
        "schemas": [{"name": "Discount"}],
    }
    made = local.ok("POST", "external_data_sources/", {"source_type": "Stripe", "payload": payload}, 201)
    path = f"{T}{local.ok('GET', 'external_data_sources/' + made['id'] + '/')['schemas'][0]['id']}/"
    expected = invalid("Discount can only be synced via webhooks — pick the Webhook sync method.")
    local.refused("PATCH", path, {"sync_type": "full_refresh"}, expected)
    assert local.ok("PATCH", path, {"sync_type": "webhook"})["sync_type"] == "webhook"


def test_a_direct_table_is_enabled_without_a_sync_type(local: Api) -> None:
    payload = {**POSTGRES, "schemas": [{"name": "users"}]}
    body = {"source_type": "Postgres", "access_method": "direct", "prefix": "shop", "payload": payload}
    made = local.ok("POST", "external_data_sources/", body, 201)
    path = f"{T}{local.ok('GET', 'external_data_sources/' + made['id'] + '/')['schemas'][0]['id']}/"
    changed = local.ok("PATCH", path, {"should_sync": True})
    assert (changed["should_sync"], changed["sync_type"], changed["status"]) == (True, None, None)
    filters = {"row_filters": [{"column": "id", "operator": ">", "value": 1}]}
    local.refused("PATCH", path, filters, invalid("Row filters are not supported for direct-query sources."))


def test_the_sync_limit(local: Api) -> None:
    source = local.source(USERS)
    path = f"{T}{source['schemas'][0]['id']}/"
    local.advance()
    limit = {"sync_limit_reached": True}
    assert local.ok("PATCH", "/__local/projects/1", limit) == {**limit, "cdc_enabled": True}
    expected = {"message": "Monthly sync limit reached. Please increase your billing limit to resume syncing."}
    for action in (f"{path}reload", f"{path}resync", f"external_data_sources/{source['id']}/reload"):
        local.refused("POST", action, None, expected)
    assert local.ok("GET", path)["status"] == "Completed"
    local.advance(7 * 3600)  # neither does its schedule sync it
    jobs = f"external_data_sources/{source['id']}/jobs"
    assert len(local.ok("GET", jobs)) == 1
    local.ok("PATCH", "/__local/projects/1", {"sync_limit_reached": False})
    assert local("POST", f"{path}reload").status_code == 200
    assert local("PATCH", "/__local/projects/99", limit).status_code == 404
    assert local("PATCH", "/__local/projects/1", {"name": "x"}).status_code == 400
