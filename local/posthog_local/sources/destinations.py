"""Where synced tables are written to besides PostHog (contract 4.1, 6.1). Any id is taken to be a destination."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

MOST = 10
EMPTY = (
    "Pick at least one destination. To stop syncing this data, turn off syncing instead of removing every destination."
)


class DestinationsBody(serializers.Serializer):
    destination_ids = serializers.ListField(child=serializers.UUIDField(), allow_null=True)


def read(data: Any, *, may_be_null: bool) -> list[str] | None:
    body = DestinationsBody(data=data)
    body.is_valid(raise_exception=True)
    ids = body.validated_data["destination_ids"]
    if not ids and not (ids is None and may_be_null):
        raise serializers.ValidationError({"destination_ids": EMPTY})
    if ids is not None and len(ids) > MOST:
        raise serializers.ValidationError({"destination_ids": f"Pick at most {MOST} destinations."})
    return None if ids is None else [str(item) for item in ids]
