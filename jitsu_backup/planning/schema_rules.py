"""Rules of a console's own schemas: what it fills in, drops or rejects."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Self

import orjson

from jitsu_backup.catalogue import entity_type
from jitsu_backup.model import Entity, Path, canonical, format_path, value_at

Schema = Mapping[str, Any] | None
"""A JSON Schema; None where the console serves none."""

Schemas = Mapping[str, Mapping[str, Any]]
"""JSON Schemas of the console, by `type` or `destination/{destinationType}`, as its routes name them."""

_MOST_ERRORS = 100

_MOST_STEPS = 100_000
"""Rules applied to one body before its schema counts as unusable, because references may multiply or be circular."""

_LONGEST_TEXT = 1000
_CLASS_OR_ESCAPE = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.")

# text that the console interprets as a date, and then rejects as text [function/create-name-like-a-date]
_DATE_LIKE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d*)?(-\d{2}:\d{2}|Z)?")


class UnusableSchemaError(Exception):
    """A console serves a schema that cannot be used for validation; `str()` is its name."""


def schema_name(type_name: str, body: Mapping[str, Any]) -> str | None:
    """Return the name of the schema with which the console validates such a body, or None."""
    if not entity_type(type_name).has_schema:
        return None
    subtype = body.get("destinationType") if type_name == "destination" else None
    return f"{type_name}/{subtype}" if isinstance(subtype, str) else type_name


def schemas_needed(entities: tuple[Entity, ...]) -> list[str]:
    """Return the names of the schemas that a plan for `entities` uses, sorted."""
    names = {schema_name(entity.key.type, entity.body) for entity in entities}
    bases = {name.partition("/")[0] for name in names if name is not None}
    return sorted(bases | {name for name in names if name is not None})


def default_at(schema: Schema, path: Path) -> Any:
    """Return the default that `schema` fills in at `path`, or None."""
    for part in path[:-1]:
        schema = _property(schema, part)
    found = _property(schema, path[-1]) if path else None
    return None if found is None else found.get("default")


def is_difference(mine: Any, theirs: Any, path: Path, schema: Schema) -> bool:
    """Return whether the values of two bodies at `path` count as different.

    A missing value equals the default that the console fills in, and all empty values are equal.
    """
    sides = (value_at(mine, path), value_at(theirs, path))
    filled_in = default_at(schema, path)
    by_itself = None in sides and filled_in is not None and filled_in in sides
    return not by_itself and any(side not in (None, "", [], {}) for side in sides)


def is_required(schema: Schema, path: Path) -> bool:
    """Return whether `schema` requires a value at `path`."""
    for part in path[:-1]:
        schema = _property(schema, part)
    required = (schema or {}).get("required")
    return isinstance(required, list) and bool(path) and path[-1] in required


def may_be_null(schema: Schema, path: Path) -> bool:
    """Return whether `schema` accepts null at `path`; it does if it does not mention the field."""
    for part in path:
        schema = _property(schema, part)
    allowed = (schema or {}).get("type")
    return "null" in allowed if isinstance(allowed, str | list) else True


def fields_of(schema: Schema) -> Mapping[Any, Any]:
    """Return the fields that `schema` names, each with its own schema; empty if it names none."""
    found = (schema or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def has_field(schema: Schema, path: Path) -> bool:
    """Return whether `schema` names the field at `path`."""
    for part in path[:-1]:
        schema = _property(schema, part)
    return bool(path) and path[-1] in fields_of(schema)


def names_grant(schema: Schema) -> bool:
    """Return whether `schema` has a field for an OAuth grant, which means that its type needs one.

    The schema of services has none, so it is unknown which packages need a grant.
    """
    return _property(schema, "oauthConnectionId") is not None


def _property(schema: Schema, name: str | int) -> Schema:
    found = fields_of(schema).get(name)
    return found if isinstance(found, Mapping) else None


def dropped(schema: Schema, body: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the paths of the fields that the console would drop silently.

    `additionalProperties: false` means dropped, not rejected [function/get-unknown-field-dropped].
    """
    properties = fields_of(schema)
    if not isinstance((schema or {}).get("properties"), Mapping) or not isinstance(body, Mapping):
        return
    for name, value in body.items():
        if name in properties:
            yield from dropped(_property(schema, name), value, (*at, name))
        elif (schema or {}).get("additionalProperties") is False:
            yield (*at, name)


def unknown_type(schemas: Schemas, type_name: str, body: Mapping[str, Any]) -> str:
    """Return a message if the console does not know the destination type of `body`; empty if it does, or if unknown."""
    if type_name not in schemas or schema_name(type_name, body) in (None, *schemas):
        return ""
    return f"the target console does not know the destination type {body.get('destinationType')!r}"


@dataclass(frozen=True, slots=True, order=True)
class RequiredField:
    """A field that the target console requires and the snapshot lacks: its path and its `kind`, as JSON Schema names it."""

    path: str
    kind: str


