"""Rules about the code that SECURITY.md promises, and that each of its promises names a test that is there."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

import pulumi_posthog_provider
from pulumi_posthog_provider import connections as _connections
from pulumi_posthog_provider.registry import declarations
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Transport

ROOT = Path(__file__).parents[2]
PACKAGE = Path(inspect.getfile(pulumi_posthog_provider)).parent
PAGE = (ROOT / "SECURITY.md").read_text()

# What no module but these may use: each of them is a way for a secret to leave, or for code to come in.
KEPT_TO = {
    "subprocess": {"hogql.py"},  # the parser of SQL, which may crash, runs in a process of its own
    "tempfile": {"claims.py"},  # for ids, and nothing else
    "logging": set(),
    "pickle": set(),
    "socket": {"exchange.py"},  # for the name of one of its errors
}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name.partition(".")[0] for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("module", sorted(KEPT_TO))
def test_what_could_carry_a_secret_away_is_not_used(module: str) -> None:
    users = {file.name for file in PACKAGE.rglob("*.py") if module in _imports(ast.parse(file.read_text()))}
    assert users <= KEPT_TO[module]


@pytest.mark.fault(60)
def test_the_environment_is_read_by_name_only() -> None:
    """`os.environ` is handed to the settings as a whole, and in no other place used, printed or passed on."""
    uses = [
        f"{file.name}: {ast.unparse(node)}"
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("os.environ", "os.getenv"))
    ]
    assert [use for use in uses if not use.startswith(("adapter.py", "endpoints.py", "hogql.py"))] == []


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for child in model.__subclasses__():
        yield from _models(child)


def test_no_model_of_arguments_shows_a_value_that_it_refuses() -> None:
    declarations()
    assert _connections.connections()
    from pulumi_posthog_provider.declare import Arguments

    models = list(_models(Arguments))
    assert len(models) > 20
    assert [model.__name__ for model in models if model.model_config.get("hide_input_in_errors") is not True] == []


def test_a_netrc_file_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password from-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    settings = Settings(host="https://posthog.example", environment_id="1", api_key="phx_key")
    with httpx.Client(transport=httpx.MockTransport(answer), trust_env=True) as client:
        transport = Transport(settings, client=client)
        transport.request("GET", ("users", "@me"), environment=None, deadline=transport.deadline())
    assert [request.headers["Authorization"] for request in seen] == ["Bearer phx_key"]


def test_every_promise_names_a_test_that_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) >= 15
    for file, test in named:
        text = (ROOT / file).read_text()
        assert f"def {test}" in text, f"{file}::{test}"
