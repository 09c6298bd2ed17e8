"""One part of an entity on standard output: its code unchanged, for other programs, or a field as JSON."""

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
    """The part of an entity that is asked for: its `code`, its `draft`, the `field` of a dotted path, or the whole."""

    code: bool = False
    draft: bool = False
    field: str | None = None

    @property
    def flag(self) -> str:
        """The flag that asks for the part; empty for the whole."""
        return "--code" if self.code else "--draft" if self.draft else "" if self.field is None else "--field"

    def check(self, selector: str | None, *, as_json: bool, page: bool) -> None:
        """Raise UsageError if more than a part is asked for, or if the entity is not named."""
        if self.code + self.draft + (self.field is not None) > 1:
            raise UsageError("--code, --draft and --field each write one part; give only one of them")
        if self.flag and selector is None:
            raise UsageError(f"{self.flag} needs an entity: name one, such as 'function/Enrich'")
        if self.flag and page:
            raise UsageError(f"{self.flag} writes one part, but --html a whole page; leave out one of them")
        if self.flag and self.field is None and as_json:
            raise UsageError(
                f"{self.flag} writes plain text, not JSON; use --field to write any field as JSON"
            )

    def only_one(self, selector: str, chosen: Sequence[Entity], names: Mapping[Key, str]) -> Entity:
        """Return the one entity that was chosen. Raise UsageError for several."""
        if len(chosen) == 1:
            return chosen[0]
        found = some_of([f"{one.key} ({printable(names[one.key])})" for one in chosen], 3)
        raise UsageError(
            f"{selector!r} matches {len(chosen)} entities, but {self.flag} takes one; name one of them by its id: {found}"
        )


def write_part(app: App, part: Part, entity: Entity, shown: Mapping[str, Any]) -> None:
    """Write a part of an entity as it is `shown`, with a note if a secret in code is hidden. Raise BackupError without it."""
    if part.field is not None:
        app.emit(value_at(shown, _path(part.field, entity, shown)))
        return
    path = _code_path(entity, ".draft.js" if part.draft else ".js")
    text = None if path is None else value_at(shown, path)
    if path is None or not isinstance(text, str):
        what = "no draft" if part.draft else "no code"
        raise BackupError(
            f"{_called(entity)} has {what} in the snapshot; choose another field with --field PATH"
        )
    own = str(value_at(entity.body, path))
    if text != own and MASK not in own:  # a redacted folder does not contain it either
        app.say(f"possible passwords in it are shown as {HIDDEN}; --secrets shows them")
    _write_text(text)


def _path(text: str, entity: Entity, shown: Mapping[str, Any]) -> Path:
    """Return the path that a text means. Raise BackupError if there is no such field, UsageError if there are several."""
    known = [(format_path(path), path) for path in paths_inside(shown)]
    found = [path for name, path in known if name == text]
    if len(found) > 1:
        raise UsageError(
            f"--field {text!r} could be {len(found)} fields of {_called(entity)}, because some names contain dots; leave out"
            " --field to see the whole entity"
        )
    if not found:
        hint = nearest(text, [name for name, _ in known]) or "; leave out --field to see the whole entity"
        raise BackupError(f"{_called(entity)} has no field {text!r}{hint}")
    return found[0]


def _code_path(entity: Entity, suffix: str) -> Path | None:
    """Return the path of an entity's code or draft; for a profile builder, that of the function it owns."""
    places = code_places(entity.key.type, entity.body)
    return next((path for path, ending in places if ending == suffix), None)


def _called(entity: Entity) -> str:
    return f"{entity.key.type} {quoted(entity.name)}"


def _write_text(text: str) -> None:
    """Write a text unchanged; on a terminal without control characters and with a final newline."""
    if sys.stdout.isatty():
        lines = [printable(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]
        sys.stdout.write("\n".join(lines).removesuffix("\n") + "\n")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
