"""What is left after a restore is told, each thing with its reason."""

from typing import Any

from jitsu_backup.model import Key
from jitsu_backup.planning import (
    Action,
    ActionKind,
    KeySlot,
    Loss,
    Plan,
    Residue,
    cut_off,
    left_out,
    make_plan,
    residue,
    shortfalls,
)
from jitsu_backup.reports.summary import stays_different
from tests.planning.scenarios.scenario import BASE, in_place

ONE, TWO = Key("stream", "one"), Key("stream", "two")


def plan(*actions: Action) -> Plan:
    scenario = in_place(BASE, BASE)
    made = make_plan(scenario.snapshot, scenario.live, scenario.options)
    return Plan(made.source, made.target, actions, {})


def action(kind: ActionKind, key: Key = ONE, reason: str = "why", **more: Any) -> Action:
    return Action(kind, key, key.id.title(), None, reason, **more)


def told(*actions: Action, **more: Any) -> list[tuple[str, str, str, str]]:
    return [(str(line.key), line.name, line.path, line.reason) for line in residue(plan(*actions), **more)]


def test_streams_that_got_new_keys_have_cut_off_their_senders_and_those_with_their_hashes_have_not() -> None:
    new, carried = KeySlot("publicKeys", "js.a", "js.b"), KeySlot("privateKeys", "s.a", "s.a")
    assert cut_off(
        [
            action(ActionKind.UPDATE, ONE, new_keys=(new, carried), cuts_off=True),
            action(ActionKind.CREATE, TWO, new_keys=(carried,)),
        ]
    ) == {
        Residue(
            ONE,
            "One",
            "publicKeys",
            "its senders need the new write keys: distribute them, or write them to a file with --keys-out",
        )
    }


def test_what_is_missing_too_much_different_skipped_or_blocked_is_left() -> None:
    assert told(action(ActionKind.CREATE)) == [("stream/one", "One", "", "is not in the target")]
    assert told(action(ActionKind.DELETE)) == [("stream/one", "One", "", "is still in the target")]
    assert (
        told(action(ActionKind.SKIPPED))
        == told(action(ActionKind.BLOCKED))
        == [("stream/one", "One", "", "why")]
    )
    assert told(action(ActionKind.UPDATE, changes=("b", "a"))) == [
        ("stream/one", "One", "a", "differs"), ("stream/one", "One", "b", "differs"),
    ]  # fmt: skip
    assert told(action(ActionKind.UNCHANGED)) == []


def test_losses_are_left_and_take_the_place_of_their_actions_reason() -> None:
    losses = (Loss("a", "lost"),)
    for kind in (ActionKind.SKIPPED, ActionKind.BLOCKED, ActionKind.UNCHANGED):
        assert told(action(kind, losses=losses)) == [("stream/one", "One", "a", "lost")]
    assert told(action(ActionKind.UPDATE, losses=losses, changes=("b",))) == [
        ("stream/one", "One", "a", "lost"), ("stream/one", "One", "b", "differs"),
    ]  # fmt: skip


def test_what_was_left_out_on_request_is_not_left() -> None:
    asked = action(ActionKind.SKIPPED, asked=True, losses=(Loss("a", "lost"),))
    assert told(asked, action(ActionKind.CREATE, TWO)) == [("stream/two", "Two", "", "is not in the target")]


def test_the_consoles_refusals_are_the_reasons() -> None:
    reasons = {ONE: (Loss("", "refused"), Loss("a", "too long"))}
    assert told(action(ActionKind.CREATE), reasons=reasons) == [("stream/one", "One", "", "refused")]
    assert told(action(ActionKind.UPDATE, changes=("a", "b")), reasons=reasons) == [
        ("stream/one", "One", "a", "too long"), ("stream/one", "One", "b", "refused"),
    ]  # fmt: skip
    assert told(action(ActionKind.UPDATE, changes=("a.0", "ab")), reasons={ONE: (Loss("a", "taken"),)}) == [
        ("stream/one", "One", "a.0", "taken"), ("stream/one", "One", "ab", "differs"),
    ]  # fmt: skip
    assert told(action(ActionKind.UPDATE, changes=("a.b.c",)), reasons={ONE: (Loss("a", "taken"),)}) == [
        ("stream/one", "One", "a.b.c", "taken")
    ]
    assert told(action(ActionKind.CREATE, TWO), reasons=reasons) == [
        ("stream/two", "Two", "", "is not in the target")
    ]
    assert told(action(ActionKind.DELETE), undeleted={ONE: "in use"}) == [("stream/one", "One", "", "in use")]
    assert told(action(ActionKind.DELETE), undeleted={TWO: "in use"}) == [
        ("stream/one", "One", "", "is still in the target")
    ]


def test_what_new_entities_were_made_without_is_reported_though_nobody_can_see_it() -> None:
    losses = (Loss("password", "unread"),)
    found = left_out(
        [action(ActionKind.CREATE, losses=losses), action(ActionKind.UPDATE, TWO, losses=losses)]
    )
    assert found == {Residue(ONE, "One", "password", "unread")}


def test_a_plan_counts_every_kind_and_knows_what_it_writes() -> None:
    kinds = [
        ActionKind.CREATE,
        ActionKind.UPDATE,
        ActionKind.DELETE,
        ActionKind.UNCHANGED,
        ActionKind.SKIPPED,
        ActionKind.BLOCKED,
        ActionKind.BLOCKED,
    ]
    made = plan(*map(action, kinds))
    assert made.counts() == {
        "create": 1,
        "update": 1,
        "delete": 1,
        "unchanged": 1,
        "skipped": 1,
        "blocked": 2,
    }
    assert plan().counts() == dict.fromkeys(made.counts(), 0)
    assert [a.kind for a in made.writes] == kinds[:3]
    assert [a.kind for a in made.blocked] == kinds[-2:]
    assert [plan(action(kind)).touches for kind in ActionKind] == [False, True, True, False, False, False]


def test_a_plan_lists_as_different_what_the_run_will_find_different_and_not_what_was_left_out_on_request() -> (
    None
):
    lost = (Loss("hook", "unknown field"), Loss("sign", "unknown field"))
    actions = (
        action(ActionKind.SKIPPED, Key("model", "users"), "no such type"),
        action(ActionKind.UNCHANGED, ONE, losses=lost),
        action(ActionKind.SKIPPED, TWO, "left out", asked=True),
        action(ActionKind.SKIPPED, Key("stream", "gone"), "deleted there", deleted_there=True),
    )
    assert shortfalls(actions) == residue(plan(*actions))
    assert stays_different(plan(*actions)) == (
        "model Users (no such type); stream One hook, stream One sign (unknown field)"
    )
    assert stays_different(plan(*actions[2:])) == ""
