"""`jitsu-backup verify`."""

from collections.abc import Callable, Iterator
from typing import Any

from jitsu_backup.alarms import Alarm, What
from jitsu_backup.archive import digest, parse_name
from jitsu_backup.catalogue import dangling_references
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.opening import open_snapshot, open_stored
from jitsu_backup.cli.rehearsal import rehearse
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    IncompleteError,
    IntegrityError,
    MistakeError,
    UsageError,
)
from jitsu_backup.model import Snapshot, printable, some_of
from jitsu_backup.reports import residue_document, snapshot_document
from jitsu_backup.store import latest_of_each

MOST_REASONS = 20

Read = Callable[[], tuple[str, Snapshot, bytes]]


@unattended()
def verify(app: App, snapshots: tuple[str, ...], everything: bool, latest: bool, rehearse: bool) -> int:
    """Read and check each archive; give the exit code."""
    if bool(snapshots) + everything + latest > 1:
        raise UsageError("give snapshots, --all or --latest, and only one of them")
    if not (snapshots or everything or latest):
        raise UsageError("which snapshot? give one (latest, an id prefix, a path), --all or --latest")
    results: list[dict[str, Any]] = []
    codes = []
    _ = app.keys.identities  # one that cannot be read is told once, and not as a fault of every archive
    alone = len(snapshots) == 1
    for reference, read in _readers(app, snapshots, stored=everything or latest, latest=latest):
        try:
            name, snapshot, _ = read()
            result = _check(name, snapshot)
        except BackupError as problem:
            if alone and not app.as_json:
                raise
            result = {"archive": reference, "ok": False, "problem": str(problem)}
            codes.append(problem.exit_code)
        except Exception as bug:  # noqa: BLE001  one odd archive must not keep the others from being read
            result = {"archive": reference, "ok": False, "problem": str(MistakeError.of(bug))}
            codes.append(1)
        else:
            if rehearse:
                result["rehearsal"] = _rehearse(app, snapshot)
            whole = result["complete"] and not result["broken"] and not _lost(result)
            codes.append(0 if whole else IncompleteError.exit_code)
        results.append(result)
        if not app.as_json:
            _tell(app, result)
        for alarm in alarms_of(result):
            app.alarm(alarm)
    app.facts |= {
        "archives": len(results),
        "unreadable": [result["archive"] for result in results if not result["ok"]],
        "incomplete": [result["archive"] for result in results if result["ok"] and not result["complete"]],
        "dangling": [result["archive"] for result in results if result["ok"] and result["broken"]],
        "not_brought_back": [result["archive"] for result in results if _lost(result)],
        "reasons": {result["archive"]: told for result in results if (told := _reasons(result))},
    }
    app.outcome = _in_words(app.facts)
    if app.as_json:
        app.emit({"archives": results})
    elif len(results) != 1:
        app.line(f"{app.outcome}.")
    worst = (IntegrityError.exit_code, AccessError.exit_code, BackupError.exit_code)
    return next((code for code in worst if code in codes), max(codes, default=0))


def _lost(result: dict[str, Any]) -> bool:
    rehearsal = result.get("rehearsal")
    return rehearsal is not None and not rehearsal["whole"]


def _reasons(result: dict[str, Any]) -> list[str]:
    """Say why an archive is not whole, for the log: MOST_REASONS lines at the most."""
    if not result["ok"]:
        return [printable(result["problem"])]
    rehearsal = result.get("rehearsal", {})
    told = [f"not read: {r['name']}: {r['reason']}" for r in result["refused"] if r["missing"]]
    told += [] if result["consistent"] else ["it kept changing while it was read"]
    told += [f"dangling: {line}" for line in result["dangling"]] if result["broken"] else []
    told += [f"the rehearsal failed: {rehearsal['problem']}"] if "problem" in rehearsal else []
    told += [f"did not come back: {_residue(line)}" for line in rehearsal.get("residue", [])]
    more = len(told) - MOST_REASONS
    return [printable(line) for line in told[:MOST_REASONS]] + ([f"and {more} more"] if more > 0 else [])


def alarms_of(result: dict[str, Any]) -> Iterator[Alarm]:
    """Yield what is wrong with one archive: it cannot be read, lacks something, or would not come back."""
    named = parse_name(result["archive"].rpartition("/")[2])
    archive = result["archive"] if named is None else f"{named.slug}/{named.digest_prefix}"
    workspace = named.slug if named is not None else ""
    if not result["ok"]:
        remedy = "take another; `prune --quarantine` puts damaged ones aside"
        yield Alarm(What.UNREADABLE, f"{archive}: {result['problem']}", remedy, workspace)
        return
    workspace = workspace or result["source"]["slug"] or result["source"]["workspace_id"]
    reasons = some_of(_reasons(result), 3, "; ")
    if not result["complete"]:
        yield Alarm(What.INCOMPLETE, f"{archive}: {reasons}", "take another, or back up again", workspace)
    elif result["broken"] or _lost(result):
        remedy = f"`jitsu-backup verify {archive} --rehearse` lists all of it"
        yield Alarm(What.NOT_RESTORABLE, f"{archive}: {reasons}", remedy, workspace)


def _residue(line: dict[str, str]) -> str:
    what = f"{line['type']} {line['name']}" + (f" {line['path']}" if line["path"] else "")
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
    return f"{facts['archives']} archive(s): " + (", ".join(told) or "all whole")


def _readers(
    app: App, snapshots: tuple[str, ...], *, stored: bool, latest: bool
) -> Iterator[tuple[str, Read]]:
    if stored:
        found = latest_of_each(app.archives(), utc_now()) if latest else app.archives()
        app.tell_of_strangers()
        if not found:
            raise BackupError(f"the store {app.store.url} is empty: there is nothing to verify")
        for archive in found:
            yield str(archive), lambda archive=archive: open_stored(app, archive)  # type: ignore[misc]
    for reference in snapshots:
        yield reference, lambda reference=reference: open_snapshot(app, reference)  # type: ignore[misc]


def _check(name: str, snapshot: Snapshot) -> dict[str, Any]:
    document = snapshot_document(snapshot, digest(snapshot))
    dangling = dangling_references(snapshot)
    return {
        "archive": name,
        "ok": True,
        **document,
        "dangling": [str(one) for one in dangling],
        "broken": sorted({str(one.key) for one in dangling if not one.dead}),
    }


def _rehearse(app: App, snapshot: Snapshot) -> dict[str, Any]:
    meant = sum(snapshot.manifest.counts.values())
    source = snapshot.manifest.source
    app.say(f"rehearsing {source.slug or source.workspace_id} in a sandbox ...")
    try:
        found = rehearse(snapshot)
    except BackupError as problem:
        return {"whole": False, "restored": 0, "meant": meant, "problem": str(problem), "residue": []}
    except Exception as bug:  # noqa: BLE001  as above
        return {
            "whole": False,
            "restored": 0,
            "meant": meant,
            "problem": str(MistakeError.of(bug)),
            "residue": [],
        }
    return {
        "whole": found.whole,
        "restored": found.restored,
        "meant": meant,
        "seconds": round(found.seconds, 3),
        "residue": residue_document(found.residue),
    }


def _tell(app: App, result: dict[str, Any]) -> None:
    if not result["ok"]:
        app.line(f"UNREADABLE  {result['problem']}")
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
