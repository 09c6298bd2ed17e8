"""The history of the workspaces of a store: its archives read in the order of time, each compared with what was known."""

import asyncio
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from jitsu_backup.archive import PACKED, ArchiveName, check_origin
from jitsu_backup.catalogue import known_schemas, newest_schemas
from jitsu_backup.errors import BackupError
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.model import Snapshot, plural
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.diff import widest
from jitsu_backup.operations.history_cache import Ending, HistoryCache, Kept, Remembered
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.planning import Schemas
from jitsu_backup.planning.history import History
from jitsu_backup.planning.history_steps import Run, Shown, runs_of, steps_of
from jitsu_backup.planning.succession import Known, Move, advance, first_known, known_again
from jitsu_backup.store import Store

_AT_ONCE = 8
"""How many archives are read ahead: a store far away takes its time for each."""

_STATES = 4
"""How many states are kept in memory: keys of different rights may take turns, and then the same archives come again."""

_TOLD_EVERY = 50

_BEGINNING = ""


@functools.cache
def _schemas() -> Schemas:
    return widest(known_schemas(), newest_schemas())


async def history(
    store: Store,
    archives: Iterable[ArchiveName],
    keys: ArchiveKeys,
    *,
    now: datetime,
    cache: Path | None = None,
    report: Reporter = silent,
) -> list[History]:
    """Return the history of each workspace that `archives` of a store are of, by its slug.

    `cache` is a folder that remembers what was found out, None to read everything. What cannot be read is in the history, not
    an exception: only a failure of the store as a whole is raised.
    """
    by_workspace: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        by_workspace[archive.workspace_id].append(archive)
    found = []
    for workspace_id, own in sorted(by_workspace.items()):
        file = None if cache is None else HistoryCache(cache, store.url, workspace_id)
        found.append(await _of_workspace(store, own, keys, now=now, file=file, report=report))
    return sorted(found, key=lambda one: (one.slug, one.workspace_id))


async def _of_workspace(
    store: Store,
    archives: Sequence[ArchiveName],
    keys: ArchiveKeys,
    *,
    now: datetime,
    file: HistoryCache | None,
    report: Reporter,
) -> History:
    counting = [one for one in archives if _counts(one, now)]
    whole = [one for one in counting if not one.damaged]
    unread = [(one, f"it is damaged: {one.remains}") for one in counting if one.damaged]
    runs = runs_of(whole)
    reader = _Reader(store, runs, keys)
    walk = _Walk(reader, runs, Remembered() if file is None else file.load())
    try:
        newest = await walk.go(report)
    finally:
        await reader.close()
    if file is not None and walk.has_news:
        file.keep(walk.to_remember())
    steps, lineages = ((), {}) if newest is None else steps_of(walk.shown, newest)
    latest = max(archives, key=lambda one: one.sort_key)
    return History(
        latest.workspace_id,
        latest.slug,
        steps,
        tuple(archive for one in walk.shown for archive in one.run.archives),
        tuple(sorted([*unread, *reader.unread.values()], key=lambda one: one[0].sort_key)),
        newest,
        notes=tuple(_notes(archives, now)),
        lineages=lineages,
    )


def _counts(archive: ArchiveName, now: datetime) -> bool:
    """Return whether an archive says what was in the workspace at its time."""
    aside = PACKED in archive.marks or archive.cloned_from is not None
    return not aside and not archive.is_from_the_future(now)


def _notes(archives: Iterable[ArchiveName], now: datetime) -> list[str]:
    """Return what does not count, in words."""
    out = [one for one in archives if not _counts(one, now)]
    packed = sum(PACKED in one.marks for one in out)
    records = sum(one.cloned_from is not None for one in out)
    kinds = (
        (packed, "made by pack"),
        (records, "what a run left"),
        (len(out) - packed - records, "dated in the future, so that a clock is wrong"),
    )
    told = ", ".join(f"{count} {words}" for count, words in kinds if count)
    return [f"{plural(len(out), 'archive does', 'archives do')} not count: {told}"] if out else []


class _LostError(Exception):
    """What was known at some time cannot be put together again from what was remembered."""


