"""Write keys for a target's streams. A console never shows a key again, so most are newly generated [stream/get]."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jitsu_backup.catalogue import entity_type
from jitsu_backup.model import Key
from jitsu_backup.planning import Plan, has_key_material


@dataclass(frozen=True, slots=True)
class StreamKey:
    """A write key generated for a stream of the target. `write_key` is the secret that senders use."""

    stream: str
    stream_id: str
    kind: str
    source_key_id: str
    key_id: str
    write_key: str = field(repr=False)


StreamKeys = Mapping[tuple[str, str, str], StreamKey]
"""Generated write keys by (source stream id, field, source key id)."""


def new_keys(plan: Plan, new_secret: Callable[[], str]) -> dict[tuple[str, str, str], StreamKey]:
    """Return the write keys that a plan needs. `new_secret` returns a new secret each time."""
    made = {}
    for action in plan.writes:
        for slot in action.made_keys:
            kind = "browser" if slot.field == "publicKeys" else "server"
            made[action.key.id, slot.field, slot.source_id] = StreamKey(
                stream=action.name,
                stream_id=str(action.target_id),
                kind=kind,
                source_key_id=slot.source_id,
                key_id=slot.id,
                write_key=f"{slot.id}:{new_secret()}",
            )
    return made


def with_new_keys(source: Key, body: dict[str, Any], keys: StreamKeys) -> dict[str, Any]:
    """Return the body of the snapshot's entity `source` with the generated write keys in place."""
    lists = {
        name: [_with_secret(keys.get((source.id, name, _id_of(item))), item) for item in body[name]]
        for name in entity_type(source.type).write_key_fields
        if isinstance(body.get(name), list)
    }
    return {**body, **lists}


def _with_secret(generated: StreamKey | None, item: Any) -> Any:
    if generated is None or has_key_material(item):
        return item
    plaintext = generated.write_key.partition(":")[2]
    return {"id": generated.key_id, "plaintext": plaintext, "hint": f"{plaintext[:3]}*{plaintext[-3:]}"}


def _id_of(item: Any) -> str:
    return str(item.get("id")) if isinstance(item, Mapping) else ""
