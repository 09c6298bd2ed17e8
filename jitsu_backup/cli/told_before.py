"""What people were told of changes before, from run to run: small files in the user's folder for state."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jitsu_backup.cli.paths import home_folder
from jitsu_backup.errors import BackupError
from jitsu_backup.model import canonical
from jitsu_backup.operations.news import Told, told_as_bytes, told_in_bytes
from jitsu_backup.store import read_file, write_file


@dataclass(frozen=True, slots=True)
class FolderMemory:
    """The memory of runs that share a user, a store and an address: a small file for each workspace.

    What is owed is so whoever is to be told, so that an address that could not be read, or was wrong, loses nothing.
    """

    store: str
    address: str = field(repr=False)

    def recall(self, workspace_id: str) -> Told | None:
        """Return what was told of a workspace last, or from where on it is owed; None where nobody knows."""
        return _read(self._path(workspace_id, self.address)) or _read(self._path(workspace_id))

    def keep(self, workspace_id: str, told: Told) -> str:
        """Remember what was told; return why that cannot be kept, an empty text where it is."""
        return _write(self._path(workspace_id, self.address), told)

    def owe(self, workspace_id: str, told: Told) -> None:
        """Remember that something is to be told, where nothing else is owed, until it is `settle`d."""
        path = self._path(workspace_id)
        if _read(path) is None:
            _write(path, told)

    def settle(self, workspace_id: str) -> None:
        """Forget what was owed."""
        path = self._path(workspace_id)
        with suppress(OSError):
            if path is not None:
                path.unlink(missing_ok=True)

    def _path(self, workspace_id: str, address: str = "") -> Path | None:
        given, home = os.environ.get("XDG_STATE_HOME"), home_folder()
        state = Path(given) if given else None if home is None else home / ".local" / "state"
        name = hashlib.sha256(canonical([self.store, address, workspace_id])).hexdigest()[:32]
        return None if state is None else state / "jitsu-backup" / "notified" / f"{name}.json"


def _read(path: Path | None) -> Told | None:
    with suppress(BackupError, OSError):
        return None if path is None or not path.is_file() else told_in_bytes(read_file(path))
    return None


def _write(path: Path | None, told: Told) -> str:
    if path is None:
        return "nobody knows the user's folder: set XDG_STATE_HOME"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, told_as_bytes(told))
    except BackupError as problem:
        return str(problem)
    except OSError as problem:
        return f"cannot make {path.parent}: {(problem.strerror or '').lower()}"
    return ""
