"""Resolve, list and compare the workspaces of a console."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.client import Console, api_path
from jitsu_backup.console.own_user import is_operator
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    ConsoleError,
    KeyRejectedError,
    NotFoundError,
    UnreachableError,
    WrongAddressError,
)
from jitsu_backup.model import Snapshot, features_of, nearest, some_of


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace as the console describes it. `body` is the whole description."""

    id: str
    slug: str | None
    name: str | None
    body: Mapping[str, Any]


async def find_workspace(console: Console, id_or_slug: str) -> Workspace:
    """Return the workspace with an id or slug. Do this before anything else is read.

    Config routes accept only the id, and answer a slug with empty lists [stream/list-by-slug-is-empty].
    Raise NotFoundError, AccessError, ConsoleError.
    """
    try:
        body = await console.get(api_path("workspace", id_or_slug), beside=small_replies())
    except RefusedError as refusal:
        if refusal.kind is RefusalKind.NO_SUCH_ROUTE:
            raise _no_root(console, refusal) from None
        if refusal.kind is RefusalKind.NOT_FOUND:
            raise NotFoundError(
                f"console {console.host}: no workspace {id_or_slug!r} that this key can see{await _visible(console, id_or_slug)}"
            ) from None
        raise refusal.with_context(before=f"console {console.host}: workspace {id_or_slug}: ") from None
    if not isinstance(body, Mapping) or not isinstance(body.get("id"), str):
        raise WrongAddressError(f"console {console.host} does not answer like a Jitsu console")
    return _workspace(body)


def _no_root(console: Console, refusal: RefusedError) -> WrongAddressError:
    """Return the error for an address below which the console's API is not."""
    return WrongAddressError(
        f"{console.host} is not the address of a console's root ({refusal})"
    ).with_remedy("give the address that the UI has, without a path behind it")


LACKING = (RefusalKind.NOT_FOUND, RefusalKind.NO_SUCH_ROUTE)
"""Why an export is rejected that a console does not have."""

CLOSED = "doesn't have access"
"""What a console says about an existing workspace that the key may not see."""


async def is_closed(console: Console, id_or_slug: str) -> bool:
    """Return whether an id or slug is of a workspace that the key may not see. Raise AccessError, ConsoleError."""
    try:
        await console.get(api_path("workspace", id_or_slug), beside=small_replies())
    except AccessError as refusal:
        return _says_closed(refusal)
    except RefusedError:
        return False
    return False


def _says_closed(refusal: AccessError) -> bool:
    """Return True if a refusal is about one workspace. Raise it if it is about the key itself."""
    if CLOSED not in str(refusal):
        raise refusal
    return True


@dataclass(frozen=True, slots=True)
class Workspaces:
    """The workspaces that a key can read. If it is the operator's token (`is_operators`), these are all of the console."""

    found: tuple[Workspace, ...]
    is_operators: bool = False


async def workspaces(console: Console) -> Workspaces:
    """Return all workspaces that the key can read [discovery/workspaces].

    The operator's token has no user whose workspaces could be listed, so it uses the export of all workspaces
    [admin/workspace-list, admin/export-workspaces]. Raise ConsoleError, AccessError.
    """
    try:
        return Workspaces(_listed(console, await console.get("/api/workspace")))
    except RefusedError as refusal:
        if refusal.kind is RefusalKind.NO_SUCH_ROUTE:
            raise _no_root(console, refusal) from None
        if refusal.kind is not RefusalKind.NOT_FOUND:  # the key is that of a user
            raise ConsoleError(
                f"console {console.host}: its workspaces cannot be listed ({refusal.with_status})"
            ) from None
        return Workspaces(await _exported(console, refusal), is_operators=True)


