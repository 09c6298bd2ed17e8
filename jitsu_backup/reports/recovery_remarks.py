"""What the report of a recovery says about single workspaces: what is kept, left out, and can be done with `restore`."""

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from jitsu_backup.catalogue.rate_limits import WORKSPACE_WINDOW, WORKSPACES_AT_ONCE
from jitsu_backup.model import lasting_between, plural, quoted, some_of
from jitsu_backup.operations.alarms import Again
from jitsu_backup.operations.recovery import Member, RecoveryPlan, WorkspaceRecovery
from jitsu_backup.operations.third_side import NoRecord
from jitsu_backup.planning import Action

Rows = Iterator[tuple[str, ...]]

OF_RESTORE = frozenset(
    (
        "--accept-shrink", "--cursors", "--disable-links", "--enable-reverse-syncs", "--exit-code", "--fail-fast", "--ids",
        "--map", "--match-by-name", "--new-store", "--no-cursors", "--no-safety-backup", "--no-schema-check", "--only",
        "--plan", "--plan-out", "--prune", "--prune-own", "--rebind", "--recreate", "--set", "--skip", "--take",
        "--unprotect", "--with-links",
    )
)  # fmt: skip
"""The flags of `restore` that `recover` does not have."""

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_TABLE = re.compile(r'\["([a-z][a-z0-9-]*/)')
_SHOWN = 3
REBIND = "--rebind"
"""The flag with which only `restore` changes what a reverse sync uses."""

_NOT_RECORDED = (
    "this store has no record of a recovery of it into this workspace, so what people changed here cannot be distinguished from what"
    " the archive has"
)


def _command(*arguments: str) -> str:
    """Return a command without the flags for store and console."""
    return shlex.join(["jitsu-backup", *arguments])


RestoreCommand = Callable[..., str]
"""A function that returns a command for one workspace of a recovery, given it and more flags."""


def restore_command(
    one: WorkspaceRecovery,
    *flags: str,
    again: Again = _command,
    profile: str | None = None,
    given: Iterable[str] = (),
) -> str:
    """Return the command that restores a workspace, with `flags` and those that the recovery was `given`.

    `profile` names the console that is recovered into, if any does.
    """
    target = one.target_id or one.slug
    into = f"@{profile}/{target}" if profile else target
    return again("restore", one.archive.reference, "--into", into, *given, *flags)


def alone_command(_: WorkspaceRecovery, *flags: str) -> str:
    """Return the command that recovers one workspace, which the first of `flags` names."""
    return _command("recover", *flags)


def in_recovery(text: str, one: WorkspaceRecovery, command: RestoreCommand = restore_command) -> str:
    """Return a text about a workspace. If it names flags that only `restore` has, add the `restore` command.

    A table of an overlay gets the workspace's name. `restore` needs a workspace that exists.
    """
    text = _TABLE.sub(lambda found: f'["{one.slug}:{found[1]}', text)
    flags = [flag for flag in dict.fromkeys(_FLAG.findall(text)) if flag in OF_RESTORE]
    if not flags:
        return text
    first = "" if one.target_id else "once the workspace has been created, "
    if REBIND in flags:  # the first of the ways out; no flag of a recovery takes part in it
        return f"{text} ({first}`{command(one, REBIND)}`)"
    has = "has this flag" if len(flags) == 1 else "has these flags"
    return f"{text} ({first}`{command(one)}` {has})"


