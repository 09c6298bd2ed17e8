"""How a backup ended: each workspace's outcome, the alarms, and the exit code."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import names_of_refused
from jitsu_backup.errors import BackupError, IncompleteError
from jitsu_backup.model import Source, plural, toml_quoted
from jitsu_backup.operations.alarms import (
    FOR_EVER,
    Again,
    Alarm,
    What,
    reason_of,
    reasons_in_words,
    why_and_remedy,
)
from jitsu_backup.operations.asking import Unchanged
from jitsu_backup.operations.prune import Removed
from jitsu_backup.operations.save import Saved


@dataclass(frozen=True, slots=True)
class WorkspaceOutcome:
    """How the backup of one workspace ended: `saved`, `unchanged` or `failure`. `label` is its name in this run.

    `alarm` says what else is wrong: the store has lost an archive, or the slug now names another workspace.
    """

    label: str
    workspace_id: str | None
    seconds: float
    saved: Saved | None = None
    unchanged: Unchanged | None = None
    failure: Exception | None = None
    alarm: Alarm | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of this outcome alone."""
        if self.failure is not None:
            return self.failure.exit_code if isinstance(self.failure, BackupError) else 1
        well = self.whole and self.alarm is None
        return 0 if well else IncompleteError.exit_code

    @property
    def held(self) -> Saved | Unchanged | None:
        """What was found in the workspace, and the archive that holds it, or None if the backup failed."""
        return self.saved or self.unchanged

    @property
    def archive(self) -> ArchiveName | None:
        """The archive that holds the current workspace, or None if the backup failed."""
        return None if self.held is None else self.held.archive

    @property
    def source(self) -> Source | None:
        """The workspace and its console, or None if the backup failed."""
        return None if self.held is None else self.held.source

    @property
    def whole(self) -> bool:
        """Whether its archive is complete, and raised no alarm."""
        return self.unchanged is not None or (self.saved is not None and self.saved.whole)

    @property
    def named(self) -> list[ArchiveName]:
        """The archives that the commands of its alarms name."""
        found = () if self.saved is None else (self.saved.archive, self.saved.baseline)
        return [archive for archive in found if archive is not None]

    @property
    def problem(self) -> str:
        """Why the backup failed, in one line."""
        return reason_of(self.failure)

    def alarms(self, again: Again, waits: float | None = None) -> Iterator[Alarm]:
        """Yield what is wrong with the workspace. `again` and `waits` are as in `remedy_for`."""
        if self.failure is not None:
            why, remedy = why_and_remedy(self.failure, again, self.label, waits)
            yield Alarm(What.FAILED, why, remedy, self.label)
        if self.saved is not None:
            yield from _of_saved(self.saved, self.label, again, waits)
        if self.alarm is not None:
            yield self.alarm


@dataclass(frozen=True, slots=True)
class BackupRun:
    """How a run of `backup` ended.

    `unseen` are the workspaces that only the store has, by slug. `sees_all` says that the key is the operator's token,
    which sees every workspace of the console. `unlisted` is why the store could not be listed, so
    that nothing was compared. `stored_before` are the archives from before the run. `removed` is the result of pruning,
    `unpacked` that of --unpack.
    """

    outcomes: tuple[WorkspaceOutcome, ...] = ()
    unseen: tuple[str, ...] = ()
    sees_all: bool = False
    unlisted: BackupError | None = None
    stored_before: tuple[ArchiveName, ...] = ()
    removed: Removed | None = None
    unpacked: Mapping[str, Any] | None = None

    @property
    def failed(self) -> list[WorkspaceOutcome]:
        """The outcomes of the workspaces that failed."""
        return [outcome for outcome in self.outcomes if outcome.failure is not None]

    @property
    def saved(self) -> list[Saved]:
        """The workspaces that were read and stored."""
        return [outcome.saved for outcome in self.outcomes if outcome.saved is not None]

    @property
    def held(self) -> list[Saved | Unchanged]:
        """What was found in each workspace that did not fail."""
        return [outcome.held for outcome in self.outcomes if outcome.held is not None]

    @property
    def unchanged(self) -> list[Unchanged]:
        """The workspaces that were not read, because they have not changed."""
        return [outcome.unchanged for outcome in self.outcomes if outcome.unchanged is not None]

    @property
    def exit_code(self) -> int:
        """The exit code of the run: that of the first failure if all failed, otherwise 3 if anything is wrong."""
        codes = [outcome.exit_code for outcome in self.outcomes]
        if codes and len(self.failed) == len(codes):
            return codes[0]
        lacking = any(codes) or self.unseen or self.unlisted is not None
        stuck = self.removed is not None and self.removed.stuck
        return IncompleteError.exit_code if lacking or stuck or self._stale else 0

    @property
    def _stale(self) -> bool:
        return self.unpacked is not None and "problem" in self.unpacked

    def had_archive_of(self, workspace: str) -> bool:
        """Return whether the store had an archive of a workspace, given by its id or a current or former slug."""
        return any(archive.belongs_to(workspace) for archive in self.stored_before)

    @property
    def slugs_before(self) -> Mapping[str, str]:
        """The slug in the newest archive of each workspace from before the run, by id."""
        oldest_first = sorted(self.stored_before, key=lambda archive: archive.sort_key)
        return {archive.workspace_id: archive.slug for archive in oldest_first}

    def alarms(self, again: Again, waits: float | None = None) -> Iterator[Alarm]:
        """Yield what is wrong with each workspace, then with the run. `again` and `waits` are as in `remedy_for`."""
        for outcome in self.outcomes:
            yield from outcome.alarms(again, waits)
        slugs = self.slugs_before if self.unseen else {}
        for name in self.unseen:
            yield unseen_alarm(name, again, slugs.get(name, ""), sees_all=self.sees_all)
        if self.removed is not None and self.removed.stuck:
            yield Alarm(What.NOT_PRUNED, self.removed.why, f"remove them with `{again('prune')}`")
        if self.unpacked is not None and self._stale:
            yield Alarm(What.NOT_UNPACKED, self.unpacked["problem"])
        if self.unlisted is not None:
            yield Alarm(What.UNCOMPARED, str(self.unlisted), "allow the store's credentials to list archives")


