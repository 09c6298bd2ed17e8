"""The planning of one link: a connection or a sync."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jitsu_backup.catalogue import END_FIELDS, Form, ends, is_link
from jitsu_backup.model import Entity, Key, Path, format_path, quoted, value_at
from jitsu_backup.planning.candidate import Actions, Candidate, Planned
from jitsu_backup.planning.cursors import with_cursors
from jitsu_backup.planning.decision import conflict, create_or_update
from jitsu_backup.planning.entitlements import NO_IDENTITY_STITCHING, stitches, without_stitching
from jitsu_backup.planning.event_destinations import blocked_where_emptied, blocked_without_events
from jitsu_backup.planning.grants import end_granted_since, end_without_grant, switched_off
from jitsu_backup.planning.hidden import with_hidden_of
from jitsu_backup.planning.ignored import own_fields
from jitsu_backup.planning.json_diff import without
from jitsu_backup.planning.link_pairing import LinkPairs, as_it_was, link_body
from jitsu_backup.planning.overlay_checks import overlay_fields
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import NO_PATHS, Action, ActionKind, Loss
from jitsu_backup.planning.requirements import uses, with_its_functions, without_end
from jitsu_backup.planning.switches import switch, switched_as
from jitsu_backup.planning.three_sides import (
    base_of,
    deleted_there,
    merge_sides,
    replaced_values,
    stays_deleted,
    with_merged,
)

_FIELDS = ("type", *END_FIELDS, "data")


def plan_links(actions: Actions, links: LinkPairs, chosen: Collection[Key]) -> Actions:
    """Plan all links. Paired ones get the ids of their counterparts in the target."""
    actions = blocked_where_emptied(actions, links)
    planned = {
        key: blocked_without_events(actions, plan_link(actions.pairs, key, links, chosen))
        for key in sorted(key for key in chosen if is_link(key))
    }
    ids = {
        key: one.action.target_id
        for key, one in planned.items()
        if key in links.found and one.action.target_id is not None
    }
    return actions.after(planned, actions.pairs.with_ids(ids))


def plan_link(pairs: Pairs, key: Key, links: LinkPairs, chosen: Collection[Key]) -> Planned:
    """Plan one link; one whose end is replaced is re-created with its cursors, and the old one is deleted."""
    out = _left_out(pairs, key, links, chosen)
    if out is not None:
        return Planned(out)
    link, paired = pairs.sides.desired[key], links.found.get(key)
    moved = paired is not None and ends(paired.body) != ends(pairs.mapped(link, link_body(link)))
    found = None if moved else paired
    intent = _with_own_environment(pairs, link, _switched(pairs, link, paired, found), found)
    intent = _as_subscribed(pairs, intent, found)
    unknown = intent.body.keys() - pairs.sides.by_key[key].body.keys() - {"type", "data"}
    desired = {name: value for name, value in intent.body.items() if name not in unknown}
    desired = pairs.naming_deleted(link, desired)
    before = pairs.sides.live_by_key.get(key) if paired is None else paired
    if found is None and before is not None:
        desired = with_hidden_of(pairs, Candidate(link, desired, link_body(before), before, None)).desired
    replaced: Mapping[Path, Any] = {}
    if moved and paired is not None:  # it keeps the target's changes to the link that it replaces
        stood, mapped = Candidate(link, desired, link_body(paired), paired, None), pairs.mapped(link, desired)
        base, own_body = base_of(pairs, stood), link_body(paired)
        merged = merge_sides(pairs, stood, base, mapped, own_body, {}, {(name,) for name in END_FIELDS})
        if merged.conflicts:
            return Planned(conflict(pairs, stood, base, mapped, own_body, merged))
        desired, replaced = with_merged(desired, merged), replaced_values(mapped, merged)
    fields = tuple(overlay_fields(pairs.sides, key, [(name,) for name in unknown], _FIELDS))
    own, live = own_fields(pairs.sides, link, paired), {} if paired is None else link_body(paired)
    desired = own.kept_in(desired, live)
    candidate = Candidate(
        link, desired, None if found is None else link_body(found), found, None if found is None else found.key.id,
        intent.losses, overlay_fields=fields,
    )  # fmt: skip
    planned = with_its_functions(pairs, create_or_update(pairs, candidate.leaving(own, live)), paired)
    action = replace(planned.action, kept=(*intent.kept, *planned.action.kept))
    action = replace(action, aside=(action.aside | _decided_here(link, intent.body)) or NO_PATHS)
    planned = replace(planned, action=action, notes=(*intent.notes, *planned.notes))
    if action.kind is ActionKind.BLOCKED:
        return planned
    if action.kind is ActionKind.CREATE:
        reason = "re-created, because one of its ends is re-created" if moved else "not in the target"
        no_data = not action.body["data"] and link.body.get("data") is None  # [link/create-without-data]
        body = without(action.body, {("data",)}) if no_data else action.body
        planned = replace(planned, action=replace(action, reason=reason, body=body, replaced=replaced))
    leftover = links.leftover.get(key)
    old = [one for one in (paired if moved else None, leftover) if one is not None]
    planned = with_cursors(pairs, link, planned, found, old[0] if old else None)
    return replace(planned, deletions=tuple(_replaced(pairs, one, key) for one in old))


def _decided_here(link: Entity, wanted: Mapping[str, Any]) -> frozenset[Path]:
    """Return the paths where an option, a grant or the target's own environment overrides the source."""
    source = link_body(link)
    paths = (switch(source), ("data", "functionsEnv"))
    return frozenset(path for path in paths if value_at(source, path) != value_at(wanted, path))


