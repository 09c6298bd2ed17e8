"""The layout of the diagram of a workspace: three columns with curves between them. Lengths are in rem, from the top."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jitsu_backup.reports.page import DESTINATIONS, LINKS, SOURCES, Item, Page

NODE, CARD, GAP = 2.25, 3.5, 0.55
"""The heights of an entity and of a connection, and of the gap between two."""

TALL = 55.0
"""The height from which a diagram does not fit on a printed sheet."""

_SCALE = 10  # drawing units per rem


@dataclass(frozen=True, slots=True)
class Curve:
    """A line between a connection and one of its ends, and its SVG path, 100 units wide."""

    link: Item
    other: int
    path: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """Sorted columns, the top of each item by its number, the curves in both gaps, and the strip below, by type."""

    sources: tuple[Item, ...]
    links: tuple[Item, ...]
    destinations: tuple[Item, ...]
    others: tuple[tuple[str, tuple[Item, ...]], ...]
    tops: Mapping[int, float]
    left: tuple[Curve, ...]
    right: tuple[Curve, ...]
    height: float

    @property
    def drawn_height(self) -> int:
        """The height of the drawing of the curves, in its own units."""
        return round(self.height * _SCALE)

    @property
    def tall(self) -> bool:
        """Whether it does not fit on a printed sheet."""
        return self.height > TALL


def lay_out(page: Page) -> Diagram:
    """Return the layout of the items of a page: connections sorted by source, other items close to their connections."""
    links = page.of_types(LINKS)
    order = {item.number: place for place, item in enumerate(page.items)}
    lone = len(page.items)
    links.sort(key=lambda link: tuple(order.get(end, lone) if end is not None else lone for end in link.ends))
    tops = {link.number: place * (CARD + GAP) for place, link in enumerate(links)}
    middles = {number: top + CARD / 2 for number, top in tops.items()}
    columns = []
    for end, types in enumerate((SOURCES, DESTINATIONS)):
        pulls: dict[int, list[float]] = defaultdict(list)
        for link in links:
            number = link.ends[end]
            if number is not None:
                pulls[number].append(middles[link.number])
        column = page.of_types(types)
        if end == 0:  # and whatever a connection joins that has no column
            known = (*SOURCES, *DESTINATIONS)
            column += [item for item in page.items if item.number in pulls and item.type not in known]
        wishes = {number: sum(places) / len(places) for number, places in pulls.items()}
        if end == 1 and len(links) * (CARD + GAP) > TALL:
            wishes = _stretched(wishes, len(links) * (CARD + GAP))
        column.sort(key=lambda item: (wishes.get(item.number, float("inf")), order[item.number]))
        placed = _spread([wishes.get(item.number) for item in column])
        tops |= dict(zip((item.number for item in column), placed, strict=True))
        columns.append(tuple(column))
    bottoms = [top + (CARD if number in middles else NODE) for number, top in tops.items()]
    shown = {item.number for column in columns for item in column} | middles.keys()
    strip: dict[str, list[Item]] = defaultdict(list)
    for item in page.items:
        if item.number not in shown:
            strip[item.type].append(item)
    return Diagram(
        columns[0],
        tuple(links),
        columns[1],
        tuple((name, tuple(items)) for name, items in strip.items()),
        {number: round(top, 2) for number, top in sorted(tops.items())},
        tuple(curves(links, 0, tops)),
        tuple(curves(links, 1, tops)),
        round(max(bottoms, default=0.0), 2),
    )


def _stretched(wishes: Mapping[int, float], height: float) -> dict[int, float]:
    """Return `wishes` spread over the whole height in the same order; in dense graphs, all would end up in the middle."""
    ranked = sorted(wishes, key=lambda number: wishes[number])
    return {number: (place + 0.5) * height / len(ranked) for place, number in enumerate(ranked)}


def _spread(wishes: list[float | None]) -> list[float]:
    """Return the tops of the items in a column: their middles as close as possible to `wishes`, without overlap."""
    pitch = NODE + GAP
    blocks: list[tuple[float, int]] = []  # the sum of the desired tops of a block's first item, its size
    lone = sum(wish is None for wish in wishes)
    for wish in wishes:
        if wish is None:
            continue
        block = (wish - NODE / 2, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] + blocks[-1][1] * pitch > block[0] / block[1]:
            total, count = blocks.pop()
            block = (total + block[0] - count * pitch * block[1], count + block[1])
        blocks.append(block)
    tops: list[float] = []
    for total, count in blocks:
        first = max(total / count, tops[-1] + pitch if tops else 0.0)
        tops += [first + place * pitch for place in range(count)]
    after = tops[-1] + pitch if tops else 0.0
    return tops + [after + place * pitch for place in range(lone)]


def curves(links: Iterable[Item], end: int, tops: Mapping[int, float]) -> Iterable[Curve]:
    """Yield the lines between connections and their sources, or with `end` 1 their destinations."""
    for link in links:
        number = link.ends[end]
        if number is None or number not in tops:
            continue
        near, far = tops[number] + NODE / 2, tops[link.number] + CARD / 2
        one, other = (round(y * _SCALE) for y in ((near, far) if end == 0 else (far, near)))
        yield Curve(link, number, f"M0 {one}C50 {one} 50 {other} 100 {other}")
