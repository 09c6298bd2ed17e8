"""The history of workspaces as one page: a timeline, the picture at every moment, the changes of every entity."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import count, groupby
from typing import TYPE_CHECKING

from jitsu_backup.model import plural, shown_time
from jitsu_backup.planning import ChangeKind
from jitsu_backup.planning.history import Author, History, HistoryChange, Step
from jitsu_backup.reports.diagram import Curve, Diagram, curves, lay_out
from jitsu_backup.reports.history_looks import Life, lives, places
from jitsu_backup.reports.page import LINKS, TYPES, Cell, Details, Fact, Item, Mark, Page, Table, facts, rank
from jitsu_backup.reports.page_entities import change_details
from jitsu_backup.reports.page_rendering import document, part_of_page, style_of
from jitsu_backup.reports.timeline import Timeline, counts_by_kind, day_of, timeline

if TYPE_CHECKING:
    from markupsafe import Markup

RestoreCommand = Callable[[History, Step, HistoryChange], str]
"""Returns the command line that gives an entity the state that it had before a change."""

MOST_CHANGES = 5_000
"""The most changes that a page lists; of more, the newest steps are kept."""

MOST_DETAILS = 4_000_000
"""The most bytes of fields, code and bodies on a page, so that it can be mailed; the newest are kept."""

_MARKS = {ChangeKind.ADDED: Mark.ADDED, ChangeKind.CHANGED: Mark.CHANGED, ChangeKind.REMOVED: Mark.REMOVED}
_WAYS = {"ui": "in the UI", "api": "by the API", "cli": "by Jitsu's own CLI", "mcp": "by MCP"}
_LEFT_OUT = Details(
    points=("Left out, because the page would be too large to be mailed: history -p shows it.",)
)
_WIDE = "screen and (min-width: 56rem)"


@dataclass(frozen=True, slots=True)
class Told:
    """One change on the page. `state` is the number of its step, `details` are markup, `restore` takes it back."""

    number: int
    state: int
    item: int
    type: str
    name: str
    mark: Mark
    step: Step
    authors: tuple[str, ...]
    details: "Markup"
    restore: str

    @property
    def when(self) -> str:
        """Between which two times it was made."""
        return _between(self.step)


@dataclass(frozen=True, slots=True)
class Shape:
    """One look of an entity in the picture: its element's id, and the states in which it is shown."""

    place: str
    item: Item
    first: int
    last: int

    @property
    def spans(self) -> str:
        """The states, as the page spells them."""
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entity on the page: its newest look, what became of it, all its looks, its changes, newest first."""

    item: Item
    mark: Mark
    word: str
    shapes: tuple[Shape, ...]
    changes: tuple[Told, ...]

    @property
    def spans(self) -> str:
        """The states in which it is there."""
        return " ".join(shape.spans for shape in self.shapes)

    @property
    def last(self) -> int:
        """The last state in which it is there, -1 where it never is."""
        return self.shapes[0].last if self.shapes else -1


@dataclass(frozen=True, slots=True)
class Day:
    """A day with changes; each of its steps is there with its number, its times and its changes, newest first."""

    date: date
    counts: tuple[tuple[Mark, int], ...]
    steps: tuple[tuple[int, Step, str, tuple[Told, ...]], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """The layout of a picture of all moments.

    `placed` are the entities that share the place of one, by its number; `tops` are the places of all, by their numbers.
    """

    drawing: Diagram
    placed: Mapping[int, Sequence[Entry]]
    tops: Mapping[int, float]
    left: tuple[Curve, ...]
    right: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Workspace:
    """The part of a page about one workspace; `newest` is the number of its newest state."""

    number: int
    page: Page
    newest: int
    entries: tuple[Entry, ...]
    days: tuple[Day, ...]
    timeline: Timeline | None
    picture: Picture
    history: History
    by_number: Mapping[int, Entry]

    @property
    def sources(self) -> str:
        """The title of the first column."""
        models = any(item.type == "model" for item in self.picture.drawing.sources)
        return "Sources and models" if models else "Streams and services"

    def there(self, items: Sequence[Item]) -> int:
        """Return how many entities the newest state has in some places."""
        return sum(entry.last == self.newest for item in items for entry in self.picture.placed[item.number])

    @property
    def groups(self) -> list[tuple[str, list[Entry]]]:
        """The entities by the titles of their types, those that changed first."""
        ordered = sorted(self.entries, key=lambda one: (rank(one.item.type), not one.changes))
        return [
            (TYPES.get(name, name), list(found))
            for name, found in groupby(ordered, lambda one: one.item.type)
        ]


def history_page(
    history: History | Sequence[History], restore_command: RestoreCommand, *, only: Sequence[str] = ()
) -> str:
    """Return a page about the history of one workspace, or of several; `only` are the selectors in use, if any."""
    histories = [history] if isinstance(history, History) else list(history)
    maker = _Maker(restore_command, tuple(only))
    parts = [maker.workspace(number, one) for number, one in enumerate(histories, 1)]
    page = parts[0].page if len(parts) == 1 else _overview(parts)
    return document(
        "history_page.html.j2",
        page,
        style_of("page.css", "history_page.css", wide=_WIDE) + "".join(map(_places, parts)),
        ["page.js", "history_page.js"],
        parts=parts,
        entities=sum(len(part.entries) for part in parts),
    )


def _overview(parts: Sequence[Workspace]) -> Page:
    """Return what stands at the top of a page about several workspaces, or about none."""
    changed = sum(len(entry.changes) for part in parts for entry in part.entries)
    state = f"{plural(changed, 'change')} in {plural(len(parts), 'workspace')}"
    return Page("History", ", ".join(part.history.slug for part in parts) or "no workspace", state, "told")


def _places(part: Workspace) -> str:
    """Return the style rules that place the picture's entities; all looks of one stand in one place."""
    tops = part.picture.tops
    rules = "".join(
        f"{','.join(f'#n{shape.place}' for shape in entry.shapes)}{{top:{tops[entry.item.number]}rem}}"
        for entry in part.entries
        if entry.shapes and entry.item.number in tops
    )
    return f"@media {_WIDE}{{#w{part.number} .board{{height:{part.picture.drawing.height}rem}}{rules}}}\n"


