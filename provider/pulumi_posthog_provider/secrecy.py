"""Which inputs of a connection are secret. Imported by the engine side and by the SDK, so it imports nothing.

A connection of a typed class declares its secrets. In a connection given as a mapping every text and number is secret
but those whose names are known to hold none: an unknown name is rather hidden in vain than shown by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

_NAMES = """
    account account_id account_name api_version auth auth_type auth_method catalog customer_id database
    database_name dataset_id dataset_project_id email email_address enabled engine host hostname instance_url
    okta_domain organization port project project_id region repositories repository require_tls role schema schemas
    secure selection server site_name source_type spreadsheet_url stripe_account_id subdomain temporary_dataset_id user
    username using_ssl use_ssl verify verify_ssl warehouse workspace workspace_id
"""

PLAIN = frozenset(_NAMES.split())
PLAIN_SUFFIXES = ("_integration_id",)
"""Not secret although unknown: numbers of integrations made in PostHog."""


def is_plain(name: str) -> bool:
    """Whether a connection field of this name is known to hold no secret."""
    return name in PLAIN or name.endswith(PLAIN_SUFFIXES)


def secret_texts(connection: object, name: str = "") -> Iterator[str]:
    """Every text in a connection that must not be shown."""
    if isinstance(connection, Mapping):
        for key, item in cast("Mapping[str, Any]", connection).items():
            yield from secret_texts(item, key)
    elif isinstance(connection, list | tuple):
        for item in cast("Sequence[Any]", connection):
            yield from secret_texts(item, name)
    elif isinstance(connection, str | int | float) and not isinstance(connection, bool) and not is_plain(name):
        yield str(connection)
