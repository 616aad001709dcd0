"""The scanner finds what is planted, and the redactor leaves nothing for it to find."""

from __future__ import annotations

import ast
import gzip
import html
import json
import logging
import re
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_posthog_provider import errors, texts
from pulumi_posthog_provider.hogql import _without_secrets
from pulumi_posthog_provider.results import Message
from pulumi_posthog_provider.texts import HIDDEN, redact
from support.secrets import encoded_in_base64, found_below, found_in

from ._support import fail, reply, world

pure = settings(max_examples=150, deadline=None, database=None)
SECRET = 'S€ntinel "pa\\ss/w+rd" ~1'
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END PRIVATE KEY-----\n"

FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps({"password": text})),
    "repr": repr,
    "URL": lambda text: quote(text, safe=""),
    "URL in small letters": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "base64": lambda text: encoded_in_base64(text, b"", b""),
    "base64 after one byte": lambda text: encoded_in_base64(text, b"u", b"tail"),
    "base64 after two bytes": lambda text: encoded_in_base64(text, b"u:", b"!"),
    "hexadecimal": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.fault(50)
def test_the_scanner_finds_a_planted_secret(form: Callable[[str], str], tmp_path: Path) -> None:
    planted = f"before {form(SECRET)} after"
    assert found_in(planted, ["another-secret", SECRET])
    (tmp_path / "checkpoint.json.gz").write_bytes(gzip.compress(planted.encode()))
    assert all("checkpoint.json.gz: secret 0" in line for line in found_below(tmp_path, [SECRET]))
    assert found_below(tmp_path, [SECRET])


def test_the_scanner_finds_base64_that_is_broken_into_lines() -> None:
    text = encoded_in_base64(SECRET, b"user:", b"")
    assert found_in("\n".join(text[at : at + 5] for at in range(0, len(text), 5)), [SECRET])


@pure
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=40), st.binary(), st.binary())
def test_the_scanner_finds_base64_in_any_surroundings(secret: str, before: bytes, after: bytes) -> None:
    assert found_in(encoded_in_base64(secret, before, after), [secret])


def test_the_scanner_finds_nothing_where_nothing_is() -> None:
    assert found_in(f"{SECRET[:-1]} {HIDDEN} {encoded_in_base64(SECRET[1:], b'', b'')}", [SECRET]) == []


HIDES = {**FORMS, "HTML": html.escape, "form": quote_plus}


@pure
@given(
    st.text(min_size=8, max_size=60).filter(
        lambda text: len(text.strip()) >= 8 and text.isprintable() and text not in HIDDEN
    ),
    st.sampled_from([name for name in HIDES if name not in ("JSON in JSON", "repr", "hexadecimal")]),
    st.text(max_size=20),
)
@pytest.mark.fault(46, 57)
def test_a_redacted_text_has_no_secret_in_any_spelling(secret: str, form: str, around: str) -> None:
    shown = redact(f"{around} {HIDES[form](secret)} {around}", [secret])
    assert HIDDEN in shown
    assert secret in around or found_in(shown.replace(around, "") if around else shown, [secret]) == []


@pytest.mark.parametrize("secret", ["", "a", "ab"])
def test_a_text_too_short_to_be_a_secret_stays(secret: str) -> None:
    assert redact("about a table", [secret]) == "about a table"


def test_each_line_of_a_key_is_hidden() -> None:
    lines = PEM.split()
    assert not any(line in redact(f"bad key: {PEM.splitlines()[1]}", [PEM]) for line in lines)
    assert redact(" ".join(PEM.splitlines()), [PEM]) == HIDDEN


# ---- what PostHog says back ---------------------------------------------------------------------------------------


