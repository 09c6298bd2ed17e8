"""Reports as one HTML page: whole in itself, and whatever a workspace's texts hold is text there.

The template escapes every value; `shown` alone makes elements around one. The page's policy lets only our own script
and styles run, by their digests. Secrets are not in it, nor new write keys.
"""

import base64
import hashlib
import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jitsu_backup.archive import digest
from jitsu_backup.catalogue import entity_type, owned_functions, redact
from jitsu_backup.importer import Outcome, Status
from jitsu_backup.model import Entity, Key, Snapshot, Source, unknown_secrets
from jitsu_backup.planning import Action, ChangeKind, Changes, EntityChange, FieldChange, Kind, Plan, Residue
from jitsu_backup.planning.fields import CODE_FIELDS
from jitsu_backup.reports.page import (
    LINKS,
    SOURCES,
    Block,
    Cell,
    Details,
    Difference,
    Fact,
    Item,
    Mark,
    Page,
    Table,
    clipped,
)
from jitsu_backup.reports.picture import picture
from jitsu_backup.reports.terminal import overlay_text

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

_UNFOLDED = 12  # marked entities, up to which their details stand open from the start
_SHORT = 120  # characters of a name in the picture; the details have it whole
_ALLOWED_FORMAT = "\u200c\u200d"  # they join letters and emoji, and turn nothing round
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")

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
_TYPES = {
    "stream": "Streams",
    "service": "Services",
    "destination": "Destinations",
    "link": "Connections and syncs",
    "function": "Functions",
    "profile-builder": "Profile builders",
    "custom-image": "Custom images",
    "domain": "Domains",
    "notification": "Notifications",
    "misc": "Miscellaneous",
}


# -- one entry a view ------------------------------------------------------------------


def snapshot_page(snapshot: Snapshot, content_digest: str, *, only: Iterable[Entity] | None = None) -> str:
    """Show a snapshot, or `only` some of its entities and what their connections join."""
    manifest = snapshot.manifest
    masked: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in manifest.ledger:
        masked[line.type, line.id].append(line.path)
    owners = dict(owned_functions(snapshot.entities))
    names = {entity.key.id: entity.name for entity in snapshot.entities}
    chosen = snapshot.entities if only is None else tuple(only)
    board = _Board()
    board.offer("", snapshot)
    for entity in chosen:
        facts = []
        if entity.key in masked:
            facts.append(Fact("Jitsu does not show", ", ".join(masked[entity.key])))
        if entity.key.type == "function" and entity.key.id in owners:
            facts.append(Fact("belongs to", names.get(owners[entity.key.id], owners[entity.key.id])))
        if entity.key.id in snapshot.cursors and entity.key.type == "link":
            facts.append(Fact("cursors of", ", ".join(sorted(snapshot.cursors[entity.key.id]))))
        board.put("", entity, Mark.PLAIN, "", Details(facts=tuple(facts), blocks=_blocks(_redacted(entity))))
    items = board.items()
    refused = [Cell(refusal.what) for refusal in manifest.refused]
    tables = []
    if refused:
        rows = [(c, Cell(r.reason)) for c, r in zip(refused, manifest.refused, strict=True)]
        tables.append(Table("Refused by the console", ("What", "Why"), tuple(rows), urgent=True))
    tables += _ledger(snapshot, board, None if only is None else {entity.key for entity in chosen})
    cut = "consistent" if manifest.consistent else "it kept changing while it was read"
    state = "complete" if manifest.complete else "INCOMPLETE"
    facts = [*_origin("", snapshot), Fact("digest", content_digest)]
    if only is not None:
        facts.append(Fact("chosen", f"{len(chosen)} of {len(snapshot.entities)} entities"))
    more = [("not offered by this console", manifest.not_offered), ("of types not known", manifest.generic)]
    facts += [Fact(label, ", ".join(values)) for label, values in more if values]
    return _render(
        Page(
            "Snapshot", _called(manifest.source), f"{state}, {cut}", "good" if manifest.complete else "bad",
            tuple(facts), (), tuple(tables), items,
        )
    )  # fmt: skip


