"""The data of the console: users, workspaces, objects, links, profile builders, sync states."""

import hashlib
import secrets
import string
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.validation import OLD_TYPES
from jitsu_backup.sandbox.warehouse import ACME_WAREHOUSE, RECORDED_WAREHOUSE, Warehouse

LETTERS = string.ascii_lowercase + string.digits
_SUFFIX = string.ascii_letters + string.digits

OPERATOR = "admin-service-account@jitsu.com"
"""The identity of the operator's service token, which is not a user [admin/me]."""

SIMPLE_TYPES = (
    "stream",
    "destination",
    "function",
    "service",
    "custom-image",
    "domain",
    "misc",
    "notification",
)

NEWER_TYPES = tuple(name for name in SIMPLE_TYPES if name not in OLD_TYPES)
"""The types that a console of October 2024 does not know."""

NEWEST_TYPES = (
    "model",
    "destination",
    "stream",
    "function",
    "service",
    "custom-image",
    "domain",
    "misc",
    "notification",
)
"""The types of the newest console, in its own order [discovery/unknown-type]."""

REVERSE_SYNC = "reverse-sync"
"""The type of the links that are reverse syncs [link/list-shows-reverse-sync]."""

REVERSE_ETL = "reverse-etl"
"""The feature that lets a workspace write models and reverse syncs [model/create-feature-off]."""

READ_ONLY = "readonly"
"""The feature that keeps a workspace from being written while bills are unpaid [readonly/create]."""

