"""The routes of the console."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from jitsu_backup.sandbox import validation
from jitsu_backup.sandbox.admin import export, export_changed
from jitsu_backup.sandbox.answers import as_json, moved, read_number, resolved, target_of, with_base
from jitsu_backup.sandbox.audit import LONGEST_PAGE, PAGE, Audit
from jitsu_backup.sandbox.config import Config, builder_issues
from jitsu_backup.sandbox.dates import as_http_date, parse_date
from jitsu_backup.sandbox.limits import WORKSPACE_CREATE, Grant, Limiter
from jitsu_backup.sandbox.replies import Refusal, fault, invalid_request, thrown
from jitsu_backup.sandbox.state import OPERATOR, OWNER, READER, State, User, WorkspaceRow, as_iso
from jitsu_backup.sandbox.workspaces import Workspaces

BODY_LIMIT = 20 * 1024 * 1024
"""[limits/too-large, limits/19mb-is-fine]"""

_EDITORS = ("owner", "editor")


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered; `path` has its query, `key_id` is None for strangers."""

    method: str
    path: str
    status: int
    key_id: str | None


@dataclass(slots=True)
class _Call:
    """One request while it is handled."""

    http: HttpRequest
    method: str
    parts: list[str]
    query: Mapping[str, str]
    body: Any = None
    user: User | None = None
    admin: bool = False
    key_id: str | None = None
    grant: Grant | None = None


