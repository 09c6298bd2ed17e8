"""Fingerprints of a target, to check whether a saved plan still fits."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS, PROBE_NOTES, entity_type
from jitsu_backup.model import MASK, Entity, Snapshot, canonical, items_of, members_of, quoted, some_of

MOST_NAMED = 5
"""How many changes of a target are listed one by one."""

_COUNTED = {"new": "new", "gone": "deleted", "changed": "changed"}
_HOW = {"new": "is new", "gone": "was deleted", "changed": "has changed"}

_ROUNDS, _MOST_ROUNDS = 50, 10
"""Rounds of scrypt, about 20 ms each: for all values of a plan together, and at most for each value."""


def fingerprints(live: Snapshot, salt: str) -> dict[str, str]:
    """Return `type/id` → a salted hash of each entity of `live`, without times and the values of cursors."""
    return {
        str(entity.key): _hash(
            salt, {"body": essence(entity), "cursors": sorted(live.cursors.get(entity.key.id, {}))}
        )
        for entity in live.entities
    }


def unseen_unchanged(before: Mapping[str, str], live: Snapshot, salt: str) -> dict[str, str]:
    """Return those of the fingerprints `before` that match `live` if the variables of functions are hidden.

    An analyst's key sees them hidden [link/list-as-analyst]: their values then are unknown, so they are not a difference.
    """
    hidden = tuple(Entity(link.key, _as_analysts_see(link.body)) for link in live.of_type("link"))
    found = fingerprints(replace(live, entities=hidden), salt)
    return {key: value for key, value in found.items() if before.get(key) == value}


def _as_analysts_see(link: Mapping[str, Any]) -> dict[str, Any]:
    data = members_of(link.get("data"))
    variables = members_of(data.get("functionsEnv"))
    return (
        {**link, "data": {**data, "functionsEnv": dict.fromkeys(variables, MASK)}} if variables else {**link}
    )


def slow_fingerprints(values: Mapping[str, bytes], salt: str) -> dict[str, str]:
    """Return a fingerprint of each of `values`, bound to its name, that makes even short values slow to guess.

    Up to 50 values take about a second together, with 8 MiB of memory; the fewer they are, the slower each is.
    """
    rounds = max(1, min(_MOST_ROUNDS, _ROUNDS // max(1, len(values))))
    return {
        name: hashlib.scrypt(value, salt=f"{salt}\0{name}".encode(), n=2**13, r=8, p=rounds, dklen=32).hex()
        for name, value in values.items()
    }


def changed_since(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return what differs between two sets of fingerprints: `type/id` → `new`, `gone` or `changed`."""
    return {
        key: "new" if key not in before else "gone" if key not in now else "changed"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    }


def changes_in_words(changes: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Return what has changed, in one line: the first MOST_NAMED by type, name and id, the others as counts.

    `changes` is as `changed_since` returns it, `names` maps `type/id` to a name.
    """
    parts = [
        f"{key.partition('/')[0]} {quoted(names[key])} ({key}) {_HOW[how]}"
        if names.get(key)
        else f"{key} {_HOW[how]}"
        for key, how in changes.items()
    ]
    counts = Counter([*changes.values()][MOST_NAMED:])
    rest = ", ".join(f"{count} {_COUNTED[how]}" for how, count in sorted(counts.items()))
    return some_of(parts, MOST_NAMED, "; ") + (f" ({rest})" if rest else "")


def _hash(salt: str, value: Any) -> str:
    return hashlib.sha256(salt.encode() + b"\0" + canonical(value)).hexdigest()


def essence(entity: Entity) -> dict[str, Any]:
    """Return what a person or a run has set in an entity: its body without what the console sets by itself."""
    table = entity_type(entity.key.type)
    unsaid = table.volatile | PROBE_NOTES
    essence = {name: value for name, value in entity.body.items() if name not in unsaid}
    for name in KEY_FIELDS if entity.key.type == "stream" else ():  # without the time of the last use
        essence[name] = sorted(
            str(key.get("id")) for key in items_of(entity.body.get(name)) if isinstance(key, Mapping)
        )
    if table.owns_functions:
        essence["functions"] = entity.body.get("functions")
    return essence
