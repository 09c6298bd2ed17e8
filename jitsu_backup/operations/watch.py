"""Watching: a service that asks consoles what has changed, and backs that up within seconds.

Everything is done by one loop that takes turns: it looks which workspaces there are, asks those whose turn it is, backs
up what is due, and tells how it stands. A workspace is due once it has been left alone for a moment, when a console may
have committed something late, and now and then because `listen` does not tell of everything.
"""

import asyncio
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf

from jitsu_backup.archive import ArchiveName
from jitsu_backup.console import Console, Gate
from jitsu_backup.console.listening import Heard, changed_after, listen
from jitsu_backup.console.own_user import is_operator
from jitsu_backup.console.workspaces import find_workspace, workspaces
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import plural
from jitsu_backup.operations.alarms import reason_of
from jitsu_backup.operations.asking import MARGIN
from jitsu_backup.operations.backup import Backup, WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome
from jitsu_backup.operations.connection import Connection, Consoles
from jitsu_backup.operations.pace import LISTEN_SECONDS, Pace
from jitsu_backup.operations.prune import Removed, prune_workspaces
from jitsu_backup.operations.watching import Standing, Surroundings, WatchEvent, WatchJob

CONFIRM_SECONDS = MARGIN.total_seconds() + 5
"""After how many seconds a workspace that has changed is read once more, because of what is committed late."""

LONGEST_SETTLE = 60.0
"""How long a workspace that keeps changing is waited for, in seconds."""

BEAT_SECONDS = 120.0
"""How often it is told how the watch stands, in seconds."""

LIST_SECONDS = 60.0
"""How often the workspaces of a key are listed."""

FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0

CATCHING_UP = 3
"""How many times as seldom workspaces are asked until all have been backed up once: else asking would leave no budget for it."""

IMPATIENT_SECONDS = 3600.0
"""How long a console is not let wait after a question that failed while it did."""

LISTENING = 90
"""How many questions a console may have at once, most of which it lets wait."""

AT_ONCE = 10
"""Workspaces that are backed up in one turn because they have changed."""

LOOKS_AT_ONCE = 3
"""Workspaces that are looked at beyond asking in one turn."""

TURN_SECONDS = 900.0
"""How long backing up may take in one turn."""

_LIST = "the list of workspaces"

GRACE_SECONDS = 3.5
"""How long a watch that is to end may back up what it knows to have changed."""


@dataclass(slots=True)
class _Watched:
    """A workspace that is watched. Times are those of the watch's clock; `due_at` is when it is backed up next.

    `heard` is when it last changed, as far as that was heard, and `changed_at` when the first change happened that no
    archive has; it is `kept` once it was backed up. While it is `asked`, the console has a question about it; while it is
    `busy`, it is backed up, and `heard_before` is what was heard before that.
    """

    access: WorkspaceAccess
    label: str
    ask_at: float
    due_at: float
    heard: datetime | None = None
    changed_at: float | None = None
    tries: int = 0
    asked: bool = False
    busy: bool = False
    kept: bool = False
    heard_before: datetime | None = None

    @property
    def is_changed(self) -> bool:
        """Whether it has changed, as far as that was heard, and no archive has that."""
        return self.changed_at is not None


