"""A workspace that is watched: what was heard of it, and when it is asked and backed up next."""

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
"""After how many seconds a workspace that has changed is read once more, because of what is committed late."""

LONGEST_SETTLE = 60.0
"""How long a workspace that keeps changing is waited for, in seconds."""


def is_ahead(heard: Heard) -> bool:
    """Return whether something is dated so far ahead that changes until then are told neither by the console nor in time.

    What is less far ahead is read once more, CONFIRM_SECONDS later.
    """
    return heard.last_modified > heard.now + MARGIN


@dataclass(slots=True, eq=False)
class Watched:
    """A workspace that is watched. Times in seconds are those of the watch's clock, dates those of the console."""

    access: WorkspaceAccess
    label: str
    ask_at: float
    """When the console is asked about it next."""
    due_at: float = inf
    """When it is backed up next."""

    heard: datetime | None = None
    """When it last changed, as far as the console tells; None where nothing is heard of what comes after that."""
    told_ahead: datetime | None = None
    """What it is dated that is yet to come, as far as that was told."""
    asked: bool = False
    """Whether the console has a question about it."""
    silent: bool = False
    """Whether the console did not answer the last one."""

    changed_at: float | None = None
    """When the first change happened that no archive has."""
    changed_since: float | None = None
    """When the first change happened after the last backup began."""

    busy_since: float | None = None
    """Since when it is being backed up."""
    as_changed: bool = False
    """Whether it had changed when that began."""
    heard_before: datetime | None = None
    """What was heard before that began."""

    tries: int = 0
    """How many backups have failed in a row."""
    kept: bool = False
    """Whether it was ever backed up."""
    unwritten: bool = False
    """Whether the store did not take its last backup."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its place may name another workspace, or none."""

    @property
    def id(self) -> str:
        """The id of the workspace."""
        return self.access.workspace or ""

    @property
    def key(self) -> tuple[str, str]:
        """Console and id: a copied database has the same ids."""
        return self.access.connection.host.rstrip("/"), self.id

    @property
    def subject(self) -> Subject:
        """What its troubles are known by."""
        return "workspace", *self.key

    @property
    def is_changed(self) -> bool:
        """Whether it has changed, as far as that was heard, and no archive has that."""
        return self.changed_at is not None

    @property
    def waits_to_be_kept(self) -> bool:
        """Whether it was not backed up yet, and nothing is known to be in the way."""
        return not self.kept and not self.tries and not self.unwritten

    def changes(self, heard: Heard, now: float, settle: float) -> None:
        """Note that it has changed, and when it will have been left alone for long enough."""
        quiet = max(0.0, (heard.now - heard.last_modified).total_seconds())
        self.heard = None if is_ahead(heard) else heard.last_modified
        self.changed_at = now - quiet if self.changed_at is None else self.changed_at
        self.changed_since = now - quiet if self.changed_since is None else self.changed_since
        if self.tries:
            return  # it is due when that is to be tried again
        settled = now + max(0.0, settle - quiet)
        self.due_at = min(settled, max(now, self.changed_since + LONGEST_SETTLE))
        self.ask_at = min(self.ask_at, max(now, self.due_at - 0.05))

    def is_silent(self, now: float, pace: Pace) -> None:
        """Note that its console tells nothing of it: it is read, but not all the time."""
        self.silent = True
        if self.due_at != inf:
            self.due_at = min(self.due_at, now + pace.read_every)

    def answers(self, now: float) -> None:
        """Note that its console tells of it: what failed while that was silent is tried again at once."""
        if self.busy_since is not None:
            return  # what is under way may still fail of the silence
        if self.silent and self.tries:
            self.due_at = min(self.due_at, now)
        self.silent = False

    def begins(self, now: float) -> None:
        """Note that it is being backed up."""
        self.busy_since, self.as_changed, self.heard_before = now, self.is_changed, self.heard
        self.changed_since = None

    def is_called(self, label: str) -> None:
        """Note its slug, or its id where it has none: under another one, its place may name another workspace."""
        if label != self.label:
            self.label = label
            self.lost.set()

    def is_backed_up(self, now: float, pace: Pace) -> None:
        """Note that it was backed up, and when it is looked at next."""
        self.tries, self.kept, self.unwritten = 0, True, False
        if (
            self.heard == self.heard_before
        ):  # else it has changed meanwhile, and nobody knows whether that was read
            share = 0.5 + zlib.crc32(self.id.encode()) / 2**33  # so that not all are looked at together
            self.due_at = now + (CONFIRM_SECONDS if self.as_changed else pace.look_every * share)
        self.changed_at = self.changed_since

    def fails(self, now: float) -> None:
        """Note that it was not backed up, and when that is tried again."""
        self.due_at = now + backoff(self.tries)
        self.tries += 1
