"""Webhooks of a source: PostHog's end, and the endpoint it registers with the vendor (contract 5.9, 5.10)."""

from __future__ import annotations

import re
import secrets
from typing import Any

from .. import clock, jobs, vendors
from ..errors import Message
from ..models import ExternalDataSchema, ExternalDataSource, SourceWebhook
from . import configuration, definitions
from .definitions import SourceType
from .tables import Table

NO_CONFIGURATION = "Source has no configuration"
UNSUPPORTED = "This source type does not support webhooks"
NOT_LOADED = "Failed to load source configuration or schemas"
NO_WEBHOOK = "No webhook function found for this source. Create a webhook first."
ALL_EVENTS = "*"
_ACTIONS = ("created", "updated", "deleted")
# How Stripe calls objects that are not simply its tables' names in lower case.
_OBJECTS = {"Stripe": {"InvoiceItem": "invoiceitem"}}


def vendor_object(source_type: str, table: str) -> str:
    known = _OBJECTS.get(source_type, {})
    return known.get(table) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", table).lower()


def find(source: ExternalDataSource) -> SourceWebhook | None:
    return SourceWebhook.objects.filter(source=source).first()


# -- reading ------------------------------------------------------------------------------------


def info(source: ExternalDataSource, address: str) -> dict[str, Any]:
    """``address``: what the ids of webhooks are appended to."""
    definition = definitions.definition(source.source_type)
    body: dict[str, Any] = {
        "supports_webhooks": definition.supports_webhooks,
        "exists": False,
        "auto_creation_blocked_reason": None,
        "hog_function": None,
        "webhook_url": None,
        "schema_mapping": {},
        "external_status": None,
    }
    if not definition.supports_webhooks:
        return body
    script = vendors.webhook_script(definition, source.job_inputs or {})
    body |= {"inputs": {}, "missing_events": [], "auto_creation_blocked_reason": script.blocked}
    webhook = find(source)
    if webhook is None:
        return body
    status = _external_status(source, webhook, script, f"{address}{webhook.id}") if source.job_inputs else None
    return body | {
        "exists": True,
        "hog_function": {
            "id": str(webhook.id),
            "name": webhook.name,
            "enabled": True,
            "created_at": webhook.created_at.isoformat(),
            "status": {"state": 0, "tokens": 0},
        },
        "webhook_url": f"{address}{webhook.id}",
        "schema_mapping": webhook.schema_mapping,
        "inputs": _shown_inputs(definition, webhook),
        "external_status": status,
        "missing_events": _missing_events(source, status),
    }


def _shown_inputs(definition: SourceType, webhook: SourceWebhook) -> dict[str, Any]:
    """A set secret is only told to be there; one that is not set is absent."""
    shown: dict[str, Any] = {}
    for field in definition.webhook_fields:
        if webhook.inputs.get(field.name):
            shown[field.name] = {"secret": True} if field.is_secret else {"value": webhook.inputs[field.name]}
    return shown


def _external_status(
    source: ExternalDataSource, webhook: SourceWebhook, script: vendors.WebhookScript, url: str
) -> dict[str, Any]:
    keys = ("exists", "url", "enabled_events", "status", "description", "created_at", "api_version", "error")
    absent: dict[str, Any] = {**dict.fromkeys(keys), "exists": False}
    if script.unreadable:
        definition = definitions.definition(source.source_type)
        return absent | {"error": configuration.mask(definition, source.job_inputs, script.unreadable)}
    if script.gone or webhook.endpoint is None:
        return absent
    return {
        "exists": True,
        "url": url,
        "enabled_events": list(_subscribed(webhook, script)),
        "status": "enabled",
        "description": "PostHog data warehouse webhook",
        "created_at": webhook.endpoint["created_at"],
        "api_version": source.api_version,
        "error": None,
    }


def _subscribed(webhook: SourceWebhook, script: vendors.WebhookScript) -> list[str]:
    return list(script.events) if script.events is not None else (webhook.endpoint or {}).get("events", [])


def _missing_events(source: ExternalDataSource, status: dict[str, Any] | None) -> list[str]:
    if not status or not status["exists"] or status["error"]:
        return []
    current = set(status["enabled_events"])
    if ALL_EVENTS in current:
        return []
    return sorted(set(_wanted_events(source, _syncing(source))) - current)


def _syncing(source: ExternalDataSource) -> list[ExternalDataSchema]:
    found = source.schemas.filter(sync_type="webhook", should_sync=True, deleted=False)
    return list(found.order_by("name"))


def _wanted_events(source: ExternalDataSource, schemas: list[ExternalDataSchema]) -> list[str]:
    objects = [vendor_object(source.source_type, schema.name) for schema in schemas]
    return [f"{name}.{action}" for name in objects for action in _ACTIONS]


# -- writing ------------------------------------------------------------------------------------


def create(source: ExternalDataSource, inputs: Any, address: str) -> dict[str, Any]:
    """Again on a source that has one: tables that were added since are merged in."""
    definition = _supported(source)
    names = {field.name for field in definition.webhook_fields}
    inputs = inputs or {}
    if not isinstance(inputs, dict) or set(inputs) - names:
        raise Message("Invalid webhook inputs")
    _refuse_blank(definition, inputs)
    eligible = [schema for schema in _syncing(source) if schema.name in _webhook_tables(definition, source)]
    webhook = register(source, eligible, {**inputs})
    return _asked_vendor(definition, webhook, eligible, address)


