"""Overlays: what an operator changes of the snapshot on the way in."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from jitsu_backup.catalogue import Selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK, Entity, masked_paths

_DEEPEST = 200  # an archive nests about 250 levels deep
_POSITION = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Rule:
    """For what `selector` chooses, the values of `patch` take the place of the snapshot's."""

    selector: Selector
    patch: Mapping[str, Any] = field(repr=False)  # may hold secrets


@dataclass(frozen=True, slots=True)
class Overlay:
    """Rules, applied in order."""

    rules: tuple[Rule, ...] = ()

    def apply(self, entity: Entity, name: str) -> dict[str, Any]:
        """Give the body of `entity` with every rule that chooses it applied."""
        body: Any = dict(entity.body)
        for rule in self.rules:
            if rule.selector.matches(entity, name):
                body = _merge(body, rule.patch, str(entity.key))
        return dict(body)

    def unmatched(self, entities: Mapping[Any, tuple[Entity, str]]) -> list[str]:
        """Give the selectors that name one entity and find none among `entities` (with their names)."""
        return [
            rule.selector.text
            for rule in self.rules
            if rule.selector.exact
            and not any(rule.selector.matches(entity, name) for entity, name in entities.values())
        ]


def parse_overlay(document: object) -> Overlay:
    """Make an overlay of a document: selector → values. Secrets are resolved already.

    Raises UsageError for anything else.
    """
    if not isinstance(document, Mapping):
        raise UsageError(
            "an overlay must be a table of selectors, such as 'destination/Warehouse', to values"
        )
    rules = []
    for text, patch in document.items():
        if not isinstance(patch, Mapping):
            raise UsageError(f"overlay: {text!r} must hold a table of fields and their new values")
        for forbidden in ("id", "type", "workspaceId"):
            if forbidden in patch and not (forbidden == "type" and text.startswith("link")):
                raise UsageError(f"overlay: {text!r} cannot change {forbidden!r}; remove that line")
        values = _json_like(patch, f"overlay: {text[:60]!r}")
        if any(True for _ in masked_paths(values)):
            raise UsageError(f"overlay: {text!r} holds Jitsu's mask {MASK}; give the secret itself")
        rules.append(Rule(Selector(text), values))
    return Overlay(tuple(rules))


def _json_like(value: Any, where: str, depth: int = 0) -> Any:
    """Give `value` as JSON can hold it, dates as text. Raises UsageError where it cannot."""
    if depth > _DEEPEST:
        raise UsageError(f"{where} is nested too deeply")
    if isinstance(value, Mapping):
        return {
            _json_text(k, where): _json_like(v, where, depth + 1 + k.count(".")) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_json_like(item, where, depth + 1) for item in value]
    if isinstance(value, str):
        return _json_text(value, where)
    if isinstance(value, date | time):
        return value.isoformat()
    fits = isinstance(value, int) and -(2**63) <= value < 2**64
    if not fits and not (isinstance(value, float) and math.isfinite(value)) and value is not None:
        raise UsageError(f"{where} holds a value that JSON cannot hold: {type(value).__name__}")
    return value


def _json_text(text: object, where: str) -> str:
    if not isinstance(text, str) or any("\ud800" <= c <= "\udfff" for c in text):
        raise UsageError(f"{where} holds text, or a name, that is none")
    return text


def _merge(base: Any, patch: Any, where: str) -> Any:
    if (
        isinstance(patch, Mapping)
        and isinstance(base, list)
        and patch
        and all(_POSITION.fullmatch(k) for k in patch)
    ):
        result_list = list(base)
        for position, value in patch.items():
            if int(position) >= len(base):
                raise UsageError(f"overlay: {where} has no item {position} there, only {len(base)}")
            result_list[int(position)] = _merge(base[int(position)], value, where)
        return result_list
    if not isinstance(patch, Mapping) or not isinstance(base, Mapping):
        return patch
    result = dict(base)
    for name, value in patch.items():
        head, dot, rest = name.partition(".")
        if dot and name not in base:  # `credentials.password`, as the ledger writes it
            result[head] = _merge(result.get(head, {}), {rest: value}, where)
        else:
            result[name] = _merge(result.get(name), value, where)
    return result
