"""The shrink alarm: a workspace that suddenly holds much less than it did."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jitsu_backup.archive import ACCEPTED, LEAST_COUNT, PRE_RESTORE, SHRUNK, ArchiveName, backup_mark
from jitsu_backup.catalogue import counts_by_list

ALL = "all entities"

SHARE = 0.5
"""The share of the entities whose loss raises the shrink alarm, unless the settings say otherwise."""

_SYNC = "reverse-sync"

WINDOW = timedelta(days=7)
"""The shrink alarm compares with the largest counts of the archives from this time span."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How a type's count has fallen."""

    type: str
    before: int
    now: int

    def __str__(self) -> str:
        """Return the fall in words."""
        return f"{self.type}: {self.before} before, {self.now} now"


def falls(
    before: Mapping[str, int], now: Mapping[str, int], share: float, unread: Iterable[str] = ()
) -> tuple[Fall, ...]:
    """Return the types that lost more than `share` (0 to 1) of LEAST_COUNT or more entities.

    A type with no entities left has fallen however few there were, unless `share` is 1. A type that is not in `now` has
    no entities, unless it is one of `unread`.
    """
    compared = sorted(before.keys() - set(unread)) if share < 1 else ()
    found = (Fall(name, before[name], now.get(name, 0)) for name in compared)
    return tuple(fall for fall in found if fall.before and (not fall.now or _is_deep(fall, share)))


def _is_deep(fall: Fall, share: float) -> bool:
    return fall.before >= LEAST_COUNT and fall.before - fall.now > share * fall.before


def is_much_smaller(now: int | None, before: int | None) -> bool:
    """Return whether a workspace with `now` entities lost most of those that it had `before`; None is unknown."""
    return now is not None and before is not None and bool(falls({ALL: before}, {ALL: now}, SHARE))


def baseline_of(own: Iterable[ArchiveName]) -> ArchiveName | None:
    """Return the last complete archive of a workspace that raised no alarm, so that an open alarm is repeated."""
    complete = [archive for archive in own if archive.complete and archive.total is not None]
    sound = [archive for archive in complete if archive.sound] or complete
    return max(sound, key=lambda archive: archive.sort_key, default=None)


