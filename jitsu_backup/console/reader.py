"""Read one workspace: its lists and settings become a snapshot."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jitsu_backup.catalogue import (
    CATALOGUE,
    EntityType,
    entity_type,
    offered_with,
    type_in_list,
    types_in_lists,
)
from jitsu_backup.console.bodies import UNFIT, Size
from jitsu_backup.console.client import Console, Listing, api_path, gather
from jitsu_backup.console.console_info import ConsoleInfo, read_console_info
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.roles import role_of
from jitsu_backup.console.routes import read_list
from jitsu_backup.console.sync_cursors import NO_SYNC, NoCursorsError, read_cursors
from jitsu_backup.console.workspaces import Workspace, find_workspace
from jitsu_backup.errors import AccessError, BackupError, ConsoleError
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.model import (
    Entity,
    Key,
    Manifest,
    Refusal,
    Snapshot,
    Source,
    counts_by_type,
    masked_fields,
    members_of,
)

ROUNDS = 5
"""How often lists are read again at most, until one round finds no change."""

OPTIONS = {"data-retention": "", "backup-retention": "retentionHours", "observability-exports": "headers"}
"""Sections of a workspace's settings, each with a field that only its own answer has (empty if every console has it).

A console before autumn 2026 answers with its data retention for any section (read in its source). That answer is
recorded [workspace/data-retention], the other two sections are not.
"""

TYPES_OF_EVERY_CONSOLE = frozenset({"stream", "destination", "function", "service", "link"})
"""Types that every console has, however old. If one is missing, something is wrong [discovery/unknown-type]."""

TYPES_OF_2024 = TYPES_OF_EVERY_CONSOLE | {"profile-builder"}
"""What a console of October 2024 lists. One that lists more keeps sync cursors too [sync-state/get]."""

_ABSENT = (RefusalKind.UNKNOWN_TYPE, RefusalKind.NO_SUCH_ROUTE)


@dataclass(slots=True)
class Seen:
    """What has already been read of a workspace: lists with their ETags, and cursors of syncs.

    With it, only changed lists and cursors of new syncs are read again. `denied` is why the last reading lacks something
    that the key may not read.
    """

    lists: dict[str, Listing] = field(default_factory=dict, repr=False)
    cursors: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    console_info: ConsoleInfo | None = None
    denied: AccessError | None = None


async def read_workspace(
    console: Console,
    id_or_slug: str,
    *,
    now: Callable[[], datetime],
    report: Reporter = silent,
    console_info: Callable[[], Awaitable[ConsoleInfo]] | None = None,
    seen: Seen | None = None,
    size: Size | None = None,
) -> Snapshot:
    """Read a workspace completely, in three round trips if nothing changes meanwhile.

    To read many workspaces, give a `console_info` that asks the console once, and a `size` that counts what is held. To
    read one repeatedly, give `seen`, which is updated. What the console rejects is noted in the manifest and raises
    nothing. Raise ConsoleError or AccessError if the workspace itself cannot be read.
    """
    seen = seen or Seen()
    seen.denied = None
    taken_at = now()

    async def read_info() -> Any:
        return seen.console_info or await (console_info() if console_info else read_console_info(console))

    workspace, info = await gather(find_workspace(console, id_or_slug), read_info())
    reader = _Reader(
        console, workspace, tuple(entity_type(name) for name in info.types), report, seen, size or Size()
    )
    seen.console_info = info if info.refused is None else None
    if info.refused is not None:
        reader.refused[info.refused.what] = info.refused
    await reader.read_lists()
    await reader.settle()
    source = Source(
        host=console.host,
        workspace_id=workspace.id,
        slug=workspace.slug,
        name=workspace.name,
        console_version=info.version,
        role=role_of(reader.members, info.user_id),
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
        self.size = size  # of everything that is held of the workspace
        for listing in seen.lists.values():
            self.size.add(listing.size)
        self.lists: dict[str, Listing] = {}
        self.cursors: dict[str, dict[str, str]] = dict(seen.cursors)
        self.refused: dict[str, Refusal] = {}
        asked = {kind.name for kind in types}
        self.not_offered = {
            name for name, known in CATALOGUE.items() if (known.offered_with or name) not in asked
        }
        # syncs that were listed, but had been deleted when their cursors were read
        self.vanished: set[str] = set()
        self.members: list[Mapping[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.consistent = False
        self.steps = len(types)
        self.done = 0

    async def read_lists(self) -> None:
        """Read all lists and the settings concurrently."""
        settings = api_path("workspace", self.workspace.id)
        users, *options, _ = await gather(
            self._reference("workspace/users", f"{settings}/users"),
            *(self._section(name, own_field) for name, own_field in OPTIONS.items()),
            self._all_lists(),
        )
        if isinstance(users, list):
            self.members = [member for member in users if isinstance(member, Mapping)]
        self.options = {name: body for name, body in zip(OPTIONS, options, strict=True) if body is not None}

    async def settle(self) -> None:
        """Read the cursors, and the lists again until one round finds no change."""
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
                self._refuse(f"{name}/{unfit}", UNFIT)
        self._refuse_in_unread_lists()
        entities = tuple(
            sorted(
                (
                    Entity(Key(type_in_list(name, item), item["id"]), item)
                    for name, listing in self.lists.items()
                    for item in listing.items
                ),
                key=lambda entity: entity.key,
            )
        )
        links = {link["id"] for link in self._links()}
        manifest = Manifest(
            source=source,
            counts=counts_by_type(entities, types_in_lists(self.lists)),
            refused=tuple(sorted(self.refused.values())),
            not_offered=tuple(sorted(self.not_offered)),
            generic=tuple(
                sorted(kind.name for kind in self.types if kind.generic and kind.name in self.lists)
            ),
            ledger=masked_fields(entities, self.options),
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
        async def read(kind: EntityType) -> None:
            try:
                self.lists[kind.name] = await self._list(kind.name, self.seen.lists.get(kind.name))
            except RefusedError as refusal:
                if refusal.kind in _ABSENT and kind.name not in TYPES_OF_EVERY_CONSOLE:
                    self.not_offered |= {kind.name, *offered_with(kind.name)}
                else:
                    self._refuse(kind.name, refusal)
            except (AccessError, ConsoleError) as failure:
                self._refuse(kind.name, failure)
            self._step()

        await gather(*map(read, self.types))
        if not self.lists:
            if self.seen.denied is not None:
                raise self.seen.denied
            reason = next(
                (str(refusal.reason) for refusal in self.refused.values()), "it offers no entity types"
            )
            raise ConsoleError(f"workspace {self.workspace.id} could not be read: {reason}")

    async def _list(self, name: str, known: Listing | None) -> Listing:
        return await read_list(self.console, self.workspace.id, name, known, beside=self.size)

    async def _changed(self) -> bool:
        """Read all lists again. Return whether any has changed."""

        async def again(name: str, known: Listing) -> bool:
            try:
                self.lists[name] = newer = await self._list(name, known)
            except BackupError as failure:
                self._note_denied(failure)
                reason = f"could not be read again to see whether they had changed: {failure}"
                self.refused.setdefault(name, Refusal(name, reason))
                return False
            finally:
                self._step()
            return newer is not known

        return any(await gather(*(again(name, known) for name, known in list(self.lists.items()))))

    async def _read_cursors(self, sync_ids: list[str]) -> None:
        waiting = iter(sync_ids)

        async def worker() -> None:
            for sync_id in waiting:
                if "sync-cursor" not in self.not_offered:
                    await self._read_cursors_of(sync_id)

        # there may be thousands, and a task for each would take more memory than the cursors
        await gather(*(worker() for _ in range(min(self.console.concurrency, len(sync_ids)))))

    async def _read_cursors_of(self, sync_id: str) -> None:
        what = f"cursor {sync_id}"
        try:
            self.cursors[sync_id] = await read_cursors(
                self.console, self.workspace.id, sync_id, beside=self.size
            )
        except NoCursorsError as problem:
            if problem.sync_gone and sync_id != NO_SYNC and sync_id not in self.vanished:
                self.vanished.add(sync_id)  # the list has changed too, so both are read again
                return
            self.cursors[sync_id] = {}
            if not problem.sync_gone:
                self._refuse(what, problem)
        except RefusedError as refusal:
            if refusal.kind in _ABSENT and self.lists.keys() <= TYPES_OF_2024:
                self.not_offered.add("sync-cursor")
            else:
                self._refuse(what, refusal)
        except BackupError as failure:
            self._refuse(what, failure)
        finally:
            self._step()

    async def _section(self, name: str, own_field: str) -> Any:
        """Read a section of the settings. Return None if this console lacks it, which is not noted."""
        what = f"workspace/{name}"
        body = await self._reference(
            what, f"{api_path('workspace', self.workspace.id)}/{name}", offered=not own_field
        )
        return body if not own_field or own_field in members_of(body) else None

    async def _reference(self, what: str, path: str, *, offered: bool = True) -> Any:
        try:
            answer = await self.console.get(path, beside=self.size)
        except BackupError as failure:
            if offered or not (isinstance(failure, RefusedError) and failure.kind in _ABSENT):
                self.refused[what] = Refusal(what, str(failure), missing=False)
            return None
        return answer

    def _refuse(self, what: str, reason: object) -> None:
        self._note_denied(reason)
        self.refused[what] = Refusal(what, str(reason))

    def _note_denied(self, reason: object) -> None:
        if isinstance(reason, AccessError) and self.seen.denied is None:
            self.seen.denied = reason

    def _refuse_in_unread_lists(self) -> None:
        """Note types that appear in the list of another type, and so could not be read if that list was not."""
        read = types_in_lists(self.lists)
        for name, known in CATALOGUE.items():
            if not known.listed_in or name in read or name in self.not_offered:
                continue
            unread = (self.refused.get(one) for one in (known.listed_in, known.offered_with))
            reason = next((one.reason for one in unread if one is not None), None)
            if reason is not None:
                self._refuse(name, reason)

    def _links(self) -> tuple[dict[str, Any], ...]:
        listing = self.lists.get("link")
        return listing.items if listing is not None else ()

    def _step(self) -> None:
        self.done += 1
        self.report(Progress(f"reading {self.workspace.slug or self.workspace.id}", self.done, self.steps))
