"""The plan: the ordered actions that take a target workspace to a snapshot's state."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from jitsu_backup.model import Key, Source
from jitsu_backup.planning.defaults import Schemas
from jitsu_backup.planning.overlays import Overlay


class Kind(Enum):
    """What an action does."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """A part of an entity that does not come along: its path (empty for the whole) and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A write key of a stream that has to be generated: `field` is `publicKeys` or `privateKeys`.

    `source_id` is the key's id in the snapshot, `id` its id in the target.
    """

    field: str
    source_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan, for the entity that the snapshot knows as `key`.

    `body` is what will be sent, references still in the snapshot's ids: they are
    rewritten while acting, when it is certain which ids were free. `removals` are
    top-level keys to take away, `changes` the paths that differ, `losses` what
    will be missing all the same, `cursors` the states to put on a sync, by stream.
    """

    kind: Kind
    key: Key
    name: str
    target_id: str | None
    reason: str
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets
    changes: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    new_keys: tuple[KeySlot, ...] = ()
    cursors: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def writes(self) -> bool:
        """Whether carrying it out sends anything that changes the target."""
        return self.kind in (Kind.CREATE, Kind.UPDATE)


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered actions, and `ids`: which target id each of the snapshot's keys has or will have."""

    source: Source
    target: Source
    actions: tuple[Action, ...]
    ids: Mapping[Key, str]
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Count the actions by kind; every kind is there."""
        counted = Counter(action.kind for action in self.actions)
        return {kind.value: counted[kind] for kind in Kind}

    @property
    def blocked(self) -> tuple[Action, ...]:
        """The actions that need a decision; while there is one, nothing may be written."""
        return tuple(action for action in self.actions if action.kind is Kind.BLOCKED)

    @property
    def writes(self) -> tuple[Action, ...]:
        """The actions that change the target, in order."""
        return tuple(action for action in self.actions if action.writes)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator and the surroundings decide.

    `domains_elsewhere` maps host names in use by other workspaces of the target's
    console to the name of that workspace. `schemas` are the target console's.
    """

    overlay: Overlay = field(default_factory=Overlay)
    allow_missing_secrets: bool = False
    cursors: bool = True
    domains_elsewhere: Mapping[str, str] = field(default_factory=dict)
    schemas: Schemas = field(default_factory=dict)
