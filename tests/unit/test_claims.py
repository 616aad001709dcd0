"""What provider processes write down for each other is read and written in a folder of this user's alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pulumi_posthog_provider.claims import Claims

ID = "0199a1b2-0000-7000-8000-000000000000"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"pulumi-posthog-{os.getuid()}"


def test_the_files_are_this_users_alone_and_hold_ids(folder: Path) -> None:
    claims = Claims("127.0.0.1:50051")
    claims.add(ID)
    claims.add(ID)
    claims.remove(ID)
    (file,) = folder.iterdir()
    assert file.read_text() == f"+{ID}\n-{ID}\n"
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert not claims.is_anothers(ID)


@pytest.mark.parametrize("how", ["open to all", "a link"])
def test_a_folder_that_others_can_write_in_is_not_used(folder: Path, tmp_path: Path, how: str) -> None:
    if how == "a link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    claims = Claims("127.0.0.1:50051")
    claims.add(ID)
    assert list(folder.iterdir()) == []
    assert not claims.is_anothers(ID)


def test_what_a_process_that_is_gone_left_does_not_count_and_is_cleared_away(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    left = folder / "127_0_0_1_50051-1"
    left.write_text(f"+{ID}\n")
    claims = Claims("127.0.0.1:50051")
    assert not claims.is_anothers(ID)
    claims.add(ID)
    assert not left.exists()
