"""``posthog-local``: serve a PostHog API on this machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from . import endings, memory
from .addresses import is_loopback

MEMORY = ":memory:"
LARGEST_PORT = 65535
MOST_WORKERS = 64


class Unusable(Exception):
    """One sentence for the user; exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with _data_file(options.data) as data_file:
            _serve(options, data_file)
    except Unusable as error:
        sys.stderr.write(f"posthog-local: {error}\n")
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="posthog-local",
        description="A PostHog API on this machine, for trying things and for tests.",
        epilog="Without a seed: project 1 with the key phx_local. The address it prints shows what is there.",
    )
    add = parser.add_argument
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add("--port", metavar="N", type=_port, default=8000, help="0 takes a free one (default: %(default)s)")
    add("--data", metavar="FILE", default=MEMORY, help="SQLite file, or :memory: (the default)")
    add("--seed", metavar="FILE", type=Path, help="YAML or JSON that an empty data file is filled with")
    add("--posthog-version", choices=["S", "M", "N"], help="which PostHog to be; N is the newest")
    add("--sync-seconds", metavar="S", type=_seconds, help="how long a sync takes (default: 2); 0 means at once")
    add("--rate-limits", action="store_true", help="limit requests as PostHog does")
    add("--workers", metavar="N", type=_workers, default=1, help="processes that answer (default: %(default)s)")
    add("--stop-with-input", action="store_true", help="stop when standard input ends")
    add("--ready-file", metavar="PATH", type=Path, help="gets {url, pid} as JSON when the server is ready")
    add("--allow-remote", action="store_true", help="allow an address that other machines can reach")
    add("--version", action="version", version=f"%(prog)s {_version()}")
    return parser


def _version() -> str:
    try:
        return metadata.version("pulumi-posthog")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "(not installed)"


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to {LARGEST_PORT})")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers (1 to {MOST_WORKERS})")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


@contextlib.contextmanager
def _data_file(data: str) -> Iterator[Path]:
    if data != MEMORY:
        path = Path(data).absolute()
        if not path.parent.is_dir():
            raise Unusable(f"the folder of the data file {data} does not exist.")
        if path.is_dir():
            raise Unusable(f"the data file {data} is a folder.")
        yield path
        return
    with memory.folder() as folder:
        yield folder / "data.sqlite3"


def _serve(options: argparse.Namespace, data_file: Path) -> None:
    from . import settings  # after the options: --help stays fast

    if not options.allow_remote and not is_loopback(options.host):
        raise Unusable(f"{options.host} is not an address of this machine only; add --allow-remote if that is meant.")
    if options.stop_with_input:
        threading.Thread(target=_stop_with_input, daemon=True).start()
    settings.configure(data_file, allowed_hosts=_allowed_hosts(options))
    _prepare_data(options, data_file)
    try:
        if options.workers > 1:
            _serve_with_workers(options)
        else:
            _serve_alone(options)
    finally:
        if options.ready_file:
            options.ready_file.unlink(missing_ok=True)


def _serve_alone(options: argparse.Namespace) -> None:
    from . import hogql_process, server  # need the settings

    http = server.Server(options.host, options.port)
    endings.hold_back()
    with _listening(options):
        http.prepare()
    try:
        _announce(options, http.url)
        http.serve_until(endings.wait)
    finally:
        http.stop()
        hogql_process.end()


def _serve_with_workers(options: argparse.Namespace) -> None:
    from . import server, workers  # need the settings

    if not workers.is_possible():
        raise Unusable("this system has no fork(), which several workers need; leave --workers out.")
    with _listening(options):
        listening = workers.listen(options.host, options.port)
    with listening:
        url = server.url_of(*listening.getsockname()[:2])
        workers.Workers(listening, options.workers).serve(lambda: _announce(options, url))


@contextlib.contextmanager
def _listening(options: argparse.Namespace) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "the port is in use" if "in use" in str(error) else str(error)
        raise Unusable(f"cannot listen on {options.host}:{options.port}: {reason}.") from error


def _allowed_hosts(options: argparse.Namespace) -> list[str]:
    """Other names in ``Host`` are refused, so that a web page cannot reach us under its own name."""
    if options.allow_remote:
        return ["*"]
    return ["localhost", ".localhost", "127.0.0.1", "[::1]", options.host]


def _prepare_data(options: argparse.Namespace, data_file: Path) -> None:
    from . import clock, database, rate_limits, seed, versions  # needs the settings

    try:
        wanted = seed.read(options.seed) if options.seed else seed.default()
        database.prepare()
        if not seed.is_applied():
            seed.apply(wanted)
    except seed.InvalidSeed as error:
        raise Unusable(str(error)) from error
    except database.UnusableDataFile as error:
        raise Unusable(f"the data file {data_file} cannot be used: {error}.") from error
    if options.sync_seconds is not None:
        clock.change(sync_seconds=options.sync_seconds)
    rate_limits.start(options.rate_limits)
    versions.start(options.posthog_version)


def _announce(options: argparse.Namespace, url: str) -> None:
    if options.ready_file:
        # Whoever waits for the file must never read half of it.
        part = options.ready_file.with_name(f"{options.ready_file.name}.{os.getpid()}")
        try:
            part.write_text(json.dumps({"url": url, "pid": os.getpid()}))
            part.replace(options.ready_file)
        except OSError as error:
            raise Unusable(f"the ready file {options.ready_file} cannot be written: {error.strerror}.") from error
    sys.stdout.write(f"posthog-local is ready at {url}\n")
    sys.stdout.flush()


def _stop_with_input() -> None:
    """Whoever started us and is gone, however it ended, has closed our input."""
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
