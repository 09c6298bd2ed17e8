"""Retention: every archive has its reason, and the newest complete one outlives every policy."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from obstore.store import MemoryStore

from jitsu_backup.archive import (
    CLONED,
    CLONING,
    PRE_RESTORE,
    ArchiveName,
    archive_name,
    backup_mark,
    encode,
    least_changed,
)
from jitsu_backup.archive.retention import Policy, judge, policy_of, span
from jitsu_backup.archive.run_parts import unended
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.save import SaveOptions, save
from jitsu_backup.store import archives, keep
from jitsu_backup.store.object_store import ObjectStore
from tests.support import FIXTURES, cli, make_snapshot, run

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


def archive(hours: float, *marks: str, workspace: str = "w1", **more: Any) -> ArchiveName:
    moment = (NOW - timedelta(hours=hours)).replace(microsecond=0)
    return ArchiveName("acme", workspace, moment, f"{abs(hash((hours, marks))) % 16**12:012x}", marks, **more)


def sized(
    hours: float, *marks: str, streams: int = 9, sketch: str = "0" * 16, found: int = 100
) -> ArchiveName:
    counts = {"stream": streams} if streams else {}
    return archive(hours, *marks, total=streams, counts=counts, size=100, sketch=sketch, found=found)


def kept(archives: list[ArchiveName], policy: Policy, zone: Any = UTC) -> dict[str, tuple[str, ...]]:
    verdicts = judge(archives, policy, NOW, zone)
    return {v.archive.taken_at.strftime("%m-%d %H:%M"): v.reasons for v in verdicts if v.keep}


def test_a_month_of_hourly_runs_keeps_the_golden_set_with_its_reasons() -> None:
    """Golden: fixtures/retention-month.json, looked at by hand."""
    hourly = [archive(n) for n in range(24 * 31)]
    policy = Policy(last=2, hourly=6, daily=7, weekly=4, monthly=2, yearly=1)
    found = {moment: list(reasons) for moment, reasons in kept(hourly, policy).items()}
    golden = FIXTURES / "retention-month.json"
    assert found == json.loads(golden.read_text())


def a_month_of_hourly_runs() -> list[ArchiveName]:
    """Back up every hour of November and prune after each run; give what is there in the end.

    The workspace changes at times, cannot be read whole at 3 on the 7th, loses most of its functions on the 12th at 9
    and has them back at 15 by a restore; on the 20th somebody labels a backup.
    """
    store, now = ObjectStore(MemoryStore(), "memory://"), datetime(2026, 11, 1, tzinfo=UTC)

    def seen(moment: datetime) -> Snapshot:
        lost = datetime(2026, 11, 12, 9, tzinfo=UTC) <= moment < datetime(2026, 11, 12, 15, tzinfo=UTC)
        bodies = [{"id": f"f{n}", "code": str(moment.date())} for n in range(1 if lost else 8)]
        whole = make_snapshot({"function": bodies})
        cut = moment == datetime(2026, 11, 7, 3, tzinfo=UTC)
        return replace(whole, taken_at=moment, manifest=replace(whole.manifest, consistent=not cut))

    async def hour(moment: datetime) -> None:
        there = await archives(store)
        labels = ("before-upgrade",) if moment == datetime(2026, 11, 20, 17, tzinfo=UTC) else ()
        if moment == datetime(2026, 11, 12, 15, tzinfo=UTC):
            before = seen(moment - timedelta(hours=1))
            await keep(store, archive_name(before, ("pre-restore",)), encode(before))
        await save(
            seen(moment), there, SaveOptions(labels), lambda data: data, lambda a, data: keep(store, a, data)
        )
        for verdict in judge(await archives(store), HOURLY, moment, ZoneInfo("Europe/Berlin")):
            if not verdict.keep:
                await store.remove(str(verdict.archive))

    async def month() -> list[ArchiveName]:
        moment = now
        while moment < datetime(2026, 12, 1, tzinfo=UTC):
            await hour(moment)
            moment += timedelta(hours=1)
        return await archives(store)

    found: list[ArchiveName] = run(month())
    return found


HOURLY = Policy(last=2, hourly=6, daily=7, weekly=4, monthly=2, label=("before-upgrade",))


def test_a_month_of_hourly_runs_pruned_each_time_ends_with_the_golden_set_with_its_reasons() -> None:
    """Golden: fixtures/retention-hourly.json, looked at by hand."""
    last = datetime(2026, 11, 30, 23, tzinfo=UTC)
    verdicts = judge(a_month_of_hourly_runs(), HOURLY, last, ZoneInfo("Europe/Berlin"))
    assert all(verdict.keep for verdict in verdicts)
    found = [
        [v.archive.taken_at.strftime("%m-%d %H:%M"), ", ".join(v.archive.marks), list(v.reasons)]
        for v in verdicts
    ]  # fmt: skip
    golden = FIXTURES / "retention-hourly.json"
    assert found == json.loads(golden.read_text())


SHIPPED = Policy(hourly=24, daily=14, monthly=12, within=timedelta(days=7))
"""The line for cron in `docs/get-started.md`."""


def a_month_of_a_team() -> list[ArchiveName]:
    """Back up every hour of November, where something changed, and prune after each run; give what is there in the end.

    On the 3rd somebody labels a backup. On the 20th at 10 six of twenty functions are edited, on the 29th at 20 eight of
    them, both times in one go and without a label; on the 30th two functions are deleted. One is edited every day.
    """
    store, now = ObjectStore(MemoryStore(), "memory://"), datetime(2026, 11, 1, tzinfo=UTC)

    def seen(moment: datetime) -> Snapshot:
        edited = (
            8
            if moment >= datetime(2026, 11, 29, 20, tzinfo=UTC)
            else 6
            if moment >= datetime(2026, 11, 20, 10, tzinfo=UTC)
            else 0
        )
        left = 18 if moment >= datetime(2026, 11, 30, 9, tzinfo=UTC) else 20
        bodies = [
            {"id": f"f{n:02}", "code": f"{n < edited}{edited if n < edited else 0}"} for n in range(left)
        ]
        bodies[-1] = {**bodies[-1], "code": str(moment.date())}
        return replace(make_snapshot({"function": bodies}), taken_at=moment)

    async def month() -> list[ArchiveName]:
        moment = now
        while moment < datetime(2026, 12, 1, tzinfo=UTC):
            labels = ("before-risk",) if moment == datetime(2026, 11, 3, 14, tzinfo=UTC) else ()
            options = SaveOptions(labels, if_changed=True)
            put = partial(keep, store)
            await save(seen(moment), await archives(store), options, lambda data: data, put)
            for verdict in judge(await archives(store), SHIPPED, moment, UTC):
                if not verdict.keep:
                    await store.remove(str(verdict.archive))
            moment += timedelta(hours=1)
        return await archives(store)

    found: list[ArchiveName] = run(month())
    return found


def test_a_month_of_a_team_under_the_shipped_policy_ends_with_the_golden_set_with_its_reasons() -> None:
    """Golden: fixtures/retention-team.json, looked at by hand."""
    verdicts = judge(a_month_of_a_team(), SHIPPED, datetime(2026, 11, 30, 23, tzinfo=UTC), UTC)
    found = [
        [v.archive.taken_at.strftime("%m-%d %H:%M"), ", ".join(v.archive.marks), v.keep, list(v.reasons)]
        for v in verdicts
    ]  # fmt: skip
    assert found == json.loads((FIXTURES / "retention-team.json").read_text())


ARCHIVES = st.lists(
    st.builds(
        lambda hours, mark, workspace, named: archive(hours, *mark, workspace=workspace, **named),
        st.integers(-5, 20_000) | st.integers(0, 72),
        st.sampled_from(
            [(), (), ("incomplete",), ("pre-restore",), ("before-upgrade",), ("shrunk",), ("accepted",)]
        ),
        st.sampled_from(["w1", "w2"]),
        st.just({})
        | st.builds(
            lambda count, sketch, found: {
                "total": count, "counts": {"stream": count} if count else {}, "size": 100, "sketch": sketch,
                "found": found,
            },
            st.integers(0, 12), st.sampled_from(["0" * 16, "1" * 16, "0" * 13 + "fff"]),
            st.sampled_from([100, 100, 100, 99]),
        ),
    ),
    max_size=60,
    unique_by=str,
)  # fmt: skip
POLICIES = st.builds(
    Policy,
    **{name: st.integers(0, 4) for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")},
    within=st.sampled_from([timedelta(0), timedelta(days=3)]),
    label=st.sampled_from([None, (), ("before-upgrade",)]),
)


@given(ARCHIVES, POLICIES, st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]))
def test_whatever_the_policy_the_newest_complete_archive_of_each_workspace_survives(
    archives: list[ArchiveName], policy: Policy, zone: str
) -> None:
    verdicts = judge(archives, policy, NOW, ZoneInfo(zone))
    assert len(verdicts) == len(archives)
    assert all(verdict.reasons for verdict in verdicts)
    for workspace in ("w1", "w2"):
        complete = [
            v for v in verdicts
            if v.archive.workspace_id == workspace and not {"incomplete", "pre-restore"} & {*v.archive.marks}
            and not v.archive.damaged
        ]  # fmt: skip
        assert not complete or max(complete, key=lambda v: (v.archive.taken_at, str(v.archive))).keep


@given(ARCHIVES, POLICIES)
def test_pruning_again_at_once_removes_nothing_more(archives: list[ArchiveName], policy: Policy) -> None:
    left = [v.archive for v in judge(archives, policy, NOW, UTC) if v.keep]
    assert all(v.keep for v in judge(left, policy, NOW, UTC))


@given(ARCHIVES, POLICIES)
def test_labelled_and_damaged_ones_survive_every_policy_that_does_not_name_other_labels(
    archives: list[ArchiveName], policy: Policy
) -> None:
    for verdict in judge(archives, policy, NOW, UTC):
        named = verdict.archive.labels & set(policy.label or ())
        assert verdict.keep or not verdict.archive.damaged
        assert verdict.keep or not (verdict.archive.labels if policy.label is None else named)


@given(ARCHIVES, POLICIES)
def test_the_last_from_before_a_change_survives_a_day_whatever_the_policy(
    archives: list[ArchiveName], policy: Policy
) -> None:
    verdicts = {id(v.archive): v.keep for v in judge(archives, policy, NOW, UTC)}
    for workspace in ("w1", "w2"):
        past = [a for a in archives if a.workspace_id == workspace and a.complete and a.taken_at <= NOW]
        ordered = sorted(past, key=lambda a: a.sort_key)
        for earlier, later in pairwise(ordered):
            recent = later.taken_at > ordered[-1].taken_at - timedelta(days=1)
            assert verdicts[id(earlier)] or not recent or least_changed(earlier, later) <= 3


@given(ARCHIVES, POLICIES)
def test_what_is_damaged_or_incomplete_changes_nothing_for_the_others(
    archives: list[ArchiveName], policy: Policy
) -> None:
    def verdicts(of: list[ArchiveName]) -> list[tuple[bool, tuple[str, ...]]]:
        return [(v.keep, v.reasons) for v in judge(of, policy, NOW, UTC) if v.archive.complete]

    assert verdicts(archives) == verdicts([a for a in archives if a.complete])


def test_labelled_ones_stay_unless_others_are_named_or_none() -> None:
    found = [archive(1), archive(900, "before-risk"), archive(901, "other"), archive(902, "shrunk")]
    assert list(kept(found, Policy(last=1)).values())[1:] == [("label before-risk",), ("label other",)]
    assert len(kept(found, Policy(last=1, label=("other",)))) == 2
    assert len(kept(found, Policy(last=1, label=()))) == 1


def test_the_last_from_before_a_change_stays_for_a_day_with_the_first_after_it() -> None:
    edited = "0123456789" + "0" * 6
    found = [sized(0, sketch=edited), sized(5, sketch=edited), sized(6), sized(7)]
    assert list(kept(found, Policy(last=1)).values())[1:] == [
        ("it changed 9 or more entities, within 1 day",),
        (f"the last one before {found[1].digest_prefix}, which changed 9 or more entities, within 1 day",),
    ]
    deleted = [sized(0, streams=5), sized(1, streams=9)]
    assert len(kept(deleted, Policy(last=1))) == 2
    three_digits = [sized(0, sketch="123" + "0" * 13), sized(1)]  # as 4 edits often show
    assert len(kept(three_digits, Policy(last=1))) == 2
    two_digits = [sized(0, sketch="12" + "0" * 14), sized(1)]
    assert len(kept(two_digits, Policy(last=1))) == 1
    few = [sized(0, streams=6), sized(1, streams=9)]
    assert len(kept(few, Policy(last=1))) == 1
    long_ago = [sized(0, sketch=edited), sized(24, sketch=edited), sized(25)]
    assert len(kept(long_ago, Policy(last=1))) == 1
    between = [sized(0, sketch=edited), sized(1, "incomplete"), sized(2, found=7), sized(3)]
    assert (
        f"the last one before {between[0].digest_prefix}" in kept(between, Policy(last=1))["11-24 09:30"][0]
    )


def test_a_damaged_one_stays_takes_no_place_and_is_reported_with_its_sizes() -> None:
    found = [sized(1, found=7), sized(2), sized(3)]
    assert list(kept(found, Policy(last=1)).values()) == [
        ("damaged: it has 7 of 100 bytes; move it away with prune --quarantine",),
        ("the newest complete one", "last 1 of 1"),
    ]


def test_incomplete_ones_stay_while_no_complete_one_is_newer_and_never_take_a_complete_ones_place() -> None:
    archives = [archive(1, "incomplete"), archive(2), archive(3, "incomplete"), archive(26)]
    assert kept(archives, Policy(daily=2)) == {
        "11-24 11:30": ("incomplete, but no complete one is newer",),
        "11-24 10:30": ("the newest complete one", "daily 1 of 2"),
        "11-23 10:30": ("daily 2 of 2",),
    }


def test_incomplete_ones_are_all_there_is_and_stay() -> None:
    verdicts = judge(
        [archive(1, "incomplete"), archive(9, "incomplete"), archive(2, "pre-restore")], Policy(), NOW, UTC
    )
    assert [(v.keep, *v.reasons) for v in verdicts] == [
        (True, "incomplete, but no complete one is newer"),
        (True, "from before a restore, within 30 days"),
        (True, "incomplete, but no complete one is newer"),
    ]


def test_those_of_before_a_restore_stay_for_a_while_and_labelled_ones_as_asked() -> None:
    archives = [
        archive(1), archive(2, "pre-restore"), archive(24 * 31, "pre-restore"), archive(5000, "before-upgrade"),
    ]  # fmt: skip
    found = kept(archives, Policy(last=1, label=("before-upgrade",)))
    assert [reasons[0] for reasons in found.values()] == [
        "the newest complete one", "from before a restore, within 30 days", "label before-upgrade",
    ]  # fmt: skip


def test_the_parts_of_a_continued_run_stay_as_long_as_its_last_one_because_an_undo_needs_them_all() -> None:
    first, last, newest = archive(24 * 31, PRE_RESTORE), archive(24 * 25, PRE_RESTORE), archive(0)
    aim = archive(24 * 31, CLONING, "from-0123456789ab", backup_mark(first))

    def stays(*others: ArchiveName) -> set[bool]:
        verdicts = judge([first, aim, *others, newest], Policy(), NOW, UTC)
        return {one.keep for one in verdicts if one.archive in (first, aim)}

    assert (unended([first, aim], last), stays(last)) == ([first], {True})
    ended = archive(24 * 30, CLONED, "from-0123456789ab", backup_mark(first))
    assert (unended([first, aim, ended], last), stays(ended, last)) == ([], {False})
    late = archive(24 * 23, PRE_RESTORE)
    assert (unended([first, aim], late), stays(late)) == ([], {False})


def test_what_set_off_the_shrink_alarm_stays_for_a_while_with_the_one_before_it() -> None:
    found = [archive(1), archive(30), archive(50, "shrunk"), archive(60), archive(70)]
    assert list(kept(found, Policy(last=1)).values())[1:] == [
        ("it raised the shrink alarm, within 30 days",),
        (f"the last one before {found[2].digest_prefix}, which raised the shrink alarm",),
    ]
    assert len(kept(found, Policy(last=1, shrunk=timedelta(days=2)))) == 1


def test_one_of_the_future_takes_no_place_of_a_true_one() -> None:
    assert sorted(kept([archive(-9000), archive(1), archive(2)], Policy(last=1)).values()) == [
        ("dated in the future: a clock was wrong",), ("the newest complete one", "last 1 of 1"),
    ]  # fmt: skip


def test_what_is_newer_than_now_stays_for_a_clock_has_jumped() -> None:
    assert kept([archive(-3), archive(1)], Policy(last=1))["11-24 15:30"] == (
        "dated in the future: a clock was wrong",
    )


def test_a_day_begins_where_the_zone_says() -> None:
    archives = [archive(0), archive(13), archive(14)]  # 12:30, 23:30 and 22:30 in UTC
    assert len(kept(archives, Policy(daily=3))) == 2
    assert "11-23 22:30" in kept(archives, Policy(daily=3), ZoneInfo("Europe/Berlin"))


def test_what_no_rule_keeps_is_told_why() -> None:
    found = [
        archive(1, "packed"), archive(2), archive(3), archive(4, "incomplete"), archive(5, "pre-restore"),
        archive(24 * 40, "packed"), archive(24 * 41, "pre-restore"),
    ]  # fmt: skip
    assert [(v.keep, *v.reasons) for v in judge(reversed(found), Policy(), NOW, UTC)] == [
        (True, "packed by hand, within 30 days"),
        (True, "the newest complete one"),
        (False, "no rule keeps it"),
        (False, "incomplete, and a complete one is newer"),
        (True, "from before a restore, within 30 days"),
        (False, "packed by hand, and too old"),
        (False, "from before a restore, and too old"),
    ]


def test_the_newest_record_of_the_clones_from_each_source_stays_whatever_the_policy_says() -> None:
    one, other = ("cloned", "from-0123456789ab"), ("cloned", "from-ba9876543210")
    found = [archive(2), archive(3, *one), archive(4, *one), archive(24 * 40, *one), archive(24 * 50, *other)]
    last, earlier = "the record of the last clone from", "the record of an earlier clone from"
    assert [(v.keep, *v.reasons) for v in judge(found, Policy(), NOW, UTC)] == [
        (True, "the newest complete one"),
        (True, f"{last} 0123456789ab"),
        (True, f"{earlier} 0123456789ab, within 30 days"),
        (False, f"{earlier} 0123456789ab, and too old"),
        (True, f"{last} ba9876543210"),
    ]
    future = archive(-9000, *one)
    damaged = replace(archive(1, *one), size=9, sketch="0" * 16, found=5)
    assert [v.reasons for v in judge([future, damaged, *found], Policy(), NOW, UTC)][3] == (
        f"{last} 0123456789ab",
    )


def test_spans_end_at_the_newest_archive_and_leave_out_what_is_just_as_old() -> None:
    def left(*archives: ArchiveName, **rules: Any) -> list[str]:
        verdicts = judge(archives, Policy(**rules), NOW + timedelta(days=900), UTC)
        return [reason for v in verdicts for reason in v.reasons if "within" in reason]

    assert left(archive(0), archive(23.9), archive(24), within=timedelta(days=1)) == ["within 1 day"] * 2
    assert left(archive(0), archive(35), archive(36), within=timedelta(hours=36)) == ["within 36 hours"] * 2
    assert left(archive(0), within=timedelta(minutes=30)) == ["within 0 hours"]
    before = archive(5, "pre-restore"), archive(6, "pre-restore")
    assert left(archive(0), *before, pre_restore=timedelta(hours=6)) == [
        "from before a restore, within 6 hours"
    ]
    shrunk = archive(5, "shrunk"), archive(7, "shrunk", workspace="w2")
    assert left(archive(0), *shrunk, shrunk=timedelta(hours=5)) == [
        "it raised the shrink alarm, within 5 hours"
    ]


def test_of_archives_that_say_the_same_alarm_the_first_stays_with_the_one_before() -> None:
    found = [archive(1, "shrunk"), archive(2, "shrunk"), archive(3, "shrunk"), archive(4), archive(5)]
    assert [v.reasons for v in judge(found, Policy(), NOW, UTC)] == [
        ("the newest complete one",),
        ("no rule keeps it",),
        ("it raised the shrink alarm, within 30 days",),
        (f"the last one before {found[2].digest_prefix}, which raised the shrink alarm", "an open shrink alarm compares with it"),
        ("no rule keeps it",),
    ]  # fmt: skip


def test_the_newest_archive_that_was_accepted_stays_with_the_reason() -> None:
    found = [archive(1), archive(2, "accepted"), archive(3, "accepted"), archive(4)]
    accepted = "accepted: the shrink alarm compares with nothing before it"
    assert [v.reasons for v in judge(found, Policy(), NOW, UTC)] == [
        ("the newest complete one",), (accepted,), ("no rule keeps it",), ("no rule keeps it",),
    ]  # fmt: skip


def test_each_period_keeps_its_newest_as_often_as_asked() -> None:
    hours = [0, 0.5, 1, 24, 25, 24 * 8, 24 * 40, 24 * 400]
    policy = Policy(last=1, hourly=2, daily=2, weekly=2, monthly=2, yearly=2)
    assert list(kept([*map(archive, hours)], policy).values()) == [
        ("the newest complete one", "last 1 of 1", "hourly 1 of 2", "daily 1 of 2", "weekly 1 of 2", "monthly 1 of 2", "yearly 1 of 2"),
        ("hourly 2 of 2",),
        ("daily 2 of 2",),
        ("weekly 2 of 2",),
        ("monthly 2 of 2",),
        ("yearly 2 of 2",),
    ]  # fmt: skip


def test_an_hour_that_a_clock_change_repeats_is_two_hours() -> None:
    moments = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]  # 02:30 twice in Berlin
    found = [ArchiveName("acme", "w1", moment, f"{n:012x}") for n, moment in enumerate(moments)]
    assert len(kept(found, Policy(hourly=2), ZoneInfo("Europe/Berlin"))) == 2


def test_workspaces_are_judged_apart_and_labels_keep_what_has_them() -> None:
    found = [
        archive(3, "a", workspace="w2"),
        archive(1),
        archive(2, "a", "b", workspace="w2"),
        archive(9, "c"),
    ]
    verdicts = judge(found, Policy(label=("a", "b")), NOW, UTC)
    assert [(v.archive.workspace_id, v.keep, v.reasons) for v in verdicts] == [
        ("w1", True, ("the newest complete one",)),
        ("w1", False, ("no rule keeps it",)),
        ("w2", True, ("the newest complete one", "label a", "label b")),
        ("w2", True, ("label a",)),
    ]


def test_a_policy_is_made_of_settings_and_without_any_keeps_nothing_by_itself() -> None:
    given = {
        "keep_last": 1, "keep_hourly": 2, "keep_daily": 3, "keep_weekly": 4, "keep_monthly": 5, "keep_yearly": 6,
        "keep_within": "36h", "keep_label": "one", "keep_pre_restore": "2d", "keep_shrunk": "3w",
    }  # fmt: skip
    days = {"pre_restore": timedelta(days=2), "shrunk": timedelta(days=21), "within": timedelta(hours=36)}
    assert policy_of(given) == Policy(1, 2, 3, 4, 5, 6, label=("one",), **days)
    assert policy_of({"keep_label": ["one", "two"]}).label == policy_of({"keep_label": ("one", "two")}).label
    assert policy_of({}) == Policy()
    assert policy_of({}).empty
    assert policy_of({}).label is None
    assert policy_of({"keep_label": []}).label == ()
    assert policy_of({"keep_label": []}).empty
    assert policy_of({"keep_pre_restore": "1y", "keep_shrunk": "1y"}).empty
    for name, value in given.items():
        if name not in ("keep_pre_restore", "keep_shrunk"):
            assert not policy_of({name: value}).empty


KNOWN = "keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_within, keep_label, keep_pre_restore, keep_shrunk"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keep_dayly": 1}, "unknown setting 'keep_dayly'; did you mean 'keep_daily'?"),
        ({"zzz": 1}, f"unknown setting 'zzz'; use one of {KNOWN}"),
        ({"keep_last": -1}, "keep_last must be a whole number, not -1; write one, such as 14"),
        ({"keep_daily": True}, "keep_daily must be a whole number, not True; write one, such as 14"),
        ({"keep_yearly": "1"}, "keep_yearly must be a whole number, not '1'; write one, such as 14"),
        ({"keep_label": 5}, "keep_label must be text or a list of texts; write it as one"),
        ({"keep_label": ["ok", 5]}, "5 is not a label; use lower-case letters, digits and hyphens"),
        ({"keep_label": "Upper"}, "'Upper' is not a label; use lower-case letters, digits and hyphens"),
    ],
)
def test_settings_that_make_no_policy_are_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy_of(given)
    assert str(caught.value) == f"retention: {words}"


def test_a_span_is_so_many_hours_days_weeks_months_or_years() -> None:
    days = {
        "1h": 1 / 24,
        "36h": 1.5,
        "0d": 0,
        "14d": 14,
        "8w": 56,
        "6mo": 186,
        "6m": 186,
        "2y": 732,
        "200y": 73_200,
        "99999h": 99_999 / 24,
    }
    assert {text: span(text) for text in days} == {text: timedelta(days=n) for text, n in days.items()}
    for text in ("201y", "73201d", "123456h", "1", "d", "1.5d", "-1d", "1D", "1dd", " 1d", "١d", "", 5, None):
        with pytest.raises(UsageError) as caught:
            span(text)
        assert str(caught.value) == f"{text!r} is not a time span; write 36h, 14d, 8w, 6mo (of 31 days) or 2y"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "jitsu-backups"
    folder.mkdir()
    now = datetime.now(UTC).replace(microsecond=0)
    for days in range(10):
        name = ArchiveName("acme", "w1", now - timedelta(days=days), f"{days:012x}")
        (folder / str(name)).write_bytes(b"x")
    (folder / "notes.txt").write_text("somebody's own")
    return folder


def test_prune_removes_what_no_rule_keeps_and_nothing_that_is_not_its_own(
    store: Path, tmp_path: Path
) -> None:
    listed = json.loads(cli("--json", "snapshots", cwd=tmp_path).stdout)["snapshots"]
    assert [line["id"] for line in listed] == [f"{days:012x}" for days in range(10)]
    looked = cli("prune", "--keep-daily", "3", "--dry-run", cwd=tmp_path)
    assert looked.returncode == 0
    assert "3 kept, 7 would be removed" in looked.stdout
    assert len(list(store.iterdir())) == 11
    assert cli("prune", "--keep-daily", "3", cwd=tmp_path).returncode == 0
    assert len(list(store.iterdir())) == 4
    assert (store / "notes.txt").exists()
    (tmp_path / "jitsu-backup.toml").write_text("[retention]\nkeep_last = 1\n")
    report = json.loads(cli("--json", "prune", cwd=tmp_path).stdout)
    assert [line["keep"] for line in report["snapshots"]] == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "empty policy"),
        (("--keep-within", "soon"), "not a time span"),
        (("--keep-last", "1", "--time-zone", "Mars/Olympus"), "is unknown; use a name such as UTC"),
        (("--keep-label", "Upper Case"), "is not a label"),
        (("--keep-last", "-1"), "keep-last"),
    ],
)
def test_a_policy_that_says_nothing_or_nonsense_is_code_2(
    arguments: tuple[str, ...], words: str, store: Path, tmp_path: Path
) -> None:
    done = cli("prune", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(list(store.iterdir())) == 11


def test_an_unknown_setting_of_the_retention_table_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "jitsu-backup.toml").write_text("[retention]\nkeep_dayly = 1\n")
    assert "unknown setting 'keep_dayly'" in cli("prune", cwd=tmp_path).stderr
