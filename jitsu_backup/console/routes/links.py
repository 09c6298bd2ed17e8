"""Links (connections and syncs). The console assigns their ids, and a pair may have many syncs [link/create-push]."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from typing import Any

from jitsu_backup.catalogue import entity_type, find_references
from jitsu_backup.console.client import UncertainError, api_path, config_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.routes.protocol import (
    Content,
    Created,
    EntityRoute,
    Guard,
    Omission,
    Omissions,
    Target,
)
from jitsu_backup.console.sync_cursors import refusal_in
from jitsu_backup.events import Notice
from jitsu_backup.model import Key, canonical

_LINK = "link"


class _MadeMeanwhileError(Exception):
    """Somebody else has created the link that this run was about to create."""

    def __init__(self, link_id: str) -> None:
        super().__init__(link_id)
        self.link_id = link_id


class LinkRoute(EntityRoute):
    """Links are distinguished by their ends, their data, and whether they existed before."""

    budget_method = "PUT"  # PUT creates too, and leaves the budget of POST to objects

    def __init__(self, target: Target) -> None:
        """Note the links that the target has."""
        super().__init__(target)
        self._path = config_path(target.workspace_id, _LINK)
        self._known = {key.id for key in target.live if key.type == _LINK}
        self._made: set[str] = set()
        # a console without cursors is older and cannot delete a link by its id [delete/link-by-id]
        self._duplicates_can_go = "sync-cursor" not in target.not_offered
        self._go_by_id = True

    def turn(self, body: Mapping[str, Any]) -> Hashable:
        """Return the ends, because links with the same ends can be distinguished only if written one by one."""
        return _ends(body)

    def likeness(self, body: Mapping[str, Any]) -> Hashable:
        """Return ends and data."""
        return _ends(body), canonical(_data(body))

    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created:  # noqa: ARG002  the console makes the id
        """Create a link. After an unclear outcome, look for a link that did not exist before."""
        body, unclear = content.body, 0
        while True:
            try:
                answer = await self.target.write(
                    "PUT", self._path, {**body, "id": "new"}, repeatable=False,
                    guard=None if unclear else partial(self._check_not_made, body),
                )  # fmt: skip
            except _MadeMeanwhileError as found:
                return Created(found.link_id, ours=False)
            except UncertainError as failure:
                unclear += 1
                await self.target.wait_after_unclear(failure, unclear)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.LINK_EXISTS or not unclear:
                    raise
            else:
                return self._note_made(self._id_in(answer, unclear=unclear > 0))
            new = await self._of_same_ends(body) - self._known
            if new:
                return self._note_made(min(new))

    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update a link. One without a body gets only cursors."""
        if content.body:
            body = {**content.body, "id": key.id}
            await self.target.write("PUT", self._path, body, repeatable=True, guard=guard)
        return ()

    async def complete(self, entity_id: str, content: Content) -> Omissions:
        """Write the cursors of a sync."""
        omissions = []
        for stream, state in sorted(content.cursors.items()):
            path = api_path(self.target.workspace_id, "sources", "state")
            params = {"syncId": entity_id, "stream": stream}
            try:
                answer = await self.target.write("POST", path, state, params=params, repeatable=True)
                refused = refusal_in(answer)
            except RefusedError as refusal:
                refused = str(refusal)
            if refused is not None:
                omissions.append(Omission(f"cursor of {stream}", refused))
        return tuple(omissions)

    async def delete(self, key: Key, *, guard: Guard) -> None:
        """Delete a link by its id, or on an older console by its ends, provided that no other link has the same ends."""
        if await self._delete_by_id(key.id, guard):
            return
        body = self.target.live[key].body
        _, source, destination = _ends(body)
        going = {other.id for other in self.target.deleting if other.type == key.type}
        if await self._of_same_ends(body) - going:
            raise RefusedError(
                RefusalKind.IN_USE,
                "this console deletes connections by their ends, but another connection has the same ends",
            )
        params = {"fromId": source, "toId": destination}
        await self.target.write("DELETE", self._path, params=params, repeatable=True)

    async def remove_duplicate(self, entity_id: str) -> bool:
        """Delete a sync that this run created just after another run. Return False if this console cannot do that."""
        return entity_id in self._made and await self._delete_by_id(entity_id)

    async def _check_not_made(self, body: Mapping[str, Any]) -> None:
        """Raise _MadeMeanwhileError if somebody has created a link that this one would replace or duplicate.

        Links of entities that this run has just created are not checked. Of two equal syncs, one is deleted at the end, by
        its id.
        """
        kind, *named = ends = _ends(body)
        if not self.target.made_objects.isdisjoint(named) and (kind == "push" or self._duplicates_can_go):
            return
        found = await self.target.lists.of(_LINK)
        same = (
            link_id
            for link_id, item in found.items()
            if link_id not in self._known
            and _ends(item) == ends
            and (kind == "push" or _data(item) == _data(body))
        )
        first = next(same, None)
        if first is not None:
            self._known.add(first)
            raise _MadeMeanwhileError(first)

    def _id_in(self, answer: Any, *, unclear: bool) -> str:
        made = answer.get("id") if isinstance(answer, Mapping) else None
        if not isinstance(made, str):
            raise RefusedError(
                RefusalKind.REFUSED, "the console returned no id for the new connection or sync"
            )
        if answer.get("created") is False and not unclear:  # [link/upsert-push-with-any-id]
            self.target.report(
                Notice(f"connection {made} was created by somebody else at the same moment and was replaced")
            )
        return made

    def _note_made(self, link_id: str) -> Created:
        self._known.add(link_id)
        self._made.add(link_id)
        return Created(link_id)

    async def _delete_by_id(self, link_id: str, guard: Guard | None = None) -> bool:
        """Delete a link by its id. Return False if this console cannot do that [delete/link-by-id]."""
        if self._go_by_id:
            try:
                await self.target.write(
                    "DELETE", self._path, params={"id": link_id}, repeatable=True, guard=guard
                )
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.REFUSED:
                    raise
                self._go_by_id = False  # an older console requires both ends [delete/link-by-id]
        return self._go_by_id

    async def _of_same_ends(self, body: Mapping[str, Any]) -> set[str]:
        found = await self.target.lists.of(_LINK)
        return {link_id for link_id, item in found.items() if _ends(item) == _ends(body)}


async def users_by_id(target: Target) -> Mapping[str, set[Key]]:
    """Return the current links of the workspace that refer to each id."""
    users: dict[str, set[Key]] = defaultdict(set)
    for link_id, item in (await target.lists.of(_LINK)).items():
        for _, named_id in find_references(entity_type(_LINK).references, item):
            users[named_id].add(Key(_LINK, link_id))
    return users


def _ends(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(body.get("type") or "push"), str(body.get("fromId")), str(body.get("toId"))


def _data(body: Mapping[str, Any]) -> Any:
    return body.get("data") or {}
