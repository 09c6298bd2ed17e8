"""What becomes of one object or link: created, updated, unchanged, skipped or blocked, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jitsu_backup.catalogue import entity_type, nameable, without_grant
from jitsu_backup.catalogue.redaction import SECRET_NAME, has_password, stands_in
from jitsu_backup.catalogue.table import Route
from jitsu_backup.model import (
    MASK,
    UNDEFINED,
    Entity,
    Key,
    Path,
    format_path,
    items_of,
    masked_paths,
    plural,
    quoted,
    some_of,
)
from jitsu_backup.planning.breakage import names_as_before, without_end, without_function
from jitsu_backup.planning.context import KEY_FIELDS, Context, builder_code, subtype, without_volatile
from jitsu_backup.planning.fields import FieldChange, field_changes, in_words
from jitsu_backup.planning.grants import missing_grant, note_unauthorised
from jitsu_backup.planning.json_diff import differences, has_value, value_at, with_values, without
from jitsu_backup.planning.plan import Action, KeySlot, Kind, Loss
from jitsu_backup.planning.schema_rules import (
    UnusableSchemaError,
    default_at,
    dropped,
    fields_of,
    is_required,
    may_be_null,
    refusals,
    schema_name,
    unknown_type,
)
from jitsu_backup.planning.write_keys import foreign_keys, key_list, key_slots, with_hashes

RECREATE_CAN = " (--recreate can)"
UNREACHABLE = f"only the target has it, and an update cannot remove it{RECREATE_CAN}"
FUNCTION_GONE = f"its function was deleted, and an update does not bring it back{RECREATE_CAN}"
BEYOND_UPDATE = (UNREACHABLE, FUNCTION_GONE)
"""Losses that --recreate makes good, where that is safe."""

UNREAD = "the snapshot could not read this secret"
"""Why a secret is missing."""


# A builder's own bookkeeping: must be sent [profile-builder/incomplete], says nothing about a difference.
BOOKKEEPING = ("version", "createdAt", "updatedAt")

NOTES = ("testConnectionError",)
"""What the console notes of its last try to connect; sent along, but no difference."""

# secrets of the table that say rather where data goes than who may: staging's come along with its hosts
_OFTEN_PLAIN = ("url", "parameters", "options", "payload")

_HOLDS_SECRETS = ("destination", "service", "notification", "profile-builder")


@dataclass(slots=True)
class Draft:
    """One entity while its action is worked out: as meant, as it is in the target, and what is lost.

    `clone_id` names an object of the workspace that masked secrets can be revived from.
    """

    entity: Entity
    meant: dict[str, Any]
    live: dict[str, Any] | None
    found: Entity | None
    losses: list[Loss] = field(default_factory=list)
    clone_id: str | None = None


def plan_object(context: Context, key: Key, chosen: set[Key]) -> Action:
    """Plan one object that is no link."""
    entity, name, found = context.meant[key], context.meant_names[key], context.found.get(key)
    if key.type not in context.live.manifest.counts:
        return Action(Kind.SKIPPED, key, name, None, "the target console does not know this type")
    if key in context.problems:
        return Action(Kind.BLOCKED, key, name, None, context.problems[key])
    if found is None and context.belongs_to_unread_builder(entity):
        reason = "it belongs to a profile builder, and those could not be read"
        return Action(Kind.SKIPPED, key, name, None, reason)
    if entity.body.get("provisioned") is True or (found and found.body.get("provisioned") is True):
        target_id = None if found is None else found.key.id
        return Action(Kind.UNCHANGED, key, name, target_id, "provisioned: the target's own one stands for it")
    if key.type == "domain" and found is None:
        owner = context.options.domains_elsewhere.get(str(entity.body.get("name")).lower())
        if owner is not None:
            return Action(Kind.SKIPPED, key, name, None, f"the domain belongs to workspace {owner}")
    if key.type == "profile-builder" and found is None and not context.capabilities.profile_builders:
        return Action(Kind.SKIPPED, key, name, None, "the target console keeps no profile builders")
    broken = None if names_as_before(entity, found) else without_end(context, entity, chosen)
    broken = broken or without_function(context, entity, found)
    if broken is not None:
        return broken
    action = _within_reach(create_or_update(context, draft_object(context, entity, found)))
    note_unauthorised(context, action)
    if key.type == "misc" and action.writes and context.same_console and not context.in_place:
        context.notes.append(
            f"misc {quoted(name)}: its classic keys will name a stream in each workspace of this console;"
            " give them other values with --overlay"
        )
    return action


def _within_reach(action: Action) -> Action:
    """Return an action, skipped where it would update what no path can name [function/put-dots]."""
    if action.kind is not Kind.UPDATE or action.target_id is None or nameable(action.target_id):
        return action
    if entity_type(action.key.type).route is not Route.OBJECT:  # those are named in the body
        return action
    reason = f"{action.reason}, but {out_of_reach(action.target_id, 'updated')}"
    return Action(Kind.SKIPPED, action.key, action.name, action.target_id, reason)


def out_of_reach(target_id: str, done: str) -> str:
    """Return why an object cannot be updated or deleted through the API, as `done` says."""
    return f"no path of the console can name the id {target_id!r}, so it cannot be {done}"


def draft_object(context: Context, entity: Entity, found: Entity | None) -> Draft:
    """Give what an object should be, in the snapshot's ids, beside what it is."""
    kind = entity.key.type
    live = None if found is None else without_grant(kind, without_volatile(found))
    draft = Draft(entity, without_grant(kind, without_volatile(entity)), live, found)
    draft.losses += missing_grant(context, entity.key)
    if entity_type(entity.key.type).route is Route.PROFILE_BUILDER:
        _add_builder_code(draft)
        return draft
    if found is None and context.in_place and context.capabilities.revives:
        draft.clone_id = entity.key.id
    schema = context.options.schemas.get(schema_name(entity.key.type, entity.body) or "")
    unknown = set(dropped(schema, draft.meant))
    context.note_unknown(entity.key, unknown, fields_of(schema))
    original = context.by_key[entity.key].body
    draft.losses += [
        Loss(format_path(path), "the target console does not know this field")
        for path in unknown
        if value_at(original, path) is not None  # else the overlay's, for others that it chooses
    ]
    draft.meant = dict(without(draft.meant, unknown))
    if entity.key.type == "domain" and isinstance(draft.meant.get("name"), str):
        draft.meant["name"] = draft.meant["name"].lower()  # as the console does [domain/list]
    if entity.key.type == "misc" and found is not None and not context.in_place:
        draft.meant["value"] = _own_lines(context, draft, found)
    if entity.key.type == "stream":
        # newer consoles fill it in, older ones do not [stream/get-after-marker]
        for body in (draft.meant, draft.live or {}):
            body.setdefault("domains", [])
        draft.meant |= with_hashes(context, entity, found)
        if isinstance(draft.meant.get("domains"), list):
            draft.meant["domains"] = _domains(context, draft)
    return draft


