"""Variables and views through their life with the real engine: what previews say, drift, loss, clashes, replacements."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from support.posthog import PostHog, start

from .conftest import Stacks

HEAD = "import pulumi\nfrom pulumi_posthog import *\n"


def _program(text: str) -> str:
    return HEAD + textwrap.dedent(text)


def _sql(text: str) -> dict[str, str]:
    return {"kind": "HogQLQuery", "query": text}


WIRED = """
    shop = ExternalDataSource("shop", prefix="shop_", wait_for_first_sync=60, schemas={"customers": Schema()},
        connection=PostgresConnection(
            host="postgres.local", database="shop", user="posthog", password="local-password", schema="public"))
    region = InsightVariable("region", name=" Region ", type="List", values=["a", 2], default_value="a")
    SavedQuery("by-region", name=region.code_name.apply(lambda name: f"by_{name}"), description=" padded ",
        query=pulumi.Output.concat("SELECT id, '", region.default_value, "' AS region FROM shop_postgres_customers"))
    InsightVariable("source", name="Source", type="String", default_value=shop.id)
    pulumi.export("in SQL", pulumi.Output.concat("{variables.", region.code_name, "}"))
"""


@pytest.mark.feature(2, 3, 5, 31, 32, 39, 40, 41, 47, 54, 67, 69)
def test_objects_that_are_made_of_each_other_from_nothing_to_nothing(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(_program(WIRED), host=f"{posthog.url}/")
    shown = stack.preview().output
    assert '"{variables.region}"' in shown
    assert '"by_region"' in shown  # known, because the code name is
    assert "default_value : [unknown]" in shown  # the id of the source is not
    stack.up()
    variables = {item["code_name"]: item for item in posthog.objects("insight_variables")}
    view = posthog.one("warehouse_saved_queries")
    assert (variables["region"]["name"], variables["region"]["values"]) == ("Region", ["a", "2"])
    assert variables["source"]["default_value"] == posthog.one("external_data_sources")["id"]
    assert (view["name"], view["description"]) == ("by_region", "padded")
    assert view["query"]["query"] == "SELECT id, 'a' AS region FROM shop_postgres_customers"
    assert stack.steps("--refresh") == []

    posthog.call("PATCH", f"insight_variables/{variables['region']['id']}/", {"default_value": "2"})
    posthog.call("PATCH", f"warehouse_saved_queries/{view['id']}/", {"description": "Edited."})
    told = stack.refresh().output
    assert '"a" => "2"' in told
    assert '"padded" => "Edited."' in told
    stack.up()
    assert posthog.call("GET", f"insight_variables/{variables['region']['id']}/")["default_value"] == "a"
    assert posthog.one("warehouse_saved_queries")["description"] == "padded"

    for id in (variables["region"]["id"], variables["source"]["id"]):
        posthog.call("DELETE", f"insight_variables/{id}/")
    stack.program(_program(WIRED.replace('"a", 2]', '"a", 2, 3]')))
    told = stack.up(ok=False).output
    assert 'InsightVariable "Region" was not updated: it was deleted outside Pulumi. Run `pulumi refresh`' in told
    stack.refresh()
    stack.up()
    assert {item["code_name"] for item in posthog.objects("insight_variables")} == {"region", "source"}
    for collection in ("insight_variables", "warehouse_saved_queries"):
        for item in posthog.objects(collection):
            posthog.call("DELETE", f"{collection}/{item['id']}/")
    stack.destroy()
    assert posthog.objects("external_data_sources") == []


@pytest.mark.feature(43, 44)
def test_what_is_taken_is_told_in_preview_and_never_touched(stacks: Stacks, posthog: PostHog) -> None:
    theirs = posthog.call("POST", "insight_variables/", {"name": "My Region!", "type": "String"}, key="phx_colleague")
    body = {"name": "people", "query": _sql("SELECT 1 AS one")}
    view = posthog.call("POST", "warehouse_saved_queries/", body, key="phx_colleague")
    stack = stacks(_program('InsightVariable("region", name="my region", type="String")'))
    told = stack.preview(ok=False).output
    assert 'InsightVariable "my region": a variable with this code name `my_region` exists already in PostHog' in told
    assert f'(InsightVariable "My Region!", id {theirs["id"]}, made by user ' in told
    stack.program(_program('SavedQuery("people", name="people", query="SELECT 2 AS two")'))
    told = stack.preview(ok=False).output
    assert f"(id {view['id']}, made by colleague@posthog.local on " in told
    assert stack.up(ok=False).code != 0
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == "SELECT 1 AS one"

    stack.program(_program('SavedQuery("people", name="people", query="SELECT 2 AS two", adopt=True)'))
    assert f'SavedQuery "people": adopts {view["id"]}; will change query' in stack.preview().output
    stack.up()
    assert stack.steps("--refresh") == []
    stack.program("")
    stack.up()
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == "SELECT 2 AS two"


@pytest.mark.feature(68, 71, 72)
def test_renaming_and_deleting_what_others_use(stacks: Stacks, posthog: PostHog) -> None:
    variable = 'InsightVariable("region", name="{0}", type="String", opts=pulumi.ResourceOptions(protect={1}))\n'
    view = 'SavedQuery("people", name="{0}", query="SELECT distinct_id AS person FROM events")'
    stack = stacks(_program(variable.format("Region", True) + view.format("people")))
    stack.up()
    before = posthog.one("warehouse_saved_queries")["id"]
    body = {"name": "reader", "query": _sql("SELECT person FROM people")}
    posthog.call("POST", "warehouse_saved_queries/", body, key="phx_colleague")

    stack.program(_program(variable.format("Area", True) + view.format("humans")))
    told = stack.preview().output
    assert 'SavedQuery "people": reader will fail until they read humans instead of people.' in told
    assert 'InsightVariable "Region": queries go on using {variables.region}' in told
    stack.up()
    assert posthog.one("insight_variables")["code_name"] == "region"
    assert {item["name"]: item["id"] for item in posthog.objects("warehouse_saved_queries")}["humans"] == before

    body = {"name": "other", "query": _sql("SELECT person FROM humans")}
    posthog.call("POST", "warehouse_saved_queries/", body, key="phx_colleague")
    stack.program("")
    assert "unprotect" in stack.up(ok=False).output
    stack.program(_program(variable.format("Area", False)))
    told = stack.up(ok=False).output
    assert 'SavedQuery "humans" was not deleted: PostHog refused (400, Can\'t delete humans yet. These read' in told
    assert "other (view)" in told
    assert len(posthog.objects("warehouse_saved_queries")) == 3


@pytest.mark.feature(53)
def test_a_replacement_on_demand_ends_with_one_object(stacks: Stacks, posthog: PostHog) -> None:
    program = """
        InsightVariable("region", name="Region", type="String", default_value="a")
        SavedQuery("people", name="people", query="SELECT 1 AS one",
            opts=pulumi.ResourceOptions(replace_on_changes=["query"]))
    """
    stack = stacks(_program(program))
    stack.up()
    before = (posthog.one("insight_variables")["id"], posthog.one("warehouse_saved_queries")["id"])
    stack.program(_program(program.replace("1 AS one", "2 AS two")))
    assert {step["urn"].split("::")[-1] for step in stack.steps()} == {"people"}
    stack.up()
    view = posthog.one("warehouse_saved_queries")
    assert view["id"] != before[1]
    assert stack.resources("SavedQuery")[0]["id"] == view["id"]

    (urn,) = [item["urn"] for item in stack.resources("InsightVariable")]
    stack.up("--replace", urn)
    variable = posthog.one("insight_variables")
    assert variable["id"] != before[0]
    assert [item["id"] for item in stack.resources("InsightVariable")] == [variable["id"]]

    moved = program.replace("1 AS one", "2 AS two").replace('"a")', '"a", opts=pulumi.ResourceOptions(provider=here))')
    stack.program(_program(f"""{" " * 8}here = Provider("here"){moved}"""))
    stack.up()
    assert [item["id"] for item in stack.resources("InsightVariable")] == [posthog.one("insight_variables")["id"]]
    assert stack.steps("--refresh") == []


@pytest.mark.feature(63)
def test_two_hosts_in_one_program(stacks: Stacks, posthog: PostHog, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    process, other = start(
        tmp_path / "other", "--data", ":memory:", "--seed", str(Path(__file__).parents[1] / "support/seed.yaml")
    )
    try:
        stack = stacks(
            _program(
                f"""
                for host in ("{posthog.url}", "{other.url}/"):
                    opts = pulumi.ResourceOptions(provider=Provider(host[-6:], host=host))
                    InsightVariable(f"region-{{host[-6:]}}", opts, name="Region", type="String")
                """
            )
        )
        stack.up()
        assert posthog.one("insight_variables")["name"] == other.one("insight_variables")["name"] == "Region"
        assert stack.steps("--refresh") == []
        stack.destroy()
        assert posthog.objects("insight_variables") == other.objects("insight_variables") == []
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.feature(70)
def test_objects_that_others_made_stay_as_they_are(stacks: Stacks, posthog: PostHog) -> None:
    for number in range(250):
        posthog.call(
            "POST", "insight_variables/", {"name": f"Theirs {number}", "type": "Number", "default_value": number}
        )
        body = {"name": f"theirs_{number}", "query": _sql(f"SELECT {number} AS x"), "soft_update": True}
        posthog.call("POST", "warehouse_saved_queries/", body)

    def others() -> list[Any]:
        lists = [
            posthog.call("GET", f"{name}/")["results"] for name in ("insight_variables", "warehouse_saved_queries")
        ]
        return [item for listed in lists for item in listed if item["name"].lower().startswith("theirs")]

    before = json.dumps(others())
    assert len(others()) == 500
    program = """
        InsightVariable("v", name="Ours", type="Number", default_value={0})
        SavedQuery("q", name="ours", query="SELECT {0} AS x")
    """
    stack = stacks(_program(program.format(1)))
    stack.up()
    stack.program(_program(program.format(2)))
    stack.up("--refresh")
    stack.destroy()
    assert json.dumps(others()) == before


HALF_WAY = """
    import pulumi
    from pulumi_posthog import ExternalDataSource, InsightVariable, PostgresConnection, SavedQuery, Schema
    names = pulumi.Config().require("names")
    shop = PostgresConnection(
        host="postgres.local", database="shop", user="posthog", password="local-password", schema="public"
    )
    made = [
        ExternalDataSource(f"source{names}", prefix="shop_", connection=shop, schemas={"orders": Schema()}),
        InsightVariable(f"variable{names}", name="Region", type="Number", default_value=5),
        SavedQuery(f"view{names}", name="people", query="SELECT 1 AS x"),
    ]
    number = pulumi.Config().require_int("number")
    after = pulumi.ResourceOptions(depends_on=made)
    InsightVariable("other", after, name="Other", type="Number", default_value=number)
