"""What `restore` and `clone` share: plan, show, ask, back up the target, write, read back, report."""

import asyncio
import functools
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from jitsu_backup.archive import PRE_RESTORE, digest, safe_text
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_folder, check_kept, check_new, check_page, write_page
from jitsu_backup.cli.opening import slug_owners
from jitsu_backup.cli.output import ask, check_can_ask
from jitsu_backup.cli.overlay import OverlayFile
from jitsu_backup.cli.plan_options import LISTS, SWITCHES, plan_options
from jitsu_backup.cli.saved import SavedPlan, check_plan
from jitsu_backup.cli.write_keys import (
    check_keys_can_be_shown,
    keep_keys,
    settle_keys,
    shown_or_kept,
    tell_of_keys,
    write_keys,
)
from jitsu_backup.console import Console
from jitsu_backup.console.reader import Seen
from jitsu_backup.console.workspaces import Workspace, find_workspace
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    BlockedError,
    IncompleteError,
    NotFoundError,
    TargetChangedError,
    UsageError,
)
from jitsu_backup.events import Notice, Reporter
from jitsu_backup.model import Snapshot, plural, printable, quoted, shortened, some_of
from jitsu_backup.operations import restore as restoring
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import Result, new_secret
from jitsu_backup.operations.save import SaveOptions, save
from jitsu_backup.operations.write_keys import StreamKey, new_keys
from jitsu_backup.planning import (
    Kind,
    Overlay,
    Plan,
    PlanOptions,
    cut_off,
    mostly_gone,
    residue,
    same_workspace,
)
from jitsu_backup.reports import (
    extras_document,
    keys_text,
    matches,
    overlay_text,
    plan_document,
    plan_view,
    residue_view,
    restore_document,
    taken,
    taken_document,
)
from jitsu_backup.reports.html import plan_page, restore_page
from jitsu_backup.settings import Place, Settings, holds
from jitsu_backup.store import Lease, archives, keep, write_new_file

INTERRUPTED = 130

_FOLD_AT = 30
_ELSEWHERE = "; give another --store, or --no-safety-backup"

READ_ONLY_ROLES = ("analyst",)
"""Roles whose writes every console refuses [role/analyst-cannot-create]."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a plan is carried out, beside what it does.

    `command` is the one that is carried out, `into` the PLACE that the way back has to name; with `elsewhere` the
    snapshot's own workspace is refused. With `wait`, a run that writes into the workspace at the moment is waited for.
    """

    keys_out: Path | None = None
    overlay_out: Path | None = None
    safety_backup: bool = True
    fail_fast: bool = False
    dry_run: bool = False
    yes: bool = False
    wait: bool = False
    command: str = "restore"
    into: str | None = None
    elsewhere: bool = False
    html_out: Path | None = None


def refuse_beside_plan(context: click.Context) -> None:
    """Raise UsageError for a flag that says what to plan, beside a plan that says it already."""
    names = (*SWITCHES, *LISTS, "ids", "mapping", "plan_out")
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.name in names:
            raise UsageError(
                f"--plan FILE says what to do; leave out {parameter.opts[0]}, or make another plan"
            )


def run_options(given: dict[str, Any], into: str | None) -> RunOptions:
    """Make options of the flags that say how a plan is carried out. Raises UsageError."""
    check_kept(given["keys_out"], "--keys-out")
    check_folder(given["keys_out"])
    check_new(given["overlay_out"], "--overlay-out")
    names = ("keys_out", "overlay_out", "safety_backup", "fail_fast", "dry_run", "yes", "wait", "html_out")
    return RunOptions(**{name: given[name] for name in names}, into=into)


def split_options(
    given: dict[str, Any], into: str | None, overlay: OverlayFile | None
) -> tuple[PlanOptions, RunOptions]:
    """Make options of a command's flags, and of the file of the overlay. Raises UsageError."""
    run = run_options(given, into)
    return plan_options(given, Overlay() if overlay is None else overlay.parse()), run


