"""`--notify`: whoever the flag or the settings name hears of what changed in each workspace."""

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.clock import seconds_of_this_boot
from jitsu_backup.errors import BackupError, MistakeError, UsageError
from jitsu_backup.model import Key, Snapshot, Source, canonical
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.news import (
    EVERY,
    Held,
    Memory,
    News,
    Told,
    after_failing,
    after_telling,
    news_of,
    told_as_bytes,
    told_in_bytes,
    without_news,
)
from jitsu_backup.operations.notifying import Address, Message, NotSentError, address_of, send
from jitsu_backup.operations.snapshots import open_archive
from jitsu_backup.operations.who import LogAccess, glance
from jitsu_backup.reports.authors import author_names
from jitsu_backup.reports.notification import notification
from jitsu_backup.store import read_file, write_file
from jitsu_backup.threads import in_thread

RUN_SECONDS = 60.0
"""How long one run sends notifications; what is not sent by then is told with the next."""


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
    """Return what asks the audit logs with the keys that read the workspaces; `known` are the archives of the store."""
    archives = list(known)

    async def who(news: News) -> Mapping[Key, str]:
        source, changes = news.source, news.changes
        names = (None, source.workspace_id, source.slug)
        access = next((one for one in workspaces if _is_there(one, source) and one.workspace in names), None)
        if access is None or changes is None:
            return {}
        found = await glance(changes, LogAccess(access.connection, access.operator), archives)
        return {key: author_names(authors) for key, authors in found.authors.items()}

    return who


def _is_there(access: WorkspaceAccess, source: Source) -> bool:
    return access.connection.host.rstrip("/") == source.host.rstrip("/")


@dataclass
class Notifier:
    """What tells people of the news of workspaces: of each at most once in a while, and never so that a run fails.

    `memory` says what was told before; without one it is in a folder of the user, so that it holds from run to run.
    """

    app: App
    flags: NotifyFlags
    memory: Memory | None = None
    _addresses: dict[str | None, Address | None] = field(default_factory=dict, repr=False)

    async def tell(self, held: Iterable[Held], known: Iterable[ArchiveName], who: Who = nobody) -> list[Held]:
        """Tell what is new in workspaces that a run has looked at; `known` are the archives that the store had before.

        Return those whose news are to be told later: they are held back, or could not be told.
        """
        ends, archives = seconds_of_this_boot() + RUN_SECONDS, list(known)
        for profile in [name for name, found in self._addresses.items() if found is None]:
            del self._addresses[profile]  # what could not be read may be there now
        later: list[Held] = []
        for one in held:
            try:
                later += [] if await self._tell(one, archives, who, ends) else [one]
            except Exception as bug:  # noqa: BLE001  a backup that was made counts for more
                called = _called(one.source)
                problem = bug if isinstance(bug, BackupError) else MistakeError.of(bug)
                self.app.problem(f"nobody was told of changes in {called}: {problem}")
        return later

    async def _tell(self, held: Held, known: list[ArchiveName], who: Who, ends: float) -> bool:
        """Return whether nothing is left to be told."""
        source = held.source
        address = await in_thread(lambda: self._address_for(source), "notify")  # a command may tell it
        if address is None:
            return True
        memory = self.memory or _FolderMemory(self.app.store.url, address)
        told, now = memory.recall(source.workspace_id), utc_now()
        if told is not None and not told.is_over(self._silence, now):
            return False  # the next message has it
        guard = self.app.settings.guard(source.host, (source.workspace_id, source.slug))
        news = await news_of(held, known, told, self._read, ignored=guard.ignore)
        if news is None:
            known_now = without_news(held, told)
            if known_now is not None and known_now != told:
                memory.keep(source.workspace_id, known_now)
            return True
        message = notification(replace(news, who=await who(news)))
        try:
            await _send(message, address, ends)
        except NotSentError as problem:
            failed = f"{address.shown} was not told of changes in {_called(source)}: {problem}"
            self.app.problem(f"{failed}; the next message has them")
            memory.keep(source.workspace_id, after_failing(news, now, told))
            return False
        memory.keep(source.workspace_id, after_telling(news, now, told))
        return True

    async def _read(self, archive: ArchiveName) -> Snapshot:
        return open_archive(archive, await self.app.store.read(str(archive)), self.app.keys)

    @property
    def _silence(self) -> timedelta:
        every = self.flags.every if self.flags.every is not None else self.app.settings.notify_every
        return EVERY if every is None else timedelta(seconds=every)

    def _address_for(self, source: Source) -> Address | None:
        """Return whom to tell of a workspace: whom the flag names, else the profile that names it, else the settings."""
        if self.flags.notify is not None:
            return address_of(self.flags.notify)
        settings = self.app.settings
        profile = settings.notify_profile(source.host, (source.workspace_id, source.slug))
        if profile not in self._addresses:
            self._addresses[profile] = None
            try:
                secret = settings.notify(profile)
                self._addresses[profile] = None if secret is None else address_of(secret.reveal())
            except BackupError as problem:
                self.app.problem(f"nobody is told of changes: {problem}")
        return self._addresses[profile]


async def _send(message: Message, address: Address, ends: float) -> None:
    """Send a message, in a thread; raise NotSentError, also where the time for this run is over."""
    if seconds_of_this_boot() > ends:
        raise NotSentError(f"no time was left, after {RUN_SECONDS:g} s of notifications")
    await in_thread(lambda: send(message, address, os.environ), "notify")


def _called(source: Source) -> str:
    return source.slug or source.workspace_id


class _FolderMemory:
    """The memory of runs that share a user, a store and an address: a small file for each workspace.

    Where it cannot be kept, as on a file system that is read-only, each run tells what it finds new.
    """

    def __init__(self, store: str, address: Address) -> None:
        self._of = [store, address.url]

    def recall(self, workspace_id: str) -> Told | None:
        """Return what was told of a workspace last; None where nobody knows."""
        path = self._path(workspace_id)
        with suppress(BackupError):
            return None if path is None or not path.is_file() else told_in_bytes(read_file(path))
        return None

    def keep(self, workspace_id: str, told: Told) -> None:
        """Remember what was told."""
        path = self._path(workspace_id)
        with suppress(BackupError, OSError):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_file(path, told_as_bytes(told))

    def _path(self, workspace_id: str) -> Path | None:
        given, home = os.environ.get("XDG_STATE_HOME"), home_folder()
        state = Path(given) if given else None if home is None else home / ".local" / "state"
        name = hashlib.sha256(canonical([*self._of, workspace_id])).hexdigest()[:32]
        return None if state is None else state / "jitsu-backup" / "notified" / f"{name}.json"
