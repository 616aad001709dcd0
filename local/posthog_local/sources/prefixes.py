"""What a prefix may be, and which are taken (contract 4.4 rows 2 to 7)."""

from __future__ import annotations

import re

from django.db.models import Q
from rest_framework import serializers

from .. import versions
from ..errors import Message
from ..models import ExternalDataSource, Project
from . import definitions

WAREHOUSE = ExternalDataSource.Access.WAREHOUSE
DIRECT = ExternalDataSource.Access.DIRECT

NAME_REQUIRED = "Name is required for direct query sources"
_PATTERN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*\Z")


def check(
    project: Project, source_type: str, prefix: str | None, access_method: str, *, characters: bool = True
) -> None:
    """Rows 2 to 7 in their order. ``source_prefix`` does not look at the characters."""
    version = versions.current()
    if version.prefix_reserved and (prefix or "").strip().lower() == version.prefix_reserved:
        raise Message("This source name is reserved by PostHog.")
    if access_method == DIRECT:
        supported = definitions.DIRECT_ENGINES if version.direct_types is None else version.direct_types
        if source_type not in supported:
            raise Message(version.direct_unsupported)
        if not (prefix or "").strip():
            raise Message(NAME_REQUIRED)
        return
    if source_type in definitions.DIRECT_ONLY:
        raise Message(f"{source_type} is available only as a direct connection.")
    if prefix and characters:
        if not prefix.strip("_"):
            raise serializers.ValidationError("Prefix cannot consist of only underscores")
        if not _PATTERN.match(prefix):
            raise serializers.ValidationError(
                "Prefix must contain only letters, numbers, and underscores, and start with a letter or underscore"
            )
    check_free(project, source_type, prefix)


def check_free(project: Project, source_type: str, prefix: str | None) -> None:
    """Unique per project and type among the sources that are not deleted."""
    version = versions.current()
    others = ExternalDataSource.objects.filter(
        project=project, source_type=source_type, access_method=WAREHOUSE, deleted=False
    )
    if not prefix:
        if not version.prefix_required_beside_prefixed:
            others = others.filter(Q(prefix=None) | Q(prefix=""))
        if others.exists():
            raise Message(version.prefix_required)
    elif others.filter(prefix=prefix).exists():
        raise Message(version.prefix_taken.format(prefix=prefix))
