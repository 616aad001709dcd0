"""One request over the wire, and what its failure says about the outcome. The only module that imports httpx.

No exception of httpx becomes the cause or the context of ours: its frames hold the headers, and so the key.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from . import errors
from .answers import Setback
from .pacing import Deadline
from .settings import Settings, is_loopback
from .texts import clean

CONNECT_TIMEOUT = 5.0
CHUNK_TIMEOUT = 30.0
GRACE = 0.25
MAX_ANSWER = 16 * 1024 * 1024

_HEADERS = "posthog_headers"
_CHECK_PROXY = "Check HTTPS_PROXY and NO_PROXY"

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request, as often as it is tried.

    Attributes:
        content: The body, JSON; None for none.
        repeatable: Whether it may happen twice.
        secrets: What no error may repeat.
        patience: How many seconds of silence are borne.
    """

    method: str
    url: str
    content: bytes | None = field(repr=False)
    repeatable: bool
    secrets: tuple[str, ...] = field(default=(), repr=False)
    patience: float = CHUNK_TIMEOUT


@dataclass(frozen=True)
class Received:
    """A complete answer: the headers by lower-case name, the body unpacked."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


class Exchange:
    """Sends requests to one PostHog with one key. Safe to share between threads.

    Args:
        settings: Where to, with which key.
        agent: The user agent.
        client: By default one that honours the proxy and certificate variables.
    """

    def __init__(self, settings: Settings, agent: str, client: httpx.Client | None = None) -> None:
        self._settings = settings
        self._agent = agent
        self._key = _Key(settings)
        self._http = client and _without_redirects(client)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes idle connections; the next request opens new ones."""
        with self._lock:
            if self._http is not None:
                self._http.close()
                self._http = None

    def send(self, call: Call, deadline: Deadline) -> Received | Setback | None:
        """Sends one request and reads its answer; None when the deadline passed before.

        Raises:
            PostHogError: Another try would fail alike, and nothing was sent.
        """
        result = _within(deadline.left, lambda: self._sent(call, deadline))
        if isinstance(result, errors.PostHogError):
            raise result
        return result

    def _sent(self, call: Call, deadline: Deadline) -> Received | Setback | errors.PostHogError:
        def not_too_late(event: str, info: Mapping[str, Any]) -> None:
            # After the deadline the caller has been told that it failed; it must not happen after all.
            if event.endswith("send_request_headers.started") and deadline.left <= 0:
                raise httpx.ConnectTimeout("too late")

        step = max(0.1, min(call.patience, deadline.left))
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": self._agent}
        if call.content is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._client().stream(
                call.method,
                call.url,
                content=call.content,
                headers=headers,
                auth=self._key,
                timeout=httpx.Timeout(step, connect=min(CONNECT_TIMEOUT, step)),
                extensions={"trace": not_too_late},
            ) as response:
                return Received(response.status_code, response.extensions[_HEADERS], _body(response, deadline))
        except (httpx.HTTPError, _TooLargeError) as error:
            return _failure(error, self._settings.host)
        except errors.PostHogError as error:
            return error

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                self._http = _without_redirects(_new_client(self._settings))
            return self._http


def _within(seconds: float, work: Callable[[], T]) -> T | None:
    """Does the work in a thread of its own; what is not done after so many seconds is left behind, and gives None.

    The limits of httpx count from byte to byte, and none covers the look-up of the host's name. They come first by a
    little, because they know what was sent.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, name="posthog-request", daemon=True).start()
    try:
        result, bug = done.get(timeout=seconds + GRACE)
    except queue.Empty:
        return None
    if bug is not None:
        raise bug
    return result


class _TooLargeError(Exception):
    """The body, unpacked, is larger than any answer of PostHog."""


class _Key(httpx.Auth):
    """Adds the key to requests to the configured PostHog, and to no other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if str(request.url).startswith(f"{self._settings.host}/api/"):
            request.headers["Authorization"] = f"Bearer {self._settings.api_key}"
        yield request


def _new_client(settings: Settings) -> httpx.Client:
    """A client that follows no redirect, keeps no cookie, and honours the proxy and certificate variables."""
    # What is on this machine is never asked for through a proxy, whatever NO_PROXY says.
    local = is_loopback(urlsplit(settings.host).hostname or "")
    direct: dict[str, httpx.BaseTransport | None] = {"http://": None, "https://": None} if local else {}
    try:
        return httpx.Client(
            follow_redirects=False,
            trust_env=True,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
            mounts=direct,
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL):
        pass  # their texts may hold the login to a proxy
    raise errors.ConfigurationError(
        "the proxy or the certificates named by environment variables cannot be used",
        hint="Check HTTPS_PROXY and ALL_PROXY (http:// and https:// proxies only), SSL_CERT_FILE and SSL_CERT_DIR.",
    )


