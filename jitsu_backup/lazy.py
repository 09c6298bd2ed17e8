"""Packages whose rooms are loaded when they are first used: whoever presses Tab waits for all that is imported."""

import importlib
from collections.abc import Callable, Collection
from typing import Any


def from_rooms(package: str, names: Collection[str], *rooms: str) -> Callable[[str], Any]:
    """Give the `__getattr__` of a package that has `names`: each is looked for in one room after the other."""

    def find(name: str) -> Any:
        for room in rooms if name in names else ():
            module = importlib.import_module(f"{package}.{room}")
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
