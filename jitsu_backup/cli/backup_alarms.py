"""What is wrong after a run of `backup`, for all who are told."""

import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import names_of_refused
from jitsu_backup.cli.app import App
from jitsu_backup.cli.backup_run import Outcome, Run
from jitsu_backup.model import plural
from jitsu_backup.operations.alarms import Alarm, What, reasons_in_words
from jitsu_backup.operations.save import Saved


class Removed(NamedTuple):
    """How many old archives went, how many could not go, and why not."""

    gone: int
    stuck: int = 0
    why: str = ""


def alarms_of(
    run: Run, outcomes: list[Outcome], removed: Removed | None, unpacked: dict[str, Any] | None
) -> list[Alarm]:
    """Return what is wrong: with each workspace, then with the run."""
    return [
        *(alarm for outcome in outcomes for alarm in of_outcome(run.app, outcome)),
        *_of_run(run, removed, unpacked),
    ]


def of_outcome(app: App, outcome: Outcome) -> Iterator[Alarm]:
    """Yield what is wrong with one workspace."""
    if outcome.failure is not None:
        remedy = app.remedy_for(outcome.failure, outcome.label)
        yield Alarm(What.FAILED, outcome.problem, remedy, outcome.label)
    if outcome.saved is not None:
        yield from _of_saved(app, outcome.saved, outcome.label)
    if outcome.alarm is not None:
        yield outcome.alarm


def _of_run(run: Run, removed: Removed | None, unpacked: dict[str, Any] | None) -> Iterator[Alarm]:
    for name in run.unseen:
        yield Alarm(
            What.UNSEEN, "is it gone?", f"{shlex.join(['--allow-unseen', name])}: that is no alarm", name
        )
    if removed is not None and removed.stuck:
        yield Alarm(What.NOT_PRUNED, removed.why, "`prune` removes them later")
    if unpacked is not None and "problem" in unpacked:
        yield Alarm(What.NOT_UNPACKED, unpacked["problem"])
    if run.unlisted is not None:
        yield Alarm(What.UNCOMPARED, str(run.unlisted), "give the store's credentials the right to list")


def _of_saved(app: App, saved: Saved, label: str) -> Iterator[Alarm]:
    manifest = saved.snapshot.manifest
    name = manifest.source.slug or label or manifest.source.workspace_id
    if saved.falls:
        why = "; ".join(map(str, saved.falls))
        yield Alarm(What.SHRUNK, why, _after_a_fall(saved.baseline), name)
    if saved.damaged is not None:
        was = saved.damaged
        why = f"{was} is damaged: {was.found:,} of its {was.size:,} bytes are there"
        remedy = "the workspace was backed up again, and `prune --quarantine` puts the damaged one aside"
        yield Alarm(What.DAMAGED, why, remedy, name)
    if saved.better is not None:
        role = manifest.source.role or "of a role unknown"
        hidden = sum(line.type == "link" for line in manifest.ledger)
        before = f"{saved.better.slug}/{saved.better.digest_prefix}"
        remedy = (
            "back up with the key of an owner or an editor, or `backup --accept-shrink` if that is as meant"
        )
        why = f"{plural(hidden, 'secret')} of connections {'is' if hidden == 1 else 'are'} masked (it is {role}), and `latest` still means {before}"
        yield Alarm(What.WEAKER, why, remedy, name)
    if not manifest.complete:
        yield _incomplete(app, saved, name)


def _incomplete(app: App, saved: Saved, name: str) -> Alarm:
    names, manifest = names_of_refused(saved.snapshot), saved.snapshot.manifest
    lacking = [(names[r.what], r.reason) for r in manifest.refused if r.missing]
    if not lacking:
        return Alarm(
            What.INCOMPLETE, "it kept changing while it was read", "run it again when nobody edits", name
        )
    remedy = f"the next run reads it again; `{app.again('check', name)}` shows what the key may read"
    return Alarm(What.INCOMPLETE, reasons_in_words(lacking), remedy, name)


def _after_a_fall(baseline: ArchiveName | None) -> str:
    accept = "`backup --accept-shrink` if that is as meant"
    if baseline is None:
        return accept
    before = f"{baseline.slug}/{baseline.digest_prefix}"
    return f"{before} has what was there before (`restore` it), or {accept}"
