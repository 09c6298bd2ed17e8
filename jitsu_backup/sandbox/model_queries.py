"""The query of a model: a single read-only statement with the model's columns in suitable types."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from jitsu_backup.model import members_of
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.warehouse import syntax_error

Columns = list[tuple[str, str]]
"""The names and PostgreSQL types of a query's columns."""

_LONGEST_QUERY = 100_000
_DELETE_TYPES = frozenset(
    {"16", "18", "19", "20", "21", "23", "25", "26", "700", "701", "1042", "1043", "1700"}
)
_KEY_TYPES = _DELETE_TYPES | {"1082", "1083", "1114", "1184", "1266", "2950"}
_CURSOR_TYPES = {
    "timestamp": ("1082", "1114", "1184"),
    "number": ("20", "21", "23", "700", "701", "1700"),
    "string": ("25", "1042", "1043", "2950"),
}
_RESERVED_COLUMN = "__jitsu_retl_key_count"
_STATEMENTS = frozenset(
    {
        "insert", "update", "delete", "replace", "create", "drop", "alter", "truncate", "call", "set", "show", "use",
        "grant", "revoke", "begin", "commit", "lock",
    }
)  # fmt: skip
_AFTER_A_NAME = r'"--", "/*", ":=", "=", "FOR", "TO", or [ \t\n\r]'
_UNREAD = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)


def check_statement(query: str) -> None:
    """Raise Refusal unless the query is a single read-only statement [model/create-not-a-select]."""
    if not query.strip() or len(query) > _LONGEST_QUERY or "\0" in query:
        raise Refusal(400, {"message": "Invalid model query"})
    bare = _UNREAD.sub(lambda found: " " * len(found[0]), query)
    words = re.findall(r"\w+", _outermost(bare).lower()) or re.findall(r"\w+", bare.lower())
    verb = words[0] if words else ""
    if verb == "with":
        verb = next((word for word in words if word in ("select", "insert", "update", "delete")), verb)
    several = sum(bool(part.strip()) for part in bare.split(";")) > 1
    if verb in _STATEMENTS or (several and verb == "select"):
        raise Refusal(400, {"message": "Only one SELECT is allowed"})
    if verb not in ("select", "with", "") or not words:
        after = re.match(r"\s*\S+\s*", bare)
        raise _syntax(query, after.end() if after else 0, _AFTER_A_NAME)
    if re.search(r"\binto\b|\bfor\s+(no\s+key\s+)?(update|share|key\s+share)\b", bare, re.IGNORECASE):
        raise Refusal(400, {"message": "Query must be read-only"})


def _outermost(bare: str) -> str:
    """Return a query without the text in parentheses."""
    depth, kept = 0, []
    for sign in bare:
        depth += (sign == "(") - (sign == ")")
        kept.append(sign if depth == 0 else " ")
    return "".join(kept)


def check_syntax(query: str) -> None:
    """Raise Refusal for a query that cannot be parsed [model/create-syntax-error]."""
    word = syntax_error(query)
    if word is not None:
        at = query.rfind(word) if word else len(query)
        raise _syntax(query, at, r"[ \t\n\r]")


def _syntax(query: str, at: int, expected: str) -> Refusal:
    """Return the rejection of a query with a syntax error at a position [model/create-syntax-error]."""
    line, column = query.count("\n", 0, at) + 1, at - query.rfind("\n", 0, at)
    found = orjson.dumps(query[at]).decode() if at < len(query) else "end of input"
    message = (
        "Query must be a single supported read-only SELECT (including SELECT CTEs)."
        f" At line {line}, column {column}: Expected {expected} but {found} found."
    )
    return Refusal(400, {"message": message})


def check_columns(model: Mapping[str, Any], columns: Columns) -> None:
    """Raise Refusal if a query lacks a column of its model, or has it in the wrong type."""
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


def supports_delete(kind: str) -> bool:
    """Return whether a column of a PostgreSQL type can mark a row as deleted [model/preview]."""
    return kind in _DELETE_TYPES
