"""Backing up: each workspace is read and its snapshot stored. One that fails does not affect the others."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from jitsu_backup.archive import ArchiveName, archives_in
from jitsu_backup.console import Console
from jitsu_backup.console.admin_exports import Exports, read_exports, try_operator, with_exports
from jitsu_backup.console.bodies import Size
from jitsu_backup.console.console_info import ConsoleInfo, read_console_info
from jitsu_backup.console.listening import listen
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.console.workspaces import Workspace, find_workspace, workspaces
from jitsu_backup.errors import AccessError, BackupError, ConsoleError, LateError, UsageError
from jitsu_backup.events import Notice, Problem, Reporter, silent
from jitsu_backup.model import Source
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.asking import (
    Question,
    Unchanged,
    is_at_rest,
    is_enough,
    reading_of,
    unheard_is_same,
)
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome
from jitsu_backup.operations.connection import Connection, Consoles
from jitsu_backup.operations.earlier import Earlier
from jitsu_backup.operations.known_before import KnownBefore
from jitsu_backup.operations.operator_secrets import (
    UnreadSecrets,
    beside_encrypted,
    beyond_the_key,
    in_clear,
    told_beyond,
)
from jitsu_backup.operations.save import Saved, SaveOptions, last_complete, save, side_by_side
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.store import Store, keep, latest_of, mark, recall, remember

AT_ONCE = 4
"""Workspaces that are read at once: enough to use 16 connections, few enough that each reading stays short."""

_CONNECTIONS_EACH = 4
"""How many connections a workspace keeps busy with a key that has no rate limit."""


@dataclass(frozen=True, slots=True)
class WorkspaceAccess:
    """A workspace, by id or slug, and the connection to its console. Without `workspace`, the whole console.

    `operator` is the connection with the operator's token, if one is known. It may be the same connection.
    """

    connection: Connection
    workspace: str | None = None
    operator: Connection | None = None

    @property
    def is_operators(self) -> bool:
        """Whether the key is known to be the operator's token."""
        return self.operator is not None and self.operator.key.reveal() == self.connection.key.reveal()


@dataclass(frozen=True, slots=True)
class BackupJob:
    """What one run has to back up.

    With `everything`, the run covers all workspaces that the one entry of `workspaces` can see. `unusable` are the places
    that the settings could not resolve, as outcomes. `plaintext` allows unencrypted secrets. `bares_secrets` says that
    the content of an encrypted archive is also written unencrypted elsewhere. `allow_unseen` are workspaces whose absence
    raises no alarm ("*": any). `shard` is (index, number of shards). `deadline` is in seconds. With `full_every`, a
    workspace that was read completely within that time is read only if it has changed since, and an archive with the same
    content suffices (`save.if_changed`).
    """

    workspaces: tuple[WorkspaceAccess, ...]
    everything: bool = False
    unusable: tuple[WorkspaceOutcome, ...] = ()
    save: SaveOptions = field(default_factory=SaveOptions)
    plaintext: bool = False
    bares_secrets: bool = False
    allow_unseen: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    deadline: float | None = None
    full_every: timedelta | None = None

    @property
    def asks_first(self) -> bool:
        """Whether a workspace is read only if it may have changed."""
        return self.full_every is not None and self.save.if_changed

    @property
    def looks_back(self) -> bool:
        """Whether the run must know what the store holds."""
        alarms = self.save.shrink_alarm < 1 or (self.everything and "*" not in self.allow_unseen)
        return self.save.if_changed or alarms


