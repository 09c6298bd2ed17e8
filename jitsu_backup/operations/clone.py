"""Cloning: the source is read whole; bringing it into the target is a restore."""

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
    """Return the workspace to clone, by its id or slug; `called` is what a message calls it.

    Raise IncompleteError where it was not read whole, ConsoleError, AccessError where it was not read at all.
    """
    async with connection.open() as console:
        snapshot = await read_workspace(console, workspace, now=now, report=connection.report)
    if not snapshot.manifest.complete:
        names = names_of_refused(snapshot)
        lacking = [(names[r.what], r.reason) for r in snapshot.manifest.refused if r.missing]
        what = reasons_in_words(lacking) or "it kept changing while it was read"
        raise IncompleteError(f"{called} could not be read whole, so nothing was cloned: {what}")
    return snapshot
