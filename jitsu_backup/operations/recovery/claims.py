"""What several workspaces of a recovery claim, although only one of them can have it: the first claim counts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jitsu_backup.catalogue import KEY_FIELDS, is_link, owned_functions
from jitsu_backup.console.claimed_elsewhere import host_names
from jitsu_backup.model import Entity, Snapshot, items_of, members_of
from jitsu_backup.operations.recovery.values import Clash, ClashKind, TakenId, WorkspaceRecovery
from jitsu_backup.planning import ActionKind

_KINDS = (ClashKind.SLUG, ClashKind.DOMAIN, ClashKind.ID, ClashKind.WRITE_KEY)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a workspace loses to earlier claims: `domains` (host name → slug of its owner) and the ids of write keys.

    `keys_beside` are ids of write keys that other workspaces also have, with other secrets: id → numbers of these
    workspaces. They are restored unchanged, because the lost console had them too.
    """

    domains: Mapping[str, str] = field(default_factory=dict)
    key_ids: frozenset[str] = frozenset()
    keys_beside: Mapping[str, frozenset[int]] = field(default_factory=dict)


def settle_claims(snapshots: Sequence[Snapshot]) -> tuple[tuple[Clash, ...], tuple[Claimed, ...]]:
    """Return what several workspaces claim, and what each of them loses; a workspace earlier in the list has precedence."""
    claimants: dict[tuple[ClashKind, str], list[int]] = defaultdict(list)
    keys: dict[str, set[str]] = defaultdict(set)  # the ids of a write key, by its hash
    hashes: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))  # by the id of a write key
    for number, snapshot in enumerate(snapshots):
        for kind, name, key_id in _claims(snapshot):
            if number not in claimants[kind, name]:
                claimants[kind, name].append(number)
            if kind is ClashKind.WRITE_KEY:
                keys[name].add(key_id)
                hashes[key_id][number].add(name)
    slugs = [one.manifest.source.slug or one.manifest.source.workspace_id for one in snapshots]
    several = {claim: members for claim, members in claimants.items() if len(members) > 1}
    domains: list[dict[str, str]] = [{} for _ in snapshots]
    key_ids: list[set[str]] = [set() for _ in snapshots]
    for (kind, name), (first, *others) in several.items():
        for other in others:
            if kind is ClashKind.DOMAIN:
                domains[other][name] = slugs[first]
            if kind is ClashKind.WRITE_KEY:
                key_ids[other] |= keys[name]
    clashes = (
        Clash(kind, _shown(kind, name, keys), tuple(slugs[number] for number in members))
        for (kind, name), members in several.items()
    )
    ordered = sorted(clashes, key=lambda clash: (_KINDS.index(clash.kind), clash.name))
    return tuple(ordered), tuple(
        Claimed(domains[number], frozenset(key_ids[number]), _keys_beside(number, hashes))
        for number in range(len(snapshots))
    )


def with_taken_ids(
    planned: Sequence[WorkspaceRecovery], ids: Mapping[str, tuple[str, str]]
) -> list[WorkspaceRecovery]:
    """Return planned workspaces with the entities whose ids other workspaces of the target console have.

    `ids` are known ids of entities, each with the id and the name of its workspace. The targets that were read are
    known too. Nothing is claimed about other ids.
    """
    known = dict(ids)
    for one in planned:
        if one.prepared is not None and one.target_id is not None:
            owner = (one.target_id, one.prepared.live.manifest.source.slug or one.target_id)
            known.update((e.key.id, owner) for e in one.prepared.live.entities if not is_link(e.key))
    return [replace(one, taken=tuple(_taken(one, known))) for one in planned]


def _taken(one: WorkspaceRecovery, known: Mapping[str, tuple[str, str]]) -> Iterator[TakenId]:
    for action in one.prepared.plan.writes if one.prepared is not None else ():
        if action.kind is ActionKind.CREATE and not is_link(action.key):
            owner, called = known.get(action.target_id or "", (one.target_id, ""))
            if owner != one.target_id:
                yield TakenId(action.key, action.name, called)


def _keys_beside(number: int, hashes: Mapping[str, Mapping[int, set[str]]]) -> dict[str, frozenset[int]]:
    """Return the write key ids of a workspace that others use with another secret: id → numbers of these workspaces."""
    return {
        key_id: frozenset(other for other in users if not users[number] & users[other])
        for key_id, users in hashes.items()
        if number in users and len(users) > 1
    }


def _claims(snapshot: Snapshot) -> Iterator[tuple[ClashKind, str, str]]:
    """Yield the kind and name of everything that a workspace claims. A write key is named by its hash; its id comes third."""
    if snapshot.manifest.source.slug:
        yield ClashKind.SLUG, snapshot.manifest.source.slug, ""
    made_by_console = {function for function, _ in owned_functions(snapshot.entities)}
    for entity in snapshot.entities:
        if not is_link(entity.key) and entity.key.id not in made_by_console:
            yield ClashKind.ID, entity.key.id, ""
        for name in (
            host_names(entity.key.type, entity.body) if entity.key.type in ("stream", "domain") else ()
        ):
            yield ClashKind.DOMAIN, name, ""
        for key_id, key_hash in _write_keys(entity, snapshot) if entity.key.type == "stream" else ():
            yield ClashKind.WRITE_KEY, key_hash, key_id


def _write_keys(stream: Entity, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield the id and hash of each write key of a stream. One without a hash is replaced by a new key, so it claims nothing."""
    hashes = snapshot.secrets.get(stream.key, {})
    for name in KEY_FIELDS:
        for key in items_of(stream.body.get(name)):
            key_id = str(members_of(key).get("id"))
            found = members_of(key).get("hash") or hashes.get(f"{name}.{key_id}.hash")
            if isinstance(found, str):
                yield key_id, found


def _shown(kind: ClashKind, name: str, keys: Mapping[str, set[str]]) -> str:
    """Return the name to show for a clash. For a write key that is its ids, because the hash is a secret."""
    return ", ".join(sorted(keys[name])) if kind is ClashKind.WRITE_KEY else name
