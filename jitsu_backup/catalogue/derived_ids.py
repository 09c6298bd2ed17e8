"""Derived ids: they can be computed again at any time, so the target workspace serves as the journal."""

import hashlib
import re
import string
import uuid
from collections.abc import Collection, Iterator

import orjson

from jitsu_backup.catalogue.table import entity_type

ATTEMPTS = 16
"""The number of derived ids for each entity. There are several because an id stays taken forever [delete/recreate-same-id]."""

_CHILDREN = (3, 2, 1, 1, 1)  # the number of ids followed in each generation: each costs hashes

_DIGITS = string.digits + string.ascii_lowercase
_BASE, _LENGTH = len(_DIGITS), 24
_RANGE: int = _BASE**_LENGTH
_SHAPE = re.compile(f"c[0-9a-z]{{{_LENGTH}}}", re.ASCII)


def derived_id(workspace_id: str, type_name: str, source_id: str, attempt: int = 0) -> str:
    """Return the id that `source_id` gets in a workspace: 25 characters, `c` first, like Jitsu's own ids.

    The console derives the id of a reverse sync from our request's id. Equal arguments always give equal ids; another
    `attempt` gives another id.
    """
    if entity_type(type_name).id_from_request:
        return id_from_request(workspace_id, request_id(workspace_id, type_name, source_id, attempt))
    number = _number(_prefix(workspace_id, type_name, source_id), attempt)
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, _BASE)
        digits.append(_DIGITS[digit])
    return "c" + "".join(digits)


def derived_ids(workspace_id: str, type_name: str, source_id: str) -> Iterator[str]:
    """Yield all the ids that `source_id` may get in a workspace, the first choice first."""
    return (derived_id(workspace_id, type_name, source_id, attempt) for attempt in range(ATTEMPTS))


def request_id(workspace_id: str, type_name: str, source_id: str, attempt: int) -> str:
    """Return the id of a creation request from which the console derives the entity's id: a UUID."""
    found = hashlib.sha256(_prefix(workspace_id, type_name, source_id) + b"%d" % attempt).digest()
    return str(uuid.UUID(bytes=found[:16], version=4))


def request_id_for(workspace_id: str, type_name: str, source_id: str, new_id: str) -> str | None:
    """Return the id of the request that creates `new_id`; None if that is not derived from `source_id`."""
    requests = (request_id(workspace_id, type_name, source_id, attempt) for attempt in range(ATTEMPTS))
    return next((one for one in requests if id_from_request(workspace_id, one) == new_id), None)


def id_from_request(workspace_id: str, request: str) -> str:
    """Return the id that the console derives from a workspace and a request's id [reverse-sync/create]."""
    return "retl-" + hashlib.sha256(orjson.dumps([workspace_id, request])).hexdigest()[:32]


def ids_after(workspace_id: str, type_name: str, source_id: str, taken: str) -> Iterator[str]:
    """Return the ids to try after `taken`, a kept or a derived id, turned out to be in use."""
    ids = list(derived_ids(workspace_id, type_name, source_id))
    return iter(ids[ids.index(taken) + 1 :] if taken in ids else ids)


class KnownIds:
    """The ids of one type in a workspace, to be searched for those derived from a source id.

    Derived ids are stored as numbers, because each entity takes 16 hashes and numbers are faster to compare.
    """

    def __init__(self, workspace_id: str, type_name: str, ids: Collection[str]) -> None:
        """Keep the `ids` that have the shape of derived ids."""
        self._workspace_id, self._type = workspace_id, type_name
        self._from_requests = entity_type(type_name).id_from_request
        self._ids: dict[int | str, str] = (
            {known: known for known in ids}
            if self._from_requests
            else {_spelt(known): known for known in ids if _SHAPE.fullmatch(known)}
        )

    def derived_of(self, source_id: str) -> list[str]:
        """Return the ids that were derived from `source_id`, the first choice first."""
        if not self._ids:
            return []
        found: Iterator[int | str]
        if self._from_requests:
            found = derived_ids(self._workspace_id, self._type, source_id)
        else:
            prefix = _prefix(self._workspace_id, self._type, source_id)
            found = (_number(prefix, attempt) for attempt in range(ATTEMPTS))
        return [self._ids[one] for one in found if one in self._ids]

    def descended_from(self, source_id: str, strangers: Collection[str] = ()) -> list[str]:
        """Return the ids that were derived from `source_id` in several steps, by repeated re-creation.

        Ids derived from one of `strangers` are left out, because those are entities of their own.
        """
        parents = [source_id] if self._ids else []
        for children in _CHILDREN:
            parents = [
                derived_id(self._workspace_id, self._type, parent, attempt)
                for parent in parents
                for attempt in range(children)
            ]
            parents = [parent for parent in parents if parent not in strangers]
            found = [known for parent in parents for known in self.derived_of(parent)]
            if found:
                return found
        return []


def _prefix(workspace_id: str, type_name: str, source_id: str) -> bytes:
    return "\0".join(("jitsu-backup/1", workspace_id, type_name, source_id, "")).encode()


def _number(prefix: bytes, attempt: int) -> int:
    return int.from_bytes(hashlib.sha256(prefix + b"%d" % attempt).digest(), "big") % _RANGE


def _spelt(derived: str) -> int:
    return int(derived[:0:-1], _BASE)  # the last digit is the most significant
