"""Which side wins if the source and the target differ: `--take`."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jitsu_backup.catalogue import Selector, check_type, entity_type, refuse_quotes, without_volatile
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Path, flag, format_path, members_of, nearest, some_of
from jitsu_backup.planning.reasons import ALSO

_NAMED = 6

Called = Sequence[tuple[Entity, str]]
"""One entity on each side that has it, with its name there."""


class Winner(Enum):
    """A side that `--take` names."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Choice:
    """One `--take`: a side, for all entities or those that `selector` matches; a field in it includes what is inside."""

    text: str
    winner: Winner
    selector: str = ""

    def chooses(self, entity: Entity, name: str, path: Path) -> bool:
        """Return whether it applies to a field of an entity; the empty path means the entity as a whole.

        A name may contain a colon, so the whole selector is tried first.
        """
        if not self.selector or Selector(self.selector).matches(entity, name):
            return True
        chosen, _, field = self.selector.rpartition(":")
        return bool(chosen) and _is_in(path, field) and Selector(chosen).matches(entity, name)


@dataclass(frozen=True, slots=True)
class Take:
    """All `--take` choices in the order given; a later one overrides an earlier one."""

    choices: tuple[Choice, ...] = ()

    def choice(self, called: Called, path: Path = ()) -> Choice | None:
        """Return the choice for a path of an entity; None if there is none."""
        found = (c for c in reversed(self.choices) if any(c.chooses(*one, path) for one in called))
        return next(found, None)

    def winner(self, called: Called, path: Path = ()) -> Winner | None:
        """Return which side wins at a path of an entity; None if no choice applies."""
        choice = self.choice(called, path)
        return None if choice is None else choice.winner


def check_take(take: Take, known: Iterable[Called], types: Iterable[str]) -> None:
    """Raise UsageError for a choice that names an entity, a field or a type that neither side has."""
    called = list(known)
    for choice in take.choices:
        if choice.selector:
            check_type(Selector(choice.selector), f"--take {choice.winner.value}", types)
            _check(choice, called)


def _check(choice: Choice, known: Collection[Called]) -> None:
    option = f"--take {choice.winner.value}"
    if _matching(choice.selector, known):
        return
    chosen, _, field = choice.selector.rpartition(":")
    named = _matching(chosen, known) if chosen else []
    if not named and Selector(choice.selector).exact:
        raise UsageError(
            f"{option}: {choice.selector!r} is neither in the source nor in the target; correct it,"
            " or delete the flag if it was for an earlier run"
        )
    fields = {field for called in named for entity, _ in called for field in _fields(entity)}
    if named and field not in fields:
        hint = nearest(field, sorted(fields)) or "; correct it"
        raise UsageError(f"{option}: {chosen!r} has no field {field!r} on either side{hint}")


def _matching(selector: str, known: Iterable[Called]) -> list[Called]:
    return [called for called in known if any(Selector(selector).matches(*one) for one in called)]


def _fields(entity: Entity) -> Iterator[str]:
    """Yield the fields of an entity that may be compared, in the form of `format_path`."""
    if entity_type(entity.key.type).owns_functions:
        yield from ("code", "draft")
    yield from _members(without_volatile(entity), ())


def _members(value: Any, at: Path) -> Iterator[str]:
    for name, member in members_of(value).items():
        yield format_path((*at, name))
        yield from _members(member, (*at, name))


def parse_take(texts: Iterable[str]) -> Take:
    """Return the parsed `--take` choices. Raise UsageError for invalid ones."""
    return Take(tuple(map(_parse, texts)))


def settling(selector: str, source: str = "", target: str = "") -> str:
    """Return the words that say how to settle a conflict of the entity that `selector` names.

    `source` and `target` say what it means to take each side, such as "delete it".
    """
    one, other = (flag("--take", f"{winner.value}:{selector}") for winner in (Winner.SOURCE, Winner.TARGET))
    return f"{source or 'settle it'} with {one} or {target}{' with ' if target else ''}{other}"


def settling_fields(selector: str, paths: Sequence[Path], own: Sequence[Path]) -> str:
    """Return the words that say how to settle a conflict at `paths`, while the target keeps `own` changes in other fields.

    Without such changes, one flag names the whole entity; otherwise it would overwrite them, so each field has its own.
    """
    fields = [*map(format_path, paths)]
    if not own or not _can_name(fields):
        return settling(selector)
    kept = some_of([*map(format_path, own)], _NAMED)
    each = ALSO.join(settling(f"{selector}:{field}", f"settle {field}") for field in fields)
    return f"the target's own {kept} {'is' if len(own) == 1 else 'are'} kept; {each}"


def taking_source(selector: str, fields: Sequence[str]) -> list[str]:
    """Return the flags that take the source in some fields of the entity that `selector` names; in all without `fields`."""
    named = [f"{selector}:{field}" for field in fields] if fields and _can_name(fields) else [selector]
    return [flag("--take", f"{Winner.SOURCE.value}:{one}") for one in named]


def _can_name(fields: Iterable[str]) -> bool:
    """Return whether a selector can name each of these fields; the last colon of one begins its field."""
    return not any(":" in field for field in fields)


def _parse(text: str) -> Choice:
    refuse_quotes("--take", text)
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
