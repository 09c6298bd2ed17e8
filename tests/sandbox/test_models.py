"""Models of the newest console, beyond the recordings: what a save demands, in which order, and in which words."""

from typing import Any

import pytest

from jitsu_backup.sandbox import Generation, Sandbox, default_state
from jitsu_backup.sandbox.warehouse import ANY_WAREHOUSE, Table, Warehouse
from tests.sandbox.kit import ANALYST, MODEL, STAGING, SYNCS, USERS, Caller, config, told, with_model

SYNTAX = "Query must be a single supported read-only SELECT (including SELECT CTEs)."
UNREADABLE = "Could not inspect model columns. Check the warehouse connection, read permissions and query."


@pytest.fixture
def call() -> Caller:
    return with_model()


def saved(call: Caller, **changes: Any) -> tuple[int, str]:
    reply = call("PUT", f"{config('model')}/users", changes)
    return (200, "") if reply.status_code == 200 else told(reply)


@pytest.mark.parametrize(
    "query",
    [
        f"{USERS};",
        "select u.* from public.users as u",
        "WITH paying AS (SELECT * FROM users WHERE plan <> 'free; really') SELECT id FROM paying -- all",
        "SELECT id::text AS id, count(*) AS n FROM users GROUP BY 1 ORDER BY 1 LIMIT 5",
        "SELECT DISTINCT u.id FROM users u JOIN users v ON u.id = v.id",
        "WITH show AS (SELECT id FROM users) SELECT * FROM show",
    ],
)
def test_a_query_that_only_reads_what_is_there_is_taken(call: Caller, query: str) -> None:
    assert saved(call, query=query) == (200, "")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM users", "Only one SELECT is allowed"),
        ("SELECT id FROM users; SELECT id FROM users", "Only one SELECT is allowed"),
        ("WITH x AS (SELECT 1) DELETE FROM users", "Only one SELECT is allowed"),
        ("SELECT id INTO copy FROM users", "Query must be read-only"),
        ("SELECT id FROM users FOR UPDATE", "Query must be read-only"),
        ("SELECT nope FROM users", UNREADABLE),
        ("SELECT id FROM private.users", UNREADABLE),
        ("SELECT email FROM users", "Query must project column 'id'"),
        ("SELECT id, id FROM users", "Query returns duplicate column names; use unique aliases"),
        ("SELECT id, 1 AS __jitsu_retl_key_count FROM users", "__jitsu_retl_key_count is reserved"),
        (
            "SELECT extra AS id FROM users",
            "Primary-key column 'id' has unsupported warehouse type '3802'; cast it to a supported scalar type",
        ),
    ],
)
def test_a_query_that_does_not_do_is_refused_in_the_consoles_words(
    call: Caller, query: str, message: str
) -> None:
    assert saved(call, query=query) == (400, message)


@pytest.mark.parametrize(
    "query", ["SELECT id FROM users WHERE", "SELECT id FROM users WHERE (", "FROM users"]
)
def test_a_query_that_cannot_be_read_is_refused_with_the_place(call: Caller, query: str) -> None:
    status, message = saved(call, query=query)
    assert status == 400
    assert message.startswith(f"{SYNTAX} At line 1, column ")


@pytest.mark.parametrize(
    ("cursor", "message"),
    [
        (
            {"column": "email", "type": "timestamp"},
            "Cursor type 'timestamp' does not match warehouse type '25'",
        ),
        ({"column": "absent", "type": "number"}, "Query must project column 'absent'"),
    ],
)
def test_a_cursor_needs_a_selected_column_of_its_type(
    call: Caller, cursor: dict[str, str], message: str
) -> None:
    assert saved(call, cursor=cursor) == (400, message)


def test_every_save_asks_the_warehouse_even_for_a_new_name(call: Caller) -> None:
    assert saved(call, name="Everybody") == (200, "")
    call.sandbox.state.warehouses.clear()
    assert saved(call, name="Everybody else") == (400, UNREADABLE)
    assert call.objects("model")[0]["name"] == "Everybody"


def test_a_warehouse_of_an_archive_has_whatever_a_model_asks_for_once_its_secret_is_there(
    call: Caller,
) -> None:
    state = call.sandbox.state
    state.warehouses[:] = [ANY_WAREHOUSE]
    assert saved(call, query="SELECT key FROM nobody.knows", primaryKey=["key"]) == (200, "")
    del state.objects["wh"].config["password"]
    assert saved(call, name="Later") == (400, UNREADABLE)


def test_a_warehouse_opens_to_its_own_password_only(call: Caller) -> None:
    tables = {"public.users": Table({"id": "20"})}
    call.sandbox.state.warehouses[:] = [Warehouse("db.*", password="right", tables=tables)]
    assert saved(call, query="SELECT id FROM users") == (400, UNREADABLE)
    call("PUT", f"{config('destination')}/wh", {"password": "right"})
    assert saved(call, query="SELECT id FROM users") == (200, "")


