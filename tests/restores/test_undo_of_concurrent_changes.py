"""What others do while a run writes is theirs: an undo of the run keeps it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from jitsu_backup.console import Console
from jitsu_backup.events import silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.safeguards import carry_out_safely
from jitsu_backup.operations.undo import LastRun, last_run, undo_options
from jitsu_backup.planning import ActionKind, PlanOptions
from jitsu_backup.sandbox import Generation
from jitsu_backup.store import FolderStore
from tests.promotions import edit, promotion
from tests.restores.kit import delete
from tests.restores.test_intents import NO_KEYS, Shop, enrich, now
from tests.support import PRODUCTION, STAGING, console_of, prepare, read, run, stand_ins

BEFORE, CLONED, THEIRS = "// before", "// of staging", "// of a colleague"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A production that an earlier clone has filled, with a function of its own; a later clone changes, makes and deletes some."""
    shop = Shop(promotion(Generation.JULY_2026), FolderStore(str(tmp_path / "store")), [], backup=True)
    state = shop.made.source.state
    state.add_object(STAGING, "function", "goes", {"name": "Goes", "code": BEFORE})
    edit(state, enrich(shop).id, code=BEFORE)
    shop.clone()
    shop.made.target.state.add_object(PRODUCTION, "function", "own", {"name": "Own", "code": BEFORE})
    delete(state, "goes")
    edit(state, enrich(shop).id, code=CLONED)
    for one in range(3):
        state.add_object(STAGING, "function", f"new-{one}", {"name": f"New {one}", "code": "x"})
    return shop


def meddling(shop: Shop, meddle: Callable[[], None], *, after: int = 1) -> Console:
    """A console on which somebody does something right after the nth write."""
    app, left = shop.made.target.app, [after]

    class Meddled(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            left[0] -= request.method != "GET"
            if left[0] == 0:
                left[0] = -1
                meddle()
            return answer

    return console_of(shop.made.target, shop.made.target_host, wrap=lambda _: Meddled(app))


def undo(shop: Shop) -> Result:
    found: LastRun = run(last_run(shop.known, None, shop.store, NO_KEYS, now=now(), report=silent))
    assert found.left is not None
    options = PlanOptions(overlay=stand_ins(found.snapshot), accept_shrink=True)
    wanted = undo_options(options, found)
    prepared = run(prepare(plain(shop), PRODUCTION, found.snapshot, wanted, silent))
    assert not prepared.plan.blocked, [(a.key, a.reason) for a in prepared.plan.blocked]
    assert (prepared.plan.since.words, prepared.plan.since.base) == (
        "since the run to undo",
        "as the run left it",
    )
    result: Result = run(carry_out_safely(plain(shop), prepared, silent, shop.safeguards()))
    assert result.failure is None
    return result


def plain(shop: Shop) -> Console:
    return console_of(shop.made.target, shop.made.target_host)


def functions(shop: Shop) -> dict[str, Any]:
    live: Snapshot = run(read(plain(shop), PRODUCTION))
    return {entity.name: entity.body for entity in live.of_type("function")}


def row(shop: Shop, name: str) -> Any:
    rows = shop.made.target.state.live_objects(PRODUCTION, "function")
    return next(row for row in rows if row.config["name"] == name)


@pytest.mark.parametrize("after", [1, 3, 4, 5])
def test_what_others_changed_and_made_while_a_clone_wrote_is_kept(shop: Shop, after: int) -> None:
    def meddle() -> None:
        state = shop.made.target.state
        row(shop, "Own").config["code"] = THEIRS
        row(shop, "Enrich").config["description"] = THEIRS
        state.add_object(PRODUCTION, "function", "theirs", {"name": "Theirs", "code": THEIRS})

    before = functions(shop)
    shop.clone(meddling(shop, meddle, after=after))
    done = functions(shop)
    assert {"New 0", "New 1", "New 2", "Theirs"} <= done.keys()
    assert "Goes" not in done
    undo(shop)
    left = functions(shop)
    assert left.keys() == {*before, "Theirs"}
    assert (left["Own"]["code"], left["Theirs"]["code"]) == (THEIRS, THEIRS)
    assert (left["Enrich"]["code"], left["Enrich"]["description"]) == (BEFORE, THEIRS)


def test_what_others_deleted_while_a_clone_wrote_stays_deleted(shop: Shop) -> None:
    shop.clone(meddling(shop, lambda: delete(shop.made.target.state, "own")))
    undo(shop)
    assert "Own" not in functions(shop)
    assert functions(shop)["Enrich"]["code"] == BEFORE


def test_an_undo_of_an_undo_keeps_what_others_did_while_the_first_one_wrote(shop: Shop) -> None:
    shop.clone()
    known = run(last_run(shop.known, None, shop.store, NO_KEYS, now=now(), report=silent))
    wanted = undo_options(PlanOptions(overlay=stand_ins(known.snapshot), accept_shrink=True), known)
    prepared = run(prepare(plain(shop), PRODUCTION, known.snapshot, wanted, silent))

    def meddle() -> None:
        row(shop, "Own").config["code"] = THEIRS

    run(carry_out_safely(meddling(shop, meddle), prepared, silent, shop.safeguards()))
    assert functions(shop)["Enrich"]["code"] == BEFORE
    undo(shop)
    assert functions(shop)["Own"]["code"] == THEIRS
    assert functions(shop)["Enrich"]["code"] == CLONED


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.NEWEST])
def test_the_function_that_goes_with_its_builder_was_deleted_by_the_run_itself(
    generation: Generation, tmp_path: Path
) -> None:
    shop = Shop(promotion(generation), FolderStore(str(tmp_path / "store")), [], backup=True)
    shop.clone()
    assert shop.made.live().of_type("profile-builder")
    undone = undo(shop)
    deletes = [outcome for outcome in undone.outcomes if outcome.action.key.type == "function"]
    assert {outcome.action.kind for outcome in deletes} == {ActionKind.DELETE}
    assert [outcome.reason for outcome in deletes if outcome.status is not Status.DONE] == []
    assert shop.made.live().entities == ()
