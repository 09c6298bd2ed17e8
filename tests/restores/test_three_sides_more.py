"""Promotion with three sides: what is made again by hand, what is never guessed, and what `--take` may name."""

import pytest

from jitsu_backup.model import Key
from jitsu_backup.planning import ActionKind
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, key_named, promotion
from tests.support import PRODUCTION


@pytest.fixture
def cloned(request: pytest.FixtureRequest) -> Promotion:
    """Staging, cloned into production once."""
    made = promotion(getattr(request, "param", Generation.NEWEST))
    made.clone()
    return made


EACH = pytest.mark.parametrize("cloned", Generation, indirect=True, ids=lambda one: one.value)

OURS = Key("destination", "by-hand")


def made_by_hand(cloned: Promotion) -> Key:
    """Delete a destination of production and make another of its name; return the source's key."""
    key = key_named(cloned.snapshot(), "destination", "BigQuery")
    row = cloned.target.state.objects[cloned.id_in_target(key)]
    row.deleted = True
    cloned.target.state.add_object(PRODUCTION, *OURS, {**row.config, "project": "by-hand"})
    return key


@EACH
@pytest.mark.parametrize(
    "options",
    [
        {"mapping": (("destination/BigQuery", str(OURS)),)},
        {"match_by_name": True, "take": ("source:destination/BigQuery",)},
    ],
    ids=["map", "match-by-name"],
)
def test_what_the_target_made_again_by_hand_is_paired_on_request(
    cloned: Promotion, options: dict[str, object]
) -> None:
    key = made_by_hand(cloned)
    cloned.clone(**options)
    assert cloned.id_in_target(key) == OURS.id
    assert [e.key for e in cloned.live().of_type("destination") if e.name == "BigQuery"] == [OURS]
    cloned.silent_clone()


def test_what_stays_deleted_beside_a_namesake_is_told(cloned: Promotion) -> None:
    key = made_by_hand(cloned)
    plan = cloned.plan(match_by_name=True)
    assert [a.kind for a in plan.actions if a.key == key] == [ActionKind.SKIPPED]
    assert any(f"--map {key}={OURS} does" in note for note in plan.notes)
