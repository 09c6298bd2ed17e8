"""One run of `backup`: its consoles, opened once, and each workspace read and kept."""

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName, name_counts, safe_text
from jitsu_backup.cli.app import App, Figures, figures_of, utc_now
from jitsu_backup.cli.files import write_output
from jitsu_backup.cli.opening import slug_owners
from jitsu_backup.console import Console
from jitsu_backup.console.admin_exports import Exports, read_exports, secrets_of
from jitsu_backup.console.console_info import ConsoleInfo, read_console_info
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.console.workspaces import workspaces
from jitsu_backup.errors import AccessError, BackupError, IncompleteError, LateError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.operations.alarms import Alarm, What, reason_of
from jitsu_backup.operations.save import Saved, SaveOptions, last_complete, save, side_by_side
from jitsu_backup.settings import Place
from jitsu_backup.store import archives_in, keep, mark

AT_ONCE = 4
"""Workspaces that are read at once: enough to use all connections, few enough that each cut stays short."""

_ROUNDING = 0.001
"""Seconds by which a time in the figures may differ from that in an archive's name."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one run is asked for. `shard` is (index, number of shards), `deadline` in seconds, `metrics` the file of figures."""

    places: tuple[str, ...]
    everything: bool
    output: Path | None
    options: SaveOptions
    plaintext: bool
    allow_unseen: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    deadline: float | None = None
    bares_secrets: bool = False  # what an encrypted archive holds is also written somewhere in clear
    metrics: Path | None = None

    @property
    def looks_back(self) -> bool:
        """Whether it has to know what the store has."""
        alarms = self.options.shrink_alarm < 1 or (self.everything and "*" not in self.allow_unseen)
        return self.output is None and (self.options.if_changed or alarms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the backup of one workspace ended: `saved`, or `failure`. `label` is how the run knew it.

    `alarm` says what is wrong beside the snapshot itself: what the store had and has no longer, or a slug that has moved.
    """

    label: str
    workspace_id: str | None
    seconds: float
    saved: Saved | None = None
    failure: Exception | None = None
    alarm: Alarm | None = None

    @property
    def exit_code(self) -> int:
        """The code that it would end with alone."""
        if self.failure is not None:
            return self.failure.exit_code if isinstance(self.failure, BackupError) else 1
        well = self.saved is not None and self.saved.whole and self.alarm is None
        return 0 if well else IncompleteError.exit_code

    @property
    def problem(self) -> str:
        """Say why it failed, in one line."""
        return reason_of(self.failure)


def name_of(app: App, place: str) -> str:
    """Give the workspace's id or slug that a place means, or the place itself where the settings do not tell."""
    try:
        return app.settings.workspace_named(place)
    except BackupError:
        return place


class Run:
    """One run: its consoles, opened once, and what they tell, asked once."""

    def __init__(self, app: App, job: Job, report: Reporter) -> None:
        self.app, self.job, self.report = app, job, report
        self.history: dict[str, list[ArchiveName]] = defaultdict(list)
        self.unlisted: BackupError | None = None
        self.unseen: tuple[str, ...] = ()
        self.saved: list[Outcome] = []  # so far, for a run that is interrupted
        self._listing: Mapping[str, int] | None = None
        self._marked = False
        self._figures = Figures()
        self._alarms: dict[str, Alarm] = {}
        self._moved: dict[
            str, tuple[str, Alarm]
        ] = {}  # by workspace: whose its slug was, and what to say of that
        self._unusable: list[Outcome] = []
        self._stack = AsyncExitStack()
        self._consoles: dict[tuple[str, str, str | None], Console] = {}
        self._asked: dict[tuple[Console, str], asyncio.Task[Any]] = {}

    async def all(self) -> list[Outcome]:
        """Back up everything. Raises BackupError where nothing could be begun."""
        job = self.job
        ends = None if job.deadline is None else asyncio.get_running_loop().time() + job.deadline
        try:
            async with self._stack, self._asking():
                async with asyncio.timeout_at(ends):
                    for archive in await self._list():
                        self.history[archive.workspace_id].append(archive)
                    chosen = await self._chosen()
                left = None if ends is None else max(0.0, ends - asyncio.get_running_loop().time())
                return await self._each(chosen, left)
        except TimeoutError:
            late = LateError(f"nothing was backed up before the deadline of {job.deadline:.0f} s")
            raise self._with_trouble(late) from None

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """End what is still asked before the consoles are closed: else their connections would seem to break."""
        try:
            yield
        finally:
            for task in self._asked.values():
                task.cancel()
            await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _list(self) -> list[ArchiveName]:
        if self.job.output is not None:
            return []
        figures = figures_of(
            self.job.metrics, self.app.store.url
        )  # first: what another run writes after that is not lost
        try:
            self._listing = await self.app.store.listing()
        except AccessError as problem:  # who may write but not list loses the comparison, not the backup
            if self.job.looks_back:
                self.unlisted = problem
            return []
        self.app.check_store(self._listing, self.job.metrics)
        self._figures = figures
        return archives_in(self._listing)

    async def _chosen(self) -> list[tuple[Place, str]]:
        """Give the places to back up, each with the label that it is known by."""
        app, job = self.app, self.job
        if job.everything:
            place = app.settings.place(None, workspace_needed=False)
            found = await workspaces(self._console(place))
            if not found:
                raise AccessError(f"console {place.host}: this key can read no workspace")
            chosen = [(replace(place, workspace=each.id), each.slug or each.id) for each in found]
            if "*" not in job.allow_unseen:
                self.unseen = self._unseen({each.id for each in found})
        else:
            chosen = []
            for text in job.places or (None,):
                try:
                    place = app.settings.place(text)
                except BackupError as failure:
                    self._unusable.append(Outcome(name_of(app, text or ""), None, 0.0, failure=failure))
                else:
                    chosen.append((place, place.workspace or ""))
            if not chosen and self._unusable[0].failure is not None:
                raise self._unusable[0].failure
        for place, _ in chosen:
            if place.admin_token is not None and not (
                job.plaintext or (app.keys.seals and not job.bares_secrets)
            ):
                raise UsageError(
                    "with the operator's token the "
                    + (
                        "folder would hold secrets in clear: say --redact"
                        if job.bares_secrets
                        else "archive would hold secrets in clear: encrypt it (--encrypt-to)"
                    )
                    + ", say --plaintext-secrets, or leave the token out (JITSU_ADMIN_TOKEN)"
                )
        return [each for each in chosen if self._in_shard(each[0].workspace or "")]

    def has_archive_of(self, workspace: str) -> bool:
        """Tell whether the store has an archive of a workspace, by its id or a slug that it has or had."""
        return any(archive.belongs_to(workspace) for own in self.history.values() for archive in own)

    def _in_shard(self, workspace: str) -> bool:
        # by a digest of the id, so that a new workspace moves none of the others
        index, shards = self.job.shard or (0, 1)
        return _number(workspace) % shards == index

    def _may_be_unseen(self, archive: ArchiveName) -> bool:
        return any(name == "*" or archive.belongs_to(name) for name in self.job.allow_unseen)

    def _unseen(self, seen: set[str]) -> tuple[str, ...]:
        """Give the workspaces that the store has and the key does not see: gone, or no longer open to it."""
        newest = {
            a.workspace_id: a.slug
            for members in self.history.values()
            for a in reversed(members)
            if not self._may_be_unseen(a)
        }
        return tuple(sorted(slug for one, slug in newest.items() if one not in seen and self._in_shard(one)))

    async def _each(self, chosen: list[tuple[Place, str]], seconds: float | None) -> list[Outcome]:
        took: dict[int, float] = {}

        def outcome(number: int, end: Saved | Exception) -> Outcome:
            place, label = chosen[number]
            known = place.workspace if self.job.everything else None
            made = Outcome(label, known, took.get(number, 0.0))
            if isinstance(end, LateError):
                end = self._with_trouble(end, place.host)
            if not isinstance(end, Saved):
                return replace(made, failure=end)
            mine = end.archive.workspace_id
            before, moved = self._moved.get(mine, ("", None))
            backed_up = any(
                one.saved is not None and one.saved.archive.workspace_id == before for one in self.saved
            )
            return replace(made, saved=end, alarm=self._alarms.get(mine) or (None if backed_up else moved))

        def job(number: int, place: Place) -> Callable[[], Awaitable[Saved]]:
            async def run() -> Saved:
                began = time.monotonic()
                try:
                    saved = await self._one(place)
                finally:
                    took[number] = time.monotonic() - began
                self.saved.append(outcome(number, saved))
                return saved

            return run

        jobs = [(place.host, job(number, place)) for number, (place, _) in enumerate(chosen)]
        ended = await side_by_side(jobs, at_once=AT_ONCE, seconds=seconds)
        return [*self._unusable, *(outcome(number, end) for number, end in enumerate(ended))]

    async def _one(self, place: Place) -> Saved:
        app, console = self.app, self._console(place)
        snapshot = await read_workspace(
            console,
            place.workspace or "",
            now=utc_now,
            report=self.report,
            console_info=lambda: self._once(console, "about", read_console_info),
        )
        if place.admin_token is not None:
            snapshot = await self._with_secrets(place, snapshot)
        own = self.history.get(snapshot.manifest.source.workspace_id, [])
        source = snapshot.manifest.source
        self._look_for_lost(source.workspace_id, source.slug or source.workspace_id, own)
        await self._look_for_moved(place, snapshot.manifest.source)
        if any(a.taken_at > snapshot.taken_at and a.complete for a in own):
            app.problem(
                f"{place.workspace}: the store has an archive of later than now: a clock is or was wrong"
            )
        options = replace(self.job.options, uncompared=self.unlisted is not None)
        return await save(
            snapshot, own, options, app.keys.seal, self._put, had=await self._had(snapshot, own)
        )

    async def _had(self, snapshot: Snapshot, own: list[ArchiveName]) -> Mapping[str, int] | None:
        """Return what the last complete archive has, where its name does not tell what the console may offer no longer.

        Names tell of no cursors, and those of before 0.6.0 of no type with few entities. None where nobody can tell.
        """
        last, missing = last_complete(own), snapshot.manifest.not_offered
        if last is None or not missing or ("sync-cursor" not in missing and last.size is not None):
            return None
        try:
            before = self.app.keys.open(await self.app.store.read(str(last)))
        except BackupError:  # as where this machine has no key to read archives with
            return None
        cursors = {"sync-cursor": len(before.cursors)} if "sync-cursor" in missing else {}
        return {**name_counts(before), **cursors}

    async def _put(self, archive: ArchiveName, data: bytes) -> None:
        if self.job.output is not None:
            write_output(self.job.output, data)
            return
        await keep(self.app.store, archive, data)
        if self._listing is not None and not self._marked:
            self._marked = True  # after the archive: a first backup that fails leaves nothing
            await mark(self.app.store, {**self._listing, str(archive): len(data)}, utc_now())

    def _look_for_lost(self, workspace_id: str, slug: str, own: list[ArchiveName]) -> None:
        """Note where figures of earlier runs tell of an archive that is newer than all that the store has."""
        told = self._figures.newest.get(workspace_id)
        newest = max((archive.taken_at for archive in own), default=None)
        if self._listing is None or told is None or (newest and newest.timestamp() > told - _ROUNDING):
            return
        there = (
            "has no archive of this workspace"
            if newest is None
            else f"has no archive of it after {newest:%Y-%m-%d %H:%M:%S} UTC"
        )
        self._alarms[workspace_id] = Alarm(
            What.LOST,
            f"the store {self.app.store.url} {there}, but the figures in {self.job.metrics} tell of an archive of"
            f" {datetime.fromtimestamp(told, UTC):%Y-%m-%d %H:%M:%S} UTC",
            "was the store restored from an older copy, or was that archive put aside or removed?",
            slug,
        )

    async def _look_for_moved(self, place: Place, source: Source) -> None:
        """Note where the slug that was asked for is also that of another workspace's newest archive.

        So it stays until that workspace is backed up under another name, or --allow-unseen names it.
        """
        slug = place.workspace
        if self.job.everything or slug is None or slug == source.workspace_id:
            return
        mine = safe_text(source.workspace_id)
        newest = (max(members, key=lambda one: one.age) for members in self.history.values() if members)
        others = [one for one in newest if one.workspace_id != mine and not self._may_be_unseen(one)]
        for before in (await slug_owners(self.app, place.host, slug, others))[:1]:
            why = f"{source.workspace_id}; earlier archives of that name are of {before}, of which no backup was made"
            remedy = f"name it by its id, or --allow-unseen {before} if that is as meant"
            self._moved[mine] = before, Alarm(What.MOVED, why, remedy, slug)

    async def _with_secrets(self, place: Place, snapshot: Snapshot) -> Snapshot:
        assert place.admin_token is not None  # noqa: S101  for the type checker
        console = self._console(replace(place, key=place.admin_token))
        exports: Exports = await self._once(console, "exports", read_exports)
        return replace(snapshot, secrets=secrets_of(exports, snapshot))

    def _console(self, place: Place) -> Console:
        name = (place.host, place.key.reveal(), place.ca_bundle)
        if name not in self._consoles:
            self._consoles[name] = self.app.console(place, self.report)
            self._stack.push_async_exit(self._consoles[name])
        return self._consoles[name]

    def _with_trouble(self, late: LateError, host: str | None = None) -> LateError:
        """Return an error that says what was wrong with the console, or any, where one was away."""
        trouble = self.trouble(host)
        late = late.with_context(after=trouble)
        late.away = bool(trouble)
        return late

    def trouble(self, host: str | None = None) -> str:
        """Say what is wrong with a console, or any, that does not answer while its requests are tried again."""
        away = (one for one in self._consoles.values() if host in (None, one.host))
        return next((f" (console {one.host}: {one.trouble})" for one in away if one.trouble), "")

    async def _once(self, console: Console, what: str, read: Callable[[Console], Awaitable[Any]]) -> Any:
        """Ask a console something once, however many workspaces need it; a failure is asked again."""
        known = self._asked.get((console, what))
        if known is None or (known.done() and (known.cancelled() or isinstance(known.result(), Exception))):
            self._asked[console, what] = known = asyncio.ensure_future(_outcome_of(read(console)))
        ended = await asyncio.shield(known)  # one workspace that gives up takes nothing from the others
        if isinstance(ended, Exception):
            raise ended
        return ended


async def _outcome_of(job: Awaitable[ConsoleInfo | Exports]) -> ConsoleInfo | Exports | Exception:
    """Give what a job gives or raises: where nobody waits any more, nobody has to be told of its failure."""
    try:
        return await job
    except Exception as failure:  # noqa: BLE001  raised again for each who waits
        return failure


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
