"""Apply a plan: what runs at the same time, what is not attempted, and how each action ended.

How a type is written is left to its route.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any

from jitsu_backup.catalogue import entity_type, owned_functions, rewrite
from jitsu_backup.catalogue.table import STAGES
from jitsu_backup.console import Console, FreshLists, RefusalKind, RefusedError, gather
from jitsu_backup.console.routes import (
    Content,
    EntityRoute,
    Omission,
    OvertakenError,
    Target,
    UnchangedGuard,
    read_list,
    route_class,
)
from jitsu_backup.events import Progress, Reporter, silent
from jitsu_backup.model import Entity, Key, Snapshot, quoted
from jitsu_backup.operations.dependencies import Dependencies, in_lanes
from jitsu_backup.operations.freeing import Freeing, freed_together
from jitsu_backup.operations.write_keys import StreamKeys, with_new_keys
from jitsu_backup.planning import Action, ActionKind, Loss, Plan, essence, ids_after, subtype

_TAKEN_OVER = "another run may have taken over the workspace"


class Status(Enum):
    """How an action ended."""

    DONE = "done"
    OVERTAKEN = (
        "overtaken"  # somebody else created, updated or deleted it meanwhile, and it was left unchanged
    )
    FAILED = "failed"
    NOT_ATTEMPTED = "not attempted"


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """How one action ended: the id that its entity has now, or the reason why it has none."""

    action: Action
    status: Status
    target_id: str | None = None
    reason: str = ""
    losses: tuple[Loss, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the action is still to do."""
        return self.status in (Status.FAILED, Status.NOT_ATTEMPTED)


@dataclass(frozen=True, slots=True)
class _CandidateIds:
    """The ids to try for a new entity: the planned one first, if any; the others are derived when needed."""

    workspace_id: str
    source: Key
    planned: str | None
    fixed: bool

    def __iter__(self) -> Iterator[str]:
        if self.planned is not None:
            yield self.planned
            if not self.fixed:
                yield from ids_after(self.workspace_id, self.source.type, self.source.id, self.planned)