class Sandbox:
    """An embedded console. `app` is the ASGI application, `requests` what it has answered.

    While `maintenance` is set, writes are refused and reads go on [maintenance/write]. `sleep` is what
    lets an answer wait: `listen` does, for a change.
    """

    def __init__(
        self,
        state: State,
        *,
        clock: Callable[[], float] = time.time,
        rate_limit: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.state, self.rate_limit, self.maintenance = state, rate_limit, False
        self.limiter = Limiter(clock)
        self.requests: list[Request] = []
        self.audit = Audit(state)
        self.config = Config(state, self.audit)
        self.workspaces = Workspaces(state)
        self._sleep = sleep
        methods = ["GET", "POST", "PUT", "DELETE", "PATCH"]
        self.app = Starlette(routes=[Route("/{path:path}", self._handle, methods=methods)])

    def facts(self, url: str) -> dict[str, Any]:
        """Give what somebody needs to use this console."""
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
            return self._tell_requests(http)
        raw = resolved(http.scope.get("raw_path", path.encode()).decode().split("?")[0])
        parts = [unquote(part) for part in raw.split("/")[1:]]
        call = _Call(http, http.method, parts, dict(http.query_params))
        response = await self._answer(call) if parts[-1] or raw == "/" else moved(raw, http.url.query)
        if call.grant is not None:
            response.headers["x-ratelimit-limit"] = str(call.grant.limit)
            response.headers["x-ratelimit-remaining"] = str(call.grant.remaining)
            response.headers["x-ratelimit-reset"] = str(call.grant.reset)
        target = path + (f"?{http.url.query}" if http.url.query else "")
        self.requests.append(Request(http.method, target, response.status_code, call.key_id))
        return response

    def _tell_requests(self, http: HttpRequest) -> Response:
        if http.method == "DELETE":
            self.requests.clear()
        lines = [
            {"method": r.method, "path": r.path, "status": r.status, "key_id": r.key_id}
            for r in self.requests
        ]
        return Response(orjson.dumps(lines), media_type="application/json")

    async def _answer(self, call: _Call) -> Response:
        try:
            await self._read_body(call)
            answer = await self._route(call)(call)
            return answer if isinstance(answer, Response) else as_json(call.http, 200, answer)
        except Refusal as refusal:
            if isinstance(refusal.body, str):
                return Response(refusal.body, status_code=refusal.status)
            response = as_json(call.http, refusal.status, refusal.body)
            response.headers.update(refusal.headers)
            return response

    async def _read_body(self, call: _Call) -> None:
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
        except orjson.JSONDecodeError:
            raise Refusal(400, "Invalid JSON") from None
        try:  # what cannot be written again, with room for what an answer puts around it
            orjson.dumps([[[[call.body]]]])
        except orjson.JSONEncodeError:
            raise Refusal(400, "Invalid JSON") from None

    def _route(self, call: _Call) -> Callable[[_Call], Awaitable[Any]]:
        match call.parts:
            case ["api", _, "sources", "state"] | ["api", "audit-log"] | ["api", _, "listen"] if (
                self.state.old
            ):
                pass
            case ["api", "version"]:
                return self._only(call, GET=self._version)
            case ["api", "healthcheck"]:
                return self._only(call, GET=self._healthcheck)
            case ["api", "me"]:
                return self._only(call, GET=self._me)
            case ["api", "schema", *_]:
                return self._only(call, GET=self._schema)
            case ["api", "workspace"]:
                return self._only(call, GET=self._workspaces, POST=self._create_workspace)
            case ["api", "workspace", _]:
                return self._only(call, GET=self._workspace, PUT=self._update_workspace)
            case ["api", "workspace", _, "users"]:
                return self._only(call, GET=self._users)
            case ["api", "workspace", _, _]:
                return self._only(call, GET=self._options, POST=self._set_options)
            case ["api", "audit-log"]:
                return self._only(call, GET=self._audit_log)
            case ["api", _, "listen"]:
                return self._only(call, GET=self._listen)
            case ["api", "admin", "export", _]:
                return self._only(call, GET=self._export)
            case ["api", _, "sources", "state"]:
                return self._only(call, GET=self._sync_state, POST=self._set_sync_state)
            case ["api", _, "config", "link"]:
                return self._only(
                    call,
                    GET=self._links,
                    POST=self._upsert_link,
                    PUT=self._upsert_link,
                    DELETE=self._delete_link,
                )
            case ["api", _, "config", "profile-builder"]:
                return self._only(
                    call, GET=self._builders, POST=self._upsert_builder, PUT=self._upsert_builder,
                    DELETE=self._delete_builder,
                )  # fmt: skip
            case ["api", _, "config", _]:
                return self._only(call, GET=self._list, POST=self._create)
            case ["api", _, "config", _, _]:
                return self._only(call, GET=self._get, PUT=self._update, DELETE=self._delete)
        raise Refusal(404, {"error": f"API route not found: {target_of(call.http)}"})

    @staticmethod
    def _only(call: _Call, **routes: Callable[[_Call], Awaitable[Any]]) -> Callable[[_Call], Awaitable[Any]]:
        if call.method not in routes:
            raise Refusal(405, {"error": f"{call.method} method not supported"})
        return routes[call.method]

    # -- who may do what -----------------------------------------------------------

    def _authenticate(self, call: _Call) -> None:
        header = call.http.headers.get("authorization", "")
        if not header.lower().startswith("bearer "):
            raise Refusal(401, {"error": "Authorization Required"})
        token = header[7:].strip()
        key_id, colon, secret = token.partition(":")
        if not colon and self.state.old:
            raise Refusal(401, {"error": "Authorization Required"})
        if not colon:
            raise thrown("Bearer token should have a format of keyId:secret")
        if hmac.compare_digest(secret.encode(), self.state.admin_secret.encode()):
            call.admin, call.key_id = True, "admin"
            return
        for user in self.state.users.values():
            known_id, _, known_secret = user.api_key.partition(":")
            if known_id == key_id:
                if known_secret != secret:
                    raise Refusal(401, {"message": f"Invalid API key secret for {key_id}", "keyId": key_id})
                call.user, call.key_id = user, key_id
                return
        raise Refusal(401, {"message": f"Invalid API key id {key_id}", "keyId": key_id})

    def _admit(self, call: _Call, bucket: str | None = None) -> None:
        """Authenticate, refuse writes in maintenance, count the request."""
        self._authenticate(call)
        self.audit.actor = (call.user.id, call.key_id) if call.user else (OPERATOR, None)
        if self.maintenance and not self.state.old and call.method != "GET":
            message = "Jitsu is in maintenance mode; modifications are temporarily disabled."
            raise Refusal(503, {"error": "maintenance", "message": message})
        if call.admin or not self.rate_limit or self.state.old:
            return
        call.grant = self.limiter.take(str(call.key_id), bucket or call.method)
        wait = call.grant.retry_after
        if wait is not None:
            body = {
                "error": "rate_limit_exceeded",
                "message": f"Rate limit exceeded. Retry after {wait} seconds.",
                "limit": call.grant.limit,
                "remaining": 0,
                "resetAt": as_iso(self.limiter.clock() + wait),
                "bucket": call.grant.bucket,
            }
            raise Refusal(429, body, {"retry-after": str(wait)})

    def _workspace_of(self, call: _Call, *, write: bool = False) -> str:
        """Admit a call on a workspace; give the id as the path has it: a slug finds nothing later."""
        self._admit(call)
        named = call.parts[1]
        row = self.state.find_workspace(named)
        role = self._role(call, row)
        if role is None:
            raise self._no_access(call, named)
        if write and role not in _EDITORS:
            raise self._no_permission(call, named, role)
        return named

    def _owned(self, call: _Call, named: str) -> str:
        """Give the id of a workspace that only its owners may ask about [audit-log/as-analyst]."""
        row = self.state.find_workspace(named)
        role = self._role(call, row)
        if row is None or role is None:
            raise self._no_access(call, row.id if row else named)
        if role != "owner":
            raise self._no_permission(call, row.id, role, "manageUsers")
        return row.id

    def _only_operators(self, call: _Call) -> None:
        if not call.admin:
            raise thrown(f"User {call.user.id if call.user else ''} is not an admin", status=403)

    def _role(self, call: _Call, row: WorkspaceRow | None) -> str | None:
        if row is None:
            return None
        role = "owner" if call.admin else row.access.get(call.user.id) if call.user else None
        return "owner" if role and self.state.old else role  # whoever has access can write there

    def _no_access(self, call: _Call, named: str) -> Refusal:
        user_id = call.user.id if call.user else OPERATOR
        message = f"User {user_id} doesn't have access to workspace {named}"
        return Refusal(403, {"message": message, "workspaceId": named, "userId": user_id})

    def _no_permission(self, call: _Call, named: str, role: str, wanted: str = "editEntities") -> Refusal:
        user_id = call.user.id if call.user else OPERATOR
        message = (
            f"User {user_id} doesn't have permission '{wanted}' in workspace {named}."
            " Required role: owner or editor"
        )
        return Refusal(
            403,
            {"message": message, "workspaceId": named, "userId": user_id, "role": role,
             "requiredPermission": wanted},
        )  # fmt: skip

    def _sees_secrets(self, call: _Call, workspace_id: str) -> bool:
        return self._role(call, self.state.workspaces.get(workspace_id)) in _EDITORS

    # -- the console itself ----------------------------------------------------------

    async def _version(self, _call: _Call) -> Any:
        node = {"version": "v22.0.0", "platform": "linux", "arch": "x64", "env": "development"}
        return {"version": "dev", "stream": "dev", "node": node}

    async def _healthcheck(self, _call: _Call) -> Any:
        return {"status": "ok", "prisma": {"status": "ok", "ms": 3}, "postgres": {"status": "ok", "ms": 1}}

    async def _me(self, call: _Call) -> Any:
        self._authenticate(call)
        user = call.user
        if user is None:
            names = ("internalId", "externalUsername", "externalId", "email", "name")
            operator = {
                **dict.fromkeys(names, OPERATOR),
                "loginProvider": "admin/token",
                "authType": "bearer",
            }
            return {"auth": True, "user": operator}  # [admin/me]
        known: dict[str, Any] = {
            "auth": True,
            "user": {
                "internalId": user.id, "externalUsername": None, "externalId": user.id,
                "loginProvider": "credentials", "email": user.email, "name": user.name,
                "authType": "bearer", "tokenId": call.key_id, "tokenType": "api",
            },
        }  # fmt: skip
        if self.state.old:
            for name in ("authType", "tokenId", "tokenType"):
                del known["user"][name]
        if call.query.get("workspaces") != "true":
            return known
        workspaces = [
            {**self.workspaces.line(row), "deleted": False}
            for row in self.state.workspaces.values()
            if user.id in row.access
        ]
        return {**known, "workspaces": workspaces}  # [discovery/me]

    async def _schema(self, call: _Call) -> Any:
        base = f"{call.http.url.scheme}://{call.http.url.netloc}"
        known = validation.old_schemas() if self.state.old else validation.schemas()
        names = call.parts[2:]
        if not names:
            lines = [with_base(line, base) for line in known["index"]["schemas"]]
            lines += [{"type": t, "schemaURL": f"{base}/api/schema/{t}"} for t in self.state.extra_types]
            return {"schemas": lines}
        if names[0] in self.state.extra_types:
            return self.config.generic_schema()
        found = known.get("/".join(names))
        if found is None or names[0] == "index":
            raise fault(f"Unknown config object type {'/'.join(names)}")
        return found

    # -- workspaces --------------------------------------------------------------------

    async def _workspaces(self, call: _Call) -> Any:
        self._admit(call)
        if call.user is None:
            raise fault(f"User {OPERATOR} does not exist")  # [admin/workspace-list]
        return self.workspaces.listed(call.user.id, call.query)

    async def _workspace(self, call: _Call) -> Any:
        return self.workspaces.whole(self._named_workspace(call))

    async def _create_workspace(self, call: _Call) -> Any:
        self._admit(call, WORKSPACE_CREATE)
        return self.workspaces.create(call.body, call.user.id if call.user else None)

    async def _update_workspace(self, call: _Call) -> Any:
        return self.workspaces.update(
            self._named_workspace(call, write=True), call.body, target_of(call.http)
        )

    async def _users(self, call: _Call) -> Any:
        row = self._named_workspace(call)
        return [
            {
                "workspaceId": row.id,
                "user": {
                    "id": user.id, "name": user.name, "loginProvider": "credentials", "externalId": user.id,
                    "externalUsername": None, "email": user.email,
                },
                **({} if self.state.old else {"role": row.access[user.id]}),
            }
            for user in self.state.users.values()
            if user.id in row.access
        ]  # fmt: skip

    async def _options(self, call: _Call) -> Any:
        return self.workspaces.options(self._named_workspace(call), call.parts[3])

    async def _set_options(self, call: _Call) -> Any:
        return self.workspaces.set_options(self._named_workspace(call, write=True), call.parts[3], call.body)

    def _named_workspace(self, call: _Call, *, write: bool = False) -> WorkspaceRow:
        self._admit(call)
        row = self.state.find_workspace(call.parts[2])
        if row is None:
            raise thrown(f"Workspace '{call.parts[2]}' not found", status=404)
        role = self._role(call, row)
        if role is None:
            raise self._no_access(call, row.id)
        if write and role not in _EDITORS:
            raise self._no_permission(call, row.id, role)
        return row

    async def _export(self, call: _Call) -> Any:
        self._admit(call)
        self._only_operators(call)
        name = call.parts[3]
        changed = export_changed(self.state, name)
        headers = {"last-modified": as_http_date(changed), "content-type": "application/json"}
        since = parse_date(call.http.headers.get("if-modified-since", ""))
        if since is not None and since >= datetime.fromisoformat(changed).replace(microsecond=0):
            return Response(b"", 304, {"last-modified": headers["last-modified"]})
        body = {"lastModified": changed} if call.query.get("dateOnly") else export(self.state, name)
        return Response(orjson.dumps(body), headers=headers)  # no ETag and no charset

    # -- what changed ------------------------------------------------------------------

    async def _listen(self, call: _Call) -> Any:
        """Tell whether a workspace changed since a moment, that moment included [listen/same-instant]."""
        self._admit(call)
        query = call.query.get("ifModifiedSince")
        since = parse_date(query if query is not None else call.http.headers.get("if-modified-since", ""))
        issues: list[dict[str, Any]] = []
        if query is not None and since is None:
            issues.append({"code": "invalid_date", "path": ["ifModifiedSince"], "message": "Invalid date"})
        wait = read_number(call.query.get("maxWaitMs", "10000"), "maxWaitMs", issues)
        if issues:
            raise invalid_request("query", f"GET {target_of(call.http)}", issues)
        if query is None and "if-modified-since" not in call.http.headers:
            raise thrown("Missing If-Modified-Since header", status=400)
        workspace_id = call.parts[1]
        row = self.state.find_workspace(workspace_id)
        if self._role(call, row) is None:
            raise self._no_access(call, workspace_id)
        if since is None:
            raise fault("Invalid time value")
        if datetime.fromisoformat(self.workspaces.last_modified(workspace_id)) < since and wait > 0:
            await self._sleep(wait / 1000)
        changed = self.workspaces.last_modified(workspace_id)
        headers = {"last-modified": as_http_date(changed)}
        if datetime.fromisoformat(changed) < since:
            return Response(b"", 304, {**headers, "content-type": "application/json; charset=utf-8"})
        answer = {
            "modified": True,
            "lastModified": changed,
            "ifModifiedSince": as_iso(since.timestamp()),
            "now": self.state.now(),
        }
        return as_json(call.http, 200, answer, headers)

    async def _audit_log(self, call: _Call) -> Any:
        self._admit(call)
        issues: list[dict[str, Any]] = []
        limit = read_number(call.query.get("limit", str(PAGE)), "limit", issues)
        if not issues:
            bounds = {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE}
            _, found = validation.parse(bounds, limit)
            issues += [{**issue, "path": ["limit"]} for issue in found]
        if issues:
            raise invalid_request("query", f"GET {target_of(call.http)}", issues)
        if "workspaceId" in call.query:
            workspace_id = self._owned(call, call.query["workspaceId"])
        else:
            self._only_operators(call)
            workspace_id = None
        return self.audit.page(workspace_id, call.query, int(limit))

    # -- configuration -----------------------------------------------------------------

    async def _list(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call)
        return {"objects": self.config.objects(workspace_id, call.parts[3])}

    async def _get(self, call: _Call) -> Any:
        return self.config.get(self._workspace_of(call), call.parts[3], call.parts[4])

    async def _create(self, call: _Call) -> Any:
        return self.config.create(self._workspace_of(call, write=True), call.parts[3], call.body)

    async def _update(self, call: _Call) -> Any:
        return self.config.update(
            self._workspace_of(call, write=True), call.parts[3], call.parts[4], call.body
        )

    async def _delete(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call, write=True)
        strict, cascade = call.query.get("strict") == "true", call.query.get("cascade") == "true"
        return self.config.delete(workspace_id, call.parts[3], call.parts[4], strict=strict, cascade=cascade)

    async def _links(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call)
        secrets = self.state.old or self._sees_secrets(call, workspace_id)
        return {"links": self.config.links(workspace_id, secrets=secrets)}

    async def _upsert_link(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call, write=True)
        return self.config.upsert_link(
            workspace_id, call.body, put=call.method == "PUT", strict=call.query.get("strict") == "true"
        )

    async def _delete_link(self, call: _Call) -> Any:
        return self.config.delete_link(self._workspace_of(call, write=True), call.query, target_of(call.http))

    async def _builders(self, call: _Call) -> Any:
        return {"profileBuilders": self.config.builders(self._workspace_of(call))}

    async def _upsert_builder(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call, write=True)
        if self.state.old:
            return {"success": True}  # and nothing happens [profile-builder/create]
        issues = builder_issues(call.body)
        if issues:
            raise thrown(
                "Failed to validate schema of profile-builder",
                object=call.body, error={"issues": issues, "name": "ZodError"},
            )  # fmt: skip
        return self.config.upsert_builder(workspace_id, call.body)

    async def _delete_builder(self, call: _Call) -> Any:
        return self.config.delete_builder(self._workspace_of(call, write=True), call.query.get("id", ""))

    # -- sync cursors --------------------------------------------------------------------

    async def _sync_state(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call)
        return self._state_of(workspace_id, call)

    async def _set_sync_state(self, call: _Call) -> Any:
        workspace_id = self._workspace_of(call, write=True)
        current = self._state_of(workspace_id, call)
        if not current["ok"]:
            return current
        states = self.state.sync_states.setdefault(call.query["syncId"], {})
        stream = call.query.get("stream", "")
        if call.body == {}:
            states.pop(stream, None)
        else:
            states[stream] = orjson.dumps(call.body, option=orjson.OPT_INDENT_2).decode()
        return {"ok": True, "state": dict(states)}

    def _state_of(self, workspace_id: str, call: _Call) -> dict[str, Any]:
        sync_id = call.query.get("syncId", "")
        row = self.state.links.get(sync_id)
        if row is None or row.deleted or row.workspace_id != workspace_id:
            return {"ok": False, "error": "sync not found"}
        return {"ok": True, "state": dict(self.state.sync_states.get(sync_id, {}))}


__all__ = ["Request", "Sandbox"]
