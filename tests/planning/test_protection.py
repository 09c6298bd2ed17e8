"""Protected entities of the target are neither deleted nor made anew, unless the operator says so."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.catalogue import CATALOGUE, Selector, entity_names
from jitsu_backup.errors import UsageError
from jitsu_backup.model import CloneRecord, Entity, Key
from jitsu_backup.planning import ActionKind, Plan, PlanOptions, Since, make_plan, protection, record_in_place
from jitsu_backup.planning.protection import protects_little
from jitsu_backup.planning.sides import Sides
from jitsu_backup.reports.markdown import plan_markdown
from tests import examples
from tests.planning.random_scenarios import SEEDS, random_scenario
from tests.planning.scenarios import Scenario
from tests.planning.scenarios.scenario import SCENARIOS
from tests.support import make_snapshot

FUNCTION: dict[str, Any] = {"id": "f1", "type": "function", "name": "Mine", "code": "x"}
NOTHING = make_snapshot({"function": []})
LIVE = make_snapshot({"function": [FUNCTION]})


def plan_with(**options: Any) -> Plan:
    return make_plan(NOTHING, LIVE, PlanOptions(prune=True, **options))


def is_chosen(texts: tuple[str, ...], entity: Entity, name: str) -> bool:
    return any(Selector(text).matches(entity, name) for text in texts)


def assert_protected(one: Scenario, protect: tuple[str, ...], unprotect: tuple[str, ...]) -> None:
    options = replace(one.options, protect=protect, unprotect=unprotect)
    plan, free = make_plan(one.snapshot, one.live, options), make_plan(one.snapshot, one.live, one.options)
    names, live = entity_names(one.live.entities), {e.key: e for e in one.live.entities}
    owned = Sides(one.snapshot, one.live, options).live_owned
    gone = {action.key for action in plan.actions if action.kind is ActionKind.DELETE}
    gone |= {key for key in live if key.type == "function" and ("profile-builder", owned.get(key.id)) in gone}
    for key in gone & live.keys():
        if is_chosen(protect, live[key], names[key]):
            assert is_chosen(unprotect, live[key], names[key]), key
    if not any("in the setting protect" in action.reason for action in plan.blocked):
        assert plan.actions == free.actions
    assert {a.key for a in plan.actions} == {a.key for a in free.actions}


SELECTORS = st.sampled_from([*(f"{name}/*" for name in sorted(CATALOGUE)), "*", "*/*a*", "destination/*1*"])


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(SEEDS), st.lists(SELECTORS, max_size=3), st.lists(SELECTORS, max_size=1))
def test_no_plan_deletes_what_is_protected(seed: int, protect: list[str], unprotect: list[str]) -> None:
    one = random_scenario(seed)
    prune = replace(one.options, prune=True, accept_shrink=True, recreate=True, rebind=True)
    assert_protected(replace(one, options=prune), tuple(protect), tuple(unprotect))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_no_scenario_deletes_what_is_protected(name: str) -> None:
    one = SCENARIOS[name]()
    try:
        make_plan(one.snapshot, one.live, one.options)
    except UsageError:
        return
    assert_protected(one, ("*",), ())


def test_a_plan_that_would_delete_is_blocked_and_names_the_setting_and_the_flag() -> None:
    (blocked,) = plan_with(protect=("stream/*", "function/Mine")).blocked
    assert blocked.reason == (
        "protected by 'function/Mine' in the setting protect: use --unprotect=function/Mine to delete it,"
        " or --skip=function/Mine to leave it unchanged"
    )
    for protect in ((), ("stream/Other",), ("stream/*",)):
        assert [a.kind for a in plan_with(protect=protect).actions] == [ActionKind.DELETE]


@pytest.mark.parametrize("selector", ["function/f1", "function/Mine", "function/*", "function"])
def test_unprotect_lets_one_run_delete(selector: str) -> None:
    plan = plan_with(protect=("function/*",), unprotect=(selector,))
    assert [a.kind for a in plan.actions] == [ActionKind.DELETE]
    assert plan.notes == ()


def test_an_unprotect_that_frees_nothing_is_noted_because_a_second_run_is_no_mistake() -> None:
    note = "--unprotect 'function/Gone' matches no protected entity of the target"
    assert plan_with(protect=("function/*",), unprotect=("function/Gone",)).notes == (note,)
    assert plan_with(unprotect=("function/Gone",)).notes == (note,)
    (near,) = plan_with(protect=("function/*",), unprotect=("function/Mien",)).notes
    assert near == f"{note.replace('Gone', 'Mien')}; did you mean 'Mine'?"


def test_what_is_protected_may_be_updated_and_is_not_reported_as_prunable() -> None:
    changed = make_snapshot({"function": [{**FUNCTION, "code": "y"}]})
    plan = make_plan(changed, LIVE, PlanOptions(protect=("*",)))
    assert [a.kind for a in plan.actions] == [ActionKind.UPDATE]
    (extra,) = make_plan(NOTHING, LIVE, PlanOptions(protect=("*",))).extras
    assert not extra.prunable


@pytest.mark.parametrize("option", ["protect", "unprotect"])
def test_a_type_that_there_is_not_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=rf"{option}: unknown type 'functoin'; did you mean 'function'\?"):
        plan_with(**{option: ("functoin/*",)})


def test_a_selector_that_matches_nothing_anywhere_is_noted_because_it_may_be_misspelt() -> None:
    texts = ("function/Mien", "function/Mine", "stream/*", "stream", "stream/Shop *")
    plan = make_plan(LIVE, LIVE, PlanOptions(protect=texts))
    assert plan.notes == (
        "protect: 'function/Mien' is not in the target or the snapshot; did you mean 'Mine'?",
        "protect: 'stream/Shop *' is not in the target or the snapshot; correct or remove it",
    )
    assert make_plan(LIVE, LIVE, PlanOptions(protect=texts, checks_selectors=False)).notes == ()


def test_while_the_record_cannot_be_read_a_selector_may_be_an_earlier_name() -> None:
    (warning,) = protects_little(("function/Was",), LIVE, None, "acme", unread=True)
    assert warning.startswith(
        "protect: 'function/Was' is not in acme; it may be an earlier name, which only that record"
    )
    assert protects_little(("function/Was",), LIVE, None, "acme") == [
        "protect: 'function/Was' is not in acme; correct or remove it"
    ]


def test_a_name_that_the_last_clone_left_still_protects() -> None:
    source = make_snapshot({"function": []}, workspace_id="elsewhere", slug="elsewhere")
    was = make_snapshot({"function": [FUNCTION]})
    cloned = CloneRecord(source.manifest.source, {Key("function", "s1"): "f1"}, {})
    record = replace(was, manifest=replace(was.manifest, cloned=cloned))
    renamed = make_snapshot({"function": [{**FUNCTION, "name": "Ours"}]})
    options = PlanOptions(
        prune=True, record=record, take=("source",), protect=("function/Mine", "stream/Gone")
    )
    plan = make_plan(source, renamed, options)
    (blocked,) = plan.blocked
    assert (
        "protected by 'function/Mine' in the setting protect: use --unprotect=function/Ours" in blocked.reason
    )
    assert [note for note in plan.notes if note.startswith("protect")] == [
        "protect: 'function/Mine' protects 'function/Ours' by an earlier name; replace that selector",
        "protect: 'stream/Gone' is not in the target, the source or the last record; correct or remove it",
    ]
    disputed = make_plan(source, renamed, replace(options, take=()))  # one run says both
    both = "use --unprotect=function/Ours as well to delete it; keeping it needs no other flag"
    assert f"; also protected by 'function/Mine' in the setting protect: {both}" in disputed.blocked[0].reason
    assert (
        "```\n# to delete it, these lines:\n--take=source:function/Ours\n--unprotect=function/Ours\n"
        "# to keep it, only this one:\n--take=target:function/Ours\n```\n"
    ) in plan_markdown(disputed, source, renamed, "")


def test_lifting_the_protection_of_a_name_spares_what_had_that_name_before() -> None:
    other = {**FUNCTION, "id": "f2"}
    live = make_snapshot({"function": [{**FUNCTION, "name": "Ours"}, other]})
    source = make_snapshot({"function": []}, workspace_id="source", slug="source")
    cloned = CloneRecord(source.manifest.source, {Key("function", "f1"): "f1"})
    record = replace(LIVE, manifest=replace(LIVE.manifest, cloned=cloned))
    options = PlanOptions(
        prune=True, prune_own=True, record=record, take=("source",), accept_shrink=True,
        protect=("function/*",), unprotect=("function/Mine",),
    )  # fmt: skip
    plan = make_plan(source, live, options)
    assert {(a.key.id, a.kind) for a in plan.actions} == {
        ("f1", ActionKind.BLOCKED), ("f2", ActionKind.DELETE),
    }  # fmt: skip


RENAMED = make_snapshot({"function": [{**FUNCTION, "name": "Ours"}]})


@pytest.mark.parametrize("side", ["earlier", "emptied"])
def test_in_place_too_an_earlier_name_protects_and_either_name_lifts_that(side: str) -> None:
    options = PlanOptions(prune=True, protect=("function/Mine",), **{side: LIVE})
    plan = make_plan(NOTHING, RENAMED, options)
    (blocked,) = plan.blocked
    assert (
        "protected by 'function/Mine' in the setting protect: use --unprotect=function/Ours" in blocked.reason
    )
    for selector in ("function/Ours", "function/Mine"):
        plan = make_plan(NOTHING, RENAMED, replace(options, unprotect=(selector,)))
        assert [a.kind for a in plan.actions] == [ActionKind.DELETE]
        assert not [note for note in plan.notes if "--unprotect" in note]


def test_a_selector_that_matches_nothing_blocks_what_it_may_mean_until_it_is_corrected() -> None:
    source = make_snapshot({"function": []}, workspace_id="source", slug="source")
    options = PlanOptions(prune=True, protect=("function/Other",))
    (blocked,) = make_plan(source, LIVE, options).blocked
    assert blocked.reason == (
        "possibly meant by 'function/Other' in the setting protect, which matches nothing in the target: correct or remove"
        " that selector, or use --unprotect=function/Mine to delete it, or --skip=function/Mine to leave it unchanged"
    )
    for selector in ("function/Mine", "function/Other"):
        plan = make_plan(source, LIVE, replace(options, unprotect=(selector,)))
        assert [a.kind for a in plan.actions] == [ActionKind.DELETE]
        assert not [note for note in plan.notes if "--unprotect" in note]
    in_snapshot = make_snapshot({"function": [{**FUNCTION, "id": "f2", "name": "Other"}]})
    assert make_plan(in_snapshot, LIVE, options).blocked == ()


def test_a_rollback_knows_all_names_of_its_snapshot_so_only_a_near_one_is_blocked() -> None:
    plan = plan_with(protect=("function/Other",))
    assert [a.kind for a in plan.actions] == [ActionKind.DELETE]
    assert [note.partition(" is not in ")[0] for note in plan.attention] == ["protect: 'function/Other'"]
    (blocked,) = plan_with(protect=("function/Mien",)).blocked
    assert "possibly meant by 'function/Mien'" in blocked.reason


def test_of_copies_only_near_names_are_blocked_and_the_rest_is_no_mere_note() -> None:
    source = make_snapshot({"function": []}, workspace_id="source", slug="source")
    copy = {**FUNCTION, "name": "Only here"}
    live = make_snapshot({"function": [copy]})
    cloned = CloneRecord(source.manifest.source, {Key("function", "f1"): "f1"})
    record = replace(live, manifest=replace(live.manifest, cloned=cloned))
    options = PlanOptions(prune=True, record=record, accept_shrink=True)
    plan = make_plan(source, live, replace(options, protect=("function/Only hear",)))
    assert "possibly meant by 'function/Only hear'" in plan.blocked[0].reason
    plan = make_plan(source, live, replace(options, protect=("function/Warehouse", "stream/Gone")))
    assert [a.kind for a in plan.actions] == [ActionKind.DELETE]
    assert [note.partition(" is not in ")[0] for note in plan.attention] == ["protect: 'function/Warehouse'"]
    assert [note.partition(" is not in ")[0] for note in plan.notes] == ["protect: 'stream/Gone'"]


def test_without_a_record_a_name_of_the_source_does_not_show_what_a_selector_means() -> None:
    source = make_snapshot({"function": [{**FUNCTION, "id": "s1"}]}, workspace_id="source", slug="source")
    options = PlanOptions(prune=True, prune_own=True, protect=("function/Mine",))
    plan = make_plan(source, RENAMED, options)
    assert [(a.target_id, "possibly meant by" in a.reason) for a in plan.blocked] == [("f1", True)]
    fewer = make_plan(source, RENAMED, replace(options, prune_own=False, unrecorded=1))
    assert "--prune-own; also possibly meant by 'function/Mine'" in fewer.blocked[0].reason


def test_an_undo_deletes_what_the_run_created_although_a_selector_for_another_workspace_has_a_near_name() -> (
    None
):
    options = PlanOptions(since=Since.RUN, record=record_in_place(LIVE), prune=True, accept_shrink=True)
    plan = make_plan(NOTHING, LIVE, replace(options, protect=("function/Mien",)))
    assert [a.kind for a in plan.actions] == [ActionKind.DELETE]
    assert [note.partition(" is not in ")[0] for note in plan.attention] == ["protect: 'function/Mien'"]
    (blocked,) = make_plan(NOTHING, LIVE, replace(options, protect=("function/Mine",))).blocked
    assert "protected by 'function/Mine'" in blocked.reason


def test_each_deletion_is_compared_once_with_a_selector_that_matches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live, asked = make_snapshot({"function": [{**FUNCTION, "id": f"f{n}"} for n in range(9)]}), list[str]()

    def nearest(text: str, _: Iterable[str]) -> str:
        asked.append(text)
        return ""

    monkeypatch.setattr(protection, "nearest", nearest)
    plan = make_plan(NOTHING, live, PlanOptions(prune=True, accept_shrink=True, protect=("function/Other",)))
    assert len(plan.actions) == len(asked) - 1 == 9  # once more for the note


@pytest.mark.parametrize("text", ["link/Shop -> Lake", "function/a/b", "function/", "f*/Mine", "function/f1"])
@pytest.mark.parametrize("name", ["Shop → Lake", "a/b", "", "Mine"])
def test_looking_a_selector_up_finds_what_it_matches(text: str, name: str) -> None:
    for kind in ("function", "link"):
        one = (Entity(Key(kind, "f1"), {**FUNCTION, "name": name or "Mine"}), name)
        assert protection._any(text, protection.Names([one])) == Selector(text).matches(*one)
