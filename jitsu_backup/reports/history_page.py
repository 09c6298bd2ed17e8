"""The history of workspaces as one page: a timeline, a picture at every moment, and the changes of every entity."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain, count, groupby
from typing import TYPE_CHECKING

from jitsu_backup.model import plural, shown_time
from jitsu_backup.planning import ChangeKind
from jitsu_backup.planning.history import History, HistoryChange, Step
from jitsu_backup.reports.authors import PASSING, author_text, authors_text
from jitsu_backup.reports.diagram import Curve, Diagram, curves, lay_out
from jitsu_backup.reports.history import Command, kind_of, restore_line, span
from jitsu_backup.reports.history_looks import Life, Look, lives, places
from jitsu_backup.reports.history_moments import Moments, moments
from jitsu_backup.reports.page import LINKS, TYPES, Cell, Details, Item, Mark, Page, Table, facts, rank
from jitsu_backup.reports.page_entities import change_details
from jitsu_backup.reports.page_rendering import document, part_of_page, style_of
from jitsu_backup.reports.timeline import Timeline, counts_by_kind, day_of, timeline

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_CHANGES = 5_000
"""The most changes that a page lists. If there are more, the newest steps are kept."""

LARGEST = 8_000_000
"""The most bytes of a page, so that it can be mailed. Details of the oldest changes are left out first."""

_MARKS = {ChangeKind.ADDED: Mark.ADDED, ChangeKind.CHANGED: Mark.CHANGED, ChangeKind.REMOVED: Mark.REMOVED}
_LEFT_OUT = Details(
    points=("Left out to keep the page small enough for mail. `jitsu-backup history -p` shows it.",)
)
_MARGIN = 500_000  # for the notes about what is left out
_WIDE = "screen and (min-width: 56rem)"


@dataclass(frozen=True, slots=True)
class Told:
    """One change on the page. `word` says what happened, `details` are markup, `restore` is the command that undoes it."""

    number: int
    item: int
    type: str
    name: str
    was: str
    mark: Mark
    word: str
    when: str
    day: date
    authors: tuple[str, ...]
    details: "Markup"
    restore: str


@dataclass(frozen=True, slots=True)
class Shape:
    """One look of an entity in the picture: the id of its element, and the states in which it is shown."""

    place: str
    item: Item
    first: int
    last: int

    @property
    def spans(self) -> str:
        """The states as the page writes them."""
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entity on the page: its newest look, what happened to it, and all looks and changes, newest first."""

    item: Item
    mark: Mark
    word: str
    shapes: tuple[Shape, ...]
    changes: tuple[Told, ...]

    @property
    def lines(self) -> dict[tuple[int | None, int | None], list[Shape]]:
        """Its looks by what it joins in them."""
        found: dict[tuple[int | None, int | None], list[Shape]] = defaultdict(list)
        for shape in self.shapes:
            found[shape.item.ends].append(shape)
        return found

    @property
    def last(self) -> int:
        """The last state in which it exists, -1 if it never does."""
        return self.shapes[0].last if self.shapes else -1


