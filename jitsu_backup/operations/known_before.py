"""What the store and the metrics know about workspaces from before a backup, and the alarms about what changed since."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jitsu_backup.archive import ArchiveName, safe_text
from jitsu_backup.model import Source, shown_time
from jitsu_backup.operations.alarms import Alarm, What
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.recovered import was_recovered
from jitsu_backup.operations.snapshots import slug_owners
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.store import Reading, Store, archives

_ROUNDING = 0.001
"""Seconds by which a time in the metrics may differ from that in an archive's name."""


@dataclass(slots=True)
class KnownBefore:
    """The archives of a store before a run, by workspace, and the alarms about workspaces that differ from them.

    `expected` is what the metrics of earlier runs say. `allow_unseen` are workspaces whose absence raises no alarm ("*":
    any).
    """

    expected: ExpectedStore
    keys: ArchiveKeys
    allow_unseen: tuple[str, ...] = ()
    _archives: dict[str, list[ArchiveName]] = field(default_factory=lambda: defaultdict(list))
    _lost: dict[str, Alarm] = field(default_factory=dict)
    _moved: dict[str, tuple[str, Alarm]] = field(default_factory=dict)
    """By workspace: the workspace that its slug named before, and the alarm about that."""

    def add(self, archives: Iterable[ArchiveName]) -> None:
        """Add the archives of a store."""
        for archive in archives:
            self._archives[archive.workspace_id].append(archive)

    def of(self, workspace_id: str) -> list[ArchiveName]:
        """Return the archives of a workspace."""
        return self._archives.get(workspace_id, [])

    def all(self) -> tuple[ArchiveName, ...]:
        """Return the archives of all workspaces."""
        return tuple(archive for own in self._archives.values() for archive in own)

    def newest_of(self, workspaces: Iterable[Collection[str | None]]) -> Iterator[ArchiveName]:
        """Yield the newest backup of each workspace, given by id and slug, or else what a restore or recovery left of it.

        The slug counts only if the id has no backup, because a workspace of another console may have it.
        """
        ordered = sorted(self.all(), key=_by_worth)
        by_slug = {archive.slug: archive for archive in ordered}
        by_id = {archive.workspace_id: archive for archive in ordered}
        for names in workspaces:
            own = [by_id[name] for name in names if name in by_id]
            if not any(not archive.set_aside for archive in own):
                own += [by_slug[name] for name in names if name in by_slug]
            yield from sorted(own, key=_by_worth)[-1:]

    def not_among(
        self, seen: set[str], slugs: Collection[str | None], counts: Callable[[str], bool]
    ) -> tuple[str, ...]:
        """Return the workspaces that the store has and the key does not see: deleted, or no longer accessible.

        `slugs` are those of the workspaces that the key sees: one whose slug another one has too is given by its id. One that
        was recovered as a workspace that the key sees is not missing. `counts` says which ids this run is about.
        """
        known = (archive for members in self._archives.values() for archive in reversed(members))
        newest = {a.workspace_id: a for a in known if not self._may_be_unseen(a)}
        there = [archive for one in seen for archive in self.of(one)]
        missing = {
            one: archive.slug
            for one, archive in newest.items()
            if one not in seen and counts(one) and not was_recovered(archive, there)
        }
        times = Counter(missing.values())
        return tuple(
            sorted(one if slug in slugs or times[slug] > 1 else slug for one, slug in missing.items())
        )

    def look_for_lost(self, source: Source, store: Store) -> None:
        """Raise an alarm if the metrics of earlier runs know an archive that is newer than all in the store."""
        recorded = self.expected.newest.get(source.workspace_id)
        newest = max((archive.taken_at for archive in self.of(source.workspace_id)), default=None)
        if recorded is None or (newest and newest.timestamp() > recorded - _ROUNDING):
            return
        there = "" if newest is None else f" after {shown_time(newest)}"
        why = (
            f"the store {store.url} has no archive of this workspace{there}, but the metrics file"
            f" {self.expected.figures} records one of {shown_time(datetime.fromtimestamp(recorded, UTC))}"
        )
        self._lost[source.workspace_id] = _lost(source, why)

    async def look_for_unstored(self, source: Source, reading: Reading, store: Store) -> None:
        """Raise an alarm if the store no longer has the archive of the last complete `reading`, nor a newer backup.

        The store is listed again first, because it may have changed while it was listed. Raise BackupError.
        """

        def is_enough(archive: ArchiveName) -> bool:
            newer = not archive.set_aside and archive.taken_at >= reading.began
            return newer or archive.digest_prefix == reading.digest_prefix

        own = safe_text(source.workspace_id)
        if any(map(is_enough, self.of(own))):
            return
        if any(one.workspace_id == own and is_enough(one) for one in await archives(store)):
            return
        why = (
            f"the store {store.url} no longer has the archive {reading.digest_prefix}, in which the last complete reading,"
            f" of {shown_time(reading.began)}, was stored"
        )
        self._lost[source.workspace_id] = _lost(source, why)

    async def look_for_moved(self, slug: str, source: Source, host: str, store: Store) -> None:
        """Raise an alarm if another workspace's newest archive has the slug that this run was given.

        The alarm stays until that workspace is backed up under another name, or `allow_unseen` names it.
        """
        mine = safe_text(source.workspace_id)
        newest = (members[0] for members in self._archives.values())
        others = [one for one in newest if one.workspace_id != mine and not self._may_be_unseen(one)]
        owners = await slug_owners(store, self.keys, host, slug, others)
        for before in owners[:1]:
            why = f"{source.workspace_id}; earlier archives with this slug are of {before}, which was not backed up"
            remedy = f"name the workspace by its id, or silence this on purpose with --allow-unseen {before}"
            self._moved[mine] = before, Alarm(What.MOVED, why, remedy, slug)

    def has_moved(self, workspace_id: str) -> bool:
        """Return whether the slug of a workspace named another one before."""
        return safe_text(workspace_id) in self._moved

    def has_alarm(self, workspace_id: str) -> bool:
        """Return whether an alarm about a workspace was raised."""
        return workspace_id in self._lost or self.has_moved(workspace_id)

    def alarm_of(self, workspace_id: str, backed_up: Collection[str]) -> Alarm | None:
        """Return the alarm about a workspace, its id spelled as in file names, or None.

        It is no alarm that a slug has moved from a workspace that this run has `backed_up` too.
        """
        before, moved = self._moved.get(workspace_id, ("", None))
        return self._lost.get(workspace_id) or (None if before in backed_up else moved)

    def _may_be_unseen(self, archive: ArchiveName) -> bool:
        return any(name == "*" or archive.belongs_to(name) for name in self.allow_unseen)


def _lost(source: Source, why: str) -> Alarm:
    """Return the alarm that the newest archive of a workspace is gone from the store."""
    remedy = "check whether the store was restored from an older copy, or that archive was removed; if quarantine/ has it, there is nothing to do"
    return Alarm(What.LOST, why, remedy, source.slug or source.workspace_id)


def _by_worth(archive: ArchiveName) -> tuple[object, ...]:
    return not archive.set_aside, archive.sort_key
