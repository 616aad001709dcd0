"""Running a long command: output into a log, a sign of life on the terminal, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.check import Unusable

Say = Callable[[str], None]
HEARTBEAT_SECONDS = 30
STOP_SECONDS = 10


def run_logged(
    what: str,
    command: list[str],
    cwd: Path,
    environ: Mapping[str, str],
    log: Path,
    say: Say,
    *,
    limit: float | None = None,
) -> None:
    """Runs to the end; when the command fails, `Unusable` has the last line of its log."""
    start = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while (code := wait(process, HEARTBEAT_SECONDS)) is None:
                elapsed = time.monotonic() - start
                if limit is not None and elapsed > limit:
                    raise Unusable(f"{what} was stopped after {elapsed:.0f} seconds; its log is {log}.")
                say(f"  still at it after {elapsed:.0f} seconds")
        finally:
            stop(process)
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines()
        said = lines[-1].strip() if lines else f"it ended with {code}"
        raise Unusable(f"{what} failed: {said} (whole log: {log}).")


def wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the process if it still runs: kindly first, so that it can end its own children."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        if wait(process, STOP_SECONDS) is None:
            process.kill()
            process.wait()
