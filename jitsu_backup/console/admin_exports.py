"""Read what only the operator's token can read: masked secrets, and the hashes of write keys."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import entity_type
from jitsu_backup.console import Console, RefusalKind, RefusedError, gather
from jitsu_backup.console.bodies import Size, small_replies
from jitsu_backup.console.workspaces import LACKING
from jitsu_backup.errors import AccessError, UnreachableError
from jitsu_backup.model import MASK, Key, MaskedField, Refusal, Snapshot, items_of, unknown_secrets

_REVERSE_SYNCS = "reverse-syncs"
_EXPORTS = ("streams-with-destinations", "rotor-connections", "bulker-connections", "syncs", _REVERSE_SYNCS)

_TYPES = {
    "streams-with-destinations": ("stream", "destination"),
    "rotor-connections": ("destination",),
    "bulker-connections": ("destination",),
    "syncs": ("service",),
}
"""The types of entities whose secrets an export holds."""

_ATTEMPTS = 3
"""How often the export of reverse syncs is requested. A sync that the console cannot read cuts it short every time."""

_NOBODYS = ""  # no workspace has this id

Entries = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Exports:
    """What the operator's token reads of a whole console. `unread` says why its reverse syncs could not be read.

    `refused` says which of the other exports could not be read, and why.
    """

    streams: Entries
    rotor_connections: Entries
    bulker_connections: Entries
    syncs: Entries
    reverse_syncs: Entries
    unread: str = ""
    refused: tuple[Refusal, ...] = ()
    _parts: dict[str, "Exports"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, workspace_id: str) -> "Exports":
        """Return the entries of one workspace, and the syncs that name no workspace."""
        if not self._parts:  # sorted once, for a run that looks up hundreds of workspaces
            self._parts.update(_by_workspace(self))
        return self._parts.get(workspace_id) or self._parts[_NOBODYS]


async def read_exports(console: Console) -> Exports:
    """Read what only the operator's token can read, of every workspace of the console.

    An export that this console lacks is left empty. One that cannot be read is left empty and reported. Raise AccessError
    for an invalid token, ConsoleError for an export that is too large, or if none can be read because the console is away.
    """
    held, unread, refused = Size(share=2), list[str](), list[Refusal]()
    away: list[UnreachableError] = []

    async def export(name: str) -> Entries:
        of_reverse_syncs = name == _REVERSE_SYNCS
        try:
            answer = await console.get(
                f"/api/admin/export/{name}", beside=held, attempts=_ATTEMPTS if of_reverse_syncs else None
            )
        except (RefusedError, UnreachableError) as failure:
            kind = failure.kind if isinstance(failure, RefusedError) else None
            if kind is RefusalKind.TOO_LARGE:
                raise failure.with_context(before=f"console {console.host}: export {name}: ") from None
            away.extend([failure] if isinstance(failure, UnreachableError) else [])
            reason = str(failure).removeprefix(f"console {console.host}: ")
            if kind not in LACKING and of_reverse_syncs:
                unread.append(reason)
            elif kind not in LACKING:
                refused.append(Refusal(f"export {name}", reason))
            return []
        except AccessError as refusal:
            raise _of_operator(refusal) from None
        return [e for e in answer if isinstance(e, Mapping)] if isinstance(answer, list) else []

    streams, rotor, bulker, syncs, reverse_syncs = await gather(*map(export, _EXPORTS))
    if len(away) == len(_EXPORTS):
        raise away[0].with_context(after=" (exports, with the operator's token)")
    return Exports(streams, rotor, bulker, syncs, reverse_syncs, "".join(unread), tuple(sorted(refused)))


async def try_operator(console: Console) -> None:
    """Test the operator's token with the cheapest request: when an export last changed.

    Raise AccessError if the token is rejected, as `read_exports` does, ConsoleError.
    """
    path, newest = f"/api/admin/export/{_EXPORTS[0]}", {"dateOnly": "true"}
    try:
        await console.get(path, params=newest, beside=small_replies())
    except AccessError as refusal:
        raise _of_operator(refusal) from None


def _of_operator(refusal: AccessError) -> AccessError:
    """Return an error that says which key was rejected."""
    return refusal.with_context(after=" (the operator's token)")


def secrets_of(exports: Exports, snapshot: Snapshot) -> dict[Key, dict[str, Any]]:
    """Return what the console masked in `snapshot`, and its streams' key hashes: by key, path → value.

    Only entries of its own workspace are used [admin/export-streams, admin/export-rotor-connections].
    """
    mine = exports.of(snapshot.manifest.source.workspace_id)
    masked: dict[Key, list[str]] = defaultdict(list)
    for line in snapshot.manifest.ledger:
        masked[Key(line.type, line.id)].append(line.path)
    found: dict[Key, dict[str, Any]] = defaultdict(dict)
    for stream_id, path, value in _key_hashes(mine.streams):
        found[Key("stream", stream_id)][path] = value
    services = {key.id for key in masked if key.type == "service"}
    for key, body in (
        *_destinations(mine.streams, [*mine.rotor_connections, *mine.bulker_connections]),
        *_of_reverse_syncs(mine.reverse_syncs),
        *_services(mine.syncs, services),
    ):
        for path in masked.get(key, ()):
            value = _at(body, path)
            if value != MASK and isinstance(value, str | int | float | None):
                found[key][path] = value
    known = {entity.key for entity in snapshot.entities}
    return {key: dict(sorted(found[key].items())) for key in sorted(found) if key in known}


def missed_secrets(exports: Exports, snapshot: Snapshot) -> tuple[MaskedField, ...]:
    """Return the secrets that `snapshot` lacks because an export could not be read.

    They are those of the warehouses and destinations of its reverse syncs. One sync that the console cannot read, in any
    workspace, cuts the export short.
    """
    models = {model.key.id: str(model.body.get("warehouseId")) for model in snapshot.of_type("model")}
    used = {
        one
        for sync in snapshot.of_type("reverse-sync") if exports.unread
        for one in (str(sync.body.get("toId")), models.get(str(sync.body.get("fromId"))))
    }  # fmt: skip
    return tuple(line for line in unknown_secrets(snapshot) if line.type == "destination" and line.id in used)


def with_exports(exports: Exports, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with what the exports have for it; where it may lack something of one that could not be read, it says so."""
    made = replace(snapshot, secrets=secrets_of(exports, snapshot))
    types = {line.type for line in unknown_secrets(made)} | {one.key.type for one in made.of_type("stream")}
    lacking = [refusal for refusal in exports.refused if not types.isdisjoint(types_in(refusal))]
    manifest = replace(made.manifest, refused=tuple(sorted((*made.manifest.refused, *lacking))))
    return replace(made, manifest=manifest) if lacking else made


