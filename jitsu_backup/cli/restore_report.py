"""What `restore` and `clone` show: the plan before, and what became of it after."""

from pathlib import Path

from jitsu_backup.archive import digest
from jitsu_backup.catalogue import given_names
from jitsu_backup.cli import INTERRUPTED
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.apply_options import RunOptions
from jitsu_backup.cli.files import write_page
from jitsu_backup.cli.write_keys import shown_or_kept
from jitsu_backup.errors import BackupError, IncompleteError
from jitsu_backup.model import plural, printable, quoted, shortened, some_of
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.operations.safety_backup import WayBack
from jitsu_backup.planning import ActionKind, Plan, same_workspace
from jitsu_backup.reports import (
    RestoreReport,
    keys_text,
    matches,
    overlay_text,
    plan_document,
    plan_view,
    residue_view,
    restore_document,
    taken,
    taken_document,
    to_enable,
)
from jitsu_backup.reports.html import restore_page
from jitsu_backup.reports.markdown import restore_markdown
from jitsu_backup.store import write_new_file

_UNRECORDED = {
    False: "the next clone will not know what the target changed",
    True: "undo will not know what is changed from now on",
}
"""What follows where a run could not be recorded, by whether it was in place."""

_FOLD_AT = 30
"""Outcomes that are shown without --verbose."""


def show_plan(app: App, prepared: PreparedRestore, *, alone: bool) -> None:
    """Show a plan; as JSON only where it stands `alone`, because a report holds the plan too."""
    plan, snapshot = prepared.plan, prepared.snapshot
    if not app.as_json:
        words = taken(snapshot, digest(snapshot), utc_now())
        given = given_names(snapshot, prepared.live)
        app.out.print(plan_view(plan, words, given=given, verbose=app.verbose))
        lacking = overlay_text(plan) if plan.blocked else ""
        for line in ("", "An overlay with what is missing:", "", *lacking.split("\n")) if lacking else ():
            app.line(line)
    elif alone:
        app.emit({"snapshot": taken_document(snapshot, digest(snapshot)), "plan": plan_document(plan)})


def write_overlay(app: App, path: Path | None, plan: Plan) -> None:
    """Write the overlay with the secrets that a plan lacks where one was asked for, and say where. Raise BackupError."""
    if path is None:
        return
    lacking = overlay_text(plan)
    if not lacking:
        app.say(f"no secret is missing, so there is no {path}")
    elif write_new_file(path, f"{lacking}\n".encode()):
        app.say(f"the overlay to fill in is {path}")
    else:
        raise BackupError(f"--overlay-out {path}: that file exists; name another, or remove it first")


def way_back_command(app: App, way_back: WayBack, into: str | None) -> str:
    """Return the command that undoes a restore into the PLACE `into`, None for the workspace of the snapshot."""
    archive = way_back.archive
    flags = [
        *(("--into", into) if into else ()),
        *(("--prune",) if way_back.prune else ()),
        *(("--accept-shrink",) if way_back.accept_shrink else ()),
        *(("--rebind",) if way_back.rebind else ()),
        *(("--enable-reverse-syncs",) if way_back.enable_reverse_syncs else ()),
    ]
    return app.again_with_keys([archive])("restore", archive.reference, *flags)


def report_result(app: App, prepared: PreparedRestore, result: Result, run: RunOptions) -> int:
    """Show what became of a plan and write its page; return the exit code. Raise the failure that ended it."""
    keys_out = run.keys_out
    way_back = None if result.way_back is None else way_back_command(app, result.way_back, run.into)
    failed = [outcome for outcome in result.outcomes if outcome.failed]
    with shown_or_kept(app, result.keys if keys_out is None else ()):
        if app.as_json:
            named, snapshot = None if keys_out is None else str(keys_out), prepared.snapshot
            app.emit(restore_document(result, snapshot, digest(snapshot), named, way_back))
        else:
            _show_result(app, result, keys_out, way_back)
    written = _write_files(app, prepared, result, run, way_back)
    if result.failure is not None:
        raise result.failure.with_context(after=_how_to_go_on(result))
    if result.interrupted:
        app.say("interrupted: running it again continues")
        return INTERRUPTED
    if result.unrecorded:
        in_place = same_workspace(prepared.snapshot, prepared.live)
        app.problem(f"the record could not be kept: {result.unrecorded}; {_UNRECORDED[in_place]}")
    incomplete = failed or result.found or result.unrecorded
    return IncompleteError.exit_code if incomplete else 0 if written else 1


