"""Overlays: changes that an operator applies to the snapshot before it is written."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any

from jitsu_backup.catalogue import Selector, grant_fields, is_link, spelt
from jitsu_backup.errors import UsageError
from jitsu_backup.model import (
    MASK,
    Entity,
    Key,
    Path,
    Source,
    format_path,
    masked_paths,
    plural,
    printable,
    shortened,
)

_DEEPEST = 200  # an archive can have about 250 levels
_POSITION = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Rule:
    """The values of `patch` replace the snapshot's in the entities that `selector` matches.

    A rule `shared` by several workspaces need not match anything in each of them.
    """

    selector: Selector
    patch: Mapping[str, Any] = field(repr=False)  # may hold secrets
    shared: bool = False

    def paths(self) -> Iterator[Path]:
        """Yield the path of every value that it sets."""
        return _leaves(self.patch, ())


@dataclass(frozen=True, slots=True)
class Outside:
    """A value that an overlay takes from outside its file, for the field `path` of what `selector` matches.

    `reference` is its reference in the overlay, such as `{ env = "PG_HOST" }`. Only a `plain` value may be shown.
    """

    selector: str
    path: Path
    reference: str
    value: str = field(repr=False)
    plain: bool = False

    @property
    def place(self) -> str:
        """The field that it is for, as shown to people."""
        return f"{self.selector} {format_path(self.path)}"


@dataclass(frozen=True, slots=True)
class Overlay:
    """Rules, applied in order. `secrets` are values to hide, `outside` the values that come from outside the file.

    `called` is its name in messages. `own` are the overlays of single workspaces, by id or slug, which replace this one
    there. `elsewhere` are the workspaces that the file names in tables, if it names the one of this overlay in none.
    """

    rules: tuple[Rule, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    outside: tuple[Outside, ...] = ()
    called: str = field(default="overlay", compare=False)
    own: Mapping[str, "Overlay"] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    _exact: dict[tuple[str, str], list[int]] = field(init=False, repr=False, compare=False)
    _wide: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the rules by what they name, so that not every rule is compared with every entity."""
        exact: dict[tuple[str, str], list[int]] = defaultdict(list)
        for position, rule in enumerate(self.rules):
            if rule.selector.exact:
                exact[rule.selector.named].append(position)
        object.__setattr__(self, "_exact", dict(exact))
        object.__setattr__(self, "_wide", [n for n, rule in enumerate(self.rules) if not rule.selector.exact])

    def of(self, source: Source) -> "Overlay":
        """Return the overlay of one workspace. Raise UsageError if the file names it both by its id and by its slug."""
        names = [name for name in (source.workspace_id, source.slug or "") if name in self.own]
        if len(names) > 1:
            both = " and ".join(map(repr, names))
            raise UsageError(f"{self.called}: {both} are the same workspace; use one name for its tables")
        if names:
            return self.own[names[0]]
        return replace(self, own={}, elsewhere=tuple(self.own)) if self.own else self

    def apply(self, entity: Entity, name: str) -> dict[str, Any]:
        """Return the body of `entity` with every rule that matches it applied."""
        body: Any = dict(entity.body)
        for rule in self.choosing(entity, name):
            body = _merge(body, rule.patch, str(entity.key))
        return dict(body)

    def choosing(self, entity: Entity, name: str) -> list[Rule]:
        """Return the rules that match `entity`, in order."""
        positions = {n for found in _names(entity, name) for n in self._exact.get(found, ())}
        candidates = (self.rules[position] for position in sorted(positions.union(self._wide)))
        return [rule for rule in candidates if rule.selector.matches(entity, name)]

    def contradiction(self, entity: Entity, name: str) -> tuple[str, str, Path] | None:
        """Return two selectors that both name `entity` and set the same field, with the field's path, or None.

        Links are excluded: a name may match several, and a second selector by id may refine that for one of them.
        """
        given: dict[Path, str] = {}
        for rule in self.choosing(entity, name) if not is_link(entity.key) else ():
            for path in rule.paths() if rule.selector.exact else ():
                for depth in range(len(path) + 1):
                    if (before := given.get(path[:depth])) is not None:
                        return before, rule.selector.text, path[:depth]
            given |= dict.fromkeys(rule.paths(), rule.selector.text) if rule.selector.exact else {}
        return None

    def ambiguous(self, entities: Mapping[Any, tuple[Entity, str]]) -> list[tuple[str, list[Any]]]:
        """Return the selectors that should name one entity and match several of `entities`, with the matches."""
        named: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for key, (entity, name) in entities.items():
            # several syncs between the same ends have the same name
            for one in _names(entity, name) if not is_link(entity.key) else ():
                named[one].append(key)
        found = (
            (rule.selector.text, named.get(rule.selector.named, []))
            for rule in self.rules
            if rule.selector.exact
        )
        return [(text, keys) for text, keys in found if len(keys) > 1]

    def unmatched(self, entities: Mapping[Any, tuple[Entity, str]]) -> list[str]:
        """Return the selectors that name one entity and match none of `entities` (given with their names)."""
        there = {found for entity, name in entities.values() for found in _names(entity, name)}
        return [
            rule.selector.text
            for rule in self.rules
            if rule.selector.exact and not rule.shared and rule.selector.named not in there
        ]


