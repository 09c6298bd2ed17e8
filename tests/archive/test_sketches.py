"""What two names tell of how much changed is never more than what did."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, strategies as st

from jitsu_backup.archive import ArchiveName, archive_name, least_changed, parse_name
from jitsu_backup.archive.sketches import sketch
from jitsu_backup.model import Snapshot
from tests.support import make_snapshot

TYPES = ("stream", "function", "link")
Content = dict[tuple[str, int], str]
contents = st.dictionaries(
    st.tuples(st.sampled_from(TYPES), st.integers(0, 12)), st.sampled_from(["a", "b", "c"]), max_size=25
)


def snapshot(content: Content) -> Snapshot:
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in TYPES}
    for (name, number), code in content.items():
        lists[name].append({"id": f"{name}-{number}", "code": code})
    return make_snapshot(lists)


def named(content: Content, *, old: bool = False) -> ArchiveName:
    name = archive_name(snapshot(content), size=100)
    if not old:
        return name
    few = {each: count for each, count in name.counts.items() if count >= 4}
    return replace(name, counts=few, size=None, sketch=None)


def changed(before: Content, after: Content) -> int:
    return sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())


@given(contents, contents, st.booleans(), st.booleans())
def test_what_names_tell_is_never_more_than_what_changed(
    before: Content, after: Content, old: bool, new: bool
) -> None:
    told = least_changed(named(before, old=old), named(after, old=new))
    assert 0 <= told <= changed(before, after)


@given(contents, st.randoms(use_true_random=False))
def test_the_order_in_which_a_console_lists_does_not_matter(content: Content, random: Any) -> None:
    entities = list(snapshot(content).entities)
    shuffled = list(entities)
    random.shuffle(shuffled)
    assert sketch(entities) == sketch(shuffled)


@given(contents, st.integers(4, 12))
def test_additions_and_deletions_are_reported_to_the_last_one(content: Content, more: int) -> None:
    after = content | {("stream", 100 + number): "new" for number in range(more)}
    assert least_changed(named(content), named(after)) >= more
    assert least_changed(named(after), named(content)) >= more


def test_edits_are_reported_though_no_count_changes() -> None:
    before = {("function", number): "a" for number in range(20)}
    after = before | {("function", number): "b" for number in range(8)}
    assert 4 <= least_changed(named(before), named(after)) <= 8


def test_one_type_for_another_is_reported_though_the_total_is_the_same() -> None:
    before, after = {("stream", n): "a" for n in range(6)}, {("function", n): "a" for n in range(6)}
    assert least_changed(named(before, old=True), named(after, old=True)) >= 6


def test_names_that_say_nothing_tell_nothing() -> None:
    bare = parse_name("a.b.20261123T190000Z.0123456789ab.json.gz")
    assert bare is not None
    assert least_changed(bare, named({("stream", 1): "a"})) == 0


def test_the_time_makes_no_difference() -> None:
    content = {("stream", n): "a" for n in range(6)}
    later = replace(snapshot(content), taken_at=snapshot(content).taken_at + timedelta(days=1))
    assert archive_name(later, size=100).sketch == named(content).sketch
