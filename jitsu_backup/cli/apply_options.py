"""The options of `restore` and `clone`, from their flags and the overlay file."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click

from jitsu_backup.cli.files import check_apart, check_new, check_pages
from jitsu_backup.cli.write_keys import check_keys_out
from jitsu_backup.errors import UsageError
from jitsu_backup.operations.saved_plan import LISTS, SWITCHES, plan_options
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.settings import Guard, Place, Settings, holds
from jitsu_backup.settings.overlay_file import OverlayFile


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a plan is carried out, as opposed to what it does.

    `command` is the command that is carried out, `into` the PLACE that the operator named, and `target` the one that the
    command to undo the run must name. `unrecorded` says that it is unknown what the run that is undone wrote. With
    `elsewhere`, the snapshot's own workspace is rejected. With `wait`, the run waits for another one that is writing into
    the workspace. `plan_out` is the file that the plan is saved to, and `saved` says that a saved plan is carried out. With
    `exit_code`, the exit code of a plan that is only shown says whether it would change anything.
    """

    keys_out: Path | None = None
    overlay_out: Path | None = None
    safety_backup: bool = True
    fail_fast: bool = False
    dry_run: bool = False
    yes: bool = False
    wait: bool = False
    command: str = "restore"
    into: str | None = None
    target: str = ""
    unrecorded: bool = False
    elsewhere: bool = False
    html_out: Path | None = None
    markdown_out: Path | None = None
    exit_code: bool = False
    plan_out: Path | None = None
    saved: bool = False


def check_outputs(given: dict[str, Any], plan_out: Path | None) -> None:
    """Raise UsageError or BackupError if a page could not be written, or two outputs are the same file.

    Raise UsageError for --exit-code if the plan is carried out, because then the code says how that ended.
    """
    if given["exit_code"] and not (given["dry_run"] or plan_out is not None):
        raise UsageError("--exit-code is about a plan; add --dry-run or --plan-out FILE")
    check_pages(given["html_out"], given["markdown_out"])
    check_apart(outputs_of(given, plan_out))


def outputs_of(given: dict[str, Any], plan_out: Path | None) -> dict[str, Path | None]:
    """Return the files to write, by flag."""
    pages = {"--html": given["html_out"], "--markdown": given["markdown_out"]}
    return {
        "--plan-out": plan_out,
        **pages,
        "--keys-out": given["keys_out"],
        "--overlay-out": given["overlay_out"],
    }


def refuse_beside_plan(context: click.Context) -> None:
    """Raise UsageError for a flag that changes the plan if it is given together with --plan."""
    names = (*SWITCHES, *LISTS, "ids", "mapping", "sets", "plan_out")
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.name in names:
            raise UsageError(
                f"{parameter.opts[0]} cannot change a saved plan; leave it out, or create a new plan with it"
            )


def run_options(given: dict[str, Any], into: str | None) -> RunOptions:
    """Return the options from the flags that say how a plan is carried out. Raise UsageError."""
    check_keys_out(given["keys_out"])
    check_new(given["overlay_out"], "--overlay-out")
    own = ("command", "into", "target", "unrecorded", "elsewhere", "plan_out", "saved")
    names = (option.name for option in fields(RunOptions) if option.name not in own)
    return RunOptions(**{name: given[name] for name in names}, into=into)


def split_options(
    settings: Settings, given: dict[str, Any], into: str | None, overlay: OverlayFile | None
) -> tuple[PlanOptions, RunOptions]:
    """Return what to plan and how to carry it out, from a command's flags and an overlay file. Raise UsageError."""
    run = run_options(given, into)
    own = (*given["only"], *given["skip"])
    only, skip = settings.selection(given["sets"])
    given = {**given, "only": (*given["only"], *only), "skip": (*given["skip"], *skip)}
    options = plan_options(given, Overlay() if overlay is None else overlay.parse())
    return replace(options, sets=sets_beside(settings, given["sets"], own)), run


def sets_beside(settings: Settings, names: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """Return the set of each selector, without those that are also a command's `own` selectors."""
    return {text: name for text, name in settings.sets_of(names).items() if text not in own}


def guarded(options: PlanOptions, guard: Guard) -> PlanOptions:
    """Return the options plus what the settings of the target protect and ignore."""
    protect = dict.fromkeys((*options.protect, *guard.protect))
    ignored = dict.fromkeys((*options.ignored, *guard.ignore))
    return replace(options, protect=tuple(protect), ignored=tuple(ignored))


def refuse_own_keys(settings: Settings, options: PlanOptions, place: Place) -> None:
    """Raise UsageError if a value of an overlay is or contains one of the tool's own secrets."""
    keys = [secret.reveal() for secret in (place.key, place.admin_token) if secret is not None]
    own = [*keys, *settings.own_secrets()]
    overlays = (options.overlay, *options.overlay.own.values())
    given = {*options.overlay.secrets, *(value.value for one in overlays for value in one.outside)}
    if any(holds(value, key) for value in given for key in own):
        raise UsageError(
            f"overlay: a value contains the API key for {place.host} or another secret of this tool, such as another profile's"
            " key; such secrets must not be written into a workspace; remove it"
        )
