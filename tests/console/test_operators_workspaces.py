"""The workspaces of a console, as a user's key lists them and the operator's token reads them."""

from collections.abc import Mapping
from typing import Any

import httpx
import orjson
import pytest

from jitsu_backup.console import Console
from jitsu_backup.console.workspaces import Workspaces, lives_there, workspaces
from jitsu_backup.errors import AccessError, BackupError, ConsoleError, KeyRejectedError, UnreachableError
from jitsu_backup.sandbox import Generation, Sandbox, default_state
from tests.support import FIXTURES, FakeTime, console_of, make_snapshot, run

TOKEN = "service:admintoken"
LIST, EXPORT, ME = "/api/workspace", "/api/admin/export/workspaces", "/api/me"


def recorded(file: str, name: str) -> httpx.Response:
    lines = orjson.loads((FIXTURES / file).read_bytes())["exchanges"]
    found = next(line for line in lines if line["name"] == name)["response"]
    return httpx.Response(found["status"], json=found["body"])


def answers(**more: httpx.Response) -> dict[str, httpx.Response]:
    """What a console answers the operator's token, as recorded, but for `more`."""
    return {
        LIST: recorded("recordings.json", "admin/workspace-list"),
        EXPORT: recorded("recordings-more.json", "admin/export-workspaces"),
        ME: recorded("recordings-more.json", "admin/me"),
    } | {{"listed": LIST, "export": EXPORT, "me": ME}[name]: answer for name, answer in more.items()}


def found(known: Mapping[str, httpx.Response]) -> Workspaces:
    time = FakeTime()

    async def ask() -> Workspaces:
        transport = httpx.MockTransport(lambda request: known[request.url.path])
        async with Console(
            "http://j.example", TOKEN, transport=transport, clock=time.clock, sleep=time.sleep
        ) as one:
            return await workspaces(one)

    listed: Workspaces = run(ask())
    return listed


def test_the_operators_token_reads_every_workspace_from_the_export() -> None:
    listed = found(answers())
    assert listed.is_operators
    assert [one.slug for one in listed.found] == ["acme-production", "acme-staging", "other-co"]


def test_an_exported_workspace_has_the_features_that_it_names_itself() -> None:
    # [admin/workspace-by-id] has none
    assert {tuple(one.body["featuresEnabled"]) for one in found(answers()).found} == {()}


def test_deleted_workspaces_are_left_out() -> None:
    lines = recorded("recordings-more.json", "admin/export-workspaces").json()
    lines[0]["deleted"] = True
    listed = found(answers(export=httpx.Response(200, json=lines)))
    assert [one.slug for one in listed.found] == ["acme-staging", "other-co"]


def test_a_users_key_lists_its_own_and_asks_for_no_export() -> None:
    listed = found({LIST: httpx.Response(200, json=[{"id": "w1", "slug": "one"}])})
    assert (listed.is_operators, [one.id for one in listed.found]) == (False, ["w1"])


LACKING = httpx.Response(500, json={"error": "Export workspaces not found"})
NO_ROUTE = httpx.Response(404, json={"error": "API route not found: /api/admin/export/workspaces"})
NO_OPERATOR = recorded("recordings.json", "admin/export-as-owner")
BROKEN_LIST = httpx.Response(500, json={"error": "Invalid `prisma.workspace.findMany()` invocation"})


@pytest.mark.parametrize(
    ("known", "kind", "told"),
    [
        (answers(export=LACKING), ConsoleError, "does not export them (Export workspaces not found); name each workspace, or give a"),
        (answers(export=NO_ROUTE), ConsoleError, "does not export them (API route not found"),
        (
            answers(export=httpx.Response(500, json={"error": "boom"})), ConsoleError,
            "because their export failed (boom); if it keeps failing, name each workspace, or give",
        ),
        (
            answers(export=httpx.Response(401, json={"message": "Invalid API key id service"})), KeyRejectedError,
            "rejects this key: Invalid API key id service",
        ),
        (
            answers(listed=BROKEN_LIST, export=NO_OPERATOR, me=recorded("recordings.json", "discovery/me")),
            ConsoleError, "cannot be listed (HTTP 500: Invalid `prisma",
        ),
        (
            answers(export=httpx.Response(200, content=b'[{"id": "w1"}, {"id"')),
            UnreachableError, "cannot be read with the operator's token: console http://j.example: the reply was truncated",
        ),
        (answers(export=httpx.Response(200, json={"id": "w1"})), UnreachableError, "does not answer like a Jitsu console"),
    ],
)  # fmt: skip
def test_what_cannot_be_listed_is_reported_plainly(
    known: dict[str, Any], kind: type[BackupError], told: str
) -> None:
    with pytest.raises(kind) as raised:
        found(known)
    assert told in str(raised.value)
    assert "admintoken" not in str(raised.value)


@pytest.mark.parametrize("generation", list(Generation))
def test_the_sandbox_exports_its_workspaces_whatever_its_generation(generation: Generation) -> None:
    state = default_state(generation=generation)
    gone = state.add_workspace("cgone0000000000000000009", "Gone", "gone-co", {})
    gone.deleted = True

    async def ask() -> Workspaces:
        async with console_of(Sandbox(state), key=TOKEN) as console:
            lines = await console.get(EXPORT)
            assert {line["slug"] for line in lines if line["deleted"]} == {"gone-co"}
            return await workspaces(console)

    listed = run(ask())
    assert listed.is_operators
    assert {one.slug for one in listed.found} == {"acme-staging", "acme-production"}


def lives(answer: httpx.Response) -> bool:
    time = FakeTime()

    async def ask() -> bool:
        transport = httpx.MockTransport(lambda _: answer)
        async with Console(
            "http://j.example", TOKEN, transport=transport, clock=time.clock, sleep=time.sleep
        ) as one:
            return await lives_there(one, make_snapshot({}))

    found: bool = run(ask())
    return found


@pytest.mark.parametrize("file", ["recordings.json", "recordings-2024.json"])
def test_a_workspace_that_is_closed_to_a_key_lives_there_and_a_rejected_key_tells_nothing(file: str) -> None:
    assert lives(recorded(file, "auth/no-access"))
    rejected = next(
        line["response"]
        for line in orjson.loads((FIXTURES / file).read_bytes())["exchanges"]
        if line["response"]["status"] == 401
    )
    with pytest.raises(AccessError):
        lives(httpx.Response(401, json=rejected["body"]))
