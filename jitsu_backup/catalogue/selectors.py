"""Selectors of entities, `type`, `type/id` or `type/name`, with `*`, and of fields, `SELECTOR:FIELD.PATH`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from jitsu_backup.catalogue.links import link_name, links_of
from jitsu_backup.catalogue.table import CATALOGUE, END_FIELDS
from jitsu_backup.errors import UsageError
from jitsu_backup.model import ARROW, Entity, Snapshot, nearest


def refuse_quotes(called: str, text: str) -> None:
    """Raise UsageError for a value inside a shell's quotation marks; `called` is its flag, or what it is."""
    if text[:1] in ("'", '"'):
        raise UsageError(f"{called} {text}: leave out the quotation marks, because no shell reads this value")


@dataclass(frozen=True, slots=True)
class Selector:
    """A selection of entities by type and by id or name. `text` is what the operator wrote."""

    text: str

    def __post_init__(self) -> None:
        """Raise UsageError for an empty selector, one without a type, or one inside a shell's quotation marks."""
        refuse_quotes("selector", self.text)
        if not self.text.partition("/")[0]:
            raise UsageError(f"selector {self.text!r} has no type; write type, type/id or type/name")

    @property
    def exact(self) -> bool:
        """Whether it names one entity, that is, contains no `*`."""
        return "*" not in self.text and "/" in self.text

    @property
    def named(self) -> tuple[str, str]:
        """What an exact selector names: a type, and an id or a name as `spelt` writes it."""
        type_part, _, rest = self.text.partition("/")
        return type_part, spelt(rest)

    def may_be_of(self, kind: str) -> bool:
        """Return whether it can select entities of a type."""
        return _like(self.text.partition("/")[0], kind)

    def matches(self, entity: Entity, name: str | None = None) -> bool:
        """Return whether it selects `entity`; `name` replaces the entity's own name."""
        _, slash, rest = self.text.partition("/")
        if not self.may_be_of(entity.key.type):
            return False
        return not slash or _like(rest, entity.key.id) or _like(rest, name or entity.name)


ANY_NAME = "*"
"""Stands for any one name in the path of a field."""

_FIXED = ("id", "type", "workspaceId", *END_FIELDS)


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A selection of one field of entities. `text` is what the operator wrote; in `path`, ANY_NAME stands for any one name."""

    text: str
    entities: Selector
    path: tuple[str, ...]


@cache
def field_selector(text: str) -> FieldSelector:
    """Return the parsed `SELECTOR:FIELD.PATH`. Raise UsageError for anything else, and for a field that identifies entities."""
    chosen, _, path = text.rpartition(":")
    parts = tuple(path.split("."))
    if not chosen or not all(parts):
        raise UsageError(
            f"{text!r} has no field; write SELECTOR:FIELD.PATH, such as 'service/*:credentials.host'"
        )
    if parts[0] in (ANY_NAME, *_FIXED):
        raise UsageError(f"{text!r}: the field {parts[0]!r} cannot be chosen; name another")
    return FieldSelector(text, Selector(chosen), parts)


def check_type(selector: Selector, option: str, known: Iterable[str]) -> None:
    """Raise UsageError for a selector of a type that is neither in the catalogue nor in `known`."""
    kind = selector.text.partition("/")[0]
    if "*" not in kind and kind not in (types := {*CATALOGUE, *known}):
        hint = nearest(kind, types) or f"; use one of {', '.join(sorted(types))}"
        raise UsageError(f"{option}: unknown type {kind!r}{hint}")


def names_of_refused(snapshot: Snapshot) -> dict[str, str]:
    """Return a readable name for everything that could not be read; cursors are named after the ends of their sync."""
    names = {entity.key.id: entity.name for entity in snapshot.entities}
    links = {f"cursor {link.key.id}": f"cursors of {link_name(link, names)}" for link in links_of(snapshot)}
    found = [refusal.what for refusal in snapshot.manifest.refused]
    return {what: links.get(what, "sync cursors" if what.startswith("cursor ") else what) for what in found}


def spelt(text: str) -> str:
    """Return a name with ` -> `, which is easier to type, replaced by the arrow of names."""
    return text.replace(" -> ", ARROW)


def _like(pattern: str, text: str) -> bool:
    pattern, text = spelt(pattern), spelt(text)
    if "*" not in pattern:
        return pattern == text
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
