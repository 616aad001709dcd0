"""What the transport sends, what it tries again, how long it waits, and what it tells. The key is looked for in all of it."""

from __future__ import annotations

import gzip
import json
import logging
import math
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_posthog_provider import errors
from pulumi_posthog_provider.answers import retry_after
from pulumi_posthog_provider.exchange import MAX_ANSWER, _Key
from pulumi_posthog_provider.pacing import Pace, Quota, backoff
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.texts import clean
from pulumi_posthog_provider.transport import Transport

from ._support import HOST, SENTINEL, Script, World, fail, held_back, reply, world

pure = settings(max_examples=60, deadline=None, database=None)
WRITES = ("POST", "PATCH", "DELETE")
LOGIN_PAGE = b"<!DOCTYPE html><html><title>Sign in</title><body>Please sign in.</body></html>"


@pytest.fixture(autouse=True)
def _no_key_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SENTINEL not in caplog.text


# ---- what is sent -------------------------------------------------------------------------------------------------


def test_a_request_names_the_environment_and_carries_the_key() -> None:
    here = world()
    here.call("GET", "insight_variables", "0190-abc", environment="7")
    (request,) = here.requests
    assert str(request.url) == f"{HOST}/api/environments/7/insight_variables/0190-abc"
    assert request.headers["authorization"] == f"Bearer {SENTINEL}"


def test_a_request_without_environment_is_at_the_root_of_the_api() -> None:
    here = world()
    here.call("GET", "projects", "@current", environment=None)
    assert here.sent == ["GET /api/projects/@current"]


def test_a_query_is_encoded() -> None:
    here = world()
    here.call(query={"search": "a&b=c é"})
    assert here.requests[0].url.query == b"search=a%26b%3Dc+%C3%A9"


def test_a_body_is_sent_as_json() -> None:
    here = world()
    here.call("POST", body={"name": "Größe"})
    assert here.requests[0].headers["content-type"] == "application/json"
    assert json.loads(here.requests[0].content) == {"name": "Größe"}


def test_the_user_agent_names_the_package_and_its_caller() -> None:
    here = world()
    here.call()
    agent = here.requests[0].headers["user-agent"]
    assert agent.startswith("pulumi-posthog/")
    assert agent.endswith(" pulumi/3")


def test_only_what_can_be_unpacked_is_asked_for() -> None:
    here = world()
    here.call()
    assert here.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_carry_is_never_sent(number: float) -> None:
    here = world()
    assert isinstance(here.error("POST", body={"default_value": number}), errors.ConfigurationError)
    assert here.requests == []


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    "segment", ["", "..", ".", "a/b", "a\\b", "a?b", "a#b", "%2e%2e", "a b", "a\n", "é", "../../users/@me"]
)
def test_an_id_that_would_lead_elsewhere_is_never_sent(segment: str) -> None:
    here = world()
    for place in ({"environment": segment}, {"environment": "1"}):
        path = ("things", segment) if place["environment"] == "1" else ("things",)
        assert isinstance(here.error("GET", *path, **place), errors.ConfigurationError)
    assert here.requests == []


@pytest.mark.fault(55)
@pure
@given(st.text(max_size=20))
def test_any_id_is_one_segment_of_the_path_or_refused(segment: str) -> None:
    here = world()
    try:
        here.call("GET", "things", segment)
    except errors.ConfigurationError:
        return
    assert here.sent == [f"GET /api/environments/1/things/{segment}"]


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/api/",
        "http://posthog.example/api/",
        "https://posthog.example:8443/api/",
        "https://posthog.example.evil.test/api/",
        "https://posthog.example@evil.test/api/",
        "https://posthog.example/login",
    ],
)
def test_the_key_is_not_added_to_a_request_to_anywhere_else(url: str) -> None:
    key = _Key(Settings(host=HOST, environment_id="1", api_key=SENTINEL))
    request = next(key.auth_flow(httpx.Request("GET", url)))
    assert "authorization" not in request.headers


# ---- what is tried again ------------------------------------------------------------------------------------------


def tls_error(kind: type[ssl.SSLError], **details: str) -> ssl.SSLError:
    """As the ssl module makes it; its constructor does not take the details."""
    error = kind(1, "[SSL] failed")
    for name, value in details.items():
        setattr(error, name, value)
    return error


