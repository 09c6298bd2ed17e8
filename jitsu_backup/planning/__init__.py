"""Plan, then act: everything about deciding what to do, without doing it."""

from jitsu_backup.catalogue import KEY_FIELDS, entity_names, subtype
from jitsu_backup.catalogue.derived_ids import ATTEMPTS, derived_id, ids_after
from jitsu_backup.planning.capabilities import Capabilities, capabilities
from jitsu_backup.planning.changes import ChangeKind, Changes, EntityChange, chosen
from jitsu_backup.planning.comparison import compare
from jitsu_backup.planning.deletions import mostly_gone
from jitsu_backup.planning.entitlements import Entitlements, entitlements
from jitsu_backup.planning.fields import CODE_FIELDS, FieldChange
from jitsu_backup.planning.fingerprints import (
    changed_since,
    changes_in_words,
    essence,
    fingerprints,
    slow_fingerprints,
)
from jitsu_backup.planning.grants import GRANT, needs_authorising
from jitsu_backup.planning.json_diff import with_values
from jitsu_backup.planning.options import Ids, PlanOptions
from jitsu_backup.planning.overlays import Outside, Overlay, parse_overlay
from jitsu_backup.planning.plan import Action, Extra, KeySlot, Kind, Loss, Plan
from jitsu_backup.planning.planner import make_plan
from jitsu_backup.planning.reasons import BeyondUpdate, UnreadSecret
from jitsu_backup.planning.residue import Residue, cut_off, left_out, residue
from jitsu_backup.planning.schema_rules import Schemas, schemas_needed
from jitsu_backup.planning.sides import same_workspace
from jitsu_backup.planning.write_keys import has_key_material

__all__ = [
    "ATTEMPTS",
    "CODE_FIELDS",
    "GRANT",
    "KEY_FIELDS",
    "Action",
    "BeyondUpdate",
    "Capabilities",
    "ChangeKind",
    "Changes",
    "Entitlements",
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
    "UnreadSecret",
    "capabilities",
    "changed_since",
    "changes_in_words",
    "chosen",
    "compare",
    "cut_off",
    "derived_id",
    "entitlements",
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
    "with_values",
]
