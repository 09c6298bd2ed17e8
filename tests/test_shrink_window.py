"""The shrink alarm compares with the most of the last days, until somebody accepts what is there."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import given, strategies as st
from obstore.store import MemoryStore

from jitsu_backup.archive import ACCEPTED, ArchiveName, archive_name, backup_mark, parse_name
from jitsu_backup.archive.shrinkage import ALL, falls, falls_since, without_deleted
from jitsu_backup.operations.alarms import Alarm, What
from jitsu_backup.operations.save import Saved, SaveOptions, save
from jitsu_backup.operations.standing import standing_alarms
from jitsu_backup.store import archives, keep
from jitsu_backup.store.object_store import ObjectStore
from tests.support import MOMENT, make_snapshot, run


class History:
    """A workspace's backups, each some hours after the one before."""

    def __init__(self) -> None:
        self.store = ObjectStore(MemoryStore(), "memory://")
        self.now: datetime = MOMENT

    def backup(self, functions: int, hours: float = 1, *, streams: int = 9, **options: Any) -> Saved:
        self.now += timedelta(hours=hours)
        lists = {
            "function": [{"id": f"f{n}"} for n in range(functions)],
            "stream": [{"id": f"s{n}"} for n in range(streams)],
        }
        snapshot = replace(make_snapshot(lists), taken_at=self.now)

        async def go() -> Saved:
            return await save(
                snapshot,
                await archives(self.store),
                SaveOptions(**options),
                lambda data: data,
                partial(keep, self.store),
            )

        saved: Saved = run(go())
        return saved

    def falls(self, *given: Any, **options: Any) -> list[str]:
        return [str(fall) for fall in self.backup(*given, **options).falls]


def test_what_falls_in_steps_is_an_alarm_against_the_most_of_the_last_days() -> None:
    history = History()
    assert history.falls(27) == []
    assert history.falls(14) == []
    assert history.falls(13) == ["function: 27 before, 13 now"]
    assert history.falls(13) == ["function: 27 before, 13 now"]


def test_check_lists_an_alarm_until_a_later_backup_ends_it() -> None:
    history = History()

    def standing() -> list[Alarm]:
        def again(*words: str) -> str:
            return " ".join(words)

        return [*standing_alarms(run(archives(history.store)), again, 0.5)]

    most = history.backup(27).archive
    assert standing() == []
    now = history.backup(13).archive
    (alarm,) = standing()
    assert alarm.why == f"{now.reference}: it has 22 entities; the previous {most.reference} has 36"
    assert f"`diff {most.reference} {now.reference}`" in alarm.remedy
    history.backup(13, accept_shrink=True)
    assert standing() == []
    history.backup(1)
    history.backup(13)
    assert standing() == []


def test_check_lists_a_weaker_key_until_it_is_accepted() -> None:
    names = ["20261123T010000Z.aaaaaaaaaaaa", "20261123T020000Z.bbbbbbbbbbbb.weaker"]
    better, weaker = (one for one in (parse_name(f"acme.w1.{name}.json.gz") for name in names) if one)
    (alarm,) = standing_alarms([better, weaker], lambda *words: " ".join(words), 0.5)
    assert (alarm.what, alarm.why) == (What.WEAKER, f"`latest` still means {better.reference}")
    assert alarm.remedy.endswith("`backup acme --accept-shrink`")
    accepted = replace(weaker, marks=frozenset({*weaker.marks, ACCEPTED}))
    assert [*standing_alarms([better, accepted], lambda *words: " ".join(words), 0.5)] == []


def test_the_archive_that_has_the_most_is_named_as_what_was_there_before() -> None:
    history = History()
    most = history.backup(27)
    history.backup(14)
    assert history.backup(13).baseline == most.archive


def test_what_was_there_longer_ago_than_the_window_counts_no_more() -> None:
    history = History()
    history.backup(27)
    history.backup(14)
    assert history.falls(13, 24 * 7) == []


def test_the_last_sound_archive_counts_however_old_it_is() -> None:
    history = History()
    history.backup(27)
    assert history.falls(5, 24 * 90) == ["function: 27 before, 5 now"]
    assert history.falls(5, 24 * 90) == ["function: 27 before, 5 now"]


def test_what_was_accepted_starts_again_and_is_marked_so() -> None:
    history = History()
    history.backup(27)
    history.backup(14)
    assert history.falls(13, if_changed=True) != []
    accepted = history.backup(13, if_changed=True, accept_shrink=True)
    assert (accepted.archive.marks, accepted.falls, accepted.whole) == (("accepted",), (), True)
    assert history.falls(13, if_changed=True) == []
    assert history.backup(7).archive.marks == ()
    assert history.falls(6) == ["function: 13 before, 6 now"]


def test_accepting_where_nothing_fell_marks_nothing() -> None:
    history = History()
    assert history.backup(27, accept_shrink=True).archive.marks == ()
    assert history.backup(27, accept_shrink=True).archive.marks == ()
    unchanged = history.backup(27, if_changed=True, accept_shrink=True)
    assert not unchanged.written


