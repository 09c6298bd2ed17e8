"""A rehearsal: an archive is restored into a fresh console in memory, read back and compared."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from jitsu_backup.api import Console, Gates
from jitsu_backup.cli.applying import carry_out, new_secret, prepare
from jitsu_backup.cli.common import run_async, utc_now
from jitsu_backup.events import Reporter
from jitsu_backup.exporter import read_workspace
from jitsu_backup.importer import new_keys
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import Overlay, PlanOptions, Residue, parse_overlay, residue
from jitsu_backup.sandbox import Sandbox, fresh_console_for

HOST = "http://rehearsal.invalid"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal ended: `restored` of `meant` entities, in `seconds`, and what did not come back."""

    restored: int
    meant: int
    seconds: float
    residue: tuple[Residue, ...]

    @property
    def whole(self) -> bool:
        """Whether everything came back."""
        return not self.residue and self.restored == self.meant


def rehearse(snapshot: Snapshot, report: Reporter) -> Rehearsal:
    """Restore a snapshot into a fresh sandbox, with invented secrets for those that it lacks, and compare.

    No socket is opened and nothing outside this process is touched. Raises BackupError.
    """
    return run_async(_rehearse(snapshot, report))


async def _rehearse(snapshot: Snapshot, report: Reporter) -> Rehearsal:
    began = time.monotonic()
    state, workspace_id = fresh_console_for(snapshot)
    sandbox = Sandbox(state, rate_limit=False)
    key = sandbox.facts(HOST)["api_keys"]["owner"]

    def console() -> Console:
        return Console(HOST, key, transport=httpx.ASGITransport(sandbox.app), gates=Gates(), report=report)

    options = PlanOptions(overlay=stand_in_secrets(snapshot))
    plan, live, options = await prepare(console(), workspace_id, snapshot, options, report)
    found = set(residue(plan)) if plan.blocked else set()
    meant, there = snapshot.manifest.counts, dict.fromkeys(snapshot.manifest.counts, 0)
    if not plan.blocked:
        keys = new_keys(plan, new_secret)
        result = await carry_out(console(), snapshot, live, plan, options, keys, report)
        if result.failure is not None:
            raise result.failure
        found |= set(result.found)
        async with console() as again:
            there |= (await read_workspace(again, workspace_id, now=utc_now, report=report)).manifest.counts
        found |= _miscounted(meant, there, found)
    restored = sum(min(count, there[name]) for name, count in meant.items())
    return Rehearsal(restored, sum(meant.values()), time.monotonic() - began, tuple(sorted(found)))


def _miscounted(meant: Mapping[str, int], there: Mapping[str, int], known: set[Residue]) -> set[Residue]:
    """Count what was read back by itself, so that a mistake in the plan cannot hide what is missing."""
    told = Counter(line.key.type for line in known if not line.path)
    return {
        Residue(Key(name, ""), name, "", f"{count} in the archive, {there[name]} read back")
        for name, count in meant.items()
        if count - told[name] != there[name]
    }


def stand_in_secrets(snapshot: Snapshot) -> Overlay:
    """Give an overlay with an invented secret for every one that a snapshot lacks, as an operator would with real ones."""
    rules: dict[str, dict[str, str]] = {}
    for line in snapshot.manifest.ledger:
        if line.path not in snapshot.secrets.get(Key(line.type, line.id), {}):
            rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "from-the-password-manager"
    return parse_overlay(rules)
