"""Who made a change: laws over random histories, and what links, builders, new ids and runs of ours come to."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import Selector
from jitsu_backup.model import AuditEntry, Key, Snapshot
from jitsu_backup.planning import ChangeKind, Changes, EntityChange
from jitsu_backup.planning.attribution import (
    OwnRuns,
    attribute_changes,
    attribute_history,
    chosen_passing,
    own_runs,
)
from jitsu_backup.planning.history import History, HistoryChange, Passing, Step
from tests.support import STAGING, make_snapshot

NOBODY = OwnRuns()
BEGIN = datetime(2026, 11, 20, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def archive(minutes: float, *marks: str, workspace_id: str = STAGING) -> ArchiveName:
    return ArchiveName("acme-staging", workspace_id, after(minutes), "0" * 12, marks)


def entry(minutes: float, operation: str, object_id: str, who: str = "Ada", **more: Any) -> AuditEntry:
    given = {"type": "function", **more}
    return AuditEntry(f"{minutes:012.4f}", after(minutes), operation, object_id=object_id, who=who, **given)


def change(kind: ChangeKind, before: Key | None, now: Key | None) -> EntityChange:
    found = now or before
    assert found is not None
    return EntityChange(kind, found.type, found.id, before, now)


def changed(type_name: str, one: str) -> EntityChange:
    return change(ChangeKind.CHANGED, Key(type_name, one), Key(type_name, one))


def history(
    moments: Iterable[float], *steps: tuple[int, list[EntityChange]], newest: Snapshot | None = None
) -> History:
    """A history of archives; each step is the number of its later archive, and what changed."""
    archives = tuple(archive(minutes) for minutes in moments)
    made = [
        Step(
            archives[at - 1],
            archives[at],
            tuple(HistoryChange(c, str(c.before or c.after), str(c.before or c.after)) for c in changes),
        )
        for at, changes in steps
    ]
    return History(STAGING, "acme-staging", tuple(reversed(made)), archives, newest=newest)


def told(found: History) -> list[list[list[str]]]:
    """The names of the authors of each change of each step, oldest step first."""
    return [
        [[author.who for author in one.authors] for one in step.changes] for step in reversed(found.steps)
    ]


@dataclass
class Story:
    """What people did to functions, the snapshots of that, and the log; each deed has an author of its own."""

    moments: list[float]
    deeds: list[AuditEntry] = field(default_factory=list)
    states: list[dict[str, int]] = field(default_factory=list)

    def history(self) -> History:
        steps = []
        for at, (before, now) in enumerate(zip(self.states, self.states[1:], strict=False), 1):
            changes = [
                change(
                    ChangeKind.ADDED if one not in before else ChangeKind.REMOVED if one not in now else ChangeKind.CHANGED,
                    Key("function", one) if one in before else None,
                    Key("function", one) if one in now else None,
                )
                for one in sorted(before.keys() | now.keys())
                if before.get(one) != now.get(one)
            ]  # fmt: skip
            if changes:
                steps.append((at, changes))
        newest = make_snapshot({"function": [{"id": one} for one in self.states[-1]]})
        return history(self.moments, *steps, newest=newest)

    def told(self) -> Iterator[tuple[str, int, list[str]]]:
        """Yield each change by its object and the number of its later snapshot, with those who made it, newest first."""
        for at, (begin, end) in enumerate(zip(self.moments, self.moments[1:], strict=False), 1):
            for one in sorted(self.states[at - 1].keys() | self.states[at].keys()):
                if self.states[at - 1].get(one) != self.states[at].get(one):
                    own = [d for d in self.deeds if d.object_id == one and after(begin) < d.at <= after(end)]
                    yield one, at, [d.who for d in reversed(own)]

    def passing(self) -> set[str]:
        seen = {one for state in self.states for one in state}
        gone = {d.object_id for d in self.deeds if d.operation == "delete"}
        return gone - seen


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Snapshots and deeds at random minutes; no two at one, and each version of a function is a number of its own."""
    number = draw(st.integers(4, 24))
    minutes = draw(
        st.lists(st.integers(1, 100_000), min_size=number, max_size=number, unique=True).map(sorted)
    )
    shots = draw(st.sets(st.integers(1, number - 2), max_size=6)) | {0, number - 1}
    story, now, made = Story([]), {"f0": 0, "f1": 0}, 2
    for position, minute in enumerate(minutes):
        if position in shots:
            story.moments.append(minute)
            story.states.append(dict(now))
            continue
        operation = draw(st.sampled_from(["create", "update", "delete"] if now else ["create"]))
        if operation == "create":
            one, made = f"f{made}", made + 1
        else:
            one = draw(st.sampled_from(sorted(now)))
        if operation == "delete":
            now.pop(one)
        else:
            now[one] = position
        story.deeds.append(entry(minute, operation, one, who=f"author {position}"))
    return story


