"""`jitsu-backup prune`."""

from collections.abc import Collection, Iterable
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.policy import policy_from
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import plural, shown_time, some_of
from jitsu_backup.operations import prune as pruning
from jitsu_backup.operations.prune import Damage, Pruned
from jitsu_backup.operations.recovery.unused import without_another
from jitsu_backup.reports import archive_document, verdict_table
from jitsu_backup.store import QUARANTINE, exists, instead_of, named_archives, substitutes


@unattended()
def prune(app: App, workspace: str | None, dry_run: bool, quarantine: bool, **given: Any) -> int:
    """Apply the policy: remove what no rule keeps, quarantine damaged archives; return the exit code.

    With `quarantine`, the policy applies only if a flag says what to keep: whoever moves damaged archives away does not
    expect that others are removed.
    """
    keeps = any(value not in (None, ()) for name, value in given.items() if name.startswith("keep_"))
    retention = policy_from(app, given) if keeps or not quarantine else None
    found = _archives(app, workspace)
    damage = _damage(app, found) if quarantine else Damage()
    damaged = [archive for archive, _ in damage.archives]
    pruned = run_async(
        pruning.prune(app.store, found, retention, now=utc_now(), damaged=damaged, dry_run=dry_run)
    )
    would = "would be " if dry_run else ""
    parts = [
        f"{pruned.kept} kept" if retention else "",
        f"{pruned.removed} {would}removed" if retention else "",
        f"{len(pruned.stuck)} could not be removed" if pruned.stuck else "",
        f"{len(pruned.aside)} {would}quarantined" if quarantine else "",
        f"{len(pruned.unmoved)} could not be quarantined" if pruned.unmoved else "",
    ]
    app.outcome = ", ".join(filter(None, parts))
    _tell(app, pruned, damage, found, dry_run=dry_run, quarantined_only=retention is None)
    for alarm in pruned.alarms:
        app.alarm(alarm)
    return pruned.exit_code


def _damage(app: App, found: list[ArchiveName]) -> Damage:
    with app.progress() as report:
        damage = run_async(pruning.find_damage(app.store, found, app.keys, report))
    if damage.unopened:
        app.problem(
            f"{plural(damage.unopened, 'encrypted archive')} could not be opened, so only the file sizes were compared; give"
            " the key with --identity FILE"
        )
    if damage.newer:
        names = some_of([archive.reference for archive in damage.newer], 3)
        app.problem(
            f"{plural(len(damage.newer), 'archive')} of a newer format could not be tested, so only the file sizes were compared:"
            f" {names}; upgrade jitsu-backup"
        )
    return damage


def _archives(app: App, workspace: str | None) -> list[ArchiveName]:
    """Return the archives to apply the policy to. Raise UsageError, or BackupError if the store does not exist."""
    found = app.archives()
    if workspace is not None:
        name = app.settings.workspace_named(workspace)
        found = named_archives(found, name, app.store.url)
        ids = sorted({archive.workspace_id for archive in found})
        if len(ids) > 1:
            raise UsageError(f"--workspace {name!r} is ambiguous; use one of these ids: {', '.join(ids)}")
    if not found and not exists(app.store):
        raise BackupError(f"the store {app.store.url} does not exist; check --store")
    if not found:
        app.problem(f"the store {app.store.url} is empty")
    return found


def _instead(archive: ArchiveName, found: Iterable[ArchiveName], damaged: Collection[ArchiveName]) -> str:
    """Return which archive to use in place of a damaged one."""
    own = [one for one in found if one.workspace_id == archive.workspace_id]
    other = next(substitutes(archive, (one for one in own if one not in damaged)), None)
    newest = all(one.sort_key <= archive.sort_key for one in own)
    return instead_of(archive, other, newest=newest, prune=None)


def _tell(
    app: App,
    pruned: Pruned,
    damage: Damage,
    found: Iterable[ArchiveName],
    *,
    dry_run: bool,
    quarantined_only: bool,
) -> None:
    app.facts |= {"store": app.store.url, "dry_run": dry_run, "put_aside": list(map(str, pruned.aside))}
    if app.as_json:
        lines = [
            {**archive_document(v.archive), "keep": v.keep, "reasons": list(v.reasons)}
            for v in pruned.verdicts
        ]
        app.emit({**app.facts, "snapshots": lines})
        return
    if pruned.verdicts:
        app.out.print(verdict_table(pruned.verdicts))
    moved = "would be moved" if dry_run else "was moved"
    for archive, why in damage.archives:
        if archive in pruned.aside:
            app.line(
                f"{archive.reference} of {shown_time(archive.taken_at)} {moved} to {QUARANTINE}/: {without_another(why)};"
                f" {_instead(archive, found, pruned.aside)}"
            )
    if quarantined_only and app.settings.retention:
        app.line(f"The [retention] of the settings was not applied; to apply it, run `{app.again('prune')}`.")
    app.line(f"{app.outcome}.")
