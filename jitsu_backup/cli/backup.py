"""`jitsu-backup backup`."""

import math
import re
from pathlib import Path
from typing import Any

from jitsu_backup.archive import is_label
from jitsu_backup.archiver import SaveOptions
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.backup_report import exit_code_of, report, write_metrics
from jitsu_backup.cli.backup_run import Job, Outcome, Run
from jitsu_backup.cli.files import check_new
from jitsu_backup.cli.policy import policy_from, remove_all
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.cli.unpack import bring_up_to_date
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.retention import judge
from jitsu_backup.store import archives

LONGEST_LABELS = 80


@unattended(pings=True)
def backup(
    app: App,
    places: tuple[str, ...],
    everything: bool,
    output: Path | None,
    if_changed: bool,
    labels: tuple[str, ...],
    shrink_alarm: float | None,
    accept_shrink: bool,
    allow_unseen: tuple[str, ...],
    shard: str | None,
    deadline: float | None,
    folder: Path | None,
    redact: bool,
    prune: bool,
    metrics: Path | None,
    plaintext_secrets: bool,
    **policy: Any,
) -> int:
    """Back up what is asked for, then prune and unpack where that is; give the exit code."""
    _check_flags(app, places, output, labels, everything=everything, if_changed=if_changed, prune=prune)
    _check_folder(folder, places, everything=everything, redact=redact)
    given = [name for name, value in policy.items() if value not in (None, ())]
    if given and not prune:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --prune")
    rules = policy_from(app, policy) if prune else None
    share = app.settings.shrink_alarm if shrink_alarm is None else shrink_alarm
    if math.isnan(share) or (deadline is not None and math.isnan(deadline)):
        raise UsageError("--shrink-alarm and --deadline take a number")
    job = Job(
        places,
        everything,
        output,
        SaveOptions(labels, if_changed, accept_shrink, shrink_alarm=share, key=app.keys.mark),
        plaintext_secrets,
        allow_unseen or app.settings.allow_unseen,
        None if shard is None else _shard(shard),
        deadline,
        bares_secrets=folder is not None and not redact,
    )
    metrics_file = metrics or (Path(app.settings.metrics) if app.settings.metrics else None)
    with app.progress() as reporter:
        run = Run(app, job, reporter)
        try:
            outcomes = run_async(run.all())
        except BackupError as failure:  # before any workspace was read
            ended = [Outcome(_name(app, place), None, 0.0, failure=failure) for place in places]
            write_metrics(app, metrics_file, ended, failure.exit_code)
            raise
    removed = None if rules is None else run_async(_prune(app, outcomes, *rules))
    unpacked = _unpack(app, outcomes, folder, redact=redact)
    code = exit_code_of(run, outcomes, removed, unpacked)
    write_metrics(app, metrics_file, outcomes, code)
    report(app, run, outcomes, removed, unpacked)
    return code


def _check_flags(
    app: App, places: tuple[str, ...], output: Path | None, labels: tuple[str, ...],
    *, everything: bool, if_changed: bool, prune: bool,
) -> None:  # fmt: skip
    if everything and places:
        raise UsageError("give workspaces or --all, not both")
    if output is not None and (everything or len(places) > 1):
        raise UsageError("--output takes one workspace; leave it out to write into the store")
    if output is not None and (if_changed or prune):
        raise UsageError(
            f"--output and --{'if-changed' if if_changed else 'prune'}: the one is without the store"
        )
    check_new(output, "--output")
    for label in labels:
        if not is_label(label):
            raise UsageError(
                f"--label {label!r}: lower-case letters, digits and hyphens, 40 at the most, and none of our own marks"
            )
    if len(".".join(labels)) > LONGEST_LABELS:
        raise UsageError(f"--label: {LONGEST_LABELS} characters in all, for they stand in a file's name")
    app.keys.check()  # before anything is read


def _check_folder(folder: Path | None, places: tuple[str, ...], *, everything: bool, redact: bool) -> None:
    if folder is None and redact:
        raise UsageError("--redact is about the folder of --unpack")
    if folder is not None and (everything or len(places) > 1):
        raise UsageError("--unpack takes one workspace: a folder holds no more")


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None or not int(match[1]) < int(match[2]):
        raise UsageError(f"--shard {text!r}: write I/N, with I from 0 to N-1, such as 0/4")
    return int(match[1]), int(match[2])


def _name(app: App, place: str) -> str:
    try:
        return app.settings.workspace_named(place)
    except BackupError:
        return place


async def _prune(app: App, outcomes: list[Outcome], policy: Any, zone: Any) -> tuple[int, int]:
    """Apply the policy to the workspaces of which a whole snapshot is there; give how many went and could not go."""
    done = {o.saved.archive.workspace_id for o in outcomes if o.saved is not None and o.saved.whole}
    try:
        found = [archive for archive in await archives(app.store) if archive.workspace_id in done]
    except BackupError as problem:
        app.problem(f"nothing was pruned: {problem}")
        return 0, 1
    verdicts = judge(found, policy, utc_now(), zone)
    stuck = await remove_all(app, verdicts)
    return sum(not verdict.keep for verdict in verdicts) - len(stuck), len(stuck)


def _unpack(app: App, outcomes: list[Outcome], folder: Path | None, *, redact: bool) -> dict[str, Any] | None:
    """Bring the folder to what was read; say what became of it. A backup that was made counts for more."""
    if folder is None or not outcomes:
        return None
    known: dict[str, Any] = {"folder": str(folder)}
    for saved in (outcome.saved for outcome in outcomes if outcome.saved is not None):
        if not saved.snapshot.manifest.complete:
            # Git would show as deleted what was only not read
            return {**known, "problem": f"{folder} was left as it is: the snapshot is incomplete"}
        try:
            return bring_up_to_date(app, saved.snapshot, folder, redacted=redact)
        except BackupError as problem:
            return {**known, "problem": f"{folder} was not brought up to date: {problem}"}
    return {**known, "problem": f"{folder} was left as it is: nothing was backed up"}