def unseen_alarm(name: str, again: Again, slug: str = "", *, sees_all: bool) -> Alarm:
    """Return the alarm about a workspace that only the store has. `slug` is its slug if `name` is its id.

    `sees_all` says that the key is the operator's token.
    """
    silence = shlex.join(["--allow-unseen", name])
    access = "" if sees_all else "give the owner of the key access to it again; "
    remedy = (
        f"{access}if it was deleted on purpose, or a recovery replaced it, silence this"
        f" with {silence}, or write allow_unseen = [{toml_quoted(name)}] into the settings; if it or its console was lost, bring it"
        f" back with `{again('recover')}`"
    )
    gone = ["the console no longer has it, because the operator's token sees every workspace"] * sees_all
    why = [*gone, *([f"its archives are those of {slug}"] if slug else [])]
    return Alarm(What.UNSEEN, "; ".join(why), remedy, name)


def _of_saved(saved: Saved, label: str, again: Again, waits: float | None) -> Iterator[Alarm]:
    manifest = saved.snapshot.manifest
    name = manifest.source.slug or label or manifest.source.workspace_id
    if saved.falls:
        why = "; ".join(map(str, saved.falls))
        yield Alarm(What.SHRUNK, why, _after_a_fall(saved, name, again), name)
    if saved.damaged is not None:
        why = f"{saved.damaged.reference} is damaged: {saved.damaged.remains}"
        away = again("prune", "--quarantine")
        remedy = f"the workspace was backed up again; move the damaged archive away with `{away}`"
        yield Alarm(What.DAMAGED, why, remedy, name)
    if saved.better is not None:
        role = manifest.source.role or "unknown"
        hidden = sum(line.type == "link" for line in manifest.ledger)
        remedy = f"back up with the key of an owner or an editor, or {_accept(name, again)}"
        masked = f"{plural(hidden, 'secret')} of connections {'is' if hidden == 1 else 'are'} masked"
        why = f"{masked} (the key's role: {role}), and `latest` still means {saved.better.reference}"
        yield Alarm(What.WEAKER, why, remedy, name)
    if not manifest.complete:
        yield _incomplete(saved, name, again, by_itself=waits == FOR_EVER)


def _incomplete(saved: Saved, name: str, again: Again, *, by_itself: bool) -> Alarm:
    names, manifest = names_of_refused(saved.snapshot), saved.snapshot.manifest
    lacking = [(names[r.what], r.reason) for r in manifest.refused if r.missing]
    if not lacking:
        later = "run the backup again when nobody edits the workspace"
        remedy = "the watch reads it again by itself" if by_itself else later
        return Alarm(What.INCOMPLETE, "it kept changing while it was read", remedy, name)
    remedy = f"the next backup reads it again; see what the key may read with `{again('check', name)}`"
    if saved.gone:
        remedy = f"see what the console offers with `{again('check', name)}`, or {_accept(name, again)}"
    return Alarm(What.INCOMPLETE, reasons_in_words(lacking), remedy, name)


def _after_a_fall(saved: Saved, name: str, again: Again) -> str:
    if saved.baseline is None:
        return _accept(name, again)
    before, now = saved.baseline.reference, saved.archive.reference
    look = f"see what is gone with `{again('diff', before, now)}`"
    if saved.baseline_host:
        return (
            f"the previous archive, {before}, is of console {saved.baseline_host}: if that console was lost, bring its"
            f" workspaces back with `{again('recover')}`; if not, {look}, and {_accept(name, again)}"
        )
    new = (
        ""
        if saved.baseline_host is None
        else f"if this console replaces a lost one, run `{again('recover')}`; if not, "
    )
    back = f"then see what a restore brings back with `{again('restore', before, '--dry-run')}`"
    return f"{new}{look}; {back}; or if that was on purpose, {_accept(name, again)}"


def _accept(name: str, again: Again) -> str:
    return f"accept every loss of this workspace with `{again('backup', name, '--accept-shrink')}`"
