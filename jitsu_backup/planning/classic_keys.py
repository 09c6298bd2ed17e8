"""Classic keys: `misc` entities whose lines `{stream id}={key}` map keys of the old Jitsu to streams."""

from typing import Any

from jitsu_backup.model import MASK, Entity
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.secrets import from_overlay


def own_lines(pairs: Pairs, candidate: Candidate, found: Entity) -> Any:
    """Return a mapping's text with the target's own keys of each stream: one key must not name two streams."""
    wanted, own = candidate.desired.get("value"), found.body.get("value")
    if wanted == MASK:  # a redacted folder has none
        return own
    if (
        not isinstance(wanted, str)
        or not isinstance(own, str)
        or from_overlay(pairs, candidate.entity, ("value",))
    ):
        return wanted
    lines = own.split("\n")
    theirs = {line.partition("=")[0].strip() for line in lines if "=" in line}
    mapped = pairs.mapped(candidate.entity, {"value": wanted})["value"].split("\n")
    added = [
        line
        for line, new in zip(wanted.split("\n"), mapped, strict=True)
        if line.strip() and line not in lines and new.partition("=")[0].strip() not in theirs
    ]
    return "\n".join([*lines, *added]) if theirs else wanted
