"""`jitsu-backup pack`."""

from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, run_async
from jitsu_backup.cli.files import check_output, output_name, write_output
from jitsu_backup.errors import IncompleteError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.save import Saved
from jitsu_backup.operations.unpack import read_folder, save_packed
from jitsu_backup.reports import snapshot_document
from jitsu_backup.store import archives, keep


def pack(app: App, folder: Path, output: Path | None) -> int:
    """Read a folder and make an archive of it; return the exit code."""
    check_output(app, output)
    app.keys.check()
    content = read_folder(folder)
    snapshot = content.snapshot
    for line in content.left_out:
        app.problem(f"{folder}: {line}")
    for path in content.unmerged:
        app.problem(
            f"{folder}: {path} holds the marks of a merge that was not finished; it was packed as it is"
        )
    saved = _save(app, snapshot, output)
    where = output_name(output) if output is not None else f"{app.store.url.rstrip('/')}/{saved.archive}"
    document: dict[str, Any] = {
        **snapshot_document(snapshot, saved.digest),
        "encrypted": saved.archive.encrypted,
        "id": saved.archive.digest_prefix,
        "archive": where,
        "bytes": saved.size,
        "written": saved.written,
    }
    code = IncompleteError.exit_code if content.unmerged else 0
    if app.as_json:
        app.emit(document)
        return code
    state = "complete" if document["complete"] else "INCOMPLETE"
    size = f"{saved.size:,} bytes" if saved.written else "in the store already"
    app.line(f"{folder}: {sum(document['counts'].values())} entities, {state}, {size}, id {document['id']}")
    app.line(f"  {where}")
    if output is None:
        app.line(
            f"  restore it with: {app.again('restore', f'{saved.archive.slug}/{saved.archive.digest_prefix}')}"
        )
    return code


def _save(app: App, snapshot: Snapshot, output: Path | None) -> Saved:
    async def put(archive: ArchiveName, data: bytes) -> None:
        if output is not None:
            write_output(output, data)
        else:
            await keep(await app.writable_store(), archive, data)

    known = [] if output is not None else run_async(archives(app.store))
    return run_async(save_packed(snapshot, known, app.keys, put))
