"""`Client` and the functions without a PostHog: settings, results, outputs, and what is generated for a new resource."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pulumi
import pytest
from pulumi.runtime import mocks

import pulumi_posthog
from pulumi_posthog import (
    Client,
    ConfigurationError,
    InsightVariableInfo,
    Invalid,
    Provider,
    Schema,
    WebhookInfo,
    _functions_core,
    functions,
    get_insight_variable,
)
from pulumi_posthog._client_core import UNSET, ready
from pulumi_posthog._functions_core import call, call_output
from pulumi_posthog_provider import objects
from pulumi_posthog_provider.declare import Declaration, Reported, ResourceArguments, argument, reported
from pulumi_posthog_provider.parts import merged, typed, unknowing
from pulumi_posthog_provider.registry import declarations
from pulumi_posthog_provider.resources.external_data_source import Inputs as SourceInputs
from pulumi_posthog_provider.resources.saved_query import Inputs as ViewInputs

ROOT = Path(__file__).parents[2]
SETTINGS = {"host": "https://eu.posthog.com", "environment_id": 1, "api_key": "phx_sentinel"}


# ---- settings -----------------------------------------------------------------------------------------------------


def test_settings_left_out_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_HOST", "https://eu.posthog.com/")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "7")
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_sentinel")
    assert (Client().host, Client().environment_id) == ("https://eu.posthog.com", "7")
    assert Client(environment_id=8).environment_id == "8"


def test_missing_settings_are_told_with_every_way_to_give_them() -> None:
    with pytest.raises(ConfigurationError, match=r"POSTHOG_ENVIRONMENT_ID.*POSTHOG_PERSONAL_API_KEY.*Client\(host"):
        Client()


@pytest.mark.parametrize(
    "wrong", [{"host": "http://posthog.example.com"}, {"environment_id": "x"}, {"request_timeout": -1}]
)
def test_settings_that_cannot_be_used_are_refused_before_any_request(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Client(**{**SETTINGS, **wrong})


def test_the_key_is_in_no_repr_and_a_client_closes_without_having_been_used() -> None:
    with Client(**SETTINGS) as client:
        assert "sentinel" not in repr((client, vars(client), client.saved_queries))


# ---- arguments and results ----------------------------------------------------------------------------------------


def test_an_output_is_refused_with_its_path() -> None:
    later = pulumi.Output.from_input("1hour")
    with pytest.raises(Invalid, match=r'schemas\["users"\]\["sync_frequency"\]: is an Output') as caught:
        ready({"schemas": {"users": Schema(sync_frequency=later)}})
    assert "_output" in str(caught.value)


def test_arguments_that_are_not_given_are_told_from_none() -> None:
    assert repr(UNSET) == "UNSET"
    assert {parameter.default for parameter in inspect.signature(Client(**SETTINGS).saved_queries.update).parameters.values()} == {
        inspect.Parameter.empty, UNSET,
    }  # fmt: skip


def _variable(**more: Any) -> InsightVariableInfo:
    values: dict[str, Any] = {
        "id": "1", "name": "V", "type": "String", "default_value": None, "values": [], "is_multi": False,
        "values_query": None, "values_query_connection_id": None, "code_name": "v", "created_by": 1,
        "created_at": "2026-01-01T00:00:00Z", "extra": {"hidden": 1},
    }  # fmt: skip
    return InsightVariableInfo(**{**values, **more})


def test_results_are_frozen_and_equal_by_what_they_hold() -> None:
    variable = _variable()
    assert variable == _variable()
    assert variable != _variable(name="W")
    assert variable != "V"
    for change in (lambda: setattr(variable, "name", "W"), lambda: delattr(variable, "name")):
        with pytest.raises(AttributeError, match="InsightVariableInfo is frozen"):
            change()


def test_results_show_and_export_what_they_hold() -> None:
    assert repr(_variable()).startswith("InsightVariableInfo(id='1', name='V', type='String'")
    assert "hidden" not in repr(_variable())
    assert _variable().as_dict()["extra"] == {"hidden": 1}


def test_a_result_wants_all_of_its_attributes_and_no_others() -> None:
    with pytest.raises(TypeError, match="made_up"):
        _variable(made_up=1)
    with pytest.raises(TypeError, match="supports_webhooks"):
        WebhookInfo(exists=True)  # type: ignore[call-arg]


# ---- changes in part ----------------------------------------------------------------------------------------------


def test_groups_of_settings_are_changed_in_part() -> None:
    schemas, incremental = SourceInputs.model_fields["schemas"], ViewInputs.model_fields["incremental"]
    assert merged(schemas, {"a": {"x": 1}, "b": {"x": 2}}, {"a": {"y": 3}}) == {"a": {"x": 1, "y": 3}}
    assert merged(incremental, {"enabled": True}, {"lookback_seconds": 1}) == {"enabled": True, "lookback_seconds": 1}
    assert merged(incremental, {"enabled": True}, None) is None
    assert merged(ViewInputs.model_fields["query"], "SELECT 1", "SELECT 2") == "SELECT 2"


def test_what_is_mentioned_is_asked_for() -> None:
    schemas, incremental = SourceInputs.model_fields["schemas"], ViewInputs.model_fields["incremental"]
    names = {"enabled", "incremental_key", "unique_key", "lookback_seconds"}
    assert set(unknowing(incremental, {"enabled": True})) == names
    assert list(unknowing(schemas, {"users": {}})) == list(unknowing(schemas, [{"name": "users"}])) == ["users"]
    assert unknowing(SourceInputs.model_fields["webhook_inputs"], {"a": "b"}) == {"a": None}
    assert unknowing(SourceInputs.model_fields["destination_ids"], ["a"]) == []
    assert unknowing(SourceInputs.model_fields["prefix"], "p_") is None


def test_settings_stored_as_text_get_their_types_back() -> None:
    cdc = SourceInputs.model_fields["cdc"]
    stored = {"auto_drop_slot": "True", "lag_warning_threshold_mb": "1024", "slot_name": None}
    assert typed(cdc, stored) == {"auto_drop_slot": True, "lag_warning_threshold_mb": 1024}
    assert typed(cdc, {"lag_warning_threshold_mb": "much"}) == {"lag_warning_threshold_mb": "much"}


# ---- functions ----------------------------------------------------------------------------------------------------


def test_every_function_has_both_forms_and_takes_a_provider() -> None:
    public = {
        name: item
        for name, item in vars(functions).items()
        if inspect.isfunction(item) and item.__module__ == functions.__name__
    }
    plain = {name for name in public if not name.endswith("_output")}
    assert set(public) == plain | {f"{name}_output" for name in plain}
    assert set(public) <= set(pulumi_posthog.__all__)
    assert plain == {
        "check_cdc_prerequisites", "check_source_prefix", "get_database_schema", "get_external_data_schema", "get_external_data_source",
        "get_insight_variable", "get_saved_query", "get_saved_query_activity", "get_webhook_info", "get_wizard",
        "list_connections", "list_external_data_schemas", "list_external_data_sources", "list_insight_variables",
        "list_saved_queries",
    }  # fmt: skip
    assert [name for name, item in public.items() if "provider" not in inspect.signature(item).parameters] == []


class _Mocks(mocks.Mocks):
    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Settings and arguments of every call to a client that only remembers them."""
    seen: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def client(given: dict[str, Any]) -> Any:
        return SimpleNamespace(echo=lambda **arguments: seen.append((given, arguments)) or "echo")

    monkeypatch.setattr(_functions_core, "_client", client)
    return seen


