"""Reverse syncs: the console derives the id from our request's, and deletes only what is disabled [reverse-sync/create]."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from jitsu_backup.catalogue import BUSY, END_FIELDS, MAYBE_BUSY, listed_under, request_id_for
from jitsu_backup.console.client import api_path, config_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.reverse_sync_states import read_reverse_sync_states
from jitsu_backup.console.routes.protocol import (
    Content,
    Created,
    EntityRoute,
    Guard,
    Omissions,
    OvertakenError,
    UnchangedGuard,
)
from jitsu_backup.model import Key, members_of


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

    async def delete(self, key: Key, *, guard: UnchangedGuard) -> None:
        """Delete a sync, and disable it first, because an enabled one is not deleted [reverse-sync/delete-enabled].

        Raise RefusedError, kind IN_USE, while an attempt runs or waits [reverse-sync/delete-with-waiting-attempt], and
        where the console cannot tell of an enabled one [reverse-sync/list-with-an-unreadable-one]. Where it refuses,
        an enabled sync is enabled again, or the message says that it is not.
        """
        data = members_of(self.target.live[key].body.get("data"))
        is_disabled = data.get("disabled") is True
        states = await read_reverse_sync_states(self.target.console, self.target.workspace_id)
        if key.id in states.busy:
            raise RefusedError(RefusalKind.IN_USE, BUSY)
        if not states.known and not is_disabled:
            raise RefusedError(RefusalKind.IN_USE, MAYBE_BUSY)
        self.target.lists.outdate()  # somebody may have changed the sync while its state was read
        if is_disabled:
            await self._delete(key, guard)
        else:
            await self._put(key, {"disabled": True}, guard)
            await self._delete_or_enable(key, partial(guard, {"data": {**data, "disabled": True}}))

    async def _delete_or_enable(self, key: Key, guard: Guard) -> None:
        try:
            await self._delete(key, guard)
        except RefusedError as refusal:
            raise RefusedError(refusal.kind, await self._enabled_again(key, str(refusal))) from refusal
        except OvertakenError as found:
            raise OvertakenError(await self._enabled_again(key, str(found))) from found

    async def _delete(self, key: Key, guard: Guard) -> None:
        path, params = self._path(), {"syncId": key.id}
        try:
            await self.target.write("DELETE", path, params=params, repeatable=True, guard=guard)
        except RefusedError:
            if key.id in await self.target.lists.of(key.type):
                raise

    async def _enabled_again(self, key: Key, why: str) -> str:
        """Enable a sync that was disabled only to be deleted; return why it is still there, and whether it is enabled."""
        try:
            await self._put(key, {"disabled": False}, None)
        except RefusedError as refusal:
            if refusal.kind is RefusalKind.NOT_FOUND:
                return why
            return f"{why}; it was disabled to be deleted, and enabling it again failed: {refusal}"
        return f"{why}; it is enabled again"

    async def _put(self, key: Key, body: Mapping[str, Any], guard: Guard | None) -> None:
        params = {"syncId": key.id}
        await self.target.write("PUT", self._path(), body, params=params, repeatable=True, guard=guard)

    def _path(self) -> str:
        return api_path(self.target.workspace_id, "reverse-etl", "sync")


def _sync(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in (*END_FIELDS, "data") if name in body}