NOT_SENT = {
    "refused": fail(httpx.ConnectError, ConnectionRefusedError(111, "Connection refused")),
    "connect time-out": fail(httpx.ConnectTimeout, TimeoutError("timed out")),
    "tls cut off": fail(httpx.ConnectError, ssl.SSLEOFError(8, "EOF occurred in violation of protocol")),
    "no free connection": fail(httpx.PoolTimeout),
    "proxy is down": fail(httpx.ProxyError),
    "503 with Retry-After": reply(503, {"detail": "Try again."}, retry_after="0"),
}
LOST = {
    "read time-out": fail(httpx.ReadTimeout),
    "write time-out": fail(httpx.WriteTimeout),
    "reset": fail(httpx.ReadError, ConnectionResetError(104, "Connection reset by peer")),
    "write error": fail(httpx.WriteError),
    "cut off": fail(httpx.RemoteProtocolError),
    "502": reply(502, raw=LOGIN_PAGE, content_type="text/html"),
    "503": reply(503, {"detail": "Down."}),
    "503 with junk": reply(503, {"detail": "Down."}, retry_after="soon"),
    "504": reply(504),
    "520": reply(520),
    "not gzip": reply(200, raw=b"{}", content_encoding="gzip"),
    "unknown packing": reply(200, raw=b"{}", content_encoding="br"),
    "gzip cut off": reply(200, raw=gzip.compress(b'{"id": 1}')[:-4], content_encoding="gzip"),
}
FINAL = {
    "certificate": fail(httpx.ConnectError, tls_error(ssl.SSLCertVerificationError, verify_message="self-signed")),
    "no tls": fail(httpx.ConnectError, tls_error(ssl.SSLError, reason="WRONG_VERSION_NUMBER")),
    **{str(status): reply(status, {"detail": "No.", "code": "no"}) for status in (400, 401, 403, 404, 405, 409, 413)},
    **{str(status): reply(status) for status in (302, 304, 501, 505, 511)},
}


def counted(here: World, method: str) -> tuple[int, bool]:
    """The number of requests a failing call makes, and whether it leaves open what happened."""
    error = here.error(method, environment=None)
    return len(here.requests), error.outcome_unknown


@pytest.mark.parametrize("method", ["GET", *WRITES])
@pytest.mark.parametrize("script", NOT_SENT.values(), ids=NOT_SENT)
def test_what_was_not_sent_is_tried_again_whatever_it_is(script: Script, method: str) -> None:
    assert counted(world(script), method) == (6, False)


@pytest.mark.parametrize("script", LOST.values(), ids=LOST)
@pytest.mark.parametrize(
    ("method", "expected"), [("GET", (6, False)), ("DELETE", (6, True)), ("PATCH", (1, True)), ("POST", (1, True))]
)
def test_a_lost_answer_repeats_only_what_may_happen_twice(
    script: Script, method: str, expected: tuple[int, bool]
) -> None:
    assert counted(world(script), method) == expected


@pytest.mark.parametrize("method", ["GET", *WRITES])
@pytest.mark.parametrize("script", FINAL.values(), ids=FINAL)
def test_what_cannot_heal_is_tried_once(script: Script, method: str) -> None:
    assert counted(world(script), method) == (1, False)


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("method", "expected"), [("GET", (6, False)), ("DELETE", (1, True)), ("PATCH", (1, True)), ("POST", (1, True))]
)
def test_after_a_bug_of_the_server_only_reads_are_tried_again(method: str, expected: tuple[int, bool]) -> None:
    assert counted(world(reply(500, {"detail": "A server error occurred."})), method) == expected


@pytest.mark.parametrize(
    ("method", "expected"), [("GET", (2, False)), ("DELETE", (2, True)), ("PATCH", (1, True)), ("POST", (1, True))]
)
def test_a_success_that_is_not_posthogs_gets_one_more_try(method: str, expected: tuple[int, bool]) -> None:
    assert counted(world(reply(200, raw=LOGIN_PAGE, content_type="text/html")), method) == expected


def test_a_name_that_does_not_resolve_gets_one_more_try() -> None:
    here = world(fail(httpx.ConnectError, socket.gaierror(-2, "Name or service not known")))
    assert "does not resolve" in str(here.error())
    assert len(here.requests) == 2


def test_a_write_that_may_happen_twice_is_repeated_on_demand() -> None:
    here = world(fail(httpx.ReadError), reply(body={"success": True}))
    assert here.call("POST", "things", "1", "refresh", repeatable=True).body == {"success": True}


@pytest.mark.fault(17)
@pytest.mark.parametrize("failures", [1, 2, 3, 4, 5])
def test_a_burst_of_failures_heals(failures: int) -> None:
    here = world(*[reply(503)] * failures, reply(body={"ok": True}))
    assert here.call().body == {"ok": True}
    assert len(here.requests) == failures + 1


