"""Reports: values rendered as text for people or documents for programs."""

from jitsu_backup.reports.json_documents import (
    archive_document,
    changes_document,
    extras_document,
    key_document,
    plan_document,
    residue_document,
    restore_document,
    snapshot_document,
    taken_document,
)
from jitsu_backup.reports.overlay import overlay_text
from jitsu_backup.reports.summary import matches, taken
from jitsu_backup.reports.terminal import (
    archive_table,
    changes_stat,
    changes_view,
    entity_table,
    keys_text,
    ledger_table,
    plan_view,
    residue_view,
    snapshot_view,
    verdict_table,
)

__all__ = [
    "archive_document",
    "archive_table",
    "changes_document",
    "changes_stat",
    "changes_view",
    "entity_table",
    "extras_document",
    "key_document",
    "keys_text",
    "ledger_table",
    "matches",
    "overlay_text",
    "plan_document",
    "plan_view",
    "residue_document",
    "residue_view",
    "restore_document",
    "snapshot_document",
    "snapshot_view",
    "taken",
    "taken_document",
    "verdict_table",
]
