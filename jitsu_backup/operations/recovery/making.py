"""Making the workspaces that are missing, one after another, named and slugged as they were."""

import re
from dataclasses import dataclass, field

from jitsu_backup.console import Console, RefusedError
from jitsu_backup.console.making import make_workspace
from jitsu_backup.console.workspaces import Workspace, find_workspace
from jitsu_backup.errors import AccessError, BlockedError, NotFoundError
from jitsu_backup.model import quoted
from jitsu_backup.operations.recovery.values import WorkspaceRecovery

_TAKEN, _BAD_NAME, _CLOSED = "is already taken", "Invalid workspace name", "doesn't have access"
_UNSEEN = "its slug is that of a workspace which this key cannot see"


@dataclass(frozen=True, slots=True)
class Made:
    """A workspace that was made, or was there: then somebody has made it since the plan. `renamed` tells another name."""

    workspace: Workspace
    by_us: bool
    renamed: str = ""


@dataclass(slots=True)
class Maker:
    """Makes workspaces with one key. `reader` is the console with the key that writes into them, and has to see them."""

    console: Console
    reader: Console
    checks_names: bool = field(default=False, init=False)

    async def make(self, recovery: WorkspaceRecovery) -> Made:
        """Return the workspace for a recovery, made if nothing has its slug. Never make a second one of a slug.

        Raise BlockedError where a person has to make it, AccessError, ConsoleError.
        """
        source = recovery.snapshot.manifest.source
        slug = source.slug
        if not slug:
            raise _by_hand(recovery, "the archive does not know its slug")
        try:
            there = await self._there(slug)
        except AccessError as refusal:
            if _CLOSED not in str(refusal):
                raise  # it is about the key itself
            raise _by_hand(recovery, _UNSEEN) from None
        if there is not None:
            return Made(there, by_us=False)
        name = source.name or slug
        if self.checks_names and not _is_plain(name):
            name = slug
        try:
            return await self._made(recovery, name, slug)
        except RefusedError as refusal:
            if _BAD_NAME not in str(refusal) or name == slug:
                raise _by_hand(recovery, str(refusal)) from None
            self.checks_names = True
        try:
            return await self._made(recovery, slug, slug)
        except RefusedError as refusal:
            raise _by_hand(recovery, str(refusal)) from None

    async def _made(self, recovery: WorkspaceRecovery, name: str, slug: str) -> Made:
        try:
            made = await make_workspace(self.console, name, slug)
        except RefusedError as refusal:
            if _TAKEN not in str(refusal):
                raise
            there = await self._there(slug)
            if there is None:
                raise _by_hand(recovery, _UNSEEN) from None
            return Made(there, by_us=False)
        had = recovery.snapshot.manifest.source.name
        return Made(made, by_us=True, renamed=name if had and had != name else "")

    async def _there(self, slug: str) -> Workspace | None:
        """Return the workspace that has a slug, as far as the key that writes can see."""
        try:
            return await find_workspace(self.reader, slug)
        except NotFoundError:
            return None


def _is_plain(name: str) -> bool:
    """Return whether a console that checks names takes a name (read in its source)."""
    return re.fullmatch(r"[a-zA-Z0-9 \-_']{1,100}", name.strip()) is not None


def _by_hand(recovery: WorkspaceRecovery, why: str) -> BlockedError:
    """Return the error for a workspace that a person has to make, with its name and slug."""
    source = recovery.snapshot.manifest.source
    called = f"named {quoted(source.name)}" if source.name else "of any name"
    slug = f" with the slug {source.slug}" if source.slug else ""
    return BlockedError(
        f"its workspace could not be made: {why}; make one {called}{slug} by hand and run this again (--into"
        f" {recovery.slug}=SLUG where it has another slug)"
    )