@given(stories())
def test_every_change_has_those_who_made_it_and_what_no_snapshot_saw_is_listed(story: Story) -> None:
    found = attribute_history(story.history(), reversed(story.deeds), NOBODY)
    expected = [
        [authors for _, at, authors in story.told() if at == step] for step in range(len(story.moments))
    ]
    assert told(found) == [authors for authors in expected if authors]
    assert {passing.id for passing in found.passing} == story.passing()


@given(stories(), st.floats(-400, 400), st.data())
def test_whatever_the_clocks_say_a_deed_is_reported_once_at_most_and_of_what_it_changed(
    story: Story, skew: float, data: st.DataObject
) -> None:
    lost = data.draw(st.sets(st.sampled_from(story.deeds))) if story.deeds else set()
    deeds = [replace(deed, at=deed.at + timedelta(seconds=skew)) for deed in story.deeds if deed not in lost]
    found = attribute_history(story.history(), deeds, NOBODY)
    by_author = {deed.who: deed for deed in deeds}
    seen = Counter[str]()
    for step in found.steps:
        for one in step.changes:
            for author in one.authors:
                seen[author.who] += 1
                assert Key("function", by_author[author.who].object_id) in (
                    one.change.before,
                    one.change.after,
                )
                assert author.at == by_author[author.who].at
                close = timedelta(minutes=5)
                assert step.before.taken_at - close <= author.at <= step.after.taken_at + close
    seen.update(author.who for passing in found.passing for author in passing.authors)
    assert not seen or max(seen.values()) == 1
    assert seen.keys() <= by_author.keys()
    assert {passing.id for passing in found.passing} <= story.passing()


def test_authors_are_reported_newest_first_and_each_way_of_one_person_once() -> None:
    before = history([0, 60], (1, [changed("function", "f")]))
    entries = [
        entry(10, "update", "f", "Ada"),
        entry(20, "update", "f", "Bob"),
        entry(30, "update", "f", "Ada"),
        entry(40, "update", "f", "Ada", key="k1", way="api"),
    ]
    (step,) = attribute_history(before, entries, NOBODY).steps
    authors = step.changes[0].authors
    assert [(a.who, a.key, a.way, a.at) for a in authors] == [
        ("Ada", "k1", "api", after(40)), ("Ada", None, None, after(30)), ("Bob", None, None, after(20)),
    ]  # fmt: skip


def test_an_update_that_changed_nothing_is_nobodys_change() -> None:
    before = history([0, 60], (1, [changed("function", "f")]))
    assert told(attribute_history(before, [entry(10, "update", "f", unchanged=True)], NOBODY)) == [[[]]]


def test_clocks_that_differ_give_a_change_to_the_span_close_by_that_nothing_else_explains() -> None:
    steps = (1, [changed("function", "a")]), (2, [changed("function", "b")])
    before = history([0, 60, 120], *steps)
    late, early = entry(61, "update", "a", "Ada"), entry(58, "update", "b", "Bob")
    assert told(attribute_history(before, [late, early], NOBODY)) == [[["Ada"]], [["Bob"]]]
    assert told(attribute_history(before, [entry(66, "update", "a")], NOBODY)) == [[[]], [[]]]
    explained = [entry(30, "update", "a", "Ada"), entry(61, "update", "a", "Bob")]
    assert told(attribute_history(before, explained, NOBODY)) == [[["Ada"]], [[]]]


