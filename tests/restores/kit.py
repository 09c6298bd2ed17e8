"""What tests of restores share: a sandbox, a snapshot of it, and plans."""

from typing import Any

from jitsu_backup.cli.applying import prepare
from jitsu_backup.model import Snapshot
from jitsu_backup.planning import Overlay, Plan, PlanOptions
from jitsu_backup.restoring import Result
from jitsu_backup.sandbox import Sandbox, State
from tests.support import STAGING, console_of, restore, run

OTHER = "http://other.example"
ADMIN = "service:admintoken"
IN_PLACE: dict[str, Any] = {"overlay": Overlay()}


def roll_back(sandbox: Sandbox, snapshot: Snapshot, **options: Any) -> Result:
    return run(restore(lambda: console_of(sandbox), snapshot, STAGING, **{**IN_PLACE, **options}))


def plan_for(sandbox: Sandbox, snapshot: Snapshot, workspace: str = STAGING, **options: Any) -> Plan:
    options = {**IN_PLACE, **options}
    plan, *_ = run(prepare(console_of(sandbox), workspace, snapshot, PlanOptions(**options), lambda _: None))
    return plan


def delete(state: State, object_id: str, *, cascade: bool = False) -> None:
    state.objects[object_id].deleted = True
    for link in state.links.values():
        link.deleted = link.deleted or (cascade and object_id in (link.from_id, link.to_id))
