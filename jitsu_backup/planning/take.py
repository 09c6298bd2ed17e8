"""Which side wins where the source and the target differ: `--take`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from jitsu_backup.catalogue import Selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Path, format_path


class Winner(Enum):
    """A side that `--take` names."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Choice:
    """One `--take`: a side, for what `selector` chooses, or for all; with a `field`, for that field and what is in it."""

    text: str
    winner: Winner
    selector: str = ""

    def chooses(self, entity: Entity, name: str, path: Path) -> bool:
        """Return whether it is about a field of an entity; the empty path means the entity as a whole."""
        if not self.selector or Selector(self.selector).matches(entity, name):
            return True
        selector, _, field = self.selector.rpartition(
            ":"
        )  # a name may hold a colon, so the whole was tried first
        return bool(selector) and _is_in(path, field) and Selector(selector).matches(entity, name)


@dataclass(frozen=True, slots=True)
class Take:
    """What `--take` says, in the order in which it was given; a later one wins over an earlier one."""

    choices: tuple[Choice, ...] = ()

    def winner(self, entity: Entity, name: str, path: Path = ()) -> Winner | None:
        """Return which side wins at a path of an entity; None where nobody has said so."""
        found = (choice.winner for choice in reversed(self.choices) if choice.chooses(entity, name, path))
        return next(found, None)


def parse_take(texts: Iterable[str]) -> Take:
    """Return what `--take` says. Raise UsageError."""
    return Take(tuple(map(_parse, texts)))


def settling(selector: str) -> str:
    """Return the words that say how a conflict is settled, of the entity that `selector` names."""
    return f"--take 'source:{selector}' or --take 'target:{selector}' settles it"


def _parse(text: str) -> Choice:
    side, colon, selector = text.partition(":")
    if side not in (known.value for known in Winner) or (colon and not selector):
        form = "source or target, alone or with a selector, such as source:function/Enrich or target:function/Enrich:code"
        raise UsageError(f"--take {text!r}: write {form}")
    if selector:
        Selector(selector)
    return Choice(text, Winner(side), selector)


def _is_in(path: Path, field: str) -> bool:
    written = format_path(path)
    return written == field or written.startswith((f"{field}.", f"{field}["))
