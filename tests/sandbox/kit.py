"""What the tests of the sandbox share: its workspaces, its keys, and a caller in this process."""

import asyncio
from typing import Any

import httpx
import orjson

from jitsu_backup.sandbox import Generation, Sandbox, default_state

STAGING, PRODUCTION = "cacmestaging0000000000001", "cacmeprod0000000000000002"
OWNER, ANALYST = "key1:secret1secret1secret1", "key2:secret2secret2secret2"
ADMIN = "service:admintoken"


class Caller:
    """Asks a sandbox, in this process, as one user after the other."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = OWNER,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.sandbox.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
                auth = {"Authorization": f"Bearer {key}"} if key else {}
                content = None if body is None else orjson.dumps(body)
                return await client.request(
                    method, path, content=content, headers={**auth, **(headers or {})}
                )

        return asyncio.run(ask())

    def objects(self, kind: str, workspace: str = STAGING, key: str = OWNER) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self("GET", f"/api/{workspace}/config/{kind}", key=key).json()[
            "objects"
        ]
        return found


USERS = "SELECT id, email, plan, updated_at, gone FROM users"
WAREHOUSE = {
    "id": "wh", "name": "Warehouse", "destinationType": "postgres", "host": "db.acme.example", "port": 5432,
    "database": "analytics", "username": "jitsu", "password": "any", "defaultSchema": "public",
}  # fmt: skip
MODEL = {"id": "users", "name": "Users", "warehouseId": "wh", "query": USERS, "primaryKey": ["id"]}
HOOK = {
    "id": "hook", "name": "CRM", "destinationType": "webhook", "url": "https://crm.example/in", "method": "POST",
}  # fmt: skip
OPTIONS = {
    "stream": "rows", "mode": "upsert", "mapping": {"id": "id", "email": "email"},
    "streamOptions": {"deliveryAttested": True},
}  # fmt: skip
SYNCS, SYNC = f"/api/{STAGING}/reverse-etl/syncs", f"/api/{STAGING}/reverse-etl/sync"


def config(kind: str) -> str:
    """Return the path of a type's objects in the first workspace."""
    return f"/api/{STAGING}/config/{kind}"


def newest() -> Caller:
    """Return a caller of an empty newest console."""
    return Caller(Sandbox(default_state(generation=Generation.NEWEST), rate_limit=False))


def with_model() -> Caller:
    """Return a caller of a newest console with a warehouse, a model and a webhook."""
    call = newest()
    for kind, body in (("destination", WAREHOUSE), ("destination", HOOK), ("model", MODEL)):
        reply = call("POST", config(kind), body)
        assert reply.status_code == 200, reply.text
    return call


def request_id(number: int) -> str:
    """Return the nth id of a request."""
    return f"00000000-0000-4000-8000-{number:012}"


def add_sync(
    call: Caller, number: int = 1, ends: tuple[str, str] = ("users", "hook"), **options: Any
) -> httpx.Response:
    """Ask for a reverse sync."""
    sync = {"fromId": ends[0], "toId": ends[1], "data": {**OPTIONS, **options}}
    return call("POST", SYNCS, {"requestId": request_id(number), "sync": sync})


def told(reply: httpx.Response) -> tuple[int, str]:
    """Return the status and the message of a refusal."""
    return reply.status_code, reply.json()["message"]
