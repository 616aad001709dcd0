"""Contract 1.5: PostHog's rate limits, on the server's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .harness import Api, Running, error

V = "insight_variables/"
W = "warehouse_saved_queries/"
LIMITS = "/__local/rate-limits"


@pytest.fixture
def limited(local: Api) -> Api:
    """PostHog's own limits and a clock that stands still; a reset before the next test ends both."""
    local.ok("PUT", LIMITS, {"enabled": True})
    local.ok("POST", "/__local/clock", {"stopped": True})
    return local


def set_limits(api: Api, **limits: str) -> None:
    api.ok("PUT", LIMITS, {"limits": limits})


def throttled(api: Api, method: str, path: str, seconds: int, body: Any = None) -> None:
    answer = api(method, path, body)
    unit = "second" if seconds == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {seconds} {unit}."
    assert (answer.status_code, answer.json()) == (429, error("throttled", detail, type="throttled_error"))
    assert answer.headers["Retry-After"] == str(seconds)


def test_off_by_default(local: Api) -> None:
    assert local.ok("GET", LIMITS)["enabled"] is False
    path = f"{W}{local.view('a')['id']}/"
    for _ in range(11):
        assert local("POST", f"{path}run").status_code == 200
    for _ in range(6):
        assert local("POST", f"{path}materialize").status_code == 200


def test_posthogs_own_numbers(limited: Api) -> None:
    assert limited.ok("GET", LIMITS)["limits"] == {
        "burst": "480/minute",
        "sustained": "4800/hour",
        "run": "10/minute",
        "materialization": "5/hour",
        "check_incremental": "120/minute",
        "manifest_burst": "5/minute",
        "manifest_sustained": "20/hour",
        "manifest_daily": "50/day",
    }
    for number in range(481):
        answer = limited("GET", "/api/projects/1/")
        assert answer.status_code == (200 if number < 480 else 429)
        assert "Retry-After" not in answer.headers or number == 480
    assert answer.headers["Retry-After"] == "60"


def test_the_server_says_when(limited: Api) -> None:
    set_limits(limited, burst="2/minute")
    limited.ok("GET", V)
    limited.advance(20)
    limited.ok("GET", V)
    throttled(limited, "GET", V, 40)
    limited.advance(39)
    throttled(limited, "GET", V, 1)
    limited.advance(1)
    limited.ok("GET", V)
    throttled(limited, "GET", V, 20)


def test_the_longest_wait_holds(limited: Api) -> None:
    set_limits(limited, burst="1/minute", sustained="1/hour")
    limited.ok("GET", V)
    throttled(limited, "GET", V, 3600)
    limited.advance(61)
    throttled(limited, "GET", V, 3539)


def test_every_bucket_counts_for_itself(limited: Api) -> None:
    """As in Django REST Framework: what the burst refuses still counts for the hour."""
    set_limits(limited, burst="1/minute", sustained="3/hour")
    limited.ok("GET", V)
    throttled(limited, "GET", V, 60)
    throttled(limited, "GET", V, 60)
    limited.advance(61)
    throttled(limited, "GET", V, 3539)


def test_per_key_over_projects_and_paths(limited: Api) -> None:
    set_limits(limited, burst="2/minute")
    limited.ok("GET", V)
    limited.ok("GET", f"/api/environments/2/{W}")
    throttled(limited, "GET", "/api/users/@me/", 60)
    assert Api(limited.url, "phx_write")("GET", V).status_code == 200


def test_a_refused_write_counts_and_is_not_applied_when_throttled(limited: Api) -> None:
    set_limits(limited, burst="2/minute")
    limited.variable()
    assert limited("POST", V, {"name": "Country", "type": "String"}).status_code == 400
    throttled(limited, "POST", V, 60, {"name": "Other", "type": "String"})
    limited.advance()
    assert limited.ok("GET", V)["count"] == 1


