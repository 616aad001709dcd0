"""Programs in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

_PAGES = Path(__file__).parents[2]


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (_PAGES / page).read_text(), re.MULTILINE | re.DOTALL)


def program(page: str) -> str:
    """The Python blocks of a page, one after the other."""
    return "\n".join(blocks(page))
