"""When a workspace was last backed up, from what the store and the metrics file show."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jitsu_backup.archive import archives_in, safe_text
from jitsu_backup.model import ago, shown_time
from jitsu_backup.store import last_asked

OVERDUE = timedelta(hours=25)
"""After how long without a backup a schedule seems to have stopped: each workspace is read at least once a day."""


@dataclass(frozen=True, slots=True)
class LastBackup:
    """When a workspace was last backed up (UTC). If it is not `certain`, runs that found nothing new are not counted.

    `host` is the console that the backup is of, if that is another one.
    """

    at: datetime
    certain: bool
    host: str = ""

    def words(self, now: datetime) -> str:
        """Return the time in words, and what to do if the schedule seems to have stopped."""
        later = "" if self.certain or now - self.at < timedelta(hours=1) else ", or later"
        stopped = now - self.at > OVERDUE
        advice = "; the schedule seems to have stopped: look at the log of its job" if stopped else ""
        of = f", of {self.host}" if self.host else ""
        return f"{shown_time(self.at)} ({ago(self.at, now)}{later}{of}){advice}"


def last_backup(
    listing: Mapping[str, int], workspace_id: str, reads: Mapping[str, float]
) -> LastBackup | None:
    """Return when a workspace was last backed up, or None if the store has no backup of it.

    `listing` is that of the store. `reads` says when each workspace was last read, by its id, in seconds of Unix time.
    """
    own = safe_text(workspace_id)
    taken = [one.taken_at for one in archives_in(listing) if one.workspace_id == own and not one.set_aside]
    if not taken:
        return None
    if workspace_id in reads:
        return LastBackup(datetime.fromtimestamp(reads[workspace_id], UTC), certain=True)
    asked = last_asked(listing, workspace_id)
    return LastBackup(max([*taken, *([] if asked is None else [asked])]), certain=False)