def test_what_was_ever_unknown_stays_unknown() -> None:
    here = world(fail(httpx.ReadError), NOT_SENT["refused"])
    assert here.error("DELETE").outcome_unknown


def test_the_number_of_tries_and_their_time_are_told() -> None:
    error = world(reply(503, {"detail": "We couldn't reach the database."}), jitter=0.8).error()
    assert "PostHog is unavailable (503, We couldn't reach the database.), tried 6 times in 12 s." in str(error)


def test_one_try_is_not_counted_aloud() -> None:
    assert "tried" not in str(world(fail(httpx.ReadError)).error("POST"))


# ---- how long it waits --------------------------------------------------------------------------------------------


@pytest.mark.fault(15)
def test_pauses_double_and_are_random_from_nothing_up() -> None:
    slowest, fastest = world(reply(503), jitter=1.0), world(reply(503), jitter=0.0)
    slowest.error()
    fastest.error()
    assert slowest.time.slept == [0.5, 1, 2, 4, 8]
    assert fastest.time.slept == [0, 0, 0, 0, 0]


@given(st.integers(1, 10_000))
def test_no_pause_is_longer_than_twenty_seconds(failures: int) -> None:
    assert 0.5 <= backoff(failures) <= 20


def test_a_pause_that_would_outlive_the_deadline_is_not_made() -> None:
    here = world(reply(503))
    error = here.error(deadline=here.transport.deadline(3))
    assert isinstance(error, errors.Unavailable)
    assert here.time.slept == [0.5, 1]


def test_a_wait_that_posthog_asks_for_beyond_the_deadline_is_told() -> None:
    here = world(reply(503, retry_after="7200"))
    error = here.error("POST")
    assert here.time.slept == []
    assert not error.outcome_unknown
    assert "(503): the wait would be 120 min, longer than there is time for. Run `pulumi up` again later." in str(error)


@pytest.mark.fault(38)
def test_no_request_is_made_after_the_deadline() -> None:
    here = world()
    deadline = here.transport.deadline(120)
    here.time.now += 120
    error = here.error("POST", deadline=deadline)
    assert here.requests == []
    assert not error.outcome_unknown
    assert "gave up after 120 s. If the work itself takes longer" in str(error)


def test_a_slow_drip_ends_with_the_deadline() -> None:
    def drip(request: httpx.Request) -> httpx.Response:
        def bytes_in_time() -> Iterator[bytes]:
            while True:
                here.time.now += 0.3
                yield b" "

        return httpx.Response(200, content=bytes_in_time())

    here = world(drip)
    error = here.error("POST")
    assert here.time.now < 1000 + 120.5
    assert error.outcome_unknown
    assert "gave up after 120 s without an answer" in str(error)


@pytest.mark.parametrize(("left", "expected"), [(120, (5, 30)), (20, (5, 20)), (2, (2, 2)), (0.01, (0.1, 0.1))])
def test_no_step_may_take_longer_than_what_is_left(left: float, expected: tuple[float, float]) -> None:
    here = world()
    here.call(deadline=here.transport.deadline(left))
    limits = here.requests[0].extensions["timeout"]
    assert (limits["connect"], limits["read"]) == pytest.approx(expected)
    assert limits["write"] == limits["pool"] == limits["read"]


@pytest.mark.fault(13)
def test_a_wait_of_more_than_two_seconds_is_announced() -> None:
    here = world(reply(503))
    here.error()
    assert here.announced == [
        "PostHog is unavailable (503). Trying again in 4 s.",
        "PostHog is unavailable (503). Trying again in 8 s.",
    ]


@pytest.mark.parametrize(("seconds", "announced"), [(2, []), (3, ["The view is not there yet. Looking again in 3 s."])])
def test_a_wait_for_posthogs_own_work_is_announced_too(seconds: float, announced: list[str]) -> None:
    here = world()
    here.transport.pause(seconds, "The view is not there yet")
    assert here.time.slept == [seconds]
    assert here.announced == announced


def test_time_spent_on_other_things_is_given_back() -> None:
    here = world()
    deadline = here.transport.deadline(10)
    here.time.now += 60
    deadline.extend(60)
    assert deadline.left == 10


# ---- rate limits --------------------------------------------------------------------------------------------------


