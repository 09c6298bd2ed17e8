"""A console of several workspaces, backed up by its operator, and a new console that it is recovered into, on one clock."""

import itertools
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson

from jitsu_backup.console import Console, Gates
from jitsu_backup.events import Event, silent
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.backup import Backup, BackupJob, WorkspaceAccess
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.recovery import (
    RecoveryJob,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    plan_recovery,
    recover,
)
from jitsu_backup.operations.safeguards import Safeguards
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state, example_workspace
from jitsu_backup.sandbox.state import OWNER, READER, REVERSE_ETL
from jitsu_backup.settings import SecretText
from jitsu_backup.store import FolderStore
from tests.support import OWNER as OWNER_KEY
from tests.virtual_time import run_virtually
from tests.watching.kit import TickingLoop

OLD, NEW = "http://lost.example", "http://new.example"
ADMIN_KEY = "service:admintoken"
_NUMBERS = itertools.count()
SLUGS = ("team-blue", "team-green", "team-red")

Wrap = Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]


@dataclass(frozen=True, kw_only=True)
class SandboxConnection(Connection):
    """A connection to a sandbox, on the clock of a loop."""

    sandbox: Sandbox
    clock: Callable[[], float]
    wrap: Wrap = field(default=lambda inner: inner)

    def open(self) -> Console:
        return Console(
            self.host, self.key.reveal(), called=self.called, transport=self.wrap(httpx.ASGITransport(self.sandbox.app)),
            gates=self.gates, clock=self.clock, retry_for=self.retry_for, concurrency=self.concurrency,
        )  # fmt: skip