def changes_page(changes: Changes, *, only: Iterable[str] = ()) -> str:
    """Show what differs between two snapshots; `only` are the selectors that chose, where any did."""
    board = _Board()
    board.offer("before", changes.before, pairs=changes.pairs)
    board.offer("after", changes.after)
    found = {change.after for change in changes.entities}
    for change in changes.entities:
        side = "before" if change.after is None else "after"
        entity = board.entity(side, change.after or change.before)
        mark = _CHANGED[change.kind]
        board.put(side, entity, mark, change.kind.value, _change_details(change), change.was or "")
    selectors = tuple(only)
    if not selectors:
        same = set(changes.same)
        owned = {function for function, _ in owned_functions(changes.after.entities)}
        for entity in changes.after.entities:
            if entity.key in found or (entity.key.type == "function" and entity.key.id in owned):
                continue
            word = "unchanged" if entity.key in same else "not compared"
            board.put("after", entity, Mark.PLAIN, word, Details(blocks=_blocks(_redacted(entity))))
    counts = Counter(change.kind for change in changes.entities)
    told = [f"{counts[kind]} {kind.value}" for kind in ChangeKind if counts[kind]] or ["no differences"]
    same_count = sum(changes.unchanged.values())
    facts = [*_origin("from", changes.before), *_origin("to", changes.after)]
    if selectors:
        facts.append(Fact("only", ", ".join(selectors)))
    one, other = map(_called, changes.sources)
    whole = changes.before.manifest.complete and changes.after.manifest.complete
    return _render(
        Page(
            "What changed", one if one == other else f"{one} → {other}",
            ", ".join([*told, *([f"{same_count} unchanged"] if same_count else [])])
            + ("" if whole else "; INCOMPLETE: a side could not be read whole"),
            "bad" if not whole else "told" if changes.entities else "good", tuple(facts), changes.notes, (), board.items(),
        )
    )  # fmt: skip


def plan_page(plan: Plan, snapshot: Snapshot, live: Snapshot) -> str:
    """Show a plan that is to bring `live` to the state of `snapshot`; nothing of it was carried out."""
    board = _plan_board(plan, snapshot, live, lambda action: _PLANNED[action.kind])
    counts = [f"{count} {_PLANNED[Kind(name)][1]}" for name, count in plan.counts().items() if count]
    tables = []
    if plan.blocked:
        rows = tuple((*_named(board, action), Cell(action.reason)) for action in plan.blocked)
        tables.append(
            Table(
                "Blocked: this needs a decision, nothing is written",
                ("Type", "Name", "Why"),
                rows,
                urgent=True,
            )
        )
    return _render(
        Page(
            "Plan", f"{_called(plan.source)} → {_called(plan.target)}",
            ", ".join(counts) or "nothing to do", "bad" if plan.blocked else "told" if plan.writes else "good",
            _plan_facts(plan, snapshot, live), plan.notes,
            (*tables, *_ledger(snapshot, board)), board.items(), overlay_text(plan) if plan.blocked else "",
        )
    )  # fmt: skip


