"""Kinds of connection fields, as the wizard describes them (contract 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Input:
    name: str
    label: str = ""
    type: str = "text"
    required: bool = True
    secret: bool = False
    placeholder: str = ""

    @property
    def is_secret(self) -> bool:
        return self.secret or self.type == "password"

    def wizard(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "name": self.name,
            "label": self.label or self.name.replace("_", " ").capitalize(),
            "required": self.required,
            "placeholder": self.placeholder,
            "secret": self.is_secret,
            "caption": None,
        }


@dataclass(frozen=True)
class ListInput(Input):
    """Several values of one field, such as Github's repositories."""


@dataclass(frozen=True)
class FileUpload(Input):
    keys: tuple[str, ...] = ()
    secret: bool = True
    # What is said of a file without one of its keys.
    incomplete: str = "not complete"

    def wizard(self) -> dict[str, Any]:
        return {
            "type": "file-upload",
            "name": self.name,
            "label": self.label or self.name,
            "required": self.required,
            "fileFormat": {"format": ".json", "keys": list(self.keys)},
        }


@dataclass(frozen=True)
class OAuth(Input):
    """The id of an integration that was made in the UI."""

    kind: str = ""

    def wizard(self) -> dict[str, Any]:
        return {
            "type": "oauth",
            "name": self.name,
            "label": self.label or self.name,
            "required": self.required,
            "kind": self.kind,
            "requiredScopes": None,
        }


@dataclass(frozen=True)
class Choice(Input):
    """A yes or no that the wizard shows as a list; stored like every scalar, as text."""

    default: bool = True

    def wizard(self) -> dict[str, Any]:
        return {
            "type": "select",
            "name": self.name,
            "label": self.label or self.name,
            "required": self.required,
            "defaultValue": "true" if self.default else "false",
            "options": [{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}],
            "converter": "str_to_bool",
            "multiple": False,
        }


@dataclass(frozen=True)
class Select:
    """A container: ``{"selection": …, <fields of the selected option>}``."""

    name: str
    options: tuple[tuple[str, tuple[Input, ...]], ...]
    label: str = ""
    required: bool = True

    @property
    def fields(self) -> tuple[Input, ...]:
        return tuple({field.name: field for _, fields in self.options for field in fields}.values())

    @property
    def default(self) -> str:
        return self.options[0][0]

    def wizard(self) -> dict[str, Any]:
        return {
            "type": "select",
            "name": self.name,
            "label": self.label or self.name,
            "required": self.required,
            "defaultValue": self.default,
            "options": [
                {"label": value, "value": value, "fields": [field.wizard() for field in fields]}
                for value, fields in self.options
            ],
            "converter": None,
            "multiple": False,
        }


@dataclass(frozen=True)
class SwitchGroup:
    """A container that is turned on and off: ``{"enabled": …, <fields>}``."""

    name: str
    fields: tuple[Input, ...]
    label: str = ""
    default: bool = False
    required: bool = False

    def wizard(self) -> dict[str, Any]:
        return {
            "type": "switch-group",
            "name": self.name,
            "label": self.label or self.name,
            "default": self.default,
            "fields": [field.wizard() for field in self.fields],
        }


SSH_AUTH = Select(
    "auth",
    (
        ("password", (Input("username", required=False), Input("password", type="password", required=False))),
        (
            "keypair",
            (
                Input("username", required=False),
                Input("private_key", type="textarea", secret=True, required=False),
                Input("passphrase", type="password", required=False),
            ),
        ),
    ),
    required=False,
)


@dataclass(frozen=True)
class SshTunnel:
    """``{enabled, host, port, auth {…}, require_tls {enabled}}``."""

    name: str = "ssh_tunnel"
    label: str = "Use SSH tunnel?"
    required: bool = False

    def wizard(self) -> dict[str, Any]:
        return {"type": "ssh-tunnel", "name": self.name, "label": self.label}


Container = Select | SwitchGroup
AnyField = Input | Select | SwitchGroup | SshTunnel
