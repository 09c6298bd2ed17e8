"""Overlay files: TOML or JSON, with values that may come from the environment or from other files."""

import json
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitsu_backup.catalogue import entity_type, has_password, is_secret_path
from jitsu_backup.errors import EMPTY_IN_CI, BackupError, UsageError
from jitsu_backup.model import format_path
from jitsu_backup.planning import Outside, Overlay
from jitsu_backup.planning.console_overlay import OverlayTables, overlay_tables, parse_any_overlay
from jitsu_backup.settings.secret import open_to_others, resolve_secret, shown_variable
from jitsu_backup.store.files import read_text_file

_REFERENCES = frozenset({"env", "file"})
_LIKE_REFERENCES = _REFERENCES | {"command"}
_LITERAL, _PLAIN = "literal", "plain"
_NO_SECRETS = frozenset({"host", "hosts", "port", "url"})
"""Fields that hold no secret, although they may stand among credentials, except a URL that contains a password."""


@dataclass(frozen=True, slots=True)
class OverlayFile:
    """The content of an overlay file, read only once, because a pipe cannot be read twice.

    `environment` has the variables that `{env = …}` refers to.
    """

    path: Path
    data: bytes = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    def parse(self) -> Overlay:
        """Return the overlay, with `{env = …}` and `{file = …}` replaced by the values that they refer to.

        Raise UsageError, which names every variable and file that is missing or empty.
        """
        with self._named():
            return parse_any_overlay(*self._resolved(), self.called)

    def tables(self) -> OverlayTables:
        """Return the content of the file with its references resolved, for an overlay of several workspaces.

        Raise UsageError as `parse` does.
        """
        with self._named():
            return overlay_tables(*self._resolved(), self.called)

    @property
    def called(self) -> str:
        """The name of the file in messages."""
        return f"overlay {self.path}"

    def warning(self) -> str:
        """Return a warning if others can read the file and it holds a secret in plain text, else an empty text."""
        try:
            mode = self.path.stat().st_mode
            if not stat.S_ISREG(mode) or not mode & 0o077:
                return ""
            field = next(_secret_fields(self._document()), None)
        except (OSError, UsageError, RecursionError):  # reported when it is parsed
            return ""
        return open_to_others(self.path, field) if field else ""

    def _document(self) -> Any:
        return _document(self.data, as_json=self.path.suffix.lower() == ".json")

    def _resolved(self) -> tuple[Any, frozenset[str], tuple[Outside, ...]]:
        document = self._document()
        references = _References(self.path.parent, self.environment)
        resolved = references.resolve(document)
        references.check()
        return resolved, references.secrets, tuple(references.found)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except UsageError as problem:
            said = str(problem).removeprefix("overlay: ").removeprefix(f"{self.called}: ")
            raise UsageError(f"{self.called}: {said}") from None
        except RecursionError:
            raise UsageError(f"{self.called}: nested too deeply; use fewer levels") from None


def open_overlay(path: Path, environment: Mapping[str, str]) -> OverlayFile:
    """Read an overlay file. Raise UsageError if that fails."""
    try:
        return OverlayFile(path, read_text_file(path), environment)
    except BackupError as problem:
        raise UsageError(f"overlay: {problem}") from None


def _document(data: bytes, *, as_json: bool) -> Any:
    try:
        text = data.decode()
        return json.loads(text, object_pairs_hook=_once) if as_json else tomllib.loads(text)
    except UnicodeDecodeError:
        detail = "not UTF-8"
    except ValueError as problem:
        detail = str(problem).split("\n", 1)[0]
    raise UsageError(f"not {'JSON' if as_json else 'TOML'}: {detail}; correct it there")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raise UsageError for a duplicate key, because JSON would keep only the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"{name!r} occurs twice in one object; merge the two")
        found[name] = value
    return found