def _in_program(work: Callable[[], pulumi.Output[Any]], preview: bool = False) -> tuple[Any, bool, bool]:
    """The value of an output, whether it is known, and whether it is secret."""
    mocks.set_mocks(_Mocks(), project="tests", stack="dev", preview=preview)
    found: list[tuple[Any, bool, bool]] = []

    async def read(output: pulumi.Output[Any]) -> None:
        found.append((await output.future(), await output.is_known(), await output.is_secret()))

    @pulumi.runtime.test
    def run() -> Any:
        return pulumi.Output.from_input(read(work()))

    run()
    return found[0]


def _unknown() -> pulumi.Output[str]:
    async def value(of: Any) -> Any:
        return of

    return pulumi.Output(set(), asyncio.ensure_future(value(None)), asyncio.ensure_future(value(False)))


def _echo(provider: Provider | None, **arguments: Any) -> pulumi.Output[Any]:
    return call_output(provider, lambda client: client.echo, arguments)  # type: ignore[attr-defined]


def test_an_output_form_waits_for_its_arguments(asked: list[Any]) -> None:
    later = pulumi.Output.from_input("b")
    assert _in_program(lambda: _echo(None, one="a", two=later, nested={"c": [later]}, none=None)) == (
        "echo",
        True,
        False,
    )
    assert asked[0][1] == {"one": "a", "two": "b", "nested": {"c": ["b"]}}


def test_unknown_arguments_stay_unknown_and_nothing_is_asked(asked: list[Any]) -> None:
    assert _in_program(lambda: _echo(None, id=_unknown()), preview=True)[1] is False
    assert asked == []


def test_a_secret_argument_makes_the_result_secret(asked: list[Any]) -> None:
    assert _in_program(lambda: _echo(None, password=pulumi.Output.secret("s"))) == ("echo", True, True)
    assert asked[0][1] == {"password": "s"}


def test_a_secret_key_makes_no_result_secret(asked: list[Any]) -> None:
    def work() -> pulumi.Output[Any]:
        return _echo(
            Provider("eu", host="https://eu.posthog.com", environment_id=7, api_key=pulumi.Output.secret("phx_x"))
        )

    assert _in_program(work) == ("echo", True, False)
    assert asked[0][0].items() >= {"posthog:environmentId": "7", "posthog:apiKey": "phx_x"}.items()


