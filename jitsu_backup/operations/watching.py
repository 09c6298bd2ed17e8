"""The values of a watch: its job, its surroundings, and its events."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jitsu_backup.archive import ArchiveName
from jitsu_backup.events import Reporter, silent
from jitsu_backup.model import plural
from jitsu_backup.operations.alarms import Again, Alarm
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

    `seconds` is how long it took until a change was in the store.
    """

    level: str
    message: str
    workspace: str | None = None
    archive: ArchiveName | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of a watch: how many workspaces it watches, and what is wrong, by workspace or part.

    `alarms` are the same as `troubles`, with what to do, and `exit_code` is that of a run that found them.
    """

    workspaces: int
    troubles: Mapping[str, str]
    alarms: tuple[Alarm, ...] = ()
    exit_code: int = 0

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.troubles

    @property
    def words(self) -> str:
        """The status in one line."""
        subjects = defaultdict[str, list[str]](list)
        for what, why in sorted(self.troubles.items()):
            subjects[why].append(what)
        return "; ".join(f"{listed(alike)}: {why}" for why, alike in subjects.items()) or self.extent

    @property
    def extent(self) -> str:
        """How many workspaces it watches, in words."""
        return f"watching {plural(self.workspaces, 'workspace')}"


@dataclass(frozen=True, slots=True)
class WatchJob:
    """What is watched, and how: `backup` describes each backup, and names the workspaces.

    `settle` is how many seconds a workspace must be quiet before it is backed up. With a `retention` policy, old archives
    of what was backed up are removed.
    """

    backup: BackupJob
    settle: float = 5.0
    retention: Retention | None = None

    @property
    def full_every(self) -> timedelta:
        """The longest time between two complete readings of a workspace."""
        return self.backup.full_every or timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a watch works with: the store, the keys of archives, clocks, and callbacks.

    `now` returns the time in UTC, `monotonic` the seconds of the event loop's clock. `told` receives events, `backed_up`
    every backup, and `stands` the status, every few minutes and whenever something fails or works again. `again` builds a
    command line, and `again_with_keys` another `again`, which adds what opens the archives given. `needed` returns the names of the archives of a workspace, given by console and id, that must not be
    pruned yet.
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
    again_with_keys: Callable[[Iterable[ArchiveName]], Again] = lambda _: (
        lambda *words: " ".join(("jitsu-backup", *words))
    )