def register(source: ExternalDataSource, schemas: list[ExternalDataSchema], inputs: dict[str, Any]) -> SourceWebhook:
    """PostHog's end. It stays when the vendor then refuses, so that its address can be given by hand."""
    webhook = find(source) or SourceWebhook(
        source=source, name=f"{source.source_type} warehouse source webhook", created_at=clock.now()
    )
    mapping = {vendor_object(source.source_type, schema.name): str(schema.id) for schema in schemas}
    webhook.schema_mapping = {**webhook.schema_mapping, **mapping}
    webhook.inputs = {**webhook.inputs, **inputs}
    webhook.save()
    return webhook


def _asked_vendor(
    definition: SourceType, webhook: SourceWebhook, schemas: list[ExternalDataSchema], address: str
) -> dict[str, Any]:
    source = webhook.source
    script = vendors.webhook_script(definition, source.job_inputs)
    refusal = script.blocked or script.refused
    pending: list[str] = []
    if refusal is None:
        known = webhook.endpoint or {"events": [], "created_at": clock.now().isoformat()}
        events = dict.fromkeys([*known["events"], *_wanted_events(source, schemas)])
        webhook.endpoint = {**known, "events": list(events)}
        unset = [field.name for field in definition.webhook_fields if not webhook.inputs.get(field.name)]
        if script.returns_secrets:
            webhook.inputs = {**webhook.inputs, **{name: f"whsec_{secrets.token_hex(16)}" for name in unset}}
        else:
            pending = unset
        webhook.save()
    return {
        "success": refusal is None,
        "webhook_url": f"{address}{webhook.id}",
        "error": refusal and configuration.mask(definition, source.job_inputs, refusal),
        "pending_inputs": pending,
    }


def create_for_setup(source: ExternalDataSource, tables: list[Table], address: str) -> dict[str, Any] | None:
    """``setup`` tries a webhook by itself; what a webhook can bring is then synced by it (contract 5.7)."""
    definition = definitions.definition(source.source_type)
    capable = {table.name for table in tables if table.supports_webhooks and not table.off_by_default}
    schemas = [schema for schema in source.schemas.select_related("source").order_by("name") if schema.name in capable]
    if not definition.supports_webhooks or not schemas:
        return None
    webhook = register(source, schemas, {})
    answer = _asked_vendor(definition, webhook, schemas, address)
    if not answer["success"]:
        webhook.delete()
        return {**answer, "webhook_url": None}
    for schema in schemas:
        was_enabled = schema.should_sync
        schema.sync_type = "webhook"
        schema.should_sync = True
        schema.save(update_fields=["sync_type", "should_sync"])
        if not was_enabled:
            jobs.start_sync(schema)
    return answer


def update_inputs(source: ExternalDataSource, inputs: Any) -> dict[str, Any]:
    definition = _supported(source)
    if not inputs or not isinstance(inputs, dict):
        raise Message("No inputs provided")
    invalid = sorted(set(inputs) - {field.name for field in definition.webhook_fields})
    if invalid:
        raise Message(f"Invalid input keys: {', '.join(invalid)}")
    _refuse_blank(definition, inputs)
    webhook = find(source)
    if webhook is None:
        raise Message(NO_WEBHOOK)
    webhook.inputs = {**webhook.inputs, **inputs}
    webhook.save()
    refusal = vendors.webhook_script(definition, source.job_inputs).inputs_refused
    if refusal:
        raise VendorRefused(configuration.mask(definition, source.job_inputs, refusal))
    return {"success": True}


class VendorRefused(Message):
    """``{"success": false, "error": …}``"""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.body = {"success": False, "error": text}


def delete(source: ExternalDataSource) -> dict[str, Any]:
    definition = definitions.definition(source.source_type)
    if not definition.supports_webhooks:
        raise Message(UNSUPPORTED)
    users = [schema.name for schema in _syncing(source)]
    if users:
        raise Message(
            f"Cannot delete webhook while tables are using webhook sync: {', '.join(users)}. "
            "Switch them to full refresh, incremental, or disable syncing first."
        )
    webhook = find(source)
    if webhook is None:
        return {"success": True, "external_deleted": False, "error": None}
    webhook.delete()
    if not source.job_inputs:
        return {"success": True, "external_deleted": False, "error": None}
    script = vendors.webhook_script(definition, source.job_inputs)
    error = script.delete_refused and configuration.mask(definition, source.job_inputs, script.delete_refused)
    deleted = error is None and webhook.endpoint is not None and not script.gone
    return {"success": True, "external_deleted": deleted, "error": error}


def _supported(source: ExternalDataSource) -> SourceType:
    if not source.job_inputs:
        raise Message(NO_CONFIGURATION)
    definition = definitions.definition(source.source_type)
    if not definition.supports_webhooks:
        raise Message(UNSUPPORTED)
    return definition


def _refuse_blank(definition: SourceType, inputs: dict[str, Any]) -> None:
    blank = [
        field.name
        for field in definition.webhook_fields
        if field.required and field.name in inputs and not inputs[field.name]
    ]
    if blank:
        raise Message(f"Missing required fields: {', '.join(blank)}")


def _webhook_tables(definition: SourceType, source: ExternalDataSource) -> set[str]:
    try:
        tables = vendors.vendor_for(definition, source.job_inputs).tables()
    except vendors.VendorError as error:
        raise Message(NOT_LOADED) from error
    return {table.name for table in tables if table.supports_webhooks}
