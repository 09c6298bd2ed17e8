"""Grants in a plan: never copied, reported if missing, and nothing runs without one unless asked for."""

from collections.abc import Callable, Mapping
from typing import Any

from jitsu_backup.catalogue import END_FIELDS, has_grant, is_authorised, is_sync, subtype
from jitsu_backup.model import Entity, Key, quoted
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind, Loss
from jitsu_backup.planning.reasons import AwaitsGrant
from jitsu_backup.planning.schema_rules import names_grant, schema_name
from jitsu_backup.planning.switches import is_off, switch

GRANT = "grant"
"""The path of a loss for a missing grant."""


def lacks_grant(pairs: Pairs, key: Key) -> bool:
    """Return whether an object was authorised in the source and the target's is not.

    Another object's grant does not count between workspaces.
    """
    entity, found = pairs.sides.by_key.get(key), pairs.found.get(key)
    if entity is None or not has_grant(entity):
        return False
    return found is None or not is_authorised(found, borrowing=pairs.sides.in_place)


def missing_grant(pairs: Pairs, key: Key) -> tuple[Loss, ...]:
    """Return the loss of an object that has to be authorised again; empty if it need not be."""
    if not lacks_grant(pairs, key):
        return ()
    found = pairs.found.get(key)
    if found is not None and has_grant(found):
        why = "it refers to the grant of another entity"
    elif pairs.sides.in_place and found is not None and found.key == key:
        why = "withdrawn since the backup"
    else:
        why = "kept outside the console, so it is not copied"
    return (Loss(GRANT, AwaitsGrant(f"{why}: authorise it again in the UI")),)


def end_without_grant(pairs: Pairs, link: Entity) -> str | None:
    """Return the end, in words, that a link would use without its authorisation; None if there is none.

    Also None if the link is off in the snapshot, or if the overlay decides whether it is on.
    """
    if is_off(link.body) or pairs.sides.overlaid(link.key, switch(link.body)):
        return None
    return _end(pairs, link, lacks_grant)


def end_granted_since(pairs: Pairs, link: Entity, own: Mapping[str, Any] | None) -> str | None:
    """Return the end, in words, whose grant keeps a link on that is off in the snapshot and on in the target.

    `own` is the link's body in the target. Only the target's end has a grant, so the link may be off in the snapshot
    because the grant is missing there. None if there is no such end, or if the overlay decides whether the link is on.
    """
    if own is None or is_off(own) or not is_off(link.body):
        return None
    if pairs.sides.overlaid(link.key, switch(link.body)):
        return None
    return _end(pairs, link, _gained_grant)


def _gained_grant(pairs: Pairs, key: Key) -> bool:
    """Return whether the target's object has a grant and the snapshot's, of the same type or package, has none."""
    entity, found = pairs.sides.desired[key], pairs.found.get(key)
    if found is None or has_grant(pairs.sides.by_key[key]):
        return False
    return has_grant(found) and subtype(found) == subtype(entity)


def _end(pairs: Pairs, link: Entity, fits: Callable[[Pairs, Key], bool]) -> str | None:
    sides = pairs.sides
    ends = (key for end in END_FIELDS for key in sides.named((), str(link.body.get(end))))
    return next((f"{key.type} {quoted(sides.names[key])}" for key in ends if fits(pairs, key)), None)


def unauthorised(pairs: Pairs, action: Action) -> tuple[str, ...]:
    """Return a note about an object that needs a grant, by the console's schema, and has none on either side."""
    sides, key, found = pairs.sides, action.key, pairs.found.get(action.key)
    schema = sides.options.schemas.get(schema_name(key.type, sides.desired[key].body) or "")
    authorised = has_grant(sides.by_key[key]) or (found is not None and has_grant(found))
    as_it_was = sides.in_place and found is not None
    if (
        action.kind in (ActionKind.SKIPPED, ActionKind.BLOCKED)
        or authorised
        or as_it_was
        or not names_grant(schema)
    ):
        return ()
    note = (
        f"{sides.called(sides.by_key[key])} needs a grant, and has none in the snapshot either:"
        " authorise it in the UI, then enable its disabled connections"
    )
    return (note,)


def switched_off(link: Mapping[str, Any], end: str) -> Loss:
    """Return the loss of a link that is switched off because one of its ends is not authorised."""
    what = "schedule" if is_sync(link) else "events"
    return Loss(what, AwaitsGrant(f"switched off until {end} is authorised; then run this again"))


def needs_authorising(path: str, reason: str) -> bool:
    """Return whether a loss or residue exists only because somebody has to authorise an object in the UI."""
    return path == GRANT or isinstance(reason, AwaitsGrant)
