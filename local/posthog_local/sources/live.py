"""Source types that are really connected to. Their drivers are loaded when they are needed."""

from __future__ import annotations

from collections.abc import Sequence

from .. import vendors
from . import cdc
from .cdc import CdcFacts
from .configuration import Config
from .definitions import POSTGRES_WIRE, SourceType


def register() -> None:
    for name in POSTGRES_WIRE:
        vendors.CONNECTORS[name] = _postgres
        cdc.READERS[name] = _postgres_cdc_facts


def _postgres(definition: SourceType, config: Config) -> vendors.LiveVendor:
    from .live_postgres import LivePostgres

    return LivePostgres(definition, config)


def _postgres_cdc_facts(source_type: str, config: Config, tables: Sequence[str]) -> CdcFacts:
    from .live_postgres import read_cdc_facts

    return read_cdc_facts(source_type, config, tables)
