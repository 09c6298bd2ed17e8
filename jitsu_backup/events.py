"""Events as values, and the reporter that receives them. Nothing here prints."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` steps of `task` have been taken; `total` may grow."""

    task: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Information for a person who watches, in one line without secrets."""

    text: str


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning, in one line without secrets."""

    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An error that did not end the work, in one line without secrets."""

    text: str


Event = Progress | Notice | Caution | Problem
Reporter = Callable[[Event], None]


def silent(_event: Event) -> None:
    """Ignore an event. This is the reporter for callers who need none."""
