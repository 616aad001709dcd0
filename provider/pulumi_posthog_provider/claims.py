"""Which objects the other provider processes of a running `pulumi` command need.

Every explicit `Provider` is a process of its own, and the engine tells none of them about the others. But two of them
may deal with one object: when a resource gets another name and another provider at once, one process finds the object
for the new name, and another one is told to delete it under the old name.

So each process writes down the ids of the objects that it needs, in a file that the others read, and that counts for as
long as the process lives. It holds ids and nothing else. Where files cannot be kept (or locked, as on Windows), every
process is on its own.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Claims:
    """The objects that this process needs, and those that the others need. Safe to share between threads.

    Args:
        engine: The address of the engine that started this process: what belongs together has it in common.
    """

    def __init__(self, engine: str) -> None:
        self._engine = re.sub(r"\W+", "_", engine)
        self._lock = threading.Lock()
        self._mine: set[str] = set()
        self._file: int | None = None
        self._is_off = sys.platform == "win32"
        self._read: dict[Path, tuple[int, set[str]]] = {}

    def add(self, id: str) -> None:
        """Notes that this process needs an object."""
        with self._lock:
            if id not in self._mine:
                self._mine.add(id)
                self._write(f"+{id}\n")

    def remove(self, id: str) -> None:
        """Notes that it does so no longer."""
        with self._lock:
            if id in self._mine:
                self._mine.remove(id)
                self._write(f"-{id}\n")

    def is_anothers(self, id: str) -> bool:
        """Whether another process of the same engine needs an object."""
        with self._lock:
            if self._is_off:
                return False
            try:
                files = list(self._place.glob(f"{self._engine}-*"))
            except OSError:
                return False
            return any(self._claims(file, id) for file in files if file.name != self._name)

    def _claims(self, file: Path, id: str) -> bool:
        """Whether the process that wrote the file lives, and needs the object; not if the file has just gone."""
        with suppress(OSError):
            return _is_locked(file) and id in self._claimed(file)
        return False

    def _write(self, line: str) -> None:
        if self._is_off:
            return
        try:
            if self._file is None:
                self._file = self._opened()
            os.write(self._file, line.encode())
        except OSError:
            self._is_off = True  # whoever cannot tell the others is not asked by them either

    def _opened(self) -> int:
        for file in self._place.glob("*-*"):  # of processes that are gone
            with suppress(OSError):
                if not _is_locked(file):
                    file.unlink()
        hidden = self._place / f"{os.getpid()}"  # until it is locked: the others take one without a lock for left over
        opened = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(opened, fcntl.LOCK_EX)
        hidden.rename(self._place / self._name)
        return opened

    @property
    def _name(self) -> str:
        return f"{self._engine}-{os.getpid()}"

    @cached_property
    def _place(self) -> Path:
        """The folder, which must be this user's alone.

        Raises:
            OSError: It cannot be made, or is not.
        """
        place = Path(tempfile.gettempdir()) / f"pulumi-posthog-{os.getuid()}"
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{place} is not a folder of this user's alone")
        return place

    def _claimed(self, file: Path) -> set[str]:
        offset, ids = self._read.get(file, (0, set[str]()))
        with file.open("rb") as opened:
            opened.seek(offset)
            news = opened.read()
        complete = news[: news.rfind(b"\n") + 1]
        for line in complete.decode().splitlines():
            (ids.add if line.startswith("+") else ids.discard)(line[1:])
        self._read[file] = (offset + len(complete), ids)
        return ids


def _is_locked(file: Path) -> bool:
    """Whether the process that wrote the file lives."""
    opened = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False