@pytest.mark.fault(46, 57)
@pytest.mark.parametrize("secret", [SECRET, PEM, "with  two blanks\tand a tab"], ids=["text", "key", "blanks"])
@pytest.mark.parametrize("before", [0, 470, 495, 1990], ids=lambda number: f"after {number} characters")
@pytest.mark.parametrize("page", [False, True], ids=["json", "page"])
def test_a_secret_that_posthog_repeats_is_hidden_wherever_the_text_is_cut(
    secret: str, before: int, page: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = f"{'x' * before} {secret} in {json.dumps(secret)}"
    it = world(reply(400, raw=said.encode(), content_type="text/html") if page else reply(400, {"message": said}))
    with pytest.raises(errors.PostHogError) as caught:
        it.transport.request("POST", ("things",), environment="1", deadline=it.transport.deadline(), secrets=(secret,))
    error = caught.value
    shown = f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))} {caplog.text}"
    # Not even the beginning of it.
    assert found_in(shown, [secret, secret[:8], *[line for line in secret.splitlines() if line]]) == []


@pytest.mark.fault(46)
def test_an_error_keeps_nothing_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    import httpx

    caplog.set_level(logging.DEBUG)
    it = world(fail(httpx.ReadError))
    with pytest.raises(errors.PostHogError) as caught:
        it.transport.request(
            "POST", ("things",), environment="1", deadline=it.transport.deadline(), body={"password": SECRET}
        )
    error = caught.value
    shown = f"{error} {error!r} {error.args} {vars(error)} {getattr(error, '__notes__', [])} {caplog.text}"
    assert found_in(shown, [SECRET, it.settings.api_key]) == []
    assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.fault(56, 57)
def test_no_text_of_an_error_or_message_commands_a_terminal() -> None:
    wicked = "a\x1b[31mred\x1b]0;title\x07 \u202edesrever\x00\r\nnext"
    error = errors.Invalid(wicked, hint=wicked, request_id=wicked).about(f"View {wicked}")
    for text in (str(error), Message("info", wicked).text, error.args[0]):
        assert text.isprintable()
        assert "red" in text


# ---- the environment, and what comes from elsewhere ----------------------------------------------------------------

PACKAGE = Path(texts.__file__).parent
MAY_SEE_THE_ENVIRONMENT = {("adapter.py", "Settings.load"), ("hogql.py", "_without_secrets")}
"""Reads the settings; takes the secrets out for a process that reads SQL."""


@pytest.mark.fault(60)
def test_the_environment_is_read_in_one_place_and_never_printed() -> None:
    seen, printing = set(), set()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.environb", "os.getenv"):
                users = [ast.unparse(call.func) for call in calls if any(item is node for item in call.args)]
                seen.add((path.name, users[0] if users else "?"))
        printing |= {path.name for call in calls if ast.unparse(call.func) in ("print", "sys.stdout.write")}
    assert seen == MAY_SEE_THE_ENVIRONMENT
    assert printing == {"hogql_worker.py"}  # a process of its own, whose output is read by `hogql`


@pytest.mark.fault(60)
def test_a_process_of_ours_does_not_get_the_key() -> None:
    environ = {"PATH": "/bin", "POSTHOG_PERSONAL_API_KEY": SECRET, "posthog_api_key": SECRET, "PULUMI_CONFIG": SECRET}
    assert _without_secrets(environ) == {"PATH": "/bin"}


@pytest.mark.fault(62)
def test_everything_is_pinned_with_hashes_and_has_upper_bounds() -> None:
    root = Path(__file__).parents[2]
    pinned = re.split(r"\n(?=[a-z0-9])", (root / "requirements" / "dev.txt").read_text().split("\n", 2)[2])
    assert len(pinned) > 50
    assert [item.split()[0] for item in pinned if "==" not in item.split()[0] or "--hash=sha256:" not in item] == []
    project = tomllib.loads((root / "pyproject.toml").read_text())
    named = [
        *project["project"]["dependencies"],
        *(item for extra in project["project"]["optional-dependencies"].values() for item in extra),
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    assert [item for item in named if "<" not in item] == []
