"""Verifying archives: what each lacks, what would prevent its restore, and the exit code of the run."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.catalogue import Dangling, dangling_references, names_of_refused
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    IncompleteError,
    IntegrityError,
    LockedError,
    NoKeyError,
    UsageError,
)
from jitsu_backup.events import Notice, Reporter, silent
from jitsu_backup.model import Key, Snapshot, Source, plural, printable, some_of
from jitsu_backup.operations.alarms import Again, Alarm, What, reason_of, remedy_for
from jitsu_backup.operations.come_back import Rehearsal, residue_in_words
from jitsu_backup.operations.recovery_losses import counted, in_words
from jitsu_backup.operations.rehearse import rehearse

MOST_TOLD = 3
"""How many reasons an alarm gives. The log has more of them, and the report has all."""

_AFTERWARDS = "or if it was deleted on purpose, remove what refers to it in the console; then back up again"
_AGAIN = "correct that in the console and back up again, or restore an earlier archive"


@dataclass(frozen=True, slots=True)
class _Archive:
    """An archive, given by its name or path."""

    archive: str

    @property
    def named(self) -> ArchiveName | None:
        """What its file name says, or None if that is not the name of an archive."""
        return parse_name(self.archive.rpartition("/")[2])

    @property
    def short_name(self) -> str:
        """The workspace and the archive's id if the file name has them, otherwise the name or path."""
        return self.archive if self.named is None else self.named.reference

    @property
    def dated(self) -> str:
        """The same, with the time that the file name has."""
        return self.archive if self.named is None else self.named.dated


@dataclass(frozen=True, slots=True)
class UnreadArchive(_Archive):
    """An archive that could not be read. `found` says whether it exists."""

    failure: BackupError
    found: bool = True

    @property
    def mistaken(self) -> bool:
        """Whether no archive was found: the name is wrong, but nothing is damaged."""
        return not self.found and self.failure.exit_code in (UsageError.exit_code, BackupError.exit_code)

    @property
    def why(self) -> str:
        """Why it could not be read, without its name and what to do."""
        why = str(self.failure)
        for name in (self.archive, self.dated, self.short_name):
            why = why.removeprefix(f"{name}: ")
        return why.removesuffix(self.failure.advice).rstrip().removesuffix(";")

    @property
    def locked(self) -> bool:
        """Whether it exists, and no key or passphrase that was given opens it. It may be undamaged."""
        return self.found and isinstance(self.failure, LockedError | NoKeyError)

    @property
    def reasons(self) -> list[str]:
        """Why it could not be read."""
        return [printable(str(self.failure))]


@dataclass(frozen=True, slots=True)
class CheckedArchive(_Archive):
    """What was found in an archive that is undamaged.

    `not_read` lists what is missing and why, each as (name, reason). `dangling` has the harmful references first.
    `folder` is true for a folder of `unpack`. It is `superseded` if all archives of the store are checked, and `latest` means
    another one: then dangling references are no failure, because nothing can be done about them. `holds` are those of the
    entities that newer archives lack.
    """

    source: Source
    complete: bool = True
    consistent: bool = True
    not_read: tuple[tuple[str, str], ...] = ()
    dangling: tuple[Dangling, ...] = ()
    rehearsal: Rehearsal | None = None
    folder: bool = False
    superseded: bool = False
    holds: tuple[Key, ...] = ()

    @property
    def workspace(self) -> str:
        """The slug of its workspace, or the id if it has none."""
        return self.source.slug or self.source.workspace_id

    @property
    def broken(self) -> set[Key]:
        """The entities that cannot be restored because of a dangling reference."""
        return {one.key for one in self.dangling if not one.dead}

    @property
    def needs(self) -> set[str]:
        """The ids of the entities that these need, and that it lacks."""
        return {one.missing_id for one in self.dangling if not one.dead}

    @property
    def dangles(self) -> bool:
        """Whether its dangling references are a failure."""
        return bool(self.broken) and not self.superseded

    @property
    def lost(self) -> bool:
        """Whether a rehearsal could not restore all of it."""
        if self.rehearsal is None or self.rehearsal.whole:
            return False
        explained = self.superseded and self.broken and not self.rehearsal.problem
        return not explained or any(line.key not in self.broken for line in self.rehearsal.residue)

    @property
    def lacks(self) -> dict[str, int]:
        """How much a recovery on an empty console would lose, by kind. It is empty without a rehearsal."""
        return counted(() if self.rehearsal is None else self.rehearsal.lacks)

    @property
    def reasons(self) -> list[str]:
        """Why it is not complete, the most serious reason first. Harmless reasons are left out."""
        lines = [f"not read: {name}: {reason}" for name, reason in self.not_read]
        lines += [] if self.consistent else ["it kept changing while it was read"]
        lines += [f"dangling: {one}" for one in self.dangling if not one.dead]
        if self.rehearsal is not None:
            if self.rehearsal.problem:
                lines.append(f"the rehearsal failed: {self.rehearsal.problem}")
            unexplained = (line for line in self.rehearsal.residue if line.key not in self.broken)
            lines += [f"not restored: {residue_in_words(line)}" for line in unexplained]
        return [printable(line) for line in lines]


ArchiveFinding = UnreadArchive | CheckedArchive


