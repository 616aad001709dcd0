"""``warehouse_saved_queries``: fields, validation, create and update (contract 3)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from rest_framework import exceptions, serializers

from . import activity, clock, hogql, jobs, materialization, naming, saved_query_names, versions
from .ids import uuid7
from .models import Dag, SavedQuery, SavedQueryEdge, SavedQueryFolder, User
from .saved_query_items import full, token_of
from .versions import Version

MODIFIED_BY_SOMEONE_ELSE = "The query was modified by someone else."
CYCLE = "Model contains a cycle"
HAS_DEPENDENTS = "This view cannot move while its DAG is managed or other views depend on it."
IS_MATERIALIZING = (
    "This view cannot move while it is materializing. Wait for the run to finish or cancel it, then try again."
)
TEST_VIEW_DAYS = 7
NOT_AN_OBJECT = (
    'Query must be a JSON object with a "query" key, got {kind}. Example: {{"kind": "HogQLQuery", '
    '"query": "SELECT * FROM events WHERE timestamp >= now() - INTERVAL 7 DAY LIMIT 100"}}'
)
NO_SQL = 'Query object must contain a non-empty "query" key with the SQL string.'


def read_sql_ahead(body: bytes) -> None:
    """The SQL of a request that is not validated yet, if there is one."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return
    query = data.get("query") if isinstance(data, dict) else None
    sql = query.get("query") if isinstance(query, dict) else None
    if isinstance(sql, str):
        hogql.read_ahead(sql)


class IncrementalSerializer(serializers.Serializer):
    enabled = serializers.BooleanField(required=False, default=True)
    incremental_key = serializers.CharField(max_length=400)
    unique_key = serializers.ListField(child=serializers.CharField(max_length=400), allow_empty=False)
    lookback_seconds = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**31 - 1)


