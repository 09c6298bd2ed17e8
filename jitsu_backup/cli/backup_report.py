"""What a run of `backup` tells: text, one JSON document, figures for Prometheus, and its exit code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.archiver import Saved
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.backup_run import Job, Outcome, Run
from jitsu_backup.cli.files import output_name
from jitsu_backup.cli.unpack import changes_in_words
from jitsu_backup.errors import BackupError, IncompleteError
from jitsu_backup.model import unknown_secrets
from jitsu_backup.reports import snapshot_document
from jitsu_backup.store import folder_lock, read_file, write_file


def write_metrics(
    app: App, path: Path | None, outcomes: list[Outcome], exit_code: int, *, stored_elsewhere: bool = False
) -> None:
    """Write the figures of a run to `path`, over what stands there; never raises for a file that cannot be written.

    With `stored_elsewhere` the archive of the run is not in the store.
    """
    if path is None:
        return
    from jitsu_backup.reports.metrics import RunFigures, metrics_text  # noqa: PLC0415  few runs need its library

    ended = utc_now()
    figures = [
        RunFigures(
            workspace=o.label if o.saved is None else _source(o.saved).slug or o.label,
            workspace_id=o.workspace_id if o.saved is None else _source(o.saved).workspace_id,
            exit_code=o.exit_code,
            seconds=o.seconds,
            ended=ended,
            counts=None if o.saved is None else o.saved.snapshot.manifest.counts,
            size=o.saved.size if o.saved is not None and o.saved.written else None,
            newest=None if o.saved is None or stored_elsewhere else o.saved.archive.taken_at,
            store="" if o.saved is None or stored_elsewhere else app.store.url,
        )
        for o in outcomes
        if not o.label.startswith("@")  # nobody knows which workspace that is
    ]
    try:
        with folder_lock(path.parent):  # shards may share a file
            before = read_file(path, regular=True).decode(errors="replace") if path.exists() else ""
            write_file(path, metrics_text(before, figures, exit_code, ended).encode(), mode=0o644)
    except ValueError:
        app.problem(f"--metrics {path}: that file is there and holds no metrics; nothing was written to it")
    except BackupError as problem:  # a backup that was made counts for more than its figures
        app.problem(str(problem))


def _source(saved: Saved) -> Any:
    return saved.snapshot.manifest.source


def note(
    app: App,
    run: Run,
    outcomes: list[Outcome],
    removed: tuple[int, int] | None,
    unpacked: dict[str, Any] | None,
) -> None:
    """Leave how a run ended for the log and the monitor."""
    app.facts |= {"store": app.store.url if run.job.output is None else str(run.job.output)}
    app.facts["workspaces"] = [_line(outcome) for outcome in outcomes]
    app.facts["unseen"] = list(run.unseen)
    if removed is not None:
        app.facts |= {"removed": removed[0], "not_removed": removed[1]}
    app.outcome = _in_words(outcomes, removed, len(run.unseen))
    if unpacked is not None:
        app.facts["unpacked"] = unpacked
        app.outcome += f"; {unpacked['problem']}" if "problem" in unpacked else ""


def report(
    app: App,
    run: Run,
    outcomes: list[Outcome],
    removed: tuple[int, int] | None,
    unpacked: dict[str, Any] | None,
) -> None:
    """Print how a run ended. Raises the failure of a run that was one."""
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    if len(outcomes) == 1 and failed and isinstance(failed[0].failure, BackupError):
        _warn(app, run, [], unpacked)
        raise failed[0].failure
    for outcome in failed:
        app.problem(f"{outcome.label}: {outcome.problem}")
    saved = [outcome.saved for outcome in outcomes if outcome.saved is not None]
    documents = [_document(app, run.job, one) for one in saved]
    if app.as_json:
        failures = [f"{outcome.label}: {outcome.problem}" for outcome in failed]
        more = {} if unpacked is None else {"unpacked": unpacked}
        app.emit(
            {"snapshots": documents, "failures": failures, "removed": removed[0] if removed else 0, **more}
        )
    else:
        for one, document in zip(saved, documents, strict=True):
            _tell(app, one, document)
        if unpacked is not None and "problem" not in unpacked:
            app.line(f"  {changes_in_words(unpacked)}")
        if len(outcomes) != 1 or removed is not None or run.unseen:
            app.line(app.outcome + ".")
    _warn(app, run, outcomes, unpacked)


def _warn(app: App, run: Run, outcomes: list[Outcome], unpacked: dict[str, Any] | None) -> None:
    for outcome in outcomes:
        for alarm in () if outcome.saved is None else _alarms(outcome.saved):
            app.problem(alarm)
        if outcome.alarm is not None:
            app.problem(f"{outcome.label}: {outcome.alarm}")
    for name in run.unseen:
        app.problem(
            f"{name} is in the store, but this key does not see it: is it gone? (--allow-unseen {name}: that is no alarm)"
        )
    if unpacked is not None and "problem" in unpacked:
        app.problem(unpacked["problem"])
    if run.unlisted is not None:
        app.problem(f"{run.unlisted}; so nothing was compared with the archives that are there")


def _alarms(saved: Saved) -> Iterator[str]:
    """Say what is wrong with a snapshot that was stored: on standard error, where cron hears it."""
    manifest = saved.snapshot.manifest
    name = manifest.source.slug or manifest.source.workspace_id
    if saved.falls:
        yield f"{name} has shrunk: {'; '.join(map(str, saved.falls))}{_what_now(saved.baseline)}"
    if saved.damaged is not None:
        was = saved.damaged
        yield (
            f"{was} is damaged: {was.found:,} of its {was.size:,} bytes are there; the workspace was backed up again,"
            " and `prune --quarantine` puts it aside"
        )
    if saved.better is not None:
        before = f"{saved.better.slug}/{saved.better.digest_prefix}"
        hidden = sum(line.type == "link" for line in manifest.ledger)
        yield (
            f"{name} was read with a weaker key than before ({manifest.source.role or 'role unknown'}): {hidden} secrets of"
            f" connections are masked, and `latest` still means {before}; back up with the key of an owner or an editor"
        )
    if not manifest.complete:
        lacking = [f"{r.what} could not be read" for r in manifest.refused if r.missing]
        yield f"{name} is incomplete: {'; '.join(lacking[:3]) or 'it kept changing while it was read'}"


def _what_now(baseline: ArchiveName | None) -> str:
    if baseline is None:
        return ""
    before = f"{baseline.slug}/{baseline.digest_prefix}"
    return f"; {before} has what was there before (`restore` it), or `backup --accept-shrink` if that is as meant"


def exit_code_of(
    run: Run,
    outcomes: list[Outcome],
    removed: tuple[int, int] | None,
    unpacked: dict[str, Any] | None = None,
) -> int:
    """Give the code that a run ends with: that of the first failure where all failed, else 3 where anything is wrong."""
    codes = [outcome.exit_code for outcome in outcomes]
    if codes and all(outcome.failure is not None for outcome in outcomes):
        return codes[0]
    lacking = any(codes) or run.unseen or run.unlisted is not None or (removed is not None and removed[1])
    stale = unpacked is not None and "problem" in unpacked
    return IncompleteError.exit_code if lacking or stale else 0


def _document(app: App, job: Job, saved: Saved) -> dict[str, Any]:
    document = snapshot_document(saved.snapshot, saved.digest)
    where = (
        output_name(job.output) if job.output is not None else f"{app.store.url.rstrip('/')}/{saved.archive}"
    )
    return {
        **document,
        "encrypted": saved.archive.encrypted,
        "id": saved.archive.digest_prefix,
        "archive": where,
        "bytes": saved.size,
        "written": saved.written,
        "damaged": None if saved.damaged is None else str(saved.damaged),
        "weaker_than": None if saved.better is None else str(saved.better),
        "shrunk": [{"type": f.type, "before": f.before, "now": f.now} for f in saved.falls],
    }


def _line(outcome: Outcome) -> dict[str, Any]:
    saved = outcome.saved
    known: dict[str, Any] = {
        "workspace": outcome.label,
        "exit_code": outcome.exit_code,
        "seconds": round(outcome.seconds, 3),
    }
    if saved is None:
        return {**known, "failure": outcome.problem}
    return {
        **known,
        "workspace_id": saved.archive.workspace_id,
        "id": saved.archive.digest_prefix,
        "written": saved.written,
        "bytes": saved.size,
        "entities": sum(saved.snapshot.manifest.counts.values()),
        "complete": saved.snapshot.manifest.complete,
        "shrunk": [str(fall) for fall in saved.falls],
        "damaged": None if saved.damaged is None else str(saved.damaged),
        "weaker_than": None if saved.better is None else str(saved.better),
        "alarm": outcome.alarm,
    }


def _in_words(outcomes: list[Outcome], removed: tuple[int, int] | None, unseen: int = 0) -> str:
    saved = [outcome.saved for outcome in outcomes if outcome.saved is not None]
    words = {
        "backed up": sum(one.written for one in saved),
        "unchanged": sum(not one.written for one in saved),
        "of them incomplete": sum(not one.snapshot.manifest.complete for one in saved),
        "of them shrunken": sum(bool(one.falls) for one in saved),
        "whose newest archive was damaged": sum(one.damaged is not None for one in saved),
        "read with a weaker key than before": sum(one.better is not None for one in saved),
        "with an alarm of another kind": sum(outcome.alarm is not None for outcome in outcomes),
        "failed": len(outcomes) - len(saved),
        "only in the store": unseen,
        "old archives removed": 0 if removed is None else removed[0],
        "that could not be removed": 0 if removed is None else removed[1],
    }
    told = [f"{count} {name}" for name, count in words.items() if count]
    failed = next((f": {o.label}: {o.problem}" for o in outcomes if o.failure is not None), "")
    return f"{len(outcomes)} workspace(s): " + (", ".join(told) or "nothing to do") + failed


def _tell(app: App, saved: Saved, document: dict[str, Any]) -> None:
    source = document["source"]
    name = source["slug"] or source["workspace_id"]
    total = sum(document["counts"].values())
    state = "complete" if document["complete"] else "INCOMPLETE"
    if saved.written:
        app.line(f"{name}: {total} entities, {state}, {saved.size:,} bytes, id {document['id']}")
    else:
        app.line(f"{name}: {total} entities, {state}, unchanged since {saved.archive.taken_at:%Y-%m-%d %H:%M:%S} UTC,"
                 f" id {document['id']}")  # fmt: skip
    app.line(f"  {document['archive']}")
    for fall in saved.falls:
        app.line(f"  SHRUNKEN  {fall}")
    for refusal in document["refused"]:
        app.line(f"  not read: {refusal['what']}: {refusal['reason']}")
    if not document["consistent"]:
        app.line("  it kept changing while it was read: run again")
    if document["secrets"]:
        how = "encrypted" if document["encrypted"] else "in clear: keep it as you keep passwords"
        app.line(f"  {document['secrets']} secret(s) and key hashes are in it, {how}")
    unknown = unknown_secrets(saved.snapshot)
    if unknown:
        entities = len({(line.type, line.id) for line in unknown})
        app.line(
            f"  {len(unknown)} secret(s) of {entities} entities are masked by the console; `show` lists them"
        )
    if document["grants"]:
        grants = len(document["grants"])
        app.line(f"  {grants} grant(s) of the UI are in no archive: a copy needs its own; `show` lists them")
