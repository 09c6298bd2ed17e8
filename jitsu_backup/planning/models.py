"""Models: the console connects to their warehouse whenever one is saved [model/create-warehouse-without-password]."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.catalogue import subtype
from jitsu_backup.model import Entity, Key, some_of
from jitsu_backup.planning.candidate import Candidate, Planned
from jitsu_backup.planning.pairs import Pairs

_TRIMMED = ("name", "query")


def trimmed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a model in the form that the console stores [model/get-second]."""
    return {n: v.strip() if n in _TRIMMED and isinstance(v, str) else v for n, v in body.items()}


def unusable_warehouse(pairs: Pairs, candidate: Candidate, earlier: Mapping[Key, Planned]) -> str:
    """Return why the console could not read the warehouse of a model; empty if it can, or if this is unknown.

    `earlier` is what is planned already: a warehouse that lacks its secret cannot be read.
    """
    sides = pairs.sides
    for key in sides.named(("destination",), str(candidate.desired.get("warehouseId"))):
        warehouse, called = sides.desired[key], sides.called(sides.by_key[key])
        if not _is_readable(warehouse):
            return f"its warehouse, {called}, is of a type that models cannot read"
        unread = earlier[key].unread if key in earlier else ()
        if unread:
            return (
                f"its warehouse, {called}, lacks its secret{'' if len(unread) == 1 else 's'} {some_of(unread, 5)}:"
                " the console connects to the warehouse before it saves a model"
            )
    return ""


def _is_readable(warehouse: Entity) -> bool:
    """Return whether models can read a destination: PostgreSQL by password, ClickHouse over HTTP, BigQuery."""
    body = warehouse.body
    match subtype(warehouse):
        case "postgres":
            return bool(body.get("authenticationMethod", "password") == "password")
        case "clickhouse":
            return body.get("provisioned") is True or body.get("protocol") in ("http", "https")
        case kind:
            return kind == "bigquery"