@pytest.mark.fault(13)
@pytest.mark.parametrize("method", ["GET", *WRITES])
def test_a_rate_limit_is_waited_out_whatever_the_call(method: str) -> None:
    here = world(reply(429, {"detail": "Request was throttled."}, retry_after="57"), reply(body={}), jitter=0.5)
    here.call(method)
    assert len(here.requests) == 2
    assert here.time.slept == [57.25]
    assert here.announced == ["PostHog limits requests. Trying again in 57 s."]


def test_waiting_for_a_rate_limit_is_not_a_failed_try() -> None:
    here = world(*[reply(429, retry_after="1")] * 50, reply(body={}))
    here.call()
    assert len(here.requests) == 51


def test_waiting_for_a_rate_limit_does_not_shorten_the_time_for_requests() -> None:
    here = world(reply(429, retry_after="600"), reply(body={}))
    deadline = here.transport.deadline(100)
    here.call(deadline=deadline)
    assert deadline.left == 100


@pytest.mark.fault(15)
def test_a_rate_limit_without_a_time_is_waited_out_with_growing_random_pauses() -> None:
    here = world(*[reply(429)] * 7, reply(body={}))
    here.call()
    assert here.time.slept == [0.5, 1, 2, 4, 8, 16, 20]


@pytest.mark.fault(14)
def test_a_wait_that_is_too_long_is_not_begun() -> None:
    here = world(reply(429, retry_after="999999"))
    error = here.error("POST")
    assert isinstance(error, errors.RateLimited)
    assert not error.outcome_unknown
    assert here.time.slept == []
    assert "the wait would be 16667 min, longer than `posthog:rateLimitWait` allows" in str(error)


def test_all_waits_of_an_operation_share_one_budget() -> None:
    here = world(reply(429, retry_after="40"), jitter=0, rate_limit_wait=100)
    here.error()
    assert here.time.slept == [40, 40]


def test_a_busy_server_is_waited_for_within_the_deadline() -> None:
    here = world(reply(503, retry_after="10"), jitter=0)
    deadline = here.transport.deadline(35)
    assert isinstance(here.error("POST", deadline=deadline), errors.Unavailable)
    assert here.time.slept == [10, 10, 10]


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        ("0", "", 0),
        ("57", "", 57),
        (" 57 ", "", 57),
        ("Wed, 21 Oct 2026 07:28:30 GMT", DATE, 30),
        ("Wed, 21 Oct 2026 09:28:30 +0200", DATE, 30),
        ("Wed, 21 Oct 2026 07:28:30 -0000", DATE, 30),
        ("Wed, 21 Oct 2026 07:27:00 GMT", DATE, 0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "today", None),
        ("Wed, 99 Oct 2026 07:28:30 GMT", DATE, None),
        ("", DATE, None),
        ("soon", DATE, None),
        ("-5", DATE, None),
        ("1.5", DATE, None),
        ("1e3", DATE, None),
        ("٣", DATE, None),
        ("9" * 400, DATE, None),
    ],
)
def test_the_time_to_wait_is_read_in_both_forms_and_junk_is_ignored(
    text: str, date: str, seconds: float | None
) -> None:
    assert retry_after({"retry-after": text, "date": date}) == seconds


def test_no_header_is_no_time() -> None:
    assert retry_after({}) is None


@pytest.mark.fault(14)
@pure
@given(st.text(), st.text() | st.just(DATE))
def test_any_text_is_a_time_that_can_be_waited_or_none(text: str, date: str) -> None:
    seconds = retry_after({"retry-after": text, "date": date})
    assert seconds is None or 0 <= seconds < math.inf


@pytest.mark.fault(14, 38)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)).map(lambda time: time.replace(microsecond=0, tzinfo=UTC)),
    st.integers(0, 10_000),
)
def test_a_date_is_measured_from_the_answers_own_date(now: datetime, seconds: int) -> None:
    then = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": then, "date": format_datetime(now, usegmt=True)}) == seconds


# ---- pacing and the retry quota -----------------------------------------------------------------------------------


@pytest.mark.fault(33)
def test_the_next_request_after_a_full_minute_waits_and_says_so() -> None:
    here = world(pace=Pace(((60.0, 48),)))
    for _ in range(48):
        here.call()
    here.time.now += 20
    here.call()
    assert here.time.slept == [40]
    assert here.announced == ["PostHog allows no more requests for now. Trying again in 40 s."]


def test_a_full_hour_is_told_when_nobody_may_wait_that_long() -> None:
    here = world(pace=Pace(((3600.0, 10),)), rate_limit_wait=60)
    for _ in range(10):
        here.call()
    assert isinstance(here.error(), errors.RateLimited)
    assert len(here.requests) == 10