def test_an_unknown_setting_of_the_provider_stays_unknown(asked: list[Any]) -> None:
    assert _in_program(lambda: _echo(Provider("eu", environment_id=_unknown())), preview=True)[1] is False
    assert asked == []


def test_the_plain_form_takes_the_settings_of_a_provider(asked: list[Any]) -> None:
    def work() -> pulumi.Output[Any]:
        eu = Provider("eu", host="https://eu.posthog.com", environment_id=7, api_key="phx_x")
        return pulumi.Output.from_input(call(eu, lambda client: client.echo, {"id": "1"}, "f_output"))  # type: ignore[attr-defined]

    assert _in_program(work)[0] == "echo"
    assert asked[0] == (
        asked[0][0]
        | {"posthog:host": "https://eu.posthog.com", "posthog:environmentId": "7", "posthog:apiKey": "phx_x"},
        {"id": "1"},
    )


@pytest.mark.parametrize("setting", ["host", "environment_id", "api_key"])
def test_the_plain_form_refuses_a_provider_that_is_not_known_yet(setting: str) -> None:
    def work() -> pulumi.Output[Any]:
        given = {"environment_id": 1, "api_key": "phx_x", setting: pulumi.Output.secret("1")}
        get_insight_variable(code_name="v", provider=Provider("eu", **given))
        raise AssertionError

    with pytest.raises(ConfigurationError, match="`get_insight_variable_output`"):
        _in_program(work)


def test_equal_settings_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_functions_core, "_clients", {})
    first, same, other = (
        _functions_core._client({"posthog:environmentId": number, "posthog:apiKey": "phx_x"}) for number in (1, "1", 2)
    )
    assert first is same
    assert first is not other


# ---- a fourth resource --------------------------------------------------------------------------------------------


class _FlagInputs(ResourceArguments):
    key: str = argument(doc="The key.")
    active: bool = argument(True, doc="Whether it is on.")
    payload: dict[str, Any] | None = argument(None, doc="Anything.")


class _FlagOutputs(Reported):
    version: int | None = reported("How often it was changed.")


class _Flag(Declaration):
    """A toy."""

    kind, noun, collection, scope = "FeatureFlag", "flag", "feature_flags", "feature_flag"
    inputs, outputs = _FlagInputs, _FlagOutputs
    key: ClassVar[tuple[str, ...]] = ("key",)
    key_text: ClassVar[str] = "key"
    unlisted: ClassVar[tuple[str, ...]] = ("payload",)


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The generator, with one resource more."""
    monkeypatch.syspath_prepend(ROOT / "sdk")
    module = importlib.import_module("generate_client")
    monkeypatch.setattr(module, "declarations", lambda: {**declarations(), "FeatureFlag": _Flag()})
    yield module
    for name in ("generate", "generate_client"):
        sys.modules.pop(name, None)


def test_a_fourth_resource_gets_its_client_without_another_line(generator: ModuleType) -> None:
    classes = {item.name: item for item in ast.parse(generator.client_module()).body if isinstance(item, ast.ClassDef)}
    summary, info, flags = classes["FeatureFlagSummary"], classes["FeatureFlagInfo"], classes["FeatureFlags"]
    assert _attributes(summary) == {
        "id": "str",
        "key": "str",
        "active": "bool",
        "version": "int | None",
        "extra": "dict[str, Any]",
    }
    assert _attributes(info) == {"payload": "dict[str, Any] | None"}
    methods = {item.name: ast.unparse(item.args) for item in flags.body if isinstance(item, ast.FunctionDef)}
    assert methods["find"] == "self, *, key: str"
    assert "key: str, extra" in methods["create"]
    assert "active: bool | None | Unset=UNSET" in methods["update"]
    assert "feature_flags" in {item.name for item in classes["Client"].body if isinstance(item, ast.FunctionDef)}


def test_a_fourth_resource_gets_its_functions_without_another_line(generator: ModuleType) -> None:
    found = {item.name for item in ast.parse(generator.functions_module()).body if isinstance(item, ast.FunctionDef)}
    assert found >= {"get_feature_flag", "get_feature_flag_output", "list_feature_flags", "list_feature_flags_output"}
    assert {"FeatureFlagInfo", "FeatureFlagSummary"} <= set(generator.exports()["client"])


def _attributes(item: ast.ClassDef) -> dict[str, str]:
    found = [line for line in item.body if isinstance(line, ast.AnnAssign)]
    return {ast.unparse(line.target): ast.unparse(line.annotation) for line in found}


def test_every_kind_says_what_its_client_needs_to_know() -> None:
    for declaration in declarations().values():
        known = {**declaration.inputs.model_fields, **declaration.outputs.model_fields}
        for name in ("key", "unlisted", "aside", "stateful"):
            assert set(getattr(declaration, name)) <= set(known), (declaration.kind, name)


def test_the_core_of_the_client_does_not_load_pulumi() -> None:
    assert not hasattr(objects, "pulumi")
    code = "import sys, pulumi_posthog_provider.endpoints; print('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
