"""`jitsu-backup prune`."""

from typing import Any

from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.policy import policy_from, remove_all
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.reports import archive_document, verdict_table
from jitsu_backup.retention import Verdict, judge
from jitsu_backup.store import exists, of_workspace


@unattended()
def prune(app: App, workspace: str | None, dry_run: bool, **given: Any) -> int:
    """Judge the archives and remove what no rule keeps; give the exit code."""
    policy, zone = policy_from(app, given)
    found = app.archives()
    if workspace is not None:
        name = app.settings.workspace_named(workspace)
        found = of_workspace(found, name)
        ids = sorted({archive.workspace_id for archive in found})
        if len(ids) > 1:
            raise UsageError(f"--workspace {name!r} could be {' or '.join(ids)}: write one of these ids")
        if not found:
            raise BackupError(f"no snapshot of workspace {name!r} in the store {app.store.url}")
    if not found and not exists(app.store):
        raise BackupError(f"the store {app.store.url} is not there")
    if not found:
        app.problem(f"the store {app.store.url} is empty")
    verdicts = judge(found, policy, utc_now(), zone)
    stuck = [] if dry_run else run_async(remove_all(app, verdicts))
    going = sum(not verdict.keep for verdict in verdicts)
    app.outcome = (
        f"{len(verdicts) - going} kept, {going - len(stuck)} {'would be ' if dry_run else ''}removed"
        + (f", {len(stuck)} could not be removed" if stuck else "")
    )
    _tell(app, verdicts, dry_run=dry_run)
    return BackupError.exit_code if stuck else 0


def _tell(app: App, verdicts: list[Verdict], *, dry_run: bool) -> None:
    app.facts |= {"store": app.store.url, "dry_run": dry_run}
    if app.as_json:
        lines = [
            {**archive_document(v.archive), "keep": v.keep, "reasons": list(v.reasons)} for v in verdicts
        ]
        app.emit({**app.facts, "snapshots": lines})
        return
    if verdicts:
        app.out.print(verdict_table(verdicts))
    app.line(f"{app.outcome}.")
