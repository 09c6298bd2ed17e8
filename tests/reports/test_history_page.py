"""The page of a history: every change and its way back, the picture at every moment, nothing invented, within its size."""

import re
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.catalogue import Selector
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.planning.history import History
from jitsu_backup.planning.history_steps import narrowed
from jitsu_backup.reports.history_looks import Life, lives, places
from jitsu_backup.reports.history_moments import moments
from jitsu_backup.reports.history_page import LARGEST, MOST_CHANGES, history_page
from jitsu_backup.reports.page import Details, Mark
from jitsu_backup.reports.page_entities import PageEntities
from jitsu_backup.reports.timeline import timeline
from tests import examples
from tests.histories import write_story
from tests.reports.histories import (
    START,
    command,
    evolved,
    five_hundred,
    history_of,
    ill_willed,
    like,
    lists_of,
    recorded,
    unreadable,
    without_steps,
)
from tests.reports.parsed import Parsed
from tests.reports.samples import CANARY, three_hundred
from tests.support import make_snapshot, recorded_snapshot
from tests.test_history_laws import read_history


def page(history: Any, **options: Any) -> str:
    return history_page(history, command, **options)


def told(history: History) -> int:
    return sum(len(step.changes) for step in history.steps)


def shown(snapshot: Snapshot) -> Counter[Any]:
    """What the page of a snapshot draws: type, id, name, subtype, ends and functions of every entity."""
    collected = PageEntities()
    collected.offer("", snapshot)
    for entity in snapshot.entities:
        collected.put("", entity, Mark.PLAIN, "", Details())
    return Counter((i.type, i.id, i.name, i.kind, i.end_names, i.functions) for i in collected.items())


def drawn(found: list[Life], state: int) -> Counter[Any]:
    """What the page of a history draws at one of its states."""
    looks = [(life.key, look) for life in found for look in life.looks if look.first <= state <= look.last]
    return Counter((k.type, k.id, look.name, look.kind, look.end_names, look.functions) for k, look in looks)


@pytest.mark.parametrize("seed", range(5))
def test_the_picture_of_every_moment_is_that_of_its_snapshot(seed: int) -> None:
    snapshots = evolved(recorded_snapshot(), 25, seed)
    history = history_of(snapshots)
    found = lives(history)
    states = {history.archives[0].taken_at: 0}
    states |= {step.after.taken_at: len(history.steps) - n for n, step in enumerate(history.steps)}
    for snapshot in snapshots:
        if (state := states.get(snapshot.taken_at)) is not None:
            assert drawn(found, state) == shown(snapshot), state


def test_the_picture_of_300_entities_is_right_at_its_oldest_moment() -> None:
    snapshots = evolved(three_hundred(), 80, 3, most=8)
    assert drawn(lives(history_of(snapshots)), 0) == shown(snapshots[0])


def test_an_entity_that_got_a_new_id_and_changed_in_nothing_else_stays_one() -> None:
    def at(hour: int, number: str, host: str) -> Snapshot:
        made = make_snapshot(
            {
                "destination": [
                    {"id": number, "name": "Warehouse", "destinationType": "postgres", "host": host}
                ]
            }
        )
        return replace(made, taken_at=START + timedelta(hours=hour))

    history = history_of([at(0, "d1", "one"), at(1, "d1", "two")])
    key = Key("destination", "d2")
    moved = replace(history, newest=at(2, "d2", "two"), lineages={key: "destination/d1"})
    assert [(life.key, life.lineage, len(life.looks)) for life in lives(moved)] == [
        (key, "destination/d1", 1)
    ]
    assert page(moved).count('data-mark="') == 1


@pytest.mark.parametrize("seed", range(2))
def test_what_shares_a_place_was_never_there_at_once(seed: int) -> None:
    found = lives(history_of(evolved(three_hundred(), 60, seed, most=8)))
    by_lineage = {life.lineage: life for life in found}
    at: dict[str, list[Life]] = {}
    for one, other in places(found).items():
        at.setdefault(other, []).append(by_lineage[one])
    assert max(map(len, at.values())) > 1
    for alike in at.values():
        drawn_at = [n for life in alike for n in range(life.looks[-1].first - 1, life.looks[0].last + 2)]
        assert len(drawn_at) == len(set(drawn_at)), [life.name for life in alike]


