"""What the console demands of a model: the feature, a warehouse that it can read, and a query with the right columns."""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from jitsu_backup.model import items_of, members_of
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import REVERSE_ETL, State
from jitsu_backup.sandbox.warehouse import Warehouse, syntax_error

PREVIEWED_ROWS = 100

_LONGEST_QUERY = 100_000
_KEY_TYPES = frozenset(
    [
        "16",
        "18",
        "19",
        "20",
        "21",
        "23",
        "25",
        "26",
        "700",
        "701",
        "1042",
        "1043",
        "1082",
        "1083",
        "1114",
        "1184",
        "1266",
        "1700",
        "2950",
    ]
)
_DELETE_TYPES = frozenset(
    ["16", "18", "19", "20", "21", "23", "25", "26", "700", "701", "1042", "1043", "1700"]
)
_CURSOR_TYPES = {
    "timestamp": ("1082", "1114", "1184"),
    "number": ("20", "21", "23", "700", "701", "1700"),
    "string": ("25", "1042", "1043", "2950"),
}
_RESERVED_COLUMN = "__jitsu_retl_key_count"
_UNREADABLE = "Could not inspect model columns. Check the warehouse connection, read permissions and query."
_NO_COLUMNS = "Could not load model columns. Check the warehouse connection, read permissions and query."
_NO_PREVIEW = "Preview failed or exceeded its limit. Check read permissions and SQL, or select fewer columns."
_STATEMENTS = frozenset(
    [
        "insert",
        "update",
        "delete",
        "replace",
        "create",
        "drop",
        "alter",
        "truncate",
        "call",
        "set",
        "show",
        "use",
        "grant",
        "revoke",
        "begin",
        "commit",
        "lock",
    ]
)
_AFTER_A_NAME = r'"--", "/*", ":=", "=", "FOR", "TO", or [ \t\n\r]'
_UNREAD = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)

Columns = list[tuple[str, str]]


def require_feature(state: State, workspace_id: str) -> None:
    """Raise Refusal for a workspace without models and reverse syncs [model/create-feature-off]."""
    row = state.workspaces.get(workspace_id)
    if row is None or REVERSE_ETL not in row.features:
        raise Refusal(403, {"message": "Reverse ETL is not enabled for this workspace"})


def is_readable(destination: Mapping[str, Any]) -> bool:
    """Return whether models can read a destination."""
    kind = destination.get("destinationType")
    if destination.get("provisioned"):
        return kind == "clickhouse"
    by_password = destination.get("authenticationMethod") in (None, "", "password")
    over_http = destination.get("protocol") in ("http", "https")
    return kind == "bigquery" or (kind == "postgres" and by_password) or (kind == "clickhouse" and over_http)


def with_trimmed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a model with name and query trimmed at their ends [model/get-second]."""
    return {
        name: value.strip() if name in ("name", "query") and isinstance(value, str) else value
        for name, value in body.items()
    }


def further_issues(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the issues with a model's body that its published schema does not tell."""
    keys = items_of(body.get("primaryKey"))
    cursor = members_of(body.get("cursor"))
    named = [(["primaryKey", n], key) for n, key in enumerate(keys)]
    named += [(["cursor", "column"], cursor.get("column")), (["deleteColumn"], body.get("deleteColumn"))]
    for path, name in named:
        if isinstance(name, str) and "\0" in name:
            yield _custom("Invalid column name", path)
    if len({repr(key) for key in keys}) < len(keys):
        yield _custom("Duplicate primary-key column", ["primaryKey"])
    if "lookbackSeconds" in cursor and cursor.get("type") != "timestamp":
        yield _custom("Lookback requires a timestamp cursor", ["cursor"])


def check_model(state: State, workspace_id: str, model: Mapping[str, Any]) -> None:
    """Raise Refusal unless the warehouse of a valid model is there and runs its query [model/create-unknown-warehouse]."""
    require_feature(state, workspace_id)
    credentials = _warehouse_of(state, workspace_id, model["warehouseId"])
    columns = _inspected(state, credentials, model["query"], _UNREADABLE)
    if columns is not None:
        _check_columns(model, columns)


def columns_of_model(state: State, workspace_id: str, model_id: str) -> Columns:
    """Return the names and types of a saved model's columns [model/columns]. Raise Refusal."""
    require_feature(state, workspace_id)
    row = state.live_typed(workspace_id, "model", model_id)
    if row is None:
        raise Refusal(404, {"message": "Model not found in this workspace"})
    credentials = _warehouse_of(state, workspace_id, row.config["warehouseId"])
    columns = _inspected(state, credentials, row.config["query"], _NO_COLUMNS)
    return [(name, "25") for name in row.config["primaryKey"]] if columns is None else columns


def preview(state: State, workspace_id: str, warehouse_id: str, query: str) -> dict[str, Any]:
    """Return the columns and the first rows of a query [model/preview]. Raise Refusal."""
    require_feature(state, workspace_id)
    credentials = _warehouse_of(state, workspace_id, warehouse_id)
    columns = _inspected(state, credentials, query, _NO_PREVIEW) or []
    warehouse = _stand_in(state, credentials)
    rows = warehouse.rows(query, _schema_of(credentials), PREVIEWED_ROWS + 1) if warehouse and columns else []
    return {
        "columns": [
            {"name": name, "type": kind, "supportsDelete": kind in _DELETE_TYPES} for name, kind in columns
        ],
        "rows": rows[:PREVIEWED_ROWS],
        "truncated": len(rows) > PREVIEWED_ROWS,
    }


