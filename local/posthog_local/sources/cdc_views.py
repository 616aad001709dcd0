"""Endpoints for change data capture (contract 5.11, 11.3)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import jobs, vendors
from ..errors import Message
from ..models import ExternalDataSchema, ExternalDataSource
from . import cdc, cdc_checks, creation, definitions
from .base_views import READ, WRITE, SourceViewSet, body_of
from .configuration import Config
from .definitions import SourceType
from .removal import drop_table

NOT_ENABLED = "CDC is not enabled on this source."
NOT_FOR_TEAM = "CDC is not enabled for this team."
NOT_CHECKABLE = "CDC prerequisite checks are only supported for CDC enabled sources."
NO_PAUSE = "Couldn't pause the table syncs, so CDC is still on. Try disabling it again in a minute."
NOTHING_TO_REPAIR = "There are no active CDC schemas on this source to repair."
HEALTHY = (
    "CDC looks healthy on this source — the replication slot and publication both exist. "
    "Repair is only available when one of them is missing, because it forces a full re-sync of every CDC schema."
)
REPAIRING = "A repair is already running for this source. Try again in a few minutes."
THRESHOLDS = ("cdc_lag_warning_threshold_mb", "cdc_lag_critical_threshold_mb")


class CdcViewSet(SourceViewSet):
    """Mixed into the viewset of sources."""

    cdc_scopes: ClassVar[dict[str, str | None]] = {
        "check_cdc_prerequisites": WRITE,
        "check_cdc_prerequisites_for_source": WRITE,
        "enable_cdc": WRITE,
        "disable_cdc": WRITE,
        "repair_cdc": WRITE,
        "update_cdc_settings": WRITE,
        "cdc_status": READ,
        # PostHog maps this one to no scope: a key gets 403 (contract 4.1).
        "resume_cdc": None,
    }

    @action(detail=False, methods=["post"])
    def check_cdc_prerequisites(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        data = body_of(request)
        source_type = data.get("source_type")
        if not isinstance(source_type, str) or source_type not in definitions.CDC_TYPES:
            raise Message(NOT_CHECKABLE)
        definition = definitions.definition(source_type)
        config = creation.parse(definition, creation.trimmed(data))
        asked = data.get("tables")
        names = [str(name) for name in asked] if isinstance(asked, list) else []
        refusal = "Could not connect to Postgres to check prerequisites"
        return _verdict(cdc_checks.problems(definition, config, data, refusal, names))

    @action(detail=True, methods=["post"])
    def check_cdc_prerequisites_for_source(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return _verdict(_prerequisites(self.writable(), body_of(request)))

    @action(detail=True, methods=["post"])
    def enable_cdc(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        _definition(source)
        if not self.project.cdc_enabled:
            raise Message(NOT_FOR_TEAM, status_code=status.HTTP_403_FORBIDDEN)
        if cdc.is_on(source.job_inputs):
            raise Message("CDC is already enabled on this source.", status_code=status.HTTP_409_CONFLICT)
        data = body_of(request)
        errors = _prerequisites(source, data)
        if errors:
            raise Message(cdc_checks.NOT_MET, errors=errors)
        _save(source, {**(source.job_inputs or {}), **cdc.settings(data)})
        return Response({"success": True, "schedules_ready": True})

    @action(detail=True, methods=["post"])
    def disable_cdc(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        definition = _definition(source)
        if not cdc.is_on(source.job_inputs):
            return Response({"success": True, "already_disabled": True})
        if vendors.cdc_script(definition, source.job_inputs).get("cannot_pause"):
            raise Message(NO_PAUSE, status_code=status.HTTP_503_SERVICE_UNAVAILABLE)
        with transaction.atomic():
            for schema in _cdc_schemas(source):
                jobs.cancel_sync(schema)
                schema.sync_type = None
                schema.should_sync = False
                schema.next_sync_at = None
                schema.save(update_fields=["sync_type", "should_sync", "next_sync_at"])
            _save(source, cdc.without_settings(source.job_inputs))
        return Response({"success": True})

    @action(detail=True, methods=["post"])
    def repair_cdc(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        definition = _enabled(source)
        if vendors.cdc_script(definition, source.job_inputs).get("repair_running"):
            raise Message(REPAIRING, status_code=status.HTTP_409_CONFLICT)
        schemas = [schema for schema in _cdc_schemas(source) if schema.should_sync]
        if not schemas:
            raise Message(NOTHING_TO_REPAIR)
        facts = cdc_checks.facts_of(definition, source.job_inputs, "Could not connect to source to repair CDC")
        if not cdc.is_lost(source.job_inputs, facts):
            raise Message(HEALTHY)
        with transaction.atomic():
            _save(source, cdc.repaired(source.job_inputs))
            for schema in schemas:
                jobs.cancel_sync(schema)
                schema.latest_error = None
                drop_table(schema)
                schema.save()
                jobs.start_sync(schema)
        return Response({"success": True, "schemas_reset": len(schemas)})

    @action(detail=True, methods=["post"])
    def update_cdc_settings(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.writable()
        _enabled(source)
        data = body_of(request)
        changes: Config = {}
        if "cdc_auto_drop_slot" in data:
            changes["cdc_auto_drop_slot"] = str(bool(data["cdc_auto_drop_slot"]))
        for name in THRESHOLDS:
            if name in data:
                changes[name] = str(_threshold(name, data[name]))
        merged = {**source.job_inputs, **changes}
        warning, critical = (merged.get(name) for name in THRESHOLDS)
        if warning and critical and cdc.integer(warning, 0) >= cdc.integer(critical, 1):
            raise Message("Warning threshold must be less than critical threshold.")
        if not changes:
            return Response({"success": True, "unchanged": True})
        _save(source, merged)
        return Response({"success": True})

    @action(detail=True, methods=["get"])
    def cdc_status(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        source = self.get_object()
        definition = _definition(source)
        config = source.job_inputs or {}
        if not cdc.is_on(config):
            return Response({"enabled": False})
        facts = cdc_checks.facts_of(definition, config, "Could not connect to source to read CDC status")
        lost = cdc.is_lost(config, facts)
        return Response(
            {
                "enabled": True,
                "management_mode": config.get("cdc_management_mode"),
                "slot_name": config.get("cdc_slot_name"),
                "publication_name": config.get("cdc_publication_name"),
                "lag_warning_threshold_mb": cdc.integer(config.get(THRESHOLDS[0]), cdc.LAG_WARNING_MB),
                "lag_critical_threshold_mb": cdc.integer(config.get(THRESHOLDS[1]), cdc.LAG_CRITICAL_MB),
                "schedule_paused": lost,
                "slot_exists": not lost,
                "publication_exists": not lost,
                "lag_bytes": None if lost else facts.lag_bytes,
            }
        )

    @action(detail=True, methods=["post"])
    def resume_cdc(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise Message(NOT_ENABLED)  # never reached: the scope check refuses every key


def _prerequisites(source: ExternalDataSource, data: Config) -> list[str]:
    """Of an existing source, with its stored credentials: only what concerns the server, no tables yet."""
    definition = _definition(source)
    return cdc_checks.problems(
        definition, source.job_inputs or {}, data, "Could not connect to source to check prerequisites"
    )


def _verdict(errors: list[str]) -> Response:
    """Failed checks are a 200 as well (contract 5.11)."""
    return Response({"valid": not errors, "errors": errors})


def _definition(source: ExternalDataSource) -> SourceType:
    if source.source_type not in definitions.CDC_TYPES:
        raise Message(f"CDC is not supported for source type: {source.source_type}")
    return definitions.definition(source.source_type)


def _enabled(source: ExternalDataSource) -> SourceType:
    definition = _definition(source)
    if not cdc.is_on(source.job_inputs):
        raise Message(NOT_ENABLED)
    return definition


def _threshold(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Message(f"{name} must be an integer.") from error
    if number < 1:
        raise Message(f"{name} must be >= 1.")
    return number


def _cdc_schemas(source: ExternalDataSource) -> list[ExternalDataSchema]:
    found = source.schemas.filter(sync_type="cdc", deleted=False).select_related("table", "source").order_by("name")
    return list(found)


def _save(source: ExternalDataSource, config: Config) -> None:
    source.job_inputs = config
    source.save(update_fields=["job_inputs"])
