"""Faults that only a real connection has. The numbers are those of the fault table."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.collection import Collection
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Transport
from support.secrets import found_in

from ._server import Behaviour, Connection, Server, answer, certificate, closed_port, drips, says

SENTINEL = "phx_sentinel_QmFzZTY0"
GOOD = answer("200 OK", b'{"id": "x"}')
PAGE = b"<!DOCTYPE html><html><title>Sign in</title></html>"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

Serve = Callable[..., Server]
Connect = Callable[..., Transport]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that behave by their scripts."""
    with ExitStack() as stack:
        yield lambda *script, **more: stack.enter_context(Server(list(script), **more))


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes transports whose pauses take no time."""
    with ExitStack() as stack:

        def make(host: str, **more: Any) -> Transport:
            settings = Settings(host=host, environment_id="1", api_key=SENTINEL)
            transport = Transport(settings, **{"sleep": lambda seconds: None, "jitter": lambda: 0.0, **more})
            stack.callback(transport.close)
            return transport

        yield make


@pytest.fixture(autouse=True)
def _no_key_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SENTINEL not in caplog.text


def get(transport: Transport, method: str = "GET", seconds: float = 20, **more: Any) -> Any:
    return transport.request(method, ("things",), environment=None, deadline=transport.deadline(seconds), **more).body


def failure(transport: Transport, method: str = "GET", seconds: float = 20, **more: Any) -> errors.PostHogError:
    with pytest.raises(errors.PostHogError) as caught:
        get(transport, method, seconds, **more)
    error = caught.value
    assert error.__context__ is None
    assert SENTINEL not in f"{error} {error!r} {vars(error)}"
    return error


def took(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


# ---- 1 to 3: no connection ----------------------------------------------------------------------------------------


@pytest.mark.fault(1)
def test_1_a_refused_connection_is_tried_again_and_nothing_was_sent(connect: Connect) -> None:
    error = failure(connect(f"http://127.0.0.1:{closed_port()}"), "POST")
    assert isinstance(error, errors.Unreachable)
    assert not error.outcome_unknown
    assert "refused), tried 6 times" in str(error)


@pytest.mark.fault(1)
def test_1_a_server_that_comes_up_in_time_is_found(serve: Serve, connect: Connect) -> None:
    port = closed_port()
    transport = connect(f"http://127.0.0.1:{port}", sleep=lambda seconds: serve(says(GOOD), port=port))
    assert get(transport, "POST") == {"id": "x"}


@pytest.mark.fault(2)
def test_2_a_name_that_does_not_resolve_is_told(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nowhere(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    error = failure(connect("https://posthog.invalid"))
    assert "https://posthog.invalid: the host name does not resolve" in str(error)
    assert asked == ["posthog.invalid"] * 2


@pytest.mark.fault(3)
def test_3_a_handshake_that_hangs_ends_with_the_deadline_and_nothing_was_sent(serve: Serve, connect: Connect) -> None:
    server = serve(accepts=False)
    transport = connect(f"https://127.0.0.1:{server.port}")
    found: list[errors.PostHogError] = []
    assert took(lambda: found.append(failure(transport, "POST", 1))) < 1.5
    assert isinstance(found[0], errors.Unreachable)
    assert not found[0].outcome_unknown


@pytest.mark.fault(3)
def test_3_a_server_that_speaks_no_tls_is_told_at_once(serve: Serve, connect: Connect) -> None:
    server = serve(lambda connection: connection.socket.sendall(b"SSH-2.0-OpenSSH_9.9\r\n" * 5))
    error = failure(connect(f"https://127.0.0.1:{server.port}"))
    assert "it does not speak TLS as expected" in str(error)
    assert server.connections == 1


@pytest.mark.fault(3)
def test_3_a_name_server_that_hangs_does_not_outlive_the_deadline_and_nothing_is_sent_later(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, go_on, look_up = serve(says(GOOD)), threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        go_on.wait(10)
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    transport = connect(server.url)
    assert took(lambda: failure(transport, "POST", 0.3)) < 1
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "posthog-request":
            thread.join(5)
    assert server.requests == []


# ---- 4 to 8: lost answers -----------------------------------------------------------------------------------------


def reset_at_once(connection: Connection) -> None:
    connection.reset()


def reset_before_the_request_is_read(connection: Connection) -> None:
    connection.socket.recv(1, socket.MSG_PEEK)
    connection.reset()


def reset_after_the_request(connection: Connection) -> None:
    connection.request()
    connection.reset()


def reset_within_the_body(connection: Connection) -> None:
    connection.request()
    connection.socket.sendall(answer("200 OK\r\nContent-Length: 100", b'{"id"', framed=False))
    time.sleep(0.05)
    connection.reset()


def closed_at_once(connection: Connection) -> None:
    return None


CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n'
LOST: dict[str, Behaviour] = {
    "4 reset before the request is read": reset_before_the_request_is_read,
    "4 reset after the request": reset_after_the_request,
    "4 reset within the body": reset_within_the_body,
    "5 closed at once": closed_at_once,
    "5 closed after the request": says(b""),
    "8 cut off, with a length": says(answer("200 OK\r\nContent-Length: 100", b'{"id"', framed=False)),
    "8 cut off, in chunks": says(CHUNKED),
    "8 cut off, until closed": says(answer("200 OK", b'{"id"', framed=False)),
    "8 cut off, packed": says(answer("200 OK\r\nContent-Encoding: gzip", gzip.compress(b'{"id": 1}')[:-3])),
    "an illegal status line": says(b"220 mail.example ESMTP\r\n\r\n"),
    "18 broken JSON": says(answer("200 OK", b'{"id":')),
    "18 no UTF-8": says(answer("200 OK", b'{"id": "\xff"}')),
    "18 NaN": says(answer("200 OK", b'{"id": NaN}')),
    "10 a page": says(answer("200 OK\r\nContent-Type: text/html", PAGE)),
    "10 a page of a gateway": says(answer("502 Bad Gateway\r\nContent-Type: text/html", PAGE)),
}


@pytest.mark.fault(4, 5, 8, 10, 18)
@pytest.mark.parametrize("behaviour", LOST.values(), ids=LOST)
def test_a_read_with_a_lost_answer_is_repeated(behaviour: Behaviour, serve: Serve, connect: Connect) -> None:
    server = serve(behaviour, says(GOOD))
    assert get(connect(server.url)) == {"id": "x"}


@pytest.mark.fault(4, 5, 8, 10, 18)
@pytest.mark.parametrize("behaviour", LOST.values(), ids=LOST)
def test_a_create_with_a_lost_answer_is_not_repeated(behaviour: Behaviour, serve: Serve, connect: Connect) -> None:
    server = serve(behaviour, says(GOOD))
    assert failure(connect(server.url), "POST", body={"name": "x"}).outcome_unknown
    assert server.connections == 1


@pytest.mark.fault(7)
@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "],
    ids=["body", "headers"],
)
def test_7_a_slow_drip_ends_with_the_deadline(start: bytes, serve: Serve, connect: Connect) -> None:
    server = serve(drips(start, every=0.1, seconds=3))
    transport = connect(server.url)
    found: list[errors.PostHogError] = []
    assert took(lambda: found.append(failure(transport, "POST", 1))) < 1.5
    assert "gave up after 1 s without an answer" in str(found[0])
    assert found[0].outcome_unknown


# ---- 9: too much --------------------------------------------------------------------------------------------------


@pytest.mark.fault(9)
def test_9_a_bomb_is_not_unpacked(serve: Serve, connect: Connect) -> None:
    bomb = gzip.compress(bytes(50 * 2**20), 9)
    server = serve(says(answer("200 OK\r\nContent-Encoding: gzip", bomb)))
    transport = connect(server.url)
    tracemalloc.start()
    try:
        error = failure(transport)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "the answer is larger than 16 MB" in str(error)
    assert peak < 48 * 2**20
    assert server.connections == 1


@pytest.mark.fault(9)
def test_9_a_body_without_end_is_left(serve: Serve, connect: Connect) -> None:
    def endless(connection: Connection) -> None:
        connection.request()
        connection.socket.sendall(answer("200 OK", framed=False))
        while True:
            connection.socket.sendall(bytes(65_536))

    assert "larger than 16 MB" in str(failure(connect(serve(endless).url)))


# ---- 10 to 12 -----------------------------------------------------------------------------------------------------


@pytest.mark.fault(10)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "407 Proxy Authentication Required"])
def test_10_a_page_of_somebody_else_is_neither_success_nor_deletion(
    status: str, serve: Serve, connect: Connect
) -> None:
    error = failure(connect(serve(says(answer(f"{status}\r\nContent-Type: text/html", PAGE))).url))
    assert isinstance(error, errors.UnexpectedAnswer)
    assert f"not PostHog's answer ({status[:3]}, text/html: Sign in)" in str(error)


@pytest.mark.fault(11)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_11_a_connection_that_was_closed_while_idle_is_not_used(method: str, serve: Serve, connect: Connect) -> None:
    closed = threading.Event()

    def once(connection: Connection) -> None:
        says(GOOD)(connection)
        connection.socket.close()
        closed.set()

    server = serve(once, says(GOOD))
    transport = connect(server.url)
    get(transport)
    closed.wait(5)
    time.sleep(0.05)
    assert get(transport, method) == {"id": "x"}
    assert server.connections == 2


@pytest.mark.fault(11)
def test_11_a_connection_that_closes_under_a_request_is_a_lost_answer(serve: Serve, connect: Connect) -> None:
    server = serve(says(GOOD, b""), says(GOOD, b""))
    transport = connect(server.url)
    get(transport)
    assert get(transport) == {"id": "x"}
    assert failure(transport, "POST").outcome_unknown
    assert server.connections == 2


@pytest.mark.fault(12)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_12_every_address_of_a_name_is_tried(
    address: str, serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        server = serve(says(GOOD), address=address)
    except OSError:
        pytest.skip(f"this machine has no {address}")
    port, kind = server.port, socket.SOCK_STREAM
    both = [(socket.AF_INET6, kind, 6, "", ("::1", port, 0, 0)), (socket.AF_INET, kind, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert get(connect(f"http://localhost:{port}")) == {"id": "x"}


@pytest.mark.fault(12)
def test_12_an_ipv6_address_can_be_the_host(serve: Serve, connect: Connect) -> None:
    try:
        server = serve(says(GOOD), address="::1")
    except OSError:
        pytest.skip("this machine has no ::1")
    assert get(connect(server.url)) == {"id": "x"}


# ---- 20 and 21: led astray ----------------------------------------------------------------------------------------


@pytest.mark.fault(20)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_20_a_redirect_does_not_get_the_key(status: int, serve: Serve, connect: Connect) -> None:
    elsewhere = serve(says(GOOD))
    server = serve(says(answer(f"{status} Moved\r\nLocation: {elsewhere.url}/api/things")))
    assert f"PostHog redirects to {elsewhere.url} ({status})" in str(failure(connect(server.url)))
    assert (server.connections, elsewhere.connections) == (1, 0)


@pytest.mark.fault(20)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "location", ["https://xn--a.com/", "http://[::1", "https://x:99999999/", "http://xn--\xe9.com/"]
)
def test_20_a_redirect_to_no_address_at_all(location: str, method: str, serve: Serve, connect: Connect) -> None:
    server = serve(says(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")))
    error = failure(connect(server.url), method)
    assert isinstance(error, errors.UnexpectedAnswer)
    assert "PostHog redirects to " in str(error)
    assert not error.outcome_unknown
    assert server.connections == 1


def listed(transport: Transport) -> list[dict[str, Any]]:
    return list(Collection(transport, "1", "things", transport.deadline(20)).list())


def page(next: str) -> bytes:
    return answer("200 OK", f'{{"results": [{{"id": "a"}}], "next": "{next}"}}'.encode())


@pytest.mark.fault(21)
def test_21_a_link_to_another_host_does_not_get_the_key_nor_end_the_list(serve: Serve, connect: Connect) -> None:
    elsewhere = serve(says(GOOD))
    server = serve(says(page(f"http://localhost:{elsewhere.port}/api/projects/1/things?page=2")))
    transport = connect(server.url)
    with pytest.raises(errors.UnexpectedAnswer, match="points to another host"):
        listed(transport)
    assert elsewhere.connections == 0


@pytest.mark.fault(21)
def test_21_a_link_to_another_port_stays_on_the_configured_one(serve: Serve, connect: Connect) -> None:
    elsewhere, last = serve(says(GOOD)), answer("200 OK", b'{"results": [{"id": "b"}], "next": null}')
    server = serve(says(page(f"{elsewhere.url}/api/projects/1/things?page=2"), last))
    assert listed(connect(server.url)) == [{"id": "a"}, {"id": "b"}]
    assert server.paths == ["GET /api/environments/1/things", "GET /api/projects/1/things?page=2"]
    assert elsewhere.connections == 0


@pytest.mark.fault(21)
def test_21_a_page_that_leads_to_itself_ends_with_an_error(serve: Serve, connect: Connect) -> None:
    server = serve(says(*[page("/api/projects/1/things?page=2")] * 9))
    transport = connect(server.url)
    with pytest.raises(errors.UnexpectedAnswer, match="do not end"):
        listed(transport)
    assert len(server.requests) == 2


@pytest.mark.fault(21)
def test_21_pages_without_end_end_with_an_error(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pulumi_posthog_provider.collection.MAX_PAGES", 50)
    server = serve(says(*[page(f"/api/projects/1/things?page={number}") for number in range(2, 99)]))
    transport = connect(server.url)
    with pytest.raises(errors.UnexpectedAnswer, match="do not end"):
        listed(transport)
    assert len(server.requests) == 51


@pytest.mark.fault(21)
def test_21_a_list_of_ten_thousand_is_read_to_its_end(serve: Serve, connect: Connect) -> None:
    items = [{"id": str(number), "name": f"V {number}"} for number in range(10_000)]
    pages = [
        {"results": items[start : start + 500], "next": f"/api/projects/1/things?offset={start}"}
        for start in range(0, len(items), 500)
    ]
    pages[-1]["next"] = None
    server = serve(says(*[answer("200 OK", json.dumps(each).encode()) for each in pages]))
    assert listed(connect(server.url)) == items
    assert len(server.requests) == 20


# ---- 54: TLS ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(54)
def test_54_a_certificate_that_nobody_vouches_for_is_final(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    _, tls = certificate(tmp_path, "127.0.0.1")
    server = serve(says(GOOD), tls=tls)
    error = failure(connect(server.url), "POST")
    assert isinstance(error, errors.Unreachable)
    assert not error.outcome_unknown
    assert "its certificate is not trusted (unable to get local issuer certificate)" in str(error)
    assert server.connections == 1


@pytest.mark.fault(54)
def test_54_a_certificate_for_another_name_is_final(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = certificate(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    server = serve(says(GOOD), tls=tls)
    assert "its certificate is not trusted (IP address mismatch" in str(failure(connect(server.url)))
    assert server.connections == 1


@pytest.mark.fault(54, 38)
def test_54_an_expired_certificate_is_final_and_hints_at_the_clock(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = certificate(tmp_path, "127.0.0.1", expired=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    server = serve(says(GOOD), tls=tls)
    told = str(failure(connect(server.url), "POST"))
    assert "its certificate is not trusted (certificate has expired). Is the clock of this machine right?" in told
    assert server.connections == 1


@pytest.mark.fault(54)
@pytest.mark.feature(46)
def test_54_a_companys_own_certificate_is_trusted_by_name(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert get(connect(serve(says(GOOD), tls=tls).url)) == {"id": "x"}


# ---- proxies and cookies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_never_asked_for_through_a_proxy(
    host: str, serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(says(GOOD)), serve(says(GOOD))
    for name in PROXIES:
        monkeypatch.setenv(name, proxy.url)
    assert get(connect(f"http://{host}:{server.port}")) == {"id": "x"}
    assert proxy.connections == 0


def test_this_machine_is_not_asked_for_through_a_proxy_with_tls_either(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = certificate(tmp_path, "127.0.0.1")
    proxy, server = serve(says(GOOD)), serve(says(GOOD), tls=tls)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    for name in PROXIES:
        monkeypatch.setenv(name, proxy.url)
    assert get(connect(server.url)) == {"id": "x"}
    assert proxy.connections == 0


@pytest.mark.feature(46)
def test_a_proxy_is_used_for_everything_else_and_does_not_see_the_key(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = certificate(tmp_path, "posthog.test")
    inside: list[bytes] = []

    def tunnel(connection: Connection) -> None:
        connection.request()
        connection.socket.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with tls.wrap_socket(connection.socket, server_side=True) as wrapped:
            says(GOOD)(Connection(wrapped, inside))

    proxy = serve(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert get(connect("https://posthog.test")) == {"id": "x"}
    assert proxy.paths == ["CONNECT posthog.test:443"]
    assert SENTINEL.encode() not in proxy.requests[0]
    assert f"Bearer {SENTINEL}".encode() in inside[0]


@pytest.mark.fault(10)
def test_a_proxy_that_wants_a_login_is_told_as_such(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(says(answer("407 Proxy Authentication Required")))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    error = failure(connect("https://posthog.test"), "POST")
    assert "the proxy made no connection (407). Check HTTPS_PROXY" in str(error)
    assert not error.outcome_unknown
    assert proxy.connections == 1


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("127.0.0.1:{closed}", "connection refused"),
        ("proxy.invalid:3128", "the host name does not resolve"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_there_is_told_as_such(
    proxy: str, why: str, name: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = proxy.format(closed=closed_port())
    monkeypatch.setenv(name, f"http://someone:{SENTINEL}@{where}")
    error = failure(connect("https://posthog.test"), "POST")
    assert f"cannot reach the proxy {where}" in str(error)
    assert why in str(error)
    assert error.hint == "Check HTTPS_PROXY and NO_PROXY."
    assert "posthog:host" not in str(error)


@pytest.mark.fault(1)
def test_where_no_proxy_is_to_be_used_none_is_told(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "posthog.invalid")
    assert "cannot reach https://posthog.invalid: " in str(failure(connect("https://posthog.invalid")))


def test_a_cookie_is_not_sent_back(serve: Serve, connect: Connect) -> None:
    server = serve(says(answer("200 OK\r\nSet-Cookie: sessionid=1; Path=/", b"{}"), GOOD))
    transport = connect(server.url)
    get(transport)
    get(transport)
    assert b"cookie" not in server.requests[1].lower()


# ---- 51: logging --------------------------------------------------------------------------------------------------


@pytest.mark.fault(51)
def test_51_the_library_logs_what_it_does_and_never_the_key(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    server = serve(says(GOOD), says(b""))
    transport = connect(server.url)
    get(transport)
    failure(transport, "POST", body={"name": "x"})
    assert f"HTTP Request: GET {server.url}/api/things" in caplog.text
    assert "send_request_headers.started" in caplog.text
    assert found_in(caplog.text, [SENTINEL]) == []


# ---- what is left behind ------------------------------------------------------------------------------------------


def _held() -> tuple[int, int]:
    """Threads and open files of this process."""
    return threading.active_count(), psutil.Process().num_fds()


@pytest.mark.fault(3, 4, 7)
def test_no_thread_or_file_is_left_behind_by_requests_that_fail(serve: Serve, connect: Connect) -> None:
    def slow(connection: Connection) -> None:
        connection.request()
        connection.socket.recv(1)  # nothing comes; this ends when the client is gone

    server = serve(reset_after_the_request, says(b""), slow)
    transport = connect(server.url)
    failure(transport, "POST")
    before = _held()
    for _ in range(20):
        assert failure(transport, "POST", 0.15).outcome_unknown
    end = time.monotonic() + 30
    while (now := _held()) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert now[0] <= before[0] + 1
    assert now[1] <= before[1] + 2
