"""Sources whose database is really there: two PostgreSQL servers, with and without logical replication."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import postgres_server
from .harness import Api, invalid
from .postgres_server import OWNER, PASSWORD, Postgres, literal

S = "external_data_sources/"
SCHEMA = f"{S}database_schema/"
CHECK = f"{S}check_cdc_prerequisites/"
DATABASES = "/__local/databases"
READER = "p-reader-sentinel"

TABLES = """
CREATE SCHEMA billing;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN amount AS numeric(10, 2);
CREATE TABLE customers (
    id serial PRIMARY KEY, email varchar(200) NOT NULL, balance numeric(10, 2), tags text[], mood mood, meta jsonb,
    price amount, born date, created_at timestamptz NOT NULL, updated_at timestamp, visits bigint, dropped int, ok boolean
);
ALTER TABLE customers DROP COLUMN dropped;
COMMENT ON TABLE customers IS 'Who buys';
CREATE INDEX ON customers (updated_at, visits);
CREATE INDEX ON customers (created_at) WHERE visits > 1;
INSERT INTO customers (email, created_at) SELECT 'a' || n, now() FROM generate_series(1, 25) n;
CREATE TABLE events_log (path text, seen_at timestamp);
CREATE TABLE "Odd ""name" (b int, a int, PRIMARY KEY (a, b));
CREATE VIEW good AS SELECT id, email FROM customers;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM customers;
CREATE TABLE parted (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE secured (id int PRIMARY KEY);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE TABLE billing.invoices (id uuid PRIMARY KEY, amount numeric, issued_at timestamptz);
INSERT INTO billing.invoices SELECT gen_random_uuid(), n, now() FROM generate_series(1, 3) n;
"""


def fill(postgres: Postgres) -> None:
    postgres.run(
        "ALTER SCHEMA public OWNER TO " + OWNER,
        f"SET ROLE {OWNER}; {TABLES}",
        f"RESET ROLE; CREATE ROLE reader LOGIN PASSWORD {literal(READER)}; GRANT SELECT ON customers TO reader;"
        " CREATE TABLE foreign_owner (id int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE customers;"
        f" GRANT SELECT ON foreign_owner TO {OWNER}",
    )


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    with postgres_server.folder() as path:
        yield postgres_server.initialize(path)


@pytest.fixture(scope="session")
def logical(cluster: Path) -> Iterator[Postgres]:
    with postgres_server.serve(cluster, "logical", wal_level="logical") as postgres:
        fill(postgres)
        yield postgres


@pytest.fixture(scope="session")
def replica(cluster: Path) -> Iterator[Postgres]:
    settings = {"wal_level": "replica", "max_replication_slots": 1}
    with postgres_server.serve(cluster, "replica", **settings) as postgres:
        fill(postgres)
        postgres.run("SELECT pg_create_physical_replication_slot('taken')")
        yield postgres


@pytest.fixture
def api(local: Api) -> Api:
    return local


def tables(api: Api, postgres: Postgres, **payload: Any) -> dict[str, dict[str, Any]]:
    body = {"source_type": "Postgres", **postgres.payload, **payload}
    return {item["table"]: item for item in api.ok("POST", SCHEMA, body)}


def refused(api: Api, postgres: Postgres, message: str, **payload: Any) -> None:
    """The same text from everything that connects; never with the password."""
    connection = {**postgres.payload, **payload}
    for path, body in (
        (SCHEMA, {"source_type": "Postgres", **connection}),
        (S, {"source_type": "Postgres", "payload": connection}),
    ):
        answer = api("POST", path, body)
        assert (answer.status_code, answer.json()) == (400, {"message": message})
        assert "sentinel" not in answer.text
    assert api.ok("GET", S)["count"] == 0


def source(api: Api, postgres: Postgres, *schemas: dict[str, Any], **payload: Any) -> dict[str, Any]:
    body = {"source_type": "Postgres", "payload": {**postgres.payload, **payload, "schemas": list(schemas)}}
    made = api.ok("POST", S, body, 201)
    return api.ok("GET", f"{S}{made['id']}/")


# -- what is discovered -------------------------------------------------------------------------


def test_one_schema(api: Api, logical: Postgres) -> None:
    found = tables(api, logical, schema="public")
    assert list(found) == sorted(
        ['Odd "name', "counted", "customers", "events_log", "foreign_owner", "good", "parted", "parted_2026", "secured"]
    )


def test_all_schemas(api: Api, logical: Postgres) -> None:
    found = tables(api, logical)
    assert {"billing.invoices", "public.customers", 'public.Odd "name'} <= set(found)
    assert not [name for name in found if name.startswith(("pg_", "information_schema"))]
    assert tables(api, logical, schema="  ").keys() == found.keys()
    assert tables(api, logical, schema="billing").keys() == {"invoices"}
    assert tables(api, logical, schema="nowhere") == {}


def test_a_table(api: Api, logical: Postgres) -> None:
    customers = tables(api, logical, schema="public")["customers"]
    assert {column["field"]: (column["type"], column["nullable"]) for column in customers["available_columns"]} == {
        "id": ("integer", False),
        "email": ("character varying", False),
        "balance": ("numeric", True),
        "tags": ("ARRAY", True),
        "mood": ("USER-DEFINED", True),
        "meta": ("jsonb", True),
        "price": ("numeric", True),
        "born": ("date", True),
        "created_at": ("timestamp with time zone", False),
        "updated_at": ("timestamp without time zone", True),
        "visits": ("bigint", True),
        "ok": ("boolean", True),
    }
    cursors = {
        item["field"]: (item["type"], item["nullable"], item["is_indexed"]) for item in customers["incremental_fields"]
    }
    assert cursors["id"] == ("integer", False, True)
    assert cursors["updated_at"] == ("timestamp", True, True)
    assert cursors["created_at"] == ("timestamp", False, False)  # its index is partial
    assert cursors["visits"] == ("integer", True, False)  # only the second of an index
    assert cursors["born"] == ("date", True, False)
    assert customers["detected_primary_keys"] == ["id"]
    assert (customers["description"], customers["rows"], customers["rls_warning"]) == ("Who buys", None, None)


def test_keys_and_kinds(api: Api, logical: Postgres) -> None:
    found = tables(api, logical, schema="public")
    keys = {name: item["detected_primary_keys"] for name, item in found.items()}
    assert keys['Odd "name'] == ["a", "b"]  # in the order of the key
    assert (keys["events_log"], keys["good"], keys["parted"]) == (None, None, ["id", "day"])
    xmin = {name for name, item in found.items() if item["xmin_available"]}
    assert xmin == set(found) - {"good", "parted"}
    assert found["secured"]["rls_warning"].startswith("Row-level security is active on this table for the sync role")


@pytest.mark.parametrize("source_type", ["Supabase", "Neon"])
def test_wire_compatible_types(api: Api, logical: Postgres, source_type: str) -> None:
    found = api.ok("POST", SCHEMA, {"source_type": source_type, **logical.payload, "schema": "billing"})
    assert [item["table"] for item in found] == ["invoices"]


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"password": "wrong-sentinel"}, "Invalid user or password"),
        ({"user": "nobody_sentinel"}, "Invalid user or password"),
        ({"database": "nowhere"}, "Database does not exist"),
        ({"port": 1}, "Could not connect to the host on the port given"),
        ({"host": "nowhere.invalid"}, "Could not connect to the host"),
        ({"port": 99999}, "Could not connect to Postgres. Please check all connection details are valid."),
        ({"database": "a\u0001b"}, "Database does not exist"),
        ({"user": "x" * 5000}, "Invalid user or password"),
    ],
)
def test_refused(api: Api, logical: Postgres, payload: dict[str, Any], message: str) -> None:
    refused(api, logical, message, **payload)


@pytest.mark.parametrize("host", ["postgres://db.example.com", "/var/run/postgresql", "user:pw@db.example.com", "a,b"])
def test_the_host_is_a_host(api: Api, logical: Postgres, host: str) -> None:
    body = {"source_type": "Postgres", **logical.payload, "host": host}
    answer = api("POST", SCHEMA, body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Enter just the hostname in the host field")


def test_nothing_answers(api: Api, logical: Postgres) -> None:
    """Somebody listens and says nothing."""
    api.ok("PUT", DATABASES, {"connect_seconds": 2})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        body = {"source_type": "Postgres", **logical.payload, "port": silent.getsockname()[1]}
        answer = api("POST", SCHEMA, body)
        assert answer.json() == {"message": "Connection timed out. Does your database have our IP addresses allowed?"}


def test_not_a_database(api: Api, logical: Postgres) -> None:
    api.ok("PUT", DATABASES, {"connect_seconds": 2})
    port = int(api.url.rpartition(":")[2])
    answer = api("POST", SCHEMA, {"source_type": "Postgres", **logical.payload, "port": port})
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]


@pytest.mark.parametrize(
    ("tunnel", "message"),
    [
        ({"auth": {"selection": "password", "username": "u"}, "port": 22}, "Username and password required"),
        ({"auth": {"selection": "keypair", "username": "u"}, "port": 22}, "Private key is required"),
        ({"auth": {"username": "u", "password": "p"}, "port": 443}, "Port 443 is not allowed"),
        ({"auth": {"username": "u", "password": "p"}, "port": "x"}, "Port must be a number between 1 and 65535"),
        ({"auth": {"username": "u", "password": "p"}, "port": 0}, "Port must be between 1 and 65535"),
        (
            {"auth": {"username": "u", "password": "p"}, "port": 22},
            "Could not connect to Postgres via the SSH tunnel. Please check all connection details are valid.",
        ),
    ],
)
def test_tunnels(api: Api, logical: Postgres, tunnel: dict[str, Any], message: str) -> None:
    refused(api, logical, message, ssh_tunnel={"enabled": True, "host": "bastion", **tunnel})
    assert tables(api, logical, ssh_tunnel={"enabled": False, "host": "bastion", **tunnel})


def test_private_hosts(api: Api, logical: Postgres) -> None:
    api.ok("PUT", DATABASES, {"refuse_private_hosts": True})
    message = (
        "This host points to an internal or private IP address, which PostHog can't reach. Use a host that's reachable "
        "from the public internet. If your database isn't publicly reachable, connect through an SSH tunnel."
    )
    for host in ("127.0.0.1", "localhost", "10.1.2.3", "::1"):
        refused(api, logical, message, host=host)
    refused(api, logical, "Host could not be resolved", host="nowhere.invalid")
    api.refused("POST", CHECK, {"source_type": "Postgres", **logical.payload}, {"message": message})
    mysql = {"source_type": "MySQL", **logical.payload}
    api.refused("POST", SCHEMA, mysql, {"message": message})
    api.ok("PUT", DATABASES, {})
    assert tables(api, logical)


def test_settings_of_databases(api: Api) -> None:
    assert api.ok("GET", DATABASES) == {"refuse_private_hosts": False, "connect_seconds": 5}
    assert api("PUT", DATABASES, {"connect_seconds": 0}).status_code == 400
    assert api("PUT", DATABASES, {"unknown": 0}).status_code == 400


# -- sources ------------------------------------------------------------------------------------


def test_a_source_and_its_first_sync(api: Api, logical: Postgres) -> None:
    made = source(
        api,
        logical,
        {
            "name": "customers",
            "should_sync": True,
            "sync_type": "incremental",
            "incremental_field": "updated_at",
            "incremental_field_type": "timestamp",
        },
        {"name": "counted", "should_sync": True, "sync_type": "full_refresh"},
        {"name": "events_log"},
        schema="public",
    )
    assert [schema["name"] for schema in made["schemas"]] == ["counted", "customers", "events_log"]
    assert made["status"] == "Running"
    assert "sentinel" not in str(made)
    api.advance()
    # A view may read the table as soon as its time has come, without anybody having looked before.
    view = api.view("who", "select email from postgres_customers")
    assert [column["name"] for column in view["columns"]] == ["email"]
    synced = api.ok("GET", f"{S}{made['id']}/")
    assert synced["status"] == "Completed"
    rows = {schema["name"]: (schema["table"] or {}).get("row_count") for schema in synced["schemas"]}
    assert rows == {"customers": 25, "counted": 1, "events_log": None}
    jobs = api.ok("GET", f"{S}{made['id']}/jobs")
    assert {job["schema"]["name"]: job["rows_synced"] for job in jobs} == {"customers": 25, "counted": 1}


def test_every_table_by_default(api: Api, logical: Postgres) -> None:
    made = source(api, logical)
    settings = {schema["name"]: (schema["sync_type"], schema["incremental_field"]) for schema in made["schemas"]}
    assert settings["public.customers"] == ("incremental", "updated_at")
    assert settings["public.events_log"] == ("append", "seen_at")
    assert settings["public.good"] == ("incremental", "id")
    api.advance()
    assert api.view("a", "select amount from postgres_billing__invoices")["columns"]


def test_what_changes_in_the_database(api: Api, logical: Postgres) -> None:
    logical.run(f"SET ROLE {OWNER}; CREATE SCHEMA changing; CREATE TABLE changing.a (id int PRIMARY KEY)")
    try:
        made = source(api, logical, {"name": "a", "should_sync": True, "sync_type": "full_refresh"}, schema="changing")
        path = f"{S}{made['id']}/"
        api.advance()
        assert api.ok("GET", path)["schemas"][0]["table"]["row_count"] == 0
        logical.run("INSERT INTO changing.a SELECT generate_series(1, 7)", "CREATE TABLE changing.b (x int)")
        assert api.ok("POST", f"{path}refresh_schemas/") == {
            "added": 1,
            "deleted": 0,
            "auto_enabled": 0,
            "total_tables_seen": 2,
        }
        api.ok("POST", f"{path}reload/")
        api.advance()
        assert {
            schema["name"]: (schema["table"] or {}).get("row_count") for schema in api.ok("GET", path)["schemas"]
        } == {"a": 7, "b": None}
        logical.run("DROP TABLE changing.a")
        api.ok("POST", f"{path}reload/")
        api.advance()
        failed = api.ok("GET", path)
        assert (failed["status"], failed["latest_error"]) == ("Failed", 'relation "changing.a" does not exist')
        assert api.ok("POST", f"{path}refresh_schemas/")["deleted"] == 1
    finally:
        logical.run("DROP SCHEMA changing CASCADE")


def test_the_database_goes_away_and_rights_are_missing(api: Api, logical: Postgres) -> None:
    reader = {"user": "reader", "password": READER, "schema": "public"}
    wanted = [{"name": name, "should_sync": True, "sync_type": "full_refresh"} for name in ("customers", "events_log")]
    made = source(api, logical, *wanted, **reader)
    api.advance()
    schemas = {schema["name"]: schema for schema in api.ok("GET", f"{S}{made['id']}/")["schemas"]}
    assert schemas["customers"]["status"] == "Completed"
    assert schemas["events_log"]["latest_error"].startswith("PostHog's database role isn't allowed to read")
    api.ok("POST", f"{S}{made['id']}/reload/")
    logical.run("ALTER ROLE reader PASSWORD 'other'")
    try:
        api.advance()
        assert api.ok("GET", f"{S}{made['id']}/")["latest_error"] == "Invalid user or password"
        answer = api("POST", f"{S}{made['id']}/refresh_schemas/")
        assert (answer.status_code, answer.json()) == (400, {"message": "Invalid user or password"})
    finally:
        logical.run(f"ALTER ROLE reader PASSWORD {literal(READER)}")


def test_a_change_of_the_connection_is_tried(api: Api, logical: Postgres) -> None:
    path = f"{S}{source(api, logical, {'name': 'customers'}, schema='public')['id']}/"
    api.refused("PATCH", path, {"job_inputs": {"database": "nowhere"}}, invalid("Database does not exist"))
    assert (
        api.ok("PATCH", path, {"job_inputs": {"user": "reader", "password": READER}})["job_inputs"]["user"] == "reader"
    )


def test_a_scripted_host_is_not_connected_to(api: Api, logical: Postgres) -> None:
    vendors = [
        {
            "source_type": "Postgres",
            "match": {"host": "127.0.0.1"},
            "tables": [{"name": "scripted", "columns": {"id": "integer"}}],
        }
    ]
    before = api.ok("GET", "/__local/vendors")
    assert api("PUT", "/__local/vendors", vendors).status_code == 204
    try:
        assert list(tables(api, logical)) == ["scripted"]
    finally:
        api("PUT", "/__local/vendors", before)


# -- change data capture ------------------------------------------------------------------------


def check(api: Api, postgres: Postgres, *names: str, **more: Any) -> list[str]:
    body = {"source_type": "Postgres", **postgres.payload, "tables": list(names), **more}
    answer = api.ok("POST", CHECK, body)
    assert answer["valid"] is (not answer["errors"])
    return [error.split(". ")[0].rstrip(".") for error in answer["errors"]]


def test_ready_for_cdc(api: Api, logical: Postgres) -> None:
    assert check(api, logical, "customers", 'Odd "name', "billing.invoices") == []
    assert check(api, logical) == []
    assert check(api, logical, "invoices", schema="billing") == []


def test_tables_that_are_not_ready(api: Api, logical: Postgres) -> None:
    assert check(api, logical, "customers", "events_log", "nowhere", "foreign_owner") == [
        "Table 'public.events_log' has no primary key",
        "Table 'public.nowhere' has no primary key",
        "Table 'public.nowhere' does not exist",
        "The database user does not own table 'public.foreign_owner'",
    ]


def test_a_user_that_is_not_ready(api: Api, logical: Postgres) -> None:
    assert check(api, logical, "customers", "secured", user="reader", password=READER) == [
        "No SELECT permission on table 'public.secured'",
        "The database user cannot create logical replication slots",
        "The database user does not own table 'public.customers'",
        "The database user does not own table 'public.secured'",
    ]


def test_a_server_that_is_not_ready(api: Api, replica: Postgres) -> None:
    assert check(api, replica, "customers") == [
        "wal_level must be set to 'logical' (currently 'replica')",
        "No replication slot capacity available (1/1 slots in use)",
    ]


def test_self_managed(api: Api, logical: Postgres) -> None:
    managed = {"cdc_management_mode": "self_managed"}
    assert check(api, logical, "foreign_owner", cdc_publication_name="mine", **managed) == []
    assert check(api, logical, "customers", cdc_publication_name="nope", **managed) == [
        "Publication 'nope' does not exist"
    ]


def test_the_check_cannot_connect(api: Api, logical: Postgres) -> None:
    body = {"source_type": "Postgres", **logical.payload, "password": "wrong-sentinel"}
    message = "Could not connect to Postgres to check prerequisites: Invalid user or password"
    api.refused("POST", CHECK, body, {"message": message})


def test_cdc_of_a_source(api: Api, logical: Postgres, replica: Postgres) -> None:
    ready = f"{S}{source(api, logical, {'name': 'customers'}, schema='public')['id']}/"
    assert api.ok("POST", f"{ready}check_cdc_prerequisites_for_source/", {}) == {"valid": True, "errors": []}
    assert api.ok("POST", f"{ready}enable_cdc/", {})["success"] is True
    assert api.ok("GET", f"{ready}cdc_status/")["enabled"] is True
    body = {
        "source_type": "Postgres",
        "prefix": "other",
        "payload": {**replica.payload, "schemas": [{"name": "public.customers"}]},
    }
    other = f"{S}{api.ok('POST', S, body, 201)['id']}/"
    answer = api("POST", f"{other}enable_cdc/", {})
    assert (answer.status_code, answer.json()["message"]) == (400, "CDC prerequisites not met.")
    assert len(answer.json()["errors"]) == 2


def test_the_password_is_nowhere(api: Api, logical: Postgres) -> None:
    """Not in what anybody can read through the API of PostHog."""
    made = source(
        api, logical, {"name": "customers", "should_sync": True, "sync_type": "full_refresh"}, schema="public"
    )
    api.advance()
    for path in (S, f"{S}{made['id']}/", f"{S}{made['id']}/jobs", "external_data_schemas/", f"{S}connections"):
        answer = api("GET", path)
        assert answer.status_code == 200
        assert PASSWORD not in answer.text
        assert "sentinel" not in answer.text
