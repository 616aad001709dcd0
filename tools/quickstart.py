"""The quick start: the project of this folder against a PostHog on this machine.

    tools/run quickstart.py up             start the server, `pulumi up`, say what was made
    tools/run quickstart.py down           `pulumi destroy`, stop the server, remove the state
    tools/run quickstart.py pulumi ...     any other Pulumi command, in the same environment

Everything is kept in `.state/quickstart`. The user's own Pulumi login, home and stacks are not touched.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bootstrap
import local_server
from bootstrap import ROOT, BootstrapFailed
from engine import EngineNotFound
from engine.cache import locked, remove
from local_server import Server, ServerFailed
from pulumi_env import engine_dir, environment

STATE = ROOT / ".state" / "quickstart"
SERVER = STATE / "posthog"
BACKEND = STATE / "pulumi"
# A copy of Pulumi.yaml with the stack's settings beside it, so that these stay out of the project's folder.
SETTINGS = STATE / "project"
STACK = "local"
SETTINGS_FILE = SETTINGS / f"Pulumi.{STACK}.yaml"
TAKES_SETTINGS = ("config", "destroy", "import", "preview", "refresh", "up", "update", "watch")

ENVIRONMENT_ID = "1"
API_KEY = "phx_local"
DATABASE_PASSWORD = "local-password"
COLLECTIONS = {
    "InsightVariable": "insight_variables",
    "SavedQuery": "warehouse_saved_queries",
    "ExternalDataSource": "external_data_sources",
}


class QuickStartFailed(Exception):
    """One paragraph: what failed, and what to do."""


@dataclass(frozen=True)
class Pulumi:
    """The `pulumi` command, in the environment of the quick start."""

    program: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> int:
        """Runs in the terminal, to the end: Ctrl-C reaches `pulumi` itself, which ends in good order."""
        interrupted = False
        process = subprocess.Popen([self.program, *arguments], cwd=ROOT, env=self.environ)
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                interrupted = True
        if interrupted:
            raise KeyboardInterrupt
        return code

    def read(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.ask(*arguments))

    def ask(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.program, *arguments, "--non-interactive"],
            cwd=SETTINGS,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
            raise QuickStartFailed(f"`pulumi {' '.join(arguments[:2])}` failed: {said[-1]}")
        return done.stdout


def up() -> int:
    bootstrap.ensure()
    pulumi = open_pulumi()
    forget_what_cannot_go_on(pulumi)
    server = local_server.start(SERVER)
    tell(f"PostHog on this machine: {server.url}")
    prepare_stack(pulumi, server)
    if pulumi.run("up", "--yes", "--skip-preview", "--stack", STACK, "--config-file", str(SETTINGS_FILE)) != 0:
        raise QuickStartFailed(
            "`pulumi up` failed; the reason stands above. The local PostHog still runs: "
            "`make up` tries again, `make down` removes everything."
        )
    print(summary(pulumi, server))
    return 0


def down() -> int:
    if not STATE.exists():
        tell("There is no quick start to remove.")
        return 0
    bootstrap.ensure()
    try:
        destroyed = destroy(open_pulumi())
    finally:
        local_server.stop(SERVER)
    remove(STATE)
    if not destroyed:
        raise QuickStartFailed(
            "`pulumi destroy` failed; the reason stands above. The objects are gone nevertheless: "
            "they were in the local PostHog, whose data was removed."
        )
    tell("The quick start is removed: its objects, its server and its state.")
    return 0


def destroy(pulumi: Pulumi) -> bool:
    """Lets Pulumi delete the objects, as far as there can be any."""
    if not is_initialised() or moved_out():
        return True
    local_server.start(SERVER)
    unlock(pulumi)
    arguments = [
        "destroy",
        "--yes",
        "--skip-preview",
        "--remove",
        "--stack",
        STACK,
        "--config-file",
        str(SETTINGS_FILE),
    ]
    return pulumi.run(*arguments) == 0


def pass_on(arguments: list[str]) -> int:
    """Any Pulumi command: the stack, its settings and the server are those of the quick start."""
    bootstrap.ensure()
    pulumi = open_pulumi()
    if not is_initialised():
        raise QuickStartFailed("There is no quick start yet: `make up` makes it.")
    local_server.start(SERVER)
    if arguments and arguments[0] in TAKES_SETTINGS:
        arguments = [*arguments, "--config-file", str(SETTINGS_FILE)]
    return pulumi.run(*arguments)


def open_pulumi() -> Pulumi:
    folder = engine_dir()
    return Pulumi(folder / "pulumi", environment(BACKEND, folder) | {"PULUMI_STACK": STACK})


def prepare_stack(pulumi: Pulumi, server: Server) -> None:
    """A stack with the settings that lead to the local server."""
    if not is_initialised():
        SETTINGS.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "Pulumi.yaml", SETTINGS / "Pulumi.yaml")
        pulumi.ask("stack", "init", STACK)
    unlock(pulumi)
    plain = {"posthog:host": server.url, "posthog:environmentId": ENVIRONMENT_ID}
    secret = {"posthog:apiKey": API_KEY, "posthog-quickstart:databasePassword": DATABASE_PASSWORD}
    arguments = [word for name, value in plain.items() for word in ("--plaintext", f"{name}={value}")]
    arguments += [word for name, value in secret.items() for word in ("--secret", f"{name}={value}")]
    pulumi.ask("config", "set-all", *arguments)


def is_initialised() -> bool:
    """Seen from the backend's own files: asking `pulumi` would cost a second each time."""
    return SETTINGS_FILE.exists() and any(
        list(BACKEND.glob(f".pulumi/stacks/*/{STACK}.{ending}")) for ending in ("json", "json.gz")
    )


