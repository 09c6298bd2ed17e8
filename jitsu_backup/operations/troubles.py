"""What is wrong while a service runs: each trouble is reported when it begins, changes its reason, or is over."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

Subject = tuple[str, ...]
"""What can be in trouble: its kind, such as `workspace`, and what identifies it, such as console and id."""


REASONS = 8
"""How many reasons of a trouble are remembered, so that each is reported once."""

LISTED = 10
"""How many subjects one line lists by name."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something is in trouble, and its label in messages."""

    label: str
    why: str
    told: tuple[str, ...] = ()
    """The reasons that were reported, newest last. Those of an outage often alternate."""


class Troubles:
    """The troubles of a service, by subject, because two workspaces can share a label, and a label can change.

    `told` receives each as level, message and label. `changed` is called when one begins or ends. A message that was
    just reported for one subject waits for `flush` for the others, so that an outage of 300 workspaces is two lines.
    """

    def __init__(self, told: Callable[[str, str, str], None], changed: Callable[[], None]) -> None:
        """Start without troubles."""
        self._told, self._changed = told, changed
        self._troubles: dict[Subject, Trouble] = {}
        self._waiting: dict[tuple[str, str], list[str]] = {}
        """The labels for which a message waits, by level and message. The list is empty if it was just reported."""

    def begins(self, subject: Subject, label: str, why: str) -> None:
        """Note a trouble, and report it unless that reason was already reported."""
        before = self._troubles.get(subject)
        reasons = () if before is None else before.told
        if why not in reasons:
            reasons = (*reasons, why)[-REASONS:]
            self._report("error", why, label)
        self._troubles[subject] = Trouble(label, why, reasons)
        if before is None:
            self._changed()

    def is_over(self, subject: Subject, label: str = "") -> None:
        """Report that a subject is working again if it was in trouble. `label` is its current label."""
        before = self._troubles.pop(subject, None)
        if before is not None:
            self._report("info", "working again", label or before.label)
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
        """Forget a subject that is no longer watched."""
        if self._troubles.pop(subject, None) is not None:
            self._changed()

    def of_kind(self, kind: str) -> list[Subject]:
        """Return the subjects of a kind that are in trouble."""
        return [subject for subject in self._troubles if subject[0] == kind]

    @property
    def shown(self) -> dict[str, str]:
        """Why each subject is in trouble, by label. A label of several is extended by what identifies each."""
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
