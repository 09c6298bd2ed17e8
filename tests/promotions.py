"""Clones again and again, with a record of each, and the changes that people make in between."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from jitsu_backup.console import Console
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import PreparedRestore, Result, nothing_to_write
from jitsu_backup.planning import Plan, PlanOptions, new_record
from jitsu_backup.planning.intents import intent_of, with_intent
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state, example_workspace
from tests.restores.kit import delete
from tests.support import (
    OWNER,
    PRODUCTION,
    STAGING,
    carry_out,
    console_of,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

HERE, THERE = "http://staging.example", "http://production.example"


class KilledError(BaseException):
    """The process is killed: nothing may catch it."""


async def find_nothing(*_: Snapshot) -> None:
    """Find no record of a clone."""


@dataclass
class Promotion:
    """Staging on one console, production on another one or on the same; `record` is that of the last clone.

    If it is `lost`, a store is asked for it, and has none.
    """

    source: Sandbox
    target: Sandbox
    record: Snapshot | None = None
    results: list[Result] = field(default_factory=list)
    intents: list[Snapshot] = field(default_factory=list)
    lost: bool = False

    @property
    def target_host(self) -> str:
        return HERE if self.target is self.source else THERE

    def snapshot(self) -> Snapshot:
        return run(read(console_of(self.source, HERE), STAGING))

    def live(self) -> Snapshot:
        return run(read(console_of(self.target, self.target_host), PRODUCTION))

    def prepared(self, **options: Any) -> PreparedRestore:
        snapshot = self.snapshot()
        record, live = self.record, self.live() if self.intents else None
        for intent in self.intents:
            record = with_intent(record, intent, live)
        given = {"overlay": stand_ins(snapshot), "record": record, "disable_links": False, **options}
        made = prepare(
            console_of(self.target, self.target_host),
            PRODUCTION,
            snapshot,
            PlanOptions(**given),
            lambda _: None,
            find_record=find_nothing if self.lost else None,
        )
        prepared: PreparedRestore = run(made)
        return prepared

    def plan(self, **options: Any) -> Plan:
        return self.prepared(**options).plan

    def clone(self, meanwhile: Callable[[], None] | None = None, **options: Any) -> Result:
        """Clone, and keep the record of it; `meanwhile` is what somebody does right after the first write."""
        prepared = self.prepared(**options)
        assert not prepared.plan.blocked, [(a.key, a.reason) for a in prepared.plan.blocked]
        result = (
            run(carry_out(self._console(meanwhile), prepared, lambda _: None))
            if prepared.plan.writes
            else nothing_to_write(prepared)
        )
        undone = {o.action.key for o in result.outcomes if o.status is not Status.DONE}
        assert result.after is not None
        self.record = new_record(
            prepared.snapshot,
            prepared.plan,
            prepared.options,
            prepared.live,
            result.after,
            result.ids,
            undone,
        )
        self.results.append(result)
        self.intents.clear()
        return result

    def killed_clone(self, number: int, *, after: bool, **options: Any) -> bool:
        """Clone, and be killed before the nth write, or after it; return whether there were so many."""
        prepared = self.prepared(**options)
        assert not prepared.plan.blocked, [(a.key, a.reason) for a in prepared.plan.blocked]
        intent = intent_of(prepared.snapshot, prepared.plan, prepared.options, prepared.live)
        if self.intents or intent.begun is not None:
            self.record = intent.begun
        self.intents = [intent.planned]
        left = [number]

        class Deadly(httpx.ASGITransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                left[0] -= request.method != "GET"
                if left[0] < 0 or (left[0] == 0 and not after and request.method != "GET"):
                    raise KilledError
                answer = await super().handle_async_request(request)
                if left[0] == 0:
                    raise KilledError
                return answer

        try:
            console = console_of(self.target, self.target_host, wrap=lambda _: Deadly(self.target.app))
            run(carry_out(console, prepared, lambda _: None))
        except KilledError:
            return True
        return False

    def _console(self, meanwhile: Callable[[], None] | None) -> Console:
        waiting = [] if meanwhile is None else [meanwhile]

        class AfterTheFirstWrite(httpx.ASGITransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                answer = await super().handle_async_request(request)
                if request.method != "GET" and waiting:
                    waiting.pop()()
                return answer

        return console_of(self.target, self.target_host, wrap=lambda _: AfterTheFirstWrite(self.target.app))

    def silent_clone(self, **options: Any) -> Result:
        """Clone, where that has to write nothing."""
        before = writes(self.target)
        result = self.clone(**options)
        assert writes(self.target) == before, [(a.key, a.kind, a.reason) for a in result.plan.writes]
        return result

    def roll_back(self, sandbox: Sandbox, workspace: str, snapshot: Snapshot) -> Result:
        host = HERE if sandbox is self.source else THERE
        return run(
            restore(lambda: console_of(sandbox, host), snapshot, workspace, overlay=stand_ins(snapshot))
        )

    def id_in_target(self, key: Key) -> str:
        assert self.record is not None
        assert self.record.manifest.cloned is not None
        return self.record.manifest.cloned.pairs[key]


def promotion(generation: Generation = Generation.NEWEST, *, same_console: bool = False) -> Promotion:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    source = Sandbox(state, rate_limit=False)
    target = source if same_console else Sandbox(default_state(generation=generation), rate_limit=False)
    return Promotion(source, target)


def changed_on_both_sides(generation: Generation) -> Promotion:
    """What each side changed, added and deleted since a clone; the target changed nothing of what stayed."""
    made = promotion(generation)
    made.clone()
    snapshot, state, target = made.snapshot(), made.source.state, made.target.state
    enrich, other, lake, hook = (
        key_named(snapshot, kind, name)
        for kind, name in (
            ("function", "Enrich"), ("function", "Only known users"), ("destination", "BigQuery"),
            ("destination", "Alerts webhook"),
        )
    )  # fmt: skip
    edit(state, enrich.id, description="of staging")
    edit(state, other.id, code="// of staging")
    delete(state, lake.id, cascade=True)
    delete(target, made.id_in_target(hook), cascade=True)
    state.add_object(STAGING, "function", "new-function", {"name": "New", "code": "x"})
    target.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    return made


def edit(state: State, object_id: str, **fields: Any) -> None:
    """Change fields of an object, as a person would; None removes one."""
    row = state.objects[object_id]
    row.config = {n: v for n, v in {**row.config, **fields}.items() if v is not None}
    row.updated_at = state.now()


def edit_through_api(sandbox: Sandbox, workspace: str, key: Key, **fields: Any) -> None:
    """Change fields of an object by a request of the owner, which the console logs."""

    async def put() -> None:
        transport = httpx.ASGITransport(sandbox.app)
        headers = {"Authorization": f"Bearer {OWNER}"}
        async with httpx.AsyncClient(transport=transport, base_url=HERE, headers=headers) as client:
            answer = await client.put(f"/api/{workspace}/config/{key.type}/{key.id}", json=fields)
            assert answer.status_code == 200

    run(put())


def key_named(snapshot: Snapshot, type_name: str, name: str) -> Key:
    (found,) = [e.key for e in snapshot.of_type(type_name) if e.name == name]
    return found
