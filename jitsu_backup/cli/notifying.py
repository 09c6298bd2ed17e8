"""`--notify`: messages about what changed in each workspace, to whomever the flag or the settings name."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.paths import working_folder
from jitsu_backup.cli.told_before import FolderMemory
from jitsu_backup.errors import BackupError, MistakeError, UsageError
from jitsu_backup.model import Key, Snapshot, Source, some_of
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.news import (
    EVERY,
    Held,
    News,
    after_failing,
    after_telling,
    before_telling,
    is_over,
    is_written,
    news_of,
    without_news,
)
from jitsu_backup.operations.notifying import Address, NotSentError, address_of, send
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.operations.who import LogAccess, glance
from jitsu_backup.reports.authors import author_names
from jitsu_backup.reports.notification import notification
from jitsu_backup.threads import in_thread

RUN_SECONDS = 60.0
"""How long one run sends messages at most. The next run sends the others."""

_NAMES = 5


@dataclass(frozen=True, slots=True)
class NotifyFlags:
    """The flags `--notify`, which may be a secret, and `--notify-every`, in seconds; None if not given."""

    notify: str | None = field(default=None, repr=False)
    every: float | None = None

    def check(self, *, stored: bool) -> None:
        """Raise UsageError for an invalid address, and if nothing is `stored` to compare with."""
        if self.notify is not None:
            address_of(self.notify)
            if not stored:
                raise UsageError(
                    "--output does not use the store, but --notify needs it; leave out one of them"
                )


Who = Callable[[News], Awaitable[Mapping[Key, str]]]
"""Returns who changed each entity, in words, by its key on either side."""


async def nobody(_: News) -> Mapping[Key, str]:
    """Return no authors."""
    return {}


def who_by(workspaces: Sequence[WorkspaceAccess], known: Iterable[ArchiveName]) -> Who:
    """Return a function that reads the audit logs with the keys of the workspaces; `known` are the archives of the store.

    If the log of a console does not answer, the console is not asked again.
    """
    archives, silent = list(known), set[str]()

    async def who(news: News) -> Mapping[Key, str]:
        source, changes = news.source, news.changes
        names = (None, source.workspace_id, source.slug)
        access = next((one for one in workspaces if _is_there(one, source) and one.workspace in names), None)
        if access is None or changes is None or source.host in silent:
            return {}
        found = await glance(changes, LogAccess(access.connection, access.operator), archives)
        if found is None:
            silent.add(source.host)
            return {}
        return {key: author_names(authors) for key, authors in found.authors.items()}

    return who


def _is_there(access: WorkspaceAccess, source: Source) -> bool:
    return access.connection.host.rstrip("/") == source.host.rstrip("/")


@dataclass
class Notifier:
    """Sends messages about changes: about each workspace at most once per period. A failure never fails the run."""

    app: App
    flags: NotifyFlags
    _to_tell: dict[tuple[str, str], Source] = field(default_factory=dict, repr=False)
    _put_off: dict[tuple[str, str], datetime] = field(default_factory=dict, repr=False)
    _addresses: dict[str | None, Address | BackupError | None] = field(default_factory=dict, repr=False)
    _waits: dict[tuple[str, str], datetime] = field(default_factory=dict, repr=False)
    _silent: set[Address] = field(default_factory=set, repr=False)
    _warned: bool = False

    async def tell(
        self,
        held: Iterable[Held],
        known: Iterable[ArchiveName],
        who: Who = nobody,
        *,
        seconds: float = RUN_SECONDS,
    ) -> list[Held]:
        """Send what changed in the workspaces of a run; `known` are the archives that the store had before.

        Take at most `seconds`, and never more than RUN_SECONDS. Return those to send later, because they are held back or
        could not be sent.
        """
        archives, left, later = list(known), list(held), list[Held]()
        self._silent.clear()
        for profile in [name for name, found in self._addresses.items() if isinstance(found, BackupError)]:
            del self._addresses[profile]  # what could not be read before may be readable now
        for one in left:
            self.owe(one, archives)
        try:
            async with asyncio.timeout(min(seconds, RUN_SECONDS)):
                while left:
                    await asyncio.sleep(0)  # start no message when the time is over
                    later += [] if await self._is_told(left[0], archives, who) else left[:1]
                    left.pop(0)
        except TimeoutError:
            names = some_of([_called(one.source) for one in left], _NAMES)
            self._warn(
                f"no time left to send a notification about {names}; the next message includes the changes"
            )
        return later + left

    def owe(self, held: Held, known: Iterable[ArchiveName]) -> None:
        """Remember that a message about what was written is due, in case the run is killed; `known` is that of `tell`."""
        source = held.source
        with suppress(BackupError):  # reported when the message is sent
            notified = self.flags.notify is not None or self.app.settings.notifies(self._profile(source))
            if is_written(held) and notified:
                self._to_tell[source.key] = source
                self._memory.owe(source.key, before_telling(held, known))

    def needed(self, workspace: tuple[str, str]) -> list[str]:
        """Return the archives that the next message about a workspace, by console and id, compares with."""
        source = self._to_tell.get(workspace)
        if source is None:
            return []
        given = self.flags.notify
        found = self._addresses.get(self._profile(source)) if given is None else address_of(given)
        last = self._memory.recall(workspace, found.url if isinstance(found, Address) else "")
        return [] if last is None else [last.compared]

    async def _is_told(self, held: Held, known: list[ArchiveName], who: Who) -> bool:
        """Send the message about one workspace; return whether nothing is left to send."""
        try:
            return await self._tell(held, known, who)
        except Exception as bug:  # noqa: BLE001  a failed message must not fail the backup
            problem = bug if isinstance(bug, BackupError) else MistakeError.of(bug)
            self._warn(
                f"no notification was sent about {_called(held.source)}: {problem}; the next message includes the changes"
            )
            self._put_off[held.source.key] = utc_now()
            return False

    async def _tell(self, held: Held, known: list[ArchiveName], who: Who) -> bool:
        source, workspace, now = held.source, held.source.key, utc_now()
        if self._is_held_back(self._put_off.get(workspace), now):
            return False  # a long-running process must not retry all the time
        address = await self._address_for(source)
        if address is None:
            return True
        if isinstance(address, BackupError):
            self._put_off[workspace] = now
            return False
        memory, url = self._memory, address.url
        last = memory.recall(workspace, url)
        if last is not None and self._is_held_back(last.at, now):
            self._tell_wait(held, last.at + self._silence)
            return False
        if address in self._silent:
            return False
        guard = self.app.settings.guard(source.host, (source.workspace_id, source.slug))
        news = await news_of(held, known, last, self._read, ignored=guard.ignore)
        if news is None:
            known_now = without_news(held, last)
            if known_now is not None and known_now != last:
                memory.keep(workspace, url, known_now)
            memory.settle(workspace)
            return True
        again = self.app.again_with_keys(one for one in (news.archive, news.before) if one is not None)
        message = notification(replace(news, who=await who(news)), again)
        if memory.recall(workspace, url) != last:
            return False  # another run is sending it
        # in case this run is killed
        forgetful = memory.keep(workspace, url, after_failing(news, now, last))
        if forgetful and not self._warned:
            self._warned = True
            self.app.warn(
                f"notifications may be repeated, because what was sent cannot be remembered: {forgetful}"
            )
        try:
            await in_thread(lambda: send(message, address, os.environ), "notify")
        except NotSentError as problem:
            failed = (
                f"the notification about {_called(source)} could not be sent to {address.shown}: {problem}"
            )
            self._warn(f"{failed}; the next message includes the changes")
            self._silent |= {address} if problem.no_answer else set()
            return False
        memory.keep(workspace, url, after_telling(news, now, last))
        memory.settle(workspace)
        return True

    async def _read(self, archive: ArchiveName) -> Snapshot:
        return open_archive(archive, await self.app.store.read(str(archive)), self.app.keys)

    def _warn(self, text: str) -> None:
        self.app.warn(text, always=True)

    @cached_property
    def _memory(self) -> FolderMemory:
        store = self.app.store.url
        return FolderMemory(store if "://" in store else str(working_folder() / store))

    def _is_held_back(self, told_at: datetime | None, now: datetime) -> bool:
        """Return whether the last message about a workspace is so recent that the changes wait for the next one."""
        return told_at is not None and not is_over(told_at, self._silence, now)

    @property
    def _silence(self) -> timedelta:
        every = self.flags.every if self.flags.every is not None else self.app.settings.notify_every
        return EVERY if every is None else timedelta(seconds=every)

    def _tell_wait(self, held: Held, until: datetime) -> None:
        """Say, once for each wait, that the message about what was written waits."""
        source = held.source
        if is_written(held) and self._waits.get(source.key) != until:
            self._waits[source.key] = until
            self.app.say(f"the message about {_called(source)} waits until {until:%H:%M} UTC (notify_every)")

    def _profile(self, source: Source) -> str | None:
        return self.app.settings.notify_profile(source.host, (source.workspace_id, source.slug))

    async def _address_for(self, source: Source) -> Address | BackupError | None:
        """Return the address for a workspace: that of the flag, else of its profile, else of the settings.

        An address that cannot be read is tried and reported once.
        """
        if self.flags.notify is not None:
            return address_of(self.flags.notify)
        profile = self._profile(source)
        if profile not in self._addresses:
            found = await in_thread(lambda: self._read_address(profile), "notify")  # a command may print it
            self._addresses[profile] = found
            if isinstance(found, BackupError):
                self._warn(
                    f"no notification can be sent: {found}; the next message that can be sent includes the changes"
                )
        return self._addresses[profile]

    def _read_address(self, profile: str | None) -> Address | BackupError | None:
        try:
            secret = self.app.settings.notify(profile)
            return None if secret is None else address_of(secret.reveal())
        except BackupError as problem:
            return problem


def _called(source: Source) -> str:
    return source.slug or source.workspace_id