def test_once_there_are_as_many_again_the_alarm_ends() -> None:
    history = History()
    history.backup(27)
    assert history.falls(3) != []
    assert history.falls(27) == []
    assert history.falls(20) == []


def test_something_else_that_is_added_does_not_end_the_alarm() -> None:
    history = History()
    before = history.backup(9, streams=7)
    assert history.falls(9, streams=3) == ["stream: 7 before, 3 now"]
    again = history.backup(9, streams=4)
    assert [str(fall) for fall in again.falls] == ["stream: 7 before, 4 now"]
    assert (again.archive.marks, again.baseline) == (("shrunk",), before.archive)
    assert history.falls(9, streams=6) == ["stream: 7 before, 6 now"]
    assert history.falls(9, streams=6, shrink_alarm=1) == []


def test_only_what_raised_the_alarm_has_to_come_back() -> None:
    history = History()
    history.backup(9, streams=7)
    assert history.falls(9, streams=3) != []
    assert history.falls(8, streams=3) == ["stream: 7 before, 3 now"]
    assert history.falls(3, streams=5) == ["function: 9 before, 3 now", "stream: 7 before, 5 now"]
    assert history.falls(8, streams=7) == ["function: 9 before, 8 now"]
    assert history.falls(9, streams=6) == []


def test_an_alarm_whose_first_archive_retention_removed_continues() -> None:
    history = History()
    history.backup(9, streams=7)
    first = history.backup(9, streams=3).archive
    assert history.falls(9, streams=6) != []
    run(history.store.remove(str(first)))
    assert history.falls(9, streams=6) == ["all entities: 16 before, 15 now", "stream: 7 before, 6 now"]
    assert history.falls(9, streams=7) == []


def test_what_was_above_the_share_of_a_laxer_run_is_reported_by_a_stricter_one() -> None:
    history = History()
    history.backup(27)
    assert history.falls(3, shrink_alarm=1) == []
    assert history.falls(3) == ["function: 27 before, 3 now"]


def test_the_last_of_a_type_that_goes_is_an_alarm_and_one_of_two_is_none() -> None:
    history = History()
    history.backup(2)
    assert history.falls(1) == []
    assert history.falls(0) == ["function: 2 before, 0 now"]
    assert history.falls(0, shrink_alarm=1) == []


def test_many_small_types_that_lose_most_together_are_an_alarm_too() -> None:
    def kinds(count: int) -> Saved:
        history.now += timedelta(hours=1)
        lists = {f"kind-{letter}": [{"id": f"{letter}{n}"} for n in range(count)] for letter in "abcde"}
        snapshot = replace(make_snapshot(lists), taken_at=history.now)

        async def go() -> Saved:
            there, put = await archives(history.store), partial(keep, history.store)
            return await save(snapshot, there, SaveOptions(), lambda data: data, put)

        saved: Saved = run(go())
        return saved

    history = History()
    assert kinds(3).whole
    assert [str(fall) for fall in kinds(1).falls] == ["all entities: 15 before, 5 now"]


def test_what_runs_of_this_tool_deleted_is_taken_from_what_was_there_before_them() -> None:
    first, later = archive_of({"function": 27, "stream": 5}, 0), archive_of({"function": 2, "stream": 5}, 4)

    def a_run(before: dict[str, int], after: dict[str, int], day: int) -> list[ArchiveName]:
        backup = replace(archive_of(before, day), marks=("pre-restore",))
        marks = ("cloned", "from-0123456789ab", backup_mark(backup))
        left = replace(archive_of(after, day), marks=marks, taken_at=backup.taken_at + timedelta(minutes=1))
        return [backup, left]

    restored = a_run({"function": 27, "stream": 4}, {"function": 2, "stream": 5}, 2)
    undone = a_run({"function": 2, "stream": 5}, {"function": 27, "stream": 4}, 3)
    one, other = without_deleted([later, first], [first, *restored, later])
    assert (one, dict(other.counts), other.total) == (later, {"function": 2, "stream": 5}, 7)
    assert without_deleted([first], [*undone, first, *restored]) == [first]
    backup, left = restored
    begun = replace(left, marks=("cloning", *left.marks[1:]), taken_at=backup.taken_at)
    assert without_deleted([first], [first, backup, begun]) == [first]


def test_what_a_run_was_only_about_to_delete_is_still_expected() -> None:
    first = archive_of({"function": 27, "stream": 5}, 0)
    backup = replace(archive_of({"function": 27, "stream": 5}, 2), marks=("pre-restore",))
    marks = ("cloning", "from-0123456789ab", backup_mark(backup))
    begun = replace(archive_of({"function": 2, "stream": 5}, 2), marks=marks)
    assert without_deleted([first], [first, backup, begun]) == [first]


