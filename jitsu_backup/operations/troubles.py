"""What is wrong while a service runs: each trouble is reported when it begins, changes its reason, or is over."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from jitsu_backup.errors import IncompleteError
from jitsu_backup.operations.alarms import Alarm, What

Subject = tuple[str, ...]
"""What can be in trouble: its kind, such as `workspace`, and what identifies it, such as console and id."""


REASONS = 8
"""How many reasons of a trouble are remembered, so that each is reported once."""

LISTED = 10
"""How many subjects one line lists by name."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with something, its label in messages, and the exit code of a run that found it."""

    label: str
    alarms: tuple[Alarm, ...]
    code: int
    told: tuple[str, ...] = ()
    """The reasons that were reported, newest last. Those of an outage often alternate."""

    @property
    def why(self) -> str:
        """Why it is in trouble, without what to do."""
        return "; ".join(map(_why, self.alarms))

    @property
    def words(self) -> str:
        """What is wrong, why, and what to do."""
        return "; ".join(str(replace(alarm, workspace="")) for alarm in self.alarms)


def _why(alarm: Alarm) -> str:
    words = "" if alarm.what is What.FAILED else alarm.what.words
    return ": ".join(filter(None, (words, alarm.why)))


class Troubles:
    """The troubles of a service, by subject, because two workspaces can share a label, and a label can change.

    `told` receives each as level, message and label. `changed` is called when one begins or ends. A message that was
    just reported for one subject waits for `flush` for the others, so that an outage of 300 workspaces is two lines.
    What is no longer so by then is not reported, and only an error that was reported gets an end.
    """

    def __init__(self, told: Callable[[str, str, str], None], changed: Callable[[], None]) -> None:
        """Start without troubles."""
        self._told, self._changed = told, changed
        self._troubles: dict[Subject, Trouble] = {}
        self._waiting: dict[tuple[str, str], dict[Subject, tuple[str, str]]] = {}
        """The words and label that wait, by level and reason, and subject: none if it was just reported."""
        self._open = set[Subject]()
        """The subjects of which an error was reported, and not yet its end."""

    def begins(
        self, subject: Subject, label: str, *alarms: Alarm, code: int = IncompleteError.exit_code
    ) -> None:
        """Note a trouble, and report it unless its reason was already reported."""
        before = self._troubles.get(subject)
        trouble = Trouble(label, alarms, code)
        past = self._unsaid(subject) if before is None or before.why != trouble.why else set()
        reasons = () if before is None else tuple(why for why in before.told if why not in past)
        trouble = replace(trouble, told=reasons)
        if trouble.why not in reasons:
            trouble = replace(trouble, told=(*reasons, trouble.why)[-REASONS:])
            self._report("error", trouble.why, trouble.words, subject, label)
        self._troubles[subject] = trouble
        if before is None:
            self._changed()

    def is_over(self, subject: Subject, label: str = "") -> None:
        """Report that a subject is no longer in trouble if it was. `label` is its current label."""
        before = self._troubles.pop(subject, None)
        if before is not None:
            self._unsaid(subject)
            if subject in self._open:
                shrank = {alarm.what for alarm in before.alarms} == {What.SHRUNK}
                words = "no longer shrunk" if shrank else "working again"
                self._report("info", words, words, subject, label or before.label)
            self._changed()

    def flush(self) -> None:
        """Report what waits, a line for each message."""
        waiting, self._waiting = self._waiting, {}
        for (level, _), lines in waiting.items():
            if lines:
                words = [*lines.values()][-1][0]
                labels = dict.fromkeys(label for _, label in lines.values())
                self._tell(level, words, listed([*labels]), lines)

    def _report(self, level: str, why: str, words: str, subject: Subject, label: str) -> None:
        if (level, why) not in self._waiting:
            self._waiting[level, why] = {}
            self._tell(level, words, label, [subject])
            return
        self._waiting[level, why][subject] = words, label

    def _tell(self, level: str, words: str, label: str, subjects: Iterable[Subject]) -> None:
        (self._open.update if level == "error" else self._open.difference_update)(subjects)
        self._told(level, words, label)

    def _unsaid(self, subject: Subject) -> set[str]:
        """Drop what waits to be reported of a subject, and return its reasons."""
        return {why for (_, why), lines in self._waiting.items() if lines.pop(subject, None)}

    def forget(self, subject: Subject) -> None:
        """Forget a subject that is no longer watched."""
        self._unsaid(subject)
        self._open.discard(subject)
        if self._troubles.pop(subject, None) is not None:
            self._changed()

    def of_kind(self, kind: str) -> list[Subject]:
        """Return the subjects of a kind that are in trouble."""
        return [subject for subject in self._troubles if subject[0] == kind]

    @property
    def shown(self) -> dict[str, Trouble]:
        """What is wrong with each subject, by label. A label of several is extended by what identifies each."""
        labels = Counter(trouble.label for trouble in self._troubles.values())
        return {
            trouble.label
            if labels[trouble.label] == 1
            else f"{trouble.label} ({', '.join(subject[1:])})": trouble
            for subject, trouble in self._troubles.items()
        }


def listed(labels: list[str]) -> str:
    """Return labels as a list in words, the first LISTED by name."""
    more = len(labels) - LISTED
    return ", ".join(labels) if more <= 0 else f"{', '.join(labels[:LISTED])} and {more} more"
