"""File names of archives carry workspace, time, digest, counts and marks, so that listing a store reads no file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SUFFIX, ENCRYPTED_SUFFIX = ".json.gz", ".json.gz.age"
INCOMPLETE, PRE_RESTORE, SHRUNK = "incomplete", "pre-restore", "shrunk"
PACKED, UNCOMPARED, ACCEPTED = "packed", "uncompared", "accepted"
WEAKER, OPERATOR, CLONED, CLONING = "weaker", "operator", "cloned", "cloning"
OWN_MARKS = (INCOMPLETE, PRE_RESTORE, SHRUNK, PACKED, UNCOMPARED, ACCEPTED, WEAKER, OPERATOR, CLONED, CLONING)
"""Marks that this program sets. All others are labels of the operator."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""How far an archive may be dated ahead of the reader's clock and still count."""

LEAST_COUNT = 4
"""The smallest count of a type whose partial loss raises an alarm. Names before 0.6.0 omit smaller counts."""

MARK = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
"""The form of a mark or label."""

SHORT_TYPES = {
    "custom-image": "ci",
    "destination": "de",
    "domain": "do",
    "function": "fu",
    "link": "li",
    "misc": "mi",
    "model": "mo",
    "notification": "no",
    "profile-builder": "pb",
    "reverse-sync": "rs",
    "service": "se",
    "stream": "st",
}
"""How a name that would be too long spells the types of the catalogue: two letters each, which must never change."""

_TYPES_BY_SHORT = {short: name for name, short in SHORT_TYPES.items()}

