"""Acting: walk a plan against a console, then read back and say what still differs."""

import asyncio
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from jitsu_backup.catalogue import entity_type, find_references, owned_functions, rewrite
from jitsu_backup.catalogue.table import STAGES, Route
from jitsu_backup.console import Console, FreshLists, RefusalKind, RefusedError, UncertainError, gather
from jitsu_backup.console.client import api_path, config_path
from jitsu_backup.events import Notice, Progress, Reporter, silent
from jitsu_backup.model import (
    Entity,
    Key,
    Snapshot,
    canonical,
    format_path,
    items_of,
    masked_paths,
    quoted,
    shortened,
)
from jitsu_backup.planning import (
    KEY_FIELDS,
    Action,
    Kind,
    Loss,
    Plan,
    essence,
    has_key_material,
    ids_after,
    subtype,
)

_TAKEN_OVER = "another run may have taken over the workspace"

UNCLEAR_ATTEMPTS = 5
"""How often one write may end unclear before the console counts as lost."""


class Status(Enum):
    """How an action ended."""

    DONE = "done"
    OVERTAKEN = "overtaken"  # somebody else made, changed or deleted it meanwhile, and that was left as it is
    FAILED = "failed"
    NOT_ATTEMPTED = "not attempted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action: the id it has now, or the reason why it has none."""

    action: Action
    status: Status
    target_id: str | None = None
    reason: str = ""
    losses: tuple[Loss, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it is still to be done."""
        return self.status in (Status.FAILED, Status.NOT_ATTEMPTED)


@dataclass(frozen=True, slots=True)
class StreamKey:
    """A write key made for a stream of the target. `write_key` is the secret that senders use."""

    stream: str
    stream_id: str
    kind: str
    source_key_id: str
    key_id: str
    write_key: str = field(repr=False)


class _Creation(Enum):
    """How the attempt to create an object under one id ended."""

    MADE = "made"
    THERE = "there"  # made meanwhile by another run: a derived id that is live here is this entity
    TAKEN = "taken"


class _OvertakenError(Exception):
    """Somebody else was there first; the message says how."""


class _MadeMeanwhileError(Exception):
    """Somebody else has made a link that was to be made."""

    def __init__(self, link_id: str) -> None:
        super().__init__(link_id)
        self.link_id = link_id


class Importer:
    """Carries out one plan.

    `live` is the target as it was planned against. `keys` are the generated write keys, by (source
    stream id, field, source key id): the caller has stored them before anything is sent. `stop`, once
    set, ends the work after the requests under way, as does the first refusal with `fail_fast`;
    running the same restore again continues it. `may_write` is asked before each action.

    What somebody else makes, changes or deletes meanwhile is never overwritten: it is found by a look right before the write.
    """

    def __init__(
        self,
        console: Console,
        plan: Plan,
        keys: Mapping[tuple[str, str, str], StreamKey],
        *,
        live: Snapshot,
        stop: asyncio.Event | None = None,
        fail_fast: bool = False,
        may_write: Callable[[], bool] = lambda: True,
        report: Reporter = silent,
    ) -> None:
        self.live = {entity.key: entity for entity in live.entities}
        self.known_links = {link.key.id for link in live.of_type("link")}
        self.sent = False
        self.made_links: set[str] = set()
        # a console without cursors is an older one, which deletes no link by its id [delete/link-by-id]
        self.doubles_can_go = "sync-cursor" not in live.manifest.not_offered
        self.made_objects: set[str] = set()
        known: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in live.manifest.counts}
        for entity in live.entities:
            known[entity.key.type][entity.key.id] = entity.body
        self.lists = FreshLists(console, plan.target.workspace_id, known)
        self.may_write = may_write
        self.console, self.plan, self.keys, self.report = console, plan, keys, report
        self.workspace_id = plan.target.workspace_id
        self.ids = dict(plan.ids)
        self.stop, self.fail_fast = stop or asyncio.Event(), fail_fast
        self.outcomes: dict[Key, Outcome] = {}
        self.deletions: dict[Key, Outcome] = {}
        self.ended: dict[Key, asyncio.Event] = {}
        self.waits: dict[Key, list[Key]] = {}
        self.failed = False
        self.makers = {
            Key("function", function_id): Key("profile-builder", builder_id)
            for function_id, builder_id in plan.owned_functions
        }
        self.made = {action.key for action in plan.writes if action.kind is not Kind.DELETE}
        self.links_go_by_id = True
        self.in_use: dict[str, set[str]] = {}
        self.types_of_id: dict[str, set[str]] = defaultdict(set)
        for key in self.ids:
            if key.type != "link":
                self.types_of_id[key.id].add(key.type)
        self.total = len(plan.writes)

    async def run(self) -> list[Outcome]:
        """Carry out the plan; give the outcome of every action that writes, in the plan's order.

        One that the console refuses fails alone, and what needs it is not attempted.
        Raises AccessError when the key may not write, ConsoleError when the console is lost.
        """
        making = [action for action in self.plan.writes if action.kind is not Kind.DELETE]
        self.waits = {action.key: self._awaited(action) for action in making}
        objects, links = _links_early(making, self.waits)
        self.ended = {action.key: asyncio.Event() for action in making}
        # side by side, for they have a budget each: objects are made by POST, links by PUT
        await gather(
            self._in_turn([[action] for action in objects], self.outcomes),
            self._in_turn(self._groups(links), self.outcomes),
        )
        deleting = [action for action in self.plan.writes if action.kind is Kind.DELETE]
        for stage in reversed(STAGES):
            jobs = [action for action in deleting if entity_type(action.key.type).stage == stage]
            if jobs and jobs[0].key.type != "link":
                await self._find_uses()
            await self._in_turn(self._groups(jobs), self.deletions)
        return self.done()

    def done(self) -> list[Outcome]:
        """Give the outcomes there are so far, in the plan's order."""
        found = (
            (self.deletions if action.kind is Kind.DELETE else self.outcomes).get(action.key)
            for action in self.plan.writes
        )
        return [outcome for outcome in found if outcome is not None]

    def _groups(self, actions: list[Action]) -> list[list[Action]]:
        """Put links of the same ends one after the other: only so can they be told apart."""
        groups: dict[object, list[Action]] = defaultdict(list)
        for action in actions:
            groups[self._link_ends(action) if action.key.type == "link" else action.key].append(action)
        return list(groups.values())

    async def _in_turn(self, groups: list[list[Action]], outcomes: dict[Key, Outcome]) -> None:
        queue = iter(groups)

        async def worker() -> None:
            for group in queue:
                for action in group:
                    if action.kind is not Kind.DELETE:
                        for key in self.waits[action.key]:
                            await self.ended[key].wait()
                    outcomes[action.key] = await self._outcome(action)
                    self.failed |= outcomes[action.key].status is Status.FAILED
                    if action.key in self.ended:
                        self.ended[action.key].set()
                    done = len(self.outcomes) + len(self.deletions)
                    self.report(Progress("restoring", done, self.total))

        await gather(*(worker() for _ in range(min(self.console.concurrency, len(groups)))))

    async def _outcome(self, action: Action) -> Outcome:
        if self.stop.is_set():
            return Outcome(action, Status.NOT_ATTEMPTED, reason="interrupted")
        if not self.may_write():
            return Outcome(action, Status.NOT_ATTEMPTED, reason=_TAKEN_OVER)
        if self.fail_fast and self.failed:
            return Outcome(action, Status.NOT_ATTEMPTED, reason="stopped at the first refusal")
        needed = self._failed_need(action)
        if needed is not None:
            return Outcome(action, Status.NOT_ATTEMPTED, reason=f"needs {needed}, which failed")
        try:
            if action.kind is Kind.DELETE:
                return await self._delete(action)
            route = entity_type(action.key.type).route
            if route is Route.LINK:
                return await self._link(action)
            if route is Route.PROFILE_BUILDER:
                return await self._profile_builder(action)
            return await self._object(action)
        except RefusedError as refusal:
            return Outcome(action, Status.FAILED, reason=str(refusal))
        except _OvertakenError as found:
            return Outcome(action, Status.OVERTAKEN, action.target_id, reason=str(found))

    def _unchanged(self, key: Key) -> Callable[[], Awaitable[None]]:
        """Return the check that an entity of the target is as it was when the plan was made."""

        async def check() -> None:
            found = (await self.lists.of(key.type)).get(key.id)
            if found is None:
                raise _OvertakenError("somebody else has deleted it meanwhile")
            if essence(Entity(key, found)) != essence(self.live[key]):
                raise _OvertakenError(
                    "somebody else has changed it meanwhile, so it was left as it is: run again to see what differs"
                )

        return check

    async def _write(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        check: Callable[[], Awaitable[None]] | None = None,
        **options: Any,
    ) -> Any:
        """Send a write. `check` looks right before whether it still fits, and raises _OvertakenError where not."""

        async def sending() -> None:
            if check is not None:
                await check()
            if not self.may_write():  # it may have waited for long
                raise RefusedError(RefusalKind.REFUSED, f"not sent: {_TAKEN_OVER}")
            self.lists.outdate()
            self.sent = True

        return await self.console.write(method, path, body, check=sending, **options)

    # -- objects -----------------------------------------------------------------

    async def _object(self, action: Action) -> Outcome:
        refused: list[str] = []
        body = self._body(action)
        while True:
            try:
                if action.kind is Kind.CREATE and await self._create_object(action, body) is _Creation.THERE:
                    return self._adopted(action)
                if action.kind is Kind.UPDATE:
                    path = config_path(self.workspace_id, action.key.type, self.ids[action.key])
                    unchanged = self._unchanged(Key(action.key.type, self.ids[action.key]))
                    await self._write("PUT", path, _without_masks(body), repeatable=True, check=unchanged)
            except RefusedError as refusal:
                taken, own = _taken_domain(body, refusal), self._own_domains(action)
                if taken is None or taken in own:
                    raise
                refused.append(taken)
                left = [d for d in body["domains"] if d != taken and d not in own]
                body = {**body, "domains": [*own, *left]}
                if left or not _only_domains(action):
                    continue
            reason = f"domain {', '.join(refused)} is in use by another workspace"
            losses = (Loss("domains", reason),) if refused else ()
            return Outcome(action, Status.DONE, self.ids[action.key], losses=losses)

    def _own_domains(self, action: Action) -> list[Any]:
        """Give the domains that the target's stream has: no refusal of another one takes them away."""
        updated = action.kind is Kind.UPDATE
        stream = self.live.get(Key(action.key.type, self.ids[action.key])) if updated else None
        own = None if stream is None else stream.body.get("domains")
        return own if isinstance(own, list) else []

    def _adopted(self, action: Action) -> Outcome:
        reason = "somebody else has made it meanwhile, and it was left as it is"
        lost = "they are those of the run that made the stream: look there, or add one in the UI"
        losses = tuple(sorted({Loss(slot.field, lost) for slot in action.new_keys}))
        return Outcome(action, Status.OVERTAKEN, self.ids[action.key], reason, losses)

    async def _create_object(self, action: Action, body: dict[str, Any]) -> _Creation:
        """Create under the planned id, or under the next one where it is taken for ever."""
        for new_id in self._ids_to_try(action.key):
            created = await self._created(action.key.type, {**body, "id": new_id})
            if created is _Creation.TAKEN:
                continue
            if "cloneId" in body:
                await self._check_revived(action.key.type, {**body, "id": new_id})
            self.ids[action.key] = new_id
            if created is _Creation.MADE:
                self.made_objects.add(new_id)
            return created
        raise RefusedError(RefusalKind.ID_TAKEN, self._all_taken(action.key))

    def _ids_to_try(self, key: Key) -> Iterator[str]:
        first = self.ids[key]
        yield first
        if not self.plan.fixed_ids:
            yield from ids_after(self.workspace_id, key.type, key.id, first)

    def _all_taken(self, key: Key) -> str:
        first = self.ids[key]
        return f"its id {first} is taken" if self.plan.fixed_ids else "every id that it could get is taken"

    async def _created(self, type_name: str, body: dict[str, Any]) -> _Creation:
        """Create one object, unless its id is taken: by another run that has made the same, or for ever."""
        body = {**_without_masks(body), "type": type_name, "workspaceId": self.workspace_id}
        unclear = 0
        while True:
            try:
                await self._write("POST", config_path(self.workspace_id, type_name), body, repeatable=False)
            except UncertainError:
                unclear += 1
                if unclear > UNCLEAR_ATTEMPTS:
                    raise
                await self.console.pause(min(0.5 * 2**unclear, 10))
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.ID_TAKEN:
                    raise
                found = (await self.lists.of(type_name)).get(body["id"])
                if found is None:
                    return _Creation.TAKEN
                return _Creation.MADE if unclear and _has_keys_of(found, body) else _Creation.THERE
            else:
                return _Creation.MADE
            found = (await self.lists.of(type_name)).get(body["id"])
            if found is not None:
                return _Creation.MADE if _has_keys_of(found, body) else _Creation.THERE

    async def _check_revived(self, type_name: str, body: dict[str, Any]) -> None:
        """Raise RefusedError where `cloneId` gave an object no secret, for it named nothing that this console had.

        Such a one looks right and cannot log in, so nothing is connected to it [destination/create-masked-elsewhere]. It
        stays, for its id would be taken for ever: the next run finds it, and asks for the secret.
        """
        found = (await self.lists.of(type_name)).get(body["id"])
        lost = set(masked_paths(body)) - set(masked_paths(found))
        if lost:
            paths = ", ".join(sorted(map(format_path, lost)))
            raise RefusedError(
                RefusalKind.REFUSED,
                f"secret {paths} did not come back, for this console knows no deleted {body['cloneId']}: it is there without,"
                " and nothing was connected to it; give it with --overlay",
            )

    def _body(self, action: Action) -> dict[str, Any]:
        """Give the body to send, references in the target's ids, write keys in place."""
        body = rewrite(entity_type(action.key.type).references, action.body, self._resolve)
        if action.key.type == "stream":
            for name in KEY_FIELDS:
                if isinstance(body.get(name), list):
                    body[name] = [self._stream_key(action, name, item) for item in body[name]]
        return body

    def _stream_key(self, action: Action, name: str, item: Any) -> Any:
        generated = self.keys.get(
            (action.key.id, name, str(item.get("id")) if isinstance(item, Mapping) else "")
        )
        if generated is None or has_key_material(item):
            return item
        plaintext = generated.write_key.partition(":")[2]
        hint = f"{plaintext[:3]}*{plaintext[-3:]}"
        return {"id": generated.key_id, "plaintext": plaintext, "hint": hint}

    # -- profile builders -----------------------------------------------------------

    async def _profile_builder(self, action: Action) -> Outcome:
        sent: dict[str, Any] = {}
        kind = action.key.type
        creates = action.kind is Kind.CREATE
        if creates and self.ids[action.key] in await self.lists.of(kind):  # else writing it would replace it
            await self._learn_owned_function(action, self.ids[action.key])
            return self._adopted(action)
        for new_id in self._ids_to_try(action.key) if action.kind is Kind.CREATE else [self.ids[action.key]]:
            try:
                check = self._unchanged(Key(kind, new_id)) if action.kind is Kind.UPDATE else None
                sent = await self._send_builder(action, new_id, check=check)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.ID_TAKEN or action.kind is not Kind.CREATE:
                    raise
                continue
            self.ids[action.key] = new_id
            break
        else:
            raise RefusedError(RefusalKind.ID_TAKEN, self._all_taken(action.key))
        new_id = self.ids[action.key]
        if action.kind is Kind.CREATE:
            await self._learn_owned_function(action, new_id)
            if self._body(action) != sent:  # it names its own function, whose id is known only now
                await self._send_builder(action, new_id, update=True)
        draft = action.body.get("draft")
        if draft is not None and draft != action.body.get("code"):
            await self._write_draft(new_id, draft)
        return Outcome(action, Status.DONE, new_id)

    async def _write_draft(self, builder_id: str, draft: str) -> None:
        """Give a builder's function its unpublished code again: writing the builder publishes [profile-builder/list]."""
        for function_id, owner in await self._owned_functions():
            if owner == builder_id:
                path = config_path(self.workspace_id, "function", function_id)
                await self._write("PUT", path, {"draft": draft}, repeatable=True)
                return

    async def _send_builder(
        self,
        action: Action,
        new_id: str,
        *,
        update: bool = False,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        body = self._body(action)
        fields = {name: value for name, value in body.items() if name not in ("code", "draft")}
        moment = "1970-01-01T00:00:00.000Z"
        builder = {
            "version": 1, "createdAt": moment, "updatedAt": moment, "deleted": False, **fields,
            "id": new_id, "workspaceId": self.workspace_id,
        }  # fmt: skip
        method = "PUT" if update or action.kind is Kind.UPDATE else "POST"
        # an upsert by id: sending it twice does no harm [profile-builder/update]
        answer = await self._write(
            method,
            config_path(self.workspace_id, action.key.type),
            {"profileBuilder": _without_masks(builder), "code": body.get("code", "")},
            repeatable=True,
            check=check,
        )
        if (
            not isinstance(answer, Mapping) or "id" not in answer
        ):  # an older console says yes and does nothing
            raise RefusedError(RefusalKind.REFUSED, "this console does not keep profile builders")
        return body

    async def _learn_owned_function(self, action: Action, new_id: str) -> None:
        owned = [
            Key("function", source_id)
            for source_id, builder_id in self.plan.owned_functions
            if builder_id == action.key.id
        ]
        if not owned:
            return
        made = [function_id for function_id, owner in await self._owned_functions() if owner == new_id]
        for key, function_id in zip(owned, made, strict=False):
            self.ids[key] = function_id
            self.types_of_id[key.id].add("function")

    async def _owned_functions(self) -> list[tuple[str, str]]:
        """Return (function id, builder id) of the target's profile builders as they are now."""
        found = await self.lists.of("profile-builder")
        builders = [Entity(Key("profile-builder", item_id), item) for item_id, item in found.items()]
        return list(owned_functions(builders))

    # -- deletion ---------------------------------------------------------------------

    async def _delete(self, action: Action) -> Outcome:
        kind = action.key.type
        unchanged = self._unchanged(action.key)
        if kind == "link":
            await self._delete_link(action)
        elif kind == "profile-builder":
            path = config_path(self.workspace_id, kind)
            await self._write("DELETE", path, params={"id": action.key.id}, repeatable=True, check=unchanged)
        else:
            users = self.in_use.get(action.key.id, set())
            if users:
                called = {a.target_id: a.name for a in self.plan.actions if a.key.type == "link"}
                names = ", ".join(sorted(shortened(called.get(user) or user) for user in users))
                raise RefusedError(RefusalKind.IN_USE, f"connection {names} uses it")
            # strict: what somebody connected meanwhile stays [delete/strict-linked, delete/function-in-use-strict]
            path = config_path(self.workspace_id, kind, action.key.id)
            await self._write("DELETE", path, params={"strict": "true"}, repeatable=True, check=unchanged)
        return Outcome(action, Status.DONE, action.key.id)

    async def _find_uses(self) -> None:
        """Note which ids the links that are left name: an older console does not know `strict`."""
        self.in_use = defaultdict(set)
        for link_id, item in (await self.lists.of("link")).items():
            for _, named_id in find_references(entity_type("link").references, item):
                self.in_use[named_id].add(link_id)

    async def _delete_link(self, action: Action) -> None:
        if await self._delete_by_id(action.key.id, self._unchanged(action.key)):
            return
        mine = _ends(action.body)
        going = {a.key.id for a in self.plan.writes if a.kind is Kind.DELETE and a.key.type == "link"}
        if await self._matching_links(action.body) - going:
            raise RefusedError(
                RefusalKind.IN_USE,
                "this console deletes connections by their ends, and another one has the same",
            )
        path = config_path(self.workspace_id, "link")
        await self._write("DELETE", path, params={"fromId": mine[1], "toId": mine[2]}, repeatable=True)

    # -- links ------------------------------------------------------------------------

    async def _link(self, action: Action) -> Outcome:
        link_id: str | None
        if action.kind is Kind.CREATE:
            try:
                link_id = await self._create_link(self._body(action))
            except _MadeMeanwhileError as found:
                self.ids[action.key] = found.link_id
                return self._adopted(action)
            self.made_links.add(link_id)
        else:
            link_id = action.target_id
            if action.body:
                body, unchanged = (
                    {**self._body(action), "id": link_id},
                    self._unchanged(Key("link", str(link_id))),
                )
                path = config_path(self.workspace_id, "link")
                await self._write("PUT", path, body, repeatable=True, check=unchanged)
        if link_id is not None:
            self.ids[action.key] = link_id
        losses = []
        for stream, state in sorted(action.cursors.items()):
            try:
                answer = await self._write(
                    "POST",
                    api_path(self.workspace_id, "sources", "state"),
                    state,
                    params={"syncId": str(link_id), "stream": stream},
                    repeatable=True,
                )
            except RefusedError as refusal:
                losses.append(Loss(f"cursor of {stream}", str(refusal)))
                continue
            if (
                isinstance(answer, Mapping) and answer.get("ok") is False
            ):  # a 200 all the same [sync-state/unknown-sync]
                losses.append(Loss(f"cursor of {stream}", str(answer.get("error") or "refused")[:200]))
        return Outcome(action, Status.DONE, link_id, losses=tuple(losses))

    async def _check_not_made(self, body: Mapping[str, Any]) -> None:
        """Raise _MadeMeanwhileError where somebody else has made a link that making this one would replace or double.

        What this run has just made hardly anybody has connected; of two equal syncs one is deleted at the end, by its id.
        """
        kind, *named = ends = _ends(body)
        if not self.made_objects.isdisjoint(named) and (kind == "push" or self.doubles_can_go):
            return
        found = await self.lists.of("link")
        same = [
            link_id
            for link_id, item in found.items()
            if link_id not in self.known_links
            and _ends(item) == ends
            and (kind == "push" or _data(item) == _data(body))
        ]
        if same:
            self.known_links.add(same[0])
            raise _MadeMeanwhileError(same[0])

    async def _create_link(self, body: dict[str, Any]) -> str:
        """Create a link; settle an unclear outcome by looking for one that was not there before."""
        unclear = 0
        while True:
            try:
                # by PUT, which makes one as well, so that objects have the budget of POST to themselves
                answer = await self._write(
                    "PUT", config_path(self.workspace_id, "link"), {**body, "id": "new"}, repeatable=False,
                    check=None if unclear else functools.partial(self._check_not_made, body),
                )  # fmt: skip
            except UncertainError:
                unclear += 1
                if unclear > UNCLEAR_ATTEMPTS:
                    raise
                await self.console.pause(min(0.5 * 2**unclear, 10))
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.LINK_EXISTS or not unclear:
                    raise
            else:
                made = answer.get("id") if isinstance(answer, Mapping) else None
                if not isinstance(made, str):
                    raise RefusedError(RefusalKind.REFUSED, "the console named no id for the new link")
                if answer.get("created") is False and not unclear:  # [link/upsert-push-with-any-id]
                    self.report(
                        Notice(
                            f"connection {made} was made by somebody else in the same moment and is replaced"
                        )
                    )
                self.known_links.add(made)
                return made
            new = await self._matching_links(body) - self.known_links
            if new:
                self.known_links.add(min(new))
                return min(new)

    def doubled(self, after: Snapshot) -> list[Entity]:
        """Return what is in the target once too often since this run began: of equal entities the youngest.

        The console makes the ids of links and lets a pair have many syncs [link/create-sync-again], so it cannot tell.
        """
        ours = {*self.ids.values(), *self.made_links}
        owned = {function_id for function_id, _ in owned_functions(after.entities)}
        alike: dict[object, list[Entity]] = defaultdict(list)
        for entity in after.entities:
            mine = entity.key.id in ours
            if (mine or entity.key not in self.live) and not (
                entity.key.type == "function" and entity.key.id in owned
            ):
                alike[_likeness(entity)].append(entity)
        surplus = []
        for entities in alike.values():
            wanted = sum(entity.key.id in ours for entity in entities)
            surplus += sorted(entities, key=_age)[wanted:] if wanted else []
        return surplus

    async def remove_own_doubles(self, after: Snapshot) -> Snapshot:
        """Delete the syncs that another run had made a moment before this one did; return the target without them.

        Of equal ones the oldest stays, so that of two runs at once exactly one deletes its own.
        """
        removed = set()
        for double in self.doubled(after):
            if double.key.id in self.made_links and await self._delete_by_id(double.key.id):
                removed.add(double.key)
        gone = {key.id for key in removed}
        for key in [key for key, link_id in self.ids.items() if key.type == "link" and link_id in gone]:
            reason = "another run had made the same a moment earlier, so this one was deleted again"
            self.outcomes[key] = replace(self.outcomes[key], status=Status.OVERTAKEN, reason=reason)
            del self.ids[key]
        return replace(after, entities=tuple(e for e in after.entities if e.key not in removed))

    async def _delete_by_id(self, link_id: str, check: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Delete a link by its id; return False where this console cannot [delete/link-by-id]."""
        if self.links_go_by_id:
            path = config_path(self.workspace_id, "link")
            try:
                await self._write("DELETE", path, params={"id": link_id}, repeatable=True, check=check)
            except RefusedError as refusal:
                if refusal.kind is not RefusalKind.REFUSED:
                    raise
                self.links_go_by_id = False  # an older console wants both ends [delete/link-by-id]
        return self.links_go_by_id

    async def _matching_links(self, body: Mapping[str, Any]) -> set[str]:
        found = await self.lists.of("link")
        return {link_id for link_id, item in found.items() if _ends(item) == _ends(body)}

    # -- what needs what ------------------------------------------------------------------

    def _resolve(self, types: tuple[str, ...], source_id: str) -> str | None:
        for type_name in types or sorted(self.types_of_id.get(source_id, ())):
            found = self.ids.get(Key(type_name, source_id))
            if found is not None:
                return found
        return None

    def _needs(self, action: Action) -> list[Key]:
        needed = list(action.after)
        if action.kind is not Kind.DELETE:
            for reference, source_id in find_references(entity_type(action.key.type).references, action.body):
                types = reference.types or sorted(self.types_of_id.get(source_id, ()))
                needed += [Key(type_name, source_id) for type_name in types]
        return needed

    def _awaited(self, action: Action) -> list[Key]:
        """Give what has to be made before an action: only of earlier stages, so that no two wait for each other."""
        stage = entity_type(action.key.type).stage
        keys = dict.fromkeys(self.makers.get(key, key) for key in self._needs(action))
        return [key for key in keys if key in self.made and entity_type(key.type).stage < stage]

    def _failed_need(self, action: Action) -> str | None:
        needed = self._needs(action)
        for key in needed:
            outcome = self.outcomes.get(key)
            if outcome is not None and outcome.failed and outcome.action is not action:
                return f"{key.type} {quoted(outcome.action.name)}"
        return None

    def _link_ends(self, action: Action) -> tuple[str, ...]:
        return ("link", *_ends(action.body))


def _links_early(making: list[Action], needs: Mapping[Key, list[Key]]) -> tuple[list[Action], list[Action]]:
    """Part links from all else, and order both so that links can begin early.

    What a link needs comes first, so that the two budgets are spent at the same time.
    """
    by_key = {action.key: action for action in making}
    links = [action for action in making if action.key.type == "link"]
    place: dict[Key, int] = {}

    def put(action: Action) -> None:
        if action.key not in place:
            for key in needs[action.key]:  # of earlier stages, so this ends
                put(by_key[key])
            place.setdefault(action.key, len(place))

    for link in links:
        for key in needs[link.key]:
            put(by_key[key])
    for action in making:
        if action.key.type != "link":
            put(action)
    objects = [by_key[key] for key in place]
    return objects, sorted(links, key=lambda link: max((place[key] for key in needs[link.key]), default=-1))


def new_keys(plan: Plan, new_secret: Callable[[], str]) -> dict[tuple[str, str, str], StreamKey]:
    """Make the write keys that a plan needs; `new_secret` gives a fresh secret each time."""
    made = {}
    for action in plan.writes:
        for slot in action.made_keys:
            kind = "browser" if slot.field == "publicKeys" else "server"
            made[action.key.id, slot.field, slot.source_id] = StreamKey(
                stream=action.name,
                stream_id=str(action.target_id),
                kind=kind,
                source_key_id=slot.source_id,
                key_id=slot.id,
                write_key=f"{slot.id}:{new_secret()}",
            )
    return made


def _without_masks(body: dict[str, Any]) -> dict[str, Any]:
    """Give a body that may be sent: with a mask only beside a `cloneId`, else it would become the secret itself."""
    masked = () if "cloneId" in body else tuple(masked_paths(body))
    if masked:  # planning has settled every secret; this only guards that
        raise RefusedError(RefusalKind.INVALID, f"not sent: {format_path(masked[0])} is a mask, not a secret")
    return body


def _ends(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(body.get("type") or "push"), str(body.get("fromId")), str(body.get("toId"))


def _data(body: Mapping[str, Any]) -> Any:
    return body.get("data") or {}


def _age(entity: Entity) -> tuple[str, str]:
    return str(entity.body.get("createdAt")), entity.key.id


def _likeness(entity: Entity) -> object:
    """Return what is equal for two entities of which one would do."""
    if entity.key.type == "link":
        return "link", _ends(entity.body), canonical(_data(entity.body))
    return entity.key.type, subtype(entity), entity.name


def _has_keys_of(found: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Tell whether a stream has the new write keys that were sent for it, by their hints: else another run has made it."""
    listed = {
        key.get("id"): key.get("hint")
        for name in KEY_FIELDS
        for key in items_of(found.get(name))
        if isinstance(key, Mapping)
    }
    return all(
        listed.get(key["id"]) == key["hint"]
        for name in KEY_FIELDS
        for key in items_of(sent.get(name))
        if isinstance(key, Mapping) and key.get("plaintext") and key.get("hint")
    )


def _taken_domain(body: Mapping[str, Any], refusal: RefusedError) -> str | None:
    """Give the domain of a stream's body that a refusal names, if it does [stream/create-domain-in-use]."""
    words = str(refusal).split()
    named = words[1] if refusal.kind is RefusalKind.DOMAIN_IN_USE and len(words) > 1 else None
    domains = body.get("domains")
    return named if isinstance(domains, list) and named in domains else None


def _only_domains(action: Action) -> bool:
    """Tell whether an update changes a stream's domains and nothing else."""
    changed = {change.partition(".")[0] for change in action.changes}
    return action.kind is Kind.UPDATE and changed == {"domains"}


__all__ = ["Importer", "Outcome", "Status", "StreamKey", "new_keys"]
