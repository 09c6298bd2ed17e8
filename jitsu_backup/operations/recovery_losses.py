"""What a recovery on an empty console loses even with a complete archive: secrets, grants, write keys, running syncs."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS, entity_names, entity_type, granted, key_ids
from jitsu_backup.model import Key, Snapshot, features_of, quoted, unknown_secrets
from jitsu_backup.planning import Plan


class LossKind(Enum):
    """What is lost: its name in JSON and metrics, and what to do about it, in singular and plural."""

    SECRET = "secrets", "secret to give in an overlay", "secrets to give in an overlay"
    GRANT = "grants", "grant to authorise again in the UI", "grants to authorise again in the UI"
    WRITE_KEY = "write_keys", "new write key for senders", "new write keys for senders"
    REVERSE_SYNC = "reverse_syncs", "reverse sync to enable", "reverse syncs to enable"
    FEATURE = "features", "feature that Jitsu must enable", "features that Jitsu must enable"
    PROVISIONED = (
        "provisioned",
        "destination that Jitsu must provision",
        "destinations that Jitsu must provision",
    )

    def __init__(self, label: str, one: str, several: str) -> None:
        """Store the three texts of a member."""
        self.label, self.one, self.several = label, one, several


@dataclass(frozen=True, slots=True)
class RecoveryLoss:
    """One thing that is not restored: of the entity `key`, at `path` if it is a field."""

    kind: LossKind
    key: Key
    name: str
    path: str = ""

    def __str__(self) -> str:
        """Return the loss in one line."""
        return f"{self.key.type} {quoted(self.name)}" + (f" {self.path}" if self.path else "")


def recovery_losses(
    snapshot: Snapshot, plan: Plan, missing: Collection[Key], workspace: Mapping[str, Any] | None = None
) -> tuple[RecoveryLoss, ...]:
    """Return what a recovery by `plan` on an empty console loses: masked secrets, grants, write keys of streams.

    A reverse sync is restored, but disabled, unless it is `missing`. If the recovered `workspace` (by default that of the
    snapshot) lacks the feature of a type, no entity of that type can be restored [model/create-feature-off].
    """
    names = entity_names(snapshot.entities)
    secrets = ((Key(line.type, line.id), line.path) for line in unknown_secrets(snapshot))
    secrets = ((key, path) for key, path in secrets if key in names)  # options are not restored
    features_off = _features_off(snapshot, snapshot.workspace if workspace is None else workspace)
    slots = ((action.key, slot) for action in plan.actions for slot in action.new_keys)
    lost = (
        *((LossKind.SECRET, key, path) for key, path in secrets),
        *((LossKind.GRANT, key, "") for key in granted(snapshot.entities)),
        *((LossKind.WRITE_KEY, key, f"{slot.field}.{slot.source_id}") for key, slot in slots),
        *((LossKind.REVERSE_SYNC, a.key, "") for a in plan.actions if a.off and a.key not in missing),
        *((LossKind.FEATURE, key, feature) for feature, key in features_off.items()),
        *((LossKind.PROVISIONED, e.key, "") for e in snapshot.entities if e.body.get("provisioned") is True),
    )
    return tuple(RecoveryLoss(kind, key, names.get(key, key.id), path) for kind, key, path in lost)


def keys_made_before(snapshot: Snapshot, plan: Plan) -> tuple[RecoveryLoss, ...]:
    """Return the write keys of streams that earlier runs already replaced in the target."""
    names = entity_names(snapshot.entities)
    mine = {slot.id for action in plan.actions for slot in action.new_keys}
    return tuple(
        RecoveryLoss(LossKind.WRITE_KEY, one.key, names.get(one.key, one.key.id), f"{name}.{key_id}")
        for one in snapshot.of_type("stream")
        for name in KEY_FIELDS
        for key_id in key_ids(one, name)
        if plan.write_keys.get(key_id, key_id) not in {key_id, *mine}
    )


def _features_off(snapshot: Snapshot, workspace: Mapping[str, Any]) -> dict[str, Key]:
    """Return the features that a snapshot needs and a workspace lacks, each with an entity that needs it."""
    if "featuresEnabled" not in workspace:
        return {}  # unknown
    on = features_of(workspace)
    needed = ((entity_type(entity.key.type).feature, entity.key) for entity in snapshot.entities)
    return {feature: key for feature, key in needed if feature and feature not in on}


def counted(found: Iterable[RecoveryLoss]) -> dict[str, int]:
    """Return the number of losses of each kind, by the kind's name."""
    counts = Counter(one.kind for one in found)
    return {kind.label: counts[kind] for kind in LossKind}


def in_words(counts: dict[str, int]) -> str:
    """Return how much is lost, in words, or an empty string."""
    parts = [f"{n} {kind.one if n == 1 else kind.several}" for kind in LossKind if (n := counts[kind.label])]
    return ", ".join(parts)
