"""Find what other workspaces of a console claim: host names, write keys and ids."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import entity_type
from jitsu_backup.console.client import Console, gather
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.routes import read_list
from jitsu_backup.console.workspaces import text_field
from jitsu_backup.errors import BackupError, KeyRejectedError
from jitsu_backup.model import Source, items_of


@dataclass(frozen=True, slots=True)
class ClaimedElsewhere:
    """What other workspaces of a console use: host name → workspace, and write key's id → workspaces.

    `all_streams` is true if the streams of every workspace were read, not only of those that the key can see. `unread` is
    why the streams could not be read that the key should see.
    """

    domains: Mapping[str, str]
    key_ids: Mapping[str, frozenset[str]]
    all_streams: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """What the workspaces of a console use, by their ids. `all_streams` and `unread` are as in ClaimedElsewhere.

    `ids` are the ids of the entities that were read, each with the id and the name of its workspace. Others are unknown.
    """

    by_workspace: tuple[tuple[str, ClaimedElsewhere], ...] = ()
    all_streams: bool = False
    unread: str = ""
    ids: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def beside(self, workspace_id: str) -> ClaimedElsewhere:
        """Return what all workspaces except one use."""
        found = [claims for owner, claims in self.by_workspace if owner != workspace_id]
        key_ids: dict[str, frozenset[str]] = defaultdict(frozenset)
        for one in found:
            for key, labels in one.key_ids.items():
                key_ids[key] |= labels
        domains = {name: label for one in found for name, label in one.domains.items()}
        return ClaimedElsewhere(domains, dict(key_ids), all_streams=self.all_streams, unread=self.unread)


async def read_claims(
    console: Console, without: str = "", first: Source | None = None, *, most: int = 20
) -> Claims:
    """Return the host names and write keys that all workspaces except one use.

    With the operator's token, read all workspaces. With any other key, read up to `most` of the workspaces that it can
    see, `first` before all others. A rejection raises nothing, because this only predicts what the console would reject
    [stream/create-domain-in-use]. Raise AccessError for a key that the console rejects.
    """
    exported: list[_Exported] | None = None
    unread = ""
    try:
        answer = await console.get("/api/workspace")
        listed = answer if isinstance(answer, list) else []
    except KeyRejectedError:
        raise
    except BackupError as unlisted:  # the operator's token cannot list [admin/workspace-list]
        exported, unread = await _exported_streams(console, unlisted)
        listed = [workspace for workspace, _, _ in exported or ()]
    begin = [] if first is None else [{"id": first.workspace_id, "slug": first.slug}]
    others = {
        found["id"]: str(found.get("slug") or found["id"])
        for found in (*begin, *listed)
        if isinstance(found, Mapping) and isinstance(found.get("id"), str) and found["id"] != without
    }

    ids: dict[str, tuple[str, str]] = {}

    async def read(other: str, type_name: str) -> tuple[str, ClaimedElsewhere]:
        try:
            listing = await read_list(console, other, type_name)
        except KeyRejectedError:
            raise
        except BackupError:
            return other, ClaimedElsewhere({}, {})
        ids.update((item["id"], (other, others[other])) for item in listing.items)
        return other, _claims(type_name, listing.items, others[other])

    types = ("stream", "domain") if exported is None else ("domain",)
    found = await gather(*(read(other, type_name) for other in list(others)[:most] for type_name in types))
    for workspace, stream, used in exported or ():
        owner = str(workspace["id"])
        if owner in others:
            found.append((owner, _claims("stream", [stream], others[owner])))
            ids.update((one, (owner, others[owner])) for one in used)
    return Claims(tuple(found), all_streams=exported is not None, unread=unread, ids=ids)


async def with_functions(console: Console, claims: Claims) -> Claims:
    """Return claims with the ids of all functions of the console, which only the operator's token reads [admin/export-functions].

    A rejection leaves them unknown. Raise AccessError for a key that the console rejects.
    """
    try:
        answer = await console.get("/api/admin/export/functions")
    except KeyRejectedError:
        raise
    except BackupError:
        return claims
    labels = dict(claims.ids.values())
    named = ((text_field(one, "id"), text_field(one, "workspaceId")) for one in items_of(answer))
    ids = {key: (owner, labels.get(owner, owner)) for key, owner in named if key and owner}
    return replace(claims, ids={**ids, **claims.ids})


_Exported = tuple[dict[str, str | None], Mapping[str, Any], list[str]]
"""A workspace's id and slug, a stream of it, and the ids of the stream and its destinations."""


async def _exported_streams(console: Console, unlisted: BackupError) -> tuple[list[_Exported] | None, str]:
    """Return every stream of a console [admin/export-streams], or None, and why.

    `unlisted` is why the workspaces were not listed. It shows whether the key is the operator's token, which alone may
    export. Raise AccessError for a key that the console rejects.
    """
    try:
        answer = await console.get("/api/admin/export/streams-with-destinations")
    except KeyRejectedError:
        raise
    except BackupError as failure:
        is_operators = isinstance(unlisted, RefusedError) and unlisted.kind is RefusalKind.NOT_FOUND
        return None, str(failure if is_operators else unlisted)
    if not isinstance(answer, list):
        return None, "the export of streams is not a valid answer of a Jitsu console"
    found = []
    for entry in answer:
        stream = entry.get("stream") if isinstance(entry, Mapping) else None
        if isinstance(stream, Mapping) and isinstance(stream.get("workspaceId"), str):
            debug = entry.get("__debug")
            slug = text_field(debug.get("workspace"), "name") if isinstance(debug, Mapping) else None
            used = (text_field(one, "id") for one in (stream, *items_of(entry.get("destinations"))))
            found.append(({"id": stream["workspaceId"], "slug": slug}, stream, [*filter(None, used)]))
    return found, ""


def _claims(type_name: str, items: Collection[Mapping[str, Any]], label: str) -> ClaimedElsewhere:
    """Return what the streams or domains of the workspace `label` use."""
    names = (name for item in items for name in host_names(type_name, item))
    keys = (
        key["id"]
        for item in items
        for field in entity_type(type_name).write_key_fields
        for key in items_of(item.get(field))
        if isinstance(key, Mapping) and isinstance(key.get("id"), str)
    )
    return ClaimedElsewhere(dict.fromkeys(names, label), dict.fromkeys(keys, frozenset({label})))


def host_names(type_name: str, body: Mapping[str, Any]) -> list[str]:
    """Return the host names that a stream or a domain claims, in lower case."""
    claimed = body.get("domains") if type_name == "stream" else [body.get("name")]
    return [name.lower() for name in items_of(claimed) if isinstance(name, str)]
