"""A clone that was killed half-way, and a source that moved on since: what it had reached is not the target's own change."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.model import Key
from jitsu_backup.planning import Overlay
from jitsu_backup.sandbox import Generation, Sandbox
from tests.promotions import Promotion, changed_on_both_sides, edit, key_named, promotion
from tests.restores.kit import delete
from tests.support import PRODUCTION, STAGING, comparable
from tests.test_promotion_laws import FIELDS, IDS, LAW, SIDE, Fields, History

PRUNE: dict[str, Any] = {"prune": True, "accept_shrink": True, "rebind": True}
KINDS = ("function", "destination", "service", "stream", "model")


def copied(made: Promotion) -> Promotion:
    sides = (Sandbox(copy.deepcopy(side.state), rate_limit=False) for side in (made.source, made.target))
    return Promotion(*sides, made.record)


def killed_at_each_write(begin: Promotion, step: int, **options: Any) -> Iterator[Promotion]:
    """Yield what a clone leaves that is killed before a write, or after it, for each `step`th one."""
    number, reached = 1, True
    while reached:
        for after in (False, True):
            made = copied(begin)
            reached = made.killed_clone(number, after=after, **options)
            if reached:
                yield made
        number += step


def moved_on(made: Promotion) -> None:
    """Let the source change again whatever it has, and drop what it had just made."""
    state = made.source.state
    for kind in KINDS:
        for row in state.live_objects(STAGING, kind):
            more = {"code": "// later", "description": "later"} if kind == "function" else {}
            edit(state, row.id, name=f"{row.config['name']} later", **more)
    if "new-function" in state.objects:
        delete(state, "new-function")


def first_clone(generation: Generation) -> Promotion:
    """A target that has something already, paired by its name."""
    made = promotion(generation)
    enrich = key_named(made.snapshot(), "function", "Enrich")
    config = {**made.source.state.objects[enrich.id].config, "code": "// from before"}
    made.target.state.add_object(PRODUCTION, "function", "of-before", config)
    made.target.state.add_object(PRODUCTION, "function", "surplus", {"name": "Surplus", "code": "x"})
    return made


def later_clone(generation: Generation) -> Promotion:
    """What each side changed, added and deleted since the last clone."""
    made = changed_on_both_sides(generation)
    snapshot = made.snapshot()
    edit(
        made.target.state,
        made.id_in_target(key_named(snapshot, "function", "Enrich")),
        origin="of production",
    )
    edit(made.source.state, key_named(snapshot, "stream", "Web site").id, name="Site")
    return made


@pytest.mark.parametrize(
    ("begin", "generation", "step"),
    [(first_clone, Generation.JULY_2026, 8), *((later_clone, generation, 3) for generation in Generation)],
)
def test_after_a_clone_was_killed_and_the_source_moved_on_the_next_one_ends_as_without_the_kill(
    generation: Generation, begin: Callable[[Generation], Promotion], step: int
) -> None:
    made, options = begin(generation), {**PRUNE, "match_by_name": begin is first_clone}
    expected = copied(made)
    expected.clone(**options)
    moved_on(expected)
    expected.clone(**options)
    points = 0
    for killed in killed_at_each_write(made, step, **options):
        points += 1
        moved_on(killed)
        killed.clone(**options)
        killed.silent_clone(**options)
        assert comparable(killed.live(), {}) == comparable(expected.live(), {})
    assert points >= 3


def test_several_clones_that_were_killed_one_after_the_other_leave_no_conflict() -> None:
    made = later_clone(Generation.NEWEST)
    enrich = key_named(made.snapshot(), "function", "Enrich")
    for number in (1, 2, 1):
        edit(made.source.state, enrich.id, code=f"// {number}", description=f"state {number}")
        assert made.killed_clone(number, after=True, **PRUNE)
        assert made.target.state.objects[made.id_in_target(enrich)].config["origin"] == "of production"
    edit(made.source.state, enrich.id, code="// last", description="last")
    made.clone(**PRUNE)
    config = made.target.state.objects[made.id_in_target(enrich)].config
    assert (config["code"], config["description"], config["origin"]) == ("// last", "last", "of production")
    made.silent_clone(**PRUNE)


def only_enrich(**options: Any) -> tuple[Promotion, Key, str]:
    """A clone of one change that was killed after its only write."""
    made = promotion(Generation.JULY_2026)
    made.clone()
    enrich = key_named(made.snapshot(), "function", "Enrich")
    edit(made.source.state, enrich.id, code="// of staging")
    assert made.killed_clone(1, after=True, **options)
    return made, enrich, made.id_in_target(enrich)


def test_what_the_target_changes_after_the_kill_is_its_own_also_in_what_was_reached() -> None:
    made, enrich, there = only_enrich()
    edit(made.target.state, there, description="of production")
    edit(made.source.state, enrich.id, code="// of staging, later")
    made.clone()
    config = made.target.state.objects[there].config
    assert (config["code"], config["description"]) == ("// of staging, later", "of production")


def test_what_both_change_after_the_kill_is_a_conflict() -> None:
    made, enrich, there = only_enrich()
    edit(made.target.state, there, code="// a hot fix")
    edit(made.source.state, enrich.id, code="// of staging, later")
    (blocked,) = made.plan().blocked
    assert blocked.conflicts == ("code",)
    assert blocked.fields[0].base == "// of staging" or blocked.fields[0].code


def names(made: Promotion, kind: str) -> set[str]:
    return {row.config["name"] for row in made.target.state.live_objects(PRODUCTION, kind)}


def test_what_was_made_before_the_kill_goes_when_the_source_drops_it() -> None:
    made = promotion(Generation.JULY_2026)
    made.clone()
    made.source.state.add_object(STAGING, "function", "new-function", {"name": "New", "code": "x"})
    assert made.killed_clone(1, after=True, **PRUNE)
    delete(made.source.state, "new-function")
    assert "New" in names(made, "function")
    made.clone(**PRUNE)
    assert "New" not in names(made, "function")
    made.silent_clone(**PRUNE)


def test_what_was_deleted_before_the_kill_comes_again_with_the_source() -> None:
    made = promotion(Generation.JULY_2026)
    made.clone()
    other = key_named(made.snapshot(), "function", "Only known users")
    for row in made.source.state.links.values():
        row.deleted = True
    delete(made.source.state, other.id)
    killed = list(killed_at_each_write(made, 1, **PRUNE))[-1]
    assert "Only known users" not in names(killed, "function")
    killed.source.state.objects[other.id].deleted = False
    assert not killed.plan(**PRUNE).deleted_there
    killed.clone(**PRUNE)
    assert "Only known users" in names(killed, "function")


def test_what_the_target_has_deleted_stays_deleted_although_a_clone_was_killed_that_was_to_make_it_again() -> (
    None
):
    made = promotion(Generation.JULY_2026)
    made.clone()
    enrich, other = (key_named(made.snapshot(), "function", n) for n in ("Enrich", "Only known users"))
    delete(made.target.state, made.id_in_target(other))
    edit(made.source.state, enrich.id, code="// of staging")
    assert made.killed_clone(1, after=False, take=(f"source:{other}",))
    assert [action.key for action in made.plan().deleted_there] == [other]


def test_an_intent_holds_no_secret_of_the_overlay() -> None:
    made = promotion(Generation.JULY_2026)
    made.killed_clone(1, after=False)
    (intent,) = made.intents
    assert "stand-in" not in str(intent.bases) + str([entity.body for entity in intent.entities])


# -- a law ---------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), SIDE, st.sampled_from(IDS), st.sampled_from(FIELDS), st.integers(1, 4)),
        st.tuples(st.just("delete"), st.sampled_from(("source", "target")), st.sampled_from(IDS)),
        st.tuples(st.just("clone"), st.sampled_from(("source", "target")), st.booleans()),
        st.tuples(
            st.just("killed"),
            st.sampled_from(("source", "target")),
            st.booleans(),
            st.integers(1, 4),
            st.booleans(),
        ),
    ),
    min_size=2,
    max_size=12,
)


class KilledHistory(History):
    """A history in which clones are killed: what they have reached is as if they had ended for that alone."""

    def play(self, step: tuple[Any, ...]) -> None:
        kind, *rest = step
        if kind == "killed":
            self.killed(*rest)
        else:
            super().play(step)

    def killed(self, take: str, prune: bool, number: int, after: bool) -> None:
        options: dict[str, Any] = {"overlay": Overlay(), "prune": prune, "accept_shrink": True}
        blocked = self.made.plan(**options).blocked
        settle = [f"{take}:function/{a.name}:{path}" for a in blocked for path in a.conflicts]
        settle += [f"{take}:function/{a.name}" for a in blocked if not a.conflicts]
        options["take"] = tuple(settle)
        self.made.killed_clone(number, after=after, **options)
        planned = copy.deepcopy(self.model)
        planned.clone(take, prune=prune)
        there = self.found()
        for one in IDS:
            self.note(one, there.get(one), planned.target.get(one), planned.base.get(one))

    def note(self, one: str, there: Fields | None, meant: Fields | None, base: Fields | None) -> None:
        """Note what a killed clone has reached of an entity."""
        before = self.model.base.get(one)
        self.model.target[one] = there
        if there is None and base is None:
            self.model.base.pop(one, None)
        if (
            there is None or meant is None or base is None
        ):  # what it was to leave to the target is not settled yet
            return
        reached = {name for name in FIELDS if there[name] == meant[name]}
        known = base if before is None else before
        self.model.base[one] = {name: (base if name in reached else known)[name] for name in FIELDS}

    def found(self) -> dict[str, Fields]:
        rows = self._state("target").live_objects(PRODUCTION, "function")
        return {row.config["name"]: {name: row.config[name] for name in FIELDS} for row in rows}

    @property
    def ids(self) -> dict[str, str]:
        rows = self._state("target").live_objects(PRODUCTION, "function")
        return {row.config["name"]: row.id for row in rows}


@given(steps=STEPS)
@LAW
def test_whatever_changes_after_a_kill_the_targets_own_changes_are_kept_and_only_what_both_changed_is_a_conflict(
    steps: list[tuple[Any, ...]],
) -> None:
    history = KilledHistory(Generation.NEWEST)
    for step in [*steps, ("clone", "target", True)]:
        history.play(step)
