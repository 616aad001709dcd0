"""The main job with the real engine: preview, up, second up, edit, refresh, destroy."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from support.posthog import KEY, PostHog
from support.stack import Stack, everything_written

from .conftest import Stacks

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "__main__.py"
PASSWORD = "local-password"

VIEW = """
    from pulumi_posthog import SavedQuery
    SavedQuery("people", name="people", query="{sql}", description="Everybody.")
"""
FIRST = "SELECT distinct_id AS person FROM events"
SECOND = "SELECT distinct_id AS person, count() AS events FROM events GROUP BY person"
OTHER = "SELECT event FROM events"


def _quickstart(stacks: Stacks) -> Stack:
    # On purpose a plain text: that the user does not mark it secret must not matter.
    return stacks(QUICKSTART.read_text().replace('config.require("databasePassword")', f'"{PASSWORD}"'))


def _requests(posthog: PostHog, *methods: str) -> list[dict[str, object]]:
    return [item for item in posthog.control("GET", "requests")["requests"] if item["method"] in methods]


@pytest.mark.feature(49)
def test_quick_start_from_nothing_to_nothing(stacks: Stacks, posthog: PostHog) -> None:
    stack = _quickstart(stacks)
    stack.up()

    variable = posthog.one("insight_variables")
    assert (variable["name"], variable["code_name"], variable["type"]) == ("Region", "region", "List")
    assert (variable["values"], variable["default_value"]) == (["Europe", "Americas", "Asia"], "Europe")
    views = {item["name"]: item for item in posthog.objects("warehouse_saved_queries")}
    assert set(views) == {"active_people", "top_people"}
    assert views["top_people"]["query"]["query"].startswith("SELECT person, events FROM active_people")
    source = posthog.one("external_data_sources")
    assert (source["source_type"], source["prefix"]) == ("Postgres", "shop_")
    tables = {row["name"]: row for row in source["schemas"] if row["should_sync"]}
    assert {name: row["sync_type"] for name, row in tables.items()} == {
        "customers": "incremental",
        "orders": "incremental",
        "products": "full_refresh",
    }
    assert tables["products"]["sync_frequency"] == "24hour"

    posthog.control("DELETE", "requests")
    assert "5 unchanged" in stack.up().output
    assert _requests(posthog, "GET", "POST", "PATCH", "DELETE") == []
    assert stack.steps("--refresh") == []

    stack.destroy()
    for collection in ("insight_variables", "warehouse_saved_queries", "external_data_sources"):
        assert posthog.objects(collection) == []
    assert stack.resources("SavedQuery") == []


@pytest.mark.fault(50)
@pytest.mark.feature(80)
def test_no_secret_is_in_clear_in_anything_that_is_written(stacks: Stacks) -> None:
    stack = _quickstart(stacks)
    stack.up()
    stack.refresh()
    stack.export()
    (stack.folder / "__main__.py").unlink()  # the user's own text
    written = everything_written(stack.folder)
    for secret in (PASSWORD, KEY):
        assert secret not in written
        assert base64.b64encode(secret.encode()).decode() not in written
        assert quote(secret, safe="").replace("-", "%2D") not in written


@pytest.mark.feature(51)
def test_a_changed_view_is_shown_and_sent_with_its_token(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    before = posthog.one("warehouse_saved_queries")
    stack.program(VIEW.format(sql=SECOND))

    (step,) = stack.steps()
    assert step["op"] == "update"
    assert list(step["detailedDiff"]) == ["query"]
    shown = stack.preview().output
    assert SECOND in shown
    assert FIRST in shown

    posthog.control("DELETE", "requests")
    stack.up()
    (patch,) = _requests(posthog, "PATCH", "POST", "DELETE")
    assert patch["method"] == "PATCH"
    body = patch["body"] if isinstance(patch["body"], dict) else json.loads(str(patch["body"]))
    assert body["edited_history_id"] == before["latest_history_id"]
    after = posthog.one("warehouse_saved_queries")
    assert (after["id"], after["query"]["query"]) == (before["id"], SECOND)


@pytest.mark.feature(30)
def test_white_space_in_sql_is_no_change_for_the_engine_either(stacks: Stacks) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    stack.program(VIEW.format(sql=FIRST.replace(" FROM", "\\n  FROM") + ";\\n"))
    assert stack.steps() == []


@pytest.mark.feature(31)
def test_a_view_edited_in_posthog_is_shown_by_refresh_and_repaired_by_up(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    view = posthog.one("warehouse_saved_queries")
    body = {"query": {"kind": "HogQLQuery", "query": OTHER}, "edited_history_id": view["latest_history_id"]}
    posthog.call("PATCH", f"warehouse_saved_queries/{view['id']}/", body)

    shown = stack.refresh().output
    assert FIRST in shown
    assert OTHER in shown
    (step,) = stack.steps()
    assert list(step["detailedDiff"]) == ["query"]
    stack.up()
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == FIRST
    assert stack.steps() == []


@pytest.mark.fault(27)
@pytest.mark.feature(42)
def test_an_edit_that_up_does_not_know_of_is_not_overwritten(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    view = posthog.one("warehouse_saved_queries")
    body = {"query": {"kind": "HogQLQuery", "query": OTHER}, "edited_history_id": view["latest_history_id"]}
    posthog.call("PATCH", f"warehouse_saved_queries/{view['id']}/", body, key="phx_colleague")

    stack.program(VIEW.format(sql=SECOND))
    told = stack.up(ok=False)
    assert told.code != 0
    assert "its SQL was changed in PostHog by colleague@posthog.local at " in told.output
    assert "Run `pulumi refresh`" in told.output
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == OTHER


@pytest.mark.feature(39)
def test_a_view_deleted_in_posthog_is_made_again(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    old = posthog.one("warehouse_saved_queries")
    posthog.call("DELETE", f"warehouse_saved_queries/{old['id']}/")
    stack.refresh()
    assert stack.resources("SavedQuery") == []
    stack.up()
    assert posthog.one("warehouse_saved_queries")["id"] != old["id"]


@pytest.mark.fault(22, 23)
@pytest.mark.feature(45)
@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"key": "phx_wrong"}, "PostHog refused the key (401, Personal API key found in request Authorization header"),
        ({"key": "phx_reader"}, "API key missing required scope 'warehouse_view:write'"),
        ({"key": "phx_only_two"}, "API key does not have access to the requested project: ID 1."),
        ({"environment": "999"}, "PostHog knows no such environment (404, Project not found.)"),
        ({"host": "http://127.0.0.1:9"}, "cannot reach http://127.0.0.1:9 (connection refused)"),
    ],
    ids=["wrong key", "missing scope", "other environment", "unknown environment", "refusing host"],
)  # fmt: skip
def test_trouble_is_told_in_one_paragraph_and_changes_nothing(
    stacks: Stacks, posthog: PostHog, trouble: dict[str, str], told: str
) -> None:
    stack = stacks(VIEW.format(sql=FIRST), **trouble)
    stack.config({"posthog:requestTimeout": "3"})
    result = stack.up(ok=False)
    assert result.code != 0
    assert "Traceback" not in result.output
    (line,) = {line for line in result.output.splitlines() if told in line and line.lstrip().startswith("error:")}
    assert 'SavedQuery "people"' in line
    assert "See docs/errors.md#" in line
    assert trouble.get("key", KEY) not in result.output
    assert stack.resources("SavedQuery") == []
    assert posthog.objects("warehouse_saved_queries") == []


@pytest.mark.fault(24)
@pytest.mark.parametrize("change", [{"posthog:apiKey": "phx_wrong"}, {"posthog:environmentId": "2"}])
def test_a_refresh_with_wrong_settings_forgets_nothing(stacks: Stacks, change: dict[str, str]) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    before = stack.resources("SavedQuery")
    stack.config(change, secret=["posthog:apiKey"])
    stack.refresh(ok=False)
    assert [item["id"] for item in stack.resources("SavedQuery")] == [item["id"] for item in before]


def test_a_change_that_is_refused_leaves_the_state_as_it_was(stacks: Stacks) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    (before,) = stack.resources("SavedQuery")
    stack.config({"posthog:apiKey": "phx_reader"}, secret=["posthog:apiKey"])
    stack.program(VIEW.format(sql=SECOND))
    told = stack.up(ok=False)
    assert 'SavedQuery "people" was not updated: PostHog refused' in told.output
    (after,) = stack.resources("SavedQuery")
    assert (after["id"], after["inputs"], after["outputs"]) == (before["id"], before["inputs"], before["outputs"])


@pytest.mark.feature(51, 62)
def test_another_environment_is_a_replacement_that_leaves_nothing_behind(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    stack.config({"posthog:environmentId": "2"})
    assert "environment_id" in stack.preview().output
    (step,) = stack.steps()
    assert (step["op"], step["replaceReasons"]) == ("replace", ["environment_id"])
    stack.up()
    assert posthog.objects("warehouse_saved_queries", "1") == []
    assert posthog.one("warehouse_saved_queries", "2")["name"] == "people"


@pytest.mark.feature(62)
def test_another_host_is_refused_before_any_request(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(VIEW.format(sql=FIRST))
    stack.up()
    stack.config({"posthog:host": "http://127.0.0.1:9"})
    for result in (stack.preview(ok=False), stack.up(ok=False)):
        assert f"this object was made at {posthog.url}, but posthog:host is http://127.0.0.1:9 now" in result.output
    assert posthog.one("warehouse_saved_queries")["name"] == "people"
    assert len(stack.resources("SavedQuery")) == 1


@pytest.mark.feature(61)
def test_two_providers_serve_two_environments(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(
        f"""
        import pulumi
        from pulumi_posthog import Provider, SavedQuery
        for environment in ("1", "2"):
            provider = Provider(f"environment-{{environment}}", environment_id=environment)
            SavedQuery(
                f"people-{{environment}}",
                pulumi.ResourceOptions(provider=provider),
                name="people",
                query="{FIRST}",
            )
        """
    )
    stack.up()
    first, second = posthog.one("warehouse_saved_queries", "1"), posthog.one("warehouse_saved_queries", "2")
    assert first["name"] == second["name"] == "people"
    assert first["id"] != second["id"]
    assert KEY not in json.dumps(stack.export())
    assert stack.steps("--refresh") == []
    stack.destroy()
    assert posthog.objects("warehouse_saved_queries", "1") == posthog.objects("warehouse_saved_queries", "2") == []


def test_a_changed_table_is_one_call_and_keeps_the_source(stacks: Stacks, posthog: PostHog) -> None:
    stack = _quickstart(stacks)
    stack.up()
    before = posthog.one("external_data_sources")
    program = stack.folder / "__main__.py"
    program.write_text(program.read_text().replace('"24hour"', '"1hour"'))
    (step,) = stack.steps()
    assert (step["op"], list(step["detailedDiff"])) == ("update", ["schemas.products.sync_frequency"])
    posthog.control("DELETE", "requests")
    stack.up()
    (call,) = _requests(posthog, "POST", "PATCH", "DELETE")
    assert str(call["path"]).rstrip("/").endswith("bulk_update_schemas")
    assert PASSWORD not in json.dumps(call)
    after = posthog.one("external_data_sources")
    assert after["id"] == before["id"]
    assert {row["name"]: row["sync_frequency"] for row in after["schemas"]}["products"] == "1hour"


@pytest.mark.fault(49)
@pytest.mark.feature(45, 50)
@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (
            """InsightVariable("mistake", name="Region", type="Text")""",
            "type: must be one of String, Number, Boolean, List, Date",
        ),
        (
            """
        ExternalDataSource(
            "mistake",
            connection=PostgresConnection(host="h", database="d", user="u", password=["sentinel-password"]),
        )
            """,
            "connection.password: must be text, not a list",
        ),
    ],
    ids=["wrong type", "wrong password"],
)
def test_a_mistake_is_told_in_preview_and_nothing_is_sent(
    stacks: Stacks, posthog: PostHog, resource: str, told: str
) -> None:
    stack = stacks(
        f"""
        from pulumi_posthog import ExternalDataSource, InsightVariable, PostgresConnection
        {resource.strip()}
        """
    )
    posthog.control("DELETE", "requests")
    result = stack.preview(ok=False)
    assert result.code != 0
    assert f"resource 'mistake' has a problem: {told}" in result.output
    assert "sentinel-password" not in result.output
    assert _requests(posthog, "GET", "POST", "PATCH", "DELETE") == []
