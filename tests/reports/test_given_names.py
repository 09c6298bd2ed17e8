"""Reverse syncs on the same ends are told apart by the names that persons gave them."""

import io
from typing import Any

from rich.console import Console

from jitsu_backup.catalogue import given_names, told_apart
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning import Action, ActionKind, Plan, Residue
from jitsu_backup.reports import RestoreReport, entity_table, plan_view, snapshot_view, to_enable
from jitsu_backup.reports.html import plan_page, restore_page, snapshot_page
from tests.support import make_snapshot


def sync(one: str, **data: Any) -> dict[str, Any]:
    return {"id": one, "type": "reverse-sync", "fromId": "m", "toId": "d", "data": data}


DESTINATIONS = [{"id": "d", "name": "Ads"}, {"id": "wh", "name": "Warehouse"}]
SNAPSHOT = make_snapshot(
    {
        "destination": DESTINATIONS,
        "link": [{"id": "l", "type": "push", "fromId": "gone", "toId": "d", "data": {"name": 7}}],
        "model": [{"id": "m", "name": "Users", "warehouseId": "wh"}],
        "reverse-sync": [sync("r1", name="Buyers", schedule="5 * * * *"), sync("r2", name="Le[a]vers"), sync("r3")],
    }
)  # fmt: skip


def shown(*parts: Any) -> list[str]:
    screen = Console(file=io.StringIO(), width=120)
    screen.print(*parts, sep="\n")
    return [" ".join(line.split()) for line in screen.file.getvalue().splitlines()]  # type: ignore[attr-defined]  # it is a StringIO


def test_the_view_of_a_snapshot_shows_them_after_what_the_sync_does() -> None:
    lines = shown(snapshot_view(SNAPSHOT, "0" * 64))
    assert [line for line in lines if line.startswith("⇢")] == [
        "⇢ Ads",
        "⇢ Ads 'Le[a]vers'",
        "⇢ Ads 5 * * * *, 'Buyers'",
    ]


def test_connections_and_syncs_that_are_alike_are_listed_with_their_ids() -> None:
    bodies = [
        {"id": f"{kind}{n}", "type": kind, "fromId": "wh", "toId": "d", "data": {}}
        for kind in ("push", "sync")
        for n in (1, 2)
    ]
    snapshot = make_snapshot({"destination": DESTINATIONS, "link": bodies})
    names = told_apart(snapshot.entities)
    assert [names[link.key] for link in snapshot.of_type("link")] == [
        f"Warehouse → Ads ({link['id']})" for link in bodies
    ]
    lines = [line for line in shown(snapshot_view(snapshot, "0" * 64)) if line.startswith(("→", "⇢"))]
    assert lines == ["→ Ads (push1)", "→ Ads (push2)", "⇢ Ads (sync1)", "⇢ Ads (sync2)"]


def test_the_list_of_entities_shows_them_beside_the_names_of_the_ends() -> None:
    lines = shown(entity_table(SNAPSHOT.of_type("reverse-sync"), SNAPSHOT))
    assert lines[1:] == [
        "reverse-sync Users → Ads (Buyers) r1",
        "reverse-sync Users → Ads (Le[a]vers) r2",
        "reverse-sync Users → Ads r3",
    ]


def test_a_plan_shows_them_whatever_it_does() -> None:
    actions = tuple(
        Action(kind, Key("reverse-sync", one), "Users → Ads", one, "why")
        for kind, one in ((ActionKind.BLOCKED, "r1"), (ActionKind.DELETE, "r2"), (ActionKind.CREATE, "r3"))
    )
    source = SNAPSHOT.manifest.source
    given = given_names(SNAPSHOT)
    lines = shown(plan_view(Plan(source, source, actions, {}), given=given))
    assert [line for line in lines if "Users" in line] == [
        "! blocked reverse-sync Users → Ads (Buyers)",
        "- delete reverse-sync Users → Ads (Le[a]vers)",
        "+ create reverse-sync Users → Ads",
    ]


def test_the_snapshot_tells_before_the_target_how_a_sync_is_called() -> None:
    target = make_snapshot({"reverse-sync": [sync("r1", name="Old"), sync("r9", name="Own")]})
    names = {key.id: name for key, name in given_names(SNAPSHOT, target).items()}
    assert names == {"r1": "Buyers", "r2": "Le[a]vers", "r9": "Own"}


def test_a_page_shows_them_with_the_kind_of_the_sync() -> None:
    page = snapshot_page(SNAPSHOT, "0" * 64)
    assert "reverse sync &#39;Buyers&#39; 5 * * * *" in page


def made_disabled(state: str) -> tuple[Plan, Snapshot]:
    action = Action(
        ActionKind.CREATE, Key("reverse-sync", "r1"), "Users → Ads (Buyers)", "new", state, off=True
    )
    source = SNAPSHOT.manifest.source
    return Plan(source, source, (action,), {}), make_snapshot({"reverse-sync": []})


def test_a_page_shows_a_sync_that_is_made_disabled_as_off_and_counts_it_also_where_something_else_fails() -> (
    None
):
    plan, live = made_disabled("why")
    assert "5 * * * * off" in plan_page(plan, SNAPSHOT, live)
    other = Residue(Key("model", "m"), "Users", "query", "refused")
    page = restore_page(RestoreReport(plan, (), [other], SNAPSHOT, live))
    assert "1 still different, 1 reverse sync is disabled" in page
    assert to_enable(plan, [other]) == "1 reverse sync is disabled"


def test_a_sync_that_is_not_there_is_not_to_be_enabled() -> None:
    plan, _ = made_disabled("why")
    assert to_enable(plan, [Residue(Key("reverse-sync", "r1"), "Users → Ads", "", "refused")]) == ""


def test_those_of_one_given_name_are_told_apart_by_their_ids() -> None:
    syncs = [sync("r1", name="A"), sync("r2", name="A"), sync("r3", name="B"), sync("r4")]
    names = told_apart(make_snapshot({"reverse-sync": syncs}).entities)
    assert [names[Key("reverse-sync", one)] for one in ("r1", "r2", "r3", "r4")] == [
        *("m → d (A) (r1)", "m → d (A) (r2)", "m → d (B)", "m → d"),
    ]
