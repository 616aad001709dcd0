"""Contract 1.2 and 11.1."""

from __future__ import annotations

import pytest

from .harness import Api, error

UNAUTHENTICATED = "authentication_error"


def denied(detail: str) -> dict[str, object]:
    return error("permission_denied", detail, type=UNAUTHENTICATED)


def missing(scope: str) -> dict[str, object]:
    return denied(f"API key missing required scope '{scope}'")


NO_SUPPORT = denied("This action does not support personal API key access")


@pytest.mark.parametrize("path", ["insight_variables/", "/api/users/@me/", "/api/projects/@current/"])
def test_no_credentials(api: Api, path: str) -> None:
    response = Api(api.url, None, api.project)("GET", path)
    assert response.status_code == 401
    assert response.json() == error(
        "not_authenticated", "Authentication credentials were not provided.", type=UNAUTHENTICATED
    )
    challenge = response.headers["WWW-Authenticate"]
    assert challenge == f'Bearer resource_metadata="{api.url}/.well-known/oauth-protected-resource"'


def test_unknown_key(api: Api) -> None:
    response = Api(api.url, "phx_nobody", api.project)("GET", "insight_variables/")
    assert response.status_code == 401
    assert "WWW-Authenticate" in response.headers
    assert response.json() == error(
        "authentication_failed",
        "Personal API key found in request Authorization header is invalid.",
        type=UNAUTHENTICATED,
    )


V, W, S = "insight_variables/", "warehouse_saved_queries/", "external_data_sources/"
ID = "00000000-0000-4000-8000-000000000009/"
SCOPES = [
    ("phx_no_scope", "GET", V, missing("insight_variable:read")),
    ("phx_no_scope", "GET", W, missing("warehouse_view:read")),
    ("phx_no_scope", "GET", S, missing("external_data_source:read")),
    ("phx_no_scope", "GET", "external_data_schemas/", missing("external_data_source:read")),
    ("phx_no_scope", "GET", "warehouse_saved_query_folders/", missing("warehouse_view:read")),
    ("phx_no_scope", "GET", "/api/users/@me/", missing("user:read")),
    ("phx_no_scope", "GET", "/api/projects/1/", missing("project:read")),
    ("phx_read", "POST", V, missing("insight_variable:write")),
    ("phx_read", "PATCH", V + ID, missing("insight_variable:write")),
    ("phx_read", "DELETE", V + ID, missing("insight_variable:write")),
    ("phx_read", "POST", W, missing("warehouse_view:write")),
    ("phx_read", "POST", W + ID + "run", missing("warehouse_view:write")),
    ("phx_read", "POST", W + ID + "materialize", missing("warehouse_view:write")),
    ("phx_read", "POST", W + ID + "revert_materialization", missing("warehouse_view:write")),
    ("phx_read", "POST", W + "resume_schedules", missing("warehouse_view:write")),
    ("phx_write", "GET", W + ID + "activity", missing("activity_log:read")),
    ("phx_read", "POST", S, missing("external_data_source:write")),
    ("phx_read", "POST", S + "database_schema", missing("external_data_source:write")),
    ("phx_read", "POST", S + "source_prefix", missing("external_data_source:write")),
    ("phx_read", "POST", S + ID + "reload", missing("external_data_source:write")),
    ("phx_read", "POST", S + ID + "refresh_schemas", missing("external_data_source:write")),
    ("phx_read", "PATCH", S + ID + "bulk_update_schemas", missing("external_data_source:write")),
    ("phx_read", "PATCH", "external_data_schemas/" + ID, missing("external_data_source:write")),
    ("phx_all", "POST", W + ID + "ancestors", NO_SUPPORT),
    ("phx_all", "POST", W + ID + "descendants", NO_SUPPORT),
    ("phx_all", "GET", W + ID + "dependencies", NO_SUPPORT),
    ("phx_all", "POST", W + ID + "cancel", NO_SUPPORT),
    ("phx_all", "POST", S + ID + "resume_cdc", NO_SUPPORT),
    ("phx_second", "GET", V, denied("API key does not have access to the requested project: ID 1.")),
    ("phx_viewer", "POST", W, denied("You do not have editor access to this resource.")),
    ("phx_viewer", "PATCH", S + ID, denied("You do not have editor access to this resource.")),
    ("phx_viewer", "GET", "/api/projects/2/insight_variables/", denied("You don't have access to the project.")),
    (
        "phx_all",
        "GET",
        "/api/projects/3/insight_variables/",
        denied(
            "Organization 'Closed' does not allow using personal API keys. "
            "Contact an admin to enable personal API keys for this organization."
        ),
    ),
]


