"""The sandbox answers every recorded exchange as the real console did."""

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import orjson
import pytest

from jitsu_backup.sandbox import Generation, Sandbox, recorded_state
from jitsu_backup.sandbox.state import REVERSE_ETL, REVERSE_SYNC, AttemptRow

FIXTURES = Path(__file__).parents[2] / "fixtures"

WAVED_THROUGH = {
    "createdAt, updatedAt, timestamp": "times of rows; those of the log are in its cursors, and later requests name ours",
    "stack, details, stackArray": "stack traces; the recordings hold a placeholder",
    "ids of links, workspaces, profile-builder functions, lines of the log": "made by the server; later requests name ours",
    "node": "the console's own runtime",
    "ms": "how long the health check took",
    "hash of keys given in plain text": "salted",
    "etag": "a hash of the server's own bytes; that there is one is checked",
    "configRevision, credentialsHash of warehouses": "over the real address of the warehouse, which the recordings replace",
    "lastModified, now, lastUsed": "times; those of July's `listen` are compared",
    "key order": "JSON objects have none",
}
AS = {
    "owner": "key1:secret1secret1secret1",
    "analyst": "key2:secret2secret2secret2",
    "admin service token": "service:admintoken",
}
CLOCK = {
    "workspace/create-third-in-5-min": "2026-11-23T07:17:00.613Z",  # the answer's resetAt less its retry-after
    "maintenance/read": "2026-11-23T07:17:12.000Z",  # not recorded; what x-ratelimit-remaining tells
    "limits/19mb-is-fine": "2026-11-23T07:17:22.500Z",  # likewise
    "setup/exhaust-put": "2026-11-23T07:17:28.000Z",
    "limits/429": "2026-11-23T07:17:30.970Z",  # the answer's resetAt less its retry-after
}
"""When some exchanges were made, so that what the rate limiter says is compared to the last digit."""
STARTS = "2026-11-23T07:16:55.000Z"
MORE_STARTS = "2026-11-25T10:28:54.999Z"  # when the workspaces of those recordings were made
MORE_CLOCK = {
    "listen/empty-workspace": "56.185",  # each is the `now` of its answer, or the `updatedAt` of what it wrote
    "stream/create": "56.247",
    "listen/after-create": "56.267",
    "listen/same-instant": "56.280",
    "listen/as-analyst": "56.333",
    "listen/as-admin": "56.350",
    "stream/put-without-change": "56.374",
    "listen/after-put-without-change": "56.406",
    "destination/create-empty-password": "56.426",
    "listen/after-create-2": "56.438",
}
"""When those exchanges were made that `listen` tells the time of, in 2026-11-25T10:28."""
KEPT_BACK = {
    "listen/by-slug": 1, "destination/create-empty-password": 1, "audit-log/next-page": 1,
    "audit-log/all-as-owner": 2, "workspace/list-paged": 1, "workspace/get-data-retention": 1,
}  # fmt: skip
"""How many GETs were made before some exchanges that are not in the recordings: x-ratelimit-remaining tells."""
NEWEST_STARTS = "2026-11-25T10:22:29.270Z"  # when the workspaces of those recordings were made
COUNTERS_CLEARED = {
    "function/get-still-there", "model/create-without-id", "model/create-second", "reverse-sync/list-feature-off",
    "model/put-unbound-model-of-bound-warehouse", "reverse-sync/delete-disabled", "conditional/not-modified",
}  # fmt: skip
"""Before these, the counters of the rate limit were cleared: x-ratelimit-remaining tells."""
NEWEST_KEPT_BACK = {
    "link/create-meta": ("POST", 1), "model/create-not-a-select": ("POST", 1), "model/create-syntax-error": ("POST", 1),
    "model/create-delete-column-of-wrong-type": ("POST", 2), "reverse-sync/create-mirror-on-webhook": ("POST", 1),
    "reverse-sync/create-six-field-schedule": ("POST", 1), "reverse-sync/create-unknown-option": ("POST", 1),
    "link/delete-reverse-sync-by-id": ("DELETE", 2), "destination/put-bound": ("PUT", 1),
    "destination/delete-bound": ("DELETE", 1), "destination/put-bound-warehouse": ("PUT", 1),
    "reverse-sync/put-full-locked": ("PUT", 1), "reverse-sync/disable-feature-off": ("PUT", 1),
    "reverse-sync/disable-unreadable": ("PUT", 1), "gate/billing-down": ("POST", 3),
}  # fmt: skip
"""How many requests were made before some exchanges that are not in the recordings, by method."""
ADDRESS_HASHED = {f"body[{n}].credentialsHash" for n in (4, 5)}  # [admin/export-rotor-connections]
STAGING_ID = "cacmestaging0000000000001"
SYNC_ID = "retl-96cd1b1dcdbd48cba08de2de4f73ee79"  # [reverse-sync/create]
SERVER_ID = re.compile(r"cacmestaging0000000000001-.{1,4}-.{1,4}-\w{6}|cmw(sx|vz)[a-z0-9]{20,21}")
CURSOR = re.compile(rf"({MORE_STARTS[:11]}.*Z)\|(cmwvz[a-z0-9]{{20}})")
TIME = {"createdAt", "updatedAt", "timestamp", "lastUsed", "started_at", "updated_at"}
ANY = {"stack", "details", "stackArray", "node", "ms", "configRevision"}


