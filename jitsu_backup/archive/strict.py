"""Strict reading of untrusted JSON: no duplicate keys, bounded depth, a bounded number of values; JSON Schema."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import orjson

from jitsu_backup.model import MAX_VALUES as MAX_VALUES, canonical, count_signs  # noqa: PLC0414  messages name the limit

_ERRORS = 100  # examined to find the most relevant; a list of millions may have one error per item


class TooDeepError(Exception):
    """JSON is nested more deeply than `canonical` can write."""


class TooManyError(Exception):
    """JSON holds more than MAX_VALUES values."""


class TwiceError(Exception):
    """An object has a key twice; `str()` is the key."""


def parse(raw: bytes) -> Any:
    """Return the value of UTF-8 JSON. Raise TooDeepError, TooManyError, TwiceError, orjson.JSONDecodeError."""
    if has_too_many(raw):
        raise TooManyError
    try:
        value = _loads(raw)
        if canonical(value) == raw:  # canonical bytes have no key twice
            return value
        del value  # freed, because reading again needs as much memory
        named, alike = _count_names(raw)
        value = _loads(raw)
    except (orjson.JSONEncodeError, RecursionError):
        raise TooDeepError from None
    if named != _count_keys(value):
        raise TwiceError(alike)
    return value


def has_too_many(raw: bytes) -> bool:
    """Return whether JSON may hold more than MAX_VALUES values, judged by its commas and brackets."""
    return count_signs(raw) > MAX_VALUES


def first_problem(shape: Mapping[str, Any], value: Any) -> tuple[str, str] | None:
    """Return where a value violates a JSON Schema, and the keyword, or None if it is valid."""
    import jsonschema  # noqa: PLC0415  slow to import, and only reading needs it

    errors = islice(_validator()(shape).iter_errors(value), _ERRORS)
    problem = jsonschema.exceptions.best_match(errors)
    if problem is None:
        return None
    return ".".join(str(part) for part in problem.absolute_path)[:100] or "its top", str(problem.validator)


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        if "depth" in str(problem):
            raise TooDeepError from None
        raise


def _count_names(raw: bytes) -> tuple[int, str]:
    """Return the number of keys in JSON, and a key that seems to be twice in an object, or `…`.

    Escapes can hide or feign a duplicate, so only the number shows whether there is one.
    """
    named, alike = 0, "…"

    def count(pairs: list[tuple[str, Any]]) -> None:
        nonlocal named, alike
        named += len(pairs)
        if len(dict(pairs)) != len(pairs):
            alike = Counter(name for name, _ in pairs).most_common(1)[0][0]

    # Latin-1 takes one byte of memory a character; `len` accepts numbers of any length
    json.loads(raw.decode("latin-1"), object_pairs_hook=count, parse_int=len, parse_float=len)
    return named, alike.encode("latin-1", "replace").decode(errors="replace")


def _count_keys(value: Any) -> int:
    keys, left = 0, [iter((value,))]
    while left:
        for item in left[-1]:
            if isinstance(item, dict):
                keys += len(item)
                left.append(iter(item.values()))
                break
            if isinstance(item, list):
                left.append(iter(item))
                break
        else:
            left.pop()
    return keys


@cache
def _validator() -> Any:
    """Return a JSON Schema validator whose errors do not contain the wrong value, which may be a whole archive."""
    import jsonschema  # noqa: PLC0415  as above

    known = jsonschema.Draft202012Validator.VALIDATORS

    def is_type(validator: Any, types: str | list[str], value: Any, _: Any) -> Iterator[Any]:
        if not any(validator.is_type(value, name) for name in ([types] if isinstance(types, str) else types)):
            yield jsonschema.ValidationError("")

    def pattern(_: Any, wanted: str, value: Any, __: Any) -> Iterator[Any]:
        if isinstance(value, str) and not re.search(wanted, value):
            yield jsonschema.ValidationError("")

    def additional(validator: Any, allowed: Any, value: Any, shape: Any) -> Iterator[Any]:
        if allowed is not False:
            yield from known["additionalProperties"](validator, allowed, value, shape)
        elif isinstance(value, dict) and not value.keys() <= shape["properties"].keys():
            yield jsonschema.ValidationError("")

    own = {"type": is_type, "pattern": pattern, "additionalProperties": additional}
    return jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # the stubs' own
        jsonschema.Draft202012Validator, own
    )
