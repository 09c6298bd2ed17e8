"""The operator's backup of a whole console over real sockets, beside a bare httpx loop that sends the same requests."""

import itertools
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from jitsu_backup.console.client import CONCURRENCY
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore
from tests.benchmarks.console import console
from tests.benchmarks.sockets import bare, seconds
from tests.benchmarks.table import Row, alternating, ratio
from tests.support import run

TOKEN = "service:admintoken"
ENTITIES = 50


def whole_console(url: str, store: Path) -> BackupRun:
    """Do what `backup --all --plaintext-secrets` does with the operator's token as the key, into a new store."""
    connection = Connection(url, SecretText(TOKEN), concurrency=CONCURRENCY)
    backup = Backup(
        BackupJob((WorkspaceAccess(connection),), everything=True, plaintext=True), FolderStore(str(store)),
        ArchiveKeys(), now=lambda: datetime.now(UTC), monotonic=time.monotonic, expected=ExpectedStore(may_be_new=True),
    )  # fmt: skip
    ended: BackupRun = run(backup.run())
    return ended


def operators(folder: Path, *, full: bool) -> Iterator[Row]:
    """`backup --all` with the operator's token, of a console without limits."""
    numbers, workspaces = itertools.count(), 300 if full else 100
    with console() as served:
        served.begin(workspaces=[workspaces, ENTITIES], latency=0.0, same_answers=True)
        ended = whole_console(served.url, folder / "operator")
        assert ended.exit_code == 0
        assert len(ended.saved) == workspaces
        log = served.log()

        def ours() -> float:
            store = folder / f"operator-{next(numbers)}"
            took = seconds(lambda: whole_console(served.url, store))
            shutil.rmtree(store)
            return took

        mine, theirs = alternating(
            3 if full else 2, ours, lambda: seconds(lambda: bare(served.url, log, TOKEN))
        )
    yield ratio(
        f"operator's backup --all, {workspaces} workspaces ({len(log):,} requests)",
        mine,
        theirs,
        "s",
        "bare loop",
        1.2,
    )
