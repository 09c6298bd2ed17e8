"""Secrets that the operator's token reads: unencrypted archives need consent, and some secrets stay unreadable."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jitsu_backup.catalogue import entity_names
from jitsu_backup.console import Console
from jitsu_backup.console.admin_exports import Exports, missed_secrets, types_in
from jitsu_backup.console.workspaces import Workspace, workspaces
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Caution, Event, Notice
from jitsu_backup.model import Key, MaskedField, Snapshot, plural, some_of, unknown_secrets

_NAMED = 3
"""How many entities or workspaces one line names."""


def in_clear(*, folder: bool, is_key: bool) -> UsageError:
    """Return the error for secrets that would be written unencrypted into an archive or a `folder`.

    `is_key` says that the operator's token is the key itself, so it cannot be left out.
    """
    what, instead = (
        ("folder", "hide them with --redact") if folder else ("archive", "encrypt it with --encrypt-to")
    )
    without = "use a user's key (JITSU_APIKEY)" if is_key else "leave the token out (JITSU_ADMIN_TOKEN)"
    return UsageError(
        f"with the operator's token, the {what} would hold unencrypted secrets; {instead}, allow that with"
        f" --plaintext-secrets, or {without}"
    )


def beside_encrypted(slugs: Sequence[str]) -> Caution:
    """Return the warning about archives in plain text beside the encrypted archives of workspaces."""
    return Caution(
        f"the store's newest archives of {some_of(slugs, 3)} are encrypted, and this run writes unencrypted ones beside them;"
        " to encrypt these too, add --encrypt-to"
    )


async def beyond_the_key(console: Console, seen: Iterable[Workspace]) -> list[Workspace]:
    """Return the workspaces that the operator's token of `console` can read and that are not among `seen`.

    Return none if the console does not list them.
    """
    try:
        every = await workspaces(console)
    except BackupError:
        return []
    known = {one.id for one in seen}
    return [one for one in every.found if every.is_operators and one.id not in known]


def told_beyond(names: list[str]) -> Notice:
    """Return the notice about workspaces that only the operator's token can read."""
    return Notice(
        f"not backed up: {plural(len(names), 'workspace')} that only the operator's token can see:"
        f" {some_of(sorted(names), _NAMED)}; to back up every workspace with --all, give that token as the only key"
    )


@dataclass(slots=True)
class UnreadSecrets:
    """The secrets that a run could not read even with the operator's token, reported in one line for each kind."""

    _not_exported: list[str] = field(default_factory=list)
    _cut_off: list[str] = field(default_factory=list)
    _why: str = ""

    def add(self, exports: Exports, snapshot: Snapshot) -> None:
        """Note which secrets of a snapshot `exports` did not have."""
        missed = missed_secrets(exports, snapshot)
        self._why = exports.unread
        self._cut_off += _by_entity(snapshot, missed)
        # the archive reports these as missing
        refused = {name for refusal in exports.refused for name in types_in(refusal)}
        rest = (line for line in unknown_secrets(snapshot) if line.type not in refused)
        self._not_exported += _by_entity(snapshot, set(rest).difference(missed))

    def events(self) -> Iterator[Event]:
        """Yield what to report, or nothing if all were read."""
        if self._cut_off:
            yield Caution(
                f"missing: {some_of(self._cut_off, _NAMED)}, because the console's export of reverse syncs cannot be read"
                f" ({self._why}); the operator must repair or remove the reverse sync at which the export ends, maybe in"
                " another workspace; until then, put these secrets into an overlay to restore elsewhere"
            )
        if self._not_exported:
            yield Notice(
                f"not readable even with the operator's token: {some_of(self._not_exported, _NAMED)}, because Jitsu exports"
                " secrets only of connected entities and of destinations that its bulker writes to; put these secrets"
                " into an overlay to restore elsewhere"
            )


def _by_entity(snapshot: Snapshot, lines: Iterable[MaskedField]) -> Iterator[str]:
    """Yield `password of Warehouse (acme-staging)` for each entity."""
    names, source = entity_names(snapshot.entities), snapshot.manifest.source
    paths: dict[Key, list[str]] = defaultdict(list)
    for line in sorted(lines):
        paths[Key(line.type, line.id)].append(line.path)
    for key, own in paths.items():
        yield f"{', '.join(own)} of {names.get(key, key.id)} ({source.slug or source.workspace_id})"
