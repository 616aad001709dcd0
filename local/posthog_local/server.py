"""The HTTP server: cheroot's threads in front of the Django application."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi
from django.core.handlers.wsgi import WSGIHandler

from .fault_deliveries import Line
from .fault_waiting import Gone, waiting
from .faults import DELIVERY, FaultGate
from .request_log import Environ, RequestLog, StartResponse, WSGIApp

THREADS = 16
# So many bytes are read before the server gives up on a body; request_log refuses smaller ones already.
LARGEST_TRANSFER = 256 * 1024 * 1024
BACKLOG = 128
KEEP_ALIVE_SECONDS = 75

log = logging.getLogger("posthog_local")


class Gateway(wsgi.Gateway_10):
    """Ends connections the way a fault wants it instead of answering; and a HEAD gets no body."""

    def respond(self) -> None:
        response = self.req.server.wsgi_app(self.env, self.start_response)
        delivery = self.env.get(DELIVERY)
        if delivery is not None:
            self._deliver(delivery)
            return
        if (b"Connection", b"close") in self.req.outheaders:
            self.req.close_connection = True
        for part in response:
            if part and self.req.method != b"HEAD":
                self.write(part)
        self.req.ensure_headers_sent()

    def _deliver(self, delivery: Any) -> None:
        self.req.sent_headers = True
        self.req.close_connection = True
        connection = self.req.conn
        with contextlib.suppress(OSError, Gone):  # the client may be the first to leave
            delivery(Line(connection.socket))
        # Already closed by a reset: nothing is left for cheroot to shut down.
        connection.linger = connection.socket.fileno() < 0


class ContentLength:
    """Whole answers with their length: simpler for clients than chunks, and as PostHog answers."""

    def __init__(self, app: WSGIApp) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started: list[Any] = []

        def keep(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [status, headers]

        response = self.app(environ, keep)
        try:
            body = b"".join(response)
        finally:
            if hasattr(response, "close"):
                response.close()
        status, headers = started
        names = {name.lower() for name, _ in headers}
        if "content-length" not in names and not status.startswith(("204", "304", "1")):
            headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]


def application() -> WSGIApp:
    return RequestLog(FaultGate(ContentLength(WSGIHandler())))


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(wsgi.Server):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            (host, port),
            application(),
            numthreads=THREADS,
            server_name="posthog-local",
            request_queue_size=BACKLOG,
            timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=2,
        )
        self.gateway = Gateway
        self.max_request_body_size = LARGEST_TRANSFER
        self._more_threads = 0
        waiting.make_up = self._make_up

    def _make_up(self, waits: int) -> None:
        """Requests that a fault keeps waiting must not take the last thread: the control API lets them go."""
        if waits > self._more_threads + THREADS // 2:
            self.requests.grow(THREADS)
            self._more_threads += THREADS

    def serve_until(self, wait: Callable[[], object]) -> None:
        """Serves in another thread while this one waits."""
        serving = threading.Thread(target=self.serve)
        serving.start()
        try:
            wait()
        finally:
            self.stop()
            serving.join()

    def stop(self) -> None:
        waiting.stopping.set()
        super().stop()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        # cheroot also reports clients that went away here; only what it holds to be an error is news.
        if level >= logging.ERROR:
            log.log(level, msg, exc_info=traceback)

    @property
    def url(self) -> str:
        return url_of(*self.bind_addr[:2])
