"""Secrets that a clone copies: those that the console shows and the overlay does not give."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from jitsu_backup.catalogue import entity_type, is_link, is_secret_path, redact
from jitsu_backup.catalogue.redaction import has_password
from jitsu_backup.model import Entity, Key, Path, format_path, masked_paths, value_at
from jitsu_backup.planning.json_diff import paths_that_differ
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind


def copied_secrets(pairs: Pairs, actions: Mapping[Key, Action]) -> dict[Key, tuple[Path, ...]]:
    """Return the paths of the secrets that new entities get from another workspace, by the snapshot's keys.

    Of a field that is secret as a whole, such as credentials, these are the fields in it that are named like a secret. If none
    is, these are all of them, unless the console hides some, because then it knows which ones are secret.
    """
    sides, found = pairs.sides, dict[Key, tuple[Path, ...]]()
    if sides.in_place or sides.since is Since.RECOVERY:
        return found
    for key, action in sorted(actions.items()):
        there = action.target_id is not None if is_link(key) else key in pairs.found
        created = action.kind is ActionKind.CREATE
        if key.type in ("stream", "misc") or not (
            created or (action.kind is ActionKind.BLOCKED and not there)
        ):
            continue
        wanted = Entity(key, action.body) if created else sides.desired[key]
        paths = _copied(wanted, sides.by_key[key])
        found |= {key: paths} if paths else {}
    return found


def in_words(key: Key, paths: tuple[Path, ...]) -> Iterator[str]:
    """Yield the fields of an entity that hold the secrets at `paths`, each with those in it that are named like a secret."""
    for field, inside in _by_field(key, paths).items():
        named = [format_path(path[len(field) :]) for path in inside if _is_named(path, field)]
        yield format_path(field) + (f" ({', '.join(named)})" if named else "")


def _copied(entity: Entity, source: Entity) -> tuple[Path, ...]:
    hidden = redact(entity, entity_type(entity.key.type).secrets)
    paths = tuple(
        path
        for path in paths_that_differ(hidden, entity.body)
        if value_at(source.body, path) == value_at(entity.body, path)
    )
    masked, found = _by_field(entity.key, tuple(masked_paths(source.body))), list[Path]()
    for field, inside in _by_field(entity.key, paths).items():
        named = [p for p in inside if _is_named(p, field) or has_password(value_at(entity.body, p), p)]
        found += named if named or field in masked else inside
    return tuple(found)


def _by_field(key: Key, paths: tuple[Path, ...]) -> Mapping[Path, list[Path]]:
    """Return the paths by the field that an operator knows: in the data of a connection, else at the top."""
    found: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(paths, key=format_path):
        found[path[:2] if is_link(key) else path[:1]].append(path)
    return found


def _is_named(path: Path, field: Path) -> bool:
    """Return whether a path leads to something in a field that is named like a secret."""
    return is_secret_path(path[len(field) :])
