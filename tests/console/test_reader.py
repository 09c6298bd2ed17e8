"""Reading is complete, or says loudly what is missing."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from jitsu_backup.archive import decode, encode
from jitsu_backup.console import Console
from jitsu_backup.model import MASK
from jitsu_backup.sandbox import Sandbox, running
from tests.support import (
    ANALYST,
    OWNER,
    STAGING,
    FakeTime,
    Meddling,
    cli,
    console_of,
    example_sandbox,
    read,
    run,
)


def meddled(sandbox: Sandbox, meddle: Any) -> Console:
    return console_of(sandbox, wrap=lambda inner: Meddling(inner, meddle))


def test_a_slug_never_reaches_a_config_route() -> None:
    sandbox = example_sandbox()
    assert run(read(console_of(sandbox), "acme-staging")).manifest.counts["stream"] == 3
    assert not any("/acme-staging/config" in request.path for request in sandbox.requests)


def test_what_changes_while_it_is_read_is_read_again_until_nothing_does() -> None:
    sandbox = example_sandbox()
    changes = 0

    def change(_number: int, request: httpx.Request) -> None:
        nonlocal changes
        if request.headers.get("if-none-match") and changes < 2 and request.url.path.endswith("/function"):
            changes += 1
            sandbox.state.add_object(STAGING, "function", f"late-{changes}", {"name": "Late", "code": "x"})

    snapshot = run(read(meddled(sandbox, change), "acme-staging"))
    assert snapshot.manifest.counts["function"] == 5
    assert snapshot.manifest.consistent
    assert snapshot.manifest.complete


def test_a_sync_that_goes_away_while_its_cursors_are_read_is_not_kept_without_them() -> None:
    sandbox = example_sandbox()
    sync_id = next(iter(sandbox.state.sync_states))
    answered: list[httpx.Request] = []

    def delete(_number: int, request: httpx.Request) -> httpx.Response | None:
        if request.url.params.get("syncId") == sync_id:
            sandbox.state.links[sync_id].deleted = True
        again = request.headers.get("if-none-match") and request.url.path.endswith("/link")
        if again and not answered:  # the list answers a moment before that
            answered.append(request)
            return httpx.Response(304)
        return None

    snapshot = run(read(meddled(sandbox, delete), "acme-staging"))
    assert snapshot.manifest.complete
    assert sync_id not in {link.key.id for link in snapshot.of_type("link")}


def test_cursors_that_something_before_the_console_has_not_found_are_missing_not_absent() -> None:
    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(404, text="default backend - 404") if "syncId" in request.url.params else None

    manifest = run(read(meddled(example_sandbox(), answer), "acme-staging")).manifest
    assert not manifest.complete
    assert "sync-cursor" not in manifest.not_offered


@pytest.mark.parametrize(
    "reply",
    [httpx.Response(500, json={"error": "x is not a function"}), httpx.Response(200, json={"status": "ok"})],
)
def test_without_the_consoles_index_of_types_a_snapshot_is_incomplete(reply: httpx.Response) -> None:
    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        return reply if request.url.path == "/api/schema" else None

    manifest = run(read(meddled(example_sandbox(), answer), "acme-staging")).manifest
    assert [refusal.what for refusal in manifest.refused] == ["index of types"]
    assert not manifest.complete


def test_what_never_stops_changing_is_marked_inconsistent_and_incomplete() -> None:
    sandbox = example_sandbox()

    def change(number: int, request: httpx.Request) -> None:
        if request.headers.get("if-none-match") and request.url.path.endswith("/function"):
            sandbox.state.add_object(STAGING, "function", f"late-{number}", {"name": "Late", "code": "x"})

    snapshot = run(read(meddled(sandbox, change), "acme-staging"))
    assert not snapshot.manifest.consistent
    assert not snapshot.manifest.complete


def test_a_refused_type_makes_an_incomplete_archive_that_says_so_and_code_3(tmp_path: Path) -> None:
    sandbox = example_sandbox()
    inner = sandbox.app

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/config/misc"):
            start = {
                "type": "http.response.start",
                "status": 403,
                "headers": [(b"content-type", b"application/json")],
            }
            await send(start)
            await send(
                {"type": "http.response.body", "body": b'{"message": "User x doesn\'t have permission"}'}
            )
        else:
            await inner(scope, receive, send)

    sandbox.app = refusing  # type: ignore[assignment]
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        done = cli("backup", "acme-staging", "--json", env=env, cwd=tmp_path)
        assert done.returncode == 3, done.stderr
        (snapshot,) = json.loads(done.stdout)["snapshots"]
        assert not snapshot["complete"]
        assert [refusal["what"] for refusal in snapshot["refused"]] == ["misc"]
        assert ".incomplete.json.gz" in snapshot["archive"]
        assert cli("verify", "latest", cwd=tmp_path).returncode == 3


def test_an_analyst_reads_everything_but_finds_environments_masked_and_in_the_ledger() -> None:
    snapshot = run(read(console_of(example_sandbox(), key=ANALYST), "acme-staging"))
    assert snapshot.manifest.complete
    assert snapshot.manifest.source.role == "analyst"
    assert any(line.path == "data.functionsEnv.API_TOKEN" for line in snapshot.manifest.ledger)
    assert any(MASK in repr(dict(link.body)) for link in snapshot.of_type("link"))


def test_the_operators_token_reads_a_workspace_too() -> None:
    snapshot = run(read(console_of(example_sandbox(), key="service:admintoken"), "acme-staging"))
    assert snapshot.manifest.complete
    assert snapshot.manifest.counts["stream"] == 3


def test_three_round_trips_are_enough_when_nothing_changes() -> None:
    sandbox = example_sandbox()
    run(read(console_of(sandbox), "acme-staging"))
    paths = [request.path for request in sandbox.requests]
    lists = [path for path in paths if "/config/" in path]
    assert len(lists) == 2 * 10
    assert (
        len(paths) == 4 + 4 + len(lists) + 2
    )  # resolve, schema, version, me; users, three sections; cursors


@respx.mock
def test_a_console_without_schema_index_or_sync_state_is_read_all_the_same() -> None:
    base = "https://old.example"
    respx.get(f"{base}/api/workspace/ws").respond(json={"id": "w1", "slug": "ws", "name": "Old"})
    sync = {"id": "l1", "type": "sync", "fromId": "s", "toId": "d", "workspaceId": "w1"}
    respx.get(f"{base}/api/w1/config/link").respond(json={"links": [sync]})
    for known in ("stream", "destination", "function", "service"):
        respx.get(f"{base}/api/w1/config/{known}").respond(json={"objects": []})
    respx.get(f"{base}/api/w1/config/profile-builder").respond(json={"profileBuilders": []})
    for unknown in ("custom-image", "domain", "misc", "model", "notification"):
        error = {"error": f"Unknown config object type {unknown}", "details": "x", "stackArray": ["x"]}
        respx.get(f"{base}/api/w1/config/{unknown}").respond(500, json=error)
    respx.route().respond(404, json={"error": "API route not found: /x"})
    time = FakeTime()
    console = Console(base, OWNER, sleep=time.sleep, clock=time.clock)
    snapshot = run(read(console, "ws"))
    assert snapshot.manifest.complete
    assert snapshot.manifest.not_offered == (
        *("custom-image", "domain", "misc", "model", "notification", "reverse-sync", "sync-cursor"),
    )
    assert snapshot.manifest.counts["link"] == 1


@pytest.mark.parametrize("odd", ['"x":' + "[" * 300 + "]" * 300, '"x":"\\ud800"', '"\\udfff":1'])
def test_what_no_archive_can_hold_is_left_out_by_name_and_the_rest_is_kept(odd: str) -> None:
    body = f'{{"objects": [{{"id": "odd", {odd}}}, {{"id": "even", "code": "x"}}]}}'

    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        ours = request.url.path.endswith("/function")
        return (
            httpx.Response(200, content=body, headers={"content-type": "application/json"}) if ours else None
        )

    snapshot = run(read(meddled(example_sandbox(), answer), STAGING))
    assert [entity.key.id for entity in snapshot.entities if entity.key.type == "function"] == ["even"]
    assert [refusal.what for refusal in snapshot.manifest.refused] == ["function/odd"]
    assert snapshot.manifest.counts["stream"] == 3
    assert not snapshot.manifest.complete
    assert decode(encode(snapshot)).entities == snapshot.entities


def test_an_index_of_more_types_than_can_be_asked_for_is_refused() -> None:
    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        index = {"schemas": [{"type": f"t{number}"} for number in range(1001)]}
        return httpx.Response(200, json=index) if request.url.path == "/api/schema" else None

    sandbox = example_sandbox()
    snapshot = run(read(meddled(sandbox, answer), STAGING))
    assert [refusal.what for refusal in snapshot.manifest.refused] == ["index of types"]
    assert len(sandbox.requests) < 100
