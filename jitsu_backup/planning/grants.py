"""Grants in a plan: never copied, told where one is missing, and nothing runs without it unasked."""

from collections.abc import Callable, Mapping
from typing import Any

from jitsu_backup.catalogue import has_grant, is_authorised
from jitsu_backup.model import Entity, Key, Path, quoted
from jitsu_backup.planning.context import Context, subtype
from jitsu_backup.planning.json_diff import value_at
from jitsu_backup.planning.plan import Action, Kind, Loss
from jitsu_backup.planning.schema_rules import names_grant, schema_name

GRANT = "grant"
"""What an object is without, as the path of a loss."""

_AUTHORISE = "authorise again in the UI"
_SWITCHED_OFF = "switched off until "


def lacks_grant(context: Context, key: Key) -> bool:
    """Tell whether an object was authorised in the source and the target's is not, or only with another one's grant."""
    entity, found = context.by_key.get(key), context.found.get(key)
    if entity is None or not has_grant(entity):
        return False
    return found is None or not is_authorised(found, borrowing=context.in_place)


def missing_grant(context: Context, key: Key) -> list[Loss]:
    """Return that an object has to be authorised again, where it has to be."""
    if not lacks_grant(context, key):
        return []
    found = context.found.get(key)
    if found is not None and has_grant(found):
        why = "it names the one that another object was given"
    elif context.in_place and found is not None and found.key == key:
        why = "taken away since"
    else:
        why = "kept outside the console, so it does not come along"
    return [Loss(GRANT, f"{why}: {_AUTHORISE}")]


def end_without_grant(context: Context, link: Entity) -> str | None:
    """Return what a link would read from or write to without being authorised, in words; None where there is none.

    None too where the link is off in the snapshot, and where the overlay says how it shall be.
    """
    if _is_off(link.body) or context.overlaid(link.key, switch(link.body)):
        return None
    return _end(context, link, lacks_grant)


def end_granted_since(context: Context, link: Entity, own: Mapping[str, Any] | None) -> str | None:
    """Return the end, in words, whose grant keeps a link on that is off in the snapshot and on in its `own` body of the target.

    Only the target's has a grant, so the link may be off in the snapshot for want of one. None where there is no such
    end, and where the overlay says how the link shall be.
    """
    if own is None or _is_off(own) or not _is_off(link.body) or context.overlaid(link.key, switch(link.body)):
        return None
    return _end(context, link, _gained_grant)


def switch(link: Mapping[str, Any]) -> Path:
    """Return where the body of a link says whether it runs: a sync runs by its schedule."""
    return ("data", "schedule" if link.get("type") == "sync" else "disabled")


def _is_off(link: Mapping[str, Any]) -> bool:
    value = value_at(link, switch(link))
    return not value if link.get("type") == "sync" else value is True


def _gained_grant(context: Context, key: Key) -> bool:
    """Tell whether the target's object has a grant and the snapshot's, of the same type or package, has none."""
    entity, found = context.meant[key], context.found.get(key)
    if found is None or has_grant(context.by_key[key]):
        return False
    return has_grant(found) and subtype(found) == subtype(entity)


def _end(context: Context, link: Entity, fits: Callable[[Context, Key], bool]) -> str | None:
    ends = (key for end in ("fromId", "toId") for key in context.keys_of_id.get(str(link.body.get(end)), ()))
    return next((f"{key.type} {quoted(context.names[key])}" for key in ends if fits(context, key)), None)


def note_unauthorised(context: Context, action: Action) -> None:
    """Note an object without a grant in the snapshot and in the target, where the console's schema tells that its type needs one."""
    key, found = action.key, context.found.get(action.key)
    entity = context.meant[key]
    schema = context.options.schemas.get(schema_name(key.type, entity.body) or "")
    authorised = has_grant(context.by_key[key]) or (found is not None and has_grant(found))
    as_it_was = context.in_place and found is not None
    if action.kind in (Kind.SKIPPED, Kind.BLOCKED) or authorised or as_it_was or not names_grant(schema):
        return
    context.notes.append(
        f"{context.called(context.by_key[key])} needs a grant, and has none in the snapshot either:"
        " authorise it in the UI, then switch on its connections that are off"
    )


def switched_off(meant: Mapping[str, Any], end: str) -> Loss:
    """Return that a link does not run as meant, because an end of it is not authorised."""
    what = "schedule" if meant["type"] == "sync" else "events"
    return Loss(what, f"{_SWITCHED_OFF}{end} is authorised; then run this again")


def needs_authorising(path: str, reason: str) -> bool:
    """Tell whether a loss or residue is there only because somebody has to authorise an object in the UI."""
    return path == GRANT or reason.startswith(_SWITCHED_OFF)
