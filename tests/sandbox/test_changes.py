"""What the sandbox tells of changes, and what its operator's token and odd paths do: each test is a law."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jitsu_backup.sandbox import Generation, Sandbox, State, default_state, example_workspace
from tests.sandbox.test_console import ADMIN, ANALYST, POSTGRES, PRODUCTION, STAGING, Caller

AGES_AGO = "2020-01-01T00:00:00.000Z"


class Clock:
    """Moves a second with every call of it, so that no two changes share a moment; sleeping moves it too."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
        self.slept: list[float] = []
        self.at_wake = lambda: None

    def __call__(self) -> float:
        self.now += 1
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_wake()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def call(clock: Clock) -> Caller:
    state = default_state(clock)
    example_workspace(state, STAGING)
    return Caller(Sandbox(state, rate_limit=False, clock=clock, sleep=clock.sleep))


def listen(call: Caller, since: str = AGES_AGO, wait: int | str = 0, **more: Any) -> httpx.Response:
    return call("GET", f"/api/{STAGING}/listen?ifModifiedSince={since}&maxWaitMs={wait}", **more)


def changed(call: Caller) -> str:
    """When the console says that the workspace last changed."""
    moment: str = listen(call).json()["lastModified"]
    return moment


def later(moment: str, **delta: int) -> str:
    iso = (datetime.fromisoformat(moment) + timedelta(**delta)).isoformat(timespec="milliseconds")
    return iso.replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"/api/{STAGING}/config/destination", POSTGRES),
        ("PUT", f"/api/{STAGING}/config/function/enrich-0001", {}),
        ("DELETE", f"/api/{STAGING}/config/function/enrich-0001", None),
        (
            "POST",
            f"/api/{STAGING}/config/link",
            {"fromId": "web-0001", "toId": "warehouse-0001", "id": "any"},
        ),
        ("DELETE", f"/api/{STAGING}/config/link?fromId=web-0001&toId=warehouse-0001", None),
        ("DELETE", f"/api/{STAGING}/config/destination/warehouse-0001?cascade=true", None),
        ("PUT", f"/api/workspace/{STAGING}", {"name": "Acme", "slug": "acme-staging"}),
    ],
)
def test_every_change_of_an_object_a_link_or_the_workspace_is_heard(
    call: Caller, method: str, path: str, body: Any
) -> None:
    before = changed(call)
    assert listen(call, later(before, milliseconds=1)).status_code == 304
    assert call(method, path, body).status_code == 200
    assert listen(call, later(before, milliseconds=1)).status_code == 200
    assert changed(call) > before


def test_another_workspace_and_a_cursor_are_not_heard(call: Caller, clock: Clock) -> None:
    before = changed(call)
    sync = next(row.id for row in call.sandbox.state.links.values() if row.type == "sync")
    call("POST", f"/api/{STAGING}/sources/state?syncId={sync}&stream=a", {"cursor": 1})
    call("POST", f"/api/{PRODUCTION}/config/destination", POSTGRES)
    assert changed(call) == before


def test_a_quiet_workspace_is_waited_for_once_and_what_comes_meanwhile_is_reported(
    call: Caller, clock: Clock
) -> None:
    since = later(changed(call), hours=1)
    assert listen(call, since, wait=2500).status_code == 304
    assert call("GET", f"/api/{STAGING}/listen?ifModifiedSince={since}").status_code == 304
    assert clock.slept == [2.5, 10.0]
    row = call.sandbox.state.objects["enrich-0001"]
    clock.at_wake = lambda: setattr(row, "updated_at", since)  # type: ignore[assignment]
    assert listen(call, since, wait=1).json()["lastModified"] == since


