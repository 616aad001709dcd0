"""Several worker processes behind one port.

The parent listens and forks; the workers accept from its socket and share the data file. So no
connection is lost when a worker dies: the others take it, and the parent starts a new one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from django.db import connections

from . import endings, hogql_process
from .endings import ENDINGS
from .server import BACKLOG, Server

STOP_SECONDS = 5.0
# A worker that ends sooner than this is replaced only after a pause: nothing is gained by a storm.
SHORT_LIFE_SECONDS = 1.0


def is_possible() -> bool:
    return hasattr(os, "fork")


def listen(host: str, port: int) -> socket.socket:
    (family, *_, address) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


class _Worker(Server):
    """A server on a socket that others accept from as well."""

    def __init__(self, listening: socket.socket) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(host, port)
        self._listening = listening

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        self.socket = self._listening
        self.bind_addr = self._listening.getsockname()[:2]
        return self._listening

    def prepare(self) -> None:
        super().prepare()
        # All workers see a connection coming and one gets it; the others must not wait for the next.
        self.socket.setblocking(False)


class Workers:
    def __init__(self, listening: socket.socket, count: int) -> None:
        self._listening = listening
        self._count = count
        self._started: dict[int, float] = {}

    def serve(self, announce: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT, which are only looked at between two steps."""
        # Nothing of these may be shared over a fork.
        connections.close_all()
        hogql_process.end()
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # or some systems drop it
        watched = {signal.SIGCHLD, *ENDINGS}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        self._reading, self._writing = os.pipe()
        try:
            for _ in range(self._count):
                self._start()
            announce()
            while signal.sigwait(watched) == signal.SIGCHLD:
                self._replace_dead()
        finally:
            self._stop()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)

    def _start(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._work()
        self._started[pid] = time.monotonic()

    def _replace_dead(self) -> None:
        for pid in self._dead():
            lived = time.monotonic() - self._started.pop(pid)
            if lived < SHORT_LIFE_SECONDS:
                time.sleep(SHORT_LIFE_SECONDS)
            self._start()

    def _dead(self) -> list[int]:
        return [pid for pid in self._started if os.waitpid(pid, os.WNOHANG)[0] == pid]

    def _stop(self) -> None:
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            for pid in self._started:
                os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while self._started and time.monotonic() < deadline:
                for pid in self._dead():
                    del self._started[pid]
                time.sleep(0.02)

    # -- in a worker ----------------------------------------------------------------------------

    def _work(self) -> NoReturn:
        """Never returns: what the parent has open, such as its folder, is not the worker's to clean up."""
        code = 1
        try:
            os.close(self._writing)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            endings.hold_back()
            threading.Thread(target=self._end_with_parent, daemon=True).start()
            http = _Worker(self._listening)
            http.prepare()
            http.serve_until(endings.wait)
            hogql_process.end()
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(code)

    def _end_with_parent(self) -> None:
        os.read(self._reading, 1)  # nobody writes: it returns when the parent is gone
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os._exit(1)
