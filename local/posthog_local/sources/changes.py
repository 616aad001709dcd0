"""PATCH of a source (contract 4.5)."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework import serializers

from .. import vendors, versions
from ..models import ExternalDataSource
from . import configuration, definitions, prefixes
from .configuration import Config

ACCESS_FIXED = "Access method cannot be changed. Create a new source instead."
NO_AUTO_SYNC = (
    "Auto-syncing new schemas is not supported for direct query sources, because their schemas resolve at query time."
)


class ChangeSerializer(serializers.Serializer):
    """What can be changed; the rest of the body is ignored."""

    prefix = serializers.CharField(max_length=100, required=False, allow_null=True, allow_blank=True)
    description = serializers.CharField(max_length=400, required=False, allow_null=True, allow_blank=True)
    access_method = serializers.ChoiceField(ExternalDataSource.Access.values, required=False)
    direct_query_enabled = serializers.BooleanField(required=False)
    auto_sync_new_schemas = serializers.BooleanField(required=False)
    auto_sync_schema_patterns = serializers.ListField(
        child=serializers.CharField(max_length=250), max_length=100, required=False, allow_null=True
    )
    job_inputs = serializers.DictField(required=False, allow_null=True)

    def validate_job_inputs(self, value: Config | None) -> Config | None:
        if value is None:
            return None
        for field in self.context["definition"].fields:
            given = value.get(field.name)
            if hasattr(field, "options") and given is not None and not isinstance(given, dict):
                raise serializers.ValidationError({field.name: "Must be an object."})
        return value


def apply(source: ExternalDataSource, body: Any) -> None:
    definition = definitions.definition(source.source_type)
    serializer = ChangeSerializer(data=body, context={"definition": definition})
    serializer.is_valid(raise_exception=True)
    data = serializer.validated_data
    _check(source, data)
    config = _new_config(source, data.get("job_inputs"))
    if not versions.current().direct_query_can_be_enabled:
        data.pop("direct_query_enabled", None)
    with transaction.atomic():
        row = ExternalDataSource.objects.get(pk=source.pk)
        for name in (
            "description",
            "direct_query_enabled",
            "auto_sync_new_schemas",
            "auto_sync_schema_patterns",
        ):
            if name in data:
                setattr(row, name, data[name])
        if row.access_method == prefixes.DIRECT and "prefix" in data:
            row.prefix = data["prefix"]
        if config is not None:
            row.job_inputs = config
        row.save()


def _check(source: ExternalDataSource, data: dict[str, Any]) -> None:
    if data.get("access_method", source.access_method) != source.access_method:
        raise serializers.ValidationError(ACCESS_FIXED)
    if source.access_method != prefixes.DIRECT:
        return
    if "prefix" in data and not (data["prefix"] or "").strip():
        raise serializers.ValidationError(prefixes.NAME_REQUIRED)
    if data.get("auto_sync_new_schemas") or data.get("auto_sync_schema_patterns"):
        raise serializers.ValidationError(NO_AUTO_SYNC)


def _new_config(source: ExternalDataSource, sent: Config | None) -> Config | None:
    """The merged configuration, or None when it means the same as the stored one: then no probe."""
    if sent is None:
        return None
    definition = definitions.definition(source.source_type)
    stored = source.job_inputs or {}
    try:
        merged = configuration.merge(definition, stored, sent)
        if configuration.same(stored, merged):
            return None
        configuration.require_credentials(definition, stored, merged, sent)
        config = configuration.parse(definition, merged)
        vendors.vendor_for(definition, config).check_credentials()
    except configuration.NotAnObject as error:
        raise serializers.ValidationError({"job_inputs": {str(error): "Must be an object."}}) from error
    except (configuration.CredentialsNeeded, configuration.InvalidConfig) as error:
        raise serializers.ValidationError(str(error)) from error
    except vendors.VendorError as error:
        raise serializers.ValidationError(configuration.mask(definition, config, str(error))) from error
    # cdc_* belong to the server: what a client sends for them is ignored.
    return {**config, **{key: stored[key] for key in configuration.CDC_KEYS if key in stored}}
