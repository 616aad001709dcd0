"""The bytes that enter every stack's state. They are a contract for ever: a release must never change them."""

from __future__ import annotations

import base64
import pickle
import pickletools

import dill
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from pulumi_posthog_provider import resume
from pulumi_posthog_provider.adapter import DynamicProvider

GOLDEN = {
    4: {
        "InsightVariable": "gASVPAAAAAAAAACMF3B1bHVtaV9wb3N0aG9nX3Byb3ZpZGVylIwGcmVzdW1llJOUjA9JbnNpZ2h0VmFyaWFibGWUhZRSlC4=",
        "SavedQuery": "gASVNwAAAAAAAACMF3B1bHVtaV9wb3N0aG9nX3Byb3ZpZGVylIwGcmVzdW1llJOUjApTYXZlZFF1ZXJ5lIWUUpQu",
        "ExternalDataSource": "gASVPwAAAAAAAACMF3B1bHVtaV9wb3N0aG9nX3Byb3ZpZGVylIwGcmVzdW1llJOUjBJFeHRlcm5hbERhdGFTb3VyY2WUhZRSlC4=",
    },
    5: {
        "InsightVariable": "gAWVPAAAAAAAAACMF3B1bHVtaV9wb3N0aG9nX3Byb3ZpZGVylIwGcmVzdW1llJOUjA9JbnNpZ2h0VmFyaWFibGWUhZRSlC4=",
        "SavedQuery": "gAWVNwAAAAAAAACMF3B1bHVtaV9wb3N0aG9nX3Byb3ZpZGVylIwGcmVzdW1llJOUjApTYXZlZFF1ZXJ5lIWUUpQu",
        "ExternalDataSource": "gAWVPwAAAAAAAACMF3B1bHVtaV9wb3N0aG9nX3Byb3ZpZGVylIwGcmVzdW1llJOUjBJFeHRlcm5hbERhdGFTb3VyY2WUhZRSlC4=",
    },
}

KINDS = sorted(GOLDEN[4])


def _state_name(kind: str, protocol: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pickle, "DEFAULT_PROTOCOL", protocol)
    return serialize_provider(resume(kind))


@pytest.mark.feature(78, 79)
@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_name_in_state_is_the_released_one(kind: str, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _state_name(kind, protocol, monkeypatch) == GOLDEN[protocol][kind]


@pytest.mark.feature(78, 79)
@pytest.mark.fault(40)
@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_released_name_still_finds_its_provider(kind: str, protocol: int) -> None:
    provider = dill.loads(base64.b64decode(GOLDEN[protocol][kind]))
    assert isinstance(provider, DynamicProvider)
    assert provider.kind == kind


@pytest.mark.fault(50, 61)
@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_name_in_state_refers_to_one_function_and_the_kind(kind: str, protocol: int) -> None:
    texts = [
        argument
        for _, argument, _ in pickletools.genops(base64.b64decode(GOLDEN[protocol][kind]))
        if isinstance(argument, str)
    ]
    assert texts == ["pulumi_posthog_provider", "resume", kind]


def test_the_name_in_state_is_not_encrypted_because_nothing_in_it_is_secret() -> None:
    assert resume("SavedQuery").serialize_as_secret_always is False
