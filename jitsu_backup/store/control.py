"""The small files of ours that a store holds beside archives: its marker, and leases of workspaces."""

import re

MARKER = "jitsu-backup-store.json"
"""Tells a store that was begun from a folder or prefix that happens to be empty."""

LEASE = re.compile(
    r"jitsu-backup-lease\.(?P<workspace>[A-Za-z0-9_-]{1,80})\.(?P<number>0|[1-9]\d{0,17})\.json", re.ASCII
)
"""What a lease is named: the id of its workspace, spelled as in archive names, and a number."""


def is_control(name: str) -> bool:
    """Tell whether `name` is that of a marker or a lease."""
    return name == MARKER or LEASE.fullmatch(name) is not None
