"""Destinations that accept events only once they are set up, which the newest console checks for every connection."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import ends, links_of
from jitsu_backup.model import Key, flag, items_of, quoted
from jitsu_backup.planning.candidate import Actions, Planned
from jitsu_backup.planning.link_pairing import LinkPairs
from jitsu_backup.planning.plan import ActionKind
from jitsu_backup.planning.selection import selected
from jitsu_backup.planning.sides import Sides

_CONVERSION = re.compile(r"\s*\S.*=\s*\d+\s*")


def blocked_where_emptied(actions: Actions, links: LinkPairs) -> Actions:
    """Return the actions, blocked if an update would leave a connected destination without what events need.

    The console rejects that as long as a stream is connected [destination/put-meta-pixel-emptied].
    """
    pairs = actions.pairs
    connected = _connected(pairs.sides, links) if _checks_connections(pairs.sides) else {}
    blocked = {}
    for key, action in actions.by_key.items():
        link = connected.get(str(action.target_id)) if action.kind is ActionKind.UPDATE else None
        needed = _needed(_afterwards(actions, key)) if link is not None else None
        if link is None or needed is None or _needed(pairs.found[key].body) is not None:
            continue
        name = quoted(pairs.sides.live_names[link])
        reason = f"its connection {name} accepts no events without {needed}; {_help(key)}"
        blocked[key] = Planned(action.stopped(ActionKind.BLOCKED, reason))
    return actions.after(blocked, pairs)


def blocked_without_events(actions: Actions, planned: Planned) -> Planned:
    """Return what is planned for a link, blocked if its destination will lack what events need.

    The console does not create or update such a connection [link/create-meta-without-pixel].
    """
    sides, action = actions.pairs.sides, planned.action
    kind, _, destination = ends(action.body)
    if kind != "push" or not action.writes or not _checks_connections(sides):
        return planned
    for key in sides.named(("destination",), destination):
        needed = _needed(_afterwards(actions, key))
        if needed is not None:
            reason = f"its {sides.called(sides.by_key[key])} accepts no events without {needed}; {_help(action.key)}"
            return replace(planned, action=action.stopped(ActionKind.BLOCKED, reason), deletions=())
    return planned


def _checks_connections(sides: Sides) -> bool:
    """Return whether the target's console is of the generation that checks connections, which has models too."""
    return "model" in sides.live.manifest.counts


def _connected(sides: Sides, links: LinkPairs) -> dict[str, Key]:
    """Return one remaining connection for each connected destination of the target, by the destination's id."""
    going = {link.key for link in links.spare if sides.options.prune and selected(sides, link)}
    return {
        ends(link.body)[2]: link.key
        for link in links_of(sides.live)
        if ends(link.body)[0] == "push" and not sides.is_dead(link) and link.key not in going
    }


def _afterwards(actions: Actions, key: Key) -> Mapping[str, Any]:
    """Return the body that a destination will have in the target: what is sent, merged into the current body."""
    action, found = actions.by_key.get(key), actions.pairs.found.get(key)
    sent = {} if action is None else action.body
    made = action is not None and action.kind is ActionKind.CREATE
    return sent if made or found is None else {**found.body, **sent}


def _needed(destination: Mapping[str, Any]) -> str | None:
    """Return what the body of a destination lacks to accept events; None if it lacks nothing."""
    kind = destination.get("destinationType")
    if kind == "facebook-conversions" and not destination.get("pixelId"):
        return "a pixelId"
    if kind == "google-ads" and not (destination.get("conversionActionId") or _converts(destination)):
        return "a conversionActionId, or a line EVENT=NUMBER in conversionActions"
    return None


def _converts(google_ads: Mapping[str, Any]) -> bool:
    """Return whether the body of a Google Ads destination names a conversion for any event."""
    given = google_ads.get("conversionActions")
    lines = given.splitlines() if isinstance(given, str) else items_of(given)
    return any(_CONVERSION.fullmatch(str(line)) for line in lines)


def _help(key: Key) -> str:
    return f"provide it with --overlay, or leave this out with {flag('--skip', key)}"
