"""The alarms of earlier backups that still stand, from what the archives' names say."""

from collections.abc import Iterable, Iterator

from jitsu_backup.archive import WEAKER, ArchiveName
from jitsu_backup.archive.shrinkage import open_alarms
from jitsu_backup.operations.alarms import Again, Alarm, What
from jitsu_backup.operations.snapshots import before_loss, previous_of
from jitsu_backup.store import better_than_weaker, latest_of


def standing_alarms(own: Iterable[ArchiveName], again: Again, shrink_alarm: float) -> Iterator[Alarm]:
    """Yield the alarms of a workspace that no later backup has ended; `own` are its archives.

    `again` is as in `remedy_for`, `shrink_alarm` a share from 0 to 1.
    """
    known = list(own)
    newest = latest_of(known)
    if newest is None:
        return
    for shrunk in open_alarms(known)[-1:] if shrink_alarm < 1 else ():
        before = previous_of(shrunk, known, shrink_alarm)
        accept = f"accept it with `{again('backup', newest.slug, '--accept-shrink')}`"
        look = "" if before is None else again("diff", before.reference, shrunk.reference)
        remedy = f"see what is gone with `{look}`; if that was on purpose, {accept}" if look else accept
        why = f"{shrunk.reference}: {before_loss(shrunk, known, shrink_alarm)}"
        yield Alarm(What.SHRUNK, why, remedy, newest.slug)
    better = better_than_weaker(known) if newest.key_class == WEAKER else None
    if better is not None:
        accept = again("backup", newest.slug, "--accept-shrink")
        remedy = f"back up with the key of an owner or an editor, or accept the weaker one with `{accept}`"
        yield Alarm(What.WEAKER, f"`latest` still means {better.reference}", remedy, newest.slug)
