"""Objects: the types whose routes all work alike."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS
from jitsu_backup.model import members_of
from jitsu_backup.sandbox.access import DELETE, EDIT, Access
from jitsu_backup.sandbox.audit_log import Audit
from jitsu_backup.sandbox.bindings import check_destination, refuse_bound, refuse_referenced
from jitsu_backup.sandbox.calls import Call, PathHandlers
from jitsu_backup.sandbox.host_names import checked_host_name
from jitsu_backup.sandbox.masking import kind_of, mask_destination, mask_paths, mask_service, unmask
from jitsu_backup.sandbox.merging import merge
from jitsu_backup.sandbox.model_rules import check_model, further_issues, with_trimmed
from jitsu_backup.sandbox.plan_gates import check_domains
from jitsu_backup.sandbox.refusals import Refusal, fault, thrown
from jitsu_backup.sandbox.state import ObjectRow, State, key_hash
from jitsu_backup.sandbox.usage import refuse_linked, refuse_used_function
from jitsu_backup.sandbox.validation import MISSING, parse, schemas_of

_ROW_FIELDS = ("id", "workspaceId", "updatedAt", "cloneId")
_GENERIC_FIELDS = ("id", "type", "workspaceId", "name", "updatedAt", "cloneId")


class Objects:
    """Routes of the objects of all workspaces."""

    def __init__(self, state: State, audit: Audit, access: Access) -> None:
        """Keep the objects in `state`, and note every change in `audit`."""
        self.state, self.audit, self.access = state, audit, access

    def routes(self) -> list[PathHandlers]:
        """Return the routes of every type that has none of its own."""
        return [
            PathHandlers("api/*/config/*", GET=self._list, POST=self._create),
            PathHandlers("api/*/config/*/*", GET=self._get, PUT=self._update, DELETE=self._delete),
        ]

    async def _list(self, call: Call) -> Any:
        """List a type, oldest first."""
        workspace_id, type_name = self.access.workspace_of(call), call.parts[3]
        self._check_type(type_name)
        rows = self.state.live_objects(workspace_id, type_name)
        return {"objects": [self._shown(row, type_name) for row in rows]}

    async def _get(self, call: Call) -> Any:
        """Return one object [stream/get-missing-object]."""
        workspace_id, (type_name, object_id) = self.access.workspace_of(call), call.parts[3:]
        self._check_type(type_name)
        row = self._found(workspace_id, type_name, object_id)
        if row is None:
            status = 404 if self.state.generation.is_newest else 400
            raise Refusal(status, {"message": f"{type_name} with id {object_id} does not exist"})
        return self._shown(row, type_name)

    async def _create(self, call: Call) -> Any:
        return self.create(self.access.workspace_of(call, EDIT), call.parts[3], call.body)

    def create(self, workspace_id: str, type_name: str, body: Any) -> dict[str, Any]:
        """Create an object under the id that the client chose. Raise Refusal."""
        self._check_type(type_name)
        self._check_workspace(workspace_id)
        body = {**members_of(body), "type": type_name, "workspaceId": workspace_id}
        parsed = self._validated(type_name, body)
        if parsed.get("provisioned"):
            raise thrown(f"Can't create provisioned destination through API ({parsed['id']})")
        if not self.state.generation.is_2024:
            clone = self.state.objects.get(str(parsed.get("cloneId")))
            own = clone is not None and clone.workspace_id == workspace_id
            parsed = unmask(parsed, clone.config if clone is not None and own else None)
        check_domains(self.state, workspace_id, type_name, parsed, {})
        config = self._filtered(workspace_id, type_name, parsed, {})
        self._check_model(workspace_id, type_name, config)
        if parsed["id"] in self.state.objects:
            raise fault(
                "Invalid `prisma.configurationObject.create()` invocation: Unique constraint failed on the fields: (`id`)"
            )
        now = self.state.now()
        self.state.objects[parsed["id"]] = ObjectRow(parsed["id"], workspace_id, type_name, config, now, now)
        self.audit.note(workspace_id, "create", type_name, parsed["id"], None, config)
        return {"id": parsed["id"]}

    async def _update(self, call: Call) -> Any:
        """Merge a patch into an object."""
        workspace_id, (type_name, object_id) = self.access.workspace_of(call, EDIT), call.parts[3:]
        self._check_type(type_name)
        self._check_workspace(workspace_id)
        row = self._changeable(workspace_id, type_name, object_id)
        parsed = self._validated(type_name, self._merged(row, type_name, members_of(call.body)))
        check_domains(self.state, workspace_id, type_name, parsed, row.config)
        config = self._filtered(workspace_id, type_name, parsed, row.config)
        self._check_model(workspace_id, type_name, config)
        self._check_held(row, config)
        before, row.config = row.config, config
        row.updated_at = self.state.now()
        self.audit.note(workspace_id, "update", row.type, object_id, before, row.config)
        return {"success": True}

    def _changeable(self, workspace_id: str, type_name: str, object_id: str) -> ObjectRow:
        row = self._found(workspace_id, type_name, object_id)
        if row is None:
            message = f"{type_name} with id {object_id} does not exist"
            raise Refusal(404, {"message": message}) if self.state.generation.is_newest else thrown(message)
        if row.config.get("provisioned") and not self.state.generation.is_2024:
            raise thrown(f"Can't update provisioned destination through API ({object_id})")
        return row

    def _merged(self, row: ObjectRow, type_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stored object with a patch merged into it."""
        patch: Any = {name: value for name, value in body.items() if name not in _ROW_FIELDS}
        # a console of 2024 takes the mask for a password [destination/put-masked-keeps-secret]
        if not self.state.generation.is_2024:
            patch = unmask(patch, row.config)
        merged = merge(type_name, row.config, patch, self.state.generation)
        if not self.state.generation.is_newest:
            merged["type"] = type_name  # regardless of the body; the newest console rejects that for a model
        return {"type": type_name, **merged, "id": row.id, "workspaceId": row.workspace_id}

    def _check_held(self, row: ObjectRow, config: Mapping[str, Any]) -> None:
        """Raise Refusal for a change that reverse syncs, connections or models that use the object do not allow."""
        refuse_bound(self.state, row)
        if row.type == "destination" and self.state.generation.is_newest:
            check_destination(self.state, row, config)

    async def _delete(self, call: Call) -> Any:
        """Delete softly; links stay, unless `cascade` [delete/plain-leaves-links]."""
        workspace_id, (type_name, object_id) = self.access.workspace_of(call, DELETE), call.parts[3:]
        strict, cascade = (
            call.query.get(name) == "true" and not self.state.generation.is_2024
            for name in ("strict", "cascade")
        )
        self._check_type(type_name)
        row = self._found(workspace_id, type_name, object_id)
        if row is None:
            return {"success": True}
        refuse_referenced(self.state, row)
        linked = [r for r in self.state.live_links(workspace_id) if object_id in (r.from_id, r.to_id)]
        linked.sort(key=lambda r: r.updated_at)
        if strict and type_name == "function":
            refuse_used_function(self.state, workspace_id, object_id)
        if strict and linked and not (cascade and self.state.generation.is_newest):
            refuse_linked(type_name, linked)
        row.updated_at = self.state.now()
        if cascade:
            for link in linked:
                link.deleted, link.updated_at = True, row.updated_at
        row.deleted = True
        self.audit.note(workspace_id, "delete", row.type, object_id, row.config)
        return {**row.config, "type": row.type, "workspaceId": workspace_id, "id": object_id}

    def _found(self, workspace_id: str, type_name: str, object_id: str) -> ObjectRow | None:
        """Return a live object; up to July, the type in the path does not count [function/get-through-other-route]."""
        if self.state.generation.is_newest:
            return self.state.live_typed(workspace_id, type_name, object_id)
        return self.state.live_object(workspace_id, object_id)

    def _check_workspace(self, workspace_id: str) -> None:
        if self.state.generation.is_newest and workspace_id not in self.state.workspaces:
            raise fault(f"Workspace {workspace_id} not found")  # named by its slug

    def _check_model(self, workspace_id: str, type_name: str, config: Mapping[str, Any]) -> None:
        if type_name == "model" and self.state.generation.is_newest:
            check_model(self.state, workspace_id, config)

    def _check_type(self, type_name: str) -> None:
        if type_name in self.state.types:
            return
        if not self.state.generation.is_newest:
            raise fault(f"Unknown config object type {type_name}")
        known = ", ".join(self.state.types)
        message = f"Unknown resource type '{type_name}'. Known types: {known}"
        raise Refusal(400, {"message": message, "type": type_name})

    def _validated(self, type_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body after two checks, as in the console: by the schema of the type, with dates, and of the subtype."""
        is_model = type_name == "model" and self.state.generation.is_newest
        read = with_trimmed(body) if is_model else body
        parsed, issues = parse(self._schema(type_name), read)
        if not issues:
            subtype = body["destinationType"] if type_name == "destination" else None
            parsed, issues = parse(self._schema(type_name, subtype), read, dates=False)
        if is_model:
            order = list(self._schema(type_name)["properties"])
            issues = sorted([*issues, *further_issues(read)], key=lambda issue: order.index(issue["path"][0]))
        if issues:
            raise thrown(
                f"Failed to validate schema of {type_name}",
                object=_echo(body), error={"issues": issues, "name": "ZodError"},
            )  # fmt: skip
        result: dict[str, Any] = parsed
        return result

    def _schema(self, type_name: str, subtype: str | None = None) -> Mapping[str, Any]:
        if type_name in self.state.extra_types:
            return generic_schema()
        known = schemas_of(self.state.generation)
        found: Mapping[str, Any] | None = known.get(f"{type_name}/{subtype}" if subtype else type_name)
        if found is None:
            raise fault(f"Unknown destination type {subtype}")
        return found

    def _filtered(
        self, workspace_id: str, type_name: str, parsed: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> dict[str, Any]:
        config = {name: value for name, value in parsed.items() if name not in (*_ROW_FIELDS, "type")}
        if type_name == "domain":
            config["name"] = config["name"].lower()
        if type_name == "stream":
            if "domains" in config or not self.state.generation.is_2024:
                config["domains"] = [
                    checked_host_name(self.state, workspace_id, name) for name in config.get("domains") or ()
                ]
            for name in KEY_FIELDS:
                known = {key["id"]: key for key in stored.get(name) or ()}
                if name in config:
                    config[name] = [_stream_key(key, known) for key in config[name]]
        return config

    def _shown(self, row: ObjectRow, type_name: str) -> dict[str, Any]:
        config = dict(row.config)
        base = {"id": row.id, "type": type_name, "workspaceId": row.workspace_id}
        if config.get("provisioned") and not self.state.generation.is_2024:
            identity: dict[str, Any] = {
                name: config[name] for name in ("name", "destinationType", "provisioned") if name in config
            }
            return {**base, **identity}  # [destination/get-provisioned]
        if type_name == "destination" and not self.state.generation.is_2024:
            config = mask_destination(config, self.state.generation)
        elif type_name == "service" and not self.state.generation.is_2024:
            config = mask_service(config, self.state.secret_fields.get(str(config.get("package")), ()))
        elif type_name == "stream":
            for name in KEY_FIELDS:
                config[name] = [
                    {field: value for field, value in key.items() if field not in ("hash", "plaintext")}
                    for key in config.get(name) or ()
                ]
            if config.get("domains"):
                config["domains"] = [domain.lower() for domain in config["domains"]]
        if self.state.generation.is_2024:
            return {**config, **base}
        hidden = self.state.also_masked.get(kind_of(row.type, config))
        if hidden:
            config = mask_paths(config, hidden)
        return {**config, **base, "updatedAt": row.updated_at}


def _echo(value: Any) -> Any:
    """Return a body as a rejection shows it: without missing values."""
    if isinstance(value, Mapping):
        return {name: _echo(item) for name, item in value.items() if item is not MISSING}
    return [_echo(item) for item in value] if isinstance(value, list) else value


def _stream_key(key: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rest = {name: value for name, value in key.items() if name not in ("plaintext", "hash")}
    if key.get("plaintext"):
        return {**rest, "hash": key_hash(key["plaintext"])}
    if key.get("hash"):
        return {**rest, "hash": key["hash"]}
    if key["id"] in known:
        stored = known[key["id"]]  # only its hash is kept
        return {**rest, **({"hash": stored["hash"]} if "hash" in stored else {})}
    raise fault(f"Key with id {key['id']} should either be known, or hash a plaintext value")


def generic_schema() -> dict[str, Any]:
    """Return the schema of a type that is not in the known schemas."""
    properties: dict[str, Any] = {name: {"type": "string"} for name in _GENERIC_FIELDS}
    properties["updatedAt"] = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    required = ["id", "type", "workspaceId", "name"]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True,
    }
