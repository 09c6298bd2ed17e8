"""Overlays as files: TOML or JSON, with secrets that stand elsewhere."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.planning import Overlay, parse_overlay
from jitsu_backup.settings import resolve_secret
from jitsu_backup.store import read_text_file


def read_overlay(path: Path | None) -> Overlay:
    """Read an overlay file, TOML or JSON, and put secrets given as {env} or {file} in place."""
    if path is None:
        return Overlay()
    try:
        data = read_text_file(path)
    except BackupError as problem:
        raise UsageError(f"overlay: {problem}") from None
    try:
        text = data.decode()
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        detail = (
            str(problem).split("\n", 1)[0] if not isinstance(problem, UnicodeDecodeError) else "not UTF-8"
        )
        raise UsageError(
            f"overlay {path}: not {'JSON' if path.suffix.lower() == '.json' else 'TOML'}: {detail}"
        ) from None
    try:
        found: set[str] = set()
        resolved = _with_secrets(document, path.parent, found)
        return parse_overlay(resolved, frozenset(found))
    except UsageError as problem:
        raise UsageError(f"overlay {path}: {str(problem).removeprefix('overlay: ')}") from None
    except RecursionError:
        raise UsageError(f"overlay {path}: nested too deeply") from None


def _with_secrets(value: Any, folder: Path, found: set[str]) -> Any:
    if isinstance(value, Mapping):
        if (
            len(value) == 1
            and set(value) <= {"env", "file"}
            and not isinstance(next(iter(value.values())), Mapping)
        ):
            secret = resolve_secret(value, os.environ, folder, may_be_empty=True)
            found |= {secret} - {""}  # an empty one hides in no text
            return secret
        return {name: _with_secrets(item, folder, found) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_secrets(item, folder, found) for item in value]
    return value
