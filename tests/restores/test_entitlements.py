"""A restore asks what the target's subscription includes, and leaves out what it does not."""

from collections.abc import Coroutine
from typing import Any

import httpx
import pytest

from jitsu_backup.console import Console
from jitsu_backup.events import silent
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import PlanOptions
from jitsu_backup.sandbox import Sandbox, default_state
from tests.restores.kit import OTHER
from tests.support import (
    PRODUCTION,
    Meddling,
    console_of,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

ROUTE = f"/api/{PRODUCTION}/entitlements"
NOTHING = {"customDomains": False, "identityStitching": False}
LEFT_OUT = [
    ("domain", "", "your Jitsu subscription does not include custom domains"),
    ("link", "data.functions", "your Jitsu subscription does not include identity stitching"),
    ("stream", "domains",
     "domain data.acme.example cannot be added: your Jitsu subscription does not include custom domains"),
]  # fmt: skip
GATED = (b"data.acme.example", b"track.acme.example", b"user-recognition")


class Subscription:
    """A console with a billing service: it tells what is included, and refuses all else."""

    def __init__(self, status: int, answer: Any) -> None:
        self.reply, self.asked = httpx.Response(status, json=answer), 0
        self.gated = answer == NOTHING

    def __call__(self, _number: int, request: httpx.Request) -> httpx.Response | None:
        if request.url.path == ROUTE:
            self.asked += 1
            return self.reply
        if request.method != "GET" and self.gated and any(word in request.content for word in GATED):
            return httpx.Response(403, json={"message": "It is available on the Enterprise plan."})
        return None

    def restore(self, target: Sandbox, snapshot: Snapshot) -> Result:
        def wrap(inner: httpx.AsyncBaseTransport) -> Meddling:
            return Meddling(inner, self)

        result = run(restore(lambda: console_of(target, OTHER, wrap=wrap), snapshot))
        assert isinstance(result, Result)
        return result


@pytest.fixture
def target() -> Sandbox:
    return Sandbox(default_state(), rate_limit=False)


def found(result: Result) -> list[tuple[str, str, str]]:
    return sorted((one.key.type, one.path, one.reason) for one in result.found)


def test_what_is_not_included_is_left_out_and_reported_and_never_refused(
    before: Snapshot, target: Sandbox
) -> None:
    subscription = Subscription(200, NOTHING)
    result = subscription.restore(target, before)
    assert {outcome.status for outcome in result.outcomes} == {Status.DONE}
    assert found(result) == LEFT_OUT
    assert subscription.asked == 1
    assert len([*target.state.live_objects(PRODUCTION, "stream")]) == 3


def test_a_second_run_writes_nothing_and_tells_the_same(before: Snapshot, target: Sandbox) -> None:
    subscription = Subscription(200, NOTHING)
    subscription.restore(target, before)
    sent = writes(target)
    again = subscription.restore(target, before)
    assert writes(target) == sent
    assert found(again) == LEFT_OUT


def test_a_run_that_finds_everything_in_place_asks_the_workspace_what_a_backup_asks(
    before: Snapshot, target: Sandbox
) -> None:
    def asked(job: Coroutine[Any, Any, object]) -> list[str]:
        target.requests.clear()
        run(job)
        return sorted(r.path for r in target.requests if r.path.startswith(f"/api/{PRODUCTION}/"))

    options = PlanOptions(overlay=stand_ins(before))
    assert ROUTE in asked(prepare(console_of(target, OTHER), PRODUCTION, before, options, silent))
    run(restore(lambda: console_of(target, OTHER), before))
    again = asked(prepare(console_of(target, OTHER), PRODUCTION, before, options, silent))
    assert again == asked(read(console_of(target, OTHER), PRODUCTION))


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"customDomains": True, "identityStitching": True}),
        (200, {"customDomains": None, "identityStitching": None}),
        (404, {"message": "API route not found"}),
        (403, {"message": "User u-owner doesn't have access to workspace"}),
    ],
)
def test_what_is_included_or_not_known_is_restored_whole(
    status: int, answer: Any, before: Snapshot, target: Sandbox
) -> None:
    assert found(Subscription(status, answer).restore(target, before)) == []


def test_custom_domains_are_copied_where_a_feature_of_the_workspace_grants_them(
    before: Snapshot, target: Sandbox
) -> None:
    described = {"id": PRODUCTION, "slug": "acme-production", "name": "Acme", "featuresEnabled": ["misc"]}

    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        told = {ROUTE: NOTHING, f"/api/workspace/{PRODUCTION}": described}.get(request.url.path)
        return None if told is None else httpx.Response(200, json=told)

    def console() -> Console:
        return console_of(target, OTHER, wrap=lambda inner: Meddling(inner, answer))

    assert [key for key, _, _ in found(run(restore(console, before)))] == ["link"]
