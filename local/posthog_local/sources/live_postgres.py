"""PostgreSQL as it really is: a source whose host no seed scripts is connected to.

Nothing is copied. What the server says about its tables, keys, indexes, rights and replication is
read from its catalogues, and a finished sync has counted the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from .. import vendors
from . import live_hosts
from .cdc import CdcFacts, TableFacts
from .configuration import Config
from .definitions import SourceType
from .tables import Table

SYSTEM_SCHEMAS = ["information_schema", "pg_catalog", "pg_toast"]
STATEMENT_SECONDS = 30
COUNT_SECONDS = 10
# Tables that the server believes to be larger are not counted: its own estimate is taken.
MOST_COUNTED = 1_000_000
XMIN_VERSION = 130_000

CANNOT_CONNECT = "Could not connect to {type}. Please check all connection details are valid."
CANNOT_FETCH = "Could not fetch schemas from source."
FETCH_TIMEOUT = "Connection timed out while fetching schemas from the source."
TIMED_OUT = "Connection timed out. Does your database have our IP addresses allowed?"
NO_SSL = (
    "SSL/TLS connection is required but your database does not support it. "
    "Please enable SSL/TLS on your PostgreSQL server."
)
# What a driver says -> what PostHog says; the first that is found in the text.
ERRORS = (
    ("password authentication failed for user", vendors.WRONG_PASSWORD),
    ("error received from server in SCRAM exchange: Wrong password", vendors.WRONG_PASSWORD),
    ("could not translate host name", "Could not connect to the host"),
    ("failed to resolve host", "Could not connect to the host"),
    ("Name or service not known", "Could not connect to the host"),
    ("Is the server running on that host and accepting TCP/IP connections", vendors.CANNOT_CONNECT),
    ("Connection refused", vendors.CANNOT_CONNECT),
    ('database "', "Database does not exist"),
    ("timeout expired", TIMED_OUT),
    (
        "the database system is starting up",
        "Your database is starting up or recovering. Wait a moment and try again.",
    ),
    ("SSL/TLS connection is required", NO_SSL),
    ("server does not support SSL, but SSL was required", NO_SSL),
    (
        "SSL connection has been closed unexpectedly",
        "The SSL/TLS connection to your database was closed unexpectedly. "
        "Check your database's SSL configuration and that the port is correct.",
    ),
    (
        "server closed the connection unexpectedly",
        "Your database closed the connection unexpectedly while connecting. This usually means the host or port is "
        "wrong, the server requires SSL/TLS, or a connection pooler, firewall, or SSH tunnel dropped the connection. "
        "Check your host, port, and SSL settings.",
    ),
)
NO_SELECT = (
    "PostHog's database role isn't allowed to read one or more of the tables you selected to sync "
    '(PostgreSQL reported "permission denied"). Grant the connecting role SELECT on those tables '
    "(for example: GRANT SELECT ON <table> TO <role>), then re-enable the sync."
)
RLS_WARNING = (
    "Row-level security is active on this table for the sync role, so PostHog can only read rows the policy permits, "
    "and cannot detect how many rows are hidden. Granting the sync role BYPASSRLS will silence the check."
)

_RELATIONS = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class'),
           CASE WHEN c.relkind IN ('r', 'p') THEN row_security_active(c.oid) ELSE false END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND CASE WHEN %(schema)s::text IS NULL
               THEN n.nspname <> ALL(%(system)s) AND n.nspname !~ '^pg_(toast_)?temp_'
               ELSE n.nspname = %(schema)s END
    ORDER BY n.nspname, c.relname
"""
# Types as information_schema names them.
_COLUMNS = """
    SELECT a.attrelid, a.attname, a.attnotnull,
           CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY'
                WHEN tn.nspname <> 'pg_catalog' THEN 'USER-DEFINED'
                ELSE format_type(t.oid, NULL) END
    FROM pg_attribute a
    JOIN pg_type declared ON declared.oid = a.atttypid
    JOIN pg_type t ON t.oid = CASE WHEN declared.typtype = 'd' THEN declared.typbasetype ELSE declared.oid END
    JOIN pg_namespace tn ON tn.oid = t.typnamespace
    WHERE a.attrelid = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
"""
_KEYS = """
    SELECT i.indrelid, a.attname
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS part(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = part.attnum
    WHERE i.indisprimary AND i.indrelid = ANY(%(tables)s)
    ORDER BY i.indrelid, part.position
"""
# Only the first column of an index helps a cursor, and only if the whole table is in the index.
_INDEXED = """
    SELECT i.indrelid, a.attname
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indkey[0] <> 0 AND i.indisvalid AND i.indpred IS NULL AND i.indrelid = ANY(%(tables)s)
"""
_CAN_CREATE_SLOTS = """
    SELECT r.rolsuper OR r.rolreplication OR EXISTS (
        SELECT FROM pg_auth_members m JOIN pg_roles parent ON parent.oid = m.roleid
        WHERE m.member = r.oid AND parent.rolname IN ('rds_replication', 'rds_superuser'))
    FROM pg_roles r WHERE r.rolname = current_user
"""
_CDC_TABLE = """
    SELECT has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'),
           pg_has_role(c.relowner, 'USAGE'),
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s
"""


