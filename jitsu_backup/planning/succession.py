"""What is known of a workspace from one archive to the next: what an archive could not see stays as it was seen last."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from jitsu_backup.catalogue import CATALOGUE, ends, joins
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
from jitsu_backup.planning.comparison import compare_in_time
from jitsu_backup.planning.fields import FieldChange
from jitsu_backup.planning.json_diff import has_value
from jitsu_backup.planning.naming import Naming
from jitsu_backup.planning.schema_rules import Schemas

Secret = tuple[Key, str]
"""A place of a secret: the entity's key, and the path as the ledger writes it."""


@dataclass(frozen=True)  # without slots, because how to name entities is cached
class Known:
    """What is known of a workspace at the time of an archive.

    `snapshot` has the entities as they were seen last, and in its `secrets` the values of masked fields, where an archive
    had them. `seen` gives the id of the archive that listed each type last, `told` that of the one that last had the value
    of a masked field, where that is not the newest. `texts` are the canonical bytes of the bodies.
    """

    snapshot: Snapshot
    archive: str
    seen: Mapping[str, str]
    told: Mapping[Secret, str] = field(default_factory=dict)
    texts: Mapping[Key, bytes] = field(default_factory=dict, repr=False)

    @cached_property
    def naming(self) -> Naming:
        """How to name the entities."""
        return Naming(self.snapshot.entities)

    @property
    def carried(self) -> bool:
        """Whether it holds what only older archives say."""
        return bool(self.told) or any(archive != self.archive for archive in self.seen.values())

    def archives(self) -> set[str]:
        """Return the ids of all the archives that it is made of."""
        return {self.archive, *self.seen.values(), *self.told.values()}


@dataclass(frozen=True, slots=True)
class Difference:
    """A change that an archive shows.

    `since` is the id of the last archive that had the earlier state. `selector` names the entity there, or in the new
    archive where it was added. `joined` tells of what was removed whether connections were attached to it, and `ends` what a
    connection joins: its type and the ids of both.
    """

    change: EntityChange
    since: str
    selector: str
    joined: bool = False
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """What an archive shows to have changed, and `pairs`, the new key of each entity that a restore has made again."""

    known: Known
    differences: tuple[Difference, ...] = ()
    pairs: Mapping[Key, Key] = field(default_factory=dict)


def first_known(snapshot: Snapshot, archive: str) -> Known:
    """Return what the oldest archive says; `archive` is its id."""
    listed = _listed(snapshot, ())
    manifest = replace(snapshot.manifest, refused=())
    entities = tuple(entity for entity in snapshot.entities if entity.key.type in listed)
    known = replace(snapshot, manifest=manifest, entities=entities)
    return Known(
        known, archive, dict.fromkeys(listed, archive), {}, {e.key: canonical(e.body) for e in entities}
    )


def advance(known: Known, snapshot: Snapshot, archive: str, schemas: Schemas) -> Move:
    """Return what the next archive, of the id `archive`, shows to have changed since what is known."""
    listed = _listed(snapshot, known.snapshot.entities)
    kept = {e.key: e for e in known.snapshot.entities if e.key.type not in listed}
    new = [e for e in snapshot.entities if e.key.type in listed]
    entities = tuple(sorted([*new, *kept.values()], key=lambda entity: entity.key))
    texts = {e.key: known.texts[e.key] if e.key in kept else canonical(e.body) for e in entities}
    merging = _Secrets(
        known, snapshot, archive, {key for key, text in texts.items() if known.texts.get(key) != text}
    )
    wanted = {*merging.changed, *known.snapshot.secrets, *snapshot.secrets}
    secrets = {e.key: merging.of(e) if e.key in wanted else _NO_VALUES for e in new}
    secrets |= {key: _Values(known.snapshot.secrets.get(key, {})) for key in kept}
    unchanged = {
        key for key, text in texts.items() if known.texts.get(key) == text and not secrets[key].differ
    }
    manifest = replace(
        snapshot.manifest,
        refused=(),
        counts=counts_by_type(entities, {*known.snapshot.manifest.counts, *snapshot.manifest.counts}),
    )
    after = replace(snapshot, manifest=manifest, entities=entities)
    told = {place: known.told[place] for place in known.told if place[0] in kept} | merging.told
    seen = {**known.seen, **dict.fromkeys(listed, archive)}
    now = Known(_with_secrets(after, {k: v.known for k, v in secrets.items()}), archive, seen, told, texts)
    if len(unchanged) == len(texts) == len(known.texts):
        return Move(now)
    one = _with_secrets(
        known.snapshot, {**known.snapshot.secrets, **{k: v.before for k, v in secrets.items()}}
    )
    two = _with_secrets(after, {k: v.after for k, v in secrets.items()})
    passage = compare_in_time(one, two, schemas, unchanged, (known.naming, now.naming))
    appeared = {name for name in listed if name not in known.seen}
    told_changes = [change for change in passage.changes if change.type not in appeared]
    differences = tuple(_differences(told_changes, known, now)) if told_changes else ()
    return Move(_following(now, known, passage.pairs), differences, passage.pairs)


