"""Statements about a whole plan that text and pages share: counts, what only the target has, whether it matches."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from jitsu_backup.model import Snapshot, ago, shortened, shown_time, some_of
from jitsu_backup.planning import Extra, Plan

_OF_A_KIND = 3  # the most similar notes that are shown
_NAMED = 6

# the parts in which similar notes differ: names, ids in brackets, numbers, and paths in a body
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\d+|(?<=its )\S+")


def taken(snapshot: Snapshot, digest: str, now: datetime) -> str:
    """Return which snapshot a plan follows: its id, its time, its age."""
    moment = snapshot.taken_at
    return f"Snapshot: {digest[:12]}, {shown_time(moment)} ({ago(moment, now)})"


def counted(plan: Plan) -> str:
    """Return how many entities of the snapshot are created, updated and so on, and how many are deleted."""
    counts = plan.counts()
    counts["skipped"] -= len(plan.dead)
    told = [f"{count} {name}" for name, count in counts.items() if count]
    for count, how in ((plan.with_builders, ""), (plan.skipped_with_builders, "skipped ")):
        if count:
            told.append(f"{count} {how}with {'its' if count == 1 else 'their'} profile builder")
    dead = len(plan.dead)
    told += [f"{dead} dead connection{'' if dead == 1 else 's'}"] if dead else []
    told += [f"{plan.left_out} left out"] if plan.left_out else []
    return ", ".join(told) or "nothing to do"


def only_in_target(extras: Sequence[Extra], *, most: int = _NAMED) -> Iterator[str]:
    """Yield lines about what only the target has, and keeps; each names up to `most` entities."""
    kept = [e for e in extras if not e.left_out]
    for found, what, why in (
        ([e for e in kept if e.prunable and not e.dead], "", "kept; --prune deletes {them}"),
        ([e for e in kept if e.prunable and e.dead], "dead connection{s} ", "kept; --prune deletes {them}"),
        ([e for e in kept if not e.prunable], "", "kept, also with --prune"),
        ([e for e in extras if e.left_out], "", "left out by --only or --skip"),
    ):
        if found:
            names = [f"{'' if what else f'{extra.key.type} '}{shortened(extra.name)}" for extra in found]
            s, them = ("", "it") if len(found) == 1 else ("s", "them")
            told = f"{len(found)} {what}only in the target, {why}".format(s=s, them=them)
            yield f"{told}: {some_of(names, most)}."


def matches(plan: Plan, extras: Sequence[Extra]) -> str:
    """Return whether a target without residue matches the whole snapshot, in words."""
    own = sum(len(action.kept) for action in plan.actions)
    outside = sum(extra.left_out for extra in extras)
    beside = [
        f"{count} {words}"
        for count, words in (
            (len(extras) - outside, "only in the target"),
            (len(plan.dead), "dead in the source, not copied"),
            (plan.left_out, "left out"),
            (outside, "only in the target and left out"),
            (own, "of its own values kept"),
        )
        if count
    ]
    if beside:
        return f"all that was to be restored is as meant; beside that, {', '.join(beside)}"
    hidden = any(action.unseen for action in plan.actions)
    return "the target matches the snapshot" + (", as far as Jitsu shows it" if hidden else "")


def folded(notes: Iterable[str]) -> list[str]:
    """Return notes with similar ones folded: some of each kind, then how many more there are."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        kinds[_PARTICULAR.sub("", note)].append(note)
    return [
        line
        for alike in kinds.values()
        for line in (
            alike
            if len(alike) <= _OF_A_KIND + 1
            else [*alike[:_OF_A_KIND], f"… and {len(alike) - _OF_A_KIND} more like that (-v shows all)"]
        )
    ]
