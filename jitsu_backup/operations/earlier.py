"""What the names of a workspace's earlier archives do not say: their cursors, and the console that they are of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jitsu_backup.archive import ArchiveName, name_counts, named_sources, type_in_name
from jitsu_backup.archive.shrinkage import compared_with
from jitsu_backup.console.reader import TYPES_OF_2024
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Manifest, Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.save import CURSORS, BeforeMove, Saved, last_complete
from jitsu_backup.store import Store


def unsupported(manifest: Manifest) -> frozenset[str]:
    """Return the types that a console does not support, as file names spell them.

    A console of 2024 lists profile builders, and never has any [profile-builder/create].
    """
    absent = {*manifest.not_offered}
    if "domain" in absent and manifest.counts.keys() <= TYPES_OF_2024:
        absent.add("profile-builder")
    return frozenset(map(type_in_name, absent))


@dataclass(slots=True)
class Earlier:
    """The archives of one workspace (`own`) from before its backup, which has read `snapshot`.

    `store` is None if nothing was listed. An archive that this machine has no key for counts as unknown.
    """

    snapshot: Snapshot
    own: list[ArchiveName]
    store: Store | None
    keys: ArchiveKeys
    _opened: dict[str, Snapshot | None] = field(default_factory=dict)

    async def had(self) -> Mapping[str, int] | None:
        """Return the counts in the last complete archive if its name does not say all of them.

        Names have no room for some types, and those from before 0.6.0 omit types with few entities. They do not count
        cursors, which matter if the console no longer offers them. Return None if the name suffices, or if the archive
        cannot be read.
        """
        last, missing = last_complete(self.own), self.snapshot.manifest.not_offered
        if last is None or self.store is None:
            return None
        if not (last.unnamed or CURSORS in missing or (missing and last.size is None)):
            return None
        before = await self._open(last)
        if before is None:
            return None
        cursors = {CURSORS: len(before.cursors)} if CURSORS in missing else {}
        return {**name_counts(before), **cursors}

    async def before_move(self, known: Iterable[ArchiveName]) -> BeforeMove | None:
        """Return which archives are of another console, and have what this one does not support, or None.

        This console replaces that one, so what it does not support was not lost here. `known` are all archives of the
        store: where an archive cannot be opened, the record of a recovery after it shows that the console changed. A clone
        does not: its source had cloned before, or the backup from before it has what this console does not support.
        """
        lacking = unsupported(self.snapshot.manifest)
        for archive in self._with(lacking):
            before = await self._open(archive)
            lost = lacking & archive.counts.keys() or (before is not None and before.cursors)
            if lost and self._is_of_another(archive, before, known):
                return BeforeMove(archive, lacking)
        return None

    async def other_host(self, saved: Saved) -> str | None:
        """Return the console of the archive that a shrunk workspace was compared with, if that is another one.

        Return an empty text if the archive cannot be opened.
        """
        if not saved.falls or saved.baseline is None or self.store is None:
            return None
        before = await self._open(saved.baseline)
        if before is None:
            return ""
        source = before.manifest.source
        return source.host if source.key[0] != saved.source.key[0] else None

    def _with(self, lacking: frozenset[str]) -> list[ArchiveName]:
        """Return at most two archives to open, newest first: those that an alarm about the types `lacking` is about."""
        if not lacking or self.store is None:
            return []
        last = last_complete(self.own)
        window = compared_with(self.own, self.snapshot.taken_at)
        counting = [one for one in (last, *window) if one is not None and not lacking.isdisjoint(one.counts)]
        cursors = [last] if last is not None and (CURSORS in lacking or last.size is None) else []
        found = {str(one): one for one in (*cursors, *counting[:1])}
        return sorted(found.values(), key=lambda one: one.sort_key, reverse=True)

    def _is_of_another(
        self, archive: ArchiveName, before: Snapshot | None, known: Iterable[ArchiveName]
    ) -> bool:
        here = self.snapshot.manifest.source
        if before is not None:
            return before.manifest.source.key[0] != here.key[0]
        of_here = {
            *named_sources(known, [here.host]),
            *(one.cloned_from for one in self.own if one.sort_key <= archive.sort_key),
        }
        lacking = unsupported(self.snapshot.manifest)
        last = max(one.sort_key for one in self.own if one == archive or not lacking.isdisjoint(one.counts))
        return any(
            one.cloned_from not in of_here
            for one in self.own
            if one.cloned_from is not None and not one.is_intent and one.sort_key > last
        )

    async def _open(self, archive: ArchiveName) -> Snapshot | None:
        assert self.store is not None  # noqa: S101  it was listed
        name = str(archive)
        if name not in self._opened:
            try:
                self._opened[name] = self.keys.open(await self.store.read(name))
            except BackupError:  # for example, this machine has no key that opens archives
                self._opened[name] = None
        return self._opened[name]
