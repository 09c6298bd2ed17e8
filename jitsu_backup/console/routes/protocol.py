"""What every route offers, and the workspace that routes write to.

A route takes and returns values only: it knows neither plans nor the order in which they are carried out.
"""

# ruff: noqa: ARG002, B027  what a route does not override does nothing, whatever it is given

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
"""How often one write may end unclear before the console counts as lost."""

Guard = Callable[[], Awaitable[None]]
"""Awaited right before each sending; what it raises is raised, and nothing is sent."""


class OvertakenError(Exception):
    """Somebody else was there first; the message says how."""


class UnchangedGuard(Protocol):
    """A guard that an entity is still as it was when the plan was made."""

    async def __call__(self, written: Mapping[str, Any] | None = None, /) -> None:
        """Raise OvertakenError where it is not, apart from the top-level fields that this run has `written` since."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an entity is to hold: its body, and what belongs to it and is written by another way.

    `source_id` is the id that the entity has in the snapshot. `changed` are the top-level fields in which an update
    differs from what is there, `cursors` the states to put on a sync, by stream.
    """

    body: Mapping[str, Any] = field(repr=False)  # may hold secrets
    source_id: str = ""
    changed: frozenset[str] = frozenset()
    cursors: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Omission:
    """A part of an entity that the console did not take: its path and the reason."""

    path: str
    reason: str


Omissions = tuple[Omission, ...]


@dataclass(frozen=True, slots=True)
class Created:
    """An entity that exists now under `id`. Unless it is `ours`, somebody else made it meanwhile, and it is untouched."""

    id: str
    ours: bool = True
    omissions: Omissions = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The workspace that is written to.

    `live` are its entities right before the first write, `lists` reads them anew; `not_offered` names the types and
    routes that this console lacks. `deleting` are the keys that this run deletes, `names` what messages call the
    entities. `before_sending` is called before each sending and raises where nothing may be sent any more.
    `made_objects` are the ids of the objects that this run has created so far.
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
        """Send a write and return the parsed answer; `options` and what is raised are those of `Console.write`."""

        async def check() -> None:
            if guard is not None:
                await guard()
            self.before_sending()  # the guard may have waited for long
            self.lists.outdate()

        return await self.console.write(method, path, body, check=check, **options)

    async def wait_after_unclear(self, failure: UncertainError, times: int) -> None:
        """Wait before looking what became of a write that has ended unclear `times` times; raise `failure` in the end."""
        if times > UNCLEAR_ATTEMPTS:
            raise failure
        await self.console.pause(min(0.5 * 2**times, 10))


class EntityRoute(ABC):
    """How the entities of some types are read and written.

    All methods that ask the console raise RefusedError for a refusal of one entity, and ConsoleError or AccessError
    where the console is lost or the key may not write.
    """

    budget_method: ClassVar[str] = "POST"
    """The HTTP method that creates an entity: the console counts the requests of each method apart [limits/429]."""

    def __init__(self, target: Target) -> None:
        """Write into one `target`."""
        self.target = target

    @classmethod
    def list_path(cls, workspace_id: str, type_name: str) -> str:
        """Return the path that lists all entities of a type. Raises RefusedError where no path can name it."""
        return config_path(workspace_id, type_name)

    @abstractmethod
    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        """Create an entity under the first of `ids` that is free, or under an id that the console makes.

        An unclear outcome is settled by looking. Return None where all of `ids` are taken. `ids` may be iterated twice.
        """

    @abstractmethod
    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update an entity of the workspace; return what the console did not take."""

    @abstractmethod
    async def delete(self, key: Key, *, guard: UnchangedGuard) -> None:
        """Delete an entity of the workspace. Raise RefusedError, kind IN_USE, where something still uses it."""

    async def before_deleting(self) -> None:
        """Read what is needed to delete safely; called when what may use the entities has been deleted."""

    async def undeletable(self, keys: Collection[Key]) -> Collection[Key]:
        """Return those of `keys` that could not be deleted now, as far as the console tells."""
        return ()

    async def check_create(self, type_name: str, ids: Iterable[str], content: Content) -> None:
        """Raise RefusedError where an entity could not be made, before its predecessor is deleted for that."""

    async def check_update(self, key: Key, content: Content) -> None:
        """Raise RefusedError where an update would be refused, before something else is deleted for that."""

    def half_deleted(self) -> Collection[Key]:
        """Return the keys of what was changed only to be deleted, whatever became of it."""
        return ()

    async def complete(self, entity_id: str, content: Content) -> Omissions:
        """Write what belongs to an entity and goes by another way, once it exists; return what was not taken."""
        return ()

    async def made_with(self, entity_id: str) -> list[Key]:
        """Return the keys of the entities that the console made along with one."""
        return []

    def turn(self, body: Mapping[str, Any]) -> Hashable | None:
        """Return what entities share that have to be written one after the other; None for one that stands alone."""
        return None

    def likeness(self, body: Mapping[str, Any]) -> Hashable | None:
        """Return what is equal for two entities of which one would do; None where type and name tell."""
        return None

    async def remove_duplicate(self, entity_id: str) -> bool:
        """Delete an entity that this run made although another run had; return False where that cannot be done."""
        return False


def without_masks(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body that may be sent: a mask may stand only beside a `cloneId`, else it would become the secret itself.

    Raises RefusedError. Planning has settled every secret; this only guards that.
    """
    masked = () if "cloneId" in body else tuple(masked_paths(body))
    if masked:
        raise RefusedError(RefusalKind.INVALID, f"not sent: {format_path(masked[0])} is a mask, not a secret")
    return body
