"""Ask whether a workspace has changed since it was last read completely. In any doubt it is read.

The console reports changes of objects, links and the workspace itself. Three more requests cover what else an archive
restores: profile builders, types that the catalogue does not know, and the cursors of syncs. Members and options are
kept for reference only, so they are read only together with the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jitsu_backup import __version__
from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import entity_type, listed_under
from jitsu_backup.console import Console, gather
from jitsu_backup.console.bodies import Size
from jitsu_backup.console.console_info import ConsoleInfo
from jitsu_backup.console.listening import Heard
from jitsu_backup.console.routes import read_list
from jitsu_backup.console.sync_cursors import NoCursorsError, read_cursors
from jitsu_backup.console.workspaces import Workspace
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Entity, Snapshot, Source, content_digest, features_of, members_of
from jitsu_backup.operations.save import Saved, SaveOptions, would_alarm
from jitsu_backup.store import Reading

LATEST_COMMIT = timedelta(seconds=30)
"""How long after its time stamp a change may be committed. The console's own transactions take at most 5 seconds."""

CLOCKS_DRIFT = timedelta(seconds=30)
"""How far the console's clock and ours may drift apart between a complete reading and a question."""

MARGIN = LATEST_COMMIT + CLOCKS_DRIFT
"""How long before a reading nothing may have changed: a change may be dated that much too early."""

Cursors = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question whether a workspace has changed, its answer (`heard`), and when it was asked by our clock.

    With `operator`, the run reads with the operator's token too.
    """

    host: str
    workspace: Workspace
    info: ConsoleInfo
    heard: Heard
    began: datetime
    operator: bool

    @property
    def source(self) -> Source:
        """The workspace and its console."""
        workspace = self.workspace
        return Source(self.host, workspace.id, workspace.slug, workspace.name, self.info.version)

    @property
    def unheard_types(self) -> list[str]:
        """The types with a list of their own whose changes the console does not report."""
        return [name for name in self.info.types if not entity_type(name).heard]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A workspace that was not read, because `archive` still holds all of it."""

    source: Source
    archive: ArchiveName

    @property
    def written(self) -> bool:
        """Whether an archive was written, as in Saved."""
        return False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, as in Saved."""
        return True


def reading_of(question: Question, saved: Saved) -> Reading:
    """Return what to remember of a workspace that was read completely after a question."""
    snapshot = saved.snapshot
    syncs = tuple(sorted(_syncs_with_cursors(snapshot)))
    wanted = set(question.unheard_types)
    lists = {name: [e.body for e in snapshot.entities if listed_under(e.key.type) == name] for name in wanted}
    return Reading(
        question.workspace.id,
        saved.archive.digest_prefix,
        question.heard.now,
        question.began,
        question.heard.last_modified,
        _digest(question, lists, {sync: snapshot.cursors.get(sync, {}) for sync in syncs}),
        syncs,
    )


def is_enough(
    before: ArchiveName, own: list[ArchiveName], reading: Reading, options: SaveOptions, now: datetime
) -> bool:
    """Return whether this run would write the newest archive again, without an alarm, if nothing has changed.

    `own` are all archives of the workspace. `before` is the newest of them.
    """
    if options.accept_shrink or options.uncompared:
        return False
    whole = before.sound and before.size is not None and not before.is_from_the_future(now)
    protected = before.encrypted == options.encrypted and before.key == options.key
    labelled = frozenset(options.labels) <= before.labels
    wanted = whole and protected and labelled and before.digest_prefix == reading.digest_prefix
    return wanted and not would_alarm(before, own, options, now)


def is_at_rest(reading: Reading, question: Question, full_every: timedelta) -> bool:
    """Return whether no object and no link has changed since a reading that is younger than `full_every`.

    If the console's clock runs as fast as ours, a change that was committed after the reading began is dated at most
    MARGIN before that beginning.
    """
    theirs, ours = question.heard.now - reading.asked, question.began - reading.began
    steady = min(theirs, ours) >= timedelta(0) and abs(theirs - ours) <= CLOCKS_DRIFT
    young = max(theirs, ours) < full_every
    same = question.heard.last_modified == reading.last_modified
    return steady and young and same and reading.last_modified < reading.asked - MARGIN


async def unheard_is_same(console: Console, question: Question, reading: Reading, size: Size) -> bool:
    """Return whether what the console does not report is unchanged. In doubt it counts as changed."""
    workspace_id = question.workspace.id
    lists: dict[str, list[Mapping[str, Any]]] = {}
    cursors: dict[str, Mapping[str, str]] = {}

    async def listed(name: str) -> None:
        listing = await read_list(console, workspace_id, name, beside=size)
        lists[name] = [*listing.items, *({"id": unfit} for unfit in listing.unfit)]

    async def read(sync: str) -> None:
        cursors[sync] = await read_cursors(console, workspace_id, sync, beside=size)

    try:
        await gather(*map(listed, question.unheard_types), *map(read, reading.syncs))
    except (BackupError, NoCursorsError):
        return False
    return _digest(question, lists, cursors) == reading.unheard


def _digest(question: Question, lists: Mapping[str, Iterable[Mapping[str, Any]]], cursors: Cursors) -> str:
    """Return a digest of everything that must be unchanged and that the console does not report.

    It includes the console, the user and both versions, because another version of either side may read more.
    """
    workspace, info = question.workspace, question.info
    body = workspace.body
    return content_digest(
        {
            "tool": __version__,
            "console": [question.host, info.version, list(info.types)],
            "reader": [info.user_id, question.operator],
            "workspace": [workspace.id, workspace.slug, workspace.name, body.get("createdAt")],
            "features": sorted(features_of(body)),
            "lists": {name: sorted(items, key=lambda item: str(item["id"])) for name, items in lists.items()},
            "cursors": cursors,
        }
    )


def _syncs_with_cursors(snapshot: Snapshot) -> Iterable[str]:
    """Yield the ids of the syncs that keep cursors, if the console keeps any."""
    if "sync-cursor" in snapshot.manifest.not_offered:
        return
    for link in snapshot.of_type("link"):
        if link.body.get("type") == "sync" and not _reads_all_anew(snapshot, link):
            yield link.key.id


def _reads_all_anew(snapshot: Snapshot, sync: Entity) -> bool:
    """Return whether a sync reads its streams from the beginning every time, and so has never kept a cursor.

    It uses no cursor until its options change, and the console reports that change.
    """
    streams = members_of(members_of(sync.body.get("data")).get("streams")).values()
    modes = {members_of(stream).get("sync_mode") for stream in streams}
    return modes == {"full_refresh"} and not snapshot.cursors.get(sync.key.id)