def refuse_own_keys(settings: Settings, options: PlanOptions, place: Place) -> None:
    """Raise UsageError where an overlay would write a key of ours into a workspace, alone or in a file that holds it."""
    keys = [secret.reveal() for secret in (place.key, place.admin_token) if secret is not None]
    own = [*keys, *settings.own_secrets()]
    given = {*options.overlay.secrets, *(value.value for value in options.overlay.outside)}
    if any(holds(value, key) for value in given for key in own):
        raise UsageError(
            f"overlay: a value in it holds the key to {place.host}, or another of the tool's own secrets, such as another"
            " profile's key, which go into no workspace; remove it"
        )


class _WaitedError(Exception):
    """Another run has written into the workspace since the plan was made, and was waited for."""


def apply(
    app: App, place: Place, snapshot: Snapshot, options: PlanOptions, run: RunOptions,
    *, saved: SavedPlan | None = None, planned: Callable[[Plan, Snapshot], None] | None = None,
) -> int:  # fmt: skip
    """Plan, show, ask, carry out and report; give the exit code. `planned` is told the plan before that.

    A plan that the target no longer fits once it was agreed to is made and shown again. Raises BlockedError, UsageError,
    AccessError, and what made a console be lost.
    """
    check_page(run.html_out)
    refuse_own_keys(app.settings, options, place)
    with app.progress() as report:
        workspace = run_async(_find_target(app, place, snapshot, run, report))
    place, seen = replace(place, workspace=workspace.id), Seen()
    while True:
        try:
            return _apply_once(app, place, snapshot, options, run, seen, saved, planned)
        except _WaitedError:
            app.say("the other run has ended; this is the plan for the target as it is now:")
        except TargetChangedError as problem:
            if run.yes or saved is not None:
                raise
            app.say(f"{problem}; this is the plan for the target as it is now:")


def _apply_once(
    app: App, place: Place, snapshot: Snapshot, options: PlanOptions, run: RunOptions, seen: Seen,
    saved: SavedPlan | None, planned: Callable[[Plan, Snapshot], None] | None,
) -> int:  # fmt: skip
    with app.progress() as report:
        console = app.console(place, report)
        plan, live, options = run_async(
            prepare(console, str(place.workspace), snapshot, options, report, seen=seen)
        )
    if run.elsewhere and same_workspace(snapshot, live):
        raise UsageError("both PLACEs are the same workspace; a workspace cannot be cloned into itself")
    if saved is not None:
        check_plan(saved, plan, live)
    _show(app, plan, snapshot, only=bool(plan.blocked) or run.dry_run)
    if plan.blocked or run.dry_run:
        write_page(app, run.html_out, lambda: plan_page(plan, snapshot, live))
        _write_overlay(app, run.overlay_out, plan)
    if plan.blocked:
        raise BlockedError(_why_blocked(plan))
    if planned is not None:
        planned(plan, live)
    if run.dry_run:
        tell_of_keys(app, plan, run.keys_out)
        return 0
    if not plan.writes:
        return _report(
            app, Result(plan, found=residue(plan), extras=plan.extras, verified=True), run, snapshot, live
        )
    if not _agreed(app, plan, run):
        app.say("nothing was changed")
        return 1
    return _write(app, place, snapshot, live, plan, options, run, seen)


def _write(
    app: App, place: Place, snapshot: Snapshot, live: Snapshot, plan: Plan, options: PlanOptions, run: RunOptions, seen: Seen
) -> int:  # fmt: skip
    """Carry out a plan that was agreed to, and report; give the exit code."""
    keys = new_keys(plan, new_secret)
    way_back = _WayBack(app, plan, run)

    def write_new_keys() -> None:
        if run.keys_out is not None and keys:
            write_keys(run.keys_out, keys.values())

    done: list[Result] = []
    try:
        with app.progress() as report:
            run_async(
                _carry_out_leased(
                    app, run, done, app.console(place, report), snapshot, live, plan, options, keys, report, seen=seen,
                    keep=way_back.keep if run.safety_backup else None, before_writing=write_new_keys,
                )
            )  # fmt: skip
    except KeyboardInterrupt:
        if not done:
            raise
    result = replace(done[0], way_back=way_back.command)
    problem: BackupError | None = None
    if run.keys_out is not None and keys:
        try:
            settle_keys(run.keys_out, keys.values(), result)
        except BackupError as failure:  # what was done is told all the same
            problem, run = failure, replace(run, keys_out=keep_keys(result.keys) or run.keys_out)
    if run.keys_out is None and not app.as_json:
        made = (o.action for o in result.outcomes if o.status is Status.DONE)
        result = replace(result, found=sorted({*result.found, *cut_off(made)}))
    code = _report(app, result, run, snapshot, live)
    if problem is not None:
        app.problem(str(problem))
    return code or (0 if problem is None else 1)


