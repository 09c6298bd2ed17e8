"""What stands where a list or an object is expected: a console takes anything in the places that it does not check."""

from collections.abc import Mapping
from typing import Any


def items_of(value: Any) -> list[Any]:
    """Return a JSON array's items; none of what is no array."""
    return value if isinstance(value, list) else []


def members_of(value: Any) -> Mapping[str, Any]:
    """Return a JSON object's members; none of what is no object."""
    return value if isinstance(value, Mapping) else {}