def create_or_update(context: Context, draft: Draft) -> Action:
    """Compare a draft with the target, settle its secrets, and give the action."""
    key, name = draft.entity.key, context.meant_names[draft.entity.key]
    target_id = context.ids.get(key)
    strange = unknown_type(context.options.schemas, key.type, draft.entity.body)
    if strange and draft.found is None and context.options.check_schemas:  # no secret is asked for in vain
        reason = f"{strange}: leave it out with --skip {key}"
        return Action(Kind.BLOCKED, key, name, target_id, reason)
    schema = context.options.schemas.get(schema_name(key.type, draft.entity.body) or "")
    missing, hidden = _settle_secrets(context, draft, schema)
    for path in missing:
        asked = is_required(schema, path)  # an empty one is shown as any other is, so no later run can see it
        more = (
            "; it is sent empty: give it later with --overlay and --resend-secrets"
            if asked
            else "; give it later with --overlay"
        )
        draft.losses.append(Loss(format_path(path), UNREAD + more))
    if missing and not context.options.allow_missing_secrets:
        paths = ", ".join(format_path(path) for path in missing)
        reason = f"secret not in the snapshot: {paths}; give it with --overlay"
        return Action(Kind.BLOCKED, key, name, target_id, reason, losses=_sorted(draft.losses))
    if draft.found is None or draft.live is None:
        action = _create(context, draft)
    else:
        action = _update(context, draft, set(missing), hidden, schema)
    if not (action.writes and context.options.check_schemas):
        return action
    whole = {**(draft.live or {}), **action.body}
    named = {"id": "x", "type": key.type, "workspaceId": "x"}
    whole = {n: v for n, v in whole.items() if v != UNDEFINED} | named
    try:
        found = refusals(context.options.schemas, key.type, whole)
    except UnusableSchemaError as unusable:
        context.note(
            f"the target console's schema of {unusable} cannot be used, and nothing is checked with it"
        )
        return action
    refused = [
        problem
        for problem in found
        if draft.live is None or problem.partition(":")[0].partition(".")[0] in action.body
    ]
    if refused:
        change = "" if strange else "change it with --overlay, or "  # no overlay changes a type
        reason = f"the target console would refuse it: {some_of(refused, 5, '; ')}; {change}leave it out with --skip {key}"
        return Action(Kind.BLOCKED, key, name, target_id, reason)
    return action


