"""Reading: a console's workspace becomes a snapshot."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jitsu_backup.catalogue import CATALOGUE, EntityType, entity_type
from jitsu_backup.console import Console, Listing, RefusalKind, RefusedError, gather
from jitsu_backup.console.bodies import Size
from jitsu_backup.console.client import UNFIT, api_path
from jitsu_backup.errors import AccessError, BackupError, ConsoleError, NotFoundError, WrongAddressError
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.model import (
    Entity,
    Key,
    Manifest,
    Refusal,
    Snapshot,
    Source,
    counts_by_type,
    items_of,
    masked_fields,
    some_of,
)

ROUNDS = 5
"""How often lists are read again until one round finds nothing changed."""

_SMALL = 1 / 32
"""What may be taken by all that is no list, as a share of what an archive can hold; the schemas of a console have 94 kB."""

MAX_TYPES = 1000
"""The most types that a console can name: each is a list to read."""

NO_SYNC = "none"
"""A sync id that no console has: asking for its cursors shows whether a console keeps any [sync-state/unknown-sync]."""

OPTIONS = ("data-retention",)
"""Sections of a workspace's settings that a console may offer [workspace/data-retention]."""

EVERYWHERE = frozenset({"stream", "destination", "function", "service", "link"})
"""Types that every console has, of whatever age: where one is gone, something is wrong [discovery/unknown-type]."""

_OLD = EVERYWHERE | {"profile-builder"}
"""What a console of October 2024 lists. One that lists more keeps sync cursors too [sync-state/get]."""

_ABSENT = (RefusalKind.UNKNOWN_TYPE, RefusalKind.NO_SUCH_ROUTE)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace as the console names it. `body` is its whole description."""

    id: str
    slug: str | None
    name: str | None
    body: Mapping[str, Any]


async def find_workspace(console: Console, id_or_slug: str) -> Workspace:
    """Resolve an id or slug, always before anything else.

    Config routes take the id only and answer a slug with empty lists [stream/list-by-slug-is-empty].
    Raises NotFoundError, AccessError.
    """
    try:
        body = await console.get(api_path("workspace", id_or_slug), beside=Size(share=_SMALL))
    except RefusedError as refusal:
        if refusal.kind is RefusalKind.NO_SUCH_ROUTE:
            raise WrongAddressError(f"console {console.host}: is not a Jitsu console ({refusal})") from None
        if refusal.kind is RefusalKind.NOT_FOUND:
            raise NotFoundError(
                f"console {console.host}: no workspace {id_or_slug!r} that this key can see{await _visible(console)}"
            ) from None
        raise refusal.with_context(before=f"console {console.host}: workspace {id_or_slug}: ") from None
    if not isinstance(body, Mapping) or not isinstance(body.get("id"), str):
        raise WrongAddressError(f"console {console.host}: does not answer as a Jitsu console does")
    slug, name = body.get("slug"), body.get("name")
    return Workspace(
        body["id"], slug if isinstance(slug, str) else None, name if isinstance(name, str) else None, body
    )


@dataclass(frozen=True, slots=True)
class About:
    """What is the same for every workspace of a console: the types to ask for, its version, whose key it is.

    `refused` says why the console did not name its types, where it should have.
    """

    types: tuple[str, ...]
    version: str | None
    user_id: str | None
    refused: Refusal | None = None


async def workspaces(console: Console) -> list[Workspace]:
    """Give all workspaces that the key can read [discovery/workspaces].

    Raises ConsoleError; the operator's token can read them, but not list them [admin/workspace-list].
    """
    try:
        answer = await console.get("/api/workspace")
    except RefusedError as refusal:
        raise ConsoleError(
            f"console {console.host}: its workspaces cannot be listed ({refusal}); a user's key can do that, the"
            " operator's token cannot"
        ) from None
    if not isinstance(answer, list):
        raise WrongAddressError(f"console {console.host}: does not answer as a Jitsu console does")
    return [
        Workspace(found["id"], _text(found, "slug"), _text(found, "name"), found)
        for found in answer
        if isinstance(found, Mapping) and isinstance(found.get("id"), str)
    ]


async def _visible(console: Console) -> str:
    try:
        names = sorted(found.slug or found.id for found in await workspaces(console))
    except BackupError:
        return ""
    return f"; it sees {some_of(names, 10) or 'none'}"


async def read_about(console: Console) -> About:
    """Read what is the same for all workspaces of a console. Raises ConsoleError, AccessError."""
    (types, refused), version, user_id = await gather(
        discover_types(console), _optional(console, "/api/version"), _own_user_id(console)
    )
    return About(types, _text(version, "version"), user_id, refused)


async def discover_types(console: Console) -> tuple[tuple[str, ...], Refusal | None]:
    """Give the types to ask for: those the console's schema index names, and those we know.

    Profile builders are not in that index, and older consoles may have none; so what
    we know is asked for as well, and a type that the console does not know says so. Where the
    console has an index and it could not be read, gives the reason too: types may be missing.
    """
    names = set(CATALOGUE)
    reason = "is not what a Jitsu console answers"
    try:
        answer = await console.get("/api/schema", beside=Size(share=_SMALL))
    except RefusedError as refusal:
        if refusal.kind is RefusalKind.NO_SUCH_ROUTE:
            return tuple(sorted(names)), None
        reason = str(refusal)
    else:
        index = answer.get("schemas") if isinstance(answer, Mapping) else None
        if isinstance(index, list):
            listed = (line.get("type") for line in index if isinstance(line, Mapping))
            found = {name for name in listed if isinstance(name, str) and name}
            if len(found) <= MAX_TYPES:
                return tuple(sorted(names | found)), None
            reason = f"names {len(found):,} types; no more than {MAX_TYPES:,} are asked for"
    return tuple(sorted(names)), Refusal("index of types", reason)


_SCHEMA_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)?")


async def read_schemas(console: Console, names: list[str]) -> dict[str, Mapping[str, Any]]:
    """Read the console's own schemas by name; what it does not have, and what is too large beside the rest, is left out."""
    held = Size(share=_SMALL)

    async def read(name: str) -> tuple[str, Any]:
        if _SCHEMA_NAME.fullmatch(name) is None:  # an archive may hold any text as a type
            return name, None
        try:
            answer = await console.get(api_path("schema", *name.split("/", 1)), beside=held)
        except RefusedError:
            return name, None
        return name, answer

    return {name: body for name, body in await gather(*map(read, names)) if isinstance(body, Mapping)}


