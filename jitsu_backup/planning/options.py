"""What a plan is asked for, and what it has to know of the target's console."""

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

    AUTO = "auto"  # kept on another console where they are free, derived elsewhere
    KEEP = "keep"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator and the surroundings decide.

    With `accept_shrink`, `prune` may delete most of what the target has. With `rebind`, a reverse sync is deleted and
    made again where something that it uses has to change; `enable_reverse_syncs` makes them as the snapshot says, where
    they would be made disabled. With `checks_selectors`, every one of `only`
    and `skip` that names one entity has to find it; `sets` tells, by selector, which set of the settings it is from. `mapping` holds (source, target) selectors of entities to pair.
    `domains_elsewhere` maps host names in use by other workspaces of the target's console to the name of that
    workspace; `keys_elsewhere` are the ids of their write keys, and `keys_beside` those that workspaces, by
    their names, have rightly: they had them with other secrets beside this one on the console that is recovered. `entitlements` are what the target's subscription
    includes. Of the target's reverse syncs, `locked_syncs` have run, so that their delivery is locked
    [reverse-sync/put-full-locked], and `busy_syncs` have an attempt that has not ended; unless `knows_syncs`, the console
    could not tell, and any of them may be either. `schemas` are the target console's. `same_console` tells whether the snapshot's workspace lives on it too
    (None: as the host names say).

    `record` is what the last clone of the same source left in the target: with it, what only the target changed since is
    kept, and what both changed is blocked unless `take` settles it, each as `source` or `target`, or with a selector, and a
    field of it: `source:function/Enrich:code`. `prune_own` lets `prune` delete what the target made by itself.
    `with_links` adds to what `only` chooses the links that are attached to it. What `protect` chooses of the target is
    neither deleted nor made anew, unless `unprotect` chooses it too. `ignored` are fields, as `SELECTOR:FIELD.PATH`, that
    are the target's own for good. `fresh` are the entities that somebody has added to a folder: their ids are free, as far as
    anybody knows. In place, `record` is what the folder was unpacked from, or what the run that is undone has left, as
    `record_in_place` gives it; `since` says in words since when it tells changes apart, where that is neither a clone nor a folder.
    `sent` are the entities of the source that the run has just sent, so that the record of before says nothing of their secrets.
    In place, `emptied` is the record of the last run that has sent secrets empty; it tells nothing else.
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
    record: Snapshot | None = field(default=None, repr=False)
    take: tuple[str, ...] = ()
    prune_own: bool = False
    fresh: frozenset[Key] = frozenset()
    since: str = ""
    sent: frozenset[Key] = frozenset()
    emptied: Snapshot | None = field(default=None, repr=False)
    same_console: bool | None = None

    def afterwards(self, sent: Iterable[Key]) -> "PlanOptions":
        """Return the options of the plan that tells what is left after a run, which has just `sent` some entities."""
        sent = frozenset(sent)
        return replace(self, resend_secrets=False, accept_shrink=True, checks_selectors=False, sent=sent)

    def __post_init__(self) -> None:
        """Raise UsageError for `with_links` without `only`, because all links are chosen then, and for a `take` that names no side."""
        if self.with_links and not self.only:
            raise UsageError("--with-links adds links to what --only or --set chooses; give one of them")
        parse_take(self.take)