def _create(context: Context, draft: Draft) -> Action:
    key = draft.entity.key
    body = dict(draft.meant)
    revived = [format_path(path) for path in masked_paths(body)]
    slots = key_slots(context, key, body, None) if key.type == "stream" else ()
    reason = "not in the target"
    if context.in_place:
        reason = "not there any more, or never was: it gets a new id"
    if revived:
        body["cloneId"] = draft.clone_id
        reason += f", and {', '.join(revived)} from the deleted one"
    return Action(
        Kind.CREATE, key, context.meant_names[key], context.ids.get(key), reason, body,
        losses=_sorted(draft.losses), new_keys=slots, cuts_off=_cuts_off(context, slots),
    )  # fmt: skip


def _update(
    context: Context, draft: Draft, missing: set[Path], hidden: set[Path], schema: Mapping[str, Any] | None
) -> Action:
    key, found, live = draft.entity.key, draft.found, draft.live
    assert found is not None  # noqa: S101  told by the caller
    assert live is not None  # noqa: S101
    table = entity_type(key.type)
    mapped = context.mapped(draft.entity, draft.meant)
    if subtype(found) != subtype(draft.entity):  # what the new kind does not know goes with the old one
        live = without(live, set(dropped(schema, live)))
    slots: tuple[KeySlot, ...] = ()
    if key.type == "stream":
        slots = key_slots(context, key, draft.meant, found)
        for drop in KEY_FIELDS:  # compared by id, above
            mapped.pop(drop, None)
        live = without(live, {(name,) for name in KEY_FIELDS})
        own = foreign_keys(context, key, draft.meant, found)
        if own:
            context.notes.append(
                f"{context.called(context.by_key[key])}: {plural(len(own), 'write key')} only in the target {'stays' if len(own) == 1 else 'stay'},"
                f" because a deleted one never comes back: {some_of(own, 6)}"
            )
    kept = _own_secrets(context, draft, mapped, live)
    mapped = dict(with_values(mapped, {path: value_at(live, path) for path in kept}))
    resent = _overlay_secrets(context, draft, mapped, live)
    unimportant = BOOKKEEPING if table.route is Route.PROFILE_BUILDER else NOTES
    skip = {p for p in missing if not is_required(schema, p)} | {(name,) for name in unimportant}
    skip |= kept | hidden
    body = dict(with_values(draft.meant, {path: value_at(live, path) for path in kept}))
    changed, removed = _changes(context, draft, mapped, live, schema, skip)
    if context.options.resend_secrets:
        changed += resent
    losses, kept_names = _sorted(draft.losses), tuple(sorted(map(format_path, kept)))
    hidden = hidden | _given_for_hidden(mapped, live)
    changes = tuple(sorted({*map(format_path, [*changed, *removed]), *(s.field for s in slots)}))
    name, target_id = context.meant_names[key], context.ids[key]
    if not changes:
        return Action(
            Kind.UNCHANGED,
            key,
            name,
            target_id,
            "already as meant",
            losses=losses,
            kept=kept_names,
            unseen=tuple(sorted(map(format_path, hidden))),
        )
    unseen = tuple(sorted(format_path(path) for path in hidden - set(resent)))
    if table.route is Route.OBJECT:
        tops = {str(path[0]) for path in (*changed, *removed, *resent)}
        body = _patch(without(body, _hidden(live) - set(resent)), tops, removed)
        # a stream's PUT clears this one where it is absent [stream/put-known-key]
        if key.type == "stream" and "authorizedJavaScriptDomains" in draft.meant:
            body.setdefault("authorizedJavaScriptDomains", draft.meant["authorizedJavaScriptDomains"])
        body |= {s.field: key_list(context, key, draft.meant, found, s.field) for s in slots}
    return Action(
        Kind.UPDATE, key, name, target_id, "differs: " + ", ".join(changes) + _replaced(resent), body,
        changes=changes, fields=_fields(context, draft, [*changed, *removed], live, mapped),
        losses=losses, kept=kept_names, new_keys=slots, cuts_off=_cuts_off(context, slots), unseen=unseen,
    )  # fmt: skip