def parse_overlay(
    document: object, secrets: frozenset[str] = frozenset(), outside: tuple[Outside, ...] = ()
) -> Overlay:
    """Return the overlay of a document, selector → values, with references resolved to `secrets` and `outside`.

    Raise UsageError for a document of any other shape.
    """
    if not isinstance(document, Mapping):
        raise UsageError(
            "an overlay must be a table that maps selectors, such as 'destination/Warehouse', to values; write one"
        )
    rules = []
    for text, patch in document.items():
        if not isinstance(patch, Mapping):
            raise UsageError(
                f"overlay: {text!r} must be a table of fields and their new values; write it as one"
            )
        for forbidden in ("id", "type", "workspaceId"):
            if forbidden in patch and not (forbidden == "type" and text.startswith("link")):
                raise UsageError(f"overlay: {text!r} cannot change {forbidden!r}; remove that line")
        for name in sorted(grant_fields(text.partition("/")[0]) & {name.partition(".")[0] for name in patch}):
            raise UsageError(
                f"overlay: {text!r} cannot change {name!r}; remove that line, and authorise the entity in the UI"
            )
        values = _json_like(patch, f"overlay: {text[:60]!r}")
        if any(True for _ in masked_paths(values)):
            raise UsageError(f"overlay: {text!r} contains Jitsu's mask {MASK}; provide the secret itself")
        rule = Rule(Selector(text), values)
        twice = [path for path, count in Counter(rule.paths()).items() if count > 1]
        if twice:
            raise UsageError(f"overlay: {text!r} sets {format_path(twice[0])!r} twice; remove one of them")
        rules.append(rule)
    return Overlay(tuple(rules), secrets, outside)


def overlay_selectors(names: Mapping[Key, str]) -> dict[Key, str]:
    """Return the selector for each entity: by its name if that is unique within its type, else by its id.

    A name survives a rollback, which may give an entity another id.
    """
    taken = Counter((key.type, spelt(text)) for key, name in names.items() for text in {key.id, name})
    return {
        key: f"{key.type}/{name}" if _can_be_written(name) and taken[key.type, spelt(name)] == 1 else str(key)
        for key, name in names.items()
    }


def _can_be_written(name: str) -> bool:
    return bool(name) and "*" not in name and printable(shortened(name)) == name


def _leaves(patch: Any, at: Path) -> Iterator[Path]:
    if not isinstance(patch, Mapping) or not patch:
        yield at
        return
    for name, value in patch.items():
        yield from _leaves(value, (*at, *str(name).split(".")))


def _names(entity: Entity, name: str) -> set[tuple[str, str]]:
    """Return the names that an exact selector may use for an entity."""
    return {(entity.key.type, spelt(text)) for text in (entity.key.id, name or entity.name)}


def _json_like(value: Any, where: str, depth: int = 0) -> Any:
    """Return `value` as JSON, with dates as text. Raise UsageError for what JSON cannot represent."""
    if depth > _DEEPEST:
        raise UsageError(f"{where} is nested too deeply; use fewer levels")
    if isinstance(value, Mapping):
        return {
            _json_text(k, where): _json_like(v, where, depth + 1 + k.count(".")) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_json_like(item, where, depth + 1) for item in value]
    if isinstance(value, str):
        return _json_text(value, where)
    if isinstance(value, date | time):
        return value.isoformat()
    fits = isinstance(value, int) and -(2**63) <= value < 2**64
    if not fits and not (isinstance(value, float) and math.isfinite(value)) and value is not None:
        raise UsageError(
            f"{where} contains a value that JSON cannot represent: {type(value).__name__}; write it as text"
        )
    return value


def _json_text(text: object, where: str) -> str:
    if not isinstance(text, str) or any("\ud800" <= c <= "\udfff" for c in text):
        raise UsageError(f"{where} contains a name or a value that is not valid Unicode text; correct it")
    return text


def _merge(base: Any, patch: Any, where: str) -> Any:
    if (
        isinstance(patch, Mapping)
        and isinstance(base, list)
        and patch
        and all(_POSITION.fullmatch(k) for k in patch)
    ):
        result_list = list(base)
        for position, value in patch.items():
            if int(position) >= len(base):
                raise UsageError(
                    f"overlay: {where} has no item {position} there, only {plural(len(base), 'item')}; use a"
                    " smaller number"
                )
            result_list[int(position)] = _merge(base[int(position)], value, where)
        return result_list
    if not isinstance(patch, Mapping) or not isinstance(base, Mapping):
        return patch
    result = dict(base)
    for name, value in patch.items():
        head, dot, rest = name.partition(".")
        if dot and name not in base:  # `credentials.password`, as in the ledger
            result[head] = _merge(result.get(head, {}), {rest: value}, where)
        else:
            result[name] = _merge(result.get(name), value, where)
    return result
