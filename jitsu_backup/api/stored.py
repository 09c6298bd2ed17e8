"""Read, verify, compare and prune the archives of a store; archives and folders as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jitsu_backup.api.access import NO_KEYS, as_store, now
from jitsu_backup.archive import ArchiveName, encode
from jitsu_backup.archive.retention import Verdict, policy_of
from jitsu_backup.catalogue import Selector, dangling_references
from jitsu_backup.catalogue.dangling import Dangling
from jitsu_backup.errors import BackupError, BlockedError, UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations import prune as pruning
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.folder import Folder, open_folder as read_folder
from jitsu_backup.operations.history import history as read_history
from jitsu_backup.operations.snapshots import check_digest, choose_archive, open_archive
from jitsu_backup.operations.who import LogAccess, attribute, not_elsewhere
from jitsu_backup.planning.history import History
from jitsu_backup.planning.history_ignored import without_ignored
from jitsu_backup.planning.history_steps import narrowed
from jitsu_backup.store import Store, archives, of_workspace


@dataclass(frozen=True, slots=True)
class Verification:
    """An archive that was read and checked. `dangling` are references to entities that the snapshot does not have."""

    archive: ArchiveName
    snapshot: Snapshot = field(repr=False)
    dangling: tuple[Dangling, ...]

    @property
    def whole(self) -> bool:
        """Whether every entity of the workspace can be restored."""
        return self.snapshot.manifest.complete and all(one.dead for one in self.dangling)


async def fetch(store: Store | str, snapshot: str = "latest", *, keys: ArchiveKeys = NO_KEYS) -> Snapshot:
    """Return a snapshot of a store, named by `latest`, `acme-staging/latest~2`, a date, an id prefix or a label.

    Raise BackupError if there is no such snapshot, IntegrityError if the archive is damaged, LockedError if `keys` do not
    open it, UsageError.
    """
    return (await verify(store, snapshot, keys=keys)).snapshot


def open_folder(path: str | Path) -> Folder:
    """Read a folder written by `unpack`, edited or not, for `plan`, `restore` and `diff`; its `snapshot` has the content.

    Raise FolderError, which names the faulty file, and BackupError.
    """
    return read_folder(Path(path))


async def verify(
    store: Store | str, snapshot: str = "latest", *, keys: ArchiveKeys = NO_KEYS
) -> Verification:
    """Read and check an archive: integrity, schema, references. `snapshot` and the errors are those of `fetch`."""
    store = as_store(store)
    known = await archives(store)
    archive = choose_archive(known, snapshot, store, now=now(), shrink_alarm=0.5, report=lambda _: None)
    content = open_archive(archive, await store.read(str(archive)), keys)
    check_digest(snapshot, archive, content)
    return Verification(archive, content, tuple(sorted(dangling_references(content))))


async def history(
    store: Store | str,
    workspace: str | None = None,
    *,
    keys: ArchiveKeys = NO_KEYS,
    only: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    ignored: Sequence[str] = (),
    cache: Path | None = None,
    who: Connection | None = None,
) -> list[History]:
    """Return the changes across all snapshots of one workspace, given by id or slug, or of every workspace; newest first.

    `only` are selectors, `since` and `until` times with a time zone, `ignored` fields whose changes do not count. `cache` is
    a folder that makes the next call faster. `who` is a connection to the console with an owner's key or the operator's
    token; its audit log says who made each change. If workspaces of several consoles have the same id, each has a history of
    its own, and only changes on the console of `who` are looked up. Unreadable archives are in `unread`. Raise BackupError if
    the store has no archive of the workspace.
    """
    opened = as_store(store)
    known = await archives(opened)
    own = known if workspace is None else of_workspace(known, workspace)
    if not own:
        of = "" if workspace is None else f" of workspace {workspace!r}"
        raise BackupError(
            f"no snapshot{of} in the store {opened.url}; back it up first, or open another store"
        )
    found = await read_history(opened, own, keys, now=now(), cache=cache)
    if who is not None:
        access = LogAccess(who)
        found = [
            one if one.console not in ("", who.host)
            else await attribute(one, access, not_elsewhere(own, one, found), since=since, until=until)
            for one in found
        ]  # fmt: skip
    counting = [without_ignored(one, ignored) for one in found]
    return [narrowed(one, [Selector(text) for text in only], since, until) for one in counting]


async def prune(store: Store | str, *, dry_run: bool = False, **rules: Any) -> list[Verdict]:
    """Remove the archives that no rule keeps; return whether each archive is kept or removed, and why.

    `rules` are those of `[retention]` in the settings: `keep_last`, `keep_daily`, `keep_within`, …; days are in UTC. Raise
    UsageError if there are no rules, BackupError if an archive cannot be removed.
    """
    store, policy = as_store(store), policy_of(rules)
    if policy.empty:
        raise UsageError(
            "without rules, almost every archive would be removed; pass at least one rule, such as keep_daily=14"
        )
    found, retention = await archives(store), pruning.Retention(policy, UTC)
    pruned = await pruning.prune(store, found, retention, now=now(), dry_run=dry_run)
    if pruned.stuck:
        raise pruned.stuck[0]
    return list(pruned.verdicts)


def dump(
    snapshot: Snapshot, *, encrypt_to: tuple[str, ...] | None = None, passphrase: str | None = None
) -> bytes:
    """Return the archive of a snapshot, encrypted with age if recipients or a passphrase are given.

    Raise BackupError, UsageError for an invalid recipient, BlockedError for the snapshot of a redacted folder.
    """
    if snapshot.hidden:
        raise BlockedError(
            "the snapshot comes from a redacted folder, which has no secrets, so it cannot be archived; unpack it again"
            " without redacting"
        )
    if (encrypt_to is not None and not encrypt_to) or passphrase == "":
        raise UsageError(
            "encrypt_to or passphrase is empty; give a recipient or a passphrase, or leave both out to write an unencrypted archive"
        )
    return ArchiveKeys(encrypt_to or (), passphrase=passphrase).seal(encode(snapshot))


def load(data: bytes, *, identities: tuple[bytes, ...] = (), passphrase: str | None = None) -> Snapshot:
    """Check an archive and return its snapshot. `identities` are the contents of identity files.

    Raise IntegrityError if the archive is damaged, UsageError if it needs a key and none is given, LockedError if the given
    key does not open it.
    """
    return ArchiveKeys(identities=identities, passphrase=passphrase).open(data)