def test_every_change_is_reported_once_with_the_line_that_takes_it_back() -> None:
    history = recorded()
    parsed = Parsed(page(history))
    changes = [a["id"] for _, a in parsed.elements if a.get("id", "").startswith("change-")]
    assert len(changes) == len(set(changes)) == told(history)
    chips = [a["href"] for _, a in parsed.elements if "data-mark" in a]
    assert sorted(chips) == sorted(f"#{change}" for change in changes)
    lines = Counter(command("restore", *one.way_back) for step in history.steps for one in step.changes)
    assert Counter(parsed.code) == lines


def test_marks_say_what_became_of_each_entity() -> None:
    first = replace(recorded_snapshot(), taken_at=START)
    lists = lists_of(first)
    gone = lists["notification"].pop()
    lists["stream"].append({"id": "made", "name": "Mobile app"})
    lists["destination"][0] = {**lists["destination"][0], "host": "elsewhere"}
    history = history_of([first, like(first, lists, START + timedelta(hours=2))])
    text = page(history)
    folded = dict(re.findall(r'<details class="(\w+)" data-item="\d+">\n<summary>.*?<bdi>(.*?)</bdi>', text))
    marks = Counter(re.findall(r'<details class="(\w+)" data-item', text))
    assert folded.keys() == {"added", "changed", "removed", "plain"}
    assert (folded["added"], folded["removed"]) == ("Mobile app", gone["name"])
    assert marks == {"added": 1, "changed": 1, "removed": 1, "plain": len(first.entities) - 2}
    assert "1 change, removed on 2026-09-01" in text


def test_days_steps_and_times_are_in_it() -> None:
    history = recorded()
    parsed = Parsed(page(history))
    days = Counter(step.after.taken_at.date() for step in history.steps)
    assert sum(a.get("class") == "day" for tag, a in parsed.elements if tag == "details") == len(days)
    steps = [int(a["data-step"]) for _, a in parsed.elements if "data-step" in a]
    assert steps == list(range(len(history.steps), -1, -1))
    at = [int(a["data-at"]) for _, a in parsed.elements if "data-at" in a]
    assert at == sorted(at, reverse=True)
    assert "2026-09-01 06:00 → 07:00 UTC" in page(history)


def test_a_timeline_has_every_day_and_its_tallest_bar_is_as_high_as_it_is() -> None:
    history = recorded()
    names = history.archives
    line = timeline(names[0].taken_at, names[-1].taken_at, history.steps)
    assert line.days == (names[-1].taken_at.date() - names[0].taken_at.date()).days + 1
    assert (line.labels[0], line.labels[-1]) == (
        str(names[0].taken_at.date()),
        str(names[-1].taken_at.date()),
    )
    days = Counter(step.after.taken_at.date() for step in history.steps for _ in step.changes)
    assert line.tallest == max(days.values())
    heights: Counter[str] = Counter()
    for path in line.bars.values():
        for x, height in re.findall(r"M(\d+) \d+v-(\d+)", path):
            heights[x] += int(height)
    assert len(heights) == len(days)
    assert max(heights.values()) <= line.height
    assert 0 <= line.at(names[0].taken_at) < line.at(names[-1].taken_at) <= line.seconds


def test_who_made_a_change_and_what_no_snapshot_saw_are_reported() -> None:
    text = page(recorded())
    assert "by anna@acme.example (UI) 2026-09-" in text
    assert "by ci-bot (API, key key-7) 2026-09-" in text
    assert "by ben@acme.example (restore by jitsu-backup, key key-9) 2026-09-" in text
    assert "Created and deleted between two snapshots (1)" in text
    assert "Try this" in text
    assert "Snapshots that could not be read (1)" in text


def test_what_was_left_out_and_what_the_log_could_not_tell_stand_above() -> None:
    noted = replace(recorded(), notes=("2 archives made by pack",))
    asked = replace(noted, notes=(*noted.notes, "the audit log is off"))
    text = page(noted, shown=[asked])
    assert "<li><bdi>2 archives made by pack</bdi></li>" in text
    assert "<li><bdi>the audit log is off</bdi></li>" in text


