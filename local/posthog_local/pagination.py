"""The page styles and sizes of contract 1.4."""

from rest_framework.pagination import LimitOffsetPagination, PageNumberPagination
from rest_framework.request import Request

_LARGEST = 2**31


class VariablePages(PageNumberPagination):
    page_size = 500


class SavedQueryPages(PageNumberPagination):
    page_size = 1000


class LimitOffsetPages(LimitOffsetPagination):
    """No maximum (contract 1.4), but numbers that SQLite cannot count to are cut."""

    default_limit = 100

    def get_limit(self, request: Request) -> int | None:
        limit = super().get_limit(request)
        return None if limit is None else min(limit, _LARGEST)

    def get_offset(self, request: Request) -> int:
        return min(super().get_offset(request), _LARGEST)
