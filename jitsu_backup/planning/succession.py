"""What is known about a workspace from archive to archive; what an archive could not read stays as last seen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import CATALOGUE, ends, entity_type, find_references, joins, rewrite
from jitsu_backup.catalogue.derived_ids import KnownIds
from jitsu_backup.model import (
    Entity,
    Key,
    Path,
    Snapshot,
    canonical,
    counts_by_type,
    format_path,
    masked_paths,
    value_at,
)
from jitsu_backup.planning.changes import ChangeKind, EntityChange
from jitsu_backup.planning.comparison import changes_in_time, pair_in_time
from jitsu_backup.planning.fields import FieldChange
from jitsu_backup.planning.json_diff import has_value
from jitsu_backup.planning.naming import Naming
from jitsu_backup.planning.schema_rules import Schemas

Secret = tuple[Key, str]
"""The place of a secret: the entity's key, and the path as in the ledger."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about a workspace at the time of an archive.

    `snapshot` has the entities as last seen and, in its `secrets`, the values of masked fields that an archive had. `seen`
    gives the id of the archive that last listed each type, `told` that of the archive that last had the value of a masked
    field, if that is not the newest. `texts` are the canonical bytes of the bodies. It is `exact` if every body is as in an
    archive; otherwise some refer to re-created entities by their new ids. `naming` gives names and selectors.
    """

    snapshot: Snapshot
    archive: str
    seen: Mapping[str, str]
    told: Mapping[Secret, str]
    texts: Mapping[Key, bytes] = field(repr=False)
    naming: Naming = field(repr=False, compare=False)
    exact: bool = True

    @property
    def carried(self) -> bool:
        """Whether it contains anything that only older archives have."""
        return bool(self.told) or any(archive != self.archive for archive in self.seen.values())

    def archives(self) -> set[str]:
        """Return the ids of all archives that it is based on."""
        return {self.archive, *self.seen.values(), *self.told.values()}


@dataclass(frozen=True, slots=True)
class Difference:
    """A change that an archive shows.

    `since` is the id of the last archive with the earlier state. `selector` selects the entity there, or in the new archive
    if it was added. `joined` says whether connections were attached to a removed entity. `ends` are the type of a
    connection and the ids of its two ends.
    """

    change: EntityChange
    since: str
    selector: str
    joined: bool = False
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """What an archive shows to have changed; `pairs` gives the new keys of re-created entities."""

    known: Known
    differences: tuple[Difference, ...] = ()
    pairs: Mapping[Key, Key] = field(default_factory=dict)


def first_known(snapshot: Snapshot, archive: str) -> Known:
    """Return what is known from the oldest archive; `archive` is its id."""
    listed = _listed(snapshot, ())
    entities = tuple(entity for entity in snapshot.entities if entity.key.type in listed)
    manifest = replace(snapshot.manifest, refused=(), counts=counts_by_type(entities, listed))
    known = replace(snapshot, manifest=manifest, entities=entities)
    texts = {entity.key: canonical(entity.body) for entity in entities}
    return Known(known, archive, dict.fromkeys(listed, archive), {}, texts, Naming(entities))


def advance(known: Known, snapshot: Snapshot, archive: str, schemas: Schemas) -> Move:
    """Return what the next archive shows to have changed; `archive` is its id."""
    listed = _listed(snapshot, known.snapshot.entities)
    after, kept = _with_the_unseen(known, snapshot, listed)
    texts = {entity.key: canonical(entity.body) for entity in after.entities}
    same = {key for key, text in texts.items() if known.texts.get(key) == text}
    seen = {**known.seen, **dict.fromkeys(listed, archive)}
    exact = not kept or (known.exact and kept <= known.texts.keys())
    now = Known(replace(after, secrets={}), archive, seen, {}, texts, Naming(after.entities), exact)
    naming = known.naming, now.naming
    pairs = None
    if not len(same) == len(texts) == len(known.texts):
        pairs = pair_in_time(known.snapshot, now.snapshot, naming, same)
    renamed = {} if pairs is None else {k: pair.key for k, pair in pairs.found.items() if pair.key != k}
    secrets = _Secrets(known, after, kept, same, {new: old for old, new in renamed.items()})
    now = replace(now, snapshot=_with_secrets(after, secrets.known), told=secrets.told)
    same -= secrets.differing
    if pairs is None and not secrets.differing:
        return Move(now)
    pairs = pairs or pair_in_time(known.snapshot, now.snapshot, naming, same)
    one = _with_secrets(known.snapshot, {**known.snapshot.secrets, **secrets.before})
    changes = changes_in_time(one, _with_secrets(after, secrets.after), schemas, pairs, naming, same)
    comparable = [change for change in changes if change.type in known.seen]
    differences = tuple(_differences(comparable, known, now))
    return Move(_with_new_ids(now, listed, renamed) if renamed else now, differences, renamed)


def _with_the_unseen(known: Known, snapshot: Snapshot, listed: set[str]) -> tuple[Snapshot, set[Key]]:
    """Return an archive's content, completed by what it could not read as last seen, and the keys of the latter."""
    new = [entity for entity in snapshot.entities if entity.key.type in listed]
    kept = list(_kept(known.snapshot, listed, new))
    entities = tuple(sorted([*new, *kept], key=lambda entity: entity.key))
    counts = counts_by_type(entities, {*known.seen, *listed})
    manifest = replace(snapshot.manifest, refused=(), counts=counts)
    return replace(snapshot, manifest=manifest, entities=entities), {entity.key for entity in kept}


