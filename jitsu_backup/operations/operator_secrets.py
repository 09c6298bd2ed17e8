"""What the operator's token is for: secrets that no archive in clear gets unasked, and what even it cannot read."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from jitsu_backup.catalogue import entity_names
from jitsu_backup.console import Console
from jitsu_backup.console.admin_exports import Exports, missed_secrets, types_in
from jitsu_backup.console.workspaces import Workspace, workspaces
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Caution, Event, Notice
from jitsu_backup.model import Key, MaskedField, Snapshot, plural, some_of, unknown_secrets

_NAMED = 3
"""How many entities or workspaces a line names."""


def in_clear(*, folder: bool, is_key: bool) -> UsageError:
    """Return the error for secrets that would be written in clear, be it into an archive or a `folder`.

    `is_key` says that the operator's token is the key itself, so that it cannot be left out.
    """
    what, instead = ("folder", "say --redact") if folder else ("archive", "encrypt it (--encrypt-to)")
    without = "give a user's key (JITSU_APIKEY)" if is_key else "leave the token out (JITSU_ADMIN_TOKEN)"
    return UsageError(
        f"with the operator's token the {what} would hold secrets in clear: {instead}, say --plaintext-secrets, or {without}"
    )


async def beyond_the_key(console: Console, seen: Iterable[Workspace]) -> list[Workspace]:
    """Return the workspaces that the operator's token of `console` reads and that are not among `seen`.

    Return none where the console does not tell.
    """
    try:
        every = await workspaces(console)
    except BackupError:
        return []
    known = {one.id for one in seen}
    return [one for one in every.found if every.is_operators and one.id not in known]


def told_beyond(names: list[str]) -> Notice:
    """Return what to tell of workspaces that the operator's token reads and the key does not."""
    return Notice(
        f"not backed up: {plural(len(names), 'workspace')} of the console that the key does not see, and the operator's token"
        f" does: {some_of(sorted(names), _NAMED)}; with that token as the only key, --all means every workspace"
    )


@dataclass(slots=True)
class UnreadSecrets:
    """The secrets that a run could not read with the operator's token: what is told of them, in a line each kind."""

    _not_exported: list[str] = field(default_factory=list)
    _cut_off: list[str] = field(default_factory=list)
    _why: str = ""

    def add(self, exports: Exports, snapshot: Snapshot) -> None:
        """Note what a snapshot lacks that has what `exports` had for it."""
        missed = missed_secrets(exports, snapshot)
        self._why = exports.unread
        self._cut_off += _by_entity(snapshot, missed)
        told = {
            name for refusal in exports.refused for name in types_in(refusal)
        }  # as what the archive lacks
        rest = (line for line in unknown_secrets(snapshot) if line.type not in told)
        self._not_exported += _by_entity(snapshot, set(rest).difference(missed))

    def events(self) -> Iterator[Event]:
        """Yield what to tell; nothing where all were read."""
        if self._cut_off:
            yield Caution(
                f"missing: {some_of(self._cut_off, _NAMED)}, because the console's export of reverse syncs cannot be read"
                f" ({self._why}): its operator has to repair or remove the reverse sync at which it ends, which may be another"
                " workspace's; until then, a restore elsewhere needs these in an overlay"
            )
        if self._not_exported:
            yield Notice(
                f"not even the operator's token reads {some_of(self._not_exported, _NAMED)}: Jitsu exports secrets only of"
                " what is connected and of what its bulker writes to; a restore elsewhere needs these in an overlay"
            )


def _by_entity(snapshot: Snapshot, lines: Iterable[MaskedField]) -> Iterator[str]:
    """Yield `password of Warehouse (acme-staging)` for each entity."""
    names, source = entity_names(snapshot.entities), snapshot.manifest.source
    paths: dict[Key, list[str]] = defaultdict(list)
    for line in sorted(lines):
        paths[Key(line.type, line.id)].append(line.path)
    for key, own in paths.items():
        yield f"{', '.join(own)} of {names.get(key, key.id)} ({source.slug or source.workspace_id})"
