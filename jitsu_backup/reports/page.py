"""The content of a page: entities with their marks and details, the connections between them, and tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

SOURCES, DESTINATIONS, LINKS = ("stream", "service", "model"), ("destination",), ("link", "reverse-sync")
"""The types in the left, right and middle column of the diagram; all others are below it."""


class Mark(Enum):
    """The mark of an entity: a style class, and a sign so that nothing depends on colour alone."""

    ADDED = ("added", "+")
    CHANGED = ("changed", "~")
    REMOVED = ("removed", "\N{MINUS SIGN}")
    BLOCKED = ("blocked", "!")
    FAILED = ("failed", "\N{MULTIPLICATION SIGN}")
    DIFFERS = ("differs", "\N{NOT EQUAL TO}")
    KEPT = ("kept", "=")
    SKIPPED = ("skipped", "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}")
    PLAIN = ("plain", "")

    def __init__(self, style: str, sign: str) -> None:
        """Store the style class and the sign, which is empty for PLAIN."""
        self.style, self.sign = style, sign


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a header or of details: a label of ours and an untrusted value."""

    label: str
    value: str


def facts(*pairs: tuple[str, str]) -> tuple[Fact, ...]:
    """Return facts from labels and values, without the empty values."""
    return tuple(Fact(label, value) for label, value in pairs if value)


MOST_LINES, MOST_CHARACTERS = 2_000, 50_000
"""The most that a page shows of one text, so that it can be mailed and read."""


def clipped(text: str) -> str:
    """Return a text; if it is too long for a page, cut it and say how much is missing."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n… {len(text) - MOST_CHARACTERS:,} more characters"


@dataclass(frozen=True, slots=True)
class Block:
    """A preformatted text under a label: JSON, code or, in `diff`, the lines of a unified diff."""

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

    @property
    def whole(self) -> str:
        """The lines of the diff as one text."""
        return "\n".join(line for _, line in self.lines)

    @property
    def tally(self) -> tuple[int, int]:
        """The numbers of lines that the diff adds and removes."""
        return sum(line.startswith("+") for line in self.diff), sum(
            line.startswith("-") for line in self.diff
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A field before and after, as text; None if it was missing. For a secret, `secret` says how it changed instead."""

    path: str
    before: str | None = None
    after: str | None = None
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that source and target both changed: as text, None if it was missing, or code as two `diffs`.

    For a secret, `secret` is a remark instead. `label` names `base`.
    """

    path: str
    source: str | None = None
    base: str | None = None
    target: str | None = None
    diffs: tuple[Block, ...] = ()
    secret: str = ""
    label: str = "Last clone"


@dataclass(frozen=True, slots=True)
class Details:
    """The details of an entity, folded at first."""

    facts: tuple[Fact, ...] = ()
    points: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One entity on the page.

    `number` identifies it on the page, `kind` is its subtype, `word` describes its mark. `ends` are the numbers of the
    source and destination of a link, if the page shows them; `end_names` are always set.
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
    """A cell of a table; `number` identifies the item that it links to."""

    text: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table under a heading. An `urgent` one precedes everything else, an `early` one the picture."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    urgent: bool = False
    early: bool = False
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The whole content of a page. `tone` says how `state` is: `good`, `bad`, or `told` for neither."""

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
        """Return the items of some types, in the order of the page."""
        return [item for item in self.items if item.type in types]


TYPES = {
    "stream": "Streams",
    "service": "Services",
    "model": "Models",
    "destination": "Destinations",
    "link": "Connections and syncs",
    "reverse-sync": "Reverse syncs",
    "function": "Functions",
    "profile-builder": "Profile builders",
    "custom-image": "Custom images",
    "domain": "Domains",
    "notification": "Notifications",
    "misc": "Miscellaneous",
}
"""The titles of the types, in the order of the page."""


def rank(name: str) -> tuple[int, str]:
    """Return the sort key of a type; unknown types come last."""
    known = list(TYPES)
    return (known.index(name) if name in known else len(known), name)
