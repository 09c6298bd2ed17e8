"""Reports as HTML, one function for each kind of page. Pages hold no secrets and no new write keys."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from jitsu_backup.catalogue import owned_functions
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.planning import Action, ChangeKind, Changes, Extra, Kind, Plan, Residue
from jitsu_backup.reports.overlay import overlay_text
from jitsu_backup.reports.page import Cell, Details, Fact, Mark, Page, Table
from jitsu_backup.reports.page_entities import (
    PageEntities,
    body_blocks,
    called,
    change_details,
    ledger,
    named,
    origin,
    plan_entities,
    plan_facts,
    redacted,
    side_key_of,
)
from jitsu_backup.reports.page_rendering import render
from jitsu_backup.reports.summary import counted, matches

_CHANGED = {ChangeKind.ADDED: Mark.ADDED, ChangeKind.REMOVED: Mark.REMOVED, ChangeKind.CHANGED: Mark.CHANGED}
_PLANNED = {
    Kind.CREATE: (Mark.ADDED, "to be created"),
    Kind.UPDATE: (Mark.CHANGED, "to be updated"),
    Kind.DELETE: (Mark.REMOVED, "to be deleted"),
    Kind.UNCHANGED: (Mark.PLAIN, "in place"),
    Kind.SKIPPED: (Mark.SKIPPED, "skipped"),
    Kind.BLOCKED: (Mark.BLOCKED, "blocked"),
}
_DONE = {Kind.CREATE: "created", Kind.UPDATE: "updated", Kind.DELETE: "deleted"}


def snapshot_page(snapshot: Snapshot, content_digest: str, *, only: Iterable[Entity] | None = None) -> str:
    """Return a page about a snapshot, or about `only` some of its entities and what their connections join."""
    manifest = snapshot.manifest
    masked: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in manifest.ledger:
        masked[line.type, line.id].append(line.path)
    owners = dict(owned_functions(snapshot.entities))
    names = {entity.key.id: entity.name for entity in snapshot.entities}
    chosen = snapshot.entities if only is None else tuple(only)
    shown = PageEntities()
    shown.offer("", snapshot)
    for entity in chosen:
        facts = []
        if entity.key in masked:
            facts.append(Fact("Jitsu does not show", ", ".join(masked[entity.key])))
        if entity.key.type == "function" and entity.key.id in owners:
            facts.append(Fact("belongs to", names.get(owners[entity.key.id], owners[entity.key.id])))
        if entity.key.id in snapshot.cursors and entity.key.type == "link":
            facts.append(Fact("cursors of", ", ".join(sorted(snapshot.cursors[entity.key.id]))))
        shown.put(
            "", entity, Mark.PLAIN, "", Details(facts=tuple(facts), blocks=body_blocks(redacted(entity)))
        )
    items = shown.items()
    refused = [Cell(refusal.what) for refusal in manifest.refused]
    tables = []
    if refused:
        rows = [(c, Cell(r.reason)) for c, r in zip(refused, manifest.refused, strict=True)]
        tables.append(Table("Refused by the console", ("What", "Why"), tuple(rows), urgent=True))
    tables += ledger(snapshot, shown, None if only is None else {entity.key for entity in chosen})
    cut = "consistent" if manifest.consistent else "it kept changing while it was read"
    state = "complete" if manifest.complete else "INCOMPLETE"
    facts = [*origin("", snapshot), Fact("digest", content_digest)]
    if only is not None:
        facts.append(Fact("chosen", f"{len(chosen)} of {len(snapshot.entities)} entities"))
    more = [("not offered by this console", manifest.not_offered), ("of types not known", manifest.generic)]
    facts += [Fact(label, ", ".join(values)) for label, values in more if values]
    return render(
        Page(
            "Snapshot", called(manifest.source), f"{state}, {cut}", "good" if manifest.complete else "bad",
            tuple(facts), (), tuple(tables), items,
        )
    )  # fmt: skip


def changes_page(changes: Changes, *, only: Iterable[str] = ()) -> str:
    """Return a page about the differences between two snapshots; `only` are the selectors in use, if any."""
    shown = PageEntities()
    shown.offer("before", changes.before, pairs=changes.pairs)
    shown.offer("after", changes.after)
    found = {change.after for change in changes.entities}
    for change in changes.entities:
        side = "before" if change.after is None else "after"
        entity = shown.entity(side, change.after or change.before)
        mark = _CHANGED[change.kind]
        shown.put(side, entity, mark, change.kind.value, change_details(change), change.was or "")
    selectors = tuple(only)
    if not selectors:
        same = set(changes.same)
        for entity in changes.after.entities:
            if entity.key in found:
                continue
            word = "unchanged" if entity.key in same else "not compared"
            shown.put("after", entity, Mark.PLAIN, word, Details(blocks=body_blocks(redacted(entity))))
    counts = Counter(change.kind for change in changes.entities)
    told = [f"{counts[kind]} {kind.value}" for kind in ChangeKind if counts[kind]] or ["no differences"]
    same_count = sum(changes.unchanged.values())
    facts = [*origin("from", changes.before), *origin("to", changes.after)]
    if selectors:
        facts.append(Fact("only", ", ".join(selectors)))
    one, other = map(called, changes.sources)
    whole = changes.before.manifest.complete and changes.after.manifest.complete
    return render(
        Page(
            "What changed", one if one == other else f"{one} → {other}",
            ", ".join([*told, *([f"{same_count} unchanged"] if same_count else [])])
            + ("" if whole else "; INCOMPLETE: a side could not be read whole"),
            "bad" if not whole else "told" if changes.entities else "good", tuple(facts), changes.notes, (), shown.items(),
        )
    )  # fmt: skip


def plan_page(plan: Plan, snapshot: Snapshot, live: Snapshot) -> str:
    """Return a page about a plan to bring `live` to the state of `snapshot`, before anything is carried out."""
    shown = plan_entities(plan, snapshot, live, lambda action: _PLANNED[action.kind])
    tables = []
    if plan.blocked:
        rows = tuple((*named(shown, action), Cell(action.reason)) for action in plan.blocked)
        tables.append(
            Table(
                "Blocked: this needs a decision, nothing is written",
                ("Type", "Name", "Why"),
                rows,
                urgent=True,
            )
        )
    return render(
        Page(
            "Plan", f"{called(plan.source)} → {called(plan.target)}",
            counted(plan), "bad" if plan.blocked else "told" if plan.writes else "good",
            plan_facts(plan, snapshot, live), plan.notes,
            (*tables, *ledger(snapshot, shown)), shown.items(), overlay_text(plan) if plan.blocked else "",
        )
    )  # fmt: skip


def restore_page(
    plan: Plan,
    outcomes: Iterable[ActionOutcome],
    found: Iterable[Residue],
    snapshot: Snapshot,
    live: Snapshot,
    *,
    extras: Sequence[Extra] = (),
    way_back: str | None = None,
    ending: str = "",
) -> str:
    """Return a page about a restore, with the residue first.

    `live` is the target as it was before, `extras` is what only the target has now. `ending` says why the restore did
    not complete, `way_back` is the command that undoes it.
    """
    ended = {side_key_of(outcome.action): outcome for outcome in outcomes}
    left: dict[Key, list[Residue]] = defaultdict(list)
    residue = list(found)
    for line in residue:
        left[line.key].append(line)

    def mark(action: Action) -> tuple[Mark, str]:
        outcome = ended.get(side_key_of(action))
        if action.writes and outcome is None:
            return Mark.SKIPPED, "not reached"
        if outcome is not None and outcome.failed:
            return Mark.FAILED, outcome.status.value
        if action.key in left and action.kind not in (Kind.SKIPPED, Kind.BLOCKED):
            done = _DONE.get(action.kind, "")
            return Mark.DIFFERS, f"{done}, still differs" if done else "still differs"
        known, word = _PLANNED[action.kind]
        return known, _DONE.get(action.kind, word)

    def more(action: Action) -> list[str]:
        outcome = ended.get(side_key_of(action))
        told = [outcome.reason] if outcome is not None and outcome.reason else []
        return told + [
            f"still differs: {line.path or 'all of it'}: {line.reason}" for line in left[action.key]
        ]

    shown = plan_entities(plan, snapshot, live, mark, more, {p: o.target_id for p, o in ended.items()})
    tables = [_residue_table(residue, shown)] if residue else []
    failed = [o for o in ended.values() if o.failed]
    if failed:
        rows = tuple((*named(shown, o.action), Cell(o.status.value), Cell(o.reason)) for o in failed)
        tables.append(Table(f"Not done ({len(rows)})", ("Type", "Name", "Status", "Why"), rows, urgent=True))
    done = sum(o.status is Status.DONE for o in ended.values())
    good = not (residue or failed or ending)
    state = f"{done} of {len(plan.writes)} changes made" if plan.writes else "nothing to write"
    told = [
        f"{len(residue)} still different" if residue else "",
        f"{len(failed)} not done" if failed else "",
        ending,
    ]
    state += f"; {matches(plan, extras)}" if good else "; " + ", ".join(filter(None, told))
    facts = plan_facts(plan, snapshot, live)
    if way_back is not None:
        facts = (*facts, Fact("the way back", way_back))
    return render(
        Page(
            "Restore", f"{called(plan.source)} → {called(plan.target)}", state, "good" if good else "bad", facts, plan.notes,
            tuple(tables), shown.items(),
        )
    )  # fmt: skip


def _residue_table(residue: Sequence[Residue], shown: PageEntities) -> Table:
    rows = tuple(
        (Cell(r.key.type), Cell(r.name, shown.number_of(r.key)), Cell(r.path or "all of it"), Cell(r.reason))
        for r in residue
    )
    heading = f"Still different in the target ({len(rows)})"
    return Table(heading, ("Type", "Name", "What", "Why"), rows, urgent=True)
