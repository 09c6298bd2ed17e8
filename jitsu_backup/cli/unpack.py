"""`jitsu-backup unpack`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.cli.app import App
from jitsu_backup.cli.snapshot_argument import open_snapshot
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Snapshot, plural, some_of
from jitsu_backup.operations import unpack as unpacking


def unpack(app: App, snapshot: str, folder: Path, redact: bool, plaintext_secrets: bool) -> int:
    """Write a snapshot to its folder; return the exit code."""
    _, content = open_snapshot(app, snapshot)
    if content.secrets and not (redact or plaintext_secrets):
        raise UsageError(
            "the archive holds secrets that the operator's token has read, and the folder would in clear:"
            " say --plaintext-secrets, or --redact"
        )
    if not content.manifest.complete:
        app.problem("the snapshot is incomplete: the folder lacks what it lacks")
    result = bring_up_to_date(app, content, folder, redacted=redact)
    if app.as_json:
        app.emit(result)
    else:
        app.line(changes_in_words(result))
    return 0


def bring_up_to_date(app: App, snapshot: Snapshot, folder: Path, *, redacted: bool) -> dict[str, Any]:
    """Write a snapshot to its folder and return what changed there, as JSON. Raise UsageError, BackupError."""
    done = unpacking.unpack(snapshot, folder, redacted=redacted)
    if done.bares_secrets:
        app.say(f"warning: {folder} holds secrets in clear: keep it as you keep passwords, or say --redact")
    foreign = done.changes.foreign
    if foreign:
        others = f"{'is' if len(foreign) == 1 else 'are'} {plural(len(foreign), 'file')} of others"
        app.problem(f"{folder}: left alone, and refused by pack, {others}: {some_of(foreign, 3)}")
    return {
        "folder": str(folder),
        "digest": done.digest,
        "redacted": redacted,
        "written": list(done.changes.written),
        "removed": list(done.changes.removed),
        "unchanged": done.changes.unchanged,
        "foreign": [path.encode(errors="replace").decode() for path in foreign],
    }


def changes_in_words(result: Mapping[str, Any]) -> str:
    """Return one line that says what changed in a folder."""
    written, removed = len(result["written"]), len(result["removed"])
    return f"{result['folder']}: {written} written, {removed} removed, {result['unchanged']} unchanged"