def test_the_refusals_come_in_the_consoles_order(call: Caller) -> None:
    row = call.sandbox.state.workspaces[STAGING]
    bad: dict[str, Any] = {**MODEL, "warehouseId": "absent", "query": "DELETE FROM users", "primaryKey": []}
    seen = [call("POST", config("model"), bad, key=ANALYST).status_code]
    row.features = []
    reply = call("POST", config("model"), bad)
    seen.append(reply.status_code)
    assert [issue["path"] for issue in reply.json()["error"]["issues"]] == [["primaryKey"]]
    bad["primaryKey"] = ["nope"]
    seen.append(told(call("POST", config("model"), bad)))
    row.features = ["reverse-etl"]
    seen.append(told(call("POST", config("model"), bad)))
    bad["warehouseId"] = "hook"
    seen.append(call("POST", config("model"), bad).status_code)
    bad["warehouseId"] = "wh"
    seen.append(told(call("POST", config("model"), bad)))
    bad["query"] = USERS
    seen.append(told(call("POST", config("model"), bad)))
    bad["primaryKey"] = ["id"]
    seen.append(call("POST", config("model"), bad).status_code)
    assert seen == [
        403,
        500,
        (403, "Reverse ETL is not enabled for this workspace"),
        (404, "Warehouse destination not found in this workspace"),
        400,
        (400, "Only one SELECT is allowed"),
        (400, "Query must project column 'nope'"),
        500,
    ]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"name": "   "}, ["name"], "String must contain at least 1 character(s)"),
        ({"name": "x" * 201}, ["name"], "String must contain at most 200 character(s)"),
        ({"primaryKey": ["id", "id"]}, ["primaryKey"], "Duplicate primary-key column"),
        (
            {"primaryKey": [str(n) for n in range(9)]},
            ["primaryKey"],
            "Array must contain at most 8 element(s)",
        ),
        ({"pageSize": 10_001}, ["pageSize"], "Number must be less than or equal to 10000"),
        ({"pageSize": None}, ["pageSize"], "Expected number, received null"),
        (
            {"cursor": {"column": "id", "type": "number", "lookbackSeconds": 1}},
            ["cursor"],
            "Lookback requires a timestamp cursor",
        ),
    ],
)
def test_a_body_against_the_schema_is_refused_with_the_issue(
    call: Caller, changes: dict[str, Any], path: list[Any], message: str
) -> None:
    reply = call("PUT", f"{config('model')}/users", changes)
    assert reply.status_code == 500
    (issue,) = reply.json()["error"]["issues"]
    assert (issue["path"], issue["message"]) == (path, message)


def test_name_and_query_are_trimmed_and_a_number_of_rows_is_added() -> None:
    call = with_model()
    call("POST", config("model"), {**MODEL, "id": "m", "name": "  M ", "query": f"\n {USERS} ; \n"})
    row = next(row for row in call.objects("model") if row["id"] == "m")
    assert (row["name"], row["query"], row["pageSize"]) == ("M", f"{USERS} ;", 1000)


def test_any_state_of_a_model_can_be_reached_by_put(call: Caller) -> None:
    full = {
        "cursor": {"column": "updated_at", "type": "timestamp"},
        "deleteColumn": "gone",
        "description": "d",
    }
    assert saved(call, **full) == (200, "")
    assert saved(call, cursor=None, deleteColumn=None, description="__*$undef$*__") == (200, "")
    assert not set(full) & set(call.objects("model")[0])


def test_columns_and_a_preview_are_for_editors_with_the_feature(call: Caller) -> None:
    columns, preview = f"/api/{STAGING}/models/columns?modelId=users", f"/api/{STAGING}/models/preview"
    body = {"warehouseId": "wh", "query": "SELECT id, extra FROM users ORDER BY id LIMIT 1"}
    assert call("GET", columns, key=ANALYST).status_code == 403
    assert call("POST", preview, body, key=ANALYST).status_code == 403
    shown = call("POST", preview, body).json()
    assert [column["supportsDelete"] for column in shown["columns"]] == [True, False]
    assert shown["rows"] == [{"id": "1", "extra": None}]
    assert told(call("GET", columns.replace("users", "absent"))) == (404, "Model not found in this workspace")
    assert told(call("POST", preview, {**body, "query": "SELECT x FROM users"}))[0] == 400
    call.sandbox.state.workspaces[STAGING].features = []
    assert call("GET", columns).status_code == call("POST", preview, body).status_code == 403


def test_without_a_model_id_the_query_is_refused(call: Caller) -> None:
    reply = call("GET", f"/api/{STAGING}/models/columns")
    assert reply.status_code == 500
    assert reply.json()["zodError"]["issues"][0]["path"] == ["modelId"]


def test_a_query_without_end_is_given_up() -> None:
    call = with_model()
    endless = "WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c) SELECT max(id) AS id FROM c"
    assert saved(call, query=endless) == (400, UNREADABLE)


@pytest.mark.parametrize("generation", [Generation.OCTOBER_2024, Generation.JULY_2026])
def test_older_consoles_have_neither_the_type_nor_its_routes(generation: Generation) -> None:
    call = Caller(Sandbox(default_state(generation=generation), rate_limit=False))
    assert call("GET", config("model")).status_code == 500
    assert call("GET", f"/api/{STAGING}/models/columns?modelId=m").status_code == 404
    assert call("GET", SYNCS).json() == {"error": f"API route not found: {SYNCS}"}
