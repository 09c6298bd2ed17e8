"""What a workspace holds, for comparison, without what a command does not promise."""

import json
from dataclasses import replace
from typing import Any

import orjson

from jitsu_backup.model import MASK, Entity, Key, Snapshot
from jitsu_backup.sandbox import Sandbox


def difference(found: Any, states: list[Any]) -> str:
    """In what `found` differs from the last of the states that there were."""
    last = states[-1]
    when = {n: [i for i, s in enumerate(states) if s.get(n, []) == found.get(n, [])] for n in found}
    return f"\n  {len(states)} states; {when}" + "".join(
        f"\n  {name}: {sorted(set(found.get(name, [])) ^ set(last.get(name, [])))}"
        for name in sorted({*found, *last})
        if found.get(name, []) != last.get(name, [])
    )


def without_own(state: Any, *, in_place: bool) -> Any:
    """A workspace without what its entities keep of their own: cursors; elsewhere environments and classic keys too."""
    links = [json.loads(link) for link in state.get("link", [])]
    misc = [json.loads(one) for one in state.get("misc", [])]
    for link in links:
        link.pop("cursors")
        if not in_place:
            link["data"] = {n: v for n, v in (link["data"] or {}).items() if n != "functionsEnv"} or None
    for one in () if in_place else misc:
        one.pop("value")
    return {**state, "link": as_lines(links), "misc": as_lines(misc)}


def without_switches(state: Any) -> Any:
    """A workspace without what its reverse syncs have of their own: whether they are enabled."""
    syncs = [json.loads(sync) for sync in state.get("reverse-sync", [])]
    for sync in syncs:
        del sync["data"]["disabled"]
    return {**state, **({"reverse-sync": as_lines(syncs)} if syncs else {})}


def as_lines(bodies: list[Any]) -> list[str]:
    return sorted(orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode() for body in bodies)


def without_environments(state: Any) -> Any:
    """A workspace as a key that may not write is shown it [link/list-as-analyst]."""
    links = [json.loads(link) for link in state.get("link", [])]
    for link in links:
        environment = (link["data"] or {}).get("functionsEnv")
        if environment:
            link["data"]["functionsEnv"] = dict.fromkeys(environment, MASK)
    return {**state, **({"link": as_lines(links)} if links else {})}


def quiet(sandbox: Sandbox) -> Sandbox:
    """The same console without limits, beside the one that was served."""
    return Sandbox(sandbox.state, rate_limit=False)


def trimmed(snapshot: Snapshot, fields: dict[str, bool]) -> Snapshot:
    """A snapshot without the fields that the console cannot bring back, as the report says."""
    entities = tuple(
        Entity(Key(*e.key), {n: v for n, v in e.body.items() if n not in fields}) for e in snapshot.entities
    )
    return replace(snapshot, entities=entities)
