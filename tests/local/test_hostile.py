"""Bad input: the contract's answer, never a 500 of our own, never a lost server."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import POSTGRES, Api

JSON = {"Content-Type": "application/json"}
V, W, S = "insight_variables/", "warehouse_saved_queries/", "external_data_sources/"
SURROGATE = "\\ud800"


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        (V, b"[" * 200_000, 400),
        (V, b'{"name": NaN}', 400),
        (V, b'{"name":"x","type":"Number","default_value":1e999}', 400),
        (V, b'{"name":"x","type":"Number","default_value":' + b"[" * 900 + b"]" * 900 + b"}", 201),
        (V, b"\xff\xfe", 400),
        (V, b"9" * 10_000, 400),
        (V, f'{{"name":"{SURROGATE}","type":"String"}}'.encode(), 400),
        (W, f'{{"name":"{SURROGATE}","query":{{"query":"select 1"}}}}'.encode(), 400),
        (W, f'{{"name":"a","query":{{"query":"select \'{SURROGATE}\'"}}}}'.encode(), 400),
        (W, b'{"name":{"a":1},"query":[]}', 400),
        (S, f'{{"source_type":"{SURROGATE}","payload":{{}}}}'.encode(), 400),
        (S + "source_prefix", f'{{"source_type":"Postgres","prefix":"{SURROGATE}"}}'.encode(), 400),
        (S + "database_schema", b"[]", 400),
        (S + "database_schema", b'{"source_type":["Postgres"]}', 400),
    ],
)
def test_bodies(local: Api, path: str, content: bytes, status: int) -> None:
    response = local("POST", path, content=content, headers=JSON)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "item",
    [
        {"should_sync": "maybe"},
        {"incremental_field": {"a": 1}},
        {"incremental_field": 5, "incremental_field_type": []},
        {"sync_time_of_day": "late"},
        {"primary_key_columns": "id"},
        {"enabled_columns": [{}]},
        {"cdc_table_mode": ["x"]},
        {"row_filters": "x"},
        {"sync_type": {}},
        {"sync_type": []},
        {"name": ["users"]},
    ],
)
def test_table_settings(local: Api, item: dict[str, Any]) -> None:
    payload = {**POSTGRES, "schemas": [{"name": "users", "should_sync": True, **item}]}
    response = local("POST", S, {"source_type": "Postgres", "payload": payload})
    assert response.status_code == 400
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize(
    "inputs",
    [
        {"ssh_tunnel": {"auth": "x"}},
        {"ssh_tunnel": {"auth": ["x"], "require_tls": []}},
        {"ssh_tunnel": "x"},
        {"host": {"a": 1}, "password": "right"},
        {"host": ["a"], "password": "right"},
        {"port": {}, "password": "right"},
        {"schema": [1], "password": "right"},
    ],
)
def test_job_inputs(local: Api, inputs: dict[str, Any]) -> None:
    path = f"{S}{local.source({'name': 'users'})['id']}/"
    assert local("PATCH", path, {"job_inputs": inputs}).status_code == 400
    payload = {**POSTGRES, "schemas": [{"name": "users"}], **inputs}
    assert local("POST", S, {"source_type": "Postgres", "prefix": "b", "payload": payload}).status_code in (201, 400)
    assert local("GET", S).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["limit=" + "9" * 30, "offset=" + "9" * 30, "search=%00", "search=%ff", "limit=1.5", "search=" + "a" * 5000],
)
def test_queries(local: Api, query: str) -> None:
    assert local("GET", f"{S}?{query}").status_code in (200, 400)
    assert local("GET", f"{W}?{query}&page=1").status_code in (200, 400)


@pytest.mark.parametrize("path", ["%00", "%ff", "..%2f..", "x" * 5000, "a%20b", "%F0%9F%98%80"])
def test_paths(local: Api, path: str) -> None:
    assert local("GET", f"{V}{path}/").status_code == 404
    assert local("GET", f"/api/projects/{path}/{V}").status_code == 404
    assert local("GET", f"/api/environments/{path}").status_code == 404


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "(" * 5000 + "1" + ")" * 5000,
        "select " + "1+" * 300 + "1",
        "select '" + "x" * 1_000_000 + "'",
        "select * from " + ".".join(["a"] * 500),
        "with a as (select * from a) select * from a",
        "select * from (select * from b) as b",
        "select *",
        "select a.* from events as b",
        "\n" * 1000,
    ],
)
def test_sql(local: Api, sql: str) -> None:
    response = local("POST", W, {"name": "v", "query": {"query": sql}})
    assert response.status_code in (201, 400), response.text


def test_forms_are_read_too(local: Api) -> None:
    assert local("POST", V, data={"name": "x", "type": "String"}).status_code == 201
    assert local("POST", W, data={"name": "x", "query": "select 1"}).status_code == 400
    assert local("POST", S, data={"source_type": "Postgres"}).status_code == 400
    assert local("POST", S + "database_schema", data={"source_type": "Postgres", "host": "h"}).status_code == 400


ODD: list[Any] = [
    [],
    "x",
    5,
    {"source_type": {}, "payload": [], "inputs": [[]], "tables": {"a": 1}, "destination_ids": {}},
    {"source_type": "Postgres", **POSTGRES, "tables": [{}, None, "a.b.c", "\x00"], "cdc_management_mode": ["posthog"]},
    {"source_type": "Postgres", **POSTGRES, "tables": "users", "cdc_publication_name": {"a": 1}, "password": ["x"]},
    {"source_type": "Postgres", **POSTGRES, "cdc_management_mode": "self_managed", "cdc_publication_name": [1]},
    {"source_type": "Custom", "payload": {"manifest_json": "[" * 100_000}, "resource_name": "x"},
    {"source_type": "Custom", "payload": {"manifest_json": '{"resources": 5}'}, "resource_name": "x"},
    {"source_type": "Custom", "payload": {"manifest_json": '{"resources": [{"name": []}]}'}, "resource_name": "x"},
    {"source_type": "Postgres", "payload": {"credential_id": {"a": [1]}, "cdc_enabled": {}}, "limit": 10**30},
    {"source_type": "Postgres", "payload": {**POSTGRES, "cdc_enabled": "True", "cdc_lag_warning_threshold_mb": {}}},
    {"cdc_lag_warning_threshold_mb": 10**400, "cdc_auto_drop_slot": [], "cdc_slot_name": {"a": 1}},
    {"cdc_lag_critical_threshold_mb": "9" * 5000, "inputs": {"signing_secret": {"a": 1}}},
    {"query": 5, "unique_key": {}, "lookback_seconds": 10**30},
]
ACTIONS = (
    *(f"{S}{name}/" for name in ("setup", "store_credentials", "preview_resource", "draft_custom_manifest")),
    f"{S}check_cdc_prerequisites/",
    *(f"{S}:source/{name}/" for name in ("create_webhook", "update_webhook_inputs", "delete_webhook")),
    *(f"{S}:source/{name}/" for name in ("check_cdc_prerequisites_for_source", "update_cdc_settings", "repair_cdc")),
    *(f"{S}:source/{name}/" for name in ("enable_cdc", "disable_cdc", "destinations")),
    *(f"external_data_schemas/:schema/{name}/" for name in ("resync", "incremental_fields", "destinations")),
    f"{W}check_incremental/",
)


@pytest.mark.parametrize("action", ACTIONS)
def test_actions(local: Api, action: str) -> None:
    source = local.source({"name": "users"}, cdc_enabled=True)
    path = action.replace(":source", source["id"]).replace(":schema", source["schemas"][0]["id"])
    method = "PATCH" if "destinations" in action else "POST"
    for body in ODD:
        response = local(method, path, body)
        assert response.status_code < 500, (body, response.text)
    assert local.ok("GET", f"{S}{source['id']}/")["id"] == source["id"]
