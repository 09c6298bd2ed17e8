"""The console itself: its version, its health, the caller and the schemas of its types."""

from typing import Any

from jitsu_backup.sandbox.access import Access
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.http_messages import with_base
from jitsu_backup.sandbox.refusals import Refusal, fault
from jitsu_backup.sandbox.routes.objects import generic_schema
from jitsu_backup.sandbox.routes.workspaces import workspace_line
from jitsu_backup.sandbox.state import OPERATOR, State
from jitsu_backup.sandbox.validation import schemas_of


class ConsoleFacts:
    """Routes that describe the console and the caller."""

    def __init__(self, state: State, access: Access) -> None:
        """Describe the console with the data in `state`."""
        self.state, self.access = state, access

    def routes(self) -> list[PathHandlers]:
        """Return the routes of the console itself."""
        return [
            PathHandlers("api/version", GET=self._version),
            PathHandlers("api/healthcheck", GET=self._healthcheck),
            PathHandlers("api/me", GET=self._me),
            PathHandlers("api/schema/**", GET=self._schema),
        ]

    async def _version(self, _call: Call) -> Any:
        node = {"version": "v22.0.0", "platform": "linux", "arch": "x64", "env": "development"}
        return {"version": "dev", "stream": "dev", "node": node}

    async def _healthcheck(self, _call: Call) -> Any:
        return {"status": "ok", "prisma": {"status": "ok", "ms": 3}, "postgres": {"status": "ok", "ms": 1}}

    async def _me(self, call: Call) -> Any:
        self.access.authenticate(call)
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
        if self.state.generation.is_2024:
            for name in ("authType", "tokenId", "tokenType"):
                del known["user"][name]
        if call.query.get("workspaces") != "true":
            return known
        workspaces = [
            {**workspace_line(self.state, row), "deleted": False}
            for row in self.state.workspaces.values()
            if user.id in row.access
        ]
        return {**known, "workspaces": workspaces}  # [discovery/me]

    async def _schema(self, call: Call) -> Any:
        base = f"{call.http.url.scheme}://{call.http.url.netloc}"
        known = schemas_of(self.state.generation)
        names = call.parts[2:]
        if not names:
            lines = [with_base(line, base) for line in known["index"]["schemas"]]
            lines += [{"type": t, "schemaURL": f"{base}/api/schema/{t}"} for t in self.state.extra_types]
            return {"schemas": lines}
        if names[0] in self.state.extra_types:
            return generic_schema()
        found = known.get("/".join(names))
        if found is None or names[0] == "index":
            raise self._unknown(names)
        return found

    def _unknown(self, names: list[str]) -> Refusal:
        if not self.state.generation.is_newest:
            return fault(f"Unknown config object type {'/'.join(names)}")
        subtyped = names[0] in ("destination", "link") and len(names) > 1
        kind, name = ("destination", names[1]) if subtyped else ("resource", names[0])
        return Refusal(404, {"message": f"Unknown {kind} type '{name}'"})  # [schema/unknown-destination-type]
