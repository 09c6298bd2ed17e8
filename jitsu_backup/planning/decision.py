"""The decision about one candidate: create, update, unchanged or blocked, and why."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from jitsu_backup.catalogue import KEY_FIELDS, PROBE_NOTES, Put, entity_type, without_volatile
from jitsu_backup.model import (
    UNDEFINED,
    Entity,
    Path,
    flag,
    format_path,
    masked_paths,
    plural,
    some_of,
    toml_quoted,
    value_at,
)
from jitsu_backup.planning.candidate import Candidate, Planned
from jitsu_backup.planning.fields import FieldChange, field_changes, in_words, upto_list
from jitsu_backup.planning.json_diff import has_value, paths_that_differ, with_values, without
from jitsu_backup.planning.merge import Merged
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import NO_PATHS, Action, ActionKind, Declined, KeySlot, Loss
from jitsu_backup.planning.reasons import OVERLAY_OF_UNDO, BeyondUpdate, UnreadSecret
from jitsu_backup.planning.schema_rules import (
    Refusal,
    RequiredField,
    Schema,
    UnusableSchemaError,
    default_at,
    dropped,
    is_required,
    may_be_null,
    refusals,
    schema_name,
    unknown_type,
)
from jitsu_backup.planning.secrets import (
    Settled,
    given_for_hidden,
    in_list,
    lost_by_run,
    own_secrets,
    replacing_hidden,
    settle_secrets,
    without_hidden,
)
from jitsu_backup.planning.take import settling, settling_fields
from jitsu_backup.planning.three_sides import (
    as_target_has_it,
    base_of,
    changed_by_target,
    declined,
    kept_by_record,
    merge_sides,
    overwrite,
    overwritten,
    replaced_values,
    taken_from_target,
    takes_kind_of_source,
    with_merged,
    without_defaults,
)
from jitsu_backup.planning.write_keys import NO_KEYS, KeyPairs, foreign_keys, key_list, key_slots, pair_keys

_JAVASCRIPT_DOMAINS = "authorizedJavaScriptDomains"


def create_or_update(pairs: Pairs, candidate: Candidate) -> Planned:
    """Compare a candidate with the target, settle its secrets, and decide its action."""
    planned = _decide(pairs, candidate)
    return replace(planned, overlay_fields=candidate.overlay_fields)


def _decide(pairs: Pairs, candidate: Candidate) -> Planned:
    options, key, body = pairs.sides.options, candidate.key, candidate.entity.body
    strange = unknown_type(options.schemas, key.type, body)
    if strange and candidate.found is None and options.check_schemas:  # before asking for secrets
        return Planned(_blocked(pairs, candidate, f"{strange}: leave it out with {flag('--skip', key)}"))
    schema = options.schemas.get(schema_name(key.type, body) or "")
    settled = settle_secrets(pairs, candidate, schema)
    missing, unclear = settled.missing, _unclear(settled)
    candidate = settled.candidate.losing(_unread(pairs, path, schema) for path in missing)
    if unclear or (missing and not options.allow_missing_secrets):
        needed = _required_too(pairs, candidate)
        why = _why_missing(settled, unclear, needed, undoes=pairs.sides.undoes)
        action = _blocked(pairs, candidate, why)
        return Planned(replace(action, losses=candidate.sorted_losses, required=needed))
    if candidate.found is None or candidate.live is None:
        planned = Planned(_create(pairs, candidate))
    else:
        settled = replace(settled, candidate=candidate)
        planned = _update(pairs, settled, candidate.found, candidate.live, schema)
    if not (planned.action.writes and options.check_schemas):
        return planned
    return _checked(pairs, candidate, planned, strange=bool(strange))


def _unclear(settled: Settled) -> list[str]:
    """Return the paths where `***` of a redacted folder may stand for several values of the target, none of which may be lost."""
    live = settled.candidate.live
    return [
        format_path(path)
        for path in settled.missing
        if path in settled.unnamed and value_at(live, upto_list(path)) not in (None, "", [], {})
    ]


def _required_too(pairs: Pairs, candidate: Candidate) -> tuple[RequiredField, ...]:
    """Return what a new entity that lacks secrets lacks besides, so that one overlay can provide all of it."""
    if candidate.live is not None or not pairs.sides.options.check_schemas:
        return ()
    with suppress(UnusableSchemaError):
        return _required(_refused(pairs, candidate, candidate.desired))
    return ()


def _required(refused: Iterable[Refusal]) -> tuple[RequiredField, ...]:
    return tuple(refusal.required for refusal in refused if refusal.required is not None)


def _why_missing(
    settled: Settled, unclear: Collection[str], needed: Collection[RequiredField], *, undoes: bool
) -> str:
    """Return why an entity is blocked: it lacks secrets, or the meaning of `***` in a redacted folder is unclear.

    `needed` is what it lacks besides.
    """
    of_target = [
        text
        for path in settled.missing
        if path in settled.unnamed and (text := format_path(path)) not in unclear
    ]
    others = [format_path(path) for path in settled.missing if path not in settled.unnamed]
    reasons = [
        f"secret not in the snapshot: {', '.join(others)}" if others else "",
        f"*** stands for the target's own value, but the target has none: {', '.join(of_target)}"
        if of_target
        else "",
        f"*** stands for the target's own value, but it is unclear which one: {', '.join(unclear)}"
        if unclear
        else "",
        f"required by the target console: {', '.join(one.path for one in needed)}" if needed else "",
    ]
    return "; ".join((*filter(None, reasons), OVERLAY_OF_UNDO if undoes else "provide it with --overlay"))


def _blocked(pairs: Pairs, candidate: Candidate, reason: str) -> Action:
    return Action(ActionKind.BLOCKED, candidate.key, _shown(pairs, candidate), candidate.target_id, reason)


def _shown(pairs: Pairs, candidate: Candidate) -> str:
    """Return the name that an entity will have: the target's own name if the field is ignored."""
    if candidate.found is not None and candidate.own.cover(("name",)):
        return pairs.sides.live_shown[candidate.found.key]
    return pairs.sides.desired_shown[candidate.key]


