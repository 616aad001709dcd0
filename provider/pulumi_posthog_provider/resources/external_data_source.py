"""An external data source: a database or service whose tables PostHog copies into its warehouse.

Tables are changed in place: adding, dropping or changing one keeps the source and the data that is there. Only tables
named in `schemas` are managed. PostHog never shows the secrets of a connection; everything else is compared with what
it stores. Another source type, access method or (in the warehouse) prefix needs a new source, whose data is synced from
the start: such a replacement is refused unless `allow_replace` is set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, cast

from .. import errors
from ..declare import (
    FORMER,
    UNKNOWN,
    Api,
    Arguments,
    Declaration,
    Message,
    Problem,
    Question,
    Reported,
    ResourceArguments,
    Values,
    argument,
    has_unknown,
    id_problems,
    mapping,
    reported,
    sequence,
)
from ..secrecy import secret_texts
from ..source_checks import explain, prefix_problems, questions
from ..source_connection import (
    completed_connection,
    connection_problems,
    declared_part,
    live_connection,
    same_texts,
    sent_connection,
)
from ..source_steps import (
    beside,
    cdc_body,
    change_tables,
    given,
    live_cdc,
    live_webhook_inputs,
    set_aside,
    set_cdc,
    set_tables,
    shortened,
    sync_notices,
    table_effects,
    turns_cdc_off,
    wait,
    webhook_notices,
    webhook_tables,
)
from ..tables import (
    TAKEN_ON_CREATE,
    Schema,
    changed_tables,
    completed_table,
    live_table,
    rows,
    same_set,
    sent_settings,
    starts_a_sync,
    table_output,
    table_problems,
    triggered_tables,
    unknown_settings,
    without_cdc,
)
from ..texts import redacted_in


class Cdc(Arguments):
    """Change data capture of a Postgres source."""

    management_mode: Literal["posthog", "self_managed"] = argument(
        "posthog", doc="Who makes slot and publication. A change turns capture off and on again."
    )
    slot_name: str | None = argument(
        None, doc="The replication slot; PostHog chooses one if left out. A change turns capture off and on again."
    )
    publication_name: str | None = argument(
        None, doc="The publication; PostHog chooses one if left out. A change turns capture off and on again."
    )
    auto_drop_slot: bool | None = argument(
        None, doc="Whether a slot that lags too far is dropped; PostHog's default is true."
    )
    lag_warning_threshold_mb: int | None = argument(None, doc="The lag in MB at which PostHog warns.", ge=1)
    lag_critical_threshold_mb: int | None = argument(None, doc="The lag in MB that PostHog calls critical.", ge=1)


class RevenueAnalyticsConfig(Arguments):
    """What revenue analytics does with a source."""

    enabled: bool | None = argument(None, doc="Whether its data is used.")
    include_invoiceless_charges: bool | None = argument(None, doc="Whether charges without an invoice count.")


class Inputs(ResourceArguments):
    """What users give."""

    source_type: str = argument(
        doc="PostHog's name of the type, for instance `Postgres`; typed connections bring their own.",
        replaces=True,
        min_length=1,
    )
    connection: dict[str, Any] = argument(
        doc="How PostHog connects: a typed connection such as `PostgresConnection`, or a mapping for any other type. "
        "Secrets in it are always encrypted in state."
    )
    schemas: dict[str, Schema] | None = argument(
        None,
        doc="The tables to manage, by name. Other tables are left alone; a table that is removed here, by itself or "
        "with the whole argument, stops syncing and keeps its data. If left out from the start, PostHog chooses the "
        "tables and how they are synced.",
    )
    prefix: str | None = argument(
        None,
        doc="What the names of its tables in the warehouse begin with: letters, digits and `_`; needed for a second "
        "source of the same type. For direct sources the name that is shown.",
        replaces=True,
        max_length=100,
    )
    description: str | None = argument(None, doc="What it is for, for people, at most 400 characters.", max_length=400)
    access_method: Literal["warehouse", "direct"] = argument(
        "warehouse", doc="`warehouse` copies the tables, `direct` queries them where they are.", replaces=True
    )
    direct_query_enabled: bool = argument(
        False, doc="Whether a warehouse source may also be queried where it is, without its synced copy."
    )
    new_tables: Literal["ignore", "sync", "report"] = argument(
        "ignore",
        doc="What happens to tables that PostHog discovers later: nothing, PostHog syncs them, or `pulumi refresh` and "
        "`pulumi up` name them. None of it is a change.",
    )
    auto_sync_schema_patterns: list[str] | None = argument(
        None,
        doc='With `new_tables="sync"`: only tables whose names match one of these globs, at most 100 of at most 250 '
        "characters.",
        max_length=100,
    )
    destination_ids: list[str] | None = argument(
        None,
        doc="The ids of the destinations that synced rows go to; PostHog's own warehouse if left out. PostHog takes no "
        "empty list, so those that are there stay when this is removed.",
        min_length=1,
    )
    revenue_analytics_config: RevenueAnalyticsConfig | None = argument(
        None,
        doc="What revenue analytics does with this source; PostHog's default depends on the type, so what is set stays "
        "when this is removed.",
    )
    webhook_inputs: dict[str, str] | None = argument(
        None,
        doc="The inputs of the webhook that syncs the tables with `sync_type` webhook, for instance Stripe's "
        "`signing_secret`; may be empty. The webhook is made with it and deleted without it. Always secret.",
        secret=True,
    )
    cdc: Cdc | None = argument(
        None, doc="Change data capture: needed for tables with `sync_type` cdc. Removing it turns it off."
    )
    wait_for_first_sync: int | None = argument(
        None,
        doc="How many seconds a new source, or one with new tables, waits at most for its enabled tables to be synced "
        "once; not at all if left out. The source is kept when the time is over or a sync fails; a warning says which.",
        ge=1,
        le=86_400,
        local=True,
    )
    triggers: dict[str, Any] | None = argument(
        None,
        doc="Any values; when one of them is added, changed or removed, PostHog starts a sync of the source.",
        write_only=True,
    )
    allow_replace: bool = argument(
        False, doc="Allows changes that need a new source, which drops the data synced so far.", local=True
    )


class Outputs(Reported):
    """What PostHog adds."""

    tables: dict[str, Any] | None = reported(
        "The tables of the source by name: `id`, the `status` of its syncs and the `latest_error`, and once the first "
        "sync is done its `name` as queries know it and its `row_count`."
    )
    webhook_info: dict[str, Any] | None = reported(
        "With `webhook_inputs`: the webhook as PostHog and the vendor see it."
    )
    cdc_status: dict[str, Any] | None = reported("With `cdc`: its slot, publication and lag.")
    status: str | None = reported("The state of its syncs, for instance `Running` or `Completed`.")
    latest_error: str | None = reported("The first error of its syncs.")
    last_run_at: str | None = reported("When its newest sync was completed, ISO 8601 in UTC.")
    engine: str | None = reported("The query engine of a direct source.")
    created_by: str | None = reported("The e-mail address of the user whose key made it.")
    created_at: str | None = reported("When it was made, ISO 8601 in UTC.")
    created_via: str | None = reported("Through what it was made, for instance `api`.")
    supports_webhooks: bool | None = reported("Whether its tables can be synced by webhooks.")
    api_version: str | None = reported("The version of the vendor's API that it uses.")


_PLAIN_FIELDS = ("description", "direct_query_enabled", "auto_sync_schema_patterns")
"""Arguments that are fields of the source itself and can be changed in place."""
_BESIDE = {"webhook_inputs": "webhook_info", "cdc": "cdc_status", "destination_ids": "destinations"}
"""Arguments that PostHog shows, if at all, by a call of their own."""
_FIXED = ("source_type", "access_method", "prefix", "environment_id")


class ExternalDataSource(Declaration):
    """The rules of PostHog for sources."""

    kind = "ExternalDataSource"
    noun = "source"
    collection = "external_data_sources"
    scope = "external_data_source"
    key_text = "type and prefix"
    inputs = Inputs
    outputs = Outputs
    looks_before_create = True
    clash_texts = ("already exists", "already uses the prefix", "already have a source of this type")
    slow_create = True
    answers_with_id = True
    updates_in_steps = True
    key = ("source_type", "prefix")
    unlisted = ("schemas",)
    aside = ("destination_ids", "webhook_inputs", "webhook_info", "cdc", "cdc_status")
    stateful = ("adopt", "allow_replace", "triggers")
    otherwise: ClassVar = {
        "job_inputs": "connection",
        "payload": "connection",
        "auto_sync_new_schemas": "new_tables",
    }

    # ---- pure hooks ----

    def label(self, values: Values) -> str:
        prefix = values.get("prefix")
        shown = f' "{prefix}"' if isinstance(prefix, str) else ""
        return f"{self.kind} {values.get('source_type', '?')}{shown}"

    def natural_key(self, values: Values) -> tuple[Any, ...]:
        return (values.get("source_type"), values.get("prefix") or "", values.get("access_method") or "warehouse")

    def problems(self, values: Values) -> Iterable[Problem]:
        direct = values.get("access_method") == "direct"
        yield from connection_problems(values)
        yield from prefix_problems(values.get("prefix"), direct)
        yield from table_problems(values.get("schemas"), direct)
        new_tables = values.get("new_tables", "ignore")
        if direct and new_tables == "sync":
            yield Problem("new_tables", 'cannot be "sync" for a direct source, whose tables resolve at query time')
        if values.get("auto_sync_schema_patterns") and new_tables not in ("sync", UNKNOWN):
            yield Problem("auto_sync_schema_patterns", 'needs new_tables="sync"')
        for index, pattern in enumerate(sequence(values.get("auto_sync_schema_patterns"))):
            if isinstance(pattern, str) and len(pattern) > 250:
                yield Problem(f"auto_sync_schema_patterns[{index}]", "must have at most 250 characters")
        cdc_tables = [
            name for name, table in mapping(values.get("schemas")).items() if mapping(table).get("sync_type") == "cdc"
        ]
        if cdc_tables and values.get("cdc") is None:
            yield Problem(f'schemas["{cdc_tables[0]}"].sync_type', "is cdc, so the argument `cdc` is needed too")
        cdc = mapping(values.get("cdc"))
        warning, critical = cdc.get("lag_warning_threshold_mb"), cdc.get("lag_critical_threshold_mb")
        if isinstance(warning, int) and isinstance(critical, int) and warning >= critical:
            yield Problem("cdc.lag_warning_threshold_mb", "must be less than lag_critical_threshold_mb")
        for index, id in enumerate(sequence(values.get("destination_ids"))):
            yield from id_problems(f"destination_ids[{index}]", id)

    def normalise(self, values: Values) -> Values:
        result = {name: value for name, value in values.items() if value is not None}
        direct = values.get("access_method") == "direct"
        for name in ("description", "prefix") if direct else ("description",):
            if isinstance(result.get(name), str):
                result[name] = result[name].strip()
        for name in ("description", "prefix", "auto_sync_schema_patterns"):
            if result.get(name) in ("", []):
                del result[name]
        result["connection"] = completed_connection(values)
        if isinstance(result.get("schemas"), dict):
            result["schemas"] = {name: completed_table(table, direct) for name, table in result["schemas"].items()}
        for name in ("cdc", "revenue_analytics_config"):
            if isinstance(result.get(name), dict):
                result[name] = {key: value for key, value in mapping(result[name]).items() if value is not None}
        if isinstance(result.get("cdc"), dict):
            result["cdc"].setdefault("management_mode", "posthog")
        if result.get("revenue_analytics_config") == {}:
            del result["revenue_analytics_config"]
        return result

    def forbidden_change(self, olds: Values, news: Values) -> Iterable[Problem]:
        if olds.get("webhook_inputs") is not None and news.get("webhook_inputs") is None:
            for name in sorted(webhook_tables(news)):
                yield Problem(
                    "webhook_inputs",
                    f'cannot be removed while `schemas["{name}"]` has `sync_type` webhook; give that table another '
                    "one, or `should_sync=False`",
                )
        for name in self._replacing(olds, news) if news.get("allow_replace") is not True else ():
            yield Problem(
                name,
                "cannot be changed in place. A new source would be made, and the data synced so far would be "
                "dropped and synced again from the start; set `allow_replace=True` if that is what you want",
            )

    def foretold(self, olds: Values, news: Values) -> Iterable[Message]:
        replacing = self._replacing(olds, news) if news.get("allow_replace") is True else []
        if replacing:
            yield Message(
                "warning",
                f"it is replaced, because of {' and '.join(f'`{name}`' for name in replacing)}: the data synced so "
                "far is dropped, and the new source syncs from the start. `allow_replace` allows that.",
            )
            return
        if not has_unknown(news.get("schemas")):
            yield from table_effects(mapping(olds.get("schemas")), mapping(news.get("schemas")))
        cdc = news.get("cdc")
        if cdc is not None and not has_unknown(cdc) and turns_cdc_off(mapping(olds.get("cdc")), cdc):
            yield Message(
                "warning", "change data capture is turned off and on again, with another slot or publication."
            )

    def _replacing(self, olds: Values, news: Values) -> list[str]:
        return [
            name
            for name in _FIXED
            if not (self.same(name, olds.get(name), news.get(name)) or has_unknown(news.get(name)))
            and (name == "environment_id" or self.replaces(name, olds, news))
        ]

    def replaces(self, field: str, olds: Values, news: Values) -> bool:
        if field == "prefix":
            return bool(olds.get("access_method", "warehouse") != "direct")
        return super().replaces(field, olds, news)

    def same(self, field: str, one: Any, other: Any) -> bool:
        if field == "connection":
            return same_texts(one, other)
        if field == "schemas":
            one, other = mapping(one), mapping(other)
            return changed_tables(one, other) == {} and triggered_tables(one, other) == []
        if field == "prefix":
            return bool((one or "") == (other or ""))
        if field == "access_method":
            return bool((one or "warehouse") == (other or "warehouse"))
        if field == "new_tables":  # to PostHog, ignoring and reporting are one
            return bool((one == "sync") == (other == "sync"))
        if field in ("destination_ids", "auto_sync_schema_patterns"):
            return same_set(one, other)
        if field == "cdc" and isinstance(one, dict) and isinstance(other, dict):
            return same_texts(cast("Any", one), cast("Any", other))
        return super().same(field, one, other)

    def from_api(self, live: Values, olds: Values) -> Values:
        known = mapping(olds.get("tables"))
        live_rows = rows(live)
        schemas = {
            name: live_table(mapping(table), live_rows[name], mapping(known.get(name)))
            for name, table in mapping(olds.get("schemas")).items()
            if name in live_rows
        }
        auto_sync = live.get("auto_sync_new_schemas") is True
        declared_policy = olds.get("new_tables", "ignore")
        return {
            **{name: live.get(name) for name in _PLAIN_FIELDS},
            "direct_query_enabled": live.get("direct_query_enabled") is True,
            "source_type": live.get("source_type"),
            "connection": live_connection(live.get("source_type"), olds.get("connection"), live.get("job_inputs")),
            "schemas": schemas or None,
            "prefix": live.get("prefix") or None,
            "description": live.get("description") or None,
            "access_method": live.get("access_method") or "warehouse",
            "new_tables": "sync" if auto_sync else "ignore" if declared_policy == "sync" else declared_policy,
            "destination_ids": live.get("destination_ids", olds.get("destination_ids")),
            "revenue_analytics_config": declared_part(
                olds.get("revenue_analytics_config"), live.get("revenue_analytics_config")
            ),
            "webhook_inputs": live_webhook_inputs(olds.get("webhook_inputs"), live.get("webhook_info")),
            "cdc": live_cdc(olds.get("cdc"), live),
        }

    def unknown_to(self, live: Values, sent: Values) -> list[str]:
        shown_as = {name: name for name in (*_PLAIN_FIELDS, "revenue_analytics_config", "destination_ids")}
        shown_as.update(new_tables="auto_sync_new_schemas", webhook_inputs="webhook_info", cdc="cdc_status")
        unknown = [name for name, shown in shown_as.items() if sent.get(name) is not None and shown not in live]
        return [*unknown, *unknown_settings(sent.get("schemas"), live)]

    def missing_from(self, live: Values, known: Values) -> list[str]:
        named = [name for name in ("source_type", "prefix", "schemas") if name in known and name not in live]
        # What has a call of its own is left as it was by a PostHog that does not have the call.
        return [name for name in (*self.unknown_to(live, known), *named) if name not in self.aside]

    def outputs_of(self, live: Values, olds: Values) -> Values:
        result = super().outputs_of(live, olds)
        known = mapping(olds.get("tables"))
        tables = {name: table_output(row, mapping(known.get(name))) for name, row in rows(live).items()}
        secrets = list(self.secrets(olds))
        for told in (result, *tables.values()):  # databases and vendors repeat what they were sent
            for name in ("latest_error", "webhook_info", "cdc_status"):
                if told.get(name):
                    told[name] = redacted_in(told[name], secrets)
        return {**result, "tables": tables or known}

    def notices(self, live: Values, values: Values) -> Iterable[Message]:
        yield from webhook_notices(live)
        if values.get("wait_for_first_sync"):
            yield from sync_notices(live)
        unnamed = sorted(set(rows(live)) - set(mapping(values.get("schemas"))))
        if unnamed and values.get("new_tables") == "report":
            yield Message("info", f"PostHog knows tables that `schemas` does not name: {shortened(unnamed)}.")

    def to_api(self, values: Values) -> Values:
        body: Values = {name: values[name] for name in (*_PLAIN_FIELDS, "prefix") if name in values}
        if "connection" in values:
            body["job_inputs"] = values["connection"]
        if "new_tables" in values:
            body["auto_sync_new_schemas"] = values["new_tables"] == "sync"
        return body

    def secrets(self, values: Values) -> Iterable[str]:
        for holder in (values, mapping(values.get(FORMER))):
            yield from secret_texts(holder.get("connection"))
            yield from secret_texts(holder.get("webhook_inputs"))

    def create_body(self, values: Values) -> Values:
        payload = dict(mapping(values["connection"]))
        if values.get("schemas"):
            payload["schemas"] = [
                {"name": name, **{key: table[key] for key in TAKEN_ON_CREATE if key in table}}
                for name, table in mapping(values["schemas"]).items()
            ]
        if values.get("cdc") is not None:
            payload.update(cdc_enabled=True, **cdc_body(values["cdc"]))
        named = ("source_type", "prefix", "description", "access_method", "direct_query_enabled", "destination_ids")
        body: Values = {name: values[name] for name in named if name in values}
        return {**mapping(values.get("extra")), **body, "created_via": "api", "payload": payload}

    def questions(self, olds: Values, values: Values, own: bool) -> Iterable[Question]:
        return questions(olds, values, own)

    def first_step(self, values: Values) -> Values:
        later = ("new_tables", "auto_sync_schema_patterns", "revenue_analytics_config", "webhook_inputs")
        result = {name: value for name, value in values.items() if name not in later}
        if "schemas" in values:
            result["schemas"] = {
                name: {key: value for key, value in table.items() if key in TAKEN_ON_CREATE}
                for name, table in mapping(values["schemas"]).items()
            }
        return result

    # ---- hooks that call PostHog ----

    def fetch(self, api: Api, id: str, olds: Values) -> Values:
        return self._with_beside(api, api.get(id), given(olds, *_BESIDE))

    def _with_beside(self, api: Api, live: Values, managed: Values) -> Values:
        for name, action in _BESIDE.items():
            shown = beside(api, str(live["id"]), action) if managed.get(name) is not None else None
            if shown is not None:
                live = {**live, **(shown if name in shown else {action: shown})}
        return live

    def explain(self, api: Api, error: errors.Invalid, values: Values) -> None:
        explain(api, error, values)

    def after_create(self, api: Api, live: Values, values: Values) -> Values:
        """Reads the new source (the create tells only its id) and sets what the create does not take."""
        live = api.get(str(live["id"]))
        id = str(live["id"])
        body = {**self.to_api(given(values, "new_tables", "auto_sync_schema_patterns")), **mapping(values.get("extra"))}
        body = {name: value for name, value in body.items() if value and name in live and live[name] != value}
        if body:
            live = api.patch(id, body)
        wanted = {
            name: {key: value for key, value in sent_settings(table).items() if key not in TAKEN_ON_CREATE}
            for name, table in mapping(values.get("schemas")).items()
        }
        live = set_tables(api, live, {name: table for name, table in wanted.items() if table})
        live = set_aside(api, live, {}, values, given(values, "revenue_analytics_config", "webhook_inputs"))
        live = self._with_beside(api, live, given(values, "cdc", "destination_ids"))
        if values.get("wait_for_first_sync"):
            live = wait(api, live, int(values["wait_for_first_sync"]))
        return live

    def update(self, api: Api, id: str, olds: Values, news: Values, changed: Values) -> Values:
        body = self.body(changed)
        if "job_inputs" in body:
            body["job_inputs"] = sent_connection(mapping(olds.get("connection")), mapping(news.get("connection")))
        live: Values = api.patch(id, body) if body else {"id": id}
        before, wanted = mapping(olds.get("schemas")), mapping(news.get("schemas"))
        if "cdc" in changed:
            live = set_cdc(api, live, mapping(olds.get("cdc")), news.get("cdc"))
            if turns_cdc_off(mapping(olds.get("cdc")), news.get("cdc")):
                before = {name: without_cdc(table) for name, table in before.items()}
        if "schemas" in changed or before != mapping(olds.get("schemas")):
            live = change_tables(api, live, mapping(olds.get("tables")), before, wanted)
        live = set_aside(api, live, olds, news, changed)
        if "triggers" in changed:
            api.act(id, "reload", repeatable=False)
        if news.get("wait_for_first_sync") and "schemas" in changed and starts_a_sync(before, wanted):
            live = wait(api, {**live, **api.get(id)}, int(news["wait_for_first_sync"]))
        return live