def test_listening_takes_the_date_from_a_header_too(call: Caller) -> None:
    path = f"/api/{STAGING}/listen?maxWaitMs=0"
    for date, status in (
        ("Wed, 01 Jan 2020 00:00:00 GMT", 200),
        (AGES_AGO, 200),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 304),
    ):
        assert call("GET", path, headers={"If-Modified-Since": date}).status_code == status
    wrong = call("GET", path, headers={"If-Modified-Since": "yesterday"})
    assert (wrong.status_code, wrong.json()["error"]) == (500, "Invalid time value")
    assert listen(call, wait="soon").json()["zodError"]["issues"][0]["path"] == ["maxWaitMs"]


def log(call: Caller, query: str = "", key: str = ADMIN) -> Any:
    return call("GET", f"/api/audit-log?workspaceId={STAGING}{query}", key=key).json()


def test_the_log_tells_who_changed_what_newest_first_without_secrets(call: Caller) -> None:
    call("POST", f"/api/{STAGING}/config/destination", POSTGRES)
    call("PUT", f"/api/{STAGING}/config/destination/pg", {"password": "clear-two", "host": "new"}, key=ADMIN)
    call("PUT", f"/api/{STAGING}/config/destination/pg", {"password": "clear-three"})
    call("DELETE", f"/api/{STAGING}/config/destination/pg")
    gone, rotated, moved, made = log(call)["items"]
    assert [line["type"].rpartition("-")[2] for line in (gone, rotated, moved, made)] == [
        "delete", "update", "update", "create",
    ]  # fmt: skip
    assert (made["actor"]["name"], moved["actor"], moved["userId"], moved["tokenId"]) == (
        "Owner", None, "admin-service-account@jitsu.com", None,
    )  # fmt: skip
    assert moved["diff"] == [
        {"field": "host", "kind": "changed", "prev": '"db"', "next": '"new"'},
        {"field": "password", "kind": "secret-changed"},
    ]
    assert rotated["diff"] == [{"field": "password", "kind": "secret-changed"}]
    assert {"field": "password", "kind": "removed", "prev": "*********"} in gone["diff"]
    assert "clear-" not in str(log(call))


def test_the_log_of_a_link_names_both_its_ends_and_that_of_a_stream_no_keys(call: Caller) -> None:
    link = next(row for row in call.sandbox.state.links.values() if row.type == "push")
    call("DELETE", f"/api/{STAGING}/config/link?id={link.id}")
    keys = {"publicKeys": [{"id": "k", "plaintext": "s3cret"}]}
    call("PUT", f"/api/{STAGING}/config/stream/web-0001", keys)
    stream, gone = log(call)["items"]
    assert (gone["changes"]["objectType"], " → " in gone["changes"]["objectName"]) == ("link", True)
    assert "s3cret" not in str(stream)
    assert "hash" not in str(stream)


def test_the_pages_of_the_log_are_the_whole_log_each_line_once(call: Caller) -> None:
    for number in range(7):
        call("PUT", f"/api/{STAGING}/config/function/enrich-0001", {"name": f"n{number}"})
    whole, seen, cursor = log(call)["items"], [], ""
    while True:
        page = log(call, f"&limit=3{cursor}")
        seen += page["items"]
        if "nextCursor" not in page:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == whole
    assert len(whole) == 7
    newest, oldest = whole[0]["timestamp"], whole[-1]["timestamp"]
    assert log(call, f"&from={newest}")["items"] == whole[:1]
    assert log(call, f"&to={oldest}")["items"] == whole[-1:]
    assert log(call, "&type=config-object-delete")["items"] == []


@pytest.mark.parametrize("limit", ["0", "201", "1.5", "many"])
def test_a_page_of_the_log_has_one_to_200_lines(call: Caller, limit: str) -> None:
    refused = log(call, f"&limit={limit}")
    assert refused["zodError"]["issues"][0]["path"] == ["limit"]


def test_the_log_is_for_owners_and_empty_where_it_is_switched_off(call: Caller) -> None:
    assert log(call, key=ANALYST)["requiredPermission"] == "manageUsers"
    call.sandbox.state.audit_log = False
    call("PUT", f"/api/{STAGING}/config/function/enrich-0001", {"name": "x"})
    assert log(call) == {"items": []}


