"""The console's requirements for a model: the feature, a readable warehouse, and a query with the right columns."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.model import items_of, members_of
from jitsu_backup.sandbox.model_queries import (
    Columns,
    check_columns,
    check_statement,
    check_syntax,
    supports_delete,
)
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import REVERSE_ETL, State
from jitsu_backup.sandbox.warehouse import Warehouse

PREVIEWED_ROWS = 100

_UNREADABLE = "Could not inspect model columns. Check the warehouse connection, read permissions and query."
_NO_COLUMNS = "Could not load model columns. Check the warehouse connection, read permissions and query."
_NO_PREVIEW = "Preview failed or exceeded its limit. Check read permissions and SQL, or select fewer columns."


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
    """Return the body of a model with its name and query trimmed [model/get-second]."""
    return {
        name: value.strip() if name in ("name", "query") and isinstance(value, str) else value
        for name, value in body.items()
    }


def further_issues(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the issues with a model's body that its published schema does not cover."""
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
    """Raise Refusal unless the warehouse of a valid model exists and runs its query [model/create-unknown-warehouse]."""
    require_feature(state, workspace_id)
    credentials = _warehouse_of(state, workspace_id, model["warehouseId"])
    columns = _inspected(state, credentials, model["query"], _UNREADABLE)
    if columns is not None:
        check_columns(model, columns)


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
            {"name": name, "type": kind, "supportsDelete": supports_delete(kind)} for name, kind in columns
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
    """Return the columns of a query, or None if the stand-in accepts any column. Raise Refusal."""
    warehouse = _stand_in(state, credentials)
    check_statement(query)
    if warehouse is not None and warehouse.tables is None:
        return None
    check_syntax(query)
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


def _custom(message: str, path: list[Any]) -> dict[str, Any]:
    return {"code": "custom", "message": message, "path": path}
