"""What `restore` and `clone` show: the plan before, and the result after."""

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
from jitsu_backup.operations.safety_backup import WayBack, undo_flags
from jitsu_backup.operations.store_space import make_room
from jitsu_backup.planning import Extra, Plan, asked_in_vain, same_workspace
from jitsu_backup.planning.switches import created_off
from jitsu_backup.reports import (
    NOTHING_TO_FILL_IN,
    RestoreReport,
    kept_there,
    keys_text,
    matches,
    overlay_text,
    plan_document,
    plan_view,
    residue_view,
    restore_document,
    stays_different,
    taken,
    taken_document,
    to_enable,
)
from jitsu_backup.reports.html import restore_page
from jitsu_backup.reports.markdown import restore_markdown
from jitsu_backup.reports.terminal_layout import Clauses, Trimmed, plain
from jitsu_backup.store import write_new_file

_UNRECORDED = {
    False: (
        f"the next clone cannot know what the target changed; {make_room()}, then run the same command again to store it"
    ),
    True: "an undo would also take back what others change from now on; read its plan before you agree to it",
}
"""The consequence if a run could not be recorded, by whether it restored a workspace into itself."""

_FOLD_AT = 30
"""The most outcomes that are shown without --verbose."""

_LONGEST_OVERLAY, _OVERLAY_LINES = 30, 6
"""The most lines of an overlay that are shown without --verbose, and how many are shown of a longer one."""


def show_plan(
    app: App, prepared: PreparedRestore, *, alone: bool, command: str, overlay_out: Path | None
) -> None:
    """Show the plan of a command; as JSON only if it stands `alone`, because a report includes the plan."""
    plan, snapshot = prepared.plan, prepared.snapshot
    if not app.as_json:
        words = taken(snapshot, digest(snapshot), utc_now(), plan.since)
        given = given_names(snapshot, prepared.live)
        app.out.print(plan_view(plan, words, given=given, verbose=app.verbose))
        if alone:
            _show_kept(app, plan, command)
            if different := stays_different(plan):
                app.out.print(Trimmed(plain(f"Stays different: {different}.")))
        if plan.blocked and overlay_out is None:
            _show_overlay(app, overlay_text(plan, comments=False))
    elif alone:
        app.emit({"snapshot": taken_document(snapshot, digest(snapshot)), "plan": plan_document(plan)})


def _show_kept(app: App, plan: Plan, command: str) -> None:
    """Name what a restore does not bring back because the target changed it, and the flags that do.

    A clone keeps such changes by intention, and an undo takes back only what the run changed.
    """
    if command == "restore" and (kept := kept_there(plan)):
        app.line(printable(kept))


def _show_overlay(app: App, lacking: str) -> None:
    """Show the overlay that a plan lacks, only its beginning if it is long."""
    if not lacking:
        return
    lines = lacking.split("\n")
    folds = len(lines) > _LONGEST_OVERLAY and not app.verbose
    app.line("")
    app.line("Overlay for what is missing (--overlay-out FILE writes it):")
    app.line("")
    for line in lines[:_OVERLAY_LINES] if folds else lines:
        app.line(line)
    if folds:
        app.line(f"… and {len(lines) - _OVERLAY_LINES} more lines (-v shows all)")


def write_overlay(app: App, path: Path | None, plan: Plan) -> None:
    """If asked for, write the overlay with the secrets that a plan lacks, and say where it is. Raise BackupError."""
    if path is None:
        return
    lacking = overlay_text(plan)
    if not lacking:
        app.say(f"{NOTHING_TO_FILL_IN}, so {path} was not written")
    elif write_new_file(path, f"{lacking}\n".encode()):
        app.say(f"overlay to fill in written to {path}")
    else:
        raise BackupError(f"--overlay-out {path}: the file exists; name another, or remove it first")


def undo_command(app: App, way_back: WayBack, target: str) -> str:
    """Return the command that undoes a run into the PLACE `target` and keeps what others changed since."""
    return app.again("undo", target, *undo_flags(way_back), *app.flags_to_open([way_back.archive]))