def test_what_does_not_reach_the_throttles_does_not_count(limited: Api) -> None:
    set_limits(limited, burst="1/minute")
    for _ in range(3):
        assert limited("GET", f"/api/projects/999/{V}").status_code == 404
        assert Api(limited.url, "phx_nobody")("GET", V).status_code == 401
        assert limited("GET", "/api/nothing").status_code == 404
        assert limited("GET", "/__local/health").status_code == 200
    limited.ok("GET", V)
    other = Api(limited.url, "phx_no_scope")
    for _ in range(3):
        assert other("GET", V).status_code == 403


def test_parallel_requests_do_not_slip_through(limited: Api) -> None:
    set_limits(limited, burst="10/minute")

    def create(number: int) -> int:
        return limited("POST", V, {"name": f"v{number}", "type": "String"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(30))) == [201] * 10 + [429] * 20
    limited.advance()
    assert limited.ok("GET", V)["count"] == 10


def test_run_has_its_own_limit_per_view(limited: Api) -> None:
    first, second = limited.view("a"), limited.view("b")
    set_limits(limited, burst="2/minute")
    limited.ok("POST", f"{W}{first['id']}/materialize")  # by then the two creates have used the burst
    for _ in range(10):
        assert limited("POST", f"{W}{first['id']}/run").status_code == 200
    throttled(limited, "POST", f"{W}{first['id']}/run", 60)
    throttled(limited, "POST", f"/api/environments/@current/{W}{first['id']}/run/", 60)
    assert limited("POST", f"{W}{second['id']}/run").status_code in (200, 400)


def test_materialize_and_revert_share_a_limit(limited: Api) -> None:
    view = limited.view("a")
    for number in range(5):
        action = "materialize" if number % 2 == 0 else "revert_materialization"
        assert limited("POST", f"{W}{view['id']}/{action}").status_code == 200
    throttled(limited, "POST", f"{W}{view['id']}/revert_materialization", 3600)
    limited.advance(3600)
    assert limited("POST", f"{W}{view['id']}/revert_materialization").status_code == 200


def test_forget(limited: Api) -> None:
    set_limits(limited, burst="1/minute")
    limited.ok("GET", V)
    throttled(limited, "GET", V, 60)
    assert limited("DELETE", LIMITS).status_code == 204
    limited.ok("GET", V)


@pytest.mark.parametrize(
    "body",
    [{"limits": {"burst": "many"}}, {"limits": {"burst": "0/minute"}}, {"limits": {"x": "1/s"}}, {"on": True}, []],
)
def test_wrong_settings(limited: Api, body: Any) -> None:
    assert limited("PUT", LIMITS, body).status_code == 400
    assert limited.ok("GET", LIMITS)["enabled"] is True


def test_the_option_survives_a_reset(local: Api, tmp_path: Path) -> None:
    data = str(tmp_path / "data.sqlite3")
    running = Running(tmp_path, "--rate-limits", "--data", data)
    api = Api(running.url, "phx_local")
    api.ok("PUT", LIMITS, {"enabled": False})
    assert api("POST", "/__local/reset").status_code == 204
    assert api.ok("GET", LIMITS)["enabled"] is True
    running.stop()
    running = Running(tmp_path, "--data", data)
    assert Api(running.url, "phx_local").ok("GET", LIMITS)["enabled"] is False
    running.stop()


@pytest.fixture
def seeded(local: Api) -> Iterator[Api]:
    seed = local.ok("GET", "/__local/seed")
    yield local
    local("POST", "/__local/seed", seed)


def test_in_a_seed(seeded: Api) -> None:
    seed = seeded.ok("GET", "/__local/seed")
    assert seeded("POST", "/__local/seed", {**seed, "rate_limits": {"burst": "1/5s"}}).status_code == 204
    seeded.ok("GET", V)
    throttled(seeded, "GET", V, 5)
    assert seeded("POST", "/__local/seed", {**seed, "rate_limits": {"burst": "x"}}).status_code == 400
