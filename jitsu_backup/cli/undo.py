"""`jitsu-backup undo`."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.apply_options import check_outputs, split_options
from jitsu_backup.cli.applying import ApplyJob, apply
from jitsu_backup.cli.files import opened_overlay
from jitsu_backup.cli.saved_plans import check_plan_out, keep_plan
from jitsu_backup.cli.snapshot_argument import find_last_run, place_of_origin
from jitsu_backup.errors import BackupError, IncompleteError
from jitsu_backup.model import Source, plural, shown_time, some_of
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.saved_plan import Origin
from jitsu_backup.operations.undo import LastRun, undo_options
from jitsu_backup.settings import Place
from jitsu_backup.store import Lease

_AS_RESTORE: dict[str, Any] = {
    "sets": (), "cursors": True, "check_schemas": True, "safety_backup": True, "fail_fast": False,
}  # fmt: skip
"""The values of the `restore` flags that `undo` does not have."""

_AGAIN = "To redo that recovery, with the --overlay, --at and --keys-out of that run, if it had them:"
_EXCEPT = ", except those that the run to undo was about to make too"


def undo(app: App, place: str | None, plan_out: Path | None, **given: Any) -> int:
    """Find the last run that wrote into a workspace, plan how to undo it, and continue like `restore`; return the exit code."""
    given = {**_AS_RESTORE, **given}
    check_plan_out(plan_out)
    check_outputs(given, plan_out)
    path = given["overlay"]
    overlay = None if path is None else opened_overlay(app, path)
    options, how = split_options(app.settings, given, place, overlay)
    run, where, target = _found(app, place)
    _tell(app, run, where, dry_run=given["dry_run"] or plan_out is not None)

    def save(prepared: PreparedRestore) -> Sequence[str]:
        if plan_out is None:
            return ()
        return keep_plan(app, plan_out, prepared, Origin("undo", str(run.archive), where, overlay), None)

    how = replace(
        how,
        command="undo",
        unrecorded=not run.known,
        plan_out=plan_out,
        dry_run=how.dry_run or plan_out is not None,
    )
    wanted = undo_options(options, run)
    code = apply(ApplyJob(app, target, run.snapshot, wanted, how, planned=save, undoes=run))
    came_back = _recovered_here(run)
    if came_back is not None and not how.dry_run and code in (0, IncompleteError.exit_code):
        if run.created_streams:
            app.say("That would create new write keys. A recovery keeps those whose hashes the archive has.")
        app.say(_AGAIN)
        app.say(f"  {_recover_again(app, run, came_back, where)}")
    return code


def _recovered_here(run: LastRun) -> Source | None:
    """Return the workspace elsewhere that a run recovered under its own slug, None for any other run."""
    came_from = run.recovered_from
    return came_from if came_from and came_from.slug == run.snapshot.manifest.source.slug else None


def _recover_again(app: App, run: LastRun, source: Source, where: str) -> str:
    """Return the command that recovers a workspace again onto the console of the PLACE `where`."""
    into = ("--into", where.partition("/")[0]) if where.startswith("@") else ()
    workspace = source.slug or source.workspace_id
    keys = app.flags_to_open([run.archive])
    return app.again("recover", "--from", source.host, "--workspace", workspace, *into, *keys)


def _found(app: App, place: str | None) -> tuple[LastRun, str, Place]:
    """Return the run to undo, and its workspace as text and as a place. Raise what `find_last_run` raises."""
    target = app.settings.place(place, workspace_needed=False)
    workspace = target.workspace
    run = find_last_run(app, target)
    if workspace is None:
        return (run, *place_of_origin(app, run.snapshot.manifest.source, instead="name the PLACE"))
    return run, place or workspace, target


def _tell(app: App, run: LastRun, where: str, *, dry_run: bool) -> None:
    """Print which run is undone, and what is uncertain. `where` is the PLACE."""
    source = run.snapshot.manifest.source
    called = source.slug or source.workspace_id
    writing = _still_writing(app, source)
    app.say(f"The last run in {called} {_about(run, writing=bool(writing))}.")
    if writing:
        app.warn(f"{writing}; wait until it has ended, then run undo again")
    if run.created:
        entities = plural(run.created, "entity", "entities")
        ended = f"It created {entities}, which an undo deletes."
        app.say(
            ended
            if run.left
            else f"It was about to create {entities}. An undo deletes those that it created."
        )
    redo = "Recover it again to redo it." if _recovered_here(run) else "Run undo again to redo it."
    app.say(f"That run {'would' if dry_run else 'will'} be undone. {redo}")
    if run.begun is not None:
        app.say(
            f"An earlier undo of it, of {shown_time(run.begun.taken_at)}, did not finish or left no record, so this run continues"
            f" it. The state before that undo is {run.begun.reference}; to return to it:"
        )
        app.say(f"  {_return_to(app, run.begun, where)}")
    if not run.known:
        why = "has not ended yet" if writing else "did not finish or left no readable record"
        app.warn(
            f"what that run wrote is unknown, because it {why}: the plan also undoes later"
            " changes by others, and deletes what was created since only with --prune"
        )
    elif not run.snapshot.manifest.complete:
        app.warn(
            "the backup from before that run is incomplete, so what the run created is unknown: such entities are kept and listed"
        )
    if run.unended:
        app.say(_about_unended(run.unended))
        app.say(f"  {_return_to(app, run.unended[-1], where)}")
    if run.unbacked is not None:
        app.warn(
            f"a later run, which ended at {shown_time(run.unbacked.taken_at)}, made no backup, so it cannot be undone; its changes"
            f" count as changes by somebody else{_EXCEPT if run.known and not run.left else ''}"
        )


def _still_writing(app: App, target: Source) -> str:
    """Return in words which run is writing into the workspace now, or an empty text if none is, or it is unknown."""
    lease = Lease(app.store, target.workspace_id, "undo", now=utc_now, monotonic=time.monotonic)
    try:
        return run_async(lease.held_by())
    except BackupError:  # reported when the lease is taken
        return ""


def _about(run: LastRun, *, writing: bool) -> str:
    """Return what a run was, when it began, when it was continued, and whether it ended; `writing` says that it runs."""
    kind = "undo" if run.archive.undoes else "restore or clone"
    words = f"is the {kind} of {shown_time(run.archive.taken_at)}"
    began = None if run.archive.undoes else run.brought_from
    if _recovered_here(run) is not None and began is not None:
        words = f"is the recovery of {shown_time(run.archive.taken_at)} from {began.host}"
    elif began is not None:
        called = began.slug or began.workspace_id
        words = (
            f"is the recovery or clone of {shown_time(run.archive.taken_at)} from {called} on {began.host}"
        )
    if run.continued:
        words += f", continued at {some_of([shown_time(one) for one in run.continued], 3)}"
    if run.left or not run.known:
        return words
    return f"{words}, and {'has not ended yet' if writing else 'did not end'}"


def _return_to(app: App, archive: ArchiveName, where: str) -> str:
    """Return the command that brings a workspace back to an earlier state, whoever changed it since."""
    again = app.again_with_keys([archive])
    return again("restore", archive.reference, "--into", where, "--prune", "--accept-shrink")


def _about_unended(backups: Sequence[ArchiveName]) -> str:
    """Return which state was before the runs that left no record, given their backups, the last one first."""
    first = backups[-1]
    runs = "The run before it" if len(backups) == 1 else f"The {len(backups)} runs before it"
    since = f"{'of' if len(backups) == 1 else 'since'} {shown_time(first.taken_at)}"
    before = "that run" if len(backups) == 1 else "the first of them"
    return (
        f"{runs}, {since}, left no record. The state before {before} is {first.reference}; to return to it:"
    )
