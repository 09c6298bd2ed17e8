"""`jitsu-backup restore`."""

import asyncio
import secrets
import signal
import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import orjson

from jitsu_backup.api import Console
from jitsu_backup.cli.common import App, ask, pass_app, read_overlay, run_async, utc_now
from jitsu_backup.errors import BackupError, BlockedError, ConsoleError, IncompleteError, UsageError
from jitsu_backup.events import Notice, Reporter
from jitsu_backup.exporter import domains_elsewhere, host_names, read_schemas, read_workspace
from jitsu_backup.importer import Importer, Outcome, Status, StreamKey, new_keys
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import Loss, Plan, PlanOptions, Residue, make_plan, residue, schemas_needed
from jitsu_backup.reports import (
    key_document,
    keys_text,
    plan_document,
    plan_view,
    residue_view,
    restore_document,
)
from jitsu_backup.store import read_file, write_file

INTERRUPTED = 130

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Result:
    """How a restore ended."""

    plan: Plan
    outcomes: list[Outcome] = field(default_factory=list)
    found: list[Residue] = field(default_factory=list)
    keys: list[StreamKey] = field(default_factory=list)
    interrupted: bool = False
    failure: BackupError | None = None


@click.command(
    "restore",
    epilog="Examples: jitsu-backup restore latest --into acme-production --dry-run ·"
    " jitsu-backup restore latest --into @production --overlay production.toml --yes",
)
@click.argument("snapshot")
@click.option("--into", metavar="PLACE", required=True, help="The workspace to restore into.")
@click.option(
    "--overlay",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Hosts, names and secrets of the target, TOML or JSON.",
)
@click.option(
    "--allow-missing-secrets", is_flag=True, help="Create entities without the secrets that nobody has."
)
@click.option(
    "--keys-out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write new write keys to FILE, not to the screen.",
)
@click.option(
    "--cursors/--no-cursors",
    default=True,
    show_default=True,
    help="Put sync cursors on syncs that have none.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_app
def command(
    app: App, snapshot: str, into: str, overlay: Path | None, allow_missing_secrets: bool,
    keys_out: Path | None, cursors: bool, dry_run: bool, yes: bool,
) -> int:  # fmt: skip
    """Bring a workspace to a snapshot's state.

    Shows the plan, asks, writes, reads back and lists what still differs. Running it
    again continues or does nothing: entities get ids that are computed, not invented.
    Ends with code 3 when something is missing or differs, 7 when the plan is blocked.
    """
    _, wanted, _ = app.snapshot(snapshot)
    options = PlanOptions(
        overlay=read_overlay(overlay), allow_missing_secrets=allow_missing_secrets, cursors=cursors
    )
    place = app.settings.place(into)
    with app.progress() as report:
        console = app.console(place, report)
        plan, live, options = run_async(prepare(console, place.workspace or "", wanted, options, report))
    if not app.as_json:
        app.out.print(plan_view(plan, verbose=app.verbose))
    if plan.blocked:
        if app.as_json:
            app.emit({"plan": plan_document(plan)})
        blocked = plan.blocked
        raise BlockedError(
            f"{len(blocked)} blocked, nothing was written; give secrets with --overlay FILE,"
            " or leave them out with --allow-missing-secrets"
        )
    if dry_run:
        if app.as_json:
            app.emit({"plan": plan_document(plan)})
        return 0
    if not plan.writes:
        result = Result(plan, found=residue(plan))
        return _report(app, result, keys_out)
    target = plan.target.slug or plan.target.workspace_id
    if not ask(f"Write {len(plan.writes)} change(s) into {target} on {plan.target.host}?", yes=yes):
        app.say("nothing was changed")
        return 1
    keys = new_keys(plan, new_secret)
    if keys_out is not None and keys:
        write_keys(keys_out, keys.values())
    with app.progress() as report:
        console = app.console(place, report)
        result = run_async(carry_out(console, wanted, live, plan, options, keys, report))
    return _report(app, result, keys_out)


async def prepare(
    console: Console, workspace: str, snapshot: Snapshot, options: PlanOptions, report: Reporter
) -> tuple[Plan, Snapshot, PlanOptions]:
    """Read the target and make the plan; give the options completed by what the console told."""
    async with console:
        live = await read_workspace(console, workspace, now=utc_now, report=report)
        check_target(snapshot, live)
        entities = [e for e in snapshot.entities if e.key.type not in live.manifest.not_offered]
        schemas = await read_schemas(console, schemas_needed(tuple(entities)))
        source, target = snapshot.manifest.source, live.manifest.source
        claimed = {name for e in snapshot.entities for name in host_names(e.key.type, e.body)}
        elsewhere: dict[str, str] = {}
        if claimed:
            same_console = source.host == target.host
            elsewhere = await domains_elsewhere(
                console, target.workspace_id, source if same_console else None
            )
            if same_console and not await _can_see(console, source.workspace_id):
                # nobody can tell, so they count as in use where they came from
                elsewhere |= dict.fromkeys(claimed, source.slug or source.workspace_id)
    options = replace(options, schemas=schemas, domains_elsewhere=elsewhere)
    return make_plan(snapshot, live, options), live, options


def check_target(snapshot: Snapshot, live: Snapshot) -> None:
    """Raise where a plan would be unsafe: the target was not read whole, or is the source itself."""
    source, target = snapshot.manifest.source, live.manifest.source
    missing = [refusal for refusal in live.manifest.refused if refusal.missing]
    if missing:
        raise ConsoleError(
            f"the target could not be read whole, so nothing is safe: {missing[0].what}: {missing[0].reason}"
        )
    if source.workspace_id == target.workspace_id:
        live_keys = {e.key for e in live.entities}
        if source.host == target.host or any(e.key in live_keys for e in snapshot.entities):
            raise UsageError(
                "restoring into the workspace that the snapshot came from is not supported yet: name another with --into"
            )


async def carry_out(
    console: Console,
    snapshot: Snapshot,
    live: Snapshot,
    plan: Plan,
    options: PlanOptions,
    keys: dict[tuple[str, str, str], StreamKey],
    report: Reporter,
) -> Result:
    """Carry out a plan, read back, and give what happened; a lost console is part of the result."""
    stop = asyncio.Event()
    async with console:
        importer = Importer(console, plan, keys, live=live, stop=stop, report=report)
        failure: BackupError | None = None
        with _interruptible(stop, report):
            try:
                await importer.run()
            except BackupError as problem:
                failure = problem
        outcomes = [importer.outcomes[a.key] for a in plan.writes if a.key in importer.outcomes]
        done = {o.action.key for o in outcomes if o.status is Status.DONE}
        # a key is only worth showing when its stream may exist
        attempted = {a.key.id for a in plan.writes if failure is not None or a.key in done}
        shown = [key for (stream_id, _, _), key in keys.items() if stream_id in attempted]
        result = Result(plan, outcomes, [], shown, stop.is_set(), failure)
        if failure is not None or stop.is_set():
            return result
        after = await read_workspace(console, plan.target.workspace_id, now=utc_now, report=report)
    check = make_plan(snapshot, after, options)
    reasons: dict[Key, tuple[Loss, ...]] = {
        o.action.key: (*o.losses, *((Loss("", o.reason),) if o.reason else ())) for o in outcomes
    }
    return replace(result, found=residue(check, reasons))


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


def _report(app: App, result: Result, keys_out: Path | None) -> int:
    failed = [o for o in result.outcomes if o.status is not Status.DONE]
    if app.as_json:
        app.emit(
            restore_document(
                result.plan, result.outcomes, result.found, result.keys, str(keys_out) if keys_out else None
            )
        )
    else:
        _tell(app, result, failed, keys_out)
    if result.failure is not None:
        raise type(result.failure)(f"{result.failure}; what was done stays, and running it again continues")
    if result.interrupted:
        app.say("interrupted: running it again continues")
        return INTERRUPTED
    return IncompleteError.exit_code if failed or result.found else 0


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


async def _can_see(console: Console, workspace_id: str) -> bool:
    try:
        await console.get(f"/api/workspace/{workspace_id}")
    except BackupError:
        return False
    return True


def new_secret() -> str:
    """Give a fresh secret for a write key: 32 letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))
