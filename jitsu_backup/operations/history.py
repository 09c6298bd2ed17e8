"""The history of the workspaces of a store: archives are read in order of time, each compared with the state before."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import orjson

from jitsu_backup.archive import PACKED, ArchiveName, check_origin
from jitsu_backup.errors import BackupError
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.model import Snapshot, plural
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.diff import recorded_schemas
from jitsu_backup.operations.history_cache import Ending, HistoryCache, Kept, Remembered
from jitsu_backup.operations.snapshots import content_of
from jitsu_backup.planning.history import History
from jitsu_backup.planning.history_steps import Run, Shown, runs_of, steps_of
from jitsu_backup.planning.succession import Known, Move, advance, first_known, known_again
from jitsu_backup.store import Store

_AT_ONCE = 8
"""How many archives are read ahead, because a remote store is slow."""

_STATES = 4
"""How many states are kept in memory. If keys with different permissions alternate, the same archives recur."""

_TOLD_EVERY = 50

_BEGINNING = ""


async def history(
    store: Store,
    archives: Iterable[ArchiveName],
    keys: ArchiveKeys,
    *,
    now: datetime,
    cache: Path | None = None,
    report: Reporter = silent,
) -> list[History]:
    """Return the history of each workspace that `archives` of a store belong to, by its slug.

    Consoles may have workspaces with the same id, as after a copy of the database. Each console has its own history.
    `cache` is a folder that remembers results, or None to read everything. Unreadable archives are listed in the history;
    only a failure of the store as a whole is raised.
    """
    by_workspace: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        by_workspace[archive.workspace_id].append(archive)
    found: list[History] = []
    stamps = {} if cache is None else await store.stamps()
    for workspace_id, own in sorted(by_workspace.items()):
        file = None if cache is None else HistoryCache(cache, store.url, workspace_id)
        found += await _of_workspace(store, own, keys, now=now, file=file, stamps=stamps, report=report)
    return sorted(found, key=lambda one: (one.slug, one.workspace_id, one.console))


async def _of_workspace(
    store: Store,
    archives: Sequence[ArchiveName],
    keys: ArchiveKeys,
    *,
    now: datetime,
    file: HistoryCache | None,
    stamps: Mapping[str, str],
    report: Reporter,
) -> list[History]:
    """Return the histories of the workspaces with one id, one for each console. They are empty if nothing can be read.

    Archives that could not be read or do not count may belong to any of them. They are listed with the last one.
    """
    counting = [one for one in archives if _counts(one, now)]
    whole = [one for one in counting if not one.damaged]
    unread = [(one, f"it is damaged: {one.remains}") for one in counting if one.damaged]
    runs = runs_of(whole)
    reader = _Reader(store, runs, keys)
    walk = _Walk(reader, runs, Remembered() if file is None else file.load(), stamps)
    try:
        lines = await walk.go(report)
    finally:
        await reader.close()
    if file is not None and walk.has_news:
        file.keep(walk.to_remember())
    newest = max(archives, key=lambda one: one.sort_key)
    unread = sorted([*unread, *reader.unread.values()], key=lambda one: one[0].sort_key)
    found = [_of_console(line, newest if len(lines) == 1 else None) for line in lines]
    found = found or [History(newest.workspace_id, newest.slug, (), ())]
    last = max(found, key=lambda one: [archive.sort_key for archive in one.archives[-1:]])
    with_notes = replace(last, unread=tuple(unread), notes=tuple(_notes(archives, now)))
    return [with_notes if one is last else one for one in found]


def _of_console(line: "_Line", newest: ArchiveName | None) -> History:
    """Return the history of a workspace on one console. `newest` is its newest archive, or None with several consoles."""
    assert line.newest is not None  # noqa: S101  for the type checker
    steps, lineages = steps_of(line.shown, line.newest)
    console = line.console if newest is None else ""
    archives = tuple(archive for one in line.shown for archive in one.run.archives)
    latest = newest or archives[-1]
    steps = tuple(replace(step, console=console) for step in steps)
    return History(
        latest.workspace_id,
        latest.slug,
        steps,
        archives,
        newest=line.newest,
        lineages=lineages,
        console=console,
    )


def _counts(archive: ArchiveName, now: datetime) -> bool:
    """Return whether an archive shows the workspace at its time."""
    aside = PACKED in archive.marks or archive.cloned_from is not None
    return not aside and not archive.is_from_the_future(now)


def _notes(archives: Iterable[ArchiveName], now: datetime) -> list[str]:
    """Return which archives do not count, in words."""
    out = [one for one in archives if not _counts(one, now)]
    packed = sum(PACKED in one.marks for one in out)
    records = sum(one.cloned_from is not None for one in out)
    kinds = (
        (packed, "made by pack"),
        (records, "left by a restore or clone"),
        (len(out) - packed - records, "dated in the future (a clock was wrong)"),
    )
    reasons = ", ".join(f"{count} {words}" for count, words in kinds if count)
    return [f"{plural(len(out), 'archive does', 'archives do')} not count: {reasons}"] if out else []


class _LostError(Exception):
    """A past state cannot be rebuilt from what was remembered."""


@dataclass(slots=True)
class _Line:
    """What the archives of one console show.

    `state` is the id of the state after the archives so far, `shown` is what each run of them shows, and `newest` is the
    last state.
    """

    console: str
    state: str = _BEGINNING
    shown: list[Shown] = field(default_factory=list)
    newest: Snapshot | None = None


class _Walk:
    """One reading of the archives of a workspace id, oldest first. `lines` has one line for each console."""

    def __init__(
        self, reader: "_Reader", runs: Sequence[Run], remembered: Remembered, stamps: Mapping[str, str]
    ) -> None:
        """`stamps` say when each archive was written, so that nothing is remembered of one that was replaced."""
        self.reader, self.runs, self.remembered, self.stamps = reader, runs, remembered, stamps
        self.private = {run.id for run in runs if all(archive.encrypted for archive in run.archives)}
        self.has_news = False
        self._begin()

    def _begin(self) -> None:
        self.lines: dict[str, _Line] = {}
        self.states: dict[str, Known] = {}
        self.used: dict[tuple[str, str, str], Kept] = {}
        self.reader.begin()

    async def go(self, report: Reporter) -> list[_Line]:
        """Read all the archives. Return what those of each console show."""
        try:
            await self._through(report)
        except _LostError:
            self.remembered = Remembered()
            self._begin()
            await self._through(report)
        return list(self.lines.values())

    async def _through(self, report: Reporter) -> None:
        for at, run in enumerate(self.runs):
            kept, readable = self._remembered(run), run
            if kept is None:
                kept, readable = await self._moved(at)
                if at % _TOLD_EVERY == _TOLD_EVERY - 1:
                    report(Progress("reading archives", at + 1, len(self.runs)))
            if kept is not None:
                line = self._line(kept.console)
                if not kept.private:
                    self.used[line.state, run.id, self._stamp(readable)] = kept
                line.shown.append(Shown(readable, kept.differences, kept.pairs))
                line.state = kept.state
        for line in self.lines.values():
            known = await self._known(line)
            line.newest = None if known is None else replace(known.snapshot, secrets={})

    def _line(self, console: str) -> _Line:
        return self.lines.setdefault(console, _Line(console))

    def _remembered(self, run: Run) -> Kept | None:
        """Return what a run of archives shows, without reading it, if that is remembered or nothing has changed."""
        for line in self.lines.values():
            if line.state == run.id:
                return Kept(line.state, line.console, private=run.id in self.private)
        moves, read = self.remembered.moves, self._stamp(run)
        known = [moves.get((line.state, run.id, read)) for line in self.lines.values()]
        first = moves.get((_BEGINNING, run.id, read))
        known += [first] if first is not None and first.console not in self.lines else []
        return next((kept for kept in known if kept is not None), None)

    def _stamp(self, run: Run) -> str:
        """Return the archive of a run that is read, with the time when it was written."""
        name = str(run.archives[0])
        return f"{name} {self.stamps.get(name)}"

    async def _moved(self, at: int) -> tuple[Kept | None, Run]:
        """Return what a run of archives shows after the known state (None if unreadable), and its readable archives."""
        run = self.runs[at]
        snapshot, readable = await self.reader.snapshot(at)
        if snapshot is None:
            return None, run
        console = snapshot.manifest.source.host
        known = await self._known(self._line(console))
        move = (
            Move(first_known(snapshot, run.id))
            if known is None
            else advance(known, snapshot, run.id, recorded_schemas())
        )
        self._hold(move.known)
        made_of = move.known.archives() | (set() if known is None else known.archives())
        self.has_news = True
        private = bool(made_of & self.private)
        return Kept(_state_of(move.known), console, move.differences, move.pairs, private), readable

    def _hold(self, known: Known) -> None:
        state = _state_of(known)
        self.states.pop(state, None)
        self.states[state] = known
        if len(self.states) > _STATES:
            del self.states[next(iter(self.states))]

    async def _known(self, line: _Line) -> Known | None:
        """Return the current state of a console's workspace. Raise _LostError."""
        if line.state == _BEGINNING:
            return None
        if line.state not in self.states:
            self._hold(await self._put_together(line))
        return self.states[line.state]

    async def _put_together(self, line: _Line) -> Known:
        """Return the current state, rebuilt from the archives that hold it. Raise _LostError."""
        archive, ending = line.shown[-1].run.id, self.remembered.endings.get(line.state)
        if line.state != archive and ending is None:
            raise _LostError
        wanted = {archive} if line.state == archive or ending is None else ending.archives
        positions = {run.id: at for at, run in enumerate(self.runs)}
        snapshots = {}
        for one in wanted:
            snapshot = (await self.reader.snapshot(positions[one]))[0] if one in positions else None
            if snapshot is None:
                raise _LostError
            snapshots[one] = snapshot
        if line.state == archive or ending is None:
            return first_known(snapshots[archive], archive)
        known = known_again(snapshots, ending.archive, ending.seen, ending.told)
        if known is None:
            raise _LostError
        return known

    def to_remember(self) -> Remembered:
        """Return what to remember for the next time."""
        endings = {}
        for line in self.lines.values():
            known = self.states.get(line.state)
            if known is not None and known.exact and not known.archives() & self.private:
                endings[line.state] = Ending(known.archive, known.seen, known.told)
        return Remembered(self.used, endings)