@pytest.mark.parametrize(("host", "slept"), [(HOST, [60]), ("http://127.0.0.1:8010", []), ("http://[::1]", [])])
def test_requests_are_paced_unless_they_stay_on_this_machine(
    host: str, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "CLOUD", ((60.0, 5),))
    here = world(host=host)
    for _ in range(6):
        here.call()
    assert here.time.slept == slept


@pytest.mark.fault(33)
@pytest.mark.parametrize(("seconds", "posthog_allows"), [(60, 480), (3600, 4800)])
def test_the_default_pace_stays_under_posthogs_limits(seconds: int, posthog_allows: int) -> None:
    pace, sent = Pace(), 0
    for second in range(seconds):
        while pace.delay(float(second)) == 0:
            sent += 1
    assert posthog_allows * 0.9 < sent < posthog_allows


@pure
@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5), st.integers(1, 8))
def test_no_window_ever_holds_more_than_its_limit(gaps: list[float], few: int, many: int) -> None:
    limits = ((10.0, few), (60.0, many))
    pace, now, sent = Pace(limits), 0.0, list[float]()
    for gap in gaps:
        now += gap
        while (wait := pace.delay(now)) > 0:
            now = math.nextafter(now + wait, math.inf)
        sent.append(now)
    for window, allowed in limits:
        assert all(later - earlier >= window - 1e-6 for earlier, later in zip(sent, sent[allowed:], strict=False))


@pytest.mark.fault(17)
def test_a_sick_server_is_not_hammered_by_a_large_stack() -> None:
    here = world(reply(503), jitter=0)
    for _ in range(120):
        with pytest.raises(errors.Unavailable):
            here.call()
    assert len(here.requests) == 120 + 100


def test_success_gives_retries_back() -> None:
    here = world(*[reply(503)] * 121, reply(body={}), jitter=0)
    for _ in range(21):
        with pytest.raises(errors.Unavailable):
            here.call()
    assert len(here.requests) == 121
    for _ in range(5):
        here.call()
    here.script = [reply(503), reply(body={})]
    here.requests.clear()
    assert here.call().body == {}


def test_a_repeat_that_succeeds_costs_nothing() -> None:
    quota = Quota()
    quota.take()
    quota.take()
    quota.succeeded(repeated=True)
    assert quota.left == Quota.CAPACITY - Quota.REPEAT
    quota.succeeded(repeated=False)
    assert quota.left == Quota.CAPACITY - Quota.REPEAT + 1


def test_stray_failures_never_use_the_quota_up() -> None:
    here = world(*[reply(503), reply(body={})] * 140, jitter=0)
    for _ in range(140):
        assert here.call().body == {}


def test_the_quota_holds_when_many_threads_use_it() -> None:
    quota, seen = Quota(), list[int]()

    def hammer() -> None:
        for index in range(2000):
            quota.take() if index % 3 else quota.succeeded(repeated=True)
            seen.append(quota.left)

    threads = [threading.Thread(target=hammer) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 <= min(seen) <= max(seen) <= Quota.CAPACITY
    assert quota.left % Quota.REPEAT == 0


# ---- bodies -------------------------------------------------------------------------------------------------------


def test_an_empty_success_has_no_body() -> None:
    answer = world(reply(204)).call("DELETE")
    assert (answer.status, answer.body) == (204, None)


def test_headers_are_found_by_their_lower_case_names() -> None:
    answer = world(reply(200, {}, Date="today")).call()
    assert answer.headers["date"] == "today"


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b" ",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -1e999}',
        b'{"a": 1, "a": 2}',
        b'"\xff"',
        b'"\\ud800"',
        b'"\\uDE00\\uD83D"',
        b'"\xed\xa0\x80"',
        b"-" + b"9" * 309,
        b"[" * 100_000,
        b"9" * 10_000,
        LOGIN_PAGE,
    ],
    ids=lambda raw: raw[:20].decode("latin-1"),
)
def test_a_success_that_is_not_json_is_not_posthogs(raw: bytes) -> None:
    error = world(reply(200, raw=raw, content_type="text/html")).error()
    assert isinstance(error, errors.UnexpectedAnswer)
    assert "not PostHog's answer (200, text/html" in str(error)


@pytest.mark.fault(18)
@pure
@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_an_error(raw: bytes) -> None:
    here = world(reply(200, raw=raw))
    failed = False
    try:
        here.call("POST")
    except errors.UnexpectedAnswer as error:
        failed = not error.outcome_unknown
    assert not failed


