"""Random workspaces with bodies that follow the console's own schemas, and random changes to them."""

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from jitsu_backup.catalogue import grant_fields
from jitsu_backup.model import MASK
from jitsu_backup.sandbox import State
from jitsu_backup.sandbox.bindings import check_takes_events
from jitsu_backup.sandbox.masking import DESTINATION_SECRETS, NEWEST_SECRETS
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import REVERSE_SYNC, ObjectRow
from jitsu_backup.sandbox.validation import parse, schemas_of
from tests.generate_syncs import SyncGenerator

ODD_NAMES = (
    "Web site", "Ünïcode ✓", "日本語", "a/b", "x -> y", "*", "  padded  ", "q\"uo'te", "tab\there", "0", "null",
    "udf.enrich", "emoji 🦊", "very " * 40, "\u202ertl", "<b>html</b>", "semi;colon", "percent%20", "#hash?", "=eq=",
)  # fmt: skip
_PATTERNED = ("Jitsu-Signature", "X-Signed", "12", "100000000")
_KEYS = ("a", "b", "deep", "ключ", "with space", "x.y")


class Generator:
    """Fills workspaces of a sandbox's state; equal seeds give equal workspaces."""

    def __init__(self, state: State, seed: int) -> None:
        self.state, self.dice, self.number = state, random.Random(seed), 0
        self.schemas = schemas_of(state.generation)
        self.secrets = NEWEST_SECRETS if state.generation.is_newest else DESTINATION_SECRETS
        self.destination_types = [n.partition("/")[2] for n in self.schemas if n.startswith("destination/")]
        self.types = [name for name in state.types if name not in ("domain", "model")]
        self.syncs = SyncGenerator(state, self.dice, ODD_NAMES, self.new_id)

    def new_id(self, kind: str, workspace_id: str) -> str:
        """Return an id that nothing has."""
        self.number += 1
        return f"{kind}-{self.number}-{workspace_id[-4:]}-{self.dice.randrange(10**6)}"

    def fill(self, workspace_id: str, size: int) -> None:
        """Add about `size` entities to a workspace: every type, shared functions, several syncs of one pair."""
        for _ in range(size * 2 // 3):
            kinds = [*self.types, "destination", "stream", "function", "service"]
            self.add(workspace_id, self.dice.choice(kinds))
        if size > 3 and not self.state.generation.is_2024:
            self.add(workspace_id, "domain")
        for _ in range(size // 3):
            self.add_link(workspace_id)
        if size > 5 and not self.state.generation.is_2024:
            self.add_builder(workspace_id)
        if size > 2 and self.state.generation.is_newest:
            self.syncs.fill(workspace_id, 1 + size // 12)

    def add(self, workspace_id: str, kind: str) -> str:
        """Add one object that is no model; return its id."""
        object_id = self.new_id(kind, workspace_id)
        self.state.add_object(workspace_id, kind, object_id, self.body(workspace_id, kind, object_id))
        return object_id

    def body(
        self, workspace_id: str, kind: str, object_id: str, subtype: str | None = None
    ) -> dict[str, Any]:
        """Return a body as the console would store it."""
        dice = self.dice
        row = {"id": object_id, "type": kind, "workspaceId": workspace_id}
        if kind in self.state.extra_types:
            return {"name": dice.choice(ODD_NAMES), "query": {"sql": "select 1", "n": dice.randrange(9)}}
        subtype = subtype or dice.choice(self.destination_types)
        schema = self.schemas[f"destination/{subtype}" if kind == "destination" else kind]
        body: dict[str, Any] = self.value(schema)
        # nothing is authorised here; tests/test_grants.py covers that
        for name in ("cloneId", "updatedAt", "testConnectionError", "provisioned", *grant_fields(kind)):
            body.pop(name, None)
        body |= {"name": dice.choice(ODD_NAMES), **row}
        if kind == "destination":
            body["destinationType"] = subtype
            body |= {name: f"secret-{object_id}" for name in self.secrets.get(subtype, ()) if name in body}
        if kind == "stream":
            body["domains"] = [f"d{self.number}-{dice.randrange(9)}.{workspace_id[-4:]}.example"]
            for name in ("publicKeys", "privateKeys"):
                ids = [f"{name}.{object_id}.{n}" for n in range(dice.randrange(3))]
                body[name] = [{"id": i, "plaintext": f"plain-{i}", "hint": "pla*ain"} for i in ids]
            body.pop("authorizedJavaScriptDomains", None) if dice.random() < 0.5 else None
        if kind == "service":
            secret = {"password": "crm-secret"} if dice.random() < 0.8 else {}
            body["package"] = dice.choice(["airbyte/source-postgres", "airbyte/source-other"])
            body["credentials"] = {"host": dice.choice(ODD_NAMES), **secret, "deep": self.anything(3)}
        if kind == "domain":
            body["name"] = f"*.x{dice.randrange(99)}.{workspace_id[-4:]}.example"
        if kind == "misc":
            streams = [r.id for r in self.state.live_objects(workspace_id, "stream")]
            body |= {"objectType": "classic-mapping", "value": "\n".join(f"{s}=js.{s}" for s in streams[:3])}
        stored, issues = parse(schema, body, dates=False)
        assert not issues, (kind, subtype, issues)
        return {name: value for name, value in stored.items() if name not in row}

    def add_link(self, workspace_id: str) -> None:
        """Add a connection or a sync, where there is anything to join."""
        dice, state = self.dice, self.state
        kind, source_type = dice.choice([("push", "stream"), ("sync", "service")])
        sources = [row.id for row in state.live_objects(workspace_id, source_type)]
        targets = [row.id for row in state.live_objects(workspace_id, "destination")]
        functions = [row.id for row in state.live_objects(workspace_id, "function")]
        if not sources or not targets:
            return
        pair = dice.choice(sources), dice.choice(targets)
        if kind == "push" and not self.takes_events(state.objects[pair[1]]):
            return
        taken = {(r.from_id, r.to_id) for r in state.live_links(workspace_id) if r.type == "push"}
        if kind == "push" and pair in taken:
            return
        data = self.push_data(functions) if kind == "push" else self.sync_data()
        link = state.add_link(workspace_id, kind, *pair, data)
        if kind == "sync" and not state.generation.is_2024 and dice.random() < 0.5:
            cursor = orjson.dumps({"cursor": dice.randrange(9)}, option=orjson.OPT_INDENT_2).decode()
            state.sync_states[link.id] = {"users": cursor}

    def takes_events(self, destination: ObjectRow) -> bool:
        """Return whether the console lets a stream be connected to a destination; older ones always do."""
        try:
            check_takes_events(destination.config)
        except Refusal:
            return not self.state.generation.is_newest
        return True

    def push_data(self, functions: list[str]) -> Any:
        """Return a connection's options."""
        dice = self.dice
        chosen = dice.sample(functions, min(len(functions), dice.randrange(3)))
        used = [{"functionId": f"udf.{f}"} for f in chosen] + [{"functionId": "builtin.x"}] * dice.randrange(
            2
        )
        data = {"mode": dice.choice(["batch", "stream"]), "functionsEnv": {"TOKEN": dice.choice(ODD_NAMES)}}
        return dice.choice(
            [None, {**data, "functions": used}, {"mode": "stream", "anything": self.anything(2)}]
        )

    def sync_data(self) -> Any:
        """Return a sync's options."""
        streams = {"users": {"sync_mode": "incremental", "table_name": "users"}}
        return {
            "streams": streams,
            "schedule": self.dice.choice(["0 * * * *", "5 4 * * *"]),
            "timezone": "Etc/UTC",
        }

    def add_builder(self, workspace_id: str) -> None:
        """Add a profile builder with its function."""
        dice = self.dice
        targets = [row.id for row in self.state.live_objects(workspace_id, "destination")]
        functions = [row.id for row in self.state.live_objects(workspace_id, "function")]
        if not targets:
            return
        self.number += 1
        used = [{"functionId": f"udf.{f}"} for f in functions[:1]]
        fields = {
            "name": dice.choice(ODD_NAMES), "version": dice.randrange(5), "destinationId": dice.choice(targets),
            "intermediateStorageCredentials": {"mongoUrl": "mongodb://u:p@h/db"},
            "connectionOptions": {"profileWindow": dice.randrange(99), "functions": used},
            "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
        }  # fmt: skip
        self.state.add_builder(
            workspace_id, f"pb-{self.number}-{dice.randrange(10**6)}", fields, dice.choice(ODD_NAMES)
        )

    def mutate(self, workspace_id: str, changes: int) -> None:
        """Edit, delete and add entities at random, as people do between two backups."""
        kinds: list[Callable[[str], None]] = [self.edit, self.delete, self.extend, self.edit_link]
        if self.state.generation.is_newest:
            kinds += self.syncs.changes
        for _ in range(changes):
            self.dice.choice(kinds)(workspace_id)

    def edit(self, workspace_id: str) -> None:
        """Replace, add and remove fields of an object."""
        rows = [
            row for kind in self.state.types for row in self.state.live_objects(workspace_id, kind)
            if kind not in ("domain", "stream", "model") and row.config.get("kind") != "profile"
        ]  # fmt: skip
        if not rows:
            return
        row = self.dice.choice(rows)
        other = self.body(workspace_id, row.type, row.id, row.config.get("destinationType"))
        hidden = self.secrets.get(str(row.config.get("destinationType")), ())
        required = self.schemas.get(row.type, {}).get("required", ())
        fixed = {*hidden, *required, "destinationType", "package", "publicKeys", "privateKeys"}
        for name in self.dice.sample(sorted({*row.config, *other}), 1):
            if name in fixed or (name == "credentials" and row.config["package"] != "airbyte/source-other"):
                continue
            if name in other:
                row.config = {**row.config, name: other[name]}
            else:
                row.config = {n: v for n, v in row.config.items() if n != name}
        whole = {**row.config, "id": row.id, "type": row.type, "workspaceId": workspace_id}
        subtype = row.config.get("destinationType")
        stored, issues = parse(
            self.schemas[f"destination/{subtype}" if subtype else row.type], whole, dates=False
        )
        assert not issues, issues
        row.config = {n: v for n, v in stored.items() if n not in ("id", "type", "workspaceId")}

    def delete(self, workspace_id: str) -> None:
        """Delete an object, with or without its links, or a link, or a builder."""
        state, dice = self.state, self.dice
        rows = [row for kind in state.types for row in state.live_objects(workspace_id, kind)]
        links, builders = (
            list(state.live_links(workspace_id)),
            [b for b in state.builders.values() if not b.deleted],
        )
        choice = dice.random()
        if choice < 0.3 and links:
            dice.choice(links).deleted = True
        elif choice < 0.4 and builders:
            builder = dice.choice(builders)
            builder.deleted = state.objects[builder.function_id].deleted = True
        elif rows:
            row = dice.choice(
                [r for r in rows if r.config.get("kind") != "profile" or state.generation.is_2024] or rows
            )
            if row.config.get("kind") == "profile" or row.id in {b.function_id for b in builders}:
                return  # a builder without its function blocks every plan
            row.deleted = True
            if dice.random() < 0.7:
                for link in links:
                    link.deleted = link.deleted or row.id in (link.from_id, link.to_id)

    def extend(self, workspace_id: str) -> None:
        """Add an object or a link."""
        if self.dice.random() < 0.5:
            self.add(workspace_id, self.dice.choice(self.types))
        else:
            self.add_link(workspace_id)

    def edit_link(self, workspace_id: str) -> None:
        """Replace the options of a link."""
        links = [row for row in self.state.live_links(workspace_id) if row.type != REVERSE_SYNC]
        if links:
            link = self.dice.choice(links)
            functions = [row.id for row in self.state.live_objects(workspace_id, "function")]
            link.data = self.push_data(functions) if link.type == "push" else self.sync_data()

    def value(self, schema: Mapping[str, Any]) -> Any:
        """Return a value that a schema allows."""
        dice = self.dice
        if "const" in schema or "enum" in schema:
            return dice.choice(schema.get("enum") or [schema["const"]])
        if "anyOf" in schema:
            return self.value(dice.choice(schema["anyOf"]))
        if "pattern" in schema:
            return dice.choice([text for text in _PATTERNED if re.search(schema["pattern"], text)])
        kinds = schema.get("type")
        kind = dice.choice(kinds) if isinstance(kinds, list) else kinds
        if kind == "object":
            return self.an_object(schema)
        if kind == "array":
            return (
                [self.value(schema["items"]) for _ in range(dice.randrange(3))]
                if "$ref" not in str(schema)
                else []
            )
        if kind in ("number", "integer"):
            return dice.randint(schema.get("minimum", 0), min(schema.get("maximum", 9999), 9999))
        if kind == "boolean":
            return dice.random() < 0.5
        if schema.get("format") == "date-time":
            return "2026-01-01T00:00:00.000Z"
        return None if kind == "null" else dice.choice(ODD_NAMES) if kind == "string" else self.anything(2)

    def an_object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        required = schema.get("required", ())
        result = {
            name: self.value(inner)
            for name, inner in schema.get("properties", {}).items()
            if name in required or self.dice.random() < 0.5
        }
        rest = schema.get("additionalProperties")
        if isinstance(rest, Mapping) and "$ref" not in rest:
            result |= {self.dice.choice(_KEYS): self.value(rest) for _ in range(self.dice.randrange(3))}
        return result

    def anything(self, depth: int) -> Any:
        """Return any JSON value."""
        dice = self.dice
        if depth == 0 or dice.random() < 0.4:
            return dice.choice([*ODD_NAMES[:6], 0, -1.5, 2**53, True, False])
        if dice.random() < 0.3:
            return [self.anything(depth - 1) for _ in range(dice.randrange(1, 3))]
        return {dice.choice(_KEYS): self.anything(depth - 1) for _ in range(dice.randrange(1, 3))}


def no_mask_is_stored(state: State) -> bool:
    """Return whether no mask was stored as a secret."""
    return MASK not in repr([row.config for row in state.objects.values()])
