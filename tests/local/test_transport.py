"""Contract 1: paths, errors, pages."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from .harness import NOT_FOUND, Api, Running, error, invalid

VARIABLES = "insight_variables"
GOOD = {"name": "Country", "type": "String"}
REFUSED_BODIES = [
    ({}, error("required", "This field is required.", "name")),
    ({"name": "x"}, error("required", "This field is required.", "type")),
    ({"name": None, "type": "String"}, error("null", "This field may not be null.", "name")),
    ({"name": "  ", "type": "String"}, error("blank", "This field may not be blank.", "name")),
    (
        {"name": "x" * 401, "type": "String"},
        error("max_length", "Ensure this field has no more than 400 characters.", "name"),
    ),
    ({"name": "x", "type": "Blah"}, error("invalid_choice", '"Blah" is not a valid choice.', "type")),
    ({"name": "x", "type": "string"}, error("invalid_choice", '"string" is not a valid choice.', "type")),
    ({"name": True, "type": "String"}, invalid("Not a valid string.", "name")),
    ({"name": [], "type": "String"}, invalid("Not a valid string.", "name")),
    ({"name": {}, "type": "String"}, invalid("Not a valid string.", "name")),
    ({**GOOD, "is_multi": "maybe"}, invalid("Must be a valid boolean.", "is_multi")),
    ({**GOOD, "is_multi": None}, error("null", "This field may not be null.", "is_multi")),
    (
        {"name": "a\0b", "type": "String"},
        error("null_characters_not_allowed", "Null characters are not allowed.", "name"),
    ),
    ([], invalid("Invalid data. Expected a dictionary, but got list.")),
    ("text", invalid("Invalid data. Expected a dictionary, but got str.")),
]


@pytest.mark.parametrize(("body", "expected"), REFUSED_BODIES)
def test_only_the_first_error_in_the_standard_shape(api: Api, body: object, expected: object) -> None:
    api.refused("POST", f"{VARIABLES}/", body, expected)


def test_an_int_is_text(local: Api) -> None:
    assert local.ok("POST", f"{VARIABLES}/", {"name": 5, "type": "String"}, 201)["name"] == "5"


def test_broken_json(api: Api) -> None:
    response = api("POST", VARIABLES, content=b"{", headers={"Content-Type": "application/json"})
    body = response.json()
    assert (response.status_code, body["type"], body["code"]) == (400, "invalid_request", "parse_error")
    assert body["detail"].startswith("JSON parse error - ")


def test_wrong_content_type(api: Api) -> None:
    response = api("POST", VARIABLES, content=b"<a/>", headers={"Content-Type": "text/xml"})
    assert response.status_code == 415
    assert response.json() == error(
        "unsupported_media_type", 'Unsupported media type "text/xml" in request.', type="invalid_request"
    )


def test_wrong_method(api: Api) -> None:
    response = api("DELETE", f"{VARIABLES}/")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert response.json() == error("method_not_allowed", 'Method "DELETE" not allowed.', type="invalid_request")


@pytest.mark.parametrize("path", ["not-a-uuid", "00000000-0000-4000-8000-000000000009"])
@pytest.mark.parametrize(
    "collection",
    ["insight_variables", "warehouse_saved_queries", "external_data_sources", "external_data_schemas"],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_unknown_ids(api: Api, method: str, collection: str, path: str) -> None:
    api.refused(method, f"{collection}/{path}/", {} if method == "PATCH" else None, NOT_FOUND, 404)


@pytest.mark.parametrize("project", ["999999999999", "abc", "0", "-1", "99999999999999999999999"])
def test_unknown_project(api: Api, project: str) -> None:
    expected = error("not_found", "Project not found.", type="invalid_request")
    api.refused("GET", f"/api/projects/{project}/{VARIABLES}/", None, expected, 404)


def test_rows_of_another_project_are_invisible(local: Api) -> None:
    made = local.variable()
    local.refused("GET", f"/api/projects/2/{VARIABLES}/{made['id']}/", None, NOT_FOUND, 404)
    assert local.ok("GET", f"/api/projects/2/{VARIABLES}/")["count"] == 0


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("base", ["projects", "environments"])
def test_both_bases_with_and_without_slash(api: Api, base: str, slash: str) -> None:
    good = {**GOOD, "name": api.named("Country")}
    made = api.ok("POST", f"/api/{base}/{api.project}/{VARIABLES}{slash}", good, 201)
    path = f"/api/{base}/{api.project}/{VARIABLES}/{made['id']}{slash}"
    assert api.ok("GET", path) == made
    response = api("DELETE", path)
    assert (response.status_code, response.content) == (204, b"")


def test_deprecation_headers(api: Api) -> None:
    response = api("GET", f"/api/environments/{api.project}/{VARIABLES}/?page=1")
    assert response.status_code == 200
    assert response.headers["Deprecation"] == "true"
    successor = f"/api/projects/{api.project}/{VARIABLES}/?page=1"
    assert response.headers["Link"] == f'<{successor}>; rel="successor-version"'
    assert response.headers["Sunset"] == "Fri, 31 Jul 2026 00:00:00 GMT"
    assert "Deprecation" not in api("GET", VARIABLES).headers


def test_deprecation_headers_on_refusals_too(api: Api) -> None:
    response = api("GET", f"/api/environments/{api.project}/{VARIABLES}/nope/")
    assert (response.status_code, response.headers["Deprecation"]) == (404, "true")


def test_an_alias_without_counterpart_is_left_alone(api: Api) -> None:
    response = api("GET", f"/api/environments/{api.project}/nothing_like_it/")
    assert response.status_code == 404
    assert "Deprecation" not in response.headers


def test_current_project(local: Api) -> None:
    assert local.ok("GET", "/api/projects/@current/")["id"] == int(local.project)
    assert local.ok("GET", f"/api/environments/@current/{VARIABLES}")["count"] == 0


@pytest.mark.parametrize("page", ["0", "999999", "x", "-1"])
@pytest.mark.parametrize("collection", ["insight_variables", "warehouse_saved_queries"])
def test_invalid_page(api: Api, collection: str, page: str) -> None:
    expected = error("not_found", "Invalid page.", type="invalid_request")
    api.refused("GET", f"{collection}/?page={page}", None, expected, 404)


def test_empty_list(local: Api) -> None:
    assert local.ok("GET", VARIABLES) == {"count": 0, "next": None, "previous": None, "results": []}


def multiply(data: Path, table: str, count: int, unique: tuple[str, ...]) -> None:
    """Copies the only row of a table in a data file: quicker than asking for each."""
    with closing(sqlite3.connect(data)) as connection, connection:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        (row,) = connection.execute(f"SELECT * FROM {table}")
        rows = []
        for number in range(count):
            copy = dict(zip(names, row, strict=True)) | {"id": uuid.uuid4().hex}
            rows.append(list((copy | {name: f"{copy[name]}_{number}" for name in unique}).values()))
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", rows)


def test_pages_of_500_and_1000_and_links_to_projects(local: Api, tmp_path: Path) -> None:
    data = tmp_path / "data.sqlite3"
    running = Running(tmp_path, "--data", str(data))
    try:
        api = Api(running.url, "phx_local")
        api.variable()
        api.view("v")
        multiply(data, "posthog_local_insightvariable", 500, ("name", "code_name"))
        multiply(data, "posthog_local_savedquery", 1000, ("name",))
        for collection, size in ((VARIABLES, 500), ("warehouse_saved_queries", 1000)):
            path = f"/api/projects/1/{collection}/"
            first = api.ok("GET", f"/api/environments/1/{collection}/?x=y")
            assert (first["count"], len(first["results"]), first["previous"]) == (size + 1, size, None)
            assert first["next"] == f"{api.url}{path}?page=2&x=y"
            second = api.ok("GET", first["next"].removeprefix(api.url))
            assert (second["next"], second["previous"]) == (None, f"{api.url}{path}?x=y")
            assert len({item["id"] for item in first["results"] + second["results"]}) == size + 1
    finally:
        running.stop()


def test_variables_in_the_order_of_their_creation(local: Api) -> None:
    for number in range(12):
        local.variable(name=f"v{number}")
    names = [item["name"] for item in local.ok("GET", VARIABLES)["results"]]
    assert names == [f"v{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["c", "b", "a"]),
        ("?limit=2", ["c", "b"]),
        ("?limit=2&offset=2", ["a"]),
        ("?limit=0", ["c", "b", "a"]),
        ("?limit=-3", ["c", "b", "a"]),
        ("?limit=x", ["c", "b", "a"]),
        ("?offset=-1", ["c", "b", "a"]),
        ("?offset=x", ["c", "b", "a"]),
        ("?offset=9", []),
    ],
)
def test_limit_and_offset(local: Api, query: str, names: list[str]) -> None:
    for prefix in "abc":
        local.source({"name": "users"}, prefix=prefix)
    page = local.ok("GET", f"external_data_sources/{query}")
    assert page["count"] == 3
    assert [item["prefix"] for item in page["results"]] == names


def test_limit_links(local: Api) -> None:
    for prefix in "abc":
        local.source({"name": "users"}, prefix=prefix)
    base = f"{local.url}/api/projects/1/external_data_sources/"
    page = local.ok("GET", "external_data_sources/?limit=1")
    assert (page["next"], page["previous"]) == (f"{base}?limit=1&offset=1", None)
    assert local.ok("GET", "external_data_sources/?limit=1&offset=1")["previous"] == f"{base}?limit=1"


def test_lone_surrogates_do_no_harm(local: Api) -> None:
    body = b'{"name":"x","type":"String","default_value":"\\ud800"}'
    made = local("POST", VARIABLES, content=body, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    assert "\\ud800" in local("GET", VARIABLES).text


def test_ten_megabytes(local: Api) -> None:
    value = "x" * 10_000_000
    made = local.variable(default_value=value)
    assert local.ok("GET", f"{VARIABLES}/{made['id']}")["default_value"] == value


def test_no_more_than_100_without_a_limit(local: Api) -> None:
    tables = [{"name": f"t{number}", "columns": {"id": "integer"}} for number in range(101)]
    vendors = [{"source_type": "Postgres", "tables": tables}, {"source_type": "Zendesk", "tables": []}]
    assert local("PUT", "/__local/vendors", vendors).status_code == 204
    local.source(*({"name": table["name"]} for table in tables))
    payload = {"subdomain": "x", "api_key": "x", "email_address": "a@b.de"}
    for number in range(100):
        body = {"source_type": "Zendesk", "prefix": f"p{number}_", "payload": payload}
        local.ok("POST", "external_data_sources/", body, 201)
    for collection in ("external_data_schemas", "external_data_sources"):
        page = local.ok("GET", f"{collection}/")
        assert (page["count"], len(page["results"])) == (101, 100)
        assert page["next"] == f"{local.url}/api/projects/1/{collection}/?limit=100&offset=100"
        assert len(local.ok("GET", f"{collection}/?limit=1000000")["results"]) == 101


@pytest.mark.parametrize("collection", ["insight_variables", "external_data_sources", "external_data_schemas"])
def test_parameters_of_other_styles_do_nothing(local: Api, collection: str) -> None:
    for name in ("a", "b"):
        local.variable(name=name)
        local.source({"name": "users"}, prefix=name)
    query = "limit=1&page_size=1&search=nothing" if collection == "insight_variables" else "page=7&page_size=1"
    assert len(local.ok("GET", f"{collection}/?{query}")["results"]) == 2


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("HEAD", 200)])
def test_options_and_head(api: Api, method: str, status: int) -> None:
    assert api(method, f"{VARIABLES}/").status_code == status