def restore_page(
    plan: Plan,
    outcomes: Iterable[Outcome],
    found: Iterable[Residue],
    snapshot: Snapshot,
    live: Snapshot,
    *,
    way_back: str | None = None,
    ending: str = "",
) -> str:
    """Report a restore: what still differs first. `live` is the target as it was before.

    `ending` says why it did not come to its end, `way_back` is the command that undoes it. Write keys are not in it.
    """
    ended = {_place(outcome.action): outcome for outcome in outcomes}
    left: dict[Key, list[Residue]] = defaultdict(list)
    residue = list(found)
    for line in residue:
        left[line.key].append(line)

    def mark(action: Action) -> tuple[Mark, str]:
        outcome = ended.get(_place(action))
        if action.writes and outcome is None:
            return Mark.SKIPPED, "not reached"
        if outcome is not None and outcome.status is not Status.DONE:
            return Mark.FAILED, outcome.status.value
        if action.key in left and action.kind not in (Kind.SKIPPED, Kind.BLOCKED):
            done = _DONE.get(action.kind, "")
            return Mark.DIFFERS, f"{done}, still differs" if done else "still differs"
        known, word = _PLANNED[action.kind]
        return known, _DONE.get(action.kind, word)

    def more(action: Action) -> list[str]:
        outcome = ended.get(_place(action))
        told = [outcome.reason] if outcome is not None and outcome.reason else []
        return told + [
            f"still differs: {line.path or 'all of it'}: {line.reason}" for line in left[action.key]
        ]

    board = _plan_board(plan, snapshot, live, mark, more, {p: o.target_id for p, o in ended.items()})
    tables = []
    if residue:
        rows = tuple(
            (
                Cell(r.key.type),
                Cell(r.name, board.number_of(r.key)),
                Cell(r.path or "all of it"),
                Cell(r.reason),
            )
            for r in residue
        )
        tables.append(
            Table(
                f"Still different in the target ({len(rows)})",
                ("Type", "Name", "What", "Why"),
                rows,
                urgent=True,
            )
        )
    failed = [o for o in ended.values() if o.status is not Status.DONE]
    if failed:
        rows = tuple((*_named(board, o.action), Cell(o.status.value), Cell(o.reason)) for o in failed)
        tables.append(Table(f"Not done ({len(rows)})", ("Type", "Name", "Status", "Why"), rows, urgent=True))
    done = len(ended) - len(failed)
    good = not (residue or failed or ending)
    state = f"{done} of {len(plan.writes)} changes made" if plan.writes else "nothing to write"
    told = [
        f"{len(residue)} still different" if residue else "",
        f"{len(failed)} not done" if failed else "",
        ending,
    ]
    state += "; the target is as the snapshot says" if good else "; " + ", ".join(filter(None, told))
    facts = _plan_facts(plan, snapshot, live)
    if way_back is not None:
        facts = (*facts, Fact("the way back", way_back))
    return _render(
        Page(
            "Restore", f"{_called(plan.source)} → {_called(plan.target)}", state, "good" if good else "bad", facts, plan.notes,
            tuple(tables), board.items(),
        )
    )  # fmt: skip


# -- what the views share ----------------------------------------------------------------

Place = tuple[str, Key]
"""A side of ours (`before`, `live`, …) and a key there."""