_TYPES = {
    Generation.OCTOBER_2024: OLD_TYPES, Generation.JULY_2026: SIMPLE_TYPES, Generation.NEWEST: NEWEST_TYPES,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class User:
    """A user with an API key, `keyId:secret`."""

    id: str
    name: str
    email: str
    api_key: str = field(repr=False)


@dataclass(slots=True)
class WorkspaceRow:
    """A workspace. `access` maps user ids to roles, `options` sections such as `data-retention` to their values.

    `features` are the `featuresEnabled`; `last_used` is when a user last opened the workspace. A `deleted` workspace is only
    exported.
    """

    id: str
    name: str
    slug: str
    access: dict[str, str]
    created_at: str
    updated_at: str
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    last_used: str | None = None
    deleted: bool = False


@dataclass(slots=True)
class ObjectRow:
    """An object; a deleted one stays and keeps its id [delete/recreate-same-id]."""

    id: str
    workspace_id: str
    type: str
    config: dict[str, Any]
    created_at: str
    updated_at: str
    deleted: bool = False


@dataclass(slots=True)
class LinkRow:
    """A connection, a sync or a reverse sync."""

    id: str
    workspace_id: str
    type: str
    from_id: str
    to_id: str
    data: Any
    created_at: str
    updated_at: str
    deleted: bool = False


@dataclass(slots=True)
class BuilderRow:
    """A profile builder; it owns the function `function_id`."""

    id: str
    workspace_id: str
    fields: dict[str, Any]
    function_id: str
    link_id: str
    created_at: str
    updated_at: str
    function_at: str
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change: who made it, and the object before and after, unmasked. `user_id` need not be that of an existing user."""

    id: str
    timestamp: str
    action: str
    workspace_id: str
    user_id: str
    token_id: str | None
    object_type: str
    object_id: str
    before: Mapping[str, Any] | None = field(repr=False)
    after: Mapping[str, Any] | None = field(repr=False)


@dataclass(slots=True)
class AttemptRow:
    """An attempt to run a reverse sync [reverse-sync/list-with-task]."""

    id: str
    sync_id: str
    status: str
    started_at: str
    updated_at: str
    trigger: str = "scheduled"


@dataclass(slots=True)
class State:
    """All data of a console. Methods insert rows unchecked, as an operator with access to the database could.

    `secret_fields` names the `airbyte_secret` fields in the spec of a package; `also_masked` names further dotted paths
    that are masked, by `type`, `destination/{destinationType}` or `service/{package}`. Without `audit_log`, the log of
    changes stays empty. `warehouses` are those that models can reach. `phases` has the last phase of each reverse sync
    that has run. `plans` are the plans of the workspaces that pay, by id; None for a console without a billing service.
    `lateness` returns how many seconds after its time stamp the next change is committed. `provision` is called with each
    workspace that is created through the API.
    """

    users: dict[str, User] = field(default_factory=dict)
    workspaces: dict[str, WorkspaceRow] = field(default_factory=dict)
    objects: dict[str, ObjectRow] = field(default_factory=dict)
    links: dict[str, LinkRow] = field(default_factory=dict)
    builders: dict[str, BuilderRow] = field(default_factory=dict)
    sync_states: dict[str, dict[str, str]] = field(default_factory=dict)
    secret_fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    also_masked: dict[str, frozenset[str]] = field(default_factory=dict)
    extra_types: tuple[str, ...] = ()
    audit: list[AuditRow] = field(default_factory=list)
    audit_log: bool = True
    admin_secret: str = "admintoken"
    generation: Generation = Generation.JULY_2026
    warehouses: list[Warehouse] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)
    attempts: list[AttemptRow] = field(default_factory=list)
    plans: dict[str, str] | None = None
    billing_down: bool = False
    clock: Callable[[], float] = time.time
    lateness: Callable[[], float] = lambda: 0.0
    provision: Callable[[WorkspaceRow], None] = lambda _: None

    @property
    def types(self) -> tuple[str, ...]:
        """The types of objects that this console knows, without links and profile builders."""
        return (*_TYPES[self.generation], *self.extra_types)

    def now(self) -> str:
        """Return the time stamp of a change as the console writes it: the current time, or a little earlier."""
        return as_iso(self.clock() - self.lateness())

    def add_user(self, user: User) -> None:
        """Add a user with a key."""
        self.users[user.id] = user

    def add_workspace(
        self, workspace_id: str, name: str, slug: str, access: Mapping[str, str]
    ) -> WorkspaceRow:
        """Add a workspace."""
        now = self.now()
        row = WorkspaceRow(workspace_id, name, slug, dict(access), now, now)
        self.workspaces[workspace_id] = row
        return row

    def add_object(
        self, workspace_id: str, type_name: str, object_id: str, config: Mapping[str, Any]
    ) -> ObjectRow:
        """Add an object, unchecked; keys of streams may have `plaintext`."""
        stored = dict(config)
        for name in KEY_FIELDS:
            if name in stored:
                stored[name] = [_with_hash(key) for key in stored[name]]
        now = self.now()
        self.objects[object_id] = ObjectRow(object_id, workspace_id, type_name, stored, now, now)
        return self.objects[object_id]

    def add_link(
        self,
        workspace_id: str,
        link_type: str,
        from_id: str,
        to_id: str,
        data: Any,
        link_id: str | None = None,
    ) -> LinkRow:
        """Add a link; by default, its id has the form of the console's ids [link/create-push]."""
        new_id = link_id or f"{workspace_id}-{from_id[-4:]}-{to_id[-4:]}-{random_text(6, _SUFFIX)}"
        now = self.now()
        self.links[new_id] = LinkRow(new_id, workspace_id, link_type, from_id, to_id, data, now, now)
        return self.links[new_id]

    def add_builder(
        self,
        workspace_id: str,
        builder_id: str,
        fields: Mapping[str, Any],
        code: str,
        function_id: str | None = None,
    ) -> BuilderRow:
        """Add a profile builder with the function that it owns [profile-builder/list]."""
        config = {"code": code, "kind": "profile", "name": "Profile Builder function", "draft": code}
        function = self.add_object(workspace_id, "function", function_id or server_id(), config)
        now = self.now()
        self.builders[builder_id] = BuilderRow(
            builder_id, workspace_id, dict(fields), function.id, server_id(),
            str(fields.get("createdAt") or now), str(fields.get("updatedAt") or now), now,
        )  # fmt: skip
        return self.builders[builder_id]

    def live_objects(self, workspace_id: str, type_name: str) -> Iterator[ObjectRow]:
        """Return the objects of a type in a workspace, in the order of their creation."""
        return (
            row
            for row in self.objects.values()
            if row.workspace_id == workspace_id and row.type == type_name and not row.deleted
        )

    def live_object(self, workspace_id: str, object_id: str) -> ObjectRow | None:
        """Return an object of any type in a workspace by id, or None [function/get-through-other-route]."""
        row = self.objects.get(object_id)
        return row if row is not None and row.workspace_id == workspace_id and not row.deleted else None

    def live_typed(self, workspace_id: str, type_name: str, object_id: Any) -> ObjectRow | None:
        """Return an object of one type in a workspace by id, or None."""
        row = self.live_object(workspace_id, object_id) if isinstance(object_id, str) else None
        return row if row is not None and row.type == type_name else None

    def live_links(self, workspace_id: str) -> Iterator[LinkRow]:
        """Return the links of a workspace, including dangling ones [delete/links-now-dangle]."""
        return (row for row in self.links.values() if row.workspace_id == workspace_id and not row.deleted)

    def reverse_syncs(self, workspace_id: str) -> list[LinkRow]:
        """Return the reverse syncs of a workspace, including disabled ones, oldest first."""
        return [row for row in self.live_links(workspace_id) if row.type == REVERSE_SYNC]

    def live_builders(self, workspace_id: str) -> list[BuilderRow]:
        """Return the profile builders of a workspace."""
        return [row for row in self.builders.values() if row.workspace_id == workspace_id and not row.deleted]

    def find_workspace(self, id_or_slug: str) -> WorkspaceRow | None:
        """Return a workspace by id or slug, or None if it does not exist or is deleted."""
        found = self.workspaces.get(id_or_slug)
        found = found or next((row for row in self.workspaces.values() if row.slug == id_or_slug), None)
        return None if found is None or found.deleted else found


def as_iso(seconds: float) -> str:
    """Return epoch seconds in the console's time format."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def latest(*groups: Iterable[Any]) -> str:
    """Return the newest `updated_at` of some groups of rows."""
    return max((row.updated_at for rows in groups for row in rows), default="2024-01-01T00:00:00.000Z")


def server_id() -> str:
    """Return a new id like those of the server: 25 characters, `c` first [workspace/create]."""
    return "cm" + random_text(23)


def key_hash(plaintext: str) -> str:
    """Return the salt and hash of a write key; the console keeps nothing else of it."""
    salt = secrets.token_hex(16)
    return f"{salt}.{hashlib.sha512((salt + plaintext).encode()).hexdigest()}"


def _with_hash(key: Mapping[str, Any]) -> dict[str, Any]:
    stored = {name: value for name, value in key.items() if name != "plaintext"}
    if key.get("plaintext"):
        stored["hash"] = key_hash(key["plaintext"])
    return stored


def random_text(length: int, alphabet: str = LETTERS) -> str:
    """Return random characters of an alphabet."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


OWNER = User("u-owner", "Owner", "owner@example.com", "key1:secret1secret1secret1")
READER = User("u-reader", "Reader", "reader@example.com", "key2:secret2secret2secret2")
_POSTGRES_SECRETS = ("password", "tunnel_method.ssh_key")


def _state(clock: Callable[[], float], generation: Generation) -> State:
    state = State(
        clock=clock, generation=generation, secret_fields={"airbyte/source-postgres": _POSTGRES_SECRETS}
    )
    state.add_user(OWNER)
    state.add_user(READER)
    return state


def default_state(
    clock: Callable[[], float] = time.time, generation: Generation = Generation.JULY_2026
) -> State:
    """Return two empty workspaces, which the key of OWNER can write and that of READER can read.

    On the newest console both can have models and reverse syncs, and ACME_WAREHOUSE can be reached.
    """
    state = _state(clock, generation)
    roles = {OWNER.id: "owner", READER.id: "analyst"}
    for workspace_id, name, slug in (
        ("cacmestaging0000000000001", "Acme Staging", "acme-staging"),
        ("cacmeprod0000000000000002", "Acme Production", "acme-production"),
    ):
        row = state.add_workspace(workspace_id, name, slug, roles)
        row.features = [REVERSE_ETL] if generation.is_newest else []
    state.warehouses.append(ACME_WAREHOUSE)
    return state


def recorded_state(
    clock: Callable[[], float] = time.time, generation: Generation = Generation.JULY_2026
) -> State:
    """Return the state from which the recordings start."""
    state = _state(clock, generation)
    staging = {OWNER.id: "owner", READER.id: "analyst"}
    row = state.add_workspace("cacmestaging0000000000001", "Acme Staging", "acme-staging", staging)
    row.features = [REVERSE_ETL] if generation.is_newest else []
    state.add_workspace(
        "cacmeprod0000000000000002", "Acme Production", "acme-production", {OWNER.id: "owner"}
    )
    state.add_workspace("cother0000000000000000003", "Other", "other-co", {})
    state.warehouses.append(RECORDED_WAREHOUSE)
    return state
