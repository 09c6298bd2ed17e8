"""What `restore` and `clone` share: plan, show, ask, back up the target, write, read back, report."""

import asyncio
import functools
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import orjson

from jitsu_backup import restoring
from jitsu_backup.api import Console
from jitsu_backup.archive import PRE_RESTORE
from jitsu_backup.archiver import SaveOptions, save
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_page, check_path, write_page
from jitsu_backup.cli.output import ask
from jitsu_backup.cli.plan_options import LISTS, SWITCHES, plan_options
from jitsu_backup.cli.saved import SavedPlan, check_plan
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    BlockedError,
    IncompleteError,
    UsageError,
)
from jitsu_backup.events import Notice, Reporter
from jitsu_backup.importer import Outcome, Status, StreamKey, new_keys
from jitsu_backup.model import Snapshot, some_of
from jitsu_backup.planning import (
    Plan,
    PlanOptions,
    residue,
    same_workspace,
)
from jitsu_backup.reports import (
    key_document,
    keys_text,
    overlay_text,
    plan_document,
    plan_view,
    residue_view,
    restore_document,
)
from jitsu_backup.reports.html import plan_page, restore_page
from jitsu_backup.restoring import Result, new_secret
from jitsu_backup.settings import Place
from jitsu_backup.store import keep, read_file, write_file

INTERRUPTED = 130

READ_ONLY_ROLES = ("analyst",)
"""Roles whose writes every console refuses [role/analyst-cannot-create]."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a plan is carried out, beside what it does.

    `into` is the PLACE that the way back has to name; with `elsewhere` the snapshot's own workspace is refused.
    """

    keys_out: Path | None = None
    safety_backup: bool = True
    fail_fast: bool = False
    dry_run: bool = False
    yes: bool = False
    into: str | None = None
    elsewhere: bool = False
    html_out: Path | None = None


def refuse_beside_plan(context: click.Context) -> None:
    """Raise UsageError for a flag that says what to plan, beside a plan that says it already."""
    names = (*SWITCHES, *LISTS, "ids", "mapping", "overlay", "plan_out")
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.name in names:
            raise UsageError(
                f"--plan FILE says what to do; leave out {parameter.opts[0]}, or make another plan"
            )


def split_options(
    given: dict[str, Any], into: str | None, overlay: Path | None
) -> tuple[PlanOptions, RunOptions]:
    """Make options of a command's flags, and of the file of the overlay. Raises UsageError."""
    names = ("keys_out", "safety_backup", "fail_fast", "dry_run", "yes", "html_out")
    run = RunOptions(**{name: given[name] for name in names}, into=into)
    return plan_options(given, overlay), run


def apply(
    app: App, place: Place, snapshot: Snapshot, options: PlanOptions, run: RunOptions,
    *, saved: SavedPlan | None = None, planned: Callable[[Plan, Snapshot], None] | None = None,
) -> int:  # fmt: skip
    """Plan, show, ask, carry out and report; give the exit code. `planned` is told the plan before that.

    Raises BlockedError, UsageError, AccessError, and what made a console be lost.
    """
    check_path(run.keys_out, "--keys-out")
    check_page(run.html_out)
    with app.progress() as report:
        console = app.console(place, report)
        plan, live, options = run_async(prepare(console, place.workspace or "", snapshot, options, report))
    if run.elsewhere and same_workspace(snapshot, live):
        raise UsageError("both PLACEs are the same workspace; a workspace cannot be cloned into itself")
    if saved is not None:
        check_plan(saved, plan, live)
    _show(app, plan, only=bool(plan.blocked) or run.dry_run)
    if plan.blocked or run.dry_run:
        write_page(app, run.html_out, lambda: plan_page(plan, snapshot, live))
    if plan.blocked:
        raise BlockedError(_why_blocked(plan))
    if planned is not None:
        planned(plan, live)
    if run.dry_run:
        return 0
    if not plan.writes:
        return _report(app, Result(plan, found=residue(plan)), run, snapshot, live)
    if not _agreed(plan, run):
        app.say("nothing was changed")
        return 1
    keys = new_keys(plan, new_secret)
    if run.keys_out is not None and keys:
        write_keys(run.keys_out, keys.values())
    way_back = _safety_backup(app, plan, live, run) if plan.touches and run.safety_backup else None
    with app.progress() as report, _keys_told(app, keys.values(), run):
        console = app.console(place, report)
        result = run_async(
            carry_out(console, snapshot, live, plan, options, keys, report, fail_fast=run.fail_fast)
        )
    if run.keys_out is not None and result.keys:
        write_keys(run.keys_out, result.keys)  # once more: an id may have been taken, and another one used
    return _report(app, replace(result, way_back=way_back), run, snapshot, live)


