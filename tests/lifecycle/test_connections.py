"""Every typed connection through its life, against a local PostHog whose vendors accept anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from pulumi_posthog import (
    BigQueryAuth,
    BigQueryConnection,
    BigQueryDatasetProject,
    BigQueryKeyFile,
    BigQueryRegion,
    BigQueryTemporaryDataset,
    ChargebeeConnection,
    ClickHouseConnection,
    GithubAuth,
    GithubConnection,
    GoogleSheetsConnection,
    HubspotConnection,
    MongoDBConnection,
    MSSQLConnection,
    MySQLConnection,
    PostgresConnection,
    RedshiftConnection,
    SalesforceConnection,
    SnowflakeAuth,
    SnowflakeConnection,
    SshTunnel,
    SshTunnelAuth,
    SshTunnelTls,
    StripeAuth,
    StripeConnection,
    ZendeskConnection,
)
from pulumi_posthog._resource import Connection, plain
from pulumi_posthog_provider.connections import connections
from pulumi_posthog_provider.declare import UNKNOWN
from support.posthog import PostHog

from .conftest import Things

SECRET = "sentinel-secret"
KEY_FILE = BigQueryKeyFile(
    project_id="acme",
    private_key=SECRET,
    private_key_id="sentinel-id",
    client_email="reader@acme.iam.gserviceaccount.com",
    token_uri="https://oauth2.googleapis.com/token",
)
TUNNEL = SshTunnel(
    host="ssh.acme.com",
    auth=SshTunnelAuth(selection="keypair", username="tunnel", private_key=SECRET, passphrase=SECRET),
    require_tls=SshTunnelTls(enabled=False),
)
DATABASE = {"host": "db.acme.com", "database": "shop", "user": "reader", "password": SECRET}


@dataclass(frozen=True)
class Case:
    """A connection, and what somebody changes of it in PostHog."""

    connection: Connection
    edit: dict[str, Any]
    resent: dict[str, Any] = field(default_factory=dict)

    @property
    def source_type(self) -> str:
        return self.connection._source_type

    @property
    def inputs(self) -> dict[str, Any]:
        return {"source_type": self.source_type, "connection": plain(self.connection)}


PASSWORD = {"password": SECRET}
CASES = {
    "Postgres": Case(PostgresConnection(**DATABASE), {"port": 6432}, PASSWORD),
    "Postgres through a tunnel": Case(PostgresConnection(**DATABASE, schema="public", ssh_tunnel=TUNNEL), {"user": "x"}),
    "MySQL": Case(MySQLConnection(**DATABASE, ssh_tunnel=TUNNEL), {"using_ssl": False}),
    "MySQL without TLS": Case(MySQLConnection(**DATABASE, using_ssl=False), {"using_ssl": True}),
    "MSSQL": Case(MSSQLConnection(**DATABASE, schema="dbo", ssh_tunnel=TUNNEL), {"schema": "other"}),
    "Redshift": Case(RedshiftConnection(**DATABASE, ssh_tunnel=TUNNEL), {"database": "other"}),
    "ClickHouse": Case(ClickHouseConnection(**DATABASE, verify=False), {"secure": False}),
    "ClickHouse without a password": Case(
        ClickHouseConnection(host="ch.acme.com", database="default", user="default"), {"verify": False}
    ),
    "Snowflake by password": Case(
        SnowflakeConnection(
            account_id="acme-one",
            database="shop",
            warehouse="small",
            auth_type=SnowflakeAuth(selection="password", user="reader", password=SECRET),
            role="reader",
        ),
        {"warehouse": "large"},
    ),
    "Snowflake by key pair": Case(
        SnowflakeConnection(
            account_id="acme-one",
            database="shop",
            warehouse="small",
            auth_type=SnowflakeAuth(selection="keypair", user="reader", private_key=SECRET, passphrase=SECRET),
            schema="public",
        ),
        {"auth_type": {"selection": "keypair", "user": "other"}},
    ),
    "BigQuery": Case(
        BigQueryConnection(
            dataset_id="shop",
            auth_type=BigQueryAuth(key_file=KEY_FILE),
            temporary_dataset=BigQueryTemporaryDataset(temporary_dataset_id="scratch"),
            use_custom_region=BigQueryRegion(region="europe-west1"),
            dataset_project=BigQueryDatasetProject(enabled=False),
        ),
        {"temporary-dataset": {"enabled": True, "temporary_dataset_id": "other"}},
    ),
    "BigQuery, older": Case(BigQueryConnection(dataset_id="shop", key_file=KEY_FILE), {"dataset_id": "other"}),
    "MongoDB": Case(
        MongoDBConnection(connection_string=f"mongodb://reader:{SECRET}@db.acme.com/shop", database_name="shop"),
        {"database_name": "other"},
    ),
    "Stripe by key": Case(
        StripeConnection(auth_method=StripeAuth(stripe_secret_key=SECRET), stripe_account_id="acct_1"),
        {"stripe_account_id": "acct_2"},
    ),
    "Stripe by integration": Case(
        StripeConnection(auth_method=StripeAuth(selection="oauth", stripe_integration_id=7)),
        {"auth_method": {"selection": "oauth", "stripe_integration_id": 8}},
    ),
    "Hubspot": Case(
        HubspotConnection(hubspot_integration_id=7, custom_properties={"enabled": True, "properties": "tier"}),
        {"hubspot_integration_id": 8},
    ),
    "Salesforce": Case(SalesforceConnection(salesforce_integration_id=7), {"salesforce_integration_id": 8}),
    "Zendesk": Case(
        ZendeskConnection(subdomain="acme", api_key=SECRET, email_address="ada@acme.com"), {"email_address": "bob@acme.com"}
    ),
    "GoogleSheets": Case(
        GoogleSheetsConnection(spreadsheet_url="https://docs.google.com/spreadsheets/d/1"),
        {"spreadsheet_url": "https://docs.google.com/spreadsheets/d/2"},
    ),
    "Github by token": Case(
        GithubConnection(
            auth_method=GithubAuth(selection="pat", personal_access_token=SECRET), repositories=["acme/web", "acme/api"]
        ),
        {"repositories": ["acme/web"]},
    ),
    "Github by integration": Case(
        GithubConnection(auth_method=GithubAuth(selection="oauth", github_integration_id=7)),
        {"auth_method": {"selection": "oauth", "github_integration_id": 8}},
    ),
    "Chargebee": Case(ChargebeeConnection(api_key=SECRET, site_name="acme"), {"site_name": "other"}, {"api_key": SECRET}),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, posthog: PostHog) -> Case:
    """A connection of every kind in turn; vendors accept anything."""
    posthog.control("PUT", "vendors", [{"source_type": name, "match": {}} for name in sorted(connections())])
    return CASES[request.param]


def test_every_typed_connection_is_covered() -> None:
    assert {case.source_type for case in CASES.values()} == set(connections())


@pytest.mark.feature(17, 18, 26)
def test_a_second_up_and_a_refresh_change_nothing(things: Things, case: Case) -> None:
    thing = things("ExternalDataSource")
    made = thing.create(case.inputs)
    assert (made.problem, made.messages) == (None, [])
    assert thing.diff(case.inputs).changes == []
    before = thing.inputs
    thing.refresh()
    assert thing.inputs == before
    assert thing.diff(case.inputs).changes == []


@pytest.mark.feature(17, 27)
def test_what_is_edited_in_posthog_is_shown_and_repaired(things: Things, case: Case, posthog: PostHog) -> None:
    thing = things("ExternalDataSource")
    thing.create(case.inputs)
    body = {"job_inputs": {**case.edit, **case.resent}}
    posthog.call("PATCH", f"external_data_sources/{thing.id}/", body)
    thing.refresh()
    (change,) = thing.diff(case.inputs).changes
    assert change.path == ("connection",)
    thing.update(case.inputs)
    thing.refresh()
    assert thing.diff(case.inputs).changes == []


def test_no_secret_is_shown_by_posthog(things: Things, case: Case, posthog: PostHog) -> None:
    things("ExternalDataSource").create(case.inputs)
    assert SECRET not in str(posthog.one("external_data_sources"))


SELECTIONS = {
    "key pair without its key": (
        SnowflakeConnection(
            account_id="a", database="d", warehouse="w", auth_type={"selection": "keypair", "user": "u", "password": SECRET}
        ),
        'connection.auth_type.private_key: is required, because selection is "keypair"',
    ),
    "Stripe without its key": (
        StripeConnection(auth_method=StripeAuth()),
        'connection.auth_method.stripe_secret_key: is required, because selection is "api_key"',
    ),
    "Stripe without its integration": (
        StripeConnection(auth_method={"selection": "oauth", "stripe_secret_key": SECRET}),
        'connection.auth_method.stripe_integration_id: is required, because selection is "oauth"',
    ),
    "Github without its token": (
        GithubConnection(auth_method=GithubAuth(selection="pat")),
        'connection.auth_method.personal_access_token: is required, because selection is "pat"',
    ),
    "tunnel without its password": (
        PostgresConnection(
            **DATABASE, ssh_tunnel=SshTunnel(host="h", auth=SshTunnelAuth(selection="password", username="u"))
        ),
        'connection.ssh_tunnel.auth.password: is required, because selection is "password"',
    ),
    "BigQuery without a key": (
        BigQueryConnection(dataset_id="d"),
        "connection.auth_type: is required (or key_file, for an older PostHog)",
    ),
    "BigQuery with half a key": (
        BigQueryConnection(dataset_id="d", auth_type=BigQueryAuth(key_file={"project_id": "p", "private_key": SECRET})),
        "connection.auth_type.key_file.private_key_id: is required",
    ),
    "BigQuery without the name of its dataset": (
        BigQueryConnection(dataset_id="d", key_file=KEY_FILE, temporary_dataset=BigQueryTemporaryDataset()),
        'connection["temporary-dataset"].temporary_dataset_id: is required, because enabled is true',
    ),
    "a misspelt name": (
        BigQueryConnection(dataset_id="d", key_file=KEY_FILE, temporary_dataset={"temporary_dataset": "x"}),
        'connection["temporary-dataset"].temporary_dataset: is not an argument here; did you mean temporary_dataset_id?',
    ),
    "a wrong selection": (
        StripeConnection(auth_method={"selection": "key", "stripe_secret_key": SECRET}),
        "connection.auth_method.selection: must be one of api_key, oauth; did you mean api_key?",
    ),
    "a secret of the wrong kind": (
        ChargebeeConnection(api_key=[SECRET], site_name="s"),
        "connection.api_key: must be text, not a list",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.feature(17, 50)
def test_what_is_missing_is_told_with_its_path_and_without_a_value(things: Things, name: str) -> None:
    connection, told = SELECTIONS[name]
    inputs = {"source_type": connection._source_type, "connection": plain(connection)}
    problems = list(map(str, things("ExternalDataSource").check(inputs).problems))
    assert problems[0] == told
    assert SECRET not in "".join(problems)


@pytest.mark.feature(54)
def test_a_tunnel_that_is_off_and_values_that_are_not_known_yet_need_nothing(things: Things) -> None:
    off = {"enabled": False, "host": "h", "auth": {"selection": "keypair", "username": "u"}}
    auth = {"selection": "keypair", "user": "u", "private_key": UNKNOWN}
    later = {"account_id": "a", "database": "d", "warehouse": "w", "auth_type": auth}
    check = things("ExternalDataSource").check
    assert check({"source_type": "Postgres", "connection": {**DATABASE, "ssh_tunnel": off}}).problems == []
    assert check({"source_type": "Snowflake", "connection": later}).problems == []
    assert check({"source_type": "Snowflake", "connection": {**later, "auth_type": UNKNOWN}}).problems == []
