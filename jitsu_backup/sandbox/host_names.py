"""Host names, which streams and domains claim exclusively for their workspace."""

import re

from jitsu_backup.sandbox.refusals import thrown
from jitsu_backup.sandbox.state import ObjectRow, State

_HOST_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def checked_host_name(state: State, workspace_id: str, name: str) -> str:
    """Return a stream's host name as it is stored. Raise Refusal for an invalid one, or one of another workspace."""
    stored, name = name, name.lower()
    if not _HOST_NAME.fullmatch(name) and not state.generation.is_2024:
        raise thrown(f"Domain {name} is not a valid domain name")
    for row in state.objects.values():
        if row.type not in ("stream", "domain") or row.deleted or row.workspace_id == workspace_id:
            continue
        if any(_clashes(name, used, wildcards=not state.generation.is_2024) for used in _claimed(row)):
            raise thrown(f"Domain {name} is already in use by other workspace")
    return (
        stored if state.generation.is_2024 else name
    )  # an old console converts only answers to lower case [admin/export-streams]


def _clashes(name: str, used: str, *, wildcards: bool) -> bool:
    """Return whether two host names are equal, or one covers the other if `wildcards` count."""
    below = used.startswith("*") and name.endswith(used[1:])
    return name == used or (wildcards and (below or used.endswith(name.removeprefix("*"))))


def _claimed(row: ObjectRow) -> list[str]:
    """Return the host names that a stream or a domain claims, in lower case."""
    claimed = row.config.get("domains") if row.type == "stream" else [row.config.get("name")]
    return [str(name).lower() for name in claimed or ()]
