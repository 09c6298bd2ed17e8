"""`--notify`: whoever the flag or the settings name hears of what changed in each workspace."""

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
"""How long one run tells of changes at most, all in all; what is not sent by then is told by the next."""

_NAMES = 5


@dataclass(frozen=True, slots=True)
class NotifyFlags:
    """The flags `--notify`, which may be a secret, and `--notify-every`, in seconds; None where they are not given."""

    notify: str | None = field(default=None, repr=False)
    every: float | None = None

    def check(self, *, stored: bool) -> None:
        """Raise UsageError for what is no address, and where nothing is `stored` to be compared with."""
        if self.notify is not None:
            address_of(self.notify)
            if not stored:
                raise UsageError("--output and --notify: the one is without the store")


Who = Callable[[News], Awaitable[Mapping[Key, str]]]
"""Tells who changed an entity, in words, by its key on either side."""


async def nobody(_: News) -> Mapping[Key, str]:
    """Tell of nobody."""
    return {}


def who_by(workspaces: Sequence[WorkspaceAccess], known: Iterable[ArchiveName]) -> Who:
    """Return what asks the audit logs with the keys that read the workspaces; `known` are the archives of the store.

    A console whose log does not answer is asked no more.
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
    """What tells people of the news of workspaces: of each at most once in a while, and never so that a run fails."""

    app: App
    flags: NotifyFlags
    _to_tell: dict[tuple[str, str], Source] = field(default_factory=dict, repr=False)
    _put_off: dict[tuple[str, str], datetime] = field(default_factory=dict, repr=False)
    _addresses: dict[str | None, Address | BackupError | None] = field(default_factory=dict, repr=False)
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
        """Tell what is new in workspaces that a run has looked at; `known` are the archives that the store had before.

        It takes `seconds` at most, and never more than RUN_SECONDS. Return those whose news are to be told later: they
        are held back, or could not be told.
        """
        archives, left, later = list(known), list(held), list[Held]()
        self._silent.clear()
        for profile in [name for name, found in self._addresses.items() if isinstance(found, BackupError)]:
            del self._addresses[profile]  # what could not be read may be there now
        for one in left:
            self.owe(one, archives)
        try:
            async with asyncio.timeout(min(seconds, RUN_SECONDS)):
                while left:
                    await asyncio.sleep(0)  # where the time is over, no message begins
                    later += [] if await self._is_told(left[0], archives, who) else left[:1]
                    left.pop(0)
        except TimeoutError:
            names = some_of([_called(one.source) for one in left], _NAMES)
            self.app.problem(f"no time was left to tell of changes in {names}; the next message has them")
        return later + left

    def owe(self, held: Held, known: Iterable[ArchiveName]) -> None:
        """Remember that what was written is to be told, before anything can come between; `known` are those of `tell`."""
        source = held.source
        with suppress(BackupError):  # told when its turn comes
            notified = self.flags.notify is not None or self.app.settings.notifies(self._profile(source))
            if is_written(held) and notified:
                self._to_tell[source.key] = source
                self._memory.owe(source.key, before_telling(held, known))

    def needed(self, workspace: tuple[str, str]) -> list[str]:
        """Name the archives with which the next message of a workspace, by console and id, compares."""
        source = self._to_tell.get(workspace)
        if source is None:
            return []
        found = (
            address_of(self.flags.notify) if self.flags.notify else self._addresses.get(self._profile(source))
        )
        told = (
            self._memory.recall(workspace, url)
            for url in ("", found.url if isinstance(found, Address) else "")
        )
        return [one.compared for one in told if one is not None]

    async def _is_told(self, held: Held, known: list[ArchiveName], who: Who) -> bool:
        """Tell of one workspace; return whether nothing is left to be told."""
        try:
            return await self._tell(held, known, who)
        except Exception as bug:  # noqa: BLE001  a backup that was made counts for more
            problem = bug if isinstance(bug, BackupError) else MistakeError.of(bug)
            self.app.problem(
                f"nobody was told of changes in {_called(held.source)}: {problem}; the next message has them"
            )
            self._put_off[held.source.key] = utc_now()
            return False

    async def _tell(self, held: Held, known: list[ArchiveName], who: Who) -> bool:
        source, workspace, now = held.source, held.source.key, utc_now()
        if self._is_held_back(self._put_off.get(workspace), now):
            return False  # a process that goes on does not try again all the time
        address = await self._address_for(source)
        if address is None:
            return True
        if isinstance(address, BackupError):
            self._put_off[workspace] = now
            return False
        memory, url = self._memory, address.url
        told = memory.recall(workspace, url)
        if self._is_held_back(None if told is None else told.at, now) or address in self._silent:
            return False
        guard = self.app.settings.guard(source.host, (source.workspace_id, source.slug))
        news = await news_of(held, known, told, self._read, ignored=guard.ignore)
        if news is None:
            known_now = without_news(held, told)
            if known_now is not None and known_now != told:
                memory.keep(workspace, url, known_now)
            memory.settle(workspace)
            return True
        message = notification(replace(news, who=await who(news)), self.app.again)
        if memory.recall(workspace, url) != told:
            return False  # another run tells it
        # in case that this run is killed
        forgetful = memory.keep(workspace, url, after_failing(news, now, told))
        if forgetful and not self._warned:
            self._warned = True
            self.app.warn(
                f"each run tells anew what it finds, because none remembers what was told: {forgetful}"
            )
        try:
            await in_thread(lambda: send(message, address, os.environ), "notify")
        except NotSentError as problem:
            failed = f"{address.shown} was not told of changes in {_called(source)}: {problem}"
            self.app.problem(f"{failed}; the next message has them")
            self._silent |= {address} if problem.no_answer else set()
            return False
        memory.keep(workspace, url, after_telling(news, now, told))
        memory.settle(workspace)
        return True

    async def _read(self, archive: ArchiveName) -> Snapshot:
        return open_archive(archive, await self.app.store.read(str(archive)), self.app.keys)

    @cached_property
    def _memory(self) -> FolderMemory:
        store = self.app.store.url
        return FolderMemory(store if "://" in store else str(working_folder() / store))

    def _is_held_back(self, told_at: datetime | None, now: datetime) -> bool:
        """Return whether a workspace was told of so lately that the next message has what is new."""
        every = self.flags.every if self.flags.every is not None else self.app.settings.notify_every
        silence = EVERY if every is None else timedelta(seconds=every)
        return told_at is not None and not is_over(told_at, silence, now)

    def _profile(self, source: Source) -> str | None:
        return self.app.settings.notify_profile(source.host, (source.workspace_id, source.slug))

    async def _address_for(self, source: Source) -> Address | BackupError | None:
        """Return whom to tell of a workspace: whom the flag names, else the profile that names it, else the settings.

        What cannot be read is told once, and tried once.
        """
        if self.flags.notify is not None:
            return address_of(self.flags.notify)
        profile = self._profile(source)
        if profile not in self._addresses:
            found = await in_thread(lambda: self._read_address(profile), "notify")  # a command may tell it
            self._addresses[profile] = found
            if isinstance(found, BackupError):
                self.app.problem(f"nobody is told of changes: {found}; the first message after that has them")
        return self._addresses[profile]

    def _read_address(self, profile: str | None) -> Address | BackupError | None:
        try:
            secret = self.app.settings.notify(profile)
            return None if secret is None else address_of(secret.reveal())
        except BackupError as problem:
            return problem


def _called(source: Source) -> str:
    return source.slug or source.workspace_id
