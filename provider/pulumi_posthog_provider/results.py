"""What the lifecycle answers, free of any protocol: each protocol takes of it what it can carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .declare import Message, Problem, Values
from .errors import PostHogError


@dataclass(frozen=True)
class Checked:
    """Inputs made ready, or what is wrong with them."""

    inputs: Values
    problems: list[Problem] = field(default_factory=list[Problem])
    messages: list[Message] = field(default_factory=list[Message])


@dataclass(frozen=True)
class Change:
    """One changed argument: its path, what happens to it, and whether the object must be replaced for it."""

    path: tuple[str, ...]
    kind: Literal["add", "update", "delete"]
    replaces: bool = False


@dataclass(frozen=True)
class Difference:
    """What separates an object in state from the inputs.

    Attributes:
        changes: The declared inputs that differ, one by one.
        unfinished: The object itself is not yet what its inputs ask for, although these did not change.
        delete_before_replace: The old object holds a name that a new one would need.
    """

    changes: list[Change]
    unfinished: bool = False
    delete_before_replace: bool = False

    @property
    def replaces(self) -> list[str]:
        """The arguments that force a replacement."""
        return list(dict.fromkeys(change.path[0] for change in self.changes if change.replaces))


@dataclass(frozen=True)
class Made:
    """An object after create or update.

    Attributes:
        problem: Set when the object exists but is not finished.
        found: It was there already: left by an interrupted create, or adopted.
    """

    id: str
    outputs: Values
    problem: PostHogError | None = None
    messages: list[Message] = field(default_factory=list[Message])
    found: bool = False


@dataclass(frozen=True)
class Live:
    """An object as it is in PostHog now."""

    id: str
    inputs: Values
    outputs: Values
    messages: list[Message] = field(default_factory=list[Message])