class LivePostgres:
    def __init__(self, definition: SourceType, config: Config) -> None:
        self.type = definition.name
        self.config = config
        self._tables: list[Table] | None = None

    # -- what every source asks ---------------------------------------------------------------

    def check_credentials(self) -> None:
        """PostHog lists the tables to see whether it may."""
        try:
            self._tables = self._discover()
        except (psycopg.Error, ValueError) as error:
            text = _friendly(error) or CANNOT_CONNECT.format(type=self.type)
            raise vendors.CredentialsRefused(text) from None

    def tables(self) -> list[Table]:
        if self._tables is not None:
            return self._tables
        try:
            return self._discover()
        except psycopg.errors.QueryCanceled:
            raise vendors.DiscoveryFailed(FETCH_TIMEOUT) from None
        except (psycopg.Error, ValueError) as error:
            text = _friendly(error)
            raise vendors.DiscoveryFailed(FETCH_TIMEOUT if text == TIMED_OUT else text or CANNOT_FETCH) from None

    def synced(self, names: Sequence[str]) -> dict[str, int | str]:
        """What a sync of these tables finds: their rows, or why it fails."""
        try:
            with self.connected() as connection:
                return {name: self._rows(connection, name) for name in names}
        except vendors.VendorError as error:
            return dict.fromkeys(names, str(error))
        except (psycopg.Error, ValueError) as error:
            text = _friendly(error) or CANNOT_CONNECT.format(type=self.type)
            return dict.fromkeys(names, text)

    # -- the connection -----------------------------------------------------------------------

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        refused = live_hosts.refusal(self.type, self.config)
        if refused:
            raise vendors.HostRefused(refused)
        connection = psycopg.connect(
            host=str(self.config["host"]).strip(),
            port=int(self.config["port"]),
            dbname=self.config["database"],
            user=self.config["user"],
            password=self.config["password"],
            connect_timeout=live_hosts.read().connect_seconds,
            sslmode="prefer",
            application_name="posthog-local",
            autocommit=True,
        )
        with connection:
            connection.read_only = True
            connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            yield connection

    @property
    def namespace(self) -> str | None:
        """One schema; None: all of them, with qualified names (contract 11.2)."""
        return str(self.config.get("schema") or "").strip() or None

    # -- tables -------------------------------------------------------------------------------

    def _discover(self) -> list[Table]:
        with self.connected() as connection:
            wanted = {"schema": self.namespace, "system": SYSTEM_SCHEMAS}
            relations = connection.execute(_RELATIONS, wanted).fetchall()
            oids = {"tables": [relation[0] for relation in relations]}
            columns: dict[int, list[dict[str, Any]]] = {}
            for oid, name, not_null, type in connection.execute(_COLUMNS, oids):
                columns.setdefault(oid, []).append({"name": name, "type": type, "nullable": not not_null})
            keys: dict[int, list[str]] = {}
            for oid, name in connection.execute(_KEYS, oids):
                keys.setdefault(oid, []).append(name)
            indexed = set(connection.execute(_INDEXED, oids).fetchall())
            has_xmin = connection.info.server_version >= XMIN_VERSION
        for oid, found in columns.items():
            for column in found:
                column["indexed"] = (oid, column["name"]) in indexed
        return [
            Table(
                name=name if self.namespace else f"{namespace}.{name}",
                columns=columns.get(oid, []),
                primary_key=keys.get(oid, []),
                description=description,
                supports_xmin=has_xmin and kind in ("r", "m"),
                rls_warning=RLS_WARNING if is_restricted else None,
            )
            for oid, namespace, name, kind, description, is_restricted in relations
        ]

    def _rows(self, connection: psycopg.Connection[Any], name: str) -> int | str:
        namespace, _, table = name.partition(".") if self.namespace is None else (self.namespace, "", name)
        estimate = connection.execute(
            "SELECT c.reltuples::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s",
            (namespace, table),
        ).fetchone()
        if estimate is None:
            return f'relation "{namespace}.{table}" does not exist'
        if estimate[0] > MOST_COUNTED:
            return int(estimate[0])
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'")
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(namespace, table))
                row = connection.execute(count).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            return NO_SELECT
        except psycopg.errors.QueryCanceled:
            return max(int(estimate[0]), 0)
        return int(row[0]) if row else 0


def _friendly(error: Exception) -> str | None:
    text = str(error)
    return next((friendly for part, friendly in ERRORS if part in text), None)


# -- change data capture ------------------------------------------------------------------------


def read_cdc_facts(source_type: str, config: Config, tables: Sequence[str]) -> CdcFacts:
    live = LivePostgres(SourceType(source_type, ()), config)
    try:
        with live.connected() as connection:
            return _cdc_facts(connection, tables)
    except (psycopg.Error, ValueError) as error:
        text = _friendly(error) or CANNOT_CONNECT.format(type=source_type)
        raise vendors.CredentialsRefused(text) from None


def _cdc_facts(connection: psycopg.Connection[Any], tables: Sequence[str]) -> CdcFacts:
    def one(query: str) -> Any:
        row = connection.execute(query).fetchone()
        return row[0] if row else None

    return CdcFacts(
        version=connection.info.server_version // 10_000,
        wal_level=one("SHOW wal_level"),
        tables={name: _table_facts(connection, name) for name in tables},
        can_create_slots=bool(one(_CAN_CREATE_SLOTS)),
        slots_in_use=one("SELECT count(*) FROM pg_replication_slots"),
        max_slots=int(one("SHOW max_replication_slots")),
        publications=frozenset(row[0] for row in connection.execute("SELECT pubname FROM pg_publication")),
    )


def _table_facts(connection: psycopg.Connection[Any], name: str) -> TableFacts:
    namespace, _, table = name.partition(".")
    row = connection.execute(_CDC_TABLE, (namespace, table)).fetchone()
    if row is None:
        return TableFacts(exists=False, has_primary_key=False, can_select=False, is_owned=False)
    can_select, is_owned, has_key = row
    return TableFacts(has_primary_key=has_key, can_select=can_select, is_owned=is_owned)
