"""Views from a folder of SQL files."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self, cast

import pulumi

_OPTION = re.compile(r"--\s*([a-z_]+)\s*:\s*(.*)")
_NO_OPTIONS = frozenset({"self", "resource_name", "opts", "query"})
_INCREMENTAL = {"incremental_key": "text", "unique_key": "list", "lookback_seconds": "number"}
"""Options that together make up the argument `incremental`."""
_WORDS = {"true": True, "false": False}


class FromDirectory:
    """Gives `SavedQuery` its `from_directory`."""

    @classmethod
    def from_directory(
        cls,
        path: str | PathLike[str],
        opts: pulumi.ResourceOptions | None = None,
        *,
        resource_prefix: str = "",
        **defaults: Any,
    ) -> dict[str, Self]:
        """Declares a view for each ``.sql`` file in a folder and the folders in it.

        The file's name without ``.sql`` is the name of the view and of the resource. Comment lines at the beginning
        of a file may set arguments, one ``-- argument: value`` a line::

            -- description: One row per person.
            -- materialized: true
            -- sync_frequency: 12hour
            SELECT …

        Such a line takes any argument of the class that is text, a number or true/false; ``name`` too, and
        ``incremental_key``, ``unique_key`` (names with commas between them) and ``lookback_seconds`` for
        `incremental`. Other comments belong to the SQL. The views are made in the order in which they read each other.

        Args:
            path: The folder, from the program's own folder.
            opts: Pulumi's options, for all of the views.
            resource_prefix: Put before the view's name to make the name of the resource.
            defaults: Arguments of the class for all views whose file does not set them.

        Returns:
            The views by name.

        Raises:
            RunError: There is no such folder, or a file is wrong; file and line are told.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise pulumi.RunError(f"SavedQuery.from_directory: there is no folder {folder.as_posix()} in {Path.cwd()}")
        kinds = _options_of(cls)
        views: dict[str, Self] = {}
        files: dict[str, Path] = {}
        for file in sorted(folder.rglob("*.sql")):
            given, sql = _parts_of(file, kinds)
            name = str(given.pop("name", file.stem))
            if name in views:
                raise pulumi.RunError(f"{file.as_posix()} and {files[name].as_posix()} both are the view {name}")
            arguments = {**defaults, **given, "name": name, "query": sql}
            views[name], files[name] = cast("Any", cls)(f"{resource_prefix}{name}", opts, **arguments), file
        return views


def _options_of(cls: type[Any]) -> dict[str, str]:
    """What a file may set, and the kind of each value; from the class's own arguments."""
    found = dict(_INCREMENTAL)
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        kind = str(parameter.annotation)
        if name in _NO_OPTIONS or "Mapping" in kind or "Sequence" in kind or kind == "Any":
            continue
        names = {"bool": "truth", "int": "number"}
        fitting = [names[item] for item in names if f"Input[{item}]" in kind and "Input[str]" not in kind]
        found[name] = next(iter(fitting), "text")
    return found


def _parts_of(file: Path, kinds: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The options of a file, and its SQL, in which the lines keep their numbers."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise pulumi.RunError(f"{file.as_posix()} cannot be read as UTF-8 text ({type(error).__name__})") from None
    options: dict[str, Any] = {}
    for number, (name, text) in _header(lines):
        where = f"{file.as_posix()}, line {number + 1}"
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=1)
            hint = f"did you mean {near[0]}?" if near else f"options are {', '.join(sorted(kinds))}"
            raise pulumi.RunError(f"{where}: {name} is not an option; {hint}")
        if name in options:
            raise pulumi.RunError(f"{where}: {name} is set twice")
        options[name] = _value(where, name, kinds[name], text)
        lines[number] = ""
    sql = "\n".join(lines).rstrip()
    if not sql.strip():
        raise pulumi.RunError(f"{file.as_posix()} holds no SQL")
    group = {name: options.pop(name) for name in _INCREMENTAL if name in options}
    return options | ({"incremental": group} if group else {}), sql


def _header(lines: list[str]) -> Iterator[tuple[int, tuple[str, str]]]:
    for number, line in enumerate(list(lines)):
        text = line.strip()
        if text and not text.startswith("--"):
            return
        found = _OPTION.fullmatch(text)
        if found:
            yield number, (found[1], found[2].strip())


def _value(where: str, name: str, kind: str, text: str) -> Any:
    if kind == "truth":
        if text.lower() not in _WORDS:
            raise pulumi.RunError(f"{where}: {name} must be true or false")
        return _WORDS[text.lower()]
    if kind == "number":
        if not text.isdigit():
            raise pulumi.RunError(f"{where}: {name} must be a whole number")
        return int(text)
    if not text:
        raise pulumi.RunError(f"{where}: {name} has no value")
    if kind == "list":
        return [item.strip() for item in text.split(",")]
    return text
