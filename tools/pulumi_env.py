"""The environment in which the quick start and the engine tests call `pulumi`.

It is closed: a local file backend and a Pulumi home in a folder of ours, no login, no downloads, and
none of the user's own Pulumi or PostHog settings.
"""

from __future__ import annotations

import os
from pathlib import Path

from bootstrap import VENV
from engine import find

FOREIGN_PREFIXES = ("PULUMI_", "POSTHOG_")
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")
LOOPBACK = "127.0.0.1,localhost"
# Protects nothing: the state holds no secret but those of a PostHog on this machine.
PASSPHRASE = "local"


def engine_dir() -> Path:
    """The folder of a usable engine; installs one first when there is none."""
    return find().engine.folder


def environment(state_dir: Path, engine_dir: Path) -> dict[str, str]:
    """The user's environment without their Pulumi and PostHog settings, with a state of our own."""
    state_dir.mkdir(parents=True, exist_ok=True)
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN_PREFIXES) and name not in FOREIGN
    }
    # The engine and the provider talk to each other, and to the local PostHog, over loopback.
    no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK]))
    return settings | {
        "HOME": os.environ.get("HOME") or str(state_dir),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "PATH": os.pathsep.join([str(VENV / "bin"), str(engine_dir), os.environ.get("PATH", os.defpath)]),
        "PULUMI_BACKEND_URL": state_dir.absolute().as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(state_dir.absolute() / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "VIRTUAL_ENV": str(VENV),
    }