def known_again(
    snapshots: Mapping[str, Snapshot], archive: str, seen: Mapping[str, str], told: Mapping[Secret, str]
) -> Known | None:
    """Return what was known, rebuilt from the archives that it is based on, by their ids; None if that is unclear.

    `archive`, `seen` and `told` are as in Known.
    """
    newest = snapshots[archive]
    entities = tuple(
        entity
        for _, snapshot in sorted(snapshots.items())
        for entity in snapshot.entities
        if snapshots[seen.get(entity.key.type, archive)] is snapshot
    )
    secrets = {e.key: dict(snapshots[seen.get(e.key.type, archive)].secrets.get(e.key, {})) for e in entities}
    bodies = {entity.key: entity.body for entity in entities}
    for (key, name), source in told.items():
        found = _told_value(snapshots[source], key, name, bodies.get(key, {}))
        if not found:
            return None
        secrets[key][name] = found[0]
    counts = counts_by_type(entities, seen)
    ordered = tuple(sorted(entities, key=lambda entity: entity.key))
    whole = replace(newest, manifest=replace(newest.manifest, refused=(), counts=counts), entities=ordered)
    texts = {entity.key: canonical(entity.body) for entity in ordered}
    return Known(_with_secrets(whole, secrets), archive, seen, told, texts, Naming(ordered))


def _told_value(snapshot: Snapshot, key: Key, name: str, body: Mapping[str, Any]) -> list[Any]:
    """Return the value that an archive has for a secret masked in `body`, in a list; empty if it has none."""
    own = snapshot.secrets.get(key, {})
    if name in own:
        return [own[name]]
    path = _masked(body).get(name)
    there = next((entity.body for entity in snapshot.entities if entity.key == key), None)
    return (
        [value_at(there, path)] if path is not None and there is not None and has_value(there, path) else []
    )


def _listed(snapshot: Snapshot, known: Iterable[Entity]) -> set[str]:
    """Return the types that an archive lists completely, including types that a console lacks if no entity is known."""
    manifest = snapshot.manifest
    refused = {refusal.what for refusal in manifest.refused if refusal.missing}
    types = {entity.key.type for entity in known}
    absent = {name for name in manifest.not_offered if name in CATALOGUE and name not in types}
    return ({*manifest.counts} | absent) - refused


def _differences(changes: Iterable[EntityChange], known: Known, now: Known) -> Iterator[Difference]:
    """Yield the changes that an archive shows, each with the selector of its entity."""
    before, after = known.naming, now.naming
    for change in changes:
        side, key = (after, change.after) if change.before is None else (before, change.before)
        assert key is not None  # noqa: S101  for the type checker
        body = side.by_key[key].body
        joins_two = tuple(ends(body)) if joins(key) else ()
        joined = change.kind is ChangeKind.REMOVED and key.id in side.held
        for since, part in _parts(change, known):
            plain = since == known.archive or side is after
            selector = side.selector(key) if plain else str(key)
            yield Difference(part, since, selector, joined, joins_two)


def _kept(known: Snapshot, listed: set[str], new: Iterable[Entity]) -> Iterator[Entity]:
    """Yield what an archive could not read as last seen, with the new id if something refers to it by that."""
    kept = [entity for entity in known.entities if entity.key.type not in listed]
    if not kept:
        return
    ids = {entity.key.id for entity in (*new, *kept)}
    strangers = {
        named for one in new for _, named in find_references(entity_type(one.key.type).references, one.body)
    } - ids  # fmt: skip
    for entity in kept:
        made = KnownIds(known.manifest.source.workspace_id, entity.key.type, strangers).derived_of(
            entity.key.id
        )
        yield Entity(Key(entity.key.type, made[-1]), {**entity.body, "id": made[-1]}) if made else entity