@pure
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda item: st.lists(item) | st.dictionaries(st.text(), item),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_any_json_arrives_as_it_was_sent(body: object, packed: bool) -> None:  # fmt: skip
    raw = json.dumps(body).encode()
    script = reply(raw=gzip.compress(raw), content_encoding="gzip") if packed else reply(raw=raw)
    assert world(script).call().body == body


def test_the_largest_answer_is_read() -> None:
    raw = b'"' + b"x" * (MAX_ANSWER - 2) + b'"'
    assert len(world(reply(raw=raw)).call().body) == MAX_ANSWER - 2


@pytest.mark.parametrize("packed", [False, True])
def test_a_larger_answer_is_not(packed: bool) -> None:
    raw = b'"' + b"x" * (MAX_ANSWER - 1) + b'"'
    script = reply(raw=zlib.compress(raw, wbits=31), content_encoding="gzip") if packed else reply(raw=raw)
    here = world(script)
    error = here.error("PATCH")
    assert isinstance(error, errors.UnexpectedAnswer)
    assert error.outcome_unknown
    assert "the answer is larger than 16 MB" in str(error)


# ---- /api/environments/ and its successor -------------------------------------------------------------------------

SUCCESSOR = {"deprecation": "true", "link": '</api/projects/1/things>; rel="successor-version"'}
UNKNOWN_PATH = {
    "page": reply(404, raw=LOGIN_PAGE, content_type="text/html"),
    "words": reply(404, {"detail": "Endpoint not found.", "code": "not_found"}),
    "empty": reply(404),
}


def test_a_deprecated_path_is_left_once_its_successor_is_named() -> None:
    here = world(reply(body={}, **SUCCESSOR))
    here.call()
    here.call()
    assert here.sent == ["GET /api/environments/1/things", "GET /api/projects/1/things"]


def test_the_documented_path_is_kept_as_long_as_nothing_is_said_against_it() -> None:
    here = world(reply(body={}, deprecation="true"))
    here.call()
    here.call()
    assert here.sent == ["GET /api/environments/1/things"] * 2


@pytest.mark.parametrize("script", UNKNOWN_PATH.values(), ids=UNKNOWN_PATH)
@pytest.mark.parametrize("method", ["GET", *WRITES])
def test_a_path_that_is_gone_is_looked_for_at_its_successor(script: Script, method: str) -> None:
    here = world(script, reply(body={"id": "x"}))
    assert here.call(method).body == {"id": "x"}
    here.call()
    assert here.sent == [
        f"{method} /api/environments/1/things",
        f"{method} /api/projects/1/things",
        "GET /api/projects/1/things",
    ]


def test_an_object_that_is_missing_at_the_successor_is_missing() -> None:
    here = world(UNKNOWN_PATH["words"], reply(404, {"detail": "Not found.", "code": "not_found"}))
    assert isinstance(here.error(), errors.NotFound)
    here.error()
    assert here.sent[-1] == "GET /api/projects/1/things"


def test_what_neither_path_knows_is_told_as_the_first_told_it() -> None:
    here = world(UNKNOWN_PATH["words"], UNKNOWN_PATH["page"])
    assert "Endpoint not found." in str(here.error())
    here.error()
    assert here.sent[2] == "GET /api/environments/1/things"


def test_an_object_that_is_missing_is_not_looked_for_elsewhere() -> None:
    here = world(reply(404, {"detail": "Not found.", "code": "not_found"}))
    assert isinstance(here.error(), errors.NotFound)
    assert len(here.requests) == 1


def test_a_path_without_environment_has_no_successor() -> None:
    here = world(UNKNOWN_PATH["page"])
    here.error(environment=None)
    assert len(here.requests) == 1


