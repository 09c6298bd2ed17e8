"""Reading workspaces of a console, and keeping them in a store."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jitsu_backup.api.access import NO_KEYS, as_store, now
from jitsu_backup.console import Gates
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.events import Problem
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.asking import Unchanged
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.pace import HALF
from jitsu_backup.operations.save import Saved, SaveOptions
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.operations.watch import Watch
from jitsu_backup.operations.watching import Surroundings, WatchEvent, WatchJob
from jitsu_backup.settings import checked_key, normal_host
from jitsu_backup.store import Store


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
        return await read_workspace(console, workspace, now=now, report=connection.report)


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
        job, as_store(store), keys, connection.report, now=now, monotonic=asyncio.get_running_loop().time,
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
        store=as_store(store), now=now, monotonic=asyncio.get_running_loop().time, keys=keys, told=told,
        report=connection.report, expected=ExpectedStore(named=True, may_be_new=new_store),
    )  # fmt: skip
    await Watch(WatchJob(backup, settle), around).run(stop)
