"""Looks for secrets in whatever a run has written, in every spelling in which they would still be readable."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote


def spellings(secret: str) -> dict[str, re.Pattern[bytes]]:
    """Patterns by name. Written without a look at the redactor, so that both would have to be wrong in the same way."""
    data = secret.encode()
    found = {
        "raw": re.escape(data),
        "JSON-escaped": re.escape(json.dumps(secret)[1:-1].encode()),
        "JSON-escaped twice": re.escape(json.dumps(json.dumps(secret))[3:-3].encode()),
        "repr": re.escape(repr(secret)[1:-1].encode()),
        "URL-encoded": b"(?i:" + re.escape(quote(secret, safe="").encode()) + b")",
        "every byte URL-encoded": b"(?i:" + "".join(f"%{byte:02x}" for byte in data).encode() + b")",
        "hexadecimal": b"(?i:" + data.hex().encode() + b")",
    }
    for place in range(3):
        # The characters that depend on the secret alone, whatever stands before and after it.
        bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"[(-8 * place) % 6 :]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        core = "".join(alphabet[int(bits[at : at + 6], 2)] for at in range(0, len(bits) - 5, 6))
        for name, text in (("base64", core), ("base64 for URLs", core.translate(str.maketrans("+/", "-_")))):
            # Line breaks may stand between any two of them.
            found[f"{name} at {place}"] = rb"\s*".join(re.escape(char.encode()) for char in text)
    return {name: re.compile(pattern) for name, pattern in found.items()}


def found_in(data: bytes | str, secrets: Iterable[str]) -> list[str]:
    """Where and how each secret appears; names the spelling and a number, never the secret."""
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return [
        f"secret {number} {name}"
        for number, secret in enumerate(secrets)
        for name, pattern in spellings(secret).items()
        if pattern.search(content)
    ]


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file with its content, unpacked where it is packed; not Python's copies of programs."""
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            content = (Path(base) / name).read_bytes()
            yield str(Path(base) / name), gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def found_below(folder: Path, secrets: Iterable[str]) -> list[str]:
    """The same for every file in a folder."""
    wanted = list(secrets)
    return [f"{place}: {found}" for place, content in files_below(folder) for found in found_in(content, wanted)]


def encoded_in_base64(secret: str, before: bytes, after: bytes) -> str:
    """A base64 text that holds the secret somewhere."""
    return base64.b64encode(before + secret.encode() + after).decode()
