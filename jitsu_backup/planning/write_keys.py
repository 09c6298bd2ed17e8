"""Write keys of streams. No console ever returns one [stream/get], so most are generated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS, key_ids
from jitsu_backup.catalogue.derived_ids import derived_id
from jitsu_backup.model import Entity, Key, items_of
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import KeySlot
from jitsu_backup.planning.take import Winner


def has_key_material(item: Any) -> bool:
    """Return whether a stream's key can be sent unchanged, with its hash or its plain text."""
    return isinstance(item, Mapping) and any(item.get(name) for name in ("plaintext", "hash"))


def copied_keys(body: Mapping[str, Any]) -> list[str]:
    """Return the ids of the keys in a stream's body that are sent unchanged, so they have the same ids in the target."""
    items = (item for name in KEY_FIELDS for item in items_of(body.get(name)) if has_key_material(item))
    return [item["id"] for item in items if isinstance(item.get("id"), str)]


def with_hashes(pairs: Pairs, entity: Entity, found: Entity | None) -> dict[str, Any]:
    """Return a stream's key lists with the hashes of the snapshot that may be copied.

    One key on two streams of a console would make events ambiguous. So a key is never copied to another workspace of the
    same console, or if another stream has it; in place, it is copied only to a stream that replaces a deleted one.
    """
    sides = pairs.sides
    carried = not sides.same_console or (sides.in_place and found is None)
    hashes = sides.snapshot.secrets.get(entity.key, {}) if carried else {}
    used = (
        sides.options.keys_elsewhere | sides.live_write_keys
    )  # keys of the stream itself are never sent again
    lists: dict[str, Any] = {}
    for name in KEY_FIELDS:
        items = entity.body.get(name)
        if isinstance(items, list):
            lists[name] = [_with_hash(item, name, hashes, used) for item in items]
    return lists


@dataclass(frozen=True, slots=True)
class KeyPairs:
    """The ids of a stream's write keys in the snapshot, mapped to their counterparts in the target, and the revoked ones."""

    standing: Mapping[str, str]
    revoked: Mapping[str, str]


NO_KEYS = KeyPairs({}, {})


def pair_keys(pairs: Pairs, key: Key, desired: Mapping[str, Any], found: Entity | None) -> KeyPairs:
    """Return the counterparts of a stream's write keys; `found` is the stream's counterpart in the target."""
    standing = standing_keys(pairs, key, desired, found)
    return KeyPairs(standing, _revoked_keys(pairs, key, desired, found, standing))


def key_slots(
    pairs: Pairs, key: Key, desired: Mapping[str, Any], found: Entity | None, paired: KeyPairs
) -> tuple[KeySlot, ...]:
    """Return the write keys that the target's stream lacks, to be generated or sent unchanged."""
    slots, settled = [], paired.standing.keys() | paired.revoked.keys()
    for name in KEY_FIELDS:
        for item in items_of(desired.get(name)):
            source_id = str(item.get("id") or "") if isinstance(item, Mapping) else ""
            new_id = derived_id(pairs.sides.workspace_id, name, f"{key.id}/{source_id}")
            if not source_id or source_id in settled:
                continue
            if not has_key_material(item):
                slots.append(KeySlot(name, source_id, new_id))
            elif found is not None:
                slots.append(KeySlot(name, source_id, source_id))
    return tuple(slots)


def key_list(desired: Mapping[str, Any], found: Entity, name: str, paired: KeyPairs) -> list[Any]:
    """Return a stream's key list for a PUT: current keys as listed [stream/put-known-key], and the new ones.

    The console keeps only the hash of a current key; everything else has to be sent again.
    """
    known, settled = key_ids(found, name), paired.standing.keys() | paired.revoked.keys()
    own = [
        dict(item)
        for item in items_of(found.body.get(name))
        if isinstance(item, Mapping) and item.get("id") in known
    ]
    new = [
        item
        for item in items_of(desired.get(name))
        if isinstance(item, Mapping) and str(item.get("id")) not in settled
    ]
    return [*own, *new]


