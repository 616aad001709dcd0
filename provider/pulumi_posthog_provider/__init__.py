"""The engine side of pulumi-posthog: what runs in Pulumi's provider process.

`resume` is the only name that ever enters a stack's state. It is a contract for ever: moving or renaming it would leave
every existing stack without a way to refresh or destroy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .adapter import DynamicProvider

__all__ = ["__version__", "resume"]


def resume(kind: str) -> DynamicProvider:
    """The provider of one kind of resource, as Pulumi finds it again by the name in a stack's state.

    Args:
        kind: The class name of the resource, for instance ``SavedQuery``.
    """
    from .adapter import DynamicProvider

    return DynamicProvider(kind)
