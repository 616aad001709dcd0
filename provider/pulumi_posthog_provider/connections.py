"""What each type of source needs to connect (contract 5.12): one model per typed source.

Field names are PostHog's. The SDK has one class per model, of the same name. A source type without a model takes a
mapping. Ids of integrations are those of connections made in PostHog's pages, where the vendor asks for consent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict

from .checks import path_text
from .declare import Arguments, Problem, Values, argument, default_of
from .parts import model_in

Path = tuple[str | int, ...]
Needs = Mapping[str, tuple[str, ...]]


class Connection(Arguments):
    """Base of the typed connections."""

    source_type: ClassVar[str]
    """PostHog's name of the type."""

    @classmethod
    def problems(cls, values: Values) -> Iterator[Problem]:
        """Rules between fields, after each field by itself was found right. Values may hold `UNKNOWN`."""
        for path, reason in _missing(cls, values):
            yield Problem(path_text(cls, path, ("connection",)), reason)


class Choice(Arguments):
    """Base of the choices between several ways, told by the field `selection`."""

    needs: ClassVar[Needs]
    """The fields that each way needs."""


def _missing(model: type[BaseModel], values: Values, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What the chosen ways need and is not given; groups that are switched off need nothing."""
    if issubclass(model, Choice):
        selection = values.get("selection", default_of(model.model_fields["selection"]))
        for name in model.needs.get(selection, ()) if isinstance(selection, str) else ():
            if values.get(name) in (None, ""):
                yield (*path, name), f'is required, because selection is "{selection}"'
    for name, info in model.model_fields.items():
        key = info.alias or name
        inner, part = model_in(info.annotation), values.get(key)
        if inner is not None and isinstance(part, dict) and cast("Values", part).get("enabled") is not False:
            yield from _missing(inner, cast("Values", part), (*path, key))


# ---- databases --------------------------------------------------------------------------------------------------


class SshTunnelAuth(Choice):
    """How to log in to the SSH host."""

    needs: ClassVar[Needs] = {"password": ("password",), "keypair": ("private_key",)}

    selection: Literal["password", "keypair"] = argument(doc="By password or by key pair.")
    username: str = argument(doc="The user on the SSH host.")
    password: str | None = argument(None, doc="The password of that user.", secret=True)
    private_key: str | None = argument(None, doc="The private key, PEM.", secret=True)
    passphrase: str | None = argument(None, doc="The passphrase of the private key.", secret=True)


class SshTunnelTls(Arguments):
    """Whether the database behind an SSH host must be reached over TLS."""

    enabled: bool = argument(True, doc="Whether TLS is required.")


class SshTunnel(Arguments):
    """An SSH host through which PostHog reaches the database."""

    enabled: bool = argument(True, doc="Whether the tunnel is used.")
    host: str = argument(doc="The SSH host as PostHog reaches it.", min_length=1)
    port: int = argument(22, doc="The port of the SSH host.", ge=1, le=65535)
    auth: SshTunnelAuth = argument(doc="How to log in.")
    require_tls: SshTunnelTls | None = argument(
        None, doc="Whether the connection through the tunnel must use TLS; PostHog's default is yes."
    )


def _host() -> Any:
    return argument(doc="The host as PostHog reaches it.", min_length=1)


def _port(default: int) -> Any:
    return argument(default, doc="The port.", ge=1, le=65535)


def _database() -> Any:
    return argument(doc="The name of the database.", min_length=1)


def _user() -> Any:
    return argument(doc="The user, who needs to read the tables.", min_length=1)


def _password() -> Any:
    return argument(doc="The password of that user.", secret=True, min_length=1)


def _connection_string() -> Any:
    return argument(
        None,
        doc="The address as one text. PostHog keeps it for people; what it connects with are the other fields.",
        secret=True,
    )


def _schema() -> Any:
    return argument(None, doc="Only tables of this schema; all schemas if left out.", alias="schema")


def _tunnel() -> Any:
    return argument(None, doc="An SSH host to go through.")


class PostgresConnection(Connection):
    """A connection to a PostgreSQL database."""

    source_type = "Postgres"

    host: str = _host()
    port: int = _port(5432)
    database: str = _database()
    user: str = _user()
    password: str = _password()
    schema_: str | None = _schema()
    connection_string: str | None = _connection_string()
    ssh_tunnel: SshTunnel | None = _tunnel()


class MySQLConnection(Connection):
    """A connection to a MySQL or MariaDB database."""

    source_type = "MySQL"

    host: str = _host()
    port: int = _port(3306)
    database: str = _database()
    user: str = _user()
    password: str = _password()
    schema_: str | None = _schema()
    using_ssl: bool = argument(True, doc="Whether the connection uses TLS.")
    ssh_tunnel: SshTunnel | None = _tunnel()


class MSSQLConnection(Connection):
    """A connection to a Microsoft SQL Server or Azure SQL database."""

    source_type = "MSSQL"

    host: str = _host()
    port: int = _port(1433)
    database: str = _database()
    user: str = _user()
    password: str = _password()
    schema_: str | None = _schema()
    connection_string: str | None = _connection_string()
    ssh_tunnel: SshTunnel | None = _tunnel()


class RedshiftConnection(Connection):
    """A connection to an Amazon Redshift cluster."""

    source_type = "Redshift"

    host: str = _host()
    port: int = _port(5439)
    database: str = _database()
    user: str = _user()
    password: str = _password()
    schema_: str | None = _schema()
    connection_string: str | None = _connection_string()
    ssh_tunnel: SshTunnel | None = _tunnel()


class ClickHouseConnection(Connection):
    """A connection to a ClickHouse database, over HTTP."""

    source_type = "ClickHouse"

    host: str = _host()
    port: int = _port(8443)
    database: str = _database()
    user: str = _user()
    password: str | None = argument(None, doc="The password of that user; none if left out.", secret=True)
    secure: bool = argument(True, doc="Whether the connection uses TLS.")
    verify: bool = argument(True, doc="Whether the server's certificate is verified.")


class SnowflakeAuth(Choice):
    """How to log in to Snowflake."""

    needs: ClassVar[Needs] = {"password": ("password",), "keypair": ("private_key",)}

    selection: Literal["password", "keypair"] = argument(doc="By password or by key pair.")
    user: str = argument(doc="The Snowflake user.", min_length=1)
    password: str | None = argument(None, doc="The password of that user.", secret=True)
    private_key: str | None = argument(None, doc="The private key, PEM.", secret=True)
    passphrase: str | None = argument(None, doc="The passphrase of the private key.", secret=True)


class SnowflakeConnection(Connection):
    """A connection to a Snowflake database."""

    source_type = "Snowflake"

    account_id: str = argument(
        doc="The account identifier, for instance `myorg-account123`; not the whole address.", min_length=1
    )
    database: str = _database()
    warehouse: str = argument(doc="The warehouse that runs the queries.", min_length=1)
    auth_type: SnowflakeAuth = argument(doc="How to log in.")
    role: str | None = argument(None, doc="The role to assume; the user's default role if left out.")
    schema_: str | None = _schema()
    connection_string: str | None = _connection_string()


class BigQueryKeyFile(Arguments):
    """The key of a Google Cloud service account, as in the JSON file that Google gives; other fields of it may stay."""

    model_config = ConfigDict(extra="allow")

    project_id: str = argument(doc="The Google Cloud project of the service account.", min_length=1)
    private_key: str = argument(doc="The private key, PEM.", secret=True, min_length=1)
    private_key_id: str = argument(doc="The id of the private key.", secret=True, min_length=1)
    client_email: str = argument(doc="The e-mail address of the service account.", min_length=1)
    token_uri: str = argument(doc="Where Google gives out tokens.", min_length=1)


class BigQueryAuth(Choice):
    """How to log in to BigQuery."""

    needs: ClassVar[Needs] = {"key_file": ("key_file",)}

    selection: Literal["key_file"] = argument("key_file", doc="By the key of a service account.")
    key_file: BigQueryKeyFile | None = argument(
        None, doc="The key, as in the JSON file that Google gives; all of it is secret.", secret=True
    )


class BigQueryTemporaryDataset(Arguments):
    """A dataset of its own for the temporary tables of syncs."""

    enabled: bool = argument(True, doc="Whether another dataset is used for temporary tables.")
    temporary_dataset_id: str | None = argument(None, doc="The id of that dataset.")


class BigQueryRegion(Arguments):
    """A region that PostHog does not find by itself."""

    enabled: bool = argument(True, doc="Whether the region is given here.")
    region: str | None = argument(None, doc="The region, for instance `europe-west1`.")


class BigQueryDatasetProject(Arguments):
    """Another project than that of the service account."""

    enabled: bool = argument(True, doc="Whether the dataset is in another project.")
    dataset_project_id: str | None = argument(None, doc="The id of that project.")


class BigQueryConnection(Connection):
    """A connection to a BigQuery dataset."""

    source_type = "BigQuery"

    dataset_id: str = argument(doc="The id of the dataset.", min_length=1)
    auth_type: BigQueryAuth | None = argument(None, doc="How to log in; needed unless `key_file` is given.")
    key_file: BigQueryKeyFile | None = argument(
        None, doc="The key of the service account, for PostHogs that do not know `auth_type`.", secret=True
    )
    temporary_dataset: BigQueryTemporaryDataset | None = argument(
        None, doc="A dataset of its own for temporary tables.", alias="temporary-dataset"
    )
    use_custom_region: BigQueryRegion | None = argument(None, doc="The region of the dataset.")
    dataset_project: BigQueryDatasetProject | None = argument(
        None, doc="The project of the dataset, if it is not that of the service account."
    )

    @classmethod
    def problems(cls, values: Values) -> Iterator[Problem]:
        """One of the two places of the key is needed; a group that is on needs its value."""
        yield from super().problems(values)
        if values.get("auth_type") is None and values.get("key_file") is None:
            yield Problem("connection.auth_type", "is required (or key_file, for an older PostHog)")
        for group, field in (
            ("temporary-dataset", "temporary_dataset_id"),
            ("use_custom_region", "region"),
            ("dataset_project", "dataset_project_id"),
        ):
            switch = values.get(group)
            if not isinstance(switch, dict) or cast("Values", switch).get("enabled", True) is not True:
                continue
            if cast("Values", switch).get(field) in (None, ""):
                yield Problem(path_text(cls, (group, field), ("connection",)), "is required, because enabled is true")


class MongoDBConnection(Connection):
    """A connection to a MongoDB database."""

    source_type = "MongoDB"

    connection_string: str = argument(
        doc="The address with user and password, `mongodb+srv://user:password@host/database`.",
        secret=True,
        min_length=1,
    )
    database_name: str | None = argument(None, doc="The database, if the address does not name it.")


# ---- services ---------------------------------------------------------------------------------------------------


class StripeAuth(Choice):
    """How to log in to Stripe."""

    needs: ClassVar[Needs] = {"api_key": ("stripe_secret_key",), "oauth": ("stripe_integration_id",)}

    selection: Literal["api_key", "oauth"] = argument("api_key", doc="By key, or by a connection made in PostHog.")
    stripe_secret_key: str | None = argument(None, doc="A secret or restricted key, `sk_…` or `rk_…`.", secret=True)
    stripe_integration_id: int | None = argument(None, doc="The id of the Stripe integration in PostHog.", ge=1)


class StripeConnection(Connection):
    """A connection to a Stripe account."""

    source_type = "Stripe"

    auth_method: StripeAuth = argument(doc="How to log in.")
    stripe_account_id: str | None = argument(None, doc="The account, `acct_…`, if the key sees several.")


class HubspotConnection(Connection):
    """A connection to a HubSpot account."""

    source_type = "Hubspot"

    hubspot_integration_id: int = argument(doc="The id of the HubSpot integration in PostHog.", ge=1)
    custom_properties: dict[str, Any] | None = argument(
        None, doc="PostHog's group of settings for custom properties: `enabled`, and what PostHog asks for with it."
    )


class SalesforceConnection(Connection):
    """A connection to a Salesforce organisation."""

    source_type = "Salesforce"

    salesforce_integration_id: int = argument(doc="The id of the Salesforce integration in PostHog.", ge=1)


class ZendeskConnection(Connection):
    """A connection to a Zendesk account."""

    source_type = "Zendesk"

    subdomain: str = argument(doc="The `acme` of `acme.zendesk.com`.", min_length=1)
    api_key: str = argument(doc="An API token.", secret=True, min_length=1)
    email_address: str = argument(doc="The e-mail address of the user the token belongs to.", min_length=1)


class GoogleSheetsConnection(Connection):
    """A connection to a Google spreadsheet, which is shared with PostHog's service account."""

    source_type = "GoogleSheets"

    spreadsheet_url: str = argument(doc="The address of the spreadsheet.", min_length=1)


class GithubAuth(Choice):
    """How to log in to GitHub."""

    needs: ClassVar[Needs] = {"oauth": ("github_integration_id",), "pat": ("personal_access_token",)}

    selection: Literal["oauth", "pat"] = argument(
        doc="By a connection made in PostHog (`oauth`), or by a personal access token (`pat`)."
    )
    github_integration_id: int | None = argument(None, doc="The id of the GitHub integration in PostHog.", ge=1)
    personal_access_token: str | None = argument(None, doc="A personal access token.", secret=True)


class GithubConnection(Connection):
    """A connection to repositories on GitHub."""

    source_type = "Github"

    auth_method: GithubAuth = argument(doc="How to log in.")
    repositories: list[str] | None = argument(None, doc="The repositories, each as `owner/name`.")


class ChargebeeConnection(Connection):
    """A connection to a Chargebee site."""

    source_type = "Chargebee"

    api_key: str = argument(doc="An API key that may read.", secret=True, min_length=1)
    site_name: str = argument(doc="The `acme` of `acme.chargebee.com`.", min_length=1)


def connections() -> dict[str, type[Connection]]:
    """The typed connections by source type."""
    return {model.source_type: model for model in Connection.__subclasses__()}
