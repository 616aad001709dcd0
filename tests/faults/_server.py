"""A server on this machine that answers bytes by a script, however wrong, and a certificate for it."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

Behaviour = Callable[["Connection"], None]


@dataclass
class Connection:
    """One connection as the server sees it; every request read from it is kept."""

    socket: socket.socket
    requests: list[bytes]

    def request(self) -> bytes:
        """Reads one request; empty when the client closed instead."""
        received = b""
        while b"\r\n\r\n" not in received:
            part = self.socket.recv(65_536)
            if not part:
                return b""
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += self.socket.recv(65_536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def reset(self) -> None:
        """Ends the connection in the rudest way."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(head: str, body: bytes = b"", *, framed: bool = True) -> bytes:
    """The bytes of an answer, with its length unless told otherwise."""
    length = f"Content-Length: {len(body)}\r\n" if framed else ""
    return f"HTTP/1.1 {head}\r\n{length}\r\n".encode() + body


def says(*answers: bytes) -> Behaviour:
    """Answers one request after the other on a connection, then closes it."""

    def behave(connection: Connection) -> None:
        for text in answers:
            if connection.request():
                connection.socket.sendall(text)

    return behave


def drips(text: bytes, every: float, seconds: float) -> Behaviour:
    """Answers, then goes on byte by byte."""

    def behave(connection: Connection) -> None:
        connection.request()
        connection.socket.sendall(text)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.socket.sendall(b"x")
            time.sleep(every)

    return behave


@dataclass
class Server:
    """Listens on loopback and behaves by the script, one line for each connection, the last line for ever."""

    script: list[Behaviour]
    address: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    accepts: bool = True
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Server:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, self.port), family=family)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        if self.accepts:
            self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        if self.accepts:
            # Closing alone does not wake a thread that waits for a connection.
            self._stopping = True
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            with socket.socket(family) as last:
                last.connect((self.address, self.port))
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    _stopping = False

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        """Method and target of every request."""
        return [" ".join(request.decode("latin-1").split(" ", 2)[:2]) for request in self.requests]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stopping:
                client.close()
                return
            self.connections += 1
            self._start(self._serve, client, self.script[min(self.connections, len(self.script)) - 1])

    def _serve(self, client: socket.socket, behave: Behaviour) -> None:
        client.settimeout(10)
        with client, _quiet():
            if self.tls is None:
                behave(Connection(client, self.requests))
            else:
                with self.tls.wrap_socket(client, server_side=True) as wrapped:
                    behave(Connection(wrapped, self.requests))


class _quiet:  # noqa: N801
    """What the client does to a connection is the test's business, not the server's."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def certificate(folder: Path, *names: str, expired: bool = False) -> tuple[Path, ssl.SSLContext]:
    """The certificate of an authority, and the server's side of one that it gave to host names or addresses."""
    authority = trustme.CA()
    end = datetime.now(UTC) - timedelta(days=1) if expired else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=end).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return folder / "authority.pem", context
