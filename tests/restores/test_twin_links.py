"""Links of equal ends and equal data: an earlier run has made what is chosen, and a second run makes it no more."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox, default_state
from tests import examples
from tests.restores.kit import roll_back
from tests.support import STAGING, console_of, read, run, writes

HOURLY, DAILY = {"schedule": "0 * * * *"}, {"schedule": "0 0 * * *"}
NEW, FIRST, SECOND = None, {"users": '{"at":1}'}, {"users": '{"at":2}'}
WIDER = {**SECOND, "orders": '{"at":3}'}
Twin = tuple[dict[str, Any], dict[str, str] | None]


def with_twins(twins: Iterable[Twin]) -> tuple[Sandbox, Snapshot, list[str]]:
    """A workspace of syncs between the same ends, each with its data and cursors; their ids, in the order of their age."""
    state = default_state()
    state.add_object(STAGING, "service", "crm-0001", {"name": "CRM", "package": "a/b", "version": "1"})
    state.add_object(
        STAGING, "destination", "db-0001", {"name": "DB", "destinationType": "webhook", "url": "http://x"}
    )
    ids = []
    for age, (data, cursors) in enumerate(twins):
        ids.append(state.add_link(STAGING, "sync", "crm-0001", "db-0001", data, f"twin-{age}").id)
        if cursors is not None:
            state.sync_states[ids[-1]] = dict(cursors)
    sandbox = Sandbox(state, rate_limit=False)
    return sandbox, run(read(console_of(sandbox), STAGING)), ids


def there(sandbox: Sandbox) -> dict[str, Any]:
    """What the syncs that are there have read, by the syncs' ids."""
    state = sandbox.state
    return {
        link.id: {name: json.loads(text) for name, text in state.sync_states.get(link.id, {}).items()}
        for link in state.links.values()
        if not link.deleted
    }


def remove(sandbox: Sandbox, ids: Iterable[str]) -> None:
    for one in ids:
        del sandbox.state.links[one]
        sandbox.state.sync_states.pop(one, None)


@pytest.mark.parametrize("cursors", [True, False], ids=["", "no-cursors"])
@pytest.mark.parametrize("older", [NEW, FIRST, SECOND, WIDER], ids=["new", "first", "second", "wider"])
@pytest.mark.parametrize("choice", ["only", "skip"])
def test_a_chosen_sync_is_made_once_though_an_older_one_is_its_twin(
    choice: str, older: dict[str, str] | None, cursors: bool
) -> None:
    sandbox, before, ids = with_twins([(HOURLY, older), (HOURLY, SECOND)])
    remove(sandbox, ids)
    options: dict[str, Any] = {choice: (f"link/{ids[choice == 'only']}",), "cursors": cursors}
    assert roll_back(sandbox, before, **options).found == []
    (made,) = there(sandbox)
    sandbox.requests.clear()
    again = roll_back(sandbox, before, **options)
    assert (again.found, writes(sandbox), list(there(sandbox))) == ([], 0, [made])


def test_a_twin_that_an_earlier_run_made_without_its_cursors_gets_them_and_is_not_recreated() -> None:
    sandbox, before, ids = with_twins([(HOURLY, NEW), (HOURLY, SECOND)])
    remove(sandbox, ids)
    roll_back(sandbox, before, only=(f"link/{ids[1]}",))
    sandbox.state.sync_states.clear()  # it was stopped before it could put them
    (made,) = there(sandbox)
    assert roll_back(sandbox, before, only=(f"link/{ids[1]}",)).found == []
    assert [*there(sandbox)] == [made]
    assert [*there(sandbox)[made]] == ["users"]


def test_a_twin_that_has_read_as_far_as_another_one_is_that_one() -> None:
    sandbox, before, ids = with_twins([(HOURLY, FIRST), (HOURLY, SECOND)])
    remove(sandbox, ids)
    roll_back(sandbox, before, only=(f"link/{ids[1]}",))
    (made,) = there(sandbox)
    assert roll_back(sandbox, before).found == []
    assert there(sandbox)[made] == {"users": {"at": 2}}
    assert sorted(read["users"]["at"] for read in there(sandbox).values()) == [1, 2]


def test_the_other_twin_stays_what_it_is_when_one_is_chosen() -> None:
    """It has other data, or has read from another place: nothing tells that it was made for the chosen one."""
    for other in ((DAILY, NEW), (HOURLY, FIRST)):
        sandbox, before, ids = with_twins([other, (HOURLY, SECOND)])
        remove(sandbox, ids)
        roll_back(sandbox, before, only=(f"link/{ids[0]}",))
        (made,) = there(sandbox)
        kept = sandbox.state.links[made].data
        roll_back(sandbox, before, only=(f"link/{ids[1]}",))
        assert len(there(sandbox)) == 2
        assert sandbox.state.links[made].data == kept


TWINS = st.tuples(st.sampled_from([HOURLY, DAILY]), st.sampled_from([NEW, FIRST, SECOND, WIDER]))


@given(
    st.lists(TWINS, min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
    st.sets(st.integers(0, 3)),
    st.sampled_from(["only", "skip"]),
    st.booleans(),
)
@settings(max_examples=examples(25), suppress_health_check=list(HealthCheck))
def test_any_choice_of_any_twins_writes_once_whichever_are_there(
    twins: list[Twin], missing: set[int], named: set[int], choice: str, cursors: bool
) -> None:
    sandbox, before, ids = with_twins(twins)
    remove(sandbox, {ids[n % len(ids)] for n in missing})
    options = {choice: tuple(f"link/{ids[n % len(ids)]}" for n in sorted(named)), "cursors": cursors}
    assert roll_back(sandbox, before, **options).found == []
    after = there(sandbox)
    sandbox.requests.clear()
    again = roll_back(sandbox, before, **options)
    assert (again.found, writes(sandbox), there(sandbox)) == ([], 0, after)
