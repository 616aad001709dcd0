"""Personal API keys, scopes and project access (contract 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework import exceptions, permissions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from . import directory
from .models import PersonalAPIKey, ProjectMember, User

ALL_SCOPES = "*"
NO_SUPPORT = "This action does not support personal API key access"


@dataclass(frozen=True)
class FoundKey:
    value: str
    where: str


class PersonalKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, PersonalAPIKey] | None:
        found = self._find(request)
        if found is None:
            return None
        key = directory.of(request._request).key(found.value)
        if key is None:
            raise exceptions.AuthenticationFailed(f"Personal API key found in request {found.where} is invalid.")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        metadata = request.build_absolute_uri("/.well-known/oauth-protected-resource")
        return f'Bearer resource_metadata="{metadata}"'

    @staticmethod
    def _find(request: Request) -> FoundKey | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return FoundKey(value.strip(), "Authorization header")
        value = request.query_params.get("personal_api_key")
        if value:
            return FoundKey(value, "query string")
        try:
            body = request.data
        except exceptions.APIException:  # the view reports a body that cannot be read
            return None
        value = body.get("personal_api_key") if isinstance(body, Mapping) else None
        return FoundKey(value, "body") if isinstance(value, str) and value else None


def has_scope(granted: list[str], required: str) -> bool:
    if ALL_SCOPES in granted or required in granted:
        return True
    name, _, action = required.partition(":")
    return action == "read" and f"{name}:write" in granted  # write includes read


def require_scope(key: PersonalAPIKey, required: str | None) -> None:
    if required is None:
        raise exceptions.PermissionDenied(NO_SUPPORT)
    if not has_scope(key.scopes, required):
        raise exceptions.PermissionDenied(f"API key missing required scope '{required}'")


class IsAuthenticated(permissions.IsAuthenticated):
    """401 before everything else, also before a wrong method."""


class KeyMayCall(permissions.BasePermission):
    """Limits of the key first, then its scope, as PostHog orders them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        key: PersonalAPIKey = request.auth
        required = view.required_scope()
        if required is None:
            raise exceptions.PermissionDenied(NO_SUPPORT)
        if view.in_project:
            if key.scoped_projects and view.project.id not in key.scoped_projects:
                raise exceptions.PermissionDenied(
                    f"API key does not have access to the requested project: ID {view.project.id}."
                )
            organization = view.project.organization if key.scoped_organizations else None
            if organization and str(organization.id) not in key.scoped_organizations:
                raise exceptions.PermissionDenied(
                    f"API key does not have access to the requested organization: ID {organization.id}."
                )
        require_scope(key, required)
        return True


class IsProjectMember(permissions.BasePermission):
    message = "You don't have access to the project."

    def has_permission(self, request: Request, view: Any) -> bool:
        if not view.in_project:
            return True
        organization = view.project.organization
        if not organization.allows_personal_keys:
            raise exceptions.PermissionDenied(
                f"Organization '{organization.name}' does not allow using personal API keys. "
                "Contact an admin to enable personal API keys for this organization."
            )
        return view.role is not None


WRITE_NEEDS_EDITOR = "You do not have editor access to this resource."


def access_level(creator_id: int | None, user: User, role: str | None) -> str | None:
    """``user_access_level`` of an object: whoever made it manages it."""
    return ProjectMember.Role.MANAGER.value if creator_id == user.id else role


class RoleAllows(permissions.BasePermission):
    """Role-based access on views and sources; insight variables have no levels (contract 2)."""

    message = WRITE_NEEDS_EDITOR

    def has_permission(self, request: Request, view: Any) -> bool:
        if not view.role_based or request.method in permissions.SAFE_METHODS:
            return True
        return view.role in (ProjectMember.Role.EDITOR, ProjectMember.Role.MANAGER)