class Watch:
    """A watch over some workspaces, or over all that a key can see. It ends when it is told to, and for nothing else."""

    def __init__(self, job: WatchJob, around: Surroundings) -> None:
        """Ask nothing yet."""
        self.job, self._around = job, around
        self._watched: dict[str, _Watched] = {}
        self._unresolved = list(job.backup.workspaces)
        self._beat_at = 0.0
        self._troubles: dict[str, str] = {}
        self._expected = around.expected
        self._consoles = Consoles()
        self._period = 0.0
        self._impatient_until = 0.0
        self._woken = asyncio.Event()
        self._listening: set[asyncio.Task[None]] = set()
        self._backing_up: dict[bool, asyncio.Task[None]] = {}
        """What is being backed up: what has changed (True), beside what is only looked at."""

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set; then back up what is known to have changed, as far as GRACE_SECONDS allow."""
        async with self._consoles:
            waiting = asyncio.ensure_future(self._until_stopped(stop))
            try:
                await self._turns(stop)
            finally:
                waiting.cancel()
                left = [*self._listening, *self._backing_up.values()]
                for task in left:
                    task.cancel()
                await asyncio.gather(waiting, *left, return_exceptions=True)

    @property
    def standing(self) -> Standing:
        """How it stands."""
        return Standing(len(self._watched), dict(self._troubles))

    async def _until_stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _turns(self, stop: asyncio.Event) -> None:
        listing = asyncio.ensure_future(self._keep_listing())
        try:
            while not stop.is_set():
                if listing.done():
                    listing.result()
                self._ask_those_whose_turn_it_is()
                self._back_up_what_is_due()
                self._beat()
                await self._until_next()
        finally:
            listing.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await asyncio.gather(*self._backing_up.values())
                await self._back_up([one for one in self._watched.values() if one.changed_at is not None])

    async def _until_next(self) -> None:
        moments = [self._beat_at]
        for one in self._watched.values():
            moments += [] if one.asked else [one.ask_at]
            moments += [] if one.busy or one.is_changed in self._backing_up else [one.due_at]
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.05, min(moments) - self._clock())):
                await self._woken.wait()

    def _back_up_what_is_due(self) -> None:
        """Begin to back up what is due: what has changed does not wait for what is only looked at."""
        for changed, most in ((True, AT_ONCE), (False, LOOKS_AT_ONCE)):
            if changed in self._backing_up and self._backing_up[changed].done():
                self._backing_up.pop(changed).result()
            now = self._clock()
            due = [
                one for one in self._watched.values()
                if one.due_at <= now and one.is_changed is changed and not one.busy
            ]  # fmt: skip
            if due and changed not in self._backing_up:
                turn = sorted(due, key=lambda one: one.due_at)[:most]
                self._backing_up[changed] = task = asyncio.ensure_future(self._back_up(turn))
                task.add_done_callback(lambda _: self._woken.set())

    def _clock(self) -> float:
        return self._around.monotonic()

    # -- which workspaces there are ----------------------------------------------------

    async def _keep_listing(self) -> None:
        """Find the workspaces that are meant; those of a key are listed again and again."""
        tries = 0
        while self.job.backup.everything or self._unresolved:
            try:
                await self._list()
            except BackupError as problem:
                self._goes_wrong(_LIST, reason_of(problem))
                await asyncio.sleep(min(LIST_SECONDS, _backoff(tries)))
                tries += 1
                continue
            tries = 0
            self._is_well_again(_LIST)
            self._tell_period()
            self._woken.set()
            await asyncio.sleep(LIST_SECONDS)

    async def _list(self) -> None:
        if self.job.backup.everything:
            await self._list_all(self.job.backup.workspaces[0])
            return
        while self._unresolved:
            await self._resolve(self._unresolved[0])
            self._unresolved.pop(0)

    async def _list_all(self, access: WorkspaceAccess) -> None:
        listed = await workspaces(self._console(access.connection))
        if listed.is_operators:  # else the backup would find out for each by itself
            access = replace(access, operator=access.operator or access.connection)
        for each in listed.found:
            self._watch(replace(access, workspace=each.id), each.slug or each.id)
        for gone in self._watched.keys() - {each.id for each in listed.found}:
            label = self._watched.pop(gone).label
            self._troubles.pop(label, None)
            self._tell(
                "warning", "the key sees it no longer: its archives stay, and nothing new comes", label
            )

    async def _resolve(self, access: WorkspaceAccess) -> None:
        console = self._console(access.connection)
        found = await find_workspace(console, access.workspace or "")
        if access.operator is None and await is_operator(console):
            access = replace(access, operator=access.connection)
        self._watch(replace(access, workspace=found.id), found.slug or found.id)

    def _watch(self, access: WorkspaceAccess, label: str) -> None:
        known = self._watched.get(access.workspace or "")
        if known is not None:
            known.label = label
            return
        now = self._clock()
        self._watched[access.workspace or ""] = _Watched(
            access, label, now, due_at=inf
        )  # once it has been asked

    # -- asking ------------------------------------------------------------------------

    def _ask_those_whose_turn_it_is(self) -> None:
        now = self._clock()
        if True in self._backing_up and self._is_dry:
            return  # what has changed goes first
        period = self.pace.period * (
            CATCHING_UP if any(not each.kept for each in self._watched.values()) else 1
        )
        waiting = (one for one in self._watched.values() if one.ask_at <= now and not one.asked)
        for one in sorted(waiting, key=_by_turn)[: LISTENING - len(self._listening)]:
            one.asked, one.ask_at = True, now + period
            asking = asyncio.ensure_future(self._ask(one))
            self._listening.add(asking)
            asking.add_done_callback(self._listening.discard)

    async def _ask(self, one: _Watched) -> None:
        try:
            await self._hear(one)
        finally:
            one.asked = False
            one.due_at = self._clock() if one.due_at == inf else one.due_at
            self._woken.set()

    async def _hear(self, one: _Watched) -> None:
        console, workspace_id = self._console(one.access.connection), one.access.workspace or ""
        try:
            if one.heard is None:
                heard = await listen(console, workspace_id)
                if heard is None:
                    self._read_in_time(one)
                    return
                one.heard = heard.last_modified  # whatever was before, the first backup asks itself
            else:
                changed = await changed_after(console, workspace_id, one.heard, self._listen_seconds)
                if changed is not None:
                    self._note(one, changed)
        except BackupError:  # told by the backup that is due then
            if self._listen_seconds:  # or something on the way ends what takes long
                self._impatient_until, one.ask_at = self._clock() + IMPATIENT_SECONDS, self._clock()
            self._read_in_time(one)
            return
        if one.tries:
            one.due_at = min(one.due_at, self._clock())  # the console is there again

    def _read_in_time(self, one: _Watched) -> None:
        """See that a workspace whose console tells nothing is read, but not all the time."""
        if one.due_at != inf:
            one.due_at = min(one.due_at, self._clock() + self.pace.read_every)

    @property
    def _listen_seconds(self) -> float:
        return self.pace.listen_seconds if self._clock() >= self._impatient_until else 0.0

    def _note(self, one: _Watched, heard: Heard) -> None:
        """Note that a workspace has changed, and when it will have been left alone for long enough."""
        now = self._clock()
        quiet = max(0.0, (heard.now - heard.last_modified).total_seconds())
        one.heard = heard.last_modified
        one.changed_at = now - quiet if one.changed_at is None else one.changed_at
        settled = now + max(0.0, self.job.settle - quiet)
        one.due_at = min(settled, max(now, one.changed_at + LONGEST_SETTLE))
        one.ask_at = min(one.ask_at, max(now, one.due_at - 0.05))

    @property
    def pace(self) -> Pace:
        """How often it can ask and look."""
        limits = {self._gate_of(one.connection).limit for one in self.job.backup.workspaces} - {0}
        return Pace(len(self._watched), min(limits, default=None))

    @property
    def _is_dry(self) -> bool:
        return any(self._gate_of(one.connection).left == 0 for one in self.job.backup.workspaces)

    def _gate_of(self, connection: Connection) -> Gate:
        key_id = connection.key.reveal().partition(":")[0]
        return connection.gates.of(connection.host.rstrip("/"), key_id, "GET")

    def _tell_period(self) -> None:
        pace = self.pace
        if self._watched and abs(pace.period - self._period) > 0.2 * self._period:
            self._period = pace.period
            self._tell(
                "info",
                f"{plural(pace.workspaces, 'workspace')} asked every {pace.period:.0f} s, for at most half of the key's read"
                f" budget: a change is in the store within {pace.delay(self.job.settle):.0f} s",
            )

    # -- backing up --------------------------------------------------------------------

    async def _back_up(self, turn: Sequence[_Watched]) -> None:
        """Back up some workspaces, and note what became of each."""
        if not turn:
            return
        for one in turn:
            one.busy, one.heard_before = True, one.heard
        try:
            await self._run_backup(turn)
        finally:
            for one in turn:
                one.busy = False

    async def _run_backup(self, turn: Sequence[_Watched]) -> None:
        wanted = replace(
            self.job.backup, workspaces=tuple(one.access for one in turn), everything=False, deadline=TURN_SECONDS,
            full_every=self.job.full_every,
        )  # fmt: skip
        around = self._around
        backup = Backup(
            wanted, around.store, around.keys, around.report, now=around.now, monotonic=around.monotonic,
            expected=self._expected,
        )  # fmt: skip
        try:
            run = await backup.run()
        except UsageError:
            raise
        except Exception as problem:  # noqa: BLE001  a service goes on
            self._goes_wrong("the store", reason_of(problem))
            for one in turn:
                self._try_again(one)
            return
        self._is_well_again("the store")
        for one, outcome in zip(turn, run.outcomes, strict=True):
            self._settle(one, outcome)
        self._look_for_unseen(run)
        run = replace(run, removed=await self._prune(run))
        around.backed_up(run)

    def _settle(self, one: _Watched, outcome: WorkspaceOutcome) -> None:
        """Note what became of a workspace that was due, and when it is due next."""
        if outcome.failure is not None:
            self._goes_wrong(one.label, outcome.problem)
            self._try_again(one)
            return
        wrong = "; ".join(f"{one.what.words}: {one.why}" for one in outcome.alarms(self._around.again))
        if wrong:
            self._goes_wrong(one.label, wrong)
        else:
            self._is_well_again(one.label)
        now, changed = self._clock(), one.changed_at is not None
        if outcome.saved is not None and outcome.saved.written:
            seconds = now - one.changed_at if one.changed_at is not None else None
            archive = outcome.saved.archive
            late = "" if seconds is None else f", {seconds:.0f} s after it changed"
            self._tell("info", f"backed up: {archive.total} entities{late}", one.label, archive, seconds)
        if outcome.archive is not None and outcome.source is not None:
            taken_at = outcome.archive.taken_at.timestamp()
            newest = {**self._expected.newest, outcome.source.workspace_id: taken_at}
            self._expected = replace(self._expected, named=True, may_be_new=False, newest=newest)
        one.tries, one.kept = 0, True
        if (
            one.heard == one.heard_before
        ):  # else it has changed meanwhile, and nobody knows whether that was read
            one.changed_at = None
            one.due_at = now + (CONFIRM_SECONDS if changed else self.pace.look_every * _spread(one))

    async def _prune(self, run: BackupRun) -> Removed | None:
        whole = {one.archive.workspace_id for one in run.outcomes if one.whole and one.archive}
        if self.job.retention is None or not any(one.written for one in run.saved):
            return None
        removed = await prune_workspaces(
            self._around.store, whole, self.job.retention, now=self._around.now, left=lambda: TURN_SECONDS
        )
        if removed.stuck:
            self._tell("warning", f"{removed.stuck} old archives could not be removed: {removed.why}")
        return removed

    def _look_for_unseen(self, run: BackupRun) -> None:
        """Tell, once, of workspaces that only the store has."""
        if not self.job.backup.everything:
            return
        newest: dict[str, ArchiveName] = {}
        for archive in sorted(run.stored_before, key=lambda one: one.sort_key):
            newest[archive.workspace_id] = archive
        allowed = self.job.backup.allow_unseen
        for workspace_id, archive in newest.items():
            name = f"{archive.slug} (only in the store)"
            may_be = any(each == "*" or archive.belongs_to(each) for each in allowed)
            if may_be or workspace_id in self._watched:
                self._is_well_again(name)
            else:
                self._goes_wrong(name, f"is it gone? --allow-unseen {archive.slug}: that is no alarm")

    def _try_again(self, one: _Watched) -> None:
        one.due_at = self._clock() + _backoff(one.tries)
        one.tries += 1

    # -- telling -----------------------------------------------------------------------

    def _tell(
        self, level: str, message: str, workspace: str | None = None, archive: ArchiveName | None = None,
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        self._around.told(WatchEvent(level, message, workspace, archive, seconds))

    def _goes_wrong(self, what: str, why: str) -> None:
        """Tell what has gone wrong, once as long as it stays so."""
        before = self._troubles.get(what)
        self._troubles[what] = why
        if before is None or before != why:
            self._tell("error", why, what)
        if before is None:
            self._around.stands(self.standing)

    def _is_well_again(self, what: str) -> None:
        if self._troubles.pop(what, None) is not None:
            self._tell("info", "is well again", what)
            self._around.stands(self.standing)

    def _beat(self) -> None:
        if self._clock() >= self._beat_at:
            self._beat_at = self._clock() + BEAT_SECONDS
            self._around.stands(self.standing)

    def _console(self, connection: Connection) -> Console:
        return self._consoles.of(_patient(connection))


def _patient(connection: Connection) -> Connection:
    """Return a connection for many questions at once, each of which the console may let wait."""
    return replace(connection, concurrency=LISTENING, timeout=max(connection.timeout, LISTEN_SECONDS + 20))


def _backoff(tries: int) -> float:
    seconds: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(tries, 10))
    return seconds


def _spread(one: _Watched) -> float:
    """Return a share from a half to 1, by the id of a workspace, so that not all are looked at together."""
    return 0.5 + zlib.crc32((one.access.workspace or "").encode()) / 2**33


def _by_turn(one: _Watched) -> float:
    return one.ask_at
