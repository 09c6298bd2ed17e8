"""Watching one console with one key: which workspaces exist, what has changed, and when each is backed up."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil, inf
from typing import Any, TypeVar

from jitsu_backup.console import Console, Gate
from jitsu_backup.console.listening import Heard, changed_after, listen
from jitsu_backup.console.own_user import is_operator
from jitsu_backup.console.workspaces import Workspace, find_workspace, workspaces
from jitsu_backup.errors import AccessError, BackupError, UnreachableError
from jitsu_backup.model import plural, shown_time
from jitsu_backup.operations.asking import MARGIN
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.connection import Connection, Consoles
from jitsu_backup.operations.keeping import Keeper
from jitsu_backup.operations.key_renewal import renewed
from jitsu_backup.operations.pace import LISTEN_SECONDS, Pace, backoff
from jitsu_backup.operations.watched import Watched, is_ahead
from jitsu_backup.operations.watching import WatchEvent

T = TypeVar("T")

LIST_SECONDS = 60.0
"""How often the workspaces of a key are listed."""

CATCHING_UP = 3
"""How many times less often workspaces are asked until all have been backed up once, which needs the budget."""

IMPATIENT_SECONDS = 3600.0
"""After a question that failed while the console waited: how long questions return at once."""

AWAY_SECONDS = 10.0
"""How long a console may be unreachable before that is reported. The watch keeps trying."""

ANSWER_SECONDS = 300.0
"""How long a question may take, including waits for the rate limit: some replies never end."""

LISTENING = 110
"""How many questions a console may have at once. Most of them are waiting there."""

CHANGED_AT_ONCE, LOOKS_AT_ONCE = 4, 3
"""Workspaces that are backed up at once because they have changed, and that are looked at although nothing was heard."""

SLOW_SECONDS = 20.0
"""After how long a backup counts as slow, so that another may start beside it."""

SLOW_TOO = 3
"""How many times more workspaces are backed up at once if some are slow."""

DRY_SECONDS = 0.5
"""How long asking pauses while changed workspaces use the budget."""


class ConsoleWatch:
    """A watch over the workspaces that one key can read on one console. If it hangs, other consoles are not affected.

    Each workspace knows when it is due. The loop starts what is due, each in a task of its own, and waits until more is
    due or a task has ended.
    """

    def __init__(
        self, wanted: Sequence[WorkspaceAccess], keeper: Keeper, consoles: Consoles, name: str = ""
    ) -> None:
        """Ask nothing yet. Events call the console `name` if there are several."""
        self.wanted, self._keeper, self._name = [*wanted], keeper, name
        self._connection = wanted[0].connection
        self._consoles = consoles
        self._mine: list[Watched] = []
        self._period = 0.0
        self._impatient_until = 0.0
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = 0
        self._failure: BaseException | None = None
        self._unfound = len(wanted)
        """How many places have not been looked up yet."""

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set. Raise UsageError."""
        everything = self._keeper.job.backup.everything
        for access in self.wanted:
            self._begin(self._keep_listing(access) if everything else self._keep_finding(access))
        while not stop.is_set():
            self._ask_those_whose_turn_it_is()
            self._back_up_what_is_due()
            await self._until_next()

    async def finish(self) -> None:
        """Back up what is known to have changed, and wait for the running backups."""
        left = [one for one in self._mine if one.is_changed]
        while left or self._busy:
            now = self._clock()
            ready = [one for one in left if one.busy_since is None][: self._room(changed=True, now=now)]
            for one in ready:
                if self._keeper.store.may_be_tried:
                    left.remove(one)
                    self._back_up(one)
            if not self._busy:
                return  # the store accepts nothing
            await self._until(now + SLOW_SECONDS)

    async def end(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        """Check whether something is due."""
        self._woken.set()

    @property
    def pace(self) -> Pace:
        """How often it can ask and read."""
        return Pace(len(self._mine), self._gate.limit or None, self._keeper.job.full_every.total_seconds())

    @property
    def _gate(self) -> Gate:
        connection = self._connection
        key_id = connection.key.reveal().partition(":")[0]
        return connection.gates.of(connection.host.rstrip("/"), key_id, "GET")

    @property
    def _busy(self) -> list[Watched]:
        return [one for one in self._mine if one.busy_since is not None]

    def _clock(self) -> float:
        return self._keeper.around.monotonic()

    def _begin(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        failure = (
            None if task.cancelled() else task.exception()
        )  # otherwise asyncio reports each failure that nobody retrieves
        self._failure = self._failure or failure
        self.wake()

    async def _until_next(self) -> None:
        now, store = self._clock(), self._keeper.store
        moments = [now + LIST_SECONDS]
        for one in self._mine:
            if not one.asked:
                moments.append(one.ask_at if one.ask_at > now else now + DRY_SECONDS)
            if one.busy_since is not None:
                moments.append(one.busy_since + SLOW_SECONDS)
            elif one.due_at > now:  # otherwise it waits for running backups or for the store
                moments.append(one.due_at)
        moments += [store.retry_at] if store.in_trouble else []
        await self._until(min(moment for moment in moments if moment > now))

    async def _until(self, moment: float) -> None:
        """Wait until a moment, or until `wake` is called. Raise the failure of a task."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.05, moment - self._clock())):
                await self._woken.wait()
        self._woken.clear()
        if self._failure is not None:
            raise self._failure

    # -- which workspaces exist --------------------------------------------------------

    async def _keep_listing(self, access: WorkspaceAccess) -> None:
        """List the workspaces of a key at intervals."""
        subject, tries = ("list", access.connection.host), 0
        while True:
            try:
                access, _ = await self._with_newest_key(access, self._list)
            except BackupError as problem:
                alarm = self._keeper.alarm_of(problem)
                self._keeper.troubles.begins(subject, "the list of workspaces", alarm, code=problem.exit_code)
                await asyncio.sleep(min(LIST_SECONDS, backoff(tries)))
                tries += 1
                continue
            tries = 0
            self._keeper.troubles.is_over(subject)
            await asyncio.sleep(LIST_SECONDS)

    async def _with_newest_key(
        self, access: WorkspaceAccess, ask: Callable[[WorkspaceAccess], Awaitable[tuple[WorkspaceAccess, T]]]
    ) -> tuple[WorkspaceAccess, T]:
        """Ask a console; if the key does not suffice, ask with the one that its file or command has meanwhile."""
        try:
            return await ask(access)
        except AccessError:
            again = await renewed(access)
            if again == access:
                raise
        answer = await ask(again)
        self.wanted = [again if one.workspace == again.workspace else one for one in self.wanted]
        if self._connection.key != again.connection.key:
            self._connection = again.connection
            self._tell("info", f"console {self._connection.host}: uses the new key from now on")
        return answer

    async def _list(self, access: WorkspaceAccess) -> tuple[WorkspaceAccess, None]:
        listed = await self._answered(workspaces(self._console(access.connection)))
        if listed.is_operators:  # otherwise each backup would have to find out
            access = replace(access, operator=access.operator or access.connection)
        self._watch_all(access, listed.found)
        if not listed.found:
            raise AccessError(f"console {access.connection.host}: this key cannot read any workspace")
        return access, None

    async def _find(self, access: WorkspaceAccess) -> tuple[WorkspaceAccess, Workspace]:
        console = self._console(access.connection)
        found = await self._answered(find_workspace(console, access.workspace or ""))
        if access.operator is None and await self._answered(is_operator(console)):
            access = replace(access, operator=access.connection)
        return access, found

    def _watch_all(self, access: WorkspaceAccess, found: Iterable[Workspace]) -> None:
        self._unfound = 0
        kept = [self._watch(access, each) for each in found]
        for one in [one for one in self._mine if one not in kept]:
            self._forget(
                one, "the key no longer sees it: its archives are kept, but it is no longer backed up"
            )
        self._tell_period()

    async def _keep_finding(self, access: WorkspaceAccess) -> None:
        """Find the workspace that a place names, and again whenever it cannot be read or has another slug."""
        named = access.workspace or ""
        subject, tries, known = ("place", access.connection.host, named), 0, None
        while True:
            try:
                access, found = await self._with_newest_key(access, self._find)
            except BackupError as problem:
                alarm = self._keeper.alarm_of(problem, named)
                if known is None:
                    self._keeper.troubles.begins(subject, named, alarm, code=problem.exit_code)
                    self._unfound -= not tries
                    self._tell_period()
                elif not known.tries:  # otherwise its own trouble is reported
                    still = f"{alarm.why}; {known.id}, which had this slug, is still watched"
                    self._keeper.troubles.begins(subject, named, replace(alarm, why=still))
                longest = LIST_SECONDS if isinstance(problem, AccessError) else inf  # somebody renews the key
                await asyncio.sleep(min(longest, backoff(tries)))
                tries += 1
                continue
            self._unfound, tries = self._unfound - (known is None and not tries), 0
            self._keeper.troubles.is_over(subject)
            one = self._watch(access, found)
            if known is not None and known is not one:
                self._forget(
                    known, f"{named} now names another workspace, {one.id}, which is watched instead"
                )
            known = one
            self._tell_period()
            await known.lost.wait()
            known.lost.clear()

    def _watch(self, access: WorkspaceAccess, found: Workspace) -> Watched:
        """Return a workspace that is watched from now on, or already was."""
        host, label = access.connection.host.rstrip("/"), found.slug or found.id
        watched = self._keeper.watched
        known = watched.get((host, found.id))
        if known is not None:
            known.label, known.access = label, replace(access, workspace=found.id)
            return known
        if any(each.id == found.id for each in watched.values()):
            message = "another console has a workspace with this id; use a separate store for each console"
            self._tell("warning", message, f"{label} ({host})")
        one = Watched(replace(access, workspace=found.id), label, ask_at=self._clock())
        watched[one.key] = one
        self._mine.append(one)
        self.wake()
        return one

    def _forget(self, one: Watched, why: str) -> None:
        self._keeper.watched.pop(one.key, None)
        if one in self._mine:
            self._mine.remove(one)
        self._keeper.troubles.forget(one.subject)
        self._tell("warning", why, one.label)

    # -- asking ------------------------------------------------------------------------

    def _ask_those_whose_turn_it_is(self) -> None:
        now = self._clock()
        changed = (one for one in self._busy if one.as_changed or one.is_changed)
        brisk = (one for one in changed if now - (one.busy_since or 0) < SLOW_SECONDS)
        if self._gate.left == 0 and any(brisk):
            return  # what has changed goes first
        catching_up = not self._keeper.store.in_trouble and any(one.waits_to_be_kept for one in self._mine)
        period = self.pace.period * (CATCHING_UP if catching_up else 1)
        waiting = [one for one in self._mine if one.ask_at <= now and not one.asked]
        for one in sorted(waiting, key=lambda one: one.ask_at)[: LISTENING - self._listening]:
            one.asked, one.ask_at = True, now + period
            self._listening += 1
            self._begin(self._ask(one))

    async def _ask(self, one: Watched) -> None:
        try:
            await self._hear(one)
        finally:
            self._listening -= 1
            one.asked = False
            one.due_at = self._clock() if one.due_at == inf else one.due_at

    async def _hear(self, one: Watched) -> None:
        console, known = self._console(one.access.connection), one.heard
        try:
            if (
                known is None or known > self._keeper.around.now() + MARGIN
            ):  # earlier changes are not reported
                heard = await self._answered(listen(console, one.id))
                if heard is None or self._is_ahead(one, heard):
                    one.heard = None
                    one.is_silent(self._clock(), self.pace)
                    return
                one.heard = heard.last_modified  # the first backup asks by itself what changed before
                changed = None if known in (None, one.heard) else heard
            else:
                asking = changed_after(console, one.id, known, self._listen_seconds)
                changed = await self._answered(asking)
            if changed is not None:
                one.changes(changed, self._clock(), self._keeper.job.settle)
        except BackupError:  # the backup that is due then reports it
            if self._listen_seconds:  # or a proxy ends requests that take long
                self._impatient_until, one.ask_at = self._clock() + IMPATIENT_SECONDS, self._clock()
            one.is_silent(self._clock(), self.pace)
            return
        one.answers(self._clock())

    def _is_ahead(self, one: Watched, heard: Heard) -> bool:
        """Return whether a date in a workspace is so far ahead that no change is heard of until then. Report it once."""
        if is_ahead(heard) and one.told_ahead != heard.last_modified:
            one.told_ahead = heard.last_modified
            message = (
                f"something in it is dated {shown_time(heard.last_modified)}, which is in the future; until then the"
                f" console reports no changes, and the workspace is read every {self.pace.read_every:.0f} s"
            )
            self._tell("warning", message, one.label)
        return is_ahead(heard)

    @property
    def _listen_seconds(self) -> float:
        return self.pace.listen_seconds if self._clock() >= self._impatient_until else 0.0

    # -- backing up --------------------------------------------------------------------

    def _back_up_what_is_due(self) -> None:
        """Start the backups that are due. Changed workspaces do not wait for those that are only checked."""
        now, store = self._clock(), self._keeper.store
        due = [one for one in self._mine if one.due_at <= now and one.busy_since is None]
        due.sort(key=lambda one: (not one.unwritten, one.due_at))
        if store.in_trouble:
            for one in due[:1] if store.may_be_tried else []:
                self._back_up(one)
            return
        for changed in (True, False):
            alike = [one for one in due if one.is_changed is changed]
            for one in alike[: self._room(changed=changed, now=now)]:
                self._back_up(one)

    def _room(self, *, changed: bool, now: float) -> int:
        """Return how many more backups may start now, of changed workspaces or of those that are only checked."""
        alike = [now - (one.busy_since or 0) for one in self._busy if one.as_changed is changed]
        most = CHANGED_AT_ONCE if changed else LOOKS_AT_ONCE
        brisk = sum(seconds < SLOW_SECONDS for seconds in alike)
        return max(0, min(most - brisk, SLOW_TOO * most - len(alike)))

    def _back_up(self, one: Watched) -> None:
        one.begins(self._clock())
        self._begin(
            self._keeper.back_up(one, lambda: self.pace, tries_store=self._keeper.store.is_tried_again())
        )

    # -- reporting ---------------------------------------------------------------------

    def _tell(self, level: str, message: str, label: str | None = None) -> None:
        self._keeper.around.told(WatchEvent(level, message, label))

    def _tell_period(self) -> None:
        pace = self.pace
        if self._unfound or not pace.workspaces or abs(pace.period - self._period) <= 0.2 * self._period:
            return
        self._period = pace.period
        whose = f"console {self._name}: " if self._name else ""
        self._tell(
            "info",
            f"{whose}{plural(pace.workspaces, 'workspace')} asked every {pace.period:.0f} s, with at most half of the key's"
            f" read budget; a change is in the store within {ceil(pace.delay(self._keeper.job.settle))} s",
        )
        if pace.reads_less_often:
            self._tell(
                "warning",
                f"{whose}each workspace is read completely every {pace.look_every:.0f} s instead of every"
                f" {pace.full_every:.0f} s (--full-every), because half of the key's read budget allows no more",
            )

    async def _answered(self, asking: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asking
        except TimeoutError:
            host = self._connection.host
            raise UnreachableError(f"console {host} has not answered for {ANSWER_SECONDS:.0f} s") from None

    def _console(self, connection: Connection) -> Console:
        return self._consoles.of(_patient(connection))


def _patient(connection: Connection) -> Connection:
    """Return a connection for many long questions at once, which reports a failure soon."""
    seconds = max(connection.timeout, LISTEN_SECONDS + 20)
    return replace(connection, concurrency=LISTENING, timeout=seconds, retry_for=AWAY_SECONDS)