def _unread(pairs: Pairs, path: Path, schema: Schema) -> Loss:
    if not (is_required(schema, path) or in_list(path)):
        return Loss(format_path(path), UnreadSecret.LEFT_OUT)
    undoes = pairs.sides.undoes
    return Loss(format_path(path), UnreadSecret.SENT_EMPTY_BACK if undoes else UnreadSecret.SENT_EMPTY)


def _checked(pairs: Pairs, candidate: Candidate, planned: Planned, *, strange: bool) -> Planned:
    """Return what is planned, blocked if the target's console would reject it."""
    key = candidate.key
    try:
        refused = _refused(pairs, candidate, planned.action.body)
    except UnusableSchemaError as unusable:
        note = f"the target console's schema of {unusable} is unusable, so nothing is validated against it"
        return replace(planned, notes=(*planned.notes, note))
    if not refused:
        return planned
    needed, skip = _required(refused), flag("--skip", key)
    if len(needed) == len(refused):
        it = "it" if len(needed) == 1 else "them"
        reason = (
            f"the target console requires {some_of([one.path for one in needed], 5)}, which the snapshot does not have; add {it}"
            f" to [{toml_quoted(pairs.sides.selectors[key])}] in --overlay (--overlay-out writes the form), or leave the entity out"
            f" with {skip}"
        )
    else:
        change = "" if strange else "change it with --overlay, or "  # no overlay changes a type
        reason = f"the target console would reject it: {some_of(refused, 5, '; ')}; {change}leave it out with {skip}"
    return replace(planned, action=replace(_blocked(pairs, candidate, reason), required=needed))


def _refused(pairs: Pairs, candidate: Candidate, body: Mapping[str, Any]) -> list[Refusal]:
    """Return why the target's console would reject a write of `body`. Raise UnusableSchemaError."""
    key = candidate.key
    removed = {n for n, value in body.items() if value == UNDEFINED} | {
        n for n in entity_type(key.type).null_removes if body.get(n, "") is None
    }
    whole = {n: value for n, value in {**(candidate.live or {}), **body}.items() if n not in removed}
    whole |= {"id": "x", "type": key.type, "workspaceId": "x"}
    found = refusals(pairs.sides.options.schemas, key.type, whole)
    return [refusal for refusal in found if candidate.live is None or refusal.field in body]