class _Reader:
    """Read archives a few ahead, because a remote store is slow. `unread` are those that cannot be read."""

    def __init__(self, store: Store, runs: Sequence[Run], keys: ArchiveKeys) -> None:
        self.store, self.runs, self.keys = store, runs, keys
        self.unread: dict[str, tuple[ArchiveName, str]] = {}
        self._ahead: dict[str, asyncio.Task[bytes]] = {}
        self._begun: set[str] = set()
        self._last: Snapshot | None = None

    def begin(self) -> None:
        """Start again from the first archive."""
        self.unread.clear()
        self._begun.clear()

    async def snapshot(self, at: int) -> tuple[Snapshot | None, Run]:
        """Return the content of a run of archives, and the run without what cannot be read."""
        run = self.runs[at]
        for one in self.runs[at : at + _AT_ONCE]:
            if one is run or one.id not in self._begun:  # what was read before may not be needed again
                self._begun.add(one.id)
                self._read(str(one.archives[0]))
        for number, archive in enumerate(run.archives):
            name = str(archive)
            try:
                self._last = content_of(
                    archive, await self._read(name), self.keys, check=check_origin, like=self._last
                )
                return self._last, Run(run.archives[number:])
            except BackupError as problem:
                self.unread[name] = archive, str(problem)
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
        """Cancel the readings that are not needed."""
        for task in self._ahead.values():
            task.cancel()
        await asyncio.gather(*self._ahead.values(), return_exceptions=True)


def _state_of(known: Known) -> str:
    """Return the id of a state: that of its archive if one holds it all, otherwise a hash of its archives."""
    if not known.carried:
        return known.archive
    secrets = sorted([*key, path, archive] for (key, path), archive in known.told.items())
    made_of = orjson.dumps([known.archive, sorted(known.seen.items()), secrets])
    return hashlib.sha256(made_of).hexdigest()[:32]
