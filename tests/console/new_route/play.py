"""Run on a copy of the package that knows segments: back them up, restore them, and restore again."""

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from jitsu_backup.archive import decode, encode
from jitsu_backup.console import Console
from jitsu_backup.model import Key
from tests.support import PRODUCTION, STAGING, console_of, example_sandbox, read, restore, run, writes

FIXTURE = {"id": "segment-0001", "name": "Buyers", "rule": "orders > 3", "destinationId": ""}

sandbox = example_sandbox()
kept: dict[str, dict[str, dict[str, object]]] = {STAGING: {}, PRODUCTION: {}}
sent: list[str] = []


async def segments(request: Request) -> JSONResponse:
    return JSONResponse({"segments": [*kept[request.path_params["workspace"]].values()]})


async def segment(request: Request) -> JSONResponse:
    sent.append(request.method)
    rows, segment_id = kept[request.path_params["workspace"]], request.path_params["id"]
    if request.method == "PUT":
        rows[segment_id] = {**await request.json(), "id": segment_id}
    else:
        del rows[segment_id]
    return JSONResponse({"ok": True})


app = Starlette(
    routes=[
        Route("/api/{workspace}/segments", segments),
        Route("/api/{workspace}/segments/{id}", segment, methods=["PUT", "DELETE"]),
        Mount("/", sandbox.app),
    ]
)


def console() -> Console:
    return console_of(sandbox, wrap=lambda _: httpx.ASGITransport(app))


destination = next(key for key, row in sandbox.state.objects.items() if row.type == "destination")
kept[STAGING]["segment-0001"] = {**FIXTURE, "destinationId": destination}
snapshot = decode(encode(run(read(console(), STAGING))))
assert snapshot.manifest.counts["segment"] == 1
assert "segment" not in (*snapshot.manifest.generic, *snapshot.manifest.not_offered)

result = run(restore(console, snapshot))
assert result.failure is None, result.failure
assert not [line for line in result.found if line.key.type == "segment"], result.found
(made,) = kept[PRODUCTION].values()
assert made["id"] == result.plan.ids[Key("segment", "segment-0001")]
assert made["destinationId"] == result.plan.ids[Key("destination", destination)] != destination
assert made["rule"] == FIXTURE["rule"]
assert sent == ["PUT"]

before = writes(sandbox)
again = run(restore(console, snapshot))
assert (again.plan.writes, len(sent), writes(sandbox)) == ((), 1, before)

made["rule"] = "orders > 4"
kept[PRODUCTION]["extra"] = {**FIXTURE, "id": "extra"}
changed = run(restore(console, snapshot, prune=True))
assert changed.failure is None, changed.failure
assert [*kept[PRODUCTION].values()] == [{**FIXTURE, "id": made["id"], "destinationId": made["destinationId"]}]
assert sent == ["PUT", "PUT", "DELETE"]
