"""The states that the cursors of a sync hold."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson


def states_of(cursors: Mapping[str, str]) -> dict[str, Any]:
    """Return the states by stream, from cursors as JSON texts; none for a text that is not JSON."""
    states = {}
    for stream, text in cursors.items():
        with suppress(orjson.JSONDecodeError):
            states[stream] = orjson.loads(text)
    return states
