"""Where engines are kept, and how two runs keep out of each other's way."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.check import Unusable

OVERRIDE = "PULUMI_POSTHOG_CACHE"
PARTIAL = "partial-"


def cache_folder(environ: Mapping[str, str], repository: Path) -> Path:
    """`$PULUMI_POSTHOG_CACHE`, else the user's cache folder, else `.engine/` in the repository."""
    if override := environ.get(OVERRIDE):
        folder = Path(override).absolute()
        if not writable(folder):
            raise Unusable(
                f"{OVERRIDE} is {folder}, where nothing can be written: set it to a folder of yours, or unset it."
            )
        return folder
    users = users_cache(environ)
    if users is not None and writable(users / "pulumi-posthog"):
        return users / "pulumi-posthog"
    return repository / ".engine"


def users_cache(environ: Mapping[str, str]) -> Path | None:
    configured = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured):
        return Path(configured)
    home = environ.get("HOME", "")
    return Path(home) / ".cache" if os.path.isabs(home) else None


def writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


class Store:
    """The engines of one cache folder: one folder each, named by version and machine."""

    def __init__(self, cache: Path, version: str) -> None:
        self.folder = cache / "engine"
        self.engine = self.folder / f"{version}-{sys.platform}-{platform.machine()}"

    @contextmanager
    def lock(self, waiting: Callable[[], None]) -> Generator[None]:
        """Held by the one run that installs. The kernel frees it when that run ends, however it ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock", waiting):
            self._remove_leftovers()
            yield

    @contextmanager
    def staging(self) -> Generator[Path]:
        """An empty folder beside the engines, gone afterwards unless it was published."""
        folder = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self.folder))
        try:
            yield folder
        finally:
            remove(folder)

    def publish(self, folder: Path) -> None:
        """Makes the staged folder the engine, in one step."""
        if self.engine.exists():
            self.engine.rename(self.folder / f"{PARTIAL}replaced-{os.getpid()}")
        folder.chmod(0o755)
        folder.rename(self.engine)
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        # Only called with the lock held: whatever is half done belongs to a run that was killed.
        for folder in self.folder.glob(f"{PARTIAL}*"):
            remove(folder)


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """An exclusive lock on a file; `waiting` is called once when somebody else holds it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove(folder: Path) -> None:
    """Removes a folder that may be gone already, or hold read-only folders as Go's module cache does."""
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except PermissionError:
        make_writable(folder)
        shutil.rmtree(folder)


def make_writable(folder: Path) -> None:
    folder.chmod(0o700)
    for parent, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(path := os.path.join(parent, name)):
                os.chmod(path, 0o700)
