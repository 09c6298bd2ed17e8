"""What several commands need: settings, consoles, snapshots, progress, output."""

import asyncio
import functools
import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jitsu_backup.api import Console, Gates
from jitsu_backup.archive import (
    SHRUNK,
    ArchiveName,
    check_name,
    decode,
    decrypt,
    digest,
    encrypt,
    is_encrypted,
    key_mark,
    parse_name,
)
from jitsu_backup.archiver import baseline_of
from jitsu_backup.cli.paths import PATH
from jitsu_backup.errors import BackupError, IntegrityError, UsageError
from jitsu_backup.events import Event, Notice, Reporter
from jitsu_backup.events import Progress as Step
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.planning import Overlay, parse_overlay
from jitsu_backup.reports import printable
from jitsu_backup.settings import Overrides, Place, Settings, expand, load, resolve_secret
from jitsu_backup.store import (
    OBJECT_STORES,
    FolderStore,
    Store,
    archives,
    exists,
    find,
    open_store,
    read_file,
    read_text_file,
    write_file,
)

T = TypeVar("T")

_UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

LIVE = "live:"
"""Begins a side of `diff` that is a workspace as it is now."""


@dataclass
class App:
    """One run of the command line: its options and what follows from them."""

    options: Mapping[str, Any]
    gates: Gates = field(default_factory=Gates)
    logs: bool = False  # nothing is shown but one line at the end, which takes up what follows
    notices: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""

    @property
    def as_json(self) -> bool:
        """Whether results are JSON."""
        return bool(self.options["as_json"])

    @property
    def verbose(self) -> bool:
        """Whether to say more."""
        return bool(self.options["verbose"])

    @cached_property
    def out(self) -> rich.console.Console:
        """Standard output: results."""
        return rich.console.Console(highlight=False, soft_wrap=False, quiet=self.logs, **self._colours)

    @cached_property
    def err(self) -> rich.console.Console:
        """Standard error: everything else."""
        return rich.console.Console(stderr=True, highlight=False, **self._colours)

    @property
    def _colours(self) -> dict[str, Any]:
        choice = self.options.get("color")
        return {"always": {"force_terminal": True}, "never": {"no_color": True}}.get(str(choice), {})

    @cached_property
    def settings(self) -> Settings:
        """The settings, from flags, environment and files."""
        settings = load(
            self.options["config"],
            os.environ,
            home_folder(),
            Path.cwd(),
            Overrides(
                host=self.options["host"],
                apikey=self.options["apikey"],
                admin_token=self.options.get("admin_token"),
                store=self.options["store"],
                ca_bundle=self.options["ca_bundle"],
            ),
        )
        for warning in settings.warnings:
            self.say(f"warning: {warning}")
        return settings

    @cached_property
    def store(self) -> Store:
        """The store."""
        settings = self.settings
        return open_store(settings.store, os.environ, ca_bundle=settings.ca_bundle, report=self.tell)

    def tell_of_strangers(self) -> None:
        """Say which files of the store look like archives and are not named as one: nothing looks at them."""
        found = self.store.strangers() if isinstance(self.store, FolderStore) else []
        if found:
            some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
            self.say(
                f"warning: {len(found)} file(s) of the store are not named as archives: {some}; name them by their paths"
            )

    def archives(self) -> list[ArchiveName]:
        """Give what the store has, newest first. Raises BackupError, AccessError."""
        return run_async(archives(self.store))

    def console(self, place: Place, report: Reporter) -> Console:
        """Open a client for a place; the caller closes it."""
        self.gates.report = report
        return Console(
            place.host,
            place.key.reveal(),
            ca_bundle=place.ca_bundle,
            timeout=self.options["timeout"],
            concurrency=self.options["concurrency"],
            gates=self.gates,
            report=report,
        )

    def check_recipients(self) -> None:
        """Raise UsageError for a recipient that is none."""
        if self.recipients:
            encrypt(b"", self.recipients)

    @cached_property
    def recipients(self) -> list[str]:
        """Whom archives are encrypted to, looked up once, so that names and bytes tell of the same. Raises UsageError."""
        given = self.options.get("encrypt_to") or self.settings.encrypt_to
        return [recipient for text in given for recipient in recipients_of(text)]

    def seal(self, data: bytes) -> bytes:
        """Encrypt an archive as flags and settings say; without any, give it as it is. Raises UsageError."""
        return encrypt(data, self.recipients, self.passphrase) if self.seals else data

    @cached_property
    def passphrase(self) -> str | None:
        """The passphrase for archives, looked up once: a password manager may ask."""
        secret = self.settings.passphrase()
        return None if secret is None else secret.reveal()

    @property
    def key_mark(self) -> str | None:
        """The mark of the keys that archives are encrypted to; None where they are not encrypted."""
        return key_mark(self.recipients) if self.seals else None

    @property
    def seals(self) -> bool:
        """Whether archives are encrypted."""
        return bool(self.recipients) or self.passphrase is not None

    @cached_property
    def identities(self) -> tuple[bytes, ...]:
        """The contents of the identity files. Raises IntegrityError."""
        paths = [str(path) for path in self.options.get("identity") or self.settings.identities]
        if any(path.upper().startswith("AGE-SECRET-KEY-") for path in paths):
            raise IntegrityError("an identity is named by its file; what was given is a key itself")
        try:
            return tuple(read_text_file(Path(path).expanduser()) for path in paths)
        except BackupError as problem:
            raise IntegrityError(f"an identity cannot be used: {problem}") from None

    def open(self, data: bytes) -> Snapshot:
        """Read an archive, decrypting it where it has to be. Raises IntegrityError, UsageError."""
        if is_encrypted(data):
            by_phrase = self.passphrase is not None and not self.options.get("identity")
            try:
                identities = self.identities
            except IntegrityError:
                if not by_phrase:
                    raise
                identities = ()  # the passphrase may do
            data = decrypt(data, identities, self.passphrase)
        return decode(data)

    def snapshot(self, reference: str) -> tuple[str, Snapshot, bytes]:
        """Read the snapshot that SNAPSHOT names: a path, or what the store has."""
        reference = expand(reference, home_folder())
        path = Path(reference.removeprefix("file://localhost").removeprefix("file://"))
        named = parse_name(reference)
        if not path.is_file() and named is not None:
            return self.stored(named)
        folder, _, last = reference.rpartition("/")
        if reference.startswith(OBJECT_STORES):  # a whole URL
            if not folder.startswith(OBJECT_STORES):
                raise UsageError(
                    f"{reference} is a store: say --store {reference}, and a snapshot such as latest"
                )
            there = App({**self.options, "store": folder}, self.gates, self.logs, self.notices)
            name, snapshot, data = there.stored(parse_name(last) or find(there.archives(), last))
            return f"{folder}/{name}", snapshot, data
        if (
            path.is_file()
            or reference.endswith((".gz", ".json", ".age"))
            or reference.startswith(("/", "./", "file:"))
        ):
            data = read_file(path)
            with named_in_errors(str(path)):
                return str(path), self.open(data), data
        workspace, _, last = reference.rpartition("/")
        if last.startswith(("@", LIVE)):
            place = last.removeprefix(LIVE)
            raise UsageError(
                f"{reference!r} names a workspace, not a snapshot: write {place}/latest for what the store has of it"
                + (
                    f", or {LIVE}{place} for it as it is now (diff only)"
                    if last == place
                    else "; only diff takes live:"
                )
            )
        if workspace.startswith("@"):
            reference = f"{self.settings.workspace_named(workspace)}/{last}"
        known = self.archives()
        if not known:
            missing = "" if exists(self.store) else " (there is no such folder)"
            raise BackupError(f"no snapshot {reference!r}: the store {self.store.url} is empty{missing}")
        found = find(known, reference)
        if found.taken_at > utc_now():
            self.say(
                f"the snapshot is of {found.taken_at:%Y-%m-%d %H:%M:%S} UTC, which is yet to come: a clock is wrong"
            )
        if SHRUNK in found.marks:
            self.say(
                f"warning: {found.slug}/{found.digest_prefix} is marked shrunk: {self.before_loss(found)}"
            )
        stored = self.stored(found)
        if re.fullmatch(r"[0-9a-fA-F]{13,64}", last) and not digest(stored[1]).startswith(last.lower()):
            raise BackupError(
                f"no snapshot {last!r} in the store: {found.digest_prefix} goes on in another way"
            )
        return stored

    def before_loss(self, archive: ArchiveName) -> str:
        """Say how much a shrunken archive holds, and which one is of before."""
        own = [a for a in self.archives() if a.workspace_id == archive.workspace_id and a.age < archive.age]
        before = baseline_of(own)
        told = f"it has {archive.total} entities"
        return (
            told
            if before is None
            else f"{told}; {before.slug}/{before.digest_prefix}, of before, has {before.total}"
        )

    def again(self, *arguments: str) -> str:
        """Give a command to run later, with the store and settings that this one was given as flags."""
        given = [
            (flag, self.options.get(name)) for flag, name in (("--config", "config"), ("--store", "store"))
        ]
        flags = [part for flag, value in given if value for part in (flag, str(value))]
        return shlex.join(["jitsu-backup", *flags, *arguments])

    def stored(self, archive: ArchiveName) -> tuple[str, Snapshot, bytes]:
        """Read an archive of the store, and check that it is what its name says. Raises IntegrityError."""
        name = str(archive)
        data = run_async(self.store.read(name))
        with named_in_errors(name):
            if archive.encrypted != is_encrypted(data):
                raise IntegrityError("the archive is not what its name says: one of them is not encrypted")
            snapshot = self.open(data)
            check_name(archive, snapshot)
        return name, snapshot, data

    def line(self, text: str) -> None:
        """Print one line of a result; a workspace's own texts cannot command the terminal."""
        self.out.print(printable(text), markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Tell the person who watches; not with --quiet."""
        if self.logs:
            self.notices.append(text)
        elif not self.options["quiet"]:
            click.echo(printable(text), err=True)

    def problem(self, text: str) -> None:
        """Tell of something that went wrong and did not end the run, with --quiet too."""
        if self.logs:
            self.notices.append(text)
        else:
            click.echo(f"jitsu-backup: {printable(' '.join(text.split()))}", err=True)

    def tell(self, event: Event) -> None:
        """Be the reporter of what has no progress."""
        if isinstance(event, Notice):
            self.say(event.text)

    def emit(self, document: Any) -> None:
        """Print one JSON document on standard output; what would command a terminal is escaped."""
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
        click.echo(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))

    @contextmanager
    def progress(self) -> Iterator[Reporter]:
        """Show progress: a bar on a terminal, plain lines elsewhere, nothing with --quiet."""
        if self.logs:
            yield self.tell
        elif self.options["quiet"]:
            yield lambda _event: None
        elif self.err.is_terminal:
            yield from self._bars()
        else:
            yield self._plain_lines()

    def _plain_lines(self) -> Reporter:
        begun: set[str] = set()

        def tell(event: Event) -> None:
            if isinstance(event, Notice):
                if event.text not in begun:  # requests side by side meet the same
                    begun.add(event.text)
                    self.say(event.text)
            elif event.task not in begun:
                begun.add(event.task)
                self.say(f"{event.task} ...")

        return tell

    def _bars(self) -> Iterator[Reporter]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.err, transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(event: Event) -> None:
                if isinstance(event, Step):
                    if event.task not in tasks:
                        tasks[event.task] = bars.add_task(event.task, total=event.total)
                    over = event.done >= event.total
                    bars.update(tasks[event.task], completed=event.done, total=event.total, visible=not over)
                else:
                    bars.console.print(event.text, markup=False)

            yield show


# flags that are as natural behind the command as before it
_LATE_OPTIONS = tuple(
    (flags, click.option(*flags, name, **attributes))
    for flags, name, attributes in (
        (("--store",), "late_store", {"metavar": "URL", "help": "Where archives live."}),
        (("--config",), "late_config", {"type": PATH, "help": "Settings file."}),
        (("--json",), "late_as_json", {"is_flag": True, "default": None, "help": "Print one JSON document."}),
        (
            ("-q", "--quiet"),
            "late_quiet",
            {"is_flag": True, "default": None, "help": "Only results and problems."},
        ),
        (("-v", "--verbose"), "late_verbose", {"is_flag": True, "default": None, "help": "Say more."}),
    )
)


def pass_app(command: Callable[..., T]) -> Callable[..., T]:
    """Hand a command its App, made of the flags before and behind the command's name."""

    @click.pass_context
    @functools.wraps(command)
    def wrapper(ctx: click.Context, /, *args: Any, **given: Any) -> T:
        late = {name[5:]: given.pop(name) for name in list(given) if name.startswith("late_")}
        options = {
            **ctx.find_root().obj,
            **{name: value for name, value in late.items() if value is not None},
        }
        return command(App(options), *args, **given)

    own = {flag for parameter in getattr(wrapper, "__click_params__", ()) for flag in parameter.opts}
    for flags, option in _LATE_OPTIONS:
        if own.isdisjoint(flags):
            wrapper = option(wrapper)
    return wrapper


# for the commands that read archives, and for those that write them
identity_option = click.option(
    "--identity",
    "late_identity",
    multiple=True,
    metavar="FILE",
    help="age or SSH key to decrypt with. Repeatable.",
)
encrypt_option = click.option(
    "--encrypt-to",
    "late_encrypt_to",
    multiple=True,
    metavar="RECIPIENT",
    help="Encrypt with age to age1…, an SSH public key, or a file of these. Repeatable.",
)


html_option = click.option(
    "--html",
    "html_out",
    type=PATH,
    metavar="FILE",
    help="Also write one self-contained HTML page, without secrets.",
)


def check_path(path: Path | None, option: str) -> None:
    """Raise UsageError for an empty path, such as an unset variable leaves."""
    if path is not None and str(path) in ("", "."):
        raise UsageError(f"{option} is empty, or the folder itself; name a file")


def check_new(path: Path | None, option: str) -> None:
    """Raise UsageError for a file that is there already: what is in it may be all there is."""
    check_path(path, option)
    if path is not None and path.exists():
        raise UsageError(f"{option} {path}: that file exists; name another, or remove it first")


def check_page(path: Path | None) -> None:
    """Raise UsageError or BackupError for a page that could not be written, before there is anything to write."""
    check_path(path, "--html")
    if path is None:
        return
    folder = path.parent
    try:
        if path.exists() and not path.is_file():
            raise BackupError(f"cannot write {path}: not a regular file")
        if not folder.is_dir():
            raise BackupError(f"cannot write {path}: there is no folder {folder}")
        if path.exists() and not read_file(path).startswith(b"<!doctype html>"):
            raise UsageError(f"--html {path}: that file exists and is no page; name another")
    except OSError as problem:  # such as a name that is too long
        raise BackupError(f"cannot write {path}: {problem.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BackupError(f"cannot write {path}: nobody may write into {folder}")


def write_page(app: App, path: Path | None, page: Callable[[], str]) -> None:
    """Write a page where one was asked for, and say where it is. Raises BackupError."""
    if path is not None:
        write_file(path, page().encode())
        app.say(f"the report is in {path}")


def recipients_of(text: str) -> list[str]:
    """Give the recipients that `text` is, or that the file of that name holds: one at least, or UsageError."""
    if text.startswith(("age1", "ssh-")):
        return [text]
    if not Path(text).expanduser().is_file():
        return [text]
    lines = (
        line.strip() for line in read_text_file(Path(text).expanduser()).decode(errors="replace").splitlines()
    )
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(f"the file of recipients {text} holds none, so nothing could be encrypted")
    return found


@contextmanager
def named_in_errors(name: str) -> Iterator[None]:
    """Put the name of what was read before what is wrong with it."""
    try:
        yield
    except BackupError as problem:
        raise type(problem)(f"{name}: {problem}") from None


def unforeseen(bug: Exception) -> str:
    """Say where a mistake of ours was met; the text of such an exception may hold anything, a secret too."""
    where = bug.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    at = f" at {Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
    return f"a mistake in jitsu-backup ({type(bug).__name__}{at}); JITSU_BACKUP_DEBUG=1 shows more"


def utc_now() -> datetime:
    """Give the time in UTC."""
    return datetime.now(UTC)


def place_of_origin(app: App, source: Source, *, instead: str) -> tuple[str, Place]:
    """Give the place that a snapshot came from, and its PLACE: a profile that names it, or the default console.

    Raises UsageError where it came from elsewhere, telling what to write `instead`.
    """
    names = (source.workspace_id, source.slug)
    for name in app.settings.places_named():
        try:
            place = app.settings.place(f"@{name}")
        except BackupError:
            continue
        if place.host == source.host and place.workspace in names:
            return f"@{name}", place
    place = app.settings.place(source.workspace_id)
    if place.host != source.host:
        raise UsageError(
            f"the snapshot came from {source.host}, but the settings name {place.host}; {instead}"
        )
    return source.workspace_id, place


def run_async(job: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(job)


def read_overlay(path: Path | None) -> Overlay:
    """Read an overlay file, TOML or JSON, and put secrets given as {env} or {file} in place."""
    if path is None:
        return Overlay()
    try:
        data = read_text_file(path)
    except BackupError as problem:
        raise UsageError(f"overlay: {problem}") from None
    try:
        text = data.decode()
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        detail = (
            str(problem).split("\n", 1)[0] if not isinstance(problem, UnicodeDecodeError) else "not UTF-8"
        )
        raise UsageError(
            f"overlay {path}: not {'JSON' if path.suffix.lower() == '.json' else 'TOML'}: {detail}"
        ) from None
    try:
        found: set[str] = set()
        resolved = _with_secrets(document, path.parent, found)
        return parse_overlay(resolved, frozenset(found))
    except UsageError as problem:
        raise UsageError(f"overlay {path}: {str(problem).removeprefix('overlay: ')}") from None
    except RecursionError:
        raise UsageError(f"overlay {path}: nested too deeply") from None


def ask(question: str, *, yes: bool) -> bool:
    """Ask before something is changed. Raises UsageError where nobody can answer and --yes is not given."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is no terminal to ask on; look with --dry-run, then give --yes")
    return click.confirm(question, err=True)


def _with_secrets(value: Any, folder: Path, found: set[str]) -> Any:
    if isinstance(value, Mapping):
        if (
            len(value) == 1
            and set(value) <= {"env", "file"}
            and not isinstance(next(iter(value.values())), Mapping)
        ):
            secret = resolve_secret(value, os.environ, folder)
            found.add(secret)
            return secret
        return {name: _with_secrets(item, folder, found) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_secrets(item, folder, found) for item in value]
    return value


def home_folder() -> Path | None:
    """Give the home folder; None where there is none, as in a bare container."""
    try:
        return Path.home()
    except RuntimeError:  # cron without HOME
        return None
