"""The control API under /__local/: the local PostHog only."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from .harness import Api

V = "insight_variables/"
SEED = Path(__file__).with_name("seed.yaml")


def test_request_log(local: Api) -> None:
    made = local.variable(name="x")
    local("GET", f"/api/environments/1/{V}{made['id']}/?a=b")
    local("POST", V, content=b"{", headers={"Content-Type": "application/json"})
    log = local.ok("GET", "/__local/requests")
    post, get, broken = log["requests"]
    assert (post["method"], post["path"], post["status"]) == ("POST", f"/api/projects/1/{V}", 201)
    assert post["body"] == {"name": "x", "type": "String"}
    assert post["headers"]["authorization"] == "Bearer ***"
    assert post["headers"]["content-type"] == "application/json"
    assert post["at"].endswith("Z")
    assert post["milliseconds"] > 0
    assert (get["path"], get["query"], get["body"]) == (f"/api/environments/1/{V}{made['id']}/", "a=b", None)
    assert (broken["status"], broken["body"]) == (400, "{")
    assert "phx_all" not in json.dumps(log)
    assert log["counts"] == {
        "GET /api/environments/:project_id/insight_variables/:id": 1,
        "POST /api/projects/:project_id/insight_variables": 2,
    }
    assert len(local.ok("GET", "/__local/requests?method=get&path=insight")["requests"]) == 1
    assert len(local.ok("GET", f"/__local/requests?after={post['id']}")["requests"]) == 2
    assert local("DELETE", "/__local/requests").status_code == 204
    assert local.ok("GET", "/__local/requests")["requests"] == []


def test_a_refused_key_is_not_logged(local: Api) -> None:
    Api(local.url, "phx_sentinel")("GET", f"{V}?personal_api_key=phx_other_sentinel")
    log = local("GET", "/__local/requests").text
    assert "401" in log
    assert "sentinel" not in log


def test_reset(local: Api) -> None:
    local.variable()
    local.ok("POST", "/__local/clock", {"advance": 1000})
    assert local("POST", "/__local/reset").status_code == 204
    assert local.ok("GET", V)["count"] == 0
    assert local.variable()["created_by"] == 1


def test_objects(local: Api) -> None:
    variable, view = local.variable(), local.view("a")
    source = local.source({"name": "users"})
    first = local.ok("GET", "/__local/objects")["projects"][0]
    assert [item["id"] for item in first["insight_variables"]] == [variable["id"]]
    assert [item["query"] for item in first["warehouse_saved_queries"]] == [view["query"]]
    (found,) = first["external_data_sources"]
    assert (found["id"], [schema["name"] for schema in found["schemas"]]) == (source["id"], ["users"])


def test_seed(local: Api) -> None:
    before = local.ok("GET", "/__local/seed")
    assert before == yaml.safe_load(SEED.read_text())
    fresh = {
        "projects": [{"id": 7, "name": "Seven"}],
        "users": [{"email": "x@example.com", "keys": [{"value": "phx_seven"}]}],
    }
    assert local("POST", "/__local/seed", fresh).status_code == 204
    assert local("GET", V).status_code == 401
    assert Api(local.url, "phx_seven", "7").ok("GET", V)["count"] == 0
    assert Api(local.url, "phx_seven", "7").ok("GET", V)["count"] == 0
    assert local("POST", "/__local/seed", before).status_code == 204
    assert local.ok("GET", V)["count"] == 0


TWICE = {"id": "00000000-0000-4000-8000-000000000001", "name": "x"}


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        ({"nonsense": []}, "is not valid: nonsense: This key is not known."),
        ([], "is not valid: seed: Invalid data. Expected a dictionary, but got list."),
        ("text", "is not valid: seed: Invalid data. Expected a dictionary, but got str."),
        ({"projects": [{"id": "x", "name": "a"}]}, "is not valid: projects.0.id: A valid integer is required."),
        ({"users": [{"email": "no"}]}, "is not valid: users.0.email: Enter a valid email address."),
        (
            {"users": [{"email": "a@b.de", "keys": [{}]}]},
            "is not valid: users.0.keys.0.value: This field is required.",
        ),
        (
            {"organizations": [{"name": "A", "allows_personal_keys": "no"}]},
            "is not valid: organizations.0.allows_personal_keys: Must be a valid boolean.",
        ),
        ({"vendors": [{"source_type": "x"}]}, 'is not valid: vendors.0.source_type: "x" is not a valid choice.'),
        (
            {"vendors": [{"source_type": "Postgres", "tabels": []}]},
            "is not valid: vendors.0.tabels: This key is not known. Is it 'tables'?",
        ),
        (
            {"vendors": [{"source_type": "Postgres", "tables": [{"name": "a", "columns": {"id": {"typ": "text"}}}]}]},
            "is not valid: vendors.0.tables.0.columns.id.typ: This key is not known. Is it 'type'?",
        ),
        (
            {"vendors": [{"source_type": "Postgres", "tables": [{"name": "a", "columns": {"id": None}}]}]},
            "is not valid: vendors.0.tables.0.columns.id: This field may not be null.",
        ),
        (
            {"vendors": [{"source_type": "Postgres", "checks": [{"fields": {"a": 1}}]}]},
            "is not valid: vendors.0.checks.0.refused: This field is required.",
        ),
        ({"organizations": [{"name": "A"}] * 2}, "declares the organization 'A' twice."),
        (
            {"projects": [{"name": "A", "organization": "B"}]},
            "names the organization 'B', which it does not declare.",
        ),
        ({"projects": [{"id": 1, "name": "A"}] * 2}, "declares the project 1 twice."),
        (
            {"projects": [{"name": "A", "dags": [TWICE, TWICE]}]},
            "declares the DAG 00000000-0000-4000-8000-000000000001 twice.",
        ),
        (
            {"users": [{"email": "a@b.de", "current_project": 7}]},
            "makes 7 the current project of a@b.de, who is not in it.",
        ),
        (
            {"users": [{"email": "a@b.de", "projects": {"9": "viewer"}}]},
            "gives a@b.de the project 9, which it does not declare.",
        ),
        (
            {"users": [{"email": "a@b.de", "keys": [{"value": "x", "projects": [9]}]}]},
            "limits the key 'key' to the project 9, which it does not declare.",
        ),
        (
            {"users": [{"email": "a@b.de", "keys": [{"value": "x"}, {"value": "x"}]}]},
            "declares the key 'key' with a value that is taken.",
        ),
    ],
)
def test_refused_seeds(local: Api, seed: object, expected: str) -> None:
    """One sentence that names the place; what was there stays."""
    local.variable()
    response = local("POST", "/__local/seed", seed)
    assert response.status_code == 400
    detail = response.json()["detail"]
    assert detail.replace("The seed that was sent ", "").replace("The seed ", "") == expected
    assert local.ok("GET", V)["count"] == 1


def test_clock(local: Api) -> None:
    assert local.ok("GET", "/__local/clock")["sync_seconds"] == 60
    local.ok("POST", "/__local/clock", {"sync_seconds": 0})
    source = local.source({"name": "users", "should_sync": True, "sync_type": "full_refresh"})
    assert source["status"] == "Completed"
    local.ok("POST", "/__local/clock", {"sync_seconds": 60})
    for wrong in ({"sync_seconds": -1}, {"advance": -1}, {"advance": 1e30}, {"advanced": 5}):
        assert local("POST", "/__local/clock", wrong).status_code == 400


def test_a_clock_that_stands_still(local: Api) -> None:
    stopped = local.ok("POST", "/__local/clock", {"stopped": True})
    assert stopped["stopped"] is True
    first, second = local.variable(name="a"), local.variable(name="b")
    assert first["created_at"] == second["created_at"] == stopped["now"]
    moved = local.ok("POST", "/__local/clock", {"advance": 60})
    assert datetime.fromisoformat(moved["now"]) - datetime.fromisoformat(stopped["now"]) == timedelta(seconds=60)
    source = local.source({"name": "users", "should_sync": True, "sync_type": "full_refresh"})
    local.advance(59.999)
    assert local.ok("GET", f"external_data_sources/{source['id']}/")["status"] == "Running"
    local.advance(0.001)
    assert local.ok("GET", f"external_data_sources/{source['id']}/")["status"] == "Completed"
    running = local.ok("POST", "/__local/clock", {"stopped": False})
    assert running["stopped"] is False
    assert running["now"] >= moved["now"]
    assert local.variable(name="c")["created_at"] > first["created_at"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_web_pages_may_not_use_it(local: Api, headers: dict[str, str]) -> None:
    assert local("POST", "/__local/reset", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_web_pages_may_change_nothing(local: Api, headers: dict[str, str]) -> None:
    """A form of any page reaches any address, and may carry the key of the README."""
    form = {"name": "x", "type": "String", "personal_api_key": "phx_all"}
    stranger = Api(local.url, None)
    assert stranger("POST", V, data=form, headers=headers).status_code == 403
    assert stranger("GET", "/__local/seed", headers=headers).status_code == 403
    assert local.ok("GET", V)["count"] == 0
    own = {"Origin": local.url, "Sec-Fetch-Site": "same-origin"}
    assert stranger("POST", V, data=form, headers=own).status_code == 201
    assert "phx_all" not in local("GET", "/__local/requests").text


def test_other_names_of_the_host_are_refused(local: Api) -> None:
    assert local("GET", "/__local/objects", headers={"Host": "evil.example"}).status_code == 400


def test_many_at_once_and_one_winner(local: Api) -> None:
    def create(number: int) -> int:
        with httpx.Client(base_url=local.url, headers={"Authorization": "Bearer phx_all"}) as http:
            body = {"name": f"same {number % 4}", "type": "String"}
            return http.post(f"/api/projects/1/{V}", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(32)))
    assert sorted(statuses) == [201] * 4 + [400] * 28
    assert local.ok("GET", V)["count"] == 4


README = Path(__file__).parents[2] / "local" / "README.md"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_seed_in_the_readme(local: Api) -> None:
    (seed,) = examples("yaml")
    assert local("POST", "/__local/seed", yaml.safe_load(seed)).status_code == 204
    ci = Api(local.url, "phx_ci")
    assert ci.ok("GET", V)["count"] == 0
    payload = {"host": "db.example.com", "port": 5432, "database": "shop", "user": "posthog", "password": "secret"}
    tables = ci.ok("POST", "external_data_sources/database_schema/", {"source_type": "Postgres", **payload})
    assert [table["table"] for table in tables] == ["public.users"]
    assert local("POST", "/__local/seed", yaml.safe_load(SEED.read_text())).status_code == 204


def test_the_fault_in_the_readme(local: Api) -> None:
    (rule,) = examples("json")
    assert local.ok("PUT", "/__local/faults", json.loads(rule))["rules"][0]["name"] == "lost answer"


def test_every_call_in_the_readme_is_there(local: Api) -> None:
    calls = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/__local/[\w.-]+)", README.read_text())
    assert len(set(calls)) > 12
    for method, path in set(calls):
        path = f"{path}/1" if path.endswith("/projects") else path
        assert method in local("OPTIONS", path).headers["Allow"], (method, path)
