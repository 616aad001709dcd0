"""``--data :memory:``: a folder for this run only.

SQLite's own memory databases would lock out several threads and processes, so it is a file that goes
when the server ends. A server that is killed cannot remove it; the next one does. Who is alive is told
by a lock, which ends with its processes.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such lock, and refuses to remove files in use anyway
    fcntl = None  # type: ignore[assignment]

PREFIX = "posthog-local-"
LOCK = "alive"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    parent = Path(tempfile.gettempdir())
    _sweep(parent)
    with contextlib.ExitStack() as stack:
        made = None
        while made is None:
            made = _make(parent, stack)
        yield made


def _make(parent: Path, stack: contextlib.ExitStack) -> Path | None:
    """None: somebody who swept took it for a dead one, just between making and locking."""
    path = stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True))
    lock = stack.enter_context((Path(path) / LOCK).open("wb"))
    return Path(path) if _take(lock) and (Path(path) / LOCK).exists() else None


def _take(lock: IO[bytes]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError), path.open("rb") as lock:  # also somebody else's, or gone by now
            if _take(lock):
                shutil.rmtree(path.parent, ignore_errors=True)
