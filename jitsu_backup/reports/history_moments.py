"""The moments of a history that a page shows: the states before and after each selected change."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jitsu_backup.archive import ArchiveName
from jitsu_backup.planning.history import History, Step
from jitsu_backup.reports.history_looks import Life, steps_by_state


@dataclass(frozen=True, slots=True)
class Moments:
    """The steps that a page shows, newest first, grouped by the state that they lead to.

    `states` are the numbers that the states between them have in the whole history, oldest first; on the page they are
    numbered from 0. `archives` are those from the first of these states to the last, oldest first.
    """

    steps: tuple[tuple[Step, ...], ...]
    states: tuple[int, ...]
    archives: tuple[ArchiveName, ...]

    @property
    def newest(self) -> int:
        """The number of the newest state."""
        return len(self.states) - 1

    @property
    def numbered(self) -> Iterator[tuple[int, tuple[Step, ...]]]:
        """The steps, newest first, each with the number of the state that they lead to."""
        return zip(range(self.newest, 0, -1), self.steps, strict=True)

    def of(self, life: Life) -> Life:
        """Return an entity with only its looks at these moments."""
        looks = []
        for look in life.looks:
            first, last = bisect_left(self.states, look.first), bisect_right(self.states, look.last) - 1
            if first <= last:
                looks.append(replace(look, first=first, last=last))
        return replace(life, looks=looks)


def moments(whole: History, shown: Sequence[Step], most: int) -> Moments:
    """Return the moments of some steps of a history; if they have more than `most` changes, of the newest steps."""
    grouped = steps_by_state(whole.steps)
    numbers = {str(steps[0].after): len(grouped) - place for place, steps in enumerate(grouped)}
    kept: list[tuple[Step, ...]] = []
    changes = 0
    for steps in steps_by_state(shown):
        changes += sum(len(step.changes) for step in steps)
        if kept and changes > most:
            break
        kept.append(steps)
    states = sorted(numbers[str(steps[0].after)] for steps in kept)
    oldest, newest = (states[0] - 1, states[-1]) if kept else (len(grouped), len(grouped))
    if not whole.archives:
        return Moments((), (newest,), ())
    last = whole.archives[-1] if newest == len(grouped) else kept[0][0].after
    first = whole.archives[0] if oldest == 0 else kept[-1][0].before if kept else grouped[0][0].after
    archives = tuple(one for one in whole.archives if first.sort_key <= one.sort_key <= last.sort_key)
    return Moments(tuple(kept), (oldest, *states), archives)
