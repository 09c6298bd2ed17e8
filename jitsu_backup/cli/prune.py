"""`jitsu-backup prune`."""

from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.archive.retention import Verdict, judge
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.policy import policy_from, remove_all
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.operations.alarms import Alarm, What, reasons_for
from jitsu_backup.reports import archive_document, verdict_table
from jitsu_backup.store import QUARANTINE, exists, of_workspace


@unattended()
def prune(app: App, workspace: str | None, dry_run: bool, quarantine: bool, **given: Any) -> int:
    """Judge the archives, remove what no rule keeps and put aside what is damaged; give the exit code."""
    rules = policy_from(app, given, needed=not quarantine)
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
    damaged = [archive for archive in found if archive.damaged] if quarantine else []
    aside, unmoved = (damaged, []) if dry_run else run_async(_put_aside(app, damaged))
    found = [archive for archive in found if archive not in damaged]
    verdicts = [] if rules is None else judge(found, rules[0], utc_now(), rules[1])
    stuck = [] if dry_run else run_async(remove_all(app, verdicts))
    going = sum(not verdict.keep for verdict in verdicts)
    would = "would be " if dry_run else ""
    told = [
        f"{len(verdicts) - going} kept" if rules else "",
        f"{going - len(stuck)} {would}removed" if rules else "",
        f"{len(stuck)} could not be removed" if stuck else "",
        f"{len(aside)} {would}put aside" if quarantine else "",
        f"{len(unmoved)} could not be put aside" if unmoved else "",
    ]
    app.outcome = ", ".join(filter(None, told))
    _tell(app, verdicts, aside, dry_run=dry_run)
    if stuck:
        app.alarm(Alarm(What.NOT_PRUNED, reasons_for(stuck), "look at the rights of the store's credentials"))
    if unmoved:
        app.alarm(Alarm(What.NOT_PUT_ASIDE, reasons_for(unmoved)))
    return BackupError.exit_code if stuck or unmoved else 0


async def _put_aside(app: App, damaged: list[ArchiveName]) -> tuple[list[ArchiveName], list[str]]:
    """Move damaged archives into the store's quarantine; return those that were, and why others could not be."""
    moved, unmoved = [], []
    for archive in damaged:
        try:
            await app.store.quarantine(str(archive))
        except BackupError as problem:
            unmoved.append(str(problem))
        else:
            moved.append(archive)
    return moved, unmoved


def _tell(app: App, verdicts: list[Verdict], aside: list[ArchiveName], *, dry_run: bool) -> None:
    app.facts |= {"store": app.store.url, "dry_run": dry_run, "put_aside": [str(each) for each in aside]}
    if app.as_json:
        lines = [
            {**archive_document(v.archive), "keep": v.keep, "reasons": list(v.reasons)} for v in verdicts
        ]
        app.emit({**app.facts, "snapshots": lines})
        return
    if verdicts:
        app.out.print(verdict_table(verdicts))
    for archive in aside:
        there = f"{archive.found:,} of its {archive.size:,} bytes are there"
        app.line(f"{archive} {'would go' if dry_run else 'went'} into {QUARANTINE}/: {there}")
    app.line(f"{app.outcome}.")
