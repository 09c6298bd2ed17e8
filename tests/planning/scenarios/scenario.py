"""What scenarios are made of: a snapshot, a target and options each, small enough to follow by eye."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jitsu_backup.model import MASK, Snapshot
from jitsu_backup.planning import Action, Plan, PlanOptions, derived_id, make_plan, parse_overlay
from tests.support import PRODUCTION, STAGING, make_snapshot

Lists = dict[str, list[dict[str, Any]]]
OTHER = "https://other.example.com"
TYPES = ("custom-image", "destination", "domain", "function", "link", "misc", "notification", "profile-builder", "service", "stream")  # fmt: skip
MODERN = {"cloneId": {"type": "string"}}
TEXT, MAYBE = {"type": "string"}, {"type": ["string", "null"]}
SCHEMAS: dict[str, Any] = {
    "stream": {"type": "object", "properties": {**MODERN, "name": TEXT, "domains": {"type": "array"}}},
    "function": {
        "type": "object",
        "properties": {**MODERN, "name": TEXT, "code": TEXT, "since": {"type": "string", "format": "date-time"}},
    },
    "destination": {"type": "object", "properties": {**MODERN, "name": TEXT, "destinationType": TEXT}},
    "destination/db": {
        "type": "object",
        "required": ["name", "password"],
        "additionalProperties": False,
        "properties": {
            **MODERN, "id": TEXT, "type": TEXT, "workspaceId": TEXT, "name": TEXT, "destinationType": TEXT, "host": TEXT,
            "password": TEXT, "token": MAYBE, "port": {"type": "integer", "maximum": 9}, "mode": {"enum": [*"abdefghij"]},
            "kind": {"const": "fixed"}, "list": {"type": "array"}, "provisioned": {"type": "boolean"}, "apiKey": TEXT,
            "testConnectionError": TEXT, "ssl": {"type": "string", "default": "off"}, "headers": {"type": "array"},
            "deep": {
                "type": "object", "required": ["must"],
                "properties": {"must": TEXT, "more": {"type": "number", "default": 7}},
                "additionalProperties": {"type": "string"},
            },
            "closed": {"type": "object", "properties": {"in": TEXT}, "additionalProperties": False},
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """What a plan is made of."""

    snapshot: Snapshot
    live: Snapshot
    options: PlanOptions
    large: bool = False


SCENARIOS: dict[str, Callable[[], Scenario]] = {}


def scenario(make: Callable[[], Scenario]) -> Callable[[], Scenario]:
    SCENARIOS[make.__name__] = make
    return make


def side(lists: Lists, **more: Any) -> Snapshot:
    secrets = more.pop("secrets", {})
    types = more.pop("types", TYPES)
    made = make_snapshot({**{name: [] for name in types}, **lists}, **more)
    return replace(made, secrets=secrets)


def in_place(before: Lists, live: Lists, **options: Any) -> Scenario:
    """The same workspace, earlier and now."""
    sides = {name: options.pop(name, {}) for name in ("of_snapshot", "of_live")}
    return Scenario(
        side(before, **sides["of_snapshot"]),
        side(live, **sides["of_live"]),
        PlanOptions(**{"schemas": SCHEMAS, **options}),
    )


def elsewhere(before: Lists, live: Lists, **options: Any) -> Scenario:
    """Two workspaces of one console."""
    of_live = {"workspace_id": PRODUCTION, "slug": "acme-production", **options.pop("of_live", {})}
    return in_place(before, live, of_live=of_live, **options)


def other_console(before: Lists, live: Lists, **options: Any) -> Scenario:
    return elsewhere(before, live, of_live={"host": OTHER, **options.pop("of_live", {})}, **options)


def overlay(rules: dict[str, Any], *secrets: str) -> Any:
    return parse_overlay(rules, frozenset(secrets))


def here(type_name: str, source_id: str, attempt: int = 0) -> str:
    """The id that an entity has in the other workspace."""
    return derived_id(PRODUCTION, type_name, source_id, attempt)


def own(type_name: str, source_id: str, attempt: int = 0) -> str:
    """The id that an entity gets when it is made again in its own workspace."""
    return derived_id(STAGING, type_name, source_id, attempt)


def db(one: str, /, **more: Any) -> dict[str, Any]:
    return {"id": one, "name": one.title(), "destinationType": "db", "password": MASK, **more}


def link(one: str, source: str, target: str, data: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": one, "type": "push", "fromId": source, "toId": target, "data": data, **more}


def sync(one: str, source: str, target: str, data: Any = None, **more: Any) -> dict[str, Any]:
    return link(one, source, target, data, **{"type": "sync", **more})


def builder(one: str, function: str, target: str, code: str = "code", **more: Any) -> dict[str, Any]:
    owned = {
        "functionId": function,
        "function": {"id": function, "config": {"code": code, **more.pop("config", {})}},
    }
    return {
        "id": one, "name": one.title(), "destinationId": target, "version": 1, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "functions": [owned], "connectionOptions": {}, **more,
    }  # fmt: skip


WEB = {"id": "web-1", "name": "Web", "domains": []}
CRM = {"id": "crm-1", "name": "CRM", "package": "a/b", "credentials": {"host": "h", "password": MASK}}
ENRICH = {"id": "enrich", "name": "Enrich", "code": "one\ntwo", "kind": "event"}
DB = db("db-1", host="db.staging")
RUNS = {"functions": [{"functionId": "udf.enrich"}, {"functionId": "builtin.x"}]}
BASE: Lists = {"stream": [WEB], "destination": [DB], "function": [ENRICH], "service": [CRM], "link": [link("l1", "web-1", "db-1", RUNS)]}  # fmt: skip


def plan_of(one: Scenario) -> Plan:
    return make_plan(one.snapshot, one.live, one.options)


def action_of(one: Scenario, entity_id: str) -> Action:
    """The only action on the entity with an id."""
    (found,) = (action for action in plan_of(one).actions if action.key.id == entity_id)
    return found


def with_(lists: Lists, **more: Any) -> Lists:
    """`lists` with some types' entities replaced; names may write `_` for `-`."""
    return {**lists, **{name.replace("_", "-"): bodies for name, bodies in more.items()}}


def recreate(**more: Any) -> Scenario:
    before = with_(BASE, **{"destination": [NARROW], **more.pop("before", {})})
    live = with_(BASE, **{"destination": [WIDE], **more.pop("live", {})})
    return in_place(before, live, **{"recreate": True, **more})


NARROW = db("db-1", host="h")
WIDE = db("db-1", host="h", mode="a", apiKey="shown")
EXTRA: Lists = {
    "stream": [WEB, {"id": "old-1", "name": "Old", "publicKeys": [{"id": "js.o"}], "privateKeys": [{"id": "s.o"}, {"id": "s.p"}]}],
    "destination": [DB, db("old-2"), db("given", provisioned=True)],
    "function": [ENRICH, {"id": "old-3", "name": "Old"}, {"id": "old-pf", "name": "P", "kind": "profile"}, {"id": "kept-pf", "name": "K", "kind": "profile"}],
    "profile-builder": [builder("old-pb", "old-pf", "db-1"), builder("kept-pb", "kept-pf", "db-1")],
    "service": [CRM], "link": [link("l1", "web-1", "db-1", RUNS), link("old-l", "old-1", "old-2", {"mode": "x"})],
    "gadget": [{"id": "model-1", "name": "Model"}],
}  # fmt: skip
