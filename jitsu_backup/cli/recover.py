"""`jitsu-backup recover`."""

import asyncio
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.applying import interruptible
from jitsu_backup.cli.files import check_apart, check_new, check_pages, write_page
from jitsu_backup.cli.output import NOTHING_CHANGED, ask, check_can_ask, interrupted
from jitsu_backup.cli.recovery_job import (
    check_names,
    check_overlay_is_used,
    job_of,
    naming_newest,
    place_of,
    use_store,
)
from jitsu_backup.cli.recovery_progress import RecoveryProgress, planning_progress, recovery_progress
from jitsu_backup.cli.write_keys import check_keys_out, settle_keys, write_keys
from jitsu_backup.clock import seconds_of_this_boot
from jitsu_backup.errors import BackupError, BlockedError
from jitsu_backup.model import plural
from jitsu_backup.operations.archive_keys import ArchiveKeys, keys_to_write
from jitsu_backup.operations.recovery import (
    RecoveryJob,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
    plan_recovery,
    recover as carry_out,
)
from jitsu_backup.operations.restore import PreparedRestore
from jitsu_backup.operations.safeguards import Safeguards
from jitsu_backup.operations.safety_backup import undo_flags
from jitsu_backup.operations.store_space import make_room
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.reports import NOTHING_TO_FILL_IN
from jitsu_backup.reports.recovery import missing_overlay, plan_summary, run_summary
from jitsu_backup.reports.recovery_documents import recovery_document, recovery_plan_document
from jitsu_backup.reports.recovery_markdown import recovery_markdown
from jitsu_backup.reports.recovery_page import recovery_page
from jitsu_backup.reports.recovery_remarks import RestoreCommand, restore_command
from jitsu_backup.reports.recovery_values import RecoveryReport, RecoverySummary
from jitsu_backup.reports.recovery_view import recovery_view
from jitsu_backup.settings import Place
from jitsu_backup.store import of_workspace, write_new_file

_CONTINUE = "run the same command again to continue"
_REMEDY = f"; {make_room()}, then run the same command again"


def recover(app: App, archives: str | None, into: tuple[str, ...], **given: Any) -> int:
    """Plan, show, ask, recover and report; return the exit code."""
    check_names(given["from_host"], given["workspaces"], given["first"])
    use_store(app, archives)
    _check_outputs(given)
    _ = app.keys.identities  # report an unreadable identity once, not for every archive
    place, pairs = place_of(app, into)
    known = app.archives()
    named = partial(_of_console, app, archives, into, given)
    with interrupted(NOTHING_CHANGED), planning_progress(app) as report, naming_newest(named):
        job, overlay = job_of(app, place, pairs, given, known, report)
        plan = run_async(plan_recovery(job, app.store, app.keys, report, now=utc_now))
    check_overlay_is_used(app, given["overlay"], overlay, plan)
    alone = partial(_alone, app, archives, into, given, known)
    found = _Recovery(app, place, job, plan, given, _again(app, archives, into, given), alone)
    if found.is_shown:
        found.show_plan()
    if not found.is_run:
        return plan.exit_code
    found.keys = run_async(keys_to_write(app.keys, lambda: app.store, decrypted=app.keys.decrypted))
    if plan.going and not found.agreed():
        app.say(NOTHING_CHANGED)
        return 1
    with interrupted(_CONTINUE):
        return found.report_run(found.carry_out())


def _check_outputs(given: dict[str, Any]) -> None:
    """Raise UsageError or BackupError for an output that could not be written, before anything is read."""
    check_pages(given["html_out"], given["markdown_out"])
    check_keys_out(given["keys_out"])
    check_new(given["overlay_out"], "--overlay-out")
    names = {
        "--html": "html_out",
        "--markdown": "markdown_out",
        "--keys-out": "keys_out",
        "--overlay-out": "overlay_out",
    }
    check_apart({flag: given[name] for flag, name in names.items()})


def _again(app: App, archives: str | None, into: tuple[str, ...], given: dict[str, Any]) -> str:
    """Return the command to run again, as it was given. It asks nothing where this one asked nothing."""
    named = {
        "--at": given["at"],
        "--from": given["from_host"],
        "--overlay": given["overlay"],
        "--keys-out": given["keys_out"],
        "--html": given["html_out"],
        "--markdown": given["markdown_out"],
    }
    several = {"--into": into, "--workspace": given["workspaces"], "--first": given["first"]}
    switches = ("over_existing", "allow_missing_secrets", "resend_secrets", "wait", "yes")
    return app.again(
        "recover",
        *([archives] if archives and not app.options.get("store") else []),
        *(part for flag, values in several.items() for value in values for part in (flag, value)),
        *(part for flag, value in named.items() if value is not None for part in (flag, str(value))),
        *(f"--{name.replace('_', '-')}" for name in switches if given[name]),
        *_age_flags(app),
    )


