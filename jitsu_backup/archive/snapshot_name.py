"""The file name of a snapshot's archive, and checks that an archive is what its name says."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from jitsu_backup.archive.codec import digest
from jitsu_backup.archive.filename import (
    ACCEPTED,
    CLONED,
    CLONING,
    INCOMPLETE,
    MARK,
    OPERATOR,
    SHORT_TYPES,
    WEAKER,
    ArchiveName,
    safe_text,
)
from jitsu_backup.archive.sketches import BUCKETS, sketch
from jitsu_backup.catalogue import counts_by_list, listed_under
from jitsu_backup.errors import IntegrityError
from jitsu_backup.model import Snapshot, canonical

LONGEST = 255
"""The longest file name on the usual file systems, in bytes."""


_OF_ANOTHER = "the archive is not what its name says, so it was renamed or replaced; use another archive"

LARGEST = 10**12 - 1
"""The largest size that a name can say, in bytes."""


def archive_name(
    snapshot: Snapshot, marks: tuple[str, ...] = (), *, encrypted: bool = False, size: int | None = None
) -> ArchiveName:
    """Return the name of a snapshot's archive. Incomplete ones, and records and intents of clones, are marked.

    `size` is that of the stored archive in bytes. With it, the name has the size and a sketch of the entities. Raise
    ValueError for a mark that is not lower-case ASCII letters, digits and hyphens.
    """
    for mark in marks:
        if MARK.fullmatch(mark) is None:
            raise ValueError(f"not a mark of an archive: {mark!r}")
    source = snapshot.manifest.source
    own = (
        *(() if snapshot.manifest.complete else (INCOMPLETE,)),
        *_key_class(snapshot),
        *_record_marks(snapshot),
    )
    workspace_id = safe_text(source.workspace_id) or "workspace"
    counts = name_counts(snapshot)
    name = ArchiveName(
        slug=safe_text(source.slug or "") or workspace_id,
        workspace_id=workspace_id,
        taken_at=_to_milliseconds(snapshot.taken_at.astimezone(UTC)),
        digest_prefix=digest(snapshot)[:12],
        marks=tuple(dict.fromkeys((*own, *marks))),
        encrypted=encrypted,
        total=sum(counts.values()),
        counts={name: count for name, count in counts.items() if count},
        size=LARGEST,
        sketch="0" * BUCKETS,
    )
    name = replace(_fitting(name), size=None, sketch=None)
    return name if size is None else sized(name, snapshot, size)


_ROOM = LONGEST - len(ACCEPTED) - 1  # leaves room for the longest mark that may be added later


def _fitting(name: ArchiveName) -> ArchiveName:
    """Return a name that fits: with a shorter slug, with the short form of counts, and at last without some counts."""
    fitted = _with_shorter_slug(name)
    known = SHORT_TYPES.keys() & name.counts.keys()
    if len(str(fitted)) > _ROOM and known:
        fitted = _with_shorter_slug(replace(name, short=True))
    kept = dict(fitted.counts)
    while len(str(fitted)) > _ROOM and kept:  # drops unknown types first, the smallest first; the total stays
        del kept[min(kept, key=lambda type_name: (type_name in known, kept[type_name], type_name))]
        fitted = replace(fitted, counts=dict(kept), short=fitted.short and not known.isdisjoint(kept))
    return fitted


def _with_shorter_slug(name: ArchiveName) -> ArchiveName:
    over = len(str(name)) - _ROOM
    if over <= 0:
        return name
    # the id still identifies the workspace
    return replace(name, slug=name.slug[: max(20, len(name.slug) - over)].rstrip("-_"))


def sized(name: ArchiveName, snapshot: Snapshot, size: int) -> ArchiveName:
    """Return the name of a snapshot's archive with its size in bytes and the sketch of its entities."""
    return replace(name, size=size, sketch=sketch(snapshot.entities))


def check_size(archive: ArchiveName, size: int) -> None:
    """Raise IntegrityError if `size`, in bytes, is not the size that the name says."""
    if archive.size is not None and archive.size != size:
        raise IntegrityError(
            f"the archive is damaged: it has {size:,} bytes, but its name says {archive.size:,}; use another archive, and"
            " move this one away with `prune --quarantine`"
        )


