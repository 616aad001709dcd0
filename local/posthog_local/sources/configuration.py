"""A source's configuration: parsed on write, stripped on read, merged on PATCH (contract 4.4 to 4.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import replace
from typing import Any

from .definitions import SourceType
from .fields import SSH_AUTH, AnyField, Choice, Container, FileUpload, Input, ListInput, Select, SshTunnel, SwitchGroup

Config = dict[str, Any]

ENTER_HOST_CREDENTIALS = "Changing the connection host requires re-entering your credentials."
ENTER_CREDENTIALS_FOR_MANIFEST = "Changing the manifest's request host requires re-entering your credentials."
ENTER_DATABASE_CREDENTIALS = "Changing the SSH tunnel requires re-entering your database credentials."
ENTER_SSH_CREDENTIALS = "Changing the SSH tunnel host requires re-entering your SSH credentials."
CDC_KEYS = (
    "cdc_enabled",
    "cdc_management_mode",
    "cdc_slot_name",
    "cdc_publication_name",
    "cdc_auto_drop_slot",
    "cdc_lag_warning_threshold_mb",
    "cdc_lag_critical_threshold_mb",
    "cdc_consistent_point",
)

_URL = re.compile(r"https?:(?://|\\/\\/)([^/?#\s\"\\]+)", re.IGNORECASE)


class InvalidConfig(Exception):
    """Text for ``Invalid source config: …``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"Invalid source config: {', '.join(problems)}")


class NotAnObject(Exception):
    """A container was sent as something else than an object."""


class CredentialsNeeded(Exception):
    """A change that would send kept secrets somewhere else."""


