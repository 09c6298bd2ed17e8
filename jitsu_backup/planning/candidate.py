"""Values passed between the steps of planning one entity."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.model import Entity, Key
from jitsu_backup.planning.ignored import OwnFields
from jitsu_backup.planning.overlay_checks import OverlayField
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, Loss
from jitsu_backup.planning.reasons import UnreadSecret


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entity before its action is decided: as desired, as it is in the target, and what is lost.

    `desired` has the snapshot's ids. `live` is the body of `found`, the target's entity. Both are without volatile
    fields. `clone_id` is the id of an object of the workspace from which masked secrets can be copied. `overlay_fields` are
    the overlay's fields, checked against those that the console knows. `own` are the fields that the settings leave to the
    target; `desired` has the target's values there.
    """

    entity: Entity
    desired: dict[str, Any]
    live: dict[str, Any] | None
    found: Entity | None
    target_id: str | None
    losses: tuple[Loss, ...] = ()
    clone_id: str | None = None
    overlay_fields: tuple[OverlayField, ...] = ()
    own: OwnFields = field(default_factory=OwnFields)

    def losing(self, losses: Iterable[Loss], **more: Any) -> "Candidate":
        """Return the candidate with more losses, and other fields replaced."""
        return replace(self, losses=(*self.losses, *losses), **more)

    def leaving(self, own: OwnFields, live: Mapping[str, Any]) -> "Candidate":
        """Return the candidate with the values of `live` in the target's own fields, so that nothing of those is lost."""
        if not own:
            return self
        losses = tuple(loss for loss in self.losses if not own.cover(tuple(loss.path.split("."))))
        return replace(self, desired=own.kept_in(self.desired, live), losses=losses, own=own)

    @property
    def key(self) -> Key:
        """The entity's key in the snapshot."""
        return self.entity.key

    @property
    def sorted_losses(self) -> tuple[Loss, ...]:
        """Each loss once, sorted."""
        return tuple(sorted(set(self.losses)))


@dataclass(frozen=True, slots=True)
class Planned:
    """The result of planning one entity: its action, the deletions that follow it, and notes about it."""

    action: Action
    notes: tuple[str, ...] = ()
    overlay_fields: tuple[OverlayField, ...] = ()
    deletions: tuple[Action, ...] = ()

    @property
    def unread(self) -> tuple[str, ...]:
        """The paths of the secrets that are missing everywhere, so that the entity is written without them."""
        lacking = (loss for loss in self.action.losses if isinstance(loss.reason, UnreadSecret))
        return tuple(loss.path for loss in lacking if loss.reason is not UnreadSecret.REPLACED)


@dataclass(frozen=True, slots=True)
class Actions:
    """What is planned so far: an action for each of the snapshot's keys, deletions, notes, and the current pairs."""

    pairs: Pairs
    by_key: Mapping[Key, Action]
    deletions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()
    overlay_fields: tuple[OverlayField, ...] = ()

    def after(self, planned: Mapping[Key, Planned], pairs: Pairs) -> "Actions":
        """Return the actions with earlier ones replaced by those of `planned`; `pairs` are the pairs afterwards."""
        return Actions(
            pairs,
            {**self.by_key, **{key: one.action for key, one in planned.items()}},
            (*self.deletions, *(action for one in planned.values() for action in one.deletions)),
            (*self.notes, *(note for one in planned.values() for note in one.notes)),
            (*self.overlay_fields, *(tried for one in planned.values() for tried in one.overlay_fields)),
        )