def kept_rows(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield what the target changed since it was recovered, and keeps."""
    for one in workspaces:
        if one.kept:
            named = some_of([_kept(action) for action in one.kept], _SHOWN)
            yield one.slug, f"{plural(len(one.kept), 'entity', 'entities')}: {named}"


def _kept(action: Action) -> str:
    how = "deleted" if action.deleted_there else f"changed: {some_of(list(action.own), _SHOWN)}"
    return f"{action.key.type} {quoted(action.name)} ({how})"


def without_rows(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield what is left out because something it needs no longer existed when the workspace was backed up."""
    for one in workspaces:
        for line in one.without:
            yield one.slug, f"{line.key.type} {quoted(line.name)}: {line.reason}"


def role_in_words(member: Member) -> str:
    """Return the role of a member to invite, with its date if it is from before an earlier recovery."""
    if member.as_of is None:
        return member.role
    return f"{member.role}, as of {member.as_of:%Y-%m-%d}, before an earlier recovery"


def secrets_rows(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield the older archives that the operator's token read, of workspaces whose newest one lacks secrets."""
    for one in workspaces:
        if (older := one.with_secrets) is not None:
            show = _command("show", older.reference, "TYPE/NAME", "--secrets")
            at = f"--at {older.taken_at:%Y-%m-%dT%H:%M:%S}"
            what = f"{older.dated} was read with the operator's token"
            yield (
                one.slug,
                f"{what}; recover from it with {at}, or print a secret for an overlay with `{show}`",
            )


def _is_elsewhere(one: WorkspaceRecovery) -> bool:
    """Return whether the target is another workspace with another name or slug, which no recovery has written into yet."""
    if one.prepared is None or one.called_now is None or one.target_id == one.workspace_id:
        return False
    return one.prepared.options.record is None


def elsewhere_rows(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield the workspaces that go into another one with another name or slug."""
    for one in workspaces:
        if (now := one.called_now) and _is_elsewhere(one):
            slug = now.slug if now.slug != one.slug else ""
            called = ", ".join(filter(None, (slug, quoted(now.name) if now.name else "")))
            yield one.slug, f"{now.workspace_id} ({called})" if called else now.workspace_id


def called_rows(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield the other workspaces whose name or slug on the target's console differs from the archive."""
    for one in workspaces:
        was, now = one.snapshot.manifest.source, one.called_now
        if now is not None and not _is_elsewhere(one):
            slugs = f"its slug is {now.slug or now.workspace_id}" if was.slug != now.slug else ""
            names = (
                f"its name is {quoted(now.name)}, not {quoted(was.name)}"
                if was.name != now.name and now.name and was.name
                else ""
            )
            yield one.slug, "; ".join(filter(None, (slugs, names)))


def refused_names(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield the names that the console rejects, and the names of their workspaces instead."""
    for one in workspaces:
        if one.renamed:
            name = quoted(str(one.snapshot.manifest.source.name))
            yield one.slug, f"this console rejects its name {name}, so it is called {one.renamed}"


def forecast_in_words(plan: RecoveryPlan) -> str:
    """Return how long it takes to carry out a plan, and what would make that shorter."""
    if not (plan.limited or (plan.to_make and plan.made_limited)):
        return "only as long as the console needs, because it sets no rate limits here"
    takes = lasting_between(plan.seconds, plan.seconds_at_most)
    used_up = ", which an earlier run may have used up" if plan.continues else ""
    if not (plan.made_limited and len(plan.to_make) > WORKSPACES_AT_ONCE):
        return f"{takes} (counting only the console's rate limits{used_up})"
    limit = f"a person's key can create {WORKSPACES_AT_ONCE}{used_up}, then one every {WORKSPACE_WINDOW / 60:.0f} minutes"
    token = "the operator's token" if plan.limited else "the operator's token alone"
    return f"{takes}: {limit}; {token} creates all at once (invite members later)"


def generation_in_words(plan: RecoveryPlan) -> str:
    """Return which generation the target's console is like if it is not the newest, as far as its types show."""
    lacking = [one.not_offered for one in plan.workspaces if one.prepared is not None]
    unknown = set(lacking[0]).intersection(*lacking) if lacking else ()
    if "domain" in unknown:
        return "as of October 2024: types and fields that only newer ones have are not restored"
    return "as of July 2026: it has neither models nor reverse syncs" if "model" in unknown else ""


def not_known(one: WorkspaceRecovery) -> dict[str, int]:
    """Return how many entities of a workspace have a type that the target's console does not support, by type."""
    return dict(Counter(e.key.type for e in one.snapshot.entities if e.key.type in one.not_offered))


def unknown_rows(workspaces: Iterable[WorkspaceRecovery]) -> Rows:
    """Yield the types that the target's console does not support, each with the number of entities and the workspaces."""
    own = {one.slug: not_known(one) for one in workspaces}
    types: dict[str, list[str]] = defaultdict(list)
    for slug, counts in own.items():
        for name in counts:
            types[name].append(slug)
    for name, slugs in sorted(types.items()):
        yield name, str(sum(counts.get(name, 0) for counts in own.values())), some_of(slugs, 5)


def note_rows(workspaces: Iterable[WorkspaceRecovery], command: RestoreCommand) -> Rows:
    """Yield the notes of all plans; a note that several share is yielded once."""
    of: dict[str, list[str]] = defaultdict(list)
    for one in workspaces:
        for note in notes(one, command):
            of[note].append(one.slug)
    for note, slugs in of.items():
        yield some_of(slugs, _SHOWN), note


def notes(one: WorkspaceRecovery, command: RestoreCommand = restore_command) -> list[str]:
    """Return the notes of a plan. About a stranger, which nothing was recovered into, a missing record says nothing."""
    found = () if one.prepared is None else one.prepared.plan.notes
    return [
        _NOT_RECORDED if isinstance(note, NoRecord) else in_recovery(note, one, command)
        for note in found
        if not (one.stranger and isinstance(note, NoRecord))
    ]
