"""Planning: everything about deciding what to do, without doing it."""

from jitsu_backup.catalogue import KEY_FIELDS as KEY_FIELDS, entity_names as entity_names, subtype as subtype
from jitsu_backup.catalogue.derived_ids import (
    ATTEMPTS as ATTEMPTS,
    derived_id as derived_id,
    ids_after as ids_after,
)
from jitsu_backup.planning.asked import asked_in_vain as asked_in_vain
from jitsu_backup.planning.bindings import held_by as held_by
from jitsu_backup.planning.capabilities import Capabilities as Capabilities, capabilities as capabilities
from jitsu_backup.planning.changes import (
    ChangeKind as ChangeKind,
    Changes as Changes,
    EntityChange as EntityChange,
    chosen as chosen,
)
from jitsu_backup.planning.comparison import compare as compare
from jitsu_backup.planning.deletions import mostly_gone as mostly_gone
from jitsu_backup.planning.entitlements import Entitlements as Entitlements, entitlements as entitlements
from jitsu_backup.planning.fields import CODE_FIELDS as CODE_FIELDS, FieldChange as FieldChange
from jitsu_backup.planning.fingerprints import (
    changed_since as changed_since,
    changes_in_words as changes_in_words,
    essence as essence,
    fingerprints as fingerprints,
    slow_fingerprints as slow_fingerprints,
    unseen_unchanged as unseen_unchanged,
)
from jitsu_backup.planning.grants import GRANT as GRANT, needs_authorising as needs_authorising
from jitsu_backup.planning.identity import same_workspace as same_workspace
from jitsu_backup.planning.json_diff import with_values as with_values
from jitsu_backup.planning.left import left_by as left_by
from jitsu_backup.planning.notes import (
    COPIED_HOSTS as COPIED_HOSTS,
    CopiedHosts as CopiedHosts,
)
from jitsu_backup.planning.options import Ids as Ids, PlanOptions as PlanOptions, Since as Since
from jitsu_backup.planning.overlays import (
    Outside as Outside,
    Overlay as Overlay,
    parse_overlay as parse_overlay,
)
from jitsu_backup.planning.plan import (
    Action as Action,
    ActionKind as ActionKind,
    Extra as Extra,
    KeySlot as KeySlot,
    Loss as Loss,
    Plan as Plan,
)
from jitsu_backup.planning.planner import make_plan as make_plan
from jitsu_backup.planning.reasons import (
    BeyondUpdate as BeyondUpdate,
    EmptiedByUndo as EmptiedByUndo,
    EmptiedThere as EmptiedThere,
    KeptThere as KeptThere,
    NotRecreated as NotRecreated,
    UnreadSecret as UnreadSecret,
)
from jitsu_backup.planning.records import new_record as new_record, record_in_place as record_in_place
from jitsu_backup.planning.residue import (
    Residue as Residue,
    cut_off as cut_off,
    left_out as left_out,
    residue as residue,
    shortfalls as shortfalls,
)
from jitsu_backup.planning.schema_rules import (
    RequiredField as RequiredField,
    Schemas as Schemas,
    schemas_needed as schemas_needed,
)
from jitsu_backup.planning.write_keys import has_key_material as has_key_material
