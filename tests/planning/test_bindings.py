"""What a plan that a reverse sync blocks says, and what it does not."""

import pytest

from jitsu_backup.planning import ActionKind, Plan, make_plan
from tests.planning.scenarios import SCENARIOS


def plan_of(name: str) -> Plan:
    scenario = SCENARIOS[name]()
    return make_plan(scenario.snapshot, scenario.live, scenario.options)


@pytest.mark.parametrize(
    "name",
    [
        "a_webhook_that_serves_one_that_only_the_target_has_is_not_shared",
        "a_webhooks_reverse_sync_that_stands_for_one_already_pairs_no_other",
        "of_two_new_reverse_syncs_to_one_webhook_one_is_made",
    ],
)
def test_a_sync_that_is_blocked_for_its_webhook_confirms_nothing_in_a_persons_name(name: str) -> None:
    plan = plan_of(name)
    (blocked,) = plan.blocked
    assert "a webhook serves only one reverse sync" in blocked.reason
    assert not [note for note in plan.notes if f"{blocked.name!r} confirms" in note]


@pytest.mark.parametrize(
    "name",
    [
        "one_of_two_reverse_syncs_on_a_model_is_in_the_way_of_rebinding",
        "a_reverse_sync_that_would_share_its_webhook_is_not_deleted_to_be_made_again",
    ],
)
def test_a_blocked_rebind_lists_no_deletion_of_a_sync_that_would_not_be_recreated(name: str) -> None:
    plan = plan_of(name)
    assert plan.blocked
    assert not [action for action in plan.actions if action.kind is ActionKind.DELETE]
    assert not [extra for extra in plan.extras if extra.key.type == "reverse-sync"]
