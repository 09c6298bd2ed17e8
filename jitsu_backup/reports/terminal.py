"""Reports for the terminal: tables that fit into 80 columns and never rely on colour alone."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jitsu_backup.catalogue import (
    ends,
    entity_names,
    entity_type,
    given_name,
    has_grant,
    is_link,
    is_sync,
    joins,
    names_of_refused,
    told_apart,
)
from jitsu_backup.model import (
    ARROW,
    Entity,
    Key,
    Snapshot,
    items_of,
    members_of,
    plural,
    printable,
    quoted,
    shortened,
    shown_time,
    some_of,
    unknown_secrets,
)
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import Action, ActionKind, ChangeKind, Changes, FieldChange, Plan, Residue
from jitsu_backup.planning.attribution import Attribution
from jitsu_backup.planning.history import Passing
from jitsu_backup.reports.authors import PASSING, change_authors, passing_text
from jitsu_backup.reports.plan_groups import Group as Actions, grouped, names_of, reasons_of, share_reasons
from jitsu_backup.reports.summary import (
    beside_the_change,
    conflict_sides,
    counted,
    counted_changes,
    folded,
    from_and_into,
    of_kind,
    only_in_target,
    other_notes,
    own_changes,
    why,
)
from jitsu_backup.reports.terminal_layout import PlainTable, Trimmed, bullet, plain, table_of

_MARK = {
    ActionKind.CREATE: ("+", "green"),
    ActionKind.UPDATE: ("~", "yellow"),
    ActionKind.DELETE: ("-", "red"),
    ActionKind.UNCHANGED: ("=", "dim"),
    ActionKind.SKIPPED: ("»", "magenta"),
    ActionKind.BLOCKED: ("!", "bold red"),
}
_FOLD_AT = 30
_ONE_LINE, _LONGEST_VALUE = 66, 400

CHANGE_MARKS = {
    ChangeKind.ADDED: ("+", "green"),
    ChangeKind.REMOVED: ("-", "red"),
    ChangeKind.CHANGED: ("~", "yellow"),
}


def snapshot_view(snapshot: Snapshot, digest: str) -> RenderableType:
    """Return a view of a snapshot's manifest: its source, its counts, and what is missing."""
    manifest, names = snapshot.manifest, names_of_refused(snapshot)
    counts = table_of("Type", "Entities")
    for name in sorted(manifest.counts, key=lambda name: (entity_type(name).stage, name)):
        counts.add_row(plain(name), str(manifest.counts[name]))
    syncs = len(snapshot.cursors)
    if syncs:
        total = sum(map(len, snapshot.cursors.values()))
        counts.add_row("sync cursors", f"{total} of {plural(syncs, 'sync')}")
    refused = [bullet(f"{names[one.what]}: {one.reason}") for one in manifest.refused]
    unknown = len(unknown_secrets(snapshot))
    masked = [ledger_table(snapshot)] if unknown else []
    grants = [
        bullet(f"{entity.key.type} {shortened(entity.name)}: authorise each copy again in the UI")
        for entity in snapshot.entities
        if has_grant(entity)
    ]
    return Group(
        _facts(snapshot, digest),
        Text(),
        counts,
        *topology(snapshot),
        *_section("Rejected by the console", refused),
        *_section(f"Secrets hidden by Jitsu ({unknown})", masked),
        *_section(f"OAuth grants, which no archive contains ({len(grants)})", grants),
    )


def _section(title: str, parts: Sequence[RenderableType]) -> list[RenderableType]:
    """Return parts under a heading, or an empty list if there are no parts."""
    return [Text(), Text(title, style="bold"), *parts] if parts else []


