"""What was asked for is what PostHog shows, said without the provider's own rules."""

from __future__ import annotations

from typing import Any


def assert_holds(kind: str, wished: dict[str, Any], live: dict[str, Any]) -> None:
    """Compares arguments, as a program gives them, with an object, as PostHog gives it; older ones give less."""
    _KINDS[kind](wished, live)


def _variable(wished: dict[str, Any], live: dict[str, Any]) -> None:
    assert (live["name"], live["type"]) == (wished["name"], wished["type"])
    assert live["default_value"] == wished.get("default_value")
    assert (live["values"] or []) == wished.get("values", [])


def _view(wished: dict[str, Any], live: dict[str, Any]) -> None:
    assert (live["name"], live["query"]["query"]) == (wished["name"], wished["query"])
    assert (live.get("description") or "") == wished.get("description", "")
    assert live.get("folder_name") == wished.get("folder")
    assert live["is_materialized"] is ("sync_frequency" in wished)
    if "sync_frequency" in wished:
        assert live["sync_frequency"] == wished["sync_frequency"]


def _source(wished: dict[str, Any], live: dict[str, Any]) -> None:
    assert (live["prefix"], live.get("description") or "") == (wished["prefix"], wished.get("description", ""))
    assert live["job_inputs"]["host"] == wished["connection"]["host"]
    assert live.get("auto_sync_new_schemas", False) is (wished.get("new_tables") == "sync")
    rows = {row["name"]: row for row in live["schemas"]}
    for name, table in wished["schemas"].items():
        assert rows[name]["should_sync"] is table.get("should_sync", True)
        for field, value in table.items():
            assert rows[name][field] == value, (name, field)


_KINDS = {"InsightVariable": _variable, "SavedQuery": _view, "ExternalDataSource": _source}
