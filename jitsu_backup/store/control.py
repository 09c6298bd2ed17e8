"""The control files that a store holds beside archives: its marker, and the leases of workspaces."""

import re

from jitsu_backup.archive import safe_text

MARKER = "jitsu-backup-store.json"
"""Distinguishes a store that was begun from a folder or prefix that happens to be empty."""

LEASE = re.compile(
    r"jitsu-backup-lease\.(?P<workspace>[A-Za-z0-9_-]{1,80})\.(?P<number>0|[1-9]\d{0,17})\.json", re.ASCII
)
"""The name of a lease: the id of its workspace, spelled as in archive names, and a number."""


def is_control(name: str) -> bool:
    """Return whether `name` is that of the marker or a lease."""
    return name == MARKER or LEASE.fullmatch(name) is not None


def lease_name(workspace_id: str, number: int) -> str:
    """Return the name of the lease of a workspace with a number."""
    return f"jitsu-backup-lease.{safe_text(workspace_id) or 'workspace'}.{number}.json"
