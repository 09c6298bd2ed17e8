"""Comparing two snapshots or live workspaces, paired as a restore would pair them."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jitsu_backup.catalogue import Selector, known_schemas, newest_schemas
from jitsu_backup.console.console_info import read_schemas
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.connection import Connection
from jitsu_backup.planning import Changes, PlanOptions, Schemas, chosen, compare, schemas_needed

_AS_THEY_ARE = PlanOptions()


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a snapshot, and the schemas of its console if those were read."""

    snapshot: Snapshot
    schemas: Schemas | None = None


async def read_side(connection: Connection, workspace: str, *, now: Callable[[], datetime]) -> Side:
    """Return a live workspace, given by its id or slug. Raise ConsoleError, AccessError."""
    async with connection.open() as console:
        snapshot = await read_workspace(console, workspace, now=now, report=connection.report)
        return Side(snapshot, await read_schemas(console, schemas_needed(snapshot.entities)))


def diff(
    before: Side,
    after: Side,
    selectors: Iterable[Selector] = (),
    *,
    skip: Iterable[Selector] = (),
    options: PlanOptions = _AS_THEY_ARE,
) -> Changes:
    """Return what differs between two sides, without secrets.

    If there are selectors, only what they choose is compared, and nothing that `skip` chooses. `options` say how the sides
    are paired, which fields are ignored, and which overlay is applied to the earlier side, as in `planning.compare`.
    """
    options = replace(options, overlay=options.overlay.of(before.snapshot.manifest.source))
    schemas = widest(recorded_schemas(), before.schemas or {}, after.schemas or {})
    changes = compare(before.snapshot, after.snapshot, schemas, options)
    return chosen(changes, list(selectors), list(skip), options.sets)


@functools.cache
def recorded_schemas() -> Schemas:
    """Return the recorded schemas of all consoles, each in the version with the most fields."""
    return widest(known_schemas(), newest_schemas())


def widest(*known: Schemas) -> Schemas:
    """Return the version of each schema with the most fields, so that defaults of a console are no difference."""
    merged: dict[str, Any] = {}
    for schemas in known:
        for name, schema in schemas.items():
            if len(schema.get("properties", ())) >= len(merged.get(name, {}).get("properties", ())):
                merged[name] = schema
    return merged
