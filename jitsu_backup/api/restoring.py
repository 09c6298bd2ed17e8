"""Restore a snapshot into a workspace of the same or another console, clone a workspace, and compare snapshots."""

import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jitsu_backup.api.access import NO_KEYS, as_store, listed, now
from jitsu_backup.clock import seconds_of_this_boot
from jitsu_backup.errors import BlockedError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations import diff as comparing, restore as restoring
from jitsu_backup.operations.archive_keys import ArchiveKeys, keys_to_write
from jitsu_backup.operations.clone import read_source
from jitsu_backup.operations.clone_record import record_finder, with_earlier_names
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.folder import Folder, base_finder
from jitsu_backup.operations.restore import PreparedRestore as Prepared, Result
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
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import Changes, Overlay, PlanOptions
from jitsu_backup.planning.console_overlay import parse_any_overlay
from jitsu_backup.store import Store, mark


async def plan(
    connection: Connection,
    snapshot: Snapshot | Folder,
    into: str,
    *,
    overlay: Mapping[str, Any] | Overlay | None = None,
    store: Store | str | None = None,
    keys: ArchiveKeys = NO_KEYS,
    **options: Any,
) -> Prepared:
    """Plan the restore of a snapshot into the workspace `into`, given by id or slug; nothing is written.

    For a folder, changes that people made in its workspace since it was unpacked are kept; if the folder changed the same
    field, the plan is blocked. `overlay` has the content of an overlay file: selector → values of the target. `store` is
    searched for the record of the last clone, which shows the target's own changes, and for the archive that a folder was
    unpacked from. `options` are fields of `planning.PlanOptions`: prune, recreate, disable_links, only, skip, … Raise
    ConsoleError, AccessError, UsageError, FolderError, and BackupError if the record cannot be read.
    """
    rules = overlay if isinstance(overlay, Overlay) else parse_any_overlay(dict(overlay or {}))
    wanted = PlanOptions(overlay=rules, **options)
    known = None if store is None else as_store(store)
    opened = None if known is None else functools.partial(as_store, known)
    find, find_base = None, None
    if opened is not None:
        source = _content(snapshot).manifest.source
        wanted = await with_earlier_names(
            wanted, source, into, opened, keys, now=now, report=connection.report
        )
        find = record_finder(opened, keys, wanted, now=now, report=connection.report)
    if isinstance(snapshot, Folder):
        find_base = base_finder(snapshot, opened, keys, wanted, report=connection.report)
    return await restoring.prepare(
        connection.open(), into, _content(snapshot), wanted, connection.report,
        now=now, find_record=find, find_base=find_base,
    )  # fmt: skip


async def apply(
    connection: Connection,
    prepared: Prepared,
    *,
    on_keys: Callable[[list[StreamKey]], None] | None = None,
    fail_fast: bool = False,
) -> Result:
    """Carry out a plan, read the workspace back and compare: `result.found` lists what still differs, and why.

    The target is neither backed up nor locked; `restore` does both. `on_keys` is called with the write keys of new streams
    before anything is sent, because Jitsu never shows them again; they are in `result.keys` too. Raise BlockedError if the
    plan needs a decision, TargetChangedError if the workspace changed since it was planned; then nothing was written.
    """
    if prepared.plan.blocked:
        raise BlockedError(why_blocked(prepared.plan))
    return await restoring.carry_out(
        connection.open(), prepared, connection.report,
        now=now, fail_fast=fail_fast, before_writing=_key_giver(prepared, on_keys),
    )  # fmt: skip


async def restore(
    connection: Connection,
    snapshot: Snapshot | Folder,
    into: str,
    store: Store | str,
    *,
    keys: ArchiveKeys = NO_KEYS,
    safety_backup: bool = True,
    wait: bool = False,
    elsewhere: bool = False,
    new_store: bool = False,
    on_keys: Callable[[list[StreamKey]], None] | None = None,
    fail_fast: bool = False,
    **options: Any,
) -> Result:
    """Restore a snapshot or a folder into the workspace `into`, as `plan` and `apply` do, with a lock and a safety backup.

    The workspace is locked in `store` while it is written, so no other run writes into it; with `wait`, a run that already
    does is waited for. The workspace is backed up into `store` first: `result.way_back` names that archive. With `elsewhere`,
    the snapshot's own workspace is not allowed as the target. `options` are those of `plan`. What was written into another
    workspace is recorded in the store for the next run: `result.record`, or `result.unrecorded`, which says why it was not.

    Raise what `plan` and `apply` raise, BlockedError if another run writes or the slug `into` now belongs to another
    workspace, BackupError if the target cannot be backed up; then nothing was written.
    """
    opened = as_store(store)

    async def begun() -> Store:
        await mark(opened, await listed(opened, new=new_store), now())
        return opened

    safeguards = Safeguards(
        begun, await keys_to_write(keys, lambda: opened), now, seconds_of_this_boot,
        report=connection.report, command="clone" if elsewhere else "restore", wait=wait, backup=safety_backup,
    )  # fmt: skip
    target = await find_target(
        connection.open(), into, _content(snapshot), lambda: opened, keys, explicit=True
    )
    while True:
        prepared = await plan(connection, snapshot, target.id, store=opened, keys=keys, **options)
        if elsewhere:
            refuse_same(prepared)
        if prepared.plan.blocked:
            raise BlockedError(why_blocked(prepared.plan))
        if not prepared.plan.writes:
            return await record_nothing_to_write(prepared, safeguards)
        refuse_read_only(prepared)
        with suppress(WaitedError):  # then plan again
            return await carry_out_safely(
                connection.open(), prepared, connection.report, safeguards,
                fail_fast=fail_fast, before_writing=_key_giver(prepared, on_keys),
            )  # fmt: skip


async def clone(
    source: Connection, workspace: str, target: Connection, into: str, store: Store | str, **options: Any
) -> Result:
    """Clone a workspace of the console `source` into the workspace `into` of the console `target`.

    `options` are those of `restore`. Raise IncompleteError if the source cannot be read completely, and what `restore` raises.
    """
    snapshot = await read_source(source, workspace, workspace, now=now)
    return await restore(target, snapshot, into, store, elsewhere=True, **options)


def diff(before: Snapshot | Folder, after: Snapshot | Folder, **options: Any) -> Changes:
    """Return the differences between two snapshots or folders, paired as a restore would pair them, without secrets.

    Only the `options` `ignored`, `mapping`, `match_by_name`, `overlay` (for `before`) and `record` of a plan have an effect.
    Raise UsageError if an option matches nothing.
    """
    one, other = (comparing.Side(_content(side)) for side in (before, after))
    return comparing.diff(one, other, options=PlanOptions(**options))


def _key_giver(prepared: Prepared, on_keys: Callable[[list[StreamKey]], None] | None) -> Callable[[], None]:
    """Return a function that passes the new write keys, if there are any, to `on_keys`."""

    def give() -> None:
        if on_keys is not None and prepared.keys:
            on_keys(list(prepared.keys.values()))

    return give


def _content(snapshot: Snapshot | Folder) -> Snapshot:
    return snapshot.snapshot if isinstance(snapshot, Folder) else snapshot
