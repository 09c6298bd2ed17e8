"""The operator's export of reverse syncs fills secrets, and where it cannot be read, that is told."""

from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest

from jitsu_backup.console import Console
from jitsu_backup.console.admin_exports import Exports, missed_secrets, read_exports, secrets_of
from jitsu_backup.errors import UnreachableError
from jitsu_backup.model import MASK, Key, MaskedField
from tests.support import FIXTURES, STAGING, FakeTime, make_snapshot, run

RECORDED = {
    exchange["name"]: exchange["response"]["body"]
    for exchange in orjson.loads((FIXTURES / "recordings-newest.json").read_bytes())["exchanges"]
}
EXPORT = RECORDED["admin/export-reverse-syncs"]
LACKING = httpx.Response(500, json={"error": "Export reverse-syncs not found", "details": "x"})


def console(export: Any, time: FakeTime, **options: Any) -> Console:
    """A console whose only export with entries is that of reverse syncs, answered by `export`."""

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/reverse-syncs"):
            return httpx.Response(200, json=[])
        found = export(request) if callable(export) else export
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    return Console(
        "http://jitsu.example", "service:admintoken", transport=httpx.MockTransport(answer), clock=time.clock,
        sleep=time.sleep, **options,
    )  # fmt: skip


def exports_of(export: Any, **options: Any) -> Exports:
    found: Exports = run(read_exports(console(export, FakeTime(), **options)))
    return found


WAREHOUSE = {"name": "Warehouse", "destinationType": "postgres", "password": MASK}
HOOK = {"name": "Hook", "destinationType": "webhook", "signatureSecret": MASK}


def test_secrets_of_the_warehouse_and_of_the_destination_of_a_reverse_sync_are_filled() -> None:
    signed = [
        {**EXPORT[0], "toId": "hook", "destination": {**EXPORT[0]["destination"], "signatureSecret": "sgn"}}
    ]
    ours = make_snapshot({"destination": [{"id": "wh-pg", **WAREHOUSE}, {"id": "hook", **HOOK}]})
    assert secrets_of(exports_of(signed), ours) == {
        Key("destination", "hook"): {"signatureSecret": "sgn"},
        Key("destination", "wh-pg"): {"password": "whsecret"},
    }


def test_only_what_the_console_masks_and_only_of_the_own_workspace_is_taken() -> None:
    ours = make_snapshot({"destination": [{"id": "wh-pg", **WAREHOUSE}]})
    assert ours.manifest.ledger == (MaskedField("destination", "wh-pg", "password"),)
    assert EXPORT[0]["workspaceId"] == STAGING
    assert secrets_of(exports_of([{**EXPORT[0], "workspaceId": "another"}]), ours) == {}
    in_clear = make_snapshot({"destination": [{"id": "wh-pg", **WAREHOUSE, "password": "seen"}]})
    assert secrets_of(exports_of(EXPORT), in_clear) == {}


@pytest.mark.parametrize(
    "entry", [{}, {"model": None, "warehouse": [1], "toId": 5}, {"model": {"warehouseId": "wh-pg"}}]
)
def test_an_entry_of_another_shape_fills_nothing(entry: dict[str, Any]) -> None:
    ours = make_snapshot({"destination": [{"id": "wh-pg", **WAREHOUSE}]})
    assert secrets_of(exports_of([{"workspaceId": STAGING, **entry}]), ours) == {}


def test_a_console_that_lacks_the_export_is_not_complained_of() -> None:
    absent = httpx.Response(404, json={"error": "API route not found: /api/admin/export/reverse-syncs"})
    for lacking in (LACKING, absent):
        exports = exports_of(lacking)
        assert (exports.reverse_syncs, exports.unread) == ([], "")


def test_an_export_that_a_broken_sync_cuts_short_is_reported_and_no_failure_and_nobody_waits_for_it() -> None:
    asked: list[httpx.Request] = []

    def cut(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=orjson.dumps(EXPORT)[:-1] + b"Internal Server Error")

    exports = exports_of(cut, retry_for=3600.0)
    assert (exports.reverse_syncs, exports.unread) == ([], "the reply was truncated or is not JSON")
    assert len(asked) == 3


def test_an_export_that_is_refused_is_reported_without_secrets() -> None:
    refused = httpx.Response(
        500, json={"error": [{"code": "invalid_literal", "path": ["version"], "received": "whsecret"}]}
    )
    assert exports_of(refused).unread == "Invalid settings (version: invalid literal)"


def test_only_the_secrets_of_reverse_syncs_are_missed_because_of_that() -> None:
    unread = exports_of(httpx.Response(200, content=b'[{"id": 1'))
    model = {"id": "m", "name": "Users", "warehouseId": "wh"}
    sync = {"id": "r", "fromId": "m", "toId": "hook", "type": "reverse-sync"}
    other = {"id": "other", "name": "Other", "password": MASK}
    destinations = [{"id": "wh", **WAREHOUSE}, {"id": "hook", **HOOK}, other]
    mine = make_snapshot({"destination": destinations, "model": [model], "reverse-sync": [sync]})
    assert missed_secrets(unread, mine) == (
        MaskedField("destination", "hook", "signatureSecret"), MaskedField("destination", "wh", "password"),
    )  # fmt: skip
    hashed = replace(mine, secrets={Key("destination", name): {path: "x"} for name, path in (
        ("wh", "password"), ("hook", "signatureSecret"))})  # fmt: skip
    assert missed_secrets(unread, hashed) == ()
    assert missed_secrets(unread, make_snapshot({"destination": destinations})) == ()
    assert missed_secrets(exports_of([]), mine) == ()


def test_a_console_that_is_away_for_every_export_is_a_failure() -> None:
    down = httpx.MockTransport(lambda _: httpx.Response(502, text="Bad Gateway"))
    time = FakeTime()
    client = Console(
        "http://jitsu.example", "service:admintoken", transport=down, clock=time.clock, sleep=time.sleep
    )
    with pytest.raises(UnreachableError, match="502"):
        run(read_exports(client))