@dataclass(slots=True)
class Seen:
    """What has been read of a workspace already, for who reads it again: lists with their ETags, and cursors of syncs.

    Only lists that have changed since are read again, and no cursors but those of syncs that are new.
    """

    lists: dict[str, Listing] = field(default_factory=dict, repr=False)
    cursors: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    about: About | None = None


async def read_workspace(
    console: Console,
    id_or_slug: str,
    *,
    now: Callable[[], datetime],
    report: Reporter = silent,
    about: Callable[[], Awaitable[About]] | None = None,
    seen: Seen | None = None,
    size: Size | None = None,
) -> Snapshot:
    """Read a workspace whole: three round trips when nothing changes meanwhile.

    Who reads many gives `about`, to have it asked once, and a `size` for each, to know what is held; who reads one
    workspace again and again gives `seen`, which is brought up to date. What the console refuses is in the manifest, not an exception. Raises ConsoleError,
    AccessError when the workspace itself cannot be read.
    """
    seen = seen or Seen()
    taken_at = now()

    async def know() -> Any:
        return seen.about or await (about() if about else read_about(console))

    workspace, facts = await gather(find_workspace(console, id_or_slug), know())
    reader = _Reader(
        console, workspace, tuple(entity_type(name) for name in facts.types), report, seen, size or Size()
    )
    seen.about = facts if facts.refused is None else None
    if facts.refused is not None:
        reader.refused[facts.refused.what] = facts.refused
    await reader.read_lists()
    await reader.settle()
    members = reader.members
    source = Source(
        host=console.host,
        workspace_id=workspace.id,
        slug=workspace.slug,
        name=workspace.name,
        console_version=facts.version,
        role=_role(members, facts.user_id),
    )
    return reader.snapshot(source, taken_at)