class _Maker:
    """Makes the parts of one page, with numbers that are unique on it, as long as there is room."""

    def __init__(self, restore_command: RestoreCommand, only: tuple[str, ...]) -> None:
        self.restore_command, self.only = restore_command, only
        self.items = self.changes = self.used = 0
        self.numbers = count(1)

    def workspace(self, number: int, history: History) -> Workspace:
        """Return the part about one workspace."""
        whole, history = history, self._with_room(history)
        found = [life for life in lives(history) if life.looks or life.changes]
        if self.only:
            found = _changed_with_ends(found)
        found.sort(key=lambda life: (rank(life.key.type), life.name.casefold(), life.lineage))
        numbers = {life.lineage: self.items + place for place, life in enumerate(found, 1)}
        self.items += len(found)
        told = self._told(history, numbers)
        entries = tuple(_entry(life, numbers, told[numbers[life.lineage]]) for life in found)
        return Workspace(
            number=number,
            page=self._page(history, whole, entries),
            newest=len(history.steps),
            entries=entries,
            days=tuple(_days(history, told)),
            timeline=_timeline(history),
            picture=_picture(entries, {numbers[one]: numbers[other] for one, other in places(found).items()}),
            history=history,
            by_number={entry.item.number: entry for entry in entries},
        )

    def _with_room(self, history: History) -> History:
        """Return a history with as many of its newest steps as have room on the page."""
        steps: list[Step] = []
        for step in history.steps:
            self.changes += len(step.changes)
            if self.changes > MOST_CHANGES and steps:
                break
            steps.append(step)
        return replace(history, steps=tuple(steps))

    def _told(self, history: History, numbers: dict[str, int]) -> dict[int, list[Told]]:
        """Return the changes of every entity by its number, newest first."""
        found: dict[int, list[Told]] = defaultdict(list)
        for state, step in _numbered(history):
            for one in step.changes:
                item = numbers[one.lineage]
                told = Told(
                    number=next(self.numbers), state=state, item=item, type=one.change.type, name=one.change.name,
                    mark=_MARKS[one.change.kind], step=step, authors=tuple(map(_author, one.authors)),
                    details=self._details(one), restore=self.restore_command(history, step, one),
                )  # fmt: skip
                found[item].append(told)
        return found

    def _details(self, one: HistoryChange) -> "Markup":
        """Return the details of a change as markup, while there is room for them."""
        if self.used < MOST_DETAILS:
            made = part_of_page("history_parts.html.j2", "details", change_details(one.change))
            self.used += len(made.encode())
            if self.used < MOST_DETAILS:
                return made
        return part_of_page("history_parts.html.j2", "details", _LEFT_OUT)

    def _page(self, history: History, whole: History, entries: Sequence[Entry]) -> Page:
        """Return what stands above a workspace, and its tables."""
        counts = counts_by_kind(history.steps)
        changed = sum(bool(entry.changes) for entry in entries)
        told = ", ".join(f"{counts[kind]} {kind.value}" for kind in ChangeKind if counts[kind])
        state = f"{told} in {plural(changed, 'entity', 'entities')}" if told else "no changes"
        notes = list(history.notes)
        if len(history.steps) < len(whole.steps):
            notes.insert(
                0,
                f"Only the newest {len(history.steps)} of {len(whole.steps)} steps are on this page: --until shows earlier ones.",
            )
        unread = len(history.unread)
        names = history.archives
        when = facts(
            ("from", shown_time(names[0].taken_at) if names else ""),
            ("to", shown_time(names[-1].taken_at) if names else ""),
        )
        return Page(
            "History", history.slug, state, "told",
            (Fact("workspace", f"{history.slug} ({history.workspace_id})"), *when, Fact("snapshots", str(len(names))), *facts(("could not be read", f"{unread}, listed at the end" if unread else "")), *facts(("only", ", ".join(self.only)))),
            tuple(notes), tuple(_tables(history)),
        )  # fmt: skip