def foreign_keys(found: Entity, paired: KeyPairs) -> list[str]:
    """Return the ids of keys that only the target's stream has."""
    known = {*paired.standing.values()}
    return [key_id for name in KEY_FIELDS for key_id in key_ids(found, name) if key_id not in known]


def standing_keys(pairs: Pairs, key: Key, desired: Mapping[str, Any], found: Entity | None) -> dict[str, str]:
    """Return the target's counterpart of each of the snapshot's keys, by their ids.

    A rollback of the source changes the ids of its keys. They are then paired with recorded keys of the last clone that
    have no other counterpart or, in a stream that was paired by name or re-created, with the remaining ones.
    """
    record, recorded_key = pairs.sides.options.record, pairs.sides.lineage.recorded.get(key)
    cloned = None if record is None else record.manifest.cloned
    made_again = found is not None and recorded_key not in (None, found.key)
    recorded = {} if cloned is None else cloned.write_keys
    standing: dict[str, str] = {}
    for name in KEY_FIELDS:
        wanted = [str(i.get("id") or "") for i in items_of(desired.get(name)) if isinstance(i, Mapping)]
        there = key_ids(found, name)
        for source_id in filter(None, wanted):
            known = stands_for(pairs, key, found, name, source_id)
            if known is None and recorded.get(source_id) in there:
                known = recorded[source_id]
            if known is not None:
                standing[source_id] = known
        left = [one for one in there if one not in standing.values()]
        if key not in pairs.by_name and not made_again:  # in place a key keeps its id
            left = [one for one in left if one in recorded.values() and not pairs.sides.in_place]
        standing |= zip((one for one in wanted if one and one not in standing), left, strict=False)
    return standing


def _revoked_keys(
    pairs: Pairs, key: Key, desired: Mapping[str, Any], found: Entity | None, standing: Mapping[str, str]
) -> dict[str, str]:
    """Return the snapshot's keys whose counterparts were deleted in the target since the last clone, with those.

    They stay deleted unless the source wins; in an undo always, because only others deleted them.
    """
    sides = pairs.sides
    record = sides.options.record
    same = found is not None and sides.lineage.recorded.get(key) == found.key
    if record is None or record.manifest.cloned is None or not same:
        return {}
    if not sides.undoes and sides.take.winner(sides.sides_of(key, found)) is Winner.SOURCE:
        return {}
    recorded = record.manifest.cloned.write_keys
    wanted = (
        item for name in KEY_FIELDS for item in items_of(desired.get(name)) if isinstance(item, Mapping)
    )
    ids = [str(item.get("id")) for item in wanted]
    return {one: recorded[one] for one in ids if one in recorded and one not in standing}


def stands_for(pairs: Pairs, key: Key, found: Entity | None, name: str, source_id: str) -> str | None:
    """Return the id of the target's key for one of the snapshot's, or None.

    It is the same key, one derived from it, or the one that it derives from.
    """
    live = [key_id for field in KEY_FIELDS for key_id in key_ids(found, field)]
    made = derived_id(pairs.sides.workspace_id, name, f"{key.id}/{source_id}")
    there = pairs.sides.snapshot.manifest.source.workspace_id
    return next(
        (
            one
            for one in live
            if one in (source_id, made)
            or (found is not None and derived_id(there, name, f"{found.key.id}/{one}") == source_id)
        ),
        None,
    )


def _with_hash(item: Any, name: str, hashes: Mapping[str, Any], used: frozenset[str]) -> Any:
    if not isinstance(item, Mapping):
        return item
    known = None if str(item.get("id")) in used else hashes.get(f"{name}.{item.get('id')}.hash")
    return {**item, "hash": known} if known is not None and not has_key_material(item) else dict(item)
