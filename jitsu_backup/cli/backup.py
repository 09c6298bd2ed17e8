"""`jitsu-backup backup`."""

import asyncio
import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitsu_backup.archive import is_label
from jitsu_backup.archive.retention import judge
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.backup_alarms import Removed, of_outcome
from jitsu_backup.cli.backup_report import exit_code_of, figures_for, note, report
from jitsu_backup.cli.backup_run import Job, Outcome, Run, name_of
from jitsu_backup.cli.files import check_output, check_path
from jitsu_backup.cli.policy import policy_from, remove_all
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.cli.unpack import bring_up_to_date
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.operations.alarms import reasons_for
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.store import archives, is_time

LONGEST_LABELS = 80


@dataclass
class _Made:
    """What a run has made so far, to be told of however it ends."""

    run: Run | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    removed: Removed | None = None
    unpacked: dict[str, Any] | None = None


@unattended(pings=True)
def backup(app: App, places: tuple[str, ...], metrics: Path | None, **given: Any) -> int:
    """Back up what is asked for, then prune and unpack where that is; leave how it ended; give the exit code."""
    check_path(metrics, "--metrics")
    made = _Made()
    stored_elsewhere = given["output"] is not None
    app.figures = lambda: figures_for(app, made.run, made.outcomes, stored_elsewhere=stored_elsewhere)
    try:
        code = _backup(app, made, places, metrics, **given)
        assert made.run is not None  # noqa: S101  for the type checker
        told = (app, made.run, made.outcomes, made.removed, made.unpacked)
        note(*told)
        report(*told)
    except BaseException as failure:
        if made.run is not None:
            made.outcomes = made.outcomes or made.run.saved
            app.trouble = made.run.trouble()
        if made.run is not None and made.outcomes:
            note(app, made.run, made.outcomes, made.removed, made.unpacked)
        elif isinstance(failure, BackupError):  # before any workspace was read
            made.outcomes = [Outcome(name_of(app, place), None, 0.0, failure=failure) for place in places]
            app.alarms = [alarm for outcome in made.outcomes for alarm in of_outcome(app, outcome)]
        raise
    return code


def _backup(
    app: App,
    made: _Made,
    places: tuple[str, ...],
    metrics: Path | None,
    *,
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
    plaintext_secrets: bool,
    **policy: Any,
) -> int:
    _check_flags(app, places, output, labels, everything=everything, if_changed=if_changed, prune=prune)
    _check_folder(folder, places, everything=everything, redact=redact)
    given = [name for name, value in policy.items() if value not in (None, ())]
    if given and not prune:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --prune")
    rules = policy_from(app, policy) if prune else None
    share = app.settings.shrink_alarm if shrink_alarm is None else shrink_alarm
    if math.isnan(share):
        raise UsageError("--shrink-alarm takes a number")
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
        metrics=app.metrics_file(metrics),
    )
    ends = None if deadline is None else time.monotonic() + deadline
    with app.progress() as reporter:
        made.run = Run(app, job, reporter)
        made.outcomes = run_async(made.run.all())
    if rules is not None:
        made.removed = run_async(_prune(app, made.outcomes, *rules, ends))
    made.unpacked = _unpack(app, made.outcomes, folder, redact=redact)
    return exit_code_of(made.run, made.outcomes, made.removed, made.unpacked)


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
    check_output(app, output)
    for label in labels:
        if not is_label(label):
            raise UsageError(
                f"--label {label!r}: write lower-case letters, digits and hyphens, 40 at the most; words such as"
                " incomplete or json, which stand in file names, are taken"
            )
        if is_time(label):
            raise UsageError(f"--label {label!r}: as a SNAPSHOT this means a time; write another")
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


async def _prune(app: App, outcomes: list[Outcome], policy: Any, zone: Any, ends: float | None) -> Removed:
    """Apply the policy to the workspaces of which a whole snapshot is there.

    What has not gone at the monotonic time `ends` could not.
    """
    done = {o.saved.archive.workspace_id for o in outcomes if o.saved is not None and o.saved.whole}
    try:
        async with asyncio.timeout(_left(ends)):
            found = [archive for archive in await archives(app.store) if archive.workspace_id in done]
    except TimeoutError:
        return Removed(0, 1, f"the store {app.store.url} was not listed before the deadline")
    except BackupError as problem:
        return Removed(0, 1, str(problem))
    verdicts = judge(found, policy, utc_now(), zone)
    stuck = await remove_all(app, verdicts, _left(ends))
    gone = sum(not verdict.keep for verdict in verdicts) - len(stuck)
    return Removed(gone, len(stuck), reasons_for(stuck))


def _left(ends: float | None) -> float | None:
    return None if ends is None else ends - time.monotonic()


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
