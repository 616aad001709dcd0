"""The order in which an engine is looked for, and what is said when there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.build import build_from_modules
from engine.cache import Store, cache_folder
from engine.check import CLI, OLDEST, Engine, Unusable, folders_on_path, inspect
from engine.install import install_official
from engine.work import Say

REPOSITORY = Path(__file__).resolve().parents[2]
CHOSEN = "PULUMI_POSTHOG_ENGINE"
PINNED = "3.259.0"
ORIGIN = "origin.txt"

Way = Callable[[Path, str, Mapping[str, str], Path, Say], str]
WAYS: tuple[Way, ...] = (install_official, build_from_modules)


class EngineNotFound(Exception):
    """One paragraph: what was tried, why each failed, what to do."""


@dataclass(frozen=True)
class Found:
    """An engine, where it came from, and why others before it were passed over."""

    engine: Engine
    origin: str
    passed_over: tuple[str, ...]


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def find(environ: Mapping[str, str] = os.environ, repository: Path = REPOSITORY, say: Say = tell) -> Found:
    """An engine that works: chosen, on `PATH`, in the cache, or newly installed there."""
    reasons: list[str] = []
    if chosen := environ.get(CHOSEN):
        return chosen_engine(Path(chosen), environ)
    if found := engine_on_path(environ, reasons):
        return found
    try:
        store = Store(cache_folder(environ, repository), PINNED)
        if found := cached_engine(store, environ, reasons):
            return found
        with store.lock(lambda: say("waiting: another run is installing the engine")):
            return cached_engine(store, environ, []) or new_engine(store, environ, reasons, say)
    except Unusable as error:
        reasons.append(str(error))
    except OSError as error:
        reasons.append(f"The cache folder cannot be used: {error}.")
    raise EngineNotFound(explanation(reasons))


def chosen_engine(folder: Path, environ: Mapping[str, str]) -> Found:
    try:
        return Found(inspect(folder, environ), f"chosen by {CHOSEN}", ())
    except Unusable as error:
        raise EngineNotFound(f"{CHOSEN} names an engine that cannot be used: {error} Correct or unset it.") from None


def engine_on_path(environ: Mapping[str, str], reasons: list[str]) -> Found | None:
    for folder in folders_on_path(CLI, environ):
        try:
            return Found(inspect(folder, environ), "found on PATH", tuple(reasons))
        except Unusable as error:
            reasons.append(str(error))
    if not reasons:
        reasons.append("No `pulumi` is on PATH.")
    return None


def cached_engine(store: Store, environ: Mapping[str, str], reasons: list[str]) -> Found | None:
    if not store.engine.is_dir():
        return None
    try:
        origin = (store.engine / ORIGIN).read_text().strip()
        return Found(inspect(store.engine, environ), f"from the cache, {origin}", tuple(reasons))
    except (Unusable, OSError) as error:
        reasons.append(f"The engine in the cache is broken: {error}")
        return None


def new_engine(store: Store, environ: Mapping[str, str], reasons: list[str], say: Say) -> Found:
    for way in WAYS:
        with store.staging() as folder:
            try:
                origin = way(folder, PINNED, environ, store.folder / "log.txt", say)
                (folder / ORIGIN).write_text(origin + "\n")
                version = inspect(folder, environ).version
            except Unusable as error:
                reasons.append(str(error))
                continue
            store.publish(folder)
            return Found(Engine(store.engine, version), origin, tuple(reasons))
    raise EngineNotFound(explanation(reasons))


def explanation(reasons: list[str]) -> str:
    return (
        f"No Pulumi engine could be found or made. {' '.join(reasons)} "
        f"Install Pulumi {OLDEST} or newer as https://www.pulumi.com/docs/install/ describes and try again."
    )
