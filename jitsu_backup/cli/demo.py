"""`jitsu-backup demo`."""

import tempfile
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.text import Text

from jitsu_backup.archive import archive_name, decode, digest, encode
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.console import Console
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.errors import BackupError, IncompleteError
from jitsu_backup.events import silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.come_back import stand_in_secrets
from jitsu_backup.operations.restore import Result, carry_out, prepare
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.reports import plan_view, residue_view, snapshot_view
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace, running
from jitsu_backup.store import FolderStore, keep

STAGING, PRODUCTION = "acme-staging", "acme-production"


def demo(app: App) -> int:
    """Run the main job on a new sandbox; return the exit code."""
    state = default_state(generation=Generation.NEWEST)
    staging = next(w for w in state.workspaces.values() if w.slug == STAGING)
    example_workspace(state, staging.id)
    sandbox = Sandbox(state)
    try:
        temporary = tempfile.TemporaryDirectory()
    except OSError:
        raise BackupError(
            "the demo needs a folder for temporary files; set TMPDIR to a folder that can be written to"
        ) from None
    with running(sandbox) as url, temporary as folder:
        return _Demo(app, sandbox, url, Path(folder)).run()


class _Demo:
    def __init__(self, app: App, sandbox: Sandbox, url: str, folder: Path) -> None:
        self.app, self.sandbox, self.url, self.folder = app, sandbox, url, folder
        self.key = sandbox.facts(url)["api_keys"]["owner"]
        self.facts: dict[str, Any] = {}
        app.out.quiet = app.as_json

    def run(self) -> int:
        self._step(
            1, f"Start a sandbox console on {self.url}. Its workspace {STAGING} has entities of every type."
        )
        snapshot = self._backup()
        overlay = stand_in_secrets(snapshot)
        self._step(
            3,
            f"Restore it into the empty {PRODUCTION}. {len(snapshot.manifest.ledger)} secrets are hidden by Jitsu, so an overlay"
            " provides them; without it, the plan would be blocked. Ids are new, and all references are adjusted.",
        )
        first = self._restore(snapshot, overlay, show_plan=True)
        self._step(4, "Restore again. Ids are computed, not random, so everything is found unchanged.")
        before = self._writes()
        again = self._restore(snapshot, overlay)
        writes = self._writes() - before
        self.app.line(f"   Writes counted by the console: {writes}")
        self._step(5, f"Back up {PRODUCTION} too, and compare the two workspaces.")
        after = run_async(self._read(PRODUCTION))
        self._compare(snapshot, after)
        whole = not first.failure and all(o.status is Status.DONE for o in first.outcomes) and writes == 0
        self._finish(first, again, whole=whole, writes=writes)
        return 0 if whole else IncompleteError.exit_code

    def _backup(self) -> Snapshot:
        self._step(
            2, f"Back up {STAGING}. All lists are read at the same time, then checked for changes meanwhile."
        )
        snapshot = run_async(self._read(STAGING))
        store = FolderStore(str(self.folder))
        data, name = encode(snapshot), archive_name(snapshot)
        run_async(keep(store, name, data))
        snapshot = decode(run_async(store.read(str(name))))
        self.app.out.print(snapshot_view(snapshot, digest(snapshot)))
        self.app.line(f"   Archive: {name.reference}, {len(data):,} bytes")
        self.facts["archive"] = str(name)
        return snapshot

    def _restore(self, snapshot: Snapshot, overlay: Overlay, *, show_plan: bool = False) -> Result:
        options, console = PlanOptions(overlay=overlay), self._console()
        prepared = run_async(prepare(console, PRODUCTION, snapshot, options, silent, now=utc_now))
        if show_plan:
            self.app.out.print(plan_view(prepared.plan))
        return run_async(carry_out(self._console(), prepared, silent, now=utc_now))

    def _compare(self, before: Snapshot, after: Snapshot) -> None:
        for name, count in before.manifest.counts.items():
            other = after.manifest.counts.get(name, 0)
            same = "equal" if other == count else "differs (see below)"
            self.app.line(f"   {name:16} {count:3} in staging, {other:3} in production   {same}")
        self.facts["counts"] = {"source": dict(before.manifest.counts), "target": dict(after.manifest.counts)}

    def _finish(self, first: Result, again: Result, *, whole: bool, writes: int) -> None:
        if again.found:
            self.app.out.print(Text(), residue_view(again.found))
        done = sum(o.status is Status.DONE for o in first.outcomes)
        self.facts |= {"restored": done, "second_run_writes": writes, "ok": whole}
        if self.app.as_json:
            self.app.emit(self.facts)
            return
        text = (
            f"{done} entities restored with new ids, {len(first.keys)} new write keys, {writes} writes in the second run.\n"
            + ("The differences that remain are listed above with their reasons.\n" if again.found else "")
            + "For your own console:\n"
            "  jitsu-backup check\n"
            "  jitsu-backup backup\n"
            "  jitsu-backup restore latest --into …"
        )
        self.app.out.print(
            Panel(text, title="It works" if whole else "Not everything was restored", expand=False)
        )

    async def _read(self, workspace: str) -> Snapshot:
        async with self._console() as console:
            return await read_workspace(console, workspace, now=utc_now)

    def _console(self) -> Console:
        return Console(self.url, self.key, gates=self.app.gates)

    def _writes(self) -> int:
        return sum(request.method != "GET" for request in self.sandbox.requests)

    def _step(self, number: int, text: str) -> None:
        self.app.out.print()
        self.app.out.print(Text.assemble((f"{number}. ", "bold cyan"), (text, "bold")))
