"""What is wrong is told of the right workspace, and as long as it is so: whatever hangs or fails holds up nothing else."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.events import Problem
from jitsu_backup.operations.alarms import Alarm, What
from jitsu_backup.operations.troubles import Troubles
from jitsu_backup.sandbox.state import OWNER
from jitsu_backup.settings import SecretText
from tests.support import OWNER as OWNER_KEY
from tests.virtual_time import VirtualLoop
from tests.watching.kit import Bench
from tests.watching.test_watch import ONE, errors, tell

TWO = "cworkspace0000000000000001"
OTHER_HOST = "http://other.example"


@pytest.fixture
def other(bench: Bench, loop: VirtualLoop) -> Bench:
    """Another console, whose workspaces go into the same store."""
    other = Bench(loop, bench.folder, host=OTHER_HOST)
    other.state.workspaces.clear()
    add(other, "cother", "elsewhere")
    return other


def add(bench: Bench, workspace: str, slug: str) -> None:
    bench.state.add_workspace(workspace, slug.title(), slug, {OWNER.id: "owner"})


def rename(bench: Bench, workspace: str, slug: str) -> None:
    bench.state.workspaces[workspace].slug = slug
    bench.state.workspaces[workspace].updated_at = bench.state.now()


def archived(bench: Bench) -> set[str]:
    return {event.archive.workspace_id for event in bench.events if event.archive is not None}


def about(workspace: str, *, but_list: bool = False) -> Any:
    """Choose the requests about a workspace."""
    return lambda scope: workspace in scope["path"] and not (but_list and scope["path"].endswith("/listen"))


# -- a key that sees nothing -----------------------------------------------------------


def test_a_trouble_is_reported_with_what_to_do_and_the_same_one_of_several_in_one_line() -> None:
    told: list[tuple[str, str, str]] = []
    troubles = Troubles(lambda *line: told.append(line), lambda: None)
    for name in ("a", "b", "c"):
        alarm = Alarm(What.FAILED, "console x: away", f"try `check {name}`", name)
        troubles.begins(("workspace", name), name, alarm, code=1)
    troubles.flush()
    assert told == [
        ("error", "not backed up: console x: away; try `check a`", "a"),
        ("error", "not backed up: console x: away; try `check c`", "b, c"),
    ]
    assert {name: (one.why, one.code) for name, one in troubles.shown.items()} == dict.fromkeys(
        "abc", ("console x: away", 1)
    )


def test_the_end_of_a_shrink_alarm_is_called_so() -> None:
    told: list[tuple[str, str, str]] = []
    troubles = Troubles(lambda *line: told.append(line), lambda: None)
    shrunk = Alarm(What.SHRUNK, "stream: 7 before, 3 now", "look", "a")
    troubles.begins(("workspace", "a"), "a", shrunk)
    troubles.begins(("workspace", "b"), "b", shrunk, Alarm(What.WEAKER, "masked", "look", "b"))
    for name in ("a", "b"):
        troubles.is_over(("workspace", name))
    assert told[-2:] == [("info", "no longer shrunk", "a"), ("info", "working again", "b")]


def test_what_has_ended_before_it_is_reported_is_dropped_and_each_reported_error_gets_its_end() -> None:
    told: list[tuple[str, str, str]] = []
    troubles = Troubles(lambda *line: told.append(line), lambda: None)

    def begins(name: str, why: str = "away") -> None:
        troubles.begins(("workspace", name), name, Alarm(What.FAILED, why, "look", name))

    for name in ("a", "b", "c"):
        begins(name)
    troubles.is_over(("workspace", "b"))
    begins("c", "full")
    troubles.flush()
    for name in ("a", "c"):
        troubles.is_over(("workspace", name))
    begins("c")
    troubles.is_over(("workspace", "c"))
    troubles.flush()
    troubles.flush()
    assert told == [
        ("error", "not backed up: away; look", "a"),
        ("error", "not backed up: full; look", "c"),
        ("info", "working again", "a"),
        ("error", "not backed up: away; look", "c"),
        ("info", "working again", "c"),
    ]


def test_a_key_that_sees_no_workspace_is_reported_until_it_sees_one(bench: Bench) -> None:
    bench.state.workspaces.clear()

    async def story() -> None:
        await asyncio.sleep(1000)
        assert not bench.standings[-1].well
        assert len(errors(bench)) == 1
        add(bench, "cnew", "new-team")
        await asyncio.sleep(70)

    tell(bench, story)
    ((_, why),) = errors(bench)
    assert (
        "this key cannot read any workspace; check the key, and see what it may read with `jitsu-backup check`"
        in why
    )
    assert bench.standings[-1].well
    assert archived(bench) == {"cnew"}


def test_a_key_that_sees_its_workspaces_no_longer_is_reported_until_it_sees_one(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        gone = bench.state.workspaces.pop(ONE)
        await asyncio.sleep(1000)
        assert [
            why for what, why in bench.standings[-1].troubles.items() if "cannot read any workspace" in why
        ]
        bench.state.workspaces[ONE] = gone
        await asyncio.sleep(70)

    tell(bench, story)
    assert bench.standings[-1].well


@pytest.mark.parametrize("one", [None, "team-0"])
def test_a_key_that_is_rejected_is_read_again_from_its_file_and_used_once_it_is_another(
    bench: Bench, one: str | None
) -> None:
    written = ["key1:wrong"]

    def key() -> SecretText:
        return SecretText(written[0], "write it into key.txt", read_again=key)

    async def story() -> None:
        await asyncio.sleep(100)
        assert not bench.standings[-1].well
        written[0] = "wrong again"
        await asyncio.sleep(100)
        written[0] = OWNER_KEY
        await asyncio.sleep(75)
        assert bench.standings[-1].well
        bench.change(ONE)
        await asyncio.sleep(100)

    bench.connection = replace(bench.connection, key=key())
    tell(bench, story, *([] if one is None else [bench.place(one)]))
    assert ONE in archived(bench)
    assert errors(bench)[0][1].count("write it into key.txt (the watch reads it there within a minute)") == 1


# -- what hangs ------------------------------------------------------------------------


def test_a_workspace_that_hangs_holds_up_no_other(loop: VirtualLoop, tmp_path: Path) -> None:
    bench = Bench(loop, str(tmp_path / "many"), 6)

    async def story() -> None:
        await asyncio.sleep(300)
        bench.hangs = about(ONE, but_list=True)
        bench.change(ONE)
        await asyncio.sleep(1)
        for number in range(30):
            bench.change(f"cworkspace000000000000{1 + number % 5:04d}")
            await asyncio.sleep(40)

    tell(bench, story)
    delays = [delay for (workspace, _), delay in bench.delays.items() if workspace != ONE]
    assert max(delays) <= 20


def test_many_workspaces_that_hang_hold_up_the_others_for_half_a_minute_at_most(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    bench = Bench(loop, str(tmp_path / "many"), 12)
    hanging = [f"cworkspace000000000000{number:04d}" for number in range(6)]

    async def story() -> None:
        await asyncio.sleep(600)
        bench.hangs = lambda scope: (
            any(one in scope["path"] for one in hanging) and not scope["path"].endswith("/listen")
        )
        for one in hanging:
            bench.change(one)
        await asyncio.sleep(1)
        for number in range(30):
            bench.change(f"cworkspace000000000000{6 + number % 6:04d}")
            await asyncio.sleep(40)

    tell(bench, story)
    delays = [delay for (workspace, _), delay in bench.delays.items() if workspace not in hanging]
    assert max(delays) <= 45


def test_a_workspace_that_was_never_backed_up_makes_others_asked_no_less_often(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    bench = Bench(loop, str(tmp_path / "two"), 2)
    bench.down = lambda scope: 403 if ONE in scope["path"] else 0

    async def story() -> None:
        await asyncio.sleep(300)
        for number in range(20):
            bench.change(TWO)
            await asyncio.sleep(31.3 + number / 2)

    tell(bench, story)
    assert max(bench.delays.values()) <= 8.5


def test_a_console_that_hangs_holds_up_no_other(bench: Bench, other: Bench) -> None:
    other.hangs = lambda _scope: True

    async def story() -> None:
        await asyncio.sleep(100)
        for _ in range(20):
            bench.change(ONE)
            await asyncio.sleep(40)
        assert any(OTHER_HOST in why for why in bench.standings[-1].troubles.values())

    tell(bench, story, other.place("cother"), bench.place(ONE))
    assert max(bench.delays.values()) <= 15


@pytest.mark.parametrize("status", [-1, 403, 503])
def test_a_place_that_cannot_be_found_keeps_no_other_unwatched(
    bench: Bench, other: Bench, status: int
) -> None:
    other.down = lambda _scope: status

    async def story() -> None:
        await asyncio.sleep(100)
        assert archived(bench) == {ONE}
        assert set(bench.standings[-1].troubles) == {"elsewhere", "no-such"}
        other.down = lambda _scope: 0
        await asyncio.sleep(300)
        assert archived(bench) == {ONE, "cother"}
        add(bench, "clate", "no-such")
        await asyncio.sleep(400)

    tell(bench, story, bench.place("no-such"), other.place("elsewhere"), bench.place("team-0"))
    assert archived(bench) == {ONE, "cother", "clate"}
    assert bench.standings[-1].well


# -- what troubles belong to -----------------------------------------------------------


def test_a_workspace_recreated_with_the_slug_of_one_in_trouble_is_well(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.down = lambda scope: 500 if ONE in scope["path"] else 0
        bench.change(ONE)
        await asyncio.sleep(100)
        assert list(bench.standings[-1].troubles) == ["team-0"]
        del bench.state.workspaces[ONE]
        add(bench, "canew", "team-0")
        await asyncio.sleep(200)
        assert bench.standings[-1].well

    tell(bench, story)
    assert archived(bench) == {ONE, "canew"}


def test_a_place_whose_workspace_was_recreated_is_found_again(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        del bench.state.workspaces[ONE]
        await asyncio.sleep(200)
        assert list(bench.standings[-1].troubles) == ["team-0"]
        add(bench, "canew", "team-0")
        await asyncio.sleep(400)

    tell(bench, story, bench.place("team-0"))
    assert archived(bench) == {ONE, "canew"}
    assert bench.standings[-1].well
    assert [event.message for event in bench.events if event.level == "warning"] == [
        "team-0 now names another workspace, canew, which is watched instead"
    ]


def test_a_slug_that_moves_to_another_workspace_is_followed_though_the_old_one_lives_on(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        rename(bench, ONE, "team-old")
        add(bench, "canew", "team-0")
        await asyncio.sleep(30)

    tell(bench, story, bench.place("team-0"))
    assert archived(bench) == {ONE, "canew"}
    assert [event.message for event in bench.events if event.level == "warning"] == [
        "team-0 now names another workspace, canew, which is watched instead"
    ]
    assert bench.standings[-1].well


def test_a_place_whose_slug_is_gone_is_reported_and_its_workspace_still_watched(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        rename(bench, ONE, "team-old")
        await asyncio.sleep(100)
        assert list(bench.standings[-1].troubles) == ["team-0"]
        bench.change(ONE)
        await asyncio.sleep(100)
        rename(bench, ONE, "team-0")
        await asyncio.sleep(300)

    tell(bench, story, bench.place("team-0"))
    ((_, why),) = errors(bench)
    assert f"; {ONE}, which had this slug, is still watched; it may have been deleted" in why
    assert [event.seconds for event in bench.events if event.archive][-1] <= 15  # type: ignore[operator]
    assert len([event for event in bench.events if event.archive]) == 4
    assert bench.standings[-1].well


def test_an_outage_of_many_workspaces_is_a_few_lines(loop: VirtualLoop, tmp_path: Path) -> None:
    bench = Bench(loop, str(tmp_path / "store"), 6)

    async def story() -> None:
        await asyncio.sleep(300)
        bench.down = lambda scope: 500 if "/config/" in scope["path"] or "/listen" in scope["path"] else 0
        await asyncio.sleep(600)
        assert len(bench.standings[-1].troubles) == 6
        assert len(bench.standings[-1].words) < 200
        bench.down = lambda _scope: 0
        await asyncio.sleep(300)

    tell(bench, story)
    assert bench.standings[-1].well
    assert len(errors(bench)) <= 4, errors(bench)
    over = [one.workspace or "" for one in bench.events if one.message == "working again"]
    assert len(over) <= 4


def test_a_workspace_that_is_renamed_in_trouble_is_well_again_under_its_new_name(bench: Bench) -> None:
    async def story() -> None:
        await asyncio.sleep(100)
        bench.down = lambda scope: 500 if f"/{ONE}/" in scope["path"] else 0
        bench.change(ONE)
        await asyncio.sleep(100)
        rename(bench, ONE, "renamed")
        await asyncio.sleep(100)
        bench.down = lambda _scope: 0
        await asyncio.sleep(100)

    tell(bench, story)
    assert bench.standings[-1].well
    assert [one.workspace for one in bench.events if one.message == "working again"] == ["renamed"]


def test_workspaces_with_one_label_on_two_consoles_have_troubles_of_their_own(
    bench: Bench, other: Bench
) -> None:
    rename(other, "cother", "team-0")

    async def story() -> None:
        await asyncio.sleep(100)
        other.down = lambda _scope: 503
        other.state.workspaces["cother"].updated_at = other.state.now()
        await asyncio.sleep(600)
        assert list(bench.standings[-1].troubles) == ["team-0"]
        bench.down = lambda _scope: 503
        bench.change(ONE)
        await asyncio.sleep(600)
        assert len(bench.standings[-1].troubles) == 2
        assert all(OTHER_HOST in what or bench.host in what for what in bench.standings[-1].troubles)
        bench.down = lambda _scope: 0
        await asyncio.sleep(400)
        assert list(bench.standings[-1].troubles) == ["team-0"]
        assert OTHER_HOST in bench.standings[-1].words

    tell(bench, story, bench.place(ONE), other.place("cother"))
    assert len(errors(bench)) == 2


def test_the_same_id_on_two_consoles_is_watched_on_both_and_reported(bench: Bench, loop: VirtualLoop) -> None:
    copy = Bench(loop, bench.folder, host=OTHER_HOST)

    async def story() -> None:
        await asyncio.sleep(100)
        copy.change(ONE)
        await asyncio.sleep(60)

    copy.disk = bench.disk
    tell(bench, story, bench.place(ONE), copy.place(ONE))
    assert max(copy.delays.values()) <= 15
    (warning,) = [event.message for event in bench.events if event.level == "warning"]
    assert warning == "another console has a workspace with this id; use a separate store for each console"


# -- what is tried again, and when ----------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_workspace_that_fails_while_its_console_answers_is_tried_more_and_more_seldom(
    bench: Bench, status: int
) -> None:
    tries: list[float] = []

    def down(scope: Any) -> int:
        if not about(ONE, but_list=True)(scope):
            return 0
        tries.append(bench.loop.now)
        return status

    async def story() -> None:
        await asyncio.sleep(100)
        bench.down = down
        for _ in range(20):
            bench.change(ONE)
            await asyncio.sleep(60)
        bench.down = lambda _scope: 0
        await asyncio.sleep(310)

    tell(bench, story)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert len([pause for pause in pauses if pause > 2.5]) <= 9  # 5, 10, 20, 40, 80, 160, 300, 300 s
    assert max(pauses) <= 315
    assert max(bench.delays.values()) <= 1510
    assert bench.standings[-1].well


def test_an_outage_with_reasons_that_take_turns_is_reported_once_for_each(bench: Bench) -> None:
    turns = cycle((500, 502, 503, -1))

    async def story() -> None:
        await asyncio.sleep(100)
        bench.down = lambda _scope: next(turns)
        bench.change(ONE)
        await asyncio.sleep(1800)
        bench.down = lambda _scope: 0
        await asyncio.sleep(310)

    tell(bench, story)
    told = errors(bench)
    assert len(told) == len(set(told)), told
    assert len(told) < 20
    assert not any("token" in why for _, why in told), told
    assert not any("next run" in why or ONE in why for _, why in told), told
    assert bench.standings[-1].well


def test_nobody_is_told_that_it_is_well_before_anything_was_backed_up(bench: Bench) -> None:
    bench.down = lambda _scope: -1

    async def story() -> None:
        await asyncio.sleep(60)
        bench.down = lambda _scope: 0
        await asyncio.sleep(60)

    tell(bench, story)
    assert not bench.standings[0].well
    assert bench.standings[-1].well
    assert bench.standings[-1].workspaces == 1


# -- clocks ----------------------------------------------------------------------------


@pytest.mark.parametrize("stays", [False, True])
def test_a_clock_that_was_ahead_makes_no_watch_deaf(
    loop: VirtualLoop, tmp_path: Path, *, stays: bool
) -> None:
    bench, ahead = Bench(loop, str(tmp_path / "some"), 8), 0.0
    bench.rest()
    bench.state.clock = lambda: loop.now + ahead

    async def story() -> None:
        nonlocal ahead
        await asyncio.sleep(100)
        ahead = 1200.0
        rename(bench, ONE, "renamed")
        bench.change(ONE)
        await asyncio.sleep(30)
        ahead = 0.0
        if not stays:
            rename(bench, ONE, "team-0")
        for _ in range(3):
            bench.change(ONE)
            await asyncio.sleep(270)
        await asyncio.sleep(400)
        bench.change(ONE)  # what was dated ahead is past
        await asyncio.sleep(30)

    tell(bench, story)
    delays = [*bench.delays.values()]
    assert max(delays) <= (70 if stays else 15)
    assert delays[-1] <= 10
    warnings = [event.message for event in bench.events if event.level == "warning"]
    assert len(warnings) == stays
    assert all(
        "until then the console reports no changes, and the workspace is read every 60 s" in w
        for w in warnings
    )


def test_an_archive_of_later_than_now_is_in_trouble_and_reported_once(bench: Bench) -> None:
    lines: list[Any] = []
    watch = bench.watch

    def with_lines(*places: Any, **options: Any) -> Any:
        made = watch(*places, **options)
        made._keeper.around = replace(made._keeper.around, report=lines.append)
        return made

    async def story() -> None:
        await asyncio.sleep(100)
        (name,) = await bench.disk.names()
        archive = parse_name(name)
        assert archive is not None
        later = replace(archive, taken_at=archive.taken_at + timedelta(days=1))
        (Path(bench.folder) / name).rename(Path(bench.folder) / str(later))
        bench.change(ONE)
        await asyncio.sleep(600)

    bench.watch = with_lines  # type: ignore[method-assign]
    tell(bench, story)
    assert [line for line in lines if isinstance(line, Problem)] == []
    assert errors(bench) == [
        (
            "team-0",
            "the store has an archive dated in the future; check the clocks of the machines that back up",
        )
    ]
    assert list(bench.standings[-1].troubles) == ["team-0"]


# -- what cannot be done ---------------------------------------------------------------


def test_a_full_every_that_the_budget_does_not_allow_is_reported(loop: VirtualLoop, tmp_path: Path) -> None:
    bench = Bench(loop, str(tmp_path / "many"), 20)

    async def story() -> None:
        await asyncio.sleep(100)

    tell(bench, story, full_every=timedelta(seconds=61))
    (warning,) = [event.message for event in bench.events if event.level == "warning"]
    assert "is read completely every 833 s instead of every 61 s (--full-every)" in warning
