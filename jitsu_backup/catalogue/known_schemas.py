"""The JSON Schemas that consoles serve, as recorded."""

import importlib.resources
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson


@cache
def known_schemas() -> Mapping[str, Any]:
    """Return every schema that a console of July 2026 serves, by `type` or `type/subtype`, including the index."""
    return _read("schemas.json")


@cache
def newest_schemas() -> Mapping[str, Any]:
    """Return the same for the console of autumn 2026 [schema/index]."""
    return _read("schemas-newest.json")


def _read(name: str) -> Mapping[str, Any]:
    text = importlib.resources.files(__package__).joinpath("data", name).read_bytes()
    result: Mapping[str, Any] = orjson.loads(text)
    return result
