"""Finds the declarations by walking `resources`; there is no list to maintain."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from . import resources
from .declare import Declaration


@cache
def declarations() -> dict[str, Declaration]:
    """Every declaration by its kind."""
    found: dict[str, Declaration] = {}
    for module_info in pkgutil.iter_modules(resources.__path__, f"{resources.__name__}."):
        module = importlib.import_module(module_info.name)
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Declaration) and item.__module__ == module.__name__:
                found[item.kind] = item()
    return found


def declaration(kind: str) -> Declaration:
    """The declaration of one kind.

    Raises:
        LookupError: No such kind.
    """
    return declarations()[kind]
