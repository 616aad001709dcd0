"""``warehouse_saved_query_folders`` (contract 3.1)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Count, Q
from rest_framework import mixins, serializers

from . import clock
from .models import SavedQueryEdge, SavedQueryFolder
from .saved_query_views import soft_delete
from .users import user_summary
from .viewsets import ProjectViewSet

BLOCKED = "Cannot delete this folder because these views still have dependencies outside the folder: {names}"


class SavedQueryFolderSerializer(serializers.ModelSerializer):
    name = serializers.CharField(max_length=400, error_messages={"blank": "Folder name cannot be empty."})

    class Meta:
        model = SavedQueryFolder
        fields: ClassVar = ["id", "name", "created_at", "created_by"]
        read_only_fields: ClassVar = ["id", "created_at", "created_by"]

    def to_representation(self, instance: SavedQueryFolder) -> dict[str, Any]:
        return {
            "id": str(instance.id),
            "name": instance.name,
            "created_at": instance.created_at,
            "created_by": user_summary(instance.created_by),
            "view_count": getattr(instance, "view_count", 0),
            "user_access_level": self.context["role"],
        }

    def validate_name(self, name: str) -> str:
        others = SavedQueryFolder.objects.filter(project=self.context["project"], name=name)
        if self.instance is not None:
            others = others.exclude(id=self.instance.id)
        if others.exists():
            raise serializers.ValidationError("A folder with this name already exists.")
        return name

    def create(self, validated_data: dict[str, Any]) -> SavedQueryFolder:
        return SavedQueryFolder.objects.create(
            **validated_data,
            project=self.context["project"],
            created_by=self.context["user"],
            created_at=clock.now(),
        )


class SavedQueryFolderViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ProjectViewSet,
):
    scope_object = "warehouse_view"
    role_based = True
    serializer_class = SavedQueryFolderSerializer
    pagination_class = None

    def get_queryset(self):  # type: ignore[no-untyped-def]
        return (
            SavedQueryFolder.objects.filter(project=self.project)
            .select_related("created_by")
            .annotate(view_count=Count("views", filter=Q(views__deleted=False)))
            .order_by("name")
        )

    def perform_destroy(self, instance: SavedQueryFolder) -> None:
        views = list(instance.views.filter(deleted=False))
        blocked = (
            SavedQueryEdge.objects.filter(source__in=views, reader__deleted=False)
            .exclude(reader__in=views)
            .order_by("source__name")
            .values_list("source__name", flat=True)
            .distinct()
        )
        if blocked:
            raise serializers.ValidationError(BLOCKED.format(names=", ".join(blocked)))
        for view in views:
            soft_delete(view, self)
        instance.delete()
