"""A store that has vanished: it is empty, although there are signs that it held archives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jitsu_backup.store import Store, is_begun, nothing_there


@dataclass(frozen=True, slots=True)
class ExpectedStore:
    """What is known about a store before it is listed.

    `named` says that a flag or setting names it, `may_be_new` that it may be started now. `had_backups` and `newest` come
    from the metrics of earlier runs (`figures`): whether any made a backup, and the time of each workspace's newest
    archive in this store, by workspace id, in seconds of Unix time.
    """

    named: bool = False
    may_be_new: bool = False
    figures: Path | None = None
    had_backups: bool = False
    newest: Mapping[str, float] = field(default_factory=dict)

    def check(self, store: Store, listing: Mapping[str, int]) -> None:
        """Raise BackupError if a store has no archives although it should. `listing` is what it holds."""
        if is_begun(listing) or self.may_be_new:
            return
        if self.had_backups:
            raise nothing_there(store, self._why_expected)
        if self.named:
            raise nothing_there(store)

    def check_vanished(self, store: Store, listing: Mapping[str, int]) -> None:
        """Raise BackupError if a store has no archives although metrics record earlier backups."""
        if self.had_backups and not is_begun(listing):
            raise nothing_there(store, self._why_expected, may_begin=False)

    @property
    def _why_expected(self) -> str:
        return f"the metrics file {self.figures} records earlier backups"
