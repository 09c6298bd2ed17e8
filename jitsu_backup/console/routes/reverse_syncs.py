"""Reverse syncs. The console derives the id from the request's id, and deletes only disabled ones [reverse-sync/create]."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from jitsu_backup.catalogue import BUSY, END_FIELDS, MAYBE_BUSY, OUT_OF_IDS, listed_under, request_id_for
from jitsu_backup.console.client import api_path, config_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.reverse_sync_states import ReverseSyncStates, read_reverse_sync_states
from jitsu_backup.console.routes.protocol import (
    Content,
    Created,
    EntityRoute,
    Guard,
    Omissions,
    OvertakenError,
    Target,
    UnchangedGuard,
)
from jitsu_backup.errors import AccessError
from jitsu_backup.model import Key, members_of


class ReverseSyncRoute(EntityRoute):
    """A request may be sent again, because it creates the same sync only once [reverse-sync/create-same-request]."""

    def __init__(self, target: Target) -> None:
        """Start with no disabled syncs."""
        super().__init__(target)
        self._disabled: set[Key] = set()

    @classmethod
    def list_path(cls, workspace_id: str, type_name: str) -> str:
        """Return the path of the list of links, because the syncs' own list fails if one of them cannot be read.

        [link/list-with-an-unreadable-one, reverse-sync/list-with-an-unreadable-one]
        """
        return config_path(workspace_id, listed_under(type_name))

    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        """Create a sync under the first of `ids` that is free. A deleted one keeps its id permanently.

        [reverse-sync/create-request-id-of-a-deleted-one]
        """
        for new_id in ids:
            try:
                await self._post(type_name, new_id, content)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.ID_TAKEN:
                    raise
                if new_id in await self.target.lists.of(type_name):  # created meanwhile, and changed since
                    return Created(new_id, ours=False)
                continue
            return Created(new_id)
        return None

    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update a sync. A field that a complete one leaves out returns to its default [reverse-sync/put-full]."""
        await self._put(key, _sync(content.body), guard)
        return ()

    async def delete(self, key: Key, *, guard: UnchangedGuard) -> None:
        """Disable and delete a sync, because an enabled one cannot be deleted [reverse-sync/delete-enabled].

        Raise RefusedError (kind IN_USE) while an attempt runs or waits [reverse-sync/delete-with-waiting-attempt], and if
        the state of an enabled sync is unknown [reverse-sync/list-with-an-unreadable-one]. If the deletion is rejected, the
        sync is enabled again, or the message says that it is not.
        """
        stuck = self._why_stuck(key, await self._states())
        if stuck:
            raise RefusedError(RefusalKind.IN_USE, stuck)
        self.target.lists.outdate()  # the sync may have been changed while its state was read
        data = self._data(key)
        if data.get("disabled") is True:
            await self._delete(key, guard)
        else:
            await self._disable(key, guard)
            await self._delete_or_enable(key, partial(guard, {"data": {**data, "disabled": True}}))

    async def undeletable(self, keys: Collection[Key]) -> Collection[Key]:
        """Return those of `keys` that have, or may have, a current attempt."""
        states = await self._states()
        return [key for key in keys if self._why_stuck(key, states)]

    async def check_create(self, type_name: str, ids: Iterable[str], content: Content) -> None:
        """Raise RefusedError if the feature is off or none of `ids` is free, before the old sync is deleted.

        This asks for a sync of a model that does not exist, which the console never creates. It reports first that the
        feature is off, or that the request id has already created a sync, even a deleted one
        [reverse-sync/create-feature-off, reverse-sync/create-request-id-of-a-deleted-one,
        reverse-sync/create-unknown-model].
        """
        for new_id in ids:
            body = {**content.body, END_FIELDS[0]: new_id}
            try:
                await self._post(type_name, new_id, replace(content, body=body))
            except RefusedError as refusal:
                if refusal.kind in (RefusalKind.FEATURE_OFF, RefusalKind.FORBIDDEN):
                    raise
                if refusal.kind is not RefusalKind.ID_TAKEN:
                    return
        raise RefusedError(RefusalKind.ID_TAKEN, OUT_OF_IDS)

    async def _post(self, type_name: str, new_id: str, content: Content) -> None:
        """Create a sync under an id. Raise RefusedError (kind ID_TAKEN) also for an id that no request can produce."""
        workspace_id = self.target.workspace_id
        request = request_id_for(workspace_id, type_name, content.source_id, new_id)
        if request is None:
            raise RefusedError(RefusalKind.ID_TAKEN, f"no request produces the id {new_id}")
        body = {"requestId": request, "sync": _sync(content.body)}
        await self.target.write("POST", api_path(workspace_id, "reverse-etl", "syncs"), body, repeatable=True)

    def half_deleted(self) -> Collection[Key]:
        """Return the keys of the syncs that were disabled to be deleted, whatever the outcome."""
        return self._disabled

    def _data(self, key: Key) -> Mapping[str, Any]:
        return members_of(self.target.live[key].body.get("data"))

    async def _states(self) -> ReverseSyncStates:
        return await read_reverse_sync_states(self.target.console, self.target.workspace_id)

    def _why_stuck(self, key: Key, states: ReverseSyncStates) -> str:
        if key.id in states.busy:
            return BUSY
        return MAYBE_BUSY if not states.known and self._data(key).get("disabled") is not True else ""

    async def _disable(self, key: Key, guard: Guard) -> None:
        self._disabled.add(key)  # before the answer, because the connection may break
        try:
            await self._put(key, {"disabled": True}, guard)
        except AccessError:
            self._disabled.discard(key)
            raise

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
        """Enable a sync that was disabled only to be deleted. Return why it still exists, and whether it is enabled."""
        try:
            await self._put(key, {"disabled": False}, None)
        except RefusedError as refusal:
            if refusal.kind is RefusalKind.NOT_FOUND:
                return why
            return f"{why}; it was disabled to be deleted, but could not be enabled again: {refusal}; enable it in the UI"
        return f"{why}; it was enabled again"

    async def _put(self, key: Key, body: Mapping[str, Any], guard: Guard | None) -> None:
        params = {"syncId": key.id}
        await self.target.write("PUT", self._path(), body, params=params, repeatable=True, guard=guard)

    def _path(self) -> str:
        return api_path(self.target.workspace_id, "reverse-etl", "sync")


def _sync(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in (*END_FIELDS, "data") if name in body}
