"""What is kept. Rows mirror what PostHog stores, not what it answers."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django.db import connection, models
from django.utils import timezone

from .ids import uuid7


class JSONField(models.JSONField):
    """Without Django's check in the table: SQLite refuses JSON that is nested deeper than 1,000."""

    def db_check(self, connection: Any) -> None:
        return None


class LocalState(models.Model):
    """Settings of the server itself that all workers share: clock, seed, faults."""

    key = models.CharField(max_length=100, primary_key=True)
    value = JSONField()

    @classmethod
    def read(cls, key: str, default: Any) -> Any:
        # By hand: several of these are read for every request.
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT value FROM {cls._meta.db_table} WHERE key = %s", [key])
            row = cursor.fetchone()
        return json.loads(row[0]) if row else default

    @classmethod
    def write(cls, key: str, value: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {cls._meta.db_table} (key, value) VALUES (%s, %s) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [key, json.dumps(value)],
            )


class RequestLogEntry(models.Model):
    at = models.DateTimeField()
    milliseconds = models.FloatField()
    method = models.CharField(max_length=16)
    path = models.TextField()
    query = models.TextField()
    headers = JSONField()
    body = JSONField(null=True)
    status = models.IntegerField(null=True)
    fault = models.TextField(null=True)

    @classmethod
    def append(cls, **entry: Any) -> None:
        """By hand: it is paid for with every request."""
        values = {**entry, "headers": json.dumps(entry["headers"]), "body": json.dumps(entry["body"])}
        if entry["body"] is None:
            values["body"] = None
        names = ", ".join(values)
        places = ", ".join(["%s"] * len(values))
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {cls._meta.db_table} ({names}) VALUES ({places})", list(values.values()))


class RateLimitHit(models.Model):
    """One request in one bucket of ``rate_limits``; ``at`` is a time of the server's own clock."""

    bucket = models.CharField(max_length=200)
    at = models.FloatField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["bucket", "at"])]


class Organization(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    name = models.CharField(max_length=64)
    allows_personal_keys = models.BooleanField(default=True)


class Project(models.Model):
    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid7)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=240, default="UTC")
    api_token = models.CharField(max_length=200)
    cdc_enabled = models.BooleanField(default=True)
    sync_limit_reached = models.BooleanField(default=False)
    most_custom_sources = models.IntegerField(default=10)


class User(models.Model):
    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid7)
    distinct_id = models.CharField(max_length=200)
    first_name = models.CharField(max_length=150, default="")
    last_name = models.CharField(max_length=150, default="")
    email = models.CharField(max_length=254)
    is_staff = models.BooleanField(default=False)
    organization = models.ForeignKey(Organization, null=True, on_delete=models.SET_NULL, related_name="+")
    current_project = models.ForeignKey(Project, null=True, on_delete=models.SET_NULL, related_name="+")

    is_authenticated = True


class ProjectMember(models.Model):
    """A user's access to one project; no row means no access."""

    class Role(models.TextChoices):
        VIEWER = "viewer"
        EDITOR = "editor"
        MANAGER = "manager"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.MANAGER)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "project"], name="one_membership"),
        ]


class PersonalAPIKey(models.Model):
    """``scopes``: as PostHog spells them, ``*`` for all. The value itself is not kept."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="keys")
    label = models.CharField(max_length=40)
    secure_value = models.CharField(max_length=64, unique=True)
    scopes = JSONField(default=list)
    scoped_projects = JSONField(default=list)
    scoped_organizations = JSONField(default=list)

    @staticmethod
    def digest(value: str) -> str:
        return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


class ActivityLogEntry(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    scope = models.CharField(max_length=79)
    item_id = models.CharField(max_length=72, db_index=True)
    activity = models.CharField(max_length=79)
    detail = JSONField()
    created_at = models.DateTimeField()


class InsightVariable(models.Model):
    class Type(models.TextChoices):
        STRING = "String"
        NUMBER = "Number"
        BOOLEAN = "Boolean"
        LIST = "List"
        DATE = "Date"

    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=400)
    type = models.CharField(max_length=128, choices=Type.choices)
    default_value = JSONField(null=True)
    values = JSONField(null=True)
    code_name = models.CharField(max_length=400)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    is_multi = models.BooleanField(default=False)
    values_query = models.TextField(null=True)
    values_query_connection_id = models.TextField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "code_name"], name="one_variable_per_code_name"),
        ]


class Dag(models.Model):
    """A graph of views (contract 3.8). Every project has a default one."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="dags")
    name = models.CharField(max_length=255)
    is_default = models.BooleanField(default=False)
    is_managed = models.BooleanField(default=False)


