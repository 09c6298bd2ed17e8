"""One run of the command line: its settings, its store, its consoles."""

import asyncio
import os
import shlex
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jitsu_backup.addresses import without_credentials, without_secrets
from jitsu_backup.archive import BY_PHRASE, ArchiveName, archives_in
from jitsu_backup.cli.archive_keys import NamedArchiveKeys
from jitsu_backup.cli.files import output_name
from jitsu_backup.cli.output import Output
from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.cli.signals import cancelled_by
from jitsu_backup.console import Console, Gates
from jitsu_backup.errors import BackupError
from jitsu_backup.events import Reporter
from jitsu_backup.model import plural, some_of
from jitsu_backup.operations.alarms import advised, why_and_remedy
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.monitoring import Monitor
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.settings import Listeners, Overrides, Place, Settings, listeners, load
from jitsu_backup.store import (
    FolderStore,
    Store,
    is_begun,
    mark,
    nothing_there,
    open_store,
    read_file,
    shown_url,
)

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import Figures

T = TypeVar("T")


_PASSING = ("/dev/fd/", "/dev/stdin", "/proc/")
"""Where the files are that only this run can read."""


@dataclass
class App(Output):
    """One run of the command line: its options and what follows from them."""

    gates: Gates = field(default_factory=Gates)
    facts: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    trouble: str = ""  # what was wrong with a console when the run was interrupted
    monitor: Monitor | None = None
    by_hand: bool = False  # a person runs this for some workspaces, so it says nothing about the schedule
    in_plain_text: bool = False  # archives may have secrets in plain text
    told_all_along: bool = False  # monitor and metrics are up to date, so a good end is not reported to them
    figures: "Callable[[], Sequence[Figures]]" = list

    @cached_property
    def settings(self) -> Settings:
        """The settings from flags, environment and files."""
        settings = self.load_settings()
        for warning in settings.warnings:
            self.warn(warning)
        return settings

    def load_settings(self, usable: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings; `usable` is what of the settings file counts, if not all of it. Raise UsageError."""
        flags = {
            name: self.options.get(name) for name in ("host", "apikey", "admin_token", "store", "ca_bundle")
        }
        overrides = Overrides(**flags, insecure_http=bool(self.options.get("insecure_http")))
        config = self.options["config"]
        return load(config, os.environ, home_folder(), working_folder(), overrides, usable)

    @cached_property
    def store(self) -> Store:
        """The store."""
        settings = self.settings
        if "://" not in settings.store and not (working_folder() / settings.store).is_absolute():
            raise BackupError(
                f"the working folder no longer exists, and the store {settings.store} is relative to it; name the store by its full path"
            )
        return open_store(settings.store, os.environ, ca_bundle=settings.ca_bundle, report=self.tell)

    def tell_of_strangers(self) -> None:
        """Warn of files in the store that look like archives but are named differently, so nothing reads them."""
        found = self.store.strangers() if isinstance(self.store, FolderStore) else []
        if found:
            names = some_of(found, 3)
            self.warn(
                f"{plural(len(found), 'file')} in the store not named like an archive, so ignored: {names}; use their paths"
            )

    def archives(self) -> list[ArchiveName]:
        """Return the archives of the store, newest first. Raise BackupError, AccessError.

        A named store that was never created is an error, because it may be in another place.
        """
        listing = run_async(self.store.listing())
        if self.settings.store_named and not is_begun(listing):
            self.expected_store(self.metrics_file()).check_vanished(self.store, listing)
            raise nothing_there(self.store, may_begin=False)  # what is read is not in a new store
        return archives_in(listing)

    async def writable_store(self) -> Store:
        """Return the store, created and marked, for writing. Raise BackupError, AccessError."""
        listing = await self.store.listing()
        self.expected_store(self.metrics_file()).check(self.store, listing)
        await mark(self.store, listing, utc_now())
        return self.store

    def expected_store(self, metrics: Path | None) -> ExpectedStore:
        """Return what is known of the store before it is listed; `metrics` is the metrics file."""
        known = ExpectedStore(self.settings.store_named, bool(self.options.get("new_store")), metrics)
        if metrics is None or not metrics.is_file():
            return known
        from jitsu_backup.reports.metrics import newest_archives, tells_of_backups  # noqa: PLC0415  few runs need its library

        try:
            text = read_file(metrics).decode(errors="replace")
            newest = newest_archives(text, self.store.url)
            return replace(known, had_backups=tells_of_backups(text), newest=newest)
        except (BackupError, ValueError):  # reported when the metrics are written
            return known

    def metrics_file(self, flag: Path | None = None) -> Path | None:
        """Return the metrics file: the `flag`, else that of the settings; None if neither names one."""
        if flag is not None:
            return flag
        try:
            named = self.settings.metrics
        except BackupError:  # the metrics should report settings that cannot be used
            named = self.listeners.metrics
        return Path(named) if named else None

    @cached_property
    def listeners(self) -> Listeners:
        """Who is notified of a run whose settings cannot be used."""
        return listeners(self.options["config"], os.environ, home_folder(), working_folder())

    def console(self, place: Place, report: Reporter) -> Console:
        """Open a client for a place; the caller closes it."""
        return self.connection(place, report).open()

    def connection(self, place: Place, report: Reporter) -> Connection:
        """Return a place as operations take it; all connections of a run share their rate budgets."""
        self.gates.report = report
        return Connection(
            place.host,
            place.key,
            ca_bundle=place.ca_bundle,
            timeout=self.options["timeout"],
            concurrency=self.options["concurrency"],
            retry_for=self.waits,
            report=report,
            gates=self.gates,
            profile=f"@{place.profile}" if place.profile else "",
        )

    @cached_property
    def keys(self) -> NamedArchiveKeys:
        """The keys to archives."""
        return NamedArchiveKeys(self.options, lambda: self.settings)

    @property
    def waits(self) -> float | None:
        """How many seconds a console may be unreachable before requests fail; None retries each a few times."""
        return self.options.get("retry_for")

    def remedy_for(self, failure: BaseException | None, workspace: str = "") -> str:
        """Return what to do about a failure, with commands for the store and settings of this run."""
        return why_and_remedy(failure, self.again, workspace, self.waits)[1]

    def advised(self, failure: BackupError, command: str) -> BackupError:
        """Return the failure that ends this run of a command, with what to do about it."""
        return advised(failure, self.again, self.waits, checks=command == "check")

    def again(self, *arguments: str) -> str:
        """Return a command to run later, with the flags for store, settings and console that this run was given, without keys and credentials."""
        given = [
            (f"--{name.replace('_', '-')}", _REPEATED[name](str(self.options.get(name) or "")))
            for name in _REPEATED
        ]
        flags = [part for flag, value in given if value for part in (flag, value)]
        flags += ["--insecure-http"] if self.options.get("insecure_http") else []
        protection = self._protection if arguments[:1] == ("backup",) else ()
        return shlex.join(["jitsu-backup", *flags, *arguments, *protection])

    def again_with_keys(self, archives: Iterable[ArchiveName]) -> Callable[..., str]:
        """Return `again` for commands that open some of these archives, with the given identities for encrypted ones.

        A command opens those that it names; `recover` and `prune --quarantine` open all.
        """
        locked = {archive.reference: archive for archive in archives if archive.encrypted}

        def again(*arguments: str) -> str:
            opens_all = arguments[:1] == ("recover",) or "--quarantine" in arguments
            opened = [archive for name, archive in locked.items() if opens_all or name in arguments]
            return self.again(*arguments, *self.flags_to_open(opened))

        return again

    def flags_to_open(self, archives: Iterable[ArchiveName]) -> list[str]:
        """Return the --identity flags with which a later command opens archives: FILE if nothing names a private key yet.

        A passphrase is not a flag.
        """
        locked = [archive for archive in archives if archive.encrypted]
        if not locked or self.identity_flags:
            return self.identity_flags if locked else []
        needs_none = self.settings.identities or all(one.key == BY_PHRASE for one in locked)
        return [] if needs_none else ["--identity", "FILE"]

    @property
    def recipient_flags(self) -> list[str]:
        """The --encrypt-to flags that this run was given."""
        given = self.options.get("encrypt_to") or ()
        return [part for one in given for part in ("--encrypt-to", lasting_path(one))]

    @property
    def _protection(self) -> list[str]:
        """The flags with which this run allowed itself to write secrets, encrypted or in plain text."""
        return [*self.recipient_flags, *(["--plaintext-secrets"] if self.in_plain_text else [])]

    @property
    def identity_flags(self) -> list[str]:
        """The --identity flags that this run was given."""
        return [
            part for file in self.options.get("identity") or () for part in ("--identity", lasting_path(file))
        ]


def lasting_path(path: object) -> str:
    """Return a path for a later command: FILE in place of a secret, or of one that ends with this run, as `<(…)` of a shell."""
    text = str(path)
    return "FILE" if text.startswith(_PASSING) or without_secrets(text) != text else text


_REPEATED: Mapping[str, Callable[[str], str]] = {
    "config": lasting_path,
    "store": shown_url,
    "host": lambda host: without_secrets(without_credentials(host)),
    "ca_bundle": lasting_path,
}
"""The flags before a command that the same one needs again, each with how its value is written."""


def place_of(app: App, archive: ArchiveName, output: Path | None) -> str:
    """Return where an archive is, in words: in the store or in the named `output`."""
    return f"{app.store.url.rstrip('/')}/{archive}" if output is None else output_name(output)


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def run_async(job: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. Raise KeyboardInterrupt if a signal ended it."""

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  for the type checker
        with cancelled_by(lambda: loop.call_soon_threadsafe(task.cancel)):
            return await job

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
