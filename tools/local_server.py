"""The local PostHog of the quick start, as a background process with its files in one folder.

The process holds a lock on a file for as long as it lives, however it ends. So whether it runs is
never guessed from a process id that may belong to somebody else by now.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap import VENV

PROGRAM = VENV / "bin" / "posthog-local"
USUAL_PORT = 8010
LOCK, LOG, READY, RECORD = "lock", "log.txt", "ready", "server.json"
START_SECONDS = 60
STOP_SECONDS = 10


class ServerFailed(Exception):
    """One paragraph: what failed, and what to do."""


@dataclass(frozen=True)
class Server:
    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start(folder: Path) -> Server:
    """The server that runs already, or a new one: on the port it had before, the usual one or a free one."""
    server = running(folder) or launch(folder)
    ready = folder / READY
    wait_until(lambda: ready.exists() or running(folder) is None, START_SECONDS)
    if running(folder) is None or not ready.exists():
        stop(folder)
        raise ServerFailed(
            f"The local PostHog did not start on port {server.port}: {last_line(folder / LOG)} "
            f"The whole log is {folder / LOG}; `make down` removes its data, then try `make up` again."
        )
    return server


def launch(folder: Path) -> Server:
    """Starts the process and notes which one it is; it may not answer yet."""
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / READY
    ready.unlink(missing_ok=True)
    before = last(folder)
    port = first_free_port(before.port if before else USUAL_PORT)
    command = [str(PROGRAM), "--port", str(port), "--data", str(folder / "posthog.sqlite3"), "--ready-file", str(ready)]
    with (folder / LOCK).open("a") as lock, (folder / LOG).open("a") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    # It outlives this process on purpose: without an end on record, `Popen` would warn about that.
    process.returncode = 0
    server = Server(process.pid, port)
    (folder / RECORD).write_text(json.dumps(asdict(server)))
    return server


def stop(folder: Path) -> None:
    """Ends the server if it runs. Its requests in flight are answered first."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        server = running(folder)
        if server is None:
            return
        os.killpg(server.pid, ending)
        wait_until(lambda: running(folder) is None, STOP_SECONDS)


def running(folder: Path) -> Server | None:
    """The server, if its process lives."""
    return last(folder) if is_locked(folder / LOCK) else None


def last(folder: Path) -> Server | None:
    """The server that was started last, whether or not it still runs."""
    try:
        return Server(**json.loads((folder / RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_locked(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def first_free_port(wanted: int) -> int:
    """The wanted port when nobody has it, else one that the system picks."""
    if is_free(wanted):
        return wanted
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe, socket.socket() as caller:
        # Ports of a server that has just ended are free for a new one, which listens with this option too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return caller.connect_ex(("127.0.0.1", port)) != 0


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip() if lines else "it said nothing."
