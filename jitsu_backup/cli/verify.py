"""`jitsu-backup verify`."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsu_backup.archive import ArchiveName, digest, parse_name
from jitsu_backup.catalogue import dangling_references
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.files import check_path
from jitsu_backup.cli.losses import counted, in_words
from jitsu_backup.cli.rehearsal import rehearse
from jitsu_backup.cli.snapshot_argument import open_snapshot, open_stored
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    IncompleteError,
    IntegrityError,
    MistakeError,
    UsageError,
)
from jitsu_backup.model import Snapshot, plural, printable, quoted, shortened, some_of
from jitsu_backup.operations.alarms import Alarm, What, remedy_for
from jitsu_backup.reports import residue_document, snapshot_document
from jitsu_backup.store import latest_of_each

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import DrillFigures

MOST_REASONS = 20
MOST_TOLD = 3
"""Reasons that an alarm gives; the log has more of them, and the report all."""

Read = Callable[[], tuple[str, Snapshot] | None]

_NOTHING: dict[str, Any] = {
    "whole": False, "restored": 0, "residue": [], "dead": [], "lacks": counted(()), "lacking": [],
}  # fmt: skip
"""What a rehearsal that failed has brought back."""


@unattended()
def verify(
    app: App,
    snapshots: tuple[str, ...],
    everything: bool,
    latest: bool,
    rehearse: bool,
    fail_on_losses: bool,
    metrics: Path | None,
) -> int:
    """Read and check each archive; give the exit code."""
    check_path(metrics, "--metrics")
    _check_which(snapshots, everything=everything, latest=latest)
    if fail_on_losses and not rehearse:
        raise UsageError("--fail-on-losses goes with --rehearse")
    results: list[dict[str, Any]] = []
    codes = []
    _ = app.keys.identities  # one that cannot be read is told once, and not as a fault of every archive
    alone = len(snapshots) == 1
    app.figures = lambda: [drill for result in results for drill in _drills(result, rehearse=rehearse)]
    for reference, read in _readers(app, snapshots, stored=everything or latest, latest=latest):
        try:
            result = _examined(app, read, rehearse=rehearse)
        except BackupError as problem:
            result = _unread(reference, problem)
            if alone and not app.as_json:
                results.append(result)
                raise
            codes.append(problem.exit_code)
        except Exception as bug:  # noqa: BLE001  one odd archive must not keep the others from being read
            result = _unread(reference, MistakeError.of(bug))
            codes.append(1)
        if result is not None:
            results.append(result)
            alarms = _report(app, result, fail_on_losses=fail_on_losses)
            codes += [IncompleteError.exit_code] if result["ok"] and alarms else []
    if not results:
        raise BackupError(f"every archive is gone from the store {app.store.url} since it was listed")
    app.facts |= {
        "archives": len(results),
        "unreadable": [result["archive"] for result in results if not result["ok"]],
        "incomplete": [result["archive"] for result in results if result["ok"] and not result["complete"]],
        "dangling": [result["archive"] for result in results if result["ok"] and result["broken"]],
        "not_brought_back": [result["archive"] for result in results if _lost(result)],
        "reasons": {result["archive"]: told for result in results if (told := _reasons_for_the_log(result))},
    }
    if rehearse:
        rehearsed = [result for result in results if "rehearsal" in result]
        app.facts["lacks"] = {result["archive"]: result["rehearsal"]["lacks"] for result in rehearsed}
    app.outcome = _in_words(app.facts)
    if app.as_json:
        app.emit({"archives": results})
    elif len(results) != 1:
        app.line(f"{app.outcome}.")
    worst = (e.exit_code for e in (IntegrityError, AccessError, BackupError, UsageError))
    return next((code for code in worst if code in codes), max(codes, default=0))


def _check_which(snapshots: tuple[str, ...], *, everything: bool, latest: bool) -> None:
    if bool(snapshots) + everything + latest > 1:
        raise UsageError("give snapshots, --all or --latest, and only one of them")
    if not (snapshots or everything or latest):
        raise UsageError(
            "which snapshot? give one (latest, 7d, a date, an id prefix, a label, a workspace, a path), --all or --latest"
        )


def _unread(reference: str, problem: BackupError) -> dict[str, Any]:
    """Return the result for what could not be read. A message begins with the archive's name where one was found."""
    first = re.split("[: ]", str(problem), maxsplit=1)[0]
    name = reference if parse_name(first) is None else first
    return {"archive": name, "ok": False, "problem": str(problem), "exit_code": problem.exit_code}


def _is_mistaken(result: dict[str, Any]) -> bool:
    """Tell whether no archive was read because none was found: what was typed is wrong, and nothing is damaged."""
    of_archive = _named(result) is not None or os.access(result["archive"], os.F_OK)
    return not (result["ok"] or of_archive) and result["exit_code"] in (
        UsageError.exit_code,
        BackupError.exit_code,
    )


def _named(result: dict[str, Any]) -> ArchiveName | None:
    return parse_name(result["archive"].rpartition("/")[2])