def _warehouse_of(state: State, workspace_id: str, warehouse_id: str) -> Mapping[str, Any]:
    row = state.live_typed(workspace_id, "destination", warehouse_id)
    if row is None:
        raise Refusal(404, {"message": "Warehouse destination not found in this workspace"})
    if not is_readable(row.config):
        message = "Models support Postgres password connections and HTTP(S) ClickHouse connections"
        raise Refusal(400, {"message": message})
    return row.config


def _inspected(state: State, credentials: Mapping[str, Any], query: str, unreadable: str) -> Columns | None:
    """Return the columns of a query; None where the stand-in has whatever is asked for. Raise Refusal."""
    warehouse = _stand_in(state, credentials)
    _check_statement(query)
    if warehouse is not None and warehouse.tables is None:
        return None
    _check_syntax(query)
    if credentials.get("destinationType") == "clickhouse" and "password" not in credentials:
        raise Refusal(400, {"message": "Warehouse connection settings are invalid or unsupported"})
    try:
        if warehouse is not None:
            return warehouse.columns(query, _schema_of(credentials))
    except sqlite3.Error:
        pass
    raise Refusal(400, {"message": unreadable})


def _stand_in(state: State, credentials: Mapping[str, Any]) -> Warehouse | None:
    return next((warehouse for warehouse in state.warehouses if warehouse.serves(credentials)), None)


def _schema_of(credentials: Mapping[str, Any]) -> str:
    return str(credentials.get("defaultSchema") or "public")


def _check_statement(query: str) -> None:
    """Raise Refusal for anything but one statement that only reads [model/create-not-a-select]."""
    if not query.strip() or len(query) > _LONGEST_QUERY or "\0" in query:
        raise Refusal(400, {"message": "Invalid model query"})
    bare = _UNREAD.sub(lambda found: " " * len(found[0]), query)
    words = [found[0].lower() for found in re.finditer(r"\w+", _outermost(bare))]
    verb = words[0] if words else ""
    if verb == "with":
        verb = next((word for word in words[1:] if word == "select" or word in _STATEMENTS), verb)
    several = sum(bool(part.strip()) for part in bare.split(";")) > 1
    if verb in _STATEMENTS or (several and verb == "select"):
        raise Refusal(400, {"message": "Only one SELECT is allowed"})
    if verb not in ("select", "with", "") or not words:
        after = re.match(r"\s*\S+\s*", bare)
        raise _syntax(query, after.end() if after else 0, _AFTER_A_NAME)
    if re.search(r"\binto\b|\bfor\s+(no\s+key\s+)?(update|share|key\s+share)\b", bare, re.IGNORECASE):
        raise Refusal(400, {"message": "Query must be read-only"})


def _outermost(bare: str) -> str:
    """Return a query without what stands in parentheses."""
    depth, kept = 0, []
    for sign in bare:
        depth += (sign == "(") - (sign == ")")
        kept.append(sign if depth == 0 else " ")
    return "".join(kept)


def _check_syntax(query: str) -> None:
    word = syntax_error(query)
    if word is not None:
        at = query.rfind(word) if word else len(query)
        raise _syntax(query, at, r"[ \t\n\r]")


def _syntax(query: str, at: int, expected: str) -> Refusal:
    """Return the refusal of a query that cannot go on like that at a position [model/create-syntax-error]."""
    line, column = query.count("\n", 0, at) + 1, at - query.rfind("\n", 0, at)
    found = orjson.dumps(query[at]).decode() if at < len(query) else "end of input"
    message = (
        "Query must be a single supported read-only SELECT (including SELECT CTEs)."
        f" At line {line}, column {column}: Expected {expected} but {found} found."
    )
    return Refusal(400, {"message": message})


def _check_columns(model: Mapping[str, Any], columns: Columns) -> None:
    """Raise Refusal where a query lacks a column of its model, or has it in the wrong type."""
    types = dict(columns)
    cursor = members_of(model.get("cursor"))
    delete = model.get("deleteColumn")
    problem = _misnamed([name for name, _ in columns], [*model["primaryKey"], cursor.get("column"), delete])
    if problem is None:
        problem = _mistyped(model["primaryKey"], cursor, delete, types)
    if problem is not None:
        raise Refusal(400, {"message": problem})


def _misnamed(names: Sequence[str], wanted: Sequence[str | None]) -> str | None:
    if len(set(names)) < len(names):
        return "Query returns duplicate column names; use unique aliases"
    if _RESERVED_COLUMN in names:
        return f"{_RESERVED_COLUMN} is reserved"
    missing = next((name for name in wanted if name and name not in names), None)
    return f"Query must project column '{missing}'" if missing else None


def _mistyped(
    keys: Sequence[str], cursor: Mapping[str, Any], delete: str | None, types: Mapping[str, str]
) -> str | None:
    for name in keys:
        if types[name] not in _KEY_TYPES:
            return (
                f"Primary-key column '{name}' has unsupported warehouse type '{types[name]}';"
                " cast it to a supported scalar type"
            )
    if delete and types[delete] not in _DELETE_TYPES:
        return (
            f"Delete column '{delete}' has unsupported warehouse type '{types[delete]}';"
            " use a boolean expression or a supported 0/1 column"
        )
    if cursor and types[cursor["column"]] not in _CURSOR_TYPES[cursor["type"]]:
        return f"Cursor type '{cursor['type']}' does not match warehouse type '{types[cursor['column']]}'"
    return None


def _custom(message: str, path: list[Any]) -> dict[str, Any]:
    return {"code": "custom", "message": message, "path": path}
