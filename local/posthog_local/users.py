"""Who am I, and the project itself (contract 11.1)."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Project, User
from .viewsets import PostHogViewSet, ProjectViewSet


def user_summary(user: User | None) -> dict[str, Any] | None:
    """The user object of ``created_by`` on views (contract 3.2)."""
    if user is None:
        return None
    return {
        "id": user.id,
        "uuid": str(user.uuid),
        "distinct_id": user.distinct_id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "is_email_verified": True,
        "hedgehog_config": None,
        "role_at_organization": None,
    }


def _project_summary(project: Project | None) -> dict[str, Any] | None:
    if project is None:
        return None
    return {
        "id": project.id,
        "uuid": str(project.uuid),
        "organization": str(project.organization_id),
        "name": project.name,
        "api_token": project.api_token,
        "timezone": project.timezone,
    }


class UserViewSet(PostHogViewSet):
    """Only ``@me``; not limited by the key's project list."""

    scope_object = "user"

    @action(detail=False, methods=["get"], url_path="@me")
    def me(self, request: Request) -> Response:
        user = self.user
        organization = user.organization
        return Response(
            {
                "date_joined": None,
                **(user_summary(user) or {}),
                "is_staff": user.is_staff,
                "organization": organization and {"id": str(organization.id), "name": organization.name},
                "team": _project_summary(user.current_project),
            }
        )

    def required_scope(self) -> str | None:
        return "user:read"


class ProjectsViewSet(ProjectViewSet):
    scope_object = "project"

    def retrieve(self, request: Request, project_id: str) -> Response:
        project = self.project
        return Response(
            {
                "id": project.id,
                "organization": str(project.organization_id),
                "name": project.name,
                "uuid": str(project.uuid),
                "api_token": project.api_token,
                "timezone": project.timezone,
            }
        )


class ApiNotFound(APIView):
    """Any path under ``/api/`` that is not an endpoint."""

    authentication_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise exceptions.NotFound
