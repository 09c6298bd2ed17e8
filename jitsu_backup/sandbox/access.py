"""Access: authentication, roles, maintenance and rate limits."""

import hmac

from jitsu_backup.sandbox.audit_log import Audit
from jitsu_backup.sandbox.calls import Call
from jitsu_backup.sandbox.rate_limits import Limiter
from jitsu_backup.sandbox.refusals import Refusal, meant, thrown
from jitsu_backup.sandbox.state import OPERATOR, READ_ONLY, State, WorkspaceRow, as_iso

EDIT, DELETE = "editEntities", "deleteEntities"
"""The permissions to write entities, by the console's names [model/create-as-analyst, reverse-sync/delete-as-analyst]."""

_EDITORS = ("owner", "editor")
_READ_ONLY = (
    "Workspace is in read-only mode due to billing issues."
    " Please resolve them on the billing page to restore access."
)


class Access:
    """Accept or reject calls. While `maintenance` is set, reject writes [maintenance/write]."""

    def __init__(self, state: State, audit: Audit, limiter: Limiter, *, rate_limit: bool) -> None:
        """Admit the users in `state` by their roles, and note in `audit` who makes the next change."""
        self.state, self.audit, self.limiter, self.rate_limit = state, audit, limiter, rate_limit
        self.maintenance = False

    def authenticate(self, call: Call) -> None:
        """Find the owner of the call's key. Raise Refusal."""
        header = call.http.headers.get("authorization", "")
        if not header.lower().startswith("bearer "):
            raise Refusal(401, {"error": "Authorization Required"})
        token = header[7:].strip()
        key_id, colon, secret = token.partition(":")
        if not colon and self.state.generation.is_2024:
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

    def admit(self, call: Call, bucket: str | None = None) -> None:
        """Authenticate the call, refuse a write during maintenance, and count the request. Raise Refusal.

        `bucket` is the rate limit that the request counts against; by default, that of its method.
        """
        self.authenticate(call)
        self.audit.actor = (call.user.id, call.key_id) if call.user else (OPERATOR, None)
        if self.maintenance and not self.state.generation.is_2024 and call.method != "GET":
            message = "Jitsu is in maintenance mode; modifications are temporarily disabled."
            raise Refusal(503, {"error": "maintenance", "message": message})
        if call.admin or not self.rate_limit or self.state.generation.is_2024:
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

    def workspace_of(self, call: Call, permission: str | None = None) -> str:
        """Admit a call on `/api/{workspace}/…`; return the id in the path. Raise Refusal.

        A slug is admitted too, but finds no rows afterwards.
        """
        self.admit(call)
        return self.permitted(call, permission)

    def permitted(self, call: Call, permission: str | None = None) -> str:
        """Return the id in the path of a call that is admitted already. Raise Refusal without the permission."""
        named = call.parts[1]
        self.check_role(call, self.state.find_workspace(named), named, permission)
        return named

    def named_workspace(self, call: Call, permission: str | None = None) -> WorkspaceRow:
        """Admit a call on `/api/workspace/{id or slug}`; return the workspace. Raise Refusal."""
        self.admit(call)
        row = self.state.find_workspace(call.parts[2])
        if row is None:
            raise meant(self.state.generation, 404, f"Workspace '{call.parts[2]}' not found")
        self.check_role(call, row, row.id, permission)
        return row

    def owned(self, call: Call, named: str) -> str:
        """Return the id of a workspace if the caller is one of its owners [audit-log/as-analyst]. Raise Refusal."""
        row = self.state.find_workspace(named)
        role = self.role(call, row)
        if row is None or role is None:
            raise self.no_access(call, row.id if row else named)
        if role != "owner":
            raise _no_permission(call, row.id, role, "manageUsers")
        return row.id

    def only_operators(self, call: Call) -> None:
        """Raise Refusal unless the call has the operator's token."""
        if not call.admin:
            raise meant(
                self.state.generation, 403, f"User {call.user.id if call.user else ''} is not an admin"
            )

    def role(self, call: Call, row: WorkspaceRow | None) -> str | None:
        """Return the caller's role in a workspace, or None without access."""
        if row is None:
            return None
        role = "owner" if call.admin else row.access.get(call.user.id) if call.user else None
        # on a console of 2024, everybody with access can write
        return "owner" if role and self.state.generation.is_2024 else role

    def sees_secrets(self, call: Call, workspace_id: str) -> bool:
        """Return whether the caller may edit the workspace, and therefore sees its secrets."""
        return self.role(call, self.state.workspaces.get(workspace_id)) in _EDITORS

    def no_access(self, call: Call, named: str) -> Refusal:
        """Return the refusal for a caller who is not a member of the workspace."""
        user_id = _user_id(call)
        message = f"User {user_id} doesn't have access to workspace {named}"
        return Refusal(403, {"message": message, "workspaceId": named, "userId": user_id})

    def check_role(self, call: Call, row: WorkspaceRow | None, named: str, permission: str | None) -> None:
        """Raise Refusal for a caller without access to a workspace, or without the permission."""
        role = self.role(call, row)
        if row is None or role is None:
            raise self.no_access(call, named)
        if permission is not None and role not in _EDITORS:
            raise _no_permission(call, named, role, permission)
        if permission is not None and READ_ONLY in row.features and not call.admin:
            refusal = _no_permission(call, named, role, permission)
            refusal.body.update(message=_READ_ONLY, readonly=True)  # [readonly/create]
            raise refusal


def _no_permission(call: Call, named: str, role: str, wanted: str) -> Refusal:
    user_id = _user_id(call)
    message = (
        f"User {user_id} doesn't have permission '{wanted}' in workspace {named}."
        " Required role: owner or editor"
    )
    return Refusal(
        403,
        {"message": message, "workspaceId": named, "userId": user_id, "role": role,
         "requiredPermission": wanted},
    )  # fmt: skip


def _user_id(call: Call) -> str:
    return call.user.id if call.user else OPERATOR
