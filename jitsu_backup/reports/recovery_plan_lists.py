"""What the plan of a recovery lists about entities: what the console does not take, what is overwritten, kept or renumbered."""

from collections.abc import Iterable, Iterator

from jitsu_backup.model import shortened
from jitsu_backup.operations.recovery import WorkspaceRecovery
from jitsu_backup.reports.recovery_values import Listing


def will_differ(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    """Return what will differ from the archives, except types that the console does not support, which are listed apart."""
    rows = tuple(
        (one.slug, f"{line.key.type} {shortened(line.name)}" + (f" {line.path}" if line.path else ""), line.reason)
        for one in workspaces
        for line in one.shortfalls
        if line.key.type not in _not_offered(one)
    )
    return Listing("Will differ from the archive", ("Workspace", "What", "Why"), rows, urgent=True, alike=True)


def _not_offered(one: WorkspaceRecovery) -> tuple[str, ...]:
    return () if one.prepared is None else one.prepared.live.manifest.not_offered