@dataclass(slots=True)
class _Board:
    """Collects the entities of a page from one side or several, and joins connections to what they connect."""

    entities: dict[Place, Entity] = field(default_factory=dict)
    ids: dict[str, dict[str, list[Place]]] = field(default_factory=dict)  # by side and id
    marked: dict[Place, Item] = field(default_factory=dict)
    numbers: dict[Place, int] = field(default_factory=dict)

    def offer(
        self, side: str, snapshot: Snapshot, pairs: Mapping[Key, Key] | None = None, other: str = "after"
    ) -> None:
        """Make a side's entities known; those that `pairs` knows stand for the `other` side's."""
        known = self.ids.setdefault(side, defaultdict(list))
        for entity in snapshot.entities:
            self.entities[side, entity.key] = entity
            twin = (pairs or {}).get(entity.key)
            known[entity.key.id].append((side, entity.key) if twin is None else (other, twin))

    def entity(self, side: str, key: Key | None) -> Entity:
        """Give an entity; one that its side does not have has nothing but its key."""
        wanted = key or Key("", "")
        return self.entities.get((side, wanted), Entity(wanted, {}))

    def put(
        self,
        side: str,
        entity: Entity,
        mark: Mark,
        word: str,
        details: Details,
        was: str = "",
        name: str = "",
    ) -> None:
        """Show an entity."""
        link = entity.key.type == "link"
        ends = (
            tuple(self._called(side, str(entity.body.get(end, "?"))) for end in ("fromId", "toId"))
            if link
            else ("", "")
        )
        self.marked[side, entity.key] = Item(
            number=0, type=entity.key.type, kind=_kind(entity),
            name=" → ".join(ends) if link and entity.body else name or entity.name,
            id=entity.key.id, mark=mark, word=word, details=details, was=was, end_names=(ends[0], ends[1]),
            functions=tuple(self._functions(side, entity)) if link else (),
            sync=link and entity.body.get("type") == "sync",
        )  # fmt: skip

    def items(self) -> tuple[Item, ...]:
        """Number what is shown, by type and name, and what its connections join beside it."""
        for side, key in list(self.marked):
            if key.type != "link":
                continue
            for end in self._ends(side, self.entities.get((side, key))):
                if end is not None and end not in self.marked and end in self.entities:
                    self.put(end[0], self.entities[end], Mark.PLAIN, "for its connections", Details())
        order = sorted(
            self.marked, key=lambda p: (_rank(p[1].type), self.marked[p].name.casefold(), p[1], p[0])
        )
        self.numbers = {place: number for number, place in enumerate(order, 1)}
        return tuple(
            replace(self.marked[place], number=number, ends=self._end_numbers(place))
            for place, number in self.numbers.items()
        )

    def number_of(
        self, key: Key, sides: Iterable[str] = ("wanted", "live", "after", "before", "")
    ) -> int | None:
        """Give the number of an entity, once all are numbered."""
        if not self.numbers:
            self.items()
        return next((self.numbers[side, key] for side in sides if (side, key) in self.numbers), None)

    def _end_numbers(self, place: Place) -> tuple[int | None, int | None]:
        if place[1].type != "link":
            return None, None
        one, other = self._ends(place[0], self.entities.get(place))
        return (
            None if one is None else self.numbers.get(one),
            None if other is None else self.numbers.get(other),
        )

    def _ends(self, side: str, link: Entity | None) -> tuple[Place | None, Place | None]:
        body: Mapping[str, Any] = {} if link is None else link.body
        left = self._found(side, body.get("fromId"), lambda name: name in SOURCES)
        return left, self._found(side, body.get("toId"), lambda name: name == "destination")

    def _found(self, side: str, one: Any, fits: Callable[[str], bool]) -> Place | None:
        places = (
            [p for p in self.ids.get(side, {}).get(one, ()) if p[1].type != "link"]
            if isinstance(one, str)
            else []
        )
        return next((place for place in places if fits(place[1].type)), places[0] if places else None)

    def _called(self, side: str, one: str) -> str:
        place = self._found(side, one, lambda name: name in (*SOURCES, "destination"))
        return one if place is None or place not in self.entities else self.entities[place].name

    def _functions(self, side: str, link: Entity) -> Iterator[str]:
        data = link.body.get("data")
        functions = data.get("functions") if isinstance(data, Mapping) else None
        for used in functions if isinstance(functions, list) else ():
            one = str(used.get("functionId", "?")) if isinstance(used, Mapping) else str(used)
            place = self._found(side, one.removeprefix("udf."), lambda name: name == "function")
            if place is not None and place in self.entities:
                yield self.entities[place].name
            else:  # one of Jitsu's own has no better name than the end of its id
                yield one.rpartition(".")[2] or one if one.startswith("builtin.") else one


def _plan_board(
    plan: Plan,
    snapshot: Snapshot,
    live: Snapshot,
    mark: Callable[[Action], tuple[Mark, str]],
    more: Callable[[Action], list[str]] = lambda _: [],
    ids: Mapping[Place, str | None] | None = None,
) -> _Board:
    sources = {Key(key.type, new): key for key, new in plan.ids.items()}
    board = _Board()
    board.offer("wanted", snapshot)
    board.offer(
        "live", live, {k: sources[k] for k in (e.key for e in live.entities) if k in sources}, "wanted"
    )
    for action in plan.actions:
        side, key = _place(action)
        if (side, key) not in board.entities and ("live", key) in board.entities:
            side = "live"  # left alone there, and not in the snapshot
        fields = plan.fields(action)
        facts = [Fact("why", action.reason)]
        target_id = (ids or {}).get(_place(action)) or action.target_id
        facts += [Fact("id in the target", target_id)] if target_id and target_id != key.id else []
        for label, values in (
            ("differs in", () if fields else action.changes),
            ("keeps its own", action.kept),
            ("cannot be compared", action.unseen),
            ("with cursors of", sorted(action.cursors) if action.kind is Kind.CREATE else ()),
        ):
            if values:
                facts.append(Fact(label, ", ".join(values)))
        keys = sum(slot.id != slot.source_id for slot in action.new_keys)
        if keys:
            facts.append(Fact("new write keys", str(keys)))
        losses = action.losses if action.kind is not Kind.BLOCKED else ()
        lost = [f"without {loss.path or 'all of it'}: {loss.reason}" for loss in losses]
        entity = board.entity(side, key)
        shown, word = mark(action)
        differences, blocks = _told(fields)
        if not fields and entity.body:
            blocks = _blocks(_redacted(entity))
        details = Details(tuple(facts), (*more(action), *lost), differences, blocks)
        board.put(side, entity, shown, word, details, name=action.name)
    return board


