"""The cache of `history`: only differences, as they are shown, and nothing from encrypted archives.

It has one file for each workspace and store, in the user's cache folder. If a file is damaged, it is ignored, and the
archives are read again.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from jitsu_backup import __version__
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Key
from jitsu_backup.planning import ChangeKind, EntityChange, FieldChange
from jitsu_backup.planning.succession import Difference
from jitsu_backup.store.files import make_folder, read_file, write_file

_FORMAT = 2
_SUFFIX = ".history"
LARGEST = 64 * 1024 * 1024
"""The largest file of a workspace, in bytes. The older part of a longer history is not cached."""

MOST_FILES = 64
"""How many workspaces are cached. The least recently used ones are removed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one archive adds to the state before it: the id of the next state, the differences, what was re-created.

    `console` is the address of its console. What is `private` comes from encrypted archives, and is not written to a file.
    """

    state: str
    console: str
    differences: tuple[Difference, ...] = ()
    pairs: Mapping[Key, Key] = field(default_factory=dict)
    private: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """The archives that make up a last state, without their content."""

    archive: str
    seen: Mapping[str, str]
    told: Mapping[tuple[Key, str], str]

    @property
    def archives(self) -> set[str]:
        """The ids of all these archives."""
        return {self.archive, *self.seen.values(), *self.told.values()}


@dataclass(slots=True)
class Remembered:
    """What is cached of a workspace: `endings` by the last state, and `moves` by three texts.

    These texts are the state before, the content after, and the archive that was read, with the time it was written.
    """

    moves: dict[tuple[str, str, str], Kept] = field(default_factory=dict)
    endings: dict[str, Ending] = field(default_factory=dict)


class HistoryCache:
    """The file of one workspace of one store."""

    def __init__(self, folder: Path, store: str, workspace_id: str) -> None:
        """Use a file in `folder`, which is created when needed."""
        name = hashlib.sha256(f"{store}\0{workspace_id}".encode(errors="replace")).hexdigest()[:32]
        self.path = folder / f"{name}{_SUFFIX}"

    def load(self) -> Remembered:
        """Return what is cached, or nothing if that is damaged, another user's, or of another version."""
        try:
            data = read_file(self.path, limit=LARGEST * 2, own=True)
            if self.path.stat().st_uid != os.getuid():
                return Remembered()
            checksum, _, text = data.partition(b"\n")
            if checksum.decode() != _checksum(text):
                return Remembered()
            return _remembered(orjson.loads(text))
        except (BackupError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return Remembered()

    def keep(self, remembered: Remembered) -> None:
        """Replace what is cached. A failure to write is ignored."""
        text = b"".join(_lines(remembered))
        with suppress(BackupError, OSError):
            make_folder(self.path.parent)
            write_file(self.path, _checksum(text).encode() + b"\n" + text)
            _forget_the_oldest(self.path.parent)


def _forget_the_oldest(folder: Path) -> None:
    files = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[MOST_FILES:]:
        path.unlink(missing_ok=True)


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _lines(remembered: Remembered) -> Iterator[bytes]:
    """Yield the JSON of the cache, newest moves first, up to the largest size."""
    endings = [_ending(state, ending) for state, ending in remembered.endings.items()]
    head = {"format": _FORMAT, "version": __version__, "endings": endings}
    yield orjson.dumps(head)[:-1] + b',"moves":['
    left, between = LARGEST, b""
    for move, kept in reversed(remembered.moves.items()):
        line = orjson.dumps([*move, *_kept(kept)])
        left -= len(line) + 1
        if left < 0:
            break
        yield between + line
        between = b","
    yield b"]}"


def _kept(kept: Kept) -> list[Any]:
    pairs = [[old.type, old.id, new.id] for old, new in kept.pairs.items()]
    return [kept.state, kept.console, [_difference(one) for one in kept.differences], pairs]


def _difference(one: Difference) -> list[Any]:
    change = one.change
    fields = [[f.path, f.before, f.after, f.secret, f.code] for f in change.fields]
    return [
        *(change.kind.value, change.type, change.name, _id(change.before), _id(change.after), change.was),
        *(fields, dict(change.body), one.since, one.selector, one.joined, one.ends),
        None if change.saved_at is None else change.saved_at.isoformat(),
    ]


def _id(key: Key | None) -> str | None:
    return None if key is None else key.id


def _ending(state: str, ending: Ending) -> list[Any]:
    secrets = [[*key, path, archive] for (key, path), archive in ending.told.items()]
    return [state, ending.archive, dict(ending.seen), secrets]


def _remembered(document: Mapping[str, Any]) -> Remembered:
    if document["format"] != _FORMAT or document["version"] != __version__:
        return Remembered()
    moves = {
        (before, after, read): _kept_in(*rest) for before, after, read, *rest in reversed(document["moves"])
    }
    return Remembered(moves, {state: _ending_in(*rest) for state, *rest in document["endings"]})


def _kept_in(state: str, console: str, differences: list[Any], pairs: list[Any]) -> Kept:
    known = {Key(name, old): Key(name, new) for name, old, new in pairs}
    return Kept(state, console, tuple(_difference_in(*one) for one in differences), known)


def _difference_in(
    kind: str, type_name: str, name: str, before: str | None, after: str | None, was: str | None,
    fields: list[Any], body: dict[str, Any], since: str, selector: str, joined: bool, ends: list[str],
    saved_at: str | None,
) -> Difference:  # fmt: skip
    keys = [None if one is None else Key(type_name, one) for one in (before, after)]
    changes = tuple(
        FieldChange(path, one, two, bool(secret), tuple(code)) for path, one, two, secret, code in fields
    )
    saved = None if saved_at is None else datetime.fromisoformat(saved_at)
    change = EntityChange(ChangeKind(kind), type_name, name, keys[0], keys[1], was, changes, body, saved)
    return Difference(change, since, selector, joined, tuple(ends))


def _ending_in(archive: str, seen: dict[str, str], told: list[Any]) -> Ending:
    return Ending(archive, seen, {(Key(name, one), path): since for name, one, path, since in told})