def _create(pairs: Pairs, candidate: Candidate) -> Action:
    in_place, key = pairs.sides.in_place, candidate.key
    cleared = entity_type(key.type).null_removes  # null is for updates only [model/put-null-for-description]
    body = {n: value for n, value in candidate.desired.items() if value is not None or n not in cleared}
    revived = [format_path(path) for path in masked_paths(body)]
    slots = (
        key_slots(pairs, key, body, None, pair_keys(pairs, key, body, None)) if key.type == "stream" else ()
    )
    reason = "deleted since the backup; re-created with a new id" if in_place else "not in the target"
    if in_place and key in pairs.sides.options.fresh:
        reason = "new in the folder"
    there = pairs.sides.sides_of(key, None)
    again = key in pairs.deleted and pairs.sides.take.choice(there) is not None
    if revived:
        body["cloneId"] = candidate.clone_id
        reason += f"; {', '.join(revived)} copied from the deleted entity"
    return Action(
        ActionKind.CREATE, key, pairs.sides.desired_shown[key], candidate.target_id, reason, body,
        losses=candidate.sorted_losses, new_keys=slots, cuts_off=_cuts_off(pairs, slots),
        overwrites=(overwrite(pairs.sides, there),) if again else (),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Changes:
    """The paths whose values are sent, those removed, and those that an update cannot remove."""

    changed: tuple[Path, ...]
    removed: tuple[Path, ...]
    unreachable: tuple[Path, ...]


def _update(
    pairs: Pairs, settled: Settled, found: Entity, live: Mapping[str, Any], schema: Schema
) -> Planned:
    candidate, sides = settled.candidate, pairs.sides
    key, table = candidate.key, entity_type(candidate.key.type)
    mapped = pairs.mapped(candidate.entity, candidate.desired)
    whole, unknown, base = live, set[Path](), base_of(pairs, candidate)
    retyped = takes_kind_of_source(pairs, candidate, base)
    if retyped:  # fields that the new kind does not have are removed
        unknown = set(dropped(schema, live))
        live = without(live, unknown)
    else:
        schema = sides.options.schemas.get(schema_name(key.type, found.body) or "")
    slots: tuple[KeySlot, ...] = ()
    notes: tuple[str, ...] = ()
    keys = pair_keys(pairs, key, candidate.desired, found) if key.type == "stream" else NO_KEYS
    if key.type == "stream":
        slots = key_slots(pairs, key, candidate.desired, found, keys)
        slots = tuple(slot for slot in slots if not candidate.own.cover((slot.field,)))
        notes = _keys_that_stay(pairs, candidate, found, keys)
        # compared by id, above
        mapped, live = (without(body, {(name,) for name in KEY_FIELDS}) for body in (mapped, live))
    mapped, ignored = candidate.own.kept_in(mapped, live), _ignored(pairs, candidate, live)
    kept = own_secrets(pairs, candidate.entity, mapped, live)
    own = {path: value_at(live, path) for path in kept}
    mapped = dict(with_values(mapped, own))
    skip = {p for p in settled.missing if not is_required(schema, p)} | kept | settled.hidden
    skip |= {(name,) for name in table.bookkeeping or PROBE_NOTES}
    merged = merge_sides(pairs, candidate, base, mapped, live, schema, skip)
    lost = changed_by_target(pairs, candidate, base, whole, unknown)
    if lost and taken_from_target(pairs, candidate, lost):
        merged, live = as_target_has_it(mapped, whole), whole
    elif merged.conflicts or lost:
        return Planned(
            conflict(
                pairs, candidate, base, mapped, whole, replace(merged, conflicts=(*merged.conflicts, *lost))
            )
        )
    replaced, against = (
        replaced_values(mapped, merged),
        tuple(
            Declined(by, field)
            for path, by in declined(pairs, candidate, base, mapped, live, merged)
            for field in _fields(pairs, candidate, [path], live, mapped)
        ),
    )
    mapped = with_merged(mapped, merged)
    if base is not None:
        mapped = without_defaults(pairs, candidate, mapped, live, schema)
    candidate = replace(candidate, desired=with_merged(candidate.desired, merged))
    resent = replacing_hidden(pairs, candidate, mapped, live)
    changes = _changes(pairs, candidate, mapped, live, schema, skip)
    losses = candidate.losing(
        [*_unreachable(changes), *lost_by_run(pairs, candidate, resent), *settled.empty.losses(mapped)]
    )
    changed = [
        *changes.changed,
        *(resent if sides.options.resend_secrets else settled.empty.paths.intersection(resent)),
    ]
    differing = tuple(sorted({*map(format_path, [*changed, *changes.removed]), *(s.field for s in slots)}))
    hidden = settled.hidden | given_for_hidden(mapped, live)
    action = Action(
        ActionKind.UNCHANGED, key, _shown(pairs, candidate), candidate.target_id, "already as intended",
        losses=losses.sorted_losses, kept=_sorted(kept | ignored), unseen=_sorted(hidden), replaced=replaced,
        aside=frozenset(kept | ignored) or NO_PATHS, retyped=retyped, declined=against,
    )  # fmt: skip
    if not differing:
        return Planned(action, notes)
    body = dict(with_values(candidate.desired, own))
    if table.sends_changes_only:
        tops = {str(path[0]) for path in (*changed, *changes.removed, *resent)}
        body = _patch(without_hidden(body, live, resent), tops, changes.removed, table.null_removes)
        # a stream's PUT clears this field if it is absent [stream/put-known-key]
        if key.type == "stream" and _JAVASCRIPT_DOMAINS in candidate.desired:
            body.setdefault(_JAVASCRIPT_DOMAINS, candidate.desired[_JAVASCRIPT_DOMAINS])
        body |= {s.field: key_list(candidate.desired, found, s.field, keys) for s in slots}
    action = replace(
        action, kind=ActionKind.UPDATE, reason="changes " + ", ".join(differing) + _replaced(resent), body=body,
        paths=frozenset((*changed, *changes.removed)), changes=differing, fields=_fields(pairs, candidate, [*changed, *changes.removed], live, mapped),
        new_keys=slots, cuts_off=_cuts_off(pairs, slots), unseen=_sorted(hidden - set(resent)),
        overwrites=overwritten(pairs, candidate, base, whole, (*changed, *changes.removed)),
    )  # fmt: skip
    return Planned(action, notes)


def conflict(
    pairs: Pairs,
    candidate: Candidate,
    base: Mapping[str, Any] | None,
    mapped: Mapping[str, Any],
    live: Mapping[str, Any],
    merged: Merged,
) -> Action:
    """Return the action that is blocked because both sides changed the same fields since the last clone, which left `base`.

    `merged` names these fields, and those where the target keeps changes of its own.
    """
    sides, key, paths = pairs.sides, candidate.key, merged.conflicts
    fields, differ = ", ".join(map(format_path, paths)), "differs" if len(paths) == 1 else "differ"
    how = f"both sides changed {fields} differently {sides.since.words}"
    settle = settling_fields(sides.selectors[key], paths, merged.own)
    kept = {format_path(upto_list(path)) for path in paths if kept_by_record(pairs, candidate, live, [path])}
    if sides.undoes:  # taking the source settles conflicts only
        how = f"{fields} changed in the run being undone, and again since"
        settle = settling(sides.selectors[key], "overwrite what changed since", "keep it")
    elif kept_by_record(pairs, candidate, live, paths):
        how = f"the source changed {fields}, and the target has kept its own since an earlier clone"
    elif sides.since is Since.UNKNOWN:
        how = f"{fields} {differ}, and the store has no record of the last clone, so this may be the target's own change"
    common = None if sides.since is Since.UNKNOWN else base or {}
    shown = _fields(pairs, candidate, paths, live, mapped, base=common)
    return replace(
        _blocked(pairs, candidate, f"{how}: {settle}"), fields=tuple(replace(one, kept=one.path in kept) for one in shown),
        conflicts=tuple(map(format_path, paths)), disputed=True, own_besides=tuple(sorted(map(format_path, merged.own))),
    )  # fmt: skip


def _ignored(pairs: Pairs, candidate: Candidate, live: Mapping[str, Any]) -> set[Path]:
    """Return the paths where the target keeps a different value because the settings ignore the field."""
    if not candidate.own:
        return set()
    source = pairs.mapped(candidate.entity, without_volatile(candidate.entity))
    return {path for path in candidate.own.differing(source, live) if path[0] not in KEY_FIELDS}


def _keys_that_stay(pairs: Pairs, candidate: Candidate, found: Entity, keys: KeyPairs) -> tuple[str, ...]:
    """Return notes about write keys that only the target's stream has, and about those that were deleted there."""
    key, gone, own = candidate.key, keys.revoked, foreign_keys(found, keys)
    called = pairs.sides.called(pairs.sides.by_key[candidate.key])
    note = (
        f"{called}: {plural(len(own), 'write key')} only in the target {'is' if len(own) == 1 else 'are'} kept,"
        f" because deleted write keys cannot be recovered: {some_of(own, 6)}"
    )
    stays = (
        f"{called}: {plural(len(gone), 'write key')} deleted in the target {pairs.sides.since.words}"
        f" {'stays' if len(gone) == 1 else 'stay'} deleted: {some_of([*gone.values()], 6)}"
    )
    if not pairs.sides.undoes:  # an undo never re-creates what others deleted
        stays += f"; {flag('--take', f'source:{pairs.sides.selectors[key]}')} creates a new one for each"
    return (*((note,) if own else ()), *((stays,) if gone else ()))


def _changes(
    pairs: Pairs,
    candidate: Candidate,
    mapped: Mapping[str, Any],
    live: Mapping[str, Any],
    schema: Schema,
    skip: set[Path],
) -> _Changes:
    """Classify the differences by what an update can do about them."""
    table = entity_type(candidate.key.type)
    whole_fields = table.put is Put.REPLACES_FIELDS or not pairs.sides.capabilities.merges_deeply
    changed: list[Path] = []
    removed: list[Path] = []
    unreachable: list[Path] = []
    for path in paths_that_differ(mapped, live):
        if any(path[: n + 1] in skip for n in range(len(path))):
            continue
        none = value_at(mapped, path) is None
        extra = none and not (has_value(mapped, path) and may_be_null(schema, path))
        if extra and default_at(schema, path) == value_at(live, path):
            continue  # filled in by the console
        in_list = any(isinstance(part, int) for part in path)
        if not extra or in_list or table.put is Put.REPLACES or (whole_fields and len(path) > 1):
            changed.append(path)
        elif table.sends_changes_only and (whole_fields or table.marker_removes):
            removed.append(path)
        else:
            unreachable.append(path)
    return _Changes(tuple(changed), tuple(removed), tuple(unreachable))


def _unreachable(changes: _Changes) -> Iterable[Loss]:
    return (Loss(format_path(path), BeyondUpdate.UNREACHABLE) for path in changes.unreachable)


def _fields(
    pairs: Pairs,
    candidate: Candidate,
    paths: Iterable[Path],
    live: Mapping[str, Any],
    mapped: Mapping[str, Any],
    base: Mapping[str, Any] | None = None,
) -> tuple[FieldChange, ...]:
    """Return the fields at `paths`, ready to be shown; with `base`, also their common earlier values."""
    (is_now, will_be), key = pairs.words, candidate.key
    before, after = in_words(Entity(key, live), is_now), in_words(Entity(key, mapped), will_be)
    common = None if base is None else in_words(Entity(key, base), is_now)
    secrets = pairs.sides.options.overlay.secrets
    return tuple(field_changes(key.type, sorted(paths, key=format_path), before, after, secrets, common))


def _cuts_off(pairs: Pairs, slots: Iterable[KeySlot]) -> bool:
    return pairs.sides.in_place and any(slot.made for slot in slots)


def _replaced(secrets: list[Path]) -> str:
    if not secrets:
        return ""
    paths = ", ".join(map(format_path, secrets))
    it = "it" if len(secrets) == 1 else "they"
    return f"; overwrites the {paths} (hidden by Jitsu, so {it} cannot be restored)"


def _patch(
    body: Mapping[str, Any], tops: set[str], removed: Iterable[Path], nulled: Collection[str]
) -> dict[str, Any]:
    """Return the fields `tops` of `body`, with null or the console's marker for fields to remove."""
    patch: dict[str, Any] = {name: value for name, value in body.items() if name in tops}
    for path in removed:
        inner = patch
        for part in path[:-1]:
            inner[str(part)] = dict(inner.get(str(part)) or {})
            inner = inner[str(part)]
        inner[str(path[-1])] = None if path[0] in nulled else UNDEFINED
    return patch


def _sorted(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(sorted(map(format_path, paths)))
