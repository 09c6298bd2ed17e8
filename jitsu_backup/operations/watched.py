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


@dataclass(slots=True, eq=False)
class Watched:
    """A workspace that is watched. Times are those of the watch's clock; `due_at` is when it is backed up next.

    `heard` is when it last changed, as far as that was heard, and `changed_at` when the first change happened that no
    archive has; it is `kept` once it was backed up. While it is `asked`, the console has a question about it. It is backed
    up since `busy_since`, as one that had changed or not (`as_changed`), and `heard_before` is what was heard before
    that. It is `unwritten` where the store failed, and `lost` once the console does not know it any more.
    """

    access: WorkspaceAccess
    label: str
    ask_at: float
    due_at: float = inf
    heard: datetime | None = None
    changed_at: float | None = None
    tries: int = 0
    asked: bool = False
    kept: bool = False
    unwritten: bool = False
    busy_since: float | None = None
    as_changed: bool = False
    heard_before: datetime | None = None
    lost: asyncio.Event = field(default_factory=asyncio.Event)

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
        self.heard = heard.last_modified
        self.changed_at = now - quiet if self.changed_at is None else self.changed_at
        settled = now + max(0.0, settle - quiet)
        self.due_at = min(settled, max(now, self.changed_at + LONGEST_SETTLE))
        self.ask_at = min(self.ask_at, max(now, self.due_at - 0.05))

    def is_silent(self, now: float, pace: Pace) -> None:
        """Note that its console tells nothing of it: it is read, but not all the time."""
        if self.due_at != inf:
            self.due_at = min(self.due_at, now + pace.read_every)

    def begins(self, now: float) -> None:
        """Note that it is being backed up."""
        self.busy_since, self.as_changed, self.heard_before = now, self.is_changed, self.heard

    def is_backed_up(self, now: float, pace: Pace) -> None:
        """Note that it was backed up, and when it is looked at next."""
        self.tries, self.kept, self.unwritten = 0, True, False
        if (
            self.heard == self.heard_before
        ):  # else it has changed meanwhile, and nobody knows whether that was read
            share = 0.5 + zlib.crc32(self.id.encode()) / 2**33  # so that not all are looked at together
            self.due_at = now + (CONFIRM_SECONDS if self.is_changed else pace.look_every * share)
            self.changed_at = None

    def fails(self, now: float) -> None:
        """Note that it was not backed up, and when that is tried again."""
        self.due_at = now + backoff(self.tries)
        self.tries += 1
