"""Records of clones: what the source had and the target has, for the three sides of the next clone."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from jitsu_backup.model import CloneRecord, Key, Snapshot
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.plan import Plan


def new_record(
    snapshot: Snapshot,
    plan: Plan,
    options: PlanOptions,
    after: Snapshot,
    ids: Mapping[Key, str],
    undone: Collection[Key] = (),
) -> Snapshot:
    """Return the record of a clone that has ended: `after`, the target as it was read back, marked as cloned.

    `ids` are the ids that the source's keys have in the target now. What an action of the `undone` keys was to do was not
    done, so that the record of before stays for it.
    """
    there = {entity.key for entity in after.entities}
    pairs = {
        key: new_id for key, new_id in ids.items() if Key(key.type, new_id) in there and key not in undone
    }
    cloned = CloneRecord(snapshot.manifest.source, pairs)
    return replace(after, manifest=replace(after.manifest, cloned=cloned))
