"""Ids that can be computed again: the target workspace is the journal."""

import hashlib
import string
from collections.abc import Iterator
from functools import lru_cache

ATTEMPTS = 16
"""How many derived ids an entity may use up; ids stay taken for ever [delete/recreate-same-id]."""

_DIGITS = string.digits + string.ascii_lowercase


@lru_cache(maxsize=2**16)  # a plan is made before acting and after, over the same ids
def derived_id(workspace_id: str, entity_type: str, source_id: str, attempt: int = 0) -> str:
    """Give the id that `source_id` gets in a workspace: 25 characters, `c` first, as Jitsu's own.

    Equal arguments give equal ids for ever; another `attempt` gives another id.
    """
    text = "\0".join(("jitsu-backup/1", workspace_id, entity_type, source_id, str(attempt)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    digits = []
    for _ in range(24):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "c" + "".join(digits)


def derived_ids(workspace_id: str, entity_type: str, source_id: str) -> Iterator[str]:
    """Give all the ids that `source_id` may get in a workspace, the first choice first."""
    return (derived_id(workspace_id, entity_type, source_id, attempt) for attempt in range(ATTEMPTS))


def ids_after(workspace_id: str, entity_type: str, source_id: str, taken: str) -> Iterator[str]:
    """Give the ids to try once `taken` turned out to be taken: a kept id, or a derived one."""
    ids = list(derived_ids(workspace_id, entity_type, source_id))
    return iter(ids[ids.index(taken) + 1 :] if taken in ids else ids)
