"""Which PostHog this is: one named fact per difference between its versions (contract 0.1, 9).

Where the contract has not read version M, it is taken to be like S: what is known of its middle is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .models import LocalState

STATE_KEY = "posthog_version"
OPTION_KEY = "posthog_version_option"
NEWEST = "N"

_N_SOURCE_ACTIONS = frozenset(
    {
        "connect_link",
        "destinations",
        "direct_connection_options",
        "setup_source",
        "store_credentials",
        "stored_credentials",
    }
)
_M_SOURCE_ACTIONS = frozenset(
    {
        "bulk_update_schemas",
        "cdc_status",
        "check_cdc_prerequisites_for_source",
        "credential_accounts",
        "disable_cdc",
        "draft_custom_manifest",
        "enable_cdc",
        "oauth_accounts",
        "preview_resource",
        "repair_cdc",
        "resume_cdc",
        "update_cdc_settings",
    }
)


@dataclass(frozen=True)
class Version:
    name: str

    # -- insight variables (2.2, 2.4)
    variables_have_queries: bool  # is_multi, values_query and its connection
    list_elements_become_text: bool

    # -- views (3)
    absent_view_fields: frozenset[str]
    view_names_may_be_in_system: bool
    view_name_taken: str
    token: str  # "revision", "query" (newest entry that changed the query) or "any" (newest entry)
    token_for_an_unchanged_query: bool
    token_breaks_a_creation: bool
    upsert_finds_deleted_views: bool
    deleted_is_writable: bool
    cadence_on_create: bool
    cadence_materializes: bool
    materialize_takes_a_cadence: bool
    dag_is_checked: bool
    dependents_are_named: bool
    columns_can_be_left_out: bool
    schedules_resume_for_keys: bool
    activity_pages_are_checked: bool
    absent_view_actions: frozenset[str]

    # -- sources (4, 5)
    direct_types: frozenset[str] | None  # None: every type that has an engine
    direct_unsupported: str
    connections_have_details: bool
    direct_query_can_be_enabled: bool
    prefix_reserved: str | None
    prefix_required: str
    prefix_taken: str
    prefix_required_beside_prefixed: bool
    schemas_by_default: bool
    schemas_not_a_list: str
    sync_types_are_checked: bool
    incremental_needs_a_key: bool
    database_schema_is_required: bool
    credentials_not_validated: str
    source_search_fields: tuple[str, ...]
    listed_sources_have_whole_schemas: bool
    wizard_can_be_filtered: bool
    absent_source_actions: frozenset[str]
    tables_can_be_owned: bool  # PostHog looks at who owns a table before it adds it to a publication

    # -- schemas (6)
    absent_schema_fields: frozenset[str]
    absent_schema_actions: frozenset[str]

    # -- /api/environments (1.1)
    environments_are_routes: bool
    environments_are_deprecated: bool


N = Version(
    name="N",
    variables_have_queries=True,
    list_elements_become_text=True,
    absent_view_fields=frozenset(),
    view_names_may_be_in_system=False,
    view_name_taken="A table or view with this name already exists. Choose a different name.",
    token="revision",
    token_for_an_unchanged_query=False,
    token_breaks_a_creation=False,
    upsert_finds_deleted_views=False,
    deleted_is_writable=False,
    cadence_on_create=True,
    cadence_materializes=True,
    materialize_takes_a_cadence=True,
    dag_is_checked=True,
    dependents_are_named=True,
    columns_can_be_left_out=True,
    schedules_resume_for_keys=True,
    activity_pages_are_checked=True,
    absent_view_actions=frozenset(),
    direct_types=None,
    direct_unsupported=(
        "Direct query mode is currently supported only for Postgres, MySQL, Snowflake, Redshift, ClickHouse, "
        "MotherDuck, and Trino sources."
    ),
    connections_have_details=True,
    direct_query_can_be_enabled=True,
    prefix_reserved="managed_warehouse",
    prefix_required=(
        "You already have a source of this type. Add a table prefix so this connection's tables don't clash "
        "with your existing source."
    ),
    prefix_taken=(
        "Another source of this type already uses the prefix '{prefix}'. Choose a different prefix so this "
        "connection's tables don't clash."
    ),
    prefix_required_beside_prefixed=False,
    schemas_by_default=True,
    schemas_not_a_list="The 'schemas' field must be a list of the tables to sync.",
    sync_types_are_checked=True,
    incremental_needs_a_key=True,
    database_schema_is_required=False,
    credentials_not_validated=(
        "We couldn't validate those credentials. Check they're correct and have the required access, then try again."
    ),
    source_search_fields=("source_type", "prefix"),
    listed_sources_have_whole_schemas=False,
    wizard_can_be_filtered=True,
    absent_source_actions=frozenset(),
    tables_can_be_owned=True,
    absent_schema_fields=frozenset(),
    absent_schema_actions=frozenset(),
    environments_are_routes=False,
    environments_are_deprecated=True,
)

M = replace(
    N,
    name="M",
    variables_have_queries=False,
    list_elements_become_text=False,
    absent_view_fields=frozenset(
        {
            "incremental",
            "incremental_state",
            "has_incremental_history",
            "updated_at",
            "sync_frequency_bounds",
            "suspended",
            "is_incremental",
            "materialization_mode",
        }
    ),
    view_names_may_be_in_system=True,
    view_name_taken="A table with this name already exists.",
    token="query",
    token_for_an_unchanged_query=True,
    token_breaks_a_creation=True,
    upsert_finds_deleted_views=True,
    deleted_is_writable=True,
    cadence_on_create=False,
    cadence_materializes=False,
    materialize_takes_a_cadence=False,
    dag_is_checked=False,
    dependents_are_named=False,
    columns_can_be_left_out=False,
    schedules_resume_for_keys=False,
    activity_pages_are_checked=False,
    absent_view_actions=frozenset({"resume", "check_incremental"}),
    direct_types=frozenset({"Postgres", "MySQL"}),
    direct_unsupported="Direct query mode is currently supported only for Postgres and MySQL sources.",
    connections_have_details=False,
    direct_query_can_be_enabled=False,
    prefix_reserved=None,
    prefix_required="Source type already exists. Prefix is required",
    prefix_taken="Prefix already exists",
    prefix_required_beside_prefixed=True,
    schemas_by_default=False,
    schemas_not_a_list="Schemas not given",
    sync_types_are_checked=False,
    incremental_needs_a_key=False,
    database_schema_is_required=True,
    credentials_not_validated="Invalid credentials",
    source_search_fields=("id",),
    listed_sources_have_whole_schemas=True,
    wizard_can_be_filtered=False,
    absent_source_actions=_N_SOURCE_ACTIONS,
    tables_can_be_owned=False,
    absent_schema_fields=frozenset(
        {"full_refresh_interval_days", "full_refresh_time_of_day", "next_full_refresh_at", "row_filter_columns"}
    ),
    absent_schema_actions=frozenset({"destinations"}),
    environments_are_deprecated=False,
)

S = replace(
    M,
    name="S",
    absent_view_fields=M.absent_view_fields | {"description"},
    token="any",
    direct_types=frozenset({"Postgres"}),
    direct_unsupported="Direct query mode is currently supported only for Postgres sources.",
    absent_source_actions=_N_SOURCE_ACTIONS | _M_SOURCE_ACTIONS,
    environments_are_routes=True,
)

VERSIONS = {version.name: version for version in (S, M, N)}


def current() -> Version:
    return VERSIONS[LocalState.read(STATE_KEY, NEWEST)]


def choose(name: str) -> None:
    LocalState.write(STATE_KEY, name)


def apply_seed(wanted: str | None) -> None:
    """``posthog_version`` of a seed; without it what the command line said."""
    choose(wanted or read_option() or NEWEST)


def start(option: str | None) -> None:
    """A server starts, with ``--posthog-version`` or without it."""
    write_option(option or "")
    if option:
        choose(option)


def read_option() -> str:
    """What the command line said, or nothing: also what a reset goes back to."""
    return str(LocalState.read(OPTION_KEY, ""))


def write_option(option: str) -> None:
    LocalState.write(OPTION_KEY, option)