class Backup:
    """One run. Each console is opened once, and each of its answers is shared.

    Archives go into `store`, or to `output` if that is given. `expected` is what is known about the store before it is
    listed. `now` returns the time in UTC, and `monotonic` a time in seconds that never goes back.
    """

    def __init__(
        self,
        job: BackupJob,
        store: Store | None,
        keys: ArchiveKeys,
        report: Reporter = silent,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        output: Callable[[bytes], None] | None = None,
        expected: ExpectedStore | None = None,
    ) -> None:
        """Open and read nothing yet."""
        self.job, self.keys, self.report = job, keys, report
        self.expected = expected or ExpectedStore()
        self._store = None if output is not None else store
        self._now, self._monotonic, self._output = now, monotonic, output
        self._before = KnownBefore(self.expected, keys, job.allow_unseen)
        self._unlisted: BackupError | None = None
        self._unseen: tuple[str, ...] = ()
        self._sees_all = False
        self._done: list[WorkspaceOutcome] = []
        self._listed: dict[str, Workspace] = {}
        self._listing: Mapping[str, int] | None = None
        self._marked = False
        self._held: dict[str, Size] = {}  # by console
        self._unread = UnreadSecrets()
        self._refused: UsageError | None = (
            None  # if a key turned out to be the operator's token only during the run
        )
        self._consoles = Consoles()
        self._asked: dict[tuple[Console, str], asyncio.Task[Any]] = {}

    async def run(self) -> BackupRun:
        """Back up everything. Raise BackupError if nothing could be started."""
        job = self.job
        ends = None if job.deadline is None else asyncio.get_running_loop().time() + job.deadline
        try:
            async with self._consoles, self._asking():
                async with asyncio.timeout_at(ends):
                    self._before.add(await self._list())
                    chosen = await self._chosen()
                left = None if ends is None else max(0.0, ends - asyncio.get_running_loop().time())
                outcomes = await self._each(chosen, left)
                if self._refused is not None and not self._done:
                    raise self._refused
                for event in self._unread.events():
                    self.report(event)
                return self._ended(outcomes)
        except TimeoutError:
            late = LateError(f"nothing was backed up before the deadline of {job.deadline:.0f} s")
            raise self._with_trouble(late) from None

    def so_far(self) -> BackupRun:
        """Return what is done, for a run that was cut short."""
        return self._ended(self._done)

    def _ended(self, outcomes: Iterable[WorkspaceOutcome]) -> BackupRun:
        return BackupRun(tuple(outcomes), self._unseen, self._sees_all, self._unlisted, self._before.all())

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Cancel open requests before the consoles are closed, so that their connections do not seem to break."""
        try:
            yield
        finally:
            for task in self._asked.values():
                task.cancel()
            await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _list(self) -> list[ArchiveName]:
        if self._store is None:
            return []
        try:
            self._listing = await self._store.listing()
        except AccessError as problem:  # credentials that may write but not list can still back up
            if self.job.looks_back:
                self._unlisted = problem
            return []
        self.expected.check(self._store, self._listing)
        return archives_in(self._listing)

    async def _chosen(self) -> list[tuple[WorkspaceAccess, str]]:
        """Return the workspaces to back up, each with the label that it is known by."""
        job = self.job
        if not job.workspaces and job.unusable and job.unusable[0].failure is not None:
            raise job.unusable[0].failure
        if job.everything:
            chosen = await self._all_of(job.workspaces[0])
        else:
            chosen = [(access, access.workspace or "") for access in job.workspaces]
        with_token = [access for access, _ in chosen if access.operator is not None]
        if with_token:
            self._refuse_in_clear(is_key=all(access.is_operators for access in with_token))
        if not self.keys.seals:
            newest = self._before.newest_of({one.workspace, label} for one, label in chosen)
            if encrypted := [archive.slug for archive in newest if archive.encrypted]:
                self.report(beside_encrypted(encrypted))
        return [each for each in chosen if self._in_shard(each[0].workspace or "")]

    def _refuse_in_clear(self, *, is_key: bool) -> None:
        """Raise UsageError unless the secrets that the operator's token reads may be kept as this run would keep them."""
        if not (self.job.plaintext or (self.keys.seals and not self.job.bares_secrets)):
            self._refused = in_clear(folder=self.job.bares_secrets, is_key=is_key)
            raise self._refused

    async def _all_of(self, access: WorkspaceAccess) -> list[tuple[WorkspaceAccess, str]]:
        """Return every workspace that a key can read, and note those that only the store has."""
        listed = await workspaces(self._consoles.of(access.connection))
        if listed.is_operators and not listed.found:
            raise ConsoleError(
                f"console {access.connection.host} has no workspaces; check whether its database was lost"
            )
        if not listed.found:
            raise AccessError(f"console {access.connection.host}: this key cannot read any workspace")
        self._listed, self._sees_all = {each.id: each for each in listed.found}, listed.is_operators
        if "*" not in self.job.allow_unseen:
            slugs = {each.slug for each in listed.found}
            self._unseen = self._before.not_among(set(self._listed), slugs, self._in_shard)
        if listed.is_operators:
            access = replace(access, operator=access.operator or access.connection)
        elif access.operator is not None:
            await self._tell_beyond(access.operator, listed.found)
        return [(replace(access, workspace=each.id), each.slug or each.id) for each in listed.found]

    async def _tell_beyond(self, operator: Connection, seen: tuple[Workspace, ...]) -> None:
        """Report the workspaces that are not backed up because only the operator's token can read them."""
        more = await beyond_the_key(self._consoles.of(operator), seen)
        allowed = set(self.job.allow_unseen)
        names = [one.slug or one.id for one in more if not allowed & {"*", one.id, one.slug}]
        if names:
            self.report(told_beyond(names))

    def _in_shard(self, workspace: str) -> bool:
        # by a digest of the id, so that a new workspace moves none of the others
        index, shards = self.job.shard or (0, 1)
        return int.from_bytes(hashlib.sha256(workspace.encode()).digest()[:8], "big") % shards == index

    async def _each(
        self, chosen: list[tuple[WorkspaceAccess, str]], seconds: float | None
    ) -> list[WorkspaceOutcome]:
        took: dict[int, float] = {}

        async def run(number: int, access: WorkspaceAccess) -> Saved | Unchanged:
            began = self._monotonic()
            try:
                saved = await self._one(access)
            finally:
                took[number] = self._monotonic() - began
            self._done.append(self._outcome(*chosen[number], took[number], saved))
            return saved

        jobs = [
            (access.connection.host, partial(run, number, access))
            for number, (access, _) in enumerate(chosen)
        ]
        unlimited = [access.connection.concurrency for access, _ in chosen if access.is_operators]
        at_once = max(AT_ONCE, max(unlimited, default=0) // _CONNECTIONS_EACH)
        ended = await side_by_side(jobs, at_once=at_once, seconds=seconds)
        outcomes = (self._outcome(*chosen[n], took.get(n, 0.0), end) for n, end in enumerate(ended))
        return [*self.job.unusable, *outcomes]

    def _outcome(
        self, access: WorkspaceAccess, label: str, seconds: float, end: Saved | Unchanged | Exception
    ) -> WorkspaceOutcome:
        known = access.workspace if self.job.everything else None
        made = WorkspaceOutcome(label, known, seconds)
        if isinstance(end, LateError):
            end = self._with_trouble(end, access.connection.host)
        if isinstance(end, Unchanged):
            return replace(made, unchanged=end)
        if not isinstance(end, Saved):
            return replace(made, failure=end)
        mine = end.archive.workspace_id
        backed_up = {one.archive.workspace_id for one in self._done if one.archive}
        return replace(made, saved=end, alarm=self._before.alarm_of(mine, backed_up))

    async def _one(self, access: WorkspaceAccess) -> Saved | Unchanged:
        """Read a workspace unless it is unchanged, and store its snapshot. Concurrent readings share a memory limit."""
        size = Size(within=self._held.setdefault(access.connection.host, Size(share=2)))
        try:
            return await self._read_and_save(access, size)
        finally:
            size.clear()

    async def _read_and_save(self, access: WorkspaceAccess, size: Size) -> Saved | Unchanged:
        console = self._consoles.of(access.connection)

        async def info() -> ConsoleInfo:
            found: ConsoleInfo = await self._once(console, "info", read_console_info)
            if found.is_operator and access.operator is None:
                self._refuse_in_clear(is_key=True)
            return found

        question = await self._question(access, console, info)
        before = None if question is None else await self._still_held(question, access, console, size)
        if question is not None and before is not None:
            return Unchanged(question.source, before)
        snapshot = await read_workspace(
            console, access.workspace or "", now=self._now, report=self.report, console_info=info, size=size
        )
        operator = access.operator or (access.connection if (await info()).is_operator else None)
        if operator is not None:
            exports: Exports = await self._once(self._consoles.of(operator), "exports", read_exports)
            snapshot = with_exports(exports, snapshot)
            self._unread.add(exports, snapshot)
        source = snapshot.manifest.source
        own = self._before.of(source.workspace_id)
        await self._look_back(access, source)
        if any(a.taken_at > snapshot.taken_at and a.complete for a in own):
            message = (
                f"{access.workspace}: the store has an archive dated in the future; check the clocks of the"
                " machines that back up"
            )
            self.report(Problem(message))
        options = replace(self.job.save, uncompared=self._unlisted is not None)
        earlier = Earlier(snapshot, own, self._store, self.keys)
        before_move = await earlier.before_move(self._before.all())
        if before_move is not None and (last := last_complete(own)) is not None and before_move.has(last):
            self.report(Notice(f"{source.slug or source.workspace_id}: {before_move}"))
        had = await earlier.had()
        saved = await save(
            snapshot, own, options, self.keys.seal, self._put, had=had, before_move=before_move
        )
        if question is not None:
            await self._remember(question, saved)
        return replace(saved, baseline_host=await earlier.other_host(saved))

    async def _question(
        self, access: WorkspaceAccess, console: Console, read_info: Callable[[], Awaitable[ConsoleInfo]]
    ) -> Question | None:
        """Ask whether a workspace has changed. Return None if that is not wanted, or the console cannot say."""
        if not self.job.asks_first or self._listing is None:
            return None
        named, info = access.workspace or "", await read_info()
        workspace = self._listed.get(named) or await find_workspace(console, named)
        # an unknown user may see less than the user who read before
        in_doubt = info.refused is not None or info.user_id is None
        heard = None if in_doubt else await listen(console, workspace.id)
        if heard is None:
            return None
        with_token = access.operator is not None or info.is_operator
        return Question(console.host, workspace, info, heard, self._now(), with_token)

    async def _still_held(
        self, question: Question, access: WorkspaceAccess, console: Console, size: Size
    ) -> ArchiveName | None:
        """Return the newest archive of a workspace if it certainly equals the workspace, or None in any doubt."""
        assert self._store is not None  # noqa: S101  it was listed
        assert self.job.full_every is not None  # noqa: S101  else nothing was asked
        source, own = question.source, self._before.of(question.workspace.id)
        before = latest_of(own)
        reading = await recall(self._store, self._listing or (), source.workspace_id, question.heard.now)
        if reading is not None:
            await self._before.look_for_unstored(source, reading, self._store)
        if before is None or reading is None:
            return None
        enough = is_enough(before, own, reading, self.job.save, question.began)
        if not enough or not is_at_rest(reading, question, self.job.full_every):
            return None
        await self._look_back(access, source)
        if self._before.has_alarm(source.workspace_id) or not await self._operator_reads(access):
            return None
        held = Size(within=size)
        same = await unheard_is_same(console, question, reading, held)
        held.clear()
        return before if same else None

    async def _operator_reads(self, access: WorkspaceAccess) -> bool:
        """Return whether the operator's token, if there is one, still works. Raise AccessError if it is rejected."""
        if access.operator is None or access.is_operators:  # the console has just answered the key
            return True
        try:
            await self._once(self._consoles.of(access.operator), "operator", try_operator)
        except AccessError:
            raise
        except BackupError:  # a complete reading reports what is wrong
            return False
        return True

    async def _remember(self, question: Question, saved: Saved) -> None:
        """Remember a complete reading that raised no alarm, so that the next run can ask first."""
        if not saved.whole or self._before.has_moved(saved.archive.workspace_id):
            return
        assert self._store is not None  # noqa: S101  it was listed
        try:
            await remember(self._store, self._listing or (), reading_of(question, saved))
        except BackupError as problem:  # the archive itself was stored
            message = f"{saved.archive.slug}: the next backup reads it completely, changed or not: {problem}"
            self.report(Notice(message))

    async def _put(self, archive: ArchiveName, data: bytes) -> None:
        if self._output is not None:
            self._output(data)
            return
        assert self._store is not None  # noqa: S101  there is one or the other
        await keep(self._store, archive, data)
        if self._listing is not None and not self._marked:
            self._marked = True  # after the archive, so that a first backup that fails leaves nothing
            await mark(self._store, {**self._listing, str(archive): len(data)}, self._now())

    async def _look_back(self, access: WorkspaceAccess, source: Source) -> None:
        """Raise alarms about a workspace that differs from what was known before this run."""
        slug = access.workspace
        if self._store is not None and self._listing is not None:
            self._before.look_for_lost(source, self._store)
        if self._store is None or self.job.everything or slug is None or slug == source.workspace_id:
            return
        await self._before.look_for_moved(slug, source, access.connection.host, self._store)

    def _with_trouble(self, late: LateError, host: str | None = None) -> LateError:
        """Return the error with the trouble of the console (or of any) that did not answer."""
        trouble = self.trouble(host)
        limited = next((one for one in self._of(host) if one.was_limited), None)
        if limited is not None and not trouble:
            late = late.with_context(
                after=f", because it waited for the rate limit of console {limited.host}"
            )
            late.limited = True
            return late
        late = late.with_context(after=trouble)
        late.away = bool(trouble)
        return late

    def trouble(self, host: str | None = None) -> str:
        """Return what is wrong with a console (or with any) whose requests are being retried."""
        return next((f" (console {one.host}: {one.trouble})" for one in self._of(host) if one.trouble), "")

    def _of(self, host: str | None) -> list[Console]:
        return [one for one in self._consoles if host in (None, one.host)]

    async def _once(self, console: Console, what: str, read: Callable[[Console], Awaitable[Any]]) -> Any:
        """Ask a console something once, however many workspaces need it. After a failure, ask again."""
        known = self._asked.get((console, what))
        if known is None or (known.done() and (known.cancelled() or isinstance(known.result(), Exception))):
            self._asked[console, what] = known = asyncio.ensure_future(_result_of(read(console)))
        ended = await asyncio.shield(known)  # a workspace that gives up does not cancel it for the others
        if isinstance(ended, Exception):
            raise ended
        return ended


async def _result_of(job: Awaitable[Any]) -> Any:
    """Return what a job returns or raises, so that asyncio reports no failure that nobody waits for."""
    try:
        return await job
    except Exception as failure:  # noqa: BLE001  raised again for each caller that waits
        return failure
