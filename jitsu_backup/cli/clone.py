"""`jitsu-backup clone`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.apply_options import check_outputs, refuse_own_keys, split_options
from jitsu_backup.cli.applying import ApplyJob, apply
from jitsu_backup.cli.files import opened_overlay, overlay_of_profile
from jitsu_backup.cli.saved_plans import carry_out_saved, check_plan_out, keep_beside, keep_plan
from jitsu_backup.errors import UsageError
from jitsu_backup.operations.clone import read_source
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.saved_plan import Origin


def clone(
    app: App,
    source: str | None,
    target: str | None,
    plan_out: Path | None,
    plan_in: Path | None,
    **given: Any,
) -> int:
    """Read one workspace and apply it to the other; return the exit code."""
    check_plan_out(plan_out)
    check_outputs(given, plan_out)
    if plan_in is not None:
        if source is not None:
            raise UsageError("--plan FILE names the workspaces; leave out SOURCE and TARGET")
        return carry_out_saved(app, plan_in, given)
    if source is None or target is None:
        given_only = "no workspaces given" if source is None else f"only {source} given"
        raise UsageError(f"{given_only}; name SOURCE and TARGET, or give --plan FILE")
    origin, place = app.settings.place(source), app.settings.place(target)
    path = given["overlay"]
    overlay = None if path is None else opened_overlay(app, path)
    if path is None:
        overlay = overlay_of_profile(app, place.overlay, given["overlay_out"] if given["dry_run"] else None)
    options, run = split_options(app.settings, given, target, overlay)
    refuse_own_keys(app.settings, options, origin)
    with app.progress() as report:
        connection, workspace = app.connection(origin, report), origin.workspace or ""
        snapshot = run_async(read_source(connection, workspace, source, now=utc_now))

    def keep(prepared: PreparedRestore) -> Sequence[str]:
        if plan_out is None:
            return ()
        archive = keep_beside(app, plan_out, snapshot)
        return keep_plan(app, plan_out, prepared, Origin("clone", archive, target, overlay), None)

    run = replace(
        run, elsewhere=True, command="clone", plan_out=plan_out, dry_run=run.dry_run or plan_out is not None
    )
    return apply(ApplyJob(app, place, snapshot, options, run, planned=keep))
