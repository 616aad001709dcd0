"""``POST external_data_sources``: the checks in their order, then everything in one transaction
(contract 4.3, 4.4). Any failure leaves no row behind."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework import serializers

from .. import clock, jobs, schedules, vendors, versions
from ..errors import Message
from ..models import ExternalDataSchema, ExternalDataSource, Project, StoredCredential, User
from . import cdc, cdc_checks, configuration, credentials, definitions, prefixes
from .configuration import Config, is_true
from .creation_tables import KEYED_TYPES, settings_of
from .definitions import SourceType
from .tables import Table

DEFAULT_CADENCE = "6hour"
CDC_CADENCE = "5min"

SYNC_LIMIT = "Monthly sync limit reached. Please increase your billing limit to resume syncing."
UNRELEASED = (
    "The {type} source isn't available to connect yet. Choose a different source, "
    "or contact support if you were expecting it."
)
CUSTOM = "Custom"
TOO_MANY = "You can create at most {most} sources of this type per project."


class CreateSerializer(serializers.Serializer):
    source_type = serializers.ChoiceField(definitions.all_types())
    payload = serializers.DictField()
    prefix = serializers.CharField(max_length=100, required=False, allow_null=True, allow_blank=True)
    description = serializers.CharField(max_length=400, required=False, allow_null=True, allow_blank=True)
    access_method = serializers.ChoiceField(ExternalDataSource.Access.values, required=False, default="warehouse")
    created_via = serializers.ChoiceField(["web", "api", "mcp"], required=False, default="api")
    direct_query_enabled = serializers.BooleanField(required=False, default=False)
    destination_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_empty=False, max_length=100
    )


def create(project: Project, user: User, body: Any) -> ExternalDataSource:
    serializer = CreateSerializer(data=body)
    serializer.is_valid(raise_exception=True)
    return make(project, user, serializer.validated_data)[0]


def make(project: Project, user: User, data: dict[str, Any]) -> tuple[ExternalDataSource, list[Table]]:
    """From row 2 of the checks on; also answers every table of the source."""
    source_type, access_method = data["source_type"], data["access_method"]
    prefixes.check(project, source_type, data.get("prefix"), access_method)

    definition = definitions.definition(source_type)
    payload = trimmed(data["payload"])
    credential = _refuse_unavailable(project, user, definition, payload)
    if credential is not None:
        payload = {**payload, **credential.payload}
    config = parse(definition, payload)
    tables = discover(definition, config)
    direct = access_method == prefixes.DIRECT
    with_cdc = _wants_cdc(project, definition, payload) and not direct
    settings = settings_of(definition, payload, tables, direct=direct, with_cdc=with_cdc)
    if with_cdc:
        config |= _cdc_settings(definition, config, payload, settings)

    now = clock.now()
    with transaction.atomic():
        if not direct:  # somebody else may have taken the prefix while the vendor was asked
            prefixes.check_free(project, source_type, data.get("prefix"))
        if credential is not None and not credential.delete()[0]:  # as may have been done with the credential
            raise Message(f"Stored credential '{credential.id}' not found or expired")
        source = ExternalDataSource.objects.create(
            project=project,
            source_type=source_type,
            status=jobs.RUNNING,
            prefix=data.get("prefix"),
            description=data.get("description"),
            access_method=access_method,
            direct_query_enabled=data["direct_query_enabled"] and versions.current().direct_query_can_be_enabled,
            job_inputs=config,
            revenue_analytics_config={
                "enabled": source_type == "Stripe",
                "include_invoiceless_charges": source_type == "Stripe",
            },
            destination_ids=[str(item) for item in data.get("destination_ids", ())],
            api_version=definition.default_version,
            created_via=data["created_via"],
            next_discovery_at=None if direct else now + schedules.DISCOVERY,
            created_by=user,
            created_at=now,
        )
        by_name = {table.name: table for table in tables}
        for item in settings:
            add_schema(source, by_name[item["name"]], item)
    return source, tables


def trimmed(payload: Config) -> Config:
    """Text at the top level is trimmed, nested text is not (contract 4.3)."""
    return {key: value.strip() if isinstance(value, str) else value for key, value in payload.items()}


def _refuse_unavailable(
    project: Project, user: User, definition: SourceType, payload: Config
) -> StoredCredential | None:
    """Rows 8 to 12."""
    if project.sync_limit_reached:
        raise Message(SYNC_LIMIT)
    credential = None
    wanted = payload.get("credential_id")
    if wanted is not None:
        credential = credentials.find(project, user, definition.name, wanted)
    refuse_secret_refs(payload)
    if definition.name in definitions.UNRELEASED:
        raise Message(UNRELEASED.format(type=definition.name))
    if definition.name == CUSTOM:
        existing = ExternalDataSource.objects.filter(project=project, source_type=CUSTOM, deleted=False).count()
        if existing >= project.most_custom_sources:
            raise Message(TOO_MANY.format(most=project.most_custom_sources))
    return credential


def refuse_secret_refs(payload: Config) -> None:
    if _has_secret_ref(payload):
        raise Message("This payload holds a secretRef that could not be resolved.")


def _has_secret_ref(value: Any) -> bool:
    if isinstance(value, dict):
        return "secretRef" in value or any(map(_has_secret_ref, value.values()))
    return isinstance(value, list) and any(map(_has_secret_ref, value))


def parse(definition: SourceType, payload: Config) -> Config:
    """Row 13."""
    also = (
        {"schema"}
        if versions.current().database_schema_is_required and definition.name in definitions.POSTGRES_WIRE
        else set()
    )
    try:
        return configuration.parse(definition, payload, also_required=also)
    except configuration.InvalidConfig as error:
        raise Message(str(error)) from error


def check_credentials(definition: SourceType, config: Config) -> None:
    """Row 15."""
    try:
        vendors.vendor_for(definition, config).check_credentials()
    except vendors.VendorError as error:
        raise Message(configuration.mask(definition, config, str(error))) from error


def discover(definition: SourceType, config: Config) -> list[Table]:
    """Rows 15 and 16."""
    vendor = vendors.vendor_for(definition, config)
    try:
        vendor.check_credentials()
        return vendor.tables()
    except vendors.VendorError as error:
        raise Message(configuration.mask(definition, config, str(error))) from error


def _wants_cdc(project: Project, definition: SourceType, payload: Config) -> bool:
    return project.cdc_enabled and definition.supports_cdc and is_true(payload.get("cdc_enabled"))


def _cdc_settings(
    definition: SourceType, config: Config, payload: Config, settings: list[dict[str, Any]]
) -> dict[str, str]:
    """After every check of the tables: PostHog sets CDC up at the database now, and no row is left where it cannot."""
    names = [item["name"] for item in settings if item.get("sync_type") == "cdc"]
    refusal = "Could not connect to your database to set up change data capture"
    errors = cdc_checks.problems(definition, config, payload, refusal, names)
    if errors:
        raise Message(cdc_checks.NOT_MET, errors=errors)
    return cdc.settings(payload)


def add_schema(source: ExternalDataSource, table: Table, item: dict[str, Any]) -> ExternalDataSchema:
    """One row per table; an enabled one of a warehouse source starts to sync at once."""
    sync_type = item.get("sync_type")
    schema = ExternalDataSchema.objects.create(
        project_id=source.project_id,
        source=source,
        name=table.name,
        label=table.label,
        description=table.description,
        should_sync=is_true(item.get("should_sync", False)),
        sync_type=sync_type,
        incremental_field=item.get("incremental_field"),
        incremental_field_type=item.get("incremental_field_type"),
        incremental_field_lookback_seconds=item.get("incremental_field_lookback_seconds"),
        primary_key_columns=item.get("primary_key_columns")
        or (table.key if sync_type in KEYED_TYPES else None)
        or None,
        sync_frequency=CDC_CADENCE if sync_type == "cdc" else DEFAULT_CADENCE,
        sync_time_of_day=item.get("sync_time_of_day"),
        cdc_table_mode=item.get("cdc_table_mode") or "consolidated",
        enabled_columns=item.get("enabled_columns"),
        row_filters=item.get("row_filters"),
        discovered=table.as_dict(),
        created_at=clock.now(),
    )
    if schema.should_sync and source.access_method == prefixes.WAREHOUSE:
        jobs.start_sync(schema)
    return schema
