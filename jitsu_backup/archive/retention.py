"""Which archives to keep: a policy gives every archive a verdict (keep or remove) and its reasons."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    backup_mark,
    digits_changed,
    is_label,
    least_changed,
)
from jitsu_backup.archive.run_parts import last_parts
from jitsu_backup.archive.shrinkage import compared_with, peaks
from jitsu_backup.errors import UsageError
from jitsu_backup.model import nearest, plural

_PERIODS: dict[str, Callable[[datetime], tuple[object, ...]]] = {
    "hourly": lambda moment: (moment.date(), moment.hour, moment.fold),
    "daily": lambda moment: (moment.date(),),
    "weekly": lambda moment: tuple(moment.isocalendar()[:2]),
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: (moment.year,),
}

_SAFETY = ("pre_restore", "shrunk")
"""Rules for archives that are not backups. They keep no ordinary archive."""

CHANGE, CHANGE_KEPT = 3, timedelta(days=1)
"""How many entities must change so that the archive from before the change is kept, and for how long it is kept."""

_SPAN = re.compile(r"(\d{1,5})(mo|[hdwmy])", re.ASCII)
_LONGEST_HOURS = 200 * 366 * 24
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "mo": 24 * 31, "m": 24 * 31, "y": 24 * 366}


@dataclass(frozen=True, slots=True)
class Policy:
    """How many archives to keep: the last ones, one for each of some periods, all in a time span, all with a label.

    `label` names the labels that keep an archive, and None means any. `pre_restore` is how long archives from before a
    restore, packed ones and records of earlier clones are kept. `shrunk` is how long archives that raised the shrink alarm
    are kept, each with the last complete one before it.
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
        """Whether the policy itself keeps nothing."""
        return not any(getattr(self, f.name) for f in fields(self) if f.name not in _SAFETY)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one archive is kept, and why: each rule that keeps it, or why none does."""

    archive: ArchiveName
    keep: bool
    reasons: tuple[str, ...]


_NEWEST = {
    None: "the newest complete one",
    WEAKER: "the newest one read with a weaker key",
    OPERATOR: "the newest one read with the operator's token",
}


@dataclass(slots=True)
class _Room:
    """How many archives of one period to keep, and which was kept last."""

    total: int
    taken: int = 0
    latest: tuple[object, ...] | None = field(default=None)


def policy_of(given: Mapping[str, Any]) -> Policy:
    """Return the policy of `keep_…` settings, as flags and the settings' `[retention]` have them. Raise UsageError."""
    known = [f"keep_{f.name}" for f in fields(Policy)]
    for name in given:
        if name not in known:
            hint = nearest(name, known) or f"; use one of {', '.join(known)}"
            raise UsageError(f"retention: unknown setting {name!r}{hint}")
    rules: dict[str, Any] = {name: span(given.get(f"keep_{name}", "30d")) for name in _SAFETY}
    for name in ("last", *_PERIODS):
        count = given.get(f"keep_{name}", 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UsageError(
                f"retention: keep_{name} must be a whole number, not {count!r}; write one, such as 14"
            )
        rules[name] = count
    labels = given.get("keep_label")
    labels = (labels,) if isinstance(labels, str) else labels
    if labels is not None and not isinstance(labels, list | tuple):
        raise UsageError("retention: keep_label must be text or a list of texts; write it as one")
    for label in labels or ():
        if not isinstance(label, str) or not is_label(label):
            raise UsageError(
                f"retention: {label!r} is not a label; use lower-case letters, digits and hyphens"
            )
    chosen = None if labels is None else tuple(labels)
    return Policy(within=span(given.get("keep_within", "0d")), label=chosen, **rules)


def span(text: object) -> timedelta:
    """Return a time span written such as `36h` or `14d`. Raise UsageError."""
    match = _SPAN.fullmatch(str(text))
    if match is None or int(match[1]) * _HOURS[match[2]] > _LONGEST_HOURS:
        raise UsageError(f"{text!r} is not a time span; write 36h, 14d, 8w, 6mo (of 31 days) or 2y")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def judge(archives: Iterable[ArchiveName], policy: Policy, now: datetime, zone: tzinfo) -> list[Verdict]:
    """Return a verdict on every archive, by workspace, newest first. `zone` says when a day begins.

    These are always kept: a workspace's newest complete archive of each kind of key, an incomplete one while no complete
    one is newer, and any dated after `now`, because a clock was wrong. An archive that raised the shrink alarm is kept for a
    while, with the complete one before it, so that no schedule removes the state before the loss. The newest record of
    the clones from each source is kept with newer intents, because the next clone needs them. Two archives between which
    more than CHANGE entities changed are kept for CHANGE_KEPT. A damaged archive is kept, but does not count for any rule.
    """
    workspaces: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        workspaces[archive.workspace_id].append(archive)
    verdicts = []
    for _, members in sorted(workspaces.items()):
        members.sort(key=lambda archive: archive.sort_key, reverse=True)
        verdicts += _judge_one(members, policy, now, zone)
    return verdicts


def _judge_one(archives: list[ArchiveName], policy: Policy, now: datetime, zone: tzinfo) -> list[Verdict]:
    # an archive from the future is kept, but does not count: otherwise one wrong clock could remove all others
    complete = [a for a in archives if a.complete and not a.is_from_the_future(now)]
    newest = complete[0] if complete else None
    # spans end at the newest archive, not at `now`, because the clock may be wrong
    end = newest.taken_at if newest is not None else now
    protected = _protected(complete, policy, end)
    # each kind of key is counted separately, so that a weaker key's archives never displace a stronger key's
    rooms = {
        kind: {name: _Room(getattr(policy, name)) for name in _PERIODS} for kind in (None, WEAKER, OPERATOR)
    }
    ranks = {kind: count() for kind in rooms}
    last_clones, parts = _last_clones(archives, now), last_parts(archives)
    verdicts, places = [], count()
    for archive in archives:
        if archive.damaged:
            reasons = [f"damaged: {archive.remains}; move it away with prune --quarantine"]
        elif archive.is_from_the_future(now):
            reasons = ["dated in the future: a clock was wrong"]
        elif archive in last_clones:
            reasons = [f"{_CLONE[archive.is_intent]} {_from(archive)}"]
        elif archive.set_aside:
            reasons = _set_aside(archive, policy, end, parts)
        elif INCOMPLETE in archive.marks:
            late = newest is None or archive.sort_key > newest.sort_key
            reasons = ["incomplete, but no complete one is newer"] if late else []
        else:
            place, rank = next(places), next(ranks[archive.key_class])
            reasons = [_NEWEST[archive.key_class]] if rank == 0 else []
            reasons += _by_policy(archive, rank, policy, end, zone, rooms[archive.key_class])
            reasons += protected.get(place, [])
        kept = (*reasons, *_labels(archive, policy))
        verdicts.append(Verdict(archive, bool(kept), kept or (_why_not(archive),)))
    return verdicts


def _protected(complete: list[ArchiveName], policy: Policy, end: datetime) -> dict[int, list[str]]:
    """Return why archives are kept whatever the policy says, by their places among the complete ones, newest first."""
    found: dict[int, list[str]] = defaultdict(list)
    for place, reason in (
        *_shrink_alarms(complete, policy, end),
        *_changes(complete, end),
        *_compared(complete),
        *_accepted(complete),
    ):
        found[place].append(reason)
    return found


def _shrink_alarms(complete: list[ArchiveName], policy: Policy, end: datetime) -> Iterator[tuple[int, str]]:
    """Yield the archives that raised the shrink alarm, then those before them, each by place, and why it is kept."""
    recent = [
        place
        for place, (archive, earlier) in enumerate(zip_longest(complete, complete[1:]))
        if SHRUNK in archive.marks
        and archive.taken_at > end - policy.shrunk
        and (earlier is None or SHRUNK not in earlier.marks)  # the first of several that say the same
    ]
    for place in recent:
        yield place, f"it raised the shrink alarm, within {_days(policy.shrunk)}"
    for place in recent:
        name = complete[place].digest_prefix
        yield place + 1, f"the last one before {name}, which raised the shrink alarm"


def _compared(complete: list[ArchiveName]) -> Iterator[tuple[int, str]]:
    """Yield the archives that an open alarm compares with, by place."""
    if not complete or complete[0].sound:
        return
    sound = [archive for archive in complete if archive.sound]
    compared = [*sound[:1], *peaks(compared_with(complete, complete[0].taken_at))]
    for place, archive in enumerate(complete):
        if archive in compared:
            yield place, "an open shrink alarm compares with it"


def _accepted(complete: list[ArchiveName]) -> Iterator[tuple[int, str]]:
    """Yield the newest archive that was accepted after an alarm, by place."""
    for place, archive in enumerate(complete):
        if ACCEPTED in archive.marks:
            yield place, "accepted: the shrink alarm compares with nothing before it"
            return


def _changes(complete: list[ArchiveName], end: datetime) -> Iterator[tuple[int, str]]:
    """Yield the archives between which much changed, the last one before and the first one after, by place.

    The second is kept so that the next prune finds the same change.
    """
    for place, (later, earlier) in enumerate(pairwise(complete)):
        if later.taken_at <= end - CHANGE_KEPT:
            return
        changed = least_changed(earlier, later)
        # where 3 digits of the sketch differ, 4 or more entities may: two in one bucket, or a digit that stayed the same
        if changed > CHANGE or digits_changed(earlier.sketch, later.sketch) == CHANGE:
            reason = f"changed {changed} or more entities, within {_days(CHANGE_KEPT)}"
            yield place, f"it {reason}"
            yield place + 1, f"the last one before {later.digest_prefix}, which {reason}"


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


def _last_clones(archives: Iterable[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Return the newest record of a clone from each source among the archives of a workspace, and all newer intents."""
    found: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:  # newest first
        lost = archive.damaged or archive.is_from_the_future(now)
        if archive.cloned_from and archive.left_after is None and not lost:
            newer = found[archive.cloned_from]
            newer += [archive] if all(one.is_intent for one in newer) else []
    return [archive for newer in found.values() for archive in newer]


_CLONE = ("the record of the last clone", "the intent of an unfinished clone")
"""Why the newest record is kept, and why an intent is."""


_OF_RUN = ("the state that a run left", "what a run was about to write")


def _from(archive: ArchiveName) -> str:
    return f"from {str(archive.cloned_from).removeprefix('from-')}"


def _set_aside(
    archive: ArchiveName, policy: Policy, end: datetime, parts: Mapping[str, ArchiveName]
) -> list[str]:
    """Return why an archive that is no backup is kept. One that an undo of a continued run needs is as old as its last part."""
    if archive.is_intent:  # that clone, or a later one, has ended
        return []
    why, within, since = _why_set_aside(archive), _days(policy.pre_restore), end - policy.pre_restore
    if archive.taken_at > since:
        return [f"{why}, within {within}"]
    last = parts.get(archive.begun or (backup_mark(archive) if PRE_RESTORE in archive.marks else ""))
    if last is not None and last.taken_at > since:
        return [f"{why}, and a run within {within} may continue that one"]
    return []


def _why_set_aside(archive: ArchiveName) -> str:
    if archive.left_after is not None:
        return f"{_OF_RUN[archive.begun is not None]}, for undo"
    if archive.cloned_from is not None:
        return f"the record of an earlier clone {_from(archive)}"
    return "from before a restore" if PRE_RESTORE in archive.marks else "packed by hand"


def _days(time_span: timedelta) -> str:
    days, hours = time_span.days, time_span // timedelta(hours=1)
    return plural(days, "day") if days and hours == days * 24 else plural(hours, "hour")


def _why_not(archive: ArchiveName) -> str:
    if archive.is_intent:
        return f"the intent of a clone {_from(archive)}, and a later clone has ended"
    if archive.set_aside:
        return f"{_why_set_aside(archive)}, and too old"
    if INCOMPLETE in archive.marks:
        return "incomplete, and a complete one is newer"
    return "no rule keeps it"
