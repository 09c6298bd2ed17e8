"""A realistic workspace with every type, for the demo and for tests."""

import uuid

import orjson

from jitsu_backup.sandbox.reverse_runs import OPTIONS
from jitsu_backup.sandbox.routes.reverse_syncs import reverse_sync_id
from jitsu_backup.sandbox.state import REVERSE_SYNC, LinkRow, State
from jitsu_backup.sandbox.validation import parse, schemas_of

_ENRICH = """export default async function(event, { log }) {
  event.context.geo = event.context.geo || {};
  return event;
}"""
_FILTER = """export default async function(event) {
  return event.userId ? event : "drop";
}"""


def example_workspace(state: State, workspace_id: str) -> None:
    """Fill a workspace with entities of every type that its console knows."""
    known = schemas_of(state.generation)

    def add(kind: str, object_id: str, /, **config: object) -> None:
        if kind not in state.types:
            return
        subtype = f"{kind}/{config['destinationType']}" if "destinationType" in config else kind
        row = {"id": named(object_id), "type": kind, "workspaceId": workspace_id}
        stored, issues = parse(known[subtype], {**config, **row}, dates=False)
        assert not issues, issues  # noqa: S101  our own data
        stored = {name: value for name, value in stored.items() if name not in row}
        state.add_object(workspace_id, kind, named(object_id), stored)

    def named(object_id: str) -> str:
        return f"{object_id}-{workspace_id[-4:]}"

    def keys(name: str) -> dict[str, object]:
        return {
            "publicKeys": [{"id": f"js.{name}", "plaintext": f"browser-{name}", "hint": "bro*ser"}],
            "privateKeys": [{"id": f"s2s.{name}", "plaintext": f"server-{name}", "hint": "ser*ver"}],
        }

    add(
        "stream", "web", name="Web site", domains=["data.acme.example"], authorizedJavaScriptDomains="acme.example",
        **keys("web"),
    )  # fmt: skip
    add("stream", "app", name="Mobile app", domains=[], **keys("app"))
    add("stream", "server", name="Backend events", domains=[], publicKeys=[], privateKeys=[])
    add(
        "destination", "warehouse", name="Warehouse", destinationType="postgres", host="db.staging.acme.example", port=5432,
        database="analytics", username="jitsu", password="pg-secret", defaultSchema="public", sslMode="require",
        authenticationMethod="password",
    )  # fmt: skip
    add(
        "destination", "clicks", name="ClickHouse", destinationType="clickhouse", protocol="https", hosts=["ch1:8443", "ch2:8443"],
        username="default", password="ch-secret", database="default", parameters={"async_insert": "1"}, loadAsJson=False,
    )  # fmt: skip
    add(
        "destination", "lake", name="BigQuery", destinationType="bigquery", project="acme", bqDataset="events",
        keyFile='{"private_key": "bq-secret"}',
    )  # fmt: skip
    add(
        "destination", "hook", name="Alerts webhook", destinationType="webhook", url="https://hooks.acme.example/jitsu",
        method="POST", headers=["Authorization: Bearer hook-secret"],
    )  # fmt: skip
    add("function", "enrich", name="Enrich", code=_ENRICH, kind="event", description="adds geo")
    add("function", "filter", name="Only known users", code=_FILTER, kind="event")
    add(
        "service", "crm", name="CRM", package="airbyte/source-postgres", version="3.6.11", protocol="airbyte",
        credentials={
            "host": "crm.staging", "port": 5432, "database": "crm", "username": "reader", "password": "crm-secret",
            "tunnel_method": {"tunnel_method": "SSH_KEY_AUTH", "ssh_key": "ssh-secret"},
        },
    )  # fmt: skip
    add("custom-image", "image", name="Acme source", package="acme/source-x", version="1.0.0")
    add("domain", "track", name="*.track.acme.example")
    classic = f"{named('web')}=js.classic.key"
    add("misc", "classic", name="Classic keys", objectType="classic-mapping", value=classic)
    add(
        "notification", "ops", name="Ops", channel="slack", slackWebhookUrl="https://hooks.acme.example/T/B/slack-secret",
        events=["all"], recurringAlertsPeriodHours=168, summarizeBatchNotificationsByTable=True,
    )  # fmt: skip

    def connect(kind: str, source: str, target: str, **options: object) -> LinkRow:
        return state.add_link(workspace_id, kind, named(source), named(target), options)

    udf = {"functionId": f"udf.{named('enrich')}"}
    only_users = {"functionId": f"udf.{named('filter')}"}
    builtin = {"functionId": "builtin.transformation.user-recognition"}
    secret = {"API_TOKEN": "env-secret"}
    connect(
        "push", "web", "warehouse", mode="batch", frequency=5, functions=[udf, builtin], functionsEnv=secret
    )
    connect("push", "web", "clicks", mode="stream", functions=[udf, only_users])
    connect("push", "app", "hook", mode="stream")
    users = {
        "public.users": {"sync_mode": "incremental", "table_name": "users", "cursor_field": ["updated_at"]}
    }
    orders = {"public.orders": {"sync_mode": "full_refresh", "table_name": "orders"}}
    hourly = connect("sync", "crm", "warehouse", streams=users, schedule="0 * * * *", timezone="Etc/UTC")
    connect("sync", "crm", "warehouse", streams=orders, schedule="0 3 * * *", timezone="Etc/UTC")
    if state.generation.is_newest:
        add(
            "destination", "crm-hook", name="CRM webhook", destinationType="webhook",
            url="https://crm.acme.example/contacts", method="POST", signatureMethod="hmac",
            signatureSecret="signing-secret",
        )  # fmt: skip
        add(
            "model", "users", name="Users", warehouseId=named("warehouse"),
            query="SELECT id, email, plan, updated_at, gone FROM users", primaryKey=["id"], deleteColumn="gone",
            cursor={"column": "updated_at", "type": "timestamp", "lookbackSeconds": 60},
            description="Everybody who has an account",
        )  # fmt: skip
        _add_reverse_sync(state, workspace_id, named("users"), named("crm-hook"))
    if state.generation.is_2024:
        return
    cursor = orjson.dumps({"cursor": "2026-01-01"}, option=orjson.OPT_INDENT_2).decode()
    state.sync_states[hourly.id] = {"public.users": cursor}
    state.add_builder(
        workspace_id,
        named("profiles"),
        {
            "name": "Profiles", "version": 1, "destinationId": named("warehouse"),
            "intermediateStorageCredentials": {"mongoUrl": "mongodb://u:mongo-secret@mongo/db"},
            "connectionOptions": {"variables": {"K": "v"}, "profileWindow": 365},
            "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
        },
        "export default async function(events, user) { return { traits: {} } }",
    )  # fmt: skip


def _add_reverse_sync(state: State, workspace_id: str, model_id: str, destination_id: str) -> None:
    columns = ("id", "email", "plan")
    sync = {
        "name": "Users to the CRM", "stream": "rows", "mode": "upsert", "mapping": {name: name for name in columns},
        "streamOptions": {"deliveryAttested": True}, "schedule": "0 * * * *", "timezone": "Etc/UTC",
    }  # fmt: skip
    options, issues = parse(OPTIONS, sync, dates=False)
    assert not issues, issues  # noqa: S101  our own data
    request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{workspace_id}/{model_id}"))
    sync_id = reverse_sync_id(workspace_id, request_id)
    state.add_link(workspace_id, REVERSE_SYNC, model_id, destination_id, options, sync_id)
