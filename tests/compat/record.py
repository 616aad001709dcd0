"""Records the state of this version for the tests of all later ones: python tests/compat/record.py <engine folder>.

Writes ``states/<version>.json``: the state of the program beside this file, with placeholders for what differs from run
to run. Recorded once per release, never changed afterwards.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from compat.program import PASSWORD, PROGRAM, ids, prepare  # noqa: E402
from pulumi_posthog_provider import __version__  # noqa: E402
from support.posthog import start  # noqa: E402
from support.stack import Stack  # noqa: E402


def main(engine: Path) -> None:
    """Runs the program on a fresh local PostHog and writes its state."""
    with tempfile.TemporaryDirectory() as folder:
        seed = ROOT / "tests" / "support" / "seed.yaml"
        process, posthog = start(Path(folder), "--data", ":memory:", "--seed", str(seed))
        try:
            stack = Stack(Path(folder), engine)
            stack.program(PROGRAM)
            settings = {"posthog:host": posthog.url, "posthog:environmentId": "1", "posthog:apiKey": "phx_local"}
            stack.config({**settings, "password": PASSWORD}, secret=["posthog:apiKey", "password"])
            prepare(posthog)
            stack.up()
            state = stack.export()
            for resource in state["deployment"]["resources"]:
                resource.pop("sourcePosition", None)  # paths of this machine
                resource.pop("stackTrace", None)
            text = json.dumps(state, indent=1, sort_keys=True)
            for label, id in ids(posthog).items():
                text = text.replace(id, f"{{{{{label}}}}}")
            text = text.replace(posthog.url, "{{host}}")
        finally:
            process.terminate()
            process.wait()
    target = ROOT / "tests" / "compat" / "states" / f"{__version__}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
