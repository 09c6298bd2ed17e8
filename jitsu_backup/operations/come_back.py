"""What was restored in a rehearsal: a console in memory, compared with the snapshot that was restored into it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from jitsu_backup.catalogue import dangling_references, entity_names, link_name, owned_functions
from jitsu_backup.model import (
    MASK,
    Key,
    Snapshot,
    format_path,
    masked_paths,
    members_of,
    quoted,
    unknown_secrets,
    value_at,
)
from jitsu_backup.operations.recovery_losses import RecoveryLoss
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import ActionKind, Overlay, Plan, Residue, needs_authorising, parse_overlay
from jitsu_backup.sandbox import State

STAND_IN = "from-the-password-manager"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal ended: `restored` of `meant` entities, in `seconds`, and what was not restored.

    `dead` are the connections that lost an end in the source. No events flow there, so they do not count as `meant`.
    `lacks` is what a recovery on an empty console would lose all the same. `problem` is why the rehearsal itself failed;
    nothing else is known then.
    """

    restored: int
    meant: int
    seconds: float = 0.0
    residue: tuple[Residue, ...] = ()
    dead: tuple[Key, ...] = ()
    lacks: tuple[RecoveryLoss, ...] = ()
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything was restored."""
        return not self.problem and not self.residue and self.restored == self.meant


def come_back(
    snapshot: Snapshot,
    plan: Plan,
    state: State,
    result: Result | None,
    there: Mapping[str, int],
    left_out: Collection[Residue] = (),
) -> Rehearsal:
    """Compare a console with the snapshot that was restored into it, down to secrets and cursors.

    `result` is that of the restore, or None if it was not reached. `there` counts what was read back, by type.
    `left_out` took no part in the restore. The caller adds what a recovery could not restore.
    """
    found = set(left_out)
    if result is not None:
        # the sandbox has no OAuth authorisation
        found |= {line for line in result.found if not needs_authorising(line.path, line.reason)}
        found |= _secrets_lost(snapshot, state, plan)
        targets = {o.action.key: o.target_id for o in result.outcomes if o.target_id}
        found |= _cursors_lost(snapshot, state, targets, plan)
    dead = dead_links(snapshot)
    found = {line for line in found if line.key not in dead}
    there = dict.fromkeys(snapshot.manifest.counts, 0) | dict(there)
    expected = meant_to_come_back(snapshot)
    found |= _lost_with_builders(snapshot, found)
    if result is not None:
        found |= _miscounted(expected, there, found, revived_functions(snapshot))
    restored = sum(min(count, there[name]) for name, count in expected.items())
    return Rehearsal(restored, expected.total(), residue=tuple(sorted(found)), dead=tuple(sorted(dead)))


def dead_links(snapshot: Snapshot) -> set[Key]:
    """Return the connections that lost an end in the source."""
    return {one.key for one in dangling_references(snapshot) if one.dead and one.key.type == "link"}


def meant_to_come_back(snapshot: Snapshot) -> Counter[str]:
    """Return how many entities a rehearsal should restore, by type."""
    return Counter(snapshot.manifest.counts) - Counter(key.type for key in dead_links(snapshot))


def revived_functions(snapshot: Snapshot) -> int:
    """Return how many deleted functions a rehearsal restores because a profile builder still has them."""
    listed = {entity.key.id for entity in snapshot.of_type("function")}
    return sum(function_id not in listed for function_id, _ in owned_functions(snapshot.entities))


def _lost_with_builders(snapshot: Snapshot, found: set[Residue]) -> set[Residue]:
    """Return the functions that are not restored because none of their profile builders is."""
    lost = {line.key.id: line.name for line in found if line.key.type == "profile-builder" and not line.path}
    owners: dict[str, set[str]] = defaultdict(set)
    for function_id, builder_id in owned_functions(snapshot.entities):
        owners[function_id].add(builder_id)
    listed = {line.key for line in found}
    return {
        Residue(
            function.key, function.name, "", f"is restored only with profile-builder {quoted(lost[min(ids)])}"
        )
        for function in snapshot.of_type("function")
        if (ids := owners[function.key.id]) and ids <= lost.keys() and function.key not in listed
    }


def _secrets_lost(snapshot: Snapshot, state: State, plan: Plan) -> set[Residue]:
    """Return the secrets and write key hashes that the sandbox stored wrongly. A client sees only their masks.

    Write keys that the plan generates do not count, because they are reported as new.
    """
    made = {(a.key, f"{slot.field}.{slot.source_id}.hash") for a in plan.actions for slot in a.new_keys}
    names = {entity.key: entity.name for entity in snapshot.entities}
    masked = {(Key(line.type, line.id), line.path): STAND_IN for line in snapshot.manifest.ledger}
    read = {(key, path): value for key, values in snapshot.secrets.items() for path, value in values.items()}
    lost = set()
    for (key, path), value in (masked | read).items():
        row = state.objects.get(plan.ids.get(key, key.id))
        if (key, path) in made:
            continue
        if key in names and row is not None and _stored(row.config, path) != value:
            lost.add(Residue(key, names[key], path, "the stored secret is not the intended one"))
    return lost


def _stored(config: Any, path: str) -> Any:
    """Return the value at a dotted path. An item of a list of write keys is named by its id."""
    rest = path
    while rest:
        if isinstance(config, list):
            items = [item for item in config if isinstance(item, Mapping)]
            found = [item for item in items if rest.startswith(f"{item.get('id')}.")]
            name = str(found[0]["id"]) if found else rest.partition(".")[0]
            by_place = int(name) if name.isdigit() and int(name) < len(config) else None
            config = found[0] if found else None if by_place is None else config[by_place]
            rest = rest[len(name) + 1 :]
        else:
            name, _, rest = rest.partition(".")
            config = members_of(config).get(name)
    return config


def _cursors_lost(snapshot: Snapshot, state: State, targets: Mapping[Key, str], plan: Plan) -> set[Residue]:
    planned = {action.key: action for action in plan.actions if action.kind is ActionKind.CREATE}
    names = {entity.key.id: link_name(entity, {}) for entity in snapshot.of_type("link")}
    lost = set()
    for sync_id, cursors in snapshot.cursors.items():
        stored = state.sync_states.get(targets.get(Key("link", sync_id), ""), {})
        for stream, text in cursors.items():
            if not state.generation.is_2024 and _parsed(stored.get(stream)) != _parsed(text):
                key, reason = Key("link", sync_id), "its cursor differs from the archive"
                if key in planned and not planned[key].cursors:
                    reason = "it starts without its cursor, because its source or destination differs in the target"
                lost.add(Residue(key, names.get(sync_id, sync_id), f"cursor of {stream}", reason))
    return lost


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _miscounted(
    meant: Mapping[str, int], there: Mapping[str, int], known: set[Residue], revived: int
) -> set[Residue]:
    """Return the types of which too few or too many entities were read back.

    They are counted independently of the plan, so that a bug in it cannot hide what is missing. The surplus of functions
    may be up to `revived`.
    """
    explained = Counter(line.key.type for line in known if not line.path)
    return {
        Residue(Key(name, ""), name, "", f"{count} in the archive, {there[name]} read back")
        for name, count in meant.items()
        if not 0 <= there[name] - (count - explained[name]) <= (revived if name == "function" else 0)
    }


def stand_in_secrets(snapshot: Snapshot) -> Overlay:
    """Return an overlay with a made-up secret for each one that a snapshot lacks."""
    rules: dict[str, dict[str, str]] = {}
    keys = {entity.key for entity in snapshot.entities}
    for line in unknown_secrets(snapshot):
        if Key(line.type, line.id) in keys:  # options are not restored
            rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = STAND_IN
    return parse_overlay(rules)


def with_given_secrets(snapshot: Snapshot, overlay: Overlay) -> Snapshot:
    """Return a snapshot as if it had read the masked secrets that an overlay gives."""
    names, secrets = entity_names(snapshot.entities), dict(snapshot.secrets)
    for entity in snapshot.entities:
        given = overlay.apply(entity, names[entity.key])
        found = {
            format_path(path): value_at(given, path)
            for path in masked_paths(entity.body)
            if value_at(given, path) != MASK
        }
        if found:
            secrets[entity.key] = {**secrets.get(entity.key, {}), **found}
    return replace(snapshot, secrets=secrets)


def residue_in_words(line: Residue) -> str:
    """Return what was not restored, and why."""
    what = f"{line.key.type} {quoted(line.name)}" + (f" {line.path}" if line.path else "")
    return f"{what}: {line.reason}"
