"""The real provider process: what it says before it ever talks to PostHog."""

from __future__ import annotations

import subprocess
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format, struct_pb2

from .conftest import UNKNOWN, Hosts, refusal

CONFIG = {
    "posthog:host": "http://127.0.0.1:9",
    "posthog:environmentId": "1",
    "posthog:apiKey": "phx_sentinel_key",
    "posthog:validate": "off",
}
VARIABLE = {"name": "Region", "type": "String"}
RECORDED = {"host": "http://127.0.0.1:9", "environment_id": "1"}


def _refused(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    return refusal(error.value)


def test_missing_settings_are_named_with_the_command_that_sets_them(hosts: Hosts) -> None:
    failures = hosts.start({}).check("InsightVariable", VARIABLE).failures
    assert len(failures) == 1
    assert "pulumi config set posthog:environmentId" in failures[0][1]
    assert "pulumi config set --secret posthog:apiKey" in failures[0][1]


def test_environment_variables_are_a_fallback(hosts: Hosts) -> None:
    environ = {"POSTHOG_HOST": "http://127.0.0.1:9", "POSTHOG_ENVIRONMENT_ID": "7", "POSTHOG_PERSONAL_API_KEY": "phx_k"}
    assert hosts.start({}, environ).check("InsightVariable", VARIABLE).inputs["environment_id"] == "7"


def test_configuration_wins_over_environment_variables(hosts: Hosts) -> None:
    assert hosts.start(CONFIG, {"POSTHOG_ENVIRONMENT_ID": "7"}).check("InsightVariable", VARIABLE).inputs[
        "environment_id"
    ] == ("1")


def test_check_records_where_an_object_is_made(hosts: Hosts) -> None:
    inputs = hosts.start(CONFIG).check("InsightVariable", VARIABLE).inputs
    assert {name: inputs[name] for name in RECORDED} == RECORDED


@pytest.mark.fault(48, 49)
def test_check_failures_name_no_property_so_that_the_engine_prints_no_value(hosts: Hosts) -> None:
    failures = hosts.start(CONFIG).check("InsightVariable", {"name": "x", "type": "string"}).failures
    assert failures == [("", "type: must be one of String, Number, Boolean, List, Date; did you mean String?")]


@pytest.mark.feature(45, 50)
@pytest.mark.parametrize(
    ("kind", "inputs", "told"),
    [
        ("InsightVariable", {"name": 5, "type": "String"}, "name: must be text, not a number"),
        ("InsightVariable", {"name": "", "type": "String"}, "name: must not be empty"),
        ("InsightVariable", {"name": "  ", "type": "String"}, "name: must not be empty"),
        ("InsightVariable", {"type": "String"}, "name: is required"),
        ("InsightVariable", {"name": "x", "type": "List", "is_multi": "yes"}, "is_multi: must be true or false, not text"),
        ("InsightVariable", {"name": "x", "type": "Number", "default_value": "5"}, "default_value: must be a number"),
        ("InsightVariable", {"name": "x", "type": "String", "values": ["a"]}, 'values: is only for variables of type "List"'),
        ("InsightVariable", {"name": "x", "type": "List", "values": [["a"]]}, "values[0]: must be text or a number"),
        ("InsightVariable", {"name": "x", "type": "List", "values_query_connection_id": "c"}, "values_query_connection_id: needs `values_query`"),
        ("SavedQuery", {"name": "v", "query": 5}, "query: must be text, not a number"),
        ("SavedQuery", {"name": "v", "query": {"query": "select 1"}}, "query: must be text, not a mapping"),
        ("SavedQuery", {"name": "9v", "query": "select 1"}, "name: may hold letters, digits, '_', '.' and '$' only"),
        ("SavedQuery", {"name": "v", "query": " "}, "query: must not be empty"),
        ("SavedQuery", {"name": "v", "query": "select 1", "describtion": "x"}, "describtion: is not an argument here; did you mean description?"),
        ("ExternalDataSource", {"source_type": "Postgres", "connection": {"host": "h"}}, "connection.database: is required"),
        (
            "ExternalDataSource",
            {"source_type": "Ashby", "connection": {}, "schemas": {"users": {"sync_type": "incremantal"}}},
            'schemas["users"].sync_type: must be one of full_refresh, incremental',
        ),
        (
            "ExternalDataSource",
            {"source_type": "Ashby", "connection": {}, "schemas": {"users": {"sync_type": "incremental"}}},
            'schemas["users"].incremental_field: is required',
        ),
        ("ExternalDataSource", {"source_type": "Ashby", "connection": {}, "schemas": {}}, "schemas: must name at least one table"),
        ("ExternalDataSource", {"source_type": "Ashby", "connection": {}, "prefix": "a-b"}, "prefix: may hold letters"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_preview_and_names_the_argument(
    hosts: Hosts, kind: str, inputs: dict[str, object], told: str
) -> None:
    failures = hosts.start(CONFIG).check(kind, inputs).failures
    assert any(reason.startswith(told) and not path for path, reason in failures), failures


def test_a_value_that_is_not_known_yet_is_no_mistake(hosts: Hosts) -> None:
    checked = hosts.start(CONFIG).check("InsightVariable", {"name": UNKNOWN, "type": "String"})
    assert checked.failures == []
    assert checked.inputs["name"] == checked.inputs["code_name"] == UNKNOWN


@pytest.mark.fault(48)
def test_a_bad_password_is_not_repeated(hosts: Hosts) -> None:
    connection = {"host": "h", "database": "d", "user": "u", "password": ["sentinel-password"]}
    failures = (
        hosts.start(CONFIG).check("ExternalDataSource", {"source_type": "Postgres", "connection": connection}).failures
    )
    assert failures == [("", "connection.password: must be text, not a list")]


def test_the_code_name_is_known_in_preview_and_stays_when_the_name_changes(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    first = host.check("InsightVariable", {"name": "Größe (cm)", "type": "Number"}).inputs
    assert first["code_name"] == "größe_cm"
    second = host.check("InsightVariable", {"name": "Size", "type": "Number"}, first).inputs
    assert second["code_name"] == "größe_cm"


def test_nothing_changed_is_no_difference(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    inputs = host.check("InsightVariable", VARIABLE).inputs
    assert host.diff("InsightVariable", "x", inputs, inputs).changes == "DIFF_NONE"


def test_a_difference_is_left_to_the_engine_to_show(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    inputs = host.check("InsightVariable", VARIABLE).inputs
    assert host.diff("InsightVariable", "x", inputs, {**inputs, "name": "Other"}).changes == "DIFF_UNKNOWN"


def test_a_state_that_a_native_provider_wrote_is_taken_over_by_an_update(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    inputs = host.check("InsightVariable", VARIABLE).inputs
    without_provider = struct_pb2.Struct()
    json_format.ParseDict(inputs, without_provider)
    found = host.diff_from("InsightVariable", "x", without_provider, inputs)
    assert (found.changes, found.replaces) == ("DIFF_SOME", [])


def test_numbers_come_through(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    for number in (0, -3, 2.5, 2**53 - 1):
        declared = {"name": "x", "type": "Number", "default_value": number}
        first = host.check("InsightVariable", declared)
        assert (first.failures, first.inputs["default_value"]) == ([], number)
        second = host.check("InsightVariable", declared, first.inputs)
        assert host.diff("InsightVariable", "x", first.inputs, second.inputs).changes == "DIFF_NONE"
    (failure,) = host.check("InsightVariable", {"name": "x", "type": "Number", "default_value": 2**60}).failures
    assert "is too large to be carried exactly" in failure[1]


def test_null_is_left_out_of_arguments_and_kept_inside_them(hosts: Hosts) -> None:
    declared = {"name": "v", "query": "select 1", "folder": None, "extra": {"a": [None, {"b": None}]}}
    checked = hosts.start(CONFIG).check("SavedQuery", declared)
    assert checked.failures == []
    assert "folder" not in checked.inputs
    assert checked.inputs["extra"]["a"][0] is None


def test_nothing_is_logged_that_a_debugging_user_should_not_show(hosts: Hosts, tmp_path: Path) -> None:
    # Python imports this file at its start: all loggers on, onto standard error.
    (tmp_path / "sitecustomize.py").write_text("import logging\nlogging.basicConfig(level=logging.DEBUG)\n")
    environ = {"PYTHONPATH": str(tmp_path), "GRPC_VERBOSITY": "DEBUG"}
    host = hosts.start({**CONFIG, "posthog:requestTimeout": "1"}, environ)
    connection = {"host": "h", "database": "d", "user": "u", "password": "sentinel-password"}
    source = {"source_type": "Postgres", "connection": connection, "schemas": {"users": {}}}
    checked = host.check("ExternalDataSource", source)
    assert checked.failures == []
    with pytest.raises(grpc.RpcError):
        host.create("ExternalDataSource", checked.inputs)
    host.process.terminate()
    host.process.wait(30)
    logged = hosts.errors.read_text()
    assert "DEBUG" in logged
    assert "sentinel-password" not in logged
    assert CONFIG["posthog:apiKey"] not in logged


def test_white_space_in_sql_is_no_difference_and_keeps_its_old_spelling(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    old = host.check("SavedQuery", {"name": "v", "query": "SELECT a, b FROM t"}).inputs
    new = host.check("SavedQuery", {"name": "v", "query": "SELECT a,\n  b\nFROM t;\n"}, old).inputs
    assert new == old


def test_another_environment_is_a_replacement_that_makes_the_new_object_first(hosts: Hosts) -> None:
    old = hosts.start(CONFIG).check("SavedQuery", {"name": "v", "query": "select 1"}).inputs
    host = hosts.start({**CONFIG, "posthog:environmentId": "2"})
    new = host.check("SavedQuery", {"name": "v", "query": "select 1"}, old)
    found = host.diff("SavedQuery", "x", old, new.inputs)
    assert (new.failures, found.replaces, found.delete_before_replace) == ([], ["environment_id"], False)


def test_another_host_is_refused_with_the_way_out(hosts: Hosts) -> None:
    old = hosts.start(CONFIG).check("InsightVariable", VARIABLE).inputs
    host = hosts.start({**CONFIG, "posthog:host": "http://127.0.0.1:10"})
    (failure,) = host.check("InsightVariable", VARIABLE, old).failures
    assert "http://127.0.0.1:9" in failure[1]
    assert "pulumi destroy" in failure[1]
    with pytest.raises(grpc.RpcError) as error:
        host.read("InsightVariable", "0197a0f0-0000-0000-0000-000000000000", old)
    assert "made at http://127.0.0.1:9" in _refused(error)


def test_a_source_is_not_replaced_unless_that_is_allowed(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    declared = {"source_type": "Ashby", "connection": {"api_key": "x"}, "prefix": "a_"}
    old = host.check("ExternalDataSource", declared).inputs
    refused = host.check("ExternalDataSource", {**declared, "prefix": "b_"}, old).failures
    assert refused[0][1].startswith("prefix: cannot be changed in place")
    allowed = host.check("ExternalDataSource", {**declared, "prefix": "b_", "allow_replace": True}, old)
    assert allowed.failures == []
    assert host.diff("ExternalDataSource", "x", old, allowed.inputs).replaces == ["prefix"]


def test_the_order_of_tables_is_no_difference(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    declared = {"source_type": "Ashby", "connection": {}, "schemas": {"a": {}, "b": {"sync_frequency": "1hour"}}}
    old = host.check("ExternalDataSource", declared).inputs
    shuffled = {**old, "schemas": dict(reversed(list(old["schemas"].items())))}
    assert host.diff("ExternalDataSource", "x", old, shuffled).changes == "DIFF_NONE"


def test_an_error_is_one_paragraph_without_traceback(hosts: Hosts) -> None:
    host = hosts.start({**CONFIG, "posthog:requestTimeout": "5"})
    inputs = host.check("InsightVariable", VARIABLE).inputs
    with pytest.raises(grpc.RpcError) as error:
        host.create("InsightVariable", inputs)
    told = _refused(error)
    assert "Traceback" not in told
    assert len(told.strip().splitlines()) == 1
    assert 'InsightVariable "Region" was not created: cannot reach' in told


def test_a_kind_of_a_newer_version_is_told_and_not_forgotten(hosts: Hosts) -> None:
    with pytest.raises(grpc.RpcError) as error:
        hosts.start(CONFIG).read("FeatureFlag", "1", RECORDED)
    assert "upgrade with `pip install --upgrade pulumi-posthog`" in _refused(error)


def test_the_process_ends_when_its_engine_is_gone(hosts: Hosts) -> None:
    host = hosts.start(CONFIG)
    host.check("InsightVariable", VARIABLE)
    assert host.process.stdin is not None
    host.process.stdin.close()
    try:
        host.process.wait(5)
    except subprocess.TimeoutExpired:
        pytest.fail("the provider process outlives its engine")


@pytest.mark.parametrize("module", ["provider", "sdk", "errors", "resources", "settings", "transport"])
def test_files_of_the_users_project_do_no_harm(hosts: Hosts, tmp_path, module: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / f"{module}.py").write_text("raise ImportError('the wrong module')\n")
    assert hosts.start(CONFIG).check("InsightVariable", VARIABLE).failures == []
