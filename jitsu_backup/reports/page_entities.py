"""The entities on a page with their marks and details, and the facts and tables that pages share."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.archive import digest
from jitsu_backup.catalogue import entity_type, given_name, granted, joins, redact
from jitsu_backup.model import (
    Entity,
    Key,
    Snapshot,
    Source,
    items_of,
    members_of,
    quoted,
    shown_time,
    unknown_secrets,
)
from jitsu_backup.planning import CODE_FIELDS, Action, ActionKind, EntityChange, FieldChange, Plan
from jitsu_backup.reports.page import (
    SOURCES,
    Block,
    Cell,
    Conflict,
    Details,
    Difference,
    Fact,
    Item,
    Mark,
    Table,
    clipped,
    facts,
    rank,
)
from jitsu_backup.reports.summary import beside_the_change, conflict_sides, only_in_target, overwriting

SideKey = tuple[str, Key]
"""A side (`before`, `live`, …) and the key of an entity on it."""


@dataclass(slots=True)
class PageEntities:
    """Collects the entities of a page from one or more sides and resolves the ends of connections."""

    entities: dict[SideKey, Entity] = field(default_factory=dict)
    ids: dict[str, dict[str, list[SideKey]]] = field(default_factory=dict)  # by side and id
    marked: dict[SideKey, Item] = field(default_factory=dict)
    numbers: dict[SideKey, int] = field(default_factory=dict)

    def offer(
        self, side: str, snapshot: Snapshot, pairs: Mapping[Key, Key] | None = None, other: str = "after"
    ) -> None:
        """Add the entities of a side without showing them; `pairs` maps their keys to the same entities on the `other` side."""
        known = self.ids.setdefault(side, defaultdict(list))
        for entity in snapshot.entities:
            self.entities[side, entity.key] = entity
            twin = (pairs or {}).get(entity.key)
            known[entity.key.id].append((side, entity.key) if twin is None else (other, twin))

    def entity(self, side: str, key: Key | None) -> Entity:
        """Return an entity, with an empty body if its side does not have it."""
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
        """Show an entity with a mark and details."""
        link = joins(entity.key)
        named = [str(entity.body.get(end, "?")) for end in ("fromId", "toId")] if link else []
        ends = [self.called(side, one) for one in named] or ["", ""]
        self.marked[side, entity.key] = Item(
            number=0, type=entity.key.type, kind=self._kind(side, entity),
            name=" → ".join(ends) if link and entity.body else name or entity.name,
            id=entity.key.id, mark=mark, word=word, details=details, was=was, end_names=(ends[0], ends[1]),
            functions=tuple(self._functions(side, entity)) if link else (),
            sync=link and entity.body.get("type") in ("sync", "reverse-sync"),
        )  # fmt: skip

    def items(self) -> tuple[Item, ...]:
        """Return the shown entities, numbered by type and name, and the ends of shown connections."""
        for side, key in [place for place in self.marked if joins(place[1])]:
            for end in self._ends(side, self.entities.get((side, key))):
                if end is not None and end not in self.marked and end in self.entities:
                    self.put(end[0], self.entities[end], Mark.PLAIN, "shown for its connections", Details())
        order = sorted(
            self.marked, key=lambda p: (rank(p[1].type), self.marked[p].name.casefold(), p[1], p[0])
        )
        self.numbers = {place: number for number, place in enumerate(order, 1)}
        return tuple(
            replace(self.marked[place], number=number, ends=self._end_numbers(place))
            for place, number in self.numbers.items()
        )

    def number_of(
        self, key: Key, sides: Iterable[str] = ("wanted", "live", "after", "before", "")
    ) -> int | None:
        """Return the number of an entity on the first side that shows it, None if none does."""
        if not self.numbers:
            self.items()
        return next((self.numbers[side, key] for side in sides if (side, key) in self.numbers), None)

    def _end_numbers(self, place: SideKey) -> tuple[int | None, int | None]:
        if not joins(place[1]):
            return None, None
        one, other = self._ends(place[0], self.entities.get(place))
        return one and self.numbers.get(one), other and self.numbers.get(other)

    def _ends(self, side: str, link: Entity | None) -> tuple[SideKey | None, SideKey | None]:
        body: Mapping[str, Any] = {} if link is None else link.body
        left = self._found(side, body.get("fromId"), lambda name: name in SOURCES)
        return left, self._found(side, body.get("toId"), lambda name: name == "destination")

    def _found(self, side: str, one: Any, fits: Callable[[str], bool]) -> SideKey | None:
        named = self.ids.get(side, {}).get(one, ()) if isinstance(one, str) else ()
        places = [place for place in named if not joins(place[1])]
        return next((place for place in places if fits(place[1].type)), places[0] if places else None)

    def called(self, side: str, one: str) -> str:
        """Return the name of the source or destination with an id, or the id if it does not exist."""
        place = self._found(side, one, lambda name: name in (*SOURCES, "destination"))
        return one if place is None or place not in self.entities else self.entities[place].name

    def _kind(self, side: str, entity: Entity) -> str:
        if entity.key.type == "model":
            return f"from {self.called(side, str(entity.body.get('warehouseId')))}"
        return kind_of(entity)

    def _functions(self, side: str, link: Entity) -> Iterator[str]:
        for used in items_of(members_of(link.body.get("data")).get("functions")):
            one = str(used.get("functionId", "?")) if isinstance(used, Mapping) else str(used)
            place = self._found(side, one.removeprefix("udf."), lambda name: name == "function")
            if place is not None and place in self.entities:
                yield self.entities[place].name
            else:
                yield function_name(one)


def plan_entities(
    plan: Plan,
    snapshot: Snapshot,
    live: Snapshot,
    mark: Callable[[Action], tuple[Mark, str]],
    more: Callable[[Action], list[str]] = lambda _: [],
    ids: Mapping[SideKey, str | None] | None = None,
) -> PageEntities:
    """Return the entities of a plan; `mark` returns the mark and word of an action, `more` returns further points."""
    sources = {Key(key.type, new): key for key, new in plan.ids.items()}
    collected = PageEntities()
    collected.offer("wanted", snapshot)
    collected.offer("live", live, sources, "wanted")
    for action in plan.actions:
        side, key = side_key_of(action)
        if (side, key) not in collected.entities and ("live", key) in collected.entities:
            side = "live"  # it exists only in the target and is not touched
        fields = plan.fields(action)
        losses = action.losses if action.kind is not ActionKind.BLOCKED else ()
        lost = [f"without {loss.path or 'the whole entity'}: {loss.reason}" for loss in losses]
        entity = collected.entity(side, key)
        entity = _switched_off(entity) if action.off else entity
        differences, blocks = _told(() if action.conflicts else fields)
        if not fields and entity.body:
            blocks = body_blocks(redacted(entity))
        target_id = (ids or {}).get(side_key_of(action)) or action.target_id
        conflicts = tuple(_conflict(plan, one) for one in fields) if action.conflicts else ()
        parts = _facts_of(action, target_id, fields), (*more(action), *lost)
        details = Details(*parts, differences, conflicts, blocks)
        collected.put(side, entity, *mark(action), details, name=action.name)
    for extra in plan.extras:
        entity = collected.entity("live", extra.key)
        details = Details(blocks=body_blocks(redacted(entity)))
        mark_of, word = (
            (Mark.KEPT, "created in the target, kept")
            if extra.own
            else (Mark.PLAIN, "only in the target, kept")
        )
        collected.put("live", entity, mark_of, word, details, name=extra.name)
    return collected


def _facts_of(action: Action, target_id: str | None, fields: Collection[FieldChange]) -> tuple[Fact, ...]:
    keys = len(action.made_keys)
    return Fact("why", action.reason), *facts(
        ("takes the source", "; ".join(overwriting(action))),
        ("id in the target", target_id if target_id and target_id != action.key.id else ""),
        ("differs in", "" if fields else ", ".join(action.changes)),
        ("keeps the target's", ", ".join((*action.kept, *action.own))),
        ("cannot be compared", ", ".join(action.unseen)),
        ("with cursors of", ", ".join(sorted(action.cursors)) if action.kind is ActionKind.CREATE else ""),
        (
            "new write keys",
            f"{keys or ''}" + (", so senders need to change" if keys and action.cuts_off else ""),
        ),
    )


def side_key_of(action: Action) -> SideKey:
    """Return the side and key under which the entity of an action is shown."""
    return "live" if action.kind is ActionKind.DELETE else "wanted", action.key


def named(collected: PageEntities, action: Action) -> tuple[Cell, Cell]:
    """Return type and name of the entity of an action as cells, the name linked to the entity."""
    sides = (side_key_of(action)[0], "wanted", "live")  # an entity that is re-created is shown twice
    return Cell(action.key.type), Cell(action.name, collected.number_of(action.key, sides))


def plan_facts(plan: Plan, snapshot: Snapshot, live: Snapshot) -> tuple[Fact, ...]:
    """Return the facts at the top of the page of a plan."""
    keys = plan.made_keys
    return (
        *(Fact(label.lower(), text) for label, text in beside_the_change(plan).items()),
        *origin("snapshot", snapshot),
        *origin("target", live, whole=False),
        *(Fact("also", line) for line in only_in_target(plan.extras)),
        *facts(("new write keys", f"{keys}, because Jitsu does not show the existing ones" if keys else "")),
    )


def kept_table(plan: Plan, collected: PageEntities) -> list[Table]:
    """Return a table of what was changed, deleted or created in the target since then, and is kept."""
    rows = [
        *(
            (*named(collected, action), Cell(f"changed: {', '.join(action.own)}"))
            for action in plan.actions
            if action.own
        ),
        *((*named(collected, action), Cell(action.reason)) for action in plan.deleted_there),
        *(
            (
                Cell(extra.key.type),
                Cell(extra.name, collected.number_of(extra.key, ("live",))),
                Cell("created in the target"),
            )
            for extra in plan.extras
            if extra.own
        ),
    ]
    heading = f"Kept in the target, changed {plan.since.words} ({len(rows)})"
    return [Table(heading, ("Type", "Name", "What"), tuple(rows), early=True)] if rows else []


def origin(side: str, snapshot: Snapshot, *, whole: bool = True) -> list[Fact]:
    """Return where and when a side was read: as one fact named `side`, or in detail if `side` is empty."""
    source = snapshot.manifest.source
    when = shown_time(snapshot.taken_at)
    if not side:
        return [
            Fact("workspace", f"{called(source)} ({source.workspace_id})"),
            Fact("console", f"{source.host}  {source.console_version or ''}".rstrip()),
            Fact("read at", when),
            Fact("read as", source.role or "role unknown"),
            Fact("entities", str(len(snapshot.entities))),
        ]
    missing = "" if snapshot.manifest.complete else ", INCOMPLETE"
    named = f", digest {digest(snapshot)[:12]}" if whole else ""
    return [Fact(side, f"{called(source)} ({source.host}), {when}{named}{missing}")]


def called(source: Source) -> str:
    """Return the slug, name or id of a workspace."""
    return source.slug or source.name or source.workspace_id


def ledger(snapshot: Snapshot, collected: PageEntities, only: set[Key] | None = None) -> list[Table]:
    """Return tables of the secrets and grants that a snapshot lacks."""
    names = {entity.key: entity.name for entity in snapshot.entities}

    def cells(key: Key) -> tuple[Cell, Cell]:
        return Cell(key.type), Cell(names.get(key, key.id), collected.number_of(key))

    lines = [(Key(line.type, line.id), line.path) for line in unknown_secrets(snapshot)]
    secrets = tuple((*cells(key), Cell(path)) for key, path in lines if only is None or key in only)
    grants = tuple(cells(key) for key in granted(snapshot.entities) if only is None or key in only)
    tables = (
        Table(
            f"Secrets hidden by Jitsu ({len(secrets)})",
            ("Type", "Name", "Field"),
            secrets,
            intro="The snapshot does not contain the values of these fields.",
        ),
        Table(
            f"OAuth grants, which no archive contains ({len(grants)})",
            ("Type", "Name"),
            grants,
            intro="These were authorised in the UI. Authorise each copy again there.",
        ),
    )
    return [table for table in tables if table.rows]


def change_details(change: EntityChange, authors: str = "") -> Details:
    """Return the details of a changed entity, with a line about the authors."""
    moved = change.before if change.after and change.before != change.after else None
    differences, code = _told(change.fields)
    blocks = body_blocks(change.body) if change.body else ()
    shown = facts(("who", authors), ("id before", moved.id if moved else ""))
    return Details(shown, differences=differences, blocks=(*code, *blocks))


def _told(fields: Iterable[FieldChange]) -> tuple[tuple[Difference, ...], tuple[Block, ...]]:
    """Return the differences of fields, and those of code as blocks."""
    found = tuple(fields)
    return (
        tuple(_difference(one) for one in found if not one.code),
        tuple(Block(one.path, diff=one.code) for one in found if one.code),
    )


def _difference(found: FieldChange) -> Difference:
    if found.secret:
        how = "set" if found.before is None else "removed" if found.after is None else "changed"
        return Difference(found.path, secret=f"secret {how}")
    return Difference(found.path, _text(found.before), _text(found.after))


def _conflict(plan: Plan, found: FieldChange) -> Conflict:
    if found.secret:
        return Conflict(found.path, label=plan.since.base.capitalize(), secret="the secrets differ")  # noqa: S106  not a secret, only a remark about one
    if found.code:
        diffs = (Block(side.capitalize(), diff=lines) for side, lines in conflict_sides(plan, found))
        return Conflict(found.path, diffs=tuple(diffs))
    (_, source), (label, base), (_, target) = conflict_sides(plan, found)
    return Conflict(found.path, _text(source), _text(base), _text(target), label=label.capitalize())


def _text(value: Any) -> str | None:
    return None if value is None else clipped(_json(value))


def redacted(entity: Entity) -> dict[str, Any]:
    """Return the body of an entity with its secrets hidden."""
    return redact(entity, entity_type(entity.key.type).secrets)


def body_blocks(body: Mapping[str, Any]) -> tuple[Block, ...]:
    """Return a redacted body as blocks: code as text, the rest as JSON."""
    code = {name: body[name] for name in CODE_FIELDS if isinstance(body.get(name), str) and body[name]}
    rest = {name: value for name, value in body.items() if name not in code}
    return (
        *(Block(name, clipped(text)) for name, text in code.items()),
        Block("other fields" if code else "", clipped(_json(rest))),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str)


def _switched_off(sync: Entity) -> Entity:
    """Return a reverse sync as it will be in the target: disabled."""
    return Entity(sync.key, {**sync.body, "data": {**members_of(sync.body.get("data")), "disabled": True}})


def function_name(one: str) -> str:
    """Return a name for a function that is no entity: for one of Jitsu's own, the end of its id."""
    return one.rpartition(".")[2] or one if one.startswith("builtin.") else one


def kind_of(entity: Entity) -> str:
    """Return the subtype of an entity, in words; an empty text if it has none."""
    return _kind_of_link(entity) if joins(entity.key) else _kind_of_object(entity)


def _kind_of_link(link: Entity) -> str:
    data, kind = members_of(link.body.get("data")), link.body.get("type")
    if kind not in ("sync", "reverse-sync"):
        return "connection"
    words = [
        str(kind).replace("-", " "),
        quoted(given_name(link)) if given_name(link) else "",
        str(data.get("schedule") or ""),
        "off" if data.get("disabled") else "",
    ]
    return " ".join(word for word in words if word)


def _kind_of_object(entity: Entity) -> str:
    body = entity.body
    named_by = {"destination": "destinationType", "service": "package", "custom-image": "package"}
    kind = body.get(named_by.get(entity.key.type, ""))
    return kind.removeprefix("airbyte/source-") if isinstance(kind, str) else ""
