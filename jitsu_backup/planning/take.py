"""Which side wins where the source and the target differ: `--take`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from jitsu_backup.catalogue import Selector, check_type
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
        return _is_in(path, self.selector.rpartition(":")[2]) and self.names(entity, name)

    def names(self, entity: Entity, name: str) -> bool:
        """Return whether it is about an entity, or a field of it. A name may hold a colon, so the whole is tried first."""
        selectors = (self.selector, self.selector.rpartition(":")[0])
        return any(one and Selector(one).matches(entity, name) for one in selectors)


@dataclass(frozen=True, slots=True)
class Take:
    """What `--take` says, in the order in which it was given; a later one wins over an earlier one."""

    choices: tuple[Choice, ...] = ()

    def winner(self, entity: Entity, name: str, path: Path = ()) -> Winner | None:
        """Return which side wins at a path of an entity; None where nobody has said so."""
        found = (choice.winner for choice in reversed(self.choices) if choice.chooses(entity, name, path))
        return next(found, None)


def check_take(take: Take, entities: Iterable[tuple[Entity, str]], types: Iterable[str]) -> None:
    """Raise UsageError for a choice that names one entity, or a type, that neither side has."""
    known = list(entities)
    for choice in take.choices:
        if choice.selector:
            option, selector = f"--take {choice.winner.value}", Selector(choice.selector)
            check_type(selector, option, types)
            if selector.exact and not any(choice.names(entity, name) for entity, name in known):
                raise UsageError(f"{option}: {choice.selector!r} is neither in the source nor in the target")


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
