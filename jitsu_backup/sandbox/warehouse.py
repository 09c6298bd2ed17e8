"""Stand-ins for the warehouses that models read: tables, columns and a few rows, queried through SQLite."""

import fnmatch
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

_STEPS = 1_000_000  # a query is cancelled after this many steps of SQLite's virtual machine
_TEXT, _NUMBER, _WHOLE, _REAL = "25", "1700", "20", "701"
_TYPES_OF_EXPRESSIONS = {
    "": _TEXT,
    "TEXT": _TEXT,
    "BLOB": _TEXT,
    "NUM": _NUMBER,
    "INT": _WHOLE,
    "REAL": _REAL,
}
_READ_AS_TEXT = (_WHOLE, _NUMBER, "1082", "1114", "1184")
_CAST = re.compile(r"((?:\w+\.)?\w+|'(?:[^']|'')*')::(\w+)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, by name, with the ids of their PostgreSQL types, and its rows."""

    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A PostgreSQL server that models can reach.

    `host` is a pattern of host names; a user or password that is None is not checked. `tables` are by `schema.name`;
    without them, the warehouse is of any kind and has whatever a model queries.
    """

    host: str
    database: str = "*"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tables: Mapping[str, Table] | None = None

    def serves(self, credentials: Mapping[str, Any]) -> bool:
        """Return whether a destination's credentials open this warehouse."""
        if self.tables is None:
            return any(name in credentials for name in ("password", "keyFile", "provisioned"))
        database = str(credentials.get("database"))
        return (
            credentials.get("destinationType") == "postgres"
            and fnmatch.fnmatchcase(str(credentials.get("host")), self.host)
            and fnmatch.fnmatchcase(database, self.database)
            and self.username in (None, credentials.get("username"))
            and "password" in credentials
            and self.password in (None, credentials["password"])
        )

    def columns(self, query: str, schema: str) -> list[tuple[str, str]]:
        """Return the names and types of a query's columns; `schema` is the one of tables that are named without a schema.

        Raise sqlite3.Error for an invalid query.
        """
        with closing(self._opened(schema)) as connection:
            connection.execute(f"CREATE TEMP VIEW model AS {_portable(query)}")
            lines = connection.execute("PRAGMA table_info(model)").fetchall()
            # a view gives each column a name of its own, the query itself may give two the same
            names = [column[0] for column in connection.execute(_portable(query)).description]
        kinds = [_TYPES_OF_EXPRESSIONS.get(kind, kind) for _, _, kind, *_ in lines]
        return list(zip(names, kinds, strict=True))

    def rows(self, query: str, schema: str, count: int) -> list[dict[str, Any]]:
        """Return the first rows of a query, with exact numbers and times as text [model/preview]. Raise sqlite3.Error."""
        columns = self.columns(query, schema)
        with closing(self._opened(schema)) as connection:
            found = connection.execute(_portable(query)).fetchmany(count)
        return [
            {name: _lossless(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
            for row in found
        ]

    def _opened(self, schema: str) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        connection.set_progress_handler(lambda: 1, _STEPS)
        tables = self.tables or {}
        names = sorted({name.partition(".")[0] for name in tables}, key=lambda name: name != schema)
        for name in names:
            connection.execute(f"ATTACH ':memory:' AS {_quoted(name)}")
        for name, table in tables.items():
            place = ".".join(map(_quoted, name.split(".")))
            columns = ", ".join(
                f"{_quoted(column)} {_quoted(kind)}" for column, kind in table.columns.items()
            )
            connection.execute(f"CREATE TABLE {place} ({columns})")
            marks = ", ".join("?" * len(table.columns))
            rows = [[row.get(column) for column in table.columns] for row in table.rows]
            connection.executemany(f"INSERT INTO {place} VALUES ({marks})", rows)  # noqa: S608  our own names
        return connection


def syntax_error(query: str) -> str | None:
    """Return the misplaced word of a query (empty for its end), or None for a well-formed query."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(f"EXPLAIN {_portable(query)}")
        except sqlite3.Error as problem:
            found = re.search(
                r"""near "(.*)": syntax error|unrecognized token: "(.*)"|incomplete input""",
                str(problem),
                re.DOTALL,
            )
            return (found[1] or found[2] or "") if found else None
    return None


def _portable(query: str) -> str:
    """Return a query with its PostgreSQL casts in SQLite's syntax."""
    return _CAST.sub(r"CAST(\1 AS \2)", query)


def _lossless(value: Any, kind: str) -> Any:
    return str(value) if kind in _READ_AS_TEXT and value is not None else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_USERS = Table(
    {"id": "20", "email": "25", "plan": "25", "updated_at": "1184", "gone": "16", "extra": "3802"},
    (
        {"id": "1", "email": "ada@example.com", "plan": "free"},
        {"id": "2", "email": "bob@example.com", "plan": "pro"},
    ),
)

RECORDED_WAREHOUSE = Warehouse(
    "warehouse.example.com", "analytics", "retl", "whsecret", {"public.users": _USERS}
)
"""The warehouse of the recordings [model/create]."""

ACME_WAREHOUSE = Warehouse("*.acme.example", tables={"public.users": _USERS})
"""The warehouse of the example workspace. It accepts any password, so copies may have another one."""

ANY_WAREHOUSE = Warehouse("*")
"""A stand-in for every warehouse of an archive, because its tables are unknown."""