@dataclass
class World:
    """Two consoles, of which the first is lost, a store, and a clock that jumps.

    Workspaces that are made have `features`, as where a console gives them to all.
    """

    folder: Path
    generation: Generation = Generation.JULY_2026
    rate_limit: bool = False
    seconds: float = 1_795_460_400.0
    features: tuple[str, ...] = ()
    old: Sandbox = field(init=False)
    new: Sandbox = field(init=False)
    keys: ArchiveKeys = field(default_factory=ArchiveKeys)

    def __post_init__(self) -> None:
        self.store = FolderStore(str(self.folder))
        self.gates: dict[str, Gates] = {}
        self.loop: TickingLoop | None = None
        self.old = self.console()
        self.new = self.console()

    def console(self) -> Sandbox:
        """Return a console without workspaces, where models can reach the warehouses of the lost one."""
        state = default_state(self.time, self.generation)
        state.workspaces.clear()
        sandbox = Sandbox(state, clock=self.time, rate_limit=self.rate_limit)
        create = sandbox.workspaces.create

        def with_features(body: Mapping[str, Any], owner: str | None) -> dict[str, Any]:
            try:
                return create(body, owner)
            finally:
                for row in state.workspaces.values():
                    row.features = list({*row.features, *self.features})

        sandbox.workspaces.create = with_features  # type: ignore[method-assign]
        return sandbox

    def time(self) -> float:
        """Return the seconds since 1970, which a loop counts on while it runs."""
        return self.seconds if self.loop is None else self.loop.time()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def add(self, *slugs: str, sandbox: Sandbox | None = None) -> None:
        """Give the console that is lost workspaces of every type."""
        state = (sandbox or self.old).state
        for slug in slugs:
            add_workspace(state, slug)

    def back_up_second_console(self) -> None:
        """Put the archives of another console, http://second.example, beside those of the lost one."""
        other = self.console()
        add_workspace(other.state, "team-other")
        self.run(self.backing_up(other, host="http://second.example"))

    def connection(
        self,
        sandbox: Sandbox,
        key: str = ADMIN_KEY,
        *,
        host: str | None = None,
        wrap: Wrap | None = None,
        called: str = "this key",
    ) -> SandboxConnection:
        host = host or (OLD if sandbox is self.old else NEW)
        gates = self.gates.setdefault(host, Gates(clock=self.time))
        return SandboxConnection(
            host, SecretText(key), sandbox=sandbox, clock=self.time, gates=gates, called=called,
            **({} if wrap is None else {"wrap": wrap}),
        )  # fmt: skip

    def run(self, job: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the clock of this world, which goes on where it was."""
        self.loop = TickingLoop(self.seconds)
        try:
            return run_virtually(job, self.loop)
        finally:
            self.seconds, self.loop = self.loop.now, None

    def back_up(self, sandbox: Sandbox | None = None, **options: Any) -> None:
        """Back up every workspace of a console with the operator's token, so that archives hold secrets."""
        self.run(self.backing_up(sandbox or self.old, **options))

    async def backing_up(
        self, sandbox: Sandbox, *, host: str | None = None, admin: bool = True, **options: Any
    ) -> None:
        owner = self.connection(sandbox, OWNER_KEY, host=host)
        operator = self.connection(sandbox, host=host) if admin else None
        places = tuple(
            WorkspaceAccess(owner, row.id, operator)
            for row in sandbox.state.workspaces.values()
            if OWNER.id in row.access
        )
        save = SaveOptions(key=self.keys.mark, **options)
        backup = Backup(
            BackupJob(places, save=save, plaintext=True), self.store, self.keys, silent,
            now=self.now, monotonic=self.time, expected=ExpectedStore(may_be_new=True),
        )  # fmt: skip
        run = await backup.run()
        assert not run.failed, [one.problem for one in run.failed]

    def job(self, key: str = ADMIN_KEY, *, wrap: Wrap | None = None, **options: Any) -> RecoveryJob:
        named = {name: options.pop(name) for name in ("host", "called") if name in options}
        return RecoveryJob(self.connection(self.new, key, wrap=wrap, **named), **options)

    def plan(self, job: RecoveryJob | None = None) -> RecoveryPlan:
        found: RecoveryPlan = self.run(self.planning(job or self.job()))
        return found

    async def planning(self, job: RecoveryJob) -> RecoveryPlan:
        return await plan_recovery(job, self.store, self.keys, now=self.now)

    def recover(self, job: RecoveryJob | None = None, **options: Any) -> RecoveryRun:
        ended: RecoveryRun = self.run(self.recovering(job or self.job(), **options))
        return ended

    async def recovering(
        self,
        job: RecoveryJob,
        *,
        between: Callable[[], object] = lambda: None,
        report: Callable[[Event], None] = silent,
        **options: Any,
    ) -> RecoveryRun:
        """Plan, let `between` happen, and carry out."""
        plan = await self.planning(job)
        between()
        return await recover(job, plan, self.safeguards(report), report, **options)

    def safeguards(self, report: Callable[[Event], None] = silent, **options: Any) -> Safeguards:
        async def open_store() -> FolderStore:
            return self.store

        return Safeguards(
            open_store, self.keys, self.now, self.time, report=report, command="recover", **options
        )

    def writes(self) -> int:
        return sum(request.method != "GET" for request in self.new.requests)


def add_workspace(state: State, slug: str, *, filled: bool = True) -> str:
    """Give a console a workspace with an id that no other has; return the id."""
    workspace_id = f"c{slug.replace('-', ''):0<24}"[:21] + f"{next(_NUMBERS):04d}"
    name = slug.replace("-", " ").title()
    row = state.add_workspace(workspace_id, name, slug, {OWNER.id: "owner", READER.id: "analyst"})
    row.features = [REVERSE_ETL] if state.generation.is_newest else row.features
    if filled:
        example_workspace(state, workspace_id)
        for one in state.objects.values():
            if one.workspace_id == workspace_id:
                one.config = _of_its_own(one.config, slug)
    return workspace_id


def _of_its_own(config: dict[str, Any], slug: str) -> dict[str, Any]:
    """Return a configuration with domains and ids of write keys that no other workspace has."""
    config = dict(config)
    for field_name in ("publicKeys", "privateKeys"):
        if field_name in config:
            config[field_name] = [{**key, "id": f"{key['id']}.{slug}"} for key in config[field_name]]
    if "domains" in config:
        config["domains"] = [f"{slug}.{name}" for name in config["domains"]]
    if config.get("name", "").endswith(".example"):
        config["name"] = f"{slug}.{config['name']}"
    return config


def tables(state: State, slug: str) -> dict[str, Any]:
    """Return what a console's own tables hold of a workspace, without ids that a console makes, and without times.

    Reverse syncs come back disabled, so they count as if they were.
    """
    row = state.find_workspace(slug)
    assert row is not None, f"no workspace {slug}"
    owned = {builder.function_id: f"function of {builder.id}" for builder in state.live_builders(row.id)}
    objects = {
        owned.get(one.id, one.id): [one.type, _plain(one.config)]
        for one in state.objects.values()
        if one.workspace_id == row.id and not one.deleted
    }
    links = sorted(
        orjson.dumps(
            [
                one.type, one.from_id, one.to_id, _plain({**(one.data or {}), "disabled": one.type == "reverse-sync"}),
                {stream: orjson.loads(text) for stream, text in state.sync_states.get(one.id, {}).items()},
            ],
            option=orjson.OPT_SORT_KEYS,
        ).decode()
        for one in state.live_links(row.id)
    )  # fmt: skip
    builders = {one.id: _plain(one.fields) for one in state.live_builders(row.id)}
    return {
        "name": row.name,
        "objects": objects,
        "links": links,
        "builders": builders,
        "options": row.options,
    }


_TIMES = {"createdAt", "updatedAt", "workspaceId", "version", "deleted"}
"""What a console keeps beside what it was sent."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if name not in _TIMES}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def problems(run: RecoveryRun) -> dict[str, str]:
    return {one.recovery.slug: str(one.problem) for one in run.outcomes if one.problem is not None}


def left(outcome: RecoveryOutcome) -> list[str]:
    return [] if outcome.result is None else [f"{r.key} {r.path} {r.reason}" for r in outcome.result.found]
