"""How a PUT changes what is stored, type by type."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import UNDEFINED

_IGNORES_MARKER = ("destination", "service")


def merge(type_name: str, stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is stored after a PUT of `patch`.

    Streams merge shallowly, others deeply [stream/put-shallow-merge, destination/put-nested-object-merges].
    """
    if type_name == "stream":
        merged = {**stored, **patch}
        if "authorizedJavaScriptDomains" not in patch:
            merged.pop("authorizedJavaScriptDomains", None)  # [stream/put-known-key]
        return {name: value for name, value in merged.items() if value != UNDEFINED}
    # the marker does nothing on two types: destination/put-undefined-marker-no-effect
    return _deep(stored, patch, removes=type_name not in _IGNORES_MARKER)


def _deep(stored: Mapping[str, Any], patch: Mapping[str, Any], *, removes: bool) -> dict[str, Any]:
    result = dict(stored)
    for name, value in patch.items():
        if value == UNDEFINED:
            if removes:
                result.pop(name, None)
        elif isinstance(value, Mapping):
            old = result.get(name)
            result[name] = _deep(old if isinstance(old, Mapping) else {}, value, removes=removes)
        else:
            result[name] = value
    return result
