"""The key is withdrawn in the middle of a recovery: wherever that is, the run says so, and the next one continues."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from jitsu_backup.errors import BackupError, KeyRejectedError
from jitsu_backup.operations.recovery import RecoveryRun
from jitsu_backup.reports.recovery import run_summary
from jitsu_backup.reports.recovery_values import RecoveryReport
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import OWNER as OWNER_USER
from tests import every
from tests.recovery.kit import SLUGS, World, problems, tables
from tests.recovery.test_kills import dead_store, put_back, small
from tests.support import OWNER, Meddling

TABLES = ("workspaces", "objects", "links", "builders", "sync_states")
REJECTS = "console http://new.example rejects the operator's token: Invalid API key id service"


def half_way(folder: Path, generation: Generation) -> World:
    """A console with one workspace that is to be updated, and without the other."""
    world = small(folder, generation)
    world.recover(world.job(workspaces=SLUGS[:1]))
    for one in world.old.state.objects.values():
        if one.config.get("name") == "Enrich":
            one.config = {**one.config, "code": "export default async (e) => 1"}
    for row in world.old.state.workspaces.values():
        row.options = {} if generation.is_2024 else {"data-retention": {"kafkaRetentionHours": 24}}
    world.seconds += 3600
    world.back_up()
    return world


def withdrawn(world: World, request: int) -> RecoveryRun | BackupError:
    """Recover with a token that is withdrawn after some requests."""

    def withdraw(*_: object) -> None:
        if len(world.new.requests) == request:
            world.new.state.admin_secret = "another-one"

    try:
        job = world.job(wrap=lambda inner: Meddling(inner, withdraw), called="the operator's token")
        return world.recover(job)
    except BackupError as problem:
        return problem
    finally:
        world.new.state.admin_secret = "admintoken"


def next_steps(run: RecoveryRun, world: World) -> list[str]:
    report = RecoveryReport(run.plan, world.now(), run=run, again="jitsu-backup recover --yes")
    return [str(step) for step in run_summary(report, run).next_steps]


@pytest.mark.parametrize("generation", Generation)
def test_a_token_that_is_withdrawn_anywhere_is_named_and_the_next_run_continues(
    generation: Generation, tmp_path: Path
) -> None:
    world = half_way(tmp_path, generation)
    state, files = world.new.state, world.run(dead_store(world))
    rows = {name: copy.deepcopy(getattr(state, name)) for name in TABLES}
    world.new.requests.clear()
    world.recover()
    total = len(world.new.requests)
    for request in range(1, total, every(total // 3)):
        put_back(world, files)
        for name in TABLES:
            setattr(state, name, copy.deepcopy(rows[name]))
        world.new.requests.clear()
        run = withdrawn(world, request)
        if isinstance(run, BackupError):
            assert isinstance(run, KeyRejectedError), (request, run)
            assert str(run).startswith(f"{REJECTS}; nothing was written; give a valid key"), request
            assert world.writes() == 0, request
        elif any(one.status == 401 for one in world.new.requests):
            assert run.exit_code == 6, (request, problems(run))
            assert all(REJECTS in text for text in problems(run).values()), (request, problems(run))
            assert "a valid key, then run the same command again" in next_steps(run, world)[0], request
        assert problems(world.recover()) == {}, request
        assert sorted(row.slug for row in world.new.state.workspaces.values()) == list(SLUGS[:2]), request
        for slug in SLUGS[:2]:
            was, now = tables(world.old.state, slug), tables(world.new.state, slug)
            assert {**now, "options": 0} == {**was, "options": 0}, request  # the console adds its defaults


def test_a_persons_key_that_is_withdrawn_before_workspaces_are_created_is_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    world = small(tmp_path, Generation.JULY_2026)
    owner = world.new.state.users[OWNER_USER.id]
    maker = world.connection(world.new, OWNER, called="the person's key, which creates workspaces")
    job = world.job(maker=maker, called="the operator's token")

    def withdraw() -> None:
        world.new.state.users[owner.id] = replace(owner, api_key="key1:another1another1")

    run = world.recover(job, between=withdraw)
    assert (run.exit_code, set(problems(run))) == (6, set(SLUGS[:2]))
    told = "rejects the person's key, which creates workspaces: Invalid API key secret for key1"
    assert all(told in text for text in problems(run).values())
    world.new.state.users[owner.id] = owner
    assert problems(world.recover(job)) == {}
