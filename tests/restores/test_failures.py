"""What fails is told, and harms nothing else."""

import asyncio
from typing import Any

import httpx
import pytest

from jitsu_backup.console.reader import Seen
from jitsu_backup.errors import ConsoleError
from jitsu_backup.model import MASK, Refusal as Unread, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import check_target
from jitsu_backup.planning import ActionKind, Ids, Overlay, PlanOptions
from jitsu_backup.sandbox import Sandbox, default_state
from jitsu_backup.sandbox.refusals import Refusal
from tests.restores.kit import IN_PLACE, OTHER, delete, plan_for, roll_back
from tests.support import (
    PRODUCTION,
    STAGING,
    carry_out,
    console_of,
    make_snapshot,
    prepare,
    read,
    restore,
    run,
    stand_ins,
)


def refuse(sandbox: Sandbox, object_id: str) -> None:
    """Let the console refuse an id that nobody can see."""
    sandbox.state.add_workspace("chidden", "Hidden", "hidden", {})
    sandbox.state.add_object("chidden", "stream", object_id, {"name": "Theirs"})


def test_what_is_refused_fails_alone_and_fail_fast_stops_there(before: Snapshot) -> None:
    for fail_fast in (False, True):
        target = Sandbox(default_state(), rate_limit=False)
        refuse(target, "acme-source")
        refuse(target, "image-0001")
        options = PlanOptions(ids=Ids.KEEP, allow_missing_secrets=True, overlay=Overlay())
        prepared = run(prepare(console_of(target, OTHER), PRODUCTION, before, options, lambda _: None))
        console = console_of(target, OTHER, concurrency=1)
        result = run(carry_out(console, prepared, lambda _: None, fail_fast=fail_fast))
        count = [o.status for o in result.outcomes].count
        assert count(Status.FAILED) == 1
        sent = [r.status for r in target.requests if r.method != "GET"]
        behind = len(sent) - next(at for at, status in enumerate(sent) if status >= 400) - 1
        assert (count(Status.NOT_ATTEMPTED) > 0) == fail_fast
        assert not fail_fast or behind <= 1  # what was under way beside it


def test_a_mask_is_never_sent_but_beside_a_clone_id(sandbox: Sandbox, before: Snapshot) -> None:
    delete(sandbox.state, "warehouse-0001")
    sent: list[dict[str, Any]] = []
    create = sandbox.objects.create

    def spy(workspace_id: str, type_name: str, body: Any) -> Any:
        sent.append(body)
        return create(workspace_id, type_name, body)

    sandbox.objects.create = spy  # type: ignore[method-assign]
    roll_back(sandbox, before)
    assert [(b["cloneId"], b["password"]) for b in sent if MASK in repr(b)] == [("warehouse-0001", MASK)]
    assert all("cloneId" in b or MASK not in repr(b) for b in sent)


def test_what_a_clone_id_gave_no_secret_is_connected_to_nothing_and_waits_for_it(
    sandbox: Sandbox, before: Snapshot
) -> None:
    """The console's database came from a dump older than the archive."""
    state = sandbox.state
    gone = [state.objects.pop(object_id) for object_id in ("warehouse-0001", "lake-0001")]
    delete(state, "clicks-0001")
    for link_id, link in list(state.links.items()):
        if link.to_id in {row.id for row in gone}:
            del state.links[link_id]
    result = roll_back(sandbox, before)
    failed = {o.action.key.id: o.reason for o in result.outcomes if o.status is Status.FAILED}
    assert failed.keys() == {"warehouse-0001", "lake-0001"}
    assert failed["warehouse-0001"].startswith("created without its secret password")
    live = {row.config["name"]: row.config for row in state.live_objects(STAGING, "destination")}
    assert "password" not in live["Warehouse"]
    assert live["ClickHouse"]["password"] == "ch-secret"
    connected = {row.to_id for row in state.live_links(STAGING)}
    assert not connected & {
        row.id
        for row in state.live_objects(STAGING, "destination")
        if row.config["name"] in ("Warehouse", "BigQuery")
    }
    rows = len(state.objects)
    blocked = {
        action.name for action in plan_for(sandbox, before).blocked if action.key.type == "destination"
    }
    assert blocked == {"Warehouse", "BigQuery"}
    again = roll_back(sandbox, before, overlay=stand_ins(before))
    assert [o for o in again.outcomes if o.status is not Status.DONE] == []
    assert {row.config["name"] for row in state.live_objects(STAGING, "destination")} == {
        "Alerts webhook", "ClickHouse", "Warehouse", "BigQuery",
    }  # fmt: skip
    assert len(state.objects) == rows  # no id was used up


class Slow(httpx.AsyncBaseTransport):
    """A network on which requests overlap."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.002)
        return await self.inner.handle_async_request(request)


def test_many_that_are_revived_at_once_share_the_lists_that_check_them(sandbox: Sandbox) -> None:
    for number in range(40):
        like = sandbox.state.objects["clicks-0001"].config
        config = {**like, "name": f"D{number}", "password": f"p{number}"}
        sandbox.state.add_object(STAGING, "destination", f"d-{number}", config)
    source = run(read(console_of(sandbox), STAGING))
    for number in range(40):
        delete(sandbox.state, f"d-{number}")
    sandbox.requests.clear()
    result = run(restore(lambda: console_of(sandbox, wrap=Slow), source, STAGING, **IN_PLACE))
    assert sum(o.action.kind is ActionKind.CREATE for o in result.outcomes) == 40
    restored = {
        row.config["password"]
        for row in sandbox.state.live_objects(STAGING, "destination")
        if row.config["name"].startswith("D")
    }
    assert restored == {f"p{number}" for number in range(40)}
    lists = [r for r in sandbox.requests if r.method == "GET" and r.path.endswith("/config/destination")]
    assert len(lists) < 20, len(lists)


def test_what_the_workspaces_plan_does_not_include_fails_alone(before: Snapshot) -> None:
    target = Sandbox(default_state(), rate_limit=False)
    upsert = target.links.upsert

    def gated(workspace_id: str, body: Any, **options: Any) -> Any:
        if "env-secret" in repr(body):
            raise Refusal(403, {"message": "It is available on the Enterprise plan. Contact sales."})
        return upsert(workspace_id, body, **options)

    target.links.upsert = gated  # type: ignore[method-assign]
    result = run(restore(lambda: console_of(target, OTHER), before))
    assert result.failure is None
    (failed,) = [o for o in result.outcomes if o.status is not Status.DONE]
    assert (failed.action.key.type, failed.status) == ("link", Status.FAILED)
    assert "Enterprise plan" in failed.reason
    assert len(list(target.state.live_links(PRODUCTION))) == 4


@pytest.mark.parametrize(
    ("what", "called"),
    [("cursor none", "sync cursors"), ("custom-image", "entities of type custom-image")],
)
def test_what_could_not_be_read_of_the_target_is_named_in_plain_words(what: str, called: str) -> None:
    live = make_snapshot({}, refused=(Unread(what, "no answer"),))
    with pytest.raises(ConsoleError, match=f"read completely: {called}: no answer$"):
        check_target(live, Seen())
