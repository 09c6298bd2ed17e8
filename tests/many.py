"""A run over many workspaces of one sandbox, on a clock that jumps."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from jitsu_backup.cli.app import App
from jitsu_backup.cli.backup_run import Job, Outcome, Run
from jitsu_backup.console import Console, Gates
from jitsu_backup.events import silent
from jitsu_backup.operations.save import SaveOptions
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from jitsu_backup.sandbox.rate_limits import LIMITS
from jitsu_backup.sandbox.state import OWNER
from tests.support import OWNER as OWNER_KEY
from tests.virtual_time import VirtualLoop, run_virtually

OPTIONS = {
    "config": None, "host": "http://many.example", "insecure_http": True, "apikey": OWNER_KEY, "ca_bundle": None, "as_json": False,
    "verbose": False, "quiet": True, "timeout": 60.0, "concurrency": 16,
}  # fmt: skip


class VirtualApp(App):
    """A run whose consoles are one sandbox, on the clock of a loop."""

    def __init__(self, sandbox: Sandbox, loop: VirtualLoop, store: Path) -> None:
        super().__init__({**OPTIONS, "store": str(store), "new_store": True})
        self.sandbox, self.loop = sandbox, loop
        self.gates = Gates(clock=loop.time)

    def console(self, place: Any, report: Any) -> Console:
        transport = httpx.ASGITransport(self.sandbox.app)
        return Console(
            place.host, place.key.reveal(), transport=transport, gates=self.gates, clock=self.loop.time,
            retry_for=self.options.get("retry_for"),
        )  # fmt: skip


def many(count: int, loop: VirtualLoop) -> Sandbox:
    """Return a sandbox with `count` workspaces of every type, under the real limits."""
    state = default_state(loop.time)
    state.workspaces.clear()
    for number in range(count):
        workspace_id = f"cworkspace000000000000{number:04d}"
        state.add_workspace(workspace_id, f"Team {number}", f"team-{number}", {OWNER.id: "owner"})
        example_workspace(state, workspace_id)
    return Sandbox(state, clock=loop.time)


def job(**options: Any) -> Job:
    return Job((), True, None, SaveOptions(**options.pop("save", {})), False, **options)


def backed_up(app: VirtualApp, wanted: Job, loop: VirtualLoop) -> list[Outcome]:
    outcomes: list[Outcome] = run_virtually(Run(app, wanted, silent).all(), loop)
    return outcomes


def floor_of(sent: Counter[str], began: float) -> float:
    """Return the seconds that the limits make requests take at the least, by method, begun at that time.

    The first budget is free; from the next minute on, one request comes back every minute / limit.
    """
    over = [(sent[method] - limit) * 60 / limit for method, limit in LIMITS.items() if sent[method] > limit]
    return max(over) + 60 - began % 60 if over else 0.0
