"""Finding the archive that SNAPSHOT means."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from jitsu_backup.archive import ACCEPTED, INCOMPLETE, SHRUNK, WEAKER, ArchiveName
from jitsu_backup.archive.shrinkage import is_much_smaller
from jitsu_backup.errors import BackupError, IntegrityError, SeveralWorkspacesError, UsageError
from jitsu_backup.model import nearest, plural, shown_time, some_of

_BY_AGE = attrgetter("sort_key")
_MOST_CHOICES = 10
_LATEST = re.compile(r"latest(?:~(\d{1,9}))?", re.ASCII)
_DATE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.?(\d{3}))?)?)?)?Z?", re.ASCII
)
_SPAN = re.compile(r"(\d{1,5})(min|mo|[hdwmy])", re.ASCII)
_UNITS = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "mo": timedelta(days=31),
    "y": timedelta(days=366),
}
_DAYS_AGO = {"today": 0, "yesterday": 1}
_ID = re.compile(r"[0-9a-fA-F]{4,64}")


def find(archives: Iterable[ArchiveName], reference: str, now: datetime) -> ArchiveName:
    """Return the archive that `reference` means: `latest`, `latest~2`, a date, an id prefix, a label or a workspace.

    `latest` takes precedence. A word with several other meanings is an error. The slug or id of a workspace may precede
    `/`, or stand alone for its latest archive. A date (`2026-11-20`, `2026-11-20T10:30`, `yesterday`, in UTC) means
    the state at its end, `7d` the state that long before `now`: the newest archive that is not later. A label means the
    newest archive that has it.

    For these, incomplete archives count only if there is no complete one, and archives read with a weaker key only if no
    other key read one, or after one of them was accepted. Archives from before a restore, packed ones, records of clones
    and those dated after `now` never count, unless nothing else has the label. A damaged archive keeps its place, so that
    an older one is never used silently: a reference to it raises IntegrityError. Its id, however, means another archive
    with the same content if one exists. Raise UsageError, BackupError.
    """
    workspace, slash, word = reference.rpartition("/")
    known = list(archives)
    chosen = of_workspace(known, workspace) if slash else known
    if not chosen:
        names = ", ".join(_workspaces(known))
        where, there = f"of workspace {workspace!r} " if slash else "", f"; use one of {names}"
        raise BackupError(
            f"no snapshot {where}in the store{there if names else ', which is empty; run backup first'}"
        )
    if match := _LATEST.fullmatch(word):
        return _latest(chosen, int(match[1] or 0), now)
    meanings = _meanings(chosen, word, now, alone=not slash)
    if not meanings:
        raise _unknown(chosen, reference, alone=not slash)
    if len(meanings) > 1:
        choices = "; ".join(f"{what}, {_candidate(look)}" for what, look in meanings.items())
        raise UsageError(f"{reference!r} could be {choices}; write the one that you want")
    (look,) = meanings.values()
    return look()


def is_time(word: str) -> bool:
    """Return whether a word means a time as SNAPSHOT, whatever archives exist."""
    return word in _DAYS_AGO or any(pattern.fullmatch(word) for pattern in (_LATEST, _SPAN, _DATE))


def names_archive(reference: str, archive: ArchiveName) -> bool:
    """Return whether `reference` always means `archive`: by id or file name, not by time, label or workspace."""
    last = reference.rpartition("/")[2]
    return (_ID.fullmatch(last) is not None and _has_id(archive, last)) or last == str(archive)


def _meanings(
    chosen: list[ArchiveName], word: str, now: datetime, *, alone: bool
) -> dict[str, Callable[[], ArchiveName]]:
    """Return the possible meanings of `word`, each with a function that finds it. A workspace must stand `alone`."""
    found: dict[str, Callable[[], ArchiveName]] = {}
    end = _end_of(word, now)
    if end is not None:
        found["a date"] = lambda: _as_of(chosen, end, word, now)
    if _ID.fullmatch(word) and any(_has_id(archive, word) for archive in chosen):
        found["an id"] = lambda: _by_id(chosen, word)
    if any(word in archive.labels for archive in chosen):
        found["a label"] = lambda: _labelled(chosen, word, now)
    own = of_workspace(chosen, word) if alone else []
    if own:
        found["a workspace"] = lambda: _latest(own, 0, now)
    return found


def _candidate(look: Callable[[], ArchiveName]) -> str:
    try:
        archive = look()
    except BackupError as problem:
        return f"but {problem}"
    return archive.reference


def _unknown(chosen: list[ArchiveName], reference: str, *, alone: bool) -> BackupError:
    word = reference.rpartition("/")[2]
    if _ID.fullmatch(word):
        newest = [a.digest_prefix for a in sorted(chosen, key=_BY_AGE, reverse=True)]
        some = some_of(list(dict.fromkeys(newest)), 5)
        count = plural(len(chosen), "snapshot")
        return BackupError(
            f"no snapshot {word!r} in the store, which has {count}; use one of the newest: {some}"
        )
    labels = {label for archive in chosen for label in archive.labels}
    names = [*_workspaces(chosen), *sorted(labels)] if alone else sorted(labels)
    hint = nearest(word, [*names, "latest", *_DAYS_AGO]) or (
        "; write latest, latest~2, a date (2026-11-20, 7d, yesterday), an id of 4 or more hex digits, a label,"
        " a workspace, or a path" + (f"; the store has {some_of(names, 5)}" if names else "")
    )
    return UsageError(f"{reference!r} is not a snapshot{hint}")


def _has_id(archive: ArchiveName, word: str) -> bool:
    return archive.digest_prefix.startswith(word.lower()[:12])


def _by_id(chosen: list[ArchiveName], word: str) -> ArchiveName:
    found = [archive for archive in chosen if _has_id(archive, word)]
    ids = sorted({archive.digest_prefix for archive in found})
    if len(ids) > 1:
        raise UsageError(f"{word!r} could be {', '.join(ids)}; write more digits of the id")
    usable = [archive for archive in found if not archive.damaged] or found
    return max(
        usable, key=lambda archive: (not archive.set_aside, archive.sort_key)
    )  # a backup has its own marks


def _labelled(chosen: list[ArchiveName], label: str, now: datetime) -> ArchiveName:
    """Return the newest archive with a label. Raise UsageError if several workspaces have it."""
    own = [archive for archive in chosen if label in archive.labels]
    ordered = _usable(_of_one(own, own, label), now) or sorted(own, key=_BY_AGE, reverse=True)
    return _whole(ordered[0], ordered)


def of_workspace(archives: Iterable[ArchiveName], workspace: str) -> list[ArchiveName]:
    """Return the archives of the workspaces that have, or once had, an id or slug.

    Archives are selected by id, so that a workspace whose slug changed keeps one history.
    """
    known = list(archives)
    ids = {archive.workspace_id for archive in known if archive.belongs_to(workspace)}
    return [archive for archive in known if archive.workspace_id in ids]


def named_archives(archives: Iterable[ArchiveName], workspace: str, url: str) -> list[ArchiveName]:
    """Return the archives of a workspace, given by id or slug, in the store at `url`. Raise BackupError without any."""
    known = list(archives)
    own = of_workspace(known, workspace)
    if not own:
        has = some_of(_workspaces(known), 10)
        others = f", which has snapshots of {has}; find a renamed workspace by its id or its earlier slug"
        raise BackupError(
            f"no snapshot of workspace {workspace!r} in the store {url}{others if has else '; run backup first'}"
        )
    return own


def latest_of(archives: Iterable[ArchiveName]) -> ArchiveName | None:
    """Return the newest archive of a workspace, of the best available kind, damaged or not, or None."""
    return max((a for a in archives if not a.set_aside), key=_BY_AGE, default=None)


def latest_of_each(archives: Iterable[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Return what `latest` means, damaged archives included, by workspace."""
    own: dict[str, list[ArchiveName]] = defaultdict(list)
    for archive in archives:
        own[archive.workspace_id].append(archive)
    return [ordered[0] for _, members in sorted(own.items()) if (ordered := _usable(members, now))]


