"""A PostHog for your own tests, as pytest fixtures; see ``local/README.md``.

The server is a process of its own: nothing of it, Django least of all, is imported into your tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

START_SECONDS = 120.0
STOP_SECONDS = 15.0
ANSWER_SECONDS = 60.0

Seed = Mapping[str, Any] | Path | str | None


class PostHogLocalError(Exception):
    """The server did not start, or refused what it was asked; one paragraph."""


class PostHogLocal:
    """A running local PostHog.

    Attributes:
        url: Its address, as a client's host.
        api_key: The first personal API key of the seed.
        environment_id: The first project of the seed, as text.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # No proxy of the developer's environment stands between the tests and this machine.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        sync_seconds = self.control("GET", "clock")["sync_seconds"]
        # A test may change anything of this; the next one gets it back.
        self._seed = {**self.control("GET", "seed"), "clock": {"sync_seconds": sync_seconds}}
        self._look_at(self._seed)

    def __repr__(self) -> str:
        return f"<PostHogLocal at {self.url}>"

    def _look_at(self, seed: Mapping[str, Any]) -> None:
        users = seed.get("users") or []
        keys = [key for user in users for key in user.get("keys") or ()]
        self.api_key: str = keys[0]["value"] if keys else ""
        self.environment_id = str(self.control("GET", "objects")["projects"][0]["id"])

    # -- for the program under test ---------------------------------------------------------------

    def config(self) -> dict[str, str]:
        """Stack configuration that points the provider here; ``posthog:apiKey`` is best set as a secret."""
        return {
            "posthog:host": self.url,
            "posthog:environmentId": self.environment_id,
            "posthog:apiKey": self.api_key,
        }

    def environ(self) -> dict[str, str]:
        """Environment variables that do the same where the stack has no such configuration."""
        return {
            "POSTHOG_HOST": self.url,
            "POSTHOG_ENVIRONMENT_ID": self.environment_id,
            "POSTHOG_PERSONAL_API_KEY": self.api_key,
        }

    # -- looking inside ---------------------------------------------------------------------------

    def objects(self, kind: str | None = None, *, environment_id: str | int | None = None) -> Any:
        """What a project holds now, by kind; or the list of one kind, such as ``insight_variables``."""
        wanted = str(environment_id if environment_id is not None else self.environment_id)
        for project in self.control("GET", "objects")["projects"]:
            if str(project["id"]) == wanted:
                found = {key: value for key, value in project.items() if isinstance(value, list)}
                return found if kind is None else found[kind]
        raise PostHogLocalError(f"There is no project {wanted} in the local PostHog.")

    def requests(self, *, method: str | None = None, path: str | None = None) -> list[dict[str, Any]]:
        """The requests since the test began, oldest first; of one method, or with this text in their path."""
        given = {name: value for name, value in (("method", method), ("path", path)) if value}
        answer = self.control("GET", f"requests?{urllib.parse.urlencode(given)}")
        return answer["requests"]

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Adds rules to the fault plan: what goes wrong with which request."""
        self.control("POST", "faults", list(rules))

    def advance(self, seconds: float) -> None:
        """Moves the server's time on: what is due by then is done."""
        self.control("POST", "clock", {"advance": seconds})

    def reset(self, seed: Mapping[str, Any] | None = None) -> None:
        """Back to the seed, or on to another one; faults, clock and log of requests start again."""
        wanted = self._seed if seed is None else seed
        self.control("POST", "seed", wanted)
        self._look_at(wanted)

    # -- the API ----------------------------------------------------------------------------------

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Calls PostHog's API as ``api_key``; ``path`` is inside the environment unless it begins with ``/``.

        An answer other than 2xx raises ``PostHogLocalError`` with its status and body.
        """
        full = path if path.startswith("/") else f"/api/environments/{self.environment_id}/{path}"
        return self._call(method, full, body, {"Authorization": f"Bearer {self.api_key}"})

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Calls the control API: ``path`` without ``/__local/``."""
        return self._call(method, f"/__local/{path}", body, {})

    def _call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}{path}", data, {"Content-Type": "application/json", **headers}, method=method
        )
        try:
            with self._http.open(request, timeout=ANSWER_SECONDS) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                answer = error.read().decode(errors="replace")
            raise PostHogLocalError(f"{method} {path} was answered {error.code}: {answer}") from None
        return json.loads(text) if text else None


@contextlib.contextmanager
def serve(*options: str, seed: Seed = None) -> Iterator[PostHogLocal]:
    """A server process on a free port, for as long as the block runs; ``options`` are those of ``posthog-local``."""
    with tempfile.TemporaryDirectory(prefix="posthog-local-test-") as name:
        folder = Path(name)
        arguments = list(options)
        if seed is not None:
            arguments += ["--seed", str(_seed_file(seed, folder))]
        log, ready = folder / "log.txt", folder / "ready.json"
        # `-P`: modules in the working directory are the tests', not the server's.
        command = [sys.executable, "-P", "-m", "posthog_local", "--port", "0", "--ready-file", str(ready)]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [*command, "--stop-with-input", *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=_environment(),
            ) as process,
        ):
            try:
                yield PostHogLocal(_wait_until_ready(process, ready, log))
            finally:
                _end(process)


def _environment() -> dict[str, str]:
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def _seed_file(seed: Mapping[str, Any] | Path | str, folder: Path) -> Path:
    if not isinstance(seed, Mapping):
        return Path(seed).absolute()
    path = folder / "seed.json"
    path.write_text(json.dumps(seed), encoding="utf-8")
    return path


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None:
            _refuse(log, f"ended with code {process.returncode}")
        if time.monotonic() > deadline:
            _refuse(log, f"was not ready in {START_SECONDS:.0f} seconds")
        time.sleep(0.02)
    return json.loads(ready.read_text())["url"]


def _refuse(log: Path, what: str) -> NoReturn:
    said = log.read_text(errors="replace").strip() or "nothing"
    raise PostHogLocalError(f"The local PostHog {what}. It said: {said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


# -- fixtures -----------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("posthog_local_seed", "seed of the local PostHog: a YAML or JSON file", type="string")
    parser.addini("posthog_local_options", "more options of posthog-local", type="args")


@pytest.fixture(scope="session")
def posthog_local_seed(request: pytest.FixtureRequest) -> Seed:
    """What the server starts with; override it with a path or a dict. Default: the ini option."""
    configured = request.config.getini("posthog_local_seed")
    return request.config.rootpath / configured if configured else None


@pytest.fixture(scope="session")
def posthog_local_options(request: pytest.FixtureRequest) -> Sequence[str]:
    """Options of ``posthog-local``; override it, or set the ini option."""
    return list(request.config.getini("posthog_local_options"))


@pytest.fixture(scope="session")
def posthog_local_server(posthog_local_seed: Seed, posthog_local_options: Sequence[str]) -> Iterator[PostHogLocal]:
    """One server for the whole session; its objects stay from test to test."""
    with serve(*posthog_local_options, seed=posthog_local_seed) as server:
        yield server


@pytest.fixture
def posthog_local(posthog_local_server: PostHogLocal) -> PostHogLocal:
    """The server of the session, back at its seed."""
    posthog_local_server.reset()
    return posthog_local_server
