"""Packages that load a module of theirs when a name from it is first used: completion waits for every import."""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def exports(package: str, source: str) -> tuple[Callable[[str], Any], list[str]]:
    """Return `__getattr__` and `__all__` of a package, by the imports in its `source` that only type checkers run."""
    modules = {
        alias.name: str(node.module)
        for node in ast.walk(ast.parse(Path(source).read_bytes()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{package}.")
        for alias in node.names
    }

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return find, sorted(modules)
