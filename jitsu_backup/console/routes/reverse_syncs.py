"""Reverse syncs: the console derives the id from our request's, and deletes only what is disabled [reverse-sync/create]."""

from collections.abc import Iterable, Mapping
from typing import Any

from jitsu_backup.catalogue import END_FIELDS, listed_under, request_id_for
from jitsu_backup.console.client import api_path, config_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.reverse_sync_states import read_reverse_sync_states
from jitsu_backup.console.routes.protocol import Content, Created, EntityRoute, Guard, Omissions
from jitsu_backup.model import Key, members_of

BUSY = "an attempt of it runs or waits: cancel it in the UI, or run this again when it has ended"


class ReverseSyncRoute(EntityRoute):
    """A request may be sent again: it makes the same sync once [reverse-sync/create-same-request]."""

    @classmethod
    def list_path(cls, workspace_id: str, type_name: str) -> str:
        """Return the path of the list that holds the syncs among others: their own fails where one cannot be read.

        [link/list-with-an-unreadable-one, reverse-sync/list-with-an-unreadable-one]
        """
        return config_path(workspace_id, listed_under(type_name))

    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        """Create a sync under the first of `ids` that is free; a deleted one keeps its id for ever.

        [reverse-sync/create-request-id-of-a-deleted-one]
        """
        workspace_id = self.target.workspace_id
        path = api_path(workspace_id, "reverse-etl", "syncs")
        for new_id in ids:
            request = request_id_for(workspace_id, type_name, content.source_id, new_id)
            if request is None:
                continue
            body = {"requestId": request, "sync": _sync(content.body)}
            try:
                await self.target.write("POST", path, body, repeatable=True)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.ID_TAKEN:
                    raise
                if new_id in await self.target.lists.of(type_name):  # made meanwhile, and changed since
                    return Created(new_id, ours=False)
                continue
            return Created(new_id)
        return None

    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update a sync: what a whole one leaves out goes back to its default [reverse-sync/put-full]."""
        await self._put(key, _sync(content.body), guard)
        return ()

    async def delete(self, key: Key, *, guard: Guard) -> None:
        """Disable a sync, then delete it [reverse-sync/delete-enabled].

        Raise RefusedError, kind IN_USE, while an attempt runs or waits: it stays as it is then
        [reverse-sync/delete-with-waiting-attempt].
        """
        states = await read_reverse_sync_states(self.target.console, self.target.workspace_id)
        if key.id in states.busy:
            raise RefusedError(RefusalKind.IN_USE, BUSY)
        if members_of(self.target.live[key].body.get("data")).get("disabled") is not True:
            await self._put(key, {"disabled": True}, guard)
        path, params = self._path(), {"syncId": key.id}
        try:
            await self.target.write("DELETE", path, params=params, repeatable=True)
        except RefusedError:
            if key.id in await self.target.lists.of(key.type):
                raise

    async def _put(self, key: Key, body: Mapping[str, Any], guard: Guard | None) -> None:
        params = {"syncId": key.id}
        await self.target.write("PUT", self._path(), body, params=params, repeatable=True, guard=guard)

    def _path(self) -> str:
        return api_path(self.target.workspace_id, "reverse-etl", "sync")


def _sync(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in (*END_FIELDS, "data") if name in body}
