"""The server's own clock: wall time plus an offset that tests may move, shared by all workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from .models import LocalState

STATE_KEY = "clock"
DEFAULT_SYNC_SECONDS = 2.0


@dataclass(frozen=True)
class Clock:
    """``sync_seconds``: how long a sync or a view's run takes on this clock; 0 means at once."""

    offset_seconds: float = 0.0
    sync_seconds: float = DEFAULT_SYNC_SECONDS
    # The wall time at which it was stopped; from then on only ``advance`` moves it.
    stopped_at: str | None = None

    def now(self) -> datetime:
        wall = datetime.fromisoformat(self.stopped_at) if self.stopped_at else datetime.now(UTC)
        return wall + timedelta(seconds=self.offset_seconds)


def read() -> Clock:
    return Clock(**LocalState.read(STATE_KEY, {}))


def now() -> datetime:
    return read().now()


def change(*, advance: float = 0.0, sync_seconds: float | None = None, stopped: bool | None = None) -> None:
    clock = read()
    if stopped is not None and stopped != bool(clock.stopped_at):
        clock = _stopped(clock) if stopped else _running(clock)
    if sync_seconds is not None:
        clock = replace(clock, sync_seconds=sync_seconds)
    LocalState.write(STATE_KEY, asdict(replace(clock, offset_seconds=clock.offset_seconds + advance)))


def _stopped(clock: Clock) -> Clock:
    return replace(clock, stopped_at=datetime.now(UTC).isoformat())


def _running(clock: Clock) -> Clock:
    """Goes on from where it stands: time never goes back."""
    behind = datetime.now(UTC) - datetime.fromisoformat(clock.stopped_at or "")
    return replace(clock, stopped_at=None, offset_seconds=clock.offset_seconds - behind.total_seconds())
