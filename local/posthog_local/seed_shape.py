"""What a seed may look like. An unknown key is a mistake; the README explains every key."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from . import rate_limits, versions
from .models import ProjectMember
from .sources import definitions, live_hosts
from .strict import Strict

Seed = dict[str, Any]


class InvalidSeed(Exception):
    """One readable sentence."""


class _Flag(serializers.BooleanField):
    """What was given is kept, so ``"no"`` must not pass for a no."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


def _texts() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(), required=False)


class _Organization(Strict):
    name = serializers.CharField(max_length=64)
    allows_personal_keys = _Flag(default=True)


class _DagSeed(Strict):
    id = serializers.UUIDField()
    name = serializers.CharField(max_length=255)
    managed = _Flag(default=False)


class _Project(Strict):
    id = serializers.IntegerField(min_value=1, max_value=2**53, required=False)
    name = serializers.CharField(max_length=200)
    organization = serializers.CharField(required=False)
    timezone = serializers.CharField(default="UTC")
    cdc_enabled = _Flag(default=True)
    sync_limit_reached = _Flag(default=False)
    most_custom_sources = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)
    dags = _DagSeed(many=True, required=False)


class _Key(Strict):
    label = serializers.CharField(max_length=40, default="key")
    value = serializers.CharField(max_length=200)
    scopes = serializers.ListField(child=serializers.CharField(), default=["*"])
    projects = serializers.ListField(child=serializers.IntegerField(), default=[])
    organizations = serializers.ListField(child=serializers.CharField(), default=[])


class _User(Strict):
    email = serializers.EmailField()
    first_name = serializers.CharField(default="", allow_blank=True)
    last_name = serializers.CharField(default="", allow_blank=True)
    is_staff = _Flag(default=False)
    organization = serializers.CharField(required=False)
    current_project = serializers.IntegerField(required=False)
    projects = serializers.DictField(child=serializers.ChoiceField(ProjectMember.Role.values), required=False)
    keys = _Key(many=True, required=False)


class _CdcSeed(Strict):
    version = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    wal_level = serializers.CharField(required=False)
    can_create_slots = _Flag(required=False)
    slots_in_use = serializers.IntegerField(required=False, min_value=0)
    max_slots = serializers.IntegerField(required=False, min_value=0)
    publications = _texts()
    no_select = _texts()
    not_owned = _texts()
    replication_lost = _Flag(required=False)
    lag_bytes = serializers.IntegerField(required=False, min_value=0)
    cannot_pause = _Flag(required=False)
    repair_running = _Flag(required=False)


class _WebhookSeed(Strict):
    refused = serializers.CharField(required=False)
    blocked = serializers.CharField(required=False)
    unreadable = serializers.CharField(required=False)
    inputs_refused = serializers.CharField(required=False)
    delete_refused = serializers.CharField(required=False)
    events = _texts()
    gone = _Flag(required=False)
    returns_secrets = _Flag(required=False)


class _Check(Strict):
    fields = serializers.DictField()
    refused = serializers.CharField()


class _Cursor(Strict):
    field = serializers.CharField()
    field_type = serializers.CharField()
    label = serializers.CharField()
    type = serializers.CharField()


class _ColumnDetails(Strict):
    type = serializers.CharField()
    nullable = _Flag(required=False)
    indexed = _Flag(required=False)


class _Column(serializers.Field):
    """A type, or ``{type, nullable, indexed}``."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            _ColumnDetails(data=data).is_valid(raise_exception=True)
        elif not isinstance(data, str) or not data.strip():
            raise serializers.ValidationError("A column needs a type.")
        return data


class _TableSeed(Strict):
    name = serializers.CharField()
    schema = serializers.CharField(required=False, allow_null=True)
    columns = serializers.DictField(child=_Column())
    primary_key = _texts()
    rows = serializers.IntegerField(required=False, min_value=0, max_value=2**53)
    label = serializers.CharField(required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_null=True)
    cursors = _Cursor(many=True, required=False)
    off_by_default = _Flag(required=False)
    webhook_only = _Flag(required=False)
    supports_webhooks = _Flag(required=False)
    supports_xmin = _Flag(required=False)
    permission_error = serializers.CharField(required=False, allow_null=True)
    sync_error = serializers.CharField(required=False, allow_null=True)


class _VendorSeed(Strict):
    source_type = serializers.ChoiceField(definitions.all_types())
    match = serializers.DictField(default={})
    checks = _Check(many=True, required=False)
    credentials = serializers.DictField(required=False)
    refused = serializers.CharField(required=False)
    unreachable = serializers.CharField(required=False)
    discovery_fails = serializers.CharField(required=False)
    tables = _TableSeed(many=True, required=False)
    cdc = _CdcSeed(required=False)
    webhook = _WebhookSeed(required=False)


class _Clock(Strict):
    sync_seconds = serializers.FloatField(min_value=0)


class _Seed(Strict):
    organizations = _Organization(many=True, required=False)
    projects = _Project(many=True, required=False)
    users = _User(many=True, required=False)
    vendors = _VendorSeed(many=True, required=False)
    clock = _Clock(required=False)
    rate_limits = rate_limits.SeedField(required=False)
    posthog_version = serializers.ChoiceField(list(versions.VERSIONS), required=False)
    databases = live_hosts.DatabasesSerializer(required=False)


def validate(data: Any, name: str = "the seed") -> Seed:
    """The seed as given, with JSON types only, after its shape has been checked."""
    try:
        plain = json.loads(json.dumps(data if data is not None else {}, default=str))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSeed(f"The seed {name} holds something that is not plain data.") from error
    serializer = _Seed(data=plain)
    if not serializer.is_valid():
        where, problem = _first_problem(serializer.errors)
        raise InvalidSeed(f"The seed {name} is not valid: {where}: {problem}")
    return plain


def _first_problem(errors: Any, path: str = "") -> tuple[str, str]:
    if isinstance(errors, dict):
        key = next(iter(errors))
        inner = path if key == "non_field_errors" else f"{path}.{key}".strip(".")
        return _first_problem(errors[key], inner)
    if isinstance(errors, list):
        for index, item in enumerate(errors):
            if isinstance(item, dict):
                if item:
                    return _first_problem(item, f"{path}.{index}".strip("."))
                continue
            return path or "seed", str(item)
    return path or "seed", str(errors)
