"""Whether a link runs: a sync runs on its schedule, any other link unless it is disabled."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.catalogue import is_sync, links_of
from jitsu_backup.model import Path, Snapshot, value_at
from jitsu_backup.planning.plan import ActionKind, Plan


def switch(link: Mapping[str, Any]) -> Path:
    """Return the path in the body of a link that decides whether it runs."""
    return ("data", "schedule" if is_sync(link) else "disabled")


def is_off(link: Mapping[str, Any]) -> bool:
    """Return whether a link is off, by its body."""
    value = value_at(link, switch(link))
    return not value if is_sync(link) else value is True


def created_off(plan: Plan, snapshot: Snapshot) -> int:
    """Return how many links a plan creates switched off although they are on in the snapshot."""
    on = {link.key for link in links_of(snapshot) if not is_off(link.body)}
    return sum(
        action.kind is ActionKind.CREATE and action.key in on and is_off(action.body)
        for action in plan.actions
    )


def switched_as(link: dict[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of a link, on or off as its counterpart in the target, or off if there is none."""
    data = link.get("data")
    data = dict(data) if isinstance(data, Mapping) else {}
    *_, name = switch(link)
    own = live.get("data") if live is not None else None
    data.pop(name, None)
    if live is None and name == "disabled":
        data[name] = True
    elif isinstance(own, Mapping) and name in own:
        data[name] = own[name]
    return {**link, "data": data}
