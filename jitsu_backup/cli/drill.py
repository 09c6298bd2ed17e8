"""`jitsu-backup drill`."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.files import check_apart, check_pages, check_path, write_page
from jitsu_backup.cli.recovery_job import (
    check_names,
    check_overlay_is_used,
    moment_of,
    naming_newest,
    overlays_of,
    use_store,
)
from jitsu_backup.cli.recovery_progress import planning_progress
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.operations.drill import Drill, DrillJob, alarms_of, drill as carry_out
from jitsu_backup.operations.recovery_losses import counted, in_words
from jitsu_backup.reports.drill import drill_document, drill_state, drill_summary, forecasts
from jitsu_backup.reports.recovery_markdown import recovery_markdown
from jitsu_backup.reports.recovery_page import recovery_page
from jitsu_backup.reports.recovery_view import recovery_view

if TYPE_CHECKING:
    from jitsu_backup.reports.metrics import Figures


@unattended()
def drill(
    app: App,
    archives: str | None,
    at: str | None,
    from_host: str | None,
    workspaces: tuple[str, ...],
    overlay: Path | None,
    fail_on_losses: bool,
    metrics: Path | None,
    html_out: Path | None,
    markdown_out: Path | None,
) -> int:
    """Rehearse and report; return the exit code."""
    check_names(from_host, workspaces)
    use_store(app, archives)
    check_path(metrics, "--metrics")
    check_pages(html_out, markdown_out)
    check_apart({"--html": html_out, "--markdown": markdown_out, "--metrics": metrics})
    _ = app.keys.identities  # report an unreadable identity once, not for every archive
    known = app.archives()  # raises for a store that was never created
    overlays = overlays_of(app, None, overlay, workspaces, known)
    job = DrillJob(
        moment_of(app, at), from_host, workspaces, app.settings.allow_unseen, overlays.shared, overlays.own
    )
    of_newest = partial(_again, app, at=at, overlay=overlay)
    with (
        planning_progress(app) as report,
        naming_newest(
            lambda newest: of_newest(
                newest, "drill", *(part for one in workspaces for part in ("--workspace", one))
            )
        ),
    ):
        drilled = run_async(
            carry_out(job, app.store, app.keys, report, now=utc_now, monotonic=time.monotonic)
        )
    check_overlay_is_used(app, overlay, overlays, drilled.plan)
    code = drilled.exit_code(fail_on_losses=fail_on_losses)
    app.figures = lambda: figures_of(drilled, code)
    tell = app.alarm if app.as_json else app.alarms.append  # the page has the alarms
    again = partial(_again, app, from_host, at=at, overlay=overlay)
    for alarm in alarms_of(drilled, again, fail_on_losses=fail_on_losses):
        tell(alarm)
    app.outcome = _in_words(drilled)
    app.facts |= {
        "workspaces": len(drilled.workspaces),
        "not_brought_back": [one.outcome.recovery.slug for one in drilled.not_back],
        "left_out": [one.slug for one in drilled.left_out],
        "lacks": counted(drilled.losses),
    }
    summary = drill_summary(drilled, app.store.url, fail_on_losses=fail_on_losses)
    if app.as_json:
        app.emit(drill_document(drilled, app.store.url, fail_on_losses=fail_on_losses))
    else:
        app.out.print(recovery_view(summary, verbose=app.verbose))
    write_page(app, html_out, lambda: recovery_page(summary))
    write_page(app, markdown_out, lambda: recovery_markdown(summary))
    return code


def _again(app: App, from_host: str | None, *arguments: str, at: str | None, overlay: Path | None) -> str:
    """Return the command for the same drill, with the same console, time, overlay and identities."""
    given = {"--from": from_host, "--at": at, "--overlay": overlay}
    flags = (part for flag, value in given.items() if value for part in (flag, str(value)))
    return app.again(*arguments, *flags, *app.identity_flags)


def _in_words(drilled: Drill) -> str:
    """Return how a drill ended, in one line for a monitor."""
    words = drill_state(drilled)
    words += f", {len(drilled.left_out)} left out" if drilled.left_out else ""
    losses = in_words(counted(drilled.losses))
    return f"{words}; a recovery on an empty console would leave this to do: {losses}" if losses else words


def figures_of(drilled: Drill, code: int) -> "Sequence[Figures]":
    """Return the metrics of each workspace, including those without a readable archive, and of the console if one was read."""
    from jitsu_backup.reports.metrics import ConsoleFigures, DrillFigures  # noqa: PLC0415  few runs need its library

    ended = utc_now()
    oldest = drilled.oldest
    console = ConsoleFigures(
        drilled.plan.source_host,
        ended,
        whole=code == 0,
        seconds=drilled.seconds,
        back=len(drilled.back),
        not_back=len(drilled.not_back) + len(drilled.left_out),
        meant=drilled.meant,
        restored=drilled.restored,
        lacks=counted(drilled.losses),
        forecasts=forecasts(drilled),
        oldest=None if oldest is None else oldest.total_seconds(),
        senders=drilled.senders,
        clashes=len(drilled.clashes),
    )
    recovered = (
        DrillFigures(
            one.outcome.recovery.slug,
            one.outcome.recovery.workspace_id,
            ended,
            one.is_back,
            counted(one.losses),
        )
        for one in drilled.workspaces
    )
    left = (
        DrillFigures(one.slug, one.workspace_id, ended, whole=False, lacks={}) for one in drilled.left_out
    )
    known = [console] if drilled.plan.source_host else []  # only a readable archive says which console it is
    return [*known, *recovered, *left]