def types_in(refusal: Refusal) -> tuple[str, ...]:
    """Return the types of entities whose secrets an export holds, by the refusal of it."""
    return _TYPES[refusal.what.removeprefix("export ")]


def _by_workspace(exports: Exports) -> dict[str, Exports]:
    """Return the exports of each workspace, with the syncs that name none, because services have unique ids."""
    streams, syncs = _sorted(exports.streams, "stream.workspaceId"), _sorted(exports.syncs)
    rotor, bulker = _sorted(exports.rotor_connections), _sorted(exports.bulker_connections)
    reverse = _sorted(exports.reverse_syncs)
    nobodys = syncs.pop(_NOBODYS, [])
    return {
        one: Exports(
            streams.get(one, []), rotor.get(one, []), bulker.get(one, []), [*syncs.get(one, []), *nobodys],
            reverse.get(one, []), exports.unread,
        )
        for one in {*streams, *rotor, *bulker, *syncs, *reverse} - {_NOBODYS}
    } | {_NOBODYS: Exports([], [], [], nobodys, [], exports.unread)}  # fmt: skip


def _sorted(entries: Entries, path: str = "workspaceId") -> dict[str, Entries]:
    """Return entries by their workspace. Those that name none are under _NOBODYS."""
    found: dict[str, Entries] = defaultdict(list)
    for entry in entries:
        named = _at(entry, path)
        found[named if isinstance(named, str) and named != MASK else _NOBODYS].append(entry)
    return found


def _key_hashes(streams: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for entry in streams:
        stream = entry["stream"]
        for name in entity_type("stream").write_key_fields:
            for item in items_of(stream.get(name)):
                if isinstance(item, Mapping) and item.get("id") and isinstance(item.get("hash"), str):
                    yield str(stream.get("id")), f"{name}.{item['id']}.hash", item["hash"]


def _destinations(
    streams: list[Mapping[str, Any]], connections: list[Mapping[str, Any]]
) -> Iterator[tuple[Key, Any]]:
    for entry in streams:
        for target in items_of(entry.get("destinations")):
            if isinstance(target, Mapping):
                yield Key("destination", str(target.get("id"))), target.get("credentials")
    for entry in connections:
        yield Key("destination", str(entry.get("destinationId"))), entry.get("credentials")


def _of_reverse_syncs(reverse_syncs: list[Mapping[str, Any]]) -> Iterator[tuple[Key, Any]]:
    """Yield the warehouse and the destination of each reverse sync, with secrets [admin/export-reverse-syncs]."""
    for entry in reverse_syncs:
        yield Key("destination", str(_at(entry, "model.warehouseId"))), entry.get("warehouse")
        yield Key("destination", str(entry.get("toId"))), entry.get("destination")


def _services(syncs: list[Mapping[str, Any]], services: set[str]) -> Iterator[tuple[Key, Any]]:
    """Yield every object with `credentials` in an entry that names one service. Ids are unique on a console."""
    for entry in syncs:
        strings: set[str] = set()
        holders: list[Mapping[str, Any]] = []
        _walk(entry, strings, holders)
        named = services & strings
        if len(named) == 1:
            yield from ((Key("service", next(iter(named))), holder) for holder in holders)


def _walk(value: Any, strings: set[str], holders: list[Mapping[str, Any]]) -> None:
    left = [value]
    while left:  # works at any depth
        one = left.pop()
        if isinstance(one, str):
            strings.add(one)
        elif isinstance(one, Mapping):
            if isinstance(one.get("credentials"), Mapping):
                holders.append(one)
            left += reversed([*one.values()])
        elif isinstance(one, list):
            left += reversed(one)


def _at(body: Any, path: str) -> Any:
    """Return the value at a dotted path, even if it is empty or null, or the mask if there is no value."""
    for part in path.split("."):
        body = body.get(part, MASK) if isinstance(body, Mapping) else MASK
    return body
