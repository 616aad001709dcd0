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

_OPTION = re.compile(r"--\s*(\w[\w-]*)\s*([:=])\s*(.*)")
_NO_OPTIONS = frozenset({"resource_name", "opts", "query"})
_INCREMENTAL = {"incremental_key": "text", "unique_key": "list", "lookback_seconds": "number"}
"""Options that together make up the argument `incremental`."""
_WORDS = {"true": True, "false": False}
_NEAR = 0.8
"""How alike a name must be to an option to count as a slip: `fodler` does, `materialization` does not."""


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
        """Declares a view for each ``.sql`` file (also ``.SQL``) in a folder and the folders in it.

        The file's name without ``.sql`` is the name of the view and of the resource. Comment lines at the beginning
        of a file may set arguments, one ``-- name: value`` a line::

            -- description: One row per person.
            -- materialized: true
            -- sync_frequency: 12hour
            SELECT …

        Such a line takes any argument of the class that is text, a number or true/false; ``name`` too, and
        ``incremental_key``, ``unique_key`` (names with commas between them) and ``lookback_seconds`` for
        `incremental`. ``adopt`` takes true, false or an id. ``Sync-Frequency`` means ``sync_frequency``. A name that
        is nearly one of these is an error, as is one of the class's other arguments. Other comments belong to the SQL.
        The views are made in the order in which they read each other.

        Args:
            path: The folder, from the program's own folder.
            opts: Pulumi's options, for all of the views.
            resource_prefix: Put before the view's name to make the name of the resource.
            defaults: Arguments of the class for all views whose file does not set them.

        Returns:
            The views by name.

        Raises:
            RunError: There is no such folder, or no ``.sql`` file in it, or a file is wrong; file and line are told.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise pulumi.RunError(f"SavedQuery.from_directory: there is no folder {folder.as_posix()} in {Path.cwd()}")
        kinds = _options_of(cls)
        views: dict[str, Self] = {}
        files: dict[str, Path] = {}
        for file in sorted(folder.rglob("*")):
            # What begins with a dot is an editor's or the system's.
            if not file.name.lower().endswith(".sql") or file.name.startswith(".") or file.is_dir():
                continue
            given, sql = _parts_of(file, kinds)
            name = str(given.pop("name", file.stem))
            if name in views:
                raise pulumi.RunError(f"{file.as_posix()} and {files[name].as_posix()} both are the view {name}")
            arguments = {**defaults, **given, "name": name, "query": sql}
            views[name], files[name] = cast("Any", cls)(f"{resource_prefix}{name}", opts, **arguments), file
        if not views:
            raise pulumi.RunError(
                f"SavedQuery.from_directory: there is no .sql file in the folder {folder.absolute().as_posix()}; "
                "remove the call if all of its views are to be deleted"
            )
        return views


def _options_of(cls: type[Any]) -> dict[str, str]:
    """The class's own arguments, and the kind of each value: `none` if a file cannot set it."""
    found = dict(_INCREMENTAL)
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        kind = str(parameter.annotation)
        is_text = "Input[str]" in kind
        if name in _NO_OPTIONS or "Mapping" in kind or "Sequence" in kind or kind == "Any":
            found[name] = "none"
        elif "Input[bool]" in kind:
            found[name] = "truth or text" if is_text else "truth"
        else:
            found[name] = "number" if "Input[int]" in kind and not is_text else "text"
    return found


def _parts_of(file: Path, kinds: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The options of a file, and its SQL, in which the lines keep their numbers."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise pulumi.RunError(f"{file.as_posix()} cannot be read as UTF-8 text ({type(error).__name__})") from None
    options: dict[str, Any] = {}
    for number, (written, sign, text) in _header(lines):
        where = f"{file.as_posix()}, line {number + 1}"
        name = _option(where, written, sign, kinds)
        if name is None:
            continue
        if name in options:
            raise pulumi.RunError(f"{where}: {name} is set twice")
        options[name] = _value(where, name, kinds[name], text)
        lines[number] = ""
    sql = "\n".join(lines).rstrip()
    if not sql.strip():
        raise pulumi.RunError(f"{file.as_posix()} holds no SQL")
    group = {name: options.pop(name) for name in _INCREMENTAL if name in options}
    return options | ({"incremental": group} if group else {}), sql


def _option(where: str, written: str, sign: str, kinds: Mapping[str, str]) -> str | None:
    """The option that a line of the header sets; None if the line is another comment."""
    name = written.lower().replace("-", "_")
    options = sorted(item for item, kind in kinds.items() if kind != "none")
    if name in options:
        if sign == "=":
            raise pulumi.RunError(f'{where}: an option has the form "name: value"; write a colon after {written}')
        return name
    if name in kinds:
        raise pulumi.RunError(f"{where}: {written} cannot be set in a file; options are {', '.join(options)}")
    # Slips are seldom in the first letter, and `last_update` is no `soft_update`.
    alike = [item for item in options if item[0] == name[0]]
    near = difflib.get_close_matches(name, alike, n=1, cutoff=_NEAR)
    if not near:
        return None
    raise pulumi.RunError(
        f"{where}: {written} is not an option; did you mean {near[0]}? If it is a remark, begin it with another word"
    )


def _header(lines: list[str]) -> Iterator[tuple[int, tuple[str, str, str]]]:
    for number, line in enumerate(list(lines)):
        text = line.strip()
        if text and not text.startswith("--"):
            return
        found = _OPTION.fullmatch(text)
        if found:
            yield number, (found[1], found[2], found[3].strip())


def _value(where: str, name: str, kind: str, text: str) -> Any:
    if "truth" in kind and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if kind == "truth":
        raise pulumi.RunError(f"{where}: {name} must be true or false")
    if kind == "number":
        if not text.isdecimal():
            raise pulumi.RunError(f"{where}: {name} must be a whole number")
        return int(text)
    if not text:
        raise pulumi.RunError(f"{where}: {name} has no value")
    if kind == "list":
        return [item.strip() for item in text.split(",")]
    return text
