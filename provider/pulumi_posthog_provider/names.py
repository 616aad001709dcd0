"""How PostHog names what it makes. Imported by the engine side and by the SDK, so it imports nothing."""

from __future__ import annotations

import re

RESERVED_TABLES = frozenset(
    ["events", "persons", "groups", "sessions", "person_distinct_ids", "cohort_people", "static_cohort_people"]
)
"""Tables of PostHog's own in every version: no view can have these names (contract 3.4)."""


def code_name(name: str) -> str:
    """The name of a variable in queries, as PostHog derives it from the display name (contract 2.3)."""
    kept = "".join(char for char in name.strip() if char.isalnum() or char in " _")
    return kept.replace(" ", "_").lower()


def table_beginnings(source_type: str, prefix: str) -> tuple[str, str]:
    """What the names of a source's tables begin with in queries, in both spellings (contract 11.2), in lower case.

    A table ``users`` of a Postgres source with the prefix ``prod_`` is ``prod_postgres_users`` and
    ``postgres.prod.users``.
    """
    dotted = [part for part in (source_type, prefix.strip("_")) if part]
    return f"{prefix}{source_type}_".lower(), "".join(f"{part}." for part in dotted).lower()


_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_id(text: str) -> bool:
    """Whether this may be the id of an object: PostHog's are UUIDs."""
    return _ID.fullmatch(text) is not None