def _fields(
    context: Context, draft: Draft, paths: Iterable[Path], live: dict[str, Any], mapped: dict[str, Any]
) -> tuple[FieldChange, ...]:
    is_now, will_be = context.words
    before = in_words(Entity(draft.entity.key, live), is_now)
    after = in_words(Entity(draft.entity.key, mapped), will_be)
    return tuple(
        field_changes(
            draft.entity.key.type,
            sorted(paths, key=format_path),
            before,
            after,
            context.options.overlay.secrets,
        )
    )


def _cuts_off(context: Context, slots: Iterable[KeySlot]) -> bool:
    return context.in_place and any(slot.made for slot in slots)


def _replaced(secrets: list[Path]) -> str:
    if not secrets:
        return ""
    paths = ", ".join(map(format_path, secrets))
    return f"; replaces {paths}, which the console hides and no backup brings back"


def _patch(body: Mapping[str, Any], tops: set[str], removed: list[Path]) -> dict[str, Any]:
    """Give the fields `tops` of `body`, with the console's marker where something is to go."""
    patch: dict[str, Any] = {name: value for name, value in body.items() if name in tops}
    for path in removed:
        inner = patch
        for part in path[:-1]:
            inner[str(part)] = dict(inner.get(str(part)) or {})
            inner = inner[str(part)]
        inner[str(path[-1])] = UNDEFINED
    return patch


def _changes(
    context: Context,
    draft: Draft,
    mapped: Mapping[str, Any],
    live: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    skip: set[Path],
) -> tuple[list[Path], list[Path]]:
    """Sort the differences into values to send, keys to remove, and losses (added to the draft)."""
    table = entity_type(draft.entity.key.type)
    whole_fields = not context.capabilities.merges_deeply or table.name == "stream"
    changed: list[Path] = []
    removed: list[Path] = []
    for path in differences(mapped, live):
        if any(path[: n + 1] in skip for n in range(len(path))):
            continue
        none = value_at(mapped, path) is None
        extra = none and not (has_value(mapped, path) and may_be_null(schema, path))
        if extra and default_at(schema, path) == value_at(live, path):
            continue  # filled in by the console
        in_list = any(isinstance(part, int) for part in path)
        if extra and table.route is Route.PROFILE_BUILDER and len(path) == 1:
            draft.losses.append(Loss(format_path(path), UNREACHABLE))
        elif not extra or in_list or table.route is not Route.OBJECT:
            changed.append(path)
        elif whole_fields:
            (removed if len(path) == 1 else changed).append(path)
        elif table.marker_removes:
            removed.append(path)
        else:
            draft.losses.append(Loss(format_path(path), UNREACHABLE))
    return changed, removed


# -- secrets -----------------------------------------------------------------------


def _settle_secrets(
    context: Context, draft: Draft, schema: Mapping[str, Any] | None
) -> tuple[list[Path], set[Path]]:
    """Take masked values out of what is meant; give the paths of the secrets that nobody has, and of the target's own.

    In order: the target's own, the snapshot's, and for an object that is made again its
    predecessor's. A mask is never sent but beside a `cloneId`: a POST would drop it, an old console
    would store it [destination/create-masked-elsewhere]. What is left out of a PUT stays as it is.
    """
    secrets = context.snapshot.secrets.get(draft.entity.key, {})
    fill: dict[Path, Any] = {}
    own: set[Path] = set()
    missing: list[Path] = []
    for path in masked_paths(draft.meant):
        stored = value_at(draft.live, path)
        in_list = any(isinstance(part, int) for part in path)
        there = has_value(draft.live, path)
        if there and not _holds_mask(stored):
            fill[path] = stored
        elif there and not in_list:
            own.add(path)
            if context.in_place and format_path(path) in secrets:
                fill[path] = secrets[format_path(path)]  # goes back with any other change
        elif there:
            whole = next(path[:n] for n, part in enumerate(path) if isinstance(part, int))
            if any(True for _ in differences(value_at(draft.meant, whole), value_at(draft.live, whole))):
                missing.append(path)  # a list is replaced whole, and one of its secrets is unknown
            else:
                own.add(whole)
        elif format_path(path) in secrets:
            fill[path] = secrets[format_path(path)]
        elif draft.clone_id is None:
            missing.append(path)
    absent = set()
    for path in missing:
        if is_required(schema, path) or any(isinstance(part, int) for part in path):
            fill[path] = ""  # refused without it; an empty one is at least no false one
        else:
            absent.add(path)
    draft.meant = dict(without(with_values(draft.meant, fill), (own | absent) - fill.keys()))
    return missing, own