@dataclass(frozen=True, slots=True)
class Day:
    """A day with changes: its states with their numbers, and the steps that led to each, newest first."""

    date: date
    counts: tuple[tuple[Mark, int], ...]
    states: tuple[tuple[int, tuple[Step, ...]], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """The layout of a picture for all moments.

    `placed` are the entities that share a place, by the number of its owner. `tops` are the places of all, by number.
    """

    drawing: Diagram
    placed: Mapping[int, Sequence[Entry]]
    tops: Mapping[int, float]
    left: tuple[Curve, ...]
    right: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Workspace:
    """The part of a page about one workspace. `told` are the changes of each step, by the names of its two archives."""

    number: int
    page: Page
    moments: Moments
    entries: tuple[Entry, ...]
    days: tuple[Day, ...]
    timeline: Timeline | None
    picture: Picture
    history: History
    by_number: Mapping[int, Entry]
    told: Mapping[tuple[str, str], Sequence[Told]]

    def of_step(self, step: Step) -> Sequence[Told]:
        """Return the changes of a step."""
        return self.told[_place(step)]

    def line(self, link: Item) -> Sequence[Shape]:
        """Return the looks of a connection while it had these ends."""
        return self.by_number[link.number].lines[link.ends]

    @property
    def sources(self) -> str:
        """The title of the first column."""
        models = any(item.type == "model" for item in self.picture.drawing.sources)
        return "Sources and models" if models else "Streams and services"

    def there(self, items: Sequence[Item]) -> int:
        """Return how many entities of the newest state are in some places."""
        return sum(
            entry.last == self.moments.newest for item in items for entry in self.picture.placed[item.number]
        )

    @property
    def groups(self) -> list[tuple[str, list[Entry]]]:
        """The entities by the titles of their types, changed ones first."""
        ordered = sorted(self.entries, key=lambda one: (rank(one.item.type), not one.changes))
        return [
            (TYPES.get(name, name), list(found))
            for name, found in groupby(ordered, lambda one: one.item.type)
        ]


def history_page(
    history: History | Sequence[History],
    command: Command,
    *,
    shown: Sequence[History] | None = None,
    only: Sequence[str] = (),
) -> str:
    """Return a page about the history of one workspace, or of several.

    `shown` are the same histories with only the selected steps and changes, and their authors if known; None for all. The
    picture at a moment follows from the whole history. With the selectors `only`, it shows what changed and the ends of
    changed connections. `command` makes commands.
    """
    whole = [history] if isinstance(history, History) else list(history)
    pairs = list(zip(whole, shown or whole, strict=True))
    made = _made(pairs, _Maker(command, tuple(only), LARGEST // 2))
    excess = len(made.encode()) - LARGEST
    return (
        made if excess <= 0 else _made(pairs, _Maker(command, tuple(only), LARGEST // 2 - excess - _MARGIN))
    )


def _made(histories: Iterable[tuple[History, History]], maker: "_Maker") -> str:
    parts = [maker.workspace(number, one, shown) for number, (one, shown) in enumerate(histories, 1)]
    page = parts[0].page if len(parts) == 1 else _overview(parts)
    return document(
        "history_page.html.j2",
        page,
        style_of("page.css", "history_page.css", wide=_WIDE) + "".join(map(_places, parts)),
        ["page.js", "history_page.js"],
        parts=parts,
        span=span,
        entities=sum(len(part.entries) for part in parts),
    )


def _overview(parts: Sequence[Workspace]) -> Page:
    """Return the top of a page about several workspaces, or about none."""
    changed = sum(len(entry.changes) for part in parts for entry in part.entries)
    state = f"{plural(changed, 'change')} in {plural(len(parts), 'workspace')}"
    return Page("History", ", ".join(part.history.called for part in parts) or "no workspace", state, "told")


def _places(part: Workspace) -> str:
    """Return the style rules that place the entities of the picture; all looks of an entity have one place."""
    tops = part.picture.tops
    rules = "".join(
        f"{','.join(f'#n{shape.place}' for shape in entry.shapes)}{{top:{tops[entry.item.number]}rem}}"
        for entry in part.entries
        if entry.shapes and entry.item.number in tops
    )
    return f"@media {_WIDE}{{#w{part.number} .board{{height:{part.picture.drawing.height}rem}}{rules}}}\n"


class _Maker:
    """Makes the parts of one page, with numbers that are unique on it; `most` limits the bytes of all details."""

    def __init__(self, command: Command, only: tuple[str, ...], most: int) -> None:
        self.command, self.only, self.most = command, only, most
        self.items = self.used = 0
        self.room = MOST_CHANGES
        self.numbers = count(1)

    def workspace(self, number: int, history: History, shown: History) -> Workspace:
        """Return the part about one workspace."""
        chosen = moments(history, shown.steps, self.room)
        steps = [step for _, led in chosen.numbered for step in led]
        changed = {one.lineage for step in steps for one in step.changes}
        found = [life for life in map(chosen.of, lives(history)) if life.looks or life.lineage in changed]
        found = _with_ends(found, changed) if self.only else found
        found.sort(key=lambda life: (rank(life.key.type), life.name.casefold(), life.lineage))
        numbers = {life.lineage: self.items + place for place, life in enumerate(found, 1)}
        self.items += len(found)
        self.room -= sum(len(step.changes) for step in steps)
        changes = {_place(step): [self._told(step, one, numbers) for one in step.changes] for step in steps}
        by_item: dict[int, list[Told]] = defaultdict(list)
        for one in chain.from_iterable(changes.values()):
            by_item[one.item].append(one)
        entries = tuple(_entry(life, numbers, by_item[numbers[life.lineage]]) for life in found)
        return Workspace(
            number=number,
            page=self._page(history, shown, chosen, entries),
            moments=chosen,
            entries=entries,
            days=tuple(_days(chosen)),
            timeline=_timeline(chosen),
            picture=_picture(entries, {numbers[one]: numbers[other] for one, other in places(found).items()}),
            history=history,
            by_number={entry.item.number: entry for entry in entries},
            told=changes,
        )

    def _told(self, step: Step, one: HistoryChange, numbers: Mapping[str, int]) -> Told:
        change = one.change
        return Told(
            number=next(self.numbers), item=numbers[one.lineage], type=change.type, name=change.name, was=change.was or "",
            mark=_MARKS[change.kind], word=kind_of(change), when=span(step), day=day_of(step),
            authors=tuple(filter(None, [authors_text(one.authors, one.change.saved_at, str)])), details=self._details(one), restore=restore_line(one, self.command),
        )  # fmt: skip

    def _details(self, one: HistoryChange) -> "Markup":
        """Return the details of a change as markup, as long as there is room for them."""
        if self.used < self.most:
            made = part_of_page("history_parts.html.j2", "details", change_details(one.change))
            self.used += len(made.encode())
            if self.used < self.most:
                return made
        return part_of_page("history_parts.html.j2", "details", _LEFT_OUT)

    def _page(self, history: History, shown: History, chosen: Moments, entries: Sequence[Entry]) -> Page:
        """Return what is shown above a workspace, and its tables."""
        steps = [step for led in chosen.steps for step in led]
        counts = counts_by_kind(steps)
        changed = sum(bool(entry.changes) for entry in entries)
        summary = ", ".join(f"{counts[kind]} {kind.value}" for kind in ChangeKind if counts[kind])
        left, unread, archives = len(shown.steps) - len(steps), len(shown.unread), chosen.archives
        notes = [f"{plural(left, 'earlier step')} left out; use --until to see them."] if left else []
        whole = facts(
            ("workspace", f"{history.slug} ({history.workspace_id})"),
            ("console", history.console),
            ("from", shown_time(archives[0].taken_at) if archives else ""),
            ("to", shown_time(archives[-1].taken_at) if archives else ""),
            ("snapshots", str(len(archives))),
            ("could not be read", f"{unread}, listed at the end" if unread else ""),
            ("only", ", ".join(self.only)),
        )
        return Page(
            "History",
            history.called,
            f"{summary} ({plural(changed, 'entity', 'entities')})" if summary else "no changes",
            "told",
            whole,
            (*notes, *shown.notes),
            tuple(_tables(shown)),
        )


def _with_ends(found: Sequence[Life], changed: Collection[str]) -> list[Life]:
    """Return the entities that changed and the ends of those that are connections."""
    ends = {end for life in found if life.lineage in changed for look in life.looks for end in look.ends}
    return [life for life in found if life.lineage in changed or life.lineage in ends]


def _entry(life: Life, numbers: Mapping[str, int], changes: Sequence[Told]) -> Entry:
    number = numbers[life.lineage]
    plain = Item(number, life.key.type, "", life.name, life.key.id, Mark.PLAIN, "", Details(), sync=life.sync)
    shapes = [
        Shape(
            f"{number}-{place}" if place else str(number), _seen(plain, look, numbers), look.first, look.last
        )
        for place, look in enumerate(life.looks)
    ]
    return Entry(shapes[0].item if shapes else plain, *_fate(changes), tuple(shapes), tuple(changes))


def _seen(item: Item, look: Look, numbers: Mapping[str, int]) -> Item:
    """Return an entity as one of its looks shows it."""
    source, destination = (numbers.get(end or "") for end in look.ends)
    return replace(
        item, name=look.name, kind=look.kind, end_names=look.end_names, functions=look.functions, ends=(source, destination)
    )  # fmt: skip


def _picture(entries: Sequence[Entry], whose: Mapping[int, int]) -> Picture:
    """Return the layout of entities; `whose` maps the number of each to the number of the place's owner."""
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
    lines = [shapes[0].item for entry in drawn if entry.item.type in LINKS for shapes in entry.lines.values()]
    left, right = (tuple(curves(lines, end, tops)) for end in (0, 1))
    return Picture(drawing, placed, tops, left, right)


def _fate(changes: Sequence[Told]) -> tuple[Mark, str]:
    """Return what happened to an entity in the period of the page."""
    if not changes:
        return Mark.PLAIN, "no change"
    newest, oldest = changes[0], changes[-1]
    gone, made = newest.mark is Mark.REMOVED, oldest.mark is Mark.ADDED
    mark = Mark.REMOVED if gone else Mark.ADDED if made else Mark.CHANGED
    how = "removed on" if gone else "on" if len(changes) == 1 else "the last on"
    return mark, f"{plural(len(changes), 'change')}, {how} {newest.day}"


def _days(chosen: Moments) -> Iterator[Day]:
    """Yield the days with changes, newest first."""
    for day, found in groupby(chosen.numbered, lambda pair: day_of(pair[1][0])):
        states = tuple(found)
        counts = counts_by_kind(step for _, steps in states for step in steps)
        yield Day(day, tuple((_MARKS[kind], counts[kind]) for kind in _MARKS if counts[kind]), states)


def _place(step: Step) -> tuple[str, str]:
    return str(step.before), str(step.after)


def _timeline(chosen: Moments) -> Timeline | None:
    names = chosen.archives
    steps = [step for led in chosen.steps for step in led]
    return timeline(names[0].taken_at, names[-1].taken_at, steps) if names else None


def _tables(history: History) -> Iterator[Table]:
    """Yield a table of what could not be read, and one of the entities that no snapshot saw."""
    if history.unread:
        rows = tuple(
            (Cell(shown_time(name.taken_at)), Cell(name.reference), Cell(why)) for name, why in history.unread
        )
        yield Table(
            f"Snapshots that could not be read ({len(rows)})", ("Taken", "Snapshot", "Why"), rows, urgent=True
        )
    if history.passing:
        rows = tuple(
            (
                Cell(one.type),
                Cell(one.name or one.id),
                Cell("; ".join(author_text(author, str) for author in one.authors)),
            )
            for one in history.passing
        )
        yield Table(
            f"{PASSING} ({len(rows)})", ("Type", "Name", "Who"), rows,
            intro="The audit log lists these entities; no snapshot contains them.",
        )  # fmt: skip
