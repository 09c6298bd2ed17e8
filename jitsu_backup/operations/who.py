"""Who changed what between snapshots, from the console's audit log, which is read once for the whole time."""

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

_INSTEAD = "changes without a name show when the entity was last saved, if the console knows"

_GLANCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LogAccess:
    """How the audit log is read: with the key of this tool's runs, or if that may not read it, as the operator.

    `operator` is the connection with the operator's token, if one is known.
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
    """Return a history whose changes say who made them, with changes that no snapshot saw, and notes about gaps.

    The history must not be narrowed, because what a selector leaves out would count as never seen. Only entries between
    `since` and `until` are read. `known` are all archives of the store. Their marks say when this tool wrote. A failure of
    the log raises nothing.
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
    """Return the span of the log to read: the time in which a change of the wanted time may have been made."""
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


async def glance(changes: Changes, access: LogAccess, known: Iterable[ArchiveName]) -> Attribution | None:
    """Return who made changes, as far as one short request shows. With a token, it is the operator's request.

    Return None if the log does not answer in time, or the rate budget of the key is used up. A failure of the log raises
    and reports nothing.
    """
    connection = replace(
        access.operator or access.connection, timeout=_GLANCE_SECONDS, retry_for=0.0, report=silent
    )
    key_id = connection.key.reveal().partition(":")[0]
    if not connection.gates.of(connection.host.rstrip("/"), key_id, "GET").has_spare:
        return None
    workspace_id = changes.after.manifest.source.workspace_id
    begin, end = sorted((changes.before.taken_at, changes.after.taken_at))
    try:
        async with asyncio.timeout(_GLANCE_SECONDS):  # also covers a wait for the rate budget
            log = await _asked(connection, workspace_id, begin, end, most_pages=1)
    except TimeoutError:
        return None
    if log.state is LogState.AWAY:
        return None
    return attribute_changes(changes, log.entries, _runs(access, workspace_id, known))


def not_elsewhere(
    known: Iterable[ArchiveName], history: History, histories: Iterable[History]
) -> list[ArchiveName]:
    """Return the archives that may be of the console of `history`: those that no other console's history has."""
    others = [one for one in histories if one.workspace_id == history.workspace_id and one is not history]
    theirs = {str(archive) for one in others for archive in one.archives}
    return [archive for archive in known if str(archive) not in theirs]


def not_asked(why: BackupError | str) -> str:
    """Return the note for an audit log that could not be read at all."""
    return f"the audit log could not be read, so it is unknown who changed what: {why}; {_INSTEAD}"


async def _told(
    access: LogAccess, workspace_id: str, begin: datetime, end: datetime, known: Iterable[ArchiveName]
) -> tuple[AuditLog, OwnRuns]:
    """Return the log's entries of a span of time, and when this tool wrote with which key."""
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
    except BackupError as problem:  # about certificates and proxies
        return AuditLog((), LogState.AWAY, str(problem))


def _notes(log: AuditLog) -> Iterable[str]:
    """Yield notes about a log that could not be read completely."""
    until = f" before {shown_time(log.entries[-1].at)}" if log.entries else ""
    match log.state:
        case LogState.WHOLE:
            return
        case LogState.EMPTY:
            message = (
                "the audit log has no entries for this time; it stays empty if the console runs without"
                " CONSOLE_ENABLE_AUDIT_LOG"
            )
        case LogState.CUT:
            message = (
                f"the audit log has {log.why}, too many to read, so it is unknown who changed what{until}"
            )
        case LogState.NOT_ALLOWED:
            message = f"only owners and the operator's token may read the audit log ({log.why})"
        case LogState.NOT_OFFERED:
            message = "this console keeps no audit log"
        case LogState.AWAY:
            message = f"the audit log{until} could not be reached ({log.why})"
        case LogState.DAMAGED:
            message = f"the audit log{until} could not be read completely ({log.why})"
    yield f"{message}; {_INSTEAD}"