def _facts(snapshot: Snapshot, digest: str) -> Table:
    """Return a table that says where and how a snapshot was read."""
    manifest, source = snapshot.manifest, snapshot.manifest.source
    state = "complete" if manifest.complete else "INCOMPLETE"
    cut = "consistent" if manifest.consistent else "changed while it was being read"
    secrets = sum(len(values) for values in snapshot.secrets.values())
    table = PlainTable(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in (
        (
            "workspace",
            f"{shortened(source.name or source.slug or '?')} ({source.slug or source.workspace_id})",
        ),
        ("console", f"{source.host}  {source.console_version or ''}".rstrip()),
        ("read at", shown_time(snapshot.taken_at)),
        ("read as", source.role or "role unknown"),
        ("digest", digest[:12]),
        ("state", Text(f"{state}, {cut}", style="green" if manifest.complete else "bold red")),
        ("unsupported types", ", ".join(manifest.not_offered)),
        ("unknown types", ", ".join(manifest.generic)),
        ("secrets", f"{secrets} in plain text, from the operator's token" if secrets else ""),
    ):
        if value:
            table.add_row(label, plain(value) if isinstance(value, str) else value)
    return table


def topology(snapshot: Snapshot) -> list[RenderableType]:
    """Return a view of the connections from sources and models to destinations, with their functions."""
    names = {entity.key.id: entity.name for entity in snapshot.entities}
    warehouses = {m.key.id: str(m.body.get("warehouseId")) for m in snapshot.of_type("model")}
    origins = {m: f"{names.get(w, w)}{ARROW}{names[m]}" for m, w in warehouses.items()}
    by_source: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    joined = set[str]()
    for link in (entity for entity in snapshot.entities if joins(entity.key)):
        _, source, target = ends(link.body)
        arrow = "→" if is_link(link.key) and not is_sync(link.body) else "⇢"
        by_source[source].append((names.get(target, target), _what_it_does(link, names), arrow, link.key.id))
        joined |= {source, target, warehouses.get(source, "")}
    if not by_source:
        return []
    table = PlainTable(show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    shown = 0
    origins = {source: origins.get(source) or names.get(source, source) for source in by_source}
    for source, links in sorted(by_source.items(), key=lambda pair: origins[pair[0]]):
        if shown >= _FOLD_AT:
            break
        table.add_row(_name(origins[source]), "")
        alike = Counter(line[:3] for line in links)
        for target, what, arrow, own in sorted(links):
            told = what if alike[target, what, arrow] == 1 else f"{what} ({own})".lstrip()
            table.add_row(plain(f"  {arrow} {shortened(target)}"), plain(told))
        shown += len(links)
    if left := sum(map(len, by_source.values())) - shown:
        table.add_row(f"… and {left} more (--json lists all)", "")
    alone = [
        shortened(entity.name)
        for entity in snapshot.entities
        if entity.key.type in ("stream", "service", "model", "destination") and entity.key.id not in joined
    ]
    unconnected = [plain(f"Not connected: {some_of(alone, 10)}")] if alone else []
    return _section("Connections (→) and syncs (⇢)", [table, *unconnected])


def _what_it_does(link: Entity, names: Mapping[str, str]) -> str:
    data = members_of(link.body.get("data"))
    functions = [
        str(item.get("functionId")) for item in items_of(data.get("functions")) if isinstance(item, Mapping)
    ]
    parts = [shortened(names.get(name.removeprefix("udf."), name.rpartition(".")[2])) for name in functions]
    if data.get("schedule"):
        parts.append(str(data["schedule"]))
    if data.get("disabled"):
        parts.append("off")
    if given_name(link):
        parts.append(quoted(given_name(link)))
    return ", ".join(parts)


def ledger_table(snapshot: Snapshot) -> RenderableType:
    """Return a table of the ledger: the entity and path of each field that Jitsu hides."""
    names = {entity.key: entity.name for entity in snapshot.entities}
    table = table_of("Type", "Name", "Field")
    unknown = unknown_secrets(snapshot)
    for line in unknown[:_FOLD_AT]:
        name = names.get(Key(line.type, line.id), line.id)
        table.add_row(plain(line.type), _name(name), plain(line.path))
    _fold(table, len(unknown))
    return table


def entity_table(entities: Iterable[Entity], snapshot: Snapshot) -> RenderableType:
    """Return a table of entities with their types, names and ids."""
    names = entity_names(snapshot.entities)
    table = table_of("Type", "Name", "Id")
    for entity in entities:
        name = _with_given(names[entity.key], given_name(entity))
        table.add_row(plain(entity.key.type), plain(name), plain(entity.key.id))
    return table


def _with_given(name: str, given: str) -> str:
    """Return a name with the one that a person gave, which distinguishes connections with the same ends."""
    included = not given or f" ({given})" in name
    return shortened(name) if included else f"{shortened(name)} ({shortened(given)})"


def plan_view(
    plan: Plan, taken: str = "", *, given: Mapping[Key, str] | None = None, verbose: bool = False
) -> RenderableType:
    """Return a view of a plan: every action with its reason, similar ones together if there are many.

    `taken` is a line about the snapshot of the plan, `given` has the names that persons gave to connections. With
    `verbose`, unchanged entities and the new values of fields are shown too, and nothing is folded.
    """
    heads = [*from_and_into(plan), *([taken] if taken else [])]
    parts: list[RenderableType] = [*map(plain, heads), Text()]
    listed = [
        a
        for a in plan.actions
        if verbose or ((a.kind is not ActionKind.UNCHANGED or a.losses or a.own) and not a.dead)
    ]
    parts += _listed(plan, listed, given or {}, verbose=verbose)
    if listed:
        parts.append(Text())
    parts.append(plain(f"{counted(plan)}."))
    if plan.made_keys:
        parts.append(
            plain(
                f"{plural(plan.made_keys, 'new write key')}, because Jitsu does not show the existing ones."
            )
        )
    parts += [plain(f"{label}: {text}.") for label, text in beside_the_change(plan).items()]
    parts += map(plain, own_changes(plan, most=len(plan.actions)) if verbose else ())
    parts += map(plain, only_in_target(plan.extras, **({"most": len(plan.extras)} if verbose else {})))
    parts += [bullet(note) for note in (other_notes(plan) if verbose else folded(other_notes(plan)))]
    return Trimmed(Group(*parts))


def _listed(
    plan: Plan, actions: list[Action], given: Mapping[Key, str], *, verbose: bool
) -> Iterator[RenderableType]:
    """Yield the lines of each action or, if they would not fit on a screen, of groups of similar actions."""
    long = sum(1 + len(list(why(action, told=False))) for action in actions) > _FOLD_AT
    folds = long and not verbose
    groups: list[Actions] = grouped(actions) if folds else [[action] for action in actions]
    width = max((len(action.key.type) for action in actions), default=0)
    shown = groups[:_FOLD_AT] if folds else groups
    for group, following in zip_longest(shown, shown[1:], fillvalue=()):
        names = [_with_given(action.name, given.get(action.key, "")) for action in group]
        lines = _group_lines(plan, group, width, names, verbose=verbose)
        yield from islice(lines, 1 if share_reasons(group, following) else None)
    more = Counter(action.kind for group in groups[len(shown) :] for action in group)
    if more:
        kinds = ", ".join(of_kind(more[kind], kind.value) for kind in ActionKind if more[kind])
        yield plain(f"… and more: {kinds}")
    if folds:
        yield plain("(Similar changes are shown together; -v lists each with its details.)")


def _group_lines(
    plan: Plan, group: Actions, width: int, names: Sequence[str], *, verbose: bool
) -> Iterator[RenderableType]:
    action, several = group[0], len(group) > 1
    mark, style = _MARK[action.kind]
    head = Table.grid()
    head.add_column(no_wrap=True)
    head.add_column(overflow="fold")  # a long name wraps under itself
    head.add_row(
        Text.assemble((f"{mark} {action.kind.value:9} ", style), f"{action.key.type:{width}}  "),
        plain(names_of(group, names) if several else names[0]),
    )
    yield head
    fields = plan.fields(action) if not several and (verbose or action.conflicts) else ()
    for line in reasons_of(group) if several else why(action, told=bool(fields)):
        yield _indented(line, 4)
    for found in fields:
        yield from _conflict_lines(plan, found) if action.conflicts else field_lines(found)


def residue_view(found: list[Residue]) -> RenderableType:
    """Return a list of what still differs, by its reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for line in found[:_FOLD_AT]:
        name = f"{line.key.type} {quoted(shortened(line.name))}"
        by_reason[line.reason].append(f"{line.path} of {name}" if line.path else name)
    parts = [bullet(f"{reason}: {', '.join(names)}") for reason, names in by_reason.items()]
    if len(found) > _FOLD_AT:
        parts.append(bullet(f"… and {len(found) - _FOLD_AT} more (--json lists all)"))
    return Trimmed(Group(Text(f"Still different in the target ({len(found)})", style="bold"), *parts))


def changes_view(changes: Changes, who: Attribution | None = None) -> RenderableType:
    """Return a view of the differences: every entity with its fields, code as a unified diff.

    With `who`, each change names its authors.
    """
    parts: list[RenderableType] = [_sides(changes), Text()]
    sides = (changes.before.entities, changes.after.entities)
    shown = {key: name for side in sides for key, name in told_apart(side, every=True).items()}
    for change in changes.entities:
        mark, style = CHANGE_MARKS[change.kind]
        key = change.after or change.before
        name = change.name if key is None else shown.get(key, change.name)
        was = f" (was {shortened(change.was)})" if change.was else ""
        parts.append(
            Text.assemble(
                (f"{mark} {change.kind.value:8} ", style),
                printable(f"{change.type:16} {shortened(name)}{was}"),
            )
        )
        parts += _author_lines(change_authors(change, who))
        parts += [line for found in change.fields for line in field_lines(found)]
    if changes.entities:
        parts.append(Text())
    parts.append(plain(f"{counted_changes(changes)}."))
    parts += passing_lines(who.passing if who is not None else ())
    parts += [bullet(note) for note in (*changes.notes, *(who.notes if who is not None else ()))]
    return Group(*parts)


def _author_lines(text: str) -> Iterator[RenderableType]:
    """Yield a dim line that says who made a change, if that is known."""
    if text:
        yield _indented(text, 4, "dim")


def passing_lines(passing: Sequence[Passing]) -> list[RenderableType]:
    """Return a list of the entities that no snapshot saw; an empty list if there are none."""
    more = [bullet(f"… and {len(passing) - _FOLD_AT} more (--json lists all)")]
    shown = [bullet(passing_text(one)) for one in passing[:_FOLD_AT]]
    return _section(f"{PASSING} ({len(passing)})", shown + (more if len(passing) > _FOLD_AT else []))


def changes_stat(changes: Changes) -> RenderableType:
    """Return a table that counts the differences by type, and the notes."""
    table = table_of("Type", "Added", "Removed", "Changed", "Unchanged")
    for column in table.columns[1:]:
        column.justify = "right"
    counts = changes.counts()
    for name in sorted({*counts, *changes.unchanged}):
        own = counts.get(name) or Counter()
        numbers = [own[kind.value] for kind in ChangeKind]
        table.add_row(plain(name), *(str(n or "") for n in (*numbers, changes.unchanged.get(name, 0))))
    total = plain(f"{counted_changes(changes)}.")
    return Group(_sides(changes), Text(), table, Text(), total, *map(bullet, changes.notes))


def _sides(changes: Changes) -> Text:
    sides = [(side.manifest.source, side.taken_at) for side in (changes.before, changes.after)]
    one, other = (f"{s.slug or s.workspace_id} ({s.host}), {shown_time(when)}" for s, when in sides)
    return Text.assemble(("from  ", "bold"), printable(one), "\n", ("to    ", "bold"), printable(other))


def field_lines(found: FieldChange) -> Iterator[RenderableType]:
    """Yield the lines that show a changed field, code as a unified diff."""
    if found.code:
        yield plain(f"    {found.path}")
        yield from (_code_line(line, 6) for line in found.code)
        return
    if found.secret:
        how = "set" if found.before is None else "removed" if found.after is None else "changed"
        yield plain(f"    {found.path}: secret {how}")
        return
    one, other = (json.dumps(value, ensure_ascii=False) for value in (found.before, found.after))
    if len(found.path) + len(one) + len(other) <= _ONE_LINE:
        before = "" if found.before is None else f"{one} "
        after = "removed" if found.after is None else other
        yield plain(f"    {found.path}: {before}→ {after}")
        return
    yield plain(f"    {found.path}")
    for mark, style, value, text in (("-", "red", found.before, one), ("+", "green", found.after, other)):
        if value is not None:
            yield _indented(f"{mark} {_shortened(text)}", 6, style)


def _conflict_lines(plan: Plan, found: FieldChange) -> Iterator[RenderableType]:
    """Yield a field that both sides changed: its values in the source, before, and in the target."""
    if found.secret:
        yield plain(f"    {found.path}: the secrets differ")
        return
    yield plain(f"    {found.path}")
    for side, value in conflict_sides(plan, found):
        if found.code:
            yield _indented(f"{side}:", 6, "bold")
            yield from (_code_line(line, 8) for line in value)
        else:
            text = "nothing" if value is None else _shortened(json.dumps(value, ensure_ascii=False))
            yield _indented(f"{side}: {text}", 6)


def _code_line(line: str, width: int) -> RenderableType:
    style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    return _indented(line.replace("\t", "    "), width, style)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"


def keys_text(keys: Iterable[StreamKey]) -> RenderableType:
    """Return a view of new write keys. It is shown only once."""
    parts = [Text("New write keys (shown only once)", style="bold")]
    for key in keys:
        parts.append(plain(f"  {shortened(key.stream)} ({key.kind}, was {key.source_key_id})"))
        parts.append(plain(f"    {key.write_key}"))
    return Group(*parts)


def _indented(text: str, width: int, style: str = "") -> Padding:
    return Padding(Text(printable(text), style=style), (0, 0, 0, width), expand=False)


def _name(text: str) -> Text:
    return plain(shortened(text))


def _fold(table: Table, total: int) -> None:
    if total > _FOLD_AT:
        table.add_row(f"… and {total - _FOLD_AT} more (--json lists all)")