def _alone(
    app: App,
    archives: str | None,
    into: tuple[str, ...],
    given: dict[str, Any],
    known: Collection[ArchiveName],
    one: WorkspaceRecovery,
    *flags: str,
) -> str:
    """Return the command that recovers one workspace, which `flags` name, without what is about others or the whole console."""

    def is_meant(name: str) -> bool:
        return any(archive.workspace_id == one.archive.workspace_id for archive in of_workspace(known, name))

    own = tuple(text for text in into if text.startswith("@") or is_meant(text.partition("=")[0]))
    without = {"workspaces": (), "first": (), "at": None, "html_out": None, "markdown_out": None}
    return f"{_again(app, archives, own, {**given, **without})} {shlex.join(flags)}"


def _of_console(
    app: App, archives: str | None, into: tuple[str, ...], given: dict[str, Any], host: str
) -> str:
    """Return the command to run again with the archives of one console."""
    again = _again(app, archives, into, {**given, "from_host": host})
    return f"{again} --dry-run" if given["dry_run"] else again


@dataclass(slots=True)
class _Recovery:
    """One recovery that was planned: shown, asked about, carried out, reported."""

    app: App
    place: Place
    job: RecoveryJob
    plan: RecoveryPlan
    given: dict[str, Any]
    again: str
    alone: RestoreCommand
    keys: ArchiveKeys = field(default_factory=ArchiveKeys)
    made_keys: dict[str, list[StreamKey]] = field(default_factory=dict)
    outcomes: list[RecoveryOutcome] = field(default_factory=list)

    @property
    def is_run(self) -> bool:
        """Whether the plan is carried out, even if nothing is to be written: a killed run may not have left its record."""
        return not self.given["dry_run"] and len(self.plan.stuck) < len(self.plan.workspaces)

    @property
    def is_shown(self) -> bool:
        """Whether the plan is shown: a run that writes nothing only reports its end."""
        return bool(self.plan.going or self.plan.stuck) or not self.is_run

    @property
    def _keys_out(self) -> Path | None:
        path: Path | None = self.given["keys_out"]
        return path

    def show_plan(self) -> None:
        """Show the plan and write the outputs; JSON and pages only if no run follows."""
        app, alone = self.app, not self.is_run
        report = self._report()
        summary = plan_summary(report)
        self._write_overlay()
        if not app.as_json:
            shown = summary if report.overlay_out is None else replace(summary, overlay=())
            app.out.print(recovery_view(shown, verbose=app.verbose))
        elif alone:
            app.emit(recovery_plan_document(report))
        if alone:
            self._write_pages(summary)

    def _report(self, run: RecoveryRun | None = None) -> RecoveryReport:
        named = None if self._keys_out is None else str(self._keys_out)
        ways_back = {} if run is None else self._ways_back(run)
        archives = (one.archive for one in self.plan.workspaces)
        restore = partial(
            restore_command,
            again=self.app.again_with_keys(archives),
            profile=self.place.profile,
            given=_secret_flags(self.given),
        )
        form = None if self.given["overlay_out"] is None else str(self.given["overlay_out"])
        return RecoveryReport(
            self.plan, utc_now(), self.app.store.url, run, named, ways_back, self.again, form, restore,
            self.given["dry_run"], self.alone,
        )  # fmt: skip

    def _write_pages(self, summary: RecoverySummary) -> None:
        write_page(self.app, self.given["html_out"], partial(recovery_page, summary))
        write_page(self.app, self.given["markdown_out"], partial(recovery_markdown, summary))

    def _write_overlay(self) -> None:
        path: Path | None = self.given["overlay_out"]
        if path is None:
            return
        tables = missing_overlay(self.plan)
        if not tables:
            unplanned = sum(one.prepared is None for one in self.plan.stuck)
            but = f" ({plural(unplanned, 'workspace')} could not be planned)" if unplanned else ""
            self.app.say(f"{NOTHING_TO_FILL_IN}{but}, so {path} was not written")
        elif write_new_file(path, ("\n\n".join(tables) + "\n").encode()):
            self.app.say(f"overlay to fill in written to {path}")
        else:
            raise BackupError(f"--overlay-out {path}: the file exists; name another, or remove it first")

    def agreed(self) -> bool:
        """Ask whether to write. Raise BlockedError if new write keys would be lost."""
        plan, keys = self.plan, self.plan.made_keys
        check_can_ask(yes=self.given["yes"])
        if keys and self._keys_out is None:
            raise BlockedError(
                f"blocked, nothing was written into Jitsu: the plan creates {plural(keys, 'new write key')}, which Jitsu shows only once; add"
                " --keys-out keys.json to save them to a file that only you can read"
            )
        return ask(_question(plan), yes=self.given["yes"])

    def carry_out(self) -> RecoveryRun:
        """Carry out the plan; the first Ctrl-C ends it after the current requests."""
        progress = RecoveryProgress(self.plan)
        with recovery_progress(self.app, progress) as (report, shown):

            def ended(outcome: RecoveryOutcome) -> None:
                self.outcomes.append(outcome)
                self._settle(outcome)
                shown(outcome)

            try:
                return run_async(self._carry_out(report, ended))
            except KeyboardInterrupt:
                return self._so_far()

    async def _carry_out(self, report: Any, ended: Callable[[RecoveryOutcome], None]) -> RecoveryRun:
        app, stop = self.app, asyncio.Event()
        job = replace(self.job, target=replace(self.job.target, report=report))
        safeguards = Safeguards(
            app.writable_store, self.keys, utc_now, seconds_of_this_boot,
            report=app.tell, command="recover", wait=self.given["wait"], remedy=_REMEDY,
        )  # fmt: skip
        with interruptible(stop, report):
            return await carry_out(
                job,
                self.plan,
                safeguards,
                report,
                store=app.store,
                stop=stop,
                before_writing=self._keep_keys,
                on_outcome=ended,
            )

    def _keep_keys(self, workspace: WorkspaceRecovery, prepared: PreparedRestore) -> None:
        """Write the new write keys of a workspace to the file before anything is sent. Raise BlockedError without a file."""
        made = list(prepared.keys.values())
        if not made:
            return
        if self._keys_out is None:
            raise BlockedError(
                f"{plural(len(made), 'new write key')} would be lost; add --keys-out keys.json"
            )
        self.made_keys.setdefault(workspace.workspace_id, []).extend(made)
        write_keys(self._keys_out, made, self.plan.host, workspace.slug)

    def _settle(self, outcome: RecoveryOutcome) -> None:
        """Leave only the keys in the file that are in use."""
        made = self.made_keys.get(outcome.recovery.workspace_id)
        if made and self._keys_out is not None and outcome.result is not None:
            try:
                settle_keys(self._keys_out, made, outcome.result, self.plan.host, outcome.recovery.slug)
            except BackupError as problem:  # the file still has all keys, used and unused
                self.app.problem(str(problem))

    def _so_far(self) -> RecoveryRun:
        """Return how far an interrupted run got."""
        known = {outcome.recovery.workspace_id: outcome for outcome in self.outcomes}
        cut_off = (
            known.get(one.workspace_id)
            or RecoveryOutcome(one, one.target_id, failure=one.problem, begun=not one.goes)
            for one in self.plan.workspaces
        )
        return RecoveryRun(self.plan, tuple(cut_off))

    def report_run(self, run: RecoveryRun) -> int:
        """Show how the recovery ended, and write the pages; return the exit code."""
        app = self.app
        report = self._report(run)
        summary = run_summary(report, run)
        if app.as_json:
            app.emit(recovery_document(report))
        else:
            if self.is_shown:
                app.out.print()
            app.out.print(recovery_view(summary, verbose=app.verbose))
        try:
            self._write_pages(summary)
        except BackupError as problem:
            app.problem(str(problem))
            return run.exit_code or 1
        if run.interrupted:
            app.say(f"interrupted; {_CONTINUE}")
        return run.exit_code

    def _ways_back(self, run: RecoveryRun) -> dict[str, str]:
        """Return the commands that undo what was written, by workspace id."""
        profile = self.place.profile
        there = [] if profile is None else [f"@{profile}"]
        return {
            outcome.target_id: self.app.again(
                "undo", "/".join((*there, outcome.target_id)),
                *undo_flags(outcome.result.way_back), *_age_flags(self.app),
            )
            for outcome in run.outcomes
            if outcome.target_id and outcome.result is not None and outcome.result.way_back is not None
        }  # fmt: skip


def _secret_flags(given: dict[str, Any]) -> list[str]:
    """Return the flags about secrets that this run was given, which `restore` has too."""
    overlay = [] if given["overlay"] is None else ["--overlay", str(given["overlay"])]
    switches = ("allow_missing_secrets", "resend_secrets")
    return [*overlay, *(f"--{name.replace('_', '-')}" for name in switches if given[name])]


def _age_flags(app: App) -> list[str]:
    """Return the flags about encryption that this run was given."""
    return [*app.identity_flags, *app.recipient_flags]


def _question(plan: RecoveryPlan) -> str:
    new, going, writes = len(plan.to_make), len(plan.going), plural(plan.writes, "entity", "entities")
    if over := sum(len(one.overwritten) for one in plan.going):
        writes += f", {over:,} of them over {'an existing one' if over == 1 else 'existing ones'},"
    if not new:
        return f"Write {writes} to {plural(going, 'workspace')} on {plan.host}?"
    into = plural(going, "workspace") if new < going else "it" if new == 1 else "them"
    return f"Create {plural(new, 'workspace')} on {plan.host} and write {writes} to {into}?"
