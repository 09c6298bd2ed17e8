"""What the record of a promotion is good for: comparing with it, saved plans, the clone after an undo."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jitsu_backup.errors import BackupError
from jitsu_backup.events import Event, Notice
from jitsu_backup.model import Key
from jitsu_backup.operations.clone_record import keep_record
from jitsu_backup.operations.promoted import last_promotion
from jitsu_backup.operations.taken_back import TakenBack, _flags
from jitsu_backup.planning import Action, ActionKind, Plan
from jitsu_backup.store import FolderStore, archives
from tests.restores.records import FROM, INTO, LATER, NO_KEYS, Machine, kept, record
from tests.support import PRODUCTION, STAGING, run


def promoted(store: FolderStore, workspace: str = "acme-production") -> tuple[str, list[str]]:
    told: list[Event] = []
    known = run(archives(store))
    _, snapshot = run(last_promotion(known, workspace, store, NO_KEYS, now=LATER, report=told.append))
    return snapshot.entities[0].body["name"], [event.text for event in told if isinstance(event, Notice)]


def test_promoted_is_the_newest_record_of_a_clone_from_elsewhere(store: FolderStore) -> None:
    kept(store, record("first"), record("promoted", minutes=1))
    kept(store, record("in place", source=INTO, minutes=2), record("another", target=FROM, minutes=3))
    name, (told,) = promoted(store)
    assert name == "promoted"
    assert "left by the clone from acme-staging at 2026-" in told
    assert promoted(store, PRODUCTION)[0] == "promoted"


def test_a_later_clone_that_did_not_end_is_reported_beside_what_was_promoted(store: FolderStore) -> None:
    intent = record("begun", minutes=2)
    assert intent.manifest.cloned is not None
    begun = replace(intent.manifest, cloned=replace(intent.manifest.cloned, deletes=()))
    kept(store, record("promoted"), replace(intent, manifest=begun))
    name, told = promoted(store)
    assert name == "promoted"
    assert "did not finish" in told[-1]


def test_without_a_record_of_a_clone_promoted_is_an_error_that_says_what_to_check(store: FolderStore) -> None:
    kept(store, record("in place", source=INTO))
    with pytest.raises(
        BackupError, match=r"no record of a clone into acme-production in the store .*; clone"
    ):
        promoted(store)


def test_a_saved_plan_whose_run_was_interrupted_says_so(machine: Machine) -> None:
    machine.clone()
    machine.sandbox.state.objects["enrich-0001"].config["code"] = "export default e => e // 2"
    (machine.folder / "keys.json").unlink()
    machine.clone("--plan-out", "plan.json")
    plan = json.loads((machine.folder / "plan.json").read_text())
    (machine.folder / "plan.json").write_text(json.dumps({**plan, "record": "0" * 64}))
    host = plan["plan"]["source"]["host"]
    sides = replace(FROM, host=host), replace(INTO, host=host)
    begun = record("begun", *sides)
    assert begun.manifest.cloned is not None
    intent = replace(begun.manifest.cloned, deletes=())
    begun = replace(begun, manifest=replace(begun.manifest, cloned=intent), taken_at=datetime.now(UTC))
    store = FolderStore(str(machine.folder / "jitsu-backups"))
    run(keep_record(store, NO_KEYS, begun, now=datetime.now(UTC)))
    told = machine("restore", "--plan", "plan.json", "--yes", code=7)
    assert "was interrupted; create a new plan with --plan-out: it continues that clone" in told


def test_the_clone_after_an_undo_says_what_that_took_back_and_how_to_promote_it_again(
    machine: Machine,
) -> None:
    machine.clone()
    (machine.folder / "keys.json").unlink()
    machine.sandbox.state.objects["enrich-0001"].config["code"] = "// bad"
    machine.sandbox.state.add_object(STAGING, "function", "f3-0001", {"name": "F3", "code": "x"})
    machine.clone()
    state = machine.sandbox.state
    (renamed,) = (one for one in state.live_objects(PRODUCTION, "function") if one.config["name"] == "Enrich")
    renamed.config["name"] = "Enrich (EU)"
    machine("undo", "acme-production", "--yes")
    told = " ".join(machine.clone("--dry-run").split())
    assert "UTC took this back; --take=source:function/Enrich:code promotes it again" in told
    assert "promotes it again keeps the target's code, name" in told
    assert "re-create it with --take=source:function/F3; the undo of 20" in told
    assert "took back: --take=source:function/Enrich:code --take=source:function/F3" in told
    assert "Attention: the undo of 20" in told
    assert "took back what an earlier run had changed in 2 entities: they stay as they are" in told
    renamed.config["description"] = "by hand"  # what people change afterwards hides nothing
    told = " ".join(machine.clone("--dry-run").split())
    assert "took back: --take=source:function/Enrich:code --take=source:function/F3" in told
    machine.sandbox.state.objects["enrich-0001"].config["code"] = "// better"
    told = " ".join(machine.clone("--dry-run", code=7).split())
    assert "took the last clone's change back" in told
    again = ("--take=source:function/Enrich:code", "--take=source:function/F3")
    told = " ".join(machine.clone(*again).split())
    counted = "2 entities: 1 taken back by an undo: function Enrich (code); 1 deleted there and re-created"
    assert f"Overwrites changes of the target: {counted}: function F3." in told
    assert "took back" not in machine.clone("--dry-run")
    shown = json.loads(machine("snapshots", "acme-production", "--json"))["snapshots"]
    last = next(one["id"] for one in shown if "pre-restore" in one["marks"])
    machine("restore", f"acme-production/{last}", "--prune", "--yes")
    told = " ".join(machine.clone("--dry-run").split())
    assert "Attention: the restore of 20" in told
    assert "the undo of" not in told


def test_the_clone_after_the_undo_of_a_large_one_names_it_and_what_taking_everything_overwrites(
    machine: Machine,
) -> None:
    machine.clone()
    (machine.folder / "keys.json").unlink()
    state = machine.sandbox.state
    for name in "ABCDEFGHIJKLMNOP":
        state.add_object(STAGING, "function", f"gen-{name}", {"name": f"Gen {name}", "code": "x"})
    machine.clone()
    machine("undo", "acme-production", "--yes")
    (mended,) = (one for one in state.live_objects(PRODUCTION, "function") if one.config["name"] == "Enrich")
    mended.config["code"] = "// mended"
    told = " ".join(machine.clone("--dry-run", "--markdown", "m.md", code=7).split())
    assert "were deleted in the target since the last clone: re-create them with --take=source, which" in told
    assert "--take=source, which also overwrites function 'Enrich' (code), or leave them deleted with" in told
    assert "deleted 16 of them: the flags listed below re-create just those" in told
    flags = [f"--take=source:function/Gen {name}" for name in "ABCDEFGHIJKLMNOP"]
    comment = (machine.folder / "m.md").read_text().partition("### Needs a decision (16)")[2]
    assert "took back:\n\n  ```\n" + "".join(f"  {one}\n" for one in flags) + "  ```\n" in comment
    plan = " ".join(machine.clone("--dry-run", *flags).split())
    assert (
        "Overwrites changes of the target: 16 entities: 16 deleted there and re-created: function Gen A"
        in plan
    )
    assert "1 entity changed in the target, kept" in plan or "Kept in the target: 1 changed there" in plan


@pytest.mark.parametrize(
    ("own", "flags"),
    [
        (("code", "name"), ["--take=source:function/f:code"]),
        (("code", "draft"), ["--take=source:function/f"]),
        (("name",), []),
        ((), ["--take=source:function/f"]),
    ],
)
def test_a_flag_to_promote_again_names_what_the_undo_took_back_and_nothing_else(
    own: tuple[str, ...], flags: list[str]
) -> None:
    key = Key("function", "f")
    undo = TakenBack(LATER, {key: frozenset({"code", "draft"})})
    action = Action(ActionKind.UNCHANGED, key, "F", "f", "", replaced={(path,): "" for path in own})
    assert _flags(Plan(FROM, INTO, (action,), {}), action, undo, key) == flags
