"""What the bodies of requests and answers look like: written down from the contract, not taken from the code."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, Schema] = {
    "any": {},
    "array": {"type": "array"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "object": {"type": "object"},
    "string": {"type": "string"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "time": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
}


def schema_of(kind: str) -> Schema:
    """``string``, ``string?`` (may be null), ``Name`` (a component) or ``Name[]``."""
    if kind.endswith("[]"):
        return {"type": "array", "items": schema_of(kind.removesuffix("[]"))}
    name = kind.removesuffix("?")
    schema = dict(_TYPES[name]) if name in _TYPES else {"$ref": f"#/components/schemas/{name}"}
    if name == kind or not schema:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _object(fields: str, optional: str = "") -> Schema:
    """Exactly these fields."""
    required = dict(field.split(":") for field in fields.split())
    extra = dict(field.split(":") for field in optional.split())
    return {
        "type": "object",
        "properties": {name: schema_of(kind) for name, kind in (required | extra).items()},
        "required": list(required),
        "additionalProperties": False,
    }


def _page(of: str) -> Schema:
    return _object(f"count:integer next:string? previous:string? results:{of}[]")


# -- answers (contract 1.3, 2 to 6, 11) ---------------------------------------------------------

_VIEW_LIST_FIELDS = (
    "id:uuid deleted:boolean name:string has_incremental_history:boolean created_by:UserSummary? created_at:time "
    "description:string? sync_frequency:string? columns:Column[] status:string? last_run_at:time? "
    "managed_viewset_kind:string? folder_id:uuid? folder_name:string? latest_error:string? "
    "is_materialized:boolean origin:string is_test:boolean expires_at:time? user_access_level:string? "
    "suspended:object"
)
_SOURCE_FIELDS = (
    "id:uuid created_at:time created_by:string? created_via:string? status:string source_type:string "
    "latest_error:string? prefix:string? description:string? access_method:string direct_query_enabled:boolean "
    "auto_sync_new_schemas:boolean auto_sync_schema_patterns:strings? engine:string? last_run_at:time? "
    "job_inputs:object? revenue_analytics_config:RevenueAnalytics user_access_level:string? "
    "supports_webhooks:boolean supports_column_selection:boolean api_version:string? api_version_deprecation:object?"
)
_TABLE_FIELDS = (
    "id:uuid name:string label:string? table:object? should_sync:boolean last_synced_at:time? latest_error:string? "
    "incremental:boolean status:string? sync_type:string? incremental_field:string? incremental_field_type:string? "
    "incremental_field_lookback_seconds:integer? sync_frequency:string? sync_time_of_day:string? "
    "full_refresh_interval_days:integer? full_refresh_time_of_day:string? next_full_refresh_at:time? "
    "description:string? primary_key_columns:strings? cdc_table_mode:string incremental_sync_blocked:boolean "
    "enabled_columns:strings? row_filters:array? row_filter_columns:array available_columns:array "
    "source_column_metadata_available:boolean source:object? api_version:string? api_version_deprecation:object? "
    "user_access_level:string?"
)

COMPONENTS: dict[str, Schema] = {
    "Error": _object("type:string code:string detail:string attr:string?", "extra:object error_event_id:string"),
    # Custom actions have bodies of their own (contract 1.3): one of these texts, perhaps with more beside it.
    "Message": {"type": "object", "properties": {"message": _TYPES["string"]}, "required": ["message"]},
    "ErrorText": {"type": "object", "properties": {"error": _TYPES["string"]}, "required": ["error"]},
    "Detail": _object("detail:string"),
    "Problem": {"anyOf": [schema_of(name) for name in ("Error", "Message", "ErrorText", "Detail")]},
    "UserSummary": _object(
        "id:integer uuid:uuid distinct_id:string first_name:string last_name:string email:string "
        "is_email_verified:any hedgehog_config:any role_at_organization:string?"
    ),
    "InsightVariable": _object(
        "id:uuid name:string type:string default_value:any created_by:integer? created_at:time code_name:string "
        "values:any is_multi:boolean values_query:string? values_query_connection_id:string?"
    ),
    "InsightVariablePage": _page("InsightVariable"),
    "Column": _object(
        "key:string name:string type:string schema_valid:boolean fields:any table:any chain:any description:string?"
    ),
    "SavedQuery": _object(
        f"{_VIEW_LIST_FIELDS} query:object incremental:object? incremental_state:object? updated_at:time "
        "sync_frequency_bounds:object latest_history_id:uuid?"
    ),
    "SavedQueryItem": _object(f"{_VIEW_LIST_FIELDS} is_incremental:boolean materialization_mode:string"),
    "SavedQueryPage": _page("SavedQueryItem"),
    "RunHistory": _object("run_history:array"),
    "Activity": _object("results:array next:string? previous:string? total_count:integer"),
    "Folder": _object(
        "id:uuid name:string created_at:time created_by:UserSummary? view_count:integer user_access_level:string?"
    ),
    "RevenueAnalytics": _object("enabled:boolean include_invoiceless_charges:boolean"),
    "Source": _object(f"{_SOURCE_FIELDS} schemas:Table[]"),
    "SourceItem": _object(f"{_SOURCE_FIELDS} schemas:TableSummary[]"),
    "SourcePage": _page("SourceItem"),
    "NewSource": _object("id:uuid"),
    "TableSummary": _object(
        "id:uuid name:string label:string? should_sync:boolean status:string? sync_type:string? last_synced_at:time? "
        "sync_frequency:string? latest_error:string? table:object?"
    ),
    "Table": _object(_TABLE_FIELDS),
    "TablePage": _page("Table"),
    "Refreshed": _object("added:integer deleted:integer auto_enabled:integer total_tables_seen:integer"),
    "Job": _object(
        "id:uuid created_at:time created_by:any finished_at:time? status:string schema:object rows_synced:integer? "
        "latest_error:string? workflow_run_id:string? cdc_write_mode:string? billable:boolean? destination_ids:array"
    ),
    "DiscoveredTable": _object(
        "table:string label:string? should_sync:boolean should_sync_default:boolean description:string? rows:any "
        "incremental_fields:array incremental_available:boolean append_available:boolean cdc_available:any "
        "xmin_available:any incremental_field:string? sync_type:string? supports_webhooks:boolean "
        "webhook_only:boolean available_columns:array detected_primary_keys:strings? "
        "primary_key_detection_supported:boolean permission_error:string? rls_warning:string?"
    ),
    "Verdict": _object("valid:boolean errors:strings"),
    "WebhookInfo": _object(
        "supports_webhooks:boolean exists:boolean auto_creation_blocked_reason:string? hog_function:object? "
        "webhook_url:string? schema_mapping:object external_status:object?",
        "inputs:object missing_events:strings",
    ),
    "User": _object(
        "id:integer uuid:uuid distinct_id:string first_name:string last_name:string email:string date_joined:time? "
        "is_email_verified:any hedgehog_config:any role_at_organization:string? is_staff:boolean "
        "organization:object? team:object?"
    ),
    "Project": _object("id:integer organization:uuid name:string uuid:uuid api_token:string timezone:string"),
    "Anything": {},
}

# (collection, action) -> status and component of what succeeds; None: no body. Others: 200 and anything.
EMPTY = None
ANSWERS: dict[tuple[str, str], list[tuple[int, str | None]]] = {
    **{
        (collection, action): answers
        for collection, one, page in (
            ("insight_variables", "InsightVariable", "InsightVariablePage"),
            ("warehouse_saved_queries", "SavedQuery", "SavedQueryPage"),
            ("warehouse_saved_query_folders", "Folder", "Folder[]"),
            ("external_data_sources", "Source", "SourcePage"),
            ("external_data_schemas", "Table", "TablePage"),
        )
        for action, answers in {
            "list": [(200, page)],
            "create": [(201, one)],
            "retrieve": [(200, one)],
            "update": [(200, one)],
            "partial_update": [(200, one)],
            "destroy": [(204, EMPTY)],
        }.items()
    },
    ("warehouse_saved_queries", "create"): [(201, "SavedQuery"), (200, "SavedQuery")],
    ("warehouse_saved_queries", "run"): [(200, EMPTY)],
    ("warehouse_saved_queries", "materialize"): [(200, EMPTY)],
    ("warehouse_saved_queries", "revert_materialization"): [(200, EMPTY)],
    ("warehouse_saved_queries", "resume_schedules"): [(202, EMPTY)],
    ("warehouse_saved_queries", "run_history"): [(200, "RunHistory")],
    ("warehouse_saved_queries", "activity"): [(200, "Activity")],
    ("external_data_sources", "create"): [(201, "NewSource")],
    ("external_data_sources", "reload"): [(200, EMPTY)],
    ("external_data_sources", "refresh_schemas"): [(200, "Refreshed")],
    ("external_data_sources", "bulk_update_schemas"): [(200, "Table[]")],
    ("external_data_sources", "jobs"): [(200, "Job[]")],
    ("external_data_sources", "revenue_analytics_config"): [(200, "Source")],
    ("external_data_sources", "source_prefix"): [(200, EMPTY)],
    ("external_data_sources", "database_schema"): [(200, "DiscoveredTable[]")],
    ("external_data_sources", "wizard"): [(200, "object")],
    ("external_data_sources", "connections"): [(200, "object[]")],
    ("external_data_sources", "direct_connection_options"): [(200, "object[]")],
    ("external_data_sources", "webhook_info"): [(200, "WebhookInfo")],
    ("external_data_sources", "create_webhook"): [(200, "object")],
    ("external_data_sources", "update_webhook_inputs"): [(200, "object")],
    ("external_data_sources", "delete_webhook"): [(200, "object")],
    ("external_data_sources", "check_cdc_prerequisites"): [(200, "Verdict")],
    ("external_data_sources", "check_cdc_prerequisites_for_source"): [(200, "Verdict")],
    ("external_data_sources", "setup_source"): [(201, "object")],
    ("external_data_sources", "store_credentials"): [(201, "object")],
    ("external_data_schemas", "reload"): [(200, EMPTY)],
    ("external_data_schemas", "resync"): [(200, EMPTY)],
    ("external_data_schemas", "cancel"): [(200, EMPTY), (200, "Detail")],
    ("external_data_schemas", "delete_data"): [(200, EMPTY)],
    ("users", "me"): [(200, "User")],
    ("projects", "retrieve"): [(200, "Project")],
}

# -- bodies -------------------------------------------------------------------------------------

_CONNECTION = "host:any port:any database:any user:any password:any schema:any"
_CDC = (
    "cdc_management_mode:any cdc_slot_name:any cdc_publication_name:any cdc_auto_drop_slot:any "
    "cdc_lag_warning_threshold_mb:any cdc_lag_critical_threshold_mb:any"
)


def _body(fields: str) -> Schema:
    """These fields, none of them required, and any others: DRF ignores what it does not know."""
    return {**_object("", fields), "additionalProperties": True}


BODIES: dict[tuple[str, str], Schema] = {
    ("warehouse_saved_queries", "materialize"): _body("sync_frequency:string"),
    ("warehouse_saved_queries", "run"): _body("full_refresh:boolean"),
    ("warehouse_saved_queries", "resume_schedules"): _body("view_ids:array"),
    ("warehouse_saved_queries", "check_incremental"): _body(
        "query:any incremental_key:string? unique_key:array? lookback_seconds:integer?"
    ),
    ("external_data_sources", "create"): _body(
        "source_type:string payload:object prefix:string? description:string? access_method:string "
        "created_via:string direct_query_enabled:boolean destination_ids:array"
    ),
    ("external_data_sources", "setup_source"): _body(
        "source_type:string payload:object prefix:string? description:string?"
    ),
    ("external_data_sources", "store_credentials"): _body("source_type:string payload:object"),
    ("external_data_sources", "update"): _body("client_secret:string account_id:string description:string?"),
    ("external_data_sources", "partial_update"): _body(
        "description:string? job_inputs:object prefix:string? direct_query_enabled:boolean "
        "auto_sync_new_schemas:boolean auto_sync_schema_patterns:array? access_method:string"
    ),
    ("external_data_sources", "source_prefix"): {
        **_body("source_type:string prefix:string? access_method:string"),
        "required": ["source_type"],
    },
    ("external_data_sources", "database_schema"): _body(f"source_type:string {_CONNECTION}"),
    ("external_data_sources", "check_cdc_prerequisites"): _body(f"source_type:string {_CONNECTION} {_CDC} tables:any"),
    ("external_data_sources", "check_cdc_prerequisites_for_source"): _body(f"{_CDC} tables:any"),
    ("external_data_sources", "enable_cdc"): _body(_CDC),
    ("external_data_sources", "update_cdc_settings"): _body(_CDC),
    ("external_data_sources", "bulk_update_schemas"): _body("schemas:any apply_sync_defaults:any"),
    ("external_data_sources", "revenue_analytics_config"): _body("enabled:any include_invoiceless_charges:any"),
    ("external_data_sources", "create_webhook"): _body("inputs:any"),
    ("external_data_sources", "update_webhook_inputs"): _body("inputs:any"),
    ("external_data_sources", "destinations"): _body("destination_ids:any"),
    ("external_data_schemas", "destinations"): _body("destination_ids:any"),
}
