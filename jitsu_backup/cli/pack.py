"""`jitsu-backup pack`."""

from pathlib import Path

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, place_of, run_async
from jitsu_backup.cli.files import check_output, check_outside, write_output
from jitsu_backup.errors import IncompleteError
from jitsu_backup.model import Snapshot, plural
from jitsu_backup.operations.save import Saved
from jitsu_backup.operations.unpack import read_folder, save_packed
from jitsu_backup.reports import saved_document
from jitsu_backup.store import archives, keep


def pack(app: App, folder: Path, output: Path | None) -> int:
    """Read a folder and create an archive from it; return the exit code."""
    check_output(app, output)
    check_outside(folder, {"--output": output})
    app.keys.check()
    content = read_folder(folder)
    for line in content.left_out:
        app.problem(f"{folder}: {line}")
    for path in content.unmerged:
        app.problem(
            f"{folder}: {path} contains conflict markers of an unfinished merge; it was packed unchanged"
        )
    saved = _save(app, content.snapshot, output)
    where = place_of(app, saved.archive, output)
    document = saved_document(saved, where)
    code = IncompleteError.exit_code if content.unmerged else 0
    if app.as_json:
        app.emit(document)
        return code
    state = "complete" if document["complete"] else "INCOMPLETE"
    size = f"{saved.size:,} bytes" if saved.written else "already in the store"
    total = plural(sum(document["counts"].values()), "entity", "entities")
    app.line(f"{folder}: {total}, {state}, {size}, id {document['id']}")
    app.line(f"  {where}")
    if output is None:
        again = app.again_with_keys([saved.archive])
        app.line("To restore it:")
        app.line(f"  {again('restore', saved.archive.reference)}")
    return code


def _save(app: App, snapshot: Snapshot, output: Path | None) -> Saved:
    async def put(archive: ArchiveName, data: bytes) -> None:
        if output is not None:
            write_output(output, data)
        else:
            await keep(await app.writable_store(), archive, data)

    known = [] if output is not None else run_async(archives(app.store))
    return run_async(save_packed(snapshot, known, app.keys, put))