def test_a_type_that_the_name_of_what_a_run_left_has_no_room_for_does_not_count_as_deleted() -> None:
    first = archive_of({"function": 27, "stream": 1}, 0)
    backup = replace(archive_of({"function": 27, "stream": 1}, 2), marks=("pre-restore",))
    marks = ("cloned", "from-0123456789ab", backup_mark(backup))
    left = replace(archive_of({"function": 20}, 2), marks=marks, total=21)
    (found,) = without_deleted([first], [first, backup, left])
    assert dict(found.counts) == {"function": 20, "stream": 1}


COUNTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 30))


@given(COUNTS, COUNTS, st.floats(0, 1))
def test_a_fall_is_reported_exactly_where_a_type_fell_to_none_or_by_more_than_the_share(
    before: dict[str, int], now: dict[str, int], share: float
) -> None:
    told = {fall.type for fall in falls(before, now, share)}
    for name, count in before.items():
        left = now.get(name, 0)
        none_left = count > 0 and left == 0
        deep = count >= 4 and count - left > share * count
        assert (name in told) is (share < 1 and (none_left or deep))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8), st.sampled_from([0.25, 0.5]))
def test_no_descent_ends_below_the_share_of_its_most_unheard(counts: list[int], share: float) -> None:
    history = History()
    heard = False
    for count in counts:
        saved = history.backup(count, shrink_alarm=share)
        heard = bool(saved.falls)
        assert all(fall.type in ("function", ALL) for fall in saved.falls)
    fell = max(counts) >= 4 and max(counts) - counts[-1] > share * max(counts)
    assert heard or not fell


def test_reverse_syncs_that_older_archives_count_among_the_links_have_not_fallen() -> None:
    older = {"link": 9, "stream": 1}
    window = [
        archive_of(counts, day)
        for day, counts in enumerate((older, {"link": 4, "reverse-sync": 5, "stream": 1}))
    ]
    now = {"link": 4, "reverse-sync": 5, "stream": 1}
    assert falls_since(window, now, 0.25) == ()
    assert [str(fall) for fall in falls_since(window, {"link": 2, "stream": 1}, 0.25)] == [
        "link: 9 before, 2 now"
    ]
    assert [str(fall) for fall in falls_since(window[1:], {"link": 4, "stream": 1}, 0.25)] == [
        "reverse-sync: 5 before, 0 now"
    ]


ALL_BUT_DOMAIN = {"stream": 5, "function": 4, "link": 5, "notification": 1, "model": 1, "profile-builder": 1}
ALL_BUT_DOMAIN |= {"destination": 5, "misc": 1, "reverse-sync": 1, "service": 1, "custom-image": 1}


def test_the_last_entity_of_a_type_is_missed_where_names_are_long() -> None:
    before = archive_of({**ALL_BUT_DOMAIN, "domain": 1}, 0, ("key-phrase",))
    assert before.short
    assert [str(fall) for fall in falls_since([before], ALL_BUT_DOMAIN, 0.5)] == ["domain: 1 before, 0 now"]


def test_a_type_that_a_name_has_no_room_for_is_unknown_and_not_gone() -> None:
    window = [archive_of({"domain": 1, "function": 3, "link": 6}, 0)]
    unsaid = {"link": 6}
    assert falls_since(window, unsaid, 0.5, number=10) == ()
    assert [str(fall) for fall in falls_since(window, {"link": 2}, 0.5, number=3)] == [
        "link: 6 before, 2 now"
    ]
    assert [str(fall) for fall in falls_since(window, {}, 0.5, number=3)] == [f"{ALL}: 10 before, 3 now"]
    alarm = replace(archive_of({"link": 6}, 1), marks=("shrunk",), total=9)
    assert falls_since(window, {"domain": 1, "function": 3, "link": 6}, 0.5, alarms=[alarm]) == ()


def test_counts_that_a_name_has_no_room_for_are_those_of_the_archive_if_it_was_read() -> None:
    history = History()
    first = history.backup(1)
    known = {"function": 1, "stream": 9}
    unsaid = replace(first.archive, counts={"stream": 9})

    def found(had: dict[str, int] | None) -> list[str]:
        lists = {"stream": [{"id": f"s{n}"} for n in range(9)], "function": []}
        snapshot = replace(make_snapshot(lists), taken_at=MOMENT + timedelta(days=1))
        put = partial(keep, ObjectStore(MemoryStore(), "memory://"))
        saved = run(save(snapshot, [unsaid], SaveOptions(), lambda data: data, put, had=had))
        return [str(fall) for fall in saved.falls]

    assert found(None) == []
    assert found({**known, "sync-cursor": 4}) == ["function: 1 before, 0 now"]


def archive_of(counts: dict[str, int], day: int, marks: tuple[str, ...] = ()) -> ArchiveName:
    lists = {name: [{"id": f"{name}-{n}"} for n in range(count)] for name, count in counts.items()}
    return archive_name(
        replace(make_snapshot(lists), taken_at=MOMENT + timedelta(days=day)), marks, encrypted=bool(marks)
    )