def test_a_history_without_steps_or_without_snapshots_is_a_page_too() -> None:
    still = page(without_steps())
    assert "no changes" in still
    assert "Nothing changed." in still
    assert "Web site" in still
    assert "No snapshot could be read." in page(unreadable())
    assert "no workspace" in page([])


def test_chosen_changes_show_what_they_connect_and_nothing_else() -> None:
    history = recorded()
    chosen = narrowed(history, [Selector("link/*")], None, None)
    text = page(history, shown=[chosen], only=["link/*"])
    assert text.count('data-mark="') == told(chosen) < told(history)
    assert "link/*" in text
    types = {
        a.get("title") for tag, a in Parsed(text).elements if tag == "a" and a.get("id", "").startswith("n")
    }
    assert "Web site" in types
    assert "Enrich" not in types


def test_several_workspaces_share_a_page_and_no_number() -> None:
    text = page([recorded(), recorded(), ill_willed()])
    parsed = Parsed(text)
    ids = list(parsed.values("id"))
    assert len(ids) == len(set(ids))
    assert {"w1", "w2", "w3"} <= set(ids)
    assert f"{2 * told(recorded()) + told(ill_willed())} changes in 3 workspaces" in text


def test_300_entities_and_500_snapshots_are_at_most_8_mb() -> None:
    history = five_hundred()
    assert history.newest is not None
    assert len(history.archives) == 500
    assert len(history.newest.entities) >= 300
    assert told(history) > 1_500
    text = page(history)
    assert len(text.encode()) <= LARGEST == 8_000_000
    assert CANARY not in text
    assert sum("data-mark" in a for _, a in Parsed(text).elements) == told(history)


def test_what_changes_say_is_left_out_where_the_page_would_be_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jitsu_backup.reports.history_page.LARGEST", 4_000_000)
    text = page(five_hundred())
    assert len(text.encode()) <= 4_000_000
    assert text.index("Left out to keep the page small") > 0
    assert text.count('data-mark="') == told(five_hundred())


def test_more_than_a_page_can_hold_is_left_out_from_its_old_end_and_said() -> None:
    first = replace(recorded_snapshot(), taken_at=START)
    snapshots = [first]
    for n in range(3):
        lists = lists_of(first)
        for place, body in enumerate(lists["function"]):
            lists["function"][place] = {
                **body,
                "code": "\n".join(f"<{n}-{line}>" * 40 for line in range(900)),
            }
        snapshots.append(like(first, lists, START + timedelta(hours=n + 1)))
    history = history_of(snapshots)
    many = replace(history, steps=history.steps * 400)
    text = page(many)
    assert len(text.encode()) < LARGEST
    assert "Left out to keep the page small" in text
    kept = text.count('data-mark="')
    assert MOST_CHANGES - 10 < kept <= MOST_CHANGES
    assert "earlier steps left out; use --until to see them." in text


def test_bodies_of_any_shape_make_a_page() -> None:
    odd: list[Any] = [None, 1, "x", [], {}, [1, None, {}], {"functions": 3}, {"functions": {"a": 1}}]
    links = [
        {"id": f"l{n}", "type": "push", "fromId": f"s{n}", "toId": one, "data": one}
        for n, one in enumerate(odd)
    ]
    others = [
        {"id": f"d{n}", "name": one, "destinationType": one, "package": one} for n, one in enumerate(odd)
    ]
    before = replace(make_snapshot({"link": links, "destination": others, "model": others}), taken_at=START)
    after = replace(
        before, entities=tuple(Entity(e.key, {**e.body, "data": odd, "name": odd}) for e in before.entities)
    )
    gone = replace(before, entities=(), taken_at=START + timedelta(hours=2))
    moved = replace(after, taken_at=START + timedelta(hours=1))
    Parsed(page(history_of([before, moved, gone, before])))


def at_moments(history: History, part: History, snapshots: list[Snapshot]) -> Any:
    """Each moment of a page of a part: what it draws, and what the snapshot of that time holds."""
    chosen = moments(history, part.steps, MOST_CHANGES)
    found = [chosen.of(life) for life in lives(history)]
    afters = [chosen.archives[0], *(steps[0].after for steps in reversed(chosen.steps))]
    assert len(afters) == len(chosen.states)
    by_time = {snapshot.taken_at: snapshot for snapshot in snapshots}
    return [(drawn(found, n), shown(by_time[after.taken_at])) for n, after in enumerate(afters)]


