"""Canonical JSON: equal values give equal bytes."""

import hashlib
from typing import Any

import orjson

MAX_VALUES = 10_000_000
"""The maximum number of JSON values in one document. Two bytes of JSON can take 100 bytes of memory."""


def canonical(value: Any) -> bytes:
    """Return the canonical UTF-8 JSON of `value`: keys sorted, no white space.

    Raise TypeError (orjson.JSONEncodeError) for values that JSON cannot represent, and for values nested more than
    about 250 levels deep.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def content_digest(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes of `value`, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def count_signs(raw: bytes) -> int:
    """Return the number of commas and opening brackets in JSON, which has at most one value more than that."""
    return sum(map(raw.count, (b",", b"[", b"{")))
