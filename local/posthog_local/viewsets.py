"""What every endpoint inside a project shares: project, key, scope, transaction."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import exceptions, permissions
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from . import background, directory, rate_limits, versions
from .auth import IsAuthenticated, IsProjectMember, KeyMayCall, RoleAllows
from .models import PersonalAPIKey, Project, User

CURRENT = "@current"
READ_ACTIONS = ("list", "retrieve")
WRITE_ACTIONS = ("create", "update", "partial_update", "destroy")
LONGEST_PROJECT_ID = 19


class PostHogViewSet(GenericViewSet):
    """A viewset for personal keys. ``action_scopes`` lists what differs from CRUD; None: no scope."""

    permission_classes: ClassVar = [IsAuthenticated, KeyMayCall, IsProjectMember, RoleAllows]
    scope_object: ClassVar[str]
    action_scopes: ClassVar[dict[str, str | None]] = {}
    in_project: ClassVar[bool] = False
    role_based: ClassVar[bool] = False

    def absent_actions(self) -> frozenset[str]:
        """What this version of PostHog does not know yet."""
        return frozenset()

    @cached_property
    def version(self) -> versions.Version:
        return versions.current()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if self.action in self.absent_actions():
            # The name is taken for the id of an object, which has no POST; behind an id it is nothing.
            if self.detail or request.method in permissions.SAFE_METHODS:
                raise exceptions.NotFound
            self.action = None
        if self.action is None and request.user is not None:
            # PostHog answers 405 to a wrong method, but not to strangers.
            raise exceptions.MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)

    def check_throttles(self, request: Request) -> None:
        rate_limits.enforce(request._request)

    def required_scope(self) -> str | None:
        if self.action in self.action_scopes:
            return self.action_scopes[self.action]
        if self.action in READ_ACTIONS or self.action == "metadata":
            return f"{self.scope_object}:read"
        if self.action in WRITE_ACTIONS:
            return f"{self.scope_object}:write"
        return None

    @property
    def user(self) -> User:
        return self.request.user  # type: ignore[return-value]

    @property
    def key(self) -> PersonalAPIKey:
        return self.request.auth  # type: ignore[return-value]


class ProjectViewSet(PostHogViewSet):
    """``/api/projects/:project_id/…``.

    A write is one transaction that holds the write lock from its first check on. Viewsets that talk
    to the outside world set ``atomic_writes`` to False and open their own transaction afterwards.
    """

    in_project = True
    atomic_writes: ClassVar[bool] = True
    settles_jobs: ClassVar[bool] = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in permissions.SAFE_METHODS or not self.atomic_writes:
            return super().dispatch(request, *args, **kwargs)
        self.prepare(request)
        if self.settles_jobs:
            background.settle()
        with transaction.atomic():
            response = super().dispatch(request, *args, **kwargs)
            if getattr(response, "exception", False):
                transaction.set_rollback(True)
        return response

    def prepare(self, request: HttpRequest) -> None:
        """For what takes a while and needs no lock: called before a write takes it."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.settles_jobs:
            background.settle()

    @cached_property
    def access(self) -> directory.Directory:
        return directory.of(self.request._request)

    @cached_property
    def project(self) -> Project:
        wanted = self.kwargs["project_id"]
        project = None
        if wanted == CURRENT:
            project = self.access.project(self.user.current_project_id)
        elif wanted.isascii() and wanted.isdigit() and len(wanted) < LONGEST_PROJECT_ID:
            project = self.access.project(int(wanted))
        if project is None:
            raise exceptions.NotFound("Project not found.")
        return project

    @cached_property
    def role(self) -> str | None:
        return self.access.role(self.user.id, self.project.id)

    def get_serializer_context(self) -> dict[str, Any]:
        return {
            **super().get_serializer_context(),
            "project": self.project,
            "user": self.user,
            "role": self.role,
            "version": self.version,
        }
