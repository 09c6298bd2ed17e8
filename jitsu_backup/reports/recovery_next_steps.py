"""What to do after a recovery, in the order in which it is done."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from jitsu_backup.catalogue import KEY_FIELDS, is_link, write_key_ids
from jitsu_backup.errors import BlockedError
from jitsu_backup.model import items_of, plural, quoted, some_of
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.operations.recovery import RecoveryOutcome, RecoveryRun, WorkspaceRecovery
from jitsu_backup.operations.recovery.making import OTHER
from jitsu_backup.operations.recovery_losses import LossKind
from jitsu_backup.operations.safeguards import READ_ONLY_ROLES
from jitsu_backup.operations.store_space import make_room
from jitsu_backup.planning import ActionKind, same_workspace
from jitsu_backup.planning.notes import Unsent
from jitsu_backup.reports.recovery_endings import Ending, ending, how_to_run_again, may_not_write
from jitsu_backup.reports.recovery_keys import for_senders
from jitsu_backup.reports.recovery_older import about_older
from jitsu_backup.reports.recovery_plan_lists import NEW_IDS, called
from jitsu_backup.reports.recovery_remarks import REBIND
from jitsu_backup.reports.recovery_values import NextStep, RecoveryReport

CHANGED_IDS = "Workspaces with a new id"
CHANGED_LINKS = "Connections and syncs with a new id"
WAYS_BACK = "How to undo this"
_KEYS_OUT = "--keys-out keys.json"
_FEW = 10


def next_steps(report: RecoveryReport, run: RecoveryRun) -> Iterator[NextStep]:
    """Yield what to do after a recovery."""
    again = how_to_run_again(run, report.store)
    if again:
        yield NextStep(again, report.again)
    elif any(outcome.unbacked for outcome in run.outcomes):
        yield NextStep(f"For the backups of the next run, {make_room(report.store)}")
    recoveries = [outcome.recovery for outcome in run.outcomes]
    yield from about_permission(report, recoveries)
    yield from about_blocked(report, [(o.recovery, o.problem) for o in run.outcomes])
    undecided = [o for o in run.outcomes if ending(o) is Ending.BLOCKED and not _flags_for(o.problem)]
    if undecided:
        yield NextStep(
            f"Resolve what is blocked ({plural(len(undecided), 'workspace')}), then run the same command again",
            "" if again else report.again,
        )
    yield from about_older(report, recoveries)
    yield from map(NextStep, for_senders(run, report.keys_out))
    yield from map(NextStep, _about_hashes(run))
    losses = Counter(
        loss.kind for o in run.outcomes if ending(o).good or o.result for loss in o.recovery.losses
    )
    for kind in LossKind:
        if losses[kind] and kind is not LossKind.WRITE_KEY:
            yield NextStep(f"Still to do: {losses[kind]} {kind.one if losses[kind] == 1 else kind.several}")
    yield from _about_members(run)
    yield from _about_ids(run)
    yield from _about_bound(report, run)
    yield from _about_unsent(report, run)
    if any(outcome.recovery.kept for outcome in run.outcomes):
        yield take_back(report)
    yield from _about_undoing(report, run)


def carry_out(report: RecoveryReport) -> Iterator[NextStep]:
    """Yield the command that carries out a plan of a dry run, as far as it is not blocked."""
    if report.dry_run and report.plan.going:
        keys_out = f" {_KEYS_OUT}" if report.plan.made_keys and report.keys_out is None else ""
        rest = " (what is blocked is left out)" if report.plan.stuck else ""
        yield NextStep(f"To carry out this plan{rest}", f"{report.again}{keys_out}", aside=True)


def take_back(report: RecoveryReport) -> NextStep:
    """Return the command that restores what the target keeps as it changed it."""
    text = "To restore what was deleted or changed since the last recovery"
    return NextStep(text, report.again and f"{report.again} --over-existing", aside=True)


def ways_back(report: RecoveryReport, run: RecoveryRun) -> tuple[tuple[str, str], ...]:
    """Return the slug of each workspace that was written, and the command that undoes that."""
    ways = ((o.recovery.slug, report.ways_back.get(o.target_id or "", "")) for o in run.outcomes)
    return tuple(way for way in ways if way[1])


def _about_undoing(report: RecoveryReport, run: RecoveryRun) -> Iterator[NextStep]:
    """Yield how to undo what was written: each command if there are few, otherwise the first, and where the others are."""
    found = ways_back(report, run)
    if len(found) <= _FEW:
        yield from (
            NextStep(f"To undo {slug}, before another run writes into it", command, aside=True)
            for slug, command in found
        )
        return
    others = f"-v, --html and --markdown list all {len(found)} commands under '{WAYS_BACK}'"
    yield NextStep(
        f"To undo {found[0][0]}, before another run writes into it ({others})", found[0][1], aside=True
    )


def about_permission(report: RecoveryReport, workspaces: Sequence[WorkspaceRecovery]) -> Iterator[NextStep]:
    """Yield what to do about workspaces that the key may not write into, because of its role or unpaid bills."""
    refused = [one for one in workspaces if may_not_write(one)]
    by_role = [
        one.slug for one in refused if one.prepared and one.prepared.plan.target.role in READ_ONLY_ROLES
    ]
    unpaid = [one.slug for one in refused if one.slug not in by_role]
    if by_role:
        yield NextStep(
            f"Run it again with the key of an owner or an editor of {some_of(by_role, 3)}", report.again
        )
    if unpaid:
        yield NextStep(f"Run it again once the bills of {some_of(unpaid, 3)} are paid", report.again)


def about_blocked(
    report: RecoveryReport, ended: Sequence[tuple[WorkspaceRecovery, Exception | None]]
) -> Iterator[NextStep]:
    """Yield the commands that decide what blocks some workspaces, where their problems have the flags for it.

    Flags that name a workspace go into one command, because none of them affects another workspace. A flag for all
    workspaces gets its own, which says whose changes it overwrites besides.
    """
    into = [(one.slug, flags) for one, problem in ended if (flags := _flags_for(problem))[:1] == ("--into",)]
    existing = [one.slug for one, problem in ended if _flags_for(problem) == ("--over-existing",)]
    if into:
        named = [flag for _, both in into for flag in both]
        others = sum(flag.endswith(f"={OTHER}") for flag in named)
        choose = f"; put the slug of an empty workspace in place of {'each ' if others > 1 else ''}{OTHER}"
        yield _continue(report, [slug for slug, _ in into], named, choose if others else "")
    if existing:
        kept = [one.slug for one, _ in ended if one.kept and one.slug not in existing]
        besides = (
            f"; this also restores what was deleted or changed in {some_of(kept, 3)} since the last recovery"
        )
        yield _continue(report, existing, ["--over-existing"], besides if kept else "")


def _continue(report: RecoveryReport, slugs: list[str], flags: list[str], also: str = "") -> NextStep:
    text = f"Continue with what is blocked ({some_of(slugs, 3)}), as the reason advises{also}"
    keys_out = f" {_KEYS_OUT}" if report.plan.unblocked.made_keys and report.keys_out is None else ""
    return NextStep(text, report.again and f"{report.again} {shlex.join(flags)}{keys_out}")


def _flags_for(problem: Exception | None) -> tuple[str, ...]:
    return problem.flags if isinstance(problem, BlockedError) else ()


def to_provide(report: RecoveryReport) -> Iterator[NextStep]:
    """Yield what an overlay has to provide: secrets, and fields that this console requires."""
    stuck = report.plan.stuck
    lacking = (one for one in stuck if not one.plan_options.allow_missing_secrets)
    secrets = sum(loss.kind is LossKind.SECRET for one in lacking for loss in one.losses)
    prepared = (one.prepared.plan for one in stuck if one.prepared is not None)
    fields = sum(len(action.required) for plan in prepared for action in plan.blocked)
    what = [
        plural(secrets, "missing secret") if secrets else "",
        f"{plural(fields, 'field')} that this console requires" if fields else "",
    ]
    if any(what):
        without = "it" if secrets == 1 and not fields else "the secrets" if fields else "them"
        yield NextStep(
            f"Provide {' and '.join(filter(None, what))} with {_form(report)}"
            + (f", or continue without {without}: --allow-missing-secrets" if secrets else "")
        )


def to_save(report: RecoveryReport) -> Iterator[NextStep]:
    """Yield that new write keys need a file, and how many of them are in workspaces that are blocked."""
    keys, now = report.plan.unblocked.made_keys, report.plan.made_keys
    if keys and report.keys_out is None:
        later = f" ({keys - now:,} blocked)" if 0 < now < keys else ""
        yield NextStep(f"Save {plural(keys, 'new write key')}{later} to a file: {_KEYS_OUT}")


def _form(report: RecoveryReport) -> str:
    """Return which file to give secrets in, and where its template is."""
    out = report.overlay_out
    return (
        f"--overlay {out}, once you have filled it in"
        if out
        else "--overlay FILE (--overlay-out FILE writes a template)"
    )


def changed_ids(run: RecoveryRun) -> Iterator[tuple[str, str, str]]:
    """Yield the workspaces that were recovered under another id than in the archive: the slug, the previous id and the new one."""
    for outcome in run.outcomes:
        one = outcome.recovery
        recovered = outcome.made or outcome.problem is None
        if recovered and outcome.target_id not in (None, one.workspace_id):
            yield one.slug, one.workspace_id, str(outcome.target_id)


def renumbered(run: RecoveryRun) -> Iterator[tuple[str, str, str]]:
    """Yield the entities whose planned id something else on the console has: slug, what it is, and its new id."""
    for outcome in run.outcomes:
        for one in with_new_id(outcome):
            planned = one.action.target_id
            if planned is not None and one.target_id != planned:
                yield outcome.recovery.slug, called(one.action), str(one.target_id)


def changed_links(run: RecoveryRun) -> Iterator[tuple[str, str, str, str]]:
    """Yield the connections and syncs that were created: slug, what it is, the previous id, and the new one."""
    for outcome in run.outcomes:
        for one in with_new_id(outcome):
            if is_link(one.action.key):
                yield outcome.recovery.slug, called(one.action), one.action.key.id, str(one.target_id)


def with_new_id(outcome: RecoveryOutcome) -> Iterator[ActionOutcome]:
    """Yield what was created in a workspace under another id than in the archive."""
    for one in outcome.result.outcomes if outcome.result is not None else ():
        is_created = one.action.kind is ActionKind.CREATE and one.target_id is not None
        if is_created and one.target_id != one.action.key.id:
            yield one


def _about_ids(run: RecoveryRun) -> Iterator[NextStep]:
    """Yield one step about everything that has a new id: how many of each, and where they are listed."""
    counts = (
        (len(list(changed_ids(run))), "workspace", "workspaces", CHANGED_IDS),
        (len(list(renumbered(run))), "entity", "entities", NEW_IDS),
        (len(list(changed_links(run))), "connection or sync", "connections and syncs", CHANGED_LINKS),
    )
    found = [f"{plural(n, one, several)} (under '{under}')" for n, one, several, under in counts if n]
    if found:
        yield NextStep(
            f"Correct what uses an id that changed, such as scripts and settings. These have new ids: {', '.join(found)}"
        )


def _about_bound(report: RecoveryReport, run: RecoveryRun) -> Iterator[NextStep]:
    """Yield how to change what a reverse sync uses, which no recovery does: one command for each workspace."""
    for outcome in run.outcomes:
        one, found = outcome.recovery, () if outcome.result is None else outcome.result.found
        bound = sorted({(line.key.type, quoted(line.name)) for line in found if REBIND in line.reason})
        if not bound:
            continue
        by_type = {kind: [name for other, name in bound if other == kind] for kind, _ in bound}
        listed = " and ".join(
            f"{kind}{'s' if len(of) > 1 else ''} {_listed(of)}" for kind, of in by_type.items()
        )
        what = "send the corrected secrets of" if one.plan_options.resend_secrets else "restore"
        yield NextStep(
            f"In {one.slug}, {what} {listed}, which a reverse sync uses", report.restore(one, REBIND)
        )


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) == 2 else some_of(names, 3)


def _about_unsent(report: RecoveryReport, run: RecoveryRun) -> Iterator[NextStep]:
    """Yield how to send the hidden secrets of the overlay that were not sent, because the console may have them already."""
    plans = ((one.recovery.slug, one.recovery.prepared) for one in run.outcomes)
    found = {slug: of.plan for slug, of in plans if of and any(isinstance(n, Unsent) for n in of.plan.notes)}
    if found:
        yield NextStep(
            f"The overlay's hidden secrets were not sent where nothing else changes ({some_of(list(found), 3)}). To send new"
            " values",
            report.again and f"{report.again} --resend-secrets",
            aside=True,
        )


def _about_hashes(run: RecoveryRun) -> Iterator[str]:
    """Yield how to find out whether the write keys work that this run, or the one that it continues, restored from hashes."""
    results = (outcome.result.outcomes for outcome in run.outcomes if outcome.result is not None)
    done = [one.action for outcomes in results for one in outcomes if one.status is Status.DONE]
    keys = (item for action in done for name in KEY_FIELDS for item in items_of(action.body.get(name)))
    continues = any(action.kind is ActionKind.CREATE for action in done)
    if any(isinstance(item, Mapping) and item.get("hash") for item in keys) or (
        continues and any(_had_old_keys(outcome.recovery) for outcome in run.outcomes)
    ):
        yield (
            "Send one event with a previous write key, because such keys only work if this console has the hash secret of"
            " the old one (GLOBAL_HASH_SECRET)"
        )


def _had_old_keys(one: WorkspaceRecovery) -> bool:
    """Return whether the target had write keys before this run that were restored from their hashes."""
    if one.prepared is None or same_workspace(one.snapshot, one.prepared.live):
        return False
    of_streams = (secrets for key, secrets in one.snapshot.secrets.items() if key.type == "stream")
    hashes = {path for secrets in of_streams for path in secrets}
    return any(
        f"{name}.{key}.hash" in hashes for name in KEY_FIELDS for key in write_key_ids(one.prepared.live)
    )


def _about_members(run: RecoveryRun) -> Iterator[NextStep]:
    """Yield how people get back into the workspaces, as one step: an owner first, who invites the others."""
    lonely = [outcome.recovery.slug for outcome in run.outcomes if outcome.memberless]
    members = sum(len(outcome.recovery.members) for outcome in run.outcomes)
    invited = f"{plural(members, 'member')} with their previous {'role' if members == 1 else 'roles'}"
    if lonely:
        then = f"; that person then invites {invited}" if members else ""
        each = ", for each of them" if len(lonely) > 1 else ""
        yield NextStep(
            f"Invite an owner to {some_of(lonely, 3)}, because nobody is a member yet{then}. Jitsu of summer 2026 answers this"
            f" request with the link to open{each}",
            'curl -X POST -H "Authorization: Bearer $JITSU_ADMIN_TOKEN" -H "Content-Type: application/json" -d '
            f"""'{{"email": "EMAIL", "role": "owner"}}' {shlex.quote(f"{run.plan.host}/api/workspace/{lonely[0]}/users")}""",
        )
    elif members:
        yield NextStep(f"Invite {invited}")
