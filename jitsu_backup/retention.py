"""Which archives to keep: snapshots, a policy and a moment give keep or remove, each with its reasons."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, tzinfo

from jitsu_backup.archive import INCOMPLETE, PRE_RESTORE, ArchiveName

_PERIODS: dict[str, Callable[[datetime], tuple[object, ...]]] = {
    "hourly": lambda moment: (moment.date(), moment.hour, moment.fold),
    "daily": lambda moment: (moment.date(),),
    "weekly": lambda moment: tuple(moment.isocalendar()[:2]),
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: (moment.year,),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How many to keep: the last ones, one of each of so many periods, all of a time span, all with a label.

    `pre_restore` is how long archives of before a restore are kept.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: timedelta = timedelta(0)
    labels: tuple[str, ...] = ()
    pre_restore: timedelta = timedelta(days=30)

    @property
    def empty(self) -> bool:
        """Whether it keeps nothing by itself."""
        return not any(getattr(self, f.name) for f in fields(self) if f.name != "pre_restore")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one archive, and why: every rule that keeps it, or why none does."""

    archive: ArchiveName
    keep: bool
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Room:
    """How many of one period are still to be kept, and which was kept last."""

    total: int
    taken: int = 0
    latest: tuple[object, ...] | None = field(default=None)


def judge(archives: Iterable[ArchiveName], policy: Policy, now: datetime, zone: tzinfo) -> list[Verdict]:
    """Give a verdict on every archive, by workspace, newest first; `zone` says when a day begins.

    The newest complete archive of a workspace is always kept, an incomplete one while no complete one
    is newer, and so is whatever is newer than `now`: a clock has jumped.
    """
    workspaces: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        workspaces[archive.workspace_id].append(archive)
    verdicts = []
    for _, members in sorted(workspaces.items()):
        verdicts += _judge_one(sorted(members, key=_age, reverse=True), policy, now, zone)
    return verdicts


def _judge_one(archives: list[ArchiveName], policy: Policy, now: datetime, zone: tzinfo) -> list[Verdict]:
    complete = [a for a in archives if INCOMPLETE not in a.marks and PRE_RESTORE not in a.marks]
    newest = complete[0] if complete else None
    position = {str(archive): number for number, archive in enumerate(complete)}
    rooms = {name: _Room(getattr(policy, name)) for name in _PERIODS}
    verdicts = []
    for archive in archives:
        if archive.taken_at > now:
            reasons = ["newer than now: a clock has jumped"]
        elif PRE_RESTORE in archive.marks:
            reasons = _of_before_a_restore(archive, policy, now)
        elif INCOMPLETE in archive.marks:
            late = newest is None or _age(archive) > _age(newest)
            reasons = ["incomplete, but no complete one is newer"] if late else []
        else:
            reasons = ["the newest complete one"] if archive is newest else []
            reasons += _by_policy(archive, position[str(archive)], policy, now, zone, rooms)
        labels = [f"label {mark}" for mark in archive.marks if mark in policy.labels]
        kept = (*reasons, *labels)
        verdicts.append(Verdict(archive, bool(kept), kept or (_why_not(archive),)))
    return verdicts


def _by_policy(
    archive: ArchiveName, position: int, policy: Policy, now: datetime, zone: tzinfo, rooms: dict[str, _Room]
) -> list[str]:
    reasons = [f"last {position + 1} of {policy.last}"] if position < policy.last else []
    local = archive.taken_at.astimezone(zone)
    for name, period in _PERIODS.items():
        room, this = rooms[name], period(local)
        if room.taken < room.total and this != room.latest:
            room.taken, room.latest = room.taken + 1, this
            reasons.append(f"{name} {room.taken} of {room.total}")
    if archive.taken_at > now - policy.within:
        reasons.append(
            f"within {policy.within.days} day(s)" if policy.within.days else "within the time span"
        )
    return reasons


def _of_before_a_restore(archive: ArchiveName, policy: Policy, now: datetime) -> list[str]:
    if archive.taken_at > now - policy.pre_restore:
        return [f"of before a restore, within {policy.pre_restore.days} day(s)"]
    return []


def _why_not(archive: ArchiveName) -> str:
    if PRE_RESTORE in archive.marks:
        return "of before a restore, long ago"
    if INCOMPLETE in archive.marks:
        return "incomplete, and a complete one is newer"
    return "no rule keeps it"


def _age(archive: ArchiveName) -> tuple[datetime, str]:
    return archive.taken_at, str(archive)
