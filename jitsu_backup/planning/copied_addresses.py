"""Addresses that a clone copies: hosts and URLs of the source that the overlay does not give."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue import entity_type, redact
from jitsu_backup.model import MASK, Entity, Key, Path, items_of, value_at
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind, CopiedAddress
from jitsu_backup.planning.schema_rules import default_at, schema_name

_TYPES = ("destination", "service")

_NAME = re.compile(
    r"(?:.*_)?(?:hosts?|hostname|urls?|uri|endpoint|server|domain|subdomain|account|bucket|project)"
)
"""Names of fields that say where data goes or comes from: those of destinations [schemas], and alike in connectors."""

_NO_SECRETS = ("host", "hosts")
"""Names that hold no secret, although they may stand among credentials, if the value is only a host."""

_HOST = re.compile(r"(?:[a-z][\w+.-]*://)?(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?/?", re.IGNORECASE)

_ADDRESS = re.compile(r"[^\s@?#;&=%]+")
"""An address without the marks that set off a user, a password or a parameter, with or without a scheme before it."""

_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def copied_addresses(pairs: Pairs, actions: Mapping[Key, Action]) -> dict[Key, tuple[CopiedAddress, ...]]:
    """Return the addresses that new entities get from another workspace, by the snapshot's keys."""
    sides, found = pairs.sides, dict[Key, tuple[CopiedAddress, ...]]()
    if sides.in_place or sides.since is Since.RECOVERY:
        return found
    for key, action in actions.items():
        created = action.kind is ActionKind.CREATE or (
            action.kind is ActionKind.BLOCKED and key not in pairs.found
        )
        if created and key.type in _TYPES:
            entity = sides.by_key[key]
            schema = sides.options.schemas.get(schema_name(key.type, entity.body) or "")
            copied = tuple(
                _shown(entity, path)
                for path in _addresses(entity.body)
                if not sides.overlaid(key, path) and value_at(entity.body, path) != default_at(schema, path)
            )
            found |= {key: copied} if copied else {}
    return found


def _addresses(body: Any, at: Path = ()) -> Iterator[Path]:
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield from _addresses(value, (*at, name))
        elif _NAME.fullmatch(_NEW_WORD.sub("_", name).lower()) and _texts(value):
            yield (*at, name)


def _texts(value: Any) -> list[str]:
    """Return the texts of a value that is one, or a list of some; an empty list for anything else."""
    texts = [value] if isinstance(value, str) else items_of(value)
    return texts if all(isinstance(text, str) and text not in ("", MASK) for text in texts) else []


def _shown(entity: Entity, path: Path) -> CopiedAddress:
    """Return an address with its value, or without it if that is or may hold a secret."""
    value = value_at(entity.body, path)
    redacted = redact(entity, entity_type(entity.key.type).secrets)
    shown = _ADDRESS if value == value_at(redacted, path) else _HOST if path[-1] in _NO_SECRETS else None
    plain = shown is not None and all(shown.fullmatch(text) for text in _texts(value))
    return CopiedAddress(path, value if plain else None)
