"""``bulk_update_schemas`` (contract 5.6): all items validated first, then saved one by one."""

from __future__ import annotations

from typing import Any

from django.db import OperationalError, transaction
from rest_framework import exceptions, serializers, status

from ..models import ExternalDataSchema, ExternalDataSource, Project
from .schema_rules import SchemaSettings
from .tables import Table


class BulkSaveFailed(exceptions.APIException):
    default_code = "bulk_schema_save_failed"

    def __init__(self, failures: dict[str, str], *, invalid: bool) -> None:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in failures.items())
        super().__init__(
            f"These schemas in the batch could not be saved: {reasons}. "
            "Any other schemas in the batch were saved successfully — retry the ones listed here."
        )
        # Bad input is the caller's to fix; trouble with the database may be retried.
        self.status_code = status.HTTP_400_BAD_REQUEST if invalid else status.HTTP_503_SERVICE_UNAVAILABLE


class BulkItem(SchemaSettings):
    id = serializers.UUIDField()
    apply_sync_defaults = serializers.BooleanField(required=False, default=False)


class BulkBody(serializers.Serializer):
    schemas = BulkItem(many=True, allow_empty=False)


def update(source: ExternalDataSource, body: Any, project: Project) -> list[ExternalDataSchema]:
    serializer = BulkBody(data=body, context={"project": project})
    serializer.is_valid(raise_exception=True)
    items = serializer.validated_data["schemas"]
    ids = [item["id"] for item in items]
    if len(set(ids)) != len(ids):
        raise serializers.ValidationError("Schema updates must contain unique ids")
    found = {schema.id: schema for schema in source.live_schemas}
    if any(item_id not in found for item_id in ids):
        raise serializers.ValidationError("One or more schemas could not be found for this source")
    failures: dict[str, str] = {}
    only_invalid = True
    for item in items:
        schema = found[item["id"]]
        schema.source = source
        settings = {key: value for key, value in item.items() if key not in ("id", "apply_sync_defaults")}
        if item["apply_sync_defaults"] and schema.sync_type is None and not settings.get("sync_type"):
            settings = _defaults(schema) | settings
        try:
            with transaction.atomic():
                SchemaSettings(context={"project": project}).update(schema, settings)
        except serializers.ValidationError as error:
            failures[schema.name] = _text(error)
        except OperationalError:
            failures[schema.name] = "We couldn't reach the database just now."
            only_invalid = False
    if failures:
        raise BulkSaveFailed(failures, invalid=only_invalid)
    return list(ExternalDataSchema.objects.filter(id__in=ids).select_related("table").order_by("name"))


def _defaults(schema: ExternalDataSchema) -> dict[str, Any]:
    settings = Table.from_dict(schema.discovered).default_settings()
    return {key: value for key, value in settings.items() if key.startswith(("sync_type", "incremental"))}


def _text(error: serializers.ValidationError) -> str:
    detail = error.detail
    if isinstance(detail, dict):
        return " ".join(f"{field}: {value}" for field, value in detail.items())
    return " ".join(str(item) for item in detail)