@contextmanager
def _keys_told(app: App, keys: Iterable[StreamKey], run: RunOptions) -> Iterator[None]:
    """Tell the keys that may be in use already where a second Ctrl-C ends everything at once."""
    try:
        yield
    except KeyboardInterrupt:
        if keys and run.keys_out is None and app.as_json:
            app.emit({"stream_keys": [key_document(key) for key in keys]})
        elif keys and run.keys_out is None:
            app.out.print(keys_text(keys), soft_wrap=True)
        raise


def _show(app: App, plan: Plan, *, only: bool) -> None:
    """Show a plan; as JSON, when `only` it is to be shown."""
    if not app.as_json:
        app.out.print(plan_view(plan, verbose=app.verbose))
        lacking = overlay_text(plan) if plan.blocked else ""
        for line in ("", "An overlay with what is missing:", "", *lacking.split("\n")) if lacking else ():
            app.line(line)
    elif only:
        app.emit({"plan": plan_document(plan)})


def _agreed(plan: Plan, run: RunOptions) -> bool:
    """Ask whether to write. Raises AccessError for a key that may not."""
    target = plan.target.slug or plan.target.workspace_id
    if plan.target.role in READ_ONLY_ROLES:
        raise AccessError(
            f"this key has no permission to write into {target} (its role is {plan.target.role}); nothing was written"
        )
    deletes = plan.counts()["delete"]
    what = f"Write {len(plan.writes)} change(s)" + (f", {deletes} of them deletions," if deletes else "")
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
    *,
    fail_fast: bool = False,
) -> Result:
    """Carry out a plan, as `restoring.carry_out` does; the first Ctrl-C ends it after the requests under way."""
    stop = asyncio.Event()
    return await restoring.carry_out(
        console, snapshot, live, plan, options, keys, report,
        now=utc_now, stop=stop, fail_fast=fail_fast, while_writing=_interruptible(stop, report),
    )  # fmt: skip


def write_keys(path: Path, keys: Iterable[StreamKey]) -> None:
    """Add write keys to a file, 0600, before anything is sent: a killed restore loses none.

    Raises UsageError when the file is there and is not one of ours.
    """
    documents = [key_document(key) for key in keys]
    if path.exists():
        try:
            old = orjson.loads(read_file(path))["stream_keys"]
            made = {document["key_id"] for document in documents}
            documents = [*(entry for entry in old if entry["key_id"] not in made), *documents]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise UsageError(
                f"--keys-out {path}: that file exists and holds something else; name another"
            ) from None
    write_file(path, orjson.dumps({"stream_keys": documents}, option=orjson.OPT_INDENT_2) + b"\n")


def _why_blocked(plan: Plan) -> str:
    first, count = plan.blocked[0], len(plan.blocked)
    more = f" (and {count - 1} more)" if count > 1 else ""
    hint = ""
    if any(action.losses for action in plan.blocked):
        hint = "; --allow-missing-secrets goes on without secrets"
    return f"blocked, nothing was written: {first.key.type} {first.name!r}: {first.reason}{more}{hint}"


