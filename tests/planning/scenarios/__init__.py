"""Scenarios of planning, by what they are about."""

from tests.planning.scenarios import (
    comparisons,
    consoles,
    deletions,
    duplicates,
    grants,
    links,
    objects,
    overlays,
    pairing,
    rebinding,
    reverse_syncs,
    secrets,
    selection,
    whole,
    write_keys,
)
from tests.planning.scenarios.scenario import SCENARIOS, Scenario

__all__ = [
    "SCENARIOS",
    "Scenario",
    "comparisons",
    "consoles",
    "deletions",
    "duplicates",
    "grants",
    "links",
    "objects",
    "overlays",
    "pairing",
    "rebinding",
    "reverse_syncs",
    "secrets",
    "selection",
    "whole",
    "write_keys",
]  # fmt: skip
