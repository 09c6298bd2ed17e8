"""A folder of `unpack` beside a console, and what people change in both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jitsu_backup.archive import encode
from jitsu_backup.errors import BackupError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.folder import base_finder, open_folder
from jitsu_backup.operations.folder_edits import check_unapplied
from jitsu_backup.operations.restore import PreparedRestore, Result, nothing_to_write
from jitsu_backup.operations.unpack import unpack
from jitsu_backup.planning import Action, Overlay, Plan, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from jitsu_backup.store import FolderStore
from tests.support import STAGING, carry_out, console_of, prepare, read, run, writes


@dataclass
class Repository:
    """A folder, the console that it is of, and the archive that it was unpacked from, which is beside it."""

    sandbox: Sandbox
    folder: Path
    redacted: bool = False

    def read(self) -> Snapshot:
        found: Snapshot = run(read(console_of(self.sandbox), STAGING))
        return found

    def unpack(self) -> Snapshot:
        snapshot = self.read()
        unpack(snapshot, self.folder, redacted=self.redacted)
        self.folder.with_name(self.folder.name + ".base").write_bytes(encode(snapshot))
        return snapshot

    def prepared(self, **options: Any) -> PreparedRestore:
        opened = open_folder(self.folder)
        take = tuple(options.get("take", ()))
        store = FolderStore(self.folder.with_name("no-store"))
        find = base_finder(opened, lambda: store, ArchiveKeys(), PlanOptions(take=take))
        given = {"overlay": Overlay(), **options}
        console = console_of(self.sandbox)
        made = prepare(
            console, STAGING, opened.snapshot, PlanOptions(**given), lambda _: None, find_base=find
        )
        prepared: PreparedRestore = run(made)
        return prepared

    def plan(self, **options: Any) -> Plan:
        return self.prepared(**options).plan

    def apply(self, **options: Any) -> Result:
        prepared = self.prepared(**options)
        plan = prepared.plan
        assert not plan.blocked, [(a.key, a.reason) for a in plan.blocked]
        if not plan.writes:
            return nothing_to_write(prepared)
        result: Result = run(carry_out(console_of(self.sandbox), prepared, lambda _: None))
        return result

    def has_unapplied(self) -> bool:
        """Return whether unpacking what the console holds now is refused for the sake of edits."""
        store = FolderStore(self.folder.with_name("no-store"))
        try:
            run(check_unapplied(self.folder, self.read(), lambda: store, ArchiveKeys()))
        except BackupError:
            return True
        return False

    def silent_apply(self, **options: Any) -> Result:
        before = writes(self.sandbox)
        result = self.apply(**options)
        assert writes(self.sandbox) == before, [(a.key, a.kind, a.reason) for a in result.plan.writes]
        return result

    def path(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found

    def edit(self, pattern: str, **fields: Any) -> None:
        """Change fields of an entity's file; None removes one."""
        path = self.path(pattern)
        body = {**orjson.loads(path.read_bytes()), **fields}
        path.write_bytes(orjson.dumps({n: v for n, v in body.items() if v is not None}))

    def add(self, file: str, /, **body: Any) -> None:
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(orjson.dumps(body))


def repository(
    tmp_path: Path, generation: Generation = Generation.NEWEST, *, redacted: bool = False
) -> Repository:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    made = Repository(Sandbox(state, rate_limit=False), tmp_path / "workspace", redacted)
    made.unpack()
    return made


def action_of(plan: Plan, key: Key) -> Action:
    (found,) = [action for action in plan.actions if action.key == key]
    return found