def _place(action: Action) -> Place:
    return "live" if action.kind is Kind.DELETE else "wanted", action.key


def _named(board: _Board, action: Action) -> tuple[Cell, Cell]:
    first = _place(action)[0]  # one that is made anew is there twice
    return Cell(action.key.type), Cell(action.name, board.number_of(action.key, (first, "wanted", "live")))


def _plan_facts(plan: Plan, snapshot: Snapshot, live: Snapshot) -> tuple[Fact, ...]:
    keys = sum(slot.id != slot.source_id for action in plan.writes for slot in action.new_keys)
    facts = [*_origin("snapshot", snapshot), *_origin("target", live, whole=False)]
    return (
        *facts,
        *([Fact("new write keys", f"{keys} are made, for Jitsu never shows the old ones")] if keys else []),
    )


def _origin(side: str, snapshot: Snapshot, *, whole: bool = True) -> list[Fact]:
    """Tell where and when a side was read; without a name of its own, in more lines."""
    source = snapshot.manifest.source
    when = _moment(snapshot.taken_at)
    if not side:
        console = f"{source.host}  {source.console_version or ''}".rstrip()
        return [
            Fact("workspace", f"{_called(source)} ({source.workspace_id})"),
            Fact("console", console),
            Fact("read at", when),
            Fact("read as", source.role or "role unknown"),
            Fact("entities", str(len(snapshot.entities))),
        ]
    missing = "" if snapshot.manifest.complete else ", INCOMPLETE"
    named = f", digest {digest(snapshot)[:12]}" if whole else ""
    return [Fact(side, f"{_called(source)} ({source.host}), {when}{named}{missing}")]


def _called(source: Source) -> str:
    return source.slug or source.name or source.workspace_id


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _ledger(snapshot: Snapshot, board: _Board, only: set[Key] | None = None) -> list[Table]:
    names = {entity.key: entity.name for entity in snapshot.entities}
    rows = []
    for line in unknown_secrets(snapshot):
        key = Key(line.type, line.id)
        if only is None or key in only:
            rows.append(
                (Cell(line.type), Cell(names.get(key, line.id), board.number_of(key)), Cell(line.path))
            )
    if not rows:
        return []
    intro = "The snapshot has these fields only by their names."
    return [
        Table(
            f"Secrets that the console does not show ({len(rows)})",
            ("Type", "Name", "Field"),
            tuple(rows),
            intro=intro,
        )
    ]


def _change_details(change: EntityChange) -> Details:
    facts = []
    if change.before and change.after and change.before != change.after:
        facts.append(Fact("id before", change.before.id))
    differences, code = _told(change.fields)
    return Details(tuple(facts), (), differences, (*code, *(_blocks(change.body) if change.body else ())))


def _told(fields: Iterable[FieldChange]) -> tuple[tuple[Difference, ...], tuple[Block, ...]]:
    """Give the differences of fields, and those of programs."""
    found = tuple(fields)
    return (
        tuple(_difference(one) for one in found if not one.code),
        tuple(Block(one.path, diff=one.code) for one in found if one.code),
    )


def _difference(found: FieldChange) -> Difference:
    if found.secret:
        how = "set" if found.before is None else "removed" if found.after is None else "changed"
        return Difference(found.path, secret=f"secret {how}")
    one, other = (None if value is None else clipped(_json(value)) for value in (found.before, found.after))
    return Difference(found.path, one, other)


def _redacted(entity: Entity) -> dict[str, Any]:
    return redact(entity, entity_type(entity.key.type).secrets)


def _blocks(body: Mapping[str, Any]) -> tuple[Block, ...]:
    """Give a body that hides its secrets already: programs as they are written, the rest as JSON."""
    code = {name: body[name] for name in CODE_FIELDS if isinstance(body.get(name), str) and body[name]}
    rest = {name: value for name, value in body.items() if name not in code}
    return (
        *(Block(name, clipped(text)) for name, text in code.items()),
        Block("all else" if code else "", clipped(_json(rest))),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str)


