"""The planning of one reverse sync. It writes to somebody's CRM, so none is enabled unless asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import BUSY, END_FIELDS, MAYBE_BUSY
from jitsu_backup.model import Entity, Key, flag, members_of, some_of
from jitsu_backup.planning.candidate import Candidate, Planned
from jitsu_backup.planning.grants import end_without_grant
from jitsu_backup.planning.overlay_checks import overlay_fields
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.reverse_sync_rules import (
    ALWAYS_EDITABLE,
    ATTESTATIONS,
    DEFAULTS,
    is_readable,
    refusals,
    runs,
)
from jitsu_backup.planning.sides import Sides

_FIELDS = (*END_FIELDS, "data")
_SWITCH = "disabled"
_UNREADABLE = "the console cannot read its settings, which an older console saved, so it"
_UNTOUCHABLE, _UNMAKEABLE = (
    f"{_UNREADABLE} can be neither updated nor deleted",
    f"{_UNREADABLE} cannot be created",
)


def why_stuck(sides: Sides, sync: Entity) -> str:
    """Return why a reverse sync of the target can be neither deleted nor re-created now; empty if it can.

    [reverse-sync/delete-unreadable, reverse-sync/delete-with-waiting-attempt]
    """
    if not is_readable(sync.body):
        return _UNTOUCHABLE
    if sync.key.id in sides.options.busy_syncs:
        return BUSY
    return MAYBE_BUSY if runs(sync) and not sides.options.knows_syncs else ""


def why_off(pairs: Pairs, key: Key) -> str:
    """Return why a reverse sync of the snapshot is created disabled, and how to enable it."""
    sides, end = pairs.sides, end_without_grant(pairs, pairs.sides.desired[key])
    if sides.overlaid(key, ("data", _SWITCH)):
        return "created disabled, as the overlay says"
    if sides.options.disable_links:
        return "created disabled, because of --disable-links"
    if end is not None:
        return f"created disabled, because {end} must be authorised: enable it in the UI afterwards"
    return "created disabled, because it would write to its destination: use --enable-reverse-syncs to create it as in the snapshot"


def as_desired(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate in the form that the console stores, enabled or disabled as it should be.

    A new sync is disabled, a copy of another sync keeps its current state, and a rollback in place restores the state of
    the snapshot. The overlay and the options may override this.
    """
    sides, key = pairs.sides, candidate.key
    unknown = candidate.desired.keys() - sides.by_key[key].body.keys() - {*_FIELDS}
    fields = overlay_fields(sides, key, [(name,) for name in unknown], _FIELDS)
    given = members_of(candidate.desired.get("data"))
    data = {**DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    if isinstance(data.get("name"), str):
        data["name"] = data["name"].strip()
    if not sides.overlaid(key, ("data", _SWITCH)):
        data |= _switch(pairs, candidate)
    desired = {**candidate.desired, "data": data}
    return replace(candidate, desired=desired, overlay_fields=tuple(fields))


def _switch(pairs: Pairs, candidate: Candidate) -> dict[str, Any]:
    """Return the setting that disables or enables a sync; empty if that of the snapshot applies."""
    sides, found = pairs.sides, candidate.found
    if found is not None:
        same = found.key == candidate.key and sides.in_place
        return {} if same else {_SWITCH: members_of(found.body.get("data")).get(_SWITCH, False)}
    may_run = sides.options.enable_reverse_syncs and not sides.options.disable_links
    return {} if may_run and end_without_grant(pairs, candidate.entity) is None else {_SWITCH: True}


def checked(pairs: Pairs, candidate: Candidate, planned: Planned, earlier: Mapping[Key, Planned]) -> Planned:
    """Return what is planned for a reverse sync, stopped if the console would reject it.

    `earlier` is what is planned already: a webhook cannot sign its requests without its secret, and if somebody decided to do
    without that, the sync is skipped. The action says whether a sync that runs in the snapshot is disabled in the target.
    """
    action, key, found = planned.action, candidate.key, candidate.found
    data = members_of(candidate.desired.get("data"))
    untouchable = found is not None and not is_readable(found.body)
    if action.writes and (untouchable or not is_readable(candidate.entity.body)):
        reason = _UNTOUCHABLE if untouchable else _UNMAKEABLE
        return replace(planned, action=action.stopped(ActionKind.SKIPPED, reason))
    # otherwise the console does not check the ends [reverse-sync/put-full-locked-but-unchanged]
    delivery = action.kind is not ActionKind.UPDATE or delivers_otherwise(action)

    def refused_with(known: Mapping[Key, Planned]) -> list[str]:
        ends = (_end(pairs, candidate.desired, end, known) if delivery else None for end in END_FIELDS)
        return refusals(data, *ends)

    if action.writes and (refused := refused_with(earlier)):
        why = f"the target console would reject it: {'; '.join(refused)}"
        if not refused_with({}):
            return replace(
                planned, action=action.stopped(ActionKind.SKIPPED, f"{why}; provide it with --overlay")
            )
        reason = f"{why}; change it with --overlay, or leave it out with {flag('--skip', key)}"
        return replace(planned, action=action.stopped(ActionKind.BLOCKED, reason))
    is_off = data.get(_SWITCH) is True
    if action.kind is ActionKind.UPDATE and not is_off and f"data.{_SWITCH}" in action.changes:
        action = replace(action, reason=f"{action.reason}; it is enabled again")
        planned = replace(planned, action=action)
    if action.kind is ActionKind.CREATE:
        off = is_off and runs(candidate.entity)
        reason = f"{action.reason}; {why_off(pairs, key)}" if off else action.reason
        return replace(planned, action=replace(action, reason=reason, off=off))
    if is_off is not runs(candidate.entity) or not is_readable(candidate.entity.body):
        return planned
    if not is_off:
        return replace(planned, action=replace(action, kept=(*action.kept, f"data.{_SWITCH}")))
    return replace(planned, action=replace(action, off=True))


def delivers_otherwise(action: Action) -> bool:
    """Return whether an update of a reverse sync changes what it delivers, which is locked once it has run."""
    return not ALWAYS_EDITABLE.issuperset(action.changes)


def _end(
    pairs: Pairs, desired: Mapping[str, Any], end: str, earlier: Mapping[Key, Planned]
) -> Mapping[str, Any] | None:
    """Return the body that an end of a reverse sync will have; None if the snapshot lacks the end."""
    keys = pairs.sides.named((), str(desired.get(end)))
    if not keys:
        return None
    unread = earlier[keys[0]].unread if keys[0] in earlier else ()
    return {name: value for name, value in pairs.sides.desired[keys[0]].body.items() if name not in unread}


def notes_on_syncs(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield notes about reverse syncs: those that are disabled, and the risks of those that are written."""
    for key, action in sorted(actions.items()):
        called, found = pairs.sides.called(pairs.sides.by_key[key]), pairs.found.get(key)
        if action.off and action.kind is not ActionKind.CREATE:
            asked = pairs.sides.options.enable_reverse_syncs and not pairs.sides.undoes
            only = "; --enable-reverse-syncs applies only to syncs that a run creates" if asked else ""
            yield f"{called} is disabled, but runs in the snapshot: enable it in the UI if it should run{only}"
        if key.type == "reverse-sync" and action.writes:
            confirmed = [] if pairs.sides.in_place else _confirmed(action.body, found)
            if confirmed:
                yield (
                    f"{called} copies a confirmation that somebody gave in the source ({some_of(confirmed, 3)}):"
                    " carrying out this plan gives it in your name"
                )
            changes_delivery = action.kind is ActionKind.UPDATE and delivers_otherwise(action)
            if changes_delivery and not pairs.sides.options.knows_syncs:
                yield (
                    f"{called} may have run, in which case its delivery cannot change: this is unknown, because the console"
                    " cannot list its reverse syncs"
                )


def _confirmed(body: Mapping[str, Any], found: Entity | None) -> list[str]:
    """Return what a reverse sync newly confirms in a person's name."""
    wanted, there = (
        members_of(members_of(one.get("data")).get("streamOptions"))
        for one in (body, found.body if found else {})
    )
    return [name for name in ATTESTATIONS if wanted.get(name) is True and there.get(name) is not True]
