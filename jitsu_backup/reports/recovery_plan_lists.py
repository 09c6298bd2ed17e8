"""What the plan of a recovery lists about entities: what is overwritten, kept, renumbered, or not taken by the console."""

from collections.abc import Iterable, Iterator

from jitsu_backup.catalogue import owned_functions
from jitsu_backup.model import Key, plural, shortened, some_of
from jitsu_backup.operations.recovery import TakenId, WorkspaceRecovery
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.planning import Action, Extra, Residue
from jitsu_backup.reports.recovery_endings import Standing, standing
from jitsu_backup.reports.recovery_remarks import RestoreCommand, in_recovery
from jitsu_backup.reports.recovery_values import Listing

NEW_IDS = "New ids, because the old ones are taken on this console"
_FIELDS = 3


def over_existing(workspaces: Iterable[WorkspaceRecovery]) -> Iterator[Listing]:
    """Yield how many entities of existing workspaces are overwritten and kept, and which ones."""
    touched = [one for one in workspaces if one.overwritten or one.only_there]
    counts = tuple((one.slug, _counted(one.overwritten, one.only_there)) for one in touched)
    yield Listing("Existing workspaces to write into", ("Workspace", "What"), counts, alike=True)
    overwritten = tuple((one.slug, called(a), _fields(a)) for one in touched for a in one.overwritten)
    yield Listing("Overwritten", ("Workspace", "Entity", "Fields"), overwritten, detailed=True)
    kept = tuple((one.slug, called(extra)) for one in touched for extra in one.only_there)
    yield Listing("Kept, because the archive does not have it", ("Workspace", "Entity"), kept, detailed=True)


def _counted(overwritten: tuple[Action, ...], kept: tuple[Extra, ...]) -> str:
    over = f"overwrites {plural(len(overwritten), 'entity', 'entities')}"
    if not kept:
        return over
    unknown = "that the archive does not have"
    if not overwritten:
        return f"keeps {plural(len(kept), 'entity', 'entities')} {unknown}"
    return f"{over}, keeps {len(kept):,} {unknown}"


def called(one: Action | Extra | Residue | TakenId, path: str = "") -> str:
    """Return what an entity is called in a list, with the path of a field of it."""
    return f"{one.key.type} {shortened(one.name)}" + (f" {path}" if path else "")


def _fields(action: Action) -> str:
    return some_of(list(action.changes), _FIELDS)


def standing_in_words(one: WorkspaceRecovery) -> str:
    """Return the state of a workspace before a recovery; of one that exists, what it has of the archive."""
    state = standing(one)
    if state is not Standing.THERE or one.prepared is None:
        return state.words
    if not one.prepared.live.entities:
        return "empty"
    return f"has {_found_there(one, one.prepared):,} of {len(one.snapshot.entities):,}"


def _found_there(one: WorkspaceRecovery, prepared: PreparedRestore) -> int:
    """Return how many entities of the archive the target has, including functions of profile builders."""
    live = {entity.key for entity in prepared.live.entities}
    there = {a.key for a in prepared.plan.actions if Key(a.key.type, a.target_id or "") in live}
    listed = {function.key.id for function in one.snapshot.of_type("function")}
    owned = {
        of
        for of, builder in owned_functions(one.snapshot.entities)
        if Key("profile-builder", builder) in there
    }
    return len(there | {Key("function", of) for of in owned & listed})


def taken_ids(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    """Return the entities that get a new id, as far as the plan has read who uses theirs."""
    rows = tuple(
        (one.slug, called(taken), taken.used_by or "a deleted entity")
        for one in _into_their_own(workspaces)
        for taken in one.taken
    )
    return Listing(NEW_IDS, ("Workspace", "Entity", "Used by"), rows)


def will_differ(workspaces: Iterable[WorkspaceRecovery], command: RestoreCommand) -> Listing:
    """Return what will differ from the archives, except types that the console does not support, which are listed apart."""
    rows = tuple(
        (one.slug, called(line, line.path), in_recovery(line.reason, one, command))
        for one in _into_their_own(workspaces)
        for line in one.shortfalls
        if line.key.type not in one.not_offered
    )
    return Listing(
        "Will differ from the archive", ("Workspace", "What", "Why"), rows, urgent=True, alike=True
    )


def _into_their_own(workspaces: Iterable[WorkspaceRecovery]) -> Iterator[WorkspaceRecovery]:
    """Yield all but those that were compared with a stranger's workspace, which is left alone."""
    return (one for one in workspaces if one.problem is None or not one.stranger)
