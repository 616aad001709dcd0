"""Ids as PostHog makes them: UUIDs that grow with time, so primary key order is creation order."""

from __future__ import annotations

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0

_TICKS_PER_MS = 4096  # the 12 bits of UUIDv7's rand_a count within a millisecond


def uuid7() -> uuid.UUID:
    """A UUIDv7 that is larger than every earlier one of this process."""
    global _last  # noqa: PLW0603 - one counter per process is the point
    with _lock:
        _last = max(_last + 1, time.time_ns() * _TICKS_PER_MS // 1_000_000)
        ticks = _last
    milliseconds, counter = divmod(ticks, _TICKS_PER_MS)
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random
    return uuid.UUID(int=value)
