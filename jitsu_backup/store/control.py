"""The control files of a store: its marker, and the leases and readings of workspaces."""

import re
from datetime import UTC, datetime

from jitsu_backup.archive import safe_text

MARKER = "jitsu-backup-store.json"
"""Distinguishes a store from a folder or prefix that happens to be empty."""

LEASE = re.compile(
    r"jitsu-backup-lease\.(?P<workspace>[A-Za-z0-9_-]{1,80})\.(?P<number>0|[1-9]\d{0,17})\.json", re.ASCII
)
"""The name of a lease: the id of its workspace, spelled as in archive names, and a number."""

READING = re.compile(
    r"jitsu-backup-reading\.(?P<workspace>[A-Za-z0-9_-]{1,80})\.(?P<asked>\d{8}T\d{9}Z)\.[0-9a-f]{16}\.json",
    re.ASCII,
)
"""The name of a reading: the id of its workspace, the console's time in milliseconds, and a checksum."""


def is_control(name: str) -> bool:
    """Return whether `name` is that of the marker, a lease or a reading."""
    return name == MARKER or any(form.fullmatch(name) for form in (LEASE, READING))


def lease_name(workspace_id: str, number: int) -> str:
    """Return the name of the lease of a workspace with a number."""
    return f"jitsu-backup-lease.{safe_text(workspace_id) or 'workspace'}.{number}.json"


def reading_name(workspace_id: str, asked: datetime, checksum: str) -> str:
    """Return the name of a reading of a workspace, with the time when the console was asked. Later names sort higher."""
    moment = asked.astimezone(UTC)
    when = f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"
    return f"jitsu-backup-reading.{safe_text(workspace_id) or 'workspace'}.{when}.{checksum}.json"
