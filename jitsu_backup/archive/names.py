"""Archive names carry workspace, time, digest and marks, so that listing a store reads no file."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from jitsu_backup.archive.codec import digest
from jitsu_backup.model import Snapshot

SUFFIX, ENCRYPTED_SUFFIX = ".json.gz", ".json.gz.age"
INCOMPLETE, PRE_RESTORE = "incomplete", "pre-restore"

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(
    r"(?P<slug>[A-Za-z0-9_-]+)\.(?P<workspace>[A-Za-z0-9_-]+)\.(?P<time>\d{8}T\d{6}Z)"
    r"\.(?P<digest>[0-9a-f]{12})(?P<marks>(?:\.[a-z][a-z0-9-]*)*)\.json\.gz(?P<age>\.age)?",
    re.ASCII,  # other alphabets' digits would read back as another name
)


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """What the name of an archive says. `taken_at` is in UTC, to the second."""

    slug: str
    workspace_id: str
    taken_at: datetime
    digest_prefix: str
    marks: tuple[str, ...] = ()
    encrypted: bool = False

    def __str__(self) -> str:
        """Give the file name."""
        parts = [self.slug, self.workspace_id, self.taken_at.strftime(_TIME), self.digest_prefix, *self.marks]
        return ".".join(parts) + (ENCRYPTED_SUFFIX if self.encrypted else SUFFIX)


def format_name(snapshot: Snapshot, marks: tuple[str, ...] = (), *, encrypted: bool = False) -> str:
    """Give the file name of a snapshot's archive; an incomplete one is marked so.

    Raises ValueError for a mark that is not lower-case ASCII letters, digits and hyphens.
    """
    source = snapshot.manifest.source
    own = () if snapshot.manifest.complete else (INCOMPLETE,)
    workspace_id = _safe(source.workspace_id) or "workspace"
    name = str(
        ArchiveName(
            slug=_safe(source.slug or "") or workspace_id,
            workspace_id=workspace_id,
            taken_at=snapshot.taken_at.astimezone(UTC),
            digest_prefix=digest(snapshot)[:12],
            marks=tuple(dict.fromkeys((*own, *marks))),
            encrypted=encrypted,
        )
    )
    parsed = parse_name(name)
    if parsed is None or not set(marks) <= set(parsed.marks):
        raise ValueError(f"no mark of an archive: {marks!r}")
    return name


def parse_name(name: str) -> ArchiveName | None:
    """Read a file name; None for one that is no archive's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        taken_at = datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    marks = tuple(match["marks"].split(".")[1:])
    return ArchiveName(
        match["slug"], match["workspace"], taken_at, match["digest"], marks, match["age"] is not None
    )


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:80].strip("-")  # a leading hyphen looks like a flag
