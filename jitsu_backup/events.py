"""Progress as values, and the reporter they go to. Nothing here prints."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` steps of `task` are behind us; `total` may grow."""

    task: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person who watches would want to know, in one line without secrets."""

    text: str


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that may be wrong, in one line without secrets."""

    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that went wrong and did not end the work, in one line without secrets."""

    text: str


Event = Progress | Notice | Caution | Problem
Reporter = Callable[[Event], None]


def silent(_event: Event) -> None:
    """Be the reporter of those who do not watch."""
