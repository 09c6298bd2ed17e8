"""Who changed what between snapshots: the console's audit log, asked once for the whole time."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from jitsu_backup.archive import ArchiveName
from jitsu_backup.archive.filename import CLOCKS_DIFFER
from jitsu_backup.console.audit_log import MOST_PAGES, AuditLog, LogState, read_audit_log
from jitsu_backup.console.own_user import is_operator
from jitsu_backup.errors import BackupError
from jitsu_backup.events import silent
from jitsu_backup.model import shown_time
from jitsu_backup.operations.connection import Connection
from jitsu_backup.planning.attribution import (
    Attribution,
    OwnRuns,
    attribute_changes,
    attribute_history,
    own_runs,
)
from jitsu_backup.planning.changes import Changes
from jitsu_backup.planning.history import History

_INSTEAD = "where nobody is named, the time is that of the last saving, if the console tells that"

_GLANCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LogAccess:
    """How the audit log is asked: with the key of this tool's runs, and where that may not, as the operator.

    `operator` is the connection with the operator's service token, where one is known.
    """

    connection: Connection
    operator: Connection | None = None


async def attribute(
    history: History,
    access: LogAccess,
    known: Iterable[ArchiveName],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> History:
    """Return a history whose changes name who made them, with what no snapshot saw, and a note where that is not known.

    The history has to be whole, not narrowed: what a selector leaves out would count as never seen. Only what may have happened
    between `since` and `until` is asked for. `known` are all archives of the store, whose marks tell when this tool wrote. Raise
    nothing because of the log.
    """
    if len(history.archives) < 2 or history.newest is None:  # nothing can have changed between them
        return history
    workspace_id = history.newest.manifest.source.workspace_id  # the names of archives spell it their own way
    log, ours = await _told(access, workspace_id, *_asked_about(history, since, until), known)
    found = attribute_history(history, log.entries, ours)
    return replace(found, notes=(*found.notes, *_notes(log)))


def _asked_about(
    history: History, since: datetime | None, until: datetime | None
) -> tuple[datetime, datetime]:
    """Return from when to when the log is asked: all the time in which a change of the wanted time may have been made."""
    moments = sorted(archive.taken_at for archive in history.archives)
    steps = [step for step in history.steps if since is None or step.after.taken_at >= since]
    steps = [step for step in steps if until is None or step.before.taken_at < until]
    begin = moments[0] if since is None else max(moments[0], min(since, moments[-1]))
    end = moments[-1] if until is None else min(moments[-1], max(until, moments[0]))
    begins, ends = ([step.before.taken_at for step in steps], [step.after.taken_at for step in steps])
    return min([begin, *begins]), max([end, *ends])


async def attribute_diff(changes: Changes, access: LogAccess, known: Iterable[ArchiveName]) -> Attribution:
    """Return who made the changes between two snapshots of one workspace, as `attribute` does."""
    workspace_id = changes.after.manifest.source.workspace_id
    begin, end = sorted((changes.before.taken_at, changes.after.taken_at))
    log, ours = await _told(access, workspace_id, begin, end, known)
    found = attribute_changes(changes, log.entries, ours)
    return replace(found, notes=tuple(_notes(log)))


async def glance(changes: Changes, access: LogAccess, known: Iterable[ArchiveName]) -> Attribution:
    """Return who made changes as far as one short request tells, the operator's where there is a token; else nobody.

    Raise nothing because of the log, and say nothing of it.
    """
    connection = replace(
        access.operator or access.connection, timeout=_GLANCE_SECONDS, retry_for=0.0, report=silent
    )
    workspace_id = changes.after.manifest.source.workspace_id
    begin, end = sorted((changes.before.taken_at, changes.after.taken_at))
    try:
        async with asyncio.timeout(_GLANCE_SECONDS):  # also where the rate budget is used up
            log = await _asked(connection, workspace_id, begin, end, most_pages=1)
    except TimeoutError:
        return Attribution()
    return attribute_changes(changes, log.entries, _runs(access, workspace_id, known))


def not_asked(why: BackupError | str) -> str:
    """Return the note for an audit log that could not be asked at all."""
    return f"the audit log could not be asked who changed what: {why}; {_INSTEAD}"


async def _told(
    access: LogAccess, workspace_id: str, begin: datetime, end: datetime, known: Iterable[ArchiveName]
) -> tuple[AuditLog, OwnRuns]:
    """Return what the log tells of a span of time, and when this tool wrote with which key."""
    runs = _runs(access, workspace_id, known)
    log = await _asked(access.connection, workspace_id, begin, end)
    if log.state is LogState.NOT_ALLOWED and access.operator is not None:
        log = await _asked(access.operator, workspace_id, begin, end)
    if runs.times and any(entry.operator for entry in log.entries):
        async with access.connection.open() as console:
            runs = replace(runs, operator=await is_operator(console))
    return log, runs


def _runs(access: LogAccess, workspace_id: str, known: Iterable[ArchiveName]) -> OwnRuns:
    """Return when this tool wrote, with the key of the connection."""
    key, colon, _ = access.connection.key.reveal().partition(":")
    return own_runs(known, workspace_id, key if colon else None)


async def _asked(
    connection: Connection, workspace_id: str, begin: datetime, end: datetime, *, most_pages: int = MOST_PAGES
) -> AuditLog:
    since, until = begin - CLOCKS_DIFFER, end + CLOCKS_DIFFER
    try:
        async with connection.open() as console:
            return await read_audit_log(console, workspace_id, since, until, most_pages=most_pages)
    except BackupError as problem:  # of certificates and proxies
        return AuditLog((), LogState.AWAY, str(problem))


def _notes(log: AuditLog) -> Iterable[str]:
    """Yield what has to be said of a log that did not tell all."""
    until = f" before {shown_time(log.entries[-1].at)}" if log.entries else ""
    match log.state:
        case LogState.WHOLE:
            return
        case LogState.EMPTY:
            told = (
                "the audit log has nothing of this time, which proves nothing: it is empty where the console runs without"
                " CONSOLE_ENABLE_AUDIT_LOG"
            )
        case LogState.CUT:
            told = f"the audit log has {log.why}, too many to read; who changed what{until} is not told"
        case LogState.NOT_ALLOWED:
            told = f"the audit log is for owners and the operator's token alone ({log.why})"
        case LogState.NOT_OFFERED:
            told = "this console keeps no audit log"
        case LogState.AWAY:
            told = f"the audit log{until} is out of reach ({log.why})"
        case LogState.DAMAGED:
            told = f"the audit log{until} could not be read whole ({log.why})"
    yield f"{told}; {_INSTEAD}"
