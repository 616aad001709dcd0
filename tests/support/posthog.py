"""The local PostHog as a process, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

KEY = "phx_local"
_CLIENT = httpx.Client(timeout=30, trust_env=False)
"""One for all tests: a new one costs more than most calls."""


@dataclass(frozen=True)
class PostHog:
    """A running local PostHog, called directly: behind the provider's back."""

    url: str

    def call(self, method: str, path: str, body: Any = None, *, environment: str = "1", key: str = KEY) -> Any:
        """One API call below ``/api/projects/<environment>/``; gives the parsed body."""
        answer = _CLIENT.request(
            method,
            f"{self.url}/api/projects/{environment}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def objects(self, collection: str, environment: str = "1") -> list[dict[str, Any]]:
        """Every object of a collection, complete."""
        page = self.call("GET", f"{collection}/", environment=environment)
        return [self.call("GET", f"{collection}/{item['id']}/", environment=environment) for item in page["results"]]

    def one(self, collection: str, environment: str = "1") -> dict[str, Any]:
        """The only object of a collection."""
        (item,) = self.objects(collection, environment)
        return item

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the control API."""
        answer = _CLIENT.request(method, f"{self.url}/__local/{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def start(folder: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], PostHog]:
    """Starts a local PostHog on a free port and waits until it answers."""
    ready = folder / "ready.json"
    command = shutil.which("posthog-local", path=str(Path(sys.executable).parent))
    assert command, "posthog-local is not installed"
    process = subprocess.Popen(
        [command, "--port", "0", "--ready-file", str(ready), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 180  # a busy machine; one that fails is seen at once
    while not ready.exists():
        assert process.poll() is None, "posthog-local ended at once"
        assert time.monotonic() < deadline, "posthog-local does not answer"
        time.sleep(0.05)
    return process, PostHog(json.loads(ready.read_text())["url"])