class Refusal(str):
    """Why the console would reject a body: `path: problem`, without values.

    `field` is the top-level field. `required` is what is missing there, if that is why.
    """

    field: str
    required: RequiredField | None

    def __new__(cls, path: Path, problem: str, required: RequiredField | None = None) -> Self:
        """Create the text; an empty path stands for the whole body."""
        made = super().__new__(cls, f"{format_path(path) or 'it'}: {problem}")
        made.field, made.required = str(path[0]) if path else "", required
        return made


def refusals(schemas: Schemas, type_name: str, body: Mapping[str, Any]) -> list[Refusal]:
    """Return why the console would reject `body`; empty if it would not.

    Without a schema for its type or subtype nothing is rejected; `unknown_type` reports an unknown subtype.
    Raise UnusableSchemaError if the schema cannot be used.
    """
    base, name = schemas.get(type_name), schema_name(type_name, body)
    schema = schemas.get(name or "")
    if base is None or name is None or schema is None:
        return []
    found = [
        Refusal(path, "text that looks like a date, which the console rejects")
        for path in _dates_as_text(base, body)
    ]
    for error in _errors(name, schema, body):
        where = tuple(error.absolute_path)
        if error.validator == "required":
            missing = [part for part in error.validator_value if part not in error.instance]
            found += [_missing(schema, (*where, part)) for part in missing]
        else:
            found.append(Refusal(where, _words(error.validator, error.validator_value)))
    return sorted(set(found))


class _TooManyStepsError(Exception):
    pass


class _Steps:
    """A limit on the rules that are applied to one body."""

    left = _MOST_STEPS

    def counted(self, rule: Any) -> Any:
        """Return a rule of jsonschema that counts its uses."""

        def apply(*given: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise _TooManyStepsError
            return rule(*given)

        return apply


def _is_quick(pattern: str) -> bool:
    """Return whether a pattern takes few steps on any text: it has no groups, and at most two repetitions."""
    bare = _CLASS_OR_ESCAPE.sub("", pattern)
    return not set(bare) & set("()|") and sum(map(bare.count, "*+{?")) <= 2


def _errors(name: str, schema: Mapping[str, Any], body: Mapping[str, Any]) -> list[Any]:
    try:
        validator, steps = _validator(canonical(schema))
        steps.left = _MOST_STEPS
        return list(islice(validator.iter_errors(body), _MOST_ERRORS))
    except Exception:  # noqa: BLE001  not our schema: an unknown or circular reference, a bad pattern, …
        raise UnusableSchemaError(name) from None


def _missing(schema: Schema, path: Path) -> Refusal:
    for part in path:
        schema = _property(schema, part)
    kind = (schema or {}).get("type")
    required = RequiredField(format_path(path), kind if isinstance(kind, str) else "string")
    return Refusal(path, "required", required)


def _dates_as_text(schema: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Path]:
    for name, value in body.items():
        kind = _property(schema, name)
        text = kind is not None and kind.get("type") == "string" and "format" not in kind
        if text and isinstance(value, str) and _DATE_LIKE.fullmatch(value):
            yield (name,)


def _words(rule: str, value: Any) -> str:
    if rule == "type":
        return f"must be {' or '.join(value) if isinstance(value, list) else value}"
    if rule in ("enum", "const"):
        options = value if isinstance(value, list) else [value]
        return "must be one of " + ", ".join(map(str, options[:8]))
    return f"does not fit ({rule})"


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> tuple[Any, _Steps]:
    import jsonschema  # noqa: PLC0415  slow to import, and not every plan writes
    from referencing.jsonschema import EMPTY_REGISTRY  # noqa: PLC0415

    def additional(validator: Any, rule: Any, instance: Any, whole: Any) -> Iterator[Any]:
        if rule is not False:  # false means dropped, see `dropped`
            yield from jsonschema.Draft7Validator.VALIDATORS["additionalProperties"](
                validator, rule, instance, whole
            )

    def pattern(validator: Any, rule: Any, instance: Any, whole: Any) -> Iterator[Any]:
        re.compile(rule)
        if isinstance(instance, str) and len(instance) <= _LONGEST_TEXT and _is_quick(rule):
            yield from jsonschema.Draft7Validator.VALIDATORS["pattern"](validator, rule, instance, whole)

    steps = _Steps()
    known = {**jsonschema.Draft7Validator.VALIDATORS, "additionalProperties": additional, "pattern": pattern}
    for slow in (
        "patternProperties",
        "uniqueItems",
    ):  # no console uses them, and their run time is unbounded
        known.pop(slow)
    rules: dict[str, Any] = {name: steps.counted(rule) for name, rule in known.items()}
    whole = orjson.loads(schema)
    jsonschema.Draft7Validator.check_schema(whole)
    kind = jsonschema.validators.create(jsonschema.Draft7Validator.META_SCHEMA, rules)
    # without a registry, a reference is followed to other hosts and to local files
    return kind(whole, registry=EMPTY_REGISTRY), steps
