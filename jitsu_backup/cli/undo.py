"""`jitsu-backup undo`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App
from jitsu_backup.cli.apply_options import check_outputs, split_options
from jitsu_backup.cli.applying import ApplyJob, apply
from jitsu_backup.cli.files import opened_overlay
from jitsu_backup.cli.saved_plans import check_plan_out, keep_plan
from jitsu_backup.cli.snapshot_argument import find_last_run, place_of_origin
from jitsu_backup.model import plural, shown_time
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.saved_plan import Origin
from jitsu_backup.operations.undo import LastRun, undo_options
from jitsu_backup.settings import Place

_AS_RESTORE: dict[str, Any] = {
    "sets": (), "cursors": True, "check_schemas": True, "safety_backup": True, "fail_fast": False,
}  # fmt: skip
"""The values of the `restore` flags that `undo` does not have."""


def undo(app: App, place: str | None, plan_out: Path | None, **given: Any) -> int:
    """Find the last run that wrote into a workspace, plan how to undo it, and continue like `restore`; return the exit code."""
    given = {**_AS_RESTORE, **given}
    check_plan_out(plan_out)
    check_outputs(given, plan_out)
    path = given["overlay"]
    overlay = None if path is None else opened_overlay(app, path)
    options, how = split_options(app.settings, given, place, overlay)
    run, where, target = _found(app, place)
    _tell(app, run, dry_run=given["dry_run"] or plan_out is not None)

    def save(prepared: PreparedRestore) -> Sequence[str]:
        if plan_out is None:
            return ()
        return keep_plan(app, plan_out, prepared, Origin("undo", str(run.archive), where, overlay), None)

    how = replace(
        how,
        command="undo",
        unrecorded=run.left is None,
        plan_out=plan_out,
        dry_run=how.dry_run or plan_out is not None,
    )
    wanted = undo_options(options, run)
    return apply(ApplyJob(app, target, run.snapshot, wanted, how, planned=save, undoes=run.archive))


def _found(app: App, place: str | None) -> tuple[LastRun, str, Place]:
    """Return the run to undo, and its workspace as text and as a place. Raise what `find_last_run` raises."""
    target = app.settings.place(place, workspace_needed=False)
    workspace = target.workspace
    run = find_last_run(app, target)
    if workspace is None:
        return (run, *place_of_origin(app, run.snapshot.manifest.source, instead="name the PLACE"))
    return run, place or workspace, target


def _tell(app: App, run: LastRun, *, dry_run: bool) -> None:
    """Print which run is undone, and what is uncertain."""
    source = run.snapshot.manifest.source
    called, began = source.slug or source.workspace_id, shown_time(run.archive.taken_at)
    recovery = f"is the recovery of {began} from {run.recovered_from}"
    app.say(
        f"The last run that wrote into {called} {recovery if run.recovered_from else f'began at {began}'}."
    )
    if run.created:
        app.say(f"It created {plural(run.created, 'entity', 'entities')}, which an undo deletes.")
    app.say(f"That run {'would' if dry_run else 'will'} be undone. Run undo again to redo it.")
    if run.begun is not None:
        app.say(
            f"An earlier undo of it, of {shown_time(run.begun.taken_at)}, did not finish or left no record, so this run continues"
            f" it. The state before that undo is {run.begun.reference}."
        )
    if run.left is None:
        app.warn(
            "what that run wrote is unknown, because it did not finish or left no readable record: the plan also undoes later"
            " changes by others, and deletes what was created since only with --prune"
        )
    elif not run.snapshot.manifest.complete:
        app.warn(
            "the backup from before that run is incomplete, so what the run created is unknown: such entities are kept and listed"
        )
    if run.unended:
        app.say(_about_unended(run.unended))
    if run.unbacked is not None:
        app.warn(
            f"a later run, which ended at {shown_time(run.unbacked.taken_at)}, made no backup, so it cannot be undone; its changes"
            " count as changes by somebody else"
        )


def _about_unended(backups: Sequence[ArchiveName]) -> str:
    """Return which state was before the runs that left no record, given their backups, the last one first."""
    first = backups[-1]
    runs = "The run before it" if len(backups) == 1 else f"The {len(backups)} runs before it"
    since = f"{'of' if len(backups) == 1 else 'since'} {shown_time(first.taken_at)}"
    before = "that run" if len(backups) == 1 else "the first of them"
    return f"{runs}, {since}, left no record. The state before {before} is {first.reference}."