def compared_with(own: Iterable[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Return what the alarm compares with, newest first: the sound archives of the last WINDOW, and the one before it.

    While an alarm is open, the window ends where the alarm was raised, because time does not close it. Nothing from
    before an accepted archive counts.
    """
    known = list(own)
    last = baseline_of(known)
    if last is None:
        return []
    sound = sorted(
        (a for a in known if a.sound and a.total is not None), key=lambda a: a.sort_key, reverse=True
    )
    since = next((a.sort_key for a in sound if ACCEPTED in a.marks), None)
    sound = [archive for archive in sound if since is None or archive.sort_key >= since]
    start = next((alarm.taken_at for alarm in open_alarms(known)), now) - WINDOW
    recent = [archive for archive in sound if archive.taken_at > start]
    found = [*recent, *sound[len(recent) : len(recent) + 1]]
    return found if last in found else [last, *found]


def without_deleted(window: Iterable[ArchiveName], own: Iterable[ArchiveName]) -> list[ArchiveName]:
    """Return a window's archives without as many entities as restores, clones and undos have deleted since.

    Names say how many: a run leaves an archive of the workspace from before it and one of what it left, without what others
    did. A run that did not end left only what it was about to leave, so what it deleted counts as lost. `own` are all
    archives of the workspace.
    """
    known = list(own)
    backups = {backup_mark(archive): archive.counts for archive in known if PRE_RESTORE in archive.marks}
    runs = [(left, backups[mark]) for left in known if (mark := left.ended) in backups] if backups else []
    return [_without(archive, runs) for archive in window]


def _without(archive: ArchiveName, runs: Iterable[tuple[ArchiveName, Mapping[str, int]]]) -> ArchiveName:
    """Return an archive without what later runs deleted, each given by what it left and the counts from before it."""
    deleted = Counter[str]()
    for left, before in runs:
        if left.sort_key > archive.sort_key:
            unnamed = (left.total or 0) > sum(left.counts.values())  # the name had no room for all types
            deleted.update({name: before[name] for name in before if name in left.counts or not unnamed})
            deleted.subtract(left.counts)  # below zero if it created more
    gone = {name: min(count, archive.counts.get(name, 0)) for name, count in (+deleted).items()}
    if archive.total is None or not any(gone.values()):
        return archive
    counts = {name: count - gone.get(name, 0) for name, count in archive.counts.items()}
    return replace(archive, counts=counts, total=archive.total - sum(gone.values()))


def open_alarms(own: Iterable[ArchiveName]) -> list[ArchiveName]:
    """Return the archives of a workspace that raised the alarm since its last sound one, oldest first."""
    known = list(own)
    raised = [archive for archive in known if SHRUNK in archive.marks and archive.complete]
    last = baseline_of(known) if raised else None
    later = (archive for archive in raised if last and archive.sort_key > last.sort_key)
    return sorted(later, key=lambda archive: archive.sort_key)


def falls_since(
    window: Iterable[ArchiveName],
    now: Mapping[str, int],
    share: float,
    unread: Iterable[str] = (),
    alarms: Iterable[ArchiveName] = (),
) -> tuple[Fall, ...]:
    """Return what has fallen below the largest counts of a window's archives. `now` counts by type, as file names do.

    What raised one of the `alarms`, which are as `open_alarms` returns them, has fallen until there is as much of it as
    in the newest archive of the window.
    """
    archives, unread = list(window), list(unread)
    # formats 1 and 2 count reverse syncs among the links
    counted = dict if all(_SYNC in archive.counts for archive in archives) else counts_by_list
    # many small types together, or a name that had no room for all of them
    total = max((archive.total or 0 for archive in archives), default=0)
    most = _most(counted(archive.counts) for archive in archives)

    def fallen(now: Mapping[str, int], unread: Iterable[str] = ()) -> tuple[Fall, ...]:
        found = falls(most, now, share, unread)
        return found or (() if unread else falls({ALL: total}, {ALL: sum(now.values())}, share))

    now = counted(now)
    found = fallen(now, unread)
    if share >= 1 or not archives:
        return found
    last = {**counted(archives[0].counts), ALL: archives[0].total or 0}
    lost: set[str] = set()
    for alarm in alarms:
        then = counted(alarm.counts)
        fewer = {fall.type for fall in _fewer(last, then)}
        # without a fall, the archive that opened the alarm was removed, or the share was another one
        lost = ((lost & fewer) | {fall.type for fall in fallen(then)}) or fewer
    lost -= {*unread, *(fall.type for fall in found), *((ALL,) if unread else ())}
    return (*found, *(fall for fall in _fewer(last, now) if fall.type in lost))


def _fewer(before: Mapping[str, int], now: Mapping[str, int]) -> list[Fall]:
    """Return what there are fewer of than before."""
    there = {**now, ALL: sum(now.values())}
    found = (Fall(name, count, there.get(name, 0)) for name, count in sorted(before.items()))
    return [fall for fall in found if fall.now < fall.before]


def with_most(window: Iterable[ArchiveName], fallen: tuple[Fall, ...]) -> ArchiveName | None:
    """Return the newest archive of a window with the most of what has fallen, or if nothing has, the newest of all."""
    if not fallen:
        return next(iter(window), None)
    lost = fallen[0]
    return next(archive for archive in window if lost.before in _counts_of(archive, lost.type))


def _counts_of(archive: ArchiveName, what: str) -> tuple[int | None, ...]:
    """Return how many entities of a type an archive has, counted as its own format does and as older formats do."""
    if what == ALL:
        return (archive.total,)
    return archive.counts.get(what), counts_by_list(archive.counts).get(what)


def peaks(window: Iterable[ArchiveName]) -> list[ArchiveName]:
    """Return the archives with a window's largest counts: the newest with the most of each type, of all, and the newest."""
    archives = list(window)
    found = [
        *archives[:1],
        *_most_of_each(archives, lambda archive: archive.counts),
        *_most_of_each(archives, lambda archive: counts_by_list(archive.counts)),
    ]
    found += [max(reversed(archives), key=lambda archive: archive.total or 0)] if archives else []
    return found


def _most_of_each(
    archives: list[ArchiveName], counts: Callable[[ArchiveName], Mapping[str, int]]
) -> Iterator[ArchiveName]:
    for name in {name for archive in archives for name in counts(archive)}:
        yield max(reversed(archives), key=lambda archive: counts(archive).get(name, 0))


def _most(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found = Counter[str]()
    for each in counts:
        found |= Counter(each)
    return found
