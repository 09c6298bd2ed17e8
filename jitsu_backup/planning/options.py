"""The options of a plan, and what it has to know about the target's console."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning.entitlements import Entitlements
from jitsu_backup.planning.overlays import Overlay
from jitsu_backup.planning.schema_rules import Schemas
from jitsu_backup.planning.take import parse_take


class Ids(Enum):
    """Which ids new entities get."""

    AUTO = "auto"  # kept on another console if they are free, else derived
    KEEP = "keep"
    NEW = "new"


class Since(Enum):
    """The moment from which the changes of both sides are counted, in words, and what the state then is called."""

    CLONE = "since the last clone", "last clone"
    RECOVERY = "since the last recovery", "last recovery"
    EITHER = "since the last clone or recovery", "last clone or recovery"
    FOLDER = "since the folder was unpacked", "as unpacked"
    RUN = "since the run to undo", "as the run left it"
    UNKNOWN = "since the last clone", "last clone (no record)"

    def __init__(self, words: str, base: str) -> None:
        """Store the two texts of a member."""
        self.words, self.base = words, base


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator asks for, and what is known about the surroundings.

    With `accept_shrink`, `prune` may delete most of what the target has. With `rebind`, a reverse sync is re-created if
    something that it uses has to change. `enable_reverse_syncs` creates reverse syncs as they are in the snapshot instead
    of disabled. With `checks_selectors`, every selector of `only` and `skip` that names one entity has to match it; `sets`
    gives, by selector, the set of the settings that it comes from. `mapping` holds (source, target) selectors of entities
    to pair. `domains_elsewhere` maps host names in use by other workspaces of the target's console to the name of that
    workspace; `keys_elsewhere` are the ids of their write keys, and `keys_beside` lists, by workspace name, those that
    workspaces of the recovered console already shared with this one, with other secrets. `entitlements` are what the
    target's subscription includes. Of the target's reverse syncs, `locked_syncs` have run, so their delivery is locked
    [reverse-sync/put-full-locked], and `busy_syncs` have an unfinished attempt; without `knows_syncs`, this is unknown and
    may apply to any of them. `schemas` are those of the target console, and `recorded_schemas` those of
    the newest one: a field of the overlay that neither has is a mistake. `same_console` says whether the snapshot's
    workspace is on that console too (None: decided by the host names).

    `record` is what the last clone of the same source left in the target: with it, what only the target changed since is
    kept, and what both changed is blocked unless `take` settles it. Each item of `take` is `source` or `target`, alone or
    with a selector and a field: `source:function/Enrich:code`. With `prune_own`, `prune` also deletes what was created in
    the target; it is needed for any deletion by `prune` if the target has `unrecorded` copies from the source, which is their
    number, although the store has no record. Then `take` also has to settle each field that differs. `with_links` adds the links attached to what `only` selects. What `protect` selects in the target is neither
    deleted nor re-created, unless `unprotect` selects it too. `ignored` are fields, as `SELECTOR:FIELD.PATH`, that always
    stay the target's own. `fresh` are the entities that were added to a folder by hand: their ids are assumed to be free.
    In place, `record` is what the folder was unpacked from, or what the run being undone left, as returned by
    `record_in_place`; `since` says from when changes are counted, if that is neither a clone nor a folder. `sent`
    are the entities of the source that the run has just sent, so the previous record no longer applies to their secrets.
    In place, `emptied` is the record of the last run that sent secrets empty. `earlier` is the record of the last clone into
    the target from any other workspace. The names in all of these are names that `protect` may use.
    """

    overlay: Overlay = field(default_factory=Overlay)
    allow_missing_secrets: bool = False
    resend_secrets: bool = False
    cursors: bool = True
    ids: Ids = Ids.AUTO
    prune: bool = False
    accept_shrink: bool = False
    recreate: bool = False
    disable_links: bool = False
    match_by_name: bool = False
    check_schemas: bool = True
    mapping: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    sets: Mapping[str, str] = field(default_factory=dict)
    with_links: bool = False
    checks_selectors: bool = True
    protect: tuple[str, ...] = ()
    unprotect: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    domains_elsewhere: Mapping[str, str] = field(default_factory=dict)
    keys_elsewhere: frozenset[str] = frozenset()
    keys_beside: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rebind: bool = False
    enable_reverse_syncs: bool = False
    locked_syncs: frozenset[str] = frozenset()
    busy_syncs: frozenset[str] = frozenset()
    knows_syncs: bool = True
    entitlements: Entitlements = field(default_factory=Entitlements)
    schemas: Schemas = field(default_factory=dict)
    recorded_schemas: Schemas = field(default_factory=dict)
    record: Snapshot | None = field(default=None, repr=False)
    take: tuple[str, ...] = ()
    prune_own: bool = False
    unrecorded: int = 0
    fresh: frozenset[Key] = frozenset()
    since: Since | None = None
    sent: frozenset[Key] = frozenset()
    emptied: Snapshot | None = field(default=None, repr=False)
    earlier: Snapshot | None = field(default=None, repr=False)
    same_console: bool | None = None

    def afterwards(self, sent: Iterable[Key]) -> "PlanOptions":
        """Return the options of the plan that checks what is left after a run, which has just `sent` some entities."""
        sent = frozenset(sent)
        return replace(self, resend_secrets=False, accept_shrink=True, checks_selectors=False, sent=sent)

    def __post_init__(self) -> None:
        """Raise UsageError for `with_links` without `only`, which selects all links anyway, and for a `take` without a side."""
        if self.with_links and not self.only:
            raise UsageError("--with-links adds connections to what --only or --set selects; use one of them")
        parse_take(self.take)
