"""Overlays of a whole console: tables for every workspace, and tables for single workspaces, which take precedence."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import entity_names
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Snapshot, some_of
from jitsu_backup.planning.overlays import Outside, Overlay, parse_overlay

_Tables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OverlayTables:
    """The tables of one file for several workspaces: selector → values. Messages call the file `called`.

    `shared` applies to all workspaces, `own` to single ones, by id or slug. `secrets` and `outside` are as in Overlay.
    """

    called: str
    shared: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    outside: tuple[Outside, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleOverlay:
    """The overlays of workspaces that have their own, by each name used for them; `shared` is for all others."""

    shared: Overlay = field(default_factory=Overlay)
    own: Mapping[str, Overlay] = field(default_factory=dict)

    def check_used(self, called: str, snapshots: Iterable[Snapshot]) -> None:
        """Raise UsageError if `shared`, which messages call `called`, names an entity that no snapshot has."""
        strict = Overlay(tuple(replace(rule, shared=False) for rule in self.shared.rules))
        left = [rule.selector.text for rule in strict.rules if rule.selector.exact]
        for snapshot in snapshots if left else ():
            names = entity_names(snapshot.entities)
            lacking = set(strict.unmatched({e.key: (e, names[e.key]) for e in snapshot.entities}))
            left = [text for text in left if text in lacking]
        if left:
            unused = some_of([repr(text) for text in left], 5)
            raise UsageError(
                f"{called}: {unused} matches nothing in any workspace of this recovery; remove it, or correct the name"
            )


def overlay_tables(
    document: object,
    secrets: frozenset[str] = frozenset(),
    outside: tuple[Outside, ...] = (),
    called: str = "overlay",
) -> OverlayTables:
    """Return the tables of a document, in which `WORKSPACE:SELECTOR` names one workspace. Raise UsageError for anything else."""
    if not isinstance(document, Mapping):
        parse_overlay(document)  # raises with an explanation
    shared: _Tables = {}
    own: dict[str, _Tables] = defaultdict(dict)
    for text, patch in document.items() if isinstance(document, Mapping) else ():
        workspace, selector = _split(text)
        tables = own[workspace] if workspace else shared
        if selector in tables:
            raise UsageError(f"{text!r} appears twice, with and without spaces; merge the two tables")
        tables[selector] = patch
        of = f" of workspace {workspace}" if workspace else ""
        _check(selector, patch, f"the table {text!r}{of}: " if of else "")
    return OverlayTables(called, shared, own, secrets, outside)


def _check(selector: str, patch: object, before: str) -> None:
    try:
        parse_overlay({selector: patch})
    except UsageError as problem:
        raise UsageError(before + str(problem).removeprefix("overlay: ")) from None


def _split(text: str) -> tuple[str, str]:
    """Return the workspace of a table, empty for all, and its selector; types and slugs contain no slash."""
    head, colon, selector = text.partition(":")
    return (head.strip(), selector.strip()) if colon and "/" not in head else ("", text)


def console_overlay(
    given: OverlayTables, beneath: Mapping[str, OverlayTables], identify: Callable[[str], str]
) -> ConsoleOverlay:
    """Return the overlays of all workspaces. `given` tables for one workspace override those for all, which override `beneath`.

    `beneath` has tables for single workspaces, such as those of profiles, by any name of each; their entities need not exist.
    `identify` returns the same text for all names of a workspace. Raise UsageError for tables that contradict each other.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys((*given.own, *beneath)):
        named[identify(name)].append(name)
    shared = _shared(given, ("",))
    own = {name: _overlay(given, beneath, names) for names in named.values() for name in names}
    return ConsoleOverlay(shared, own)


def parse_any_overlay(
    document: object,
    secrets: frozenset[str] = frozenset(),
    outside: tuple[Outside, ...] = (),
    called: str = "overlay",
) -> Overlay:
    """Return the overlay of a document as `parse_overlay` does. Its tables may also be for single workspaces: see `Overlay.of`.

    If some are, the others are for every workspace that has what they name. Raise UsageError.
    """
    if not (isinstance(document, Mapping) and any(_split(str(text))[0] for text in document)):
        return parse_overlay(document, secrets, outside)
    found = console_overlay(overlay_tables(document, secrets, outside, called), {}, str)
    return replace(found.shared, own=found.own)


def _shared(given: OverlayTables, workspaces: Iterable[str]) -> Overlay:
    overlay = parse_overlay(given.shared, given.secrets, tuple(_outside(given, workspaces)))
    rules = tuple(replace(rule, shared=True) for rule in overlay.rules)
    return replace(overlay, rules=rules, called=given.called)


def _outside(given: OverlayTables, workspaces: Iterable[str]) -> Iterable[Outside]:
    for one in given.outside:
        workspace, selector = _split(one.selector)
        if workspace in workspaces:
            yield replace(one, selector=selector)


def _overlay(given: OverlayTables, beneath: Mapping[str, OverlayTables], names: Iterable[str]) -> Overlay:
    """Return the overlay of the workspace that has these names."""
    names = tuple(names)
    profiles = [beneath[name] for name in names if name in beneath]
    own = [given.own[name] for name in names if name in given.own]
    merged: _Tables = {}
    for tables in (*(one.shared for one in profiles), given.shared, *own):
        merged = _merged(merged, tables)
    outside = [item for one in profiles for item in one.outside]
    outside += _outside(given, ("", *names))
    secrets = given.secrets.union(*(one.secrets for one in profiles))
    said = [*profiles, *([given] if own or given.shared else [])]
    files = " and ".join(dict.fromkeys(one.called for one in said))
    try:
        overlay = parse_overlay(merged, secrets, tuple(outside))
    except UsageError as problem:
        message = str(problem).removeprefix("overlay: ")
        raise UsageError(f"{files}: workspace {names[0]}: {message}") from None
    strict = {selector for tables in own for selector in tables}
    rules = (replace(rule, shared=rule.selector.text not in strict) for rule in overlay.rules)
    return replace(overlay, rules=tuple(rules), called=files)


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables merged; the values of `other` take precedence."""
    both = dict(one)
    for name, value in other.items():
        before = both.get(name)
        deep = isinstance(before, Mapping) and isinstance(value, Mapping)
        both[name] = _merged(before, value) if deep else value  # type: ignore[arg-type]  # checked above
    return both
