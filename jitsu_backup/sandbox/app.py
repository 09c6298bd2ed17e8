"""The ASGI application of the sandbox. The routes are in `sandbox.routes`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
import starlette.routing
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request as HttpRequest
from starlette.responses import Response

from jitsu_backup.sandbox.access import Access
from jitsu_backup.sandbox.audit_log import Audit
from jitsu_backup.sandbox.calls import Call, Handler
from jitsu_backup.sandbox.http_messages import as_json, moved, resolved, target_of
from jitsu_backup.sandbox.rate_limits import Limiter
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.routes.changes import Changes
from jitsu_backup.sandbox.routes.console import ConsoleFacts
from jitsu_backup.sandbox.routes.exports import Exports
from jitsu_backup.sandbox.routes.links import Links
from jitsu_backup.sandbox.routes.models import Models
from jitsu_backup.sandbox.routes.newest_links import NewestLinks
from jitsu_backup.sandbox.routes.objects import Objects
from jitsu_backup.sandbox.routes.profile_builders import ProfileBuilders
from jitsu_backup.sandbox.routes.reverse_syncs import ReverseSyncs
from jitsu_backup.sandbox.routes.sync_states import SyncStates
from jitsu_backup.sandbox.routes.workspace_settings import WorkspaceSettings
from jitsu_backup.sandbox.routes.workspaces import Workspaces
from jitsu_backup.sandbox.state import OWNER, READER, State

BODY_LIMIT = 20 * 1024 * 1024
"""The largest body, in bytes [limits/too-large, limits/19mb-is-fine]."""


@dataclass(frozen=True, slots=True)
class Request:
    """An answered request. `path` includes the query, `key_id` is None without a valid key."""

    method: str
    path: str
    status: int
    key_id: str | None


class Sandbox:
    """An embedded console. `app` is the ASGI application, `requests` the requests that it answered."""

    def __init__(
        self,
        state: State,
        *,
        clock: Callable[[], float] = time.time,
        rate_limit: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Serve `state`. `clock` returns epoch seconds; `sleep` is how `listen` waits for a change."""
        audit = Audit(state)
        self.state, self.limiter = state, Limiter(clock)
        self.requests: list[Request] = []
        self.access = Access(state, audit, self.limiter, rate_limit=rate_limit)
        self.workspaces = Workspaces(state, self.access)
        self.objects = Objects(state, audit, self.access)
        links = NewestLinks if state.generation.is_newest else Links
        self.links = links(state, audit, self.access)
        # the first route that matches is taken, so routes of one type come before those of any type
        self.routes = [
            *ConsoleFacts(state, self.access).routes(),
            *WorkspaceSettings(state, self.access).routes(),
            *self.workspaces.routes(),
            *Changes(state, audit, self.access, sleep).routes(),
            *Exports(state, self.access).routes(),
            *SyncStates(state, self.access).routes(),
            *ReverseSyncs(state, audit, self.access).routes(),
            *Models(state, self.access).routes(),
            *self.links.routes(),
            *ProfileBuilders(state, self.access).routes(),
            *self.objects.routes(),
        ]
        methods = ["GET", "POST", "PUT", "DELETE", "PATCH"]
        self.app = Starlette(routes=[starlette.routing.Route("/{path:path}", self._handle, methods=methods)])

    @property
    def maintenance(self) -> bool:
        """Whether writes are rejected while reads continue [maintenance/write]."""
        return self.access.maintenance

    @maintenance.setter
    def maintenance(self, value: bool) -> None:
        self.access.maintenance = value

    def facts(self, url: str) -> dict[str, Any]:
        """Return what a person needs to use this console: its URL, keys and workspaces."""
        return {
            "url": url,
            "api_keys": {"owner": OWNER.api_key, "analyst": READER.api_key},
            "admin_token": f"service:{self.state.admin_secret}",
            "workspaces": [
                {"id": row.id, "slug": row.slug, "name": row.name} for row in self.state.workspaces.values()
            ],
        }

    async def _handle(self, http: HttpRequest) -> Response:
        path = http.url.path
        if path == "/_sandbox/requests":
            return self._show_requests(http)
        raw = resolved(http.scope.get("raw_path", path.encode()).decode().split("?")[0])
        parts = [unquote(part) for part in raw.split("/")[1:]]
        call = Call(http, http.method, parts, dict(http.query_params))
        response = await self._answer(call) if parts[-1] or raw == "/" else moved(raw, http.url.query)
        if call.grant is not None:
            response.headers["x-ratelimit-limit"] = str(call.grant.limit)
            response.headers["x-ratelimit-remaining"] = str(call.grant.remaining)
            response.headers["x-ratelimit-reset"] = str(call.grant.reset)
        self.requests.append(Request(http.method, target_of(http), response.status_code, call.key_id))
        return response

    def _show_requests(self, http: HttpRequest) -> Response:
        if http.method == "DELETE":
            self.requests.clear()
        lines = [
            {"method": r.method, "path": r.path, "status": r.status, "key_id": r.key_id}
            for r in self.requests
        ]
        return Response(orjson.dumps(lines), media_type="application/json")

    async def _answer(self, call: Call) -> Response:
        try:
            await _read_body(call)
            answer = await self._handler(call)(call)
            return answer if isinstance(answer, Response) else as_json(call.http, 200, answer)
        except Refusal as refusal:
            if isinstance(refusal.body, str):
                return Response(refusal.body, status_code=refusal.status)
            response = as_json(call.http, refusal.status, refusal.body)
            response.headers.update(refusal.headers)
            return response

    def _handler(self, call: Call) -> Handler:
        matching = (route for route in self.routes if route.matches(call.parts))
        found = next((route for route in matching if self.state.generation.includes(route.since)), None)
        if found is None:
            raise Refusal(404, {"error": f"API route not found: {target_of(call.http)}"})
        handler = found.handlers.get(call.method)
        if handler is None:
            raise Refusal(405, {"error": f"{call.method} method not supported"})
        return handler


async def _read_body(call: Call) -> None:
    if call.method not in ("POST", "PUT", "PATCH"):
        return
    content = bytearray()
    try:
        async for chunk in call.http.stream():
            content += chunk
    except ClientDisconnect:
        raise Refusal(400, "Invalid JSON") from None
    if len(content) > BODY_LIMIT:
        raise Refusal(413, "Body exceeded 20mb limit")
    if not content:
        call.body = {}
        return
    try:
        call.body = orjson.loads(content)
        # rejects a body too deep to be written in an answer, which nests it a few levels deeper
        orjson.dumps([[[[call.body]]]])
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        raise Refusal(400, "Invalid JSON") from None


__all__ = ["Request", "Sandbox"]
