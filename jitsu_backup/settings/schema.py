"""The keys of the settings file, and what is wrong with a file."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.catalogue import Selector, check_type, field_selector
from jitsu_backup.durations import seconds_in
from jitsu_backup.errors import UsageError
from jitsu_backup.model import members_of, nearest

PLACE_KEYS = ("host", "workspace", "key", "admin_token", "ca_bundle")
GUARD_KEYS = ("protect", "ignore")
PROFILE_KEYS = (*PLACE_KEYS, "overlay", "notify", *GUARD_KEYS)
SET_KEYS = ("only", "skip")
SECRET_KEYS = ("key", "admin_token", "passphrase", "ping", "notify")
_SELECTOR_KEYS = (*GUARD_KEYS, *SET_KEYS)
LIST_KEYS = ("encrypt_to", "identity", "allow_unseen", *_SELECTOR_KEYS)
_TRUST_KEYS = {"host", "ca_bundle", "encrypt_to", "identity", "store", "metrics", "overlay", *SECRET_KEYS}
TOP_KEYS = (
    *PLACE_KEYS, *GUARD_KEYS, "encrypt_to", "identity", "allow_unseen", "passphrase", "store", "retention", "ping", "notify", "notify_every", "metrics", "shrink_alarm", "profiles", "sets",
)  # fmt: skip


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each thing that is wrong with a settings document."""
    yield from _keys(document, TOP_KEYS, "")
    retention = document.get("retention", {})
    if isinstance(retention, Mapping):
        yield from _retention(retention)
    else:
        yield "'retention' must be a table, [retention]"
    share = document.get("shrink_alarm", 0.5)
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        yield f"'shrink_alarm' must be a number from 0 to 1 (1: no alarm), not {share!r}"
    every = document.get("notify_every", "0")
    if isinstance(every, str) and seconds_in(every) is None:
        yield f"'notify_every' must be a duration such as 90s, 10m or 2h, not {every!r}"
    yield from _sets(document.get("sets", {}))
    profiles = document.get("profiles", {})
    if not isinstance(profiles, Mapping) or not all(isinstance(p, Mapping) for p in profiles.values()):
        yield "'profiles' must be tables, [profiles.NAME]"
        return
    for name, profile in profiles.items():
        yield from _keys(profile, PROFILE_KEYS, f"profiles.{name}.")


def without_problems(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a settings document has besides the settings with `problems`."""

    def kept(table: Any, around: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Mapping[str, Any]:
        return {
            name: value
            for name, value in members_of(table).items()
            if not any(problems(around({name: value})))
        }

    profiles = {
        name: kept(profile, lambda one, name=name: {"profiles": {name: one}})  # type: ignore[misc]
        for name, profile in members_of(document.get("profiles")).items()
    }
    tables = {
        "profiles": profiles,
        "retention": kept(document.get("retention"), lambda one: {"retention": one}),
        "sets": kept(document.get("sets"), lambda one: {"sets": one}),
    }
    others = {name: value for name, value in document.items() if name not in tables}
    return {
        **kept(others, lambda one: one),
        **{name: table for name, table in tables.items() if name in document},
    }


def secret_variables(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the environment variables from which a checked document takes its secrets."""
    references = (table.get(name) for table in tables_of(document) for name in SECRET_KEYS)
    return frozenset(str(r["env"]) for r in references if isinstance(r, Mapping) and "env" in r)


def decides_who_is_trusted(document: Mapping[str, Any]) -> list[str]:
    """Return the keys of a checked document that name a command, a console or a key, and so could do harm."""
    return sorted({name for table in tables_of(document) for name in table if name in _TRUST_KEYS})


def tables_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tables of a document that contain settings: itself and its profiles."""
    profiles = members_of(document.get("profiles")).values()
    return [document, *(table for table in profiles if isinstance(table, Mapping))]


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a checked setting that is a text, a list of texts, or missing."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _keys(table: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, str) and "\0" in value:
            yield f"{prefix + name!r} contains a null byte"
        elif name not in known:
            table_name = prefix.removesuffix(".")
            hint = _of_the_top(name, table_name) or nearest(name, known) or f"; use one of {', '.join(known)}"
            yield f"unknown setting {prefix + name!r}{hint}"
        elif name in SECRET_KEYS:
            if not isinstance(value, str | Mapping) or value == "":
                yield f"{prefix + name!r} must be text or {{env}}, {{file}}, {{command}}"
        elif name in LIST_KEYS:
            if not _are_texts(value):
                yield f"{prefix + name!r} must be text or a list of texts, and not empty"
            elif name in _SELECTOR_KEYS:
                yield from _selectors(prefix + name, texts(value))
        elif name not in ("profiles", "retention", "shrink_alarm", "sets") and not isinstance(value, str):
            yield f"{prefix + name!r} must be text"


def _of_the_top(name: str, table: str) -> str:
    """Return what to do about a setting in a table if it belongs outside of all tables, or an empty text."""
    return (
        f"; it belongs at the top of the file: move its line above [{table}] and all other tables"
        if table and name in TOP_KEYS
        else ""
    )


def _are_texts(value: Any) -> bool:
    """Return whether a value is a text or a list of texts, and not empty."""
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(item, str) and item.strip() for item in items)


def _sets(sets: Any) -> Iterator[str]:
    if not isinstance(sets, Mapping) or not all(isinstance(one, Mapping) for one in sets.values()):
        yield "'sets' must be tables, [sets.NAME]"
        return
    for name, table in sets.items():
        prefix = f"sets.{name}."
        if "only" not in table:
            yield f"{prefix + 'only'!r} is missing; it must list what the set chooses"
        yield from _keys(table, SET_KEYS, prefix)


def _selectors(name: str, given: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with selectors, because a mistyped one would silently choose nothing."""
    for text in given:
        try:
            selector = field_selector(text).entities if name.endswith("ignore") else Selector(text)
            check_type(selector, repr(name), ())
        except UsageError as problem:
            yield f"{name!r}: {str(problem).removeprefix(f'{name!r}: ')}"
            continue
        if selector.text.endswith("/"):
            yield f"{name!r}: {text!r} has nothing after the slash; write type, type/id or type/name"


def _retention(table: Mapping[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if name == "time_zone":
            if not isinstance(value, str):
                yield "retention: time_zone must be text, such as Europe/Berlin"
            continue
        if misplaced := _of_the_top(name, "retention"):
            yield f"retention: unknown setting {name!r}{misplaced}"
            continue
        try:
            policy_of({name: value})
        except UsageError as problem:
            yield str(problem)
