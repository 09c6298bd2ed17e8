"""What a page shows, whatever it is about: entities with their marks and details, connections between them, tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

SOURCES, DESTINATIONS, LINKS = ("stream", "service"), ("destination",), ("link",)
"""Types on the left of the picture, on its right, and between them; all others stand beneath."""


class Mark(Enum):
    """How an entity is marked: its style class and its sign, so that colour never says anything alone."""

    ADDED = ("added", "+")
    CHANGED = ("changed", "~")
    REMOVED = ("removed", "\N{MINUS SIGN}")
    BLOCKED = ("blocked", "!")
    FAILED = ("failed", "\N{MULTIPLICATION SIGN}")
    DIFFERS = ("differs", "\N{NOT EQUAL TO}")
    SKIPPED = ("skipped", "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}")
    PLAIN = ("plain", "")

    @property
    def style(self) -> str:
        """The style class."""
        return self.value[0]

    @property
    def sign(self) -> str:
        """The sign; empty for what is not marked."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a header or of details: a label of ours, a value of anybody's."""

    label: str
    value: str


MOST_LINES, MOST_CHARACTERS = 2_000, 50_000
"""How much of one text a page shows: it is to be mailed and read."""


def clipped(text: str) -> str:
    """Return the beginning of a text that is too long for a page, and how long it is."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n… {len(text) - MOST_CHARACTERS:,} more characters"


@dataclass(frozen=True, slots=True)
class Block:
    """A text shown as it is, under a label: JSON, code, or with `diff` the lines of a unified diff."""

    label: str
    text: str = ""
    diff: tuple[str, ...] = ()

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The lines of the diff, each with its style class."""
        lines = [*self.diff[:MOST_LINES]]
        if len(self.diff) > MOST_LINES:
            lines.append(f"… {len(self.diff) - MOST_LINES:,} more lines")
        return [
            ({"+": "plus", "-": "minus", "@": "hunk"}.get(line[:1], "same"), clipped(line)) for line in lines
        ]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field before and after, ready to be shown; None where it was not there. `secret` says what became of one."""

    path: str
    before: str | None = None
    after: str | None = None
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What folds out of an entity."""

    facts: tuple[Fact, ...] = ()
    points: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One entity on the page. `number` names it there, `kind` is its subtype, `word` says the mark in words.

    `ends` are the numbers of a link's source and destination, where the page shows them; `end_names` are there always.
    """

    number: int
    type: str
    kind: str
    name: str
    id: str
    mark: Mark
    word: str
    details: Details
    was: str = ""
    ends: tuple[int | None, int | None] = (None, None)
    end_names: tuple[str, str] = ("", "")
    functions: tuple[str, ...] = ()
    sync: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell; `number` of the item that it leads to."""

    text: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table under a heading of ours. `urgent` puts it before everything else."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    urgent: bool = False
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """All that one page says. `tone` tells what to make of `state`: `good`, `bad`, or `told` where it is neither."""

    title: str
    subject: str
    state: str
    tone: str
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    items: tuple[Item, ...] = field(default=(), repr=False)
    overlay: str = ""

    def of_types(self, types: Sequence[str]) -> list[Item]:
        """Return the items of some types, in the page's order."""
        return [item for item in self.items if item.type in types]


TYPES = {
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
"""What the types are called, in the order in which they stand."""


def rank(name: str) -> tuple[int, str]:
    """Return where a type stands; those that are not known come last."""
    known = list(TYPES)
    return (known.index(name) if name in known else len(known), name)