def _own_secrets(
    context: Context, draft: Draft, mapped: Mapping[str, Any], live: Mapping[str, Any]
) -> set[Path]:
    """Give where the target's entity keeps a secret of its own that can be read: not the snapshot's, no overlay's.

    Only between workspaces: rolled back in place, a secret in clear goes back with the rest.
    """
    if context.in_place or draft.entity.key.type not in _HOLDS_SECRETS:
        return set()
    own = set()
    known = tuple(s for s in entity_type(draft.entity.key.type).secrets if s[0] not in _OFTEN_PLAIN)
    for path in differences(mapped, live):
        upto = next((n for n, part in enumerate(path) if isinstance(part, int)), len(path))
        at = path[:upto]
        name = str(at[-1]) if at else ""
        there = value_at(live, at)
        secret = SECRET_NAME.search(name) or stands_in(at, known) or has_password(there)
        if secret and there not in (None, "", [], MASK) and not isinstance(there, Mapping):
            own.add(at)
    return {path for path in own if not _from_overlay(context, draft, path)}


def is_the_targets_own(context: Context, key: Key) -> bool:
    """Tell whether another source or warehouse stands for one of the snapshot: Jitsu's own, or with secrets of its own."""
    found = context.found.get(key)
    if found is None or context.in_place:
        return False
    if found.body.get("provisioned") is True:
        return found.key != key
    draft = Draft(context.meant[key], without_volatile(context.meant[key]), without_volatile(found), found)
    return bool(_own_secrets(context, draft, context.mapped(draft.entity, draft.meant), draft.live or {}))


def with_own_secrets(context: Context, draft: Draft) -> dict[str, Any]:
    """Give what is meant with the secrets that the target's entity has: hidden ones as masks, to be revived."""
    live = draft.live or {}
    own = _own_secrets(context, draft, context.mapped(draft.entity, draft.meant), live)
    hidden = {p for p in _hidden(live) if has_value(draft.meant, p) and not _from_overlay(context, draft, p)}
    values = {path: value_at(live, path) for path in own | hidden}
    return dict(with_values(draft.meant, values))


def _from_overlay(context: Context, draft: Draft, path: Path) -> bool:
    original, meant = context.by_key[draft.entity.key].body, draft.entity.body
    same = has_value(original, path) == has_value(meant, path)
    return not same or bool(value_at(original, path) != value_at(meant, path))


def _overlay_secrets(
    context: Context, draft: Draft, mapped: Mapping[str, Any], live: Mapping[str, Any]
) -> list[Path]:
    """Give where there is a secret for one that the target hides: nobody can tell whether it is the same.

    It comes from the overlay or, in place, from the archive.
    """
    read = context.snapshot.secrets.get(draft.entity.key, ())
    since = _hidden_since(context, draft, live) if context.in_place else ()
    return [
        path
        for path in sorted(_given_for_hidden(mapped, live), key=str)
        if _from_overlay(context, draft, path) or format_path(path) in read or path in since
    ]


def _hidden_since(context: Context, draft: Draft, live: Mapping[str, Any]) -> set[Path]:
    """Give the secrets that the snapshot has in clear and that the console masks now: an older one showed them."""
    original = context.by_key[draft.entity.key].body
    return {path for path in _given_for_hidden(original, live) if not _from_overlay(context, draft, path)}


