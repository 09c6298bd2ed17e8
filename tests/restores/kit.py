"""What tests of restores share: a sandbox, a snapshot of it, and plans."""

import json
import os
import pty
import select
import subprocess
import sys
import time as real_time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jitsu_backup.model import Snapshot
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import Overlay, Plan, PlanOptions
from jitsu_backup.sandbox import Sandbox, State
from tests.advice import assert_advice
from tests.support import OWNER, STAGING, console_of, prepare, restore, run

OTHER = "http://other.example"
ADMIN = "service:admintoken"
IN_PLACE: dict[str, Any] = {"overlay": Overlay()}


def roll_back(sandbox: Sandbox, snapshot: Snapshot, **options: Any) -> Result:
    return run(restore(lambda: console_of(sandbox), snapshot, STAGING, **{**IN_PLACE, **options}))


def plan_for(sandbox: Sandbox, snapshot: Snapshot, workspace: str = STAGING, **options: Any) -> Plan:
    options = {**IN_PLACE, **options}
    prepared = run(prepare(console_of(sandbox), workspace, snapshot, PlanOptions(**options), lambda _: None))
    plan: Plan = prepared.plan
    return plan


def delete(state: State, object_id: str, *, cascade: bool = False) -> None:
    state.objects[object_id].deleted = True
    for link in state.links.values():
        link.deleted = link.deleted or (cascade and object_id in (link.from_id, link.to_id))


def write_overlay(snapshot: Snapshot, path: Path) -> None:
    """An overlay file with a secret for every masked field."""
    rules: dict[str, dict[str, str]] = {}
    for line in snapshot.manifest.ledger:
        rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
    path.write_text(json.dumps(rules))


def typed(
    url: str, folder: Path, arguments: list[str], at_prompt: list[Callable[[], str]]
) -> tuple[int, str]:
    """Run a command on a terminal; at each question call the next of `at_prompt` for the answer."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    environment |= {
        "JITSU_HOST": url,
        "JITSU_APIKEY": OWNER,
        "HOME": str(folder),
        "TERM": "dumb",
        "COLUMNS": "80",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "jitsu_backup", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
        env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said, answered, ends = "", 0, real_time.monotonic() + 60
    while real_time.monotonic() < ends:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            said += piece.decode(errors="replace")
            if said.count("[y/N]") > answered:
                answer = at_prompt[answered]()
                answered += 1
                os.write(ours, f"{answer}\n".encode())
        elif process.poll() is not None:
            break
    os.close(ours)
    code = process.wait(20)
    assert_advice(arguments, code, said)
    return code, said