def _kind(entity: Entity) -> str:
    body = entity.body
    if entity.key.type == "link":
        data = body.get("data")
        schedule = data.get("schedule") if isinstance(data, Mapping) else None
        return f"sync {schedule}" if schedule else "sync" if body.get("type") == "sync" else "connection"
    name = {"destination": "destinationType", "service": "package", "custom-image": "package"}.get(
        entity.key.type, ""
    )
    kind = body.get(name)
    return kind.removeprefix("airbyte/source-") if isinstance(kind, str) else ""


def _rank(name: str) -> tuple[int, str]:
    known = list(_TYPES)
    return (known.index(name) if name in known else len(known), name)


# -- text and page -------------------------------------------------------------------------


def _visible(text: str) -> Iterator[tuple[bool, str]]:
    """Give the parts of a text, and whether each is a character that nobody sees, by its code."""
    plain: list[str] = []
    for one in text:
        if one in "\n\t" or one in _ALLOWED_FORMAT or unicodedata.category(one) not in _UNSEEN:
            plain.append(one)
            continue
        if plain:
            yield False, "".join(plain)
            plain = []
        yield True, f"U+{ord(one):04X}"
    if plain:
        yield False, "".join(plain)


def shown(text: object) -> "Markup":
    """Give a text for an element: escaped, turning nothing around it, its unseen characters by their codes."""
    from markupsafe import Markup  # noqa: PLC0415  only pages need it, and every command pays for imports

    parts = (
        Markup('<span class="unseen">{}</span>').format(part) if unseen else Markup.escape(part)
        for unseen, part in _visible(str(text))
    )
    whole = Markup("").join(parts) if str(text).strip() else Markup('<span class="unseen">blank</span>')
    return Markup("<bdi>{}</bdi>").format(whole)


def plain(text: object) -> str:
    """Give a text for an attribute or a title, without what nobody sees."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unseen else part for unseen, part in _visible(str(text)))


def short(text: object) -> str:
    """Give the beginning of a text, where the whole is shown elsewhere."""
    whole = str(text)
    return whole if len(whole) <= _SHORT else f"{whole[: _SHORT - 1]}…"


def heard(item: Item) -> str:
    """Give what a screen reader says of an entity in the picture."""
    if item.type in LINKS:
        kind = item.kind if item.sync else "connection"
        used = (
            f"with functions {', '.join(map(short, item.functions))}"
            if item.functions
            else "without functions"
        )
        parts = [f"{kind} from {short(item.end_names[0])} to {short(item.end_names[1])}", used]
    else:
        parts = [f"{item.type} {short(item.name)}", short(item.kind)]
    return ", ".join(part for part in (*parts, item.word) if part)


def _part(name: str) -> str:
    return files("jitsu_backup.reports").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415  only pages need it

    engine = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    engine.filters |= {"shown": shown, "plain": plain, "short": short, "heard": heard}
    return engine.from_string(_part("page.html.j2"))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _render(page: Page) -> str:
    from markupsafe import Markup  # noqa: PLC0415  only pages need it

    drawing = picture(page)
    wide = "screen and (min-width: 56rem)" + ("" if drawing.tall else ", print")
    places = "".join(f"#n{number}{{top:{top}rem}}" for number, top in drawing.tops.items())
    style = _part("page.css").replace("(--wide)", wide)
    style += f"@media {wide}{{.board{{height:{drawing.height}rem}}{places}}}\n"
    script = _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    by_type: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(page.items, key=lambda one: one.mark is Mark.PLAIN):
        by_type[item.type].append(item)
    marks = Counter(item.mark for item in page.items)
    return _template().render(
        page=page,
        drawing=drawing,
        policy=policy,
        style=Markup(style),  # noqa: S704  our own files
        script=Markup(script),  # noqa: S704  our own files
        groups=[(_TYPES.get(name, name), by_type[name]) for name in sorted(by_type, key=_rank)],
        unfolded=sum(marks.values()) - marks[Mark.PLAIN] <= _UNFOLDED,
        types=_TYPES,
        legend=[
            (mark, marks[mark], _legend(mark, page))
            for mark in Mark
            if marks[mark] and mark is not Mark.PLAIN
        ],
        links=LINKS,
    )


def _legend(mark: Mark, page: Page) -> str:
    words = sorted({item.word for item in page.items if item.mark is mark})
    return " or ".join(words)


__all__ = ["changes_page", "plan_page", "restore_page", "snapshot_page"]
