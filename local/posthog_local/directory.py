"""Who may come in: keys, users, projects and roles.

Only a seed writes them, so every process keeps them in memory and looks at one row per request to
see whether another seed has been applied since.
"""

from __future__ import annotations

from django.http import HttpRequest

from .ids import uuid7
from .models import LocalState, PersonalAPIKey, Project, ProjectMember

STATE_KEY = "generation"
ATTRIBUTE = "posthog_local_directory"


class Directory:
    """Read-only and shared by all threads of a process."""

    def __init__(self, generation: str | None) -> None:
        self.generation = generation
        keys = PersonalAPIKey.objects.select_related("user__organization", "user__current_project")
        self._keys = {key.secure_value: key for key in keys}
        self._projects = {project.id: project for project in Project.objects.select_related("organization")}
        members = ProjectMember.objects.values_list("user_id", "project_id", "role")
        self._roles = {(user, project): role for user, project, role in members}

    def key(self, value: str) -> PersonalAPIKey | None:
        return self._keys.get(PersonalAPIKey.digest(value))

    def project(self, project_id: int | None) -> Project | None:
        return self._projects.get(project_id) if project_id is not None else None

    def role(self, user_id: int, project_id: int) -> str | None:
        return self._roles.get((user_id, project_id))


_current: list[Directory] = []


def current() -> Directory:
    generation = LocalState.read(STATE_KEY, None)
    if not _current or _current[0].generation != generation:
        _current[:] = [Directory(generation)]
    return _current[0]


def of(request: HttpRequest) -> Directory:
    """The one that a request began with."""
    found: Directory | None = getattr(request, ATTRIBUTE, None)
    if found is None:
        found = current()
        setattr(request, ATTRIBUTE, found)
    return found


def changed() -> None:
    """To be called by whatever writes keys, users, projects or roles."""
    LocalState.write(STATE_KEY, str(uuid7()))