def _latest(archives: list[ArchiveName], back: int, now: datetime) -> ArchiveName:
    ordered = _history(archives, "latest", now)
    if not ordered:
        raise BackupError(
            "the store has only archives that `latest` ignores: made before a restore, packed, records of clones, or dated in"
            " the future; give the id of one"
        )
    if back >= len(ordered):
        raise BackupError(
            f"the store has only {plural(len(ordered), 'snapshot')}, latest to latest~{len(ordered) - 1}; give archives from"
            " before a restore, packed archives and records of clones by their ids"
        )
    return _whole(ordered[back], ordered)


def _as_of(archives: list[ArchiveName], end: datetime, reference: str, now: datetime) -> ArchiveName:
    ordered = _history(archives, reference, now)
    found = next((a for a in ordered if a.taken_at < end), None)
    if found is None:
        oldest = f"; the oldest is of {shown_time(ordered[-1].taken_at)}" if ordered else ""
        raise BackupError(
            f"the store has no snapshot from {reference} or before{oldest}; choose a later time"
        )
    return _whole(found, ordered)


def _whole(archive: ArchiveName, ordered: list[ArchiveName]) -> ArchiveName:
    """Return the archive if it is not damaged. Otherwise raise IntegrityError, which says what to write instead."""
    if not archive.damaged:
        return archive
    other = next(substitutes(archive, ordered), None)
    advice = instead_of(archive, other, newest=archive == ordered[0])
    problem = IntegrityError(f"{archive.dated} is damaged: {archive.remains}; {advice}")
    problem.archive, problem.advice = str(archive), advice
    raise problem


