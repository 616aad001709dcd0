"""Reading what people write: seeds, fault plans, limits."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from rest_framework import serializers


class Strict(serializers.Serializer):
    """An unknown key is a mistake, never something to ignore."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(map(str, data)) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({unknown[0]: self._unknown(unknown[0])})
        return super().to_internal_value(data)

    def _unknown(self, key: str) -> str:
        meant = get_close_matches(key, self.fields, 1)
        return f"This key is not known. Is it '{meant[0]}'?" if meant else "This key is not known."
