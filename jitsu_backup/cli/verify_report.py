"""The report of a `verify` run: text, JSON, and facts for the log."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from jitsu_backup.archive import digest
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.model import Snapshot, ago, parse_iso_time, plural, shortened, shown_time, some_of
from jitsu_backup.operations import recovery_losses
from jitsu_backup.operations.come_back import Rehearsal, residue_in_words
from jitsu_backup.operations.recovery_losses import counted
from jitsu_backup.operations.verify import ArchiveFinding, CheckedArchive, UnreadArchive, alarms_of
from jitsu_backup.reports import residue_document, snapshot_document

MOST_REASONS = 20
"""The most reasons that the log lists for one archive."""

MOST_NAMED = 3
"""How many locked archives are named."""


def unread_document(result: UnreadArchive) -> dict[str, Any]:
    """Return an archive that could not be read, for JSON."""
    failure = result.failure
    return {"archive": result.archive, "ok": False, "problem": str(failure), "exit_code": failure.exit_code}


def checked_document(result: CheckedArchive, snapshot: Snapshot) -> dict[str, Any]:
    """Return an archive that was read, with its snapshot, for JSON."""
    document = {
        "archive": result.archive,
        "ok": True,
        **snapshot_document(snapshot, digest(snapshot)),
        "dangling": [str(one) for one in result.dangling],
        "harmful": sum(not one.dead for one in result.dangling),
        "broken": sorted(map(str, result.broken)),
    }
    rehearsal = result.rehearsal
    return document if rehearsal is None else {**document, "rehearsal": _rehearsal_document(rehearsal)}


def _rehearsal_document(rehearsal: Rehearsal) -> dict[str, Any]:
    took = {} if rehearsal.problem else {"seconds": round(rehearsal.seconds, 3)}
    failed = {"problem": rehearsal.problem} if rehearsal.problem else {}
    return {
        "whole": rehearsal.whole,
        "restored": rehearsal.restored,
        "meant": rehearsal.meant,
        **took,
        "residue": residue_document(rehearsal.residue),
        "dead": [str(key) for key in rehearsal.dead],
        "lacks": counted(rehearsal.lacks),
        "lacking": [
            {"what": one.kind.label, **one.key._asdict(), "name": one.name, "path": one.path}
            for one in rehearsal.lacks
        ],
        **failed,
    }


def facts_of(results: Iterable[ArchiveFinding], *, rehearsed: bool) -> dict[str, Any]:
    """Return the facts about a run for the log."""
    results = list(results)
    checked = [one for one in results if isinstance(one, CheckedArchive)]
    unread = [one for one in results if isinstance(one, UnreadArchive)]
    facts: dict[str, Any] = {
        "archives": len(results),
        "unreadable": [one.archive for one in unread if not one.locked],
        "locked": [one.archive for one in unread if one.locked],
        "incomplete": [one.archive for one in checked if not one.complete],
        "dangling": [one.archive for one in checked if one.dangles],
        "superseded_dangling": [one.archive for one in checked if one.broken and one.superseded],
        "not_brought_back": [one.archive for one in checked if one.lost],
        "reasons": {one.archive: _for_the_log(reasons) for one in results if (reasons := one.reasons)},
    }
    lacks = {one.archive: one.lacks for one in checked if one.rehearsal is not None}
    return {**facts, "lacks": lacks} if rehearsed else facts


def _for_the_log(reasons: list[str]) -> list[str]:
    more = len(reasons) - MOST_REASONS
    return reasons[:MOST_REASONS] + ([f"and {more} more"] if more > 0 else [])


def in_words(facts: Mapping[str, Any]) -> str:
    """Return how many archives are complete, what is wrong with the others, and what is no failure.

    `facts` are those of `facts_of`.
    """
    lacking = {
        "unreadable": "cannot be read",
        "locked": "locked",
        "incomplete": "incomplete",
        "dangling": "with dangling references",
        "not_brought_back": "not restored completely",
    }
    parts = [f"{len(facts[name])} {words}" for name, words in lacking.items() if facts[name]]
    words = f"{plural(facts['archives'], 'archive')}: " + (", ".join(parts) or "all complete")
    if older := len(facts["superseded_dangling"]):
        words += f"; {plural(older, 'older one')} with dangling references, which is no failure"
    total = sum((Counter(lacks) for lacks in facts.get("lacks", {}).values()), Counter[str]())
    losses = recovery_losses.in_words(total)
    return f"{words}; a recovery on an empty console would leave this to do: {losses}" if losses else words


def tell(app: App, result: ArchiveFinding, document: dict[str, Any], *, alone: bool) -> None:
    """Print what was found about an archive; `document` is its JSON. Unless it is `alone`, `tell_dangling` follows."""
    if isinstance(result, UnreadArchive):
        if result.mistaken or result.named is None:
            app.line(f"{'NOT READ' if result.mistaken else 'UNREADABLE'}  {result.archive}")
        else:  # why is on standard error
            taken = result.named.taken_at
            app.line(f"UNREADABLE  {result.short_name}  {shown_time(taken)} ({ago(taken, utc_now())})")
        return
    dangles = "DANGLING" if result.dangles else "dangling"
    state = "INCOMPLETE" if not result.complete else dangles if result.broken else "ok"
    named = result.named is not None  # and the name has the id
    what = result.short_name if named else f"{result.archive} ({document['digest'][:12]})"
    taken = parse_iso_time(document["taken_at"])
    total = plural(sum(document["counts"].values()), "entity", "entities")
    app.line(f"{state}  {what}  {shown_time(taken)} ({ago(taken, utc_now())})  {total}")
    for line in result.dangling if alone else ():
        app.line(f"    dangling: {line}")
    for refusal in document["refused"]:
        app.line(f"    not read: {refusal['name']}: {refusal['reason']}")
    if result.rehearsal is not None:
        _tell_rehearsal(app, result.rehearsal)


def tell_dangling(app: App, checked: Iterable[CheckedArchive]) -> None:
    """Print the dangling references of several archives: once each for a workspace, with how many archives have it."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in checked:
        for line in dict.fromkeys(str(line) for line in one.dangling if line.dead or one.dangles):
            found[one.workspace, line].append(one.short_name)
    for (workspace, line), archives in found.items():
        where = archives[0] if len(archives) == 1 else f"{len(archives)} archives of {workspace}"
        app.line(f"dangling: {line} ({where})")


