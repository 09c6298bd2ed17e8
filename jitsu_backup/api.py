"""The Python API: back up, restore, clone, verify and prune; snapshots, plans and archives as values.

Everything that asks a console or a store is a coroutine; `jitsu_backup.sync` has the same functions for programs without an
event loop. Errors are those of `jitsu_backup.errors`; no message and no `repr` holds a secret.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jitsu_backup.api_access import NO_KEYS, listed as _listed, now as _now, opened as _opened
from jitsu_backup.api_recovery import Recovery, drill, plan_recovery, recover
from jitsu_backup.archive import ArchiveName, encode
from jitsu_backup.archive.retention import Verdict, policy_of
from jitsu_backup.catalogue import Selector, dangling_references
from jitsu_backup.catalogue.dangling import Dangling
from jitsu_backup.clock import seconds_of_this_boot
from jitsu_backup.console import Gates
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.errors import BackupError, BlockedError, UsageError
from jitsu_backup.events import Problem
from jitsu_backup.model import Snapshot
from jitsu_backup.operations import diff as comparing, prune as pruning, restore as restoring
from jitsu_backup.operations.archive_keys import ArchiveKeys, keys_to_write
from jitsu_backup.operations.asking import Unchanged
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.clone import read_source
from jitsu_backup.operations.clone_record import record_finder
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.folder import Folder, base_finder, open_folder as read_folder
from jitsu_backup.operations.history import history as read_history
from jitsu_backup.operations.pace import HALF
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
from jitsu_backup.operations.save import Saved, SaveOptions
from jitsu_backup.operations.snapshots import check_digest, choose_archive, open_archive
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.operations.watch import Watch
from jitsu_backup.operations.watching import Surroundings, WatchEvent, WatchJob
from jitsu_backup.operations.who import LogAccess, attribute, not_elsewhere
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import Changes, Overlay, PlanOptions, parse_overlay
from jitsu_backup.planning.history import History
from jitsu_backup.planning.history_ignored import without_ignored
from jitsu_backup.planning.history_steps import narrowed
from jitsu_backup.settings import checked_key, normal_host
from jitsu_backup.store import Store, archives, mark, of_workspace

__all__ = [
    "ArchiveKeys",
    "Connection",
    "Folder",
    "Prepared",
    "Recovery",
    "apply",
    "backup",
    "clone",
    "connect",
    "diff",
    "drill",
    "dump",
    "fetch",
    "history",
    "load",
    "open_folder",
    "plan",
    "plan_recovery",
    "prune",
    "read",
    "recover",
    "restore",
    "verify",
    "watch",
]


@dataclass(frozen=True, slots=True)
class Verification:
    """An archive that could be read. `dangling` are references to entities that the snapshot does not hold."""

    archive: ArchiveName
    snapshot: Snapshot = field(repr=False)
    dangling: tuple[Dangling, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing that would keep an entity from coming back."""
        return self.snapshot.manifest.complete and all(one.dead for one in self.dangling)


def connect(host: str, key: str, **options: Any) -> Connection:
    """Return a connection to a console; `options` are those of Connection. Nothing is asked of the console yet.

    Raise UsageError for what is no address, AccessError for what is no key.
    """
    return Connection(normal_host(str(host)), checked_key(str(key)), **options)


async def read(connection: Connection, workspace: str) -> Snapshot:
    """Return a whole workspace, by its id or slug. What is missing is in `snapshot.manifest`, not an exception.

    Raise ConsoleError, AccessError where the workspace itself cannot be read.
    """
    async with connection.open() as console:
        return await read_workspace(console, workspace, now=_now, report=connection.report)


