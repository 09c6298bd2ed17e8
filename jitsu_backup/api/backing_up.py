"""Read workspaces from a console and back them up into a store."""

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
    """Return a connection to a console, without sending anything yet; `options` are the fields of Connection.

    Raise UsageError if `host` is not an address, AccessError if `key` is not a key.
    """
    return Connection(normal_host(str(host)), checked_key(str(key)), **options)


async def read(connection: Connection, workspace: str) -> Snapshot:
    """Return a snapshot of a workspace, given by id or slug. Missing parts are listed in `snapshot.manifest`, not raised.

    Raise ConsoleError or AccessError if the workspace itself cannot be read.
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
    """Back up a workspace into a store. The result is `whole` if nothing is missing and no alarm was raised.

    The store is a folder or a URL; `new_store` allows to create it. With `if_changed`, nothing is written if the newest
    archive has the same content. If the workspace was last read less than `full_every` ago, it is first asked whether it
    changed; if it certainly did not, it is not read, and the result is Unchanged with the `archive` that holds it.
    `shrink_alarm` is the share, from 0 to 1, by which a count may fall. Raise BackupError; then nothing was stored, unless
    the message says that the store could not be listed, so nothing was compared.
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
    """Back up each change within seconds, until `stop` is set.

    `workspaces` are ids or slugs; without any, all workspaces that the key can read are watched. At most half of the key's
    read budget is spent. `told` is called with every event. The watch survives outages of the console and the store. Raise
    UsageError.
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