def substitutes(archive: ArchiveName, known: Iterable[ArchiveName]) -> Iterator[ArchiveName]:
    """Yield the archives to use in place of one that cannot be used, whose sizes are right, the best one first.

    Those with the same content come first, older or newer. Then come the complete ones from before it, the newest first,
    and those of them that are marked shrunk come last.
    """
    own = [a for a in known if a.workspace_id == archive.workspace_id and a != archive and not a.damaged]
    own.sort(key=_BY_AGE, reverse=True)
    yield from (other for other in own if _is_same(other, archive))
    before = [a for a in own if a.complete and a.sort_key < archive.sort_key and not _is_same(a, archive)]
    yield from sorted(before, key=lambda older: SHRUNK in older.marks)


def _is_same(other: ArchiveName, archive: ArchiveName) -> bool:
    """Return whether two archives of a workspace have the same content."""
    return other.digest_prefix == archive.digest_prefix


def instead_of(
    archive: ArchiveName,
    other: ArchiveName | None,
    *,
    newest: bool,
    prune: str | None = "jitsu-backup prune --quarantine",
) -> str:
    """Return what to do about an archive that cannot be used. `other` is the first of its `substitutes` that can.

    `newest` says that it is the newest of its workspace. `prune` is the command that moves it away, None if none does.
    """
    again = ", or back up again" if newest else ""
    if other is None:
        use = "back up again, because no older one is undamaged"
    elif _is_same(other, archive):  # which an id would not tell apart
        use = f"use {other} of {shown_time(other.taken_at)}, which has the same content{again}"
    else:
        shrunk = SHRUNK in other.marks
        which = "undamaged, but marked shrunk" if shrunk else "undamaged and not shrunk"
        named = f"{other.reference} of {shown_time(other.taken_at)}"
        few = (
            f", but it has {other.total:,} of the {archive.total:,} entities"
            if is_much_smaller(other.total, archive.total)
            else ""
        )
        use = f"use {named}, the newest one before it that is {which}{few}{again}"
    if prune is None:
        return use
    # `backup --if-changed` writes nothing while the newest archive seems to have the same content
    if newest or other is None:
        return f"{use}; but first move the damaged one away with `{prune}`"
    return f"{use}; then move the damaged one away with `{prune}`"


def _history(archives: list[ArchiveName], reference: str, now: datetime) -> list[ArchiveName]:
    """Return the archives that count, newest first. Raise UsageError if they are of several workspaces."""
    return _usable(_of_one(archives, [a for a in archives if not a.set_aside], reference), now)


