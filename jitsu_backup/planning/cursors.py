"""Cursors of syncs: which ones are set on a sync that is created or re-created."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import END_FIELDS
from jitsu_backup.model import Entity, quoted
from jitsu_backup.planning.candidate import Planned
from jitsu_backup.planning.json_diff import paths_that_differ
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import ActionKind, Loss
from jitsu_backup.planning.secrets import is_the_targets_own
from jitsu_backup.planning.sync_states import states_of


@dataclass(frozen=True, slots=True)
class _Cursors:
    """The states to set on a sync, by stream; why some are lost; and notes about that."""

    states: Mapping[str, Any] = field(default_factory=dict)
    lost: str | None = None
    notes: tuple[str, ...] = ()


def with_cursors(
    pairs: Pairs, link: Entity, planned: Planned, found: Entity | None, newest: Entity | None
) -> Planned:
    """Return what is planned for a link, with the cursors to set on it.

    They come from `newest`, the link that it replaces, or else from the snapshot. A sync that was never re-created keeps
    its cursors, because somebody may have reset a stream on purpose.
    """
    cursors = _cursors(pairs, link, found, newest)
    action, states = planned.action, cursors.states
    if cursors.lost is not None:
        action = replace(action, losses=tuple(sorted([*action.losses, Loss("cursor", cursors.lost)])))
    if states:
        if action.kind is ActionKind.UNCHANGED:
            action = replace(action, kind=ActionKind.UPDATE, reason="its cursors are not set")
        changes = (*action.changes, *(f"cursor of {stream}" for stream in sorted(states)))
        action = replace(action, cursors=states, changes=changes)
    return replace(planned, action=action, notes=(*planned.notes, *cursors.notes))


def _cursors(pairs: Pairs, link: Entity, found: Entity | None, newest: Entity | None) -> _Cursors:
    if found is not None and found.key == link.key:
        return _Cursors()
    sides = pairs.sides
    unpacked = sides.in_place and sides.options.record is not None
    if (
        unpacked and found is not None and newest is None
    ):  # somebody created it by hand, with the cursors that they want
        return _Cursors()
    saved = (sides.live.cursors.get(newest.key.id) if newest is not None else None) or {}
    saved = saved or sides.snapshot.cursors.get(link.key.id, {})
    present = sides.live.cursors.get(found.key.id, {}) if found is not None else {}
    lacking = {stream: text for stream, text in saved.items() if stream not in present}
    if not lacking or not sides.options.cursors:
        return _Cursors()
    if "sync-cursor" in sides.live.manifest.not_offered:
        return _Cursors(lost="the target console does not store cursors, so the sync starts over")
    if newest is None and _has_other_ends(pairs, link):  # the old cursor would leave a gap
        name = quoted(sides.desired_names[link.key])
        note = f"sync {name} starts without cursors, because its source or destination differs in the target"
        return _Cursors(notes=(note,) if found is None else ())
    states = states_of(lacking)
    broken = sorted(lacking.keys() - states.keys())
    lost = f"the cursor of {', '.join(broken)} is not JSON" if broken else None
    return _Cursors({stream: state for stream, state in states.items() if state != {}}, lost)


def _has_other_ends(pairs: Pairs, link: Entity) -> bool:
    """Return whether a sync has another source or destination than in the snapshot."""
    sides = pairs.sides
    for end in END_FIELDS:
        if link.body.get(end) != sides.by_key[link.key].body.get(end):
            return True
        for key in sides.named((), str(link.body.get(end))):
            changed = paths_that_differ(sides.by_key[key].body, sides.desired[key].body)
            if any(path != ("name",) for path in changed) or is_the_targets_own(pairs, key):
                return True
    return False