@pytest.mark.parametrize(("key", "method", "path", "expected"), SCOPES)
def test_refused_keys(local: Api, key: str, method: str, path: str, expected: object) -> None:
    Api(local.url, key).refused(method, path, {} if method != "GET" else None, expected, 403)


def test_key_limited_to_another_organization(local: Api) -> None:
    response = Api(local.url, "phx_closed")("GET", V)
    assert response.status_code == 403
    assert response.json()["detail"].startswith("API key does not have access to the requested organization: ID ")


@pytest.mark.parametrize(
    ("key", "method", "path", "status"),
    [
        ("phx_read", "GET", V, 200),
        ("phx_read", "GET", S + "wizard?source_type=Stripe", 200),
        ("phx_read", "GET", S + "connections", 200),
        ("phx_write", "GET", V, 200),
        ("phx_write", "GET", W, 200),
        ("phx_second", "GET", "/api/projects/2/insight_variables/", 200),
        ("phx_second", "GET", "/api/users/@me/", 200),
        ("phx_viewer", "GET", W, 200),
        ("phx_viewer", "DELETE", V + ID, 404),
        ("phx_editor", "DELETE", W + ID, 404),
        ("phx_editor", "PATCH", S + ID, 404),
    ],
)
def test_accepted_keys(local: Api, key: str, method: str, path: str, status: int) -> None:
    assert Api(local.url, key)(method, path).status_code == status


def test_a_wrong_method_is_not_told_to_strangers(api: Api) -> None:
    assert Api(api.url, None, api.project)("DELETE", V).status_code == 401


def test_who_am_i(local: Api) -> None:
    me = local.ok("GET", "/api/users/@me/")
    assert (me["email"], me["first_name"]) == ("ada@example.com", "Ada")
    assert me["team"]["id"] == 1
    assert me["organization"]["name"] == "Home"
    assert local.variable()["created_by"] == me["id"]


def test_project(local: Api) -> None:
    project = local.ok("GET", "/api/projects/2/")
    assert (project["id"], project["name"], project["timezone"]) == (2, "Second", "UTC")
    assert {"uuid", "organization"} <= project.keys()


def test_a_key_in_the_query_or_the_body(local: Api) -> None:
    """Accepted by PostHog, although nobody should (contract 1.2)."""
    nobody = Api(local.url, None)
    assert nobody("GET", f"{V}?personal_api_key=phx_all").status_code == 200
    body = {"name": "Country", "type": "String", "personal_api_key": "phx_all"}
    assert "personal_api_key" not in nobody.ok("POST", V, body, 201)
    for where, response in (
        ("query string", nobody("GET", f"{V}?personal_api_key=phx_x")),
        ("body", nobody("POST", V, {**body, "personal_api_key": "phx_x"})),
    ):
        assert response.status_code == 401
        assert response.json()["detail"] == f"Personal API key found in request {where} is invalid."


def test_access_levels_are_those_of_the_role(local: Api) -> None:
    view, source = local.view("a"), local.source({"name": "users"})
    for key, level in (("phx_all", "manager"), ("phx_editor", "editor"), ("phx_viewer", "viewer")):
        api = Api(local.url, key)
        assert api.ok("GET", f"{W}{view['id']}/")["user_access_level"] == level
        shown = api.ok("GET", f"{S}{source['id']}/")
        assert (shown["user_access_level"], shown["schemas"][0]["user_access_level"]) == (level, level)
        (table,) = api.ok("GET", "external_data_schemas/")["results"]
        one = api.ok("GET", f"external_data_schemas/{table['id']}/")
        assert (table["user_access_level"], one["user_access_level"]) == (level, level)
        assert one["source"]["user_access_level"] == level
