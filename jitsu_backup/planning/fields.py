"""Changes of fields as shown to people: names instead of ids, no secrets, programs line by line."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import HIDDEN, entity_type, is_secret_path, redact, rewrite
from jitsu_backup.model import MASK, Entity, Key, Path, format_path, value_at

CODE_FIELDS = ("code", "draft")
"""Fields that hold a program's text."""

CONTEXT_LINES = 3

_SHORT = 3  # characters; a shorter secret occurs in other texts by chance


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: its dotted path, and its values ready to be shown.

    A value that a side lacks is None. For a `secret` the values are not given, only whether each exists. `code` has the
    lines of a unified diff, for a program's text. In a conflict, `base` is what both sides had, `before` what the target
    has and `after` what the source has; `code` is then the diff from the base to the source, `own_code` that from the base
    to the target. `kept` says that an earlier clone left the target's own value, which is unchanged since: then only the
    source had the base.
    """

    path: str
    before: Any = field(repr=False)
    after: Any = field(repr=False)
    secret: bool = False
    code: tuple[str, ...] = field(default=(), repr=False)
    base: Any = field(default=None, repr=False)
    own_code: tuple[str, ...] = field(default=(), repr=False)
    kept: bool = False


def field_changes(
    type_name: str,
    paths: Iterable[Path],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    secrets: frozenset[str] = frozenset(),
    base: Mapping[str, Any] | None = None,
) -> Iterator[FieldChange]:
    """Yield the changes at `paths` of two bodies, ready to be shown; items of lists are shown together.

    `secrets` are texts to hide everywhere, in addition to known secrets and fields named like one. In a conflict, `base` is
    the body that both derive from.
    """
    hidden = entity_type(type_name).secrets
    # the whole bodies, because a value that is shown may hold secrets at any depth
    one, two, common = (
        conceal(redact(Entity(Key(type_name, ""), body), hidden), secrets)
        for body in (before, after, base or {})
    )
    for path in dict.fromkeys(map(upto_list, paths)):
        change = _field_change(path, value_at(one, path), value_at(two, path), is_secret_path(path, hidden))
        yield change if base is None else _of_conflict(change, value_at(common, path))


def upto_list(path: Path) -> Path:
    """Return the path up to the first list in it, because a list is replaced as a whole."""
    return path[: next((n for n, part in enumerate(path) if isinstance(part, int)), None)]


def in_words(entity: Entity, words: Mapping[str, str]) -> dict[str, Any]:
    """Return a body with the `words` for the ids that it refers to."""
    references = entity_type(entity.key.type).references
    body = rewrite(references, entity.body, lambda _types, one: words.get(one))
    return {name: _with_plain_functions(value) for name, value in body.items()}


Called = Mapping[str, tuple[Key, str]]
"""By id: the key of the entity, and its name."""


def words_for(before: Called, after: Called) -> tuple[dict[str, str], dict[str, str]]:
    """Return a word for each id of both sides: the name, followed by the id if another entity of the type has the same name."""
    known = {(key, name) for side in (before, after) for key, name in side.values()}
    called = Counter((key.type, name) for key, name in known)
    one, other = (
        {i: f"{name} ({i})" if called[key.type, name] > 1 else name for i, (key, name) in side.items()}
        for side in (before, after)
    )
    return one, other


def _with_plain_functions(value: Any) -> Any:
    """Return a value with functions without options replaced by their names."""
    if isinstance(value, list):
        plain = all(isinstance(item, Mapping) and item.keys() == {"functionId"} for item in value)
        return [str(item["functionId"]).removeprefix("udf.") for item in value] if plain else value
    if isinstance(value, Mapping):
        return {name: _with_plain_functions(item) for name, item in value.items()}
    return value


def _field_change(path: Path, before: Any, after: Any, secret: bool) -> FieldChange:
    name = format_path(path)
    if secret:
        return FieldChange(name, _presence(before), _presence(after), secret=True)
    if before == after:  # what differs is hidden
        return FieldChange(name, HIDDEN, HIDDEN, secret=True)
    if path[-1:] and path[-1] in CODE_FIELDS and isinstance(before or after, str):
        return FieldChange(name, before, after, code=_unified(str(before or ""), str(after or "")))
    return FieldChange(name, before, after)


def _of_conflict(change: FieldChange, base: Any) -> FieldChange:
    """Return the change of a field that both sides changed, with their common earlier value."""
    if change.secret:
        return change
    if not change.code:
        return replace(change, base=base)
    own, code = (_unified(str(base or ""), str(side or "")) for side in (change.before, change.after))
    return replace(change, base=base, code=code, own_code=own)


def _unified(before: str, after: str) -> tuple[str, ...]:
    one, two = (text.replace("\r\n", "\n").split("\n") if text else [] for text in (before, after))
    if "\n".join(one).rstrip("\n") == "\n".join(two).rstrip("\n"):
        return ("only the line endings differ",)
    lines = difflib.unified_diff(one, two, lineterm="", n=CONTEXT_LINES)
    return tuple(lines)[2:]


def _presence(value: Any) -> Any:
    return None if value in (None, "", [], {}) else MASK if value == MASK else HIDDEN


def conceal(value: Any, secrets: Collection[str]) -> Any:
    """Return a value with all `secrets` hidden, and masked credentials in URLs shown as `***`."""
    return _conceal(value, tuple(sorted(secrets, key=len, reverse=True)))  # one may be part of another


def _conceal(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {name: _conceal(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_conceal(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    if value in secrets:
        return HIDDEN
    for secret in secrets:
        value = value.replace(secret, HIDDEN) if len(secret) > _SHORT else value
    return value.replace(f"://{MASK}@", f"://{HIDDEN}@")  # as in a redacted folder
