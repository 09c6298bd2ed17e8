"""A watched workspace: what was heard of it, and when it is next asked and backed up."""

import asyncio
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from jitsu_backup.console.listening import Heard
from jitsu_backup.operations.asking import MARGIN
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.pace import Pace, backoff
from jitsu_backup.operations.troubles import Subject

CONFIRM_SECONDS = MARGIN.total_seconds() + 5
"""After how many seconds a changed workspace is read once more, because changes may be committed late."""

LONGEST_SETTLE = 60.0
"""The longest time, in seconds, to wait for a workspace that keeps changing."""


def is_ahead(heard: Heard) -> bool:
    """Return whether something is dated so far ahead that the console does not report changes until then.

    If it is less far ahead, the workspace is read once more after CONFIRM_SECONDS.
    """
    return heard.last_modified > heard.now + MARGIN


@dataclass(slots=True, eq=False)
class Watched:
    """A watched workspace. Times in seconds are by the watch's clock, dates by the console's."""

    access: WorkspaceAccess
    label: str
    ask_at: float
    """When the console is next asked about it."""
    due_at: float = inf
    """When it is next backed up."""

    heard: datetime | None = None
    """When it last changed according to the console, or None if no later changes are heard of."""
    told_ahead: datetime | None = None
    """Its date in the future that was last reported."""
    asked: bool = False
    """Whether the console is being asked about it."""
    silent: bool = False
    """Whether the console did not answer the last one."""

    changed_at: float | None = None
    """When the first change happened that is in no archive."""
    changed_since: float | None = None
    """When the first change happened after the last backup started."""

    busy_since: float | None = None
    """When the running backup started."""
    as_changed: bool = False
    """Whether it had changed when that backup started."""
    heard_before: datetime | None = None
    """What was heard before that backup started."""

    tries: int = 0
    """How many backups have failed in a row."""
    kept: bool = False
    """Whether it was ever backed up."""
    unwritten: bool = False
    """Whether the store failed to store its last backup."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its place may name another workspace, or none."""

    @property
    def id(self) -> str:
        """The id of the workspace."""
        return self.access.workspace or ""

    @property
    def key(self) -> tuple[str, str]:
        """Console and id, because a copied database has the same ids."""
        return self.access.connection.host.rstrip("/"), self.id

    @property
    def subject(self) -> Subject:
        """The subject of its troubles."""
        return "workspace", *self.key

    @property
    def is_changed(self) -> bool:
        """Whether a change was heard of that is in no archive."""
        return self.changed_at is not None

    @property
    def waits_to_be_kept(self) -> bool:
        """Whether it still needs its first backup, and nothing is known to prevent that."""
        return not self.kept and not self.tries and not self.unwritten

    def changes(self, heard: Heard, now: float, settle: float) -> None:
        """Note that it has changed, and when it will have been quiet for long enough."""
        quiet = max(0.0, (heard.now - heard.last_modified).total_seconds())
        self.heard = None if is_ahead(heard) else heard.last_modified
        self.changed_at = now - quiet if self.changed_at is None else self.changed_at
        self.changed_since = now - quiet if self.changed_since is None else self.changed_since
        if self.tries:
            return  # it is due at the next retry
        settled = now + max(0.0, settle - quiet)
        self.due_at = min(settled, max(now, self.changed_since + LONGEST_SETTLE))
        self.ask_at = min(self.ask_at, max(now, self.due_at - 0.05))

    def is_silent(self, now: float, pace: Pace) -> None:
        """Note that its console reports nothing about it, so it is read at intervals."""
        self.silent = True
        if self.due_at != inf:
            self.due_at = min(self.due_at, now + pace.read_every)

    def answers(self, now: float) -> None:
        """Note that its console reports changes again. What failed meanwhile is retried at once."""
        if self.busy_since is not None:
            return  # a running backup may still fail because of the outage
        if self.silent and self.tries:
            self.due_at = min(self.due_at, now)
        self.silent = False

    def begins(self, now: float) -> None:
        """Note that its backup starts."""
        self.busy_since, self.as_changed, self.heard_before = now, self.is_changed, self.heard
        self.changed_since = None

    def is_called(self, label: str) -> None:
        """Note its slug, or its id if it has none. If the slug changes, its place may name another workspace."""
        if label != self.label:
            self.label = label
            self.lost.set()

    def is_backed_up(self, now: float, pace: Pace) -> None:
        """Note that it was backed up, and when it is next checked."""
        self.tries, self.kept, self.unwritten = 0, True, False
        if (
            self.heard == self.heard_before
        ):  # otherwise it has changed meanwhile, and the backup may lack that change
            share = 0.5 + zlib.crc32(self.id.encode()) / 2**33  # so that not all are checked together
            self.due_at = now + (CONFIRM_SECONDS if self.as_changed else pace.look_every * share)
        self.changed_at = self.changed_since

    def fails(self, now: float) -> None:
        """Note that its backup failed, and when it is retried."""
        self.due_at = now + backoff(self.tries)
        self.tries += 1
