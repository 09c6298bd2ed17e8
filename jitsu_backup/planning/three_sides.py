"""The three sides of one entity: what the last clone left, the current source, and the current target."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import (
    KEY_FIELDS,
    Form,
    entity_type,
    find_references,
    is_link,
    joins,
    subtype,
    without_grant,
    without_volatile,
)
from jitsu_backup.model import UNDEFINED, Entity, Key, Path, flag, format_path, value_at
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.classic_keys import ClassicKeys
from jitsu_backup.planning.fingerprints import essence
from jitsu_backup.planning.json_diff import differs, has_value, paths_that_differ, with_changes, without
from jitsu_backup.planning.link_pairing import link_body
from jitsu_backup.planning.merge import UNKNOWN, Merged, Rules, merge
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import NO_VALUES, Action, Overwrite
from jitsu_backup.planning.profile_builders import builder_code
from jitsu_backup.planning.schema_rules import Schema, default_at
from jitsu_backup.planning.sides import Sides
from jitsu_backup.planning.take import Called, Winner

_KEYS = ("value",)
"""The path of classic keys in a `misc` entity; each workspace has its own."""


def deleted_there(sides: Sides, selector: object) -> str:
    """Return why an entity, which `selector` names, stays deleted."""
    again = flag("--take", f"source:{selector}")
    return f"deleted in the target {sides.since.words}, so it stays deleted; re-create it with {again}"


NOTHING_MERGED = Merged({}, frozenset(), ())
"""The result of a merge without the record of a clone."""


def stays_deleted(sides: Sides, key: Key) -> bool:
    """Return whether an entity of the source that the target has deleted since the last clone stays deleted.

    In an undo, `--take source` without a selector re-creates only what the run changed, because it settles conflicts only.
    With `with_links`, a link without a choice of its own is re-created with an end that was deleted too.
    """
    choice = sides.take.choice(sides.sides_of(key, None))
    if choice is None and sides.options.with_links and joins(key):
        gone = (end for end in _ends(sides, key) if sides.lineage.was_deleted(end))
        return all(stays_deleted(sides, end) for end in gone)
    if choice is None or choice.winner is not Winner.SOURCE:
        return True
    return sides.undoes and not choice.selector and not _changed_by_run(sides, key)


def _ends(sides: Sides, key: Key) -> Iterator[Key]:
    """Yield the keys of what a link of the snapshot joins."""
    for reference, source_id in find_references(entity_type(key.type).references, sides.desired[key].body):
        if reference.form is Form.WHOLE:
            yield from sides.named(reference.types, source_id)


def _changed_by_run(sides: Sides, key: Key) -> bool:
    """Return whether the run being undone changed an entity of the snapshot."""
    lineage = sides.lineage
    left = lineage.bases.get(lineage.recorded[key])
    return left is None or essence(sides.by_key[key]) != essence(Entity(key, left))


def merge_sides(
    pairs: Pairs,
    candidate: Candidate,
    base: Mapping[str, Any] | None,
    mapped: Mapping[str, Any],
    live: Mapping[str, Any],
    schema: Schema,
    skip: Collection[Path],
) -> Merged:
    """Return where an entity should differ from the source, because the target changed it since the last clone.

    `base` is what the last clone left, as returned by `base_of`, and `mapped` the source's body with the target's ids. The
    paths of `skip` are not compared.
    """
    sides, entity = pairs.sides, candidate.entity
    keys = _has_keys_of_each(pairs, entity, mapped, live)
    if keys:
        skip = {*skip, _KEYS}

    def same(path: Path, one: Any, other: Any) -> bool:
        if any(path[: depth + 1] in skip for depth in range(len(path))) or not differs(one, other):
            return True
        filled_in = default_at(schema, path) if None in (one, other) else None
        return filled_in is not None and filled_in in (one, other)

    rules = Rules(
        same,
        takes_source=lambda path: _takes_source(pairs, candidate, path),
        settles_for_source=lambda path: _winner(pairs, candidate, path) is Winner.SOURCE,
        takes_target=lambda path: _winner(pairs, candidate, path) is Winner.TARGET,
        is_given=lambda path: sides.overlaid(entity.key, path),
    )
    known = UNKNOWN if base is not None and sides.since is Since.UNKNOWN else base
    merged = NOTHING_MERGED if known is None else merge(known, mapped, live, rules)
    if not keys:
        return merged
    texts = (str(value_at(side, _KEYS) or "") for side in (base, candidate.desired, mapped, live))
    classic = ClassicKeys(rules.takes_source(_KEYS), *texts)
    return _with_keys(merged, classic, settled=classic.source_wins or rules.takes_target(_KEYS))


def _winner(pairs: Pairs, candidate: Candidate, path: Path) -> Winner | None:
    sides = pairs.sides
    return sides.take.winner(sides.sides_of(candidate.key, candidate.found), path)


def _takes_source(pairs: Pairs, candidate: Candidate, path: Path) -> bool:
    """Return whether the source wins whatever the target has changed; an undo keeps what only others have changed."""
    return not pairs.sides.undoes and _winner(pairs, candidate, path) is Winner.SOURCE


def _has_keys_of_each(
    pairs: Pairs, entity: Entity, mapped: Mapping[str, Any], live: Mapping[str, Any]
) -> bool:
    """Return whether an entity has classic keys, of which each side may have its own."""
    texts = all(isinstance(value_at(side, _KEYS), str) for side in (mapped, live))
    apart = entity.key.type == "misc" and not pairs.sides.in_place
    return apart and texts and not pairs.sides.overlaid(entity.key, _KEYS)


def _with_keys(merged: Merged, classic: ClassicKeys, *, settled: bool) -> Merged:
    """Return the merge result, including the classic keys."""
    text = classic.merged()
    values = merged.values if text is None else {**merged.values, _KEYS: text}
    disputed = (_KEYS,) if classic.is_disputed() and not settled else ()
    return replace(merged, values=values, conflicts=(*merged.conflicts, *disputed))


def base_of(pairs: Pairs, candidate: Candidate) -> dict[str, Any] | None:
    """Return what both sides had, in the form in which the target's body is compared; None without the record of a clone.

    For an entity that was created in the target since the last clone, it is empty. So it is if the record is missing although
    there was a clone: then no difference is known to be the source's change.
    """
    found, key = candidate.found, candidate.key
    if found is not None and pairs.sides.since is Since.UNKNOWN:
        return {}
    if found is None or pairs.sides.options.record is None:
        return None
    lineage = pairs.sides.lineage
    recorded = lineage.base_of(found.key)
    if recorded is None and not lineage.stood(found.key):
        recorded = lineage.bases.get(lineage.recorded.get(key, found.key))  # it was re-created by hand
        if recorded is None:
            return {}
    if recorded is None:
        return None
    entity = Entity(found.key, recorded)
    if is_link(key):
        return link_body(entity)
    body = without_grant(key.type, without_volatile(entity))
    if entity_type(key.type).owns_functions:
        code, draft = builder_code(entity)
        body = {
            "code": code,
            "draft": draft,
            **body,
        }  # a record has the source's code beside the target's function
    if key.type == "stream":
        return {"domains": [], **without(body, {(name,) for name in KEY_FIELDS})}
    return dict(body)


def takes_kind_of_source(pairs: Pairs, candidate: Candidate, base: Mapping[str, Any] | None) -> bool:
    """Return whether the target's destination or service changes its kind to that of the source."""
    kind, field = subtype(candidate.entity), entity_type(candidate.key.type).subtype_field
    if candidate.found is None or subtype(candidate.found) == kind:
        return False
    as_it_was = base is not None and base.get(field) == kind
    return not as_it_was or _takes_source(pairs, candidate, (field,))


