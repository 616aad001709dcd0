"""What PostHog keeps beside a source and changes by calls of their own: tables, webhook, change data capture, ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from . import errors
from .checks import near
from .declare import Api, Message, Values, mapping, sequence
from .source_connection import same_texts
from .tables import changed_tables, resynced_tables, rows

_CDC_FIXED = ("management_mode", "slot_name", "publication_name")
_CDC_DEFAULTS: Values = {"auto_drop_slot": True}
_POLL_SECONDS = 5.0


def given(values: Values, *names: str) -> Values:
    """Those of the values that are there."""
    return {name: values[name] for name in names if name in values}


def beside(api: Api, id: str, name: str) -> Values | None:
    """What PostHog shows of a source that is there by a call of its own; None if this PostHog has no such call."""
    try:
        return mapping(api.call("GET", id, name).body)
    except errors.Refused as error:
        if error.status != 404:
            raise
    return None


def _act(
    api: Api, method: str, id: str, name: str, argument: str, body: Values | None = None, repeatable: bool = True
) -> Values:
    """An action on a source; a PostHog that has no such action is told apart from a source that is gone."""
    try:
        return api.act(id, name, body=body, method=method, repeatable=repeatable)
    except errors.Refused as error:
        if error.status != 404:
            raise
    api.get(id)
    raise errors.unknown_field([argument])


# ---- tables -------------------------------------------------------------------------------------------------------


def change_tables(api: Api, live: Values, known: Values, before: Values, wanted: Values) -> Values:
    """Brings the tables from what they were to what is wanted; PostHog looks for those that it does not know yet.

    Args:
        known: The tables of the source as far as they are known, with their ids.
    """
    tables = changed_tables(before, wanted)
    known = {**known, **rows(live)}
    if not set(tables) <= set(known):
        live = _discovered(api, live)
    elif "schemas" not in live:
        live = {**live, "schemas": [{"name": name, "id": row["id"]} for name, row in known.items()]}
    try:
        live = set_tables(api, live, tables)
    except errors.Invalid as error:
        if "could not be found" not in error.message:
            raise
        # A table that is gone upstream is gone in PostHog too: then there is nothing to stop.
        live = _discovered(api, live)
        there = {name: settings for name, settings in tables.items() if name in wanted or name in rows(live)}
        live = set_tables(api, live, there)
    for name in resynced_tables(before, wanted):
        api.sibling("external_data_schemas").act(str(rows(live)[name]["id"]), "resync", repeatable=False)
    return live


def table_effects(before: Values, after: Values) -> Iterator[Message]:
    """What users should know before the tables of a source are changed."""
    changed = changed_tables(before, after)
    dropped = [name for name, settings in changed.items() if name not in after and settings]
    if dropped:
        yield Message("info", f"{shortened(dropped)} will not be synced any more; what was synced stays.")
    anew = resynced_tables(before, after)
    if anew:
        yield Message("warning", f"the data of {shortened(anew)} will be dropped and synced anew: `triggers` changed.")


def _discovered(api: Api, live: Values) -> Values:
    id = str(live["id"])
    api.call("POST", id, "refresh_schemas")
    return {**live, **api.get(id)}


def set_tables(api: Api, live: Values, tables: Mapping[str, Values]) -> Values:
    """One call for any number of tables (contract 5.6)."""
    if not tables:
        return live
    live_rows = rows(live)
    missing = [name for name in tables if name not in live_rows]
    if missing:
        raise errors.Invalid(
            f'`schemas["{missing[0]}"]`: the source has no such table{near(missing[0], list(live_rows))}',
            hint="Names are those of the source, as PostHog lists them.",
        )
    items = [{"id": live_rows[name]["id"], **settings} for name, settings in tables.items()]
    changed = _set_in_one_call(api, str(live["id"]), items)
    if len(changed) != len(items):
        raise errors.UnexpectedAnswer("the answer to the change of tables does not list these tables")
    return {**live, "schemas": list({**live_rows, **rows({"schemas": changed})}.values())}


def _set_in_one_call(api: Api, id: str, items: list[Values]) -> list[Any]:
    try:
        return sequence(api.call("PATCH", id, "bulk_update_schemas", body={"schemas": items}).body)
    except errors.Refused as error:
        if error.status != 404:
            raise
    # The PostHog of early 2026 changes tables one by one only (contract 4.1). If the source is gone, so are they.
    tables = api.sibling("external_data_schemas")
    return [tables.patch(str(item["id"]), {key: item[key] for key in item if key != "id"}) for item in items]


def set_aside(api: Api, live: Values, olds: Values, news: Values, changed: Values) -> Values:
    """Settings of a source that PostHog keeps beside it, each behind a call of its own."""
    id = str(live["id"])
    for name, action in (("revenue_analytics_config", "revenue_analytics_config"), ("destination_ids", "destinations")):
        if changed.get(name):
            body = changed[name] if isinstance(changed[name], dict) else {name: changed[name]}
            live = {**live, name: _act(api, "PATCH", id, action, name, body).get(name)}
    joined = webhook_tables(news) - webhook_tables(olds)
    if "webhook_inputs" in changed or (news.get("webhook_inputs") is not None and olds and joined):
        live = _set_webhook(api, live, olds.get("webhook_inputs"), news.get("webhook_inputs"), bool(joined))
    return live


# ---- webhook ----------------------------------------------------------------------------------------------------


def webhook_tables(values: Values) -> set[str]:
    """The tables that are synced by the webhook."""
    tables = {name: mapping(table) for name, table in mapping(values.get("schemas")).items()}
    return {
        name for name, table in tables.items() if table.get("sync_type") == "webhook" and table.get("should_sync", True)
    }


def _set_webhook(api: Api, live: Values, old: Any, new: Any, joined: bool) -> Values:
    """Makes, changes or deletes the webhook; one that is there takes tables in that joined (contract 5.10)."""
    id = str(live["id"])
    if new is None:
        api.act(id, "delete_webhook", repeatable=False)
        return {**live, "webhook_info": None}
    inputs = {key: value for key, value in mapping(new).items() if mapping(old).get(key) != value}
    gone = [key for key in mapping(old) if key not in mapping(new)]
    if gone:  # perhaps PostHog never took them
        there = mapping(mapping(beside(api, id, "webhook_info")).get("inputs"))
        inputs.update({key: "" for key in gone if key in there})
    if old is None or joined:
        answer = api.act(id, "create_webhook", body={"inputs": inputs})
        if not isinstance(answer.get("success"), bool):
            raise errors.UnexpectedAnswer("the answer to the creation of the webhook is not PostHog's")
        if answer["success"] is False:
            raise errors.Invalid(f"the vendor refused the webhook: {answer.get('error') or 'no reason given'}")
        live = {**live, "pending_inputs": answer.get("pending_inputs")}
    elif inputs:
        api.act(id, "update_webhook_inputs", body={"inputs": inputs})
    return {**live, "webhook_info": beside(api, id, "webhook_info")}


def webhook_notices(live: Values) -> Iterator[Message]:
    """What a webhook that was just made still needs."""
    for name in sequence(live.get("pending_inputs")):
        text = f'the webhook does not work yet: set `webhook_inputs["{name}"]` to what the vendor shows for it.'
        yield Message("warning", text)


def live_webhook_inputs(declared: Any, info: Any) -> Any:
    """The declared inputs with the values PostHog shows; a webhook that is gone has none."""
    if declared is None or info is None:
        return declared
    if mapping(info).get("exists") is False:
        return None
    shown = mapping(mapping(info).get("inputs"))
    live: Values = {}
    for name, value in mapping(declared).items():
        if name in shown:  # an unset input is absent, a secret one is masked
            said = shown[name]
            live[name] = mapping(cast("Any", said)).get("value", value) if isinstance(said, dict) else said
    return live


# ---- change data capture ------------------------------------------------------------------------------------------


def cdc_body(cdc: Any) -> Values:
    """The settings of change data capture as PostHog names them."""
    return {f"cdc_{name}": value for name, value in mapping(cdc).items()}


def set_cdc(api: Api, live: Values, old: Values, new: Any) -> Values:
    """Turns change data capture on, off, or off and on again; or changes its settings (contract 11.3)."""
    id = str(live["id"])
    live = {name: value for name, value in live.items() if name != "job_inputs"}  # they tell what was before
    if new is None or turns_cdc_off(old, new):
        _act(api, "POST", id, "disable_cdc", "cdc")
    if new is None:
        return {**live, "cdc_status": None}
    if not old or turns_cdc_off(old, new):
        _enable_cdc(api, id, new)
    else:
        settings = {name: mapping(new).get(name, _CDC_DEFAULTS.get(name)) for name in {*old, *mapping(new)}}
        body = {name: value for name, value in settings.items() if name not in _CDC_FIXED and value is not None}
        _act(api, "POST", id, "update_cdc_settings", "cdc", cdc_body(body))
    return {**live, "cdc_status": beside(api, id, "cdc_status")}


def _enable_cdc(api: Api, id: str, new: Any) -> None:
    try:
        _act(api, "POST", id, "enable_cdc", "cdc", cdc_body(new), repeatable=False)
    except errors.Refused as error:
        # It is on: by a try of ours whose answer was lost, if it is as we want it.
        if error.status != 409:
            raise
        live = live_cdc(new, mapping(api.get(id).get("job_inputs")))
        if live is None or not same_texts(new, live):
            raise


def turns_cdc_off(old: Values, new: Any) -> bool:
    """Whether change data capture goes off, perhaps to go on again; its tables then lose their settings."""
    return bool(old) and (new is None or any(old.get(name) != mapping(new).get(name) for name in _CDC_FIXED))


def live_cdc(declared: Any, live: Values) -> Any:
    """The declared settings with the values PostHog stores, as text, among the connection's."""
    if declared is None or "job_inputs" not in live:
        return declared
    job_inputs = mapping(live["job_inputs"])
    if str(job_inputs.get("cdc_enabled")).lower() != "true":
        return None
    live = {name: job_inputs.get(f"cdc_{name}") for name in mapping(declared)}
    return {
        name: value if live[name] is None or same_texts(value, live[name]) else live[name]
        for name, value in mapping(declared).items()
    }