class SavedQueryFolder(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=400)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="one_folder_per_name"),
        ]


class SavedQuery(models.Model):
    class Status(models.TextChoices):
        CANCELLED = "Cancelled"
        MODIFIED = "Modified"
        COMPLETED = "Completed"
        FAILED = "Failed"
        RUNNING = "Running"

    class Origin(models.TextChoices):
        DATA_WAREHOUSE = "data_warehouse"
        ENDPOINT = "endpoint"
        MANAGED_VIEWSET = "managed_viewset"

    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=128)
    query = JSONField()
    description = models.TextField(null=True)
    columns = JSONField(default=list)
    # False: it may have more, as it takes all of a table whose columns are not known.
    has_all_columns = models.BooleanField(default=True)
    # Revision of the query text: the conflict token (contract 3.6, version N).
    revision = models.UUIDField(null=True, default=uuid7)
    sync_frequency = models.CharField(max_length=16, null=True)
    is_materialized = models.BooleanField(default=False)
    # When its schedule runs it again; None: it has none.
    next_run_at = models.DateTimeField(null=True, db_index=True)
    incremental = JSONField(null=True)
    status = models.CharField(max_length=16, null=True)
    last_run_at = models.DateTimeField(null=True)
    latest_error = models.TextField(null=True)
    folder = models.ForeignKey(SavedQueryFolder, null=True, on_delete=models.SET_NULL, related_name="views")
    dag = models.ForeignKey(Dag, null=True, on_delete=models.SET_NULL, related_name="+")
    node_id = models.UUIDField(default=uuid7)
    origin = models.CharField(max_length=32, default=Origin.DATA_WAREHOUSE)
    is_test = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True)
    deleted = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="one_view_per_name"),
        ]


class SavedQueryEdge(models.Model):
    """``reader`` reads ``source``: fixed when the reader's query is saved, and kept by a rename."""

    reader = models.ForeignKey(SavedQuery, on_delete=models.CASCADE, related_name="reads")
    source = models.ForeignKey(SavedQuery, on_delete=models.CASCADE, related_name="read_by")


class SavedQueryRun(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    saved_query = models.ForeignKey(SavedQuery, on_delete=models.CASCADE, related_name="runs")
    status = models.CharField(max_length=16)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["status", "due_at"])]


class Vendor(models.Model):
    """A scripted database or SaaS vendor of the seed; see ``vendors.py``."""

    source_type = models.CharField(max_length=128, db_index=True)
    script = JSONField()


class ExternalDataSource(models.Model):
    class Access(models.TextChoices):
        WAREHOUSE = "warehouse"
        DIRECT = "direct"

    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    source_type = models.CharField(max_length=128)
    status = models.CharField(max_length=400, default="Running")
    prefix = models.CharField(max_length=100, null=True)
    description = models.CharField(max_length=400, null=True)
    access_method = models.CharField(max_length=16, default=Access.WAREHOUSE)
    direct_query_enabled = models.BooleanField(default=False)
    auto_sync_new_schemas = models.BooleanField(default=False)
    auto_sync_schema_patterns = JSONField(null=True)
    # The parsed configuration with every scalar as text (contract 4.6), secrets included.
    job_inputs = JSONField(null=True)
    revenue_analytics_config = JSONField(default=dict)
    destination_ids = JSONField(default=list)
    api_version = models.CharField(max_length=64, null=True)
    created_via = models.CharField(max_length=32, null=True)
    # When its tables are listed again; None: never.
    next_discovery_at = models.DateTimeField(null=True, db_index=True)
    system_managed = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    deleted = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "deleted", "source_type"])]


