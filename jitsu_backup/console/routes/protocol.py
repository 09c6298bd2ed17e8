"""What every route offers, and the workspace that routes write to.

A route takes and returns only values. It knows neither plans nor their order.
"""

# ruff: noqa: ARG002, B027  methods that a route does not override ignore their arguments

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from jitsu_backup.console.client import Console, UncertainError, config_path
from jitsu_backup.console.fresh_lists import FreshLists
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Entity, Key, format_path, masked_paths

UNCLEAR_ATTEMPTS = 5
"""How often one write may end unclear before the console counts as unreachable."""

Guard = Callable[[], Awaitable[None]]
"""A check that is awaited right before each request. If it raises, nothing is sent."""


class OvertakenError(Exception):
    """Somebody else acted first. The message says how."""


class UnchangedGuard(Protocol):
    """A guard that an entity has not changed since the plan was made."""

    async def __call__(self, written: Mapping[str, Any] | None = None, /) -> None:
        """Raise OvertakenError if it has, apart from the top-level fields that this run has `written` since."""


@dataclass(frozen=True, slots=True)
class Content:
    """What to write to an entity: its body, and parts that are written separately.

    `source_id` is the id of the entity in the snapshot. `changed` are the top-level fields that an update changes, and
    `cursors` the states of a sync, by stream.
    """

    body: Mapping[str, Any] = field(repr=False)  # may contain secrets
    source_id: str = ""
    changed: frozenset[str] = frozenset()
    cursors: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Omission:
    """A part of an entity that the console did not accept: its path and the reason."""

    path: str
    reason: str


Omissions = tuple[Omission, ...]


@dataclass(frozen=True, slots=True)
class Created:
    """An entity that now exists under `id`. Unless it is `ours`, somebody else created it, and it was not touched."""

    id: str
    ours: bool = True
    omissions: Omissions = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The workspace that is written to.

    `live` are its entities right before the first write, and `lists` reads them again. `not_offered` names the types and
    routes that this console lacks. `deleting` are the keys that this run deletes, and `names` are the names of entities in
    messages. `before_sending` is called before each request, and raises if nothing more may be sent. `made_objects` are the
    ids of the objects that this run has created so far.
    """

    console: Console
    workspace_id: str
    live: Mapping[Key, Entity]
    not_offered: Collection[str]
    lists: FreshLists
    deleting: frozenset[Key]
    names: Mapping[Key, str]
    before_sending: Callable[[], None]
    report: Reporter
    made_objects: set[str] = field(default_factory=set)

    async def write(
        self, method: str, path: str, body: Any = None, *, guard: Guard | None = None, **options: Any
    ) -> Any:
        """Send a write and return the parsed answer. `options` and errors are as for `Console.write`."""

        async def check() -> None:
            if guard is not None:
                await guard()
            self.before_sending()  # the guard may have waited for long
            self.lists.outdate()

        return await self.console.write(method, path, body, check=check, **options)

    async def wait_after_unclear(self, failure: UncertainError, times: int) -> None:
        """Wait before checking the outcome of a write that has ended unclear `times` times. In the end, raise `failure`."""
        if times > UNCLEAR_ATTEMPTS:
            raise failure
        await self.console.pause(min(0.5 * 2**times, 10))


class EntityRoute(ABC):
    """How the entities of some types are read and written.

    All methods that send requests raise RefusedError if one entity is rejected, and ConsoleError or AccessError if the
    console cannot be reached or the key may not write.
    """

    budget_method: ClassVar[str] = "POST"
    """The HTTP method that creates an entity. The console counts the requests of each method separately [limits/429]."""

    def __init__(self, target: Target) -> None:
        """Create the route for one `target`."""
        self.target = target

    @classmethod
    def list_path(cls, workspace_id: str, type_name: str) -> str:
        """Return the path that lists all entities of a type. Raise RefusedError if no path can name it."""
        return config_path(workspace_id, type_name)

    @abstractmethod
    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        """Create an entity under the first of `ids` that is free, or under an id that the console assigns.

        After an unclear outcome, check whether it exists. Return None if all of `ids` are in use. `ids` may be iterated
        twice.
        """

    @abstractmethod
    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update an entity of the workspace. Return what the console did not accept."""

    @abstractmethod
    async def delete(self, key: Key, *, guard: UnchangedGuard) -> None:
        """Delete an entity of the workspace. Raise RefusedError (kind IN_USE) if something still uses it."""

    async def before_deleting(self) -> None:
        """Read what is needed to delete safely. Called after the deletion of everything that may use the entities."""

    async def undeletable(self, keys: Collection[Key]) -> Collection[Key]:
        """Return those of `keys` that cannot be deleted now, as far as the console says."""
        return ()

    async def check_create(self, type_name: str, ids: Iterable[str], content: Content) -> None:
        """Raise RefusedError if an entity could not be created, before its predecessor is deleted for that."""

    async def check_update(self, key: Key, content: Content) -> None:
        """Raise RefusedError if an update would be rejected, before something else is deleted for that."""

    def half_deleted(self) -> Collection[Key]:
        """Return the keys of entities that were updated only to be deleted, whatever the outcome."""
        return ()

    async def complete(self, entity_id: str, content: Content) -> Omissions:
        """Write the parts of an existing entity that are written separately. Return what was not accepted."""
        return ()

    async def made_with(self, entity_id: str) -> list[Key]:
        """Return the keys of the entities that the console created together with one."""
        return []

    def turn(self, body: Mapping[str, Any]) -> Hashable | None:
        """Return what entities share if they must be written one by one, or None for an independent entity."""
        return None

    def likeness(self, body: Mapping[str, Any]) -> Hashable | None:
        """Return a value that is equal for two duplicates, or None if type and name suffice to recognise them."""
        return None

    async def remove_duplicate(self, entity_id: str) -> bool:
        """Delete an entity that this run created although another run had. Return False if that is not possible."""
        return False


def without_masks(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body that may be sent. Without a `cloneId`, a mask would be stored as the secret itself.

    Raise RefusedError for such a mask. Planning should have settled every secret, and this only checks it.
    """
    masked = () if "cloneId" in body else tuple(masked_paths(body))
    if masked:
        raise RefusedError(
            RefusalKind.INVALID, f"not sent: {format_path(masked[0])} is a mask instead of a secret"
        )
    return body
