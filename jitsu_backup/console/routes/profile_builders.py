"""Profile builders, each written together with the function that it owns [profile-builder/create]."""

from collections.abc import Iterable, Mapping
from typing import Any

from jitsu_backup.catalogue import owned_functions
from jitsu_backup.console.client import config_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.routes.protocol import (
    Content,
    Created,
    EntityRoute,
    Guard,
    Omissions,
    without_masks,
)
from jitsu_backup.model import Entity, Key

_BUILDER, _FUNCTION = "profile-builder", "function"
_MOMENT = "1970-01-01T00:00:00.000Z"  # the console requires a time, but stores its own


class ProfileBuilderRoute(EntityRoute):
    """The client chooses the builder's id, the console its function's. Writing a builder publishes its code."""

    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        """Create a builder under the first of `ids` that is free, unless it exists, because writing would replace it."""
        first = next(iter(ids))
        if first in await self.target.lists.of(type_name):
            return Created(first, ours=False)
        for new_id in ids:
            try:
                await self._send("POST", Key(type_name, new_id), content.body)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.ID_TAKEN:
                    raise
                continue
            return Created(new_id)
        return None

    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update a builder and publish the code of its function."""
        await self._send("PUT", key, content.body, guard)
        return ()

    async def complete(self, entity_id: str, content: Content) -> Omissions:
        """Write a function's unpublished code again, because writing the builder has published it [profile-builder/list]."""
        draft = content.body.get("draft")
        if draft is not None and draft != content.body.get("code"):
            for function in (await self.made_with(entity_id))[:1]:
                path = config_path(self.target.workspace_id, *function)
                await self.target.write("PUT", path, {"draft": draft}, repeatable=True)
        return ()

    async def made_with(self, entity_id: str) -> list[Key]:
        """Return the functions that a builder currently owns."""
        found = await self.target.lists.of(_BUILDER)
        builders = [Entity(Key(_BUILDER, item_id), item) for item_id, item in found.items()]
        return [
            Key(_FUNCTION, function_id)
            for function_id, owner in owned_functions(builders)
            if owner == entity_id
        ]

    async def delete(self, key: Key, *, guard: Guard) -> None:
        """Delete a builder and its function."""
        path = config_path(self.target.workspace_id, key.type)
        await self.target.write("DELETE", path, params={"id": key.id}, repeatable=True, guard=guard)

    async def _send(self, method: str, key: Key, body: Mapping[str, Any], guard: Guard | None = None) -> None:
        fields = {name: value for name, value in body.items() if name not in ("code", "draft")}
        builder = {
            "version": 1, "createdAt": _MOMENT, "updatedAt": _MOMENT, "deleted": False, **fields,
            "id": key.id, "workspaceId": self.target.workspace_id,
        }  # fmt: skip
        answer = await self.target.write(
            method,
            config_path(self.target.workspace_id, key.type),
            {"profileBuilder": without_masks(builder), "code": body.get("code", "")},
            repeatable=True,  # an upsert by id, which may be sent twice [profile-builder/update]
            guard=guard,
        )
        if (
            not isinstance(answer, Mapping) or "id" not in answer
        ):  # an older console accepts it but does nothing
            raise RefusedError(RefusalKind.REFUSED, "this console does not keep profile builders")
