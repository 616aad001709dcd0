"""Views from a folder of SQL files: names, options, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from pulumi_posthog import SavedQuery


class _Recorder(mocks.Mocks):
    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.seen[args.name] = {key: value for key, value in args.inputs.items() if key != "__provider"}
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


def _declared(path: Path, **more: Any) -> dict[str, dict[str, Any]]:
    """What each resource was made with."""
    recorder = _Recorder()
    mocks.set_mocks(recorder)

    @pulumi.runtime.test
    def run() -> None:
        views = SavedQuery.from_directory(path, **more)
        assert all(isinstance(view, SavedQuery) for view in views.values())

    run()
    return recorder.seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_file_names_are_names_and_folders_do_not_matter(folder: Path) -> None:
    _write(folder, "people.sql", "SELECT 1 AS x\n")
    _write(folder, "finance/finance.revenue.sql", "SELECT x FROM people")
    _write(folder, "notes.md", "nothing")
    assert _declared(folder) == {
        "people": {"name": "people", "query": "SELECT 1 AS x"},
        "finance.revenue": {"name": "finance.revenue", "query": "SELECT x FROM people"},
    }


def test_options_of_every_kind(folder: Path) -> None:
    _write(
        folder,
        "file.sql",
        "\ufeff-- name: people\n"
        "--description:  Who, and when: all.  \n"
        "\n"
        "-- Counted: once. This is a remark\n"
        "-- materialized: TRUE\n"
        "-- sync_frequency: 12hour\n"
        "-- unique_key: day, person\n"
        "-- incremental_key: day\n"
        "-- lookback_seconds: 3600\n"
        "-- is_test: false\n"
        "SELECT 1 AS x -- name: not an option\n"
        "-- name: neither\n",
    )
    assert _declared(folder, folder="Models", description="Overridden.", resource_prefix="eu-") == {
        "eu-people": {
            "name": "people",
            "description": "Who, and when: all.",
            "folder": "Models",
            "materialized": True,
            "sync_frequency": "12hour",
            "is_test": False,
            "incremental": {"unique_key": ["day", "person"], "incremental_key": "day", "lookback_seconds": 3600},
            "query": "\n\n\n-- Counted: once. This is a remark\n\n\n\n\n\n\nSELECT 1 AS x -- name: not an option\n-- name: neither",
        }
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "-- name: x\n-- materialised: true\nSELECT 1",
            "line 2: materialised is not an option; did you mean materialized?",
        ),
        ("-- zzz: true\nSELECT 1", "line 1: zzz is not an option; options are adopt, "),
        ("-- query: x\nSELECT 1", "line 1: query is not an option; "),
        ("\n-- materialized: yes\nSELECT 1", "line 2: materialized must be true or false"),
        ("-- lookback_seconds: 1h\nSELECT 1", "line 1: lookback_seconds must be a whole number"),
        ("-- description:\nSELECT 1", "line 1: description has no value"),
        ("-- name: a\n-- name: b\nSELECT 1", "line 2: name is set twice"),
        ("-- name: a\n\n", "bad.sql holds no SQL"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(folder: Path, text: str, told: str) -> None:
    _write(folder, "bad.sql", text)
    with pytest.raises(pulumi.RunError) as caught:
        _declared(folder)
    assert told in str(caught.value)
    assert "bad.sql" in str(caught.value)


def test_two_files_of_one_name_and_a_missing_folder(folder: Path) -> None:
    _write(folder, "a/people.sql", "SELECT 1")
    _write(folder, "b/x.sql", "-- name: people\nSELECT 1")
    with pytest.raises(pulumi.RunError, match=r"b/x\.sql and .*a/people\.sql both are the view people"):
        _declared(folder)
    with pytest.raises(pulumi.RunError, match=r"there is no folder .*/nowhere"):
        _declared(folder / "nowhere")


def test_text_that_is_not_utf8(folder: Path) -> None:
    (folder / "bad.sql").write_bytes(b"SELECT '\xff'")
    with pytest.raises(pulumi.RunError, match=r"bad\.sql cannot be read as UTF-8 text"):
        _declared(folder)
