"""Machines whose clocks differ a little write into one workspace: the last run is that which wrote last."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jitsu_backup.archive import PRE_RESTORE
from jitsu_backup.events import silent
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.safeguards import Safeguards, carry_out_safely
from jitsu_backup.operations.undo import last_run, undo_options
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.sandbox import Sandbox
from jitsu_backup.store import FolderStore, archives
from tests.restores.test_intents import NO_KEYS
from tests.support import MOMENT, STAGING, console_of, example_sandbox, prepare, read, run

CODES = ("// first", "// second", "// third")


@dataclass
class Machines:
    """A workspace and its store; a minute passes between two looks at the clock, which is a few minutes `late` on one machine."""

    sandbox: Sandbox
    store: FolderStore
    minutes: float = 0
    late: float = 0

    def now(self) -> datetime:
        return MOMENT + timedelta(minutes=self.minutes - self.late)

    @property
    def code(self) -> str:
        return str(self.sandbox.state.objects["enrich-0001"].config["code"])

    def write(self, code: str) -> Result:
        """Restore a workspace whose function has some code."""
        now = self.code
        self.sandbox.state.objects["enrich-0001"].config["code"] = code
        wanted = run(read(console_of(self.sandbox), STAGING))
        self.sandbox.state.objects["enrich-0001"].config["code"] = now
        return self._carry_out(wanted, PlanOptions(overlay=Overlay()))

    def undo(self) -> Result:
        known = run(archives(self.store))
        last = run(last_run(known, STAGING, self.store, NO_KEYS, now=self.now(), report=silent))
        assert last.left is not None
        assert last.unended == ()
        return self._carry_out(last.snapshot, undo_options(PlanOptions(overlay=Overlay()), last))

    def _carry_out(self, wanted: object, options: PlanOptions) -> Result:
        async def opened() -> FolderStore:
            return self.store

        self.minutes += 1
        prepared = run(prepare(console_of(self.sandbox), STAGING, wanted, options, silent))
        guards = Safeguards(opened, NO_KEYS, self.now, lambda: 0.0)
        result: Result = run(carry_out_safely(console_of(self.sandbox), prepared, silent, guards))
        assert result.failure is None
        return result


@pytest.mark.parametrize("late", [0.5, 4.0])
def test_a_run_on_a_machine_whose_clock_is_late_is_the_last_one_all_the_same(
    tmp_path: Path, late: float
) -> None:
    machines = Machines(example_sandbox(), FolderStore(str(tmp_path / "store")))
    machines.write(CODES[0])
    machines.late = late
    machines.write(CODES[1])
    machines.late = 0
    machines.undo()
    assert machines.code == CODES[0]
    machines.late = late
    machines.undo()
    assert machines.code == CODES[1]


def test_runs_in_one_moment_of_a_clock_have_an_order(tmp_path: Path) -> None:
    machines = Machines(example_sandbox(), FolderStore(str(tmp_path / "store")))
    for code in CODES:
        machines.write(code)
        machines.minutes = 0
    backups = [one for one in run(archives(machines.store)) if PRE_RESTORE in one.marks]
    assert len({one.taken_at for one in backups}) == len(CODES)
    machines.undo()
    assert machines.code == CODES[1]
