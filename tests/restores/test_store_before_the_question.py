"""A store that was read for the plan is not listed again before the question."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from jitsu_backup.cli.applying import ApplyJob, _has_read_store
from jitsu_backup.planning import PlanOptions
from tests.support import make_snapshot

RECORD = make_snapshot({})


@pytest.mark.parametrize(
    ("options", "job", "read"),
    [
        (PlanOptions(record=RECORD), {}, True),
        (PlanOptions(emptied=RECORD), {}, True),
        (PlanOptions(), {"undoes": "a run"}, True),
        (PlanOptions(), {}, False),
        (PlanOptions(record=RECORD), {"folder": "its archive may stand beside it"}, False),
    ],
)
def test_only_a_plan_without_anything_of_the_store_needs_another_listing(
    options: PlanOptions, job: dict[str, Any], read: bool
) -> None:
    known = SimpleNamespace(**{"folder": None, "undoes": None, **job})
    assert _has_read_store(cast("ApplyJob", known), options) is read