def _how_to_go_on(result: Result) -> str:
    if any(outcome.status is Status.DONE for outcome in result.outcomes):
        return "; what was done stays, and running it again continues"
    if result.sent:
        return "; it may have written something, and running it again continues"
    return "; nothing was written"


def _write_files(
    app: App, prepared: PreparedRestore, result: Result, run: RunOptions, way_back: str | None
) -> bool:
    """Write the pages and the overlay that were asked for; report a failure, and return whether there was none."""
    stopped = f"it stopped: {result.failure}" if result.failure else ""
    ending = stopped or ("interrupted" if result.interrupted else "")

    report = RestoreReport(
        result.plan,
        result.outcomes,
        result.found,
        prepared.snapshot,
        prepared.live,
        result.extras,
        way_back,
        ending,
    )
    try:
        write_page(app, run.html_out, lambda: restore_page(report))
        write_page(app, run.markdown_out, lambda: restore_markdown(report))
        write_overlay(app, run.overlay_out, result.plan)
    except BackupError as problem:
        app.problem(str(problem))
        return False
    return True


def _show_result(app: App, result: Result, keys_out: Path | None, way_back: str | None) -> None:
    _show_outcomes(app, result)
    if result.keys and keys_out is None:
        app.out.print(keys_text(result.keys), soft_wrap=True)
    elif result.keys:
        app.line(f"{plural(len(result.keys), 'new write key')}: in {keys_out}")
    if result.found:
        app.out.print()
        app.out.print(residue_view(result.found))
        if off := to_enable(result.plan, result.found):
            app.out.print(f"Beside that, {off}.")
    elif result.verified:
        app.out.print(f"Read back: {matches(result.plan, result.extras)}.")
    unseen = [f"{shortened(action.name)} {path}" for action in result.plan.actions for path in action.unseen]
    if unseen:
        some = some_of(unseen, 5)
        app.out.print(printable(f"Not compared, because Jitsu hides them: {some}."), markup=False)
    for action in result.half_deleted:
        left = f"{action.key.type} {quoted(action.name)} was disabled to be deleted when the run ended"
        app.line(f"Left disabled: {printable(left)}: run the same again, or enable it in the UI")
    for action, why in result.lost:
        lost = f"{action.key.type} {quoted(action.name)} was deleted and not made again: {why}"
        remedy = f"; this brings it back: {way_back}" if way_back else "; run the same again to make it"
        app.line(f"Lost: {printable(lost)}{remedy}")
    if way_back is not None and result.sent:
        app.line(f"The way back: {way_back}")
        if any(action.kind is ActionKind.CREATE for action in result.plan.actions):
            app.line(
                "(Its --prune deletes what was created since, by this run or by anybody else; undo keeps what others made.)"
            )


def _show_outcomes(app: App, result: Result) -> None:
    done = sum(outcome.status is Status.DONE for outcome in result.outcomes)
    if result.outcomes:
        app.out.print(f"\n{done} of {plural(len(result.plan.writes), 'change')} made.")
    elif not result.plan.writes:
        missing = "what still differs is beyond this plan" if result.found else ""
        app.out.print(f"\nNothing to write: {missing or 'all that was to be restored is in place'}.")
    left = [outcome for outcome in result.outcomes if outcome.status is not Status.DONE]
    for outcome in left if app.verbose else left[:_FOLD_AT]:
        key = outcome.action.key
        app.line(f"  {outcome.status.value}: {key.type} {shortened(outcome.action.name)}: {outcome.reason}")
    if len(left) > _FOLD_AT and not app.verbose:
        app.line(f"  … and {len(left) - _FOLD_AT} more (-v shows all)")