def _restore_command(app: App, way_back: WayBack, into: str | None) -> str:
    """Return the command that restores the backup from before a run into the PLACE `into`, whoever changed what since.

    None means the workspace of the snapshot.
    """
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
    """Show the result of a plan and write its page; return the exit code. Raise the failure that ended it."""
    keys_out = run.keys_out
    restore = None if result.way_back is None else _restore_command(app, result.way_back, run.into)
    way_back = _way_back(app, result, run, restore)
    disabled, doubtful = _disabled(prepared), _doubtful(result, run)
    failed = [outcome for outcome in result.outcomes if outcome.failed]
    with shown_or_kept(app, result.keys if keys_out is None else ()):
        if app.as_json:
            named, snapshot = None if keys_out is None else str(keys_out), prepared.snapshot
            app.emit(restore_document(result, snapshot, digest(snapshot), named, way_back))
        else:
            _show_result(app, result, run, way_back, doubtful)
            if result.verified and disabled:
                app.out.print(Trimmed(plain(f"{disabled}.")))
            _show_way_back(app, result, way_back, restore)
    written = _write_files(app, prepared, result, run, way_back, disabled)
    if result.failure is not None:
        raise result.failure.with_context(after=_how_to_go_on(result))
    if result.interrupted:
        app.say("interrupted; run the same command again to continue")
        return INTERRUPTED
    if result.unrecorded:
        in_place = same_workspace(prepared.snapshot, prepared.live)
        app.problem(
            f"the record of this run could not be stored: {result.unrecorded}; {_UNRECORDED[in_place]}"
        )
    if doubtful:
        names = [f"{extra.key.type} {quoted(extra.name)}" for extra in doubtful]
        app.problem(
            f"the run that was undone left no record of what it wrote, so it may have created {some_of(names, 10)}; if it"
            f" did, delete {'it' if len(names) == 1 else 'them'} in the UI, or undo again with --prune, which deletes all of them"
        )
    asked = asked_in_vain(result.plan, prepared.options) if run.command == "restore" else ()
    if asked and app.as_json:
        app.problem(kept_there(result.plan))
    incomplete = failed or result.found or result.unrecorded or doubtful or asked
    return IncompleteError.exit_code if incomplete else 0 if written else 1


def _disabled(prepared: PreparedRestore) -> str:
    """Return how many connections --disable-links left off, and how to enable them; an empty text if there are none."""
    count = created_off(prepared.plan, prepared.snapshot) if prepared.options.disable_links else 0
    if not count:
        return ""
    were, them = ("was", "it") if count == 1 else ("were", "them")
    return (
        f"{plural(count, 'connection')} {were} created disabled; to enable {them}, run the same command again without"
        " --disable-links"
    )


def _way_back(app: App, result: Result, run: RunOptions, restore: str | None) -> str | None:
    """Return the command that undoes a run, None without a backup from before it, which `restore` restores.

    Only a run that stored what it left, or was about to leave, can be undone.
    """
    recorded = result.record is not None and not result.unrecorded
    if result.way_back is None or not (recorded or result.way_back.aim):
        return restore
    return undo_command(app, result.way_back, run.target)


def _how_to_go_on(result: Result) -> str:
    if any(outcome.status is Status.DONE for outcome in result.outcomes):
        return "; the changes made so far remain; run the same command again to continue"
    if result.sent:
        return "; something may have been written; run the same command again to continue"
    return "; nothing was written"


def _write_files(
    app: App, prepared: PreparedRestore, result: Result, run: RunOptions, way_back: str | None, disabled: str
) -> bool:
    """Write the pages and the overlay that were asked for; report a failure; return whether all were written."""
    stopped = f"stopped: {result.failure}" if result.failure else ""
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
        disabled,
        run.command,
    )
    try:
        write_page(app, run.html_out, lambda: restore_page(report))
        write_page(app, run.markdown_out, lambda: restore_markdown(report))
        write_overlay(app, run.overlay_out, result.plan)
    except BackupError as problem:
        app.problem(str(problem))
        return False
    return True


