"""Redaction: the table's secrets, and every field that is named like a secret."""

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
_HOST = r"(?:[\w-]+(?:\.[\w-]+)+|[\w-]+(?=:\d)|\[[\da-fA-F:.]+\])(?::\d{1,5})?"
# without a scheme it counts only as a whole value, so that texts and e-mail addresses stay
_START = (
    r"(?:(?<=://)|\A(?!(?:mailto|sips?|xmpp|acct|npm):)"
    rf"(?=[^/\s]*@{_HOST}(?:,{_HOST})*(?:[/?#]\S*)?\s*\Z))"
)
_USER = r"[^/\s:@[]*"
_CREDENTIALS = (  # slash and @ may be in a password, but 80/x@y and ${port}/x@y are a port and a path
    rf"{_USER}:(?:(?!(?:\d{{1,5}}|\$?\{{[^{{}}/\s]*\}})/)(?:(?!://)[^\s@'\"`,<>])+|[^/\s@]+)(?:@[^/\s@?#'\"`,]*)*"
)
_URL_PASSWORD = re.compile(rf"{_START}{_CREDENTIALS}(?=@)")
# the user may be given: user:***
_HIDDEN_IN_URL = re.compile(rf"{_START}(?:{_USER}:)?{re.escape(HIDDEN)}(?=@)")
_ANY_CREDENTIALS = re.compile(rf"{_START}({MASK}|{_CREDENTIALS})@([^/\s?#'\"`]*)")
_ANY_REST = re.compile(rf"{_START}(?:{MASK}|{_CREDENTIALS})@([^\s'\"`]*)")
_NEVER_HIDDEN = frozenset({("id",), ("name",), ("type",)})


def redact(entity: Entity, secrets: tuple[tuple[str, ...], ...] = ()) -> dict[str, Any]:
    """Return the body of `entity` with every known or likely secret replaced by `***`.

    `secrets` are the table's secret paths for its type (`*` for every list item).
    Masked values are left unchanged: they show what the ledger lists. What an entity is called is left unchanged too, except
    for the passwords of URLs with a scheme, because a folder could not bring it back.
    """
    result: Any = _redact(entity.body)
    for (name,) in _NEVER_HIDDEN:
        called = entity.body.get(name)
        if isinstance(called, str) and _is_called((name,), called):
            result[name] = called
    for path in secrets:
        result = _hide(result, path)
    return dict(result)


def is_secret_path(path: Path, secrets: tuple[tuple[str, ...], ...] = ()) -> bool:
    """Return whether `path` holds a secret: one of the table's `secrets`, or a field named like one."""
    return stands_in(path, secrets) or any(
        isinstance(part, str) and SECRET_NAME.search(part) for part in path
    )


def stands_in(path: Path, secrets: tuple[tuple[str, ...], ...]) -> bool:
    """Return whether `path` is one of `secrets` (`*` for every list item), or leads inside one."""
    return any(
        len(path) >= len(secret) and all(s in ("*", str(p)) for s, p in zip(secret, path, strict=False))
        for secret in secrets
    )


def has_password(value: Any, at: Path) -> bool:
    """Return whether a value, at a path of an entity, is a URL that contains a password."""
    return isinstance(value, str) and not _is_called(at, value) and _URL_PASSWORD.search(value) is not None


def _is_called(at: Path, value: str) -> bool:
    """Return whether a value is what an entity is called, which is no address without a scheme."""
    return at in _NEVER_HIDDEN and "://" not in value


def secret_values(body: Any) -> Iterator[str]:
    """Yield every string in `body` that is a secret by its field name, if it is long enough to search for."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            if SECRET_NAME.search(str(name)):
                yield from _strings(value)
            else:
                yield from secret_values(value)
    elif isinstance(body, list):
        for item in body:
            yield from secret_values(item)


def hidden_paths(body: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the paths where `redact` has hidden a value, or a password inside a URL."""
    if isinstance(body, Mapping):
        for name in sorted(body):
            yield from hidden_paths(body[name], (*at, name))
    elif isinstance(body, list):
        for position, item in enumerate(body):
            yield from hidden_paths(item, (*at, position))
    elif (
        isinstance(body, str) and at not in _NEVER_HIDDEN and (body == HIDDEN or _HIDDEN_IN_URL.search(body))
    ):
        yield at


def masked_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with Jitsu's mask in place of every value and URL password that `redact` has hidden."""

    def masked(value: Any, at: Path) -> Any:
        if isinstance(value, Mapping):
            return {name: masked(item, (*at, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [masked(item, (*at, position)) for position, item in enumerate(value)]
        if not isinstance(value, str) or at in _NEVER_HIDDEN:
            return value
        return MASK if value == HIDDEN else _HIDDEN_IN_URL.sub(MASK, value)

    return dict(masked(body, ()))


def revealed(text: Any, own: Any) -> str | None:
    """Return a text with the masked passwords of its URLs replaced by those in `own`; None if it is unclear which is which.

    Passwords are matched in order. If there are several, the hosts must match too, and if one host has several, also the
    rest of the URL.
    """
    if not isinstance(text, str) or not isinstance(own, str):
        return None
    wanted, there = _ANY_CREDENTIALS.findall(text), _ANY_CREDENTIALS.findall(own)
    hosts = [[host for _, host in found] for found in (wanted, there)]
    if len(wanted) != len(there) or (len(wanted) > 1 and hosts[0] != hosts[1]):
        return None
    if len(set(there)) > len(set(hosts[1])) and _ANY_REST.findall(text) != _ANY_REST.findall(own):
        return None
    known = iter([credentials for credentials, _ in there])

    def filled(match: re.Match[str]) -> str:
        mine = next(known)
        return f"{mine if match[1] == MASK else match[1]}@{match[2]}"

    return _ANY_CREDENTIALS.sub(filled, text)


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