def _numbered(history: History) -> Iterator[tuple[int, Step]]:
    """Yield the steps of a history, newest first, each with the number of the state that it leads to."""
    return zip(range(len(history.steps), 0, -1), history.steps, strict=True)


def _changed_with_ends(found: Sequence[Life]) -> list[Life]:
    """Return the entities that changed and those that they join: of others, chosen changes do not tell when they were there."""
    wanted = {one for life in found if life.changes for one in (life.lineage, *life.ends)}
    return [life for life in found if life.lineage in wanted]


def _entry(life: Life, numbers: dict[str, int], changes: Sequence[Told]) -> Entry:
    number = numbers[life.lineage]
    source, destination = (numbers.get(end or "") for end in life.ends)
    newest = Item(
        number, life.key.type, "", life.name, life.key.id, Mark.PLAIN, "", Details(), ends=(source, destination), sync=life.sync,
    )  # fmt: skip
    items = [
        replace(newest, name=look.name, kind=look.kind, end_names=look.end_names, functions=look.functions)
        for look in life.looks
    ]
    shapes = (
        Shape(f"{number}-{place}" if place else str(number), item, look.first, look.last)
        for place, (item, look) in enumerate(zip(items, life.looks, strict=True))
    )
    return Entry(items[0] if items else newest, *_fate(changes), tuple(shapes), tuple(changes))


def _picture(entries: Sequence[Entry], whose: Mapping[int, int]) -> Picture:
    """Return the layout of entities, where `whose` is the number of the one in whose place another one is drawn."""
    drawn = [entry for entry in entries if entry.shapes]
    placed: dict[int, list[Entry]] = defaultdict(list)
    for entry in drawn:
        placed[whose[entry.item.number]].append(entry)
    owners = tuple(
        replace(entry.item, ends=(whose.get(entry.item.ends[0] or 0), whose.get(entry.item.ends[1] or 0)))
        for entry in drawn
        if entry.item.number in placed
    )
    drawing = lay_out(Page("", "", "", "", items=owners))
    tops = {number: drawing.tops[place] for number, place in whose.items() if place in drawing.tops}
    links = [entry.item for entry in drawn if entry.item.type in LINKS]
    left, right = (tuple(curves(links, end, tops)) for end in (0, 1))
    return Picture(drawing, placed, tops, left, right)


def _fate(changes: Sequence[Told]) -> tuple[Mark, str]:
    """Return what became of an entity in the time of the history."""
    if not changes:
        return Mark.PLAIN, "no change"
    newest, oldest = changes[0], changes[-1]
    gone, made = newest.mark is Mark.REMOVED, oldest.mark is Mark.ADDED
    mark = Mark.REMOVED if gone else Mark.ADDED if made else Mark.CHANGED
    how = "removed on" if gone else "on" if len(changes) == 1 else "the last on"
    return mark, f"{plural(len(changes), 'change')}, {how} {day_of(newest.step)}"


def _days(history: History, told: dict[int, list[Told]]) -> Iterator[Day]:
    """Yield the days with changes, newest first."""
    of_step: dict[int, list[Told]] = defaultdict(list)
    for found in told.values():
        for one in found:
            of_step[one.state].append(one)
    for day, numbered in groupby(_numbered(history), lambda pair: day_of(pair[1])):
        steps = tuple((state, step, _between(step), tuple(of_step[state])) for state, step in numbered)
        counts = counts_by_kind(step for _, step, *_ in steps)
        yield Day(day, tuple((_MARKS[kind], counts[kind]) for kind in _MARKS if counts[kind]), steps)


def _between(step: Step) -> str:
    """Return the times of a step; the day of both once where it is the same."""
    before, after = shown_time(step.before.taken_at), shown_time(step.after.taken_at)
    day, _, rest = after.partition(" ")
    return f"between {before.removesuffix(' UTC')} and {rest if before.startswith(day) else after}"


def _timeline(history: History) -> Timeline | None:
    names = history.archives
    return timeline(names[0].taken_at, names[-1].taken_at, history.steps) if names else None


def _author(author: Author) -> str:
    """Return who made a change, how and when."""
    way = author.way or ("" if author.key else "ui")
    how = "by jitsu-backup" if author.ours else _WAYS.get(way, f"by {way}" if way else "")
    key = f"with key {author.key}" if author.key else ""
    return ", ".join(part for part in (author.who, how, key, shown_time(author.at)) if part)


def _tables(history: History) -> Iterator[Table]:
    """Yield a table of what could not be read, and one of what no snapshot saw."""
    if history.unread:
        rows = tuple(
            (Cell(shown_time(name.taken_at)), Cell(name.reference), Cell(why)) for name, why in history.unread
        )
        yield Table(
            f"Snapshots that could not be read ({len(rows)})", ("Taken", "Snapshot", "Why"), rows, urgent=True
        )
    if history.passing:
        rows = tuple(
            (Cell(one.type), Cell(one.name or one.id), Cell("; ".join(map(_author, one.authors))))
            for one in history.passing
        )
        yield Table(
            f"Made and deleted between two snapshots ({len(rows)})", ("Type", "Name", "Who"), rows,
            intro="The audit log knows these; no snapshot holds them.",
        )  # fmt: skip
