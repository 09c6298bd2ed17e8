"""Random models and reverse syncs that the newest console takes, and what people do to them."""

import random
from collections.abc import Callable
from typing import Any

from jitsu_backup.sandbox import State
from jitsu_backup.sandbox.reverse_runs import OPTIONS
from jitsu_backup.sandbox.state import REVERSE_SYNC, AttemptRow, LinkRow, ObjectRow
from jitsu_backup.sandbox.validation import parse, schemas_of

_COLUMNS = ("id", "email", "plan", "updated_at", "gone")
_SELECT = "SELECT id, email, plan, updated_at, gone FROM users"
_CURSORS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"column": "id", "type": "number"},
    {"column": "email", "type": "string"},
    {"column": "updated_at", "type": "timestamp"},
    {"column": "updated_at", "type": "timestamp", "lookbackSeconds": 60},
)
_SCHEDULES = (None, "0 * * * *", "*/5 1-3 * * mon", "@daily")
_KINDS = ("webhook", "google-ads", "facebook-conversions")
_MOMENT = "2026-11-25T10:00:00.000Z"


class SyncGenerator:
    """Adds models and reverse syncs to a workspace of a newest console, and changes them as an operator can."""

    def __init__(
        self, state: State, dice: random.Random, names: tuple[str, ...], new_id: Callable[[str, str], str]
    ) -> None:
        self.state, self.dice, self.names, self.new_id = state, dice, names, new_id
        self.schemas = schemas_of(state.generation)
        self.changes = (
            *(self.edit_model, self.switch, self.reschedule, self.redeliver),
            *(self.delete_sync, self.delete_model, self.fill, self.run, self.move),
        )

    def fill(self, workspace_id: str, count: int = 1) -> None:
        """Add models, each with up to two reverse syncs."""
        for _ in range(count):
            model = self.add_model(workspace_id)
            for _ in range(self.dice.randrange(3)):
                self.add_sync(workspace_id, model)

    # -- models ----------------------------------------------------------------------

    def add_model(self, workspace_id: str) -> ObjectRow:
        """Add a model of a warehouse that is there, or of a new one."""
        warehouses = [
            row
            for row in self.state.live_objects(workspace_id, "destination")
            if str(row.config.get("host")).endswith(".acme.example")
        ]
        if not warehouses or self.dice.random() < 0.3:
            warehouses = [self.add_destination(workspace_id, "postgres")]
        warehouse_id = self.dice.choice(warehouses).id
        return self._add(workspace_id, "model", "model", self.model_fields(warehouse_id))

    def model_fields(self, warehouse_id: str) -> dict[str, Any]:
        """Return the fields of a model whose query the stand-in of the warehouse can run."""
        dice = self.dice
        text = dice.choice(self.names).replace("'", "''")
        where = dice.choice(["", f"\nWHERE plan <> '{text}'", " -- all; of them"])
        optional = {
            "cursor": dice.choice(_CURSORS),
            "deleteColumn": dice.choice([None, None, "gone"]),
            "description": dice.choice([None, *self.names]),
        }
        return {
            "name": dice.choice(self.names).strip(),
            "warehouseId": warehouse_id,
            "query": f"{_SELECT}{where}",
            "primaryKey": dice.choice([["id"], ["id", "email"]]),
            "pageSize": dice.choice([1000, 10]),
            **{name: value for name, value in optional.items() if value is not None},
        }

    def edit_model(self, workspace_id: str, _: int = 1) -> None:
        """Replace, add or remove one field of a model."""
        rows = list(self.state.live_objects(workspace_id, "model"))
        if rows:
            row = self.dice.choice(rows)
            other = self.model_fields(row.config["warehouseId"])
            name = self.dice.choice(sorted(other.keys() | row.config.keys()))
            rest = {n: value for n, value in row.config.items() if n != name}
            row.config = {**rest, name: other[name]} if name in other else rest

    def delete_model(self, workspace_id: str, _: int = 1) -> None:
        """Delete a model, with or without the reverse syncs that read it."""
        rows = list(self.state.live_objects(workspace_id, "model"))
        if rows:
            row = self.dice.choice(rows)
            row.deleted = True
            for sync in self.state.reverse_syncs(workspace_id) if self.dice.random() < 0.7 else ():
                sync.deleted = sync.deleted or sync.from_id == row.id

    # -- reverse syncs -----------------------------------------------------------------

    def add_sync(self, workspace_id: str, model: ObjectRow) -> LinkRow:
        """Add a reverse sync to a webhook of its own, or to an account that others may use too."""
        kind = self.dice.choice(_KINDS)
        known = [] if kind == "webhook" else self._destinations(workspace_id, kind)
        reused = known and self.dice.random() < 0.5
        target = self.dice.choice(known) if reused else self.add_destination(workspace_id, kind)
        sync_id = self.new_id("retl", workspace_id)
        data = self.sync_data(model, target)
        return self.state.add_link(workspace_id, REVERSE_SYNC, model.id, target.id, data, sync_id)

    def sync_data(self, model: ObjectRow, target: ObjectRow) -> dict[str, Any]:
        """Return the settings of a reverse sync that its ends allow."""
        dice, kind = self.dice, target.config["destinationType"]
        streams = {"webhook": self._rows, "google-ads": self._google, "facebook-conversions": self._meta}
        stream, mode, options = dice.choice(list(streams[kind](model)))
        columns = [name for name in _COLUMNS[:4] if name in model.config["primaryKey"] or dice.random() < 0.6]
        timing = {"schedule": dice.choice(_SCHEDULES), "timezone": dice.choice([None, "Europe/Berlin"])}
        data = {
            "stream": stream, "mode": mode, "streamOptions": options, "mapping": {name: name for name in columns},
            "name": dice.choice([None, *self.names]), "disabled": dice.random() < 0.3,
            "checkpointEvery": dice.choice([50_000, 7]), **timing,
        }  # fmt: skip
        given = {name: value for name, value in data.items() if value is not None}
        stored, issues = parse(OPTIONS, given, dates=False)
        assert not issues, issues
        return dict(stored)

    def _rows(self, _: ObjectRow) -> list[tuple[str, str, dict[str, Any]]]:
        attested = {"deliveryAttested": True}
        return [("rows", "upsert", attested), ("rows", "upsert", {**attested, "recordsPerRequest": 200})]

    def _google(self, model: ObjectRow) -> list[tuple[str, str, dict[str, Any]]]:
        accepted = {"customerMatchTermsAccepted": True}
        existing = {"audience": {"kind": "existing", "audienceId": "7"}, **accepted}
        found: list[tuple[str, str, dict[str, Any]]] = [("audience", "upsert", existing)]
        if "deleteColumn" in model.config:
            return found
        found += [("click-conversions", "upsert", {"conversionActionId": "12"})]
        if "cursor" not in model.config:
            managed = {"audience": {"kind": "managed", "displayName": "Jitsu"}, **accepted}
            found += [("audience", "mirror", {**managed, "exclusiveManagementConfirmed": True})]
        return found

    def _meta(self, model: ObjectRow) -> list[tuple[str, str, dict[str, Any]]]:
        existing = {"accountId": "act_1", "audience": {"kind": "existing", "audienceId": "7"}}
        found: list[tuple[str, str, dict[str, Any]]] = [("audience", "upsert", existing)]
        if "deleteColumn" in model.config:
            return found
        found += [("conversions", "upsert", {"pixelId": "12", "eventName": "Purchase"})]
        if "cursor" not in model.config:
            managed = {"accountId": "1", "audience": {"kind": "managed", "name": "Jitsu"}}
            found += [("audience", "mirror", {**managed, "exclusiveManagementConfirmed": True})]
        return found

    def switch(self, workspace_id: str, _: int = 1) -> None:
        """Pause a reverse sync, or enable it."""
        for row in self._one(workspace_id):
            row.data = {**row.data, "disabled": not row.data["disabled"]}

    def reschedule(self, workspace_id: str, _: int = 1) -> None:
        """Change what stays editable once a reverse sync has run."""
        for row in self._one(workspace_id):
            row.data = {**row.data, "schedule": "7 7 * * *", "name": self.dice.choice(self.names).strip()}

    def redeliver(self, workspace_id: str, _: int = 1) -> None:
        """Change what a reverse sync delivers, as its ends allow."""
        for row in self._one(workspace_id):
            model, target = (self.state.objects[end] for end in (row.from_id, row.to_id))
            if not model.deleted and not target.deleted:
                row.data = self.sync_data(model, target)

    def move(self, workspace_id: str, _: int = 1) -> None:
        """Let a reverse sync read another model with the same columns."""
        models = list(self.state.live_objects(workspace_id, "model"))
        for row in self._one(workspace_id) if models else ():
            model, target = self.dice.choice(models), self.state.objects[row.to_id]
            if not target.deleted:
                row.from_id, row.data = model.id, self.sync_data(model, target)

    def delete_sync(self, workspace_id: str, _: int = 1) -> None:
        """Delete a reverse sync."""
        for row in self._one(workspace_id):
            row.deleted = True

    def run(self, workspace_id: str, _: int = 1) -> None:
        """Let a reverse sync have run: its delivery is locked then."""
        for row in self._one(workspace_id):
            self.state.phases[row.id] = "complete"

    def let_run(self, workspace_id: str) -> None:
        """Let an attempt of a reverse sync run or wait."""
        for row in self._one(workspace_id):
            status = self.dice.choice(["RUNNING", "WAITING", "PENDING"])
            self.state.attempts.append(AttemptRow(f"task-{row.id}", row.id, status, _MOMENT, _MOMENT))

    def _one(self, workspace_id: str) -> list[LinkRow]:
        """Return one reverse sync of a workspace; none where it has none."""
        rows = self.state.reverse_syncs(workspace_id)
        return [self.dice.choice(rows)] if rows else []

    # -- destinations ------------------------------------------------------------------

    def _destinations(self, workspace_id: str, kind: str) -> list[ObjectRow]:
        rows = self.state.live_objects(workspace_id, "destination")
        return [row for row in rows if row.config.get("destinationType") == kind]

    def add_destination(self, workspace_id: str, kind: str) -> ObjectRow:
        """Add a warehouse that models can reach, or a destination that takes reverse syncs."""
        dice, name = self.dice, self.new_id("destination", workspace_id)
        fields: dict[str, dict[str, Any]] = {
            "postgres": {"host": f"db-{name}.acme.example", "database": "analytics", "username": "jitsu", "password": f"secret-{name}"},
            "webhook": dice.choice([
                {"url": f"https://{name}.example/rows", "headers": ["X-Own: 1"]},
                {"url": f"https://{name}.example/rows", "signatureMethod": "hmac", "signatureSecret": f"secret-{name}"},
            ]),
            "google-ads": dice.choice([{"customerId": "1"}, {"customerId": "1", "conversionActionId": "12"}]),
            "facebook-conversions": {"accessToken": f"secret-{name}", **dice.choice([{}, {"pixelId": "12"}])},
        }  # fmt: skip
        given = {"name": dice.choice(self.names), "destinationType": kind, **fields[kind]}
        return self._add(workspace_id, "destination", f"destination/{kind}", given, name)

    def _add(
        self, workspace_id: str, kind: str, schema: str, fields: dict[str, Any], object_id: str | None = None
    ) -> ObjectRow:
        object_id = object_id or self.new_id(kind, workspace_id)
        row = {"id": object_id, "type": kind, "workspaceId": workspace_id}
        stored, issues = parse(self.schemas[schema], {**fields, **row}, dates=False)
        assert not issues, issues
        config = {name: value for name, value in stored.items() if name not in row}
        return self.state.add_object(workspace_id, kind, object_id, config)