class Replay:
    def __init__(self, generation: Generation, starts: str) -> None:
        self.now = datetime.fromisoformat(starts).timestamp()
        state = recorded_state(lambda: self.now, generation)
        self.sandbox = Sandbox(state, clock=lambda: self.now)
        self.more, self.newest = starts == MORE_STARTS, generation.is_newest
        self.etags: dict[str, str] = {}
        self.target = ""
        self.ids: dict[str, str] = {}
        self.matched = 0
        self.problems: list[str] = []

    async def run(self, exchanges: list[dict[str, Any]]) -> None:
        transport = httpx.ASGITransport(self.as_written)
        async with httpx.AsyncClient(transport=transport, base_url="https://jitsu.example.com") as client:
            for exchange in exchanges:
                self.now += 0.02
                if exchange["name"] in CLOCK:
                    self.now = datetime.fromisoformat(CLOCK[exchange["name"]]).timestamp()
                if self.more and exchange["name"] in MORE_CLOCK:
                    moment = f"{MORE_STARTS[:17]}{MORE_CLOCK[exchange['name']]}Z"
                    self.now = datetime.fromisoformat(moment).timestamp()
                for _ in range(KEPT_BACK.get(exchange["name"], 0) if self.more else 0):
                    self.sandbox.limiter.take("key1", "GET")
                if self.newest:
                    self.before(exchange["name"])
                if "out_of_band" in exchange:
                    await self.out_of_band(exchange["name"], client)
                    continue
                reply = await client.send(self.request(client, exchange["request"]))
                found = self.compare(exchange, reply)
                self.problems += [f"{exchange['name']}: {problem}" for problem in found]
                self.matched += not found

    def before(self, name: str) -> None:
        """Do what happened outside the API before an exchange."""
        state = self.sandbox.state
        if name in COUNTERS_CLEARED:
            self.sandbox.limiter.clear()
        method, count = NEWEST_KEPT_BACK.get(name, ("", 0))
        for _ in range(count):
            self.sandbox.limiter.take("key1", method)
        features = {
            "reverse-sync/put-feature-off": [],
            "reverse-sync/list-with-task": [REVERSE_ETL],
            "readonly/create": [REVERSE_ETL, "readonly"],
            "conditional/list": [REVERSE_ETL],
        }
        state.workspaces[STAGING_ID].features = features.get(name, state.workspaces[STAGING_ID].features)
        if name in ("maintenance/write-model", "admin/export-as-owner"):
            self.sandbox.maintenance = name == "maintenance/write-model"
        elif name == "gate/entitlements":
            state.plans = {STAGING_ID: "free", "cacmeprod0000000000000002": "business"}
        elif name == "gate/billing-down":
            state.billing_down = True
        self.run_syncs(name)

    def run_syncs(self, name: str) -> None:
        """Do what the runner of reverse syncs did before an exchange, or an older console."""
        state = self.sandbox.state
        if name == "reverse-sync/list-locked":
            state.phases[SYNC_ID] = "complete"
        elif name == "sync-state/get-of-reverse-sync":
            state.sync_states[SYNC_ID] = {"_REVERSE_ETL_META_AUDIENCE_": '{"audienceId":"1"}'}
        elif name == "reverse-sync/list-with-task":
            now = state.now()
            state.attempts.append(AttemptRow("task-1", SYNC_ID, "WAITING", now, now, "manual"))
        elif name == "reverse-sync/delete-as-analyst":
            state.attempts[0].status = "SUCCESS"
        elif name == "reverse-sync/list-with-an-unreadable-one":
            state.add_object(STAGING_ID, "model", "md-old", {"name": "Old", "warehouseId": "wh-pg"})
            options = {"version": 1, "stream": "rows", "mode": "upsert", "mapping": {"id": "id"}}
            state.add_link(STAGING_ID, REVERSE_SYNC, "md-old", "hook-1", options, "retl-old")
        elif name == "readonly/create":
            del state.links["retl-old"], state.objects["md-old"]

    async def as_written(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the path as it was recorded: httpx would take `..` out of it before it is sent."""
        path = self.target.split("?")[0]
        await self.sandbox.app({**scope, "path": unquote(path), "raw_path": path.encode()}, receive, send)

    def request(self, client: httpx.AsyncClient, recorded: dict[str, Any]) -> httpx.Request:
        headers = {
            name: self.etags[value] if name == "If-None-Match" else value
            for name, value in recorded.get("headers", {}).items()
        }
        if recorded["as"] != "anonymous":
            headers["Authorization"] = f"Bearer {AS.get(recorded['as'], recorded['as'])}"
        content = None
        if "body_raw" in recorded:
            content = recorded["body_raw"]
        elif "body_described" in recorded:
            size = 21 if "21 MiB" in recorded["body_described"] else 19
            function = {"id": "fn-19", "type": "function", "name": "big", "code": "x" * (size * 2**20)}
            content = orjson.dumps(function)
        elif "body" in recorded:
            content = orjson.dumps(self.ours(recorded["body"]))
        self.target = path = self.ours(recorded["path"])
        return client.build_request(recorded["method"], path, headers=headers, content=content)

    def ours(self, value: Any) -> Any:
        text = orjson.dumps(value).decode()
        for recorded, own in self.ids.items():
            text = text.replace(recorded, own).replace(quote(recorded, safe=""), quote(own, safe=""))
        return orjson.loads(text)

    async def out_of_band(self, name: str, client: httpx.AsyncClient) -> None:
        if name == "setup/provisioned":
            config = {"name": "Provisioned ClickHouse", "destinationType": "clickhouse", "provisioned": True}
            self.sandbox.state.add_object(
                "cacmestaging0000000000001",
                "destination",
                "wh-prov",
                {**config, "hosts": ["x"], "password": "p"},
            )
        elif name in ("setup/exhaust-put", "setup/repeat-put"):
            self.sandbox.limiter.clear()
            link = {"id": "any", "fromId": "web-site", "toId": "wh-pg-r1", "data": {}}
            headers = {"Authorization": f"Bearer {AS['owner']}"}
            self.target = path = "/api/cacmestaging0000000000001/config/link"
            for _ in range(120 if name == "setup/exhaust-put" else 151):
                assert (await client.put(path, json=link, headers=headers)).status_code == 200
        else:
            self.sandbox.maintenance = name == "setup/maintenance-on"

    def compare(self, exchange: dict[str, Any], reply: httpx.Response) -> list[str]:
        expected = exchange["response"]
        problems = []
        if reply.status_code != expected["status"]:
            problems.append(f"status {reply.status_code}, recorded {expected['status']}: {reply.text[:200]}")
        problems += self.compare_headers(expected["headers"], reply.headers)
        body = reply.text if isinstance(expected["body"], str) else orjson.loads(reply.content)
        problems += self.differences(expected["body"], body, "body")
        if "etag" in expected["headers"]:
            self.etags[expected["headers"]["etag"]] = reply.headers.get("etag", "")
        return problems

    def compare_headers(self, recorded: dict[str, str], found: httpx.Headers) -> list[str]:
        problems = []
        names = ["content-type", "x-ratelimit-limit", "x-ratelimit-remaining", "etag", "retry-after"]
        names += ["cache-control"] if self.newest else []
        for name in [*names, "location", "last-modified"] if self.more else names:
            differs = name != "etag" and recorded.get(name) != found.get(name)
            if (name in recorded) != (name in found) or differs:
                problems.append(f"header {name}: {found.get(name)}, recorded {recorded.get(name)}")
        return problems

    def differences(self, recorded: Any, found: Any, at: str) -> list[str]:
        name = at.rpartition(".")[2]
        if self.newest and (at in ADDRESS_HASHED or name in ("lastModified", "now")):
            return [] if isinstance(found, str) else [f"{at}: {found!r}"]
        if name in ANY and (found is None) == (recorded is None):
            return []
        if (
            name in TIME
            and isinstance(found, str)
            and re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]{8}\.\d{3}Z", found)
        ):
            if name == "timestamp":
                self.ids[recorded] = found
            return []
        if isinstance(recorded, str) and isinstance(found, str) and CURSOR.fullmatch(recorded):
            recorded = self.ours(recorded)
        if isinstance(recorded, dict) and isinstance(found, dict):
            names = sorted({*recorded, *found})
            lacking = [f"{at}.{n}: in one answer only" for n in names if (n in recorded) != (n in found)]
            common = [n for n in names if n in recorded and n in found]
            return lacking + [p for n in common for p in self.differences(recorded[n], found[n], f"{at}.{n}")]
        if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
            pairs = enumerate(zip(recorded, found, strict=True))
            return [p for n, (one, other) in pairs for p in self.differences(one, other, f"{at}[{n}]")]
        if isinstance(recorded, str) and isinstance(found, str):
            if recorded in self.ids:
                return (
                    [] if self.ids[recorded] == found else [f"{at}: {found!r} is not {self.ids[recorded]!r}"]
                )
            if SERVER_ID.fullmatch(recorded) and len(recorded) == len(found):
                self.ids[recorded] = found
                return (
                    []
                    if recorded[:-6] == found[:-6] or recorded[:1] == found[:1] == "c"
                    else [f"{at}: {found!r}"]
                )
            for theirs, ours in self.ids.items():  # ids inside a sentence
                recorded = recorded.replace(theirs, ours)
            if name == "hash" and re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{128}", recorded):
                return [] if re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{128}", found) else [f"{at}: {found!r}"]
        return [] if recorded == found else [f"{at}: {found!r}, recorded {recorded!r}"]


@pytest.mark.parametrize(
    ("recordings", "generation", "starts", "total"),
    [
        ("recordings.json", Generation.JULY_2026, STARTS, 133),
        ("recordings-2024.json", Generation.OCTOBER_2024, STARTS, 131),
        ("recordings-more.json", Generation.JULY_2026, MORE_STARTS, 61),
        ("recordings-newest.json", Generation.NEWEST, NEWEST_STARTS, 174),
    ],
    ids=["2026-07", "2024", "more of 2026-07", "newest"],
)
def test_the_sandbox_answers_every_recorded_exchange_as_the_real_console_did(
    recordings: str, generation: Generation, starts: str, total: int
) -> None:
    exchanges = orjson.loads((FIXTURES / recordings).read_bytes())["exchanges"]
    replay = Replay(generation, starts)
    asyncio.run(replay.run(exchanges))
    print("waved through:", *(f"  {what}: {why}" for what, why in WAVED_THROUGH.items()), sep="\n")
    print(f"{replay.matched} of {total} matched")
    assert replay.problems == []
    assert replay.matched == total