def _replaced(pairs: Pairs, old: Entity, key: Key) -> Action:
    """Return the deletion of the link that `key` replaces."""
    reason, name = "replaced, because one of its ends is re-created", pairs.sides.live_names[old.key]
    return Action(ActionKind.DELETE, old.key, name, old.key.id, reason, old.body, after=(key,))


def _left_out(pairs: Pairs, key: Key, links: LinkPairs, chosen: Collection[Key]) -> Action | None:
    """Return the action of a link that is not written: an end is missing, or another link has the same ends."""
    sides = pairs.sides
    link = sides.desired[key]
    problem = without_end(pairs, link, chosen)
    if problem is not None and as_it_was(pairs, link):
        reason = "dangling, as in the snapshot"
        return replace(problem, kind=ActionKind.UNCHANGED, target_id=key.id, reason=reason, dead=False)
    if problem is not None:
        return problem
    gone = key not in links.found and sides.lineage.was_deleted(key)
    if gone and stays_deleted(sides, key):
        reason = deleted_there(sides, key)
        return Action(ActionKind.SKIPPED, key, sides.desired_names[key], None, reason, deleted_there=True)
    other = links.doubled.get(key)
    if other is None:
        return None
    moved_there = any(ends(sides.desired[k].body) != ends(sides.by_key[k].body) for k in (key, other))
    reason = f"a console keeps one connection from a source to a destination, and {quoted(sides.desired_names[other])} already joins these two"
    kind = ActionKind.BLOCKED if moved_there else ActionKind.SKIPPED
    return Action(kind, key, sides.desired_names[key], None, reason)


@dataclass(frozen=True, slots=True)
class _Intent:
    """The body that a link should have, what is lost, what the target's own link keeps, and notes."""

    body: dict[str, Any]
    losses: tuple[Loss, ...]
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _switched(pairs: Pairs, link: Entity, paired: Entity | None, found: Entity | None) -> _Intent:
    """Return the link, switched off if an option or a missing grant requires it, or on as in the target."""
    sides, body = pairs.sides, link_body(link)
    own = None if paired is None else link_body(paired)
    losses = _missing_functions(pairs, link, paired)
    if sides.options.disable_links:
        body = switched_as(body, own)
    end = end_without_grant(pairs, link)
    if end is not None:
        off = switched_as(body, None if found is None else link_body(found))
        losses += [switched_off(body, end)] if off != body else []
        body = off
    end = end_granted_since(pairs, link, own)
    if end is None or (on := switched_as(body, own)) == body:
        return _Intent(body, tuple(losses))
    note = (
        f"{sides.called(sides.by_key[link.key])} stays switched on: it is off in the snapshot, where {end} lacks the"
        " grant that the target has; use --overlay to switch it off"
    )
    return _Intent(on, tuple(losses), (format_path(switch(body)),), (note,))


def _as_subscribed(pairs: Pairs, intent: _Intent, found: Entity | None) -> _Intent:
    """Return the link without identity stitching if the subscription does not allow adding it [gate/stitching]."""
    new = stitches(intent.body) and not (found is not None and stitches(found.body))
    if not new or pairs.sides.options.entitlements.identity_stitching is not False:
        return intent
    losses = (*intent.losses, Loss("data.functions", NO_IDENTITY_STITCHING))
    return replace(intent, body=without_stitching(intent.body), losses=losses)


def _missing_functions(pairs: Pairs, link: Entity, paired: Entity | None) -> list[Loss]:
    """Return the losses for functions that a link refers to in the target although they do not exist there."""
    sides = pairs.sides
    named = set() if paired is None else {one for _, one in uses(paired, Form.UDF)}
    return [
        Loss("data.functions", f"runs {sides.called(sides.by_key[keys[0]])}, which the target lacks")
        for reference, source_id in uses(link, Form.UDF)
        if pairs.resolve(reference.types, source_id) is None
        if (pairs.deleted_id(reference.types, source_id) or source_id) in named
        if (keys := [k for k in sides.named(reference.types, source_id) if k.id not in sides.owned])
    ]


def _with_own_environment(pairs: Pairs, link: Entity, intent: _Intent, found: Entity | None) -> _Intent:
    """Return the link with the target's own `functionsEnv`, except variables that an overlay sets or the target lacks.

    In place, the snapshot's `functionsEnv` is restored unchanged.
    """
    if found is None or pairs.sides.in_place:
        return intent
    bodies: tuple[Mapping[str, Any], ...] = (link_body(found), pairs.sides.by_key[link.key].body, intent.body)
    own, original, wanted = (value_at(body, ("data", "functionsEnv")) or {} for body in bodies)
    if not own or not all(isinstance(one, Mapping) for one in (own, original, wanted)):
        return intent
    given = {name for name, value in wanted.items() if value != original.get(name)}
    merged = {**wanted, **{name: value for name, value in own.items() if name not in given}}
    kept = sorted(f"data.functionsEnv.{name}" for name in merged if merged[name] != wanted.get(name))
    data = intent.body["data"] if isinstance(intent.body.get("data"), Mapping) else {}
    body = {**intent.body, "data": {**data, "functionsEnv": merged}}
    return replace(intent, body=body, kept=(*intent.kept, *kept))