async def backup(
    connection: Connection,
    workspace: str,
    store: Store | str,
    *,
    keys: ArchiveKeys = NO_KEYS,
    labels: tuple[str, ...] = (),
    if_changed: bool = False,
    full_every: timedelta = timedelta(days=1),
    shrink_alarm: float = 0.5,
    accept_shrink: bool = False,
    new_store: bool = False,
) -> Saved | Unchanged:
    """Read a workspace and keep it in a store; `whole` tells whether nothing is missing and no alarm was set off.

    The store is a folder or a URL; one that is empty has to be begun with `new_store`. With `if_changed` nothing is written
    where the newest archive holds the same, and a workspace that was read no longer ago than `full_every` is asked first: if
    it is surely unchanged, it is not read, and Unchanged names the `archive` that holds it. `shrink_alarm` is the share, from
    0 to 1, by which a count may fall. Raise BackupError; then nothing was stored, unless it says that the store cannot be
    listed, so that nothing was compared.
    """
    job = BackupJob(
        (WorkspaceAccess(connection, workspace),),
        save=SaveOptions(labels, if_changed, accept_shrink, shrink_alarm=shrink_alarm, key=keys.mark),
        full_every=full_every,
    )
    run = await Backup(
        job, _opened(store), keys, connection.report, now=_now, monotonic=asyncio.get_running_loop().time,
        expected=ExpectedStore(named=True, may_be_new=new_store),
    ).run()  # fmt: skip
    (outcome,) = run.outcomes
    if outcome.alarm is not None:
        connection.report(Problem(str(outcome.alarm)))
    failure = outcome.failure or run.unlisted
    if failure is not None:
        raise failure
    kept = outcome.saved or outcome.unchanged
    assert kept is not None  # noqa: S101  nothing failed
    return kept


async def watch(
    connection: Connection,
    workspaces: Iterable[str],
    store: Store | str,
    *,
    stop: asyncio.Event,
    keys: ArchiveKeys = NO_KEYS,
    settle: float = 5.0,
    full_every: timedelta = timedelta(days=1),
    shrink_alarm: float = 0.5,
    allow_unseen: tuple[str, ...] = (),
    new_store: bool = False,
    told: Callable[[WatchEvent], None] = lambda _: None,
) -> None:
    """Keep a store seconds behind workspaces, given by id or slug, or behind all that the key can read; end once `stop` is set.

    Half of the key's read budget is spent at most. `told` hears of every event. A console or a store that is away ends
    nothing. Raise UsageError.
    """
    half = replace(connection, gates=Gates(share=HALF))
    places = tuple(WorkspaceAccess(half, workspace) for workspace in workspaces)
    save = SaveOptions(if_changed=True, shrink_alarm=shrink_alarm, key=keys.mark)
    backup = BackupJob(
        places or (WorkspaceAccess(half),),
        not places,
        save=save,
        allow_unseen=allow_unseen,
        full_every=full_every,
    )
    around = Surroundings(
        store=_opened(store), now=_now, monotonic=asyncio.get_running_loop().time, keys=keys, told=told,
        report=connection.report, expected=ExpectedStore(named=True, may_be_new=new_store),
    )  # fmt: skip
    await Watch(WatchJob(backup, settle), around).run(stop)


async def fetch(store: Store | str, snapshot: str = "latest", *, keys: ArchiveKeys = NO_KEYS) -> Snapshot:
    """Return a snapshot of a store: `latest`, `acme-staging/latest~2`, a date, an id prefix, a label.

    Raise BackupError where there is none, IntegrityError for a damaged archive, UsageError, LockedError where `keys` do not
    open it.
    """
    return (await verify(store, snapshot, keys=keys)).snapshot


def open_folder(path: str | Path) -> Folder:
    """Return a folder of `unpack`, edited or not, for `plan`, `restore` and `diff`; its `snapshot` is what it holds.

    Raise FolderError, which names the file, for what is wrong, BackupError.
    """
    return read_folder(Path(path))


async def verify(
    store: Store | str, snapshot: str = "latest", *, keys: ArchiveKeys = NO_KEYS
) -> Verification:
    """Read and check an archive: integrity, schema, references. `snapshot` and what is raised are as for `fetch`."""
    store = _opened(store)
    known = await archives(store)
    archive = choose_archive(known, snapshot, store, now=_now(), shrink_alarm=0.5, report=lambda _: None)
    content = open_archive(archive, await store.read(str(archive)), keys)
    check_digest(snapshot, archive, content)
    return Verification(archive, content, tuple(sorted(dangling_references(content))))