@pytest.mark.parametrize(("since", "until"), [(0, 12), (9, 20), (25, 60), (0, 90), (800, 900)])
def test_a_part_of_the_time_shows_its_own_moments(since: int, until: int) -> None:
    snapshots = evolved(recorded_snapshot(), 30, 4)
    history = history_of(snapshots)
    begin, end = (snapshots[0].taken_at + timedelta(hours=hours) for hours in (since, until))
    part = narrowed(history, [], begin, end)
    for on_page, in_snapshot in at_moments(history, part, snapshots):
        assert on_page == in_snapshot
    text = page(history, shown=[part])
    assert text.count('data-mark="') == told(part)
    names = moments(history, part.steps, MOST_CHANGES).archives
    assert f"{names[0].taken_at:%Y-%m-%d %H:%M:%S} UTC" in text


def test_what_only_an_older_archive_could_tell_leads_to_the_same_moment() -> None:
    snapshots = evolved(recorded_snapshot(), 6, 1)
    history = history_of(snapshots)
    late, early = history.steps[0], history.steps[1]
    told_late = replace(early, after=late.after)
    both = replace(history, steps=(late, told_late, *history.steps[2:]))
    parsed = Parsed(page(both))
    assert [int(a["data-step"]) for _, a in parsed.elements if "data-step" in a] == list(
        range(len(history.steps) - 1, -1, -1)
    )
    assert sum("data-mark" in a for _, a in parsed.elements) == told(history)


def test_a_connection_that_got_another_destination_is_drawn_to_either_at_its_time() -> None:
    def at(hour: int, to: str) -> Snapshot:
        lists = {
            "stream": [{"id": "s", "name": "Site"}], "destination": [{"id": i, "name": i} for i in ("one", "two")],
            "link": [{"id": "l", "type": "push", "fromId": "s", "toId": to, "data": {}}],
        }  # fmt: skip
        return replace(make_snapshot(lists), taken_at=START + timedelta(hours=hour))

    snapshots = [at(0, "one"), at(1, "two")]
    history = history_of(snapshots)
    assert [one.change.kind.value for one in history.steps[0].changes] == ["removed", "added"]
    one, same = history.steps[0].changes[0], history.steps[0].changes[1]
    moved = replace(
        history, steps=(replace(history.steps[0], changes=(one, replace(same, lineage=one.lineage))),)
    )
    for on_page, in_snapshot in at_moments(moved, moved, snapshots):
        assert on_page == in_snapshot
    paths = re.findall(
        r'<path class="plain[^"]*" data-spans="([\d-]+)" data-item="(\d+)" data-ends="\d+ (\d+)"', page(moved)
    )
    assert sorted(span for span, *_ in paths) == ["0-0", "0-0", "1-1", "1-1"]
    assert len({end for _, _, end in paths}) == 3


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 25))
def test_the_picture_has_what_was_there_as_far_as_archives_saw_it(seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = write_story(Path(folder), seed, steps)
        history = read_history(Path(folder))
    found = lives(history)
    afters = sorted({step.after.taken_at for step in history.steps})
    for one in story.archived:
        state = sum(after <= one.at for after in afters)
        looks = [(life, look) for life in found for look in life.looks if look.first <= state <= look.last]
        drawn_now = {
            story.numbers[life.lineage]: (life.key.type, look)
            for life, look in looks
            if life.key.type in one.types
        }
        there = {number: (kind, body) for number, (kind, body) in one.truth.items() if kind in one.types}
        assert drawn_now.keys() == there.keys()
        for number, (kind, body) in there.items():
            look = drawn_now[number][1]
            if kind == "link":
                ends = [None if end is None else story.numbers[end] for end in look.ends]
                wanted = (body["fromId"], body["toId"])
                assert all(end in (None, want) for end, want in zip(ends, wanted, strict=True))
            else:
                assert look.name == body["name"]
    Parsed(history_page(history, command))