def _given_for_hidden(mapped: Mapping[str, Any], live: Mapping[str, Any]) -> set[Path]:
    """Return where there is a value, be it empty or null, for one that the target hides."""
    return {p for p in _hidden(live) if has_value(mapped, p) and value_at(mapped, p) != MASK}


def _hidden(live: Mapping[str, Any]) -> set[Path]:
    return {path for path in masked_paths(live) if not any(isinstance(part, int) for part in path)}


def _holds_mask(value: Any) -> bool:
    return any(True for _ in masked_paths(value))


# -- what some types need -------------------------------------------------------------


def _domains(context: Context, draft: Draft) -> list[Any]:
    domains = [d.lower() if isinstance(d, str) else d for d in draft.meant["domains"]]  # [stream/get]
    kept = []
    for domain in domains:
        owner = _owner(domain, context.options.domains_elsewhere)
        if owner is None:
            kept.append(domain)
        else:
            draft.losses.append(Loss("domains", f"domain {domain} belongs to workspace {owner}"))
    given = context.overlaid(draft.entity.key, ("domains",))
    all_free = len(kept) == len(domains)
    if draft.found is None or context.in_place or given or (all_free and not context.same_console):
        return kept
    # within one console no other workspace's domains can come along: the target's own stay, but for what moves in it
    own_key = {draft.entity.key}
    live = draft.found.body.get("domains")
    own = [
        d
        for d in (live if isinstance(live, list) else [])
        if not context.streams_of_domain.get(d, set()) - own_key
    ]
    return [*own, *(d for d in kept if d not in own)]


def _owner(domain: Any, domains_elsewhere: Mapping[str, str]) -> str | None:
    """Give the other workspace that has a host name, or a wildcard above it."""
    parts = str(domain).split(".")
    above = ("*." + ".".join(parts[n:]) for n in range(1, len(parts)))
    return next(
        (domains_elsewhere[name] for name in (str(domain), *above) if name in domains_elsewhere), None
    )


def _own_lines(context: Context, draft: Draft, found: Entity) -> Any:
    """Give a mapping's text with the target's own keys of each stream: one key must not name two streams."""
    wanted, own = draft.meant.get("value"), found.body.get("value")
    if not isinstance(wanted, str) or not isinstance(own, str) or _from_overlay(context, draft, ("value",)):
        return wanted
    lines = own.split("\n")
    theirs = {line.partition("=")[0].strip() for line in lines if "=" in line}
    mapped = context.mapped(draft.entity, {"value": wanted})["value"].split("\n")
    pairs = zip(wanted.split("\n"), mapped, strict=True)
    added = [
        line
        for line, new in pairs
        if line.strip() and line not in lines and new.partition("=")[0].strip() not in theirs
    ]
    return "\n".join([*lines, *added]) if theirs else wanted


def _add_builder_code(draft: Draft) -> None:
    code, unpublished = builder_code(draft.entity)
    given = draft.entity.body.get("code")  # no console lists it: an overlay gives it
    if isinstance(given, str):
        code, unpublished = given, given
    bookkeeping = {n: draft.entity.body[n] for n in BOOKKEEPING if n in draft.entity.body}
    draft.meant |= {**bookkeeping, "code": code}
    live_code, live_unpublished = ("", "") if draft.found is None else builder_code(draft.found)
    if unpublished != code or live_unpublished != live_code:
        draft.meant["draft"] = unpublished
    if len(items_of(draft.entity.body.get("functions"))) > 1:
        draft.losses.append(Loss("functions", "the API can write only the first of several functions"))
    if draft.found is not None and draft.live is not None:
        draft.live["code"] = live_code
        if "draft" in draft.meant:
            draft.live["draft"] = live_unpublished
        if not code and live_code:
            draft.meant["code"] = live_code
            draft.losses.append(
                Loss("code", "it was not published then, and an update does not take it back")
            )
        if function_gone(draft.found) and not function_gone(draft.entity):
            draft.losses.append(Loss("code", FUNCTION_GONE))


def function_gone(builder: Entity) -> bool:
    """Tell whether the function that a profile builder owns was deleted by itself."""
    first = next(iter(items_of(builder.body.get("functions"))), None)
    return value_at(first, ("function", "deleted")) is True


def _sorted(losses: list[Loss]) -> tuple[Loss, ...]:
    return tuple(sorted(set(losses)))
