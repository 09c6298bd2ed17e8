"""Reports as HTML, one function for each kind of page. Pages contain no secrets and no new write keys."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from jitsu_backup.catalogue import owned_functions
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.planning import Action, ActionKind, ChangeKind, Changes, Plan, Residue
from jitsu_backup.planning.attribution import Attribution
from jitsu_backup.planning.history import Passing
from jitsu_backup.reports.authors import PASSING, authors_text, change_authors
from jitsu_backup.reports.overlay import overlay_text
from jitsu_backup.reports.page import Cell, Details, Fact, Mark, Page, Table, facts
from jitsu_backup.reports.page_entities import (
    PageEntities,
    body_blocks,
    called,
    change_details,
    kept_table,
    ledger,
    named,
    origin,
    plan_entities,
    plan_facts,
    redacted,
    side_key_of,
)
from jitsu_backup.reports.page_rendering import render
from jitsu_backup.reports.summary import (
    OVERWRITES,
    RestoreReport,
    counted,
    counted_changes,
    end_of_restore,
    other_notes,
    overwriting,
)

_CHANGED = {ChangeKind.ADDED: Mark.ADDED, ChangeKind.REMOVED: Mark.REMOVED, ChangeKind.CHANGED: Mark.CHANGED}
_PLANNED = {
    ActionKind.CREATE: (Mark.ADDED, "to be created"),
    ActionKind.UPDATE: (Mark.CHANGED, "to be updated"),
    ActionKind.DELETE: (Mark.REMOVED, "to be deleted"),
    ActionKind.UNCHANGED: (Mark.PLAIN, "unchanged"),
    ActionKind.SKIPPED: (Mark.SKIPPED, "skipped"),
    ActionKind.BLOCKED: (Mark.BLOCKED, "blocked"),
}
_DONE = {ActionKind.CREATE: "created", ActionKind.UPDATE: "updated", ActionKind.DELETE: "deleted"}


def snapshot_page(snapshot: Snapshot, content_digest: str, *, only: Iterable[Entity] | None = None) -> str:
    """Return a page about a snapshot, or about `only` some of its entities and the ends of their connections."""
    manifest = snapshot.manifest
    masked: dict[Key, list[str]] = defaultdict(list)
    for line in manifest.ledger:
        masked[Key(line.type, line.id)].append(line.path)
    owners = {Key("function", owned): owner for owned, owner in owned_functions(snapshot.entities)}
    names = {entity.key.id: entity.name for entity in snapshot.entities}
    chosen = snapshot.entities if only is None else tuple(only)
    shown = PageEntities()
    shown.offer("", snapshot)
    for entity in chosen:
        owner = owners.get(entity.key, "")
        cursors = snapshot.cursors.get(entity.key.id, {}) if entity.key.type == "link" else {}
        details = facts(
            ("hidden by Jitsu", ", ".join(masked[entity.key])),
            ("belongs to", names.get(owner, owner)),
            ("cursors of", ", ".join(sorted(cursors))),
        )
        shown.put("", entity, Mark.PLAIN, "", Details(details, blocks=body_blocks(redacted(entity))))
    items = shown.items()
    refused = tuple((Cell(refusal.what), Cell(refusal.reason)) for refusal in manifest.refused)
    tables = [Table("Rejected by the console", ("What", "Why"), refused, urgent=True)] if refused else []
    tables += ledger(snapshot, shown, None if only is None else {entity.key for entity in chosen})
    cut = "consistent" if manifest.consistent else "changed while it was being read"
    state = "complete" if manifest.complete else "INCOMPLETE"
    heads = (
        *origin("", snapshot),
        Fact("digest", content_digest),
        *facts(
            ("chosen", "" if only is None else f"{len(chosen)} of {len(snapshot.entities)} entities"),
            ("unsupported types", ", ".join(manifest.not_offered)),
            ("unknown types", ", ".join(manifest.generic)),
        ),
    )
    return render(
        Page(
            "Snapshot", called(manifest.source), f"{state}, {cut}", "good" if manifest.complete else "bad",
            heads, (), tuple(tables), items,
        )
    )  # fmt: skip


def changes_page(changes: Changes, *, only: Iterable[str] = (), who: Attribution | None = None) -> str:
    """Return a page about the differences between two snapshots; `only` are the selectors in use, if any.

    With `who`, each change names its authors.
    """
    shown = PageEntities()
    shown.offer("before", changes.before, pairs=changes.pairs)
    shown.offer("after", changes.after)
    found = {change.after for change in changes.entities}
    for change in changes.entities:
        side = "before" if change.after is None else "after"
        entity = shown.entity(side, change.after or change.before)
        mark = _CHANGED[change.kind]
        shown.put(
            side,
            entity,
            mark,
            change.kind.value,
            change_details(change, change_authors(change, who)),
            change.was or "",
        )
    selectors, same = tuple(only), set(changes.same)
    for entity in () if selectors else changes.after.entities:
        if entity.key not in found:
            word = "unchanged" if entity.key in same else "not compared"
            shown.put("after", entity, Mark.PLAIN, word, Details(blocks=body_blocks(redacted(entity))))
    heads = (
        *origin("from", changes.before),
        *origin("to", changes.after),
        *facts(("only", ", ".join(selectors))),
    )
    notes, passing = ((), ()) if who is None else (who.notes, who.passing)
    one, other = map(called, changes.sources)
    whole = changes.before.manifest.complete and changes.after.manifest.complete
    state = counted_changes(changes)
    return render(
        Page(
            "What changed", one if one == other else f"{one} → {other}",
            state if whole else f"{state}; INCOMPLETE: one side could not be read completely",
            "bad" if not whole else "told" if changes.entities else "good", heads, (*changes.notes, *notes), passing_table(passing),
            shown.items(),
        )
    )  # fmt: skip


def passing_table(passing: Sequence[Passing]) -> tuple[Table, ...]:
    """Return a table of the entities that no snapshot saw; an empty tuple if there are none."""
    rows = tuple(
        (Cell(one.type), Cell(one.name or one.id), Cell(authors_text(one.authors, None))) for one in passing
    )
    return (Table(f"{PASSING} ({len(rows)})", ("Type", "Name", "Who"), rows),) if rows else ()


def _planned(action: Action) -> tuple[Mark, str]:
    """Return the mark and the word of an action that is not carried out yet."""
    if action.deleted_there:
        return Mark.SKIPPED, "stays deleted"
    if action.own and action.kind is ActionKind.UNCHANGED:
        return Mark.KEPT, "keeps the target's values"
    return _PLANNED[action.kind]


def plan_page(plan: Plan, snapshot: Snapshot, live: Snapshot) -> str:
    """Return a page about a plan to bring `live` to the state of `snapshot`, before anything is carried out."""
    shown = plan_entities(plan, snapshot, live, _planned)
    rows = tuple((*named(shown, action), Cell(action.reason)) for action in plan.blocked)
    heading = "Blocked: decide about these first; nothing is written"
    tables = [Table(heading, ("Type", "Name", "Why"), rows, urgent=True)] if rows else []
    lost = tuple((*named(shown, action), Cell("; ".join(overwriting(action)))) for action in plan.overwriting)
    tables += (
        [Table(f"{OVERWRITES} ({len(lost)})", ("Type", "Name", "What"), lost, urgent=True)] if lost else []
    )
    return render(
        Page(
            "Plan", f"{called(plan.source)} → {called(plan.target)}",
            counted(plan), "bad" if plan.blocked else "told" if plan.writes else "good",
            plan_facts(plan, snapshot, live), tuple(other_notes(plan)),
            (*tables, *kept_table(plan, shown), *ledger(snapshot, shown)), shown.items(), overlay_text(plan) if plan.blocked else "",
        )
    )  # fmt: skip


def restore_page(report: RestoreReport) -> str:
    """Return a page about a restore, with the residue first."""
    plan, snapshot, live, residue = report.plan, report.snapshot, report.live, report.found
    ended = {side_key_of(outcome.action): outcome for outcome in report.outcomes}
    left: dict[Key, list[Residue]] = defaultdict(list)
    for line in residue:
        left[line.key].append(line)

    def mark(action: Action) -> tuple[Mark, str]:
        outcome = ended.get(side_key_of(action))
        if action.writes and outcome is None:
            return Mark.SKIPPED, "not reached"
        if outcome is not None and outcome.failed:
            return Mark.FAILED, outcome.status.value
        if left[action.key] and action.kind not in (ActionKind.SKIPPED, ActionKind.BLOCKED):
            done = _DONE.get(action.kind, "")
            return Mark.DIFFERS, f"{done}, still differs" if done else "still differs"
        known, word = _planned(action)
        return known, _DONE.get(action.kind, word)

    def more(action: Action) -> list[str]:
        outcome = ended.get(side_key_of(action))
        reasons = [outcome.reason] if outcome is not None and outcome.reason else []
        lines = left[action.key]
        return reasons + [
            f"still differs: {line.path or 'the whole entity'}: {line.reason}" for line in lines
        ]

    shown = plan_entities(plan, snapshot, live, mark, more, {p: o.target_id for p, o in ended.items()})
    tables = [_residue_table(residue, shown)] if residue else []
    failed = [o for o in ended.values() if o.failed]
    if failed:
        rows = tuple((*named(shown, o.action), Cell(o.status.value), Cell(o.reason)) for o in failed)
        tables.append(Table(f"Not done ({len(rows)})", ("Type", "Name", "Status", "Why"), rows, urgent=True))
    good, state = end_of_restore(report)
    heads = (*plan_facts(plan, snapshot, live), *facts(("to undo this", report.way_back or "")))
    return render(
        Page(
            report.command.capitalize(), f"{called(plan.source)} → {called(plan.target)}", state, "good" if good else "bad", heads, plan.notes,
            (*tables, *kept_table(plan, shown)), shown.items(),
        )
    )  # fmt: skip


def _residue_table(residue: Sequence[Residue], shown: PageEntities) -> Table:
    rows = tuple(
        (
            Cell(r.key.type),
            Cell(r.name, shown.number_of(r.key)),
            Cell(r.path or "whole entity"),
            Cell(r.reason),
        )
        for r in residue
    )
    heading = f"Still different in the target ({len(rows)})"
    return Table(heading, ("Type", "Name", "What", "Why"), rows, urgent=True)
