"""What is wrong while a service runs: each trouble is reported when it begins, when its reason changes, and when it is over."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

Subject = tuple[str, ...]
"""What can be in trouble: its kind, such as `workspace`, and what tells it from others, such as console and id."""


REASONS = 8
"""How many reasons of a trouble are remembered, so that each is reported once."""

LISTED = 10
"""How many subjects one line lists by name."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something is in trouble, and how people call it."""

    label: str
    why: str
    told: tuple[str, ...] = ()
    """The reasons that were told, the newest last: those of an outage often take turns."""


class Troubles:
    """The troubles of a service, by subject, because two workspaces can have one label, and a label can change.

    `told` receives each as level, message and label. `changed` is called when one begins or ends. A message that was
    just reported for one subject waits for `flush` for the others, so that an outage of 300 workspaces is two lines.
    """

    def __init__(self, told: Callable[[str, str, str], None], changed: Callable[[], None]) -> None:
        """Begin without any."""
        self._told, self._changed = told, changed
        self._troubles: dict[Subject, Trouble] = {}
        self._waiting: dict[tuple[str, str], list[str]] = {}
        """The labels of those for which a message waits, by level and message; an empty list where it was just reported."""

    def begins(self, subject: Subject, label: str, why: str) -> None:
        """Note a trouble, and tell it unless it is known for that reason."""
        before = self._troubles.get(subject)
        told = () if before is None else before.told
        if why not in told:
            told = (*told, why)[-REASONS:]
            self._report("error", why, label)
        self._troubles[subject] = Trouble(label, why, told)
        if before is None:
            self._changed()

    def is_over(self, subject: Subject, label: str = "") -> None:
        """Tell that a subject is well again, where it was in trouble; `label` is how it is called now."""
        before = self._troubles.pop(subject, None)
        if before is not None:
            self._report("info", "is well again", label or before.label)
            self._changed()

    def flush(self) -> None:
        """Report what waits, a line for each message."""
        waiting, self._waiting = self._waiting, {}
        for (level, message), labels in waiting.items():
            if labels:
                self._told(level, message, listed(labels))

    def _report(self, level: str, message: str, label: str) -> None:
        labels = self._waiting.get((level, message))
        if labels is None:
            self._waiting[level, message] = []
            self._told(level, message, label)
        elif label not in labels:
            labels.append(label)

    def forget(self, subject: Subject) -> None:
        """Forget a subject that is watched no longer."""
        if self._troubles.pop(subject, None) is not None:
            self._changed()

    def of_kind(self, kind: str) -> list[Subject]:
        """Return the subjects of a kind that are in trouble."""
        return [subject for subject in self._troubles if subject[0] == kind]

    @property
    def shown(self) -> dict[str, str]:
        """Why each is in trouble, by label; where a label is that of several, by what tells them apart too."""
        labels = Counter(trouble.label for trouble in self._troubles.values())
        return {
            trouble.label
            if labels[trouble.label] == 1
            else f"{trouble.label} ({', '.join(subject[1:])})": trouble.why
            for subject, trouble in self._troubles.items()
        }


def listed(labels: list[str]) -> str:
    """Return labels as a list in words, the first LISTED by name."""
    more = len(labels) - LISTED
    return ", ".join(labels) if more <= 0 else f"{', '.join(labels[:LISTED])} and {more} more"
