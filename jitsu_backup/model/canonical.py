"""One way to turn a JSON value into bytes, so that equal values give equal bytes."""

import hashlib
from typing import Any

import orjson

MAX_VALUES = 10_000_000
"""The most values that are written or read: each takes up to a hundred bytes of memory, some from two bytes of JSON."""


def canonical(value: Any) -> bytes:
    """Give the canonical UTF-8 JSON of `value`: keys sorted, no white space.

    Raises TypeError (orjson.JSONEncodeError) for what JSON cannot hold, or for
    values nested more than about 250 levels deep.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def content_digest(value: Any) -> str:
    """Give the SHA-256 of the canonical bytes of `value`, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def count_signs(raw: bytes) -> int:
    """Return how many signs in JSON begin or part values: there are at most as many values, and one more."""
    return sum(map(raw.count, (b",", b"[", b"{")))