async def _find_target(
    app: App, place: Place, snapshot: Snapshot, run: RunOptions, report: Reporter
) -> Workspace:
    """Return the workspace that a place names.

    Raises BlockedError where the slug that names it, or that named it when the snapshot was taken, is that of another
    workspace now.
    """
    source = snapshot.manifest.source
    async with app.console(place, report) as console:
        workspace = await find_workspace(console, place.workspace or "")
        if place.workspace != workspace.id:
            for owner in await _owners_of_slug(app, place, snapshot):
                if owner != safe_text(workspace.id):
                    raise BlockedError(_moved(str(place.workspace), workspace, owner, ""))
        elif run.into is None and source.slug and workspace.slug != source.slug:
            with suppress(NotFoundError, AccessError):
                other = await find_workspace(console, source.slug)
                if other.id != workspace.id:
                    renamed = f", which is called {workspace.slug} now" if workspace.slug else ""
                    raise BlockedError(_moved(source.slug, other, workspace.id, renamed))
    return workspace


def _moved(slug: str, owner: Workspace, meant: str, renamed: str) -> str:
    """Say that a slug names another workspace than it did."""
    called = f"{owner.id} ({shortened(owner.name)})" if owner.name else owner.id
    return (
        f"{slug} names another workspace now, {called}; earlier snapshots of that name are of {meant}{renamed}:"
        " give the id of the one that is meant; nothing was written"
    )


async def _owners_of_slug(app: App, place: Place, snapshot: Snapshot) -> list[str]:
    """Return the ids of the workspaces that the slug of a place named in the snapshot, or in archives of the store."""
    source = snapshot.manifest.source
    if (source.host, source.slug) == (place.host, place.workspace):
        return [safe_text(source.workspace_id)]
    try:
        known = await archives(app.store)
    except BackupError:  # a store that cannot be read tells nothing
        return []
    return await slug_owners(app, place.host, str(place.workspace), known)


async def _carry_out_leased(
    app: App, run: RunOptions, done: list[Result], console: Console, snapshot: Snapshot, live: Snapshot, plan: Plan,
    *given: Any, **more: Any,
) -> None:  # fmt: skip
    """Carry out a plan as `carry_out` does, while no other run that shares the store writes into the workspace.

    The result is put into `done`, so that an interruption while the lease is given back loses nothing. Raises _WaitedError
    where another run had to be waited for, BlockedError where that was not asked for.
    """
    async with await _leased(app, run, plan) as lease:
        may_write = lease.held if lease is not None else lambda: True
        done.append(
            await carry_out(
                console, snapshot, live, plan, *given, **more, fail_fast=run.fail_fast, may_write=may_write
            )
        )


async def _leased(app: App, run: RunOptions, plan: Plan) -> AbstractAsyncContextManager[Lease | None]:
    """Take the lease of the target. In a store that takes none there is none; that is told of."""
    backed_up = run.safety_backup and plan.touches
    try:
        store = await app.writable_store()
        lease = Lease(
            store,
            plan.target.workspace_id,
            run.command,
            now=utc_now,
            monotonic=_seconds_of_this_boot,
            report=app.tell,
        )
        waited = await lease.take(wait=run.wait)
    except BlockedError:
        raise
    except BackupError as problem:
        if backed_up:
            raise problem.with_context(
                before="the target could not be backed up first, so nothing was written: ", after=_ELSEWHERE
            ) from None
        app.say(f"warning: no lease could be taken, so another run may write at the same time: {problem}")
        return nullcontext()
    if waited:
        await lease.release()
        raise _WaitedError
    return lease


