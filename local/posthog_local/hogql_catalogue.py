"""What PostHog itself brings into a query: its tables, their usual columns, the types of its functions."""

from __future__ import annotations

_FUNCTION_TYPES = {
    "integer": "count countIf uniq uniqExact uniqIf length toInt toIntOrZero dateDiff toYear toMonth toHour "
    "toDayOfWeek rank row_number dense_rank intDiv",
    "float": "sum sumIf avg avgIf toFloat toFloatOrZero round median quantile divide",
    "string": "toString concat lower upper trim substring replaceAll formatDateTime JSONExtractString toUUID",
    "datetime": "now toDateTime toDateTime64 parseDateTimeBestEffort toStartOfDay toStartOfHour toStartOfWeek "
    "toStartOfMonth toStartOfMinute dateTrunc date_trunc",
    "date": "today yesterday toDate toStartOfYear toMonday",
    "boolean": "isNull isNotNull empty notEmpty startsWith endsWith like match has in and or not",
    "array": "groupArray groupUniqArray splitByString splitByChar array arrayMap arrayFilter arraySort",
}
FUNCTION_TYPES = {name.lower(): kind for kind, names in _FUNCTION_TYPES.items() for name in names.split()}

_CORE_TABLES = """
    events persons groups sessions cohorts static_cohort_people cohort_people person_distinct_ids
    session_replay_events raw_session_replay_events raw_person_distinct_ids raw_persons raw_groups
    raw_cohort_people person_overrides raw_person_overrides raw_sessions raw_sessions_v3 log_entries
    console_logs_log_entries batch_export_log_entries query_log app_metrics hog_functions ai_events heatmaps
    exchange_rate pg_embeddings document_embeddings error_tracking_issue_fingerprint_overrides
    channel_definition logs numbers web_pre_aggregated_stats web_pre_aggregated_bounces
"""
CORE_TABLES = frozenset(_CORE_TABLES.split())
SYSTEM_NAMESPACES = ("system.", "information_schema.")

# The columns most queries read; a core table may have others.
CORE_COLUMNS = {
    "uuid": "string",
    "event": "string",
    "properties": "json",
    "timestamp": "datetime",
    "distinct_id": "string",
    "person_id": "string",
    "elements_chain": "string",
    "created_at": "datetime",
    "id": "string",
    "is_identified": "boolean",
    "session_id": "string",
    "key": "string",
    "number": "integer",
}


def is_core_table(name: str) -> bool:
    return name in CORE_TABLES or name.startswith(SYSTEM_NAMESPACES)
