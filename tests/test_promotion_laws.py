"""Laws of promotion, over random histories of both sides, against a model of the table that says what becomes of a field."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.model import Key
from jitsu_backup.planning import Overlay
from jitsu_backup.sandbox import Generation, Sandbox, State, default_state
from tests import examples
from tests.promotions import Promotion
from tests.support import PRODUCTION, STAGING

LAW = settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
FIELDS = ("description", "code")
IDS = ("one", "two", "three")
SIDE = st.sampled_from(("source", "target", "both"))
STEP = st.one_of(
    st.tuples(st.just("edit"), SIDE, st.sampled_from(IDS), st.sampled_from(FIELDS), st.integers(1, 4)),
    st.tuples(st.just("delete"), st.sampled_from(("source", "target")), st.sampled_from(IDS)),
    st.tuples(st.just("clone"), st.sampled_from(("source", "target")), st.booleans()),
)
HISTORIES = st.lists(STEP, min_size=2, max_size=12)

Fields = dict[str, str]


@dataclass
class Model:
    """What each side holds by id, and what the last clone left; None for what a side has deleted."""

    source: dict[str, Fields | None] = field(default_factory=dict)
    target: dict[str, Fields | None] = field(default_factory=dict)
    base: dict[str, Fields] = field(default_factory=dict)

    def conflicts(self) -> set[tuple[str, str]]:
        """The fields that both sides changed, differently."""
        return {
            (one, name)
            for one, base in self.base.items()
            for name in FIELDS
            if (mine := self.source.get(one)) is not None and (theirs := self.target.get(one)) is not None
            if mine[name] != theirs[name] and base[name] not in (mine[name], theirs[name])
        }

    def clone(self, take: str, *, prune: bool) -> None:
        """Do what a clone is to do, where every conflict is settled by `take` for its field."""
        for one in IDS:
            mine, theirs, base = self.source.get(one), self.target.get(one), self.base.get(one)
            if mine is None:
                if base is not None and prune and theirs is not None:
                    if theirs == base or take == "source":
                        self.target[one] = None
                    del self.base[one]  # settled: what is left is the target's own
                elif base is not None and theirs is None:
                    del self.base[one]
                continue
            if base is None:
                assert theirs is None
                self.target[one], self.base[one] = dict(mine), dict(mine)
            elif theirs is not None:
                settled = {name: self._settled(mine[name], theirs[name], base[name], take) for name in FIELDS}
                self.target[one], self.base[one] = settled, dict(mine)

    @staticmethod
    def _settled(mine: str, theirs: str, base: str, take: str) -> str:
        if theirs == base:
            return mine
        if mine == base:
            return theirs
        return mine if take == "source" else theirs


class History:
    """A history that is played on two workspaces and on the model."""

    def __init__(self, generation: Generation) -> None:
        states = [default_state(generation=generation) for _ in range(2)]
        self.made = Promotion(*(Sandbox(state, rate_limit=False) for state in states))
        self.model = Model()
        for one in IDS:
            fields = {"description": f"{one} 0", "code": f"// {one} 0"}
            states[0].add_object(STAGING, "function", one, {"name": one, **fields})
            self.model.source[one] = fields
        self.clone("source", prune=False)

    def play(self, step: tuple[Any, ...]) -> None:
        kind, *rest = step
        if kind == "clone":
            take, prune = rest
            self.clone(take, prune=prune)
        else:
            sides = ("source", "target") if rest[0] == "both" else (rest[0],)
            for side in sides:
                self._change(kind, side, *rest[1:])

    def _change(self, kind: str, side: str, one: str, name: str = "", number: int = 0) -> None:
        held: dict[str, Fields | None] = getattr(self.model, side)
        fields = held.get(one)
        if fields is None:
            return
        row = self._state(side).objects[self.ids[one] if side == "target" else one]
        if kind == "delete":
            row.deleted, held[one] = True, None
        else:
            fields[name] = row.config[name] = f"// {one} {number}"
            row.updated_at = self._state(side).now()

    def clone(self, take: str, *, prune: bool) -> None:
        conflicts = self.model.conflicts()
        options: dict[str, Any] = {"overlay": Overlay(), "prune": prune, "accept_shrink": True}
        plan = self.made.plan(**options)
        assert {(a.name, path) for a in plan.blocked for path in a.conflicts} == conflicts
        unsettled = {a.name for a in plan.blocked if not a.conflicts}
        assert unsettled == self._changed_and_deleted() if prune else not unsettled
        settle = [f"{take}:function/{one}:{name}" for one, name in sorted(conflicts)]
        settle += [f"{take}:function/{one}" for one in sorted(unsettled)]
        self.made.clone(**options, take=tuple(settle))
        self.model.clone(take, prune=prune)
        self.check()
        self.made.silent_clone(**options)
        self.check()

    def _changed_and_deleted(self) -> set[str]:
        model = self.model
        return {
            one
            for one, base in model.base.items()
            if model.source.get(one) is None and model.target.get(one) not in (None, base)
        }

    def check(self) -> None:
        """The target holds what the model says."""
        found = {
            row.config["name"]: {name: row.config[name] for name in FIELDS}
            for row in self._state("target").live_objects(PRODUCTION, "function")
        }
        assert found == {one: fields for one, fields in self.model.target.items() if fields is not None}

    @property
    def ids(self) -> dict[str, str]:
        return {
            one: self.made.id_in_target(Key("function", one)) for one in IDS if self.model.target.get(one)
        }

    def _state(self, side: str) -> State:
        return self.made.source.state if side == "source" else self.made.target.state


@pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)
@given(steps=HISTORIES)
@LAW
def test_a_clone_does_what_the_table_says_and_a_second_one_writes_nothing(
    generation: Generation, steps: list[tuple[Any, ...]]
) -> None:
    history = History(generation)
    for step in [*steps, ("clone", "target", True)]:
        history.play(step)


@given(steps=HISTORIES)
@LAW
def test_taking_the_source_ends_as_a_clone_with_two_sides(steps: list[tuple[Any, ...]]) -> None:
    history = History(Generation.NEWEST)
    for step in steps:
        history.play(step)
    history.made.clone(overlay=Overlay(), take=("source",))
    found = {
        row.config["name"]: {name: row.config[name] for name in FIELDS}
        for row in history.made.target.state.live_objects(PRODUCTION, "function")
    }
    wanted = {one: fields for one, fields in history.model.source.items() if fields is not None}
    assert {one: found[one] for one in wanted} == wanted
