"""Reports: values rendered as text for people or documents for programs."""

from jitsu_backup.reports.archive_tables import archive_table as archive_table, verdict_table as verdict_table
from jitsu_backup.reports.json_documents import (
    archive_document as archive_document,
    changes_document as changes_document,
    extras_document as extras_document,
    key_document as key_document,
    plan_document as plan_document,
    residue_document as residue_document,
    restore_document as restore_document,
    saved_document as saved_document,
    snapshot_document as snapshot_document,
    taken_document as taken_document,
    unchanged_document as unchanged_document,
)
from jitsu_backup.reports.overlay import (
    NOTHING_TO_FILL_IN as NOTHING_TO_FILL_IN,
    overlay_text as overlay_text,
)
from jitsu_backup.reports.summary import (
    RestoreReport as RestoreReport,
    kept_there as kept_there,
    matches as matches,
    stays_different as stays_different,
    taken as taken,
    to_enable as to_enable,
)
from jitsu_backup.reports.terminal import (
    changes_stat as changes_stat,
    changes_view as changes_view,
    entity_table as entity_table,
    keys_text as keys_text,
    ledger_table as ledger_table,
    plan_view as plan_view,
    residue_view as residue_view,
    snapshot_view as snapshot_view,
)
