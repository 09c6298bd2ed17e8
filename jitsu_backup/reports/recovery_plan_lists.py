"""What the plan of a recovery lists about entities: what is overwritten, kept, renumbered, or not taken by the console."""

from collections.abc import Iterable, Iterator

from jitsu_backup.model import plural, shortened, some_of
from jitsu_backup.operations.recovery import WorkspaceRecovery
from jitsu_backup.planning import Action, Extra
from jitsu_backup.reports.recovery_values import Listing

_FIELDS = 3


def over_existing(workspaces: Iterable[WorkspaceRecovery]) -> Iterator[Listing]:
    """Yield how many entities of existing workspaces are overwritten and kept, and which ones."""
    touched = [one for one in workspaces if one.overwritten or one.only_there]
    counts = tuple((one.slug, _counted(one.overwritten, one.only_there)) for one in touched)
    yield Listing("Existing workspaces to write into", ("Workspace", "What"), counts, alike=True)
    overwritten = tuple((one.slug, _called(a), _fields(a)) for one in touched for a in one.overwritten)
    yield Listing("Overwritten", ("Workspace", "Entity", "Fields"), overwritten, detailed=True)
    kept = tuple((one.slug, _called(extra)) for one in touched for extra in one.only_there)
    yield Listing("Kept, because the archive does not have it", ("Workspace", "Entity"), kept, detailed=True)


def _counted(overwritten: tuple[Action, ...], kept: tuple[Extra, ...]) -> str:
    over = f"overwrites {plural(len(overwritten), 'entity', 'entities')}"
    if not kept:
        return over
    unknown = "that the archive does not have"
    if not overwritten:
        return f"keeps {plural(len(kept), 'entity', 'entities')} {unknown}"
    return f"{over}, keeps {len(kept):,} {unknown}"


def _called(one: Action | Extra) -> str:
    return f"{one.key.type} {shortened(one.name)}"


def _fields(action: Action) -> str:
    return some_of(list(action.changes), _FIELDS)


def taken_ids(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    """Return the entities that get a new id, as far as the plan has read who uses theirs."""
    rows = tuple(
        (one.slug, f"{taken.key.type} {shortened(taken.name)}", taken.used_by)
        for one in workspaces
        for taken in one.taken
    )
    heading = "Get a new id, because theirs is in use (as far as the plan can see)"
    return Listing(heading, ("Workspace", "Entity", "Used by"), rows)


def will_differ(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    """Return what will differ from the archives, except types that the console does not support, which are listed apart."""
    rows = tuple(
        (
            one.slug,
            f"{line.key.type} {shortened(line.name)}" + (f" {line.path}" if line.path else ""),
            line.reason,
        )
        for one in workspaces
        for line in one.shortfalls
        if line.key.type not in _not_offered(one)
    )
    return Listing(
        "Will differ from the archive", ("Workspace", "What", "Why"), rows, urgent=True, alike=True
    )


def _not_offered(one: WorkspaceRecovery) -> tuple[str, ...]:
    return () if one.prepared is None else one.prepared.live.manifest.not_offered
