"""A fourth resource is one hand-written file: class, documentation and lifecycle follow from it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pulumi_posthog_provider import registry, resources
from support.posthog import PostHog

from .conftest import Things

DECLARATION = '''"""A toy: a variable that holds text.

It has a second paragraph.
"""

from pulumi_posthog_provider.declare import Declaration, Reported, ResourceArguments, Values, argument, reported


class Inputs(ResourceArguments):
    name: str = argument(doc="Display name.", min_length=1)
    default_value: str | None = argument(None, doc="The text.")


class Outputs(Reported):
    code_name: str | None = reported("The name in queries.")


class TextVariable(Declaration):
    kind = "TextVariable"
    noun = "text variable"
    collection = "insight_variables"
    scope = "insight_variable"
    inputs = Inputs
    outputs = Outputs

    def create_body(self, values: Values) -> Values:
        return {"type": "String", **self.body(values)}

    def from_api(self, live: Values, olds: Values) -> Values:
        return {name: value for name, value in super().from_api(live, olds).items() if value is not None}
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "text_variable.py").write_text(DECLARATION)
    monkeypatch.setattr(resources, "__path__", [*resources.__path__, str(tmp_path)])
    registry.declarations.cache_clear()
    yield "TextVariable"
    registry.declarations.cache_clear()
    sys.modules.pop(f"{resources.__name__}.text_variable", None)


@pytest.fixture
def generate() -> ModuleType:
    path = Path(__file__).parents[2] / "sdk" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(path.parent))
    return module


def test_it_gets_a_class(toy: str, generate: ModuleType) -> None:
    source = generate.resource_module(registry.declaration(toy))
    compile(source, "text_variable.py", "exec")
    assert 'class TextVariable(Resource, module="posthog", name="TextVariable")' in source
    assert "default_value: pulumi.Input[str] | None = None" in source
    assert "code_name: pulumi.Output[str | None]" in source


def test_it_gets_a_page(toy: str, generate: ModuleType) -> None:
    page = generate.resource_page(registry.declaration(toy))
    assert page.startswith("# TextVariable")
    assert "| `default_value` | text |" in page


def test_it_gets_the_whole_lifecycle(toy: str, things: Things, posthog: PostHog) -> None:
    thing = things(toy)
    first, second = {"name": "Greeting", "default_value": "hello"}, {"name": "Greeting"}
    thing.create(first)
    assert thing.diff(first).changes == []
    assert posthog.one("insight_variables")["default_value"] == "hello"
    posthog.call("PATCH", f"insight_variables/{thing.id}/", {"default_value": "edited"})
    thing.refresh()
    assert [change.path for change in thing.diff(first).changes] == [("default_value",)]
    thing.update(second)
    thing.refresh()
    assert thing.diff(second).changes == []
    assert posthog.one("insight_variables")["default_value"] is None
    thing.delete()
    assert posthog.objects("insight_variables") == []