def _seconds_of_this_boot() -> float:
    """Return a time that goes on while the machine sleeps, where it has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _show(app: App, plan: Plan, snapshot: Snapshot, *, only: bool) -> None:
    """Show a plan; as JSON, when `only` it is to be shown."""
    if not app.as_json:
        words = taken(snapshot, digest(snapshot), utc_now())
        app.out.print(plan_view(plan, words, verbose=app.verbose))
        lacking = overlay_text(plan) if plan.blocked else ""
        for line in ("", "An overlay with what is missing:", "", *lacking.split("\n")) if lacking else ():
            app.line(line)
    elif only:
        app.emit({"snapshot": taken_document(snapshot, digest(snapshot)), "plan": plan_document(plan)})


def _write_overlay(app: App, path: Path | None, plan: Plan) -> None:
    """Write the overlay with what a plan lacks where one was asked for, and say where it is. Raises BackupError."""
    lacking = overlay_text(plan) if path is not None else ""
    if path is None:
        return
    if not lacking:
        app.say(f"no secret is missing, so there is no {path}")
    elif write_new_file(path, f"{lacking}\n".encode()):
        app.say(f"the overlay to fill in is {path}")
    else:
        raise BackupError(f"--overlay-out {path}: that file exists; name another, or remove it first")


def _agreed(app: App, plan: Plan, run: RunOptions) -> bool:
    """Ask whether to write. Raises AccessError for a key that may not, BlockedError where new write keys would be lost."""
    target = plan.target.slug or plan.target.workspace_id
    if plan.target.role in READ_ONLY_ROLES:
        raise AccessError(
            f"this key has no permission to write into {target} (its role is {plan.target.role}); nothing was written"
        )
    check_can_ask(yes=run.yes)
    check_keys_can_be_shown(app, plan, run.keys_out)
    deletes = plan.counts()["delete"]
    what = f"Write {plural(len(plan.writes), 'change')}" + (
        f", {deletes} of them deletions," if deletes else ""
    )
    return ask(f"{what} into {target} on {plan.target.host}?", yes=run.yes)


prepare = functools.partial(restoring.prepare, now=utc_now)
"""Read the target and make the plan, by this machine's clock."""


async def carry_out(
    console: Console,
    snapshot: Snapshot,
    live: Snapshot,
    plan: Plan,
    options: PlanOptions,
    keys: dict[tuple[str, str, str], StreamKey],
    report: Reporter,
    **more: Any,
) -> Result:
    """Carry out a plan, as `operations.restore.carry_out` does; the first Ctrl-C ends it after the requests under way."""
    stop = asyncio.Event()
    return await restoring.carry_out(
        console, snapshot, live, plan, options, keys, report,
        now=utc_now, stop=stop, while_writing=_interruptible(stop, report), keeps_result=True, **more,
    )  # fmt: skip


def _why_blocked(plan: Plan) -> str:
    first, count = plan.blocked[0], len(plan.blocked)
    more = f" (and {count - 1} more)" if count > 1 else ""
    hint = ""
    if any(action.losses for action in plan.blocked):
        hint = "; --allow-missing-secrets goes on without secrets"
    return f"blocked, nothing was written: {first.key.type} {quoted(first.name)}: {first.reason}{more}{hint}"


class _WayBack:
    """The backup of the target before anything is written; `command` brings it back, once there is one."""

    def __init__(self, app: App, plan: Plan, run: RunOptions) -> None:
        self._app, self._plan, self._run = app, plan, run
        self.command: str | None = None

    async def keep(self, live: Snapshot) -> None:
        """Store the target as it is. Raises BackupError, saying that nothing was written."""
        app = self._app
        try:
            options = SaveOptions((PRE_RESTORE,), shrink_alarm=1, key=app.keys.mark)
            archive = (
                await save(live, (), options, app.keys.seal, functools.partial(keep, app.store))
            ).archive
        except BackupError as problem:
            raise problem.with_context(
                before="the target could not be backed up first, so nothing was written: ",
                after=_ELSEWHERE,
            ) from None
        into = ("--into", self._run.into) if self._run.into else ()
        extra = _prune_flags(self._plan, live)
        self.command = app.again("restore", f"{archive.slug}/{archive.digest_prefix}", *into, *extra)
        app.say(f"The target is backed up first. The way back: {self.command}")


