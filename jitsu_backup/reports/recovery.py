"""The report about the recovery of a console, planned or carried out, in words: for the terminal and for pages."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from jitsu_backup.errors import BlockedError, UsageError
from jitsu_backup.model import ago, lasting, lasting_between, plural, quoted, some_of
from jitsu_backup.operations.recovery import (
    Clash,
    LeftOut,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
)
from jitsu_backup.operations.recovery.unused import locked_workspaces, without_another
from jitsu_backup.operations.recovery_losses import LossKind
from jitsu_backup.reports.overlay import console_overlay_tables
from jitsu_backup.reports.recovery_endings import (
    Ending,
    Standing,
    ending,
    may_not_write,
    standing,
    written,
)
from jitsu_backup.reports.recovery_keys import made_keys, planned_keys
from jitsu_backup.reports.recovery_next_steps import (
    CHANGED_IDS,
    CHANGED_LINKS,
    WAYS_BACK,
    about_blocked,
    about_permission,
    carry_out,
    changed_ids,
    changed_links,
    next_steps,
    renumbered,
    take_back,
    to_provide,
    to_save,
    ways_back,
)
from jitsu_backup.reports.recovery_older import about_older, backed_up, older_in_words, passed_over
from jitsu_backup.reports.recovery_plan_lists import (
    NEW_IDS,
    called,
    over_existing,
    standing_in_words,
    taken_ids,
    will_differ,
)
from jitsu_backup.reports.recovery_remarks import (
    REBIND,
    RestoreCommand,
    called_rows,
    elsewhere_rows,
    forecast_in_words,
    generation_in_words,
    in_recovery,
    kept_rows,
    note_rows,
    refused_names,
    role_in_words,
    secrets_rows,
    unknown_rows,
    without_rows,
)
from jitsu_backup.reports.recovery_values import Listing, NextStep, RecoveryReport, RecoverySummary
from jitsu_backup.reports.summary import without_particulars

_MOST_MEMBERS = 10
_WITHOUT = "Left out, because something they need no longer existed"
_ELSEWHERE = "Goes into another workspace"
_CALLED = "Called differently on this console"
_SECRETS = "Older archives with secrets that the newest one lacks"
_KEPT = "Kept as changed in the target since the last recovery"
_SHORT = {
    LossKind.SECRET: ("secret", "secrets"),
    LossKind.GRANT: ("grant", "grants"),
    LossKind.REVERSE_SYNC: ("sync off", "syncs off"),
    LossKind.FEATURE: ("feature", "features"),
    LossKind.PROVISIONED: ("provisioned destination", "provisioned destinations"),
}


def plan_summary(report: RecoveryReport) -> RecoverySummary:
    """Return the report of a plan."""
    plan = report.plan
    counts = Counter(map(standing, plan.workspaces))
    parts = [f"{counts[kind]} {kind.words_for(counts[kind])}" for kind in Standing if counts[kind]]
    older = sum(one.newer is not None for one in plan.workspaces)
    parts += [f"{older} from an older archive"] if older else []
    parts += [f"{len(plan.left_out)} left out"] if plan.left_out else []
    return RecoverySummary(
        "Recovery plan", _subject(plan), ", ".join(parts) or "no workspace to recover in the store",
        plan.exit_code == 0, tuple(_plan_facts(report)), tuple(filter(_filled, _plan_listings(report))),
        tuple(_decisions(report)), tuple(missing_overlay(plan)),
    )  # fmt: skip


def run_summary(report: RecoveryReport, run: RecoveryRun) -> RecoverySummary:
    """Return the report of a recovery that was carried out, completely or in part."""
    endings = Counter(map(ending, run.outcomes))
    back = sum(count for kind, count in endings.items() if kind.good)
    total = len(run.outcomes) + sum(bool(one.exit_code) for one in run.plan.left_out)
    state = f"{back} of {plural(total, 'workspace')} restored completely"
    return RecoverySummary(
        "Recovery", _subject(run.plan), "; ".join(filter(None, (state, troubles(run)))), run.exit_code == 0,
        tuple(_run_facts(report, run)), tuple(filter(_filled, _run_listings(report, run))),
        tuple(next_steps(report, run)),
    )  # fmt: skip


def troubles(run: RecoveryRun) -> str:
    """Return how many workspaces were not restored completely, by kind, and how many were left out; an empty text if none."""
    endings = Counter(map(ending, run.outcomes))
    parts = [f"{endings[kind]} {kind.words}" for kind in Ending if endings[kind] and not kind.good]
    parts += [f"{len(run.plan.left_out)} left out"] if run.plan.left_out else []
    if unrecorded := sum(bool(outcome.unrecorded) for outcome in run.outcomes):
        parts.append(f"the record of {unrecorded} could not be stored")
    return ", ".join(parts)


def missing_overlay(plan: RecoveryPlan) -> list[str]:
    """Return the tables of an overlay with all missing secrets, to be filled in."""
    found = ((one.slug, one.prepared.plan) for one in plan.workspaces if one.prepared is not None)
    return console_overlay_tables(found)


def _decisions(report: RecoveryReport) -> list[NextStep]:
    """Return what to decide before more can be recovered than the plan says. Whatever is blocked, there is a step."""
    steps = list(_to_decide(report))
    if (stuck := len(report.plan.stuck)) and not steps:
        blocked = f"Resolve what is blocked ({plural(stuck, 'workspace')}), as its reason advises"
        steps.insert(0, NextStep(f"{blocked}, then run the same command again", report.again))
    if any(one.kept for one in report.plan.workspaces):
        steps.append(take_back(report))
    return [*steps, *carry_out(report)]


def _to_decide(report: RecoveryReport) -> Iterator[NextStep]:
    plan = report.plan
    if locked := locked_workspaces(plan):
        of = plural(locked, "workspace")
        yield NextStep(
            f"Give the key that opens the archives of {of}, --identity FILE or the passphrase, then run the same command again"
        )
    wrong = sum(isinstance(one.problem, UsageError) for one in plan.stuck)
    if wrong:
        yield NextStep(
            f"Correct the overlay or the flag that the reason of {plural(wrong, 'blocked workspace')} names, then run the same"
            " command again",
            report.again,
        )
    yield from about_permission(report, plan.workspaces)
    unplanned = sum(not (isinstance(one.problem, BlockedError) or may_not_write(one)) for one in plan.stuck)
    unplanned -= wrong
    if unplanned := unplanned + sum(one.later for one in plan.left_out):
        yield NextStep(
            f"Run the same command again, because {plural(unplanned, 'workspace')} could not be planned",
            report.again,
        )
    yield from about_blocked(report, [(one, one.problem) for one in plan.workspaces])
    yield from to_provide(report)
    yield from to_save(report)
    yield from about_older(report, plan.workspaces)


def _why_stuck(one: WorkspaceRecovery, command: RestoreCommand) -> str:
    """Return why nothing is written into a workspace: the first blocked action, and how many more there are."""
    blocked = () if one.prepared is None else one.prepared.plan.blocked
    others = plural(len(blocked) - 1, "other entity", "other entities")
    of_all = isinstance(one.problem, BlockedError) and one.problem.flags
    alone = of_all or len(blocked) < 2
    more = "" if alone else f" (and {others} {'is' if len(blocked) == 2 else 'are'} blocked)"
    return ("" if one.problem is None else reason(one.problem, one, command)) + more


def reason(problem: BaseException, one: WorkspaceRecovery, command: RestoreCommand) -> str:
    """Return why nothing was written into a workspace, or not everything."""
    return in_recovery(str(problem), one, command)


def _filled(listing: Listing) -> bool:
    return bool(listing.rows)


def _subject(plan: RecoveryPlan) -> str:
    return plan.host if plan.source_host in ("", plan.host) else f"{plan.source_host} → {plan.host}"


def _plan_facts(report: RecoveryReport) -> Iterator[tuple[str, str]]:
    plan = report.plan
    yield "from", report.store
    yield from _ages(report)
    if plan.going:
        yield (
            "to write",
            f"{plural(plan.writes, 'entity', 'entities')} to {plural(len(plan.going), 'workspace')}",
        )
    yield "console", generation_in_words(plan)
    yield "write keys", planned_keys(plan)
    yield "takes", _takes(plan)
    members = sum(len(one.members) for one in plan.workspaces)
    if members:
        into = sum(bool(one.members) for one in plan.workspaces)
        yield "to invite", f"{plural(members, 'member')} to {plural(into, 'workspace')}, by hand"


def _takes(plan: RecoveryPlan) -> str:
    """Return how long it takes to carry out a plan, and how long once nothing is blocked; an empty text if nothing is done."""
    whole = plan.unblocked
    if not plan.going:
        return f"once nothing is blocked, {forecast_in_words(whole)}" if whole.going else ""
    if whole.seconds_at_most == plan.seconds_at_most:
        return forecast_in_words(plan)
    later = lasting_between(whole.seconds, whole.seconds_at_most)
    return f"{forecast_in_words(plan)}; unblocked, {later}"


def _ages(report: RecoveryReport) -> Iterator[tuple[str, str]]:
    oldest = report.plan.oldest
    if oldest is not None:
        newest = max(one.archive.taken_at for one in report.plan.workspaces)
        yield (
            "backed up",
            _moment(newest, report.now)
            + (
                f", the oldest {_moment(oldest, report.now)}"
                if newest - oldest > timedelta(minutes=1)
                else ""
            ),
        )
    yield "older", older_in_words(report.plan.workspaces)
    for host in report.plan.other_hosts:
        yield "note", f"the store also has archives of {host}; --from {host} restores from them"


def _moment(moment: datetime, now: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC ({ago(moment, now)})"


def _plan_listings(report: RecoveryReport) -> Iterator[Listing]:
    plan = report.plan
    stuck = [(one.slug, _why_stuck(one, report.restore)) for one in plan.stuck]
    yield Listing(
        "Blocked: nothing is written to these workspaces",
        ("Workspace", "Why"),
        tuple(stuck),
        urgent=True,
        alike=True,
    )
    yield _left_out(plan.left_out)
    yield passed_over(plan.workspaces)
    yield claimed_by_several(plan)
    unknown = tuple(unknown_rows(plan.workspaces))
    yield Listing(
        "Types that this console does not support", ("Type", "Entities", "Of"), unknown, urgent=True
    )
    yield will_differ(plan.workspaces, report.restore)
    refused = tuple(refused_names(plan.workspaces))
    yield Listing("Names that this console rejects", ("Workspace", "What"), refused, urgent=True, alike=True)
    yield from over_existing(plan.workspaces)
    yield taken_ids(plan.workspaces)
    yield from _remarks(plan.workspaces)
    ordered = sorted(plan.workspaces, key=lambda one: not _remarkable(one))
    rows = tuple(_plan_row(one, report.now) for one in ordered)
    yield Listing("Workspaces", ("Workspace", "Now", "Backed up", "To write", "New keys", "Missing"), rows)
    yield _to_set_by_hand(
        (one.slug, option.section, option.problem) for one in plan.workspaces for option in one.options
    )
    yield _lacking(plan.workspaces)
    yield _members(plan.workspaces)
    yield Listing(
        "Notes", ("Workspace", "Note"), tuple(note_rows(plan.workspaces, report.restore)), alike=True
    )


def _remarks(workspaces: Sequence[WorkspaceRecovery]) -> Iterator[Listing]:
    columns = ("Workspace", "What")
    yield Listing(_WITHOUT, columns, tuple(without_rows(workspaces)), urgent=True, alike=True)
    yield Listing(_SECRETS, columns, tuple(secrets_rows(workspaces)), alike=True)
    yield Listing(_KEPT, columns, tuple(kept_rows(workspaces)), alike=True)
    yield Listing(_ELSEWHERE, columns, tuple(elsewhere_rows(workspaces)), alike=True)
    yield Listing(_CALLED, columns, tuple(called_rows(workspaces)), alike=True)


def claimed_by_several(plan: RecoveryPlan) -> Listing:
    """Return the names that several workspaces of a plan claim."""
    clashes = tuple((one.name, _clash_in_words(one)) for one in plan.clashes)
    return Listing(
        "Claimed by several workspaces", ("Name", "What happens"), clashes, urgent=True, alike=True
    )


def _clash_in_words(clash: Clash) -> str:
    first, *others = clash.claimed_by
    return f"this {clash.kind.value} goes to {first}, not to {some_of(others, 3)}"


def _remarkable(one: WorkspaceRecovery) -> bool:
    return bool(one.problem or one.is_old or one.passed_over or lacking(one))


def _plan_row(one: WorkspaceRecovery, now: datetime) -> tuple[str, ...]:
    made = 0 if one.prepared is None else one.prepared.plan.made_keys
    lacks = ", ".join(lacking(one))
    return one.slug, standing_in_words(one), backed_up(one, now), _to_write(one), str(made or ""), lacks


def _to_write(one: WorkspaceRecovery) -> str:
    """Return how many entities are written, and of how many if that is less."""
    writes, entities = one.writes if one.goes else 0, len(one.snapshot.entities)
    return f"{writes:,}" + (f" of {entities:,}" if writes < entities else "")


def lacking(one: WorkspaceRecovery) -> list[str]:
    """Return what is not restored into a workspace, counted in a few words; new write keys are counted elsewhere."""
    counts = Counter(loss.kind for loss in one.losses)
    return [f"{counts[kind]} {words[counts[kind] > 1]}" for kind, words in _SHORT.items() if counts[kind]]


def _left_out(found: Sequence[LeftOut]) -> Listing:
    slugs = Counter(one.slug for one in found)
    rows = tuple(
        (
            one.slug if slugs[one.slug] == 1 else f"{one.slug} ({one.workspace_id})",
            without_another(one.why),
        )
        for one in sorted(found, key=lambda one: not one.exit_code)
    )
    urgent = any(one.exit_code for one in found)
    return Listing("Left out", ("Workspace", "Why"), rows, urgent=urgent, alike=True)


def _to_set_by_hand(found: Iterable[tuple[str, str, str]]) -> Listing:
    rows = tuple((slug, f"{section}: {problem}") for slug, section, problem in found if problem)
    return Listing("Options to set by hand", ("Workspace", "Why"), rows, alike=True)


def _lacking(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    rows = tuple(
        (one.slug, loss.kind.one, str(loss)) for one in workspaces for loss in (*one.losses, *one.keys_before)
    )
    return Listing("What is not restored automatically", ("Workspace", "What", "Of"), rows, detailed=True)


def _members(workspaces: Iterable[WorkspaceRecovery]) -> Listing:
    rows = tuple(
        (one.slug, member.email, role_in_words(member)) for one in workspaces for member in one.members
    )
    return Listing(
        "Members to invite", ("Workspace", "Member", "Role"), rows, detailed=len(rows) > _MOST_MEMBERS
    )


def _run_facts(report: RecoveryReport, run: RecoveryRun) -> Iterator[tuple[str, str]]:
    made = sum(outcome.made for outcome in run.outcomes)
    yield "from", report.store
    yield from _ages(report)
    yield "created", plural(made, "workspace") if made else ""
    yield "written", plural(sum(map(written, run.outcomes)), "entity", "entities")
    yield "console", generation_in_words(run.plan)
    yield "write keys", made_keys(run, report.keys_out)
    yield "took", lasting(run.seconds)


def _run_listings(report: RecoveryReport, run: RecoveryRun) -> Iterator[Listing]:
    ended = [(outcome, ending(outcome)) for outcome in run.outcomes]
    bad = tuple(
        (outcome.recovery.slug, f"{how.words}: {_why(outcome, report.restore)}")
        for outcome, how in ended
        if not (how.good or how in (Ending.PARTLY, Ending.OLDER))
    )
    yield Listing("Not recovered", ("Workspace", "Why"), bad, urgent=True, alike=True)
    unsafe = tuple(
        (outcome.recovery.slug, f"it could not be backed up before it was written: {outcome.unbacked}")
        for outcome in run.outcomes
        if outcome.unbacked and outcome.result is not None
    )
    yield Listing("Cannot be undone", ("Workspace", "Why"), unsafe, urgent=True, alike=True)
    yield Listing(
        "Still different",
        ("Workspace", "What", "Why"),
        tuple(_residue(run, report.restore)),
        urgent=True,
        alike=True,
    )
    unrecorded = tuple((o.recovery.slug, o.unrecorded) for o in run.outcomes if o.unrecorded)
    yield Listing(
        "Records that could not be stored", ("Workspace", "Why"), unrecorded, urgent=True, alike=True
    )
    yield Listing(NEW_IDS, ("Workspace", "What", "New id"), tuple(renumbered(run)))
    yield _left_out(run.plan.left_out)
    yield passed_over(run.plan.workspaces)
    yield from _remarks([outcome.recovery for outcome in run.outcomes])
    ordered = sorted(ended, key=lambda pair: pair[1].good)
    rows = tuple(_run_row(outcome, how, report.now) for outcome, how in ordered)
    yield Listing("Workspaces", ("Workspace", "Ended", "Backed up", "Written", "New keys", "Missing"), rows)
    yield _to_set_by_hand(
        (o.recovery.slug, left.section, left.problem) for o in run.outcomes for left in o.options_left
    )
    options = ((o.recovery.slug, ", ".join(o.options_set)) for o in run.outcomes if o.options_set)
    yield Listing("Options that were set", ("Workspace", "Sections"), tuple(options), detailed=True)
    recoveries = [outcome.recovery for outcome in run.outcomes]
    yield _lacking(recoveries)
    yield _members(recoveries)
    yield Listing(
        CHANGED_IDS,
        ("Workspace", "Previous id", "Id on this console"),
        tuple(changed_ids(run)),
        detailed=True,
    )
    links = ("Workspace", "What", "Previous id", "Id on this console")
    yield Listing(CHANGED_LINKS, links, tuple(changed_links(run)), detailed=True)
    yield Listing(WAYS_BACK, ("Workspace", "Command"), ways_back(report, run), detailed=True)


def _why(outcome: RecoveryOutcome, command: RestoreCommand) -> str:
    if outcome.problem is not None:
        return reason(outcome.problem, outcome.recovery, command)
    return f"the run was interrupted {'before everything was written' if outcome.begun else 'first'}"


def _residue(run: RecoveryRun, command: RestoreCommand) -> Iterator[tuple[str, str, str]]:
    for outcome in run.outcomes:
        slug, result = outcome.recovery.slug, outcome.result
        if outcome.renamed:
            yield (
                slug,
                "its name",
                f"rejected by the console; the workspace is called {quoted(outcome.renamed)}",
            )
        if result is None:
            continue
        refused = [one for one in result.outcomes if one.failed]
        for one in refused:
            yield (
                slug,
                called(one.action),
                in_recovery(f"{one.status.value}: {one.reason}", outcome.recovery, command),
            )
        reported = {one.action.key for one in refused}
        for line in result.found:
            if line.key in reported:
                continue
            step = f"{line.reason} ('What to do next' has the command)" if REBIND in line.reason else ""
            yield (
                slug,
                called(line, line.path),
                step or in_recovery(line.reason, outcome.recovery, command),
            )


def _run_row(outcome: RecoveryOutcome, how: Ending, now: datetime) -> tuple[str, ...]:
    one, result = outcome.recovery, outcome.result
    keys = 0 if result is None else len(result.keys)
    short = {Ending.OLDER: "restored (older)", Ending.BACK: "restored (new)" if outcome.made else "restored"}
    word = short.get(how, how.words)
    lacks = ", ".join(lacking(one))
    return one.slug, word, backed_up(one, now), f"{written(outcome):,}", str(keys or ""), lacks


def kinds_of(rows: Iterable[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    """Return rows in groups whose last columns are equal except for names, numbers and paths."""
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in rows:
        groups[without_particulars(row[-1].replace(row[0], ""))].append(row)
    return list(groups.values())
