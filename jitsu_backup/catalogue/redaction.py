"""What must not be shown: the table's secrets, and whatever is named like one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.model import MASK, Entity, Path

HIDDEN = "***"

SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|write[-_]?key|ssh[-_]?key"
    r"|service[-_]?account|credential|key[-_]?file|key[-_]?json|authorization|webhook|sslclient|plaintext|^hash$"
    r"|mongo[-_]?url|connection[-_]?string|\bdsn\b|^value$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")


def redact(entity: Entity, secrets: tuple[tuple[str, ...], ...] = ()) -> dict[str, Any]:
    """Return the body of `entity` with every known or likely secret replaced by `***`.

    `secrets` are the table's secret paths of its type (`*` for every list item).
    Masked values stay as they are: they show what the ledger names.
    """
    result: Any = _redact(entity.body)
    for path in secrets:
        result = _hide(result, path)
    return dict(result)


def is_secret_path(path: Path, secrets: tuple[tuple[str, ...], ...] = ()) -> bool:
    """Return whether a secret stands at `path`: one of the table's `secrets`, or something named like one."""
    return stands_in(path, secrets) or any(
        isinstance(part, str) and SECRET_NAME.search(part) for part in path
    )


def stands_in(path: Path, secrets: tuple[tuple[str, ...], ...]) -> bool:
    """Return whether `path` is one of `secrets` (`*` for every list item), or leads inside one."""
    return any(
        len(path) >= len(secret) and all(s in ("*", str(p)) for s, p in zip(secret, path, strict=False))
        for secret in secrets
    )


def has_password(value: Any) -> bool:
    """Return whether a value is an address with a password in it."""
    return isinstance(value, str) and _URL_PASSWORD.search(value) is not None


def secret_values(body: Any) -> Iterator[str]:
    """Yield every string of `body` that stands where a secret stands, long enough to search for."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            if SECRET_NAME.search(str(name)):
                yield from _strings(value)
            else:
                yield from secret_values(value)
    elif isinstance(body, list):
        for item in body:
            yield from secret_values(item)


def scrub(text: str, secrets: Iterator[str]) -> str:
    """Return `text` without `secrets` and without passwords inside URLs."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _URL_PASSWORD.sub(HIDDEN, text)


def _redact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _hide(item, ()) if SECRET_NAME.search(str(name)) else _redact(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_redact(item) for item in value]
    return _URL_PASSWORD.sub(HIDDEN, value) if isinstance(value, str) else value


def _hide(value: Any, path: tuple[str, ...]) -> Any:
    if not path:
        if isinstance(value, Mapping):
            return {name: _hide(item, ()) for name, item in value.items()}
        if isinstance(value, list):
            return [_hide(item, ()) for item in value]
        return value if value == MASK or value in (None, "") or isinstance(value, bool) else HIDDEN
    head, rest = path[0], path[1:]
    if head == "*" and isinstance(value, list):
        return [_hide(item, rest) for item in value]
    if isinstance(value, Mapping) and head in value:
        return {**value, head: _hide(value[head], rest)}
    return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > 3 and value != MASK:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
