"""Restoring: the target is read, a plan made, carried out, read back and compared."""

import asyncio
import secrets
import string
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime

from jitsu_backup.api import Console
from jitsu_backup.errors import BackupError, ConsoleError
from jitsu_backup.events import Reporter
from jitsu_backup.exporter import (
    Elsewhere,
    host_names,
    lives_there,
    read_schemas,
    read_workspace,
    sees_workspace,
    used_elsewhere,
)
from jitsu_backup.importer import Importer, Outcome, Status, StreamKey
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import (
    KEY_FIELDS,
    Kind,
    Loss,
    Plan,
    PlanOptions,
    Residue,
    left_out,
    make_plan,
    residue,
    schemas_needed,
)

UNSEEN_KEYS = (
    "write keys go along with their hashes; only the operator's token can tell whether a workspace that this key"
    " cannot see has them too, and one key on two streams makes events ambiguous"
)

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
    way_back: str | None = None


async def prepare(
    console: Console,
    workspace: str,
    snapshot: Snapshot,
    options: PlanOptions,
    report: Reporter,
    *,
    now: Callable[[], datetime],
) -> tuple[Plan, Snapshot, PlanOptions]:
    """Read the target and make the plan; give the options completed by what the console told.

    Raises ConsoleError, AccessError, UsageError.
    """
    async with console:
        live = await read_workspace(console, workspace, now=now, report=report)
        check_target(live)
        entities = [e for e in snapshot.entities if e.key.type not in live.manifest.not_offered]
        schemas = await read_schemas(console, schemas_needed(tuple(entities)))
        source, target = snapshot.manifest.source, live.manifest.source
        same_console = await lives_there(console, snapshot)
        claimed = {name for e in snapshot.entities for name in host_names(e.key.type, e.body)}
        elsewhere = Elsewhere({}, {})
        if claimed or snapshot.secrets:
            first = source if same_console else None
            elsewhere = await used_elsewhere(console, target.workspace_id, first)
        domains = dict(elsewhere.domains)
        moved = claimed and same_console and source.workspace_id != target.workspace_id
        if moved and not await sees_workspace(console, source.workspace_id):
            # nobody can tell, so they count as in use where they came from
            domains |= dict.fromkeys(claimed, source.slug or source.workspace_id)
    options = replace(
        options,
        schemas=schemas,
        domains_elsewhere=domains,
        keys_elsewhere=frozenset(elsewhere.key_ids),
        same_console=same_console,
    )
    plan = make_plan(snapshot, live, options)
    if _sends_hashes(plan) and not elsewhere.all_streams:
        plan = replace(plan, notes=(*plan.notes, UNSEEN_KEYS))
    return plan, live, options


def _sends_hashes(plan: Plan) -> bool:
    lists = (
        action.body.get(name) for action in plan.writes if action.key.type == "stream" for name in KEY_FIELDS
    )
    return any(
        isinstance(key, Mapping) and key.get("hash")
        for keys in lists
        if isinstance(keys, list)
        for key in keys
    )


def check_target(live: Snapshot) -> None:
    """Raise ConsoleError where a plan would be unsafe: the target was not read whole."""
    missing = [refusal for refusal in live.manifest.refused if refusal.missing]
    if missing:
        raise ConsoleError(
            f"the target could not be read whole, so nothing is safe: {missing[0].what}: {missing[0].reason}"
        )


async def carry_out(
    console: Console,
    snapshot: Snapshot,
    live: Snapshot,
    plan: Plan,
    options: PlanOptions,
    keys: dict[tuple[str, str, str], StreamKey],
    report: Reporter,
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event | None = None,
    fail_fast: bool = False,
    while_writing: AbstractContextManager[object] | None = None,
) -> Result:
    """Carry out a plan, read back, and give what happened; a lost console is part of the result.

    `keys` are those of `importer.new_keys`. Once `stop` is set, nothing more is begun. `while_writing` is entered
    for as long as something is written.
    """
    stop = stop or asyncio.Event()
    async with console:
        importer = Importer(console, plan, keys, live=live, stop=stop, fail_fast=fail_fast, report=report)
        failure: BackupError | None = None
        with while_writing or nullcontext():
            try:
                await importer.run()
            except BackupError as problem:
                failure = problem
        outcomes = importer.done()
        done = {o.action.key for o in outcomes if o.status is Status.DONE}
        # a key is only worth showing when its stream may exist
        attempted = {a.key.id for a in plan.writes if failure is not None or a.key in done}
        shown = [
            replace(key, stream_id=importer.ids.get(Key("stream", stream_id), key.stream_id))
            for (stream_id, _, _), key in keys.items()
            if stream_id in attempted
        ]
        reached = all(outcome.status is not Status.NOT_ATTEMPTED for outcome in outcomes)
        interrupted = stop.is_set() and not (reached and len(outcomes) == len(plan.writes))
        result = Result(plan, outcomes, [], shown, interrupted, failure)
        if failure is not None or interrupted:
            return result
        after = await read_workspace(console, plan.target.workspace_id, now=now, report=report)
    check = make_plan(snapshot, after, replace(options, resend_secrets=False))
    made = [outcome for outcome in outcomes if outcome.action.kind is not Kind.DELETE]
    reasons: dict[Key, tuple[Loss, ...]] = {
        o.action.key: (*o.losses, *((Loss("", o.reason),) if o.reason else ())) for o in made
    }
    undeleted = {o.action.key: o.reason for o in outcomes if o.action.kind is Kind.DELETE and o.reason}
    found = {*residue(check, reasons, undeleted), *left_out(o.action for o in made)}
    told = {line.key for line in found}
    late = "may be there twice: a request without a reply came late"
    found |= {Residue(key, key.id, "", late) for key in importer.doubled(after) if key not in told}
    return replace(result, found=sorted(found))


def new_secret() -> str:
    """Give a fresh secret for a write key: 32 letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))
