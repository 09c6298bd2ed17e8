"""`jitsu-backup restore`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jitsu_backup.archive import PRE_RESTORE, SHRUNK, parse_name
from jitsu_backup.cli.app import App
from jitsu_backup.cli.apply_options import check_outputs, outputs_of, split_options
from jitsu_backup.cli.applying import ApplyJob, apply
from jitsu_backup.cli.files import check_outside, opened_overlay, overlay_of_profile
from jitsu_backup.cli.saved_plans import carry_out_saved, check_plan_out, keep_plan, reference_beside_plan
from jitsu_backup.cli.snapshot_argument import open_source, place_of_origin
from jitsu_backup.errors import BlockedError, UsageError
from jitsu_backup.model import Snapshot, flag
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.saved_plan import Origin
from jitsu_backup.operations.snapshots import before_loss
from jitsu_backup.store import names_archive


def restore(
    app: App,
    snapshot: str | None,
    into: str | None,
    plan_out: Path | None,
    plan_in: Path | None,
    **given: Any,
) -> int:
    """Plan, show, ask, write and read back; return the exit code."""
    check_plan_out(plan_out)
    check_outputs(given, plan_out)
    if plan_in is not None:
        return carry_out_saved(app, plan_in, given, snapshot=snapshot, into=into)
    if snapshot is None:
        raise UsageError(
            "no snapshot given: name one (latest, 7d, a date, an id prefix, a label, a workspace, a path), or give --plan FILE"
        )
    opened = open_source(app, snapshot, lambda workspace: app.settings.place(into or workspace))
    name, wanted = opened.name, opened.snapshot
    if opened.folder is not None:
        check_outside(opened.folder.path, outputs_of(given, plan_out))
    _refuse_shrunken(app, snapshot, name)
    path = given["overlay"]
    overlay = None if path is None else opened_overlay(app, path)
    if path is None and into is not None and not _is_rollback(app, into, name, wanted):
        form = given["overlay_out"] if given["dry_run"] else None
        overlay = overlay_of_profile(app, app.settings.place(into).overlay, form)
    options, run = split_options(app.settings, given, into, overlay)
    where, place = (
        (into, app.settings.place(into))
        if into is not None
        else place_of_origin(app, wanted.manifest.source, instead=_naming_the_target(wanted))
    )

    def save(prepared: PreparedRestore) -> Sequence[str]:
        if plan_out is None:
            return ()
        origin = Origin("restore", Path(name).resolve().name or None, where, overlay)
        return keep_plan(app, plan_out, prepared, origin, reference_beside_plan(plan_out, snapshot, name))

    if plan_out is not None:
        run = replace(run, plan_out=plan_out, dry_run=True)
    return apply(ApplyJob(app, place, wanted, options, run, planned=save, folder=opened.folder))


def _naming_the_target(snapshot: Snapshot) -> str:
    """Return what to do if a snapshot came from another console, such as one that was recovered into this one."""
    source = snapshot.manifest.source
    return f"name the target, for example with {flag('--into', source.slug or source.workspace_id)}"


def _is_rollback(app: App, into: str, name: str, snapshot: Snapshot) -> bool:
    """Return whether a workspace is rolled back to its own earlier state, so no overlay of a profile applies."""
    archive, place, source = parse_name(name), app.settings.place(into), snapshot.manifest.source
    same = place.host == source.host and place.workspace in (source.workspace_id, source.slug)
    own = archive is not None and (PRE_RESTORE in archive.marks or archive.cloned_from is not None)
    return same or own


def _refuse_shrunken(app: App, reference: str, name: str) -> None:
    """Raise BlockedError if `latest`, a date, a label or a workspace means a shrunk archive."""
    archive = parse_name(name.rpartition("/")[2])
    if archive is not None and SHRUNK in archive.marks and not names_archive(reference, archive):
        loss = before_loss(archive, app.archives(), app.settings.shrink_alarm)
        raise BlockedError(
            f"{reference} is marked shrunk: many entities are missing: {loss}; name the archive to restore (this one is"
            f" {archive.reference})"
        )
