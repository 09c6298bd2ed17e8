"""Packages that load a module of theirs when a name of it is first used, because start-up time counts.

Whoever presses Tab waits for everything that is imported.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any


def exports(package: str, *modules: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that exports the public names of its `modules`, searched in this order.

    Which names these are, the package says to the type checker alone.
    """

    def find(name: str) -> Any:
        if not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is None:
            for module in (importlib.import_module(f"{package}.{each}") for each in modules):
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
