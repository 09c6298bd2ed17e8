"""A history without the fields that the setting `ignore` names."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jitsu_backup.model import Entity, Path
from jitsu_backup.planning.changes import EntityChange
from jitsu_backup.planning.fields import FieldChange
from jitsu_backup.planning.history import History
from jitsu_backup.planning.ignored import OwnFields, check_types, fields_ignored


def without_ignored(history: History, ignored: Sequence[str]) -> History:
    """Return a history without changes of the `ignored` fields, given as SELECTOR:FIELD.PATH, and with a note about that.

    Raise UsageError for an unknown type.
    """
    types = {one.change.type for step in history.steps for one in step.changes}
    check_types(ignored, types if history.newest is None else types | history.newest.manifest.counts.keys())
    steps, changed = [], False
    for step in history.steps:
        filtered = [(one, _told(one.change, ignored)) for one in step.changes]
        kept = tuple(replace(one, change=change) for one, change in filtered if change is not None)
        changed |= any(one.change is not change for one, change in filtered)
        steps += [replace(step, changes=kept)] if kept else []
    if not changed:
        return history
    note = "fields that the setting ignore names changed too, and are not listed"
    return replace(history, steps=tuple(steps), notes=(note, *history.notes))


def _told(change: EntityChange, ignored: Sequence[str]) -> EntityChange | None:
    """Return a change without ignored fields: the change itself if it has none, None if nothing else changed."""
    sides = ((change.before, change.was or change.name), (change.after, change.name))
    named = [(Entity(key, {}), name) for key, name in sides if key is not None]
    own = OwnFields(tuple(field.path for field in fields_ignored(ignored, named)))
    fields = tuple(field for field in change.fields if not _is_own(field, own))
    if len(fields) == len(change.fields):
        return change
    return replace(change, fields=fields) if fields else None


def _is_own(field: FieldChange, own: OwnFields) -> bool:
    """Return whether everything that differs in a field is ignored."""
    path = tuple(field.path.split("."))
    if own.cover(path) or field.secret:
        return own.cover(path)
    before, after = (_body(path, value) for value in (field.before, field.after))
    return own.kept_in(before, after) == after


def _body(path: Path, value: Any) -> dict[str, Any]:
    """Return a body with a single value at a path; None stands for no value."""
    first, *rest = path
    inner = _body(tuple(rest), value) if rest else value
    return {} if inner is None else {str(first): inner}
