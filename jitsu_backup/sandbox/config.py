"""What the config routes do: lists, creation, updates, deletion."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from jitsu_backup.model import MASK
from jitsu_backup.sandbox.audit import Audit, link_body
from jitsu_backup.sandbox.masking import kind_of, mask_destination, mask_paths, mask_service, unmask
from jitsu_backup.sandbox.merging import merge
from jitsu_backup.sandbox.replies import Refusal, fault, thrown
from jitsu_backup.sandbox.state import BuilderRow, LinkRow, ObjectRow, State, key_hash
from jitsu_backup.sandbox.validation import MISSING, as_date, old_schemas, parse, schemas, with_dates

_DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_CRON_FIELD = re.compile(r"[\d*/,\-A-Za-z?#L]+")
_ROW_FIELDS = ("id", "workspaceId", "updatedAt", "cloneId")
_KEY_FIELDS = ("publicKeys", "privateKeys")
_GENERIC_FIELDS = ("id", "type", "workspaceId", "name", "updatedAt", "cloneId")


class Config:
    """The configuration objects of all workspaces."""

    def __init__(self, state: State, audit: Audit) -> None:
        self.state, self.audit = state, audit

    # -- objects -------------------------------------------------------------------

    def objects(self, workspace_id: str, type_name: str) -> list[dict[str, Any]]:
        """List a type, oldest first."""
        self._check_type(type_name)
        return [self._shown(row, type_name) for row in self.state.live_objects(workspace_id, type_name)]

    def get(self, workspace_id: str, type_name: str, object_id: str) -> dict[str, Any]:
        """Get one object: the type of the path only says how it is shown."""
        self._check_type(type_name)
        row = self.state.live_object(workspace_id, object_id)
        if row is None:
            raise Refusal(400, {"message": f"{type_name} with id {object_id} does not exist"})
        return self._shown(row, type_name)

    def create(self, workspace_id: str, type_name: str, body: Any) -> dict[str, Any]:
        """Create an object under the id that the client chose."""
        self._check_type(type_name)
        body = {**(body if isinstance(body, Mapping) else {}), "type": type_name, "workspaceId": workspace_id}
        parsed = self._validated(type_name, body)
        if parsed.get("provisioned"):
            raise thrown(f"Can't create provisioned destination through API ({parsed['id']})")
        if not self.state.old:
            clone = self.state.objects.get(str(parsed.get("cloneId")))
            own = clone is not None and clone.workspace_id == workspace_id
            parsed = unmask(parsed, clone.config if clone is not None and own else None)
        config = self._filtered(workspace_id, type_name, parsed, {})
        if parsed["id"] in self.state.objects:
            raise fault(
                "Invalid `prisma.configurationObject.create()` invocation: Unique constraint failed on the fields: (`id`)"
            )
        now = self.state.now()
        self.state.objects[parsed["id"]] = ObjectRow(parsed["id"], workspace_id, type_name, config, now, now)
        self.audit.note(workspace_id, "create", type_name, parsed["id"], None, config)
        return {"id": parsed["id"]}

    def update(self, workspace_id: str, type_name: str, object_id: str, body: Any) -> dict[str, Any]:
        """Merge a patch into an object."""
        self._check_type(type_name)
        row = self.state.live_object(workspace_id, object_id)
        if row is None:
            raise thrown(f"{type_name} with id {object_id} does not exist")
        if row.config.get("provisioned") and not self.state.old:
            raise thrown(f"Can't update provisioned destination through API ({object_id})")
        patch = {k: v for k, v in (body if isinstance(body, Mapping) else {}).items() if k not in _ROW_FIELDS}
        if (
            not self.state.old
        ):  # there the mask is a password like any other [destination/put-masked-keeps-secret]
            patch = unmask(patch, row.config)
        merged = merge(type_name, row.config, patch, old=self.state.old)
        whole = {**merged, "type": type_name, "id": object_id, "workspaceId": workspace_id}
        parsed = self._validated(type_name, whole)
        before, row.config = row.config, self._filtered(workspace_id, type_name, parsed, row.config)
        row.updated_at = self.state.now()
        self.audit.note(workspace_id, "update", row.type, object_id, before, row.config)
        return {"success": True}

    def delete(
        self, workspace_id: str, type_name: str, object_id: str, *, strict: bool, cascade: bool
    ) -> dict[str, Any]:
        """Delete softly; links stay, unless `cascade` [delete/plain-leaves-links]."""
        self._check_type(type_name)
        row = self.state.live_object(workspace_id, object_id)
        if row is None:
            return {"success": True}
        strict, cascade = strict and not self.state.old, cascade and not self.state.old
        linked = [r for r in self.state.live_links(workspace_id) if object_id in (r.from_id, r.to_id)]
        linked.sort(key=lambda r: r.updated_at)
        if strict and type_name == "function":
            self._refuse_used_function(workspace_id, object_id)
        if strict and linked:
            raise Refusal(
                409,
                {
                    "message": f"Cannot delete {type_name} because it has {len(linked)} linked connections",
                    "code": "LINKED_CONNECTIONS_EXIST",
                    "linkedConnectionsCount": len(linked),
                    "linkedConnections": [_link_line(link) for link in linked],
                },
            )
        row.updated_at = self.state.now()
        if cascade:
            for link in linked:
                link.deleted, link.updated_at = True, row.updated_at
        row.deleted = True
        self.audit.note(workspace_id, "delete", row.type, object_id, row.config)
        return {**row.config, "type": row.type, "workspaceId": workspace_id, "id": object_id}

    def generic_schema(self) -> dict[str, Any]:
        """Give the schema of a type that only this console has."""
        properties: dict[str, Any] = {name: {"type": "string"} for name in _GENERIC_FIELDS}
        properties["updatedAt"] = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
        required = ["id", "type", "workspaceId", "name"]
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": True,
        }

    def _check_type(self, type_name: str) -> None:
        if type_name not in self.state.types:
            raise fault(f"Unknown config object type {type_name}")

    def _validated(self, type_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Check twice, as the console does: by the type's schema, where text like a date is one, then by the whole."""
        parsed, issues = parse(self._schema(type_name), body)
        if not issues:
            subtype = body["destinationType"] if type_name == "destination" else None
            parsed, issues = parse(self._schema(type_name, subtype), body, dates=False)
        if issues:
            raise thrown(
                f"Failed to validate schema of {type_name}",
                object=_echo(body), error={"issues": issues, "name": "ZodError"},
            )  # fmt: skip
        result: dict[str, Any] = parsed
        return result

    def _schema(self, type_name: str, subtype: str | None = None) -> Mapping[str, Any]:
        if type_name in self.state.extra_types:
            return self.generic_schema()
        known = old_schemas() if self.state.old else schemas()
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
            if "domains" in config or not self.state.old:
                config["domains"] = [self._domain(workspace_id, name) for name in config.get("domains") or ()]
            for name in _KEY_FIELDS:
                known = {key["id"]: key for key in stored.get(name) or ()}
                if name in config:
                    config[name] = [_stream_key(key, known) for key in config[name]]
        return config

    def _domain(self, workspace_id: str, name: str) -> str:
        stored, name = name, name.lower()
        if not _DOMAIN.fullmatch(name) and not self.state.old:
            raise thrown(f"Domain {name} is not a valid domain name")
        for row in self.state.objects.values():
            if row.type not in ("stream", "domain") or row.deleted or row.workspace_id == workspace_id:
                continue
            if any(self._clashes(name, used) for used in _host_names(row)):
                raise thrown(f"Domain {name} is already in use by other workspace")
        return (
            stored if self.state.old else name
        )  # there only an answer is in lower case [admin/export-streams]

    def _clashes(self, name: str, used: str) -> bool:
        """Tell whether a host name is another one, ends it, or is under its wildcard; an older console only compares."""
        below = used.startswith("*") and name.endswith(used[1:])
        return name == used or (not self.state.old and (below or used.endswith(name.removeprefix("*"))))

    def _shown(self, row: ObjectRow, type_name: str) -> dict[str, Any]:
        config = dict(row.config)
        base = {"id": row.id, "type": type_name, "workspaceId": row.workspace_id}
        if config.get("provisioned") and not self.state.old:
            identity: dict[str, Any] = {
                name: config[name] for name in ("name", "destinationType", "provisioned") if name in config
            }
            return {**base, **identity}  # [destination/get-provisioned]
        if type_name == "destination" and not self.state.old:
            config = mask_destination(config)
        elif type_name == "service" and not self.state.old:
            config = mask_service(config, self.state.secret_fields.get(str(config.get("package")), ()))
        elif type_name == "stream":
            for name in _KEY_FIELDS:
                config[name] = [
                    {field: value for field, value in key.items() if field not in ("hash", "plaintext")}
                    for key in config.get(name) or ()
                ]
            if config.get("domains"):
                config["domains"] = [domain.lower() for domain in config["domains"]]
        if self.state.old:
            return {**config, **base}
        hidden = self.state.also_masked.get(kind_of(row.type, config))
        if hidden:
            config = mask_paths(config, hidden)
        return {**config, **base, "updatedAt": row.updated_at}

    def _refuse_used_function(self, workspace_id: str, function_id: str) -> None:
        links = [r for r in self.state.live_links(workspace_id) if _runs(r.data, function_id)]
        builders = [
            b
            for b in self._live_builders(workspace_id)
            if _runs(b.fields.get("connectionOptions"), function_id)
        ]
        if links or builders:
            message = (
                f"Cannot delete function because it is being used by {len(links)} connection(s)"
                f" and {len(builders)} profile builder(s)"
            )
            raise Refusal(
                409,
                {
                    "message": message, "code": "FUNCTION_IN_USE", "connectionsCount": len(links),
                    "profileBuildersCount": len(builders), "connections": [_link_line(r) for r in links],
                    "profileBuilders": [{"id": b.id, "name": b.fields.get("name")} for b in builders],
                },
            )  # fmt: skip

    # -- links ---------------------------------------------------------------------

    def links(self, workspace_id: str, *, secrets: bool) -> list[dict[str, Any]]:
        """List links; for those who cannot edit, `functionsEnv` is masked [link/list-as-analyst]."""
        return [
            {
                "id": row.id,
                **({"deleted": False} if self.state.old else {}),
                "createdAt": row.created_at,
                "updatedAt": row.updated_at,
                "type": row.type,
                "data": row.data if secrets else _masked_env(row.data),
                "workspaceId": row.workspace_id,
                "fromId": row.from_id,
                "toId": row.to_id,
            }
            for row in self.state.live_links(workspace_id)
        ]

    def upsert_link(self, workspace_id: str, body: Any, *, put: bool, strict: bool) -> dict[str, Any]:
        """Create or update: push links are one per pair, syncs go by id [link/create-sync-again]."""
        body = with_dates(body if isinstance(body, Mapping) else {})
        link_type = str(body.get("type") or "push")
        from_id, to_id = str(body.get("fromId")), str(body.get("toId"))
        data = body.get("data")
        end = {"push": "stream", "sync": "service"}.get(link_type, "source")
        source = self.state.live_object(workspace_id, from_id)
        if source is None or end not in ("source", source.type):
            raise fault(f"{end} object with id '{from_id}' not found in the workspace '{workspace_id}'")
        target = self.state.live_object(workspace_id, to_id)
        if target is None or target.type != "destination":
            raise fault(f"Destination object with id '{to_id}' not found in the workspace '{workspace_id}'")
        if strict and link_type == "push" and not self.state.old:
            _check_options(str(target.config.get("destinationType")), data)
        if link_type == "sync" and not self.state.old:
            _check_schedule(data)
        found = self._existing_link(workspace_id, link_type, from_id, to_id, body.get("id"))
        if found is None:
            row = self.state.add_link(workspace_id, link_type, from_id, to_id, data)
            self.audit.note(workspace_id, "create", "link", row.id, None, link_body(row))
            return {"id": row.id, "created": True}
        if link_type == "push" and not put and not body.get("id"):
            raise fault(f"Link from '{from_id}' to '{to_id}' already exists")
        before = link_body(found)
        found.data = data if "data" in body else found.data
        found.updated_at = self.state.now()
        self.audit.note(workspace_id, "update", "link", found.id, before, link_body(found))
        return {"id": found.id, "created": False}

    def delete_link(self, workspace_id: str, query: Mapping[str, str], target: str) -> dict[str, Any]:
        """Delete one by id, or one of those between two ends [delete/link-by-id, delete/link-by-pair]."""
        if self.state.old and not {"fromId", "toId"} <= query.keys():
            missing = [
                {"code": "invalid_type", "expected": "string", "received": "undefined", "path": [name], "message": "Required"}
                for name in ("toId", "fromId")
                if name not in query
            ]  # fmt: skip
            raise thrown(
                f"Can't parse request query for DELETE {target}",
                zodError={"issues": missing, "name": "ZodError"},
            )
        for row in self.state.live_links(workspace_id):
            by_id = "id" in query and row.id == query["id"] and not self.state.old
            by_pair = (row.from_id, row.to_id) == (query.get("fromId"), query.get("toId"))
            if by_id or (by_pair and ("id" not in query or self.state.old)):
                row.deleted, row.updated_at = True, self.state.now()
                self.audit.note(workspace_id, "delete", "link", row.id, link_body(row))
                return {"deleted": True}
        return {"deleted": False}

    def _existing_link(
        self, workspace_id: str, link_type: str, from_id: str, to_id: str, link_id: Any
    ) -> LinkRow | None:
        for row in self.state.live_links(workspace_id):
            # a push link is its pair, whatever id is sent [link/upsert-push-with-any-id]
            same = (row.from_id, row.to_id) == (from_id, to_id) if link_type == "push" else row.id == link_id
            if row.type == link_type and same:
                return row
        return None

    # -- profile builders -------------------------------------------------------------

    def builders(self, workspace_id: str) -> list[dict[str, Any]]:
        """List profile builders with the function that each owns [profile-builder/list]."""
        return [self._builder(row) for row in self._live_builders(workspace_id)]

    def upsert_builder(self, workspace_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or update a builder and its function."""
        fields = with_dates(body["profileBuilder"])
        code = str(body.get("code") or "")
        row = self.state.builders.get(fields["id"])
        if row is None:
            self.state.add_builder(workspace_id, fields["id"], _builder_fields(fields), code)
            return {"id": fields["id"], "created": True}
        if row.workspace_id != workspace_id or row.deleted:
            raise fault(
                "Invalid `prisma.profileBuilder.create()` invocation: Unique constraint failed on the fields: (`id`)"
            )
        row.fields = {**row.fields, **_builder_fields(fields)}
        row.created_at = fields.get("createdAt") or row.created_at
        row.updated_at = fields.get("updatedAt") or row.updated_at
        function = self.state.objects[row.function_id]
        function.config = {**function.config, "code": code, "draft": code}
        function.updated_at = self.state.now()
        return {"id": row.id, "created": False}

    def delete_builder(self, workspace_id: str, builder_id: str) -> dict[str, Any]:
        """Delete a builder and its function [maintenance/read]."""
        row = self.state.builders.get(builder_id)
        if row is None or row.workspace_id != workspace_id or row.deleted:
            return {"deleted": False}
        row.deleted = True
        self.state.objects[row.function_id].deleted = True
        return {"deleted": True}

    def _live_builders(self, workspace_id: str) -> list[BuilderRow]:
        return [
            row
            for row in self.state.builders.values()
            if row.workspace_id == workspace_id and not row.deleted
        ]

    def _builder(self, row: BuilderRow) -> dict[str, Any]:
        function = self.state.objects[row.function_id]
        return {
            **{k: v for k, v in row.fields.items() if k != "deleted"},
            "id": row.id,
            "workspaceId": row.workspace_id,
            "createdAt": row.created_at,
            "updatedAt": row.updated_at,
            "functions": [
                {
                    "id": row.link_id,
                    "createdAt": row.function_at,
                    "updatedAt": row.function_at,
                    "profileBuilderId": row.id,
                    "functionId": function.id,
                    "function": {
                        "id": function.id,
                        "deleted": function.deleted,
                        "createdAt": function.created_at,
                        "updatedAt": function.updated_at,
                        "type": "function",
                        "workspaceId": row.workspace_id,
                        "config": function.config,
                    },
                }
            ],
        }


def builder_issues(body: Any) -> list[dict[str, Any]]:
    """Give why a profile builder's body is refused [profile-builder/incomplete]."""
    fields = body.get("profileBuilder") if isinstance(body, Mapping) else None
    fields = fields if isinstance(fields, Mapping) else {}
    issues: list[dict[str, Any]] = []

    def required(name: str, expected: str, kinds: tuple[type, ...]) -> None:
        value = fields.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            received = (
                "undefined" if name not in fields else "null" if value is None else type(value).__name__
            )
            message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
            issues.append(
                {
                    "code": "invalid_type",
                    "expected": expected,
                    "received": received,
                    "path": [name],
                    "message": message,
                }
            )

    required("id", "string", (str,))
    required("name", "string", (str,))
    issues += [
        {"code": "invalid_date", "path": [name], "message": "Invalid date"}
        for name in ("createdAt", "updatedAt")
        if as_date(fields.get(name)) is None
    ]
    required("workspaceId", "string", (str,))
    issues += [
        _missing_json(name)
        for name in ("intermediateStorageCredentials", "connectionOptions")
        if name not in fields
    ]
    required("version", "number", (int, float))
    return issues


def _missing_json(name: str) -> dict[str, Any]:
    def wanted(kind: str) -> dict[str, Any]:
        issue = {
            "code": "invalid_type",
            "expected": kind,
            "received": "undefined",
            "path": [name],
            "message": "Required",
        }
        return {"issues": [issue], "name": "ZodError"}

    def union(*errors: dict[str, Any]) -> dict[str, Any]:
        return {
            "code": "invalid_union",
            "unionErrors": list(errors),
            "path": [name],
            "message": "Invalid input",
        }

    scalars = {"issues": [union(wanted("string"), wanted("number"), wanted("boolean"))], "name": "ZodError"}
    return union(scalars, wanted("array"), wanted("object"))


def _echo(value: Any) -> Any:
    """Give a body as a refusal shows it."""
    if isinstance(value, Mapping):
        return {name: _echo(item) for name, item in value.items() if item is not MISSING}
    return [_echo(item) for item in value] if isinstance(value, list) else value


def _builder_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in fields.items() if k not in ("id", "workspaceId", "functions")}


