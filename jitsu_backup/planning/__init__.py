"""Plan, then act: everything about deciding what to do, without doing it."""

from jitsu_backup.planning.defaults import Schemas, schemas_needed
from jitsu_backup.planning.identity import ATTEMPTS, derived_id
from jitsu_backup.planning.overlays import Overlay, parse_overlay
from jitsu_backup.planning.plan import Action, KeySlot, Kind, Loss, Plan, PlanOptions
from jitsu_backup.planning.planner import KEY_FIELDS, has_key_material, make_plan
from jitsu_backup.planning.residue import Residue, residue

__all__ = [
    "ATTEMPTS",
    "KEY_FIELDS",
    "Action",
    "KeySlot",
    "Kind",
    "Loss",
    "Overlay",
    "Plan",
    "PlanOptions",
    "Residue",
    "Schemas",
    "derived_id",
    "has_key_material",
    "make_plan",
    "parse_overlay",
    "residue",
    "schemas_needed",
]
