"""Which archives to keep: snapshots, a policy and a moment give keep or remove, each with its reasons."""

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, tzinfo
from itertools import count, pairwise, zip_longest
from typing import Any

from jitsu_backup.archive import (
    ACCEPTED,
    INCOMPLETE,
    OPERATOR,
    PRE_RESTORE,
    SHRUNK,
    WEAKER,
    ArchiveName,
    digits_changed,
    is_label,
    least_changed,
)
from jitsu_backup.archive.shrinkage import compared_with, peaks
from jitsu_backup.errors import UsageError
from jitsu_backup.model import plural

_PERIODS: dict[str, Callable[[datetime], tuple[object, ...]]] = {
    "hourly": lambda moment: (moment.date(), moment.hour, moment.fold),
    "daily": lambda moment: (moment.date(),),
    "weekly": lambda moment: tuple(moment.isocalendar()[:2]),
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: (moment.year,),
}

_SAFETY = ("pre_restore", "shrunk")
"""Rules for archives that were set aside: they keep nothing of the ordinary ones."""

CHANGE, CHANGE_KEPT = 3, timedelta(days=1)
"""How many entities may change before the last archive from before that is kept, and for how long it is."""

_SPAN = re.compile(r"(\d{1,5})([hdwmy])", re.ASCII)
_LONGEST_HOURS = 200 * 366 * 24
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "m": 24 * 31, "y": 24 * 366}


@dataclass(frozen=True, slots=True)
class Policy:
    """How many to keep: the last ones, one of each of so many periods, all of a time span, all with a label.

    `label` names the labels that keep an archive; None: any. `pre_restore` is how long archives of before a restore are kept, `shrunk` how long those that set off
    the shrink alarm, each with the last complete one before it.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: timedelta = timedelta(0)
    label: tuple[str, ...] | None = None
    pre_restore: timedelta = timedelta(days=30)
    shrunk: timedelta = timedelta(days=30)

    @property
    def empty(self) -> bool:
        """Whether it keeps nothing by itself."""
        return not any(getattr(self, f.name) for f in fields(self) if f.name not in _SAFETY)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one archive, and why: every rule that keeps it, or why none does."""

    archive: ArchiveName
    keep: bool
    reasons: tuple[str, ...]


_NEWEST = {
    None: "the newest complete one",
    WEAKER: "the newest that a weaker key read",
    OPERATOR: "the newest that the operator's token read",
}


@dataclass(slots=True)
class _Room:
    """How many of one period are still to be kept, and which was kept last."""

    total: int
    taken: int = 0
    latest: tuple[object, ...] | None = field(default=None)


