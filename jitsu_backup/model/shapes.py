"""Read values of unexpected shapes: a console accepts anything in fields that it does not check."""

from collections.abc import Mapping
from typing import Any


def items_of(value: Any) -> list[Any]:
    """Return the items of a JSON array; an empty list for any other value."""
    return value if isinstance(value, list) else []


def members_of(value: Any) -> Mapping[str, Any]:
    """Return the members of a JSON object; an empty mapping for any other value."""
    return value if isinstance(value, Mapping) else {}