_COUNT = r"\d{1,9}[a-z][a-z0-9-]*"
_SHORT_COUNTS = r"types-(?:\d{1,9}[a-z]{2})+"
_NAME = re.compile(
    r"(?P<slug>[A-Za-z0-9_-]+)\.(?P<workspace>[A-Za-z0-9_-]+)"
    r"\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?P<milliseconds>\d{3})?Z\.(?P<digest>[0-9a-f]{12})"
    rf"(?:\.(?P<total>\d{{1,9}})(?P<counts>(?:_{_COUNT})*)"
    r"(?:\.z(?P<size>[1-9]\d{0,11})-(?P<sketch>[0-9a-f]{16}))?"
    rf"(?:\.(?P<short>{_SHORT_COUNTS}))?)?"
    r"(?P<marks>(?:\.[a-z][a-z0-9-]*)*)\.json\.gz(?P<age>\.age)?",
    re.ASCII,  # digits of other scripts would give another name
)
_SIZE = re.compile(r"z\d{1,12}-[0-9a-f]{16}", re.ASCII)
_SHORT = re.compile(_SHORT_COUNTS, re.ASCII)
BY_PHRASE = "key-phrase"
_KEY = re.compile(r"key-(phrase|[0-9a-f]{6})", re.ASCII)  # which keys an encrypted archive needs
_FROM = re.compile(r"from-[0-9a-f]{12}", re.ASCII)  # which workspace was cloned, in a record or an intent
UNBACKED = "after-none"
_AFTER = re.compile(
    rf"after-[0-9a-f]{{12}}|{UNBACKED}", re.ASCII
)  # the backup from before a run, in what the run left
_UNDOES = re.compile(
    r"undoes-[0-9a-f]{12}", re.ASCII
)  # the backup from before a run, in the backup from before its undo


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """What the file name of an archive says. A part that it does not say is None.

    `taken_at` is in UTC, in milliseconds, and determines the order of archives. `total` is the number of entities,
    `counts` the number by type, without zeros; names before 0.6.0 count only types with LEAST_COUNT entities or more.
    A name that would be too long has them in a `short` form. `size` is in bytes, `sketch` is made by `archive.sketches`. `found` is not part of the name: it is the size in bytes
    that a store listed, or None if the store was not listed.
    """

    slug: str
    workspace_id: str
    taken_at: datetime
    digest_prefix: str
    marks: tuple[str, ...] = ()
    encrypted: bool = False
    total: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    size: int | None = None
    sketch: str | None = None
    short: bool = False
    found: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Return the file name."""
        parts = [self.slug, self.workspace_id, _moment(self.taken_at), self.digest_prefix]
        if self.total is not None:
            shortened = SHORT_TYPES if self.short else {}
            spelled = {name: count for name, count in self.counts.items() if name not in shortened}
            parts.append(_in_name(self.total, spelled))
        if self.size is not None:
            parts.append(f"z{self.size}-{self.sketch}")
        if self.short:
            parts.append(_in_short(self.counts))
        return ".".join([*parts, *self.marks]) + (ENCRYPTED_SUFFIX if self.encrypted else SUFFIX)

    @property
    def unnamed(self) -> int:
        """How many entities are of types that it does not count. How many of each is unknown."""
        return (self.total or 0) - sum(self.counts.values())

    def count_of(self, name: str) -> int | None:
        """Return the number of entities of a type, spelled as file names spell it, or None if that is unknown."""
        unknown = self.total is None or self.unnamed
        return self.counts.get(name, None if unknown else 0)

    @property
    def sort_key(self) -> tuple[object, ...]:
        """The sort key of archives: when they were taken, then the rest of their names."""
        return self.taken_at, self.digest_prefix, self.marks, self.slug, self.encrypted, str(self)

    @property
    def reference(self) -> str:
        """Its workspace and id, as SNAPSHOT names it."""
        return f"{self.slug}/{self.digest_prefix}"

    @property
    def dated(self) -> str:
        """Its workspace and id, and when it was taken, because two archives with the same content have the same id."""
        return f"{self.reference} of {self.taken_at:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def complete(self) -> bool:
        """Whether it is a backup that holds everything and is not damaged."""
        return INCOMPLETE not in self.marks and not self.set_aside and not self.damaged

    @property
    def damaged(self) -> bool:
        """Whether its size in the store is not the size in its name, so that it cannot be read."""
        return self.size is not None and self.found is not None and self.found != self.size

    @property
    def remains(self) -> str:
        """How much of a damaged archive exists, in words."""
        return f"it has {self.found:,} of {self.size:,} bytes"

    @property
    def set_aside(self) -> bool:
        """Whether it is not a backup, but from before a restore, packed by hand, or the record or intent of a clone."""
        return PRE_RESTORE in self.marks or PACKED in self.marks or self.cloned_from is not None

    @property
    def sound(self) -> bool:
        """Whether later snapshots can be compared with it: it is complete and raised no alarm."""
        return self.complete and SHRUNK not in self.marks and UNCOMPARED not in self.marks

    @property
    def key_class(self) -> str | None:
        """The kind of key that read it: WEAKER (sees less than an editor), OPERATOR (sees secrets) or None (editor)."""
        return next((mark for mark in self.marks if mark in (WEAKER, OPERATOR)), None)

    def is_from_the_future(self, now: datetime) -> bool:
        """Return whether it is dated after `now` by more than clocks may differ."""
        return self.taken_at > now + CLOCKS_DIFFER

    @property
    def labels(self) -> frozenset[str]:
        """The marks that the operator set."""
        return frozenset(mark for mark in self.marks if is_label(mark))

    @property
    def key(self) -> str | None:
        """The mark that says which keys an encrypted archive needs, or None if the name does not say."""
        return next((mark for mark in self.marks if _KEY.fullmatch(mark)), None)

    @property
    def cloned_from(self) -> str | None:
        """The mark that names the source in the record or intent of a clone, or None for any other archive."""
        marks = self.marks if {CLONED, CLONING} & {*self.marks} else ()  # before 0.8.0, each could be a label
        return next((mark for mark in marks if _FROM.fullmatch(mark)), None)

    @property
    def is_intent(self) -> bool:
        """Whether it is the intent of a clone."""
        return CLONING in self.marks and self.cloned_from is not None and self.left_after is None

    @property
    def left_after(self) -> str | None:
        """The mark that names the backup from before a run, in what the run left for `undo`, or was about to leave.

        It is UNBACKED if the run made no backup, and None for other archives.
        """
        marks = self.marks if self.cloned_from is not None else ()
        return next((mark for mark in marks if _AFTER.fullmatch(mark)), None)

    @property
    def begun(self) -> str | None:
        """The mark `left_after` of what a run was about to leave when it began, or None for any other archive."""
        return self.left_after if CLONING in self.marks else None

    @property
    def ended(self) -> str | None:
        """The mark `left_after` of what a run left when it had ended, or None for any other archive."""
        return self.left_after if CLONED in self.marks else None

    @property
    def undoes(self) -> str | None:
        """The mark that names the backup from before the undone run, in the backup from before an undo, or None."""
        marks = self.marks if PRE_RESTORE in self.marks else ()
        return next((mark for mark in marks if _UNDOES.fullmatch(mark)), None)

    def belongs_to(self, workspace: str) -> bool:
        """Return whether `workspace` is the id or the slug of its workspace."""
        return workspace in (self.slug, self.workspace_id)


def is_label(text: str) -> bool:
    """Return whether `text` can be a label: up to 40 lower-case letters, digits and hyphens, and no mark of ours."""
    forms = (_KEY, _FROM, _AFTER, _UNDOES, _SIZE, _SHORT)
    ours = text in (*OWN_MARKS, "json", "gz", "age") or any(form.fullmatch(text) for form in forms)
    return MARK.fullmatch(text) is not None and not ours


@lru_cache(maxsize=32_768)  # a listing is looked at several times
def parse_name(name: str) -> ArchiveName | None:
    """Return what a file name says, or None if it is not that of an archive."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, match.group(3, 4, 5, 6, 7, 8))
        milliseconds = int(match["milliseconds"] or 0)
        taken_at = datetime(year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=UTC)
    except ValueError:
        return None
    pairs = re.findall(r"_(\d+)([^_]+)", match["counts"] or "")
    total, counts = match["total"], {name: int(count) for count, name in pairs}
    # only one spelling is valid, so that two names never mean one archive
    if match["milliseconds"] == "000":
        return None
    if total is not None and _in_name(int(total), counts) != total + match["counts"]:
        return None
    marks, short = (
        tuple(match["marks"].split(".")[1:]),
        _short_counts(match["short"], counts, int(total or 0)),
    )
    if match["short"] and not short:  # a label from before names had this form
        marks = (match["short"], *marks)
    return ArchiveName(
        match["slug"],
        match["workspace"],
        taken_at,
        match["digest"],
        marks,
        match["age"] is not None,
        None if total is None else int(total),
        {**counts, **short},
        None if match["size"] is None else int(match["size"]),
        match["sketch"],
        bool(short),
    )


