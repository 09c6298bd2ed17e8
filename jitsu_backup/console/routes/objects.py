"""Objects: the client chooses the id, and a deleted one keeps it [stream/create-without-id, delete/recreate-same-id]."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from jitsu_backup.catalogue import entity_type
from jitsu_backup.console.client import UncertainError, config_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.routes.links import users_by_id
from jitsu_backup.console.routes.protocol import (
    Content,
    Created,
    EntityRoute,
    Guard,
    Omission,
    Omissions,
    Target,
    without_masks,
)
from jitsu_backup.model import Key, format_path, items_of, masked_paths, shortened

T = TypeVar("T")


class ObjectRoute(EntityRoute):
    """The route of all types that have none of their own."""

    def __init__(self, target: Target) -> None:
        """Start without knowing which links use the target's objects."""
        super().__init__(target)
        self._users: Mapping[str, set[Key]] = {}

    async def create(self, type_name: str, ids: Iterable[str], content: Content) -> Created | None:
        """Create an object under the first of `ids` that is free. A live object with one of the ids is the same object.

        The ids are derived from the entity, so whoever created one meanwhile has created the same.
        """

        async def send(body: dict[str, Any]) -> Created | None:
            return await self._create_under_free_id(type_name, ids, body)

        created, omissions = await _without_taken_domains(send, content.body)
        return created and replace(created, omissions=omissions)

    async def update(self, key: Key, content: Content, *, guard: Guard | None = None) -> Omissions:
        """Update an object, without the domains that another workspace uses. Its current domains are never removed."""
        path = config_path(self.target.workspace_id, key.type, key.id)

        async def send(body: dict[str, Any]) -> None:
            await self.target.write("PUT", path, without_masks(body), repeatable=True, guard=guard)

        live = self.target.live.get(key)
        own = live.body.get("domains") if live is not None else None
        _, omissions = await _without_taken_domains(
            send,
            content.body,
            own if isinstance(own, list) else [],
            only_domains=content.changed == {"domains"},
        )
        return omissions

    async def before_deleting(self) -> None:
        """Note which links still refer to which objects, because an older console does not support `strict`."""
        self._users = await users_by_id(self.target)

    async def delete(self, key: Key, *, guard: Guard) -> None:
        """Delete an object that no connection uses. The console rejects that if somebody has connected it meanwhile.

        [delete/strict-linked, delete/function-in-use-strict]
        """
        users = self._users.get(key.id)
        if users:
            names = ", ".join(sorted(shortened(self.target.names.get(user) or user.id) for user in users))
            raise RefusedError(RefusalKind.IN_USE, f"connection {names} uses it")
        path = config_path(self.target.workspace_id, key.type, key.id)
        await self.target.write("DELETE", path, params={"strict": "true"}, repeatable=True, guard=guard)

    async def _create_under_free_id(
        self, type_name: str, ids: Iterable[str], body: dict[str, Any]
    ) -> Created | None:
        for new_id in ids:
            whole = {**body, "id": new_id}
            created = await self._create_one(type_name, whole)
            if created is None:
                continue
            if "cloneId" in body:
                await self._check_revived(type_name, whole)
            if created.ours:
                self.target.made_objects.add(new_id)
            return created
        return None

    async def _create_one(self, type_name: str, body: dict[str, Any]) -> Created | None:
        """Create one object. Return None if its id is permanently in use."""
        workspace_id, new_id = self.target.workspace_id, body["id"]
        body = {**without_masks(body), "type": type_name, "workspaceId": workspace_id}
        unclear = 0
        while True:
            try:
                path = config_path(workspace_id, type_name)
                await self.target.write("POST", path, body, repeatable=False)
            except UncertainError as failure:
                unclear += 1
                await self.target.wait_after_unclear(failure, unclear)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.ID_TAKEN:
                    raise
                found = (await self.target.lists.of(type_name)).get(new_id)
                if found is None:
                    return None
                return Created(new_id, ours=unclear > 0 and _has_keys_of(type_name, found, body))
            else:
                return Created(new_id)
            found = (await self.target.lists.of(type_name)).get(new_id)
            if found is not None:
                return Created(new_id, ours=_has_keys_of(type_name, found, body))

    async def _check_revived(self, type_name: str, body: dict[str, Any]) -> None:
        """Raise RefusedError if `cloneId` gave an object no secret, because this console lacks the deleted original.

        Such an object looks right but cannot log in, so nothing is connected to it [destination/create-masked-elsewhere].
        It is kept, because its id would be permanently in use. The next run finds it and asks for the secret.
        """
        found = (await self.target.lists.of(type_name)).get(body["id"])
        lost = set(masked_paths(body)) - set(masked_paths(found))
        if lost:
            paths = ", ".join(sorted(map(format_path, lost)))
            raise RefusedError(
                RefusalKind.REFUSED,
                f"created without its secret {paths}, because this console has no deleted {body['cloneId']} to copy it from;"
                " nothing was connected to it; give the secret with --overlay",
            )


async def _without_taken_domains(
    send: Callable[[dict[str, Any]], Awaitable[T]],
    content: Mapping[str, Any],
    own: Sequence[Any] = (),
    *,
    only_domains: bool = False,
) -> tuple[T | None, Omissions]:
    """Send a stream again without each rejected domain, but with its `own`. Return the answer and what was left out.

    With `only_domains`, nothing is sent if none is left, and the answer is None.
    """
    body = dict(content)
    refused: list[str] = []
    answer: T | None = None
    while True:
        try:
            answer = await send(body)
        except RefusedError as refusal:
            taken = _taken_domain(body, refusal)
            if taken is None or taken in own:
                raise
            refused.append(taken)
            left = [name for name in body["domains"] if name != taken and name not in own]
            body = {**body, "domains": [*own, *left]}
            if left or not only_domains:
                continue
        reason = f"domain {', '.join(refused)} is in use by another workspace"
        return answer, (Omission("domains", reason),) if refused else ()


def _taken_domain(body: Mapping[str, Any], refusal: RefusedError) -> str | None:
    """Return the domain of a stream's body that a rejection names, or None [stream/create-domain-in-use]."""
    words = str(refusal).split()
    named = words[1] if refusal.kind is RefusalKind.DOMAIN_IN_USE and len(words) > 1 else None
    domains = body.get("domains")
    return named if isinstance(domains, list) and named in domains else None


def _has_keys_of(type_name: str, found: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Return whether a stream has the write keys that were sent, by their hints. If not, another run created it."""
    fields = entity_type(type_name).write_key_fields
    listed = {key.get("id"): key.get("hint") for key in _write_keys(fields, found)}
    return all(
        listed.get(key["id"]) == key["hint"]
        for key in _write_keys(fields, sent)
        if key.get("plaintext") and key.get("hint")
    )


def _write_keys(fields: Iterable[str], body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [key for name in fields for key in items_of(body.get(name)) if isinstance(key, Mapping)]
