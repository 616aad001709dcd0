"""Sources where PostHog's ways and the program's meet: what is removed, unknown, renamed, late or gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.declare import UNKNOWN
from pulumi_posthog_provider.resources import external_data_source
from support.posthog import PostHog

from .conftest import Things, forget
from .test_external_data_source import CONNECTION, CURSOR, source, table, writes

TUNNEL = {"host": "ssh.local", "auth": {"selection": "password", "username": "u", "password": "tunnel-sentinel"}}
STRIPE = {
    "source_type": "Stripe",
    "connection": {"auth_method": {"selection": "api_key", "stripe_secret_key": "sk_test_local"}},
}
CDC = {"schemas": {"orders": {"sync_type": "cdc"}}, "cdc": {"management_mode": "posthog"}}


def live_inputs(posthog: PostHog) -> dict[str, Any]:
    found: dict[str, Any] = posthog.one("external_data_sources")["job_inputs"]
    return found


def anything_goes(posthog: PostHog, *kinds: str) -> None:
    tables = posthog.control("GET", "vendors")[0]["tables"]
    postgres = {"source_type": "Postgres", "match": {}, "tables": tables}
    posthog.control("PUT", "vendors", [postgres, *({"source_type": kind, "match": {}} for kind in kinds)])


def last_parts(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["method"], item["path"].rstrip("/").split("/")[-1]) for item in items]


# ---- connection -----------------------------------------------------------------------------------------------------


@pytest.mark.feature(7, 27)
def test_connection_fields_that_are_removed_are_taken_back_in_posthog(things: Things, posthog: PostHog) -> None:
    anything_goes(posthog)
    thing = things("ExternalDataSource")
    thing.create(source(connection={**CONNECTION, "ssh_tunnel": TUNNEL}))
    assert (live_inputs(posthog)["schema"], live_inputs(posthog)["ssh_tunnel"]["enabled"]) == ("public", "True")
    less = {name: value for name, value in CONNECTION.items() if name != "schema"}
    thing.update(source(connection=less))
    assert (live_inputs(posthog)["schema"], live_inputs(posthog)["ssh_tunnel"]["enabled"]) == (None, "False")
    thing.refresh()
    assert thing.diff(source(connection=less)).changes == []


@pytest.mark.parametrize(
    ("declared", "edit"),
    [
        ({"schema": None}, {"schema": "other"}),
        ({}, {"schema": None}),
        ({}, {"ssh_tunnel": {**TUNNEL, "enabled": True}}),
        ({"ssh_tunnel": TUNNEL}, {"ssh_tunnel": {"enabled": False}}),
        ({"ssh_tunnel": {**TUNNEL, "require_tls": {"enabled": False}}}, {"ssh_tunnel": {"require_tls": None}}),
    ],
    ids=["set", "cleared", "tunnel on", "tunnel off", "tls"],
)
@pytest.mark.feature(27)
def test_what_was_set_or_cleared_in_posthog_is_seen_and_repaired(
    things: Things, posthog: PostHog, declared: dict[str, Any], edit: dict[str, Any]
) -> None:
    anything_goes(posthog)
    connection = {name: value for name, value in {**CONNECTION, **declared}.items() if value is not None}
    mine = source(connection=connection, schemas={"orders" if "schema" in connection else "public.orders": {}})
    thing = things("ExternalDataSource")
    thing.create(mine)
    before = live_inputs(posthog)
    body = {"job_inputs": {**edit, "password": "local-password"}}
    posthog.call("PATCH", f"external_data_sources/{thing.id}/", body)
    thing.refresh()
    assert [change.path for change in thing.diff(mine).changes] == [("connection",)]
    thing.update(mine)
    thing.refresh()
    assert thing.diff(mine).changes == []
    assert live_inputs(posthog)["schema"] == before["schema"]
    for stored in (before, live_inputs(posthog)):
        assert (stored["ssh_tunnel"] or {"enabled": "False"})["enabled"] == str("ssh_tunnel" in mine["connection"])


def test_groups_inside_a_typed_connection_have_their_defaults_too(things: Things) -> None:
    checked = things("ExternalDataSource").check(source(connection={**CONNECTION, "ssh_tunnel": TUNNEL}))
    assert checked.inputs["connection"]["ssh_tunnel"] == {**TUNNEL, "enabled": True, "port": 22}


@pytest.mark.feature(23)
def test_numbers_in_a_mapping_are_kept_out_of_messages_like_texts(things: Things) -> None:
    declared = {"source_type": "Klaviyo", "connection": {"api_key": "sentinel", "pin": 48151623, "port": 5432}}
    assert set(things("ExternalDataSource").declaration.secrets(declared)) == {"sentinel", "48151623"}


@pytest.mark.feature(45)
def test_a_refused_field_is_named_and_no_secret_is_repeated(things: Things, posthog: PostHog) -> None:
    anything_goes(posthog, "ServiceNow")
    auth = {"selection": "basic", "username": "u", "password": "sentinel-password"}
    declared = {"source_type": "ServiceNow", "connection": {"instance_url": "https://a.local", "auth_method": auth}}
    thing = things("ExternalDataSource")
    thing.create(declared)
    with pytest.raises(errors.Invalid) as caught:
        thing.update(
            {**declared, "connection": {"instance_url": "https://a.local", "auth_method": "sentinel-password"}}
        )
    assert "PostHog refused (400, `connection.auth_method`: Must be an object.)" in str(caught.value)
    assert "sentinel" not in str(caught.value)


@pytest.mark.feature(10)
def test_posthog_syncs_what_it_discovers_when_asked_to(things: Things, posthog: PostHog) -> None:
    declared = source(new_tables="sync", auto_sync_schema_patterns=["u*"])
    thing = things("ExternalDataSource")
    thing.create(declared)
    posthog.call("POST", f"external_data_sources/{thing.id}/refresh_schemas/")
    assert (table(posthog, "users")["should_sync"], table(posthog, "products")["should_sync"]) == (True, False)
    thing.refresh()
    assert thing.diff(declared).changes == []


@pytest.mark.feature(24)
def test_a_secret_is_kept_as_it_is_and_never_as_a_digest(things: Things) -> None:
    # Decided otherwise than the table's ideal: a digest of a password in state can be guessed from.
    thing = things("ExternalDataSource")
    thing.create(source())
    assert set(thing.outputs["connection"]) == set(CONNECTION)
    assert thing.outputs["connection"]["password"] == "local-password"


# ---- what this PostHog does not know --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "declared", "named"),
    [
        ("M", source(schemas={"orders": {**CURSOR, "full_refresh_interval_days": 7}}), "full_refresh_interval_days"),
        ("M", source(destination_ids=["00000000-0000-4000-8000-000000000001"]), "destination_ids"),
        ("S", source(**CDC), "cdc"),
        ("M", source(direct_query_enabled=True), "direct_query_enabled"),
    ],
    ids=["table setting", "destinations", "cdc", "direct"],
)
def test_what_an_older_posthog_does_not_know_is_named_and_nothing_is_left(
    things: Things, posthog: PostHog, version: str, declared: dict[str, Any], named: str
) -> None:
    vendors = posthog.control("GET", "vendors")
    posthog.control("PUT", "vendors", [{**vendor, "cdc": {"wal_level": "logical"}} for vendor in vendors])
    posthog.control("POST", "version", {"posthog_version": version})
    with pytest.raises(errors.Invalid, match=rf"this PostHog does not know `.*{named}`"):
        things("ExternalDataSource").create(declared)
    assert posthog.objects("external_data_sources") == []
    thing = things("ExternalDataSource")
    thing.create(source())
    with pytest.raises(errors.Invalid, match=rf"this PostHog does not know `.*{named}`"):
        thing.update(declared)


@pytest.mark.feature(6)
def test_what_could_not_be_taken_back_stays_unfinished(things: Things, posthog: PostHog) -> None:
    posthog.control("POST", "version", {"posthog_version": "S"})
    rule = {"match": {"method": "DELETE", "path": "warehouse_saved_queries/*"}, "do": "status", "status": 400}
    posthog.control("PUT", "faults", [rule])
    view = things("SavedQuery")
    declared = {"name": "people", "query": "SELECT 1 AS one", "description": "text"}
    assert isinstance(view.create(declared).problem, errors.Incomplete)
    with pytest.raises(errors.Invalid, match="this PostHog does not know `description`"):
        view.update(declared)
    del declared["description"]
    assert "unfinished" not in view.update(declared).outputs
    view.assert_settled(declared)


def test_a_call_that_posthog_does_not_have_is_not_taken_for_a_source_that_is_gone(
    things: Things, posthog: PostHog
) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    thing.outputs["cdc"] = {"management_mode": "posthog"}
    posthog.control("POST", "version", {"posthog_version": "S"})
    assert thing.refresh() is not None


def test_an_older_posthog_that_does_not_choose_tables_says_what_to_do(things: Things, posthog: PostHog) -> None:
    posthog.control("POST", "version", {"posthog_version": "S"})
    with pytest.raises(errors.Invalid, match="name them in `schemas`"):
        things("ExternalDataSource").create(source(schemas=None))


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(15)
def test_a_new_source_with_a_misspelt_table_names_the_right_one(things: Things, posthog: PostHog) -> None:
    with pytest.raises(errors.Invalid, match=r'schemas\["user"\]: the source has no such table; did you mean users'):
        things("ExternalDataSource").create(source(schemas={"orders": {}, "user": {}}))
    assert posthog.objects("external_data_sources") == []


@pytest.mark.feature(50)
@pytest.mark.parametrize("version", ["N", "S"])
def test_an_unknown_type_is_told_in_preview_with_the_right_one(things: Things, posthog: PostHog, version: str) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    told = "source_type: PostHog has no source of this type; did you mean Postgres?"
    wrong = source(source_type="postgress")
    assert list(map(str, things("ExternalDataSource", validate="lists").check(wrong).problems)) == [told]
    with pytest.raises(errors.Invalid, match="did you mean Postgres"):
        things("ExternalDataSource").create(wrong)
    posthog.control("DELETE", "requests")
    assert things("ExternalDataSource", validate="lists").check(source()).problems == []
    assert [path for _, path in last_parts(posthog.control("GET", "requests")["requests"])] == ["external_data_sources"]


@pytest.mark.feature(30, 32)
def test_a_cursor_that_posthog_stores_under_another_name_is_no_change(things: Things, posthog: PostHog) -> None:
    anything_goes(posthog, "Stripe")
    settings = {"sync_type": "incremental", "incremental_field": "created_at", "incremental_field_type": "datetime"}
    declared = {**STRIPE, "schemas": {"Charge": settings}}
    thing = things("ExternalDataSource")
    assert thing.create(declared).messages == []
    row = table(posthog, "Charge")
    assert (row["incremental_field"], row["incremental_field_type"]) == ("created", "integer")
    thing.refresh()
    assert thing.diff(declared).changes == []
    more = {**STRIPE, "schemas": {"Charge": settings, "Customer": settings}}
    assert thing.update(more).messages == []
    thing.refresh()
    assert thing.diff(more).changes == []
    edit = {"sync_type": "full_refresh", "incremental_field": None, "incremental_field_type": None}
    posthog.call("PATCH", f"external_data_schemas/{row['id']}/", edit)
    thing.refresh()
    assert [change.path for change in thing.diff(more).changes] == [("schemas",)]


# ---- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.feature(8)
def test_order_says_nothing(things: Things) -> None:
    def declared(*names: str, step: int) -> dict[str, Any]:
        columns = ["id", "email", "updated_at"][::step]
        filters = [{"column": "id", "operator": ">", "value": 5}, {"column": "email", "operator": "=", "value": "a"}]
        return source(
            schemas={name: {"enabled_columns": columns, "row_filters": filters[::step]} for name in names},
            new_tables="sync",
            auto_sync_schema_patterns=["a*", "b*"][::step],
        )

    thing = things("ExternalDataSource")
    thing.create(declared("customers", step=1))
    assert thing.diff(declared("customers", step=-1)).changes == []
    shuffled = source(schemas={"users": {}, "orders": {}})
    other = things("ExternalDataSource")
    other.create({**source(schemas={"orders": {}, "users": {}}), "prefix": "x_"})
    assert other.check({**shuffled, "prefix": "x_"}).inputs["schemas"] == other.inputs["schemas"]


@pytest.mark.feature(11, 12, 13)
def test_every_setting_of_a_table_is_set_changed_and_read_back(things: Things, posthog: PostHog) -> None:
    first = {
        **CURSOR,
        "incremental_field_lookback_seconds": 3600,
        "primary_key_columns": ["id"],
        "sync_frequency": "24hour",
        "sync_time_of_day": "03:30",
        "full_refresh_interval_days": 7,
        "full_refresh_time_of_day": "04:00:00",
        "enabled_columns": ["id"],
        "row_filters": [{"column": "id", "operator": ">", "value": 5}],
    }
    second = {"sync_frequency": "5min", "enabled_columns": []}
    thing = things("ExternalDataSource")
    assert thing.create(source(schemas={"users": first})).messages == []
    stored = table(posthog, "users")
    assert {name: stored[name] for name in first} == {**first, "sync_time_of_day": "03:30:00"}
    thing.refresh()
    assert thing.diff(source(schemas={"users": first})).changes == []
    posthog.control("DELETE", "requests")
    assert thing.update(source(schemas={"users": second})).messages == []
    assert last_parts(posthog.control("GET", "requests")["requests"]) == [("PATCH", "bulk_update_schemas")]
    stored = table(posthog, "users")
    assert (stored["sync_frequency"], stored["enabled_columns"], stored["row_filters"]) == ("5min", [], None)
    thing.refresh()
    assert thing.diff(source(schemas={"users": second})).changes == []


@pytest.mark.feature(50)
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sync_frequency": "hourly"}, "sync_frequency: must be one of 5min, 15min, 30min, 1hour"),
        ({"sync_time_of_day": "24:00"}, "sync_time_of_day: must be a time of day, such as 03:30"),
        ({"full_refresh_interval_days": 91}, "full_refresh_interval_days: should be less than or equal to 90"),
        ({"sync_type": "cdc", "sync_frequency": "30day"}, "sync_frequency: must be at most 7day"),
        ({"sync_type": "append"}, 'incremental_field: is required, because sync_type is "append"'),
        ({"enabled_column": ["id"]}, "enabled_column: is not an argument here; did you mean enabled_columns?"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_in_a_table_are_told_with_their_path(things: Things, settings: dict[str, Any], told: str) -> None:
    problems = things("ExternalDataSource").check(source(schemas={"users": settings}, cdc={})).problems
    assert str(problems[0]).startswith(f'schemas["users"].{told}')


@pytest.mark.feature(7)
def test_a_table_that_is_gone_upstream_can_be_taken_out_of_the_program(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": {}, "users": {}, "products": {}}))
    vendors = posthog.control("GET", "vendors")
    gone = [{**item, "tables": [row for row in item["tables"] if row["name"] != "users"]} for item in vendors]
    posthog.control("PUT", "vendors", gone)
    posthog.call("POST", f"external_data_sources/{thing.id}/refresh_schemas/")
    less = source(schemas={"orders": {}})
    thing.update(less)
    assert table(posthog, "products")["should_sync"] is False
    thing.refresh()
    assert thing.diff(less).changes == []


@pytest.mark.feature(7, 16)
def test_five_hundred_tables_are_one_request(things: Things, posthog: PostHog) -> None:
    names = [f"table_{number}" for number in range(500)]
    rows = [{"name": name, "primary_key": ["id"], "columns": {"id": {"type": "integer"}}} for name in names]
    posthog.control("PUT", "vendors", [{"source_type": "Postgres", "match": {}, "tables": rows}])
    thing = things("ExternalDataSource")
    thing.create(source(schemas={name: {"should_sync": False} for name in names}))
    posthog.control("DELETE", "requests")
    changed = source(schemas={name: {"sync_frequency": "1hour"} for name in reversed(names)})
    thing.update(changed)
    assert last_parts(posthog.control("GET", "requests")["requests"]) == [("PATCH", "bulk_update_schemas")]
    posthog.control("DELETE", "requests")
    assert thing.diff(changed).changes == []
    assert posthog.control("GET", "requests")["requests"] == []


# ---- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "beside"),
    [
        ({}, []),
        ({"schemas": {"orders": {"sync_frequency": "1hour"}, "users": {"sync_frequency": "5min"}}}, ["bulk_update_schemas"]),
        ({"new_tables": "sync"}, ["<id>"]),
        ({"revenue_analytics_config": {"enabled": True}}, ["revenue_analytics_config"]),
        ({"cdc": {}}, ["cdc_status"]),
    ],
    ids=["plain", "tables", "auto-sync", "revenue", "cdc"],
)  # fmt: skip
@pytest.mark.feature(49)
def test_a_create_costs_three_requests_and_one_for_each_thing_beside(
    things: Things, posthog: PostHog, more: dict[str, Any], beside: list[str]
) -> None:
    vendors = posthog.control("GET", "vendors")
    posthog.control("PUT", "vendors", [{**vendor, "cdc": {"wal_level": "logical"}} for vendor in vendors])
    posthog.control("DELETE", "requests")
    thing = things("ExternalDataSource")
    thing.create(source(**more))
    made = [path.replace(thing.id, "<id>") for _, path in last_parts(posthog.control("GET", "requests")["requests"])]
    assert made == ["external_data_sources", "external_data_sources", "<id>", *beside]
    posthog.control("DELETE", "requests")
    assert thing.diff(source(**more)).changes == []
    assert posthog.control("GET", "requests")["requests"] == []


def test_a_table_that_is_not_known_yet_costs_three_requests(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    posthog.control("DELETE", "requests")
    thing.update(source(schemas={"orders": {"sync_frequency": "1hour"}, "users": {}, "products": {}}))
    made = [path for _, path in last_parts(posthog.control("GET", "requests")["requests"])]
    assert made == ["refresh_schemas", thing.id, "bulk_update_schemas"]


# ---- replacement ----------------------------------------------------------------------------------------------------


@pytest.mark.feature(51, 52, 53)
def test_a_replacement_is_refused_in_preview_and_says_what_it_costs(things: Things) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(prefix="a_"))
    (problem,) = thing.check(source(prefix="b_")).problems
    assert str(problem).startswith(
        "prefix: cannot be changed in place. A new source would be made, and the data synced"
    )
    checked = thing.check(source(prefix="b_", allow_replace=True))
    (message,) = checked.messages
    assert message.severity == "warning"
    assert "replaced, because of `prefix`: the data synced so far is dropped" in message.text
    assert thing.check(source(prefix="a_", allow_replace=True)).messages == []
    direct = source(prefix="a_", access_method="direct", schemas=None, allow_replace=True)
    difference = thing.diff(direct)
    assert (difference.replaces, difference.delete_before_replace) == (["access_method"], False)


def test_a_direct_source_may_have_the_name_of_a_prefix(things: Things, posthog: PostHog) -> None:
    things("ExternalDataSource").create(source(prefix="shop"))
    direct = source(prefix="shop", access_method="direct", schemas=None)
    assert things("ExternalDataSource", validate="lists").check(direct).problems == []
    things("ExternalDataSource").create(direct)
    assert sorted(live["access_method"] for live in posthog.objects("external_data_sources")) == ["direct", "warehouse"]


@pytest.mark.feature(51)
def test_the_name_of_a_direct_source_changes_in_place(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(access_method="direct", prefix=" The shop ", schemas=None))
    assert thing.diff(source(access_method="direct", prefix="The shop", schemas=None)).changes == []
    other = source(access_method="direct", prefix="Shop two", schemas=None)
    assert thing.diff(other).replaces == []
    thing.update(other)
    assert posthog.one("external_data_sources")["prefix"] == "Shop two"
    thing.refresh()
    assert thing.diff(other).changes == []


@pytest.mark.feature(53, 57)
def test_live_checks_do_not_take_the_source_itself_for_a_clash(things: Things) -> None:
    thing = things("ExternalDataSource", validate="live")
    thing.create(source(prefix="shop_"))
    direct = source(prefix="shop_", access_method="direct", schemas=None, allow_replace=True)
    assert thing.check(direct).problems == []
    thing.inputs = {}  # as the engine does on a replacement
    assert thing.check(direct).problems == []
    assert things("ExternalDataSource", validate="live").check(source(prefix="shop_", adopt=True)).problems == []
    (clash,) = things("ExternalDataSource", validate="live", key="phx_colleague").check(source(prefix="shop_")).problems
    assert "exists already" in str(clash)


# ---- waiting --------------------------------------------------------------------------------------------------------


@pytest.mark.feature(21)
def test_a_first_sync_that_fails_or_takes_too_long_is_told_and_the_source_kept(
    things: Things, posthog: PostHog
) -> None:
    vendors = posthog.control("GET", "vendors")
    for row in vendors[0]["tables"]:
        if row["name"] == "users":
            row["sync_error"] = "column id is gone"
    posthog.control("PUT", "vendors", vendors)
    posthog.control("POST", "clock", {"sync_seconds": 0})
    failing = things("ExternalDataSource")
    made = failing.create(source(schemas={"orders": {}, "users": {}}, wait_for_first_sync=60))
    assert made.problem is None
    (message,) = made.messages
    assert message.severity == "warning"
    assert message.text.endswith("the first sync of `users` failed: column id is gone.")
    assert failing.outputs["tables"]["users"]["latest_error"] == "column id is gone"

    posthog.control("POST", "clock", {"sync_seconds": 3600})
    slow = things("ExternalDataSource")
    made = slow.create(source(prefix="slow_", schemas={"orders": {}, "products": {}}, wait_for_first_sync=12))
    (message,) = made.messages
    assert message.text.endswith("not synced yet: orders, products. PostHog goes on with it.")
    assert slow.outputs["status"] == "Running"
    assert (
        slow.diff(source(prefix="slow_", schemas={"orders": {}, "products": {}}, wait_for_first_sync=12)).changes == []
    )


# ---- extra ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(6, 20)
def test_a_field_without_an_argument_is_set_on_a_new_source_too(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    made = thing.create(source(extra={"unheard_of": 1}))
    assert [message.text for message in made.messages] == [
        'ExternalDataSource Postgres: PostHog does not give back `extra["unheard_of"]`; it may not know it.'
    ]
    assert posthog.one("external_data_sources")["created_via"] == "api"
    body = next(item["body"] for item in writes(posthog) if item["path"].rstrip("/").endswith("external_data_sources"))
    assert json.loads(body)["unheard_of"] == 1 if isinstance(body, str) else body["unheard_of"] == 1


@pytest.mark.feature(6, 20)
def test_a_field_that_a_create_does_not_take_is_set_afterwards_and_compared(
    things: Things, posthog: PostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch, external_data_source.ExternalDataSource, "new_tables")
    monkeypatch.setattr(external_data_source.ExternalDataSource, "otherwise", {})
    thing = things("ExternalDataSource")
    declared = source(extra={"auto_sync_new_schemas": True})
    made = thing.create(declared)
    assert (made.problem, made.messages) == (None, [])
    assert posthog.one("external_data_sources")["auto_sync_new_schemas"] is True
    posthog.call("PATCH", f"external_data_sources/{thing.id}/", {"auto_sync_new_schemas": False})
    thing.refresh()
    assert [change.path for change in thing.diff(declared).changes] == [("extra",)]
    thing.update(declared)
    assert posthog.one("external_data_sources")["auto_sync_new_schemas"] is True


# ---- what is easily left behind -------------------------------------------------------------------------------------


SMALL = {"enabled_columns": ["id"], "row_filters": [{"column": "id", "operator": ">", "value": 5}]}


@pytest.mark.feature(7, 11)
def test_a_table_that_comes_back_has_none_of_its_old_settings(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": {**SMALL, "sync_frequency": "24hour"}, "users": {}}))
    thing.update(source(schemas={"users": {}}))
    again = source(schemas={"orders": {}, "users": {}})
    thing.update(again)
    row = table(posthog, "orders")
    assert (row["enabled_columns"], row["row_filters"], row["sync_frequency"]) == (None, None, "6hour")
    thing.assert_settled(again)


@pytest.mark.feature(7, 11)
@pytest.mark.parametrize("version", ["N", "M", "S"])
def test_an_incremental_table_that_comes_back_has_none_either(things: Things, posthog: PostHog, version: str) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    whole = {"full_refresh_interval_days": 7, "full_refresh_time_of_day": "02:00"} if version == "N" else {}
    before = {**CURSOR, "incremental_field_lookback_seconds": 600, **whole}
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": before, "users": {}}))
    thing.update(source(schemas={"users": {}}))
    again = source(schemas={"orders": CURSOR, "users": {}})
    assert thing.update(again).messages == []
    row = table(posthog, "orders")
    settings = ("incremental_field_lookback_seconds", "full_refresh_interval_days", "full_refresh_time_of_day")
    assert [row.get(name) for name in settings] == [None, None, None]
    thing.assert_settled(again)


@pytest.mark.feature(28)
@pytest.mark.parametrize(
    ("declared", "made", "shown"),
    [
        ({}, {"sync_frequency": "24hour"}, {"sync_frequency": "6hour"}),
        ({}, {"sync_frequency": "5min"}, {"sync_frequency": "6hour"}),
        ({}, {"enabled_columns": []}, {"enabled_columns": None}),
        (
            CURSOR,
            {"sync_type": "incremental", "incremental_field_lookback_seconds": 900},
            {"incremental_field_lookback_seconds": None},
        ),
    ],
    ids=["24hour", "5min", "no columns", "lookback"],
)
def test_a_setting_that_is_not_declared_is_seen_when_somebody_makes_it(
    things: Things, posthog: PostHog, declared: dict[str, Any], made: dict[str, Any], shown: dict[str, Any]
) -> None:
    thing = things("ExternalDataSource")
    wanted = source(schemas={"orders": declared})
    thing.create(wanted)
    posthog.call("PATCH", f"external_data_schemas/{table(posthog, 'orders')['id']}/", made)
    thing.refresh()
    assert [change.path for change in thing.diff(wanted).changes] == [("schemas",)]
    thing.update(wanted)
    assert {name: table(posthog, "orders")[name] for name in shown} == shown
    thing.assert_settled(wanted)


@pytest.mark.feature(11)
def test_a_table_gets_the_frequency_that_is_usual_for_its_type(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(cdc={}))
    for sync_type, frequency in (("cdc", "5min"), ("full_refresh", "6hour")):
        wanted = source(cdc={}, schemas={"orders": {"sync_type": sync_type}})
        thing.update(wanted)
        assert table(posthog, "orders")["sync_frequency"] == frequency
        thing.assert_settled(wanted)


@pytest.mark.feature(11)
@pytest.mark.parametrize("version", ["N", "S"])
def test_a_key_that_is_no_longer_declared_stays(things: Things, posthog: PostHog, version: str) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    thing = things("ExternalDataSource")
    thing.create(source(schemas={"orders": {**CURSOR, "primary_key_columns": ["id"]}}))
    without = source(schemas={"orders": CURSOR})
    assert thing.diff(without).changes == []
    thing.update({**without, "description": "x"})
    assert table(posthog, "orders")["primary_key_columns"] == ["id"]


@pytest.mark.feature(21, 67)
def test_new_tables_of_a_source_are_waited_for_too(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source(wait_for_first_sync=60))
    posthog.control("POST", "clock", {"sync_seconds": 3600})
    made = thing.update(source(schemas={"orders": {}, "users": {}}, wait_for_first_sync=12))
    assert [message.text.partition(": ")[2] for message in made.messages] == [
        "not synced yet: users. PostHog goes on with it."
    ]
    posthog.control("DELETE", "requests")
    thing.update(source(schemas={"orders": {}, "users": {}}, wait_for_first_sync=12, description="x"))
    assert len(posthog.control("GET", "requests")["requests"]) == 1


@pytest.mark.feature(21)
def test_triggers_act_when_they_change_and_the_preview_says_so(things: Things, posthog: PostHog) -> None:
    def declared(triggers: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
        return source(schemas={"orders": {**({"triggers": triggers} if triggers else {}), **more}})

    thing = things("ExternalDataSource")
    thing.create(declared(None))
    steps = [
        (declared({"on": 1}), 0),
        (declared({"on": 2}), 1),
        (declared({"on": 3}, should_sync=False), 0),
        (declared(None), 0),
    ]
    for step, resyncs in steps:
        posthog.control("DELETE", "requests")
        told = [message.text for message in thing.check(step).messages]
        assert len([text for text in told if "will be dropped and synced anew" in text]) == resyncs
        thing.update(step)
        assert [part for _, part in last_parts(writes(posthog))].count("resync") == resyncs
        assert thing.diff(step).changes == []


@pytest.mark.feature(30, 32)
@pytest.mark.parametrize(
    "more",
    [
        {"connection": {**CONNECTION, "host": " postgres.local\n", "user": "posthog "}},
        {"new_tables": "sync", "auto_sync_schema_patterns": []},
        {"revenue_analytics_config": {}},
    ],
    ids=["white space", "no patterns", "no settings"],
)
def test_what_posthog_stores_otherwise_is_no_change(things: Things, more: dict[str, Any]) -> None:
    thing = things("ExternalDataSource")
    assert thing.create(source(**more)).messages == []
    thing.assert_settled(source(**more))


@pytest.mark.feature(30)
@pytest.mark.parametrize("version", ["M", "S"])
def test_a_default_is_asked_of_no_posthog(things: Things, posthog: PostHog, version: str) -> None:
    posthog.control("POST", "version", {"posthog_version": version})
    thing = things("ExternalDataSource")
    thing.create(source(direct_query_enabled=False))
    thing.assert_settled(source(direct_query_enabled=False))
    variable = things("InsightVariable")
    variable.create({"name": "Region", "type": "List", "values": ["a"], "is_multi": False})


@pytest.mark.fault(46, 57)
def test_a_secret_in_an_error_of_a_sync_is_not_stored(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    shown = posthog.one("external_data_sources")
    told = "no access with local-password"
    shown = {**shown, "latest_error": told, "schemas": [{**row, "latest_error": told} for row in shown["schemas"]]}
    rule = {"match": {"method": "GET", "path": "external_data_sources/*"}, "do": "status", "status": 200, "json": shown}
    posthog.control("PUT", "faults", [rule])
    live = thing.refresh()
    assert live is not None
    assert live.outputs["latest_error"] == "no access with [secret]"
    assert live.outputs["tables"]["orders"]["latest_error"] == "no access with [secret]"
    assert "local-password" not in str({name: value for name, value in live.outputs.items() if name != "connection"})


@pytest.mark.fault(46, 57)
def test_the_secret_before_a_rotation_is_neither_told_nor_stored(things: Things, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    rotated = source(connection={**CONNECTION, "password": "sentinel-password"})
    told = "no access with local-password, nor with sentinel-password"
    rule = {"match": {"method": "PATCH", "path": "external_data_sources/*"}, "do": "status"}
    refusal = {"type": "validation_error", "code": "invalid", "attr": None, "detail": told}
    posthog.control("PUT", "faults", [{**rule, "status": 400, "json": refusal}])
    with pytest.raises(errors.Invalid) as caught:
        thing.update(rotated)
    assert "no access with [secret], nor with [secret]" in str(caught.value)
    posthog.control("PUT", "vendors", [{"source_type": "Postgres", "match": {}, "credentials": {}}])
    shown = posthog.one("external_data_sources")
    shown = {**shown, "latest_error": told, "schemas": [{**row, "latest_error": told} for row in shown["schemas"]]}
    posthog.control("PUT", "faults", [{**rule, "status": 200, "json": shown}])
    outputs = thing.update(rotated).outputs
    errors_told = [outputs["latest_error"], outputs["tables"]["orders"]["latest_error"]]
    assert errors_told == ["no access with [secret], nor with [secret]"] * 2
    assert "local-password" not in str(outputs)


# ---- wrong, and told in preview -------------------------------------------------------------------------------------


@pytest.mark.feature(45, 50)
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"destination_ids": ["abc"]}, "destination_ids[0]: must be an id of PostHog's, a UUID such as "),
        ({"adopt": 5}, "adopt: must be true or false or text, not a number"),
        ({"extra": {"job_inputs": {}}}, 'extra["job_inputs"]: is set by the argument `connection`'),
        ({"extra": {"auto_sync_new_schemas": True}}, 'extra["auto_sync_new_schemas"]: is set by the argument `new_'),
        ({"extra": {"deleted": True}}, 'extra["deleted"]: cannot be set'),
        ({"extra": {"created_via": "x"}}, 'extra["created_via"]: is an output: PostHog alone sets it'),
        (
            {"cdc": {"lag_warning_threshold_mb": 9, "lag_critical_threshold_mb": 9}},
            "cdc.lag_warning_threshold_mb: must be less than lag_critical_threshold_mb",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_path(things: Things, more: dict[str, Any], told: str) -> None:
    (problem,) = things("ExternalDataSource").check(source(**more)).problems
    assert str(problem).startswith(told)


@pytest.mark.feature(54)
@pytest.mark.parametrize("validate", ["off", "lists", "live"])
@pytest.mark.parametrize(
    "more",
    [
        {"schemas": {"orders": UNKNOWN}},
        {"schemas": {"orders": {"sync_frequency": UNKNOWN}}},
        {"access_method": UNKNOWN},
        {"cdc": {"slot_name": UNKNOWN}},
        {"destination_ids": [UNKNOWN]},
    ],
    ids=str,
)
def test_what_is_not_known_yet_is_no_mistake(things: Things, more: dict[str, Any], validate: str) -> None:
    assert things("ExternalDataSource", validate=validate).check(source(**more)).problems == []
    there = things("ExternalDataSource", validate=validate)
    there.create(source())
    assert there.check(source(**more)).problems == []


@pytest.mark.feature(54)
@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("SavedQuery", {"name": "v", "query": "SELECT 1 AS a", "materialized": UNKNOWN, "incremental": {"unique_key": ["a"]}}),
        ("SavedQuery", {"name": "v", "query": "SELECT 1 AS a", "sync_frequency": UNKNOWN, "incremental": {"unique_key": ["a"]}}),
        ("InsightVariable", {"name": "v", "type": "List", "is_multi": UNKNOWN, "default_value": ["a"]}),
    ],
    ids=["materialized", "sync_frequency", "is_multi"],
)  # fmt: skip
def test_what_decides_is_not_known_yet(things: Things, kind: str, declared: dict[str, Any]) -> None:
    assert things(kind).check(declared).problems == []


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("attr", "ours"), [("job_inputs__host", "connection.host"), ("auto_sync_new_schemas", "new_tables")]
)
def test_a_refusal_names_our_argument(things: Things, posthog: PostHog, attr: str, ours: str) -> None:
    thing = things("ExternalDataSource")
    thing.create(source())
    said = {"type": "validation_error", "code": "invalid_input", "detail": "No.", "attr": attr}
    rule = {
        "match": {"method": "PATCH", "path": "external_data_sources/*"},
        "do": "status",
        "status": 400,
        "json": said,
    }
    posthog.control("PUT", "faults", [rule])
    with pytest.raises(errors.Invalid, match=rf"`{ours}`: No\."):
        thing.update(source(description="x"))


@pytest.mark.fault(13)
def test_a_preview_waits_for_no_rate_limit(things: Things, posthog: PostHog) -> None:
    busy = {"do": "status", "status": 429, "headers": {"Retry-After": "1800"}}
    posthog.control("PUT", "faults", [{"match": {"method": "GET"}, "times": 0, **busy}])
    (message,) = things("ExternalDataSource", validate="lists").check(source()).messages
    assert "could not be asked what is there already" in message.text


@pytest.mark.fault(13)
@pytest.mark.parametrize("status", [429, 503])
def test_a_preview_waits_not_long_to_know_whose_key_it_is(things: Things, posthog: PostHog, status: int) -> None:
    for name in ("one", "two"):
        things("SavedQuery").create({"name": name, "query": "SELECT 1 AS one"})
    busy = {"do": "status", "status": status, "headers": {"Retry-After": "1800"}, "times": 0}
    posthog.control("PUT", "faults", [{"match": {"method": "GET", "path": "/api/users/@me"}, **busy}])
    view = things("SavedQuery", validate="lists")
    for name in ("one", "two"):
        (message,) = view.check({"name": name, "query": "SELECT 1 AS one"}).messages
        assert "could not be asked what is there already" in message.text
    asked = [item["path"] for item in posthog.control("GET", "requests")["requests"]]
    assert len([path for path in asked if path.rstrip("/").endswith("users/@me")]) == 1
