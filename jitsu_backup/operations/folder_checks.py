"""A folder of `unpack` compared with its base: editing mistakes that the folder alone does not show."""

from collections.abc import Iterable, Iterator, Mapping

from jitsu_backup.archive.tree_layout import is_stem_of
from jitsu_backup.catalogue import (
    END_FIELDS,
    dangling_references,
    entity_type,
    hidden_paths,
    joins,
    owned_functions,
)
from jitsu_backup.catalogue.redaction import masked_body, redact
from jitsu_backup.catalogue.references import Form, find_references
from jitsu_backup.errors import FolderError
from jitsu_backup.model import Entity, Key, Snapshot, format_path, items_of, members_of, value_at


def check_edits(snapshot: Snapshot, files: Mapping[Key, str], base: Snapshot) -> None:
    """Raise FolderError, which names the file, for obvious mistakes in a folder that was unpacked from `base`.

    `snapshot` is what the folder holds, `files` are the JSON files of its entities.
    """
    before = {entity.key: entity for entity in base.entities}
    for problem in (
        *_edited_ids(files, before),
        *_missing_ends(snapshot, files, before),
        *_astray(snapshot, files, base),
        *_functions_of_builders(snapshot, files, before),
    ):
        raise FolderError(problem)


def check_stars(snapshot: Snapshot, files: Mapping[Key, str], base: Snapshot | None) -> None:
    """Raise FolderError for `***` in a folder that was not unpacked with --redact, because it would be sent as a value.

    If `base` has it too, it is the console's own value.
    """
    before = {} if base is None else {entity.key: entity.body for entity in base.entities}
    for entity in snapshot.entities:  # in a redacted folder, they are already masks
        for path in hidden_paths(entity.body):
            if value_at(before.get(entity.key, {}), path) != value_at(entity.body, path):
                raise FolderError(
                    f"{files[entity.key]} has *** at {format_path(path)}, which would be sent literally, because the folder was"
                    " unpacked without --redact; write the value there"
                )


def _edited_ids(files: Mapping[Key, str], before: Mapping[Key, Entity]) -> Iterator[str]:
    """Yield messages about ids that were edited by mistake."""
    gone = [key for key in before if key not in files]
    for key in sorted(files.keys() - before.keys()):
        path = files[key]
        was = _named_after(path, (one.id for one in gone if one.type == key.type))
        if was is not None:
            yield (
                f"{path} has the id {key.id!r}, but was unpacked with {was!r}; restore that id, or rename the file if it is"
                " a new entity"
            )


def _named_after(path: str, ids: Iterable[str]) -> str | None:
    """Return the id whose hash is in a file's name, or None."""
    stem = path.rpartition("/")[2].removesuffix(".json")
    return next((one for one in ids if is_stem_of(stem, one)), None)


def _missing_ends(
    snapshot: Snapshot, files: Mapping[Key, str], before: Mapping[Key, Entity]
) -> Iterator[str]:
    """Yield messages about connections that have lost an end."""
    for entity in snapshot.entities:
        was = before.get(entity.key)
        for end in END_FIELDS if joins(entity.key) else ():
            as_it_was = was is not None and was.body.get(end) == entity.body.get(end)
            if not isinstance(entity.body.get(end), str) and not as_it_was:
                yield f"{files[entity.key]} has no {end}; add it, because a connection needs the ids of both ends"


def _astray(snapshot: Snapshot, files: Mapping[Key, str], base: Snapshot) -> Iterator[str]:
    """Yield messages about references to an entity that has no file or is of a type that is not allowed there."""
    known = {(one.key, one.path, one.missing_id) for one in dangling_references(base)}
    for one in dangling_references(snapshot):
        if (one.key, one.path, one.missing_id) not in known:
            types = " or ".join(one.missing)
            yield (
                f"{files[one.key]} refers to {types} {one.missing_id!r} at {one.path}, but no file has that id; correct"
                " the reference, or restore the file"
            )
    known = set(_of_wrong_type(base))
    for key, path, other in _of_wrong_type(snapshot):
        if (key, path, other) not in known:
            yield f"{files[key]} refers to {other!r} at {path}, which is not of a type allowed there; correct the id"


def _of_wrong_type(snapshot: Snapshot) -> Iterator[tuple[Key, str, str]]:
    """Yield each entity with a reference that leads only to entities of other types, with its path and the id."""
    types: dict[str, set[str]] = {}
    for key in (entity.key for entity in snapshot.entities):
        types.setdefault(key.id, set()).add(key.type)
    for entity in snapshot.entities:
        for reference, other in find_references(entity_type(entity.key.type).references, entity.body):
            exact = reference.types and reference.form in (Form.WHOLE, Form.UDF)
            if exact and types.get(other) and types[other].isdisjoint(reference.types):
                yield entity.key, format_path(reference.path), other


def _functions_of_builders(
    snapshot: Snapshot, files: Mapping[Key, str], before: Mapping[Key, Entity]
) -> Iterator[str]:
    """Yield messages about functions that were edited in their own file but not in their profile builder's.

    A profile builder's function is written with the builder, so such an edit would have no effect.
    """
    by_key = {entity.key: entity for entity in snapshot.entities}
    for function_id, builder_id in owned_functions(snapshot.entities):
        function, builder = Key("function", function_id), Key("profile-builder", builder_id)
        if function not in by_key or not {function, builder} <= before.keys():
            continue
        own, config = by_key[function].body, _config(by_key[builder], function_id)
        own_before, config_before = (
            _as_shown(snapshot, before[function]),
            _config(Entity(builder, _as_shown(snapshot, before[builder])), function_id),
        )
        for name in config:
            edited = own.get(name) not in (config[name], own_before.get(name))
            if edited and config[name] == config_before.get(name):
                yield (
                    f"{files[function]} was edited ({name}), but its function is written with {files[builder]}, which was not"
                    " edited; make the same change there"
                )


def _config(builder: Entity, function_id: str) -> Mapping[str, object]:
    """Return what a profile builder holds about one of its functions [profile-builder/list]."""
    for owned in map(members_of, items_of(builder.body.get("functions"))):
        if owned.get("functionId") == function_id:
            return members_of(members_of(owned.get("function")).get("config"))
    return {}


def _as_shown(snapshot: Snapshot, entity: Entity) -> Mapping[str, object]:
    """Return a body as a folder shows it, redacted or not."""
    if entity.key not in snapshot.hidden:
        return entity.body
    return masked_body(redact(entity, entity_type(entity.key.type).secrets))