def check_origin(archive: ArchiveName, snapshot: Snapshot) -> None:
    """Raise IntegrityError if an archive is not of the workspace, time and content that its name says.

    This is the fast check for reading thousands of archives. `check_name` compares everything that the name says.
    """
    found = safe_text(snapshot.manifest.source.workspace_id) or "workspace", digest(snapshot)[:12]
    same_time = archive.taken_at.replace(microsecond=0) == snapshot.taken_at.replace(microsecond=0)
    if (archive.workspace_id, archive.digest_prefix) != found or not same_time:
        raise IntegrityError.of_misnamed(_OF_ANOTHER)


def check_name(archive: ArchiveName, snapshot: Snapshot) -> None:
    """Raise IntegrityError if the name of an archive is not that of the snapshot in it."""
    expected = archive_name(snapshot, size=archive.size)
    counts: Mapping[str, int] = name_counts(snapshot)
    if snapshot.older_digest:  # the name counts as the older format does
        counts = counts_by_list(counts)
    same = (
        (archive.workspace_id, archive.digest_prefix, archive.taken_at.replace(microsecond=0))
        == (expected.workspace_id, expected.digest_prefix, expected.taken_at.replace(microsecond=0))
        and (archive.total is None or archive.total == expected.total)
        and all(counts.get(name) == count for name, count in archive.counts.items())
        and archive.sketch == expected.sketch
        and (INCOMPLETE in archive.marks) == (INCOMPLETE in expected.marks)
        and archive.key_class in (None, expected.key_class)  # names from before 0.7.0 do not say
        and (archive.cloned_from, _is_ahead(archive)) == (expected.cloned_from, _is_ahead(expected))
    )
    if not same:
        raise IntegrityError.of_misnamed(_OF_ANOTHER)


def _is_ahead(archive: ArchiveName) -> bool:
    """Return whether an archive is of what a run was about to leave, not of what it left."""
    return archive.is_intent or archive.begun is not None


def _key_class(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the mark of the kind of key that read a snapshot. The key of an owner or editor has none."""
    if snapshot.secrets:
        return (OPERATOR,)
    # only an analyst's key sees these masked [link/list-as-analyst]
    return (WEAKER,) if any(listed_under(line.type) == "link" for line in snapshot.manifest.ledger) else ()


def _record_marks(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the marks of the record or intent of a clone. Any other snapshot has none."""
    cloned = snapshot.manifest.cloned
    if cloned is None:
        return ()
    source = source_mark(cloned.source.host, cloned.source.workspace_id)
    return (CLONED if cloned.deletes is None else CLONING, source)


def source_mark(host: str, workspace_id: str) -> str:
    """Return the mark that names the source of a clone in the name of its record."""
    return f"from-{hashlib.sha256(canonical([host, workspace_id])).hexdigest()[:12]}"


def backup_mark(backup: ArchiveName) -> str:
    """Return the mark that names the backup from before a run in the name of what the run left."""
    return f"after-{_short_digest(backup)}"


def undo_mark(backup: ArchiveName) -> str:
    """Return the mark that names the backup from before a run in the name of the backup from before its undo."""
    return f"undoes-{_short_digest(backup)}"


def _short_digest(archive: ArchiveName) -> str:
    return hashlib.sha256(str(archive).encode()).hexdigest()[:12]


def named_sources(archives: Iterable[ArchiveName], hosts: Iterable[str]) -> dict[str, str]:
    """Return the slugs of the workspaces of `archives`, by the marks of clones from them on some `hosts`."""
    newest = {one.workspace_id: one.slug for one in sorted(archives, key=lambda archive: archive.sort_key)}
    return {source_mark(host, workspace): slug for host in hosts for workspace, slug in newest.items()}


def name_counts(snapshot: Snapshot) -> dict[str, int]:
    """Return the number of entities by type, the types spelled as file names spell them."""
    counts: Counter[str] = Counter()
    for name, count in snapshot.manifest.counts.items():
        counts[type_in_name(name)] += count
    return dict(sorted(counts.items()))


def _to_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def type_in_name(name: str) -> str:
    """Return a type as file names spell it."""
    plain = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")
    return plain if plain[:1].isalpha() else f"type-{plain}"