def _lost(result: dict[str, Any]) -> bool:
    rehearsal = result.get("rehearsal")
    return rehearsal is not None and not rehearsal["whole"]


def _reasons(result: dict[str, Any]) -> list[str]:
    """Say why an archive is not whole, what weighs most first; of what harms nobody, nothing."""
    if not result["ok"]:
        return [printable(result["problem"])]
    rehearsal = result.get("rehearsal", {})
    told = [f"not read: {r['name']}: {r['reason']}" for r in result["refused"] if r["missing"]]
    told += [] if result["consistent"] else ["it kept changing while it was read"]
    told += [f"dangling: {line}" for line in result["dangling"][: result["harmful"]]]
    told += [f"the rehearsal failed: {rehearsal['problem']}"] if "problem" in rehearsal else []
    known = result["broken"]  # of which the line above says why
    lost = [line for line in rehearsal.get("residue", []) if f"{line['type']}/{line['id']}" not in known]
    told += [f"did not come back: {_residue(line)}" for line in lost]
    return [printable(line) for line in told]


def _reasons_for_the_log(result: dict[str, Any]) -> list[str]:
    told = _reasons(result)
    more = len(told) - MOST_REASONS
    return told[:MOST_REASONS] + ([f"and {more} more"] if more > 0 else [])


def alarms_of(app: App, result: dict[str, Any], *, fail_on_losses: bool = False) -> Iterator[Alarm]:
    """Yield what is wrong with one archive: it cannot be read, lacks something, or would not come back."""
    named = _named(result)
    archive = result["archive"] if named is None else f"{named.slug}/{named.digest_prefix}"
    workspace = named.slug if named is not None else ""
    if _is_mistaken(result):
        yield Alarm(What.RUN_FAILED, result["problem"], f"`{app.again('snapshots')}` lists what there is")
        return
    if not result["ok"]:
        problem = result["problem"]
        begins = problem.startswith(result["archive"])
        why = problem.replace(result["archive"], archive, 1) if begins else f"{archive}: {problem}"
        again = f"then `{app.again('verify', archive)}` tries it again"  # with the key that it lacks
        damaged = result["exit_code"] == IntegrityError.exit_code
        remedy = remedy_for(IntegrityError(), app.again) if damaged else again
        yield Alarm(What.UNREADABLE, why, remedy, workspace)
        return
    workspace = workspace or result["source"]["slug"] or result["source"]["workspace_id"]
    reasons = _reasons(result)
    why = f"{archive}: {some_of(reasons, MOST_TOLD, '; ')}"
    if not result["complete"]:
        yield Alarm(What.INCOMPLETE, why, "take another, or back up again", workspace)
    elif result["broken"] or _lost(result):
        again = app.again("verify", archive, *(["--rehearse"] if "rehearsal" in result else []))
        more = f"; `{again}` lists all {len(reasons)}" if len(reasons) > MOST_TOLD else ""
        remedy = f"mend that in the console and back up again, or restore an earlier archive{more}"
        yield Alarm(What.NOT_RESTORABLE, why, remedy, workspace)
    losses = in_words(result["rehearsal"]["lacks"]) if fail_on_losses else ""
    if losses:
        remedy = "keep what is lacking elsewhere, or back up with the operator's token (--admin-token)"
        yield Alarm(What.LACKING, f"{archive}: {losses}", remedy, workspace)


def _residue(line: dict[str, str]) -> str:
    what = f"{line['type']} {quoted(line['name'])}" + (f" {line['path']}" if line["path"] else "")
    return f"{what}: {line['reason']}"


def _in_words(facts: dict[str, Any]) -> str:
    told = [
        f"{len(facts[name])} {words}"
        for name, words in (
            ("unreadable", "cannot be read"),
            ("incomplete", "incomplete"),
            ("dangling", "with dangling references"),
            ("not_brought_back", "did not come back whole"),
        )
        if facts[name]
    ]
    words = f"{plural(facts['archives'], 'archive')}: " + (", ".join(told) or "all whole")
    total = sum((Counter(lacks) for lacks in facts.get("lacks", {}).values()), Counter())
    return f"{words}; a recovery on an empty console lacks {in_words(total)}" if total else words


def _drills(result: dict[str, Any], *, rehearse: bool) -> "Iterator[DrillFigures]":
    """Yield the figures of an archive that was rehearsed, or that could not even be read for that."""
    from jitsu_backup.reports.metrics import DrillFigures  # noqa: PLC0415  few runs need its library

    rehearsal, named = result.get("rehearsal"), _named(result)
    if rehearse and not result["ok"] and named is not None:
        yield DrillFigures(named.slug, named.workspace_id, utc_now(), whole=False, lacks={})
    if rehearsal is not None:
        source = result["source"]
        slug, workspace_id = source["slug"] or source["workspace_id"], source["workspace_id"]
        yield DrillFigures(slug, workspace_id, utc_now(), rehearsal["whole"], rehearsal["lacks"])