def exit_code_of(results: Iterable[ArchiveFinding], *, fail_on_losses: bool = False) -> int:
    """Return the exit code of a run: that of the worst failure, otherwise 3 if anything is wrong with an archive."""
    codes = set[int]()
    for one in results:
        if isinstance(one, UnreadArchive):
            codes.add(one.failure.exit_code)
        elif not one.complete or one.dangles or one.lost or (fail_on_losses and any(one.lacks.values())):
            codes.add(IncompleteError.exit_code)
    worst = (e.exit_code for e in (IntegrityError, AccessError, BackupError, UsageError))
    return next((code for code in worst if code in codes), max(codes, default=0))


def alarms_of(
    result: ArchiveFinding,
    again: Again,
    *,
    fail_on_losses: bool = False,
    others: int = 0,
    checked: Iterable[CheckedArchive] = (),
) -> Iterator[Alarm]:
    """Yield what is wrong with an archive: it cannot be read, lacks something, or cannot be restored.

    `again` is as in `remedy_for`. With `fail_on_losses`, what a recovery on an empty console would lose counts too.
    `others` is how many other archives of the workspace the same is said of. `checked` are the archives of the run, which
    may hold what this one lacks, newest first.
    """
    if isinstance(result, UnreadArchive):
        yield _unreadable(result, again)
        return
    archive, reasons = result.short_name, result.reasons
    workspace = ("" if result.named is None else result.named.slug) or result.workspace
    which = f"{archive} and {plural(others, 'other archive')}" if others else archive
    why = f"{which}: {some_of(reasons, MOST_TOLD, '; ')}"
    if not result.complete:
        yield Alarm(What.INCOMPLETE, why, "use another archive, or back up again", workspace)
    elif result.dangles or result.lost:
        retry = again("verify", archive, *(["--rehearse"] if result.rehearsal is not None else []))
        more = f"; list all {len(reasons)} with `{retry}`" if len(reasons) > MOST_TOLD else ""
        remedy = "correct that in the folder" if result.folder else _brought_back(result, checked, again)
        remedy += more
        yield Alarm(What.NOT_RESTORABLE, why, remedy, workspace)
    if fail_on_losses and (losses := in_words(result.lacks)):
        remedy = "save the missing values elsewhere, or back up with the operator's token (--admin-token)"
        yield Alarm(What.LACKING, f"{which}: {losses}", remedy, workspace)


def _brought_back(result: CheckedArchive, checked: Iterable[CheckedArchive], again: Again) -> str:
    """Return how to bring back what an archive lacks: the newest of those `checked` that holds some of it, or how to find it."""
    lacking = sorted(result.needs)
    if result.named is None or not lacking:
        return _AGAIN
    for one in checked:
        found = [key for key in one.holds if key.id in result.needs]
        if found and one.named is not None and one.named.workspace_id == result.named.workspace_id:
            only = [word for key in found for word in ("--only", str(key))]
            restore = again("restore", one.short_name, *only, "--with-links", "--dry-run")
            return f"see what brings it back, connected as it was, with `{restore}`; {_AFTERWARDS}"
    history = again("history", result.workspace, f"*/{lacking[0]}")
    return f"see which archive still has it, and the command that brings it back, with `{history}`; {_AFTERWARDS}"


def _unreadable(result: UnreadArchive, again: Again) -> Alarm:
    problem, archive, named = str(result.failure), result.short_name, result.named
    if result.mistaken:
        return Alarm(What.RUN_FAILED, problem, f"list the snapshots with `{again('snapshots')}`")
    why = f"{result.dated}: {result.why}"
    damaged = result.failure.exit_code == IntegrityError.exit_code
    retry = f"then verify it again with `{again('verify', archive)}`"  # with the key that opens it
    remedy = result.failure.advice or (remedy_for(result.failure, again) if damaged else retry)
    return Alarm(What.UNREADABLE, why, remedy, "" if named is None else named.slug)


def check_archive(
    archive: str,
    snapshot: Snapshot,
    rehearsal: Rehearsal | None = None,
    *,
    folder: bool = False,
    superseded: bool = False,
    wanted: Collection[str] = (),
) -> CheckedArchive:
    """Return what an archive lacks, and its references to entities that it does not hold.

    `folder` and `superseded` are as in CheckedArchive. `wanted` are the ids of the entities that newer archives lack.
    """
    manifest, names = snapshot.manifest, names_of_refused(snapshot)
    return CheckedArchive(
        archive,
        manifest.source,
        manifest.complete,
        manifest.consistent,
        tuple((names[refusal.what], refusal.reason) for refusal in manifest.refused if refusal.missing),
        tuple(sorted(dangling_references(snapshot), key=lambda one: one.dead)),
        rehearsal,
        folder,
        superseded,
        tuple(entity.key for entity in snapshot.entities if entity.key.id in wanted),
    )


async def try_rehearsal(
    snapshot: Snapshot,
    *,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
    report: Reporter = silent,
) -> Rehearsal:
    """Rehearse a snapshot. If that fails, return why, so that the other archives are still checked."""
    source = snapshot.manifest.source
    report(Notice(f"rehearsing {source.slug or source.workspace_id} in a sandbox ..."))
    try:
        return await rehearse(snapshot, now=now, monotonic=monotonic)
    except Exception as failure:  # noqa: BLE001  reported as a reason of the archive
        return Rehearsal(0, sum(snapshot.manifest.counts.values()), problem=reason_of(failure))