def test_of_spans_that_overlap_the_shortest_that_holds_a_deed_has_it() -> None:
    secret, code = changed("destination", "d"), changed("destination", "d")
    whole = history([0, 60, 120])
    steps = [
        Step(whole.archives[at], whole.archives[2], (HistoryChange(one, "destination/d", "destination/d"),))
        for at, one in ((1, code), (0, secret))
    ]
    before = replace(whole, steps=tuple(reversed(steps)))
    late, early = (
        entry(at, "update", "d", who, type="destination") for at, who in ((90, "Ada"), (30, "Bob"))
    )
    assert told(attribute_history(before, [late, early], NOBODY)) == [[["Ada"]], [["Bob"]]]


def test_links_and_reverse_syncs_are_links_to_the_log() -> None:
    before = history(
        [0, 60], (1, [changed("link", "l"), changed("reverse-sync", "r"), changed("stream", "s")])
    )
    entries = [
        entry(1, "update", "l", "Ada", type="link"),
        entry(2, "update", "r", "Bob", type="link"),
        entry(3, "update", "s", "Eve", type="link"),
    ]
    assert told(attribute_history(before, entries, NOBODY)) == [[["Ada"], ["Bob"], []]]


def test_an_entity_with_a_new_id_has_those_who_deleted_the_old_and_made_the_new_one() -> None:
    moved = change(ChangeKind.CHANGED, Key("link", "old"), Key("link", "new"))
    entries = [entry(1, "delete", "old", "Ada", type="link"), entry(2, "create", "new", "Bob", type="link")]
    found = attribute_history(history([0, 60], (1, [moved])), entries, NOBODY)
    assert (told(found), found.passing) == ([[["Bob", "Ada"]]], ())


def test_a_builders_function_is_reported_with_its_builder_and_with_itself_where_that_changed() -> None:
    builder = {"id": "pb", "functions": [{"functionId": "owned"}]}
    newest = make_snapshot({"profile-builder": [builder], "function": [{"id": "owned"}]})
    entries = [entry(1, "update", "owned")]
    builders = [changed("profile-builder", "pb")]
    assert told(attribute_history(history([0, 60], (1, builders), newest=newest), entries, NOBODY)) == [
        [["Ada"]]
    ]
    both = history([0, 60], (1, [*builders, changed("function", "owned")]), newest=newest)
    assert told(attribute_history(both, entries, NOBODY)) == [[[], ["Ada"]]]


def test_what_is_there_at_the_end_or_was_seen_before_is_not_passing() -> None:
    newest = make_snapshot({"function": [{"id": "stays"}]})
    removed = change(ChangeKind.REMOVED, Key("function", "seen"), None)
    before = history([0, 60, 120], (2, [removed]), newest=newest)
    entries = [
        entry(10, "create", "stays"), entry(11, "delete", "stays"),
        entry(50, "create", "seen"), entry(70, "delete", "seen"),
        entry(10, "create", "half"),
        entry(11, "delete", "other"),
        entry(50, "create", "across"), entry(70, "delete", "across"),
        entry(20, "create", "gone", "Ada", name="Gone"), entry(30, "delete", "gone", "Bob"),
        entry(-3, "create", "earlier"), entry(-2, "delete", "earlier"),
        entry(121, "create", "later"), entry(122, "delete", "later"),
    ]  # fmt: skip
    found = attribute_history(before, entries, NOBODY).passing
    assert [(p.type, p.id, p.name, [a.who for a in p.authors]) for p in found] == [
        ("function", "gone", "Gone", ["Bob", "Ada"])
    ]


def test_selectors_choose_of_what_no_snapshot_saw_too() -> None:
    gone = (Passing("function", "f", "Enrich", ()), Passing("stream", "s", None, ()))
    assert chosen_passing(gone, []) == gone
    assert chosen_passing(gone, [Selector("function/Enrich")]) == gone[:1]
    assert chosen_passing(gone, [Selector("stream/s")]) == gone[1:]
    assert chosen_passing(gone, [], [Selector("stream/*")]) == gone[:1]


