"""Random histories of a workspace, as archives that do not all see everything, and what changed in them in truth."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jitsu_backup.archive import CLONED, PACKED, PRE_RESTORE, archive_name, encode
from jitsu_backup.catalogue.derived_ids import derived_id
from jitsu_backup.model import MASK, CloneRecord, Refusal, Snapshot, Source
from tests.support import STAGING, make_snapshot

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TYPES = ("stream", "destination", "function", "gadget", "link")
NAMES = ("Enrich", "Web site", "it's", "a*b", "x → y", "日本", "Enrich", "-f", "tab\there", "$(id)")

Told = tuple[str, int, str, datetime, datetime]
"""What a history should tell: the kind, the entity's number, its fields, and the times of the archives on either side."""


@dataclass
class Thing:
    """An entity that keeps its `number` whatever its id is."""

    number: int
    type: str
    id: str
    body: dict[str, Any]

    def shown(self, ids: dict[int, str], *, hidden: bool) -> dict[str, Any]:
        body = {
            name: ids[value] if name in ("fromId", "toId") else value for name, value in self.body.items()
        }
        if hidden and "password" in body:
            body["password"] = MASK
        return {"id": self.id, "workspaceId": STAGING, "updatedAt": str(random.random()), **body}


@dataclass
class Workspace:
    """A workspace in truth, and how people and restores change it."""

    dice: random.Random
    things: dict[int, Thing] = field(default_factory=dict)
    gone: list[Thing] = field(default_factory=list)
    remade: set[int] = field(default_factory=set)
    count: int = 0

    def new(self) -> int:
        self.count += 1
        return self.count

    def add(self) -> None:
        kind, number = self.dice.choice(TYPES), self.new()
        body: dict[str, Any] = {"name": self.dice.choice(NAMES), "note": f"v{self.new()}"}
        if kind == "destination":
            body |= {"destinationType": "postgres", "password": f"secret-{number}"}
        if kind == "function":
            body["code"] = f"// {number}\nexport default 1"
        if kind == "link":
            ends = [
                [t.number for t in self.things.values() if t.type == end] for end in ("stream", "destination")
            ]
            if not all(ends):
                return
            source, target = map(self.dice.choice, ends)
            taken = {(t.body.get("fromId"), t.body.get("toId")) for t in [*self.things.values(), *self.gone]}
            if (source, target) in taken:
                return
            body = {"type": "push", "fromId": source, "toId": target, "data": {"mode": f"m{self.new()}"}}
        self.things[number] = Thing(number, kind, f"{kind}-{number}", body)

    def remove(self) -> None:
        if self.things:
            number = self.dice.choice(sorted(self.things))
            joined = [
                n for n, t in self.things.items() if number in (t.body.get("fromId"), t.body.get("toId"))
            ]
            self.gone += [self.things.pop(one) for one in (*joined, number)]

    def edit(self) -> None:
        if not self.things:
            return
        thing = self.things[self.dice.choice(sorted(self.things))]
        body = dict(thing.body)
        if thing.type == "link":
            body["data"] = {"mode": f"m{self.new()}"}
        else:
            names = sorted({*body, "extra"} - {"destinationType"})
            name = self.dice.choice(names)
            old = body.get(name)
            body[name] = (
                f"{name}-{self.new()}" if name != "extra" else (True if old == 1 and old is not True else 1)
            )
        thing.body = body

    def restore(self) -> None:
        """Make something again as our restores do: with a derived id, or a link with one of the server's."""
        gone = [
            t for t in self.gone if t.type != "link" or {t.body["fromId"], t.body["toId"]} <= {*self.things}
        ]
        alive = [t for t in self.things.values() if t.type != "gadget"]
        candidates = [t for t in self.dice.choice([gone, gone, alive]) if t.number not in self.remade]
        if not candidates:
            return
        thing = self.dice.choice(candidates)
        self.gone = [one for one in self.gone if one is not thing]
        self._make_again(thing)
        for link in [
            t for t in self.things.values() if thing.number in (t.body.get("fromId"), t.body.get("toId"))
        ]:
            self._make_again(link)

    def _make_again(self, thing: Thing) -> None:
        new = f"link-{self.new()}" if thing.type == "link" else derived_id(STAGING, thing.type, thing.id)
        self.things[thing.number] = replace(thing, id=new)
        self.remade.add(thing.number)  # nobody can follow what is made again twice while no archive sees it

    def step(self) -> None:
        for _ in range(self.dice.choice([0, 1, 1, 2, 4])):
            self.dice.choice([self.add, self.add, self.edit, self.edit, self.remove, self.restore])()

    def picture(self) -> dict[int, tuple[str, dict[str, Any]]]:
        return {n: (t.type, dict(t.body)) for n, t in self.things.items()}


@dataclass
class Archived:
    """One archive that counts: the truth of its time, which types it saw, and whether it saw secrets."""

    at: datetime
    truth: dict[int, tuple[str, dict[str, Any]]]
    types: frozenset[str]
    clear: bool


