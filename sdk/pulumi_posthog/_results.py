"""The base of everything that `Client` and the functions give back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn, dataclass_transform


# A dataclass to type checkers. The real ones generate code at import, together longer than all else in this package.
@dataclass_transform(frozen_default=True, kw_only_default=True)
class Result:
    """What PostHog told, frozen: attributes with types. Equal to another with equal attributes."""

    _hidden: ClassVar[frozenset[str]] = frozenset({"connection", "detail", "extra"})
    """Attributes that `repr` leaves out."""

    def __init__(self, **values: Any) -> None:
        names = set(attributes(type(self)))
        if names != set(values):
            wrong = ", ".join(sorted(names ^ set(values)))
            raise TypeError(f"{type(self).__name__} takes its attributes by name, all of them and no others: {wrong}")
        self.__dict__.update(values)

    def as_dict(self) -> dict[str, Any]:
        """The attributes as a mapping, for instance for `pulumi.export`."""
        return {name: getattr(self, name) for name in attributes(type(self))}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.as_dict().items() if name not in self._hidden)
        return f"{type(self).__name__}({', '.join(shown)})"


def attributes(kind: type[Result]) -> Iterator[str]:
    """The names of the attributes, those of base classes first."""
    for base in reversed(kind.__mro__):
        declared: Mapping[str, Any] = getattr(base, "__annotations__", {})
        yield from (name for name in declared if not name.startswith("_"))