class PlanExecutor:
    """Apply one plan.

    `live` is the target at the time of planning. The caller must have stored the generated write `keys` before anything is
    sent. Once `stop` is set, the work ends after the requests under way; with `fail_fast`, so it does after the first
    rejection. What was deleted to be re-created is still created. Running the same restore again continues the work.
    `may_write` is asked before each action and each request.

    What somebody else creates, updates or deletes meanwhile is never overwritten: it is read again right before the write.
    `ids` maps the snapshot's keys to the ids of the target. `sent` says whether any write was sent.
    """

    def __init__(
        self,
        console: Console,
        plan: Plan,
        keys: StreamKeys,
        *,
        live: Snapshot,
        stop: asyncio.Event | None = None,
        fail_fast: bool = False,
        may_write: Callable[[], bool] = lambda: True,
        report: Reporter = silent,
    ) -> None:
        """Send nothing yet."""
        self.ids, self.sent = dict(plan.ids), False
        self._plan, self._keys, self._report = plan, keys, report
        self._writes = plan.writes  # kept, because it scans all actions
        self._stop, self._fail_fast, self._may_write = stop or asyncio.Event(), fail_fast, may_write
        self._concurrency = console.concurrency
        self._live = {entity.key: entity for entity in live.entities}
        self._owners = {
            Key("function", function_id): Key("profile-builder", builder_id)
            for function_id, builder_id in owned_functions(live.entities)
        }
        self._lists = _lists_of(console, plan.target.workspace_id, live)
        self._target = Target(
            console=console,
            workspace_id=plan.target.workspace_id,
            live=self._live,
            not_offered=live.manifest.not_offered,
            lists=self._lists,
            deleting=frozenset(action.key for action in self._writes if action.kind is ActionKind.DELETE),
            names={Key(a.key.type, a.target_id): a.name for a in plan.actions if a.target_id is not None},
            before_sending=self._before_sending,
            report=report,
        )
        self._routes: dict[type[EntityRoute], EntityRoute] = {}
        self._made: dict[Key, ActionOutcome] = {}
        self._deleted: dict[Key, ActionOutcome] = {}
        self._failed = False
        self._owed: list[Action] = []
        self._dependencies = Dependencies(plan, self._live)
        self._needed_too: dict[Key, Freeing] = {}
        self._foreseen: dict[Key, str] = {}
        self._ended = {key: asyncio.Event() for key in self._dependencies.waits}

    async def run(self) -> None:
        """Apply the plan. `outcomes` says how each of its actions has ended.

        An action that the console rejects fails alone, and what needs it is not attempted.
        Raise AccessError if the key may not write, ConsoleError if the console can no longer be reached.
        """
        deleting = [action for action in self._writes if action.kind is ActionKind.DELETE]
        first = [action for action in deleting if entity_type(action.key.type).deleted_first]
        await self._free(freed_together(self._plan, self._live))
        self._owed = self._made_again()
        making = {action.key: action for action in self._writes if action.kind is not ActionKind.DELETE}
        methods = {key: self._route(key.type).budget_method for key in making}
        lanes = in_lanes(methods, self._dependencies.waits)
        await gather(*(self._in_turn([making[key] for key in lane], self._made) for lane in lanes))
        later = [action for action in deleting if action not in first]
        for stage in reversed(STAGES):
            jobs = [action for action in later if entity_type(action.key.type).stage == stage]
            for route in dict.fromkeys(self._route(action.key.type) for action in jobs):
                await route.before_deleting()
            await self._in_turn(jobs, self._deleted)

    def outcomes(self) -> list[ActionOutcome]:
        """Return the outcomes so far, in the plan's order."""
        made, deleted = self._made, self._deleted
        found = ((deleted if a.kind is ActionKind.DELETE else made).get(a.key) for a in self._writes)
        return [outcome for outcome in found if outcome is not None]

    def half_deleted(self) -> list[Action]:
        """Return the deletions that were cut off after their entities had already been updated for them."""
        keys = {key for route in self._routes.values() for key in route.half_deleted()}
        return [
            a for a in self._writes if a.kind is ActionKind.DELETE and a.key in keys - self._deleted.keys()
        ]

    def duplicates(self, after: Snapshot) -> list[Entity]:
        """Return the duplicates in the target since this run began: all but the oldest of equal entities.

        `after` is the target now. A console that assigns ids itself and allows many syncs between two entities
        [link/create-sync-again] does not prevent duplicates.
        """
        ours = set(self.ids.values())
        owned = {Key("function", function_id) for function_id, _ in owned_functions(after.entities)}
        alike: dict[object, list[Entity]] = defaultdict(list)
        for entity in after.entities:
            if (entity.key.id in ours or entity.key not in self._live) and entity.key not in owned:
                alike[self._likeness(entity)].append(entity)
        surplus = []
        for entities in alike.values():
            wanted = sum(entity.key.id in ours for entity in entities)
            surplus += sorted(entities, key=_age)[wanted:] if wanted else []
        return surplus

    async def remove_own_duplicates(self, after: Snapshot) -> Snapshot:
        """Delete what this run created although another run had just created it. Return the target without it.

        The oldest of equal entities stays, so of two runs at the same time exactly one deletes its own.
        """
        removed = set()
        for duplicate in self.duplicates(after):
            if await self._route(duplicate.key.type).remove_duplicate(duplicate.key.id):
                removed.add(duplicate.key)
        for key in [key for key, new_id in self.ids.items() if Key(key.type, new_id) in removed]:
            reason = "another run had just created the same, so this duplicate was deleted"
            self._made[key] = replace(self._made[key], status=Status.OVERTAKEN, reason=reason)
            del self.ids[key]
        return replace(after, entities=tuple(e for e in after.entities if e.key not in removed))

    async def _free(self, groups: list[Freeing]) -> None:
        """Delete what prevents other changes, unless those changes would be rejected anyway."""
        ordered = []
        for group in groups:
            self._needed_too |= {action.key: group for action in group.deletions if action.after}
            stuck = await self._undeletable(
                group
            )  # these first, because a failure here must prevent the deletion of the others
            ordered.append(sorted(group.deletions, key=lambda one: (one.key not in stuck, bool(one.after))))
            if any(action.after for action in group.deletions):
                for action in group.updates:
                    await self._foresee(action)
        await self._side_by_side(ordered, self._deleted)

    async def _undeletable(self, group: Freeing) -> Collection[Key]:
        keys = [action.key for action in group.deletions]
        with suppress(RefusedError):  # each deletion then reports it
            return await self._route(keys[0].type).undeletable(keys) if len(keys) > 1 else ()
        return ()

    async def _foresee(self, action: Action) -> None:
        """Note why the console would reject an update, if it can say so beforehand."""
        if self._dependencies.waits[action.key]:
            return  # what it uses is still to be updated
        try:
            key = Key(action.key.type, str(action.target_id))
            await self._route(key.type).check_update(key, self._content(action))
        except RefusedError as refusal:
            self._foreseen[action.key] = str(refusal)

    async def _in_turn(self, actions: list[Action], outcomes: dict[Key, ActionOutcome]) -> None:
        await self._side_by_side(self._groups(actions), outcomes)

    async def _side_by_side(self, groups: list[list[Action]], outcomes: dict[Key, ActionOutcome]) -> None:
        queue = iter(groups)

        async def worker() -> None:
            for group in queue:
                for action in group:
                    if action.kind is not ActionKind.DELETE:
                        for key in self._dependencies.waits[action.key]:
                            await self._ended[key].wait()
                    outcomes[action.key] = outcome = await self._outcome(action)
                    self._failed |= outcome.status is Status.FAILED
                    if action.key in self._ended:
                        self._ended[action.key].set()
                    done = len(self._made) + len(self._deleted)
                    self._report(Progress("restoring", done, len(self._writes)))

        await gather(*(worker() for _ in range(min(self._concurrency, len(groups)))))

    def _groups(self, actions: list[Action]) -> list[list[Action]]:
        """Group the actions that must run one after the other."""
        groups: dict[object, list[Action]] = defaultdict(list)
        for action in actions:
            turn = self._route(action.key.type).turn(action.body)
            groups[action.key if turn is None else (action.key.type, turn)].append(action)
        return list(groups.values())

    async def _outcome(self, action: Action) -> ActionOutcome:
        obstacle = self._obstacle(action)
        if obstacle is not None:
            return ActionOutcome(action, Status.NOT_ATTEMPTED, reason=obstacle)
        do = {
            ActionKind.CREATE: self._create,
            ActionKind.UPDATE: self._update,
            ActionKind.DELETE: self._delete,
        }[action.kind]
        if action.kind is ActionKind.UPDATE and action.key in self._foreseen:
            return ActionOutcome(action, Status.FAILED, reason=self._foreseen[action.key])
        try:
            return await do(action, self._route(action.key.type))
        except RefusedError as refusal:
            return ActionOutcome(action, Status.FAILED, reason=str(refusal))
        except OvertakenError as found:
            return ActionOutcome(action, Status.OVERTAKEN, action.target_id, reason=str(found))

    def _obstacle(self, action: Action) -> str | None:
        """Return why an action is not attempted, or None if it can be."""
        if self._stop.is_set():
            return "interrupted"
        if not self._may_write():
            return _TAKEN_OVER
        if self._fail_fast and self._failed and action not in self._owed:
            return "stopped at the first rejected request"
        if action.kind is ActionKind.DELETE and action.key in self._needed_too:
            return self._why_in_vain(action, self._needed_too[action.key])
        creates = action.kind is ActionKind.CREATE
        standing = self._dependencies.replaced_first.get(action.key) if creates else None
        if standing is not None and not self._is_deleted(standing):
            return "needs the deletion of the old one, which failed"
        outcomes = (self._made.get(key) for key in self._dependencies.needs(action))
        failed = (o for o in outcomes if o is not None and o.failed and o.action is not action)
        if standing is not None:  # what could not be updated still exists, as the old one used it
            failed = (o for o in failed if o.action.kind is not ActionKind.UPDATE)
        first = next(failed, None)
        if first is None:
            return None
        return f"needs {first.action.key.type} {quoted(first.action.name)}, which failed"

    def _why_in_vain(self, action: Action, group: Freeing) -> str | None:
        """Return why it is useless to delete an entity in order to re-create it, or None if it is not."""
        refused = next((one for one in group.updates if one.key in self._foreseen), None)
        if refused is not None:
            return f"the console would reject {refused.key.type} {quoted(refused.name)}, which needs this deletion"
        tried = (one for one in group.deletions if one.key in self._deleted and one is not action)
        kept = next((one for one in tried if not self._is_deleted(one.key)), None)
        return (
            None if kept is None else f"{kept.key.type} {quoted(kept.name)} uses the same and was not deleted"
        )

    def _made_again(self) -> list[Action]:
        """Return the actions that re-create what has just been deleted for that, and the new entities that they need."""
        creating = {action.key: action for action in self._writes if action.kind is ActionKind.CREATE}
        deleted = self._dependencies.replaced_first.items()
        owed = [creating[key] for key, old in deleted if key in creating and self._is_deleted(old)]
        for action in owed:  # grows during the loop, until nothing more is needed
            needed = (creating[key] for key in self._dependencies.needs(action) if key in creating)
            owed += [new for new in needed if new not in owed]
        return owed

    def _is_deleted(self, key: Key) -> bool:
        outcome = self._deleted.get(key)
        return outcome is not None and outcome.status is Status.DONE

    async def _create(self, action: Action, route: EntityRoute) -> ActionOutcome:
        key, content = action.key, self._content(action)
        ids = self._candidate_ids(key)
        created = await route.create(key.type, ids, content)
        if created is None:
            every = "every id that it could get is in use; create it in the console's UI, which assigns another id"
            taken = f"its id {ids.planned} is in use" if ids.fixed else every
            raise RefusedError(RefusalKind.ID_TAKEN, taken)
        self.ids[key] = created.id
        learned = await self._learn_owned(key, created.id, route)
        if not created.ours:
            return self._adopted(action)
        if learned and (completed := self._content(action)) != content:
            # it refers to a function that was created with it
            await route.update(Key(key.type, created.id), completed)
        omissions = (*created.omissions, *await route.complete(created.id, content))
        return ActionOutcome(action, Status.DONE, created.id, losses=_losses(omissions))

    async def _update(self, action: Action, route: EntityRoute) -> ActionOutcome:
        key, content = Key(action.key.type, str(action.target_id)), self._content(action)
        self.ids[action.key] = key.id
        omissions = await route.update(key, content, guard=self._unchanged(key))
        omissions = (*omissions, *await route.complete(key.id, content))
        return ActionOutcome(action, Status.DONE, key.id, losses=_losses(omissions))

    async def _delete(self, action: Action, route: EntityRoute) -> ActionOutcome:
        if action.key in self._needed_too:
            await self._check_made_again(action, route)
        owner = self._owners.get(action.key)
        went_along = (
            owner is not None
            and self._is_deleted(owner)
            and action.key.id not in await self._lists.of(action.key.type)
        )
        if not went_along:
            await route.delete(action.key, guard=self._unchanged(action.key))
        return ActionOutcome(action, Status.DONE, action.key.id)

    async def _check_made_again(self, action: Action, route: EntityRoute) -> None:
        """Raise RefusedError if what is deleted could not be re-created."""
        again = next(a for a in self._writes if a.kind is ActionKind.CREATE and a.key in action.after)
        await route.check_create(again.key.type, self._candidate_ids(again.key), self._content(again))

    def _candidate_ids(self, key: Key) -> _CandidateIds:
        return _CandidateIds(self._target.workspace_id, key, self.ids.get(key), self._plan.fixed_ids)

    async def _learn_owned(self, builder: Key, new_id: str, route: EntityRoute) -> bool:
        """Note the ids of the functions that the console created with a builder. Return whether there are any."""
        owned = self._dependencies.functions_of.get(builder, ())
        made = await route.made_with(new_id) if owned else []
        for source, key in zip(owned, made, strict=False):
            self.ids[source] = key.id
            self._dependencies.note_known(source)
        return bool(made)

    def _adopted(self, action: Action) -> ActionOutcome:
        reason = "somebody else has created it meanwhile; it was left unchanged"
        lost = "the run that created the stream has them: look in its report, or add a write key in the UI"
        losses = tuple(sorted({Loss(slot.field, lost) for slot in action.new_keys}))
        return ActionOutcome(action, Status.OVERTAKEN, self.ids[action.key], reason, losses)

    def _content(self, action: Action) -> Content:
        """Return what to write: references in the target's ids, write keys in place."""
        body = rewrite(entity_type(action.key.type).references, action.body, self._resolve)
        changed = frozenset(change.partition(".")[0] for change in action.changes)
        return Content(with_new_keys(action.key, body, self._keys), action.key.id, changed, action.cursors)

    def _unchanged(self, key: Key) -> UnchangedGuard:
        """Return the check that an entity of the target has not changed since the plan was made."""

        async def check(written: Mapping[str, Any] | None = None, /) -> None:
            found = (await self._lists.of(key.type)).get(key.id)
            if found is None:
                raise OvertakenError("somebody else has deleted it meanwhile")
            expected = Entity(key, {**self._live[key].body, **(written or {})})
            if essence(Entity(key, found)) != essence(expected):
                raise OvertakenError(
                    "somebody else has changed it meanwhile, so it was left unchanged; run again to see what differs"
                )

        return check

    def _before_sending(self) -> None:
        if not self._may_write():
            raise RefusedError(RefusalKind.REFUSED, f"not sent: {_TAKEN_OVER}")
        self.sent = True

    def _route(self, type_name: str) -> EntityRoute:
        of_type = route_class(type_name)
        if of_type not in self._routes:
            self._routes[of_type] = of_type(self._target)
        return self._routes[of_type]

    def _likeness(self, entity: Entity) -> object:
        """Return a value that is equal for two entities that duplicate each other."""
        alike = self._route(entity.key.type).likeness(entity.body)
        return entity.key.type, alike or (subtype(entity), entity.name)

    def _resolve(self, types: tuple[str, ...], source_id: str) -> str | None:
        known = (self.ids.get(key) for key in self._dependencies.named(types, source_id))
        return next((found for found in known if found is not None), None)


def _lists_of(console: Console, workspace_id: str, live: Snapshot) -> FreshLists:
    """Return the lists of a workspace, which equal `live` until the first write."""
    known: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in live.manifest.counts}
    for entity in live.entities:
        known[entity.key.type][entity.key.id] = entity.body
    return FreshLists(partial(read_list, console, workspace_id), known)


def _losses(omissions: Iterable[Omission]) -> tuple[Loss, ...]:
    return tuple(Loss(omission.path, omission.reason) for omission in omissions)


def _age(entity: Entity) -> tuple[str, str]:
    return str(entity.body.get("createdAt")), entity.key.id
