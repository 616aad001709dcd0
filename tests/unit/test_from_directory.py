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
    ("line", "argument"),
    [
        ("-- adopt: true", {"adopt": True}),
        ("-- adopt: False", {"adopt": False}),
        ("-- adopt: 0190-ab", {"adopt": "0190-ab"}),
        ("-- description: true", {"description": "true"}),
        ("-- sync-frequency: 6hour", {"sync_frequency": "6hour"}),
        ("--Sync_Frequency : 6hour", {"sync_frequency": "6hour"}),
        ("-- Materialized: true", {"materialized": True}),
        ("-- UNIQUE-KEY: day", {"incremental": {"unique_key": ["day"]}}),
        ("-- Name: People", {"name": "People"}),
    ],
)
def test_an_option_has_the_type_of_its_argument_however_its_name_is_written(
    folder: Path, line: str, argument: dict[str, Any]
) -> None:
    _write(folder, "people.sql", f"{line}\nSELECT 1")
    (made,) = _declared(folder).values()
    assert made == {"name": "people", "query": "\nSELECT 1", **argument}
    assert {key: type(made[key]) for key in argument} == {key: type(value) for key, value in argument.items()}


@pytest.mark.parametrize(
    "line",
    [
        "-- note: one row per person",
        "-- source: https://example.com/a?b=c",
        "-- https://example.com",
        "-- TODO: x",
        "-- type: fact",
        "-- author: me",
        "-- Owner: data",
        "-- date: 2026-01-01",
        "-- last_update: 2026-01-01",
        "-- last-updated: 2026-01-01",
        "-- subscription: one row each",
        "-- order: by day",
        "-- older: see the archive",
        "-- test: none",
        "-- self: x",
        "-- rows = people",
        "-- ------: x",
    ],
)
def test_other_comments_are_part_of_the_sql(folder: Path, line: str) -> None:
    _write(folder, "people.sql", f"{line}\n-- folder: Models\nSELECT 1")
    assert _declared(folder) == {"people": {"name": "people", "folder": "Models", "query": f"{line}\n\nSELECT 1"}}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Materialised", "materialized"),
        ("materialize", "materialized"),
        ("sync_freqency", "sync_frequency"),
        ("sync-freqency", "sync_frequency"),
        ("descripton", "description"),
        ("fodler", "folder"),
        ("adpot", "adopt"),
        ("unique_keys", "unique_key"),
    ],
)
@pytest.mark.parametrize("sign", [":", " ="])
def test_a_name_near_an_option_is_an_error_that_names_the_option(
    folder: Path, written: str, meant: str, sign: str
) -> None:
    _write(folder, "bad.sql", f"-- name: x\n-- {written}{sign} true\nSELECT 1")
    with pytest.raises(pulumi.RunError) as caught:
        _declared(folder)
    assert f"bad.sql, line 2: {written} is not an option; did you mean {meant}? " in str(caught.value)


@pytest.mark.parametrize("name", ["query", "Extra", "incremental", "opts", "resource-name"])
def test_an_argument_that_a_file_cannot_set_is_an_error(folder: Path, name: str) -> None:
    _write(folder, "bad.sql", f"-- {name}: x\nSELECT 1")
    with pytest.raises(pulumi.RunError) as caught:
        _declared(folder)
    assert f"bad.sql, line 1: {name} cannot be set in a file; options are adopt, " in str(caught.value)
    assert not {"query", "extra", "incremental"} & set(str(caught.value).split("options are ")[1].split(", "))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "-- materialized = true\nSELECT 1",
            'line 1: an option has the form "name: value"; write a colon after materialized',
        ),
        (
            "--Sync-Frequency=6hour\nSELECT 1",
            'line 1: an option has the form "name: value"; write a colon after Sync-Frequency',
        ),
        ("\n-- materialized: yes\nSELECT 1", "line 2: materialized must be true or false"),
        ("-- lookback_seconds: 1h\nSELECT 1", "line 1: lookback_seconds must be a whole number"),
        ("-- lookback_seconds: ²\nSELECT 1", "line 1: lookback_seconds must be a whole number"),
        ("-- description:\nSELECT 1", "line 1: description has no value"),
        ("-- adopt:\nSELECT 1", "line 1: adopt has no value"),
        ("-- name: a\n-- name: b\nSELECT 1", "line 2: name is set twice"),
        ("-- is_test: true\n-- Is-Test: true\nSELECT 1", "line 2: is_test is set twice"),
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
    with pytest.raises(pulumi.RunError, match=r"there is no folder .*/people\.sql"):
        _declared(folder / "a" / "people.sql")


def test_the_extension_may_be_written_in_capitals(folder: Path) -> None:
    _write(folder, "people.SQL", "SELECT 1")
    _write(folder, "deep.sql/orders.Sql", "SELECT 2")
    assert {key: made["query"] for key, made in _declared(folder).items()} == {
        "people": "SELECT 1",
        "orders": "SELECT 2",
    }
    _write(folder, "other/people.sql", "SELECT 1")
    with pytest.raises(pulumi.RunError, match=r"/people\.SQL and .*/other/people\.sql both are the view people"):
        _declared(folder)


def test_a_folder_without_sql_is_an_error(folder: Path) -> None:
    _write(folder, "models/notes.md", "nothing")
    with pytest.raises(pulumi.RunError, match=r"there is no \.sql file in the folder /.*/models; "):
        _declared(folder / "models")


def test_what_begins_with_a_dot_is_no_view(folder: Path) -> None:
    _write(folder, "people.sql", "SELECT 1")
    (folder / ".#people.sql").symlink_to("somebody@somewhere.1234")
    assert list(_declared(folder)) == ["people"]


def test_a_link_that_leads_nowhere_is_an_error(folder: Path) -> None:
    _write(folder, "people.sql", "SELECT 1")
    (folder / "orders.sql").symlink_to(folder / "gone.sql")
    with pytest.raises(pulumi.RunError, match=r"orders\.sql cannot be read"):
        _declared(folder)


def test_text_that_is_not_utf8(folder: Path) -> None:
    (folder / "bad.sql").write_bytes(b"SELECT '\xff'")
    with pytest.raises(pulumi.RunError, match=r"bad\.sql cannot be read as UTF-8 text"):
        _declared(folder)