class SourceWebhook(models.Model):
    """PostHog's end of a webhook, and what the vendor keeps of it. Its id is the last part of its address."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    source = models.OneToOneField(ExternalDataSource, on_delete=models.CASCADE, related_name="webhook")
    name = models.CharField(max_length=400)
    created_at = models.DateTimeField()
    inputs = JSONField(default=dict)
    # What the vendor calls an object -> the id of the schema that its events are written to.
    schema_mapping = JSONField(default=dict)
    # The endpoint at the vendor: its events and when it was made; None until the vendor has one.
    endpoint = JSONField(null=True)


class StoredCredential(models.Model):
    """Connection details that wait for a source to be made with them (contract 5.7)."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    source_type = models.CharField(max_length=128)
    payload = JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()


class WarehouseTable(models.Model):
    """What a sync has brought: it exists for queries only from the first completed sync on."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    source = models.ForeignKey(ExternalDataSource, on_delete=models.CASCADE, related_name="tables")
    name = models.CharField(max_length=400)
    dotted_name = models.CharField(max_length=400)
    columns = JSONField(default=list)
    row_count = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    deleted = models.BooleanField(default=False)


class ExternalDataSchema(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    source = models.ForeignKey(ExternalDataSource, on_delete=models.CASCADE, related_name="schemas")
    name = models.CharField(max_length=400)
    label = models.CharField(max_length=400, null=True)
    description = models.TextField(null=True)
    table = models.ForeignKey(WarehouseTable, null=True, on_delete=models.SET_NULL, related_name="+")
    should_sync = models.BooleanField(default=False)
    status = models.CharField(max_length=400, null=True)
    latest_error = models.TextField(null=True)
    last_synced_at = models.DateTimeField(null=True)
    sync_type = models.CharField(max_length=32, null=True)
    incremental_field = models.CharField(max_length=400, null=True)
    incremental_field_type = models.CharField(max_length=32, null=True)
    incremental_field_lookback_seconds = models.IntegerField(null=True)
    primary_key_columns = JSONField(null=True)
    sync_frequency = models.CharField(max_length=16, null=True, default="6hour")
    # When its schedule syncs it again; None: it has none.
    next_sync_at = models.DateTimeField(null=True, db_index=True)
    sync_time_of_day = models.TimeField(null=True)
    full_refresh_interval_days = models.IntegerField(null=True)
    full_refresh_time_of_day = models.TimeField(null=True)
    cdc_table_mode = models.CharField(max_length=32, default="consolidated")
    enabled_columns = JSONField(null=True)
    row_filters = JSONField(null=True)
    api_version = models.CharField(max_length=64, null=True)
    # Where this table goes instead of where its source goes; None: with its source.
    destination_ids = JSONField(null=True)
    # The vendor's table as last discovered: columns, cursors, keys (``sources.discovery``).
    discovered = JSONField(default=dict)
    created_at = models.DateTimeField()
    deleted = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "deleted"])]


class ExternalDataJob(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7)
    source = models.ForeignKey(ExternalDataSource, on_delete=models.CASCADE, related_name="jobs")
    schema = models.ForeignKey(ExternalDataSchema, on_delete=models.CASCADE, related_name="jobs")
    status = models.CharField(max_length=32)
    rows_synced = models.BigIntegerField(default=0)
    latest_error = models.TextField(null=True)
    workflow_run_id = models.UUIDField(default=uuid7)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["status", "due_at"])]
