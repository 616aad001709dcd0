"""What programs import: what it costs, what it sends, what it marks secret."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import mocks

import pulumi_posthog
from pulumi_posthog import (
    ExternalDataSource,
    InsightVariable,
    PostgresConnection,
    Provider,
    SavedQuery,
    Schema,
    SshTunnel,
    SshTunnelAuth,
)
from pulumi_posthog._resource import with_secrets
from pulumi_posthog_provider import resume

ROOT = Path(__file__).parents[2]


class _Recorder(mocks.Mocks):
    """Remembers what the program asked for."""

    def __init__(self) -> None:
        self.seen: dict[str, mocks.MockResourceArgs] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.seen[args.name] = args
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


def _run(program: Any) -> dict[str, mocks.MockResourceArgs]:
    recorder = _Recorder()
    mocks.set_mocks(recorder, project="tests", stack="dev")

    @pulumi.runtime.test
    def run() -> None:
        program()

    run()
    return recorder.seen


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and "4dabf18193072939515e22adb298388d" in value


def _modules_after(code: str) -> set[str]:
    listing = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(listing.stdout.split())


def test_importing_the_sdk_loads_neither_http_nor_validation() -> None:
    assert _modules_after("import pulumi_posthog") & {"httpx", "pydantic", "pydantic_core", "posthog_local"} == set()


def test_the_core_does_not_load_pulumi() -> None:
    loaded = _modules_after("import pulumi_posthog_provider.registry as r; r.declarations()")
    assert loaded & {"pulumi", "grpc", "httpx"} == set()


def test_public_names_are_complete_and_sorted() -> None:
    assert pulumi_posthog.__all__ == sorted(pulumi_posthog.__all__)
    assert [name for name in pulumi_posthog.__all__ if not hasattr(pulumi_posthog, name)] == []


def test_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "sdk/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("kind", ["InsightVariable", "SavedQuery", "ExternalDataSource"])
def test_type_tokens_are_the_settled_ones(kind: str) -> None:
    assert getattr(pulumi_posthog, kind)._resource_type_name == f"dynamic/posthog:{kind}"


def test_a_users_own_subclass_is_the_same_kind_of_resource() -> None:
    class Ours(SavedQuery):
        pass

    seen = _run(lambda: Ours("ours", name="ours", query="SELECT 1 AS one"))
    assert seen["ours"].typ == "pulumi-python:dynamic/posthog:SavedQuery"
    assert seen["ours"].inputs["__provider"] == serialize_provider(resume("SavedQuery"))


def test_arguments_become_properties_and_unset_ones_are_left_out() -> None:
    seen = _run(lambda: InsightVariable("region", name="Region", type="List", values=["a"]))
    inputs = seen["region"].inputs
    assert seen["region"].typ == "pulumi-python:dynamic/posthog:InsightVariable"
    assert {key: value for key, value in inputs.items() if key != "__provider"} == {
        "name": "Region",
        "type": "List",
        "values": ["a"],
    }


def test_a_typed_connection_brings_its_source_type() -> None:
    connection = PostgresConnection(host="h", database="d", user="u", password="p")
    schemas = {"users": Schema(sync_type="full_refresh")}
    inputs = _run(lambda: ExternalDataSource("shop", connection=connection, schemas=schemas))["shop"].inputs
    assert inputs["source_type"] == "Postgres"
    assert inputs["schemas"] == {"users": {"sync_type": "full_refresh"}}


def test_a_typed_connection_hides_the_secrets_that_it_declares() -> None:
    tunnel = SshTunnel(host="ssh", auth=SshTunnelAuth(selection="password", username="me", password="sentinel"))
    hidden = with_secrets(PostgresConnection(host="h", database="d", user="u", password="sentinel", ssh_tunnel=tunnel))
    assert isinstance(hidden["password"], pulumi.Output)
    assert isinstance(hidden["ssh_tunnel"]["auth"]["password"], pulumi.Output)
    assert (hidden["host"], hidden["port"], hidden["ssh_tunnel"]["host"]) == ("h", 5432, "ssh")


@pytest.mark.fault(59)
def test_a_connection_given_as_a_mapping_hides_every_text_of_unknown_name() -> None:
    hidden = with_secrets(
        {"subdomain": "acme", "api_key": "sentinel", "list": ["sentinel"], "port": 1, "made_up": "sentinel"}
    )
    assert (hidden["subdomain"], hidden["port"]) == ("acme", 1)
    assert all(isinstance(item, pulumi.Output) for item in (hidden["api_key"], hidden["made_up"], hidden["list"][0]))


def test_a_mapping_inside_a_typed_connection_is_hidden_too() -> None:
    tunnel = {"host": "ssh", "auth": {"selection": "password", "password": "sentinel"}}
    hidden = with_secrets(PostgresConnection(host="h", database="d", user="u", password="p", ssh_tunnel=tunnel))
    assert hidden["ssh_tunnel"]["host"] == "ssh"
    assert isinstance(hidden["ssh_tunnel"]["auth"]["password"], pulumi.Output)


@pytest.mark.fault(59)
def test_a_connection_that_is_an_output_is_secret_as_a_whole() -> None:
    def program() -> None:
        ExternalDataSource("shop", source_type="Zendesk", connection=pulumi.Output.from_input({"api_key": "sentinel"}))

    assert _is_secret(_run(program)["shop"].inputs["connection"])


def test_outputs_may_be_arguments() -> None:
    def program() -> None:
        first = SavedQuery("first", name="first", query="SELECT 1 AS one")
        SavedQuery("second", name="second", query=pulumi.Output.concat("SELECT one FROM ", first.name))

    assert _run(program)["second"].inputs["query"] == "SELECT one FROM first"


def test_an_explicit_provider_keeps_its_key_secret() -> None:
    inputs = _run(lambda: Provider("eu", host="https://eu.posthog.com", environment_id=7, api_key="phx_x"))["eu"].inputs
    assert (inputs["posthog:host"], inputs["posthog:environmentId"]) == ("https://eu.posthog.com", "7")
    assert _is_secret(inputs["posthog:apiKey"])


@pytest.mark.fault(46)
def test_secrets_are_not_in_the_repr_of_arguments() -> None:
    assert "sentinel" not in repr(PostgresConnection(host="h", database="d", user="u", password="sentinel"))


def test_the_runtime_needs_three_packages_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [item.split(">")[0] for item in project["dependencies"]] == ["httpx", "pulumi", "pydantic"]
    assert all("<" in item for item in project["dependencies"])


def test_the_engine_is_told_that_there_is_no_plugin_to_download() -> None:
    spec = importlib.util.find_spec("pulumi_posthog")
    assert spec is not None
    assert spec.origin is not None
    assert (Path(spec.origin).parent / "pulumi-plugin.json").read_text().strip() == '{"resource": false}'
