"""--plan-out and --plan of `restore` and `clone`: saving a plan to a file and carrying out a saved one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from jitsu_backup.archive import ENCRYPTED_SUFFIX, ArchiveName, digest, parse_name
from jitsu_backup.cli.app import App, run_async
from jitsu_backup.cli.apply_options import outputs_of, refuse_beside_plan, run_options
from jitsu_backup.cli.applying import ApplyJob, apply
from jitsu_backup.cli.files import check_folder, check_outside, check_path, opened_overlay
from jitsu_backup.cli.snapshot_argument import Opened, find_last_run, open_source, open_stored
from jitsu_backup.errors import BackupError, BlockedError, UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import keys_to_write
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.save import SaveOptions, save
from jitsu_backup.operations.saved_plan import (
    Origin,
    SavedPlan,
    check_overlay,
    is_saved_plan,
    load_plan,
    saved_plan,
)
from jitsu_backup.operations.undo import with_record
from jitsu_backup.planning import Overlay
from jitsu_backup.reports import plan_document
from jitsu_backup.settings import Place
from jitsu_backup.store import read_file, write_file, write_new_file


def check_plan_out(path: Path | None) -> None:
    """Raise UsageError for a file that exists and is not a plan, so that a slip does not overwrite another file."""
    check_path(path, "--plan-out")
    check_folder(path)
    if path is None or not path.exists():
        return
    try:
        ours = is_saved_plan(read_file(path))
    except BackupError:
        ours = False
    if not ours:
        raise UsageError(f"--plan-out {path}: the file exists and is not a plan; name another")


def keep_plan(
    app: App, path: Path, prepared: PreparedRestore, origin: Origin, reference: str | None
) -> list[str]:
    """Write a plan, and say how to carry it out. Return the arguments that do.

    `reference` is the SNAPSHOT that the command needs beside --plan, None if it finds the archive without it.
    """
    write_file(path, saved_plan(prepared, plan_document(prepared.plan), origin))
    command = "clone" if origin.command == "clone" else "restore"
    words = [command, *((reference,) if reference is not None else ()), "--plan", str(path)]
    overlay = None if origin.overlay is None else origin.overlay.path
    if overlay is not None and not _is_found(overlay, path, app.settings.place(origin.into)):
        words += ["--overlay", str(overlay)]
    if (origin.archive or "").endswith(ENCRYPTED_SUFFIX):
        words += app.identity_flags
    app.say(f"plan saved to {path}; to carry it out:")
    app.say(f"  {app.again(*words)}")
    return words


def reference_beside_plan(path: Path, snapshot: str, name: str) -> str | None:
    """Return the SNAPSHOT that is needed beside --plan for the archive `name`, which `snapshot` meant for the plan."""
    found = Path(name)
    if found.exists():
        return None if _same_file(path.parent / found.resolve().name, found) else snapshot
    return name if "://" in name else None


def keep_beside(app: App, plan: Path, snapshot: Snapshot) -> str:
    """Write the archive of a snapshot beside a plan, encrypted as the store's are; return its name. Raise BackupError."""

    async def put(name: ArchiveName, data: bytes) -> None:
        write_new_file(plan.parent / str(name), data)

    keys = run_async(keys_to_write(app.keys, lambda: app.store, decrypted=app.keys.decrypted))
    archive = run_async(
        save(snapshot, (), SaveOptions(shrink_alarm=1, key=keys.mark), keys.seal, put)
    ).archive
    app.say(f"snapshot of the plan saved beside it, to {plan.parent / str(archive)}")
    return str(archive)


def carry_out_saved(
    app: App, path: Path, given: dict[str, Any], *, snapshot: str | None = None, into: str | None = None
) -> int:
    """Carry out a saved plan; return the exit code.

    Its archive is the one that `snapshot` means, or the one beside the plan, or in the store. Its overlay is the given
    one, or the one beside the plan, or that of the target's profile. Raise BlockedError if either has changed.
    """
    refuse_beside_plan(click.get_current_context())
    if not path.exists():
        raise UsageError(f"--plan {path}: the file does not exist; create a plan with --plan-out")
    saved = load_plan(path, read_file(path))
    run = replace(run_options(given, into or saved.into), command=saved.command, saved=True)
    place = app.settings.place(into or saved.into)
    overlay = _overlay(app, saved, given["overlay"], place)
    last = (
        find_last_run(app, replace(place, workspace=saved.workspace_id)) if saved.command == "undo" else None
    )
    if last is not None and snapshot is None and digest(last.snapshot) == saved.digest:
        wanted = Opened(str(last.archive), last.snapshot)  # no archive holds it if the run was continued
    else:
        wanted = _source(app, saved, snapshot)
    if wanted.folder is not None:
        check_outside(wanted.folder.path, outputs_of(given, None))
    if into is None:
        place = replace(place, workspace=saved.workspace_id)
    job = ApplyJob(
        app, place, wanted.snapshot, replace(saved.options, overlay=overlay), run, saved, folder=wanted.folder
    )
    if last is not None:
        run = replace(run, unrecorded=not last.known)
        job = replace(job, options=with_record(job.options, last), run=run, undoes=last)
    return apply(job)


def _overlay(app: App, saved: SavedPlan, given: Path | None, place: Place) -> Overlay:
    if not saved.has_overlay:
        if given is not None:
            raise UsageError(f"plan {saved.path}: it was created without an overlay; leave out --overlay")
        return Overlay()
    path = given or saved.beside(saved.overlay) or place.overlay
    if path is None:
        raise UsageError(
            f"plan {saved.path}: its overlay{_called(saved.overlay)} is not beside it; name it with --overlay FILE"
        )
    return check_overlay(saved, opened_overlay(app, path))


def _source(app: App, saved: SavedPlan, given: str | None) -> Opened:
    beside = saved.beside(saved.archive)
    reference = given or (None if beside is None else str(beside))
    if reference is not None:
        found = open_source(app, reference)
    else:
        found = Opened(*open_stored(app, _in_store(app, saved)))
        reference = found.name
    if digest(found.snapshot) != saved.digest:
        raise BlockedError(
            f"plan {saved.path}: the snapshot {reference} is not the one that the plan was created with; name that one:"
            f" restore SNAPSHOT --plan {saved.path}"
        )
    return found


def _in_store(app: App, saved: SavedPlan) -> ArchiveName:
    hint = f"; name it: restore SNAPSHOT --plan {saved.path}"
    what = "archive" if saved.archive is None or parse_name(saved.archive) else "snapshot"
    lacking = f"plan {saved.path}: its {what}{_called(saved.archive)} is not beside it"
    try:
        known = app.archives()
    except BackupError as problem:
        raise problem.with_context(before=f"{lacking}, and ", after=hint) from None
    found = [a for a in known if not a.damaged and saved.digest.startswith(a.digest_prefix)]
    if not found:
        raise BackupError(f"{lacking}, nor in the store {app.store.url}{hint}")
    return found[0]


def _called(name: str | None) -> str:
    return "" if name is None else f" {name}"


def _is_found(overlay: Path, plan: Path, place: Place) -> bool:
    """Return whether a plan finds its overlay without --overlay: beside it, or in the profile of its target."""
    beside = plan.parent / overlay.name
    found = beside if beside.exists() else place.overlay
    return found is not None and _same_file(found, overlay)


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
