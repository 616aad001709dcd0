"""The prerequisites of change data capture, asked of a source's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import vendors, versions
from ..errors import Message
from . import cdc
from .configuration import Config, mask
from .definitions import SourceType

NOT_MET = "CDC prerequisites not met."
BAD_MODE = "cdc_management_mode must be 'posthog' or 'self_managed'."


def mode_of(sent: Mapping[str, Any]) -> str:
    mode = sent.get("cdc_management_mode", cdc.POSTHOG)
    if mode not in (cdc.POSTHOG, cdc.SELF_MANAGED):
        raise Message(BAD_MODE)
    return str(mode)


def facts_of(definition: SourceType, config: Config, refusal: str, tables: Sequence[str] = ()) -> cdc.CdcFacts:
    try:
        return vendors.cdc_facts(definition, config, tables)
    except vendors.HostRefused as error:
        raise Message(str(error)) from error
    except vendors.VendorError as error:
        raise Message(f"{refusal}: {mask(definition, config, str(error))}") from error


def problems(
    definition: SourceType, config: Config, sent: Mapping[str, Any], refusal: str, tables: Sequence[str] = ()
) -> list[str]:
    """The mode is looked at before the database is."""
    mode = mode_of(sent)
    names = cdc.qualified(config, tables)
    facts = facts_of(definition, config, refusal, names)
    publication = str(sent.get("cdc_publication_name") or "")
    return cdc.unmet(facts, mode, names, publication, owners=versions.current().tables_can_be_owned)
