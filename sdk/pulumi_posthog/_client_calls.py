"""What PostHog's API offers beside create, read, update and delete: the calls of `Client` and their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from ._client_core import UNSET, Calls, made, ready
from ._resource import Connection
from ._results import Result


class ActivityEntry(Result):
    """Who did what to an object, and when."""

    id: str
    """PostHog's id of the entry."""
    activity: str
    """What was done, for instance `created`, `updated`, `deleted` or `materialization_enabled`."""
    created_at: str
    """When it was done, ISO 8601 in UTC."""
    user_email: str | None
    """The e-mail address of the user; None where PostHog did it by itself."""
    user_first_name: str | None
    """The first name of the user, `System` for PostHog itself."""
    changes: tuple[Mapping[str, Any], ...]
    """The changed fields: `field`, `action`, `before`, `after`."""
    detail: Mapping[str, Any]
    """Everything that PostHog tells of it."""


class ConnectionInfo(Result):
    """A source whose tables can be queried where they are. Older PostHogs tell `id`, `prefix` and `engine` only."""

    id: str
    """The id of the source."""
    prefix: str | None
    """The name that PostHog shows, or the prefix of its tables."""
    engine: str | None
    """The query engine, for instance `postgres` or `duckdb`."""
    source_type: str | None
    """PostHog's name of the type, for instance `Postgres`."""
    access_method: Literal["warehouse", "direct"] | None
    """`direct`, or `warehouse` for a source that may be queried directly too."""
    schema_name: str | None
    """The schema of the database to which it is limited."""
    description: str | None
    """What it is for, for people."""
    supports_hogql: bool | None
    """Whether HogQL queries run on it."""


class SourceTypeInfo(Result):
    """A type of source, and what PostHog asks to connect one."""

    name: str
    """PostHog's name of the type: the argument `source_type`."""
    label: str | None
    """The name that PostHog shows."""
    caption: str | None
    """What PostHog says about connecting it."""
    category: str | None
    """For instance `Databases`."""
    fields: tuple[Mapping[str, Any], ...]
    """The fields of the connection: `name`, `label`, `type`, `required`, and more by type (`options`, `fields`)."""
    webhook_fields: tuple[Mapping[str, Any], ...]
    """The inputs of its webhook, in the same shape."""
    suggested_tables: tuple[Mapping[str, Any], ...]
    """Tables that PostHog proposes: `table`, `tooltip`."""
    release_status: str | None
    """`alpha`, `beta` or `ga`."""
    unreleased: bool
    """Whether it cannot be connected yet."""
    existing: bool
    """Whether the environment has a source of this type."""
    disabled_reason: str | None
    """Why it cannot be connected here."""
    supports_column_selection: bool
    """Whether `enabled_columns` of a table can be chosen."""
    default_version: str | None
    """The version of the vendor's API that a new source gets."""
    docs_url: str | None
    """Where PostHog documents it."""
    extra: Mapping[str, Any]
    """Everything that PostHog tells, as it names it."""


class TableInfo(Result):
    """A table that PostHog found through a connection."""

    table: str
    """Its name: the key in the argument `schemas`."""
    label: str | None
    """What PostHog shows instead of the name."""
    description: str | None
    """What it holds, for people."""
    should_sync_default: bool | None
    """Whether PostHog itself would sync it."""
    incremental_available: bool | None
    """Whether `sync_type` may be `incremental`."""
    append_available: bool | None
    """Whether `sync_type` may be `append`."""
    cdc_available: bool | None
    """Whether `sync_type` may be `cdc`; None where PostHog does not tell."""
    xmin_available: bool | None
    """Whether `sync_type` may be `xmin`; None where PostHog does not tell."""
    supports_webhooks: bool | None
    """Whether `sync_type` may be `webhook`."""
    webhook_only: bool | None
    """Whether `sync_type` must be `webhook`."""
    incremental_field: str | None
    """The column that PostHog proposes as the cursor."""
    incremental_fields: tuple[Mapping[str, Any], ...]
    """The columns that can be the cursor: `field`, `field_type`, `label`, `type`, `nullable`, `is_indexed`."""
    available_columns: tuple[Mapping[str, Any], ...]
    """All columns: `field`, `label`, `type`, `nullable`."""
    detected_primary_keys: tuple[str, ...]
    """The columns of its primary key, as far as PostHog finds one."""
    permission_error: str | None
    """Why the user of the connection may not read it."""
    rls_warning: str | None
    """A warning that row-level security hides rows."""
    extra: Mapping[str, Any]
    """Everything that PostHog tells, as it names it."""


class CheckResult(Result):
    """What a check found."""

    valid: bool
    """Whether nothing is in the way."""
    errors: tuple[str, ...]
    """What is in the way, in PostHog's words."""