def as_text(value: Any) -> Any:
    """PostHog's encrypted JSON: every scalar is read back as text, nulls stay null."""
    if isinstance(value, dict):
        return {str(key): as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return None if value is None else str(value)


def is_true(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes")


# -- parsing ------------------------------------------------------------------------------------


def parse(definition: SourceType, payload: Config, *, also_required: Set[str] = frozenset()) -> Config:
    """The declared fields only, checked, as text; optional ones that are absent are null."""
    payload = _respelled(definition, payload)
    problems: list[str] = []
    fields = [replace(field, required=True) if field.name in also_required else field for field in definition.fields]
    config = {field.name: _parse_field(field, payload, problems) for field in fields}
    if problems:
        raise InvalidConfig(list(dict.fromkeys(problems)))
    return config


def _parse_field(field: AnyField, payload: Config, problems: list[str]) -> Any:
    value = payload.get(field.name)
    if isinstance(field, SshTunnel):
        return _parse_tunnel(field, value, payload)
    if isinstance(field, Select | SwitchGroup):
        return _parse_container(field, value, payload, problems)
    return _parse_input(field, value, problems)


def _respelled(definition: SourceType, payload: Config) -> Config:
    """``temporary_dataset`` is taken for ``temporary-dataset``, which is how it is read (contract 4.6)."""
    respelled = dict(payload)
    for field in definition.fields:
        spelling = field.name.replace("-", "_")
        if spelling != field.name and spelling in respelled:
            value = respelled.pop(spelling)
            respelled.setdefault(field.name, value)
    return respelled


def _parse_input(field: Input, value: Any, problems: list[str]) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        if field.required:
            problems.append(f"Required field '{field.name}' is missing")
        return None
    invalid = f"Field '{field.name}' has an invalid value"
    if field.type == "number":
        try:
            return str(int(str(value)))
        except ValueError:
            problems.append(invalid)
            return None
    if isinstance(field, Choice):
        return str(is_true(value))
    if isinstance(field, FileUpload):
        if not isinstance(value, dict) or not all(value.get(key) for key in field.keys):
            problems.append(f"The uploaded file is {field.incomplete}")
            return None
    elif isinstance(value, dict | list) and not isinstance(field, ListInput):
        problems.append(invalid)
        return None
    return as_text(value)


def _parse_container(field: Container, value: Any, payload: Config, problems: list[str]) -> Any:
    if value is None:
        value = _flat(field, payload)
    elif isinstance(value, str) and isinstance(field, Select):
        value = {**(_flat(field, payload) or {}), "selection": value}
    if value is None:
        if field.required:
            problems.append(f"Required field '{field.name}' is missing")
        return None
    if not isinstance(value, dict):
        problems.append(f"Field '{field.name}' has an invalid value")
        return None
    parsed: Config = {}
    if isinstance(field, Select):
        parsed["selection"] = as_text(value.get("selection") or field.default)
        if parsed["selection"] not in dict(field.options):
            problems.append(f"Field '{field.name}' has an invalid value")
        used = dict(field.options).get(parsed["selection"], ())
    else:
        parsed["enabled"] = str(is_true(value.get("enabled", field.default)))
        used = field.fields
    for inner in field.fields:
        # Of the options that are not selected nothing is required.
        wanted = inner if inner in used else replace(inner, required=False)
        parsed[inner.name] = _parse_input(wanted, value.get(inner.name), problems)
    return parsed


def _flat(field: Container, payload: Config) -> Config | None:
    """The fields of a container spelled at the top level, bare or with the container's name before."""
    found = {}
    for name in ("selection", "enabled", *(inner.name for inner in field.fields)):
        bare = name if name not in ("selection", "enabled") else None
        for spelling in (f"{field.name}_{name}", bare):
            if spelling and payload.get(spelling) is not None:
                found[name] = payload[spelling]
    return found or None


def _parse_tunnel(field: SshTunnel, value: Any, payload: Config) -> Any:
    if value is None:
        flat = {
            key.removeprefix(f"{field.name}_"): item
            for key, item in payload.items()
            if key.startswith(f"{field.name}_")
        }
        value = flat or None
    if not isinstance(value, dict):
        return None
    auth = value.get("auth") or value.get("auth_type") or {}  # auth_type is the older spelling
    if not isinstance(auth, dict):
        auth = {"selection": auth}
    tls = value.get("require_tls")
    required = tls.get("enabled", True) if isinstance(tls, dict) else True if tls is None else tls
    return {
        "enabled": str(is_true(value.get("enabled", False))),
        "host": as_text(value.get("host")),
        "port": as_text(value.get("port")),
        "auth": {
            "selection": as_text(auth.get("selection") or auth.get("type")),
            **{inner.name: as_text(auth.get(inner.name)) for inner in SSH_AUTH.fields},
        },
        "require_tls": {"enabled": str(is_true(required))},
    }


# -- reading ------------------------------------------------------------------------------------


def without_secrets(definition: SourceType, stored: Config | None) -> Config | None:
    """What a client may see: declared fields without secrets. Removed means absent, not null."""
    if stored is None:
        return None
    shown: Config = {}
    for field in definition.fields:
        if field.name not in stored:
            continue
        value = stored[field.name]
        if isinstance(field, Input):
            if not field.is_secret:
                shown[field.name] = value
        elif not isinstance(value, dict):
            shown[field.name] = value
        elif isinstance(field, SshTunnel):
            auth = value.get("auth")
            auth = auth if isinstance(auth, dict) else {}
            shown[field.name] = {**value, "auth": {key: auth.get(key) for key in ("selection", "username")}}
        else:
            secret = {inner.name for inner in field.fields if inner.is_secret}
            shown[field.name] = {key: item for key, item in value.items() if key not in secret}
    if is_true(stored.get("cdc_enabled")):
        shown |= {key: stored[key] for key in CDC_KEYS if key in stored}
    return shown


def secrets(definition: SourceType, config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path and value of every secret that is set."""
    for field in definition.fields:
        value = config.get(field.name)
        if isinstance(field, Input):
            if field.is_secret and value:
                yield (field.name,), str(value)
            continue
        if not isinstance(value, dict):
            continue
        inner = SSH_AUTH.fields if isinstance(field, SshTunnel) else field.fields
        holder = (field.name, "auth") if isinstance(field, SshTunnel) else (field.name,)
        values = value.get("auth") if isinstance(field, SshTunnel) else value
        for part in inner:
            if part.is_secret and isinstance(values, dict) and values.get(part.name):
                yield (*holder, part.name), str(values[part.name])


def mask(definition: SourceType, config: Config, text: str) -> str:
    """Secrets in an error text are shown as ``***`` (contract 4.2)."""
    for _, value in secrets(definition, config):
        text = text.replace(value, "***")
    return text


# -- merging ------------------------------------------------------------------------------------


def merge(definition: SourceType, stored: Config, sent: Config) -> Config:
    """``sent`` over ``stored``: shallow, containers deeply, omitted or empty secrets kept."""
    sent = _respelled(definition, sent)
    merged = dict(stored)
    for field in definition.fields:
        if field.name not in sent or field.name in definition.pinned:
            continue
        value = as_text(sent[field.name])
        if isinstance(field, Input):
            if not (field.is_secret and value in (None, "")):
                merged[field.name] = value
        elif value is None:
            continue
        elif not isinstance(value, dict):
            raise NotAnObject(field.name)
        elif isinstance(field, SshTunnel):
            merged[field.name] = _merge_tunnel(stored.get(field.name) or {}, value)
        else:
            merged[field.name] = _merge_container(field, stored.get(field.name) or {}, value)
    return merged


def _merge_container(field: Container, stored: Config, sent: Config) -> Config:
    secret = {inner.name for inner in field.fields if inner.is_secret}
    kept = dict(stored)
    if "selection" in sent and sent["selection"] != stored.get("selection"):
        kept = {key: value for key, value in kept.items() if key not in secret}
    given = {key: value for key, value in sent.items() if not (key in secret and value in (None, ""))}
    return {**kept, **given}


def _merge_tunnel(stored: Config, sent: Config) -> Config:
    merged = {**stored, **sent}
    auth = sent.get("auth") or sent.get("auth_type")
    if isinstance(auth, dict):
        merged["auth"] = _merge_container(SSH_AUTH, stored.get("auth") or {}, auth)
    elif "auth" in stored:
        merged["auth"] = stored["auth"]
    merged.pop("auth_type", None)
    return merged


def same(left: Any, right: Any) -> bool:
    """Equality on texts, so that ``"False"`` and ``false`` are the same; null and absent as well."""
    if isinstance(left, dict) or isinstance(right, dict):
        left, right = left or {}, right or {}
        if not (isinstance(left, dict) and isinstance(right, dict)):
            return False
        return all(same(left.get(key), right.get(key)) for key in {*left, *right})
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if left in (None, "") or right in (None, ""):
        return left in (None, "") and right in (None, "")
    left, right = str(left), str(right)
    return left == right or (left.lower() == right.lower() and left.lower() in ("true", "false"))


def require_credentials(definition: SourceType, stored: Config, merged: Config, sent: Config) -> None:
    """A kept secret is never sent to a new place (contract 4.5)."""
    given = {path for path, _ in secrets(definition, as_text(sent))}
    kept = [path for path, _ in secrets(definition, stored) if path not in given]
    moved = any(not same(stored.get(key), merged.get(key)) for key in definition.target)
    if moved and any(path[0] != "ssh_tunnel" for path in kept):
        raise CredentialsNeeded(ENTER_HOST_CREDENTIALS)
    if kept and _hosts(merged.get("manifest_json")) - _hosts(stored.get("manifest_json")):
        raise CredentialsNeeded(ENTER_CREDENTIALS_FOR_MANIFEST)
    before, after = stored.get("ssh_tunnel") or {}, merged.get("ssh_tunnel") or {}
    if same(before, after):
        return
    if ("password",) in kept:
        raise CredentialsNeeded(ENTER_DATABASE_CREDENTIALS)
    if not same(before.get("host"), after.get("host")) and any(path[0] == "ssh_tunnel" for path in kept):
        raise CredentialsNeeded(ENTER_SSH_CREDENTIALS)


def _hosts(manifest: Any) -> set[str]:
    """Whom the requests of a manifest go to, with the port."""
    return {host.rpartition("@")[2].lower() for host in _URL.findall(str(manifest or ""))}
