"""Packages that load a module when one of its names is first used, because shell completion waits for every import."""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def exports(package: str, source: str) -> tuple[Callable[[str], Any], list[str]]:
    """Return `__getattr__` and `__all__` of a package, read from the type-checking imports in its `source`."""
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
