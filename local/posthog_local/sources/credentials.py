"""Connection details that are kept until a source is made with them (contract 5.7)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from .. import clock
from ..errors import Message
from ..models import Project, StoredCredential, User
from .configuration import Config

LIFETIME = timedelta(hours=24)


def store(project: Project, user: User, source_type: str, payload: Config) -> StoredCredential:
    now = clock.now()
    StoredCredential.objects.filter(project=project, expires_at__lte=now).delete()
    return StoredCredential.objects.create(
        project=project,
        user=user,
        source_type=source_type,
        payload=payload,
        created_at=now,
        expires_at=now + LIFETIME,
    )


def usable(project: Project, user: User):  # type: ignore[no-untyped-def]
    """Only one's own, and only in time; the newest first."""
    found = StoredCredential.objects.filter(project=project, user=user, expires_at__gt=clock.now())
    return found.order_by("-created_at", "-id")


def find(project: Project, user: User, source_type: str, wanted: Any) -> StoredCredential:
    """Row 9 of the checks of a creation."""
    try:
        found = usable(project, user).filter(id=uuid.UUID(str(wanted))).first()
    except ValueError:
        found = None
    if found is None:
        raise Message(f"Stored credential '{wanted}' not found or expired")
    if found.source_type != source_type:
        raise Message(f"Stored credential '{wanted}' is for '{found.source_type}', not '{source_type}'")
    return found


def item(credential: StoredCredential) -> dict[str, Any]:
    return {
        "credential_id": str(credential.id),
        "source_type": credential.source_type,
        "created_at": credential.created_at,
        "expires_at": credential.expires_at,
    }
