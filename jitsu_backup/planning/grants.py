"""Grants in a plan: never copied, told where one is missing, and nothing runs without it unasked."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.catalogue import has_grant, is_authorised
from jitsu_backup.model import Entity, Key, quoted
from jitsu_backup.planning.context import Context
from jitsu_backup.planning.differences import value_at
from jitsu_backup.planning.plan import Loss

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

    None too where the overlay says that the link shall run.
    """
    switch = ("data", "schedule" if link.body.get("type") == "sync" else "disabled")
    given = value_at(link.body, switch)
    if given is not None and given != value_at(context.by_key[link.key].body, switch):
        return None
    for end in ("fromId", "toId"):
        for key in context.keys_of_id.get(str(link.body.get(end)), ()):
            if lacks_grant(context, key):
                return f"{key.type} {quoted(context.names[key])}"
    return None


def switched_off(meant: Mapping[str, Any], end: str) -> Loss:
    """Return that a link does not run as meant, because an end of it is not authorised."""
    what = "schedule" if meant["type"] == "sync" else "events"
    return Loss(what, f"{_SWITCHED_OFF}{end} is authorised; then run this again")


def needs_authorising(path: str, reason: str) -> bool:
    """Tell whether a loss or residue is there only because somebody has to authorise an object in the UI."""
    return path == GRANT or reason.startswith(_SWITCHED_OFF)