class WebhookInfo(Result):
    """The webhook of a source, as PostHog and the vendor see it."""

    supports_webhooks: bool
    """Whether sources of this type can have one."""
    exists: bool
    """Whether it was made."""
    webhook_url: str | None
    """The address that the vendor calls."""
    inputs: Mapping[str, Any]
    """Its inputs; a secret one reads ``{"secret": True}``, an unset one is absent."""
    schema_mapping: Mapping[str, str]
    """The ids of the tables by the vendor's names of its objects."""
    missing_events: tuple[str, ...]
    """Events that its tables need and that the vendor does not send."""
    external_status: Mapping[str, Any] | None
    """What the vendor says: `exists`, `url`, `enabled_events`, `status`, `error` and more."""
    hog_function: Mapping[str, Any] | None
    """The function that receives the calls: `id`, `name`, `enabled`, `created_at`, `status`."""
    auto_creation_blocked_reason: str | None
    """Why PostHog cannot make it by itself."""


class SavedQueryCalls(Calls):
    """What views have beside the common calls."""

    def activity(self, id: str, *, limit: int | None = None) -> Iterator[ActivityEntry]:
        """Who did what to a view, newest first; also of a view that was deleted. Needs the scope `activity_log:read`.

        Args:
            id: The id of the view.
            limit: At most so many entries; all if left out.

        Raises:
            NotFound: There is no view with this id.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            for entry in endpoints.activity(self._kept(), id, limit, page_size=100):
                user, detail = _part(entry, "user"), _part(entry, "detail")
                yield ActivityEntry(
                    id=str(entry.get("id")),
                    activity=str(entry.get("activity")),
                    created_at=str(entry.get("created_at")),
                    user_email=user.get("email"),
                    user_first_name=user.get("first_name"),
                    changes=_objects(detail.get("changes")),
                    detail=detail,
                )


class ExternalDataSourceCalls(Calls):
    """What sources have beside the common calls."""

    def connections(self) -> list[ConnectionInfo]:
        """The sources whose tables can be queried where they are, newest first."""
        from pulumi_posthog_provider import endpoints

        with self._told():
            body = endpoints.answer(self._kept(), "the connections could not be read", "GET", "connections")
            return [made(ConnectionInfo, item) for item in endpoints.rows(body)]

    def wizard(self, source_types: Sequence[str] = ()) -> dict[str, SourceTypeInfo]:
        """The types of sources by name, with what each needs to connect.

        Args:
            source_types: Only these types; all if left out. Versions of PostHog before mid 2026 always tell all.

        Raises:
            Invalid: PostHog knows no such type.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            query = {"source_type": ",".join(source_types)} if source_types else None
            body = endpoints.answer(self._kept(), "the source types could not be read", "GET", "wizard", query=query)
            named = cast("dict[str, dict[str, Any]]", body)
            return {
                name: _source_type(name, item)
                for name, item in named.items()
                if not source_types or name in source_types
            }

    def database_schema(
        self, connection: Connection | Mapping[str, Any], *, source_type: str | None = None
    ) -> list[TableInfo]:
        """Connects, and says which tables there are and how each can be synced; nothing is made.

        Args:
            connection: A typed connection such as `PostgresConnection`, or a mapping for any other type.
            source_type: PostHog's name of the type; a typed connection brings its own.

        Raises:
            Invalid: The connection is not complete, or PostHog cannot connect with it.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            given = ready({"connection": connection, "source_type": source_type})
            body = endpoints.connected(self._kept(), "the tables could not be read", "database_schema", given, {})
            return [_table(item) for item in endpoints.rows(body)]

    def check_source_prefix(
        self,
        source_type: str,
        prefix: str | None = None,
        *,
        access_method: Literal["warehouse", "direct"] = "warehouse",
    ) -> CheckResult:
        """Whether a new source of this type may have this prefix. PostHog does not reserve it.

        Args:
            source_type: PostHog's name of the type, for instance `Postgres`.
            prefix: What the names of its tables would begin with; none if left out.
            access_method: `warehouse` copies the tables, `direct` queries them where they are.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            given = ready({"source_type": source_type, "prefix": prefix, "access_method": access_method})
            refused = endpoints.prefix_refused(self._kept(), given)
            return CheckResult(valid=not refused, errors=(refused,) if refused else ())

    def check_cdc_prerequisites(
        self,
        connection: Connection | Mapping[str, Any],
        *,
        source_type: str | None = None,
        management_mode: Literal["posthog", "self_managed"] = "posthog",
        tables: Sequence[str] = (),
        slot_name: str | None = None,
        publication_name: str | None = None,
    ) -> CheckResult:
        """Connects to a Postgres database, and says what is in the way of change data capture; nothing is made.

        Args:
            connection: A typed connection such as `PostgresConnection`, or a mapping.
            source_type: PostHog's name of the type; a typed connection brings its own.
            management_mode: Who would make slot and publication.
            tables: The tables to capture; each needs a primary key.
            slot_name: The replication slot.
            publication_name: The publication; with `self_managed` it must be there.

        Raises:
            Invalid: The connection is not complete, PostHog cannot connect with it, or the type has no capture.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            given = ready({"connection": connection, "source_type": source_type})
            settings = {
                "cdc_management_mode": management_mode,
                "tables": list(tables) or None,
                "cdc_slot_name": slot_name,
                "cdc_publication_name": publication_name,
            }
            subject, action = "change data capture could not be checked", "check_cdc_prerequisites"
            body = endpoints.connected(self._kept(), subject, action, given, settings)
            told = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
            return CheckResult(valid=told.get("valid") is True, errors=tuple(map(str, told.get("errors") or ())))

    def webhook_info(self, id: str) -> WebhookInfo:
        """The webhook of a source; also when there is none, or the vendor cannot be reached.

        Args:
            id: The id of the source.

        Raises:
            NotFound: There is no source with this id.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            subject = f"the webhook of ExternalDataSource {id} could not be read"
            told = cast("dict[str, Any]", endpoints.answer(self._kept(), subject, "GET", id, "webhook_info"))
            return WebhookInfo(
                supports_webhooks=told.get("supports_webhooks") is True,
                exists=told.get("exists") is True,
                webhook_url=told.get("webhook_url"),
                inputs=_part(told, "inputs"),
                schema_mapping=_part(told, "schema_mapping"),
                missing_events=tuple(map(str, told.get("missing_events") or ())),
                external_status=told.get("external_status"),
                hog_function=told.get("hog_function"),
                auto_creation_blocked_reason=told.get("auto_creation_blocked_reason"),
            )

    def update_webhook_inputs(self, id: str, inputs: Mapping[str, str]) -> None:
        """Changes inputs of the webhook of a source, for instance Stripe's `signing_secret`; others stay.

        Args:
            id: The id of the source.
            inputs: The inputs to change by name; at least one.

        Raises:
            NotFound: There is no source with this id.
            Invalid: There is no webhook, it has no such input, or the vendor refuses.
        """
        from pulumi_posthog_provider import endpoints

        with self._told():
            subject = f"the webhook of ExternalDataSource {id} was not changed"
            body = ready({"inputs": inputs})
            action = (id, "update_webhook_inputs")
            secrets = {"webhook_inputs": body["inputs"]}
            endpoints.answer(self._kept(), subject, "POST", *action, body=body, secrets=secrets, repeatable=True)