def changed_by_target(
    pairs: Pairs,
    candidate: Candidate,
    base: Mapping[str, Any] | None,
    live: Mapping[str, Any],
    paths: Collection[Path],
) -> tuple[Path, ...]:
    """Return which of `paths` the target has changed since the last clone, except those where the source wins."""
    changed = _changed(base, live, paths)
    return tuple(path for path in changed if _winner(pairs, candidate, path) is not Winner.SOURCE)


def overwritten(
    pairs: Pairs,
    candidate: Candidate,
    base: Mapping[str, Any] | None,
    live: Mapping[str, Any],
    paths: Collection[Path],
) -> tuple[Overwrite, ...]:
    """Return which of `paths` the target has changed since the last clone, although the source is taken there."""
    if pairs.sides.since is Since.UNKNOWN:
        return ()
    if candidate.key.type == "misc":  # each side has its own classic keys
        return ()
    called = pairs.sides.sides_of(candidate.key, candidate.found)
    return tuple(
        overwrite(pairs.sides, called, path)
        for path in _changed(base, live, paths)
        if _winner(pairs, candidate, path) is Winner.SOURCE
    )


def declined(
    pairs: Pairs,
    candidate: Candidate,
    base: Mapping[str, Any] | None,
    mapped: Mapping[str, Any],
    live: Mapping[str, Any],
    merged: Merged,
) -> Iterator[tuple[Path, str]]:
    """Yield where the target's value stays although the source has changed it too, each with the flag that says so."""
    called = pairs.sides.sides_of(candidate.key, candidate.found)
    for path in _changed(base, mapped, merged.own):
        choice = pairs.sides.take.choice(called, path)
        stays = path in merged.removed or not differs(merged.values[path], value_at(live, path))
        if stays and choice is not None and choice.winner is Winner.TARGET:
            yield path, flag("--take", choice.text)