def _of_one(archives: list[ArchiveName], count: list[ArchiveName], reference: str) -> list[ArchiveName]:
    """Return `archives`. Raise SeveralWorkspacesError, which says what to write, if those that `count` are of several workspaces."""
    newest = {archive.workspace_id: archive.slug for archive in sorted(count, key=_BY_AGE)}
    if len(newest) > 1:
        slugs = {*newest.values()}
        names = sorted(slugs if len(slugs) > 1 else newest)
        some = some_of([f"{name}/{reference}" for name in names], _MOST_CHOICES)
        problem = SeveralWorkspacesError(f"the store holds several workspaces; write one of {some}")
        problem.workspace_ids = tuple(sorted(newest))
        raise problem
    return archives


def _usable(archives: list[ArchiveName], now: datetime) -> list[ArchiveName]:
    """Return the archives that count, damaged or not, newest first: complete ones not read with a weaker key, else all."""
    # a repeated restore must not find the first run's own backup, nor packed archives or records of clones
    archives = [a for a in archives if not a.set_aside and not a.is_from_the_future(now)]
    complete = [a for a in archives if INCOMPLETE not in a.marks]
    since = _accepted_weaker(complete)
    best = [a for a in complete if a.key_class != WEAKER or (since is not None and a.sort_key >= since)]
    return sorted(best or complete or archives, key=_BY_AGE, reverse=True)


def better_than_weaker(archives: Iterable[ArchiveName]) -> ArchiveName | None:
    """Return the newest complete archive not read with a weaker key, or None if a later one of a weaker key was accepted."""
    complete = [archive for archive in archives if archive.complete]
    better = max((a for a in complete if a.key_class != WEAKER), key=_BY_AGE, default=None)
    since = _accepted_weaker(complete)
    return None if better is None or (since is not None and since > better.sort_key) else better


def _accepted_weaker(archives: Iterable[ArchiveName]) -> tuple[object, ...] | None:
    """Return the sort key of the newest accepted archive of a weaker key, or None. Such archives count from there on."""
    return max((a.sort_key for a in archives if a.key_class == WEAKER and ACCEPTED in a.marks), default=None)


def period(text: str, now: datetime) -> tuple[datetime, datetime]:
    """Return beginning and end of the time that `text` means as SNAPSHOT: a date, `yesterday`, `7d`. Raise UsageError."""
    found = _period(text, now)
    if found is None:
        raise UsageError(
            f"{text!r} is not a time; write 2026-11-20, 2026-11-20T10:30 (UTC), yesterday, 7d or 12h"
        )
    return found


def _end_of(text: str, now: datetime) -> datetime | None:
    """Return the end of the day, hour, minute, second or millisecond that `text` names, or None."""
    found = _period(text, now)
    return None if found is None else found[1]


def _period(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """Return beginning and end of the day, hour, minute, second or millisecond that `text` names, or None."""
    if text in _DAYS_AGO:
        midnight = _midnight(now) - timedelta(days=_DAYS_AGO[text])
        return midnight, midnight + timedelta(days=1)
    span = _SPAN.fullmatch(text)
    if span is not None:
        moment = _before(now, int(span[1]), span[2])
        return moment, moment + timedelta(milliseconds=1)
    match = _DATE.fullmatch(text)
    if match is None or ("-" not in text and match[4] is None):  # only digits are an id
        return None
    parts = [int(part) for part in match.groups() if part is not None]
    steps = {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}
    step = steps.get(len(parts), timedelta(milliseconds=1))
    parts[6:] = [milliseconds * 1000 for milliseconds in parts[6:]]
    try:
        moment = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
        return moment, moment + step
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is not a date; write 2026-11-20 or 2026-11-20T10:30 (UTC)") from None


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _before(now: datetime, count: int, unit: str) -> datetime:
    if unit == "m":
        raise UsageError(f"'{count}m' could be minutes or months; write {count}min or {count}mo")
    try:
        return now - count * _UNITS[unit]
    except OverflowError:
        raise UsageError(f"'{count}{unit}' is before the year 1; write a shorter time") from None


def _workspaces(archives: list[ArchiveName]) -> list[str]:
    """Return one name per workspace: its newest slug, or its id if another workspace had that slug too."""
    newest = {a.workspace_id: a.slug for a in sorted(archives, key=_BY_AGE)}
    owners = {slug: {a.workspace_id for a in archives if a.slug == slug} for slug in newest.values()}
    return sorted(slug if len(owners[slug]) == 1 else workspace for workspace, slug in newest.items())
