"""Faults on demand: every kind, before and after the change."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from .harness import NOT_FOUND, Api, Running, error

V = "insight_variables/"
FAULTS = "/__local/faults"
POST = {"method": "POST", "path": "insight_variables"}
SIDES = pytest.mark.parametrize("at", ["before", "after"])


def plan(api: Api, *rules: dict[str, Any]) -> Any:
    return api.ok("PUT", FAULTS, [{"match": POST, **rule} for rule in rules])


def create(api: Api, name: str = "x", timeout: float = 180) -> httpx.Response:
    return api("POST", V, {"name": name, "type": "String"}, timeout=timeout)


def names(api: Api) -> list[str]:
    return [item["name"] for item in api.ok("GET", V)["results"]]


def log(api: Api) -> tuple[int | None, str | None]:
    """Status and fault of the only POST."""
    (entry,) = api.ok("GET", "/__local/requests?method=post&path=insight")["requests"]
    return entry["status"], entry["fault"]


def expect(api: Api, at: str, do: str) -> None:
    """Applied or not, as the log says it; and the next request is an ordinary one."""
    wait_for(lambda: api.ok("GET", "/__local/requests?method=post&path=insight")["requests"])
    assert names(api) == (["x"] if at == "after" else [])
    assert log(api) == (None, f"after {do} of 201" if at == "after" else f"before {do}")
    assert create(api, "y").status_code == 201


# -- connections that end -----------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("during", ["head", "body"])
def test_reset(local: Api, at: str, during: str) -> None:
    plan(local, {"do": "reset", "at": at, "during": during})
    with pytest.raises(httpx.ReadError, match="Connection reset by peer"):
        create(local)
    expect(local, at, "reset")


def test_reset_in_the_middle_of_the_body(local: Api) -> None:
    plan(local, {"do": "reset", "at": "after", "during": "body"})
    with local.http.stream("POST", local.path(V), json={"name": "x", "type": "String"}) as answer:
        assert answer.status_code == 201
        with pytest.raises(httpx.ReadError):
            answer.read()


@SIDES
def test_close(local: Api, at: str) -> None:
    plan(local, {"do": "close", "at": at})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        create(local)
    expect(local, at, "close")


@SIDES
def test_hang(local: Api, at: str) -> None:
    plan(local, {"do": "hang", "at": at, "seconds": 20})
    with pytest.raises(httpx.ReadTimeout):
        create(local, timeout=0.3)
    expect(local, at, "hang")


def test_a_hang_ends_without_a_byte(local: Api) -> None:
    plan(local, {"do": "hang", "seconds": 0.2})
    with pytest.raises(httpx.RemoteProtocolError):
        create(local)


@SIDES
def test_drip(local: Api, at: str) -> None:
    plan(local, {"do": "drip", "at": at, "every": 0.001})
    answer = create(local)
    assert (answer.status_code, answer.json()["name"]) == (201, "x")
    expect(local, at, "drip")


def test_a_drip_beyond_a_deadline(local: Api) -> None:
    plan(local, {"do": "drip", "at": "after", "every": 0.05})
    with local.http.stream("POST", local.path(V), json={"name": "x", "type": "String"}) as answer:
        for _ in answer.iter_raw():
            if answer.num_bytes_downloaded > 3:  # whoever waits for the rest waits for long
                break
    assert answer.num_bytes_downloaded < int(answer.headers["Content-Length"])


def test_a_drip_of_the_head(local: Api) -> None:
    plan(local, {"do": "drip", "at": "after", "every": 0.05, "during": "head"})
    with pytest.raises(httpx.TimeoutException), httpx.Client(timeout=0.01) as http:
        http.post(f"{local.url}{local.path(V)}", json={"name": "x", "type": "String"}, headers=local.http.headers)


@SIDES
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_truncate(local: Api, at: str, framing: str) -> None:
    plan(local, {"do": "truncate", "at": at, "framing": framing})
    if framing == "close":
        answer = create(local)
        assert answer.status_code == 201
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            answer.json()
    else:
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            create(local)
    expect(local, at, "truncate")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_truncated_head(local: Api, method: str) -> None:
    """A 204 has no body: it is cut in its head."""
    made = create(local).json()
    plan(
        local,
        {
            "match": {"method": method},
            "do": "truncate",
            "at": "after",
            "during": "body" if method == "DELETE" else "head",
        },
    )
    with pytest.raises(httpx.RemoteProtocolError):
        local(
            method,
            V if method == "POST" else f"{V}{made['id']}/",
            {"name": "y", "type": "String"} if method == "POST" else None,
        )
    assert names(local) == ([] if method == "DELETE" else ["x", "y"])


def test_truncated_after_some_bytes(local: Api) -> None:
    plan(local, {"do": "truncate", "at": "after", "framing": "close", "bytes": 6})
    assert create(local).text == '{"id":'


# -- other answers ------------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize(
    ("rule", "status", "kind", "start"),
    [
        ({"status": 502}, 502, "text/html", "<html><head><title>502 Bad Gateway"),
        ({"status": 200, "html": "<h1>Log in</h1>"}, 200, "text/html", "<h1>Log in"),
        ({"status": 500}, 500, "application/json", '{"type": "server_error", "code": "error"'),
        ({"status": 409, "json": {"detail": "x"}}, 409, "application/json", '{"detail": "x"}'),
        ({"status": 200, "text": "{'no': json"}, 200, "application/json", "{'no"),
        ({"status": 201, "text": ""}, 201, "application/json", ""),
        ({"status": 407, "text": "x", "headers": {"content-type": "text/plain"}}, 407, "text/plain", "x"),
        ({"status": 599}, 599, "text/html", "<html>"),
    ],
)
def test_status(local: Api, at: str, rule: dict[str, Any], status: int, kind: str, start: str) -> None:
    plan(local, {"do": "status", "at": at, **rule})
    answer = create(local)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, kind)
    assert answer.text.startswith(start)
    assert names(local) == (["x"] if at == "after" else [])
    assert log(local) == (status, f"{at} status{' of 201' if at == 'after' else ''}")


def test_headers_of_a_status(local: Api) -> None:
    plan(
        local,
        {"do": "status", "status": 429, "headers": {"Retry-After": 7, "X-Request-Id": "abc"}},
        {"do": "status", "status": 503},
        {"do": "status", "status": 503, "headers": {"retry-after": None}},
    )
    first, second, third = (create(local) for _ in range(3))
    assert first.json() == error("throttled", "Request was throttled.", type="throttled_error")
    assert (first.headers["Retry-After"], first.headers["X-Request-Id"]) == ("7", "abc")
    assert second.headers["Retry-After"] == "1"
    assert "Retry-After" not in third.headers


def test_any_bytes(local: Api) -> None:
    zeros = b64encode(gzip.compress(b"0" * 1_000_000)).decode()
    plan(
        local,
        {"do": "status", "status": 200, "base64": b64encode(b'{"a": "\xff"}').decode()},
        {"do": "status", "status": 200, "base64": zeros, "headers": {"Content-Encoding": "gzip"}},
    )
    assert create(local).content == b'{"a": "\xff"}'
    assert len(create(local).content) == 1_000_000


@SIDES
def test_redirect(local: Api, at: str) -> None:
    plan(local, {"do": "redirect", "at": at, "to": "https://evil.example/login"})
    answer = create(local)
    assert (answer.status_code, answer.headers["Location"], answer.content) == (302, "https://evil.example/login", b"")
    assert names(local) == (["x"] if at == "after" else [])


@SIDES
def test_slow(local: Api, at: str) -> None:
    plan(local, {"do": "slow", "at": at, "seconds": 0.3})
    began = time.monotonic()
    assert create(local).status_code == 201
    assert time.monotonic() - began >= 0.3
    assert log(local) == (201, f"{at} slow")


def test_a_slow_request_is_applied_although_nobody_waits(local: Api) -> None:
    plan(local, {"do": "slow", "seconds": 2})
    with pytest.raises(httpx.ReadTimeout):
        create(local, timeout=0.1)
    assert names(local) == []
    wait_for(lambda: names(local) == ["x"])


# -- not seen yet -------------------------------------------------------------------------------


def test_invisible_for_some_requests(local: Api) -> None:
    create(local, "old")
    plan(local, {"do": "invisible", "requests": 2})
    made = create(local).json()
    local.refused("GET", f"{V}{made['id']}/", None, NOT_FOUND, 404)
    page = local.ok("GET", V)
    assert ([item["name"] for item in page["results"]], page["count"]) == (["old"], 1)
    assert names(local) == ["old", "x"]
    assert local.ok("GET", f"{V}{made['id']}/") == made
    faults = [entry["fault"] for entry in local.ok("GET", "/__local/requests")["requests"]]
    assert faults == [None, "after invisible", "invisible", "invisible", None, None]


def test_invisible_for_some_time(local: Api) -> None:
    plan(local, {"do": "invisible", "seconds": 30})
    made = create(local).json()
    assert local.ok("GET", FAULTS)["hidden"][0]["id"] == made["id"]
    for _ in range(3):
        assert names(local) == []
    local.refused("GET", f"{V}{made['id'].upper()}", None, NOT_FOUND, 404)
    assert local("PATCH", f"{V}{made['id']}/", {"name": "z"}).status_code == 200  # writes find it
    local.advance(31)
    assert names(local) == ["z"]


def test_a_refused_create_hides_nothing(local: Api) -> None:
    create(local)
    plan(local, {"do": "invisible", "seconds": 30})
    assert create(local).status_code == 400
    assert names(local) == ["x"]
    assert local.ok("GET", FAULTS)["hidden"] == []


def test_an_invisible_source(local: Api) -> None:
    plan(local, {"match": {"method": "POST", "path": "external_data_sources"}, "do": "invisible", "requests": 1})
    body = {"source_type": "Zendesk", "payload": {"subdomain": "s", "api_key": "right", "email_address": "a@b.de"}}
    made = local.ok("POST", "external_data_sources/", body, 201)
    assert local("GET", f"external_data_sources/{made['id']}/jobs").status_code == 404
    assert local("GET", f"external_data_sources/{made['id']}/jobs").status_code == 200


# -- requests that are held ---------------------------------------------------------------------


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def held(api: Api, count: int = 1) -> list[dict[str, Any]]:
    return wait_for(lambda: (found := api.ok("GET", FAULTS)["held"]) and len(found) == count and found)


@contextmanager
def in_parallel(*calls: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        yield [pool.submit(call) for call in calls]


@SIDES
def test_hold(local: Api, at: str) -> None:
    plan(local, {"name": "point", "do": "hold", "at": at})
    with in_parallel(lambda: create(local)) as (answer,):
        (waiting,) = held(local)
        assert (waiting["name"], waiting["at"], waiting["method"]) == ("point", at, "POST")
        assert names(local) == (["x"] if at == "after" else [])
        assert not answer.done()
        assert local.ok("POST", f"{FAULTS}/release", {"rule": "other"}) == {"released": 0}
        assert local.ok("POST", f"{FAULTS}/release", {"rule": "point"}) == {"released": 1}
        assert answer.result().status_code == 201
    assert log(local) == (201, f"{at} hold (point)")


def test_a_held_request_of_a_client_that_was_killed_is_applied(local: Api, tmp_path: Path) -> None:
    plan(local, {"name": "point", "do": "hold"})
    body = json.dumps({"name": "x", "type": "String"})
    script = tmp_path / "client.py"
    script.write_text(
        f"import httpx\nhttpx.post({local.url + local.path(V)!r}, content={body!r}, timeout=60, "
        f"headers={{'Authorization': 'Bearer phx_all', 'Content-Type': 'application/json'}})"
    )
    client = subprocess.Popen([__import__("sys").executable, str(script)], stderr=subprocess.DEVNULL)
    held(local)
    client.send_signal(signal.SIGKILL)
    client.wait()
    assert names(local) == []
    local.ok("POST", f"{FAULTS}/release")
    wait_for(lambda: names(local) == ["x"])


def test_a_hold_ends_by_itself(local: Api) -> None:
    plan(local, {"do": "hold", "seconds": 0.2})
    assert create(local).status_code == 201
    assert local.ok("GET", FAULTS)["held"] == []


@pytest.mark.parametrize("how", ["DELETE", "PUT", "one"])
def test_without_its_rule_a_held_request_goes_on(local: Api, how: str) -> None:
    plan(local, {"name": "point", "do": "hold"})
    with in_parallel(lambda: create(local)) as (answer,):
        held(local)
        if how == "one":
            assert local("DELETE", f"{FAULTS}/point").status_code == 204
            assert local("DELETE", f"{FAULTS}/point").status_code == 404
        else:
            assert local(how, FAULTS, [] if how == "PUT" else None).is_success
        assert answer.result().status_code == 201


def test_after_a_reset_a_held_request_is_not_applied(local: Api) -> None:
    plan(local, {"do": "hold"})
    with in_parallel(lambda: create(local)) as (answer,):
        held(local)
        local("POST", "/__local/reset")
        assert isinstance(answer.exception(), httpx.RemoteProtocolError)
    assert names(local) == []


def test_held_then_reset(local: Api) -> None:
    """The answer is lost, and the test says when."""
    plan(local, {"do": "hold", "at": "after"}, {"do": "reset", "at": "after"})
    with in_parallel(lambda: create(local)) as (answer,):
        held(local)
        assert names(local) == ["x"]
        local.ok("POST", f"{FAULTS}/release")
        assert isinstance(answer.exception(), httpx.ReadError)
    assert log(local) == (None, "after hold; after reset of 201")


def test_more_held_requests_than_threads(local: Api) -> None:
    plan(local, {"do": "hold", "times": 0})
    with in_parallel(*(lambda number=number: create(local, f"v{number}") for number in range(40))) as answers:
        held(local, 40)
        assert local.ok("POST", f"{FAULTS}/release") == {"released": 40}
        assert {answer.result().status_code for answer in answers} == {201}


def test_a_server_stops_although_requests_are_held(local: Api, tmp_path: Path) -> None:
    running = Running(tmp_path)
    api = Api(running.url, "phx_local")
    plan(api, {"do": "hold"}, {"do": "hang", "nth": 2, "seconds": 60}, {"do": "slow", "nth": 3, "seconds": 60})

    def post() -> Any:
        with httpx.Client(headers=api.http.headers) as http, pytest.raises(httpx.HTTPError):
            http.post(running.url + api.path(V), json={"name": "x", "type": "String"}, timeout=60)

    with in_parallel(post, post, post):
        wait_for(lambda: [rule["hits"] for rule in api.ok("GET", FAULTS)["rules"]] == [1, 1, 1])
        held(api)
        code, _, err = running.stop()
    assert (code, err) == (0, "")


# -- which requests -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({}, True),
        ({"method": "post"}, True),
        ({"method": ["PUT", "POST"]}, True),
        ({"method": "GET"}, False),
        ({"path": "insight_variables"}, True),
        ({"path": "insight_variables/"}, True),
        ({"path": "insight_variables/*"}, False),
        ({"path": "insight*"}, True),
        ({"path": "*"}, True),
        ({"path": "*/*"}, False),
        ({"path": "/api/*/1/insight_variables"}, True),
        ({"path": "/api/**"}, True),
        ({"path": "/api/*"}, False),
        ({"path_regex": "insight_variables/?$"}, True),
        ({"path_regex": "^insight"}, False),
        ({"query_contains": "a=b"}, True),
        ({"query_contains": "a=c"}, False),
        ({"body_contains": '"größe"'}, True),
        ({"body_contains": "gross"}, False),
        ({"body": {"name": "größe"}}, True),
        ({"body": {"name": "größe", "extra": {"deep": 1}}}, True),
        ({"body": {"extra": {"deep": True}}}, False),
        ({"body": {"extra": 1}}, False),
        ({"body": {"other": None}}, False),
        ({"method": "POST", "body": {"name": "y"}}, False),
    ],
)
def test_match(local: Api, match: dict[str, Any], hit: bool) -> None:
    local.ok("PUT", FAULTS, {"match": match, "do": "status", "status": 418})
    body = json.dumps({"name": "größe", "type": "String", "extra": {"deep": 1, "more": []}}, ensure_ascii=False)
    answer = local("POST", f"{V}?a=b", content=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == (418 if hit else 201)


def test_nth_and_times(local: Api) -> None:
    plan(
        local,
        {"do": "status", "status": 500, "nth": 2, "times": 2},
        {"do": "status", "status": 502, "nth": 5, "times": 0},
    )
    statuses = [create(local, str(number)).status_code for number in range(7)]
    assert statuses == [201, 500, 500, 201, 502, 502, 502]
    first, second = local.ok("GET", FAULTS)["rules"]
    assert (first["seen"], first["hits"], second["seen"], second["hits"]) == (7, 2, 7, 3)
    assert names(local) == ["0", "3"]


def test_chance(local: Api) -> None:
    plan(local, {"do": "status", "status": 500, "times": 0, "chance": 0.5})
    statuses = [create(local, str(number)).status_code for number in range(60)]
    assert 10 < statuses.count(500) < 50
    assert local.ok("GET", FAULTS)["rules"][0]["hits"] == statuses.count(500)


def test_an_end_before_leaves_nothing_for_after(local: Api) -> None:
    plan(local, {"do": "close", "at": "after"}, {"do": "status", "status": 500}, {"do": "status", "status": 502})
    assert create(local).status_code == 500
    assert [rule["hits"] for rule in local.ok("GET", FAULTS)["rules"]] == [0, 1, 0]
    assert create(local).status_code == 502  # they wait for their turn
    with pytest.raises(httpx.RemoteProtocolError):
        create(local)
    assert [rule["hits"] for rule in local.ok("GET", FAULTS)["rules"]] == [1, 1, 1]


def test_each_request_is_counted_once_in_parallel(local: Api) -> None:
    plan(local, {"do": "status", "status": 500, "nth": 11, "times": 10})
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: create(local, str(number)).status_code, range(40)))
    assert sorted(statuses) == [201] * 30 + [500] * 10
    assert local.ok("GET", FAULTS)["rules"][0]["seen"] == 40


def test_faults_come_before_the_key_and_spare_the_control_api(local: Api) -> None:
    local.ok("PUT", FAULTS, {"do": "status", "status": 500, "times": 0})
    assert Api(local.url, None)("GET", V).status_code == 500
    assert local("GET", "/api/nowhere").status_code == 500
    assert local("GET", "/__local/health").status_code == 200


def test_change_the_plan(local: Api) -> None:
    assert local.ok("GET", FAULTS) == {"rules": [], "held": [], "hidden": []}
    shown = plan(local, {"name": "a", "do": "close"})
    assert [rule["name"] for rule in shown["rules"]] == ["a"]
    added = local.ok("POST", FAULTS, {"rules": [{"do": "hang", "seconds": 1}]}, 201)
    assert added["rules"][0]["id"] != shown["rules"][0]["id"]
    before = local.ok("GET", FAULTS)
    assert local.ok("PUT", FAULTS, {"rules": before["rules"]})["rules"][0]["name"] == "a"  # can be sent back
    assert local("DELETE", FAULTS).status_code == 204
    assert local.ok("GET", FAULTS)["rules"] == []
    assert create(local).status_code == 201


@pytest.mark.parametrize(
    ("rule", "attr", "detail"),
    [
        ({}, "do", "This field is required."),
        ({"do": "nope"}, "do", '"nope" is not a valid choice.'),
        ({"do": "hang"}, "seconds", "'hang' needs this."),
        ({"do": "status"}, "status", "'status' needs this."),
        ({"do": "close", "bytes": 1}, "bytes", "'close' does not take this."),
        ({"do": "close", "wann": 1}, "wann", "This key is not known."),
        ({"do": "close", "match": {"pfad": "x"}}, "match__pfad", "This key is not known."),
        ({"do": "close", "at": "during"}, "at", '"during" is not a valid choice.'),
        ({"do": "close", "nth": 0}, "nth", "Ensure this value is greater than or equal to 1."),
        ({"do": "invisible"}, None, "'invisible' needs seconds or requests."),
        ({"do": "invisible", "seconds": 1, "at": "before"}, "at", "'invisible' is about what was just made: after."),
        (
            {"do": "status", "status": 500, "json": 1, "text": ""},
            None,
            "Only one of json, html, text and base64 makes a body.",
        ),
        ({"do": "status", "status": 500, "base64": "%"}, "base64", "This is not base64."),
    ],
)
def test_a_wrong_rule(local: Api, rule: dict[str, Any], attr: str | None, detail: str) -> None:
    plan(local, {"name": "stays", "do": "close"})
    answer = local("PUT", FAULTS, [rule])
    assert (answer.status_code, answer.json()["attr"], answer.json()["detail"]) == (400, attr, detail)
    assert local("POST", FAULTS, ["x"]).status_code == 400
    assert local("POST", FAULTS, "x").status_code == 400
    assert [rule["name"] for rule in local.ok("GET", FAULTS)["rules"]] == ["stays"]


def test_several_workers_share_the_plan(local: Api, tmp_path: Path) -> None:
    """Two servers over one file: both count, and one lets go what the other holds."""
    data = str(tmp_path / "data.sqlite3")
    first = Running(tmp_path, "--data", data)
    second = Running(tmp_path, "--data", data)
    one, other = Api(first.url, "phx_local"), Api(second.url, "phx_local")
    plan(one, {"do": "status", "status": 500, "nth": 2}, {"name": "point", "do": "hold", "nth": 3})
    assert create(other).status_code == 201
    assert create(one).status_code == 500
    with in_parallel(lambda: create(other, "y")) as (answer,):
        held(one)
        assert one.ok("POST", f"{FAULTS}/release") == {"released": 1}
        assert answer.result().status_code == 201
    first.stop()
    second.stop()


# -- bodies -------------------------------------------------------------------------------------

MEGABYTE = b"x" * 1024 * 1024


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_is_too_large(local: Api, framing: str) -> None:
    content: Any = MEGABYTE * 65 if framing == "length" else (MEGABYTE for _ in range(65))
    answer = local("POST", V, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert names(local) == []


def test_ten_megabytes_in_chunks(local: Api) -> None:
    body = b'{"name": "x", "type": "String", "default_value": "' + MEGABYTE * 10 + b'"}'
    parts = (body[start : start + 70_000] for start in range(0, len(body), 70_000))
    assert local("POST", V, content=parts, headers={"Content-Type": "application/json"}).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 100\r\n\r\n" + b'{"name": "x", "type": "String"}',
        b"Transfer-Encoding: chunked\r\n\r\n1f\r\n" + b'{"name": "x", "type": "String"}' + b"\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
    ],
)
def test_a_body_that_is_not_complete_is_not_applied(local: Api, body: bytes) -> None:
    place = urlsplit(local.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as client:
        head = f"POST {local.path(V)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer phx_all\r\n"
        client.sendall(head.encode() + b"Content-Type: application/json\r\n" + body)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert answer.split(b" ", 2)[1] in (b"400", b"413")
    assert names(local) == []


def test_head_has_no_body(local: Api) -> None:
    create(local)
    for _ in range(2):  # on one connection
        answer = local("HEAD", V)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0


def test_what_a_killed_server_leaves_behind_is_removed_by_the_next(
    local: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    killed, alive = Running(tmp_path), Running(tmp_path)
    killed.process.kill()
    killed.process.communicate(timeout=10)
    assert len(list(temporary.glob("posthog-local-*"))) == 2
    third = Running(tmp_path)
    assert len(list(temporary.glob("posthog-local-*"))) == 2
    for running in (alive, third):
        assert create(Api(running.url, "phx_local")).status_code == 201
        assert running.stop()[0] == 0
    assert list(temporary.glob("posthog-local-*")) == []
