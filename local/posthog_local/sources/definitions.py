"""The source types this server knows by their fields (contract 5.12); the rest take one API key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from .fields import AnyField, Choice, FileUpload, Input, ListInput, OAuth, Select, SshTunnel, SwitchGroup

DIRECT_ENGINES = {
    "Postgres": "postgres",
    "MySQL": "mysql",
    "Snowflake": "snowflake",
    "Redshift": "redshift",
    "ClickHouse": "clickhouse",
    "MotherDuck": "motherduck",
    "Trino": "trino",
    "DuckDB": "duckdb",
}
DIRECT_ONLY = frozenset({"Trino"})
# Listed, but nothing can connect to them: create is refused (contract 4.4 row 11).
UNRELEASED = frozenset({"AmazonS3", "GoogleCloudStorage", "AzureBlob"})
NO_COLUMN_SELECTION = frozenset({"Stripe", "Paddle", "Zendesk"})
CDC_TYPES = frozenset({"Postgres", "Supabase", "Neon"})
POSTGRES_WIRE = ("Postgres", "Supabase", "Neon")
SQL_TYPES = frozenset({*POSTGRES_WIRE, "MySQL", "MSSQL", "Redshift", "ClickHouse", "Snowflake", "BigQuery", "Trino"})


@dataclass(frozen=True)
class SourceType:
    name: str
    fields: tuple[AnyField, ...]
    label: str = ""
    category: str | None = None
    # Fields that say where the credentials are sent to (contract 4.5).
    target: tuple[str, ...] = ()
    # Pointers that the server manages: a PATCH leaves them as they are (contract 4.5).
    pinned: tuple[str, ...] = ()
    supports_webhooks: bool = False
    webhook_fields: tuple[Input, ...] = ()
    default_version: str | None = None

    @property
    def is_sql(self) -> bool:
        return self.name in SQL_TYPES

    @property
    def engine(self) -> str | None:
        return DIRECT_ENGINES.get(self.name)

    @property
    def supports_cdc(self) -> bool:
        return self.name in CDC_TYPES

    @property
    def supports_xmin(self) -> bool:
        return self.name == "Postgres"

    @property
    def supports_column_selection(self) -> bool:
        return self.name not in NO_COLUMN_SELECTION

    @property
    def supports_row_filters(self) -> bool:
        return self.is_sql

    def wizard(self, *, existing: bool) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label or self.name,
            "caption": None,
            "category": self.category,
            "iconPath": f"/static/services/{self.name.lower()}.png",
            "iconClassName": None,
            "docsUrl": f"https://posthog.com/docs/cdp/sources/{self.name.lower()}",
            "fields": [field.wizard() for field in self.fields],
            "featured": False,
            "featureFlag": None,
            "releaseStatus": "ga",
            "unreleasedSource": self.name in UNRELEASED,
            "existingSource": existing,
            "disabledReason": None,
            "keywords": [],
            "permissionsCaption": None,
            "suggestedTables": [],
            "webhookFields": [field.wizard() for field in self.webhook_fields],
            "webhookManualOnly": False,
            "webhookSetupCaption": None,
            "supportsColumnSelection": self.supports_column_selection,
            "versions": [self.default_version] if self.default_version else [],
            "defaultVersion": self.default_version,
            "apiDocsUrl": None,
            "deprecatedVersions": [],
        }


def _secret(name: str, *, required: bool = True, type: str = "password") -> Input:
    return Input(name, type=type, required=required, secret=True)


def _optional(name: str) -> Input:
    return Input(name, required=False)


_SQL = (
    Input("host", placeholder="db.example.com"),
    Input("port", type="number", placeholder="5432"),
    Input("database"),
    Input("user"),
    _secret("password"),
)
_POSTGRES = (_secret("connection_string", required=False, type="text"), *_SQL, _optional("schema"), SshTunnel())
_HOST = ("host",)
_KEY_FILE = ("project_id", "private_key", "private_key_id", "client_email", "token_uri")
_SERVICE_ACCOUNT = FileUpload(
    "key_file", required=False, keys=_KEY_FILE, incomplete="not a complete Google Cloud service account key file"
)
_DATABASE = "Databases"

_KNOWN = (
    *(SourceType(name, _POSTGRES, category=_DATABASE, target=_HOST) for name in POSTGRES_WIRE),
    SourceType(
        "MySQL",
        (*_SQL, _optional("schema"), Choice("using_ssl", required=False), SshTunnel()),
        category=_DATABASE,
        target=_HOST,
    ),
    SourceType("MSSQL", (*_SQL, _optional("schema"), SshTunnel()), category=_DATABASE, target=_HOST),
    SourceType("Redshift", (*_SQL, _optional("schema"), SshTunnel()), category=_DATABASE, target=_HOST),
    SourceType(
        "ClickHouse",
        (
            *_SQL[:4],
            _secret("password", required=False),
            Choice("secure", required=False),
            Choice("verify", required=False),
        ),
        category=_DATABASE,
        target=_HOST,
    ),
    SourceType(
        "Snowflake",
        (
            Input("account_id"),
            Input("database"),
            Input("warehouse"),
            Select(
                "auth_type",
                (
                    ("password", (Input("user"), _secret("password", required=False))),
                    (
                        "keypair",
                        (
                            Input("user"),
                            _secret("private_key", required=False, type="textarea"),
                            _secret("passphrase", required=False),
                        ),
                    ),
                ),
            ),
            _optional("role"),
            _optional("schema"),
            _secret("connection_string", required=False, type="text"),
        ),
        category=_DATABASE,
        target=("account_id",),
    ),
    SourceType(
        "BigQuery",
        (
            Select("auth_type", (("key_file", (_SERVICE_ACCOUNT,)),), required=False),
            Input("dataset_id"),
            _SERVICE_ACCOUNT,
            SwitchGroup("temporary-dataset", (_optional("temporary_dataset_id"),)),
            SwitchGroup("use_custom_region", (_optional("region"),)),
            SwitchGroup("dataset_project", (_optional("dataset_project_id"),)),
        ),
        category=_DATABASE,
    ),
    SourceType("MongoDB", (_secret("connection_string"), _optional("database_name")), category=_DATABASE),
    SourceType(
        "Stripe",
        (
            Select(
                "auth_method",
                (
                    ("api_key", (_secret("stripe_secret_key", required=False),)),
                    ("oauth", (OAuth("stripe_integration_id", required=False, kind="stripe"),)),
                ),
            ),
            _optional("stripe_account_id"),
        ),
        category="Payments & billing",
        supports_webhooks=True,
        webhook_fields=(_secret("signing_secret"),),
        default_version="2024-09-30.acacia",
    ),
    SourceType(
        "Hubspot",
        (
            OAuth("hubspot_integration_id", kind="hubspot"),
            SwitchGroup("custom_properties", (_optional("properties"),)),
        ),
        category="CRM",
    ),
    SourceType("Salesforce", (OAuth("salesforce_integration_id", kind="salesforce"),), category="CRM"),
    SourceType(
        "Zendesk",
        (Input("subdomain"), _secret("api_key"), Input("email_address", type="email")),
        category="Support",
        target=("subdomain",),
    ),
    SourceType("GoogleSheets", (Input("spreadsheet_url", type="url"),)),
    SourceType(
        "Github",
        (
            Select(
                "auth_method",
                (
                    ("oauth", (OAuth("github_integration_id", required=False, kind="github"),)),
                    ("pat", (_secret("personal_access_token", required=False),)),
                ),
            ),
            ListInput("repositories", required=False),
            _optional("repository"),
        ),
        pinned=("repository",),
    ),
    SourceType("Chargebee", (_secret("api_key"), Input("site_name")), target=("site_name",)),
    SourceType(
        "Trino",
        (
            Input("host"),
            Input("port", type="number"),
            _optional("catalog"),
            _optional("schema"),
            Select(
                "auth_type",
                (("none", ()), ("basic", (_optional("user"), _secret("password", required=False)))),
                required=False,
            ),
            Choice("use_ssl", required=False),
            Choice("verify_ssl", required=False),
        ),
        category=_DATABASE,
        target=_HOST,
    ),
    SourceType("Freshdesk", (Input("subdomain"), _secret("api_key")), target=("subdomain",)),
    SourceType("Okta", (Input("okta_domain"), _secret("api_key")), target=("okta_domain",)),
    SourceType(
        "ServiceNow",
        (
            Input("instance_url", type="url"),
            Select(
                "auth_method",
                (
                    ("basic", (_optional("username"), _secret("password", required=False))),
                    ("oauth", (_optional("client_id"), _secret("client_secret", required=False))),
                ),
            ),
        ),
        target=("instance_url",),
    ),
    SourceType(
        "Custom",
        (
            Input("manifest_json", type="textarea"),
            _secret("auth_token", required=False),
            _secret("auth_api_key", required=False),
            _secret("auth_password", required=False),
            _secret("auth_oauth2_client_secret", required=False),
            _secret("auth_oauth2_refresh_token", required=False),
        ),
    ),
)
KNOWN = {definition.name: definition for definition in _KNOWN}
_ONE_API_KEY = (_secret("api_key"),)


@cache
def all_types() -> tuple[str, ...]:
    """Every value of the enum ``source_type`` (appendix A)."""
    text = resources.files("posthog_local.sources").joinpath("types.txt").read_text()
    return tuple(dict.fromkeys([*text.split(), *KNOWN]))


@cache
def definition(name: str) -> SourceType:
    return KNOWN.get(name) or SourceType(name, _ONE_API_KEY)
