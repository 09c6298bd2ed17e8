"""Read what is the same for every workspace of a console: its types, its version, its schemas, the key's user."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.catalogue import CATALOGUE, entity_type, listed_under
from jitsu_backup.console.bodies import small_replies
from jitsu_backup.console.client import Console, api_path, gather
from jitsu_backup.console.own_user import OPERATOR_ID, own_user_id
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.workspaces import text_field
from jitsu_backup.model import Refusal

MAX_TYPES = 1000
"""The most types that a console may name. Each of them is a list to read."""

_SCHEMA_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)?")


@dataclass(frozen=True, slots=True)
class ConsoleInfo:
    """What is the same for every workspace: the types to read, the console's version, the id of the key's user.

    `refused` says why the console did not name its types although it should have.
    """

    types: tuple[str, ...]
    version: str | None
    user_id: str | None
    refused: Refusal | None = None

    @property
    def is_operator(self) -> bool:
        """Whether the key is the operator's token."""
        return self.user_id == OPERATOR_ID


async def read_console_info(console: Console) -> ConsoleInfo:
    """Read what is the same for all workspaces of a console. Raise ConsoleError, AccessError."""
    (types, refused), version, user_id = await gather(
        discover_types(console),
        console.get_if_offered("/api/version", beside=small_replies()),
        own_user_id(console),
    )
    return ConsoleInfo(types, text_field(version, "version"), user_id, refused)


async def discover_types(console: Console) -> tuple[tuple[str, ...], Refusal | None]:
    """Return the types to read: those in the console's schema index, and those in our catalogue.

    Profile builders are missing from that index, and older consoles may have no index. Therefore the types of the
    catalogue are read as well, and the console says which of them it lacks. Only those that need a feature are in the
    index of every console that has them [schema/index]. If the console has an index that could not be read, return the
    reason too, because types may be missing.
    """
    names = {name for name in CATALOGUE if listed_under(name) == name}
    reason = "is not a valid answer of a Jitsu console"
    try:
        answer = await console.get("/api/schema", beside=small_replies())
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
                lacking = {name for name in names - found if entity_type(name).feature}
                return tuple(sorted((names | found) - lacking)), None
            reason = f"names {len(found):,} types, more than the limit of {MAX_TYPES:,}"
    return tuple(sorted(names)), Refusal("index of types", reason)


async def read_schemas(console: Console, names: list[str]) -> dict[str, Mapping[str, Any]]:
    """Read the console's own schemas by name. Leave out those that it lacks or that are too large beside the rest."""
    held = small_replies()

    async def read(name: str) -> tuple[str, Any]:
        if _SCHEMA_NAME.fullmatch(name) is None:  # an archive may hold any text as a type
            return name, None
        return name, await console.get_if_offered(api_path("schema", *name.split("/", 1)), beside=held)

    return {name: body for name, body in await gather(*map(read, names)) if isinstance(body, Mapping)}
