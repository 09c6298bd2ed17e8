"""Create missing workspaces, one after another, with their previous names and slugs."""

import re
from dataclasses import dataclass, field

from jitsu_backup.console import Console, RefusedError
from jitsu_backup.console.making import make_workspace
from jitsu_backup.console.workspaces import CLOSED, Workspace, find_workspace, is_closed
from jitsu_backup.errors import AccessError, BlockedError, NotFoundError
from jitsu_backup.model import Snapshot, quoted
from jitsu_backup.operations.recovery.values import WorkspaceRecovery

_TAKEN, _BAD_NAME, _BAD_SLUG = "is already taken", "Invalid workspace name", "Invalid workspace slug"
_UNSEEN = (
    "its slug belongs to a workspace that this key cannot see; add the operator's token, which sees every workspace, or"
    " invite the key's user into that workspace; otherwise"
)
_DELETED = "its slug still belongs to a deleted workspace;"
_SHORTEST = 5
OTHER = "OTHER"
"""Stands for the slug of a workspace that a person has to choose, in the value of --into."""


@dataclass(frozen=True, slots=True)
class Made:
    """A workspace that was created. Unless `by_us`, somebody else created it after the plan.

    `renamed` is its name if that is not the previous one.
    """

    workspace: Workspace
    by_us: bool
    renamed: str = ""


@dataclass(slots=True)
class Maker:
    """Create workspaces with the key of `console`. `reader` uses the key that writes into them, so it must see them."""

    console: Console
    reader: Console
    checks_names: bool = field(default=False, init=False)

    async def make(self, recovery: WorkspaceRecovery) -> Made:
        """Return the workspace with the slug of a recovery, created if none has it.

        Raise BlockedError if a person must create it, AccessError, ConsoleError.
        """
        source = recovery.snapshot.manifest.source
        slug = source.slug
        if not slug:
            raise _by_hand(recovery, "the archive does not contain its slug")
        try:
            there = await self._there(slug)
        except AccessError as refusal:
            if CLOSED not in str(refusal):
                raise  # the key itself was rejected
            raise _with_another_slug(recovery, _UNSEEN) from None
        if there is not None:
            return Made(there, by_us=False)
        name = source.name or slug
        if self.checks_names and not _is_plain(name):
            name = slug
        try:
            return await self._made(recovery, name, slug)
        except RefusedError as refusal:
            if _BAD_NAME not in str(refusal) or name == slug:
                raise _refused(recovery, refusal) from None
            self.checks_names = True
        try:
            return await self._made(recovery, slug, slug)
        except RefusedError as refusal:
            raise _refused(recovery, refusal) from None

    async def _made(self, recovery: WorkspaceRecovery, name: str, slug: str) -> Made:
        try:
            made = await make_workspace(self.console, name, slug)
        except RefusedError as refusal:
            if _TAKEN not in str(refusal):
                raise
            there = await self._there(slug)
            if there is None:
                raise _with_another_slug(recovery, _DELETED) from None
            return Made(there, by_us=False)
        had = recovery.snapshot.manifest.source.name
        return Made(made, by_us=True, renamed=name if had and had != name else "")

    async def _there(self, slug: str) -> Workspace | None:
        """Return the workspace with a slug, if the key that writes can see it."""
        try:
            return await find_workspace(self.reader, slug)
        except NotFoundError:
            return None


async def check_slug(
    console: Console, recovery: WorkspaceRecovery, *, is_strict: bool, sees_all: bool
) -> None:
    """Raise BlockedError if a workspace certainly cannot be created because of its slug.

    `is_strict` says that the console checks slugs, `sees_all` that the key can read every workspace.
    """
    slug = recovery.snapshot.manifest.source.slug
    if not slug:
        raise _by_hand(recovery, "the archive does not contain its slug")
    if is_strict and (len(slug) < _SHORTEST or not re.fullmatch(r"[a-z][a-z0-9-]*", slug)):
        rule = (
            f"this console accepts only slugs that begin with a letter and have at least {_SHORTEST} characters, all of them"
            " lower-case letters, digits or hyphens;"
        )
        raise _with_another_slug(recovery, rule)
    if not sees_all and await is_closed(console, slug):
        raise _with_another_slug(recovery, _UNSEEN)


def called_by_slug(recovery: WorkspaceRecovery, live: Snapshot) -> str:
    """Return the slug if a workspace has it as its name, because a console that checks names rejects the previous name.

    `live` is its target, which shows that if it exists already. Return an empty text for any other workspace.
    """
    source, there = recovery.snapshot.manifest.source, live.manifest.source
    refused = source.name and source.slug and not _is_plain(source.name)
    is_new = not there.workspace_id
    return source.slug if refused and source.slug and (is_new or there.name == source.slug) else ""


def _is_plain(name: str) -> bool:
    """Return whether a console that checks names accepts a name (read in its source)."""
    return re.fullmatch(r"[a-zA-Z0-9 \-_']{1,100}", name.strip()) is not None


def _with_another_slug(recovery: WorkspaceRecovery, why: str) -> BlockedError:
    """Return the error for a workspace whose slug is not available."""
    into = f"{recovery.slug}={OTHER}"
    return BlockedError(
        f"its workspace cannot be created: {why} create one with another slug in the UI, and name it with --into {into}"
    ).with_flags("--into", into)


def _refused(recovery: WorkspaceRecovery, refusal: RefusedError) -> BlockedError:
    """Return the error for a workspace that the console rejected."""
    if _BAD_SLUG in str(refusal):
        return _with_another_slug(recovery, f"{refusal};")
    return _by_hand(recovery, str(refusal), "run the same command again; if it keeps failing, ")


def _by_hand(recovery: WorkspaceRecovery, why: str, before: str = "") -> BlockedError:
    """Return the error for a workspace that a person must create, with its name and slug; `before` is what to do first."""
    source = recovery.snapshot.manifest.source
    called = f"named {quoted(source.name)}" if source.name else "with any name"
    slug = f" with the slug {source.slug}" if source.slug else ""
    return BlockedError(
        f"its workspace could not be created: {why}; {before}create one {called}{slug} in the UI and run this again (with --into"
        f" {recovery.slug}=SLUG if it has another slug)"
    )
