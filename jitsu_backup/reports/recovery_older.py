"""What a report says of workspaces that a recovery restores from an older archive than the newest one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from jitsu_backup.archive import ArchiveName
from jitsu_backup.errors import IntegrityError
from jitsu_backup.model import ago, plural, shown_time, some_of
from jitsu_backup.operations.recovery import PassedOver, WorkspaceRecovery
from jitsu_backup.operations.recovery.newer import intact
from jitsu_backup.operations.recovery.unused import without_another
from jitsu_backup.reports.recovery_values import Listing, NextStep, RecoveryReport

_FEW = 3
_HEADING = "Newer archives that are not used"


def older_in_words(workspaces: Iterable[WorkspaceRecovery]) -> str:
    """Return which workspaces have an older archive, and how many entities it and a newer one have, or an empty text."""
    lines = [_older(one, newer) for one in workspaces if (newer := one.newer or one.later) is not None]
    return some_of(lines, _FEW, "; ")


def _older(one: WorkspaceRecovery, newer: ArchiveName) -> str:
    used = f"{one.slug} from {shown_time(one.archive.taken_at)} with {_entities(len(one.snapshot.entities))}"
    has = "exists" if newer.total is None else f"has {newer.total:,}"
    chosen = ", as chosen with --at" if one.newer is None else ""
    return f"{used}{chosen}, but a newer one of {shown_time(newer.taken_at)} {has}"


def _entities(count: int) -> str:
    return plural(count, "entity", "entities")


def backed_up(one: WorkspaceRecovery, now: datetime) -> str:
    """Return how old the archive of a workspace is, and whether that is much, or a newer one is not used."""
    old = " (older)" if one.newer is not None else " (old)" if one.is_old else ""
    return f"{ago(one.archive.taken_at, now)}{old}"


def passed_over(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    """Return the newer archives that are not used, and why."""
    rows = tuple((one.slug, _not_used(past, one)) for one in workspaces for past in one.passed_over)
    return Listing(_HEADING, ("Workspace", "Why"), rows, urgent=True, alike=True)


def _not_used(past: PassedOver, one: WorkspaceRecovery) -> str:
    used = f"the one of {one.archive.taken_at:%Y-%m-%d %H:%M} UTC is used instead"
    return f"{_named(past.archive)}: {without_another(past.why)}; {used}"


def _named(archive: ArchiveName) -> str:
    return f"{archive.digest_prefix} of {shown_time(archive.taken_at)}"


def about_older(report: RecoveryReport, workspaces: Sequence[WorkspaceRecovery]) -> Iterator[NextStep]:
    """Yield what to do about workspaces with newer archives that are not used: replace damaged ones, restore the others."""
    left_out = [one.slug for one in report.plan.left_out if one.exit_code == IntegrityError.exit_code]
    damaged = [
        one.slug
        for one in workspaces
        if any(p.exit_code == IntegrityError.exit_code for p in one.passed_over)
    ]
    if slugs := [*left_out, *damaged]:
        archives, ones = ("archive", "a good one") if len(slugs) == 1 else ("archives", "good ones")
        text = (
            f"Replace the damaged {archives} of {some_of(slugs, _FEW)} with {ones} from a copy of the store"
        )
        yield NextStep(f"{text}, then run the same command again", report.again)
    found = [(one, newer) for one in workspaces if (newer := intact(one)) is not None]
    for one, newer in found[:_FEW]:
        exists = one.target_id is not None or (report.run is not None and one.goes)
        has = "" if newer.total is None else f" ({_entities(newer.total)})"
        yield NextStep(
            f"Restore {one.slug} from its newer archive of {shown_time(newer.taken_at)}{has}"
            + ("" if exists else ", once the workspace has been created"),
            report.restore(replace(one, archive=newer)),
        )
    if more := len(found) - _FEW if len(found) > _FEW else 0:
        them = plural(more, "other workspace")
        yield NextStep(f"Restore the newer archives of {them} likewise; '{_HEADING}' lists them")
    yield from _all_the_same(report, workspaces)


def _all_the_same(report: RecoveryReport, workspaces: Sequence[WorkspaceRecovery]) -> Iterator[NextStep]:
    """Yield the commands that use an older archive although it lacks most entities."""
    blocked = [(one, flags) for one in workspaces if (flags := _older_flags(one))]
    for one, flags in blocked[:_FEW]:
        text = f"To use the older archive of {one.slug} all the same"
        yield NextStep(text, report.alone(one, *flags), aside=True)


def _older_flags(one: WorkspaceRecovery) -> tuple[str, ...]:
    """Return the flags that make a blocked workspace use its older archive, or none if something else blocks it."""
    flags: tuple[str, ...] = getattr(one.problem, "flags", ())
    return flags if flags[:1] == ("--workspace",) else ()
