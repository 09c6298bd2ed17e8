"""A timeline of days, with a bar for how much changed on each. A day is 10 units wide, the drawing 100 units high."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from jitsu_backup.planning import ChangeKind
from jitsu_backup.planning.history import Step

DAY = 10  # drawing units
HIGH = 100
_GAP, _LEAST = 1, 4  # between two days; the least height of a bar
_LABELS = 5
_STACKED = (ChangeKind.CHANGED, ChangeKind.ADDED, ChangeKind.REMOVED)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The days from the first to the last snapshot, in UTC.

    `bars` are SVG paths by style class, `labels` are some days at equal distances, `tallest` is the largest number of
    changes on a day.
    """

    start: datetime
    days: int
    bars: Mapping[str, str]
    labels: tuple[str, ...]
    tallest: int

    @property
    def width(self) -> int:
        """The width of the drawing."""
        return self.days * DAY

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return HIGH

    @property
    def seconds(self) -> int:
        """The length in seconds."""
        return self.days * 86_400

    def at(self, moment: datetime) -> int:
        """Return the position of a moment, in seconds from the start."""
        return int((moment - self.start).total_seconds())


def day_of(step: Step) -> date:
    """Return the day of a step in UTC: that of the first snapshot with the later state."""
    return step.after.taken_at.astimezone(UTC).date()


def counts_by_kind(steps: Iterable[Step]) -> Counter[ChangeKind]:
    """Return how many changes of each kind some steps contain."""
    return Counter(one.change.kind for step in steps for one in step.changes)


def timeline(first: datetime, last: datetime, steps: Iterable[Step]) -> Timeline:
    """Return the timeline of some steps between the first snapshot and the last."""
    start, end = (moment.astimezone(UTC).date() for moment in (first, last))
    days = (end - start).days + 1
    by_day: dict[date, list[Step]] = defaultdict(list)
    for step in steps:
        by_day[day_of(step)].append(step)
    counts = {(day - start).days: counts_by_kind(found) for day, found in by_day.items()}
    tallest = max((counted.total() for counted in counts.values()), default=0)
    places = sorted({round(n * (days - 1) / (_LABELS - 1)) for n in range(_LABELS)})
    return Timeline(
        datetime.combine(start, time(), UTC),
        days,
        _bars(counts, tallest),
        tuple(f"{start + timedelta(place)}" for place in places),
        tallest,
    )


def _bars(counts: Mapping[int, Counter[ChangeKind]], tallest: int) -> dict[str, str]:
    paths: dict[str, str] = dict.fromkeys((kind.value for kind in _STACKED), "")
    for day, counted in sorted(counts.items()):
        bottom = HIGH
        for kind in _STACKED:
            height = min(bottom, max(_LEAST, round(counted[kind] * HIGH / tallest))) if counted[kind] else 0
            if height:
                paths[kind.value] += f"M{day * DAY + _GAP} {bottom}v-{height}h{DAY - 2 * _GAP}v{height}z"
            bottom -= height
    return {style: path for style, path in paths.items() if path}