def _secret_fields(value: Any, at: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the fields of a document with a secret that is written into it, by their names."""
    if isinstance(value, str):
        name = at[-1].rpartition(".")[2]
        named_so = bool(value) and name not in _NO_SECRETS and is_secret_path(at[1:], _secrets(at[0]))
        if named_so or has_password(value, at[1:]):
            yield f"{'.'.join(at[1:])} of {at[0]}"
    elif isinstance(value, list):
        for item in value:
            yield from _secret_fields(item, at)
    elif isinstance(value, Mapping) and not _is_reference(value):
        for name, item in value.items():
            yield from _secret_fields(item, (*at, str(name)))


def _secrets(selector: str) -> tuple[tuple[str, ...], ...]:
    """Return the secret fields of the type that a selector of an overlay names, such as `acme:destination/Warehouse`."""
    return entity_type(selector.partition("/")[0].rpartition(":")[2]).secrets


class _References:
    """Replace references by the values that they refer to, and collect what is wrong with them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.found: list[Outside] = []
        self._unset: list[Mapping[str, Any]] = []
        self._empty: list[tuple[str, str]] = []
        self._problems: list[str] = []
        self._folder = folder
        self._environment = environment

    @property
    def secrets(self) -> frozenset[str]:
        """The values to hide: those that are not `plain`."""
        return frozenset(one.value for one in self.found if not one.plain)

    def resolve(self, value: Any, at: tuple[str, ...] = ()) -> Any:
        """Return `value` with its references replaced. `{literal = {…}}` becomes the inner table itself."""
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
                f"{format_path(at)} has {' and '.join(sorted(value.keys() - {_PLAIN}))} in one reference; write only"
                " { env = … } or { file = … }, or { literal = { … } } for the table itself"
            )
            return ""
        return {name: self.resolve(item, (*at, *_parts(name, at))) for name, item in value.items()}

    def _value(self, given: Mapping[str, Any], at: tuple[str, ...]) -> str:
        reference = {name: item for name, item in given.items() if name != _PLAIN}
        name = reference.get("env")
        if isinstance(name, str) and name.startswith("JITSU_"):
            own = "names that begin with JITSU_ are reserved; use another name"
            self._problems.append(f"an overlay cannot use {name}: {own}")
            return ""
        if isinstance(name, str) and name not in self._environment:
            self._unset.append(given)
            return ""
        try:
            value = resolve_secret(reference, self._environment, self._folder, may_be_empty=True)
        except UsageError as problem:
            self._problems.append(str(problem))
            return ""
        found = Outside("".join(at[:1]), at[1:], _written(reference), value, bool(given.get(_PLAIN)))
        if value.strip():
            self.found.append(found)
        else:  # in CI, a secret that does not exist is an empty variable
            self._empty.append((found.place, found.reference))
        return value

    def check(self) -> None:
        """Raise one UsageError for everything that is wrong with the references."""
        unset = list(dict.fromkeys(reference["env"] for reference in self._unset))
        problems = list(dict.fromkeys(self._problems))
        if unset:
            names = ", ".join(map(shown_variable, unset))
            what = f"variable {names} is" if len(unset) == 1 else f"variables {names} are"
            them = "it" if len(unset) == 1 else "them"
            problems.insert(0, f"the environment {what} not set{_hint(self._unset) or f'; set {them}'}")
        if self._empty:
            named = ", ".join(f"{place} from {reference}" for place, reference in self._empty)
            what = "this value is" if len(self._empty) == 1 else "these values are"
            problems.append(
                f"{what} empty: {named}; set the variable or fill the file ({EMPTY_IN_CI}), or"
                ' write "" in the overlay for an empty value'
            )
        if problems:
            raise UsageError("; ".join(problems))


def _is_reference(table: Mapping[str, Any]) -> bool:
    """Return whether a table is `{env = …}` or `{file = …}`, with or without `plain`, and nothing else."""
    names = table.keys() - {_PLAIN} if isinstance(table.get(_PLAIN), bool) else table.keys()
    return len(names) == 1 and names <= _REFERENCES and not isinstance(table[next(iter(names))], Mapping)


def _is_no_reference(table: Mapping[str, Any]) -> bool:
    """Return whether a table looks like a reference of the settings file that an overlay does not accept."""
    names = table.keys() - {_PLAIN}
    return (len(names) > 1 and names <= _LIKE_REFERENCES) or (
        names == {"command"} and isinstance(table["command"], list)
    )


def _parts(name: str, at: tuple[str, ...]) -> list[str]:
    return name.split(".") if at else [name]  # a selector, at the top, may hold dots


def _written(reference: Mapping[str, Any]) -> str:
    """Return a reference as it is written in TOML."""
    return f"{{ {', '.join(f'{name} = {json.dumps(item)}' for name, item in reference.items())} }}"


def _hint(unset: list[Mapping[str, Any]]) -> str:
    """Return how to write a table that only looks like a reference, if a name does not look like a variable."""
    odd = next((one for one in unset if not one["env"].isupper()), None)
    return "" if odd is None else f" (for the table itself, write {{ literal = {_written(odd)} }})"
