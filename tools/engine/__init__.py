"""Finds a Pulumi engine (the CLI and its Python language host), or puts one into a cache.

Only the standard library is used: this runs before any environment exists.
"""

from engine.check import Engine, Unusable, inspect
from engine.search import EngineNotFound, Found, find

__all__ = ["Engine", "EngineNotFound", "Found", "Unusable", "find", "inspect"]
