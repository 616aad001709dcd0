"""Which database hosts may be connected to, and how long that may take.

PostHog's cloud refuses hosts in private networks. On one's own machine they are the usual case, so
that policy is off until it is switched on: by the seed (``databases``) or the control API.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import asdict, dataclass
from typing import Any

from rest_framework import serializers

from ..models import LocalState
from ..strict import Strict
from .configuration import Config, is_true

STATE_KEY = "databases"

PRIVATE = (
    "This host points to an internal or private IP address, which PostHog can't reach. "
    "Use a host that's reachable from the public internet. "
    "If your database isn't publicly reachable, connect through an SSH tunnel."
)
UNRESOLVED = "Host could not be resolved"
IS_A_URL = (
    "Enter just the hostname in the host field (for example, db.example.com), not a full URL or connection string. "
    "Remove any scheme (like http:// or postgres://) and any username, password, port, or path."
)
TUNNEL_USER = "Username and password required"
TUNNEL_KEY = "Private key is required"
TUNNEL_PORT = "Port must be a number between 1 and 65535"
TUNNEL_RANGE = "Port must be between 1 and 65535"
TUNNEL_PORT_REFUSED = "Port {port} is not allowed"
NO_TUNNEL = "Could not connect to {type} via the SSH tunnel. Please check all connection details are valid."


@dataclass(frozen=True)
class Databases:
    refuse_private_hosts: bool = False
    connect_seconds: int = 5


class DatabasesSerializer(Strict):
    refuse_private_hosts = serializers.BooleanField(default=False)
    connect_seconds = serializers.IntegerField(min_value=2, max_value=60, default=5)


def read() -> Databases:
    return Databases(**LocalState.read(STATE_KEY, {}))


def write(values: dict[str, Any]) -> None:
    LocalState.write(STATE_KEY, asdict(Databases(**values)))


def refusal(source_type: str, config: Config) -> str | None:
    """Why the host of a database is not even tried; the tunnel comes first."""
    tunnel = config.get("ssh_tunnel")
    if isinstance(tunnel, dict) and is_true(tunnel.get("enabled")):
        # A tunnel is looked at as PostHog looks at it, but this server opens none.
        return _tunnel_problem(tunnel) or NO_TUNNEL.format(type=source_type)
    host = str(config.get("host") or "").strip()
    if any(part in host for part in ("/", "@", "?", ",")):
        return IS_A_URL
    return _private_problem(host) if read().refuse_private_hosts else None


def _tunnel_problem(tunnel: dict[str, Any]) -> str | None:
    auth = tunnel.get("auth")
    auth = auth if isinstance(auth, dict) else {}
    if auth.get("selection") == "keypair":
        if not auth.get("private_key"):
            return TUNNEL_KEY
    elif not (auth.get("username") and auth.get("password")):
        return TUNNEL_USER
    try:
        port = int(str(tunnel.get("port")))
    except ValueError:
        return TUNNEL_PORT
    if not 1 <= port <= 65535:
        return TUNNEL_RANGE
    return TUNNEL_PORT_REFUSED.format(port=port) if port in (80, 443) else None


def _private_problem(host: str) -> str | None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return UNRESOLVED
    addresses = [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
    return None if all(address.is_global for address in addresses) else PRIVATE