def comparison(*changes: EntityChange, backwards: bool = False) -> Changes:
    one, other = make_snapshot({"function": [{"id": "f"}]}), make_snapshot({"function": [{"id": "f"}]})
    sides = replace(one, taken_at=after(0)), replace(other, taken_at=after(60))
    before, now = reversed(sides) if backwards else sides
    return Changes(before, now, changes, ())


@pytest.mark.parametrize("backwards", [False, True])
def test_a_comparison_is_reported_in_either_order(backwards: bool) -> None:
    added = change(ChangeKind.ADDED, None, Key("function", "new"))
    removed = change(ChangeKind.REMOVED, Key("function", "old"), None)
    changes = comparison(changed("function", "f"), added, removed, backwards=backwards)
    entries = [
        entry(1, "update", "f", "Ada"), entry(2, "create", "new", "Bob"), entry(3, "delete", "old", "Eve"),
        entry(4, "create", "gone"), entry(5, "delete", "gone"), entry(90, "update", "f", "late"),
    ]  # fmt: skip
    found = attribute_changes(changes, entries, NOBODY)
    assert [[author.who for author in found.of(one)] for one in changes.entities] == [
        ["Ada"],
        ["Bob"],
        ["Eve"],
    ]
    assert [one.id for one in found.passing] == ["gone"]


def test_no_author_is_named_where_the_log_names_none() -> None:
    found = attribute_changes(comparison(changed("function", "f")), [], NOBODY)
    assert (found.of(changed("function", "f")), found.passing) == ((), ())


@pytest.mark.parametrize(
    ("minutes", "key", "ours"),
    [(100, "k1", True), (100, "k2", False), (100, None, False), (98, "k1", False), (161, "k1", False), (159, "k1", True)],
)  # fmt: skip
def test_a_run_of_ours_is_known_by_its_key_and_its_time(minutes: float, key: str | None, ours: bool) -> None:
    runs = own_runs([archive(100, "pre-restore"), archive(50)], STAGING, "k1")
    assert runs.made(entry(minutes, "update", "f", key=key)) is ours


def test_the_record_of_a_clone_says_when_a_run_ended() -> None:
    record = archive(110, "cloned", "from-0123456789ab")
    runs = own_runs([archive(100, "pre-restore"), record], STAGING, "k1")
    assert [runs.made(entry(at, "update", "f", key="k1")) for at in (101, 110, 112)] == [True, True, False]
    alone = own_runs([record], STAGING, "k1")
    assert [alone.made(entry(at, "update", "f", key="k1")) for at in (49, 60, 112)] == [False, True, False]


def test_a_run_in_another_workspace_is_none_here() -> None:
    runs = own_runs([archive(100, "pre-restore", workspace_id="another")], STAGING, "k1")
    assert runs.times == ()
    assert not runs.made(entry(100, "update", "f", key="k1"))


def test_the_operators_token_is_ours_only_where_our_key_is_it() -> None:
    runs = own_runs([archive(100, "pre-restore")], STAGING, "service")
    by_operator = entry(101, "update", "f", operator=True)
    assert not runs.made(by_operator)
    assert replace(runs, operator=True).made(by_operator)
    assert not replace(runs, operator=True).made(entry(101, "update", "f", key="service"))
    assert not OwnRuns(None, times=((after(0), after(200)),)).made(entry(101, "update", "f"))


def test_what_a_clone_leaves_beside_its_record_is_not_the_end_of_another_run() -> None:
    clone = archive(10, "pre-restore"), archive(20, "cloned", "from-0123456789ab")
    beside = archive(20 + 1 / 60_000, "cloned", "from-0123456789ab", "after-0123456789ab")
    runs = own_runs([*clone, beside], STAGING, "k1")
    assert runs.times == ((after(10), after(20)),)
    since_record = history([20, 60], (1, [changed("function", "f")]))
    (step,) = attribute_history(since_record, [entry(20.1, "update", "f", key="k1")], runs).steps
    assert not step.changes[0].authors[0].ours