async def history(
    store: Store | str,
    workspace: str | None = None,
    *,
    keys: ArchiveKeys = NO_KEYS,
    only: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    ignored: Sequence[str] = (),
    cache: Path | None = None,
    who: Connection | None = None,
) -> list[History]:
    """Return what changed over all snapshots of a store, for one workspace, by its id or slug, or for each; newest first.

    `only` are selectors, `since` and `until` times with their zones, `ignored` fields whose changes do not count. `cache` is a folder that makes the next time faster.
    `who` is a connection to their console with an owner's key or the operator's token: its audit log tells who made each change.
    Where several consoles have a workspace of one id, each has a history of its own, and only that console's is asked about.
    Archives that cannot be read are in `unread`. Raise BackupError where the store has none.
    """
    opened = _opened(store)
    known = await archives(opened)
    own = known if workspace is None else of_workspace(known, workspace)
    if not own:
        of = "" if workspace is None else f" of workspace {workspace!r}"
        raise BackupError(f"no snapshot{of} in the store {opened.url}")
    found = await read_history(opened, own, keys, now=_now(), cache=cache)
    if who is not None:
        access = LogAccess(who)
        found = [
            one if one.console not in ("", who.host)
            else await attribute(one, access, not_elsewhere(own, one, found), since=since, until=until)
            for one in found
        ]  # fmt: skip
    counting = [without_ignored(one, ignored) for one in found]
    return [narrowed(one, [Selector(text) for text in only], since, until) for one in counting]


async def prune(store: Store | str, *, dry_run: bool = False, **rules: Any) -> list[Verdict]:
    """Remove the archives that no rule keeps; return what becomes of each archive, and why.

    `rules` are those of the settings' `[retention]`: `keep_last`, `keep_daily`, `keep_within`, …; days begin in UTC. Raise
    UsageError for a policy that keeps nothing, BackupError where an archive cannot be removed.
    """
    store, policy = _opened(store), policy_of(rules)
    if policy.empty:
        raise UsageError(
            "an empty policy would remove almost everything; say what to keep, such as keep_daily=14"
        )
    found, retention = await archives(store), pruning.Retention(policy, UTC)
    pruned = await pruning.prune(store, found, retention, now=_now(), dry_run=dry_run)
    if pruned.stuck:
        raise BackupError(pruned.stuck[0])
    return list(pruned.verdicts)


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
    """Plan how to bring the workspace `into`, by its id or slug, to the state of a snapshot; nothing is written.

    Of a folder, what people changed in its workspace since it was unpacked is kept, or blocked where the folder changed it too.
    `overlay` is what an overlay file holds: selector → values of the target. In `store` the record of the last clone is
    looked up, which tells what the target changed itself, and what a folder was unpacked from. `options` are those of `planning.PlanOptions`: prune, recreate,
    disable_links, only, skip, … Raise ConsoleError, AccessError, UsageError, BackupError where the record cannot be read, and FolderError.
    """
    rules = overlay if isinstance(overlay, Overlay) else parse_overlay(dict(overlay or {}))
    wanted = PlanOptions(overlay=rules, **options)
    known = None if store is None else _opened(store)
    opened = None if known is None else functools.partial(_opened, known)
    find, find_base = None, None
    if opened is not None:
        find = record_finder(opened, keys, wanted, now=_now, report=connection.report)
    if isinstance(snapshot, Folder):
        find_base = base_finder(snapshot, opened, keys, wanted, report=connection.report)
    return await restoring.prepare(
        connection.open(), into, _content(snapshot), wanted, connection.report,
        now=_now, find_record=find, find_base=find_base,
    )  # fmt: skip


