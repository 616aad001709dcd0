"""SIGTERM and Ctrl-C, looked at between two steps and never in the middle of one.

An exception out of a signal handler may come just when a lock has been taken and leave it taken for ever:
the server would then never end.
"""

from __future__ import annotations

import signal
import time

ENDINGS = (signal.SIGTERM, signal.SIGINT)
LOOK_SECONDS = 0.1

_came: list[int] = []


def hold_back() -> None:
    """Before the first thread starts: threads take over what is blocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        return
    for number in ENDINGS:  # Windows
        signal.signal(number, lambda number, frame: _came.append(number))


def wait() -> None:
    """Until one of them has come."""
    if hasattr(signal, "sigwait"):
        signal.sigwait(ENDINGS)
        return
    while not _came:
        time.sleep(LOOK_SECONDS)