def _with_new_ids(now: Known, listed: set[str], pairs: Mapping[Key, Key]) -> Known:
    """Return what is known, with references from unread entities to re-created ones updated to the new ids."""
    ids = {old.id: new.id for old, new in pairs.items()}
    entities = []
    for entity in now.snapshot.entities:
        references = entity_type(entity.key.type).references
        body = (
            entity.body
            if entity.key.type in listed
            else rewrite(references, entity.body, lambda _, one: ids.get(one))
        )
        entities.append(entity if body == entity.body else Entity(entity.key, body))
    if all(one is other for one, other in zip(entities, now.snapshot.entities, strict=True)):
        return now
    texts = {entity.key: canonical(entity.body) for entity in entities}
    snapshot = replace(now.snapshot, entities=tuple(entities))
    return replace(now, snapshot=snapshot, texts=texts, naming=Naming(entities), exact=False)


def _parts(change: EntityChange, known: Known) -> Iterator[tuple[str, EntityChange]]:
    """Yield a change with its earlier archive, split if only an older archive has the value of a secret."""
    usual = known.seen.get(change.type, known.archive)
    if change.kind is not ChangeKind.CHANGED or change.before is None or not known.told:
        yield usual, change
        return
    by_archive: dict[str, list[FieldChange]] = {}
    for one in change.fields:
        archive = known.told.get((change.before, one.path), usual) if one.secret else usual
        by_archive.setdefault(archive, []).append(one)
    for archive, fields in by_archive.items():
        yield archive, replace(change, fields=tuple(fields))


def _with_secrets(snapshot: Snapshot, secrets: Mapping[Key, Mapping[str, Any]]) -> Snapshot:
    return replace(snapshot, secrets={key: values for key, values in secrets.items() if values})


class _Secrets:
    """The values of masked fields before and after an archive; `olds` maps new keys to earlier ones.

    `known` are the values known afterwards, `told` the archives of those that the new archive lacks. `before` and `after`
    are the values of both sides that can be compared, `differing` the keys for which some differ.
    """

    def __init__(
        self, known: Known, after: Snapshot, kept: set[Key], same: set[Key], olds: Mapping[Key, Key]
    ) -> None:
        self._was, self._kept = known, kept
        self._bodies = {entity.key: entity.body for entity in known.snapshot.entities}
        self.known: dict[Key, Mapping[str, Any]] = {}
        self.before: dict[Key, Mapping[str, Any]] = {}
        self.after: dict[Key, Mapping[str, Any]] = {}
        self.told: dict[Secret, str] = {}
        self.differing: set[Key] = set()
        had = known.snapshot.secrets
        for entity in after.entities:
            key, old = entity.key, olds.get(entity.key, entity.key)
            if old in had or key in after.secrets or (key not in same and old in self._bodies):
                self._take(entity, old, after.secrets.get(key, {}))

    def _take(self, entity: Entity, old: Key, has: Mapping[str, Any]) -> None:
        """Process one entity; `has` are the values that the archive has."""
        key, had, body = entity.key, self._was.snapshot.secrets.get(old, {}), self._bodies.get(old, {})
        masked, was_masked = _masked(entity.body), _masked(body)
        before = {**_in_clear(body, masked, was_masked), **had}
        after = {**_in_clear(entity.body, {n: was_masked[n] for n in had if n in was_masked}, masked), **has}
        known = {n: v for n, v in {**before, **after}.items() if n in masked or n in has or key in self._kept}
        usual = self._was.seen.get(key.type, self._was.archive)
        for name in known.keys() - after.keys():
            since = self._was.told.get((old, name), usual)
            if key not in self._kept or since != usual:
                self.told[key, name] = since
        self.known[key], self.before[old], self.after[key] = known, before, after
        if any(before[name] != after[name] for name in before.keys() & after.keys()):
            self.differing.add(key)


def _masked(body: Mapping[str, Any]) -> dict[str, Path]:
    return {format_path(path): path for path in masked_paths(body)}


def _in_clear(
    body: Mapping[str, Any], wanted: Mapping[str, Path], masked: Mapping[str, Path]
) -> dict[str, Any]:
    """Return the values at the `wanted` paths of a body that are not masked."""
    return {
        n: value_at(body, path) for n, path in wanted.items() if n not in masked and has_value(body, path)
    }