def tell_superseded(app: App, checked: Iterable[CheckedArchive]) -> None:
    """Print of each workspace how many archives that were superseded have dangling references that are no failure."""
    older: dict[str, list[CheckedArchive]] = defaultdict(list)
    newest: dict[str, CheckedArchive] = {}
    for one in checked:
        if not one.superseded:
            newest[one.source.workspace_id] = one
        elif one.broken:
            older[one.source.workspace_id].append(one)
    for workspace, archives in older.items():
        latest = newest.get(workspace)
        what_to_do = "if the newest one has none, there is nothing to do"
        if latest is not None:
            nothing = "the newest one has none, so there is nothing to do"
            what_to_do = "so has the newest one" if latest.broken else nothing
        have = "archive has" if len(archives) == 1 else "archives have"
        app.line(f"{len(archives)} older {have} dangling references ({archives[0].workspace}); {what_to_do}")


def report_alarms(app: App, checked: Sequence[CheckedArchive], *, fail_on_losses: bool) -> None:
    """Keep the alarms about archives that were read, and print them: once for all of a workspace that lack the same."""
    again = app.again_with_keys(one.named for one in checked if one.named is not None)
    alarms = partial(alarms_of, again=again, fail_on_losses=fail_on_losses, checked=checked)
    alike: dict[tuple[object, ...], list[CheckedArchive]] = defaultdict(list)
    for one in checked:
        app.alarms += alarms(one)
        alike[one.workspace, one.complete, *one.reasons, *one.lacks.items()].append(one)
    for first, *others in alike.values():
        for alarm in alarms(first, others=len(others)):
            app.show_alarm(alarm)


def tell_locked(app: App, locked: Iterable[UnreadArchive]) -> None:
    """Print which archives no given key opens, and why: once for all with the same reason, because one key is missing."""
    alike: dict[str, list[str]] = defaultdict(list)
    locked = [*locked]
    with_name = Counter(one.short_name for one in locked)
    for one in locked:
        name = one.short_name if with_name[one.short_name] == 1 else one.dated
        alike[one.why.removeprefix("the archive ").removeprefix("is ")].append(name)
    for why, names in alike.items():
        if not app.as_json:
            app.line(f"locked  {some_of(names, MOST_NAMED)}")
        app.problem(f"{plural(len(names), 'archive')} locked: {why}; then run this again")


def _tell_rehearsal(app: App, rehearsal: Rehearsal) -> None:
    state = "rehearsed" if rehearsal.whole else "REHEARSED, NOT EVERYTHING WAS RESTORED"
    app.line(f"    {state}: {rehearsal.restored} of {rehearsal.meant} entities restored and verified")
    if rehearsal.problem:
        app.line(f"    the rehearsal failed: {rehearsal.problem}")
    for line in rehearsal.residue:
        app.line(f"    not restored: {residue_in_words(line)}")
    if rehearsal.dead:
        dead = plural(len(rehearsal.dead), "connection")
        app.line(f"    {dead} without a source or destination will not be restored")
    if losses := recovery_losses.in_words(counted(rehearsal.lacks)):
        app.line(f"    a recovery on an empty console would leave this to do: {losses}")
    if app.verbose:
        for one in rehearsal.lacks:
            app.line(f"      {one.kind.label}: {one.key.type} {shortened(one.name)} {one.path}".rstrip())
