"""`jitsu-backup clone`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jitsu_backup.catalogue import names_of_refused
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.applying import apply, refuse_own_keys, split_options
from jitsu_backup.cli.files import check_apart, check_page
from jitsu_backup.cli.overlay import open_overlay
from jitsu_backup.cli.planned import carry_out_saved, keep_beside, keep_plan
from jitsu_backup.cli.saved import check_plan_out
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.errors import IncompleteError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.alarms import reasons_in_words
from jitsu_backup.planning import Plan
from jitsu_backup.settings import Place


def clone(
    app: App,
    source: str | None,
    target: str | None,
    plan_out: Path | None,
    plan_in: Path | None,
    **given: Any,
) -> int:
    """Read one workspace and apply it to the other; give the exit code."""
    check_plan_out(plan_out)
    check_page(given["html_out"])
    check_apart(
        {
            "--plan-out": plan_out,
            "--html": given["html_out"],
            "--keys-out": given["keys_out"],
            "--overlay-out": given["overlay_out"],
        }
    )
    if plan_in is not None:
        if source is not None:
            raise UsageError("--plan FILE says which workspaces; leave out both PLACEs")
        return carry_out_saved(app, plan_in, given)
    if source is None or target is None:
        raise UsageError("which workspaces? give two PLACEs, from and to, or --plan FILE")
    origin, place = app.settings.place(source), app.settings.place(target)
    path = given["overlay"] or place.overlay
    overlay = None if path is None else open_overlay(path)
    options, run = split_options(given, target, overlay)
    refuse_own_keys(app.settings, options, origin)
    with app.progress() as report:
        snapshot = run_async(_read(app, origin, report))
    if not snapshot.manifest.complete:
        names = names_of_refused(snapshot)
        lacking = [(names[r.what], r.reason) for r in snapshot.manifest.refused if r.missing]
        what = reasons_in_words(lacking) or "it kept changing while it was read"
        raise IncompleteError(f"{source} could not be read whole, so nothing was cloned: {what}")

    def keep(plan: Plan, live: Snapshot) -> None:
        if plan_out is not None:
            archive = keep_beside(app, plan_out, snapshot)
            keep_plan(
                app, plan_out, plan, live, options, snapshot,
                command="clone", archive=archive, reference=None, into=target, overlay=overlay,
            )  # fmt: skip

    run = replace(run, elsewhere=True, command="clone", dry_run=run.dry_run or plan_out is not None)
    return apply(app, place, snapshot, options, run, planned=keep)


async def _read(app: App, origin: Place, report: Reporter) -> Snapshot:
    async with app.console(origin, report) as console:
        return await read_workspace(console, origin.workspace or "", now=utc_now, report=report)