def _readers(
    app: App, snapshots: tuple[str, ...], *, stored: bool, latest: bool
) -> Iterator[tuple[str, Read]]:
    if stored:
        found = latest_of_each(app.archives(), utc_now()) if latest else app.archives()
        app.tell_of_strangers()
        if not found:
            raise BackupError(f"the store {app.store.url} is empty: there is nothing to verify")
        for archive in found:
            yield str(archive), partial(_read_stored, app, archive, latest=latest)
    for reference in snapshots:
        yield reference, lambda reference=reference: open_snapshot(app, reference)  # type: ignore[misc]


def _read_stored(app: App, archive: ArchiveName, *, latest: bool) -> tuple[str, Snapshot] | None:
    """Read an archive of the store; with `latest` the one that took its place. None for one that was pruned meanwhile."""
    try:
        return open_stored(app, archive)
    except BackupError:
        there = app.archives()
        if str(archive) in map(str, there):
            raise
    app.say(f"{archive} is gone since the store was listed: it was pruned, or removed")
    own = [one for one in there if one.workspace_id == archive.workspace_id]
    newer = latest_of_each(own, utc_now()) if latest else []
    return open_stored(app, newer[0]) if newer else None


def _check(name: str, snapshot: Snapshot) -> dict[str, Any]:
    document = snapshot_document(snapshot, digest(snapshot))
    dangling = sorted(dangling_references(snapshot), key=lambda one: one.dead)  # what harms, first
    return {
        "archive": name,
        "ok": True,
        **document,
        "dangling": [str(one) for one in dangling],
        "harmful": sum(not one.dead for one in dangling),
        "broken": sorted({str(one.key) for one in dangling if not one.dead}),
    }


def _rehearse(app: App, snapshot: Snapshot) -> dict[str, Any]:
    meant = sum(snapshot.manifest.counts.values())
    source = snapshot.manifest.source
    app.say(f"rehearsing {source.slug or source.workspace_id} in a sandbox ...")
    try:
        found = rehearse(snapshot)
    except Exception as failure:  # noqa: BLE001  as above
        problem = str(failure) if isinstance(failure, BackupError) else str(MistakeError.of(failure))
        return {**_NOTHING, "meant": meant, "problem": problem}
    return {
        "whole": found.whole,
        "restored": found.restored,
        "meant": found.meant,
        "seconds": round(found.seconds, 3),
        "residue": residue_document(found.residue),
        "dead": [str(key) for key in found.dead],
        "lacks": counted(found.lacks),
        "lacking": [
            {
                "what": one.kind.label,
                "type": one.key.type,
                "id": one.key.id,
                "name": one.name,
                "path": one.path,
            }
            for one in found.lacks
        ],
    }


def _examined(app: App, read: Read, *, rehearse: bool) -> dict[str, Any] | None:
    """Read an archive, check it and, with `rehearse`, try it; None for one that is gone."""
    found = read()
    if found is None:
        return None
    result = _check(found[0], found[1])
    return {**result, "rehearsal": _rehearse(app, found[1])} if rehearse else result


def _report(app: App, result: dict[str, Any], *, fail_on_losses: bool) -> list[Alarm]:
    """Print what was found of an archive and tell of what is wrong with it, which is returned."""
    if not app.as_json:
        _tell(app, result)
    alarms = list(alarms_of(app, result, fail_on_losses=fail_on_losses))
    for alarm in alarms:
        app.alarm(alarm)
    return alarms


def _tell(app: App, result: dict[str, Any]) -> None:
    if not result["ok"]:
        app.line(f"{'NOT READ' if _is_mistaken(result) else 'UNREADABLE'}  {result['problem']}")
        return
    state = "INCOMPLETE" if not result["complete"] else "DANGLING" if result["broken"] else "ok"
    total = sum(result["counts"].values())
    named = parse_name(result["archive"])
    what = result["archive"] if named is None else f"{named.slug}/{named.digest_prefix}"
    app.line(f"{state}  {what}  {result['taken_at']}  {total} entities, digest {result['digest'][:12]}")
    for line in result["dangling"]:
        app.line(f"    dangling: {line}")
    for refusal in result["refused"]:
        app.line(f"    not read: {refusal['name']}: {refusal['reason']}")
    rehearsal = result.get("rehearsal")
    if rehearsal is None:
        return
    state = "rehearsed" if rehearsal["whole"] else "REHEARSED, NOT ALL CAME BACK"
    app.line(f"    {state}: {rehearsal['restored']} of {rehearsal['meant']} entities restored and read back")
    if "problem" in rehearsal:
        app.line(f"    the rehearsal failed: {rehearsal['problem']}")
    for line in rehearsal["residue"]:
        app.line(f"    did not come back: {_residue(line)}")
    if rehearsal["dead"]:
        app.line(
            f"    {plural(len(rehearsal['dead']), 'connection')} that had lost an end in the source will not come back"
        )
    if losses := in_words(rehearsal["lacks"]):
        app.line(f"    a recovery on an empty console lacks {losses}")
    if app.verbose:
        for one in rehearsal["lacking"]:
            app.line(f"      {one['what']}: {one['type']} {shortened(one['name'])} {one['path']}".rstrip())
