"""``insight_variables`` (contract 2)."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework import mixins, serializers

from . import clock, versions
from .models import InsightVariable
from .pagination import VariablePages
from .viewsets import ProjectViewSet

DUPLICATE = "Variable with this code name already exists"
LIST = InsightVariable.Type.LIST
QUERY_FIELDS = ("is_multi", "values_query", "values_query_connection_id")


def code_name(name: str) -> str:
    """Contract 2.3: Unicode alphanumerics, blanks as underscores, lower case."""
    kept = "".join(character for character in name if character.isalnum() or character in " _")
    return kept.replace(" ", "_").lower()


def _scalar_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def coerce_values(values: Any) -> list[str]:
    """Contract 2.4 rules 2 and 3, when writing."""
    if not isinstance(values, list):
        return []
    for index, value in enumerate(values):
        if isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "an array"
            raise serializers.ValidationError(
                {
                    "values": f"List variable values must be strings or numbers (got {kind} at index {index}). "
                    "Enter each value as plain text or a number."
                }
            )
    return [_scalar_text(value) for value in values if value is not None]


def _default_text(value: Any) -> str:
    """Contract 2.4 rule 4 for one value."""
    if value is None:
        return ""
    if isinstance(value, list):
        return _default_text(value[0]) if value else ""
    if isinstance(value, dict):
        for key in ("value", "label"):
            if value.get(key) is not None and not isinstance(value[key], dict | list):
                return _scalar_text(value[key])
        return json.dumps(value)
    return _scalar_text(value)


def coerce_default(value: Any, *, is_multi: bool) -> str | list[str]:
    """Contract 2.4 rules 4 to 6."""
    if not is_multi:
        return _default_text(value)
    values = value if isinstance(value, list) else [value]
    return [_default_text(item) for item in values if item is not None]


def read_values(values: Any) -> list[str]:
    if not isinstance(values, list):
        return []
    return [_default_text(value) for value in values if value is not None]


def read_default(value: Any, *, is_multi: bool) -> str | list[str] | None:
    if value is None and not is_multi:
        return None
    return coerce_default(value, is_multi=is_multi)


class InsightVariableSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=400)
    type = serializers.ChoiceField(InsightVariable.Type.choices)
    default_value = serializers.JSONField(required=False, allow_null=True)
    values = serializers.JSONField(required=False, allow_null=True)
    is_multi = serializers.BooleanField(required=False)
    values_query = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    values_query_connection_id = serializers.CharField(required=False, allow_null=True, allow_blank=True)

    @cached_property
    def version(self) -> versions.Version:
        return self.context.get("version") or versions.current()

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        if not self.version.variables_have_queries:
            for name in QUERY_FIELDS:
                del fields[name]
        return fields

    def to_representation(self, instance: InsightVariable) -> dict[str, Any]:
        # Written out: a page holds 500 rows, and field by field costs ten times as much.
        version = self.version
        is_list = instance.type == LIST and version.list_elements_become_text
        queries = {
            "is_multi": instance.is_multi,
            "values_query": instance.values_query,
            "values_query_connection_id": instance.values_query_connection_id,
        }
        return {
            "id": str(instance.id),
            "name": instance.name,
            "type": instance.type,
            "default_value": (
                read_default(instance.default_value, is_multi=instance.is_multi) if is_list else instance.default_value
            ),
            "created_by": instance.created_by_id,
            "created_at": instance.created_at,
            "code_name": instance.code_name,
            "values": read_values(instance.values) if is_list else instance.values,
            **(queries if version.variables_have_queries else {}),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        stored = self.instance
        is_list = attrs.get("type", stored.type if stored else None) == LIST
        if not self.version.list_elements_become_text:
            if is_list and attrs.get("values", stored) is None:
                attrs["values"] = []
            return attrs
        if is_list:
            self._normalise_list(attrs)
        else:
            attrs["is_multi"] = False
            attrs["values_query"] = None
        if "values_query" in attrs:
            attrs["values_query"] = attrs["values_query"] or None
        query = attrs.get("values_query", stored.values_query if stored else None)
        if not query:
            attrs["values_query_connection_id"] = None
        return attrs

    def _normalise_list(self, attrs: dict[str, Any]) -> None:
        stored = self.instance
        was_multi = stored.is_multi if stored else False
        is_multi = attrs.get("is_multi", was_multi)
        if "values" in attrs:
            attrs["values"] = coerce_values(attrs["values"])
        if "default_value" in attrs:
            attrs["default_value"] = coerce_default(attrs["default_value"], is_multi=is_multi)
        elif is_multi != was_multi:
            before = stored.default_value if stored else None
            attrs["default_value"] = coerce_default(before, is_multi=is_multi)

    def create(self, validated_data: dict[str, Any]) -> InsightVariable:
        variable = InsightVariable(
            **validated_data,
            project=self.context["project"],
            code_name=code_name(validated_data["name"]),
            created_by=self.context["user"],
            created_at=clock.now(),
        )
        try:
            # No savepoint: a refusal rolls everything back anyway.
            with transaction.atomic(savepoint=False):
                variable.save(force_insert=True)
        except IntegrityError as error:
            raise serializers.ValidationError(DUPLICATE) from error
        return variable

    def update(self, variable: InsightVariable, validated_data: dict[str, Any]) -> InsightVariable:
        for name, value in validated_data.items():
            setattr(variable, name, value)
        variable.save()
        return variable


class InsightVariableViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ProjectViewSet,
):
    scope_object = "insight_variable"
    serializer_class = InsightVariableSerializer
    pagination_class = VariablePages

    def get_queryset(self):  # type: ignore[no-untyped-def]
        # PostHog declares no order; its ids grow with time, so this is what it shows (contract 1.4).
        return InsightVariable.objects.filter(project=self.project).order_by("id")
