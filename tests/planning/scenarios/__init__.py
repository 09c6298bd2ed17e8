"""Scenarios of planning, by what they are about."""

from tests.planning.scenarios import (
    comparisons,
    consoles,
    doubles,
    grants,
    keys,
    links,
    objects,
    overlays,
    pairing,
    removals,
    secrets,
    selection,
    whole,
)
from tests.planning.scenarios.kit import SCENARIOS, Scenario

__all__ = [
    "SCENARIOS", "Scenario", "comparisons", "consoles", "doubles", "grants", "keys", "links", "objects", "overlays", "pairing",
    "removals", "secrets", "selection", "whole",
]  # fmt: skip
