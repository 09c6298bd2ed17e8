"""What a watch does with its store: back up a workspace, note the outcome, and remove old archives."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain

from jitsu_backup.archive import ArchiveName, newest_first, safe_text
from jitsu_backup.errors import AccessError, BackupError, NotFoundError, UsageError
from jitsu_backup.events import Event, Problem
from jitsu_backup.model import plural
from jitsu_backup.operations.alarms import FOR_EVER, Alarm, What, reason_of, why_and_remedy
from jitsu_backup.operations.backup import Backup
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome, unseen_alarm
from jitsu_backup.operations.pace import LONGEST_RETRY, Pace
from jitsu_backup.operations.prune import Removed, Retention, prune_workspaces
from jitsu_backup.operations.recovered import was_recovered
from jitsu_backup.operations.troubles import Troubles
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.operations.watch_store import View, WatchedStore
from jitsu_backup.operations.watched import Watched
from jitsu_backup.operations.watching import Surroundings, WatchEvent, WatchJob

BACKUP_SECONDS = 900.0
"""How long a backup of one workspace may take."""

PRUNE_SECONDS = 10.0
"""How long after a backup old archives are removed. A notification about changes reads one of them."""

_STORE, _OLD = ("store",), ("old archives",)


@dataclass
class Keeper:
    """Back up the workspaces of a watch, one by one. `watched` has all of them, by console and id."""

    job: WatchJob
    around: Surroundings
    troubles: Troubles
    store: WatchedStore
    watched: dict[tuple[str, str], Watched]
    _expected: ExpectedStore = field(init=False)
    _to_prune: set[str] = field(default_factory=set)
    """The ids of the workspaces that have new archives, as file names spell them."""
    _written: asyncio.Event = field(default_factory=asyncio.Event)
    _looked_through: int = 0

    def __post_init__(self) -> None:
        """Begin with what is known about the store."""
        self._expected = self.around.expected

    async def back_up(self, one: Watched, pace: Callable[[], Pace], *, tries_store: bool) -> None:
        """Back up a workspace and note the outcome. Raise UsageError.

        `tries_store` means that the store failed before, and that this backup tests it.
        """
        view, problems = View(self.store, one.id), list[str]()
        try:
            run = await self._run(one, view, problems)
        except UsageError:
            raise
        except Exception as problem:  # noqa: BLE001  a service keeps running
            self._store_fails(one, problem, tried=tries_store)
            return
        finally:
            one.busy_since = None
            if tries_store:
                self.store.is_tried = False
        (outcome,) = (replace(each, label=one.label, workspace_id=one.id) for each in run.outcomes)
        run = replace(run, outcomes=(outcome,))
        if self.watched.get(one.key) is not one:
            pass  # it is no longer watched, so nothing is reported about it
        elif outcome.failure is not None and view.problem is not None:
            self._store_fails(one, outcome.failure, tried=tries_store)
        else:
            self._settle(one, outcome, problems, pace())
            self._store_did(view)
        if run.unlisted is not None:
            alarms = (
                alarm for alarm in run.alarms(self.around.again, FOR_EVER) if alarm.what is What.UNCOMPARED
            )
            self.troubles.begins(_STORE, "the store", *alarms)
        self.around.backed_up(run)
        self._look_for_unseen()
        if outcome.whole and outcome.saved is not None and outcome.saved.written:
            self._to_prune.add(outcome.saved.archive.workspace_id)
            self._written.set()

    async def _run(self, one: Watched, view: View, problems: list[str]) -> BackupRun:
        """Back up a workspace, and add to `problems` each error that did not end the backup."""

        def report(event: Event) -> None:
            if isinstance(event, Problem):
                problems.append(event.text.removeprefix(f"{one.id}: "))
            else:
                self.around.report(event)

        wanted = replace(
            self.job.backup, workspaces=(one.access,), everything=False, deadline=BACKUP_SECONDS,
            full_every=self.job.full_every,
        )  # fmt: skip
        around = self.around
        backup = Backup(
            wanted,
            view,
            around.keys,
            report,
            now=around.now,
            monotonic=around.monotonic,
            expected=self._expected,
        )
        return await backup.run()

    def _store_fails(self, one: Watched, failure: Exception, *, tried: bool) -> None:
        self.store.fails(tried=tried)
        self.troubles.begins(_STORE, "the store", self.alarm_of(failure), code=_code_of(failure))
        one.unwritten, one.due_at = True, self.around.monotonic()

    def alarm_of(self, failure: Exception, workspace: str = "") -> Alarm:
        """Return the alarm about a failure of a part of the watch, or of what names a workspace."""
        return Alarm(What.RUN_FAILED, *why_and_remedy(failure, self.around.again, workspace, FOR_EVER))

    def _store_did(self, view: View) -> None:
        """Note that the store works again once it accepted an archive, or no rejected archive is left."""
        if view.problem is None and (view.wrote or not any(one.unwritten for one in self.watched.values())):
            self.store.does_well()
            self.troubles.is_over(_STORE)

    def _settle(self, one: Watched, outcome: WorkspaceOutcome, problems: list[str], pace: Pace) -> None:
        """Note the outcome of a workspace that was due, and when it is due next."""
        now = self.around.monotonic()
        if outcome.failure is not None:
            alarm = next(outcome.alarms(self.around.again, FOR_EVER))
            why = alarm.why.removeprefix(f"workspace {one.id} ")  # the label already names it
            why = why.replace(one.id, one.label)
            self.troubles.begins(one.subject, one.label, replace(alarm, why=why), code=outcome.exit_code)
            one.fails(now)
            if isinstance(outcome.failure, NotFoundError | AccessError):
                one.lost.set()
            return
        if outcome.source is not None:
            one.is_called(outcome.source.slug or one.id)
        alarms = [*outcome.alarms(self.around.again_with_keys(outcome.named), FOR_EVER)]
        alarms += [Alarm(What.RUN_FAILED, problem, workspace=one.label) for problem in problems]
        if alarms:
            self.troubles.begins(one.subject, one.label, *alarms)
        else:
            self.troubles.is_over(one.subject, one.label)
        if outcome.saved is not None and outcome.saved.written:
            seconds = None if one.changed_at is None else now - one.changed_at
            self._tell_of(one.label, outcome.saved.archive, seconds)
        if outcome.archive is not None:
            newest = {**self._expected.newest, one.id: outcome.archive.taken_at.timestamp()}
            self._expected = replace(self._expected, named=True, may_be_new=False, newest=newest)
        one.is_backed_up(now, pace)

    def _tell_of(self, label: str, archive: ArchiveName, seconds: float | None) -> None:
        late = "" if seconds is None else f", {seconds:.0f} s after it changed"
        message = f"backed up: {plural(archive.total or 0, 'entity', 'entities')}{late}"
        self.around.told(WatchEvent("info", message, label, archive, seconds))

    def _look_for_unseen(self) -> None:
        """Report, once, the workspaces that only the store has."""
        if not self.job.backup.everything or self._looked_through == self.store.listings:
            return
        self._looked_through = self.store.listings
        mine = {safe_text(one.id) for one in self.watched.values()}
        labels = {one.label for one in self.watched.values()}
        allowed = self.job.backup.allow_unseen
        unseen: dict[str, ArchiveName] = {}
        for workspace_id, names in self.store.held.items():
            newest = None if workspace_id in mine else next(iter(newest_first(names)), None)
            if newest is None or any(each == "*" or newest.belongs_to(each) for each in allowed):
                continue
            if was_recovered(
                newest, chain.from_iterable(newest_first(self.store.held.get(one, ())) for one in mine)
            ):
                continue
            unseen[workspace_id] = newest
        times = Counter(newest.slug for newest in unseen.values())
        sees_all = all(one.access.is_operators for one in self.watched.values())
        for workspace_id, newest in unseen.items():
            named = workspace_id if newest.slug in labels or times[newest.slug] > 1 else newest.slug
            slug = newest.slug if named == workspace_id else ""
            alarm = unseen_alarm(named, self.around.again, slug, sees_all=sees_all)
            self.troubles.begins(("unseen", workspace_id), named, alarm)
        for subject in {*self.troubles.of_kind("unseen")} - {("unseen", one) for one in unseen}:
            self.troubles.is_over(subject)

    async def keep_pruning(self) -> None:
        """Remove old archives of what was backed up, in a task of its own, because it may take long."""
        if self.job.retention is None:
            return
        while True:
            await self._written.wait()
            await asyncio.sleep(PRUNE_SECONDS)
            wanted, self._to_prune = self._to_prune, set()
            self._written.clear()
            removed = await self._prune(wanted, self.job.retention)
            if not removed.stuck:
                self.troubles.is_over(_OLD)
                continue
            why = f"{removed.stuck} could not be removed: {removed.why}"
            remedy = f"remove them with `{self.around.again('prune')}`"
            self.troubles.begins(_OLD, "old archives", Alarm(What.RUN_FAILED, why, remedy))
            self._to_prune |= wanted
            self._written.set()
            await asyncio.sleep(LONGEST_RETRY)

    async def _prune(self, wanted: set[str], retention: Retention) -> Removed:
        # file names do not say which console an archive is of
        alike = [key for key in self.watched if safe_text(key[1]) in wanted]
        needed = frozenset(chain.from_iterable(map(self.around.needed, alike)))
        try:
            return await prune_workspaces(
                View(self.store),
                wanted,
                retention,
                now=self.around.now,
                left=lambda: BACKUP_SECONDS,
                needed=needed,
            )
        except Exception as problem:  # noqa: BLE001  a service keeps running
            return Removed(0, 1, reason_of(problem))


def _code_of(failure: Exception) -> int:
    return failure.exit_code if isinstance(failure, BackupError) else 1