def test_a_console_of_2024_neither_listens_nor_keeps_a_log() -> None:
    call = Caller(Sandbox(default_state(generation=Generation.OCTOBER_2024)))
    for path in (f"/api/{STAGING}/listen?ifModifiedSince={AGES_AGO}", "/api/audit-log"):
        assert call("GET", path, key=ADMIN).status_code == 404


def test_a_workspace_that_the_operator_makes_is_made_though_the_answer_is_500(call: Caller) -> None:
    body = {"name": "By operator", "slug": "by-operator"}
    assert call("POST", "/api/workspace", body, key=ADMIN).status_code == 500
    made = call("GET", "/api/workspace/by-operator", key=ADMIN).json()
    assert made["name"] == "By operator"
    assert call("GET", f"/api/workspace/{made['id']}/users", key=ADMIN).json() == []
    assert made["id"] not in str(call("GET", "/api/workspace").json())
    assert made["id"] in str(call("GET", "/api/admin/export/workspaces", key=ADMIN).json())


@pytest.mark.parametrize("slug", ["", "acme", "Acme Staging", "9lives", "acme-staging"])
def test_a_slug_must_be_of_the_shape_and_free(call: Caller, slug: str) -> None:
    for method, path in (("POST", "/api/workspace"), ("PUT", f"/api/workspace/{PRODUCTION}")):
        refused = call(method, path, {"name": "Acme", "slug": slug})
        assert (refused.status_code, refused.json()["status"]) == (500, 400)


def test_the_exports_leave_out_what_is_switched_off_and_unconnected_destinations_without_the_bulker(
    call: Caller,
) -> None:
    state: State = call.sandbox.state
    state.add_object(
        STAGING, "destination", "mongo", {"name": "M", "destinationType": "mongodb", "password": "pw"}
    )

    def exported(name: str) -> str:
        return call("GET", f"/api/admin/export/{name}", key=ADMIN).text

    assert "mongo" not in exported("rotor-connections")
    link = state.add_link(STAGING, "push", "web-0001", "mongo", {"disabled": True})
    assert "mongo" not in exported("rotor-connections") + exported("streams-with-destinations")
    link.data = {}
    assert '"password":"pw"' in exported("rotor-connections")
    assert '"password":"pw"' in exported("streams-with-destinations")
    assert "mongo" not in exported("bulker-connections")


def test_an_export_that_did_not_change_is_not_sent_again(call: Caller) -> None:
    path = "/api/admin/export/functions"
    first = call("GET", path, key=ADMIN)
    since = {"If-Modified-Since": first.headers["last-modified"]}
    assert call("GET", path, key=ADMIN, headers=since).status_code == 304
    call("PUT", f"/api/{STAGING}/config/function/enrich-0001", {"name": "x"})
    assert call("GET", path, key=ADMIN, headers=since).status_code == 200
    assert call("GET", f"{path}?dateOnly=true", key=ADMIN).json().keys() == {"lastModified"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("written", "moved"),
    [("%2e%2e", ""), ("%2E", "/function"), (".%2e", ""), ("", "/function"), ("x/%2e%2e", "/function")],
)
def test_what_a_path_cannot_name_is_sent_to_the_folder_above(
    call: Caller, method: str, written: str, moved: str
) -> None:
    state: State = call.sandbox.state
    for name in (".", ".."):
        state.add_object(STAGING, "function", name, {"name": name, "code": "x"})
    body = {} if method == "PUT" else None
    reply = call(method, f"/api/{STAGING}/config/function/{written}?strict=true", body)
    assert (reply.status_code, reply.headers["location"]) == (
        308, f"/api/{STAGING}/config{moved}?strict=true",
    )  # fmt: skip
    assert not state.objects[".."].deleted
