"""What the server starts with: organisations, projects, users, keys, scripted vendors."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from django.db import connection, transaction

from . import clock, directory, rate_limits, versions
from .models import (
    Dag,
    LocalState,
    Organization,
    PersonalAPIKey,
    Project,
    ProjectMember,
    User,
    Vendor,
)
from .seed_shape import InvalidSeed, Seed, validate
from .sources import live_hosts

STATE_KEY = "seed"


def default() -> Seed:
    return yaml.safe_load(resources.files("posthog_local").joinpath("default_seed.yaml").read_text())


def read(path: Path) -> Seed:
    """YAML, of which JSON is a part."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSeed(f"The seed {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidSeed(f"The seed {path} is not UTF-8 text.") from error
    try:
        data = yaml.load(text, _Loader)
    except _Twice as error:
        raise InvalidSeed(f"The seed {path} has the key {error.problem} twice, in line {_line(error)}.") from error
    except yaml.YAMLError as error:
        line = _line(error)
        where = f" in line {line}" if line else ""
        raise InvalidSeed(f"The seed {path} is not valid YAML{where}.") from error
    return validate(data, str(path))


class _Twice(yaml.constructor.ConstructorError):
    """YAML itself would silently take the last one."""


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise _Twice(problem=repr(key.value), problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key.value, str) else None)
        return super().construct_mapping(node, deep)


def _line(error: yaml.YAMLError) -> int | None:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else None


# -- applying -----------------------------------------------------------------------------------


def apply(seed: Seed) -> None:
    """Write the seed into an empty data file and remember it for a reset."""
    with transaction.atomic():
        names: dict[str, Organization] = {}
        for item in seed.get("organizations") or ():
            if item["name"] in names:
                raise InvalidSeed(f"The seed declares the organization {item['name']!r} twice.")
            names[item["name"]] = _organization(item)
        if not names:
            names["Local Organization"] = Organization.objects.create(name="Local Organization")
        for item in seed.get("projects") or ({"name": "Default"},):
            _project(item, names)
        for item in seed.get("users") or ():
            _user(item, names)
        for script in seed.get("vendors") or ():
            Vendor.objects.create(source_type=script["source_type"], script=script)
        if seed.get("clock"):
            clock.change(sync_seconds=seed["clock"]["sync_seconds"])
        rate_limits.apply_seed(seed.get("rate_limits"))
        if seed.get("databases"):
            live_hosts.write(seed["databases"])
        versions.apply_seed(seed.get("posthog_version"))
        LocalState.write(STATE_KEY, seed)
        directory.changed()


def _organization(item: dict[str, Any]) -> Organization:
    return Organization.objects.create(name=item["name"], allows_personal_keys=item.get("allows_personal_keys", True))


def _named(names: dict[str, Organization], wanted: str | None) -> Organization:
    if wanted is None:
        return next(iter(names.values()))
    if wanted not in names:
        raise InvalidSeed(f"The seed names the organization {wanted!r}, which it does not declare.")
    return names[wanted]


def _project(item: dict[str, Any], names: dict[str, Organization]) -> None:
    given = {"id": item["id"]} if item.get("id") else {}
    if given and Project.objects.filter(**given).exists():
        raise InvalidSeed(f"The seed declares the project {item['id']} twice.")
    project = Project.objects.create(
        **given,
        organization=_named(names, item.get("organization")),
        name=item["name"],
        timezone=item.get("timezone", "UTC"),
        cdc_enabled=item.get("cdc_enabled", True),
        sync_limit_reached=item.get("sync_limit_reached", False),
        **{name: item[name] for name in ("most_custom_sources",) if item.get(name) is not None},
        api_token=f"phc_{item['name'].lower().replace(' ', '_')}",
    )
    Dag.objects.create(project=project, name="Default", is_default=True)
    for dag in item.get("dags") or ():
        if Dag.objects.filter(id=dag["id"]).exists():
            raise InvalidSeed(f"The seed declares the DAG {dag['id']} twice.")
        Dag.objects.create(id=dag["id"], project=project, name=dag["name"], is_managed=dag.get("managed", False))


def _user(item: dict[str, Any], names: dict[str, Organization]) -> None:
    organization = _named(names, item.get("organization"))
    user = User.objects.create(
        email=item["email"],
        distinct_id=item["email"],
        first_name=item.get("first_name", ""),
        last_name=item.get("last_name", ""),
        is_staff=item.get("is_staff", False),
        organization=organization,
    )
    projects = _members(item, user)
    wanted = item.get("current_project")
    current = [project for project in projects if wanted is None or project.id == wanted]
    if wanted is not None and not current:
        raise InvalidSeed(f"The seed makes {wanted} the current project of {user.email}, who is not in it.")
    user.current_project = current[0] if current else None
    user.save()
    for key in item.get("keys") or ():
        _key(key, user, names)


def _members(item: dict[str, Any], user: User) -> list[Project]:
    """The projects of a user: the ones that are named, else all of the organization."""
    roles = item.get("projects")
    if roles is None:
        roles = {str(project.id): ProjectMember.Role.MANAGER for project in user.organization.projects.all()}
    known = {str(project.id): project for project in Project.objects.order_by("id")}
    unknown = sorted(set(roles) - set(known))
    if unknown:
        raise InvalidSeed(f"The seed gives {user.email} the project {unknown[0]}, which it does not declare.")
    for number, role in roles.items():
        ProjectMember.objects.create(user=user, project=known[number], role=role)
    return [project for number, project in known.items() if number in roles]


def _key(key: dict[str, Any], user: User, names: dict[str, Organization]) -> None:
    label = key.get("label", "key")
    digest = PersonalAPIKey.digest(key["value"])
    if PersonalAPIKey.objects.filter(secure_value=digest).exists():
        raise InvalidSeed(f"The seed declares the key {label!r} with a value that is taken.")
    projects = key.get("projects", [])
    unknown = sorted(set(projects) - set(Project.objects.values_list("id", flat=True)))
    if unknown:
        raise InvalidSeed(f"The seed limits the key {label!r} to the project {unknown[0]}, which it does not declare.")
    PersonalAPIKey.objects.create(
        user=user,
        label=label,
        secure_value=digest,
        scopes=key.get("scopes", ["*"]),
        scoped_projects=projects,
        scoped_organizations=[str(_named(names, name).id) for name in key.get("organizations") or ()],
    )


def is_applied() -> bool:
    """A server that was stopped, or refused its seed, while it made the file has left it without one."""
    return LocalState.read(STATE_KEY, None) is not None


def reset(seed: Seed | None = None) -> None:
    """Back to the seed: everything else is gone, the request log included; what the command line said stays."""
    wanted = seed if seed is not None else LocalState.read(STATE_KEY, None) or default()
    sync_seconds = clock.read().sync_seconds
    limited = rate_limits.read_option()
    version = versions.read_option()
    with transaction.atomic():
        empty()
        rate_limits.write_option(limited)
        versions.write_option(version)
        apply({"clock": {"sync_seconds": sync_seconds}, **wanted})
        LocalState.write(STATE_KEY, wanted)


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA defer_foreign_keys = ON")
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        cursor.execute("DELETE FROM sqlite_sequence")