"""
OTHER_FAILS = {
    "match": {"method": "PATCH", "path": "insight_variables/*"},
    "do": "status",
    "status": 400,
    "json": {"type": "validation_error", "code": "invalid_input", "detail": "Not today.", "attr": None},
}


@pytest.mark.parametrize("how", ["renamed", "replaced on demand"])
def test_what_two_resources_of_a_half_done_up_share_is_kept(stacks: Stacks, posthog: PostHog, how: str) -> None:
    stack = stacks(HALF_WAY)
    stack.config({"tests:names": "", "tests:number": "1"})
    stack.up()
    kinds = {"external_data_sources": "ExternalDataSource", "warehouse_saved_queries": "SavedQuery"}
    before = {kind: posthog.one(kind)["id"] for kind in kinds}
    view = stack.resources("SavedQuery")[0]["urn"]
    stack.config({"tests:number": "2", **({"tests:names": "2"} if how == "renamed" else {})})
    posthog.control("PUT", "faults", OTHER_FAILS)
    failed = stack.up(*(() if how == "renamed" else ("--replace", view)), ok=False)
    assert "Not today" in failed.output
    posthog.control("DELETE", "faults")
    posthog.control("DELETE", "requests")

    told = stack.up().output
    assert "stays in PostHog: a resource of this stack has it." in told
    asked = posthog.control("GET", "requests?method=delete")["requests"]
    assert [item["path"] for item in asked] == []
    assert {kind: posthog.one(kind)["id"] for kind in kinds} == before
    assert {kind: [item["id"] for item in stack.resources(name)] for kind, name in kinds.items()} == {
        kind: [id] for kind, id in before.items()
    }
    assert len(posthog.objects("insight_variables")) == 2
    assert stack.steps() == []


def _ids(posthog: PostHog) -> dict[str, set[str]]:
    collections = ("external_data_sources", "warehouse_saved_queries", "insight_variables")
    return {collection: {live["id"] for live in posthog.objects(collection)} for collection in collections}


def test_what_is_kept_stays_also_when_its_change_fails_or_is_never_begun(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(HALF_WAY)
    stack.config({"tests:names": "", "tests:number": "1"})
    stack.up()
    before = _ids(posthog)
    stack.config({"tests:number": "2", "tests:names": "2"})
    posthog.control("PUT", "faults", OTHER_FAILS)
    assert "Not today" in stack.up(ok=False).output

    # The source's change is refused, so that of the view, which needs it, is never begun.
    changed = HALF_WAY.replace("Schema()", 'Schema(sync_frequency="1hour")').replace("    made = [", "    source = (")
    changed = changed.replace('1hour")}),', '1hour")})')
    changed = changed.replace("        InsightVariable(f", "    )\n    made = [\n        InsightVariable(f")
    changed = changed.replace(
        'query="SELECT 1 AS x")', 'query="SELECT 2 AS x", opts=pulumi.ResourceOptions(depends_on=[source]))'
    )
    changed = changed.replace("depends_on=made", "")
    stack.program(changed)
    refused = {**OTHER_FAILS, "match": {"method": "PATCH", "path": "external_data_sources/*/bulk_update_schemas"}}
    posthog.control("PUT", "faults", [refused])
    posthog.control("DELETE", "requests")
    told = stack.up("--continue-on-error", ok=False).output
    assert "Not today" in told
    assert posthog.control("GET", "requests?method=delete")["requests"] == []
    assert _ids(posthog) == before

    posthog.control("DELETE", "faults")
    stack.up()
    assert _ids(posthog) == before
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == "SELECT 2 AS x"
    assert stack.steps("--refresh") == []


@pytest.mark.fault(28)
def test_a_new_name_and_a_new_provider_at_once_lose_nothing(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks(HALF_WAY)
    stack.config({"tests:names": "", "tests:number": "1"})
    stack.up()
    before = _ids(posthog)
    elsewhere = HALF_WAY.replace("ExternalDataSource, ", "ExternalDataSource, Provider, ")
    elsewhere = elsewhere.replace(
        "    made = [", '    here = pulumi.ResourceOptions(provider=Provider("here"))\n    made = ['
    )
    stack.program(
        elsewhere.replace("Schema()})", "Schema()}, opts=here)")
        .replace("default_value=5)", "default_value=5, opts=here)")
        .replace('AS x")', 'AS x", opts=here)')
    )
    stack.config({"tests:names": "2"})
    stack.up()
    assert _ids(posthog) == before
    kinds = ("ExternalDataSource", "SavedQuery", "InsightVariable")
    assert {item["id"] for kind in kinds for item in stack.resources(kind)} == set().union(*before.values())
    assert stack.steps("--refresh") == []


@pytest.mark.fault(28)
def test_what_the_stack_has_is_not_adopted_again(stacks: Stacks, posthog: PostHog) -> None:
    program = """
        from pulumi_posthog import SavedQuery
        one = SavedQuery("one", name="people", query="SELECT 1 AS x")
    """
    stack = stacks(program)
    stack.up()
    id = posthog.one("warehouse_saved_queries")["id"]
    stack.program(f'{program}    SavedQuery("two", name="humans", query="SELECT 1 AS x", adopt="{id}")')
    told = stack.up(ok=False).output
    assert f"the object to adopt ({id}) is that of another resource of this stack" in told
    assert posthog.one("warehouse_saved_queries")["name"] == "people"


@pytest.mark.fault(28)
def test_two_providers_do_not_share_an_object(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks("""
        import pulumi
        from pulumi_posthog import Provider, SavedQuery
        one = SavedQuery("one", name="people", query="SELECT 1 AS x")
        here = pulumi.ResourceOptions(provider=Provider("here"), depends_on=[one])
        SavedQuery("two", name="people", query="SELECT 1 AS x", opts=here)
    """)
    told = stack.up(ok=False).output
    assert "is that of another resource of this stack, which has another `provider`" in told
    view = posthog.one("warehouse_saved_queries")
    assert [item["id"] for item in stack.resources("SavedQuery")] == [view["id"]]


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_what_a_refresh_of_the_same_command_has_seen_is_deleted_all_the_same(
    stacks: Stacks, posthog: PostHog, command: str
) -> None:
    stack = stacks('from pulumi_posthog import InsightVariable\nInsightVariable("it", name="It", type="Number")')
    stack.up()
    stack.program("import pulumi")
    (stack.up if command == "up" else stack.destroy)("--refresh")
    assert posthog.objects("insight_variables") == []


def test_a_destroy_that_runs_the_program_deletes(stacks: Stacks, posthog: PostHog) -> None:
    stack = stacks('from pulumi_posthog import InsightVariable\nInsightVariable("it", name="It", type="Number")')
    stack.up()
    stack.destroy("--run-program")
    assert posthog.objects("insight_variables") == []
