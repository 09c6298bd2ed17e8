"""`check` says when a workspace was last backed up, and whether its schedule seems to have stopped."""

from datetime import UTC, datetime, timedelta

from jitsu_backup.archive import archive_name
from jitsu_backup.operations.last_backup import LastBackup, last_backup
from jitsu_backup.store.control import reading_name
from tests.support import MOMENT, make_snapshot

SNAPSHOT = make_snapshot({})
WORKSPACE = SNAPSHOT.manifest.source.workspace_id
NAME = str(archive_name(SNAPSHOT))
TAKEN = archive_name(SNAPSHOT).taken_at


def test_the_last_backup_is_the_newest_that_store_or_metrics_know() -> None:
    assert last_backup({}, WORKSPACE, {WORKSPACE: 1.0}) is None
    assert last_backup({NAME: 1}, "another", {}) is None
    stored = last_backup({NAME: 1}, WORKSPACE, {})
    assert stored is not None
    assert stored.at == TAKEN
    asked = TAKEN.replace(microsecond=0) + timedelta(hours=20)
    reading = reading_name(WORKSPACE, asked, "0" * 16)
    read = last_backup({NAME: 1, reading: 1}, WORKSPACE, {})
    assert read is not None
    assert read.at == asked
    known = last_backup({NAME: 1, reading: 1}, WORKSPACE, {WORKSPACE: MOMENT.timestamp()})
    assert known is not None
    assert (known.at, known.certain) == (datetime.fromtimestamp(MOMENT.timestamp(), UTC), True)


def test_a_last_backup_of_another_console_names_it() -> None:
    last = LastBackup(TAKEN, certain=True, host="https://lost.example")
    assert last.words(TAKEN + timedelta(minutes=2)).endswith("(2 minutes ago, of https://lost.example)")


def test_a_schedule_that_stopped_is_said() -> None:
    last = last_backup({NAME: 1}, WORKSPACE, {})
    assert last is not None
    assert last.words(TAKEN + timedelta(hours=24)).endswith("(1 day ago, or later)")
    assert "(4 days ago, or later); the schedule seems to have stopped: look at the log" in last.words(
        TAKEN + timedelta(days=4)
    )