def _stream_key(key: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rest = {name: value for name, value in key.items() if name not in ("plaintext", "hash")}
    if key.get("plaintext"):
        return {**rest, "hash": key_hash(key["plaintext"])}
    if key.get("hash"):
        return {**rest, "hash": key["hash"]}
    if key["id"] in known:
        stored = known[key["id"]]  # of which only the hash is kept
        return {**rest, **({"hash": stored["hash"]} if "hash" in stored else {})}
    raise fault(f"Key with id {key['id']} should either be known, or hash a plaintext value")


def _host_names(row: ObjectRow) -> list[str]:
    """Give what a stream or a domain claims, in lower case."""
    claimed = row.config.get("domains") if row.type == "stream" else [row.config.get("name")]
    return [str(name).lower() for name in claimed or ()]


def _link_line(link: LinkRow) -> dict[str, Any]:
    return {"id": link.id, "type": link.type, "fromId": link.from_id, "toId": link.to_id}


def _runs(data: Any, function_id: str) -> bool:
    functions = data.get("functions") if isinstance(data, Mapping) else None
    if not isinstance(functions, list):  # anything can stand there [link/lenient-invalid-data]
        return False
    return any(isinstance(f, Mapping) and f.get("functionId") == f"udf.{function_id}" for f in functions)


def _masked_env(data: Any) -> Any:
    if not isinstance(data, Mapping) or not isinstance(data.get("functionsEnv"), Mapping):
        return data
    return {**data, "functionsEnv": dict.fromkeys(data["functionsEnv"], MASK)}


def _check_options(destination_type: str, data: Any) -> None:
    """Check a connection's options, only done with `strict=true` [link/lenient-invalid-data]."""
    schema = schemas().get(f"link/{destination_type}", {}).get("properties", {}).get("data")
    if schema is None:
        return
    _, issues = parse(schema, data if data is not None else {})
    if issues:
        text = orjson.dumps(issues, option=orjson.OPT_INDENT_2).decode()
        message = f"Invalid connection options for {destination_type}: {text}"
        raise Refusal(400, {"message": message, "zodError": {"issues": issues, "name": "ZodError"}})


def _check_schedule(data: Any) -> None:
    schedule = data.get("schedule") if isinstance(data, Mapping) else None
    if not schedule:
        return
    fields = str(schedule).split()
    if not 5 <= len(fields) <= 6 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        problem = "Constraint error, got value 0 expected range 1-12"
        raise Refusal(400, {"message": f'Invalid cron schedule "{schedule}": {problem}'})
