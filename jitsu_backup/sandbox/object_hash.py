"""The hashes in the console's exports: SHA-1 of the text that the library `object-hash` makes from a JSON value."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

_CONSTRUCTOR = "fn:string:8:[native]string:20:function-name:Object"


def object_hash(value: Any) -> str:
    """Return the hash of a JSON value; the order of keys does not count [admin/export-rotor-connections]."""
    text = "".join(_written(value, _Seen()))
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


class _Seen:
    """Whether the prototype of objects was already written. From then on, the library refers to it by a number."""

    prototype = False


def _written(value: Any, seen: _Seen) -> Iterator[str]:
    if value is None:
        yield "Null"
    elif isinstance(value, bool):
        yield f"bool:{str(value).lower()}"
    elif isinstance(value, int | float):
        yield f"number:{int(value) if value == int(value) else value}"
    elif isinstance(value, str):
        yield _string(value)
    elif isinstance(value, Mapping):
        yield f"object:{len(value) + 3}:{_string('prototype')}:Undefined,{_type(seen)}"
        for name in sorted(value):
            yield f"{_string(name)}:"
            yield from _written(value[name], seen)
            yield ","
    else:
        yield f"array:{len(value)}:"
        for item in value:
            yield from _written(item, seen)


def _string(text: str) -> str:
    length = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return f"string:{length}:{text}"


def _type(seen: _Seen) -> str:
    """Return the library's text for a plain object."""
    again = _CONSTRUCTOR + _string("[CIRCULAR:2]")
    prototype = _string("[CIRCULAR:1]")
    if not seen.prototype:
        names = f"{_string('prototype')}:Undefined,{_string('__proto__')}:Null,{_string('constructor')}"
        prototype = f"object:3:{names}:{_CONSTRUCTOR}object:0:,"
    seen.prototype = True
    return f"{_string('__proto__')}:{prototype},{_string('constructor')}:{again},"
