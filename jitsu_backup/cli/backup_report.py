"""The report of a `backup` run: text, one JSON document, and metrics for Prometheus."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsu_backup.cli.app import App, place_of, utc_now
from jitsu_backup.cli.unpack import changes_in_words
from jitsu_backup.errors import BackupError, NotFoundError
from jitsu_backup.model import parse_iso_time, plural, shown_time, unknown_secrets
from jitsu_backup.operations.alarms import Again, What
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome
from jitsu_backup.operations.save import Saved
from jitsu_backup.reports import saved_document, unchanged_document

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import RunFigures


def figures_for(app: App, run: BackupRun, waits: float | None, *, stored: bool) -> "Sequence[RunFigures]":
    """Return the metrics of each workspace; `stored` says whether the archives of the run are in the store.

    `waits` is as in `remedy_for`.
    """
    from jitsu_backup.reports.metrics import RunFigures  # noqa: PLC0415  few runs need its library

    ended, again = utc_now(), again_for(app, run)
    return [
        RunFigures(
            workspace=(o.source and o.source.slug) or o.label,
            workspace_id=o.workspace_id if o.source is None else o.source.workspace_id,
            exit_code=o.exit_code,
            seconds=o.seconds,
            ended=ended,
            counts=_counts(o),
            size=o.saved.size if o.saved is not None and o.saved.written else None,
            newest=None if o.archive is None or not stored else o.archive.taken_at,
            store="" if o.archive is None or not stored else app.store.url,
            alarms=tuple(o.alarms(again, waits)),
            unknown=isinstance(o.failure, NotFoundError) and not run.had_archive_of(o.label),
        )
        for o in run.outcomes
        if not o.label.startswith("@")  # the workspace is unknown
    ]


def again_for(app: App, run: BackupRun) -> Again:
    """Return `app.again` for the alarms of a run, with what opens the encrypted archives that their commands name."""
    return app.again_with_keys(archive for one in run.outcomes for archive in one.named)


def _counts(outcome: WorkspaceOutcome) -> Mapping[str, int] | None:
    """Return the number of entities by type; empty if unchanged since the last read, None if the backup failed."""
    if outcome.saved is not None:
        return outcome.saved.snapshot.manifest.counts
    return None if outcome.unchanged is None else {}


def note(app: App, run: BackupRun, output: Path | None) -> None:
    """Store how a run ended for the log and the monitor."""
    app.facts |= {
        "store": app.store.url if output is None else str(output),
        "workspaces": [_line(outcome) for outcome in run.outcomes],
        "unseen": list(run.unseen),
    }
    if run.removed is not None:
        app.facts |= {"removed": run.removed.gone, "not_removed": run.removed.stuck}
    app.outcome = _in_words(run)
    app.alarms = list(run.alarms(again_for(app, run), app.waits))
    if run.unpacked is not None:
        app.facts["unpacked"] = run.unpacked


def report(app: App, run: BackupRun, output: Path | None) -> None:
    """Print how a run ended, and every alarm. Raise the failure of the only workspace."""
    failed, removed, unpacked = run.failed, run.removed, run.unpacked
    if len(run.outcomes) == 1 and failed and isinstance(failed[0].failure, BackupError):
        for alarm in app.alarms[1:]:  # the first is about what is raised
            app.show_alarm(alarm)
        raise failed[0].failure
    documents = [_document(app, output, one) for one in run.saved]
    unread = [unchanged_document(one, place_of(app, one.archive, output)) for one in run.unchanged]
    if app.as_json:
        failures = [f"{outcome.label}: {outcome.problem}" for outcome in failed]
        described = {
            "snapshots": documents + unread,
            "failures": failures,
            "removed": removed.gone if removed else 0,
        }
        app.emit(described if unpacked is None else {**described, "unpacked": unpacked})
    else:
        for one, document in zip(run.saved, documents, strict=True):
            _tell(app, one, document)
        for document in unread:
            _tell_unchanged(app, document)
        if unpacked is not None and "problem" not in unpacked:
            app.line(f"  {changes_in_words(unpacked)}")
        if len(run.outcomes) != 1 or removed is not None or run.unseen:
            app.line(app.outcome + ".")
    alike = [alarm for alarm in app.alarms if alarm.what is What.UNSEEN]
    for alarm in app.alarms:  # on standard error, which cron mails
        if len(alike) == 1 or alarm.what is not What.UNSEEN:
            app.show_alarm(alarm)
    if len(alike) > 1:
        app.problem(unseen_in_words(run, app.again))


def unseen_in_words(run: BackupRun, again: Again) -> str:
    """Return one message about all workspaces that only the store has: by slug, and with the id if another has the slug too."""
    slugs = run.slugs_before
    named = [f"{slugs[name]} ({name})" if name in slugs else name for name in run.unseen]
    access = "give the owner of the key access to them again; "
    if run.sees_all:
        access = "the console no longer has them, because the operator's token sees every workspace; "
    return (
        f"{len(named)} workspaces are in the store, but this key cannot see them: {', '.join(named)}; {access}if they were deleted"
        " on purpose, or a recovery replaced them, silence each with --allow-unseen NAME (a slug or an id), or with allow_unseen in the settings; if they or their console were lost, bring them back with"
        f" `{again('recover')}`"
    )


def _document(app: App, output: Path | None, saved: Saved) -> dict[str, Any]:
    return {
        **saved_document(saved, place_of(app, saved.archive, output)),
        "damaged": None if saved.damaged is None else str(saved.damaged),
        "weaker_than": None if saved.better is None else str(saved.better),
        "shrunk": [{"type": f.type, "before": f.before, "now": f.now} for f in saved.falls],
    }


def _line(outcome: WorkspaceOutcome) -> dict[str, Any]:
    saved, seconds = outcome.saved, round(outcome.seconds, 3)
    known = {"workspace": outcome.label, "exit_code": outcome.exit_code, "seconds": seconds}
    if outcome.unchanged is not None:
        archive = outcome.unchanged.archive
        found = {"workspace_id": archive.workspace_id, "id": archive.digest_prefix, "entities": archive.total}
        return {**known, **found, "written": False, "bytes": 0, "complete": True, "asked": True}
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
        "alarm": None if outcome.alarm is None else str(outcome.alarm),
    }


def _in_words(run: BackupRun) -> str:
    outcomes, saved, removed = run.outcomes, run.saved, run.removed
    ended = {
        "backed up": sum(one.written for one in saved),
        "unchanged": sum(not one.written for one in saved) + len(run.unchanged),
        "failed": len(run.failed),
    }
    alarms = Counter(outcome.alarm.what for outcome in outcomes if outcome.alarm is not None)
    alarming = {
        "incomplete": sum(not one.snapshot.manifest.complete for one in saved),
        "shrunk": sum(bool(one.falls) for one in saved),
        "with a damaged newest archive": sum(one.damaged is not None for one in saved),
        "read with a weaker key than before": sum(one.better is not None for one in saved),
        **{f"that {what.words}": count for what, count in alarms.items()},
    }
    besides = {
        f"{'workspace' if len(run.unseen) == 1 else 'workspaces'} no longer seen": len(run.unseen),
        f"old {'archive' if removed and removed.gone == 1 else 'archives'} removed": removed.gone
        if removed
        else 0,
        "not removed because of errors": 0 if removed is None else removed.stuck,
    }
    failed = next((f": {o.label}: {o.problem}" for o in run.failed), "")
    parts = [
        _counts_in_words(ended) or "nothing to do",
        _counts_in_words(alarming),
        _counts_in_words(besides),
    ]
    parts[1] = parts[1] and f"alarms: {parts[1]}"
    return f"{plural(len(outcomes), 'workspace')}: " + "; ".join(filter(None, parts)) + failed


def _counts_in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _tell_unchanged(app: App, document: dict[str, Any]) -> None:
    name = document["source"]["slug"] or document["source"]["workspace_id"]
    since = shown_time(parse_iso_time(document["taken_at"]))
    app.line(
        f"{name}: {plural(document['entities'], 'entity', 'entities')}, unchanged since {since}, not read again, id {document['id']}"
    )


def _tell(app: App, saved: Saved, document: dict[str, Any]) -> None:
    source = document["source"]
    name = source["slug"] or source["workspace_id"]
    total = sum(document["counts"].values())
    state = "complete" if document["complete"] else "INCOMPLETE"
    size = (
        f"{saved.size:,} bytes" if saved.written else f"unchanged since {shown_time(saved.archive.taken_at)}"
    )
    app.line(f"{name}: {plural(total, 'entity', 'entities')}, {state}, {size}, id {document['id']}")
    if saved.written:
        app.line(f"  {document['archive']}")
    for fall in saved.falls:
        app.line(f"  SHRUNK  {fall}")
    if saved.back:
        app.line("  no longer shrunk")
    for refusal in document["refused"]:
        app.line(f"  not read: {refusal['name']}: {refusal['reason']}")
    if not document["consistent"]:
        app.line("  the workspace changed while it was being read; run the backup again")
    if document["secrets"]:
        how = "encrypted" if document["encrypted"] else "not encrypted; protect it like a password"
        app.line(f"  the archive contains {plural(document['secrets'], 'secret')} and key hashes, {how}")
    unknown = unknown_secrets(saved.snapshot)
    if unknown:
        entities = plural(len({(line.type, line.id) for line in unknown}), "entity", "entities")
        app.line(f"  {plural(len(unknown), 'secret')} of {entities} hidden by Jitsu; `show` lists them")
    if document["grants"]:
        grants = plural(len(document["grants"]), "grant")
        app.line(
            f"  {grants} not included (no archive contains them): authorise copies again; `show` lists them"
        )
