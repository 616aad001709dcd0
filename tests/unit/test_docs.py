"""What the documentation promises to have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.declare import traits
from pulumi_posthog_provider.registry import declarations

ROOT = Path(__file__).parents[2]
ANCHORS = {item.anchor for item in vars(errors).values() if isinstance(item, type)}


@pytest.mark.parametrize("anchor", sorted(ANCHORS))
def test_every_error_has_an_entry(anchor: str) -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / errors.DOCS).read_text(), re.MULTILINE)
    assert anchor in headings


@pytest.mark.parametrize("kind", sorted(declarations()))
def test_every_field_is_documented(kind: str) -> None:
    declaration = declarations()[kind]
    fields = {**declaration.inputs.model_fields, **declaration.outputs.model_fields}
    assert [name for name, info in fields.items() if not info.description] == []


@pytest.mark.parametrize(
    "page", sorted(str(item.relative_to(ROOT)) for item in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []


def test_typed_connections_declare_as_secret_whatever_a_mapping_would_hide() -> None:
    from pulumi_posthog_provider.connections import connections
    from pulumi_posthog_provider.secrecy import is_plain

    shown = [
        (model.__name__, info.alias or name)
        for connection in connections().values()
        for model in _models_in(connection)
        for name, info in model.model_fields.items()
        if traits(info).secret and is_plain(info.alias or name)
    ]
    assert shown == []


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for info in annotation.model_fields.values():
            yield from _models_in(info.annotation)
    for item in get_args(annotation):
        yield from _models_in(item)
