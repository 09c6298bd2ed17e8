"""Validation of bodies by the console's own schemas, with the messages of the zod library that it uses."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson

from jitsu_backup.catalogue import known_schemas, newest_schemas
from jitsu_backup.sandbox.generation import Generation

MISSING = object()

OLD_TYPES = ("stream", "destination", "function", "service")
"""The types of a console of October 2024 [discovery/unknown-type]."""

_NEWER_FIELDS = {
    "function": ("kind", "draft"),  # [function/list]
    "destination/postgres": ("authenticationMethod", "instanceConnectionName"),  # [destination/get-masked]
    "destination/clickhouse": ("loadAsJson",),  # [destination/get-after-merge]
}

_UUID = r"(?i)^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"
_OF_THE_RIGHT_TYPE = ("too_small", "too_big", "unrecognized_keys", "invalid_string", "custom")

# the console accepts no positive offset; a missing one means UTC
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d*)?(-\d{2}:\d{2}|Z)?")


def schemas_of(generation: Generation) -> Mapping[str, Any]:
    """Return the schemas that a console serves, by `type` or `type/subtype`, including the index."""
    if generation.is_newest:
        return newest_schemas()
    return schemas_of_2024() if generation.is_2024 else known_schemas()


@cache
def schemas_of_2024() -> Mapping[str, Any]:
    """Return the schemas of a console of October 2024: fewer types, fewer fields."""
    known = {
        name: orjson.loads(orjson.dumps(schema))
        for name, schema in known_schemas().items()
        if name.partition("/")[0] in (*OLD_TYPES, "link", "index")
    }
    lines = known["index"]["schemas"]
    known["index"]["schemas"] = [line for line in lines if line["type"] in (*OLD_TYPES, "link")]
    for name, schema in known.items():
        for field in ("updatedAt", "cloneId", *_NEWER_FIELDS.get(name, ())):
            schema.get("properties", {}).pop(field, None)
    known["stream"]["additionalProperties"] = False  # [stream/get-after-shallow-merge]
    postgres = known["destination/postgres"]  # [destination/create-invalid]
    postgres["required"] += ["username", "password"]
    postgres["properties"]["password"] = postgres["properties"].pop("password")  # its issue comes last
    return known


def parse(schema: Mapping[str, Any], value: Any, *, dates: bool = True) -> tuple[Any, list[dict[str, Any]]]:
    """Return `value` as the console would store it, and the issues because of which it would reject it.

    Defaults are filled in, and unknown fields dropped if the schema says so [function/get-unknown-field-dropped].
    With `dates`, text that looks like a date is one [function/create-name-like-a-date]. Besides the keywords of JSON Schema
    a schema may say `strict` (unknown fields are rejected), `trim`, `message` (for a `pattern`), and `discriminator` with
    `options` (a field whose value chooses the schema).
    """
    parser = _Parser(schema, dates)
    return parser.parsed(schema, with_dates(value) if dates else value, []), parser.issues


def invalid_type(expected: str, received: str, path: list[Any]) -> dict[str, Any]:
    """Return the issue about a value of the wrong type; `received` is `undefined` for a missing value."""
    message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": path,
        "message": message,
    }


def as_date(value: Any) -> str | None:
    """Return a date-time as the console writes it, or None for other values."""
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"\.(?=\D|$)", "", value))
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except ValueError:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def with_dates(value: Any) -> Any:
    """Return `value` with every date-time in the console's form, because the console reads dates at any depth."""
    if isinstance(value, Mapping):
        return {name: with_dates(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_dates(item) for item in value]
    return as_date(value) or value


class _Parser:
    """Reads a value by a schema with references into `root`, and collects the issues."""

    def __init__(self, root: Any, dates: bool) -> None:
        self.root, self.dates = root, dates
        self.issues: list[dict[str, Any]] = []

    def parsed(self, schema: Any, value: Any, path: list[Any]) -> Any:
        schema = self._resolved(schema)
        if value is MISSING:
            if "default" in schema:
                return schema["default"]
            if "const" in schema:
                return self._choice(schema, value, path)
            self.issues.append(_wrong_type(schema, "undefined", path))
            return None
        if "anyOf" in schema:
            return self._any_of(schema, value, path)
        if "const" in schema or "enum" in schema:
            return self._choice(schema, value, path)
        names = schema.get("type")
        if names is None:
            return value
        accepted = names if isinstance(names, list) else [names]
        received = _kind(value, dates=self.dates)
        if schema.get("format") == "date-time":
            if as_date(value) is None:
                self.issues.append({"code": "invalid_date", "path": path, "message": "Invalid date"})
            return as_date(value)
        if received not in accepted and not (received == "number" and "integer" in accepted):
            self.issues.append(_wrong_type(schema, received, path))
            return value
        return self._filled(schema, value, path, received, whole="integer" in accepted)

    def _filled(self, schema: Any, value: Any, path: list[Any], received: str, *, whole: bool) -> Any:
        """Return a value of the right type as it is stored."""
        if received == "object":
            choice = schema.get("discriminator")
            return self._discriminated(schema, value, path) if choice else self._object(schema, value, path)
        if received == "array":
            items = schema.get("items", {})
            parsed = [self.parsed(items, item, [*path, n]) for n, item in enumerate(value)]
            self._length(schema, len(value), path, ("minItems", "maxItems"), ("array", "Array", "element(s)"))
            return parsed
        if received == "string":
            return self._string(schema, value, path)
        if received == "number":
            self._bounds(schema, value, path, whole=whole)
        return value

    def _resolved(self, schema: Any) -> Any:
        if "$ref" not in schema:
            return schema
        target = self.root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return target

    def _object(self, schema: Mapping[str, Any], value: Mapping[str, Any], path: list[Any]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        result = {}
        for name, inner in properties.items():
            if value.get(name, MISSING) is not MISSING:
                result[name] = self.parsed(inner, value[name], [*path, name])
            elif name in required or "default" in inner:
                result[name] = self.parsed(inner, MISSING, [*path, name])
        rest = schema.get("additionalProperties", True)
        for name, item in value.items():
            inner = {} if rest is True else rest
            if name not in properties and rest is not False and (item is not MISSING or "default" in inner):
                result[name] = self.parsed(inner, item, [*path, name])
        strangers = [name for name in value if name not in properties]
        if schema.get("strict") and strangers:
            names = ", ".join(f"'{name}'" for name in strangers)
            self.issues.append(
                {"code": "unrecognized_keys", "keys": strangers, "path": path,
                 "message": f"Unrecognized key(s) in object: {names}"}
            )  # fmt: skip
        return result

    def _discriminated(self, schema: Mapping[str, Any], value: Mapping[str, Any], path: list[Any]) -> Any:
        name, options = schema["discriminator"], schema["options"]
        option = options.get(value.get(name)) if isinstance(value.get(name), str) else None
        if option is not None:
            return self._object(option, value, path)
        expected = " | ".join(f"'{known}'" for known in options)
        self.issues.append(
            {"code": "invalid_union_discriminator", "options": list(options), "path": [*path, name],
             "message": f"Invalid discriminator value. Expected {expected}"}
        )  # fmt: skip
        return value

    def _string(self, schema: Mapping[str, Any], value: str, path: list[Any]) -> str:
        value = value.strip() if schema.get("trim") else value
        self._length(
            schema, len(value), path, ("minLength", "maxLength"), ("string", "String", "character(s)")
        )
        kind, pattern = (
            ("uuid", _UUID) if schema.get("format") == "uuid" else ("regex", schema.get("pattern", ""))
        )
        if not re.search(pattern, value):
            message = schema.get("message", "Invalid uuid" if kind == "uuid" else "Invalid")
            self.issues.append(
                {"validation": kind, "code": "invalid_string", "message": message, "path": path}
            )
        return value

    def _length(
        self, schema: Mapping[str, Any], length: int, path: list[Any], bounds: tuple[str, str],
        words: tuple[str, str, str],
    ) -> None:  # fmt: skip
        kind, subject, unit = words
        low, high = (schema.get(name) for name in bounds)
        for name, code, limit, wrong, bound in (
            ("minimum", "too_small", "at least", low is not None and length < low, low),
            ("maximum", "too_big", "at most", high is not None and length > high, high),
        ):
            if wrong:
                self.issues.append(
                    {"code": code, name: bound, "type": kind, "inclusive": True, "exact": False,
                     "message": f"{subject} must contain {limit} {bound} {unit}", "path": path}
                )  # fmt: skip

    def _any_of(self, schema: Mapping[str, Any], value: Any, path: list[Any]) -> Any:
        failures: list[dict[str, Any]] = []
        for option in schema["anyOf"]:
            tried = _Parser(self.root, self.dates)
            result = tried.parsed(option, value, path)
            if not tried.issues:
                return result
            failures.append({"issues": tried.issues, "name": "ZodError"})
        near = next((f["issues"] for f in failures if all(_has_right_shape(i) for i in f["issues"])), None)
        if near is not None:  # [reverse-sync/put-settings-unknown]
            self.issues += near
            return value
        self.issues.append(
            {"code": "invalid_union", "unionErrors": failures, "path": path, "message": "Invalid input"}
        )
        return value

    def _choice(self, schema: Mapping[str, Any], value: Any, path: list[Any]) -> Any:
        if "const" in schema:
            if value != schema["const"] or type(value) is not type(schema["const"]):
                text = orjson.dumps(schema["const"]).decode()
                received = {} if value is MISSING else {"received": value}
                self.issues.append(
                    {**received, "code": "invalid_literal", "expected": schema["const"], "path": path,
                     "message": f"Invalid literal value, expected {text}"}
                )  # fmt: skip
            return value
        options = schema["enum"]
        expected = " | ".join(f"'{option}'" for option in options)
        if not isinstance(value, str):
            self.issues.append(invalid_type(expected, _kind(value), path))
        elif value not in options:
            message = f"Invalid enum value. Expected {expected}, received '{value}'"
            self.issues.append(
                {"received": value, "code": "invalid_enum_value", "options": options, "path": path, "message": message}
            )  # fmt: skip
        return value

    def _bounds(self, schema: Mapping[str, Any], value: float, path: list[Any], *, whole: bool) -> None:
        if whole and value != int(value):
            self.issues.append(invalid_type("integer", "float", path))
        for name, code, words, wrong in (
            ("minimum", "too_small", "greater", "minimum" in schema and value < schema["minimum"]),
            ("maximum", "too_big", "less", "maximum" in schema and value > schema["maximum"]),
        ):
            if wrong:
                bound = schema[name]
                self.issues.append(
                    {"code": code, name: bound, "type": "number", "inclusive": True, "exact": False, "path": path,
                     "message": f"Number must be {words} than or equal to {bound}"}
                )  # fmt: skip


def _has_right_shape(issue: Mapping[str, Any]) -> bool:
    """Return whether an issue is about a value of the right type, so that a union reports it by itself."""
    return issue["code"] in _OF_THE_RIGHT_TYPE or issue.get("expected") == "integer"


def _wrong_type(schema: Mapping[str, Any], received: str, path: list[Any]) -> dict[str, Any]:
    names = schema.get("type", "unknown")
    expected = names[0] if isinstance(names, list) else names
    expected = "number" if expected == "integer" else expected  # zod has no type of whole numbers
    if "enum" in schema:
        expected = " | ".join(f"'{option}'" for option in schema["enum"])
    return invalid_type(expected, received, path)


def _kind(value: Any, *, dates: bool = True) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "date" if dates and as_date(value) else "string"
    return "array" if isinstance(value, list) else "object"
