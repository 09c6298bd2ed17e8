"""How a PUT is merged into the stored object, by type."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import UNDEFINED
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.validation import MISSING

_CLEARED = ("cursor", "deleteColumn")
_IGNORES_MARKER = ("destination", "service")


def merge(
    type_name: str, stored: Mapping[str, Any], patch: Mapping[str, Any], generation: Generation
) -> dict[str, Any]:
    """Return the object that is stored after a PUT of `patch`.

    Streams are merged shallowly, other types deeply [stream/put-shallow-merge, destination/put-nested-object-merges];
    a console of 2024 merges every type shallowly. Models are merged shallowly too, and `null` removes the cursor and the
    delete column [model/put-cursor-replaced-whole, model/put-null-clears-cursor].
    """
    is_model = type_name == "model" and generation.is_newest
    if generation.is_2024 or is_model or type_name == "stream":
        merged = {**stored, **patch}
        if is_model:
            merged = {
                name: merged[name] for name in merged if name not in _CLEARED or merged[name] is not None
            }
        if type_name == "stream" and "authorizedJavaScriptDomains" not in patch:
            merged.pop("authorizedJavaScriptDomains", None)  # [stream/put-known-key]
        return {name: _marked(value) for name, value in merged.items() if value != UNDEFINED}
    # two types ignore the marker [destination/put-undefined-marker-no-effect]
    return _deep(stored, patch, removes=type_name not in _IGNORES_MARKER)


def _marked(value: Any) -> Any:
    """Return `value` with its inner markers replaced by MISSING, which validation treats as absent."""
    if isinstance(value, Mapping):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return MISSING if value == UNDEFINED else value


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
