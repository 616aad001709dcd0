"""The other side of a source: databases and SaaS vendors.

A vendor is *scripted* by the seed: whether it accepts credentials, which tables it shows. A host
that no script describes is really connected to, by what is registered in ``CONNECTORS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from . import catalogues, versions
from .models import Vendor as VendorRow
from .sources import cdc, live_hosts
from .sources.cdc import CdcFacts, TableFacts
from .sources.configuration import Config
from .sources.definitions import SourceType
from .sources.tables import Cursor, Table


class VendorError(Exception):
    """A text that PostHog passes on to the user."""


class CredentialsRefused(VendorError):
    """Also when the vendor cannot be reached: PostHog cannot tell the two apart at this point."""


class HostRefused(CredentialsRefused):
    """PostHog does not even try to connect to this host."""


class DiscoveryFailed(VendorError):
    pass


class Vendor(Protocol):
    def check_credentials(self) -> None:
        """Raises ``CredentialsRefused``."""

    def tables(self) -> list[Table]:
        """Raises ``DiscoveryFailed``."""


class LiveVendor(Vendor, Protocol):
    """A database that is really there."""

    def synced(self, names: Sequence[str]) -> dict[str, int | str]:
        """What a sync of these tables finds: their rows, or the text that it fails with."""


# Source type -> a vendor that opens real connections with a configuration.
CONNECTORS: dict[str, Callable[[SourceType, Config], LiveVendor]] = {}

_CDC_FACTS = ("version", "wal_level", "can_create_slots", "slots_in_use", "max_slots", "replication_lost", "lag_bytes")

CANNOT_CONNECT = "Could not connect to the host on the port given"
WRONG_PASSWORD = "Invalid user or password"


def vendor_for(definition: SourceType, config: Config) -> Vendor:
    script = _script(definition.name, config)
    if script is not None:
        return ScriptedVendor(definition, script, config)
    connector = CONNECTORS.get(definition.name)
    if connector is not None:
        return connector(definition, config)
    if definition.is_sql and (refused := live_hosts.refusal(definition.name, config)):
        return Unreachable(refused)
    return Unreachable(CANNOT_CONNECT if definition.is_sql else versions.current().credentials_not_validated)


def live_vendor(definition: SourceType, config: Config) -> LiveVendor | None:
    """None: the database is played by a script, or nothing can connect to it."""
    connector = CONNECTORS.get(definition.name)
    return connector(definition, config) if connector and _script(definition.name, config) is None else None


def _script(source_type: str, config: Config) -> dict[str, Any] | None:
    for row in VendorRow.objects.filter(source_type=source_type).order_by("id"):
        if _matches(row.script.get("match", {}), config):
            return row.script
    return None


def cdc_facts(definition: SourceType, config: Config, tables: Sequence[str]) -> CdcFacts:
    """What the database says about change data capture; ``tables`` are qualified."""
    script = _script(definition.name, config)
    if script is not None:
        return ScriptedVendor(definition, script, config).cdc_facts(tables)
    reader = cdc.READERS.get(definition.name)
    if reader is None:
        raise CredentialsRefused(CANNOT_CONNECT)
    return reader(definition.name, config, tables)


def cdc_script(definition: SourceType, config: Config) -> dict[str, Any]:
    """What the seed says about change data capture; nothing for a database that is really there."""
    script = _script(definition.name, config)
    return script.get("cdc", {}) if script else {}


@dataclass(frozen=True)
class WebhookScript:
    """How a vendor treats the webhook that PostHog registers with it. Texts are refusals."""

    refused: str | None = None
    blocked: str | None = None
    unreadable: str | None = None
    inputs_refused: str | None = None
    delete_refused: str | None = None
    # What the endpoint is subscribed to; None: whatever was asked for.
    events: Sequence[str] | None = None
    # Somebody has removed the endpoint at the vendor.
    gone: bool = False
    # Whether the vendor hands out the secrets that it signs with.
    returns_secrets: bool = True


def webhook_script(definition: SourceType, config: Config) -> WebhookScript:
    script = _script(definition.name, config)
    if script is None:
        text = versions.current().credentials_not_validated
        return WebhookScript(refused=text, unreadable=text, inputs_refused=text, delete_refused=text)
    return WebhookScript(**script.get("webhook", {}))


def _value(config: Config, path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _matches(wanted: dict[str, Any], config: Config) -> bool:
    return all(str(_value(config, path)) == str(value) for path, value in wanted.items())


class Unreachable:
    """Nothing answers there."""

    def __init__(self, text: str) -> None:
        self.text = text

    def check_credentials(self) -> None:
        raise CredentialsRefused(self.text)

    def tables(self) -> list[Table]:
        raise DiscoveryFailed(self.text)


class ScriptedVendor:
    """A vendor described by the seed; the keys are explained in the README."""

    def __init__(self, definition: SourceType, script: dict[str, Any], config: Config) -> None:
        self.definition = definition
        self.script = script
        self.config = config

    def check_credentials(self) -> None:
        if self.script.get("unreachable"):
            raise CredentialsRefused(str(self.script["unreachable"]))
        for check in self.script.get("checks", ()):
            if not _matches(check["fields"], self.config):
                raise CredentialsRefused(check["refused"])
        if not _matches(self.script.get("credentials", {}), self.config):
            default = WRONG_PASSWORD if self.definition.is_sql else f"Invalid {self.definition.name} API key"
            raise CredentialsRefused(self.script.get("refused", default))

    def tables(self) -> list[Table]:
        if self.script.get("discovery_fails"):
            raise DiscoveryFailed(str(self.script["discovery_fails"]))
        if "tables" not in self.script:
            return catalogues.tables(self.definition.name)
        wanted = (self.config.get("schema") or "").strip()
        tables = []
        for spec in self.script["tables"]:
            namespace = spec.get("schema")
            if wanted and namespace and namespace != wanted:
                continue
            # All schemas at once: the names are qualified (contract 11.2).
            name = f"{namespace}.{spec['name']}" if namespace and not wanted else spec["name"]
            tables.append(self._table(name, spec))
        return tables

    def cdc_facts(self, tables: Sequence[str]) -> CdcFacts:
        self.check_credentials()
        script = self.script.get("cdc", {})
        keys = {
            f"{spec.get('schema') or 'public'}.{spec['name']}": bool(spec.get("primary_key"))
            for spec in self.script.get("tables", ())
        }
        found = {
            name: TableFacts(
                has_primary_key=keys[name],
                can_select=name not in script.get("no_select", ()),
                is_owned=name not in script.get("not_owned", ()),
            )
            for name in tables
            if name in keys
        }
        facts = {key: value for key, value in script.items() if key in _CDC_FACTS}
        return CdcFacts(**{**facts, "tables": found, "publications": frozenset(script.get("publications", ()))})

    def _table(self, name: str, spec: dict[str, Any]) -> Table:
        columns = []
        for column, kind in spec["columns"].items():
            columns.append({"name": column, **(kind if isinstance(kind, dict) else {"type": kind})})
        cursors = spec.get("cursors")
        return Table(
            name=name,
            columns=columns,
            primary_key=list(spec.get("primary_key", ())),
            rows=spec.get("rows", 0),
            label=spec.get("label"),
            description=spec.get("description"),
            cursors=None if cursors is None else [Cursor(**cursor) for cursor in cursors],
            webhook_only=spec.get("webhook_only", False),
            supports_webhooks=spec.get("supports_webhooks", False),
            off_by_default=spec.get("off_by_default", False),
            supports_xmin=spec.get("supports_xmin", False),
            sync_error=spec.get("sync_error"),
            permission_error=spec.get("permission_error"),
        )
