"""Histories to look at and to measure: some days of the recorded workspace, 500 snapshots of 300 entities, none, ill will."""

import random
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from jitsu_backup.archive import ArchiveName, digest
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.planning import ChangeKind, EntityChange, compare
from jitsu_backup.planning.history import Author, History, HistoryChange, Passing, Step
from jitsu_backup.reports.history_page import history_page
from jitsu_backup.sandbox import known_schemas
from tests.reports.samples import CANARY, HOSTILE, altered, hostile, three_hundred
from tests.support import make_snapshot, recorded_snapshot

START = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
Lists = dict[str, list[dict[str, Any]]]


def command(*arguments: str) -> str:
    return shlex.join(["jitsu-backup", *arguments])


def way_back(before: ArchiveName, change: EntityChange) -> tuple[str, ...]:
    selector = f"{change.type}/{change.was or change.name}"
    return before.reference, "--only", selector, *(["--prune"] if change.kind is ChangeKind.ADDED else [])


def lists_of(snapshot: Snapshot) -> Lists:
    found: Lists = {name: [] for name in snapshot.manifest.counts}
    for entity in snapshot.entities:
        found[entity.key.type].append(dict(entity.body))
    return found


def like(snapshot: Snapshot, lists: Lists, taken_at: datetime) -> Snapshot:
    source = snapshot.manifest.source
    made = make_snapshot(lists, slug=source.slug or "", host=source.host, workspace_id=source.workspace_id)
    return replace(made, taken_at=taken_at)


def archive_of(snapshot: Snapshot, slug: str = "") -> ArchiveName:
    source = snapshot.manifest.source
    return ArchiveName(
        slug or source.slug or "", source.workspace_id, snapshot.taken_at, digest(snapshot)[:12]
    )


def history_of(snapshots: Sequence[Snapshot], slug: str = "", **more: Any) -> History:
    """The history of some snapshots, oldest first; an entity has the same lineage as long as it is paired."""
    lineages = {entity.key: str(entity.key) for entity in snapshots[0].entities}
    steps: list[Step] = []
    names = [archive_of(snapshot, slug) for snapshot in snapshots]
    for (before, after), (one, other) in zip(pairwise(snapshots), pairwise(names), strict=True):
        found = compare(*_what_differs(before, after), known_schemas())
        lineages = {found.pairs.get(key, key): lineage for key, lineage in lineages.items()}
        changes = []
        for change in found.entities:
            key = (
                change.after or found.pairs.get(change.before or Key("", "")) or change.before or Key("", "")
            )
            lineage = lineages.setdefault(key, str(key))
            changes.append(
                HistoryChange(change, lineage, f"{change.type}/{change.name}", way_back=way_back(one, change))
            )
        if changes:
            steps.append(Step(one, other, tuple(changes)))
    newest = snapshots[-1]
    return History(
        newest.manifest.source.workspace_id, names[0].slug, tuple(reversed(steps)), tuple(names), newest=newest,
        lineages={entity.key: lineages.get(entity.key, str(entity.key)) for entity in newest.entities}, **more,
    )  # fmt: skip


