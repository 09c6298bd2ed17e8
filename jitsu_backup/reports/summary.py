"""Statements about a whole plan that text and pages share: counts, extras in the target, whether it matches."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jitsu_backup.model import Snapshot, ago, flag, plural, quoted, shortened, shown_time, some_of
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.planning import (
    CODE_FIELDS,
    COPIED_HOSTS,
    Action,
    ActionKind,
    BeyondUpdate,
    ChangeKind,
    Changes,
    CopiedHosts,
    EntityChange,
    Extra,
    FieldChange,
    KeptThere,
    NotRecreated,
    Plan,
    Residue,
    Since,
    shortfalls,
)

_OF_A_KIND = 3  # the most similar notes that are shown
_NAMED = 6
_NAMED_ALIKE = 3
_LONGEST_REASON = 300
_VERBS = ("create", "update", "delete")

# the parts in which similar notes differ: names, ids in brackets, numbers, paths in a body
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\d+|(?<=its )\S+")


def taken(snapshot: Snapshot, digest: str, now: datetime, since: Since = Since.CLONE) -> str:
    """Return a line about the snapshot of a plan: its id, time and age; of an undo, that it is from before the run."""
    what, of = ("Back to", " from before the run of") if since is Since.RUN else ("Snapshot", "")
    moment = snapshot.taken_at
    return f"{what}: {digest[:12]},{of} {shown_time(moment)} ({ago(moment, now)})"


def from_and_into(plan: Plan) -> tuple[str, ...]:
    """Return the lines that name the source and target of a plan: one line, or two for two consoles."""
    source, target = plan.source, plan.target
    if plan.since is Since.RUN:
        return (f"Plan: undo of the last run in {target.slug or target.workspace_id} ({target.host})",)
    one, other = (side.slug or side.workspace_id for side in (source, target))
    if source.host == target.host:
        return (f"Plan: {one} into {other} ({target.host})",)
    return f"Plan: {one} ({source.host})", f"into: {other} ({target.host})"


def counted(plan: Plan) -> str:
    """Return how many entities a plan creates, updates, deletes and so on, in words."""
    counts, dead = plan.counts(), len(plan.dead)
    counts["skipped"] -= dead
    parts = [of_kind(count, name) for name, count in counts.items() if count]
    parts += [plural(dead, "dead connection")] if dead else []
    parts += [f"{plan.left_out} left out"] if plan.left_out else []
    with_builders = ((plan.with_builders, "written"), (plan.skipped_with_builders, "skipped"))
    aside = [
        f"{plural(count, 'function is', 'functions are')} {how} with {'its' if count == 1 else 'their'} profile builder"
        for count, how in with_builders
        if count
    ]
    return (", ".join(parts) or "nothing to do") + (f" ({', '.join(aside)})" if aside else "")


def of_kind(count: int, kind: str) -> str:
    """Return a number of actions of a kind, in words: `2 to create`, `1 unchanged`."""
    return f"{count} to {kind}" if kind in _VERBS else f"{count} {kind}"


def counted_changes(changes: Changes) -> str:
    """Return how many entities differ, by kind, and how many are unchanged."""
    counts = Counter(change.kind for change in changes.entities)
    parts = [f"{counts[kind]} {kind.value}" for kind in ChangeKind if counts[kind]] or ["no differences"]
    unchanged = sum(changes.unchanged.values())
    return ", ".join(parts + ([f"{unchanged} unchanged"] if unchanged else []))


def fields_of(change: EntityChange) -> Iterator[FieldChange]:
    """Yield the fields of an entity that exists on one side only."""
    added = change.kind is ChangeKind.ADDED
    for name, value in change.body.items():
        if value in (None, "", [], {}):
            continue
        program = name in CODE_FIELDS and isinstance(value, str)
        lines = [f"{'+' if added else '-'}{line}" for line in value.splitlines()] if program else ()
        yield FieldChange(name, None if added else value, value if added else None, code=tuple(lines))


def only_in_target(extras: Sequence[Extra], *, most: int = _NAMED) -> Iterator[str]:
    """Yield lines about what exists only in the target and is kept. Each names up to `most` entities."""
    kept = [e for e in extras if not e.left_out]
    for found, what, why in (
        ([e for e in kept if e.prunable and not e.dead], "", "kept; --prune deletes {them}"),
        ([e for e in kept if e.prunable and e.dead], "dead connection{s} ", "kept; --prune deletes {them}"),
        ([e for e in kept if e.own and not e.undone], "", "kept; --prune --prune-own deletes {them}"),
        (
            [e for e in kept if e.undone],
            "",
            "kept, because an undo re-created {them}; to delete {them} again, see the notes",
        ),
        ([e for e in kept if e.blocks], "", "kept; with --prune, the plan needs a decision about {them}"),
        ([e for e in kept if not (e.prunable or e.own or e.blocks)], "", "kept, even with --prune"),
        ([e for e in extras if e.left_out], "", "left out by --only or --skip"),
    ):
        if found:
            ordered = sorted(found, key=lambda extra: (extra.key.type, extra.name.casefold()))
            names = [f"{'' if what else f'{extra.key.type} '}{shortened(extra.name)}" for extra in ordered]
            s, them = ("", "it") if len(found) == 1 else ("s", "them")
            sentence = f"{len(found)} {what}only in the target, {why}".format(s=s, them=them)
            yield f"{sentence}: {some_of(names, most)}."


CHANGE, KEPT, DECIDE = "Will change", "Kept in the target", "Needs a decision"
"""The labels of the three lines that sum up a plan."""

ATTENTION, OVERWRITES = "Attention", "Overwrites changes of the target"
"""The labels of the lines about what is suspicious, and about what `--take` overwrites."""

_NAMED_OVERWRITTEN = 100  # nothing that somebody has changed may be overlooked

NOTHING = "nothing"


def three_lines(plan: Plan) -> dict[str, str]:
    """Return counts of what will change, what the target keeps and what needs a decision, by label."""
    counts, keys = plan.counts(), plan.made_keys
    change = [
        *(of_kind(counts[kind], kind) for kind in _VERBS if counts[kind]),
        *([plural(keys, "new write key")] if keys else []),
    ]
    spared = sum(isinstance(action.reason, KeptThere) for action in plan.actions)
    there = sum(not extra.left_out for extra in plan.extras) + spared
    own = {
        "changed there": sum(bool(action.own) for action in plan.actions),
        "deleted there": len(plan.deleted_there),
        "only there": there,
        **_own_values(plan),
    }
    conflicts = sum(bool(action.conflicts) for action in plan.blocked)
    decide = {
        "conflict" if conflicts == 1 else "conflicts": conflicts,
        "blocked for other reasons" if conflicts else "blocked": len(plan.blocked) - conflicts,
    }
    return {CHANGE: ", ".join(change) or NOTHING, KEPT: _counts(own), DECIDE: _counts(decide)}


def beside_the_change(plan: Plan) -> dict[str, str]:
    """Return the lines about what is overwritten, kept and needs a decision, by label, without the empty ones."""
    lines = {label: text for label, text in three_lines(plan).items() if label != CHANGE and text != NOTHING}
    return told_first(plan) | lines


def told_first(plan: Plan) -> dict[str, str]:
    """Return the lines that nobody must overlook, by label.

    They say what is suspicious, what `--take` overwrites, and which hosts are the source's.
    """
    again = [_called(action) for action in sorted(plan.overwriting, key=_only_undone) if brings_back(action)]
    lost, undone = (
        [
            _called(action, [one.path for one in action.overwrites if one.path])
            for action in plan.overwriting
            if not brings_back(action) and _only_undone(action) is by_undo
        ]
        for by_undo in (False, True)
    )
    found = [some_of(lost, _NAMED_OVERWRITTEN)] if lost else []
    found += [f"{len(undone)} taken back by an undo: {some_of(undone, _NAMED)}"] if undone else []
    found += [f"{len(again)} deleted there and re-created: {some_of(again, _NAMED)}"] if again else []
    counted = plural(len(plan.overwriting), "entity", "entities")
    lines = {ATTENTION: "; ".join(plan.attention)} if plan.attention else {}
    lines |= {OVERWRITES: f"{counted}: {'; '.join(found)}"} if found else {}
    hosts = [note.removeprefix(f"{COPIED_HOSTS}: ") for note in plan.notes if isinstance(note, CopiedHosts)]
    return lines | ({COPIED_HOSTS: hosts[0]} if hosts else {})


def _only_undone(action: Action) -> bool:
    """Return whether all that an action overwrites was made by an undo of the last clone."""
    return all(one.undone for one in action.overwrites)


def brings_back(action: Action) -> bool:
    """Return whether all that an action overwrites is that the target has deleted its entity."""
    return (
        action.kind is ActionKind.CREATE
        and bool(action.overwrites)
        and not any(one.path for one in action.overwrites)
    )


def other_notes(plan: Plan) -> list[str]:
    """Return the notes of a plan that `told_first` does not have."""
    return [note for note in plan.notes if not isinstance(note, CopiedHosts)]


def overwriting(action: Action) -> Iterator[str]:
    """Yield which changes of the target an action overwrites, and the flag that says so."""
    paths: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in action.overwrites if action.writes else ():
        paths[one.since, one.flag].append(one.path)
    for (since, option), found in paths.items():
        if found != [""]:
            what = f"overwrites {', '.join(found)}, which the target changed {since}"
        elif action.kind is ActionKind.DELETE:
            what = f"deletes it although the target changed it {since}"
        else:
            what = f"re-creates it although the target deleted it {since}"
        yield f"{what} ({option})"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count) or NOTHING


def own_changes(plan: Plan, *, most: int = _NAMED) -> Iterator[str]:
    """Yield lines about what changed in the target since the last clone, and what both sides changed.

    Each names up to `most` entities.
    """
    kept = [_called(action, action.own) for action in plan.actions if action.own]
    if kept:
        yield f"{plural(len(kept), 'entity', 'entities')} changed in the target, kept: {some_of(kept, most)}."
    gone = [_called(action) for action in plan.deleted_there]
    if gone:
        yield f"{plural(len(gone), 'entity', 'entities')} deleted in the target, not re-created: {some_of(gone, most)}."
    decide = [_called(action, action.conflicts) for action in plan.actions if action.conflicts]
    if decide:
        yield f"{plural(len(decide), 'conflict')} to resolve with --take: {some_of(decide, most)}."


def kept_there(plan: Plan) -> str:
    """Return what the target keeps as it changed or deleted it, and the flags that restore it; an empty text if nothing."""
    kept = plan.kept_there
    if not kept:
        return ""
    named = [_called(action, ["deleted"] if action.deleted_there else action.own) for action in kept]
    flags = [flag("--take", f"source:{plan.selectors.get(one.key, one.key)}") for one in kept[:_NAMED]]
    them = "it" if len(kept) == 1 else "them" if len(kept) == len(flags) else "the first of them"
    return f"Kept as changed in the target: {some_of(named, _NAMED)}; to restore {them}: {' '.join(flags)}"


def conflict_sides(plan: Plan, found: FieldChange) -> tuple[tuple[str, Any], ...]:
    """Return what both sides made of a field, with labels: in code the diff of each side, else three values.

    Without the record of a clone, code has one diff only.
    """
    if found.code and plan.since is Since.UNKNOWN:
        return (("from the target to the source", found.code),)
    kept, since = "kept in the target", plan.since.words
    if found.code:
        target = kept if found.kept else f"changed in the target {since}"
        return (f"changed in the source {since}", found.code), (target, found.own_code)
    base = f"source at the {plan.since.base}" if found.kept else plan.since.base
    return ("source", found.after), (base, found.base), (kept if found.kept else "target", found.before)


def stays_different(plan: Plan) -> str:
    """Return what a plan leaves different, as far as it knows, or an empty text if that is nothing.

    That is what an update cannot restore, what the target does not support, and what the snapshot lacks.
    """
    found = []
    for kind, words in (
        (BeyondUpdate, "unless you add --recreate"),
        (NotRecreated, "and cannot be re-created"),
    ):
        paths = (
            (one, [loss.path for loss in one.losses if isinstance(loss.reason, kind)]) for one in plan.actions
        )
        if named := [_called(one, of) for one, of in paths if of]:
            found.append(f"{some_of(named, _NAMED)}, {words}")
    others: dict[str, list[str]] = defaultdict(list)
    for line in shortfalls(one for one in plan.actions if one.kind is not ActionKind.BLOCKED):
        if not isinstance(line.reason, BeyondUpdate | NotRecreated):
            parts = (line.key.type, _name(line.name), shortened(line.path))
            others[shortened(line.reason, _LONGEST_REASON)].append(" ".join(filter(None, parts)))
    found += [f"{some_of(named, _NAMED_ALIKE)} ({reason})" for reason, named in others.items()]
    return some_of(found, _NAMED, "; ")


def why(action: Action, *, told: bool) -> Iterator[str]:
    """Yield the reasons of an action that its kind does not say; `told` where its fields are shown too."""
    if action.reason not in ("not in the target", "already as intended") and not (
        told and action.reason == "changes " + ", ".join(action.changes)
    ):
        yield action.reason
    yield from overwriting(action)
    if action.cuts_off:
        yield "senders need new write keys"
    if action.cursors and action.kind is ActionKind.CREATE:
        yield f"with {plural(len(action.cursors), 'sync cursor')}"
    if action.kind is not ActionKind.BLOCKED:
        yield from (f"without {loss.path or 'the whole entity'}: {loss.reason}" for loss in action.losses)
    against: dict[str, list[str]] = defaultdict(list)
    for one in action.declined:
        against[one.flag].append(one.field.path)
    for option, paths in against.items():
        yield f"keeps the target's {', '.join(paths)}, which the source changed too ({option})"
    decided = {one.field.path for one in action.declined}
    if kept := [*action.kept, *(path for path in action.own if path not in decided)]:
        yield f"keeps the target's {', '.join(kept)}"


def _called(action: Action, paths: Sequence[str] = ()) -> str:
    of = f" ({', '.join(paths)})" if paths else ""
    return f"{action.key.type} {_name(action.name)}{of}"


def _name(name: str) -> str:
    """Return a name for a sentence, in quotes if it has backquotes, so that Markdown shows it as one span of code."""
    return quoted(name) if "`" in name else shortened(name)


def _own_values(plan: Plan) -> dict[str, int]:
    """Return how many values of its own the target keeps, by words that name them."""
    found = [f"{path} of {_called(action)}" for action in plan.actions for path in action.kept]
    values = "value" if len(found) == 1 else "values"
    return {f"{values} of its own ({some_of(found, _OF_A_KIND)})": len(found)} if found else {}


def to_enable(plan: Plan, found: Iterable[Residue] = ()) -> str:
    """Return how many reverse syncs are off that run in the snapshot, in words; an empty text if there are none.

    Reverse syncs that are missing altogether, as `found` says, do not count.
    """
    missing = {line.key for line in found if not line.path}
    off = sum(action.off and action.key not in missing for action in plan.actions)
    return plural(off, "reverse sync is disabled", "reverse syncs are disabled") if off else ""


def matches(plan: Plan, extras: Sequence[Extra]) -> str:
    """Return in words whether a target without residue matches the whole snapshot."""
    outside = sum(extra.left_out for extra in extras)
    kept = {
        "only there": len(extras) - outside,
        "changed there": sum(bool(action.own) for action in plan.actions),
        "deleted there": len(plan.deleted_there),
        **_own_values(plan),
    }
    left_out = {
        "in the snapshot": plan.left_out,
        "only in the target": outside,
        "dead in the source": len(plan.dead),
    }
    also = [
        f"{label}: {', '.join(f'{count} {words}' for words, count in counts.items() if count)}"
        for label, counts in (("kept in the target", kept), ("left out", left_out))
        if any(counts.values())
    ]
    also += [off] if (off := to_enable(plan)) else []
    if also:
        other = "everything else that" if plan.kept_there else "everything that"
        return f"{other} was to be restored matches the snapshot; {'; '.join(also)}"
    hidden = any(action.unseen for action in plan.actions)
    return "the target matches the snapshot" + (", except for what Jitsu hides" if hidden else "")


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a page or a comment says about a restore.

    `found` is what still differs, `live` the target before the restore, `extras` what exists only in the target now.
    `way_back` is the command that undoes the restore. `ending` says why it did not complete, `disabled` which connections
    it left off and how to enable them. `command` is restore, clone or undo.
    """

    plan: Plan
    outcomes: Sequence[ActionOutcome]
    found: Sequence[Residue]
    snapshot: Snapshot
    live: Snapshot
    extras: Sequence[Extra] = ()
    way_back: str | None = None
    ending: str = ""
    disabled: str = ""
    command: str = "restore"


