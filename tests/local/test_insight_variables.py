"""Contract 2."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import NOT_FOUND, Api, error, invalid

V = "insight_variables/"
ORDER = [
    "id",
    "name",
    "type",
    "default_value",
    "created_by",
    "created_at",
    "code_name",
    "values",
    "is_multi",
    "values_query",
    "values_query_connection_id",
]


def test_shape(api: Api) -> None:
    made = api.variable()
    assert list(made) == ORDER
    assert (made["default_value"], made["values"], made["is_multi"]) == (None, None, False)
    assert made["created_at"].endswith("Z")
    assert api.ok("GET", f"{V}{made['id']}/") == made
    assert made in api.ok("GET", V)["results"]


@pytest.mark.parametrize(
    ("name", "code_name"),
    [
        ("Test 1", "test_1"),
        ("my_var", "my_var"),
        ("Test @#$ Var!", "test__var"),
        ("foo  bar", "foo__bar"),
        (" spaced ", "spaced"),
        ("abc123", "abc123"),
        ("Größe (cm)", "größe_cm"),
        ("!!!", ""),
    ],
)
def test_code_name(api: Api, name: str, code_name: str) -> None:
    made = api.variable(name=name, code_name="ignored")
    assert (made["code_name"], made["name"]) == (code_name + api.tag, api.named(name).strip())


def test_code_name_is_unique_on_create_only(api: Api) -> None:
    first = api.variable(name="Test 1")
    duplicate = invalid("Variable with this code name already exists")
    api.refused("POST", V, {"name": api.named("test_1!"), "type": "Number"}, duplicate)
    second = api.variable(name="Other")
    renamed = api.ok("PATCH", f"{V}{second['id']}/", {"name": api.named("Test 1"), "code_name": "x"})
    assert (renamed["name"], renamed["code_name"]) == (api.named("Test 1"), "other" + api.tag)
    assert api("DELETE", f"{V}{first['id']}/").status_code == 204
    assert api.variable(name="Test 1")["code_name"] == "test_1" + api.tag


def test_two_empty_code_names_collide(api: Api) -> None:
    api.variable(name="!!!")
    duplicate = invalid("Variable with this code name already exists")
    api.refused("POST", V, {"name": api.named("???"), "type": "String"}, duplicate)


def test_hard_delete(api: Api) -> None:
    made = api.variable()
    assert api("DELETE", f"{V}{made['id']}/").status_code == 204
    for method in ("GET", "DELETE"):
        api.refused(method, f"{V}{made['id']}/", None, NOT_FOUND, 404)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("Number", 5), ("Number", "5"), ("Number", "abc"), ("Boolean", "x"), ("Date", {"a": [1]}), ("String", None)],
)
def test_defaults_are_not_looked_at(api: Api, kind: str, value: Any) -> None:
    assert api.variable(type=kind, default_value=value, values={"kept": 1})["default_value"] == value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"values": [], "default_value": None}),
        ({"values": ["a", True, False, 1, 2.5, 1.0, None]}, {"values": ["a", "true", "false", "1", "2.5", "1.0"]}),
        ({"values": None}, {"values": []}),
        ({"values": {"a": 1}}, {"values": []}),
        ({"values": "text"}, {"values": []}),
        ({"default_value": None}, {"default_value": ""}),
        ({"default_value": 5}, {"default_value": "5"}),
        ({"default_value": True}, {"default_value": "true"}),
        ({"default_value": {"value": 3, "label": "x"}}, {"default_value": "3"}),
        ({"default_value": {"label": "x"}}, {"default_value": "x"}),
        ({"default_value": {"a": 1}}, {"default_value": '{"a": 1}'}),
        ({"default_value": ["a", "b"]}, {"default_value": "a"}),
        ({"default_value": []}, {"default_value": ""}),
        ({"is_multi": True}, {"default_value": [], "is_multi": True}),
        ({"is_multi": True, "default_value": [1, None, "a"]}, {"default_value": ["1", "a"]}),
        ({"is_multi": True, "default_value": "a"}, {"default_value": ["a"]}),
        ({"is_multi": True, "default_value": None}, {"default_value": []}),
        ({"values_query": "  "}, {"values_query": None}),
        (
            {"values_query": "select 1", "values_query_connection_id": "c"},
            {"values_query": "select 1", "values_query_connection_id": "c"},
        ),
        ({"values_query_connection_id": "c"}, {"values_query_connection_id": None}),
    ],
)
def test_lists_are_normalised(api: Api, body: dict[str, Any], expected: dict[str, Any]) -> None:
    made = api.variable(type="List", **body)
    assert {name: made[name] for name in expected} == expected
    assert api.ok("GET", f"{V}{made['id']}/") == made


@pytest.mark.parametrize(("element", "kind"), [({"a": 1}, "an object"), ([1], "an array")])
def test_list_elements_are_plain(api: Api, element: Any, kind: str) -> None:
    detail = (
        f"List variable values must be strings or numbers (got {kind} at index 1). "
        "Enter each value as plain text or a number."
    )
    api.refused("POST", V, {"name": "x", "type": "List", "values": ["a", element]}, invalid(detail, "values"))


def test_other_types_never_are_multi_nor_query(api: Api) -> None:
    made = api.variable(type="String", is_multi=True, values_query="select 1", values_query_connection_id="c")
    assert (made["is_multi"], made["values_query"], made["values_query_connection_id"]) == (False, None, None)


def test_multi_there_and_back(api: Api) -> None:
    path = f"{V}{api.variable(type='List', default_value='pageview')['id']}/"
    assert api.ok("PATCH", path, {"is_multi": True})["default_value"] == ["pageview"]
    assert api.ok("PATCH", path, {"name": "other"})["default_value"] == ["pageview"]
    assert api.ok("PATCH", path, {"is_multi": False})["default_value"] == "pageview"


def test_changing_the_type(api: Api) -> None:
    path = f"{V}{api.variable(type='Number', default_value=5)['id']}/"
    as_list = api.ok("PATCH", path, {"type": "List"})
    assert (as_list["values"], as_list["default_value"]) == ([], "5")
    back = api.ok("PATCH", path, {"type": "Number"})
    assert (back["values"], back["default_value"]) == (None, 5)


def test_leaving_list_keeps_values_and_drops_the_rest(api: Api) -> None:
    made = api.variable(type="List", values=["a"], is_multi=True, values_query="select 1")
    left = api.ok("PATCH", f"{V}{made['id']}/", {"type": "String"})
    assert (left["values"], left["is_multi"], left["values_query"]) == (["a"], False, None)


def test_put_replaces(api: Api) -> None:
    path = f"{V}{api.variable()['id']}/"
    api.refused("PUT", path, {"name": "x"}, error("required", "This field is required.", "type"))
    assert api.ok("PUT", path, {"name": "x", "type": "Date"})["type"] == "Date"


def test_unknown_fields_are_ignored(api: Api) -> None:
    assert "deleted" not in api.variable(deleted=True, created_by=99)