def _what_differs(before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Both snapshots with what differs and what that names: much quicker to compare, and the same changes."""
    sides = [{entity.key: entity.body for entity in side.entities} for side in (before, after)]
    keys = sides[0].keys() | sides[1].keys()
    differing = {key for key in keys if sides[0].get(key) != sides[1].get(key)}
    text = " ".join(str(side.get(key)) for side in sides for key in differing)
    wanted = differing | {key for key in keys if key.id in text}
    one, other = (
        replace(side, entities=tuple(entity for entity in side.entities if entity.key in wanted))
        for side in (before, after)
    )
    return one, other


def moments(count: int, dice: random.Random) -> list[datetime]:
    """Times of snapshots on working days, some days without any."""
    found, moment = [], START
    for _ in range(count):
        found.append(moment)
        moment += timedelta(minutes=dice.choice((15, 30, 60, 60, 180, 600)))
        if moment.hour > 19:
            moment = moment.replace(hour=6) + timedelta(days=dice.choice((1, 1, 1, 2, 3)))
    return found


def evolved(first: Snapshot, count: int, seed: int, most: int = 6) -> list[Snapshot]:
    """A workspace at some moments, with a few random changes between one and the next."""
    dice = random.Random(seed)
    times = moments(count, dice)
    found, lists = [replace(first, taken_at=times[0])], lists_of(first)
    for number, moment in enumerate(times[1:]):
        for _ in range(dice.randrange(1, most)):
            change(lists, dice, number)
        found.append(like(first, lists, moment))
    return found


_KINDS = {
    "code": 10, "field": 4, "rename": 1, "functions": 3, "schedule": 1, "connect": 1.5, "disconnect": 1, "make": 1, "delete": 1,
}  # fmt: skip


def change(lists: Lists, dice: random.Random, number: int) -> None:
    """Change something: code most of the time."""
    (what,) = dice.choices(list(_KINDS), list(_KINDS.values()))
    if what in ("make", "delete", "connect"):
        come_or_go(lists, dice, number, what)
        return
    renamed = dice.choice(("stream", "destination", "function"))
    name = {"code": "function", "field": "destination", "rename": renamed}.get(what, "link")
    if not lists[name]:
        return
    place = dice.randrange(len(lists[name]))
    edited = [] if what == "disconnect" else [edit(lists, lists[name][place], dice, number, what)]
    lists[name] = [*lists[name][:place], *edited, *lists[name][place + 1 :]]


def come_or_go(lists: Lists, dice: random.Random, number: int, what: str) -> None:
    """Make a stream, delete one without connections, or connect two."""
    count = len(lists["link"]) + len(lists["stream"])
    if what == "make":
        made = {
            "id": f"stream-made-{number}-{count}",
            "name": f"Campaign {number}",
            "domains": [f"{number}.example"],
        }
        lists["stream"] = [*lists["stream"], made]
    elif what == "delete":
        used = {link["fromId"] for link in lists["link"]}
        free = [body for body in lists["stream"] if body["id"] not in used]
        lists["stream"] = [body for body in lists["stream"] if body not in free[:1]]
    else:
        ends = {"fromId": dice.choice(lists["stream"])["id"], "toId": dice.choice(lists["destination"])["id"]}
        if all((link["fromId"], link["toId"]) != tuple(ends.values()) for link in lists["link"]):
            made = {"id": f"link-made-{number}-{count}", "type": "push", **ends, "data": {"mode": "batch"}}
            lists["link"] = [*lists["link"], made]


def edit(lists: Lists, body: dict[str, Any], dice: random.Random, number: int, what: str) -> dict[str, Any]:
    """Return a body with a change."""
    data = body.get("data") or {}
    if what == "code":
        lines = str(body.get("code", "")).split("\n")
        for _ in range(dice.randrange(1, 12)):
            rule = f"  event.context.rule_{dice.randrange(999)} = await lookup(event.userId, {number})"
            lines.insert(dice.randrange(1, max(2, len(lines))), rule)
        return {**body, "code": "\n".join(lines[-60:])}
    if what == "field":
        fields = {"host": f"db{number}.example", "defaultSchema": f"events_{number % 7}"}
        return {**body, **fields, "password": f"{CANARY}-{number}"}
    if what == "rename":
        return {**body, "name": f"{str(body.get('name')).partition(' (')[0]} ({number})"}
    if what == "schedule":
        env = {"TOKEN": f"{CANARY}{number}"}
        return {**body, "data": {**data, "schedule": f"{number % 60} * * * *", "functionsEnv": env}}
    used = dice.sample(lists["function"], min(len(lists["function"]), dice.randrange(3)))
    return {**body, "data": {**data, "functions": [{"functionId": f"udf.{one['id']}"} for one in used]}}


@cache
def five_hundred() -> History:
    """500 snapshots of a workspace of 300 entities, each of them other than the one before."""
    return history_of(evolved(three_hundred(), 500, 500, most=8))


def with_authors(history: History) -> History:
    """The same, as the audit log tells who it was."""
    people = (
        ("anna@acme.example", None, "ui"),
        ("ci-bot", "key-7", "api"),
        ("ben@acme.example", "key-9", "api"),
    )

    def told(step: Step, place: int, one: HistoryChange) -> HistoryChange:
        who, key, way = people[(place + len(one.lineage)) % 3]
        return replace(
            one, authors=(Author(who, step.after.taken_at - timedelta(minutes=7), key, way, key == "key-9"),)
        )

    steps = (
        replace(step, changes=tuple(told(step, place, one) for place, one in enumerate(step.changes)))
        for step in history.steps
    )
    return replace(history, steps=tuple(steps))


@cache
def recorded() -> History:
    """Three weeks of the recorded workspace."""
    found = history_of(evolved(recorded_snapshot(), 30, 12, most=4))
    unread = archive_of(replace(recorded_snapshot(), taken_at=START + timedelta(days=3)))
    passing = Passing(
        "function",
        "f-gone",
        "Try this",
        (Author("anna@acme.example", START + timedelta(days=4), None, "ui"),),
    )
    noted = replace(
        found, unread=((unread, "it is encrypted: --identity names the key"),), passing=(passing,)
    )
    return with_authors(noted)


@cache
def ill_willed(texts: tuple[str, ...] = HOSTILE) -> History:
    """Names, code, authors and reasons that are written with ill will."""
    first = replace(hostile(texts), taken_at=START)
    second = replace(altered(first), taken_at=START + timedelta(hours=5))
    renamed = [
        Entity(e.key, {**e.body, "name": f"{e.body['name']}!"}) if e.key.type in ("stream", "function") else e
        for e in second.entities
    ]
    third = replace(second, entities=tuple(renamed), taken_at=START + timedelta(days=2))
    slug = "acme-hostile"
    found = history_of([first, second, third, replace(first, taken_at=START + timedelta(days=5))], slug)
    authors = tuple(Author(text[:300], START, text[:50], text[:50]) for text in texts)
    steps = tuple(
        replace(
            step,
            changes=tuple(
                replace(one, authors=authors[place % len(authors) :][:1])
                for place, one in enumerate(step.changes)
            ),
        )
        for step in found.steps
    )
    return replace(
        found, slug=texts[0], workspace_id=texts[1], steps=steps, notes=tuple(texts), unread=((found.archives[0], texts[2]),),
        passing=tuple(Passing(text, text, text, authors[:2]) for text in texts),
    )  # fmt: skip


def without_steps() -> History:
    """Snapshots between which nothing changed."""
    first = replace(recorded_snapshot(), taken_at=START)
    return history_of([first, replace(first, taken_at=START + timedelta(hours=1))])


def unreadable() -> History:
    """A store whose archives could not be read."""
    name = archive_of(recorded_snapshot())
    return History(name.workspace_id, name.slug, (), (), ((name, "it is damaged"),))


def history_pages() -> dict[str, str]:
    """Every sample as a page, by name."""
    samples: dict[str, History | Iterable[History]] = {
        "history": recorded(),
        "history-still": without_steps(),
        "history-unread": unreadable(),
        "history-hostile": ill_willed(),
        "history-two": [recorded(), ill_willed()],
    }
    return {name: history_page(one, command) for name, one in samples.items()}  # type: ignore[arg-type]
