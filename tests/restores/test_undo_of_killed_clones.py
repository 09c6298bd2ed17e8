"""Undoing a clone that was killed: its half is taken back, and what it meant to write is in nobody's way."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import ArchiveName, archive_name
from jitsu_backup.errors import TargetChangedError
from jitsu_backup.events import silent
from jitsu_backup.model import Key
from jitsu_backup.operations import safeguards
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.safeguards import carry_out_safely
from jitsu_backup.operations.undo import LastRun, last_run, undo_options
from jitsu_backup.planning import PlanOptions
from jitsu_backup.planning.console_overlay import parse_any_overlay
from jitsu_backup.sandbox import Generation
from jitsu_backup.store import FolderStore
from tests.promotions import Promotion, edit, promotion
from tests.restores.kit import delete
from tests.restores.test_intents import NO_KEYS, Shop, enrich, now
from tests.support import (
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    id_map,
    make_snapshot,
    prepare,
    run,
    stand_ins,
    writes,
)


def cloned_before(folder: Path) -> Shop:
    """A production that an earlier clone has filled, and a source that has changed, dropped and made something since."""
    shop = first(folder)
    shop.clone()
    state = shop.made.source.state
    edit(state, enrich(shop).id, code="// of staging")
    for row in state.live_objects(STAGING, "service"):
        delete(state, row.id, cascade=True)
    for one in range(3):
        state.add_object(STAGING, "function", f"new-{one}", {"name": f"New {one}", "code": "x"})
    return shop


def first(folder: Path) -> Shop:
    """A production that no clone has filled yet, with a function of its own."""
    shop = Shop(promotion(Generation.JULY_2026), FolderStore(str(folder / "store")), [], backup=True)
    shop.made.target.state.add_object(PRODUCTION, "function", "own", {"name": "Own", "code": "x"})
    return shop


def matched(folder: Path) -> Shop:
    """A production that no clone has filled yet, with a function that is paired by its name."""
    shop = first(folder)
    config = {**shop.made.source.state.objects[enrich(shop).id].config, "code": "// from before"}
    shop.made.target.state.add_object(PRODUCTION, "function", "of-before", config)
    return shop


BEGINNINGS = pytest.mark.parametrize("begin", [first, matched, cloned_before])


def last(shop: Shop) -> LastRun:
    found: LastRun = run(last_run(shop.known, None, shop.store, NO_KEYS, now=now(), report=silent))
    return found


def undo(shop: Shop, **options: Any) -> Result:
    """Undo the last run, as the command line does."""
    found = last(shop)
    given = {"overlay": stand_ins(found.snapshot), "accept_shrink": True, **options}
    wanted = undo_options(PlanOptions(**given), found)
    console = functools.partial(console_of, shop.made.target, shop.made.target_host)
    find = found.left_in if found.known else None
    prepared = run(prepare(console(), PRODUCTION, found.snapshot, wanted, silent, find_record=find))
    assert not prepared.plan.blocked, [(a.key, a.reason) for a in prepared.plan.blocked]
    guards = replace(shop.safeguards(), command="undo", undoes=found.archive)
    result: Result = run(carry_out_safely(console(), prepared, silent, guards))
    assert result.failure is None
    return result


def content(shop: Shop) -> Any:
    return comparable(shop.made.live(), {})


@pytest.mark.parametrize("number", [1, 4, 6])
@BEGINNINGS
def test_the_half_of_a_killed_clone_is_taken_back_and_the_next_clone_writes_it_all(
    begin: Callable[[Path], Shop], number: int, tmp_path: Path
) -> None:
    shop, options = begin(tmp_path), {"match_by_name": begin is matched}
    before = shop.made.live()
    shop.killed(number, **options)
    half = shop.made.live()
    assert comparable(half, {}) != comparable(before, {})
    assert last(shop).left is None
    undone = undo(shop)
    assert content(shop) == comparable(before, id_map(undone))
    plan = shop.prepared(**options).plan
    assert not plan.deleted_there
    assert not [(action.key, action.kept) for action in plan.actions if action.kept]
    shop.clone(**options)
    assert shop.intents == []
    assert not shop.prepared(**options).plan.writes
    made = {row.config["name"] for row in shop.made.target.state.live_objects(PRODUCTION, "function")}
    mine = {row.config["name"] for row in shop.made.source.state.live_objects(STAGING, "function")}
    assert made - {"Own"} == mine


@BEGINNINGS
def test_an_undo_of_the_undo_brings_the_half_of_a_killed_clone_back(
    begin: Callable[[Path], Shop], tmp_path: Path
) -> None:
    shop = begin(tmp_path)
    shop.killed(4, match_by_name=begin is matched)
    half = shop.made.live()
    first_ids = id_map(undo(shop))
    assert last(shop).left is not None
    undone = undo(shop)
    assert content(shop) == comparable(half, id_map(undone) | first_ids)


@pytest.mark.parametrize("ends", [False, True])
@BEGINNINGS
def test_a_killed_clone_and_those_that_continued_it_are_taken_back_together(
    begin: Callable[[Path], Shop], ends: bool, tmp_path: Path
) -> None:
    shop, options = begin(tmp_path), {"match_by_name": begin is matched}
    before = shop.made.live()
    shop.killed(2, **options)
    earlier = last(shop).archive
    shop.made.target.state.add_object(PRODUCTION, "function", "between", {"name": "Between", "code": "x"})
    shop.killed(2, **options)
    if ends:
        shop.clone(**options)
    found = last(shop)
    assert (found.archive, len(found.continued), found.unended) == (earlier, 1 + ends, ())
    undone = undo(shop)
    assert not shop.made.target.state.objects["between"].deleted
    delete(shop.made.target.state, "between")
    assert content(shop) == comparable(before, id_map(undone))


def test_an_earlier_part_whose_backup_is_gone_is_reported_because_its_writes_stay(tmp_path: Path) -> None:
    shop = first(tmp_path)
    shop.killed(2)
    (tmp_path / "store" / str(last(shop).archive)).unlink()
    shop.clone()
    told: list[Any] = []
    found = run(last_run(shop.known, None, shop.store, NO_KEYS, now=now(), report=told.append))
    assert found.continued == ()
    (caution,) = told
    assert (
        "did not end, and the backup from before it is no longer in the store: what it wrote is not undone"
        in caution.text
    )


def test_what_was_changed_after_a_kill_is_kept_or_in_conflict_as_after_any_run(tmp_path: Path) -> None:
    shop = cloned_before(tmp_path)
    shop.killed(len(shop.prepared().plan.writes))
    state = shop.made.target.state
    rows = state.live_objects(PRODUCTION, "function")
    (made,) = (row.id for row in rows if row.config["name"] == "Enrich")
    state.objects[made].config |= {"code": "// of production", "description": "of production"}
    state.objects["own"].config["code"] = "of production"
    found = last(shop)
    wanted = undo_options(PlanOptions(overlay=stand_ins(found.snapshot)), found)
    console = console_of(shop.made.target, shop.made.target_host)
    plan = run(prepare(console, PRODUCTION, found.snapshot, wanted, silent, find_record=found.left_in)).plan
    (blocked,) = plan.blocked
    assert (blocked.key.id, blocked.conflicts) == (made, ("code",))
    assert Key("function", "own") not in {action.key for action in plan.writes}


def test_tables_for_other_workspaces_alone_send_no_hidden_secret_in_an_undo() -> None:
    snapshot = make_snapshot({})
    what = LastRun(archive_name(snapshot), snapshot)  # of which nothing else is known
    for table, sends in (
        ("other:stream/One", False),
        ("acme-staging:stream/One", True),
        ("stream/One", True),
    ):
        overlay = parse_any_overlay({table: {"name": "x"}})
        assert undo_options(PlanOptions(overlay=overlay), what).resend_secrets is sends


def test_a_restore_of_the_state_before_a_killed_clone_does_not_continue_it(tmp_path: Path) -> None:
    shop = cloned_before(tmp_path)
    before = shop.made.live()
    shop.killed(4)
    half = shop.made.live()
    console = functools.partial(console_of, shop.made.target, shop.made.target_host)
    options = PlanOptions(overlay=stand_ins(before), prune=True, accept_shrink=True, rebind=True)
    back = run(carry_out_safely(
        console(), run(prepare(console(), PRODUCTION, before, options, silent)), silent, shop.safeguards()
    ))  # fmt: skip
    found = last(shop)
    assert (found.continued, len(found.unended)) == ((), 1)
    undone = undo(shop)
    assert content(shop) == comparable(half, id_map(undone) | id_map(back))


def test_a_killed_clone_that_had_written_all_is_taken_back_also_after_the_next_one_has_recorded_it(
    tmp_path: Path,
) -> None:
    shop = cloned_before(tmp_path)
    before = shop.made.live()
    shop.killed(len(shop.prepared().plan.writes))
    shop.made.target.requests.clear()
    shop.clone()
    assert (writes(shop.made.target), shop.intents) == (0, [])
    assert len(shop.records) == 2
    undone = undo(shop)
    assert content(shop) == comparable(before, id_map(undone))


def test_what_a_later_clone_that_wrote_nothing_records_is_not_taken_for_what_a_killed_run_left(
    tmp_path: Path,
) -> None:
    shop = cloned_before(tmp_path)
    shop.killed(len(shop.prepared().plan.writes))
    shop.made.target.state.objects["own"].config["code"] = "of a colleague"
    shop.made.target.state.add_object(PRODUCTION, "function", "later", {"name": "Later", "code": "x"})
    shop.made.target.requests.clear()
    shop.clone()
    assert (writes(shop.made.target), len(shop.records)) == (0, 2)
    found = last(shop)
    assert (found.left, found.known) == (None, True)
    undo(shop)
    state = shop.made.target.state
    assert state.objects["own"].config["code"] == "of a colleague"
    assert not state.objects["later"].deleted


def test_what_a_continued_clone_overwrote_and_deleted_of_others_comes_back(tmp_path: Path) -> None:
    shop, options = cloned_before(tmp_path), {"take": ("source",), "prune_own": True}
    state = shop.made.target.state
    shop.killed(3, **options)
    (made,) = (row.id for row in state.live_objects(PRODUCTION, "function") if row.config["name"] == "Enrich")
    new = next(r for r in state.live_objects(PRODUCTION, "function") if r.config["name"] == "New 0")
    new.config["code"] = "// of a colleague"
    state.objects[made].config["code"] = "// of a colleague"
    state.add_object(PRODUCTION, "function", "between", {"name": "Between", "code": "// of a colleague"})
    shop.clone(**options)
    assert state.objects["between"].deleted
    assert len(last(shop).continued) == 1
    undo(shop)
    codes = {row.config["name"]: row.config["code"] for row in state.live_objects(PRODUCTION, "function")}
    assert (codes["Enrich"], codes["Between"]) == ("// of a colleague", "// of a colleague")
    assert "New 0" not in codes


def test_a_run_that_wrote_nothing_is_taken_back_as_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = cloned_before(tmp_path)
    state = shop.made.target.state
    (made,) = (row.id for row in state.live_objects(PRODUCTION, "function") if row.config["name"] == "Enrich")
    stored = safeguards.keep_aim

    async def stored_while_a_colleague_does_the_same(*given: Any) -> ArchiveName:
        state.objects[made].config["code"] = "// of staging"
        return await stored(*given)

    monkeypatch.setattr(safeguards, "keep_aim", stored_while_a_colleague_does_the_same)
    with pytest.raises(TargetChangedError):
        shop.clone()
    found = last(shop)
    assert found.left is not None
    assert found.created == 0
    shop.clone()
    assert last(shop).continued == ()
    undo(shop)
    assert state.objects[made].config["code"] == "// of staging"


class Elsewhere(Promotion):
    """A promotion into a workspace with the same id on another console."""

    target_host = "http://second.example"


def test_a_killed_clone_into_a_workspace_with_the_same_id_on_another_console_is_not_continued(
    tmp_path: Path,
) -> None:
    one, other = cloned_before(tmp_path / "one"), cloned_before(tmp_path / "other")
    other.store, other.made = one.store, Elsewhere(other.made.source, other.made.target)
    one.killed(2)
    other.clone()
    host = other.made.target_host
    find = last_run(other.known, None, other.store, NO_KEYS, now=now(), report=silent, host=host)
    found: LastRun = run(find)
    assert (found.snapshot.manifest.source.host, found.continued, found.unended) == (host, (), ())


def test_a_run_that_only_replaces_secrets_of_something_else_does_not_continue_a_killed_clone(
    tmp_path: Path,
) -> None:
    shop = cloned_before(tmp_path)
    shop.killed(2)
    live, console = shop.made.live(), functools.partial(console_of, shop.made.target, shop.made.target_host)
    one = next(entity for entity in live.entities if entity.body.get("name") == "ClickHouse")
    options = PlanOptions(overlay=stand_ins(live), only=(str(one.key),), resend_secrets=True)
    prepared = run(prepare(console(), PRODUCTION, live, options, silent))
    assert [action.key for action in prepared.plan.writes] == [one.key]
    run(carry_out_safely(console(), prepared, silent, shop.safeguards()))
    assert last(shop).continued == ()
