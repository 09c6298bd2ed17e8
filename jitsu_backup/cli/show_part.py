"""One part of an entity on standard output: its code as it is, for other programs, or a field as JSON."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jitsu_backup.archive.tree_layout import code_places
from jitsu_backup.catalogue import HIDDEN
from jitsu_backup.cli.app import App
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import (
    MASK,
    Entity,
    Key,
    Path,
    format_path,
    nearest,
    paths_inside,
    printable,
    quoted,
    some_of,
    value_at,
)


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of an entity is asked for: its `code`, its `draft`, or the `field` of a dotted path; or the whole."""

    code: bool = False
    draft: bool = False
    field: str | None = None

    @property
    def flag(self) -> str:
        """The flag that asks for a part; empty for the whole."""
        return "--code" if self.code else "--draft" if self.draft else "" if self.field is None else "--field"

    def check(self, selector: str | None, *, as_json: bool, page: bool) -> None:
        """Raise UsageError where a part is not all that is asked for, or nothing says of which entity."""
        if self.code + self.draft + (self.field is not None) > 1:
            raise UsageError("--code, --draft and --field ask for one part each; give one of them")
        if self.flag and selector is None:
            raise UsageError(f"{self.flag} of what? name one entity, such as 'function/Enrich'")
        if self.flag and page:
            raise UsageError(f"{self.flag} writes one part, and a page has them all; leave out one of them")
        if self.flag and self.field is None and as_json:
            raise UsageError(
                f"{self.flag} writes the text as it is, no JSON; --field writes any field as JSON"
            )

    def only_one(self, selector: str, chosen: Sequence[Entity], names: Mapping[Key, str]) -> Entity:
        """Return the one entity that was chosen. Raise UsageError for several."""
        if len(chosen) == 1:
            return chosen[0]
        found = some_of([f"{one.key} ({printable(names[one.key])})" for one in chosen], 3)
        raise UsageError(f"{selector!r} is {len(chosen)} entities, and {self.flag} takes one: {found}")


def write_part(app: App, part: Part, entity: Entity, shown: Mapping[str, Any]) -> None:
    """Write a part of an entity as it is `shown`, and say where a secret in code is not. Raise BackupError without it."""
    if part.field is not None:
        app.emit(value_at(shown, _path(part.field, entity, shown)))
        return
    path = _code_path(entity, ".draft.js" if part.draft else ".js")
    text = None if path is None else value_at(shown, path)
    if path is None or not isinstance(text, str):
        what = "no draft" if part.draft else "no code"
        raise BackupError(
            f"{_called(entity)} has {what} in the snapshot; --field PATH writes any field that it has"
        )
    own = str(value_at(entity.body, path))
    if text != own and MASK not in own:  # a redacted folder does not have it either
        app.say(f"what looks like a password in it shows as {HIDDEN}; --secrets writes it in clear")
    _write_text(text)


def _path(text: str, entity: Entity, shown: Mapping[str, Any]) -> Path:
    """Return the path that a text means. Raise BackupError where nothing stands there, UsageError for several."""
    known = [(format_path(path), path) for path in paths_inside(shown)]
    found = [path for name, path in known if name == text]
    if len(found) > 1:
        raise UsageError(
            f"--field {text!r} could be {len(found)} fields of {_called(entity)}, because names in it have dots:"
            " leave --field out and look at the whole"
        )
    if not found:
        hint = nearest(text, [name for name, _ in known])
        raise BackupError(f"{_called(entity)} has no field {text!r}{hint}")
    return found[0]


def _code_path(entity: Entity, suffix: str) -> Path | None:
    """Return where an entity has its code, or its draft; a profile builder that of the function it owns."""
    places = code_places(entity.key.type, entity.body)
    return next((path for path, ending in places if ending == suffix), None)


def _called(entity: Entity) -> str:
    return f"{entity.key.type} {quoted(entity.name)}"


def _write_text(text: str) -> None:
    """Write a text byte by byte; on a terminal without what could command it, and with an end to its last line."""
    if sys.stdout.isatty():
        lines = [printable(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]
        sys.stdout.write("\n".join(lines).removesuffix("\n") + "\n")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
