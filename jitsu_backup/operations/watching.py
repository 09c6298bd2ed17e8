"""The values of a watch: what it is asked for, what it works with, and what it tells."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jitsu_backup.archive import ArchiveName
from jitsu_backup.events import Reporter, silent
from jitsu_backup.model import plural
from jitsu_backup.operations.alarms import Again
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.backup import BackupJob
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.prune import Retention
from jitsu_backup.operations.troubles import listed
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.store import Store


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """Something that happened, in one line without secrets. `level` is `info`, `warning` or `error`.

    `seconds` is how long a change was not in the store.
    """

    level: str
    message: str
    workspace: str | None = None
    archive: ArchiveName | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a watch stands: how many workspaces it keeps, and what is wrong, by workspace or part."""

    workspaces: int
    troubles: Mapping[str, str]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.troubles

    @property
    def words(self) -> str:
        """The same in one line."""
        subjects = defaultdict[str, list[str]](list)
        for what, why in sorted(self.troubles.items()):
            subjects[why].append(what)
        return "; ".join(f"{listed(alike)}: {why}" for why, alike in subjects.items()) or self.extent

    @property
    def extent(self) -> str:
        """How much it keeps, in words."""
        return f"watching {plural(self.workspaces, 'workspace')}"


@dataclass(frozen=True, slots=True)
class WatchJob:
    """What is watched, and how: `backup` says what each backup is like, and which workspaces are meant.

    `settle` is how many seconds a workspace must have been left alone. With a `retention` policy, old archives of what
    was backed up are removed.
    """

    backup: BackupJob
    settle: float = 5.0
    retention: Retention | None = None

    @property
    def full_every(self) -> timedelta:
        """How often each workspace is read whole at the least."""
        return self.backup.full_every or timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a watch works with: the store, the keys of archives, clocks, and who hears of what.

    `now` returns the time in UTC, `monotonic` seconds of the event loop's clock. `told` hears of events, `backed_up` of
    every backup, and `stands` how the watch stands, every few minutes and whenever something goes wrong or is well again.
    `again` makes a command of words, and `needed` returns the names of the archives of a workspace, by console and id, that must not
    be pruned yet.
    """

    store: Store
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    keys: ArchiveKeys = field(default_factory=ArchiveKeys)
    report: Reporter = silent
    expected: ExpectedStore = field(default_factory=ExpectedStore)
    told: Callable[[WatchEvent], None] = lambda _: None
    backed_up: Callable[[BackupRun], None] = lambda _: None
    stands: Callable[[Standing], None] = lambda _: None
    needed: Callable[[tuple[str, str]], Iterable[str]] = lambda _: ()
    again: Again = lambda *words: " ".join(("jitsu-backup", *words))
