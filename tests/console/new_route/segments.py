"""Segments, an invented type: listed and written under a path of its own, by PUT with an id that the client chooses."""

from collections.abc import Iterable

from jitsu_backup.console.client import api_path
from jitsu_backup.console.routes.protocol import Content, Created, EntityRoute, Guard, Omissions
from jitsu_backup.model import Key


class SegmentRoute(EntityRoute):
    budget_method = "PUT"

    @classmethod
    def list_path(cls, workspace_id: str, type_name: str) -> str:
        return api_path(workspace_id, "segments")

    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        there = await self.target.lists.of(type_name)
        new_id = next(iter(ids))
        if new_id in there:
            return Created(new_id, ours=False)
        await self.update(Key(type_name, new_id), content)
        return Created(new_id)

    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        await self.target.write("PUT", self._path(key), content.body, repeatable=True, guard=guard)
        return ()

    async def delete(self, key: Key, *, guard: Guard) -> None:
        await self.target.write("DELETE", self._path(key), repeatable=True, guard=guard)

    def _path(self, key: Key) -> str:
        return api_path(self.target.workspace_id, "segments", key.id)
