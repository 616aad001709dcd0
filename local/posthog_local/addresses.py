"""Which addresses only this machine can reach."""

from __future__ import annotations

import socket


def is_loopback(host: str) -> bool:
    """Whether every address of the host is one of this machine only."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return False
    return all(address[4][0] == "::1" or str(address[4][0]).startswith("127.") for address in found)
