"""What earlier runs sent in notifications: small files in the user's state folder."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jitsu_backup.cli.paths import home_folder
from jitsu_backup.errors import BackupError, advice_on
from jitsu_backup.model import canonical
from jitsu_backup.operations.news import Told, told_as_bytes, told_in_bytes
from jitsu_backup.store import read_file, write_file


@dataclass(frozen=True, slots=True)
class FolderMemory:
    """The memory of runs that share a user and a store: a small file for each workspace and address.

    A workspace is identified by its console and id. What is still to be sent is stored without an address, so that nothing
    is lost if the address is wrong or cannot be read. What cannot be written is remembered by this process. Nothing raises.
    """

    store: str
    _unwritten: dict[str, Told] = field(default_factory=dict, repr=False)

    def recall(self, workspace: tuple[str, str], address: str) -> Told | None:
        """Return what was last sent to an address about a workspace, or since when a message is due; None if unknown."""
        return self._read(self._name(workspace, address)) or self._read(self._name(workspace))

    def keep(self, workspace: tuple[str, str], address: str, told: Told) -> str:
        """Remember what was sent to an address; return why that cannot be written, or an empty text."""
        return self._write(self._name(workspace, address), told)

    def owe(self, workspace: tuple[str, str], told: Told) -> None:
        """Remember that a message is due until it is `settle`d, unless an earlier one is due."""
        name = self._name(workspace)
        if self._read(name) is None:
            self._write(name, told)

    def settle(self, workspace: tuple[str, str]) -> None:
        """Forget that a message was due."""
        name = self._name(workspace)
        self._unwritten.pop(name, None)
        path = _path(name)
        with suppress(OSError):
            if path is not None:
                path.unlink(missing_ok=True)

    def _name(self, workspace: tuple[str, str], address: str = "") -> str:
        return hashlib.sha256(canonical([self.store, address, *workspace])).hexdigest()[:32]

    def _read(self, name: str) -> Told | None:
        path = _path(name)
        with suppress(BackupError, OSError):
            if name not in self._unwritten and path is not None and path.is_file():
                return told_in_bytes(read_file(path))
        return self._unwritten.get(name)

    def _write(self, name: str, told: Told) -> str:
        why = _written(_path(name), told)
        if why:
            self._unwritten[name] = told
        else:
            self._unwritten.pop(name, None)
        return why


def _path(name: str) -> Path | None:
    given, home = os.environ.get("XDG_STATE_HOME"), home_folder()
    state = Path(given) if given else None if home is None else home / ".local" / "state"
    return None if state is None else state / "jitsu-backup" / "notified" / f"{name}.json"


def _written(path: Path | None, told: Told) -> str:
    if path is None:
        return "the home folder is unknown; set XDG_STATE_HOME"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, told_as_bytes(told))
    except BackupError as problem:
        return str(problem)
    except OSError as problem:
        return f"cannot create {path.parent}: {(problem.strerror or '').lower()}; {advice_on(problem)}"
    return ""
