"""What becomes of one reverse sync: it writes to somebody's CRM, so none starts by itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import END_FIELDS
from jitsu_backup.model import Entity, members_of, some_of
from jitsu_backup.planning.candidate import Candidate, Planned
from jitsu_backup.planning.overlay_checks import overlay_fields
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.reverse_sync_rules import ATTESTATIONS, is_readable, refusals, runs
from jitsu_backup.planning.sides import Sides

_FIELDS = (*END_FIELDS, "data")
_SWITCH = "disabled"
_UNREADABLE = (
    "the console cannot read its settings, which an older console saved, and so it can neither"
    " change nor delete it"
)
_STARTS_OFF = "it is made disabled, because it would write to its destination: --enable-reverse-syncs makes it as it was"


def why_stuck(sides: Sides, sync: Entity) -> str:
    """Return why a reverse sync of the target can be neither deleted nor made again now; empty where it can.

    [reverse-sync/delete-unreadable, reverse-sync/delete-with-waiting-attempt]
    """
    if not is_readable(sync.body):
        return _UNREADABLE
    busy = "an attempt of it runs or waits: cancel it in the UI, or run this again when it has ended"
    return busy if sync.key.id in sides.options.busy_syncs else ""


def with_switch(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate switched as it shall be: a new one off, and one that was made of another as it is now.

    A rollback in place takes the same sync as the snapshot has it. The overlay and the options may say otherwise.
    """
    sides, found = pairs.sides, candidate.found
    unknown = candidate.desired.keys() - sides.by_key[candidate.key].body.keys() - {*_FIELDS}
    fields = overlay_fields(sides, candidate.key, [(name,) for name in unknown], _FIELDS)
    candidate = replace(candidate, overlay_fields=tuple(fields))
    same = found is not None and found.key == candidate.key and sides.in_place
    overlaid = sides.overlaid(candidate.key, ("data", _SWITCH))
    if same or overlaid or sides.options.enable_reverse_syncs:
        return candidate
    own = None if found is None else members_of(found.body.get("data")).get(_SWITCH, False)
    data = {**members_of(candidate.desired.get("data")), _SWITCH: True if found is None else own}
    return replace(candidate, desired={**candidate.desired, "data": data})


def checked(pairs: Pairs, candidate: Candidate, planned: Planned) -> Planned:
    """Return what is planned for a reverse sync: blocked where the console would refuse it, with what it attests."""
    action, key = planned.action, candidate.key
    if not action.writes:
        return planned
    if not is_readable(candidate.entity.body) or (candidate.found and not is_readable(candidate.found.body)):
        return replace(
            planned, action=Action(ActionKind.SKIPPED, key, action.name, action.target_id, _UNREADABLE)
        )
    data = members_of(candidate.desired.get("data"))
    model, destination = (_end(pairs, candidate.desired, end) for end in END_FIELDS)
    refused = refusals(data, model, destination)
    if refused:
        why = "; ".join(refused)
        reason = f"the target console would refuse it: {why}; change it with --overlay, or leave it out with --skip {key}"
        return replace(planned, action=Action(ActionKind.BLOCKED, key, action.name, action.target_id, reason))
    if action.kind is not ActionKind.CREATE:
        return planned
    if runs(candidate.entity) and data.get(_SWITCH) is True:
        action = replace(action, reason=f"{action.reason}; {_STARTS_OFF}")
    return replace(planned, action=action, notes=(*planned.notes, *_attested(pairs, candidate, data)))


def _end(pairs: Pairs, desired: Mapping[str, Any], end: str) -> Mapping[str, Any] | None:
    """Return the body that an end of a reverse sync will have; None for one that the snapshot lacks."""
    keys = pairs.sides.named((), str(desired.get(end)))
    return pairs.sides.desired[keys[0]].body if keys else None


def _attested(pairs: Pairs, candidate: Candidate, data: Mapping[str, Any]) -> tuple[str, ...]:
    options = members_of(data.get("streamOptions"))
    given = [name for name in ATTESTATIONS if options.get(name) is True]
    if not given or pairs.sides.in_place:
        return ()
    called = pairs.sides.called(pairs.sides.by_key[candidate.key])
    return (f"{called} confirms {some_of(given, 3)} in your name, as somebody did in the source",)
