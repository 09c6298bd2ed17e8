"""Overlays: what an operator changes of the snapshot on the way in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jitsu_backup.catalogue import Selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK, Entity, masked_paths

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
        if any(True for _ in masked_paths(patch)):
            raise UsageError(f"overlay: {text!r} holds Jitsu's mask {MASK}; give the secret itself")
        rules.append(Rule(Selector(text), patch))
    return Overlay(tuple(rules))


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