def test_a_record_that_dates_itself_in_seconds_is_the_end_of_its_run_too() -> None:
    late = archive(20 + 0.6 / 60, "cloned", "from-0123456789ab")
    runs = own_runs([archive(10, "pre-restore"), late], STAGING, "k1")
    assert not runs.made(entry(20.1, "update", "f", key="k1"), since=after(20))
    assert runs.made(entry(19, "update", "f", key="k1"), since=after(15))


def test_what_a_run_of_ours_changed_is_marked() -> None:
    runs = own_runs([archive(10, "pre-restore")], STAGING, "k1")
    before = history([0, 60], (1, [changed("function", "f")]))
    entries = [entry(5, "update", "f", "Ada", key="k1"), entry(11, "update", "f", "Ada", key="k1")]
    (step,) = attribute_history(before, entries, runs).steps
    assert [(author.ours, author.at) for author in step.changes[0].authors] == [
        (True, after(11)),
        (False, after(5)),
    ]


def test_what_differs_from_the_record_of_a_run_is_none_of_that_runs_doing() -> None:
    runs = own_runs([archive(10, "pre-restore"), archive(20, "cloned", "from-0123456789ab")], STAGING, "k1")
    since_record = history([20, 60], (1, [changed("function", "f")]))
    fix = entry(20.1, "update", "f", "Ada", key="k1")
    (step,) = attribute_history(since_record, [fix], runs).steps
    assert [(author.who, author.ours) for author in step.changes[0].authors] == [("Ada", False)]
    assert runs.made(fix)  # by its time alone


RUN = own_runs([archive(60, "pre-restore")], STAGING, "k1")
"""A run of ours that begins at minute 60."""


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((59, 61), [["Ada"], ["ours"]]),
        ((60.5, 62), [["Ada"], ["ours"]]),  # the console's clock is ahead
        ((57, 59.9), [["Ada"], ["ours"]]),  # it is behind
        ((40, 61), [["Ada"], ["ours"]]),
        ((66, 67), [[], ["ours", "Ada"]]),  # more than clocks differ
        ((62, 61), [[], ["Ada", "ours"]]),  # after what the run did
    ],
)
def test_what_the_backup_from_before_a_run_holds_is_none_of_that_runs_doing(
    minutes: tuple[float, float], expected: list[list[str]]
) -> None:
    steps = (1, [changed("function", "f")]), (2, [changed("function", "f")])
    entries = [entry(minutes[0], "update", "f", "Ada"), entry(minutes[1], "update", "f", "ours", key="k1")]
    found = attribute_history(history([0, 60, 120], *steps), entries, RUN)
    assert [authors for (authors,) in told(found)] == expected


def test_what_was_changed_with_our_key_before_the_backup_of_a_run_is_no_restore() -> None:
    steps = (1, [changed("function", "f")]), (2, [changed("function", "f")])
    entries = [entry(minutes, "update", "f", "Ada", key="k1") for minutes in (59.9, 60.1)]
    found = attribute_history(history([0, 60, 120], *steps), entries, RUN)
    assert [step.changes[0].authors[0].ours for step in found.steps] == [True, False]


def test_what_was_made_and_deleted_with_our_key_before_the_backup_of_a_run_is_no_restore() -> None:
    newest = make_snapshot({"function": [{"id": "f"}]})
    entries = [
        entry(59.8, "create", "by-hand", key="k1"), entry(59.9, "delete", "by-hand", key="k1"),
        entry(60.1, "create", "by-run", key="k1"), entry(70, "delete", "by-run"),
    ]  # fmt: skip
    found = attribute_history(history([0, 60, 120], newest=newest), entries, RUN).passing
    ours = {one.id: [author.ours for author in one.authors] for one in found}
    assert ours == {"by-run": [False, True], "by-hand": [False]}


def test_what_others_changed_before_the_backup_of_a_run_is_no_change_of_after_it() -> None:
    before = history([60, 120], (1, [changed("function", "f")]))
    assert told(attribute_history(before, [entry(58, "update", "f")], RUN)) == [[[]]]
    assert told(attribute_history(before, [entry(58, "update", "f")], NOBODY)) == [[["Ada"]]]
