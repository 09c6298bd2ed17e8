"""The Python API: read a workspace, plan, apply, compare, and archives as bytes.

Everything that asks a console is a coroutine; `jitsu_backup.sync` has the same functions for programs without an event
loop. Errors are those of `jitsu_backup.errors`; no message and no `repr` holds a secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jitsu_backup.archive import decode, decrypt, encode, encrypt, is_encrypted
from jitsu_backup.catalogue import known_schemas
from jitsu_backup.console.reader import Seen, read_workspace
from jitsu_backup.errors import BlockedError, UsageError
from jitsu_backup.model import Snapshot, quoted
from jitsu_backup.operations import restore as restoring
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.importer import StreamKey, new_keys
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Changes, Overlay, Plan, PlanOptions, compare, parse_overlay
from jitsu_backup.settings import checked_key, normal_host

__all__ = ["Connection", "Prepared", "apply", "connect", "diff", "dump", "load", "plan", "read"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, with what it was made of. `plan.actions` says what `apply` would do and why."""

    plan: Plan
    snapshot: Snapshot = field(repr=False)
    live: Snapshot = field(repr=False)
    options: PlanOptions = field(repr=False)
    seen: Seen = field(default_factory=Seen, repr=False)


def connect(host: str, key: str, **options: Any) -> Connection:
    """Name a console and a key; `options` are those of Connection. Nothing is asked of it yet.

    Raises UsageError for what is no address, AccessError for what is no key.
    """
    return Connection(normal_host(str(host)), checked_key(str(key)), **options)


async def read(connection: Connection, workspace: str) -> Snapshot:
    """Read a workspace whole, by its id or slug. What is missing is in `snapshot.manifest`, not an exception.

    Raises ConsoleError, AccessError where the workspace itself cannot be read.
    """
    async with connection.open() as console:
        return await read_workspace(console, workspace, now=_now, report=connection.report)


async def plan(
    connection: Connection,
    snapshot: Snapshot,
    into: str,
    *,
    overlay: Mapping[str, Any] | Overlay | None = None,
    **options: Any,
) -> Prepared:
    """Plan what it takes to bring workspace `into` (id or slug) to a snapshot's state; nothing is written.

    `overlay` is what an overlay file holds: selector → values of the target. `options` are those of
    `planning.PlanOptions`: prune, recreate, disable_links, only, skip, … Raises ConsoleError, AccessError, UsageError.
    """
    rules = overlay if isinstance(overlay, Overlay) else parse_overlay(dict(overlay or {}))
    wanted = PlanOptions(overlay=rules, **options)
    seen = Seen()
    made, live, completed = await restoring.prepare(
        connection.open(), into, snapshot, wanted, connection.report, now=_now, seen=seen
    )
    return Prepared(made, snapshot, live, completed, seen)


async def apply(
    connection: Connection,
    prepared: Prepared,
    *,
    on_keys: Callable[[list[StreamKey]], None] | None = None,
    fail_fast: bool = False,
) -> Result:
    """Carry out a plan, read the workspace back and compare: `result.found` is what still differs, and why.

    `on_keys` is given the write keys of new streams before anything is sent, for Jitsu never shows them again; they are
    in `result.keys` too. Raises BlockedError for a plan that needs a decision, TargetChangedError for one that the
    workspace does not fit any more; then nothing was written.
    """
    blocked = prepared.plan.blocked
    if blocked:
        first = blocked[0]
        raise BlockedError(
            f"blocked, nothing was written: {first.key.type} {quoted(first.name)}: {first.reason}"
        )
    keys = new_keys(prepared.plan, restoring.new_secret)

    def tell_keys() -> None:
        if on_keys is not None and keys:
            on_keys(list(keys.values()))

    return await restoring.carry_out(
        connection.open(), prepared.snapshot, prepared.live, prepared.plan, prepared.options, keys, connection.report,
        now=_now, fail_fast=fail_fast, seen=prepared.seen, before_writing=tell_keys,
    )  # fmt: skip


def diff(before: Snapshot, after: Snapshot) -> Changes:
    """Tell what differs between two snapshots, paired as a restore would pair them; secrets are not in it."""
    return compare(before, after, known_schemas())


def dump(
    snapshot: Snapshot, *, encrypt_to: tuple[str, ...] | None = None, passphrase: str | None = None
) -> bytes:
    """Give the archive of a snapshot, encrypted with age where recipients or a passphrase are given.

    Raises BackupError, UsageError for a recipient that is none.
    """
    if (encrypt_to is not None and not encrypt_to) or passphrase == "":
        raise UsageError("an empty passphrase, or no recipient, cannot encrypt: leave it out to not encrypt")
    data = encode(snapshot)
    return encrypt(data, encrypt_to or (), passphrase) if encrypt_to or passphrase else data


def load(data: bytes, *, identities: tuple[bytes, ...] = (), passphrase: str | None = None) -> Snapshot:
    """Read an archive, checking everything. `identities` are the contents of identity files.

    Raises IntegrityError for one that is damaged, UsageError where its key is not given, LockedError where it is another.
    """
    return decode(decrypt(data, identities, passphrase) if is_encrypted(data) else data)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