def newest_first(names: Iterable[str]) -> list[ArchiveName]:
    """Return the archives among some file names, newest first."""
    named = map(parse_name, names)
    return _sorted(archive for archive in named if archive is not None)


def archives_in(sizes: Mapping[str, int]) -> list[ArchiveName]:
    """Return the archives in the listing of a store (sizes in bytes by name), newest first, each with its size `found`."""
    named = ((parse_name(name), size) for name, size in sizes.items())
    return _sorted(replace(archive, found=size) for archive, size in named if archive is not None)


def _sorted(archives: Iterable[ArchiveName]) -> list[ArchiveName]:
    return sorted(archives, key=lambda archive: archive.sort_key, reverse=True)


def _moment(moment: datetime) -> str:
    milliseconds = moment.microsecond // 1000
    day = f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"  # faster than strftime, for the long lists of a store
    time = f"{moment.hour:02d}{moment.minute:02d}{moment.second:02d}"
    return f"{day}T{time}" + (f"{milliseconds:03d}" if milliseconds else "") + "Z"


def _in_name(total: int, counts: Mapping[str, int]) -> str:
    return "_".join([str(total), *(f"{count}{name}" for name, count in sorted(counts.items()))])


def _in_short(counts: Mapping[str, int]) -> str:
    known = sorted(counts.keys() & SHORT_TYPES)
    return "types-" + "".join(f"{counts[name]}{SHORT_TYPES[name]}" for name in known)


def _short_counts(text: str | None, others: Mapping[str, int], total: int) -> dict[str, int]:
    """Return the counts in the short form `text`, or none if it is a label that looks like it."""
    pairs = re.findall(r"(\d+)([a-z]{2})", text or "")
    counts = {_TYPES_BY_SHORT.get(short, short): int(count) for count, short in pairs}
    enough = sum(counts.values()) + sum(others.values()) <= total
    ours = enough and all(counts.values()) and not SHORT_TYPES.keys() & others.keys()
    return counts if ours and _in_short(counts) == text else {}


def safe_text(text: str) -> str:
    """Return an id or slug as file names spell it."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:80].strip("-")  # a leading hyphen looks like a flag