def policy_of(given: Mapping[str, Any]) -> Policy:
    """Make a policy of `keep_…` settings, as flags and the settings' `[retention]` have them. Raises UsageError."""
    known = [f"keep_{f.name}" for f in fields(Policy)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise UsageError(f"retention: unknown setting {name!r}; {hint}")
    rules: dict[str, Any] = {name: span(given.get(f"keep_{name}", "30d")) for name in _SAFETY}
    for name in ("last", *_PERIODS):
        count = given.get(f"keep_{name}", 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UsageError(f"retention: keep_{name} must be a whole number, not {count!r}")
        rules[name] = count
    labels = given.get("keep_label")
    labels = (labels,) if isinstance(labels, str) else labels
    if labels is not None and not isinstance(labels, list | tuple):
        raise UsageError("retention: keep_label must be text, or a list of texts")
    for label in labels or ():
        if not isinstance(label, str) or not is_label(label):
            raise UsageError(f"retention: {label!r} is no label: lower-case letters, digits and hyphens")
    chosen = None if labels is None else tuple(labels)
    return Policy(within=span(given.get("keep_within", "0d")), label=chosen, **rules)


def span(text: object) -> timedelta:
    """Read a time span such as `36h` or `14d`. Raises UsageError."""
    match = _SPAN.fullmatch(str(text))
    if match is None or int(match[1]) * _HOURS[match[2]] > _LONGEST_HOURS:
        raise UsageError(f"{text!r} is no time span: write 36h, 14d, 8w, 6m (of 31 days) or 2y")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def judge(archives: Iterable[ArchiveName], policy: Policy, now: datetime, zone: tzinfo) -> list[Verdict]:
    """Give a verdict on every archive, by workspace, newest first; `zone` says when a day begins.

    The newest complete archive of a workspace is always kept, of each kind of key that read any; an incomplete one
    while no complete one is newer; and what is dated after `now`: a clock has jumped. What set off the shrink alarm stays
    for a while with the complete one before it, so that no schedule can push out the state before the loss; so do
    for CHANGE_KEPT the two archives between which more than CHANGE entities changed. What is damaged takes no place and stays.
    """
    workspaces: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        workspaces[archive.workspace_id].append(archive)
    verdicts = []
    for _, members in sorted(workspaces.items()):
        verdicts += _judge_one(
            sorted(members, key=lambda archive: archive.age, reverse=True), policy, now, zone
        )
    return verdicts


def _judge_one(archives: list[ArchiveName], policy: Policy, now: datetime, zone: tzinfo) -> list[Verdict]:
    # one of the future is kept, but takes no place: else one clock gone wrong would push out all true ones
    complete = [a for a in archives if a.complete and not a.is_from_the_future(now)]
    newest = complete[0] if complete else None
    # spans end at the newest archive, not at a moment that a clock gone wrong may tell
    end = newest.taken_at if newest is not None else now
    recent = [
        number
        for number, (archive, earlier) in enumerate(zip_longest(complete, complete[1:]))
        if SHRUNK in archive.marks
        and archive.taken_at > end - policy.shrunk
        and (earlier is None or SHRUNK not in earlier.marks)  # the first of several that say the same
    ]
    alarms = {n: [f"it set off the shrink alarm, within {_days(policy.shrunk)}"] for n in recent}
    for n in recent:
        alarms.setdefault(n + 1, []).append(
            f"the last one before {complete[n].digest_prefix}, which set off the shrink alarm"
        )
    for n, reasons in _changes(complete, end).items():
        alarms.setdefault(n, []).extend(reasons)
    if newest is not None and not newest.sound:  # an alarm that nobody has accepted
        sound = [archive for archive in complete if archive.sound]
        compared = [*sound[:1], *peaks(compared_with(complete, newest.taken_at))]
        for place in [n for n, archive in enumerate(complete) if archive in compared]:
            alarms.setdefault(place, []).append("what an alarm that is not accepted compares with")
    accepted = next((n for n, archive in enumerate(complete) if ACCEPTED in archive.marks), None)
    if accepted is not None:
        alarms.setdefault(accepted, []).append(
            "what was accepted: the shrink alarm compares with nothing from before"
        )
    # each kind of key has places of its own: what a weaker one read pushes out nothing that a better one did
    rooms = {
        kind: {name: _Room(getattr(policy, name)) for name in _PERIODS} for kind in (None, WEAKER, OPERATOR)
    }
    ranks = {kind: count() for kind in rooms}
    verdicts, places = [], count()
    for archive in archives:
        if archive.damaged:
            reasons = [
                f"damaged: {archive.found:,} of its {archive.size:,} bytes are there; prune --quarantine puts it aside"
            ]
        elif archive.is_from_the_future(now):
            reasons = ["newer than now: a clock has jumped"]
        elif archive.set_aside:
            reasons = _set_aside(archive, policy, end)
        elif INCOMPLETE in archive.marks:
            late = newest is None or archive.age > newest.age
            reasons = ["incomplete, but no complete one is newer"] if late else []
        else:
            place, rank = next(places), next(ranks[archive.key_class])
            reasons = [_NEWEST[archive.key_class]] if rank == 0 else []
            reasons += _by_policy(archive, rank, policy, end, zone, rooms[archive.key_class])
            reasons += alarms.get(place, [])
        kept = (*reasons, *_labels(archive, policy))
        verdicts.append(Verdict(archive, bool(kept), kept or (_why_not(archive),)))
    return verdicts


def _changes(complete: list[ArchiveName], end: datetime) -> dict[int, list[str]]:
    """Return why archives stay between which much changed, by their places: the last from before, and the first after.

    The second stays so that the next prune finds the same change.
    """
    found: dict[int, list[str]] = defaultdict(list)
    for n, (later, earlier) in enumerate(pairwise(complete)):
        if later.taken_at <= end - CHANGE_KEPT:
            break
        changed = least_changed(earlier, later)
        # where 3 digits of the sketch differ, 4 or more entities may: two in one bucket, or a digit that stayed the same
        if changed > CHANGE or digits_changed(earlier.sketch, later.sketch) == CHANGE:
            told = f"changed {changed} or more entities, within {_days(CHANGE_KEPT)}"
            found[n].append(f"it {told}")
            found[n + 1].append(f"the last one before {later.digest_prefix}, which {told}")
    return found


def _labels(archive: ArchiveName, policy: Policy) -> list[str]:
    labels = [mark for mark in archive.marks if mark in archive.labels]
    return [f"label {label}" for label in labels if policy.label is None or label in policy.label]


def _by_policy(
    archive: ArchiveName, place: int, policy: Policy, end: datetime, zone: tzinfo, rooms: dict[str, _Room]
) -> list[str]:
    reasons = [f"last {place + 1} of {policy.last}"] if place < policy.last else []
    for name, room in rooms.items():
        if room.taken < room.total:
            this = _PERIODS[name](archive.taken_at.astimezone(zone))
            if this != room.latest:
                room.taken, room.latest = room.taken + 1, this
                reasons.append(f"{name} {room.taken} of {room.total}")
    if archive.taken_at > end - policy.within:
        reasons.append(f"within {_days(policy.within)}")
    return reasons


def _set_aside(archive: ArchiveName, policy: Policy, end: datetime) -> list[str]:
    if archive.taken_at > end - policy.pre_restore:
        what = "of before a restore" if PRE_RESTORE in archive.marks else "packed by hand"
        return [f"{what}, within {_days(policy.pre_restore)}"]
    return []


def _days(time_span: timedelta) -> str:
    days, hours = time_span.days, int(time_span.total_seconds() // 3600)
    return plural(days, "day") if days and hours == days * 24 else plural(hours, "hour")


def _why_not(archive: ArchiveName) -> str:
    if archive.set_aside:
        return "of before a restore, or packed, long ago"
    if INCOMPLETE in archive.marks:
        return "incomplete, and a complete one is newer"
    return "no rule keeps it"
