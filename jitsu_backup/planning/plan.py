"""The plan: the ordered actions that take a target workspace to a snapshot's state."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from jitsu_backup.catalogue import entity_type
from jitsu_backup.model import Entity, Key, Path, Source, format_path
from jitsu_backup.planning.fields import FieldChange, field_changes, in_words
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.schema_rules import RequiredField


class ActionKind(Enum):
    """What an action does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """A part of an entity that is lost: its path (empty for the whole entity) and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class Overwrite:
    """A change of the target that `flag` overwrites: its path (empty for the whole entity), and since when it counts.

    `undone` means that an undo of the last clone made it.
    """

    path: str
    flag: str
    since: str
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """A change of the source that `flag` does not promote: its field, from the target's value to the source's."""

    flag: str
    field: FieldChange


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A write key of a stream that has to be generated: `field` is `publicKeys` or `privateKeys`.

    `source_id` is the key's id in the snapshot, `id` its id in the target.
    """

    field: str
    source_id: str
    id: str

    @property
    def made(self) -> bool:
        """Whether its secret is generated; otherwise it is copied with its hash or plain text."""
        return self.id != self.source_id


NO_VALUES: Mapping[Path, Any] = {}
NO_PATHS: frozenset[Path] = frozenset()
"""Shared by all actions without paths, to save memory."""


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan, for the entity that the snapshot knows as `key`; a DELETE names the target's own key.

    `body` is what will be sent, with references still in the snapshot's ids: they are rewritten when the plan is carried
    out, once it is certain which ids were free. `changes` are the paths that differ, `fields` the current and new values
    for an UPDATE, `losses` what will be missing nevertheless, `required` what the target console lacks to accept it, `kept` the secrets that the target's own entity keeps,
    `unseen` those that both sides hide, so that they cannot be compared, and `cursors` the states to set on a sync, by
    stream. `paths` are those of `changes`, `aside` those where an option, a setting or a secret of the target overrides the
    source; `retyped` means that the entity gets another subtype. `replaced` is what the source has where the target keeps
    changes of its own, by path, with the target's ids. `conflicts` are the paths that both sides changed differently since
    the last clone, `own_besides` those with the target's own changes in such an entity, and `disputed` means that both changed the entity, or one changed it and the other deleted it. A DELETE
    waits for the snapshot's entities `after`, unless they wait for it because its type is deleted first. `asked` marks what
    was left out on request, `deleted_there` what the target has deleted since the last clone, `overwrites` what the target has changed since and `--take` overwrites, `declined` what the
    source has changed and `--take` does not promote, `dead` a connection that lost
    an end in the source, `cuts_off` a stream in use whose senders need its new write keys, and `off` a reverse sync that
    runs in the snapshot and will be disabled in the target.
    """

    kind: ActionKind
    key: Key
    name: str
    target_id: str | None
    reason: str
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets
    changes: tuple[str, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    losses: tuple[Loss, ...] = ()
    kept: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    new_keys: tuple[KeySlot, ...] = ()
    cursors: Mapping[str, Any] = field(default_factory=dict, repr=False)
    after: tuple[Key, ...] = ()
    asked: bool = False
    dead: bool = False
    cuts_off: bool = False
    off: bool = False
    replaced: Mapping[Path, Any] = field(default_factory=lambda: NO_VALUES, repr=False)
    # needed for records, and implied by the other fields
    paths: frozenset[Path] = field(default=NO_PATHS, repr=False, compare=False)
    aside: frozenset[Path] = field(default=NO_PATHS, repr=False, compare=False)
    retyped: bool = field(default=False, repr=False, compare=False)
    conflicts: tuple[str, ...] = ()
    own_besides: tuple[str, ...] = ()
    deleted_there: bool = False
    disputed: bool = False
    overwrites: tuple[Overwrite, ...] = ()
    declined: tuple[Declined, ...] = ()
    required: tuple[RequiredField, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """The paths at which the target keeps changes of its own."""
        return tuple(sorted(map(format_path, self.replaced)))

    def stopped(self, kind: ActionKind, reason: str) -> "Action":
        """Return an action of `kind`, SKIPPED or BLOCKED, that replaces this one and writes nothing."""
        return Action(kind, self.key, self.name, self.target_id, reason)

    @property
    def made_keys(self) -> tuple[KeySlot, ...]:
        """The write keys whose secrets are generated."""
        return tuple(slot for slot in self.new_keys if slot.made)

    @property
    def writes(self) -> bool:
        """Whether carrying it out changes the target."""
        return self.kind in (ActionKind.CREATE, ActionKind.UPDATE, ActionKind.DELETE)


@dataclass(frozen=True, slots=True, order=True)
class Extra:
    """An entity that only the target has, and that is kept.

    `prunable` says whether `--prune` would delete it, `left_out` whether `only` and `skip` leave it out. A `dead`
    connection lost an end, and no data flows through it [delete/links-now-dangle]. An entity is the target's `own` if it
    was created there, before or after the last clone. With `blocks`, `--prune` would need a decision about it. What an
    undo re-created is `undone`.
    """

    key: Key
    name: str
    prunable: bool
    left_out: bool = False
    dead: bool = False
    own: bool = False
    blocks: bool = False
    undone: bool = False


@dataclass(frozen=True, slots=True)
class CopiedAddress:
    """A host, URL or domain of the source: its path, and its value, None if that may hold a secret.

    A new entity gets it, except a domain that another workspace of the target's console uses.
    """

    path: Path
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered actions, and `ids`: which target id each of the snapshot's keys has or will have.

    `words` are the names for the snapshot's ids, `selectors` the selectors of its entities for an overlay, and `secrets`
    texts to hide. With `fixed_ids` a new entity gets its planned id or is not created. `owned_functions` holds
    (function id, profile builder id) of the snapshot: such a function is created with its builder. `with_builders` and
    `skipped_with_builders` count those functions, which have no action of their own; `left_out` counts the snapshot's
    entities that `only` and `skip` leave out. `attention` are notes that nobody must overlook. `extras` are entities that
    only the target has and that are kept. `write_keys` maps ids of the snapshot's write keys to those in the target. `since`
    says from when changes of both sides are counted, and what the common state was. `addresses` and `copied_secrets` are what
    new entities get from another workspace, by the snapshot's keys.
    """

    source: Source
    target: Source
    actions: tuple[Action, ...]
    ids: Mapping[Key, str]
    notes: tuple[str, ...] = ()
    fixed_ids: bool = False
    owned_functions: tuple[tuple[str, str], ...] = ()
    with_builders: int = 0
    skipped_with_builders: int = 0
    left_out: int = 0
    attention: tuple[str, ...] = ()
    extras: tuple[Extra, ...] = ()
    write_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    words: Mapping[str, str] = field(default_factory=dict, repr=False)
    selectors: Mapping[Key, str] = field(default_factory=dict, repr=False)
    since: Since = Since.CLONE
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: Mapping[Key, tuple[CopiedAddress, ...]] = field(default_factory=dict, repr=False)
    copied_secrets: Mapping[Key, tuple[Path, ...]] = field(default_factory=dict, repr=False)

    def fields(self, action: Action) -> tuple[FieldChange, ...]:
        """Return the current and new values of an action's fields, ready to be shown."""
        if action.kind is not ActionKind.CREATE:
            return action.fields
        unsaid = {
            "cloneId",
            *entity_type(action.key.type).bookkeeping,
            *(slot.field for slot in action.new_keys),
        }
        after = in_words(Entity(action.key, action.body), self.words)
        paths = [
            (name,) for name in sorted(after) if name not in unsaid and after[name] not in (None, "", [], {})
        ]
        return tuple(field_changes(action.key.type, paths, {}, after, self.secrets))

    def counts(self) -> dict[str, int]:
        """Return the number of actions of every kind."""
        counted = Counter(action.kind for action in self.actions)
        return {kind.value: counted[kind] for kind in ActionKind}

    @property
    def blocked(self) -> tuple[Action, ...]:
        """The actions that need a decision; while there is one, nothing may be written."""
        return tuple(action for action in self.actions if action.kind is ActionKind.BLOCKED)

    @property
    def writes(self) -> tuple[Action, ...]:
        """The actions that change the target, in order."""
        return tuple(action for action in self.actions if action.writes)

    @property
    def dead(self) -> tuple[Action, ...]:
        """The connections that are left out because they lost an end in the source, so no data flows through them."""
        return tuple(action for action in self.actions if action.dead)

    @property
    def deleted_there(self) -> tuple[Action, ...]:
        """What is not re-created because the target has deleted it since the last clone."""
        return tuple(action for action in self.actions if action.deleted_there)

    @property
    def kept_there(self) -> tuple[Action, ...]:
        """What the target keeps because it has changed or deleted it since the last clone, in whole or in part."""
        return tuple(action for action in self.actions if action.own or action.deleted_there)

    @property
    def overwriting(self) -> tuple[Action, ...]:
        """What overwrites changes of the target, because `--take` says so."""
        return tuple(action for action in self.writes if action.overwrites)

    @property
    def made_keys(self) -> int:
        """The number of write keys that it generates, which have to be passed on to senders."""
        return sum(len(action.made_keys) for action in self.writes)

    @property
    def touches(self) -> bool:
        """Whether it changes or deletes anything that the target has."""
        return any(action.kind in (ActionKind.UPDATE, ActionKind.DELETE) for action in self.actions)
