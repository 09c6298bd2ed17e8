"""Laws of a folder that is edited while people work in the console."""

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.catalogue import dangling_references
from jitsu_backup.operations.folder import open_folder
from jitsu_backup.planning import ActionKind, compare
from jitsu_backup.sandbox import Generation, Sandbox, default_state
from tests import examples
from tests.folders import Repository
from tests.generate import Generator
from tests.support import STAGING

LAW = settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
IDS, FIELDS = ("one", "two", "three"), ("description", "code")
CHANGE = st.tuples(st.sampled_from(IDS), st.sampled_from(FIELDS), st.integers(1, 3))
DELETION = st.tuples(st.just("delete"), st.sampled_from(IDS))
CREATION = st.tuples(st.just("create"), st.sampled_from(("four", "five")))

Held = dict[str, dict[str, str]]


def _start(folder: Path, generation: Generation, *, redacted: bool) -> tuple[Repository, Held]:
    """Three entities in a console and a folder of them; their code holds a password."""
    state = default_state(generation=generation)
    held = {one: {"description": one, "code": f"fetch('https://u:{one}-secret@x')"} for one in IDS}
    for one, fields in held.items():
        state.add_object(STAGING, "function", one, {"name": one, **fields})
    repo = Repository(Sandbox(state, rate_limit=False), folder, redacted)
    repo.unpack()
    return repo, held


def _edit(repo: Repository, one: str, name: str, value: str) -> None:
    path = repo.path(f"function/{one}-*.json")
    body = orjson.loads(path.read_bytes())
    if name == "code":
        (path.parent / body["code"]["$file"]).write_text(value)
    else:
        path.write_bytes(orjson.dumps({**body, name: value}))


def _work(repo: Repository, held: Held, step: tuple[Any, ...]) -> None:
    """Do what a colleague does in the console."""
    state, (what, *rest) = repo.sandbox.state, step
    if what == "create":
        if rest[0] not in held:
            held[rest[0]] = {"description": "of a colleague", "code": "x"}
            state.add_object(STAGING, "function", rest[0], {"name": rest[0], **held[rest[0]]})
    elif what == "delete":
        if held.pop(rest[0], None) is not None:
            state.objects[rest[0]].deleted = True
    elif what in held:
        name, number = rest
        held[what][name] = state.objects[what].config[name] = f"// of a colleague {number}"
        state.objects[what].updated_at = state.now()


def _found(repo: Repository) -> Held:
    return {
        row.config["name"]: {name: row.config[name] for name in FIELDS}
        for row in repo.sandbox.state.live_objects(STAGING, "function")
    }


@pytest.mark.parametrize("redacted", [False, True], ids=["plain", "redacted"])
@given(
    generation=st.sampled_from(Generation),
    edits=st.lists(CHANGE, min_size=1, max_size=3),
    work=st.lists(st.one_of(CHANGE, DELETION, CREATION), max_size=4),
    prune=st.booleans(),
)
@LAW
def test_an_edit_arrives_a_colleagues_work_stays_and_a_second_run_is_silent(
    redacted: bool, generation: Generation, edits: list[Any], work: list[Any], prune: bool
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        repo, held = _start(Path(temporary) / "workspace", generation, redacted=redacted)
        base = {one: dict(fields) for one, fields in held.items()}
        mine = {one: dict(fields) for one, fields in held.items()}
        for one, name, number in edits:
            mine[one][name] = f"// of the folder {number}"
            _edit(repo, one, name, mine[one][name])
        for step in work:
            _work(repo, held, step)
        both = {
            (one, name)
            for one in IDS
            if one in held
            for name in FIELDS
            if base[one][name] not in (mine[one][name], held[one][name])
            and mine[one][name] != held[one][name]
        }
        unapplied = any(
            mine[one][name] != base[one][name] == held[one][name]
            for one in IDS
            if one in held
            for name in FIELDS
        )
        assert repo.has_unapplied() is unapplied
        plan = repo.plan(prune=prune, accept_shrink=True)
        assert {(a.name, path) for a in plan.blocked for path in a.conflicts} == both
        assert not any(action.kind is ActionKind.DELETE for action in plan.actions)
        take = tuple(f"target:function/{one}:{name}" for one, name in sorted(both))
        result = repo.apply(prune=prune, accept_shrink=True, take=take)
        wanted = {
            one: {
                name: mine[one][name] if one in mine and value == base[one][name] else value
                for name, value in fields.items()
            }
            for one, fields in held.items()
        }
        assert _found(repo) == wanted
        assert result.found == []
        assert not repo.has_unapplied()
        repo.silent_apply(prune=prune, accept_shrink=True, take=take)
        assert _found(repo) == wanted


@pytest.mark.parametrize("redacted", [False, True], ids=["plain", "redacted"])
@given(
    generation=st.sampled_from(Generation),
    seed=st.integers(0, 2**32),
    size=st.integers(0, 40),
    changes=st.integers(0, 20),
    prune=st.booleans(),
)
@LAW
def test_whatever_colleagues_did_an_untouched_folder_writes_nothing(
    redacted: bool, generation: Generation, seed: int, size: int, changes: int, prune: bool
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        state = default_state(generation=generation)
        generator = Generator(state, seed)
        generator.fill(STAGING, size)
        repo = Repository(Sandbox(state, rate_limit=False), Path(temporary) / "workspace", redacted)
        before = repo.unpack()
        folder = open_folder(repo.folder).snapshot
        assert compare(folder, before, {}).entities == ()
        assert compare(before, folder, {}).entities == ()
        generator.mutate(STAGING, changes)
        assert not repo.has_unapplied()
        # what is mostly gone is left deleted only where that is said to be meant
        plan = repo.plan(prune=prune, accept_shrink=True, take=("target",))
        # a connection that lost its ends carries nothing, and --prune takes it away
        dead = {one.key for one in dangling_references(repo.read()) if one.dead}
        told = [
            (one.key, one.kind, one.reason) for one in (*plan.writes, *plan.blocked) if one.key not in dead
        ]
        assert told == []
