"""Change data capture: what a database says about itself, and what PostHog makes of it (contract 5.11, 11.3).

Facts and rules are apart. ``CdcFacts`` is what a database answers; scripted vendors take it from the
seed, a source type that is really connected to registers a reader in ``READERS``. The texts, and the
order in which they are told, are here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .configuration import CDC_KEYS, Config, is_true

POSTHOG = "posthog"
SELF_MANAGED = "self_managed"
OLDEST_VERSION = 13
LAG_WARNING_MB = 1024
LAG_CRITICAL_MB = 10240
FIRST_POINT = "0/0"


@dataclass(frozen=True)
class TableFacts:
    exists: bool = True
    has_primary_key: bool = True
    can_select: bool = True
    is_owned: bool = True


@dataclass(frozen=True)
class CdcFacts:
    """What the database says. ``tables`` is keyed by the qualified names that were asked for."""

    version: int = 16
    wal_level: str = "logical"
    tables: Mapping[str, TableFacts] = field(default_factory=dict)
    can_create_slots: bool = True
    slots_in_use: int = 0
    max_slots: int = 10
    publications: frozenset[str] = frozenset()
    # What no prerequisite asks for, but ``cdc_status`` and ``repair_cdc`` do.
    replication_lost: bool = False
    lag_bytes: int = 0


# ``read(source_type, config, tables) -> CdcFacts`` for source types that are really connected to. The
# tables are qualified (``public.users``). Raises ``vendors.VendorError`` when nothing answers.
CdcReader = Callable[[str, Config, Sequence[str]], CdcFacts]
READERS: dict[str, CdcReader] = {}


def qualified(config: Config, tables: Sequence[str]) -> list[str]:
    """``users`` is in the schema of the connection, or in ``public``."""
    namespace = (config.get("schema") or "").strip() or "public"
    return [name if "." in name else f"{namespace}.{name}" for name in tables]


def unmet(facts: CdcFacts, mode: str, tables: Sequence[str], publication: str, *, owners: bool = True) -> list[str]:
    """The prerequisites that are not met, in PostHog's words and order."""
    known = {name: facts.tables.get(name, TableFacts(exists=False, has_primary_key=False)) for name in tables}
    problems = [
        *_server_problems(facts),
        *(
            f"Table '{name}' has no primary key. CDC requires a primary key on each table."
            for name, table in known.items()
            if not table.has_primary_key
        ),
        *_select_problems(known),
        *_slot_problems(facts),
    ]
    if mode == POSTHOG:
        problems += [
            f"The database user does not own table '{name}'. "
            "PostHog adds the table to its publication, which only the owner of a table may do."
            for name, table in known.items()
            if owners and table.exists and not table.is_owned
        ]
    elif publication and publication not in facts.publications:
        problems.append(
            f"Publication '{publication}' does not exist. "
            f"Create it with: CREATE PUBLICATION {publication} FOR TABLE ...;"
        )
    return problems


def _server_problems(facts: CdcFacts) -> list[str]:
    problems = []
    if facts.version < OLDEST_VERSION:
        problems.append(f"PostgreSQL 13 or later is required for CDC. Your server is running version {facts.version}.")
    if facts.wal_level != "logical":
        problems.append(
            f"wal_level must be set to 'logical' (currently '{facts.wal_level}'). "
            "This requires a PostgreSQL server restart after changing the configuration."
        )
    return problems


def _select_problems(tables: Mapping[str, TableFacts]) -> list[str]:
    problems = []
    for name, table in tables.items():
        if not table.exists:
            problems.append(f"Table '{name}' does not exist.")
        elif not table.can_select:
            problems.append(f"No SELECT permission on table '{name}'.")
    return problems


def _slot_problems(facts: CdcFacts) -> list[str]:
    problems = []
    if not facts.can_create_slots:
        problems.append(
            "The database user cannot create logical replication slots. "
            "Grant one of: REPLICATION attribute (ALTER USER <username> WITH REPLICATION), "
            "superuser, or membership in rds_replication / rds_superuser on RDS."
        )
    if facts.slots_in_use >= facts.max_slots:
        problems.append(
            f"No replication slot capacity available ({facts.slots_in_use}/{facts.max_slots} slots in use). "
            "Increase max_replication_slots in your PostgreSQL configuration."
        )
    return problems


# -- the settings of a source -------------------------------------------------------------------


def is_on(config: Config | None) -> bool:
    return is_true((config or {}).get("cdc_enabled"))


def settings(sent: Mapping[str, Any]) -> Config:
    """What a source keeps once CDC is on: every scalar as text, like all of its configuration."""
    return {
        "cdc_enabled": "True",
        "cdc_management_mode": str(sent.get("cdc_management_mode") or POSTHOG),
        "cdc_slot_name": str(sent.get("cdc_slot_name") or f"posthog_{uuid.uuid4().hex[:12]}"),
        "cdc_publication_name": str(sent.get("cdc_publication_name") or "posthog_pub"),
        "cdc_auto_drop_slot": str(is_true(sent.get("cdc_auto_drop_slot", True))),
        "cdc_lag_warning_threshold_mb": str(sent.get("cdc_lag_warning_threshold_mb") or LAG_WARNING_MB),
        "cdc_lag_critical_threshold_mb": str(sent.get("cdc_lag_critical_threshold_mb") or LAG_CRITICAL_MB),
        "cdc_consistent_point": FIRST_POINT,
    }


def without_settings(config: Config) -> Config:
    return {key: value for key, value in config.items() if key not in CDC_KEYS}


def repaired(config: Config) -> Config:
    """A new slot starts at another point, which is also how a repaired source is told from a lost one."""
    high, _, low = str(config.get("cdc_consistent_point") or FIRST_POINT).partition("/")
    return {**config, "cdc_consistent_point": f"{high}/{int(low or 0) + 1}"}


def is_lost(config: Config, facts: CdcFacts) -> bool:
    return facts.replication_lost and config.get("cdc_consistent_point", FIRST_POINT) == FIRST_POINT


def integer(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
