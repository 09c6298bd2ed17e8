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

_REFERENCES = frozenset({"env", "file"})
_LITERAL = "literal"


def read_overlay(path: Path | None) -> Overlay:
    """Read an overlay file, TOML or JSON, and put secrets given as {env} or {file} in place.

    Raises UsageError, which names every variable and file that is missing.
    """
    if path is None:
        return Overlay()
    try:
        data = read_text_file(path)
    except BackupError as problem:
        raise UsageError(f"overlay: {problem}") from None
    try:
        document = _document(data, as_json=path.suffix.lower() == ".json")
        references = _References(path.parent)
        resolved = references.resolve(document)
        references.check()
        return parse_overlay(resolved, frozenset(references.secrets))
    except UsageError as problem:
        raise UsageError(f"overlay {path}: {str(problem).removeprefix('overlay: ')}") from None
    except RecursionError:
        raise UsageError(f"overlay {path}: nested too deeply") from None


def _document(data: bytes, *, as_json: bool) -> Any:
    try:
        text = data.decode()
        return json.loads(text, object_pairs_hook=_once) if as_json else tomllib.loads(text)
    except UnicodeDecodeError:
        detail = "not UTF-8"
    except ValueError as problem:
        detail = str(problem).split("\n", 1)[0]
    raise UsageError(f"not {'JSON' if as_json else 'TOML'}: {detail}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises UsageError for a key that stands in it twice, where JSON would keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"{name!r} stands twice in one object; merge the two")
        found[name] = value
    return found


class _References:
    """Puts secrets in the place of references to them, and collects what is wrong with any."""

    def __init__(self, folder: Path) -> None:
        self.secrets: set[str] = set()
        self._unset: list[str] = []
        self._problems: list[str] = []
        self._folder = folder

    def resolve(self, value: Any) -> Any:
        """Return `value` with secrets for references; `{literal = {…}}` stands for the table itself."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((name, item),) = value.items()
            if name == _LITERAL and isinstance(item, Mapping):
                return item
            if name in _REFERENCES and not isinstance(item, Mapping):
                return self._secret(value)
        return {name: self.resolve(item) for name, item in value.items()}

    def _secret(self, reference: Mapping[str, Any]) -> str:
        name = reference.get("env")
        if isinstance(name, str) and name.startswith("JITSU_"):
            self._problems.append(
                f"an overlay cannot use {name}: names that begin with JITSU_ are the tool's own; use another name"
            )
            return ""
        if isinstance(name, str) and name not in os.environ:
            self._unset.append(name)
            return ""
        try:
            secret = resolve_secret(reference, os.environ, self._folder, may_be_empty=True)
        except UsageError as problem:
            self._problems.append(str(problem))
            return ""
        self.secrets |= {secret} - {""}  # an empty one hides in no text
        return secret

    def check(self) -> None:
        """Raise UsageError for all that is wrong with references, at once."""
        unset = list(dict.fromkeys(self._unset))
        problems = list(dict.fromkeys(self._problems))
        if unset:
            what = f"variable {unset[0]} is" if len(unset) == 1 else f"variables {', '.join(unset)} are"
            problems.insert(0, f"the environment {what} not set{_hint(unset)}")
        if problems:
            raise UsageError("; ".join(problems))


def _hint(names: list[str]) -> str:
    """Say how to write a table that only looks like a reference, where a name looks unlike a variable's."""
    odd = next((name for name in names if not name.isupper()), None)
    return (
        ""
        if odd is None
        else f" (where the table itself is meant: {{ literal = {{ env = {json.dumps(odd)} }} }})"
    )
