"""What `restore` and `clone` share: plan, show, ask, carry out, report."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from jitsu_backup.cli import DIFFERENT
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.apply_options import RunOptions, guarded, refuse_own_keys
from jitsu_backup.cli.files import write_page
from jitsu_backup.cli.output import ask, check_can_ask
from jitsu_backup.cli.restore_report import report_result, show_plan, undo_command, write_overlay
from jitsu_backup.cli.write_keys import (
    check_keys_can_be_shown,
    keep_keys,
    settle_keys,
    tell_of_keys,
    write_keys,
)
from jitsu_backup.clock import seconds_of_this_boot
from jitsu_backup.console.reader import Seen
from jitsu_backup.errors import BackupError, BlockedError, IncompleteError, TargetChangedError
from jitsu_backup.events import Notice, Reporter
from jitsu_backup.model import Snapshot, plural
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.archive_keys import ArchiveKeys, keys_to_write
from jitsu_backup.operations.clone_record import last_between, record_finder, with_earlier_names
from jitsu_backup.operations.folder import Folder, base_finder
from jitsu_backup.operations.restore import Interruption, PreparedRestore, Result, prepare
from jitsu_backup.operations.safeguards import (
    Safeguards,
    WaitedError,
    carry_out_safely,
    find_target,
    record_nothing_to_write,
    refuse_read_only,
    refuse_same,
    why_blocked,
)
from jitsu_backup.operations.safety_backup import WayBack
from jitsu_backup.operations.saved_plan import SavedPlan, check_plan
from jitsu_backup.operations.store_space import make_room
from jitsu_backup.operations.taken_back import with_taken_back
from jitsu_backup.operations.undo import LastRun
from jitsu_backup.planning import Plan, PlanOptions, cut_off, make_plan
from jitsu_backup.reports import plan_document, stays_different
from jitsu_backup.reports.html import plan_page
from jitsu_backup.reports.markdown import plan_markdown
from jitsu_backup.settings import Place


@dataclass(frozen=True, slots=True)
class ApplyJob:
    """A snapshot to apply to a place. `planned` saves what was prepared, if asked to, and returns what carries that out.

    `folder` is what the snapshot was read from if that is not an archive. `keys` encrypt what the run leaves in the store.
    `undoes` is the run that is undone.
    """

    app: App
    place: Place
    snapshot: Snapshot
    options: PlanOptions
    run: RunOptions
    saved: SavedPlan | None = None
    planned: Callable[[PreparedRestore], Sequence[str]] = lambda _: ()
    folder: Folder | None = None
    seen: Seen = field(default_factory=Seen)
    keys: ArchiveKeys = field(default_factory=ArchiveKeys)
    undoes: LastRun | None = None


def apply(job: ApplyJob) -> int:
    """Plan, show, ask, carry out and report; return the exit code.

    If the target changes while the question is open, plan and ask again. Raise BlockedError, UsageError, AccessError, and
    the error that made a console unreachable.
    """
    app, run, place, wanted = job.app, job.run, job.place, job.snapshot
    refuse_own_keys(app.settings, job.options, place)
    with app.progress() as report:
        target = (app.console(place, report), place.workspace or "")
        explicit = run.into is not None
        found = find_target(*target, wanted, lambda: app.store, app.keys, explicit=explicit)
        workspace = run_async(found)
    guard = app.settings.guard(place.host, (workspace.id, workspace.slug), place.profile)
    place = replace(place, workspace=workspace.id)
    profile = f"@{place.profile}" if place.profile else None
    run = replace(run, target=run.into or profile or workspace.slug or workspace.id)
    options = with_earlier_names(
        guarded(job.options, guard), wanted.manifest.source, workspace.id, lambda: app.store, app.keys,
        now=utc_now, report=app.tell,
    )  # fmt: skip
    job = replace(job, place=place, options=run_async(options), run=run)
    if not run.dry_run:
        writing = keys_to_write(app.keys, lambda: app.store, decrypted=app.keys.decrypted)
        job = replace(job, keys=run_async(writing))
    while True:
        try:
            return _apply_once(job)
        except WaitedError:
            app.say("the other run has ended; here is the plan for the current target:")
        except TargetChangedError as problem:
            if run.yes or job.saved is not None:
                raise
            app.say(f"{problem}; here is the plan for the current target:")


def _apply_once(job: ApplyJob) -> int:
    app, run = job.app, job.run
    find = record_finder(lambda: app.store, app.keys, job.options, now=utc_now, report=app.tell)
    if job.undoes is not None and job.undoes.known:
        find = job.undoes.left_in
    find_base = (
        None
        if job.folder is None
        else base_finder(job.folder, lambda: app.store, app.keys, job.options, report=app.tell)
    )
    with app.progress() as report:
        target, wanted = (
            (app.console(job.place, report), str(job.place.workspace)),
            (job.snapshot, job.options),
        )
        preparing = prepare(
            *target, *wanted, report, now=utc_now, seen=job.seen, find_record=find, find_base=find_base
        )
        prepared = run_async(_with_taken_back(job, preparing))
    plan = prepared.plan
    if run.elsewhere:
        refuse_same(prepared)
    if job.saved is not None:
        sides = plan.source, plan.target, utc_now()
        check_plan(job.saved, plan_document(plan), prepared, lambda: last_between(app.archives(), *sides))
    alone = bool(plan.blocked) or run.dry_run
    show_plan(app, prepared, alone=alone, command=run.command, overlay_out=run.overlay_out)
    saved = () if plan.blocked else job.planned(prepared)
    if plan.blocked or run.dry_run:
        write_page(app, run.html_out, lambda: plan_page(plan, job.snapshot, prepared.live))
        by_hand = _with_keys_out(app, plan, run, saved)
        write_page(app, run.markdown_out, lambda: plan_markdown(plan, job.snapshot, prepared.live, by_hand))
        write_overlay(app, run.overlay_out, plan)
    if plan.blocked:
        if not run.dry_run:
            refuse_read_only(prepared)
        raise BlockedError(why_blocked(plan) + _more_and_hint(prepared))
    if run.dry_run:
        tell_of_keys(app, plan, run.keys_out)
        if run.exit_code:
            return DIFFERENT if plan.writes else 0
        return IncompleteError.exit_code if stays_different(plan) else 0
    if not plan.writes:
        result = run_async(record_nothing_to_write(prepared, _safeguards(job)))
        return report_result(app, prepared, result, run)
    if not _has_read_store(job, prepared.options):
        _check_store(app)
    if not _agreed(app, prepared, run):
        app.say("nothing was changed")
        return 1
    return _write(job, prepared)


def _has_read_store(job: ApplyJob, options: PlanOptions) -> bool:
    """Return whether the plan was made with something of the store, which therefore need not be listed again.

    What a folder was unpacked from may stand beside it.
    """
    recorded = options.record is not None or options.emptied is not None
    return job.undoes is not None or (recorded and job.folder is None)


def _check_store(app: App) -> None:
    """Raise BackupError if the store was never used. A store that does not answer is reported once the run begins."""
    try:
        listing = run_async(app.store.listing())
    except BackupError:
        return
    app.expected_store(app.metrics_file()).check(app.store, listing)


def _with_keys_out(app: App, plan: Plan, run: RunOptions, saved: Sequence[str]) -> str:
    """Return the command that saves the new write keys of a plan; an empty text if it has none, or a file for them is named.

    A job cannot hand them over, so somebody has to run the command. `saved` are the arguments that carry out a saved plan.
    """
    if not plan.made_keys or run.keys_out is not None:
        return ""
    words = saved or ("clone" if run.command == "clone" else "restore", "--plan", str(run.plan_out or "FILE"))
    return app.again(*words, "--keys-out", "keys.json")


async def _with_taken_back(job: ApplyJob, preparing: Awaitable[PreparedRestore]) -> PreparedRestore:
    """Return what was prepared, with what the last undo of the target took back."""
    return await with_taken_back(await preparing, lambda: job.app.store, job.app.keys, utc_now())


def _write(job: ApplyJob, prepared: PreparedRestore) -> int:
    """Carry out a confirmed plan and report; return the exit code."""
    app, run, keys = job.app, job.run, prepared.keys.values()
    results: list[Result] = []
    try:
        with app.progress() as report:
            run_async(_carry_out(job, prepared, report, results.append))
    except KeyboardInterrupt:
        if not results:
            raise
    result = results[-1]
    problem: BackupError | None = None
    if run.keys_out is not None and keys:
        try:
            settle_keys(run.keys_out, keys, result, prepared.plan.target.host)
        except BackupError as failure:  # report what was done all the same
            problem, run = failure, replace(run, keys_out=keep_keys(result.keys) or run.keys_out)
    if run.keys_out is None and not app.as_json:
        made = (o.action for o in result.outcomes if o.status is Status.DONE)
        result = replace(result, found=sorted({*result.found, *cut_off(made)}))
    code = report_result(app, prepared, result, run)
    if problem is not None:
        app.problem(str(problem))
    return code or (0 if problem is None else 1)


async def _carry_out(
    job: ApplyJob, prepared: PreparedRestore, report: Reporter, on_result: Callable[[Result], None]
) -> None:
    """Carry out a plan; the first Ctrl-C ends it after the requests under way."""
    app, run, stop = job.app, job.run, asyncio.Event()

    def write_new_keys() -> None:
        if run.keys_out is not None and prepared.keys:
            write_keys(run.keys_out, prepared.keys.values(), prepared.plan.target.host)

    await carry_out_safely(
        app.console(job.place, report), prepared, report, _safeguards(job),
        interruption=Interruption(stop, interruptible(stop, report)), fail_fast=run.fail_fast,
        before_writing=write_new_keys, on_result=on_result,
    )  # fmt: skip


_REMEDY_OF_UNDO = f"; {make_room('this store')}, then run the same command again"
_REMEDY = f"; {make_room()}, then run the same command again; --no-safety-backup writes without a backup"


def _safeguards(job: ApplyJob) -> Safeguards:
    app, run = job.app, job.run

    def tell_of_backup(way_back: WayBack) -> None:
        app.say("The target was backed up first. To undo this run:")
        app.say(f"  {undo_command(app, way_back, run.target)}")

    return Safeguards(
        app.writable_store, job.keys, utc_now, seconds_of_this_boot,
        report=app.tell, command=run.command, wait=run.wait, backup=run.safety_backup,
        remedy=_REMEDY_OF_UNDO if run.command == "undo" else _REMEDY, on_backup=tell_of_backup,
        undoes=None if job.undoes is None else job.undoes.archive,
    )  # fmt: skip


def _more_and_hint(prepared: PreparedRestore) -> str:
    """Return how many more actions are blocked, and the flag that helps, if any."""
    blocked = prepared.plan.blocked
    more = f" (and {len(blocked) - 1} more)" if len(blocked) > 1 else ""
    lossy = any(action.losses for action in blocked)
    hint = "; --allow-missing-secrets continues without the missing secrets"
    return more + (hint if lossy and not _blocked_without_secrets(prepared) else "")


def _blocked_without_secrets(prepared: PreparedRestore) -> bool:
    options = replace(prepared.options, allow_missing_secrets=True, checks_selectors=False)
    return bool(make_plan(prepared.snapshot, prepared.live, options).blocked)


def _agreed(app: App, prepared: PreparedRestore, run: RunOptions) -> bool:
    """Ask whether to write. Raise AccessError for a key that may not, BlockedError if new write keys would be lost."""
    plan = prepared.plan
    refuse_read_only(prepared)
    check_can_ask(yes=run.yes)
    check_keys_can_be_shown(app, plan, run.keys_out)
    deletes, target = plan.counts()["delete"], plan.target.slug or plan.target.workspace_id
    among = f" (including {plural(deletes, 'deletion')})" if deletes else ""
    changes = plural(len(plan.writes), "change")
    return ask(f"Apply {changes}{among} to {target} on {plan.target.host}?", yes=run.yes)


@contextmanager
def interruptible(stop: asyncio.Event, report: Reporter) -> Iterator[None]:
    """Let the first Ctrl-C end the work after the requests under way, the second at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  for the type checker

    def first() -> None:
        stop.set()
        report(
            Notice(
                "interrupted: finishing the current requests, which may first wait for the console's rate limit (press Ctrl-C"
                " again to stop at once)"
            )
        )
        loop.add_signal_handler(signal.SIGINT, task.cancel)

    try:
        loop.add_signal_handler(signal.SIGINT, first)
    except (NotImplementedError, RuntimeError, ValueError):  # not supported here, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