# ---- the next page ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        f"{HOST}/api/projects/1/things/?page=2&search=a%20b",
        "http://posthog.example/api/projects/1/things/?page=2&search=a%20b",
        "https://POSTHOG.example:443/api/projects/1/things/?page=2&search=a%20b",
        "/api/projects/1/things/?page=2&search=a%20b",
    ],
)
def test_only_path_and_query_of_a_link_are_used(link: str) -> None:
    here = world()
    here.transport.follow(link, here.transport.deadline())
    assert str(here.requests[0].url) == f"{HOST}/api/projects/1/things/?page=2&search=a%20b"


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    "link",
    [
        "https://evil.test/api/projects/1/things/?page=2",
        "//evil.test/api/projects/1/things/?page=2",
        "https://posthog.example.evil.test/api/projects/1/things/",
        "https://posthog.example@evil.test/api/projects/1/things/",
        "https://evil.test\\@posthog.example/../x",
        "https://[::1/api/projects/1/things/",
        "https:///api/../login",
        f"{HOST}/login",
        f"{HOST}/api/../login",
        f"{HOST}/api/%2e%2e/login",
        f"{HOST}/api/projects/1/things\\..\\x",
        f"{HOST}/api/projects/1/things/?page=2\x00",
        f"{HOST}",
        "things/?page=2",
        "?page=2",
        "",
        "javascript:alert(1)",
        f"{HOST}/api/projects/1/things/?page={'2' * 70_000}",
    ],
    ids=lambda link: link[:60],
)
def test_a_link_that_leads_elsewhere_is_an_error_and_no_short_list(link: str) -> None:
    here = world()
    error = held_back(lambda: here.transport.follow(link, here.transport.deadline()))
    assert isinstance(error, errors.UnexpectedAnswer)
    assert "the link to the next page" in str(error)
    assert here.requests == []


@pytest.mark.fault(21)
@pure
@given(st.text(max_size=60))
def test_any_link_stays_on_the_configured_host_or_is_refused(link: str) -> None:
    here = world()
    try:
        here.transport.follow(link, here.transport.deadline())
    except errors.UnexpectedAnswer:
        return
    assert str(here.requests[0].url).startswith(f"{HOST}/api/")


# ---- what refusals tell -------------------------------------------------------------------------------------------


def refusal(status: int, detail: str, code: str = "code", attr: str | None = None) -> errors.PostHogError:
    body = {"type": "some_error", "code": code, "detail": detail, "attr": attr}
    return world(reply(status, body, x_request_id="r-17")).error(environment=None)


@pytest.mark.fault(22, 23)
@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (401, "Personal API key found in request Authorization header is invalid.", errors.Unauthenticated),
        (403, "API key missing required scope 'insight_variable:write'", errors.MissingScope),
        (403, "API key does not have access to the requested project: ID 2.", errors.NoAccess),
        (403, "This action does not support personal API key access", errors.NoAccess),
        (403, "You do not have editor access to this resource.", errors.NoAccess),
        (404, "Project not found.", errors.ProjectNotFound),
        (404, "Invalid page.", errors.Refused),
        (400, "This field is required.", errors.Invalid),
        (405, 'Method "POST" not allowed.', errors.Refused),
        (409, "Conflict.", errors.Refused),
    ],
)
def test_every_refusal_has_its_class_and_keeps_posthogs_words(
    status: int, detail: str, kind: type[errors.PostHogError]
) -> None:
    error = refusal(status, detail)
    assert type(error) is kind
    assert detail in error.message
    assert error.request_id == "r-17"


@pytest.mark.fault(23)
def test_a_missing_scope_is_named_in_the_next_step() -> None:
    hint = refusal(403, "API key missing required scope 'warehouse_view:write'").hint
    assert "Add the scope warehouse_view:write to the key" in hint


@pytest.mark.fault(29)
def test_a_validation_error_names_field_and_code() -> None:
    error = refusal(400, "Too long.", "max_length", "name")
    assert isinstance(error, errors.Invalid)
    assert (error.status, error.field, error.code) == (400, "name", "max_length")


def test_an_object_is_gone_only_in_posthogs_own_words() -> None:
    assert isinstance(refusal(404, "Not found.", "not_found"), errors.NotFound)


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "script",
    [
        *UNKNOWN_PATH.values(),
        reply(404, {"detail": "Not found."}),
        reply(404, {"detail": "Not found.", "code": "other"}),
        reply(404, {"message": "Not found. Ever."}),
        reply(404, ["Not found."]),
        reply(404, "Not found."),
        reply(404, {"detail": "Project not found.", "code": "not_found"}),
    ],
)
def test_nothing_else_means_that_an_object_is_gone(script: Script) -> None:
    assert not isinstance(world(script).error(), errors.NotFound)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "a", "message": "b", "error": "c"}, "a"),
        ({"message": "b", "error": "c"}, "b"),
        ({"detail": None, "message": " ", "error": "c"}, "c"),
        ({"detail": ["x"]}, "status 400"),
        ("words", "status 400"),
        ([], "status 400"),
    ],
)
def test_posthogs_words_are_found_wherever_it_puts_them(body: object, said: str) -> None:
    assert f"({said})" in world(reply(400, body)).error().message.replace("400, ", "")