def known_again(
    snapshots: Mapping[str, Snapshot], archive: str, seen: Mapping[str, str], told: Mapping[Secret, str]
) -> Known | None:
    """Return what was known, put together from the archives that it is made of, by their ids; None where that is unclear.

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
    counts = counts_by_type(entities, {name for one in snapshots.values() for name in one.manifest.counts})
    ordered = tuple(sorted(entities, key=lambda entity: entity.key))
    whole = replace(newest, manifest=replace(newest.manifest, refused=(), counts=counts), entities=ordered)
    texts = {entity.key: canonical(entity.body) for entity in ordered}
    return Known(_with_secrets(whole, secrets), archive, seen, told, texts)


def _told_value(snapshot: Snapshot, key: Key, name: str, body: Mapping[str, Any]) -> list[Any]:
    """Return the value that an archive has at the place of a secret that `body` has masked, in a list; empty without one."""
    own = snapshot.secrets.get(key, {})
    if name in own:
        return [own[name]]
    path = _masked(body).get(name)
    there = next((entity.body for entity in snapshot.entities if entity.key == key), None)
    return (
        [value_at(there, path)] if path is not None and there is not None and has_value(there, path) else []
    )


def _listed(snapshot: Snapshot, known: Iterable[Entity]) -> set[str]:
    """Return the types of which an archive has all entities: a type that a console does not have has none, if none is known."""
    manifest = snapshot.manifest
    refused = {refusal.what for refusal in manifest.refused if refusal.missing}
    types = {entity.key.type for entity in known}
    absent = {name for name in manifest.not_offered if name in CATALOGUE and name not in types}
    return ({*manifest.counts} | absent) - refused


def _differences(changes: Iterable[EntityChange], known: Known, now: Known) -> Iterator[Difference]:
    """Yield changes as an archive shows them, each with how to name its entity."""
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


def _parts(change: EntityChange, known: Known) -> Iterator[tuple[str, EntityChange]]:
    """Yield a change after the archive of before, in parts where an older one alone has the value of a secret."""
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


def _following(now: Known, known: Known, pairs: Mapping[Key, Key]) -> Known:
    """Return what is known, with the secrets of what was made again: a restore takes them along."""
    if not pairs:
        return now
    secrets, told = dict(now.snapshot.secrets), dict(now.told)
    bodies = {entity.key: entity.body for entity in now.snapshot.entities}
    for old, new in pairs.items():
        masked = {format_path(path) for path in masked_paths(bodies[new])}
        own = secrets.get(new, {})
        followed = {
            n: v for n, v in known.snapshot.secrets.get(old, {}).items() if n in masked and n not in own
        }
        if followed:
            secrets[new] = {**followed, **own}
            usual = known.seen.get(old.type, known.archive)
            told |= {(new, name): known.told.get((old, name), usual) for name in followed}
    return replace(now, snapshot=_with_secrets(now.snapshot, secrets), told=told)


@dataclass(frozen=True, slots=True)
class _Values:
    """What is known of an entity's secrets afterwards, and the values of both sides that can be compared."""

    known: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    @property
    def differ(self) -> bool:
        """Return whether a value that both sides have differs."""
        return any(self.before[name] != self.after[name] for name in self.before.keys() & self.after.keys())


_NO_VALUES = _Values({})


class _Secrets:
    """The values of masked fields from what is known to the next archive; `told` grows with those that it lacks."""

    def __init__(self, known: Known, snapshot: Snapshot, archive: str, changed: set[Key]) -> None:
        self.known, self.snapshot, self.changed = known, snapshot, changed
        self.bodies = {entity.key: entity.body for entity in known.snapshot.entities}
        self.told: dict[Secret, str] = {}
        self.archive = archive

    def of(self, entity: Entity) -> _Values:
        """Return the values of one entity that the archive lists."""
        key = entity.key
        had, has = self.known.snapshot.secrets.get(key, {}), self.snapshot.secrets.get(key, {})
        if not had and not has and (key not in self.changed or key not in self.bodies):
            return _NO_VALUES
        body = self.bodies.get(key, {})
        masked, was_masked = _masked(entity.body), _masked(body)
        before = {**_in_clear(body, masked, was_masked), **had}
        after = {**_in_clear(entity.body, {n: was_masked[n] for n in had if n in was_masked}, masked), **has}
        known = {name: value for name, value in {**before, **after}.items() if name in masked or name in has}
        for name in known.keys() - after.keys():
            usual = self.known.seen.get(key.type, self.known.archive)
            self.told[key, name] = self.known.told.get((key, name), usual)
        return _Values(known, before, after)


def _masked(body: Mapping[str, Any]) -> dict[str, Path]:
    return {format_path(path): path for path in masked_paths(body)}


def _in_clear(
    body: Mapping[str, Any], wanted: Mapping[str, Path], masked: Mapping[str, Path]
) -> dict[str, Any]:
    """Return what stands at the `wanted` paths of a body, where that is not masked."""
    return {
        n: value_at(body, path) for n, path in wanted.items() if n not in masked and has_value(body, path)
    }