def _safety_backup(app: App, plan: Plan, live: Snapshot, run: RunOptions) -> str:
    """Store the target as it is, and give the command that brings it back."""
    try:
        options = SaveOptions((PRE_RESTORE,), shrink_alarm=1, key=app.keys.mark)
        put = functools.partial(keep, app.store)
        archive = run_async(save(live, (), options, app.keys.seal, put)).archive
    except BackupError as problem:
        raise type(problem)(
            f"the target could not be backed up first, so nothing was written: {problem};"
            " give another --store, or --no-safety-backup"
        ) from None
    into = ("--into", run.into) if run.into else ()
    command = app.again("restore", f"{archive.slug}/{archive.digest_prefix}", *into)
    app.say(f"The target is backed up first. The way back: {command}{_also(plan)}")
    return command


def _also(plan: Plan) -> str:
    return " (with --prune, to delete what was created too)" if plan.counts()["create"] else ""


def _report(app: App, result: Result, run: RunOptions, snapshot: Snapshot, live: Snapshot) -> int:
    keys_out = run.keys_out
    failed = [o for o in result.outcomes if o.status is not Status.DONE]
    if app.as_json:
        document = restore_document(
            result.plan, result.outcomes, result.found, result.keys, str(keys_out) if keys_out else None
        )
        app.emit({**document, "way_back": result.way_back})
    else:
        _tell(app, result, failed, keys_out)
    written = _write_report(app, result, run, snapshot, live)
    if result.failure is not None:
        done = any(outcome.status is Status.DONE for outcome in result.outcomes)
        more = "; what was done stays, and running it again continues" if done else "; nothing was written"
        raise type(result.failure)(f"{result.failure}{more}")
    if result.interrupted:
        app.say("interrupted: running it again continues")
        return INTERRUPTED
    return IncompleteError.exit_code if failed or result.found else 0 if written else 1


def _write_report(app: App, result: Result, run: RunOptions, snapshot: Snapshot, live: Snapshot) -> bool:
    """Write the report's page; what was done is told all the same, and ends as it would, where that fails."""
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
            way_back=result.way_back and f"{result.way_back}{_also(result.plan)}",
            ending=ending,
        )

    try:
        write_page(app, run.html_out, page)
    except BackupError as problem:
        app.problem(str(problem))
        return False
    return True


def _tell(app: App, result: Result, failed: list[Outcome], keys_out: Path | None) -> None:
    done = len(result.outcomes) - len(failed)
    if result.outcomes:
        app.out.print(f"\n{done} of {len(result.plan.writes)} change(s) made.")
    elif not result.plan.writes:
        app.out.print("\nNothing to write: everything is in place.")
    for outcome in failed:
        key = outcome.action.key
        app.line(f"  {outcome.status.value}: {key.type} {outcome.action.name}: {outcome.reason}")
    if result.keys and keys_out is None:
        app.out.print(keys_text(result.keys), soft_wrap=True)
    elif result.keys:
        app.line(f"{len(result.keys)} new write key(s) are in {keys_out}")
    if result.found:
        app.out.print()
        app.out.print(residue_view(result.found))
    elif result.failure is None and not result.interrupted:
        app.out.print("Read back: the target is as the snapshot says.")
    unseen = [f"{action.name} {path}" for action in result.plan.actions for path in action.unseen]
    if unseen:
        some = some_of(unseen, 5)
        app.line(f"Not compared, for Jitsu hides them: {some}.")
    if result.way_back is not None and done:
        app.line(f"The way back: {result.way_back}{_also(result.plan)}")


@contextmanager
def _interruptible(stop: asyncio.Event, report: Reporter) -> Iterator[None]:
    """Let the first Ctrl-C end the work after the requests under way, the second at once."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop.set()
        report(Notice("interrupted: finishing the requests under way (again: stop at once)"))
        loop.remove_signal_handler(signal.SIGINT)

    try:
        loop.add_signal_handler(signal.SIGINT, first)
    except (NotImplementedError, RuntimeError, ValueError):  # no such thing here, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