class InProject(serializers.PrimaryKeyRelatedField):
    """A row of the same project by UUID: unknown and foreign ones give ``does_not_exist``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pk_field=serializers.UUIDField(), allow_null=True, required=False, **kwargs)

    def get_queryset(self):  # type: ignore[no-untyped-def]
        return super().get_queryset().filter(project=self.context["project"])


class LenientDag(serializers.JSONField):
    """Older versions swallow what they cannot use (contract 3.3)."""

    def to_internal_value(self, data: Any) -> Dag | None:
        try:
            wanted = uuid.UUID(str(super().to_internal_value(data)))
        except ValueError:
            return None
        return Dag.objects.filter(project=self.context["project"], id=wanted, is_managed=False).first()


class SavedQuerySerializer(serializers.Serializer):
    name = serializers.CharField(max_length=128)
    query = serializers.JSONField()
    incremental = IncrementalSerializer(required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    sync_frequency = serializers.ChoiceField(materialization.ACCEPTED, required=False, allow_null=True)
    folder_id = InProject(queryset=SavedQueryFolder.objects.all())
    is_test = serializers.BooleanField(required=False)
    edited_history_id = serializers.CharField(required=False, allow_null=True)
    soft_update = serializers.BooleanField(required=False, allow_null=True)
    dag_id = InProject(queryset=Dag.objects.all())
    deleted = serializers.BooleanField(required=False, allow_null=True)

    analysis: hogql.Analysis | None = None

    @cached_property
    def version(self) -> Version:
        return self.context.get("version") or versions.current()

    def get_fields(self) -> dict[str, serializers.Field]:
        """Without what this version of PostHog does not know, or does not write here."""
        fields = super().get_fields()
        absent = set(self.version.absent_view_fields)
        if not self.version.deleted_is_writable:
            absent.add("deleted")
        request = self.context.get("request")
        if not self.version.cadence_on_create and request is not None and request.method == "POST":
            absent.add("sync_frequency")
        if not self.version.dag_is_checked:
            fields["dag_id"] = LenientDag(required=False, allow_null=True)
        return {name: field for name, field in fields.items() if name not in absent}

    def to_representation(self, instance: SavedQuery) -> dict[str, Any]:
        return full(instance, self.context["user"], self.context["role"], self.version)

    # -- validation ---------------------------------------------------------------------------

    def validate_name(self, name: str) -> str:
        if self.instance is None or self.instance.name != name:
            saved_query_names.validate(self.context["project"], name)
        return name

    def validate_query(self, query: Any) -> Any:
        if not isinstance(query, dict):
            raise serializers.ValidationError(NOT_AN_OBJECT.format(kind=type(query).__name__))
        sql = query.get("query")
        if not isinstance(sql, str) or not sql.strip():
            raise serializers.ValidationError(NO_SQL)
        project = self.context["project"]
        try:
            self.analysis = hogql.analyse(sql, lambda names: saved_query_names.look_up(project, names))
        except hogql.Refused as error:
            raise serializers.ValidationError(str(error)) from error
        return query

    def validate_is_test(self, is_test: bool) -> bool:
        if is_test and not self.context["user"].is_staff:
            raise serializers.ValidationError("Only staff users can create test views.")
        return is_test

    def validate_dag_id(self, dag: Dag | None) -> Dag | None:
        if dag is not None and dag.is_managed:
            raise serializers.ValidationError("Choose a DAG that is not system-managed.")
        return dag

    # -- writing ------------------------------------------------------------------------------

    def create(self, validated_data: dict[str, Any]) -> SavedQuery:
        if self.version.token_breaks_a_creation and "edited_history_id" in validated_data:
            raise exceptions.APIException  # it reaches the constructor of the model (contract 3.3)
        user: User = self.context["user"]
        now = clock.now()
        is_test = validated_data.get("is_test", False)
        view = SavedQuery.objects.create(
            project=self.context["project"],
            name=validated_data["name"],
            query=validated_data["query"],
            description=validated_data.get("description") or None,
            incremental=validated_data.get("incremental"),
            folder=validated_data.get("folder_id"),
            dag=validated_data.get("dag_id") or self._default_dag(),
            **self._columns(validated_data),
            is_test=is_test,
            expires_at=now + timedelta(days=TEST_VIEW_DAYS) if is_test else None,
            created_by=user,
            created_at=now,
            updated_at=now,
        )
        self._write_edges(view)
        activity.record(view, user, "created", [activity.change("query", None, view.query)])
        cadence = validated_data.get("sync_frequency")
        if cadence:
            materialization.set_cadence(view, cadence, user)
        return view

    def update(self, view: SavedQuery, validated_data: dict[str, Any]) -> SavedQuery:
        if view.origin == SavedQuery.Origin.MANAGED_VIEWSET:
            raise serializers.ValidationError("Cannot update a query from a managed viewset")
        user: User = self.context["user"]
        changes: list[dict[str, Any]] = []
        self._check_token(view, validated_data)
        if "query" in validated_data and validated_data["query"] != view.query:
            self._change_query(view, validated_data, changes)
        if validated_data.get("name", view.name) != view.name:
            changes.append(activity.change("name", view.name, validated_data["name"]))
            view.name = validated_data["name"]
        if "folder_id" in validated_data:
            folder = validated_data["folder_id"]
            if (folder and folder.id) != view.folder_id:
                changes.append(activity.change("folder", view.folder and view.folder.name, folder and folder.name))
            view.folder = folder
        if "description" in validated_data:
            view.description = validated_data["description"] or None
        if "incremental" in validated_data:
            view.incremental = validated_data["incremental"]
        if "dag_id" in validated_data:
            self._move(view, validated_data["dag_id"] or self._default_dag())
        if "deleted" in validated_data:
            view.deleted = bool(validated_data["deleted"])
        view.updated_at = clock.now()
        view.save()
        if changes:
            activity.record(view, user, "updated", changes)
        if "sync_frequency" in validated_data:
            materialization.set_cadence(
                view, validated_data["sync_frequency"], user, materialize=self.version.cadence_materializes
            )
        return view

    def _move(self, view: SavedQuery, dag: Dag | None) -> None:
        if dag == view.dag:
            return
        if self.version.dag_is_checked:
            if (view.dag and view.dag.is_managed) or view.read_by.filter(reader__deleted=False).exists():
                raise serializers.ValidationError({"dag_id": HAS_DEPENDENTS})
            if view.runs.filter(status=jobs.RUNNING).exists():
                raise serializers.ValidationError({"dag_id": IS_MATERIALIZING})
        view.dag = dag

    def _check_token(self, view: SavedQuery, validated_data: dict[str, Any]) -> None:
        if not validated_data.get("query") or validated_data.get("soft_update"):
            return
        if validated_data["query"] == view.query and not self.version.token_for_an_unchanged_query:
            return
        sent = validated_data.get("edited_history_id")
        if self.version.token == "revision":
            current = _same_revision(view.revision, sent)
        else:
            current = sent == token_of(view, self.version)
        if not current:
            raise serializers.ValidationError(MODIFIED_BY_SOMEONE_ELSE)

    def _change_query(self, view: SavedQuery, validated_data: dict[str, Any], changes: list[dict[str, Any]]) -> None:
        soft = bool(validated_data.get("soft_update"))
        if _reaches(self._sources(view), view):
            raise serializers.ValidationError(CYCLE)
        changes.append(activity.change("query", view.query, validated_data["query"]))
        view.query = validated_data["query"]
        view.revision = uuid7()
        view.status = SavedQuery.Status.MODIFIED
        if not soft:
            for name, value in self._columns(validated_data).items():
                setattr(view, name, value)
        self._write_edges(view)

    def _columns(self, validated_data: dict[str, Any]) -> dict[str, Any]:
        """From ``types`` (an undocumented key of the request), else from the SQL (contract 3.2)."""
        types = self.initial_data.get("types")
        if isinstance(types, list) and types:
            pairs = [pair for pair in types if isinstance(pair, list) and len(pair) == 2]
            columns = [[str(name), naming.field_type(str(kind))] for name, kind in pairs]
            return {"columns": columns, "has_all_columns": True}
        if validated_data.get("soft_update") or self.analysis is None:
            return {"columns": []}
        columns = [[name, kind] for name, kind in self.analysis.columns.items()]
        return {"columns": columns, "has_all_columns": self.analysis.complete}

    def _default_dag(self) -> Dag | None:
        return Dag.objects.filter(project=self.context["project"], is_default=True).first()

    def _sources(self, view: SavedQuery) -> list[SavedQuery]:
        names = self.analysis.tables if self.analysis else set()
        return list(SavedQuery.objects.filter(project_id=view.project_id, deleted=False, name__in=names))

    def _write_edges(self, view: SavedQuery) -> None:
        view.reads.all().delete()
        SavedQueryEdge.objects.bulk_create(SavedQueryEdge(reader=view, source=source) for source in self._sources(view))


def _same_revision(revision: uuid.UUID | None, token: str | None) -> bool:
    """A row without a revision accepts any token once; else they are compared as UUIDs."""
    if revision is None:
        return True
    try:
        return uuid.UUID(token or "") == revision
    except ValueError:
        return False


def _reaches(sources: Sequence[SavedQuery], target: SavedQuery) -> bool:
    seen: set[uuid.UUID] = set()
    frontier = {source.id for source in sources}
    while frontier:
        if target.id in frontier:
            return True
        seen |= frontier
        further = SavedQueryEdge.objects.filter(reader_id__in=frontier).values_list("source_id", flat=True)
        frontier = set(further) - seen
    return False