@pytest.mark.parametrize("status", [200, 401, 403, 404, 407, 413])
def test_a_page_of_somebody_else_is_told_as_such(status: int) -> None:
    error = world(reply(status, raw=LOGIN_PAGE, content_type="text/html; charset=utf-8")).error()
    assert isinstance(error, errors.UnexpectedAnswer)
    assert f"not PostHog's answer ({status}, text/html; charset=utf-8: Sign in Please sign in.)" in str(error)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_json_without_words_is_not_posthogs_either(status: int) -> None:
    error = world(reply(status, {})).error()
    assert f"not PostHog's answer ({status}, application/json" in str(error)


def test_a_page_of_a_gateway_is_no_longer_than_its_status() -> None:
    error = world(reply(502, raw=LOGIN_PAGE, content_type="text/html")).error("POST")
    assert error.message == "PostHog is unavailable (502)"


@pytest.mark.fault(20)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_but_told(status: int) -> None:
    here = world(reply(status, location="https://eu.posthog.com:8443/api/?x=1"))
    error = here.error("POST")
    assert len(here.requests) == 1
    assert f"PostHog redirects to https://eu.posthog.com:8443 ({status})" in str(error)
    assert "`pulumi config set posthog:host https://eu.posthog.com:8443`" in str(error)


@pytest.mark.parametrize("location", ["/login?next=/api", "", "http://[::1", "https://us@evil.test", "javascript:x"])
def test_no_host_is_suggested_that_a_redirect_does_not_name(location: str) -> None:
    here = world(reply(302, location=location))
    error = here.error()
    assert len(here.requests) == 1
    assert "PostHog redirects to another page" in str(error)
    assert "config set" not in str(error)


def test_a_key_that_comes_back_is_not_passed_on() -> None:
    echo = {"detail": f"bad header Bearer {SENTINEL}", "code": SENTINEL, "attr": SENTINEL}
    for status in (400, 401, 403, 404, 409, 503):
        world(reply(status, echo, x_request_id=SENTINEL)).error("POST")
    for status in (200, 302, 404, 502):
        raw = f"<p>{SENTINEL}</p>".encode()
        world(reply(status, raw=raw, content_type=SENTINEL, location=f"https://{SENTINEL}.test")).error("POST")


@pytest.mark.fault(46)
def test_a_library_error_does_not_bring_its_text_along() -> None:
    for script in (*NOT_SENT.values(), *LOST.values(), *FINAL.values()):
        error = world(script).error("POST", environment=None)
        assert error.__cause__ is error.__context__ is None


def test_a_long_text_is_cut() -> None:
    assert len(refusal(400, "x" * 1_000_000).message) < 600


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://evil.test\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\r\nb\tc", "a b c"),
        ("\x9b31mred", "31mred"),
        ("user\u202egnp.exe", "user gnp.exe"),
        ("zero\u200bwidth\ufeff", "zero width"),
        ("half a pair \ud800", "half a pair"),
        ("NUL\x00", "NUL"),
        ("  Größe 😀 ", "Größe 😀"),
    ],
)
def test_a_text_is_fit_for_a_terminal(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.fault(57)
@pure
@given(st.text(alphabet=st.characters(), max_size=1500))
def test_any_text_becomes_one_short_printable_line(text: str) -> None:
    line = clean(text)
    assert len(line) <= 503
    assert all(char.isprintable() or char == " " for char in line)
    line.encode()


# ---- the client it makes itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", f"gopher://user:{SENTINEL}@proxy.example"),
        ("ALL_PROXY", f"http://user:{SENTINEL}@proxy.example:port"),
        ("ALL_PROXY", f"socks5://user:{SENTINEL}@proxy.example"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ("SSL_CERT_FILE", __file__),
    ],
)
def test_a_proxy_or_certificate_file_that_cannot_be_used_is_a_mistake_in_the_settings(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    transport = Transport(Settings(host=HOST, environment_id="1", api_key=SENTINEL))
    error = held_back(lambda: transport.request("GET", ("x",), environment=None, deadline=transport.deadline()))
    assert isinstance(error, errors.ConfigurationError)
    assert "SSL_CERT_FILE" in str(error)


def test_a_bug_in_a_request_is_not_hidden() -> None:
    def bug(request: httpx.Request) -> httpx.Response:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        world(bug).call()


def test_closing_twice_is_fine() -> None:
    here = world()
    here.transport.close()
    here.transport.close()
