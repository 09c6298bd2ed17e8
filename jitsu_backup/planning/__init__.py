"""Plan, then act: everything about deciding what to do, without doing it."""

from jitsu_backup.planning.abilities import Abilities, abilities
from jitsu_backup.planning.changes import ChangeKind, Changes, EntityChange, chosen, compare
from jitsu_backup.planning.context import KEY_FIELDS, entity_names, same_workspace, subtype
from jitsu_backup.planning.defaults import Schemas, schemas_needed
from jitsu_backup.planning.fields import FieldChange
from jitsu_backup.planning.fingerprints import (
    changed_since,
    changes_in_words,
    essence,
    fingerprints,
    slow_fingerprints,
)
from jitsu_backup.planning.grants import GRANT, needs_authorising
from jitsu_backup.planning.identity import ATTEMPTS, derived_id, ids_after
from jitsu_backup.planning.keys import has_key_material
from jitsu_backup.planning.objects import UNREAD
from jitsu_backup.planning.overlays import Outside, Overlay, parse_overlay
from jitsu_backup.planning.plan import Action, Extra, Ids, KeySlot, Kind, Loss, Plan, PlanOptions
from jitsu_backup.planning.planner import make_plan
from jitsu_backup.planning.removals import mostly_gone
from jitsu_backup.planning.residue import Residue, cut_off, left_out, residue

__all__ = [
    "ATTEMPTS",
    "GRANT",
    "KEY_FIELDS",
    "UNREAD",
    "Abilities",
    "Action",
    "ChangeKind",
    "Changes",
    "EntityChange",
    "Extra",
    "FieldChange",
    "Ids",
    "KeySlot",
    "Kind",
    "Loss",
    "Outside",
    "Overlay",
    "Plan",
    "PlanOptions",
    "Residue",
    "Schemas",
    "abilities",
    "changed_since",
    "changes_in_words",
    "chosen",
    "compare",
    "cut_off",
    "derived_id",
    "entity_names",
    "essence",
    "fingerprints",
    "has_key_material",
    "ids_after",
    "left_out",
    "make_plan",
    "mostly_gone",
    "needs_authorising",
    "parse_overlay",
    "residue",
    "same_workspace",
    "schemas_needed",
    "slow_fingerprints",
    "subtype",
]