# ---- waiting ------------------------------------------------------------------------------------------------------


def wait(api: Api, live: Values, seconds: int) -> Values:
    """Waits until every enabled table was synced once, or failed, for so many seconds at most."""
    id = str(live["id"])
    waited = 0.0
    while waited < seconds and _unsynced(live):
        pause = min(_POLL_SECONDS, seconds - waited)
        api.pause(pause, f"waiting for the first sync of {', '.join(_unsynced(live)[:3])}")
        waited += pause
        live = {**live, **api.get(id)}
    return live


def sync_notices(live: Values) -> Iterator[Message]:
    """What became of a first sync that was waited for: the source is there all the same."""
    for name, row in rows(live).items():
        if row.get("should_sync") and row.get("status") == "Failed" and not row.get("last_synced_at"):
            reason = str(row.get("latest_error") or "no reason given").rstrip(".")
            yield Message("warning", f"the first sync of `{name}` failed: {reason}.")
    waiting = _unsynced(live)
    if waiting:
        yield Message("warning", f"not synced yet: {shortened(waiting)}. PostHog goes on with it.")


def shortened(names: Sequence[str]) -> str:
    """A list of names for a message, of which there may be hundreds."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{', '.join(names[:10])}{more}"


def _unsynced(live: Values) -> list[str]:
    return [
        name
        for name, row in rows(live).items()
        if row.get("should_sync") and not row.get("last_synced_at") and row.get("status") not in ("Completed", "Failed")
    ]
