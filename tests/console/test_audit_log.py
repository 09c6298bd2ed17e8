"""What the audit log tells, and what it does not, is told apart; whatever it answers, nothing is raised and no value read."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings, strategies as st

from jitsu_backup.console import Console, Gates
from jitsu_backup.console.audit_log import AuditLog, LogState, last_changes, read_audit_log
from jitsu_backup.console.own_user import is_operator
from jitsu_backup.model import OPERATOR
from tests.support import FIXTURES, OWNER, STAGING, FakeTime, run

CANARY = "CANARY-7f3a"
BEGIN = datetime(2026, 11, 25, tzinfo=UTC)
END = BEGIN + timedelta(days=1)

Answers = Callable[[httpx.Request], httpx.Response]


def console(answers: Answers) -> Console:
    time = FakeTime()
    gates = Gates(clock=time.clock, sleep=time.sleep)
    return Console(
        "http://console.example", OWNER, transport=httpx.MockTransport(answers), sleep=time.sleep,
        clock=time.clock, gates=gates,
    )  # fmt: skip


def read(answers: Answers, *, most_pages: int = 250) -> AuditLog:
    async def reading() -> AuditLog:
        async with console(answers) as one:
            return await read_audit_log(one, STAGING, BEGIN, END, most_pages=most_pages)

    log: AuditLog = run(reading())
    return log


def recorded(file: str, name: str) -> httpx.Response:
    exchanges = orjson.loads((FIXTURES / file).read_bytes())["exchanges"]
    found = next(one["response"] for one in exchanges if one.get("name") == name)
    return httpx.Response(found["status"], json=found["body"])


def line(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"line-{number:04}",
        "timestamp": f"2026-11-25T10:{59 - number // 60:02}:{59 - number % 60:02}.500Z",
        "type": "config-object-update",
        "workspaceId": STAGING,
        "userId": "u-ada",
        "objectId": f"object-{number}",
        "tokenId": None,
        "token": None,
        "changes": {"objectType": "function", "objectName": "Enrich"},
        "diff": [{"field": "code", "kind": "changed", "prev": CANARY, "next": CANARY}],
        "actor": {"id": "u-ada", "email": "ada@acme.example", "name": "Ada Lovelace"},
        **fields,
    }


def page(*lines: Any, cursor: Any = None) -> httpx.Response:
    more = {} if cursor is None else {"nextCursor": cursor}
    return httpx.Response(200, json={"items": list(lines), **more})


def test_the_recorded_pages_are_read_one_after_the_other_newest_first() -> None:
    asked: list[httpx.QueryParams] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        if "cursor" not in request.url.params:
            return recorded("recordings-more.json", "audit-log/first-page")
        following = recorded("recordings-more.json", "audit-log/next-page").json()
        return httpx.Response(200, json={"items": following["items"]})

    log = read(answers)
    assert log.state is LogState.WHOLE
    assert [(e.operation, e.type, e.object_id) for e in log.entries] == [
        ("update", "function", "a/b?c#d%25"),
        ("update", "function", "a/b?c#d%25"),
        ("create", "function", "a/b?c#d%25"),
        ("create", "function", ".."),
        ("create", "service", "svc-oauth"),
        ("create", "destination", "sf-1"),
        ("create", "link", f"{STAGING}-site-mpty-oxuJ6O"),
        ("create", "service", "svc-null"),
        ("update", "destination", "pg-none"),
        ("create", "destination", "pg-none"),
    ]
    newest = log.entries[0]
    assert newest.at == datetime(2026, 11, 25, 10, 28, 56, 692000, tzinfo=UTC)
    assert (newest.who, newest.email, newest.key, newest.way) == (
        "Owner", "owner@example.com", "key1", "api",
    )  # fmt: skip
    assert log.entries[6].name == "Web site → Local ClickHouse"
    assert [query.get("cursor") for query in asked] == [
        None, "2026-11-25T10:28:56.629Z|cmwvze0fp0008jb7d0qilcxd0",
    ]  # fmt: skip
    assert (asked[0]["from"], asked[0]["to"]) == ("2026-11-25T00:00:00.000Z", "2026-11-26T00:00:00.000Z")


def test_an_update_that_changed_nothing_is_marked() -> None:
    log = read(lambda _: recorded("recordings-more.json", "audit-log/changes-only"))
    assert [entry.unchanged for entry in log.entries] == [False, False, False, True]


def test_a_change_with_the_operators_token_has_no_user_and_no_key() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if "cursor" in request.url.params:
            return page()
        return recorded("recordings-newest.json", "audit-log/since")

    made, *deleted = read(answers).entries
    assert (made.who, made.operator, made.key, made.way, made.email) == (OPERATOR, True, None, None, None)
    assert [(e.operation, e.type, e.operator) for e in deleted] == [
        ("delete", "destination", False), ("delete", "model", False),
    ]  # fmt: skip


def test_the_way_is_reported_only_where_the_console_tells_it() -> None:
    token = {"id": "key7", "type": "api", "name": None}
    lines = [line(0, origin="mcp", token=token, tokenId="key7"), line(1, token=token), line(2)]
    assert [entry.way for entry in read(lambda _: page(*lines)).entries] == ["mcp", "api", None]


def test_nothing_of_what_an_object_held_is_read() -> None:
    assert CANARY not in repr(read(lambda _: page(line())))


def failing(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        (lambda _: recorded("recordings-more.json", "audit-log/future"), LogState.EMPTY),
        (lambda _: recorded("recordings-more.json", "audit-log/as-analyst"), LogState.NOT_ALLOWED),
        (lambda _: recorded("recordings-newest.json", "audit-log/as-analyst"), LogState.NOT_ALLOWED),
        (lambda _: httpx.Response(404, json={"error": "API route not found"}), LogState.NOT_OFFERED),
        (lambda _: httpx.Response(404, json={"message": "Not found"}), LogState.NOT_OFFERED),
        (lambda _: httpx.Response(404, text="<html>404</html>"), LogState.DAMAGED),
        (lambda _: httpx.Response(200, text="<html>hello</html>"), LogState.DAMAGED),
        (lambda _: httpx.Response(200, json=[]), LogState.DAMAGED),
        (lambda _: httpx.Response(200, json={"items": {}}), LogState.DAMAGED),
        (lambda _: httpx.Response(502), LogState.AWAY),
        (failing, LogState.AWAY),
    ],
)  # fmt: skip
def test_what_the_log_does_not_tell_has_its_reason(answers: Answers, state: LogState) -> None:
    log = read(answers)
    assert (log.entries, log.state) == ((), state)
    assert (log.why == "") is (state is LogState.EMPTY)
    assert OWNER.partition(":")[2] not in log.why


def test_what_was_told_before_a_page_failed_is_kept() -> None:
    replies = iter(
        [page(line(0), line(1), cursor="a"), httpx.Response(403, json={"message": "is not an admin"})]
    )
    log = read(lambda _: next(replies))
    assert ([entry.object_id for entry in log.entries], log.state) == (
        ["object-0", "object-1"],
        LogState.NOT_ALLOWED,
    )


@pytest.mark.parametrize("cursor", ["again", 7, {"a": 1}])
def test_pages_that_do_not_end_are_left(cursor: Any) -> None:
    asked = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return page(line(), cursor=cursor)

    log = read(answers)
    assert (len(log.entries), log.state, len(asked) <= 2) == (1, LogState.DAMAGED, True)


def test_pages_of_any_length_are_followed_and_no_line_counts_twice() -> None:
    replies = iter(
        [
            page(line(0), cursor="a"),
            page(cursor="b"),
            page(line(0), line(1), line(2), cursor="c"),
            page(line(3)),
        ]
    )
    log = read(lambda _: next(replies))
    assert log.state is LogState.WHOLE
    assert [entry.object_id for entry in log.entries] == [f"object-{n}" for n in range(4)]


def test_no_more_pages_are_read_than_were_allowed_and_that_is_reported() -> None:
    numbers = iter(range(1000))
    log = read(lambda _: page(line(n := next(numbers)), cursor=str(n)), most_pages=3)
    assert (len(log.entries), log.state, log.why) == (3, LogState.CUT, "more than 600 changes")


@pytest.mark.parametrize(
    "damage",
    [
        {"timestamp": None}, {"timestamp": "yesterday"}, {"timestamp": "2026-11-25T10:00:00"}, {"objectId": 7},
        {"objectId": None}, {"changes": None}, {"changes": {"objectType": ["x"]}},
    ],
)  # fmt: skip
def test_a_damaged_line_hides_no_other_and_is_reported(damage: dict[str, Any]) -> None:
    log = read(lambda _: page(line(0), line(1, **damage), line(2)))
    assert [entry.object_id for entry in log.entries] == ["object-0", "object-2"]
    assert (log.state, log.why) == (LogState.DAMAGED, "1 line of it cannot be read")


def test_lines_of_another_workspace_of_another_time_or_of_no_object_are_left_out() -> None:
    lines = [
        line(0, workspaceId="another"),
        line(1, type="user-login", objectId=None),
        line(2, timestamp="2026-11-24T23:59:59.999Z"),
        line(3, timestamp="2026-11-26T00:00:00.001Z"),
        line(4),
    ]
    log = read(lambda _: page(*lines))
    assert ([entry.object_id for entry in log.entries], log.state) == (["object-4"], LogState.WHOLE)


def test_a_console_that_ignores_the_time_is_not_read_to_its_end() -> None:
    def pages() -> Iterator[httpx.Response]:
        yield page(line(0), cursor="a")
        yield page(line(1, timestamp="2020-01-01T00:00:00.000Z"), cursor="b")

    replies = pages()
    assert read(lambda _: next(replies)).state is LogState.WHOLE


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*line(), "kind", "name"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(line())), _ANYTHING, max_size=6), _ANYTHING)
def test_whatever_a_line_holds_nothing_is_raised_and_nothing_else_is_lost(
    spoilt: dict[str, Any], odd: Any
) -> None:
    log = read(lambda _: page(line(0), {**line(1), **spoilt}, odd, line(2)))
    assert {"object-0", "object-2"} <= {entry.object_id for entry in log.entries}
    assert log.state in (LogState.WHOLE, LogState.DAMAGED)


@pytest.mark.parametrize("who", [{"actor": None, "userId": "u-1"}, {"actor": {"name": " "}, "userId": "u-1"}])
def test_who_has_no_name_is_called_by_what_there_is(who: dict[str, Any]) -> None:
    (entry,) = read(lambda _: page(line(0, **who))).entries
    assert entry.who == "u-1"
    (nobody,) = read(lambda _: page(line(0, actor=7, userId=None))).entries
    assert (nobody.who, nobody.operator) == ("somebody", False)


def test_the_last_changes_are_the_newest_that_changed_something_and_no_more_is_asked_than_needed() -> None:
    noop = [{"field": "(none)", "kind": "noop"}]
    replies = iter(
        [
            page(line(0, objectId="a", diff=noop), line(1, objectId="a", userId="u-1"), line(2, objectId="a"), cursor="x"),
            page(line(3, objectId="b"), cursor="y"),
        ]
    )  # fmt: skip

    async def asking(answers: Answers) -> Any:
        async with console(answers) as one:
            return await last_changes(one, STAGING, {"a", "b"}, BEGIN)

    found = run(asking(lambda _: next(replies)))
    assert {name: entry.id for name, entry in found.items()} == {"a": "line-0001", "b": "line-0003"}
    assert run(asking(failing)) == {}


@pytest.mark.parametrize(
    ("file", "name", "told"),
    [("recordings-more.json", "admin/me", True), ("recordings.json", "discovery/me", False)],
)
def test_the_operators_token_is_known_by_its_user(file: str, name: str, told: bool) -> None:
    async def asking(answers: Answers) -> bool:
        async with console(answers) as one:
            return await is_operator(one)

    assert run(asking(lambda _: recorded(file, name))) is told
    assert run(asking(lambda _: httpx.Response(401, json={"message": "Invalid API key id key1"}))) is False