def _without_redirects(client: httpx.Client) -> httpx.Client:
    """Keeps httpx from looking at where a redirect leads, which it does although it follows none: any text is there."""

    def hide(response: httpx.Response) -> None:
        response.extensions[_HEADERS] = dict(response.headers.items())
        response.headers.pop("location", None)

    client.event_hooks["response"].append(hide)
    return client


def _body(response: httpx.Response, deadline: Deadline) -> bytes:
    """The whole body, unpacked here because httpx would unpack any amount at once.

    Raises:
        httpx.HTTPError, _TooLargeError: It is not whole, or more than it may be.
    """
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("gzip", "identity", ""):
        raise httpx.DecodingError("packed in a way that was not asked for")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if packing == "gzip" else None
    content, received = bytearray(), 0
    for part in cast("httpx.SyncByteStream", response.stream):
        received += len(part)
        try:
            content += unpacker.decompress(part, MAX_ANSWER + 1 - len(content)) if unpacker else part
        except zlib.error:
            raise httpx.DecodingError("not gzip") from None
        if len(content) > MAX_ANSWER:
            raise _TooLargeError
        if deadline.left <= 0:
            raise httpx.ReadTimeout("the deadline passed while reading")
    if unpacker and received and not unpacker.eof:
        raise httpx.DecodingError("cut off")
    return bytes(content)


# ---- failures -----------------------------------------------------------------------------------------------------


def _failure(error: Exception, host: str) -> Setback | errors.PostHogError:
    """Sorts what went wrong by what it says about the outcome."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _not_connected(error, host)
    if isinstance(error, httpx.ProxyError):
        return _proxy_refused(error)
    if isinstance(error, httpx.PoolTimeout):
        return Setback(errors.Unreachable(f"cannot reach {host}: no connection is free"))
    if isinstance(error, _TooLargeError):
        too_large = errors.UnexpectedAnswer(f"the answer is larger than {MAX_ANSWER // 2**20} MB")
        return Setback(too_large, unknown=True, tries=1)
    if isinstance(error, httpx.TimeoutException):
        lost = "PostHog did not answer in time"
    elif isinstance(error, httpx.DecodingError):
        lost = "the answer could not be unpacked"
    else:
        lost = f"lost the connection to {host} before the answer was complete"
    return Setback(errors.OutcomeUnknown(lost), unknown=True)


def _not_connected(error: httpx.TransportError, host: str) -> Setback | errors.PostHogError:
    proxy = _proxy_to(host)
    where = f"the proxy {proxy}" if proxy else host
    hint = f"{_CHECK_PROXY}."
    why = "no connection within the time"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return _no_tls(cause, host)
        if isinstance(cause, socket.gaierror):
            unresolved = errors.Unreachable(
                f"cannot reach {where}: the host name does not resolve",
                hint=hint
                if proxy
                else "Check `posthog:host`: https://us.posthog.com, https://eu.posthog.com or your own address.",
            )
            return Setback(unresolved, tries=2)
        if isinstance(cause, OSError) and cause.strerror:
            why = clean(cause.strerror).lower()
    unreachable = errors.Unreachable(
        f"cannot reach {where} ({why})",
        hint=hint if proxy else "Is `posthog:host` right, and is PostHog running there?",
    )
    return Setback(unreachable)


def _proxy_to(host: str) -> str:
    """The name and port of the proxy that requests to PostHog go through, without its login; "" if none is set."""
    target = urlsplit(host)
    name = target.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all") or ""
    if not proxy or is_loopback(name) or proxy_bypass(name):
        return ""
    return clean(urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2])


def _no_tls(cause: ssl.SSLError, host: str) -> errors.PostHogError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return errors.Unreachable(
            f"cannot reach {host}: its certificate is not trusted ({clean(cause.verify_message).rstrip('.')})",
            hint="Is the clock of this machine right? A company's own certificate authority is named by SSL_CERT_FILE.",
        )
    return errors.Unreachable(
        f"cannot reach {host}: it does not speak TLS as expected ({clean(cause.reason or 'no reason given')})",
        hint="Is `posthog:host` right, with https and the right port?",
    )


def _causes(error: BaseException) -> Generator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _proxy_refused(error: httpx.ProxyError) -> Setback | errors.PostHogError:
    status = str(error)[:3]
    refused = errors.Unreachable(
        f"the proxy made no connection{f' ({status})' if status.isdecimal() else ''}",
        hint=f"{_CHECK_PROXY}, and the login to the proxy.",
    )
    return refused if status.startswith("4") else Setback(refused)
