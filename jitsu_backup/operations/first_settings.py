"""The first settings: each answer is tested at once, and nothing is written before the end.

`console_version`, `visible_to`, `look_at_store` and `try_monitor` test one answer each and change nothing. `begin` and
then `write` do what was agreed to.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jitsu_backup.archive import archives_in, encrypt, new_identity
from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.replies import RefusedError
from jitsu_backup.console.roles import roles_in
from jitsu_backup.console.workspaces import Workspace, text_field, workspaces
from jitsu_backup.errors import AccessError, BackupError, UsageError
from jitsu_backup.events import Event, Problem
from jitsu_backup.model import iso_time, nearest, printable, toml_quoted
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.monitoring import Monitor
from jitsu_backup.operations.store_space import check_writable
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore, Store, check_permitted, failure, is_begun, mark, write_new_file

_VARIABLES = {"s3": ("AWS_",), "gs": ("GOOGLE_",), "az": ("AZURE_",)}
_SAFE = re.compile(r"[\w@%+=:,./~-]+", re.ASCII)
"""Values that a shell, systemd and kubectl read alike, without quotes."""


@dataclass(frozen=True, slots=True)
class Visible:
    """What a key sees: workspaces, and its role in the first of them by their ids, None if the console does not say."""

    workspaces: tuple[Workspace, ...]
    roles: Mapping[str, str | None]
    is_operators: bool = False


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """A new private age key, the file it goes into, and its recipient."""

    path: Path
    recipient: str
    secret: SecretText
    created: datetime

    @classmethod
    def generate(cls, path: Path, now: datetime) -> "NewIdentity":
        """Return a new one; write nothing."""
        secret, recipient = new_identity()
        return cls(path, recipient, SecretText(secret), now)

    @property
    def text(self) -> str:
        """The content of its file, as `age-keygen` writes it."""
        comment = f"# created: {iso_time(self.created)}\n# public key: {self.recipient}\n"
        return f"{comment}{self.secret.reveal()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSettings:
    """What a settings file is written from.

    `path` is the settings file, `workspace` the name of the default one, `recipients` and `identity` say whom archives are
    encrypted to, `retention` has the `keep_…` of the policy. With `keeps_key` the API key goes into a file beside `path`;
    without, JITSU_APIKEY has it. `variables` are those that the store needs.
    """

    path: Path
    host: str
    key: SecretText
    store: str
    workspace: str | None = None
    recipients: Sequence[str] = ()
    identity: NewIdentity | None = None
    retention: Mapping[str, Any] = field(default_factory=dict)
    ping: SecretText | None = None
    ca_bundle: str | None = None
    keeps_key: bool = True
    variables: Mapping[str, SecretText] = field(default_factory=dict)

    @property
    def key_path(self) -> Path:
        """The file of the API key."""
        return self._beside(".key")

    @property
    def ping_path(self) -> Path:
        """The file of the monitor's URL, which is a secret."""
        return self._beside(".ping")

    @property
    def environment_path(self) -> Path:
        """The file of the variables that a job needs."""
        return self._beside(".env")

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """The files that the settings refer to."""
        key = (self.key_path,) if self.keeps_key else ()
        return key if self.ping is None else (*key, self.ping_path)

    def files(self) -> dict[Path, str]:
        """Return the content of each file to write, the settings last. Raise UsageError if two of them are one."""
        found: list[tuple[Path, str]] = []
        if self.identity is not None:
            found.append((self.identity.path, self.identity.text))
        if self.keeps_key:
            found.append((self.key_path, f"{self.key.reveal()}\n"))
        if self.ping is not None:
            found.append((self.ping_path, f"{self.ping.reveal()}\n"))
        if self.variables:
            lines = (f"{name}={value.reveal()}\n" for name, value in self.variables.items())
            found.append((self.environment_path, "".join(lines)))
        found.append((self.path, "\n".join(self._lines()) + "\n"))
        files = dict(found)
        if len(files) < len(found):
            raise UsageError(
                f"{self.path} is also the name of a file that init writes beside it; name another settings file"
            )
        return files

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.stem}{suffix}")

    def _lines(self) -> Iterator[str]:
        yield "# Written by jitsu-backup init. It contains no secret.\n"
        yield f"host = {toml_quoted(self.host)}"
        if self.keeps_key:
            yield f"key = {{ file = {toml_quoted(self.key_path.name)} }}"
        else:
            yield 'key = { env = "JITSU_APIKEY" }'
        named = {"workspace": self.workspace, "store": self.store, "ca_bundle": self.ca_bundle}
        yield from (f"{name} = {toml_quoted(text)}" for name, text in named.items() if text is not None)
        if self.recipients:
            yield f"encrypt_to = {_value(self.recipients)}"
        if self.ping is not None:
            yield f"ping = {{ file = {toml_quoted(self.ping_path.name)} }}"
        yield '# metrics = "/var/lib/jitsu-backup/metrics/jitsu_backup.prom"'
        yield '# notify = { file = "jitsu-backup.notify" }'
        if self.retention:
            yield "\n[retention]"
            yield from (f"{name} = {_value(value)}" for name, value in self.retention.items())


def _value(value: Any) -> str:
    """Return a whole number, a text or several texts in TOML."""
    if isinstance(value, str):
        return toml_quoted(value)
    return str(value) if isinstance(value, int) else f"[{', '.join(map(toml_quoted, value))}]"


