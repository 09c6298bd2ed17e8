"""Plans, reports and differences as Markdown for a comment on GitHub or GitLab, without secrets and new write keys.

A document begins with an invisible comment that names the workspace. A few lines with the most important facts follow,
then as many details as a comment may hold, folded. The rest is counted.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from textwrap import indent
from typing import Any

from jitsu_backup.archive import digest
from jitsu_backup.catalogue import given_names
from jitsu_backup.model import Key, Snapshot, Source, plural, shortened, shown_time, some_of
from jitsu_backup.operations.apply_plan import ActionOutcome
from jitsu_backup.operations.taken_back import FlagsListed
from jitsu_backup.planning import (
    Action,
    ActionKind,
    ChangeKind,
    Changes,
    EntityChange,
    Extra,
    FieldChange,
    KeptThere,
    Plan,
    Residue,
    Since,
)
from jitsu_backup.planning.attribution import Attribution
from jitsu_backup.planning.history import Passing
from jitsu_backup.reports.authors import PASSING, change_authors, passing_text
from jitsu_backup.reports.markdown_flags import flags_to_copy
from jitsu_backup.reports.markdown_layout import Section, document
from jitsu_backup.reports.markdown_text import (
    block,
    code,
    html_code,
    html_prose,
    marker,
    prose,
)
from jitsu_backup.reports.overlay import overlay_text
from jitsu_backup.reports.plan_groups import alike, names_of
from jitsu_backup.reports.summary import (
    DECIDE,
    KEPT,
    NOTHING,
    RestoreReport,
    brings_back,
    conflict_sides,
    counted_changes,
    end_of_restore,
    fields_of,
    other_notes,
    stays_different,
    three_lines,
    told_first,
    why,
)

_LONGEST_SENTENCE, _LONGEST_NOTE, _LONGEST_VALUE, _LONGEST_LIST = 500, 3_000, 300, 12_000
_MOST_FIELDS, _MOST_LINES, _LONGEST_LINE, _LONGEST_CODE = 40, 200, 300, 6_000
_TO_GIVE = "Add these lines to the overlay, with the target's values, and each variable to wherever a plan is made or carried out:"
_LEAST_DETAILS = 24_000  # bytes

Parts = list[Callable[[], str]]


def plan_markdown(plan: Plan, snapshot: Snapshot, live: Snapshot, by_hand: str = "") -> str:
    """Return a plan to bring `live` to the state of `snapshot`, before anything is carried out.

    `by_hand` is the command that saves its new write keys, if a run without that command cannot hand them over.
    """
    given = given_names(snapshot, live)
    listed = [note for note in plan.notes if isinstance(note, FlagsListed)] if plan.blocked else []
    notes = [note for note in other_notes(plan) if note not in listed]
    blocked = Section(
        DECIDE,
        _grouped(plan.blocked, given, bare=True),
        "to decide",
        closing="".join(
            (
                *(f"\n{_bullet(note)}" for note in listed),
                flags_to_copy(plan.blocked),
                _overlay_to_copy(plan),
            )
        ),
        count=len(plan.blocked),
    )
    changes = _changes(plan, plan.writes, given)
    lines = {label: prose(text) for label, text in (told_first(plan) | three_lines(plan)).items()}
    if by_hand:
        keys = plural(plan.made_keys, "new write key")
        decide = [] if lines[DECIDE] == NOTHING else [lines[DECIDE]]
        lines[DECIDE] = "; ".join([*decide, f"{keys}: carry this plan out by hand, with {code(by_hand)}"])
    if different := stays_different(plan):
        lines["Stays different"] = prose(different)
    return document(
        _head(plan, "Plan of an undo" if plan.since is Since.RUN else "Plan", snapshot, lines),
        (
            *(blocked, changes, _details(plan, (*plan.blocked, *plan.writes))),
            *_asides(replace(plan, notes=tuple(notes)), plan.extras, given),
        ),
    )


def _changes(plan: Plan, done: Sequence[Action], given: Mapping[Key, str]) -> Section:
    """Return the section about what changes, with those first that overwrite changes of the target.

    What is re-created is shown in groups, and so is all of an undo, because every change of it has been seen before.
    """
    again = [action for action in done if brings_back(action)]
    others = sorted((action for action in done if not brings_back(action)), key=lambda a: not a.overwrites)
    lines = _grouped if plan.since is Since.RUN else _actions
    return Section("Changes", lines(others, given) + _grouped(again, given), "changes", count=len(done))


def restore_markdown(report: RestoreReport) -> str:
    """Return the report of a restore."""
    plan, snapshot, way_back = report.plan, report.snapshot, report.way_back
    ended, given = report.outcomes, given_names(snapshot, report.live)
    good, state = end_of_restore(report)
    lines = {
        "Done" if good else "Incomplete": _sentence(state),
        KEPT: prose(three_lines(plan)[KEPT]),
        "To undo this": code(_cut(way_back, _LONGEST_SENTENCE)) if way_back else "",
    }
    failed = [outcome for outcome in ended if outcome.failed]
    done = tuple(outcome.action for outcome in ended if not outcome.failed)
    return document(
        _head(plan, report.command.capitalize(), snapshot, lines),
        (
            Section("Not done", [partial(_failure, outcome) for outcome in failed], "not done"),
            Section("Still different", [partial(_residue, line) for line in report.found], "still different"),
            _changes(plan, done, given),
            _details(plan, done),
            *_asides(plan, report.extras, given),
        ),
    )


def changes_markdown(changes: Changes, who: Attribution | None = None) -> str:
    """Return the differences between two snapshots; with `who`, each change names its authors."""
    one, other = map(_called, changes.sources)
    whole = changes.before.manifest.complete and changes.after.manifest.complete
    state = counted_changes(changes)
    subject = code(one) if one == other else f"{code(one)} → {code(other)}"
    head = (
        f"{marker(one if one == other else f'{one}...{other}')}\n## What changed: {subject}\n\n"
        f"- **{'Differences' if whole else 'INCOMPLETE, one side could not be read completely'}:** {prose(state)}\n"
        + "".join(
            f"- {word} {code(side.manifest.source.host)}, {shown_time(side.taken_at)}\n"
            for word, side in (("From", changes.before), ("To", changes.after))
        )
    )
    found, notes = changes.entities, () if who is None else who.notes
    detailed = [change for change in found if change.fields or change.body]
    return document(
        head,
        (
            Section("Changes", [partial(_change, change, who) for change in found], "changes"),
            passing_section(() if who is None else who.passing),
            section_of_details([partial(change_details, change) for change in detailed]),
            Section("Notes", bullets((*changes.notes, *notes)), "notes", folded=not notes),
        ),
    )


def _head(plan: Plan, title: str, snapshot: Snapshot, lines: Mapping[str, str]) -> str:
    """Return the marker, the title, the most important lines and the snapshot of a plan."""
    one, other = map(_called, (plan.source, plan.target))
    subject = code(one) if one == other else f"{code(one)} → {code(other)}"
    facts = "".join(f"- **{label}:** {text}\n" for label, text in lines.items() if text)
    return (
        f"{marker(other)}\n## {title}: {subject}\n\n{facts}\n"
        f"Snapshot {code(digest(snapshot)[:12])}, taken {shown_time(snapshot.taken_at)}, into {code(shortened(plan.target.host))}\n"
    )


def _called(source: Source) -> str:
    return shortened(source.slug or source.name or source.workspace_id)


def _asides(plan: Plan, extras: Sequence[Extra], given: Mapping[Key, str]) -> Iterator[Section]:
    """Yield what is kept or skipped, and the notes."""
    own = [action for action in plan.actions if action.own and not action.writes]
    spared = [action for action in plan.actions if isinstance(action.reason, KeptThere)]
    kept = _actions((*own, *plan.deleted_there, *spared), given) + [
        partial(_extra, extra) for extra in extras
    ]
    skipped = [
        a
        for a in plan.actions
        if a.kind is ActionKind.SKIPPED and not (a.deleted_there or a.dead or isinstance(a.reason, KeptThere))
    ]
    yield Section(KEPT, kept, "kept", folded=True)
    yield Section("Skipped", _actions(skipped, given, bare=True), "skipped", folded=True)
    yield Section("Notes", bullets(plan.notes), "notes", folded=True)


def bullets(notes: Iterable[str]) -> Parts:
    """Return notes as lines of a list."""
    return [partial(_bullet, note) for note in notes]


def _bullet(note: str) -> str:
    says, _, listed = note.partition(": --") if isinstance(note, FlagsListed) else (note, "", "")
    flags = shlex.split(f"--{listed}") if 0 < len(listed) <= _LONGEST_LIST else []
    if flags:
        return f"- {prose(says)}:\n\n{indent(block(flags), '  ')}\n"
    return f"- {prose(_cut(note, _LONGEST_NOTE))}\n"


def _overlay_to_copy(plan: Plan) -> str:
    """Return the overlay that a blocked plan lacks, to be copied; an empty text if it lacks none.

    Of a very long one, the first tables are shown.
    """
    shown: list[str] = []
    left = _LONGEST_NOTE
    tables = overlay_text(plan).split("\n\n") if plan.blocked else [""]
    for table in tables:
        left -= len(table.encode())
        if left < 0:
            break
        shown.append(table)
    more, lines = len(tables) - len(shown), "\n\n".join(shown).split("\n")
    rest = f"\n… and {plural(more, 'more table')}: see `--overlay-out`\n" if more else ""
    return f"\n{_TO_GIVE}\n\n{block(lines, 'toml')}\n{rest}" if "".join(shown) else ""


def _sentence(text: str) -> str:
    return prose(_cut(text, _LONGEST_SENTENCE))


def _actions(actions: Iterable[Action], given: Mapping[Key, str], *, bare: bool = False) -> Parts:
    """Return lines about actions, `bare` if the title already says what happens to them."""
    return [partial(_action, action, given.get(action.key, ""), bare=bare) for action in actions]


def _action(action: Action, given: str, *, bare: bool) -> str:
    what = "" if bare or not action.writes else f"**{action.kind.value}** "
    named = _named(action.key.type, action.name) + (f" ({code(shortened(given))})" if given else "")
    return f"- {what}{named}{_because(action)}\n"


def _grouped(actions: Iterable[Action], given: Mapping[Key, str], *, bare: bool = False) -> Parts:
    """Return lines about actions, one for all of a type that have the same reasons."""
    return [
        partial(_together, group, bare=bare)
        if len(group) > 1
        else partial(_action, group[0], given.get(group[0].key, ""), bare=bare)
        for group in alike(actions)
    ]


def _together(group: Sequence[Action], *, bare: bool) -> str:
    first = group[0]
    what = "" if bare else f"**{first.kind.value}** "
    count, _, names = names_of(group, [action.name for action in group], _LONGEST_SENTENCE).partition(": ")
    return f"- {what}{count} {prose(_cut(first.key.type, _LONGEST_LINE))}: {code(names)}{_because(first)}\n"


def _because(action: Action) -> str:
    reasons = "; ".join(map(_sentence, why(action, told=False)))
    return f": {reasons}" if reasons else ""


def _named(type_name: str, name: str) -> str:
    return f"{prose(_cut(type_name, _LONGEST_LINE))} {code(shortened(name))}"


def _extra(extra: Extra) -> str:
    return f"- {_named(extra.key.type, extra.name)}: only in the target{', left out' if extra.left_out else ''}\n"


def _failure(outcome: ActionOutcome) -> str:
    action = outcome.action
    return f"- {_named(action.key.type, action.name)}: {_sentence(f'{outcome.status.value}: {outcome.reason}')}\n"


def _residue(line: Residue) -> str:
    return f"- {_named(line.key.type, line.name)}: {_sentence(line.path or 'the whole entity')}: {_sentence(line.reason)}\n"


def passing_section(passing: Sequence[Passing]) -> Section:
    """Return a section about the entities that no snapshot saw."""
    return Section(PASSING, [partial(_passing, one) for one in passing], "entities")


def _passing(passing: Passing) -> str:
    return f"- {passing_text(passing, code)}\n"


def _change(change: EntityChange, who: Attribution | None) -> str:
    return change_line(change) + authors_line(change_authors(change, who, code))


def authors_line(authors: str) -> str:
    """Return the line that says who made a change, to stand below it; an empty text if that is unknown."""
    return f"  - {authors}\n" if authors else ""


def change_line(change: EntityChange) -> str:
    """Return what happened to an entity, as a line of a list."""
    was = f" (was {code(shortened(change.was))})" if change.was else ""
    paths = [field.path for field in change.fields]
    differs = f": {_sentence(some_of(paths, 6))}" if paths and change.kind is ChangeKind.CHANGED else ""
    return f"- **{change.kind.value}** {_named(change.type, change.name)}{was}{differs}\n"


def _details(plan: Plan, actions: Iterable[Action]) -> Section:
    """Return the fields of the actions that have any to show, and what is not promoted."""
    detailed = [action for action in actions if action.fields or action.kind is ActionKind.CREATE]
    against = [action for action in plan.actions if action.declined]
    return section_of_details(
        [
            *(partial(_action_details, plan, action) for action in detailed),
            *(partial(_declined_details, action) for action in against),
        ]
    )


def section_of_details(parts: Parts) -> Section:
    """Return the section for folded parts."""
    return Section("Details", parts, "details", least=_LEAST_DETAILS)


def _action_details(plan: Plan, action: Action) -> str:
    word = plural(len(action.conflicts), "conflict") if action.conflicts else action.kind.value
    tell = partial(_conflict, plan) if action.conflicts else _field
    return _unfolding(action.key.type, action.name, word, map(tell, plan.fields(action)))


def _declined_details(action: Action) -> str:
    fields = (_field(one.field) for one in action.declined)
    return _unfolding(action.key.type, action.name, "not promoted, from the target to the source", fields)


def change_details(change: EntityChange) -> str:
    """Return the fields of a change, folded."""
    fields = change.fields or tuple(fields_of(change))
    return _unfolding(change.type, change.name, change.kind.value, map(_field, fields))


def _unfolding(type_name: str, name: str, word: str, fields: Iterable[str]) -> str:
    shown = list(fields)
    more = len(shown) - _MOST_FIELDS
    rest = f"- … and {more} more fields: see `--html`\n" if more > 0 else ""
    named = f"{html_prose(_cut(type_name, _LONGEST_LINE))} {html_code(shortened(name))}"
    inside = "".join(shown[:_MOST_FIELDS])
    return f"<details><summary>{named}: {word}</summary>\n\n{inside}{rest}\n</details>\n"


def _field(found: FieldChange) -> str:
    path = code(_cut(found.path, _LONGEST_VALUE))
    if found.secret:
        how = "set" if found.before is None else "removed" if found.after is None else "changed"
        return f"- {path}: secret {how}\n"
    if found.code:
        return f"- {path}:\n\n{_diff(found.code)}\n"
    before = "" if found.before is None else f"{_value(found.before)} "
    return f"- {path}: {before}→ {_value(found.after)}\n"


def _conflict(plan: Plan, found: FieldChange) -> str:
    """Return a field that both sides changed: its values in the source, before, and in the target."""
    path = code(_cut(found.path, _LONGEST_VALUE))
    if found.secret:
        return f"- {path}: the secrets differ\n"
    if found.code:
        return "".join(f"- {path}, {side}:\n\n{_diff(diff)}\n" for side, diff in conflict_sides(plan, found))
    values = (f"  - {side}: {_value(value)}\n" for side, value in conflict_sides(plan, found))
    return f"- {path}\n" + "".join(values)


def _value(value: Any) -> str:
    return "nothing" if value is None else code(_cut(json.dumps(value, ensure_ascii=False), _LONGEST_VALUE))


def _diff(lines: Sequence[str]) -> str:
    """Return a unified diff, cut if it is too long for a comment."""
    shown: list[str] = []
    left = _LONGEST_CODE
    for line in lines[:_MOST_LINES]:
        shown.append(_cut(line, _LONGEST_LINE))
        left -= len(shown[-1].encode(errors="replace"))
        if left < 0:
            break
    more = len(lines) - len(shown)
    return block(shown, "diff") + (f"\n\n… and {plural(more, 'more line')}: see `--html`" if more else "")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… and {len(text) - most} more characters"
