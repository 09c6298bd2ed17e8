"""Overlays as files: TOML or JSON, with values that stand elsewhere."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import format_path
from jitsu_backup.planning import Outside, Overlay, parse_overlay
from jitsu_backup.settings import resolve_secret
from jitsu_backup.store import read_text_file

_REFERENCES = frozenset({"env", "file"})
_LIKE_REFERENCES = _REFERENCES | {"command"}
_LITERAL, _PLAIN = "literal", "plain"


@dataclass(frozen=True, slots=True)
class OverlayFile:
    """An overlay's file as it was read, once: a pipe holds nothing the second time."""

    path: Path
    data: bytes = field(repr=False)

    def parse(self) -> Overlay:
        """Read TOML or JSON, and put the values given as {env} or {file} in place.

        Raises UsageError, which names every variable and file that is missing.
        """
        try:
            document = _document(self.data, as_json=self.path.suffix.lower() == ".json")
            references = _References(self.path.parent)
            resolved = references.resolve(document)
            references.check()
            return parse_overlay(resolved, references.secrets, tuple(references.found))
        except UsageError as problem:
            raise UsageError(f"overlay {self.path}: {str(problem).removeprefix('overlay: ')}") from None
        except RecursionError:
            raise UsageError(f"overlay {self.path}: nested too deeply") from None


def open_overlay(path: Path) -> OverlayFile:
    """Read an overlay's file. Raises UsageError where that fails."""
    try:
        return OverlayFile(path, read_text_file(path))
    except BackupError as problem:
        raise UsageError(f"overlay: {problem}") from None


def read_overlay(path: Path | None) -> Overlay:
    """Return the overlay of a file, an empty one without a file. Raises UsageError."""
    return Overlay() if path is None else open_overlay(path).parse()


def _document(data: bytes, *, as_json: bool) -> Any:
    try:
        text = data.decode()
        return json.loads(text, object_pairs_hook=_once) if as_json else tomllib.loads(text)
    except UnicodeDecodeError:
        detail = "not UTF-8"
    except ValueError as problem:
        detail = str(problem).split("\n", 1)[0]
    raise UsageError(f"not {'JSON' if as_json else 'TOML'}: {detail}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises UsageError for a key that stands in it twice, where JSON would keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"{name!r} stands twice in one object; merge the two")
        found[name] = value
    return found


class _References:
    """Puts values in the place of references to them, and collects what is wrong with any."""

    def __init__(self, folder: Path) -> None:
        self.found: list[Outside] = []
        self._unset: list[Mapping[str, Any]] = []
        self._problems: list[str] = []
        self._folder = folder

    @property
    def secrets(self) -> frozenset[str]:
        """The values that are not plain; an empty one hides in no text."""
        return frozenset(one.value for one in self.found if not one.plain) - {""}

    def resolve(self, value: Any, at: tuple[str, ...] = ()) -> Any:
        """Return `value` with what references stand for; `{literal = {…}}` stands for the table itself."""
        if isinstance(value, list):
            return [self.resolve(item, (*at, str(position))) for position, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1 and isinstance(value.get(_LITERAL), Mapping):
            return value[_LITERAL]
        if _is_reference(value):
            return self._value(value, at)
        if _is_no_reference(value):
            self._problems.append(
                f"{format_path(at)} is given by {' and '.join(sorted(value.keys() - {_PLAIN}))}: write {{ env = … }} or"
                " { file = … } alone, or { literal = { … } } where the table itself is meant"
            )
            return ""
        return {name: self.resolve(item, (*at, *_parts(name, at))) for name, item in value.items()}

    def _value(self, given: Mapping[str, Any], at: tuple[str, ...]) -> str:
        reference = {name: item for name, item in given.items() if name != _PLAIN}
        name = reference.get("env")
        if isinstance(name, str) and name.startswith("JITSU_"):
            self._problems.append(
                f"an overlay cannot use {name}: names that begin with JITSU_ are the tool's own; use another name"
            )
            return ""
        if isinstance(name, str) and name not in os.environ:
            self._unset.append(given)
            return ""
        try:
            value = resolve_secret(reference, os.environ, self._folder, may_be_empty=True)
        except UsageError as problem:
            self._problems.append(str(problem))
            return ""
        self.found.append(
            Outside("".join(at[:1]), at[1:], _written(reference), value, bool(given.get(_PLAIN)))
        )
        return value

    def check(self) -> None:
        """Raise UsageError for all that is wrong with references, at once."""
        unset = list(dict.fromkeys(reference["env"] for reference in self._unset))
        problems = list(dict.fromkeys(self._problems))
        if unset:
            what = f"variable {unset[0]} is" if len(unset) == 1 else f"variables {', '.join(unset)} are"
            problems.insert(0, f"the environment {what} not set{_hint(self._unset)}")
        if problems:
            raise UsageError("; ".join(problems))


def _is_reference(table: Mapping[str, Any]) -> bool:
    """Tell whether a table is `{env = …}` or `{file = …}`, alone or with `plain`, and nothing else."""
    names = table.keys() - {_PLAIN} if isinstance(table.get(_PLAIN), bool) else table.keys()
    return len(names) == 1 and names <= _REFERENCES and not isinstance(table[next(iter(names))], Mapping)


def _is_no_reference(table: Mapping[str, Any]) -> bool:
    """Tell whether a table was meant as a reference, as the settings file has them, and is none that an overlay takes."""
    names = table.keys() - {_PLAIN}
    return (len(names) > 1 and names <= _LIKE_REFERENCES) or (
        names == {"command"} and isinstance(table["command"], list)
    )


def _parts(name: str, at: tuple[str, ...]) -> list[str]:
    return name.split(".") if at else [name]  # a selector is one


def _written(reference: Mapping[str, Any]) -> str:
    """Write a reference as TOML has it."""
    return f"{{ {', '.join(f'{name} = {json.dumps(item)}' for name, item in reference.items())} }}"


def _hint(unset: list[Mapping[str, Any]]) -> str:
    """Say how to write a table that only looks like a reference, where a name looks unlike a variable's."""
    odd = next((one for one in unset if not one["env"].isupper()), None)
    return "" if odd is None else f" (where the table itself is meant: {{ literal = {_written(odd)} }})"