# -- tests of single answers ---------------------------------------------------------


async def console_version(connection: Connection) -> str | None:
    """Return the version of a console, None if it does not say. Its key may be any. Raise ConsoleError for no answer."""
    async with connection.open() as console:
        try:
            answer = await console.get("/api/version", beside=small_replies())
        except (AccessError, RefusedError):
            return None
    return text_field(answer, "version")


async def visible_to(connection: Connection) -> Visible:
    """Return what a key sees. Raise AccessError for a wrong one, ConsoleError, and UsageError if it sees nothing."""
    async with connection.open() as console:
        listed = await workspaces(console)
        if not listed.found:
            raise UsageError("the API key is valid, but sees no workspace; use a key of a member")
        return Visible(listed.found, await roles_in(console, listed), listed.is_operators)


def chosen(visible: Visible, names: Iterable[str]) -> tuple[Workspace, ...]:
    """Return the workspaces that ids and slugs name, each once. Raise UsageError for one that the key does not see."""
    known = {name: one for one in visible.workspaces for name in (one.id, one.slug) if name}
    found: dict[str, Workspace] = {}
    for name in names:
        if name not in known:
            shown = (
                nearest(name, known)
                or f"; use one of {', '.join(sorted(map(name_of, visible.workspaces))[:10])}"
            )
            raise UsageError(f"the API key sees no workspace {name!r}{shown}")
        found[known[name].id] = known[name]
    return tuple(found.values())


def name_of(workspace: Workspace) -> str:
    """Return the slug of a workspace, or its id if it has none."""
    return workspace.slug or workspace.id


async def look_at_store(store: Store) -> tuple[int, bool]:
    """Return how many archives a store has, and whether it was begun. Raise BackupError if it cannot be read or created."""
    listing = await store.listing()
    if isinstance(store, FolderStore):
        check_writable(store.folder)
        _try_to_create(store.folder)
    return len(archives_in(listing)), is_begun(listing)


def _try_to_create(folder: Path) -> None:
    """Create the first missing folder of a path, and remove it. Raise BackupError if that fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in missing[-1:]:
        try:
            path.mkdir()
            path.rmdir()
        except OSError as problem:
            raise failure(f"cannot create {path}", problem) from None


def variables_of_store(url: str, environment: Mapping[str, str]) -> tuple[dict[str, SecretText], list[str]]:
    """Return the variables of an object store that are set, and the names of those that need quotes and so a person."""
    prefixes = _VARIABLES.get(url.partition("://")[0].lower(), ())
    own = {name: text for name, text in environment.items() if text and name.startswith(prefixes or "\0")}
    plain = {name: SecretText(text) for name, text in sorted(own.items()) if _SAFE.fullmatch(text)}
    return plain, sorted(own.keys() - plain.keys())


def check_recipients(recipients: Sequence[str], visible: Visible) -> None:
    """Raise UsageError for a recipient that is not one, and for none if archives have the operator's secrets."""
    if recipients:
        encrypt(b"", recipients)
    elif visible.is_operators:
        raise UsageError("the operator's token also reads the secrets that Jitsu masks; encrypt its archives")


def try_monitor(url: str, environment: Mapping[str, str]) -> None:
    """Report a success to a monitor. Raise UsageError for what is not a URL, BackupError if the monitor does not take it."""
    problems: list[Event] = []
    Monitor(url, problems.append, environment).end(0, "jitsu-backup init: the monitor is reached", ())
    for problem in problems:
        if isinstance(problem, Problem):
            raise BackupError(problem.text)


# -- what was agreed to --------------------------------------------------------------


def check_new_file(path: Path, store: str | None = None, *, instead: str = "name another file") -> None:
    """Raise UsageError for a file that exists or has no folder, and for one inside a `store` that is a folder.

    `instead` is what to do if it exists.
    """
    if printable(str(path)) != str(path) or path.name in ("", ".."):
        raise UsageError(f"{printable(str(path))!r} is not a valid file name; name another")
    if store is not None and path.resolve().is_relative_to(Path(store).resolve()):
        raise UsageError(f"{path} is inside the store; keep the private key elsewhere")
    if os.path.lexists(path):
        raise UsageError(f"{path} exists, and is never overwritten; {instead}")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; create it")
    check_permitted(path)


async def begin(store: Store, now: Callable[[], datetime]) -> None:
    """Begin a store, or try to write into one that was begun; change nothing there. Raise BackupError, AccessError."""
    await mark(
        store, {}, now()
    )  # as if nothing were listed: a marker that exists stays, and is tried to be written


def write(first: FirstSettings) -> list[Path]:
    """Write each file as a whole, readable by its owner alone, the settings last; return their paths.

    Raise UsageError for a file that exists, BackupError, KeyboardInterrupt; the message names the files that were written.
    """
    files = first.files()
    folder = None if "://" in first.store else first.store
    for path in files:
        check_new_file(path, folder if first.identity is not None and path == first.identity.path else None)
    written: list[Path] = []
    try:
        for path, text in files.items():
            if not write_new_file(path, text.encode()):
                raise UsageError(f"{path} exists, and is never overwritten; name another file")
            written.append(path)
    except BackupError as problem:
        raise problem.with_context(after=_left(written)) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted{_left(written)}") from None
    return written


def _left(written: Sequence[Path]) -> str:
    return f"; written without settings: {', '.join(map(str, written))}" if written else ""