class _Walk:
    """One reading of the archives of a workspace, oldest first.

    `state` is the id of what is known after the archives so far; `shown` is what each run of archives shows.
    """

    def __init__(self, reader: "_Reader", runs: Sequence[Run], remembered: Remembered) -> None:
        self.reader, self.runs, self.remembered = reader, runs, remembered
        self.private = {run.id for run in runs if all(archive.encrypted for archive in run.archives)}
        self.has_news = False
        self._begin()

    def _begin(self) -> None:
        self.state, self.shown = _BEGINNING, list[Shown]()
        self.states: dict[str, Known] = {}
        self.used: dict[tuple[str, str], Kept] = {}
        self.reader.unread.clear()

    async def go(self, report: Reporter) -> Snapshot | None:
        """Go through all the archives; return the state at the end, None where none can be read."""
        try:
            await self._through(report)
            known = await self._known()
        except _LostError:
            self.remembered = Remembered()
            self._begin()
            await self._through(report)
            known = await self._known()
        return None if known is None else replace(known.snapshot, secrets={})

    async def _through(self, report: Reporter) -> None:
        for at, run in enumerate(self.runs):
            kept, readable = self.remembered.moves.get((self.state, run.id)), run
            if kept is None:
                kept, readable = await self._moved(at)
                if at % _TOLD_EVERY == _TOLD_EVERY - 1:
                    report(Progress("reading archives", at + 1, len(self.runs)))
            if kept is not None:
                if not kept.private:
                    self.used[self.state, run.id] = kept
                self.shown.append(Shown(readable, kept.differences, kept.pairs))
                self.state = kept.state

    async def _moved(self, at: int) -> tuple[Kept | None, Run]:
        """Return what a run of archives shows after what is known, and which of it can be read; None where none can."""
        run = self.runs[at]
        known = await self._known()
        snapshot, readable = await self.reader.snapshot(at)
        if snapshot is None:
            return None, run
        move = (
            Move(first_known(snapshot, run.id))
            if known is None
            else advance(known, snapshot, run.id, _schemas())
        )
        self._hold(move.known)
        made_of = move.known.archives() | (set() if known is None else known.archives())
        self.has_news = True
        private = bool(made_of & self.private)
        return Kept(_state_of(move.known), move.differences, move.pairs, private), readable

    def _hold(self, known: Known) -> None:
        state = _state_of(known)
        self.states.pop(state, None)
        self.states[state] = known
        if len(self.states) > _STATES:
            del self.states[next(iter(self.states))]

    async def _known(self) -> Known | None:
        """Return what is known now. Raise _LostError."""
        if self.state == _BEGINNING:
            return None
        if self.state not in self.states:
            self._hold(await self._put_together())
        return self.states[self.state]

    async def _put_together(self) -> Known:
        """Return what is known now, from the archives that say it. Raise _LostError."""
        archive, ending = self.shown[-1].run.id, self.remembered.ending
        if self.state != archive and (ending is None or ending.state != self.state):
            raise _LostError
        wanted = {archive} if self.state == archive or ending is None else ending.archives
        positions = {run.id: at for at, run in enumerate(self.runs)}
        snapshots = {}
        for one in wanted:
            snapshot = (await self.reader.snapshot(positions[one]))[0] if one in positions else None
            if snapshot is None:
                raise _LostError
            snapshots[one] = snapshot
        if self.state == archive or ending is None:
            return first_known(snapshots[archive], archive)
        known = known_again(snapshots, ending.archive, ending.seen, ending.told)
        if known is None:
            raise _LostError
        return known

    def to_remember(self) -> Remembered:
        """Return what to keep for the next time."""
        known = self.states.get(self.state)
        ending = None
        if known is not None and known.exact and not known.archives() & self.private:
            ending = Ending(self.state, known.archive, known.seen, known.told)
        return Remembered(self.used, ending)


class _Reader:
    """Reads archives a few ahead, because a store far away takes its time for each; `unread` are those that cannot be read."""

    def __init__(self, store: Store, runs: Sequence[Run], keys: ArchiveKeys) -> None:
        self.store, self.runs, self.keys = store, runs, keys
        self.unread: dict[str, tuple[ArchiveName, str]] = {}
        self._ahead: dict[str, asyncio.Task[bytes]] = {}
        self._last: Snapshot | None = None

    async def snapshot(self, at: int) -> tuple[Snapshot | None, Run]:
        """Return the content of a run of archives, and the run without what cannot be read."""
        for run in self.runs[at : at + _AT_ONCE]:
            self._read(str(run.archives[0]))
        run = self.runs[at]
        for number, archive in enumerate(run.archives):
            name = str(archive)
            try:
                self._last = open_archive(
                    archive, await self._read(name), self.keys, check=check_origin, like=self._last
                )
                return self._last, Run(run.archives[number:])
            except BackupError as problem:
                self.unread[name] = archive, str(problem).removeprefix(f"{name}: ")
            finally:
                self._ahead.pop(name, None)
        return None, run

    def _read(self, name: str) -> asyncio.Task[bytes]:
        if name not in self._ahead:
            self._ahead[name] = asyncio.create_task(self._bytes(name))
        return self._ahead[name]

    async def _bytes(self, name: str) -> bytes:
        return await self.store.read(name)

    async def close(self) -> None:
        """Give up what was read ahead in vain."""
        for task in self._ahead.values():
            task.cancel()
        await asyncio.gather(*self._ahead.values(), return_exceptions=True)


def _state_of(known: Known) -> str:
    """Return the id of what is known: the archive's own where it says all, else a hash of which archives say what."""
    if not known.carried:
        return known.archive
    told = sorted([*key, path, archive] for (key, path), archive in known.told.items())
    made_of = orjson.dumps([known.archive, sorted(known.seen.items()), told])
    return hashlib.sha256(made_of).hexdigest()[:32]
