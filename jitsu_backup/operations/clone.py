"""Cloning: the source is read completely, then restored into the target."""

from collections.abc import Callable
from datetime import datetime

from jitsu_backup.catalogue import names_of_refused
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.errors import IncompleteError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.alarms import reasons_in_words
from jitsu_backup.operations.connection import Connection


async def read_source(
    connection: Connection, workspace: str, called: str, *, now: Callable[[], datetime]
) -> Snapshot:
    """Return the workspace to clone, given by its id or slug. Messages call it `called`.

    Raise IncompleteError if part of it could not be read, ConsoleError or AccessError if nothing could be read.
    """
    async with connection.open() as console:
        snapshot = await read_workspace(console, workspace, now=now, report=connection.report)
    if not snapshot.manifest.complete:
        names = names_of_refused(snapshot)
        lacking = [(names[r.what], r.reason) for r in snapshot.manifest.refused if r.missing]
        what = reasons_in_words(lacking) or "it kept changing while it was read"
        raise IncompleteError(
            f"{called} could not be read completely, so nothing was cloned: {what}; run it again"
        )
    return snapshot
