"""`jitsu-backup unpack`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.archive import encode
from jitsu_backup.cli.app import App, run_async
from jitsu_backup.cli.snapshot_argument import open_source
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Snapshot, plural, some_of
from jitsu_backup.operations import unpack as unpacking
from jitsu_backup.operations.folder import BASE, has_base
from jitsu_backup.operations.folder_edits import check_unapplied
from jitsu_backup.store import write_file


def unpack(
    app: App, snapshot: str, folder: Path, redact: bool, plaintext_secrets: bool, keep_base: bool
) -> int:
    """Write a snapshot to its folder; return the exit code."""
    opened = open_source(app, snapshot)
    if opened.folder is not None:
        raise UsageError(f"{snapshot} is already a folder; unpack takes an archive")
    content = opened.snapshot
    if content.secrets and not (redact or plaintext_secrets):
        raise UsageError(
            "the archive contains secrets, read with the operator's token, and the folder would contain them in plain text; add"
            " --redact to hide them, or --plaintext-secrets to write them"
        )
    if not content.manifest.complete:
        app.problem("the snapshot is incomplete, so the folder is too")
    result = bring_up_to_date(app, content, folder, redacted=redact, keep_base=keep_base)
    if app.as_json:
        app.emit(result)
    else:
        app.line(changes_in_words(result))
    return 0


def bring_up_to_date(
    app: App, snapshot: Snapshot, folder: Path, *, redacted: bool, keep_base: bool = False
) -> dict[str, Any]:
    """Write a snapshot to its folder and return what changed there, as JSON. Raise UsageError, BackupError.

    A copy of the archive that is already in the folder is updated too.
    """
    base = folder / BASE
    keep_base = keep_base or base.is_file()
    if keep_base and redacted and not app.keys.seals:
        raise UsageError(
            f"{base} would contain the whole archive unencrypted, so --redact would hide nothing; add --encrypt-to RECIPIENT,"
            " or do not keep that file"
        )
    run_async(check_unapplied(folder, snapshot, lambda: app.store, app.keys))
    sealed = app.keys.seal(encode(snapshot)) if keep_base else b""
    rewrite = keep_base and not has_base(folder, app.keys)
    done = unpacking.unpack(snapshot, folder, redacted=redacted, rewrite=rewrite)
    if keep_base and (rewrite or done.changes.written or done.changes.removed):
        write_file(base, sealed)
    if done.bares_secrets:
        app.say(
            f"warning: {folder} contains secrets in plain text; protect it like a password, or use --redact"
        )
    foreign = done.changes.foreign
    if foreign:
        files = plural(len(foreign), "unexpected file")
        them = "it" if len(foreign) == 1 else "them"
        app.problem(
            f"{folder} contains {files}, so pack would reject it: {some_of(foreign, 3)}; remove {them}"
        )
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
    """Return one line that says how many files changed in a folder."""
    written, removed = len(result["written"]), len(result["removed"])
    return f"{result['folder']}: {plural(written, 'file')} written, {removed} removed, {result['unchanged']} unchanged"