def _show_result(
    app: App, result: Result, run: RunOptions, way_back: str | None, doubtful: list[Extra]
) -> None:
    keys_out = run.keys_out
    _show_outcomes(app, result, all_done=not (result.found or doubtful))
    if result.keys and keys_out is None:
        app.out.print(keys_text(result.keys), soft_wrap=True)
    elif result.keys:
        app.line(f"{plural(len(result.keys), 'new write key')} saved to {keys_out}")
    if result.found:
        app.out.print()
        app.out.print(residue_view(result.found))
        if off := to_enable(result.plan, result.found):
            app.out.print(Trimmed(plain(f"{off}.")))
    elif result.verified and not doubtful:
        app.out.print(Trimmed(Clauses(f"Verified: {matches(result.plan, result.extras)}.")))
    _show_kept(app, result.plan, run.command)
    unseen = [f"{shortened(action.name)} {path}" for action in result.plan.actions for path in action.unseen]
    if unseen:
        some = some_of(unseen, 5)
        app.out.print(Trimmed(Clauses(f"Not compared (hidden by Jitsu): {some}.")))
    for action in result.half_deleted:
        left = f"{action.key.type} {quoted(action.name)}, which was about to be deleted when the run ended"
        app.line(f"Left disabled: {printable(left)}. Run the same command again, or enable it in the UI.")
    for action, why in result.lost:
        app.line(
            f"Lost: {action.key.type} {quoted(action.name)} was deleted and could not be re-created: {why}"
        )
        app.line("To restore it:" if way_back else "Run the same command again to re-create it.")
        if way_back:
            app.line(f"  {way_back}")


def _doubtful(result: Result, run: RunOptions) -> list[Extra]:
    """Return what only the target has although it may have been created by the run that was undone, which left no record."""
    known = not (run.unrecorded and result.verified)
    return [] if known else [extra for extra in result.extras if extra.prunable and not extra.left_out]


def _show_way_back(app: App, result: Result, way_back: str | None, restore: str | None) -> None:
    """Say how to undo a run that has written something."""
    if way_back is None or result.way_back is None or not result.sent:
        return
    app.line("")
    app.line("To undo this run:")
    app.line(f"  {way_back}")
    if way_back == restore:
        also = ", and --prune deletes what anybody created" if result.way_back.prune else ""
        app.out.print(f"(This also reverts what others have changed since{also}.)")
    elif app.verbose:
        app.line("To return to the backup from before it, which also reverts what others have changed since:")
        app.line(f"  {restore}")


def _show_outcomes(app: App, result: Result, *, all_done: bool) -> None:
    done = sum(outcome.status is Status.DONE for outcome in result.outcomes)
    if result.outcomes:
        app.out.print(f"\n{done} of {plural(len(result.plan.writes), 'change')} applied.")
    elif not result.plan.writes:
        kept = result.plan.kept_there
        up_to_date = "the target keeps what it changed itself" if kept else "everything is up to date"
        why = up_to_date if all_done else "the remaining differences are outside this plan"
        app.out.print(f"\nNothing to change: {why}.")
    left = [outcome for outcome in result.outcomes if outcome.status is not Status.DONE]
    for outcome in left if app.verbose else left[:_FOLD_AT]:
        key = outcome.action.key
        app.line(f"  {outcome.status.value}: {key.type} {shortened(outcome.action.name)}: {outcome.reason}")
    if len(left) > _FOLD_AT and not app.verbose:
        app.line(f"  … and {len(left) - _FOLD_AT} more (-v shows all)")
    ended = result.failure is None and not (result.interrupted or result.lost)
    if ended and any(outcome.failed for outcome in left):
        app.line("Run the same command again: it writes what failed, and nothing twice.")
