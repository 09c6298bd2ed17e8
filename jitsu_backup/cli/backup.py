"""`jitsu-backup backup`."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from jitsu_backup.archive import is_label
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.backup_report import figures_for, note, report
from jitsu_backup.cli.files import check_output, check_path, write_output
from jitsu_backup.cli.notifying import RUN_SECONDS, Notifier, NotifyFlags, nobody, who_by
from jitsu_backup.cli.policy import policy_from
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.cli.unpack import bring_up_to_date
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.backup_outcome import BackupRun, WorkspaceOutcome
from jitsu_backup.operations.prune import prune_workspaces
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.store import is_time, shown_url

LONGEST_LABELS = 80


@dataclass
class _Made:
    """The results so far, to be reported however the run ends."""

    backup: Backup | None = None
    run: BackupRun | None = None

    @property
    def known(self) -> BackupRun:
        """How the run ended, or how far it got."""
        so_far = BackupRun() if self.backup is None else self.backup.so_far()
        return self.run or so_far


@unattended(pings=True)
def backup(app: App, places: tuple[str, ...], metrics: Path | None, **given: Any) -> int:
    """Back up, then prune and unpack if asked to; report how it ended; return the exit code."""
    check_path(metrics, "--metrics")
    output: Path | None = given["output"]
    made = _Made()
    app.figures = lambda: figures_for(app, made.known, app.waits, stored=output is None)
    try:
        _backup(app, made, places, metrics, **given)
        note(app, made.known, output)
        report(app, made.known, output)
    except BaseException as failure:
        if made.backup is not None:
            app.trouble = made.backup.trouble()
        if made.known.outcomes:
            note(app, made.known, output)
        elif isinstance(failure, BackupError):  # before any workspace was read
            failed = (WorkspaceOutcome(_name_of(app, place), None, 0.0, failure=failure) for place in places)
            made.run = replace(made.known, outcomes=tuple(failed))
            app.alarms = [alarm for one in made.run.outcomes for alarm in one.alarms(app.again, app.waits)]
        raise
    return made.known.exit_code


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
    full_every: float,
    folder: Path | None,
    redact: bool,
    prune: bool,
    plaintext_secrets: bool,
    notify: str | None,
    notify_every: float | None,
    **policy: Any,
) -> None:
    _check_flags(app, places, output, labels, everything=everything, if_changed=if_changed, prune=prune)
    app.in_plain_text = plaintext_secrets
    notify_flags = NotifyFlags(notify, notify_every)
    notify_flags.check(stored=output is None)
    _check_folder(folder, places, everything=everything, redact=redact)
    given = [name for name, value in policy.items() if value not in (None, ())]
    if given and not prune:
        raise UsageError(f"--{given[0].replace('_', '-')} needs --prune; add it")
    retention = policy_from(app, policy) if prune else None
    share = shrink_share(app, shrink_alarm)
    job = BackupJob(
        (),
        everything,
        save=SaveOptions(labels, if_changed, accept_shrink, shrink_alarm=share, key=app.keys.mark),
        plaintext=plaintext_secrets,
        bares_secrets=folder is not None and not redact,
        allow_unseen=allow_unseen or app.settings.allow_unseen,
        shard=None if shard is None else _shard(shard),
        deadline=deadline,
        # the folder needs a full read
        full_every=timedelta(seconds=full_every) if folder is None else None,
    )
    ends = None if deadline is None else time.monotonic() + deadline
    made.run = _run(app, made, job, places, output, app.metrics_file(metrics))
    if output is None:  # before pruning can remove the archives to compare with
        known = made.run.stored_before
        who = nobody if made.backup is None else who_by(made.backup.job.workspaces, known)
        left = _left(ends)
        seconds = RUN_SECONDS if left is None else left / 2  # the rest is for pruning
        run_async(Notifier(app, notify_flags).tell(made.run.held, known, who, seconds=seconds))
    # before pruning can remove the archive that the folder names
    made.run = replace(made.run, unpacked=_unpack(app, made.run, folder, redact=redact))
    if retention is not None:
        whole = {one.archive.workspace_id for one in made.run.outcomes if one.whole and one.archive}
        removed = prune_workspaces(app.store, whole, retention, now=utc_now, left=lambda: _left(ends))
        made.run = replace(made.run, removed=run_async(removed))


def _run(
    app: App, made: _Made, job: BackupJob, places: tuple[str, ...], output: Path | None, metrics: Path | None
) -> BackupRun:
    """Back up places into the store or a file; return how it ended."""
    with app.progress() as reporter:
        workspaces, unusable = places_of(app, places, reporter, everything=job.everything)
        job = replace(job, workspaces=workspaces, unusable=unusable)
        backup = partial(Backup, job, keys=app.keys, report=reporter, now=utc_now, monotonic=time.monotonic)
        if output is not None:
            made.backup = backup(store=None, output=partial(write_output, output))
        else:  # read the metrics before listing the store, so nothing that another run writes in between is lost
            made.backup = backup(store=app.store, expected=app.expected_store(metrics))
        return run_async(made.backup.run())


def shrink_share(app: App, given: float | None) -> float:
    """Return the share from --shrink-alarm or the settings. Raise UsageError if it is not a number."""
    share = app.settings.shrink_alarm if given is None else given
    if math.isnan(share):
        raise UsageError("--shrink-alarm takes a number; write a share, such as 0.5")
    return share


def places_of(
    app: App, places: tuple[str, ...], reporter: Reporter, *, everything: bool
) -> tuple[tuple[WorkspaceAccess, ...], tuple[WorkspaceOutcome, ...]]:
    """Resolve places by the settings; return those that can be read, and the outcomes of those that cannot."""
    found: list[WorkspaceAccess] = []
    unusable: list[WorkspaceOutcome] = []
    for text in places or (None,):
        try:
            place = app.settings.place(text, workspace_needed=not everything)
        except BackupError as failure:
            unusable.append(WorkspaceOutcome(_name_of(app, text or ""), None, 0.0, failure=failure))
            continue
        connection, token = app.connection(place, reporter), place.admin_token
        operator = None if token is None else replace(connection, key=token)
        found.append(WorkspaceAccess(connection, place.workspace, operator))
    return tuple(found), tuple(unusable)


def _name_of(app: App, place: str) -> str:
    """Return the id or slug of the workspace that a place means, or the place itself if the settings do not say."""
    try:
        return app.settings.workspace_named(place)
    except BackupError:
        return shown_url(place)


def _check_flags(
    app: App, places: tuple[str, ...], output: Path | None, labels: tuple[str, ...],
    *, everything: bool, if_changed: bool, prune: bool,
) -> None:  # fmt: skip
    if everything and places:
        raise UsageError("give workspaces or --all, not both")
    if output is not None and (everything or len(places) > 1):
        raise UsageError("--output takes one workspace; leave it out to write to the store")
    if output is not None and (if_changed or prune):
        other = "if-changed" if if_changed else "prune"
        raise UsageError(f"--output does not use the store, but --{other} needs it; leave out one of them")
    check_output(app, output)
    for label in labels:
        if not is_label(label):
            raise UsageError(
                f"--label {label!r}: use at most 40 lower-case letters, digits and hyphens; words such as incomplete or json are"
                " reserved"
            )
        if is_time(label):
            raise UsageError(
                f"--label {label!r}: this means a time when used as a SNAPSHOT; choose another label"
            )
    if len(".".join(labels)) > LONGEST_LABELS:
        raise UsageError(
            f"--label: the labels are too long for a file name; use at most {LONGEST_LABELS} characters in all"
        )
    app.keys.check()  # before anything is read


def _check_folder(folder: Path | None, places: tuple[str, ...], *, everything: bool, redact: bool) -> None:
    if folder is None and redact:
        raise UsageError("--redact needs --unpack FOLDER; add that")
    if folder is not None and (everything or len(places) > 1):
        raise UsageError("--unpack takes one workspace, because a folder holds only one; name one")


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None or not int(match[1]) < int(match[2]):
        raise UsageError(f"--shard {text!r}: use I/N with I from 0 to N-1, such as 0/4")
    return int(match[1]), int(match[2])


def _left(ends: float | None) -> float | None:
    """Return the seconds until the monotonic time `ends`."""
    return None if ends is None else ends - time.monotonic()


def _unpack(app: App, run: BackupRun, folder: Path | None, *, redact: bool) -> Mapping[str, Any] | None:
    """Update the folder and return the result. Report a failure without raising it, because the backup itself was made."""
    if folder is None or not run.outcomes:
        return None
    why = f"{folder}: nothing was backed up"
    for saved in run.saved:
        try:
            if saved.snapshot.manifest.complete:
                return bring_up_to_date(app, saved.snapshot, folder, redacted=redact)
            # else Git would show entities as deleted that were only not read
            why = f"{folder}: the snapshot is incomplete"
        except BackupError as problem:
            why = str(problem) if str(folder) in str(problem) else f"{folder}: {problem}"
    return {"folder": str(folder), "problem": why}
