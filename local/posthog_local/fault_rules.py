"""What a rule of the fault plan may look like; the README lists every key."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from rest_framework import serializers

from .strict import Strict

BEFORE, AFTER = "before", "after"
HEAD, BODY = "head", "body"
Rule = dict[str, Any]

# What each fault takes beside the keys of every rule, and what it takes by default.
OPTIONS: dict[str, dict[str, Any]] = {
    "reset": {"during": HEAD},
    "close": {},
    "hang": {"seconds": None},
    "drip": {"every": 0.3, "during": BODY},
    "truncate": {"framing": "length", "bytes": None, "during": BODY},
    "status": {"status": None, "json": ..., "html": ..., "text": ..., "base64": ..., "headers": {}},
    "redirect": {"status": 302, "to": None},
    "slow": {"seconds": None},
    "hold": {"seconds": 600.0},
    "invisible": {"seconds": ..., "requests": ...},
}
NEEDED = {"hang": ("seconds",), "slow": ("seconds",), "status": ("status",), "redirect": ("to",)}
_BODIES = ("json", "html", "text", "base64")


class _OneOrMany(serializers.ListField):
    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data if isinstance(data, list) else [data])


class _Match(Strict):
    method = _OneOrMany(child=serializers.CharField(), required=False)
    path = serializers.CharField(required=False)
    path_regex = serializers.CharField(required=False)
    query_contains = serializers.CharField(required=False)
    body_contains = serializers.CharField(required=False, trim_whitespace=False)
    body = serializers.JSONField(required=False)

    def validate_path_regex(self, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise serializers.ValidationError(f"This is not a regular expression: {error}.") from error
        return value


class _Rule(Strict):
    name = serializers.CharField(required=False, max_length=200)
    match = _Match(default=dict)
    nth = serializers.IntegerField(min_value=1, default=1)
    times = serializers.IntegerField(min_value=0, default=1)
    chance = serializers.FloatField(min_value=0, max_value=1, default=1.0)
    at = serializers.ChoiceField([BEFORE, AFTER], required=False)
    do = serializers.ChoiceField(list(OPTIONS))
    seconds = serializers.FloatField(min_value=0, required=False)
    requests = serializers.IntegerField(min_value=1, required=False)
    every = serializers.FloatField(min_value=0, required=False)
    during = serializers.ChoiceField([HEAD, BODY], required=False)
    framing = serializers.ChoiceField(["length", "chunked", "close"], required=False)
    bytes = serializers.IntegerField(min_value=0, required=False)
    status = serializers.IntegerField(min_value=200, max_value=599, required=False)
    json = serializers.JSONField(required=False)
    html = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    text = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    base64 = serializers.CharField(required=False, allow_blank=True)
    headers = serializers.DictField(child=serializers.CharField(allow_null=True, allow_blank=True), required=False)
    to = serializers.CharField(required=False)

    def validate(self, rule: Rule) -> Rule:
        do = rule["do"]
        every_rule = {"name", "match", "nth", "times", "chance", "at", "do"}
        for key in rule:
            if key not in every_rule and key not in OPTIONS[do]:
                raise serializers.ValidationError({key: f"'{do}' does not take this."})
        for key in NEEDED.get(do, ()):
            if key not in rule:
                raise serializers.ValidationError({key: f"'{do}' needs this."})
        if len([key for key in _BODIES if key in rule]) > 1:
            raise serializers.ValidationError("Only one of json, html, text and base64 makes a body.")
        if "base64" in rule and not _is_base64(rule["base64"]):
            raise serializers.ValidationError({"base64": "This is not base64."})
        if do == "invisible" and not {"seconds", "requests"} & set(rule):
            raise serializers.ValidationError("'invisible' needs seconds or requests.")
        side = AFTER if do == "invisible" else BEFORE
        if do == "invisible" and rule.get("at", AFTER) != AFTER:
            raise serializers.ValidationError({"at": "'invisible' is about what was just made: after."})
        defaults = {key: value for key, value in OPTIONS[do].items() if value is not ... and value is not None}
        return {"at": side, **defaults, **rule}


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def validate(data: Any) -> list[Rule]:
    """Rules as sent: one object, a list of them, or ``{"rules": [...]}``."""
    if isinstance(data, dict) and set(data) == {"rules"}:
        data = data["rules"]
    given = data if isinstance(data, list) else [data]
    rules = []
    for item in given:
        # A plan that was read can be sent back.
        counted = ("id", "seen", "hits")
        known = isinstance(item, dict)
        serializer = _Rule(data={key: item[key] for key in item if key not in counted} if known else item)
        serializer.is_valid(raise_exception=True)
        rules.append(json.loads(json.dumps(serializer.validated_data)))
    return rules
