"""How long to wait: the budgets of an operation, PostHog's rate limits, and how many repeats a sick server gets.

Nothing here sleeps or makes requests; times are seconds of a monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MAX_TRIES = 6
BACKOFF_BASE = 0.5
BACKOFF_CAP = 20.0


def backoff(failures: int) -> float:
    """The longest pause after so many failures in a row (1, 2, …): 0.5 s, doubling up to 20 s."""
    return min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures - 1, 10))


def spell(seconds: float) -> str:
    """A span of time as people say it: ``57 s``, ``65 min``."""
    return f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} min"


class Deadline:
    """The time budgets of one operation: one for requests, one for waiting on PostHog's rate limits.

    Args:
        seconds: For requests, and for the pauses between them when they fail.
        rate_limit_wait: For waiting on rate limits.
        clock: A monotonic clock.
    """

    def __init__(self, seconds: float, rate_limit_wait: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self._waiting_left = rate_limit_wait

    @property
    def left(self) -> float:
        """Seconds left for requests."""
        return self._end - self._clock()

    def extend(self, seconds: float) -> None:
        """Adds time that was spent on waiting for something else than PostHog's answers."""
        self._end += seconds

    def grant_wait(self, seconds: float) -> bool:
        """Takes a wait for the rate limit from its own budget; it does not shorten the time for requests."""
        if seconds > self._waiting_left:
            return False
        self._waiting_left -= seconds
        self._end += seconds
        return True


class Pace:
    """Keeps the requests of a process under PostHog's rate limits, counted as PostHog does: over sliding windows.

    Best effort, because other processes may use the same key; 429 and ``Retry-After`` are what holds. Safe to share
    between threads.

    Args:
        limits: Pairs of a window in seconds and the requests allowed in it. PostHog Cloud allows 480 a minute and
            4,800 an hour per key (contract 1.5); the default leaves some to others.
    """

    CLOUD = ((60.0, 450), (3600.0, 4500))

    def __init__(self, limits: tuple[tuple[float, int], ...] = CLOUD) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._sent: deque[float] = deque(maxlen=max((allowed for _, allowed in limits), default=0))

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent; 0 means now, and counts it as sent."""
        with self._lock:
            wait = max(
                (self._sent[-allowed] + window - now for window, allowed in self._limits if len(self._sent) >= allowed),
                default=0.0,
            )
            if wait > 0:
                return wait
            self._sent.append(now)
            return 0.0


class Quota:
    """How many requests a process may repeat while PostHog is sick, so that a large stack does not make it worse.

    The scheme and the numbers are botocore's: 500 tokens, 5 for a repeat, given back when the repeat succeeds; any
    other success gives back one. Safe to share between threads.
    """

    CAPACITY = 500
    REPEAT = 5

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.left = self.CAPACITY

    def take(self) -> bool:
        """Takes the tokens of one repeat, if there are enough."""
        with self._lock:
            if self.left < self.REPEAT:
                return False
            self.left -= self.REPEAT
            return True

    def succeeded(self, repeated: bool) -> None:
        """Gives tokens back after a success."""
        with self._lock:
            self.left = min(self.CAPACITY, self.left + (self.REPEAT if repeated else 1))