def end_of_restore(report: RestoreReport) -> tuple[bool, str]:
    """Return whether a restore carried out its whole plan, and how it ended, in words."""
    plan, ended, found, ending = report.plan, report.outcomes, report.found, report.ending
    done, failed = sum(o.status is Status.DONE for o in ended), sum(o.failed for o in ended)
    good = not (found or failed or ending)
    state = f"{done} of {plural(len(plan.writes), 'change')} applied" if plan.writes else "nothing to change"
    counts = ((len(found), "still different"), (failed, "not done"))
    troubles = [f"{count} {words}" for count, words in counts if count] + ([ending] if ending else [])
    if not good and (off := to_enable(plan, found)):
        troubles.append(off)
    disabled = f"; {report.disabled}" if report.disabled else ""
    return good, state + (
        f"; {matches(plan, report.extras)}" if good else f"; {', '.join(troubles)}"
    ) + disabled


def folded(notes: Iterable[str]) -> list[str]:
    """Return notes with similar ones folded: a few of each kind, then how many more there are."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        kinds[without_particulars(note)].append(note)
    shown: list[str] = []
    for alike in kinds.values():
        more = len(alike) - _OF_A_KIND
        shown += alike if more <= 1 else [*alike[:_OF_A_KIND], f"… and {more} more like this (-v shows all)"]
    return shown


def without_particulars(text: str) -> str:
    """Return a sentence without the names, numbers and paths that distinguish it from similar ones."""
    return _PARTICULAR.sub("", text)
