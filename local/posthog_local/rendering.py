"""JSON in and out."""

from __future__ import annotations

import json
import math
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as RestJSONParser
from rest_framework.renderers import JSONRenderer as RestJSONRenderer


def _refuse_infinity(data: Any) -> None:
    """``1e999`` is a number to JSON and infinity to Python."""
    stack = [data]
    while stack:
        value = stack.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("Out of range float values are not JSON compliant")
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


class JSONRenderer(RestJSONRenderer):
    """DRF's renderer, except that text which is not valid Unicode is escaped instead of failing."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        try:
            return super().render(data, accepted_media_type, renderer_context)
        except UnicodeEncodeError:  # a lone surrogate, as in "\ud800"
            return json.dumps(data, cls=self.encoder_class, separators=(",", ":")).encode()


class JSONParser(RestJSONParser):
    """DRF's parser, except that what Python can read but no JSON can hold is refused as well."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
            _refuse_infinity(data)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        return data