async def apply(
    connection: Connection,
    prepared: Prepared,
    *,
    on_keys: Callable[[list[StreamKey]], None] | None = None,
    fail_fast: bool = False,
) -> Result:
    """Carry out a plan, read the workspace back and compare: `result.found` is what still differs, and why.

    The target is neither backed up nor leased; `restore` does both. `on_keys` is given the write keys of new streams before
    anything is sent, because Jitsu never shows them again; they are in `result.keys` too. Raise BlockedError for a plan that
    needs a decision, TargetChangedError for one that the workspace does not fit any more; then nothing was written.
    """
    if prepared.plan.blocked:
        raise BlockedError(why_blocked(prepared.plan))
    return await restoring.carry_out(
        connection.open(), prepared, connection.report,
        now=_now, fail_fast=fail_fast, before_writing=_key_giver(prepared, on_keys),
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
    """Bring the workspace `into` to the state of a snapshot or a folder, as `plan` and `apply` do, and protect it.

    While it is written, the workspace is leased in `store`, so that no other run writes; with `wait`, one that does is waited
    for. It is backed up into `store` before anything is changed: `result.way_back` names that archive. With `elsewhere` the
    snapshot's own workspace is refused. `options` are those of `plan`. What was brought into another workspace is recorded in
    the store for the next time: `result.record`, or `result.unrecorded`, which says why it is not.

    Raise what `plan` and `apply` raise, BlockedError where another run writes, or where the slug `into` has moved to another
    workspace, BackupError where the target cannot be backed up; then nothing was written.
    """
    opened = _opened(store)

    async def begun() -> Store:
        await mark(opened, await _listed(opened, new=new_store), _now())
        return opened

    safeguards = Safeguards(
        begun, await keys_to_write(keys, lambda: opened), _now, seconds_of_this_boot,
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
        with suppress(WaitedError):  # then the plan is made again
            return await carry_out_safely(
                connection.open(), prepared, connection.report, safeguards,
                fail_fast=fail_fast, before_writing=_key_giver(prepared, on_keys),
            )  # fmt: skip


async def clone(
    source: Connection, workspace: str, target: Connection, into: str, store: Store | str, **options: Any
) -> Result:
    """Make the workspace `into` of the console `target` like a workspace of the console `source`.

    `options` are those of `restore`. Raise IncompleteError where the source cannot be read whole, and what `restore` raises.
    """
    snapshot = await read_source(source, workspace, workspace, now=_now)
    return await restore(target, snapshot, into, store, elsewhere=True, **options)


def diff(before: Snapshot | Folder, after: Snapshot | Folder, **options: Any) -> Changes:
    """Return what differs between two snapshots or folders, paired as a restore would pair them; secrets are not in it.

    Of the `options` of a plan, `ignored`, `mapping`, `match_by_name`, `overlay` (for `before`) and `record` count. Raise
    UsageError for what names nothing.
    """
    one, other = (comparing.Side(_content(side)) for side in (before, after))
    return comparing.diff(one, other, options=PlanOptions(**options))


def dump(
    snapshot: Snapshot, *, encrypt_to: tuple[str, ...] | None = None, passphrase: str | None = None
) -> bytes:
    """Return the archive of a snapshot, encrypted with age where recipients or a passphrase are given.

    Raise BackupError, UsageError for a recipient that is none, BlockedError for what a redacted folder holds.
    """
    if snapshot.hidden:
        raise BlockedError("a redacted folder lacks its secrets, so no archive can be made of it")
    if (encrypt_to is not None and not encrypt_to) or passphrase == "":
        raise UsageError("an empty passphrase, or no recipient, cannot encrypt: leave it out to not encrypt")
    return ArchiveKeys(encrypt_to or (), passphrase=passphrase).seal(encode(snapshot))


def load(data: bytes, *, identities: tuple[bytes, ...] = (), passphrase: str | None = None) -> Snapshot:
    """Return the snapshot of an archive, checking everything. `identities` are the contents of identity files.

    Raise IntegrityError for one that is damaged, UsageError where its key is not given, LockedError where it is another.
    """
    return ArchiveKeys(identities=identities, passphrase=passphrase).open(data)


def _key_giver(prepared: Prepared, on_keys: Callable[[list[StreamKey]], None] | None) -> Callable[[], None]:
    """Return what gives the new write keys, if there are any, to whoever keeps them."""

    def give() -> None:
        if on_keys is not None and prepared.keys:
            on_keys(list(prepared.keys.values()))

    return give


def _content(snapshot: Snapshot | Folder) -> Snapshot:
    return snapshot.snapshot if isinstance(snapshot, Folder) else snapshot