def unlock(pulumi: Pulumi) -> None:
    """A killed `pulumi` leaves the stack locked. Only one run at a time gets here, so the lock is a dead one."""
    if any(BACKEND.glob(".pulumi/locks/**/*.json")):
        tell("An earlier run was killed: unlocking the stack.")
        pulumi.ask("cancel", "--yes", "--stack", STACK)


def forget_what_cannot_go_on(pulumi: Pulumi) -> None:
    """Starts again from nothing where the last run left something that a demonstration should not have to mend."""
    if not STATE.exists():
        return
    if moved_out():
        reason = "the port of the local PostHog has been taken by another program"
    elif SETTINGS.exists() and not is_initialised():
        reason = "the last run was interrupted while it made the stack"
    elif SETTINGS.exists() and exported(pulumi).get("pending_operations"):
        reason = "the last run was killed while it made an object"
    else:
        return
    tell(f"Starting again from nothing: {reason}.")
    local_server.stop(SERVER)
    remove(STATE)
    BACKEND.mkdir(parents=True)


def moved_out() -> bool:
    """Whether the server has ended and its port is somebody else's: its objects belong to that address."""
    before = local_server.last(SERVER)
    return before is not None and local_server.running(SERVER) is None and not local_server.is_free(before.port)


def exported(pulumi: Pulumi) -> dict[str, Any]:
    deployment: dict[str, Any] = pulumi.read("stack", "export", "--stack", STACK)["deployment"]
    return deployment


def summary(pulumi: Pulumi, server: Server) -> str:
    api = f"{server.url}/api/environments/{ENVIRONMENT_ID}"
    made = [line for resource in exported(pulumi).get("resources", []) if (line := describe(resource, api))]
    return "\n".join(
        [
            "",
            f"Made in environment {ENVIRONMENT_ID} of the PostHog on this machine:",
            *made,
            "",
            f"Look at it:    {server.url}/ in a browser",
            f'               or curl -H "Authorization: Bearer {API_KEY}" and one of the addresses above',
            "Run it again:  make up      (no change)",
            'Change it:     edit examples/quickstart/__main__.py, then make pulumi ARGS="preview --diff" and make up',
            "Remove it:     make down",
        ]
    )


def describe(resource: dict[str, Any], api: str) -> str | None:
    kind = str(resource["type"]).rpartition(":")[2]
    if kind not in COLLECTIONS:
        return None
    name = str(resource["urn"]).rpartition("::")[2]
    return f"  {kind:<20}{name:<16}{api}/{COLLECTIONS[kind]}/{resource['id']}/"


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def run(arguments: list[str]) -> int:
    match arguments:
        case ["up"]:
            return up()
        case ["down"]:
            return down()
        case ["pulumi", *rest]:
            return pass_on(rest)
        case _:
            tell(__doc__ or "")
            return 2


def main() -> int:
    STATE.parent.mkdir(exist_ok=True)
    # Ends like Ctrl-C does: after what `pulumi` is doing, and with nothing half made left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with locked(STATE.parent / "quickstart.lock", lambda: tell("waiting: another run uses the quick start")):
            return run(sys.argv[1:])
    except (BootstrapFailed, EngineNotFound, QuickStartFailed, ServerFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