class _Reader:
    """One reading of one workspace."""

    def __init__(
        self,
        console: Console,
        workspace: Workspace,
        types: tuple[EntityType, ...],
        report: Reporter,
        seen: Seen,
        size: Size,
    ) -> None:
        self.console, self.workspace, self.types, self.report = console, workspace, types, report
        self.seen = seen
        self.size = size  # of all that is held of the workspace
        for listing in seen.lists.values():
            self.size.add(listing.size)
        self.lists: dict[str, Listing] = {}
        self.cursors: dict[str, dict[str, str]] = dict(seen.cursors)
        self.refused: dict[str, Refusal] = {}
        self.not_offered: set[str] = set()
        # syncs that were listed, and were gone when their cursors were asked for
        self.vanished: set[str] = set()
        self.members: list[Mapping[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.consistent = False
        self.steps = len(types)
        self.done = 0

    async def read_lists(self) -> None:
        """Read all lists and the settings side by side."""
        settings = api_path("workspace", self.workspace.id)
        users, *options, _ = await gather(
            self._reference("workspace/users", f"{settings}/users"),
            *(self._reference(f"workspace/{name}", f"{settings}/{name}") for name in OPTIONS),
            self._all_lists(),
        )
        if isinstance(users, list):
            self.members = [member for member in users if isinstance(member, Mapping)]
        self.options = {name: body for name, body in zip(OPTIONS, options, strict=True) if body is not None}

    async def settle(self) -> None:
        """Read the cursors, and the lists again until one round finds nothing changed."""
        for attempt in range(ROUNDS):
            known_syncs = [link["id"] for link in self._links() if link.get("type") == "sync"]
            new_syncs = [sync_id for sync_id in known_syncs if sync_id not in self.cursors]
            self.steps += len(new_syncs) + len(self.lists)
            probe = [NO_SYNC] if not known_syncs and NO_SYNC not in self.cursors else []
            vanished = len(self.vanished)
            changed, _ = await gather(self._changed(), self._read_cursors([*new_syncs, *probe]))
            self.seen.lists, self.seen.cursors = dict(self.lists), dict(self.cursors)
            if not changed and len(self.vanished) == vanished:
                self.consistent = True
                return
            if attempt:
                await self.console.pause(0.2 * attempt)
        self.consistent = False

    def snapshot(self, source: Source, taken_at: datetime) -> Snapshot:
        """Return what was read, sorted."""
        for name, listing in self.lists.items():
            for unfit in listing.unfit:
                self.refused[f"{name}/{unfit}"] = Refusal(f"{name}/{unfit}", UNFIT)
        entities = tuple(
            sorted(
                (
                    Entity(Key(name, item["id"]), item)
                    for name, listing in self.lists.items()
                    for item in listing.items
                ),
                key=lambda entity: entity.key,
            )
        )
        links = {entity.key.id for entity in entities if entity.key.type == "link"}
        manifest = Manifest(
            source=source,
            counts=counts_by_type(entities, self.lists),
            refused=tuple(sorted(self.refused.values())),
            not_offered=tuple(sorted(self.not_offered)),
            generic=tuple(
                sorted(kind.name for kind in self.types if kind.generic and kind.name in self.lists)
            ),
            ledger=masked_fields(entities),
            consistent=self.consistent,
        )
        return Snapshot(
            manifest=manifest,
            taken_at=taken_at,
            entities=entities,
            cursors={sync: dict(states) for sync, states in self.cursors.items() if states and sync in links},
            workspace=self.workspace.body,
            members=tuple(self.members),
            options=self.options,
        )

    async def _all_lists(self) -> None:
        denied: list[AccessError] = []

        async def read(kind: EntityType) -> None:
            where, known = (self.workspace.id, kind.name, kind.list_field), self.seen.lists.get(kind.name)
            try:
                newer = await (
                    self.console.list_if_changed(*where, known, beside=self.size)
                    if known
                    else self.console.list(*where, beside=self.size)
                )
                self.lists[kind.name] = newer or known or Listing(())
            except RefusedError as refusal:
                if refusal.kind in _ABSENT and kind.name not in EVERYWHERE:
                    self.not_offered.add(kind.name)
                else:
                    self.refused[kind.name] = Refusal(kind.name, str(refusal))
            except AccessError as refusal:
                denied.append(refusal)
                self.refused[kind.name] = Refusal(kind.name, str(refusal))
            except ConsoleError as failure:
                self.refused[kind.name] = Refusal(kind.name, str(failure))
            self._step()

        await gather(*map(read, self.types))
        if not self.lists:
            if denied:
                raise denied[0]
            reason = next(
                (str(refusal.reason) for refusal in self.refused.values()), "it offers no entity types"
            )
            raise ConsoleError(f"workspace {self.workspace.id} could not be read: {reason}")

    async def _changed(self) -> bool:
        async def again(name: str, known: Listing) -> bool:
            try:
                newer = await self.console.list_if_changed(
                    self.workspace.id, name, entity_type(name).list_field, known, beside=self.size
                )
            except BackupError as failure:
                self.refused.setdefault(name, Refusal(name, f"could not be read a second time: {failure}"))
                return False
            finally:
                self._step()
            if newer is None:
                return False
            self.lists[name] = newer
            return True

        return any(await gather(*(again(name, known) for name, known in list(self.lists.items()))))

    async def _read_cursors(self, sync_ids: list[str]) -> None:
        async def read(sync_id: str) -> None:
            if "sync-cursor" in self.not_offered:
                return
            try:
                answer = await self.console.get(
                    api_path(self.workspace.id, "sources", "state"),
                    params={"syncId": sync_id},
                    beside=self.size,
                )
            except RefusedError as refusal:
                if refusal.kind in _ABSENT and self.lists.keys() <= _OLD:
                    self.not_offered.add("sync-cursor")
                else:
                    self.refused[f"cursor {sync_id}"] = Refusal(f"cursor {sync_id}", str(refusal))
                return
            except BackupError as failure:
                self.refused[f"cursor {sync_id}"] = Refusal(f"cursor {sync_id}", str(failure))
                return
            finally:
                self._step()
            state = answer.get("state") if isinstance(answer, Mapping) else None
            if isinstance(state, Mapping):
                self.cursors[sync_id] = {str(k): v for k, v in state.items() if isinstance(v, str)}
            else:  # the sync went away between two requests [sync-state/unknown-sync], or the state cannot be read
                error = str(answer.get("error")) if isinstance(answer, Mapping) else "no state in the answer"
                gone = "not found" in error
                if gone and sync_id != NO_SYNC and sync_id not in self.vanished:
                    self.vanished.add(sync_id)  # then the list has changed too: both are read once more
                    return
                self.cursors[sync_id] = {}
                if not gone:
                    what = f"cursor {sync_id}"
                    self.refused[what] = Refusal(what, " ".join(error.split())[:200])

        waiting = iter(sync_ids)

        async def worker() -> None:
            for sync_id in waiting:
                await read(sync_id)

        # there may be thousands: a task for each would take more memory than all that it reads
        await gather(*(worker() for _ in range(min(self.console.concurrency, len(sync_ids)))))

    async def _reference(self, what: str, path: str) -> Any:
        try:
            answer = await self.console.get(path, beside=self.size)
        except BackupError as failure:
            self.refused[what] = Refusal(what, str(failure), missing=False)
            return None
        return answer

    def _links(self) -> tuple[dict[str, Any], ...]:
        listing = self.lists.get("link")
        return listing.items if listing is not None else ()

    def _step(self) -> None:
        self.done += 1
        self.report(Progress(f"reading {self.workspace.slug or self.workspace.id}", self.done, self.steps))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other workspaces of a console use: host name → workspace, and write key's id → workspace.

    `all_streams` tells that the streams of every workspace were looked at, not only of those that the key can see.
    """

    domains: Mapping[str, str]
    key_ids: Mapping[str, str]
    all_streams: bool = False


async def used_elsewhere(
    console: Console, workspace_id: str, first: Source | None = None, *, most: int = 20
) -> Elsewhere:
    """Give the host names and write keys in use by other workspaces: all of them for the operator's token.

    For another key looks into `most` workspaces that it can see, `first` before all others. Never raises for a
    refusal: it only foresees what the console would refuse [stream/create-domain-in-use].
    """
    exported: list[tuple[dict[str, str | None], Mapping[str, Any]]] | None = None
    try:
        answer = await console.get("/api/workspace")
        listed = answer if isinstance(answer, list) else []
    except BackupError:  # the operator's token cannot list [admin/workspace-list]
        exported = await _exported_streams(console)
        listed = [workspace for workspace, _ in exported or ()]
    begin = [] if first is None else [{"id": first.workspace_id, "slug": first.slug}]
    others = {
        found["id"]: str(found.get("slug") or found["id"])
        for found in (*begin, *listed)
        if isinstance(found, Mapping) and isinstance(found.get("id"), str) and found["id"] != workspace_id
    }

    async def read(other: str, type_name: str) -> Elsewhere:
        try:
            listing = await console.list(other, type_name, "objects")
        except BackupError:
            return Elsewhere({}, {})
        return _claims(type_name, listing.items, others[other])

    types = ("stream", "domain") if exported is None else ("domain",)
    found = await gather(*(read(other, type_name) for other in list(others)[:most] for type_name in types))
    found += [
        _claims("stream", [stream], others[str(workspace["id"])])
        for workspace, stream in exported or ()
        if workspace["id"] in others
    ]
    return Elsewhere(
        {name: label for one in found for name, label in one.domains.items()},
        {key: label for one in found for key, label in one.key_ids.items()},
        all_streams=exported is not None,
    )


async def _exported_streams(
    console: Console,
) -> list[tuple[dict[str, str | None], Mapping[str, Any]]] | None:
    """Give every stream of a console with its workspace's id and slug [admin/export-streams]; None where refused."""
    try:
        answer = await console.get("/api/admin/export/streams-with-destinations")
    except BackupError:
        return None
    if not isinstance(answer, list):
        return None
    found = []
    for entry in answer:
        stream = entry.get("stream") if isinstance(entry, Mapping) else None
        if isinstance(stream, Mapping) and isinstance(stream.get("workspaceId"), str):
            told = entry.get("__debug")
            slug = _text(told.get("workspace"), "name") if isinstance(told, Mapping) else None
            found.append(({"id": stream["workspaceId"], "slug": slug}, stream))
    return found


def _claims(type_name: str, items: Collection[Mapping[str, Any]], label: str) -> Elsewhere:
    """Give what streams or domains of the workspace `label` use."""
    names = (name for item in items for name in host_names(type_name, item))
    keys = (
        key["id"]
        for item in items
        for field in ("publicKeys", "privateKeys")
        for key in (items_of(item.get(field)) if type_name == "stream" else ())
        if isinstance(key, Mapping) and isinstance(key.get("id"), str)
    )
    return Elsewhere(dict.fromkeys(names, label), dict.fromkeys(keys, label))


async def sees_workspace(console: Console, workspace_id: str) -> bool:
    """Tell whether the key can see a workspace."""
    try:
        await find_workspace(console, workspace_id)
    except BackupError:
        return False
    return True


async def lives_there(console: Console, snapshot: Snapshot) -> bool:
    """Tell whether a snapshot's workspace lives on this console, under whatever host name it was read.

    One that is there but closed to the key counts as the same; one of the same id that was made at
    another time does not: the console was set up anew.
    """
    source = snapshot.manifest.source
    try:
        found = await find_workspace(console, source.workspace_id)
    except AccessError:
        return True
    except NotFoundError:
        return False
    before, now = snapshot.workspace.get("createdAt"), found.body.get("createdAt")
    return before == now if before and now else source.host == console.host


def host_names(type_name: str, body: Mapping[str, Any]) -> list[str]:
    """Give the host names that a stream or a domain claims, in lower case."""
    claimed = body.get("domains") if type_name == "stream" else [body.get("name")]
    return (
        [name.lower() for name in claimed or () if isinstance(name, str)] if isinstance(claimed, list) else []
    )


async def _optional(console: Console, path: str) -> Any:
    try:
        answer = await console.get(path, beside=Size(share=_SMALL))
    except RefusedError:
        return None
    return answer


async def _own_user_id(console: Console) -> str | None:
    try:
        body = await _optional(console, "/api/me")
    except AccessError:
        return None
    user = body.get("user") if isinstance(body, Mapping) else None
    return _text(user, "internalId")


def _role(members: list[Mapping[str, Any]], user_id: str | None) -> str | None:
    for member in members:
        user = member.get("user")
        if user_id is not None and isinstance(user, Mapping) and user.get("id") == user_id:
            return _text(member, "role")
    return None


def _text(body: Any, name: str) -> str | None:
    value = body.get(name) if isinstance(body, Mapping) else None
    return value if isinstance(value, str) else None


__all__ = [
    "Elsewhere",
    "Workspace",
    "discover_types",
    "find_workspace",
    "host_names",
    "read_schemas",
    "read_workspace",
    "workspaces",
]
