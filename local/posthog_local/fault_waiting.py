"""Requests that a fault keeps waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import fault_plan
from .fault_plan import Asked
from .fault_rules import Rule

LOOK_AGAIN_SECONDS = 0.05


class Gone(Exception):
    """The server was reset or is about to stop: the request must not go on."""


class Waiting:
    """Waits that a stopping server cuts short. Each takes a thread, which the server makes up for."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.count = 0
        self.make_up: Callable[[int], None] = lambda count: None
        self._lock = threading.Lock()

    @contextmanager
    def replaced(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def _add(self, amount: int) -> None:
        with self._lock:
            self.count += amount
            self.make_up(self.count)

    def sleep(self, seconds: float) -> None:
        if self.stopping.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Gone

    def hold(self, rule: Rule, asked: Asked) -> None:
        """Until the control API lets it go."""
        wait = fault_plan.hold(rule, asked)
        deadline = time.monotonic() + rule["seconds"]
        with self.replaced():
            while time.monotonic() < deadline:
                held = fault_plan.is_held(wait)
                if held is None:
                    raise Gone
                if not held:
                    return
                if self.stopping.wait(LOOK_AGAIN_SECONDS):
                    raise Gone
        fault_plan.let_go(wait)


waiting = Waiting()
