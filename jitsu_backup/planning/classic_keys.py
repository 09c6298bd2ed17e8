"""Classic keys: `misc` entities whose lines `{stream id}={key}` map keys of the old Jitsu to streams."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

Lines = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class ClassicKeys:
    """The text of a mapping on three sides; all lines of one stream count as one value.

    `wanted` is the source's text with its own ids, `source` the same with the target's ids. `base` is empty without the
    record of a clone. With `source_wins`, the source replaces what the target changed.
    """

    source_wins: bool
    base: str
    wanted: str
    source: str
    target: str
    _sides: tuple[Lines, Lines, Lines] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the lines by stream."""
        sides = (self.base, self.source, self.target)
        object.__setattr__(self, "_sides", tuple(map(_by_stream, sides)))

    def merged(self) -> str | None:
        """Return the target's lines with what the source changed, with the source's ids; None if the source's text applies as is.

        A stream for which the target has created a key itself gets no other, because one key must not refer to two streams.
        """
        has_keys = self.base or "=" in self.target
        if self.source == self.target or not has_keys:
            return None
        kept = [line for line in _lines(self.target) if not self._is_from_source(_stream(line))]
        pairs = zip(self.wanted.split("\n"), self.source.split("\n"), strict=True)
        added = [pair for pair in pairs if self._is_from_source(_stream(pair[1]))]
        after = [*kept, *(new for _, new in added)]
        if added and _by_stream("\n".join(after)) == self._sides[1]:
            return None
        return "\n".join([*kept, *(line for line, _ in added)])

    def is_disputed(self) -> bool:
        """Return whether both sides changed the lines of one stream differently."""
        sides = ([side.get(stream) for side in self._sides] for stream in self._sides[0])
        return any(was not in (mine, theirs) and mine != theirs for was, mine, theirs in sides)

    def _is_from_source(self, stream: str) -> bool:
        was, mine, theirs = (side.get(stream) for side in self._sides)
        if mine == theirs:
            return False
        as_it_was = theirs == was and mine != was
        return as_it_was or (self.source_wins and was is not None)


def _by_stream(text: str) -> Lines:
    found: dict[str, list[str]] = defaultdict(list)
    for line in _lines(text):
        if line.strip():
            found[_stream(line)].append(line)
    return dict(found)


def _lines(text: str) -> list[str]:
    return text.split("\n") if text.strip() else []


def _stream(line: str) -> str:
    return line.partition("=")[0].strip()
