"""Contract 3."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from .harness import NOT_FOUND, Api, error, invalid

W = "warehouse_saved_queries/"
_FULL = """
    id deleted name query incremental incremental_state has_incremental_history created_by created_at updated_at
    description sync_frequency sync_frequency_bounds columns status last_run_at managed_viewset_kind folder_id
    folder_name latest_error latest_history_id is_materialized origin is_test expires_at user_access_level suspended
"""
FULL = _FULL.split()
NOT_LISTED = {
    "query",
    "latest_history_id",
    "incremental",
    "incremental_state",
    "updated_at",
    "sync_frequency_bounds",
}
CONFLICT = invalid("The query was modified by someone else.")
OTHER_SQL = {"kind": "HogQLQuery", "query": "select timestamp from events"}


def query(sql: str) -> dict[str, str]:
    return {"kind": "HogQLQuery", "query": sql}


def test_shape(api: Api) -> None:
    made = api.view("a")
    assert list(made) == FULL
    assert (made["deleted"], made["origin"], made["is_materialized"]) == (False, "data_warehouse", False)
    assert (made["status"], made["user_access_level"], made["suspended"]) == (None, "manager", {})
    assert set(made["created_by"]) == {
        "id",
        "uuid",
        "distinct_id",
        "first_name",
        "last_name",
        "email",
        "is_email_verified",
        "hedgehog_config",
        "role_at_organization",
    }
    assert set(made["sync_frequency_bounds"]) == {
        "frequency_mode",
        "options",
        "floor",
        "ceiling",
        "best_effort_sources",
        "best_effort_sources_withheld",
    }
    assert api.ok("GET", f"{W}{made['id']}/") == made


def test_a_list_item_has_neither_query_nor_token(api: Api) -> None:
    api.view("a")
    (item,) = api.ok("GET", f"{W}?search={api.named('a')}")["results"]
    assert set(item) == (set(FULL) - NOT_LISTED) | {"is_incremental", "materialization_mode"}
    assert item["columns"]
    (without,) = api.ok("GET", f"{W}?include_columns=false&search={api.named('a')}")["results"]
    assert without["columns"] == []


def test_newest_first_and_search(api: Api) -> None:
    for name in ("orders_daily", "orders_weekly", "customers"):
        api.view(name)
    for search, names in (
        ("", ["customers", "orders_weekly", "orders_daily"]),
        ("ORDERS", ["orders_weekly", "orders_daily"]),
        ("orders,daily", ["orders_daily"]),
        ("orders week", ["orders_weekly"]),
        ("nothing", []),
    ):
        found = api.ok("GET", f"{W}?search={search},{api.tag}")["results"]
        assert [item["name"] for item in found] == [api.named(name) for name in names]


def test_the_query_is_kept_verbatim(api: Api) -> None:
    body = {"query": "  SELECT  event\n-- why\nFROM events ", "extra": {"a": [1]}}
    made = api.ok("POST", W, {"name": api.named("a"), "query": body}, 201)
    assert made["query"] == body


def test_columns_in_the_order_of_the_select(api: Api) -> None:
    made = api.view("a", "select event, count() as n, properties.$browser as b, timestamp from events group by event")
    columns = [(column["name"], column["type"]) for column in made["columns"]]
    assert columns == [("event", "string"), ("n", "integer"), ("b", "string"), ("timestamp", "datetime")]
    assert list(made["columns"][0]) == [
        "key",
        "name",
        "type",
        "schema_valid",
        "fields",
        "table",
        "chain",
        "description",
    ]


def test_columns_pass_through_views(api: Api) -> None:
    api.view("a", "select event, count() as n from events group by event")
    made = api.view(
        "b", f"with x as (select * from {api.named('a')}) select x.n, event as e from x union all select 1, 'a'"
    )
    assert [(column["name"], column["type"]) for column in made["columns"]] == [("n", "integer"), ("e", "string")]


def test_types_of_the_request(api: Api) -> None:
    made = api.view("a", types=[["x", "Nullable(Int64)"], ["y", "DateTime64(6, 'UTC')"], ["z", "String"]])
    columns = [(column["name"], column["type"]) for column in made["columns"]]
    assert columns == [("x", "integer"), ("y", "datetime"), ("z", "string")]


def test_soft_update_infers_nothing(api: Api) -> None:
    assert api.view("a", soft_update=True)["columns"] == []


# -- names --------------------------------------------------------------------------------------

MALFORMED = " is not a valid view name. View names can only contain letters, numbers, '_', '.', or '$' "
TAKEN = "A table or view with this name already exists. Choose a different name."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1a", invalid(f"1a{MALFORMED}", "name")),
        ("a b", invalid(f"a b{MALFORMED}", "name")),
        ("a-b", invalid(f"a-b{MALFORMED}", "name")),
        (
            "events",
            invalid("events is not a valid view name. View names cannot overlap with PostHog table names.", "name"),
        ),
        (
            "system.x",
            invalid("The system namespace is reserved for built-in tables. Choose a different view name.", "name"),
        ),
        ("x" * 129, error("max_length", "Ensure this field has no more than 128 characters.", "name")),
        ("", error("blank", "This field may not be blank.", "name")),
    ],
)
def test_refused_names(api: Api, name: str, expected: Any) -> None:
    api.refused("POST", W, {"name": name, "query": query("select 1 as a")}, expected)


@pytest.mark.parametrize("name", ["_a", "$a", "a.b.c", "A1", " padded "])
def test_accepted_names(api: Api, name: str) -> None:
    assert api.view(name)["name"] == api.named(name).strip()


def test_rename(api: Api) -> None:
    first, second = api.view("a"), api.view("b")
    api.refused("PATCH", f"{W}{first['id']}/", {"name": api.named("b")}, invalid(TAKEN, "name"))
    renamed = api.ok("PATCH", f"{W}{first['id']}/", {"name": api.named("c")})
    assert (renamed["name"], renamed["latest_history_id"]) == (api.named("c"), first["latest_history_id"])
    assert renamed["columns"] == first["columns"]
    assert api.ok("PATCH", f"{W}{second['id']}/", {"name": api.named("b")})["name"] == api.named("b")


def test_the_name_of_a_synced_table_is_taken(local: Api) -> None:
    local.source({"name": "users", "should_sync": True, "sync_type": "full_refresh"}, prefix="p_")
    local.advance()
    body = {"name": "p_postgres_users", "query": query("select 1 as a")}
    local.refused("POST", W, body, invalid(TAKEN, "name"))


# -- queries ------------------------------------------------------------------------------------

NOT_AN_OBJECT = (
    'Query must be a JSON object with a "query" key, got {}. Example: {{"kind": "HogQLQuery", '
    '"query": "SELECT * FROM events WHERE timestamp >= now() - INTERVAL 7 DAY LIMIT 100"}}'
)
NO_SQL = 'Query object must contain a non-empty "query" key with the SQL string.'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("select 1", invalid(NOT_AN_OBJECT.format("str"), "query")),
        ([], invalid(NOT_AN_OBJECT.format("list"), "query")),
        ({}, invalid(NO_SQL, "query")),
        ({"query": "  "}, invalid(NO_SQL, "query")),
        ({"query": 1}, invalid(NO_SQL, "query")),
        (None, error("null", "This field may not be null.", "query")),
        (query("select nope from nowhere"), invalid("Invalid query: Unknown table `nowhere`.", "query")),
        (
            query("select event from events where event = {variables.foo}"),
            invalid("Variables like {variables.foo} are not allowed in views", "query"),
        ),
        (
            query("select event from events where {filters}"),
            invalid("Filters and placeholder expressions are not allowed in views", "query"),
        ),
        (
            query("select {1 + 2} as a"),
            invalid("Filters and placeholder expressions are not allowed in views", "query"),
        ),
    ],
)
def test_refused_queries(api: Api, body: Any, expected: Any) -> None:
    api.refused("POST", W, {"name": api.named("a"), "query": body}, expected)
    assert api.ok("GET", f"{W}?search={api.named('a')}")["count"] == 0


def test_a_view_cannot_read_itself(api: Api) -> None:
    name = api.named("a")
    expected = invalid(f"Invalid query: Unknown table `{name}`.", "query")
    api.refused("POST", W, {"name": name, "query": query(f"select 1 from {name}")}, expected)


@pytest.mark.parametrize("sql", ["selec 1", "select from", "select 1 from (", "delete from events", ";"])
def test_syntax_errors(api: Api, sql: str) -> None:
    response = api("POST", W, {"name": api.named("a"), "query": query(sql)})
    body = response.json()
    assert (response.status_code, body["code"], body["attr"]) == (400, "invalid_input", "query")
    assert body["detail"].startswith("Invalid query: ")


def test_unknown_column_of_a_view(api: Api) -> None:
    api.view("a")
    expected = invalid("Invalid query: Unable to resolve field: nope", "query")
    api.refused("POST", W, {"name": api.named("b"), "query": query(f"select nope from {api.named('a')}")}, expected)


def test_a_synced_table_is_readable_after_its_first_sync(local: Api) -> None:
    local.source({"name": "users", "should_sync": True, "sync_type": "full_refresh"}, prefix="prod_")
    stored, dotted = "prod_postgres_users", "postgres.prod.users"
    for name in (stored, dotted):
        expected = invalid(f"Invalid query: Unknown table `{name}`.", "query")
        local.refused("POST", W, {"name": "a", "query": query(f"select id from {name}")}, expected)
    local.advance()
    for number, name in enumerate((stored, dotted)):
        made = local.view(f"v{number}", f"select id, created_at from {name}")
        assert [column["type"] for column in made["columns"]] == ["integer", "datetime"]


def test_cycles(api: Api) -> None:
    first = api.view("a")
    api.view("b", f"select event from {api.named('a')}")
    third = api.view("c", f"select event from {api.named('b')}")
    for view in (first, third):
        body = query(f"select event from {api.named('c')}")
        patch = {"query": body, "edited_history_id": view["latest_history_id"]}
        api.refused("PATCH", f"{W}{view['id']}/", patch, invalid("Model contains a cycle"))


# -- upsert and conflict ------------------------------------------------------------------------


def test_a_second_post_updates(api: Api) -> None:
    made = api.view("a")
    again = api.ok("POST", W, {"name": api.named("a"), "query": made["query"], "description": "x"}, 200)
    assert (again["id"], again["created_at"], again["description"]) == (made["id"], made["created_at"], "x")
    api.refused("POST", W, {"name": api.named("a"), "query": OTHER_SQL}, CONFLICT)
    token = made["latest_history_id"]
    assert (
        api.ok("POST", W, {"name": api.named("a"), "query": OTHER_SQL, "edited_history_id": token})["query"]
        == OTHER_SQL
    )
    assert api.ok("POST", W, {"name": api.named("a")})["id"] == made["id"]


def test_a_token_on_create_does_no_harm(api: Api) -> None:
    api.view("a", edited_history_id=str(uuid.uuid4()))


def test_post_of_something_that_is_no_object(local: Api) -> None:
    expected = error("error", "A server error occurred.", type="server_error")
    local.refused("POST", W, ["x"], expected, 500)


@pytest.mark.parametrize("token", [None, "", "x", "00000000-0000-4000-8000-000000000000"])
def test_conflict(api: Api, token: str | None) -> None:
    made = api.view("a")
    body = {"query": OTHER_SQL, **({} if token == "" else {"edited_history_id": token})}
    api.refused("PATCH", f"{W}{made['id']}/", body, CONFLICT)
    assert api.ok("GET", f"{W}{made['id']}/") == made


@pytest.mark.parametrize("spelling", [str, str.upper, lambda token: token.replace("-", "")])
def test_spellings_of_the_token(api: Api, spelling: Any) -> None:
    made = api.view("a")
    body = {"query": OTHER_SQL, "edited_history_id": spelling(made["latest_history_id"])}
    changed = api.ok("PATCH", f"{W}{made['id']}/", body)
    assert changed["latest_history_id"] != made["latest_history_id"]
    assert (changed["status"], [column["name"] for column in changed["columns"]]) == ("Modified", ["timestamp"])


def test_soft_update_needs_no_token(api: Api) -> None:
    made = api.view("a")
    changed = api.ok("PATCH", f"{W}{made['id']}/", {"query": OTHER_SQL, "soft_update": True})
    assert changed["query"] == OTHER_SQL
    assert changed["latest_history_id"] != made["latest_history_id"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "b"},
        {"description": "x"},
        {"sync_frequency": "1hour"},
        {"sync_frequency": "never"},
        {"query": query("select event from events")},
    ],
)
def test_what_keeps_the_token(api: Api, body: dict[str, Any]) -> None:
    made = api.view("a")
    if "name" in body:
        body = {"name": api.named(body["name"])}
    assert api.ok("PATCH", f"{W}{made['id']}/", body)["latest_history_id"] == made["latest_history_id"]


# -- other fields -------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "read"), [("x", "x"), ("", None), (None, None), ("  ", None)])
def test_description(api: Api, value: str | None, read: str | None) -> None:
    assert api.view("a", description=value)["description"] == read
    path = f"{W}{api.view('b', description='before')['id']}/"
    assert api.ok("PATCH", path, {"name": api.named("b")})["description"] == "before"
    assert api.ok("PATCH", path, {"description": value})["description"] == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("never", None),
        (None, None),
        ("1min", "15min"),
        ("5min", "15min"),
        ("15min", "15min"),
        ("30min", "30min"),
        ("1hour", "1hour"),
        ("6hour", "6hour"),
        ("12hour", "12hour"),
        ("24hour", "24hour"),
        ("7day", "7day"),
        ("30day", "30day"),
    ],
)
def test_cadence(api: Api, value: str | None, read: str | None) -> None:
    made = api.view("a", sync_frequency=value)
    assert (made["sync_frequency"], made["is_materialized"]) == (read, read is not None)
    changed = api.ok("PATCH", f"{W}{api.view('b')['id']}/", {"sync_frequency": value})
    assert (changed["sync_frequency"], changed["is_materialized"]) == (read, read is not None)


def test_bad_cadence(api: Api) -> None:
    expected = error("invalid_choice", '"2hour" is not a valid choice.', "sync_frequency")
    api.refused("POST", W, {"name": api.named("a"), "query": OTHER_SQL, "sync_frequency": "2hour"}, expected)


def test_never_stops_only_the_schedule(api: Api) -> None:
    path = f"{W}{api.view('a', sync_frequency='1hour')['id']}/"
    stopped = api.ok("PATCH", path, {"sync_frequency": "never"})
    assert (stopped["sync_frequency"], stopped["is_materialized"]) == (None, True)


def test_materialize_run_and_revert(local: Api) -> None:
    path = f"{W}{local.view('a')['id']}/"
    for _ in range(2):
        response = local("POST", f"{path}materialize")
        assert (response.status_code, response.content) == (200, b"")
    running = local.ok("GET", path)
    assert (running["sync_frequency"], running["is_materialized"]) == ("24hour", True)
    assert (running["status"], running["last_run_at"]) == ("Running", None)
    local.advance()
    done = local.ok("GET", path)
    assert done["status"] == "Completed"
    assert done["last_run_at"]
    assert local("POST", f"{path}run/", {"full_refresh": True}).content == b""
    history = local.ok("GET", f"{path}run_history")["run_history"]
    assert [run["status"] for run in history] == ["Running", "Completed"]
    assert local("POST", f"{path}revert_materialization").content == b""
    reverted = local.ok("GET", path)
    for name in ("sync_frequency", "last_run_at", "latest_error", "status"):
        assert reverted[name] is None
    assert reverted["is_materialized"] is False


@pytest.mark.parametrize(
    ("body", "code"), [({"sync_frequency": "never"}, "invalid_choice"), ({"sync_frequency": "x"}, "invalid_choice")]
)
def test_materialize_takes_a_cadence(api: Api, body: Any, code: str) -> None:
    path = f"{W}{api.view('a')['id']}/"
    answer = api("POST", f"{path}materialize", body)
    assert (answer.status_code, answer.json()["code"], answer.json()["attr"]) == (400, code, "sync_frequency")
    assert api("POST", f"{path}materialize", {"sync_frequency": "5min"}).status_code == 200
    assert api.ok("GET", path)["sync_frequency"] == "15min"


def test_resume(api: Api) -> None:
    path = f"{W}{api.view('a')['id']}/"
    assert api.ok("POST", f"{path}resume") == {"resumed": False}
    assert api("POST", f"{W}resume_schedules", {"view_ids": [str(uuid.uuid4())]}).status_code == 202
    expected = error("empty", "This list may not be empty.", "view_ids")
    api.refused("POST", f"{W}resume_schedules", {"view_ids": []}, expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"deleted": True}, {"deleted": False}),
        ({"is_materialized": True, "status": "Failed", "origin": "endpoint"}, {"is_materialized": False}),
        ({"incremental": None}, {"incremental": None}),
    ],
)
def test_ignored_on_patch(api: Api, body: Any, expected: Any) -> None:
    made = api.view("a")
    changed = api.ok("PATCH", f"{W}{made['id']}/", body)
    assert {name: changed[name] for name in expected} == expected
    assert changed["status"] == made["status"]


def test_write_only_fields_are_never_shown(api: Api) -> None:
    made = api.view("a", soft_update=False, edited_history_id=None)
    assert not {"soft_update", "edited_history_id", "dag_id", "types"} & made.keys()


def test_test_views_are_for_staff(api: Api) -> None:
    body = {"name": api.named("a"), "query": OTHER_SQL, "is_test": True}
    api.refused("POST", W, body, invalid("Only staff users can create test views.", "is_test"))


def test_incremental(api: Api) -> None:
    given = {"enabled": True, "incremental_key": "event", "unique_key": ["event"], "lookback_seconds": 5}
    made = api.view("a", incremental=given)
    assert made["incremental"] == given
    body = {"incremental": {**given, "unique_key": []}}
    expected = error("empty", "This list may not be empty.", "incremental__unique_key")
    api.refused("PATCH", f"{W}{made['id']}/", body, expected)


@pytest.mark.parametrize(
    ("dag", "expected"),
    [
        ("x", invalid("Must be a valid UUID.", "dag_id")),
        (
            "00000000-0000-4000-8000-000000000003",
            error(
                "does_not_exist",
                'Invalid pk "00000000-0000-4000-8000-000000000003" - object does not exist.',
                "dag_id",
            ),
        ),
        ("00000000-0000-4000-8000-000000000002", invalid("Choose a DAG that is not system-managed.", "dag_id")),
    ],
)
def test_refused_dags(local: Api, dag: str, expected: Any) -> None:
    local.refused("POST", W, {"name": "a", "query": OTHER_SQL, "dag_id": dag}, expected)
    local.view("a", dag_id="00000000-0000-4000-8000-000000000001")


# -- delete -------------------------------------------------------------------------------------


def test_delete_frees_the_name(api: Api) -> None:
    made = api.view("a")
    path = f"{W}{made['id']}/"
    assert api("DELETE", path).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        api.refused(method, path, {} if method == "PATCH" else None, NOT_FOUND, 404)
    assert api.ok("GET", f"{W}?search={api.named('a')}")["count"] == 0
    assert api.view("a")["id"] != made["id"]


def test_dependents_block(api: Api) -> None:
    base = api.view("base")
    readers = [api.view(f"r{number}", f"select event from {api.named('base')}") for number in range(5)]
    response = api("DELETE", f"{W}{base['id']}/")
    body = response.json()
    assert response.status_code == 400
    assert set(body.pop("extra")) == {"node_id"}
    listed = ", ".join(f"{api.named(name)} (view)" for name in ("r0", "r1", "r2"))
    assert body == invalid(
        f"Can't delete {api.named('base')} yet. These read from it: {listed}, and 2 more. Update or delete them first."
    )
    api.ok("PATCH", f"{W}{base['id']}/", {"name": api.named("renamed")})
    assert api("DELETE", f"{W}{base['id']}/").status_code == 400
    for reader in readers:
        assert api("DELETE", f"{W}{reader['id']}/").status_code == 204
    assert api("DELETE", f"{W}{base['id']}/").status_code == 204


# -- activity -----------------------------------------------------------------------------------


def test_activity(local: Api) -> None:
    made = local.view("a")
    path = f"{W}{made['id']}/"
    local.ok("PATCH", path, {"description": "no change of the query", "name": "a"})
    local.ok("PATCH", path, {"query": OTHER_SQL, "edited_history_id": made["latest_history_id"]})
    page = local.ok("GET", f"{path}activity?limit=1&page=1")
    assert list(page) == ["results", "next", "previous", "total_count"]
    assert (page["total_count"], page["previous"]) == (2, None)
    (edit,) = page["results"]
    assert list(edit) == ["id", "user", "activity", "scope", "item_id", "detail", "created_at"]
    assert (edit["activity"], edit["scope"]) == ("updated", "DataWarehouseSavedQuery")
    assert edit["user"] == {"first_name": "Ada", "email": "ada@example.com"}
    (change,) = edit["detail"]["changes"]
    assert (change["field"], change["before"], change["after"]) == ("query", made["query"], OTHER_SQL)
    (creation,) = local.ok("GET", page["next"].removeprefix(local.url))["results"]
    assert (creation["activity"], creation["detail"]["changes"][0]["before"]) == ("created", None)
    assert local("DELETE", path).status_code == 204
    assert local.ok("GET", f"{path}activity/")["total_count"] == 3


def test_activity_of_nothing_has_no_body(local: Api) -> None:
    response = local("GET", f"{W}{uuid.uuid4()}/activity")
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize("parameter", ["limit", "page"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_activity_pages_are_checked(local: Api, parameter: str, value: str) -> None:
    response = local("GET", f"{W}{local.view('a')['id']}/activity?{parameter}={value}")
    assert (response.status_code, response.json()["attr"]) == (400, parameter)


# -- folders ------------------------------------------------------------------------------------

F = "warehouse_saved_query_folders/"


def test_folders(api: Api) -> None:
    second, first = (api.ok("POST", F, {"name": api.named(name)}, 201) for name in ("b", "a"))
    assert list(first) == ["id", "name", "created_at", "created_by", "view_count", "user_access_level"]
    view = api.view("v", folder_id=first["id"])
    assert (view["folder_id"], view["folder_name"]) == (first["id"], api.named("a"))
    listed = [item for item in api.ok("GET", F) if item["id"] in (first["id"], second["id"])]
    expected = [(api.named("a"), 1), (api.named("b"), 0)]
    assert [(item["name"], item["view_count"]) for item in listed] == expected
    taken = invalid("A folder with this name already exists.", "name")
    api.refused("PATCH", f"{F}{second['id']}/", {"name": api.named("a")}, taken)
    moved = api.ok("PATCH", f"{W}{view['id']}/", {"folder_id": None})
    assert (moved["folder_id"], moved["folder_name"]) == (None, None)


def test_unknown_folder(api: Api) -> None:
    unknown = str(uuid.uuid4())
    expected = error("does_not_exist", f'Invalid pk "{unknown}" - object does not exist.', "folder_id")
    api.refused("POST", W, {"name": api.named("a"), "query": OTHER_SQL, "folder_id": unknown}, expected)
    expected = invalid("Must be a valid UUID.", "folder_id")
    api.refused("POST", W, {"name": api.named("a"), "query": OTHER_SQL, "folder_id": "x"}, expected)


def test_an_empty_folder_name(api: Api) -> None:
    response = api("POST", F, {"name": " "})
    assert (response.status_code, response.json()["detail"]) == (400, "Folder name cannot be empty.")


def test_a_folder_takes_its_views_along(api: Api) -> None:
    folder = api.ok("POST", F, {"name": api.named("f")}, 201)
    api.view("a", folder_id=folder["id"])
    api.view("b", f"select event from {api.named('a')}", folder_id=folder["id"])
    outside = api.view("c", f"select event from {api.named('b')}")
    text = "Cannot delete this folder because these views still have dependencies outside the folder: "
    expected = invalid(text + api.named("b"))
    api.refused("DELETE", f"{F}{folder['id']}/", None, expected)
    assert api("DELETE", f"{W}{outside['id']}/").status_code == 204
    assert api("DELETE", f"{F}{folder['id']}/").status_code == 204
    for name in "abc":
        assert api.ok("GET", f"{W}?search={api.named(name)}")["count"] == 0


def test_folders_one_by_one(api: Api) -> None:
    made = api.ok("POST", F, {"name": api.named("a")}, 201)
    path = f"{F}{made['id']}/"
    assert api.ok("GET", path) == made
    assert api.ok("PATCH", path, {"name": api.named("b")})["name"] == api.named("b")
    assert api.ok("PATCH", path, {"name": api.named("b")})["name"] == api.named("b")  # its own name is not taken
    api.refused("POST", F, {}, error("required", "This field is required.", "name"))
    assert api("DELETE", path).status_code == 204
    api.refused("GET", path, None, NOT_FOUND, 404)


def test_moving_between_dags(local: Api) -> None:
    path = f"{W}{local.view('a', sync_frequency='1hour')['id']}/"
    other = {"dag_id": "00000000-0000-4000-8000-000000000001"}
    running = invalid(
        "This view cannot move while it is materializing. Wait for the run to finish or cancel it, then try again.",
        "dag_id",
    )
    local.refused("PATCH", path, {**other, "description": "not kept"}, running)
    local.advance()
    assert local.ok("PATCH", path, other)["sync_frequency"] == "1hour"
    local.view("reader", "select event from a")
    blocked = invalid("This view cannot move while its DAG is managed or other views depend on it.", "dag_id")
    local.refused("PATCH", path, {"dag_id": None}, blocked)
    assert local.ok("PATCH", path, {**other, "description": "x"})["description"] == "x"  # it is there already


def test_a_test_view_of_staff_expires(local: Api) -> None:
    made = Api(local.url, "phx_editor").view("a", is_test=True)
    lifetime = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert (made["is_test"], lifetime) == (True, timedelta(days=7))


def test_the_last_five_runs(local: Api) -> None:
    path = f"{W}{local.view('a')['id']}/"
    assert local.ok("GET", f"{path}run_history") == {"run_history": []}
    for _ in range(6):
        assert local("POST", f"{path}run").status_code == 200
        local.advance()
    history = local.ok("GET", f"{path}run_history")["run_history"]
    assert [sorted(run) for run in history] == [["status", "timestamp"]] * 5
    times = [run["timestamp"] for run in history]
    assert times == sorted(times, reverse=True)


def test_a_materialized_view_runs_at_its_cadence(local: Api) -> None:
    path = f"{W}{local.view('a', sync_frequency='6hour')['id']}/"
    local.advance()
    first = local.ok("GET", path)["last_run_at"]
    local.advance(5 * 3600)
    assert local.ok("GET", path)["last_run_at"] == first
    local.advance(20 * 3600)  # three turns later
    second = datetime.fromisoformat(local.ok("GET", path)["last_run_at"])
    assert second - datetime.fromisoformat(first) == timedelta(hours=24)
    local.ok("PATCH", path, {"sync_frequency": "never"})
    local.advance(48 * 3600)
    assert datetime.fromisoformat(local.ok("GET", path)["last_run_at"]) == second


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("select upper(nope) as c from {v}", "Unable to resolve field: nope"),
        ("select event from {v} where nope = 1", "Unable to resolve field: nope"),
        ("select event from {v} order by nope", "Unable to resolve field: nope"),
        ("select x.nope from {v} as x", "Field not found: nope"),
        ("select event from events as e join {v} as x on x.nope = e.event", "Field not found: nope"),
        ("select event from {v} union all select nope from {v}", "Unable to resolve field: nope"),
        ("select event from {v} where event in (select nope from {v})", "Unable to resolve field: nope"),
        ("with w as (select event from {v}) select nope from w", "Unable to resolve field: nope"),
        ("select nope from (select event from {v})", "Unable to resolve field: nope"),
        ("select nope", "Unable to resolve field: nope"),
    ],
)
def test_unknown_columns_anywhere(api: Api, sql: str, text: str) -> None:
    name = api.named("v")
    api.view("v")
    expected = invalid(f"Invalid query: {text}", "query")
    api.refused("POST", W, {"name": api.named("w"), "query": query(sql.format(v=name))}, expected)


@pytest.mark.parametrize(
    "sql",
    [
        "select arrayMap(x -> x + n, [1]) as m, n from {v}",
        "select x.event, n + 1 as more from {v} as x where more > 1 group by x.event, n having count() > 1 order by more",
        "with 3 as three select n + three as s from {v}",
        "select event from {v} where n in (select n from {v} where {v}.n = n)",
        "select sum(n) over (partition by event order by n) as s, row_number() over w as r from {v} "
        "window w as (partition by event)",
        "select timestamp, anything from (select * from events)",
        "select timestamp from {open}",
    ],
)
def test_columns_that_exist(api: Api, sql: str) -> None:
    api.view("v", "select event, count() as n from events group by event")
    api.view("open", "select * from events")
    api.view("w", sql.format(v=api.named("v"), open=api.named("open")))
