"""A console of many workspaces that is lost: what `python -m tests.recovery --workspaces N` measures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitsu_backup.operations.recovery import RecoveryRun
from jitsu_backup.sandbox import Generation, State
from jitsu_backup.sandbox.state import REVERSE_ETL
from tests.recovery.kit import World, add_workspace, problems, tables
from tests.support import OWNER

ENTITIES = 50


@dataclass(frozen=True)
class Recovered:
    """What a recovery did: the differences between the two consoles' own tables by slug, and virtual seconds."""

    run: RecoveryRun
    entities: int
    differences: dict[str, dict[str, Any]]
    second_writes: int
    refused: int

    @property
    def problem(self) -> str:
        """Return what is not as it must be, or an empty text."""
        if found := problems(self.run):
            return f"not recovered: {found}"
        if self.differences:
            return f"differs: {self.differences}"
        if self.run.plan.made_keys:
            return f"{self.run.plan.made_keys} new write keys"
        return f"a second run writes {self.second_writes} times" if self.second_writes else ""


def lost_and_recovered(generation: Generation, folder: Path, workspaces: int, *, person: bool) -> Recovered:
    """Back up a console by its operator, and recover a new one by its operator or by a person's key under the limits.

    A person recovers what the operator's token backed up, secrets and the hashes of write keys included.
    """
    world = World(folder, generation, features=(REVERSE_ETL,) if generation.is_newest else ())
    slugs = [f"team-{number:03d}" for number in range(workspaces)]
    for slug in slugs:
        _fill(world.old.state, add_workspace(world.old.state, slug))
    world.back_up()
    world.new.access.rate_limit = person and not generation.is_2024
    run = world.recover(world.job(OWNER) if person else None)
    before, refused = world.writes(), sum(request.status == 429 for request in world.new.requests)
    world.recover(world.job(OWNER) if person else None)
    entities = sum(len(_of(world.old.state, slug)) for slug in slugs)
    return Recovered(run, entities, _differences(world, slugs), world.writes() - before, refused)


def _of(state: State, slug: str) -> list[str]:
    row = state.find_workspace(slug)
    assert row is not None
    owned = [one.id for one in state.objects.values() if one.workspace_id == row.id]
    return owned + [one.id for one in state.live_links(row.id)]


def _fill(state: State, workspace_id: str) -> None:
    """Add functions until the workspace has 50 entities."""
    missing = ENTITIES - len(_of(state, state.workspaces[workspace_id].slug))
    for number in range(missing):
        function = {"name": f"Filter {number}", "code": f"export default (event) => event // {number}"}
        state.add_object(workspace_id, "function", f"fn-{number}-{workspace_id[-8:]}", function)


def _differences(world: World, slugs: list[str]) -> dict[str, dict[str, Any]]:
    """Return, by slug, the tables that are not equal, each as on the lost console and on the new one."""
    found: dict[str, dict[str, Any]] = {}
    for slug in slugs:
        was, came = tables(world.old.state, slug), tables(world.new.state, slug)
        if unequal := {name: (was[name], came[name]) for name in was if was[name] != came[name]}:
            found[slug] = unequal
    return found
