"""Schemathesis against the server's own OpenAPI document: no 500, no body outside the documented shapes.

Bounded, and the same on every run. ``POSTHOG_LOCAL_FUZZ_EXAMPLES=200`` looks harder (default 2 of each kind per
operation), ``POSTHOG_LOCAL_FUZZ_SEED=7`` elsewhere.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from .harness import POSTGRES, Api, error

EXAMPLES = int(os.environ.get("POSTHOG_LOCAL_FUZZ_EXAMPLES", "2"))
SEED = int(os.environ.get("POSTHOG_LOCAL_FUZZ_SEED", "0"))
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [checks.response_schema_conformance, checks.content_type_conformance, checks.status_code_conformance]
SERVER_ERROR = error("error", "A server error occurred.", type="server_error")
UNKNOWN = "00000000-0000-4000-8000-000000000009"
BASE = "/api/projects/{project_id}/"


# What chance does not find: half of the examples have these fields, and whatever else it finds.
CONNECTION = {**POSTGRES, "schemas": [{"name": "users", "should_sync": True, "sync_type": "full_refresh"}]}
GOOD: dict[str, dict[str, Any]] = {
    "POST warehouse_saved_queries/": {"name": "found", "query": {"query": "select event, 1 + 1 as two from events"}},
    "PUT warehouse_saved_queries/{id}/": {"name": "fuzzed", "query": {"query": "select event from events"}},
    "POST warehouse_saved_queries/check_incremental/": {"query": {"query": "select timestamp from events"}},
    "POST warehouse_saved_queries/resume_schedules/": {"view_ids": [UNKNOWN]},
    "POST external_data_sources/": {"source_type": "Postgres", "prefix": "b", "payload": CONNECTION},
    "POST external_data_sources/setup/": {"source_type": "Postgres", "prefix": "c", "payload": POSTGRES},
    "POST external_data_sources/store_credentials/": {"source_type": "Postgres", "payload": POSTGRES},
    "POST external_data_sources/database_schema/": {"source_type": "Postgres", **POSTGRES},
    "POST external_data_sources/check_cdc_prerequisites/": {"source_type": "Postgres", **POSTGRES},
    "PATCH external_data_sources/{id}/": {"job_inputs": {"password": "right"}},
}


@pytest.fixture
def document(local: Api) -> dict[str, Any]:
    return local.ok("GET", "/__local/openapi.json")


@pytest.fixture
def ids(local: Api) -> Callable[[], dict[str, list[str]]]:
    """Makes one of everything anew, and gives the ids by collection."""

    def make() -> dict[str, list[str]]:
        local("POST", "/__local/reset")
        view = local.view("fuzzed", "select event from events", sync_frequency="1hour")
        folder = local.ok("POST", "warehouse_saved_query_folders/", {"name": "Fuzzed"}, 201)
        source = local.source(
            {"name": "users", "should_sync": True, "sync_type": "full_refresh"}, {"name": "table_1"}, prefix="a"
        )
        return {
            "insight_variables": [local.variable(type="List", values=["a"])["id"]],
            "warehouse_saved_queries": [view["id"]],
            "warehouse_saved_query_folders": [folder["id"]],
            "external_data_sources": [source["id"]],
            "external_data_schemas": [schema["id"] for schema in source["schemas"]],
        }

    return make


def collection(path: str) -> str:
    return path.removeprefix(BASE).partition("/")[0]


def is_documented_failure(method: str, path: str, body: Any) -> bool:
    """What PostHog itself answers with a 500 (contract 1.3 and 5.1)."""
    if method != "POST":
        return False
    if path == f"{BASE}warehouse_saved_queries/":
        return not isinstance(body, dict)
    return path == f"{BASE}external_data_sources/source_prefix/" and not (
        isinstance(body, dict) and "source_type" in body
    )


def check(case: Any, response: Any) -> None:
    if response.status_code >= 500:
        assert is_documented_failure(case.method, case.path, case.body), (
            f"{response.status_code}: {response.text[:500]}"
        )
        assert response.json() == SERVER_ERROR
        return
    if case.path.endswith("/activity/") and response.status_code == 404 and not response.content:
        return  # the one refusal without a body (contract 3.10)
    case.validate_response(response, checks=CHECKS)


def test_no_failure_and_no_unknown_shape(
    local: Api, document: dict[str, Any], ids: Callable[[], dict[str, list[str]]]
) -> None:
    # Every call has a good key: what keys may do has rows of its own.
    del document["security"], document["components"]["securitySchemes"]
    schema = schemathesis.openapi.from_dict(document)
    problems = []
    existing = ids()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in MODES:
            try:
                fuzz(local, operation, mode, existing)
            except (AssertionError, Failure, FailureGroup) as problem:
                problems.append(f"{operation.label}, {mode.name.lower()}: {describe(problem)}")
            except Exception as problem:
                # Without parameters or a body there is nothing to get wrong.
                if mode is GenerationMode.NEGATIVE and "Unsatisfiable" in type(problem).__name__:
                    continue
                problems.append(f"{operation.label}, {mode.name.lower()}: {problem!r}")
        if operation.method == "delete":
            existing = ids()
    assert problems == [], "\n\n".join(problems)


def describe(problem: BaseException) -> str:
    parts = problem.exceptions if isinstance(problem, FailureGroup) else [problem]
    notes = "\n".join(getattr(problem, "__notes__", []))
    return "\n".join([*(str(part) for part in parts), notes])


def fuzz(local: Api, operation: Any, mode: GenerationMode, existing: dict[str, list[str]]) -> None:
    known = existing.get(collection(operation.path), [UNKNOWN])

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        parameters = case.path_parameters
        if "project_id" in parameters:
            parameters["project_id"] = "1"
        if "id" in parameters and mode is GenerationMode.POSITIVE:
            parameters["id"] = known[len(str(case.body)) % len(known)]
        if isinstance(case.body, dict) and len(json.dumps(case.body, default=str)) % 2:
            case.body = {**case.body, **GOOD.get(f"{case.method} {case.path.removeprefix(BASE)}", {})}
        response = case.call(base_url=local.url, headers={"Authorization": "Bearer phx_all"}, timeout=60)
        check(case, response)

    one()


# -- the same bad input everywhere --------------------------------------------------------------


def writes(document: dict[str, Any], existing: dict[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    """Method, template and real path of every operation with a body."""
    for path, operations in document["paths"].items():
        known = existing.get(collection(path), [UNKNOWN])[0]
        for method, operation in operations.items():
            if "requestBody" in operation:
                yield method.upper(), path, path.format(project_id=1, id=known)


JSON = {"Content-Type": "application/json"}
BAD_BODIES = [
    (b"{", JSON, (400, "parse_error")),
    (b"\xff", JSON, (400, "parse_error")),
    (b'{"a": NaN}', JSON, (400, "parse_error")),
    (b"[" * 100_000, JSON, (400, "parse_error")),
    (b"<a/>", {"Content-Type": "text/xml"}, (415, "unsupported_media_type")),
    (b"x", {"Content-Type": "application/x-yaml"}, (415, "unsupported_media_type")),
]
# Their bodies are never read, or not before the state allows it; or every key is refused.
NOT_READ = re.compile(
    r"/(ancestors|descendants|cancel|revert_materialization|resume|reload|resync|incremental_fields|refresh_schemas|"
    r"disable_cdc|repair_cdc|resume_cdc|update_cdc_settings|create_webhook|delete_webhook|draft_custom_manifest)/$"
)


@pytest.mark.parametrize(("content", "headers", "expected"), BAD_BODIES)
def test_bodies_that_cannot_be_read(
    local: Api,
    document: dict[str, Any],
    ids: Callable[[], dict[str, list[str]]],
    content: bytes,
    headers: dict[str, str],
    expected: tuple[int, str],
) -> None:
    for method, template, path in writes(document, ids()):
        response = local(method, path, content=content, headers=headers)
        answer = (response.status_code, response.json()["code"] if response.content.startswith(b'{"type"') else None)
        if NOT_READ.search(template):
            assert response.status_code < 500, (method, template, response.text)
        else:
            assert answer == expected, (method, template, response.text)


@pytest.mark.parametrize("body", [[], "text", 1, None, True, [{}], {}])
def test_bodies_that_are_not_what_is_expected(
    local: Api, document: dict[str, Any], ids: Callable[[], dict[str, list[str]]], body: Any
) -> None:
    for method, template, path in writes(document, ids()):
        response = local(method, path, content=json.dumps(body).encode(), headers=JSON)
        if response.status_code >= 500:
            assert is_documented_failure(method, template, body), (method, template, response.text)
            assert response.json() == SERVER_ERROR
        else:
            assert response.status_code < 500


def test_nul_characters(local: Api, document: dict[str, Any], ids: Callable[[], dict[str, list[str]]]) -> None:
    for method, template, path in writes(document, ids()):
        properties = document["paths"][template][method.lower()]["requestBody"]["content"]["application/json"]
        names = properties["schema"].get("properties", {"name": {}})
        response = local(method, path, dict.fromkeys(names, "a\x00b"))
        assert response.status_code < 500, (method, template, response.text)
    assert "\\u0000" not in json.dumps(local.ok("GET", "/__local/objects"))


def test_ten_megabytes_everywhere(
    local: Api, document: dict[str, Any], ids: Callable[[], dict[str, list[str]]]
) -> None:
    body = json.dumps({"name": "x" * 10_000_000, "query": {"query": "x" * 1000}}).encode()
    for template in (
        "insight_variables/",
        "warehouse_saved_queries/",
        "external_data_sources/",
        "external_data_schemas/",
    ):
        response = local("POST", template, content=body, headers=JSON)
        assert response.status_code in (400, 405)
        assert set(response.json()) == {"type", "code", "detail", "attr"}


def test_unknown_ids_everywhere(local: Api, document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method in operations:
            for unknown in (UNKNOWN, "not-a-uuid", "%00", "..%2f"):
                if "{id}" not in path:
                    continue
                response = local(method.upper(), path.format(project_id=1, id=unknown), {} if method != "get" else None)
                # 403: the action supports no key at all; PUT of a source wants two fields first.
                assert response.status_code in (404, 403, 400), (method, path, unknown, response.text)


def test_the_document_is_sound(local: Api, document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    text = json.dumps(document)
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations)) > 70
    assert httpx.get(f"{local.url}/__local/openapi.json").status_code == 200