class ExternalDataSchemaCalls(Calls):
    """The tables of all sources: list, get and update. They are made and deleted with their source."""

    _kind = "ExternalDataSource"

    def _all(self, search: str | None) -> Iterator[dict[str, Any]]:
        from pulumi_posthog_provider import endpoints

        with self._told():
            yield from endpoints.schemas(self._kept(), search)

    def _one(self, id: str) -> dict[str, Any]:
        from pulumi_posthog_provider import endpoints

        with self._told():
            return endpoints.schema(self._kept(), id)

    def _changed(self, id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        from pulumi_posthog_provider import endpoints

        with self._told():
            given = ready({name: item for name, item in arguments.items() if item is not UNSET})
            return endpoints.update_schema(self._kept(), id, given)


def _part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = body.get(name)
    return cast("dict[str, Any]", part) if isinstance(part, dict) else {}


def _objects(items: Any) -> tuple[dict[str, Any], ...]:
    listed = cast("list[Any]", items) if isinstance(items, list) else []
    return tuple(cast("dict[str, Any]", item) for item in listed if isinstance(item, dict))


def _source_type(name: str, told: Mapping[str, Any]) -> SourceTypeInfo:
    return SourceTypeInfo(
        name=str(told.get("name") or name),
        label=told.get("label"),
        caption=told.get("caption"),
        category=told.get("category"),
        fields=_objects(told.get("fields")),
        webhook_fields=_objects(told.get("webhookFields")),
        suggested_tables=_objects(told.get("suggestedTables")),
        release_status=told.get("releaseStatus"),
        unreleased=told.get("unreleasedSource") is True,
        existing=told.get("existingSource") is True,
        disabled_reason=told.get("disabledReason"),
        supports_column_selection=told.get("supportsColumnSelection") is True,
        default_version=told.get("defaultVersion"),
        docs_url=told.get("docsUrl"),
        extra=dict(told),
    )


def _table(told: Mapping[str, Any]) -> TableInfo:
    lists = ("incremental_fields", "available_columns")
    shown = {**told, **{name: _objects(told.get(name)) for name in lists}, "extra": dict(told)}
    shown["detected_primary_keys"] = tuple(map(str, told.get("detected_primary_keys") or ()))
    return made(TableInfo, shown)