async def _exported(console: Console, unlisted: RefusedError) -> tuple[Workspace, ...]:
    """Return the workspaces that the console exports. `unlisted` is why it does not list them for the key.

    Raise AccessError for a key that the console rejects. Raise ConsoleError, also if the key is not the operator's token,
    because no other may export [admin/export-as-owner].
    """
    here = f"console {console.host}: its workspaces cannot be "
    try:
        answer = await console.get("/api/admin/export/workspaces")
    except KeyRejectedError:
        raise
    except (RefusedError, AccessError) as refusal:
        if not await is_operator(console):
            raise ConsoleError(f"{here}listed ({unlisted})") from None
        reason = str(refusal).removeprefix(f"console {console.host}: ")
        lacks = isinstance(refusal, AccessError) or refusal.kind in LACKING
        why, instead = (
            ("this console does not export them", "")
            if lacks
            else ("their export failed", "if it keeps failing, ")
        )
        raise ConsoleError(
            f"{here}listed with the operator's token, because {why} ({reason}); {instead}name each workspace, or give a"
            " user's key, which can list its own"
        ) from None
    except UnreachableError as failure:
        raise failure.with_context(before=f"{here}read with the operator's token: ") from None
    return tuple(
        replace(found, body={**found.body, "featuresEnabled": sorted(_own_features(found))})
        for found in _listed(console, answer)
        if not found.body.get("deleted")
    )


def _own_features(workspace: Workspace) -> Iterator[str]:
    """Yield the features that a workspace itself names. The export adds its function class [admin/workspace-by-id]."""
    return (name for name in features_of(workspace.body) if not name.startswith("functionsClasses="))


def _listed(console: Console, answer: Any) -> tuple[Workspace, ...]:
    if not isinstance(answer, list):
        raise WrongAddressError(f"console {console.host} does not answer like a Jitsu console")
    return tuple(
        _workspace(found)
        for found in answer
        if isinstance(found, Mapping) and isinstance(found.get("id"), str)
    )


async def sees_workspace(console: Console, workspace_id: str) -> bool:
    """Return whether the key can see a workspace. Raise AccessError for a key that the console rejects."""
    try:
        await find_workspace(console, workspace_id)
    except KeyRejectedError:
        raise
    except BackupError:
        return False
    return True


async def lives_there(console: Console, snapshot: Snapshot) -> bool:
    """Return whether a snapshot's workspace exists on this console, whatever host name it was read under.

    A workspace that exists but is closed to the key counts as the same. One with the same id but another creation time
    does not, because the console was set up again. Raise AccessError for a key that the console rejects.
    """
    source = snapshot.manifest.source
    try:
        found = await find_workspace(console, source.workspace_id)
    except AccessError as refusal:
        return _says_closed(refusal)
    except NotFoundError:
        return False
    before, now = snapshot.workspace.get("createdAt"), found.body.get("createdAt")
    return before == now if before and now else source.host == console.host


def is_read_only(snapshot: Snapshot) -> bool:
    """Return whether unpaid bills prevent the key that read a snapshot from writing into its workspace.

    Members may not write then. The operator's token may, because it is not a member and has no role there
    [readonly/create, readonly/create-as-admin].
    """
    member = snapshot.manifest.source.role not in (None, "admin")
    return member and "readonly" in features_of(snapshot.workspace)


def text_field(body: Any, name: str) -> str | None:
    """Return the text in field `name` of an answer, or None."""
    value = body.get(name) if isinstance(body, Mapping) else None
    return value if isinstance(value, str) else None


def _workspace(body: Mapping[str, Any]) -> Workspace:
    return Workspace(body["id"], text_field(body, "slug"), text_field(body, "name"), body)


async def _visible(console: Console, wanted: str) -> str:
    """Return which workspaces the key sees, and which of them was meant, in words."""
    try:
        names = sorted(found.slug or found.id for found in (await workspaces(console)).found)
    except BackupError:
        return ""
    near = nearest(wanted, names).removeprefix("; ")
    return f"; it sees {some_of(names, 10) or 'none'}" + (f" ({near})" if near else "")