def _changed(
    base: Mapping[str, Any] | None, side: Mapping[str, Any], paths: Collection[Path]
) -> Iterator[Path]:
    """Yield which of `paths` a side has changed since the last clone, in order; none without a `base`."""
    for path in sorted(paths, key=format_path):
        if base is not None and differs(value_at(base, path), value_at(side, path)):
            yield path


def overwrite(sides: Sides, called: Called, path: Path = ()) -> Overwrite:
    """Return what the choice for the source overwrites at a path of an entity; the empty path means all of it."""
    choice = sides.take.choice(called, path)
    assert choice is not None  # noqa: S101  the caller has looked
    return Overwrite(format_path(path), flag("--take", choice.text), sides.since.words)


def kept_by_record(
    pairs: Pairs, candidate: Candidate, live: Mapping[str, Any], paths: Collection[Path]
) -> bool:
    """Return whether the last clone left the target's own values at all of `paths`, and they are unchanged since."""
    sides, found = pairs.sides, candidate.found
    record = sides.options.record
    recorded = None if found is None else sides.lineage.record_of(found.key)
    if record is None or recorded is None or sides.since not in (Since.CLONE, Since.EITHER):
        return False
    left = next((entity.body for entity in record.entities if entity.key == recorded), {})
    return all(
        has_value(left, path) and not differs(value_at(left, path), value_at(live, path)) for path in paths
    )


def taken_from_target(pairs: Pairs, candidate: Candidate, paths: Collection[Path]) -> bool:
    """Return whether the target wins at all of `paths`."""
    return all(_winner(pairs, candidate, path) is Winner.TARGET for path in paths)


def as_target_has_it(mapped: Mapping[str, Any], live: Mapping[str, Any]) -> Merged:
    """Return the merge result in which an entity stays as in the target, because its kind and its fields belong together."""
    values: dict[Path, Any] = {
        (name,): value for name, value in live.items() if differs(mapped.get(name), value)
    }
    return Merged(values, frozenset((name,) for name in mapped if name not in live), ())


def without_defaults(
    pairs: Pairs, candidate: Candidate, mapped: Mapping[str, Any], live: Mapping[str, Any], schema: Schema
) -> dict[str, Any]:
    """Return the desired body without console defaults that the target lacks: after a clone, they are not a difference."""
    filled_in = {
        path
        for path in paths_that_differ(mapped, live)
        if value_at(live, path) is None
        and value_at(mapped, path) == default_at(schema, path)
        and not _takes_source(pairs, candidate, path)
    }
    return dict(without(mapped, filled_in))


def with_merged(body: Mapping[str, Any], merged: Merged) -> dict[str, Any]:
    """Return a body of the source with the values that the target keeps."""
    return with_changes(body, merged.values, merged.removed)


def with_own_changes(body: Mapping[str, Any], before: Action, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an entity's replacement, with the values that the target keeps.

    `before` is the action for the entity if it were not replaced, `old` its body.
    """
    sides = {path: before.body if has_value(before.body, path) else old for path in before.replaced}
    values = {path: value_at(side, path) for path, side in sides.items() if has_value(side, path)}
    return with_changes(body, values, before.replaced.keys() - values.keys())


def replaced_values(mapped: Mapping[str, Any], merged: Merged) -> Mapping[Path, Any]:
    """Return the source's values where the target keeps its own; the console's marker if the source has none."""
    if not merged.own:
        return NO_VALUES
    return {path: value_at(mapped, path) if has_value(mapped, path) else UNDEFINED for path in merged.own}