def _prune_flags(plan: Plan, live: Snapshot) -> tuple[str, ...]:
    """Return the flags with which the way back deletes what the plan creates; none where it creates nothing."""
    made = Counter(action.key.type for action in plan.actions if action.kind is Kind.CREATE)
    if not made:
        return ()
    gone = Counter(action.key.type for action in plan.actions if action.kind is Kind.DELETE)
    had = Counter(entity.key.type for entity in live.entities)
    most = mostly_gone({name: had[name] + made[name] - gone[name] for name in had | made}, made)
    return ("--prune", "--accept-shrink") if most else ("--prune",)


def _report(app: App, result: Result, run: RunOptions, snapshot: Snapshot, live: Snapshot) -> int:
    keys_out = run.keys_out
    failed = [outcome for outcome in result.outcomes if outcome.failed]
    with shown_or_kept(app, result.keys if keys_out is None else ()):
        if app.as_json:
            app.emit(_document(result, keys_out, snapshot))
        else:
            _tell(app, result, keys_out)
    written = _write_report(app, result, run, snapshot, live)
    if result.failure is not None:
        done = any(outcome.status is Status.DONE for outcome in result.outcomes)
        more = "; what was done stays, and running it again continues"
        if not done:
            more = (
                "; it may have written something, and running it again continues"
                if result.sent
                else "; nothing was written"
            )
        raise result.failure.with_context(after=more)
    if result.interrupted:
        app.say("interrupted: running it again continues")
        return INTERRUPTED
    return IncompleteError.exit_code if failed or result.found else 0 if written else 1


def _document(result: Result, keys_out: Path | None, snapshot: Snapshot) -> dict[str, Any]:
    document = restore_document(
        result.plan, result.outcomes, result.found, result.keys, str(keys_out) if keys_out else None
    )
    return {
        "snapshot": taken_document(snapshot, digest(snapshot)),
        **document,
        "way_back": result.way_back,
        "verified": result.verified,
        "only_in_target": extras_document(result.extras),
        "failure": None if result.failure is None else str(result.failure),
    }


def _write_report(app: App, result: Result, run: RunOptions, snapshot: Snapshot, live: Snapshot) -> bool:
    """Write the report's page, and the overlay that was asked for; what was done is told all the same, and ends as it would, where that fails."""
    ending = (
        f"it stopped: {result.failure}" if result.failure else "interrupted" if result.interrupted else ""
    )

    def page() -> str:
        return restore_page(
            result.plan,
            result.outcomes,
            result.found,
            snapshot,
            live,
            extras=result.extras,
            way_back=result.way_back,
            ending=ending,
        )

    try:
        write_page(app, run.html_out, page)
        _write_overlay(app, run.overlay_out, result.plan)
    except BackupError as problem:
        app.problem(str(problem))
        return False
    return True


def _tell(app: App, result: Result, keys_out: Path | None) -> None:
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
    if result.keys and keys_out is None:
        app.out.print(keys_text(result.keys), soft_wrap=True)
    elif result.keys:
        app.line(f"{plural(len(result.keys), 'new write key')}: in {keys_out}")
    if result.found:
        app.out.print()
        app.out.print(residue_view(result.found))
    elif result.verified:
        app.out.print(f"Read back: {matches(result.plan, result.extras)}.")
    unseen = [f"{shortened(action.name)} {path}" for action in result.plan.actions for path in action.unseen]
    if unseen:
        some = some_of(unseen, 5)
        app.out.print(printable(f"Not compared, because Jitsu hides them: {some}."), markup=False)
    if result.way_back is not None and result.sent:
        app.line(f"The way back: {result.way_back}")
        if any(action.kind is Kind.CREATE for action in result.plan.actions):
            app.line("(Its --prune deletes what was created since, by this run or by anybody else.)")


@contextmanager
def _interruptible(stop: asyncio.Event, report: Reporter) -> Iterator[None]:
    """Let the first Ctrl-C end the work after the requests under way, the second at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  for the type checker

    def first() -> None:
        stop.set()
        report(Notice("interrupted: finishing the requests under way (again: stop at once)"))
        loop.add_signal_handler(signal.SIGINT, task.cancel)

    try:
        loop.add_signal_handler(signal.SIGINT, first)
    except (NotImplementedError, RuntimeError, ValueError):  # no such thing here, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