@dataclass
class Story:
    """A history as it was in truth, and as archives of it in a folder; `numbers` tells who is who by key."""

    folder: Path
    archived: list[Archived] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    last: Snapshot | None = None

    def keep(self, snapshot: Snapshot, *marks: str) -> None:
        data = encode(snapshot)
        (self.folder / str(archive_name(snapshot, marks, size=len(data)))).write_bytes(data)

    def expected(self) -> Iterator[Told]:
        """Yield what changed, by the archives that could see it."""
        everybody = {n: kind for one in self.archived for n, (kind, _) in one.truth.items()}
        for number, kind in everybody.items():
            seeing = [one for one in self.archived if kind in one.types]
            for before, after in itertools.pairwise(seeing):
                was, now = before.truth.get(number), after.truth.get(number)
                if (was is None) is not (now is None):
                    yield ("added" if was is None else "removed"), number, "", before.at, after.at
                elif was is not None and now is not None:
                    fields = [
                        n
                        for n in {*was[1], *now[1]}
                        if n != "password" and _differ(was[1].get(n), now[1].get(n))
                    ]
                    if fields:
                        yield "changed", number, ",".join(sorted(fields)), before.at, after.at
            yield from self._secrets(number, kind)

    def _secrets(self, number: int, kind: str) -> Iterator[Told]:
        last: Archived | None = None
        for one in (one for one in self.archived if kind in one.types):
            if number not in one.truth:
                last = None
            elif one.clear and "password" in one.truth[number][1]:
                if last is not None and last.truth[number][1]["password"] != one.truth[number][1]["password"]:
                    yield "changed", number, "password", last.at, one.at
                last = one


def _differ(one: Any, other: Any) -> bool:
    return one != other or isinstance(one, bool) is not isinstance(other, bool)


def write_story(folder: Path, seed: int, steps: int) -> Story:
    """Write a random history of a workspace as archives; equal seeds give equal ones, but for times of updates."""
    dice = random.Random(seed)
    workspace, story = Workspace(dice), Story(folder)
    for _ in range(dice.randrange(12)):
        workspace.add()
    for step in range(steps):
        at = BEGIN + timedelta(hours=step)
        if not (story.last is not None and dice.random() < 0.15):
            workspace.step()
            _archive(story, workspace, at, dice)
        else:  # the same content again
            story.keep(replace(story.last, taken_at=at))
            story.archived.append(replace(story.archived[-1], at=at))
        _beside(story, at, dice)
    return story


def _archive(story: Story, workspace: Workspace, at: datetime, dice: random.Random) -> None:
    blind = (
        frozenset(dice.sample(TYPES, dice.choice([0, 0, 0, 1, 2]))) if story.archived else frozenset[str]()
    )
    clear = dice.random() < 0.5
    ids = {n: t.id for n, t in workspace.things.items()}
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in TYPES if name not in blind}
    for thing in workspace.things.values():
        story.numbers[f"{thing.type}/{thing.id}"] = thing.number
        if thing.type in lists:
            workspace.remade.discard(thing.number)
            lists[thing.type].append(thing.shown(ids, hidden=not clear))
    refused = {name for name in blind if name == "gadget" or dice.random() < 0.5}
    snapshot = make_snapshot(
        lists,
        refused=tuple(Refusal(name, "403") for name in sorted(refused)),
        not_offered=tuple(sorted(blind - refused)),
    )
    story.last = replace(snapshot, taken_at=at)
    story.keep(story.last, *([PRE_RESTORE] if dice.random() < 0.2 else []))
    empty = {name for name in blind - refused if not _known_of(story, name)}
    seen = frozenset(TYPES) - blind | empty
    truth = {number: one for number, one in workspace.picture().items() if one[0] not in empty}
    story.archived.append(Archived(at, truth, seen, clear))


def _known_of(story: Story, kind: str) -> bool:
    """Return whether the last archive that saw a type had something of it."""
    seeing = [one for one in story.archived if kind in one.types]
    return bool(seeing) and any(found == kind for found, _ in seeing[-1].truth.values())


def _beside(story: Story, at: datetime, dice: random.Random) -> None:
    """Put something into the store that does not count."""
    assert story.last is not None
    other = make_snapshot({"function": [{"id": "foreign", "name": f"foreign {dice.random()}"}]})
    other = replace(other, taken_at=at + timedelta(minutes=7))
    chance = dice.random()
    if chance < 0.05:
        story.keep(other, PACKED)
    elif chance < 0.1:
        record = CloneRecord(Source("https://other.example", "w2"), {})
        story.keep(replace(other, manifest=replace(other.manifest, cloned=record)), CLONED)
    elif chance < 0.15:
        story.keep(replace(other, taken_at=NOW + timedelta(days=30)))
    elif chance < 0.2:
        data = encode(other)
        (story.folder / str(archive_name(other, size=len(data)))).write_bytes(data[:-9])
