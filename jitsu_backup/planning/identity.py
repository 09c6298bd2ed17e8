"""Ids that can be computed again: the target workspace is the journal."""

import hashlib
import string
from collections.abc import Container

ATTEMPTS = 16
"""How many derived ids an entity may use up; ids stay taken for ever [delete/recreate-same-id]."""

_DIGITS = string.digits + string.ascii_lowercase


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


def live_attempt(workspace_id: str, entity_type: str, source_id: str, live: Container[str]) -> int | None:
    """Give the first attempt whose derived id is in `live`, or None."""
    for attempt in range(ATTEMPTS):
        if derived_id(workspace_id, entity_type, source_id, attempt) in live:
            return attempt
    return None
