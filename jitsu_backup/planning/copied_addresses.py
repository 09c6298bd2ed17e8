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

_URL = re.compile(rf"(?=[a-z][\w+.-]*://)({_HOST.pattern.removesuffix('/?')})(?:[/?#][^@]*)?", re.IGNORECASE)
"""A URL without a user or password; the group is its scheme and host. What follows may be a secret."""

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
    """Return an address with its value, or without it if that is or may hold a secret. Of a URL, the path may be one."""
    value = value_at(entity.body, path)
    redacted = redact(entity, entity_type(entity.key.type).secrets)
    may_show = value == value_at(redacted, path) or path[-1] in _NO_SECRETS
    texts = [_shown_text(text, whole=may_show) for text in _texts(value)]
    if None in texts:
        return CopiedAddress(path, None)
    return CopiedAddress(path, texts if isinstance(value, list) else texts[0])


def _shown_text(text: str, *, whole: bool) -> str | None:
    if whole and _HOST.fullmatch(text):
        return text
    url = _URL.fullmatch(text)
    return None if url is None else f"{url[1]}/…"
