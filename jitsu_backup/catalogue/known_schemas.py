"""The JSON Schemas that today's console serves, as recorded."""

import importlib.resources
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson


@cache
def known_schemas() -> Mapping[str, Any]:
    """Return every schema that the console serves, by `type` or `type/subtype`, the index among them."""
    text = importlib.resources.files(__package__).joinpath("data/schemas.json").read_bytes()
    result: Mapping[str, Any] = orjson.loads(text)
    return result
